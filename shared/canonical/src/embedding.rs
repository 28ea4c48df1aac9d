//! Embedding requests and their vectors.

/// Texts whose vectors are requested.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingRequest {
    /// The texts, in order.
    pub inputs: Vec<EmbeddingInput>,
    /// The length of each vector; absent is the model's default.
    pub dimensions: Option<u64>,
    /// Whether the client wants vectors as base64 of little-endian 32-bit floats.
    pub base64: bool,
    /// What the vectors are for; absent where the client does not say.
    pub purpose: Option<EmbeddingPurpose>,
    /// The client's own user, for the provider's abuse detection.
    pub user: Option<String>,
    /// Members of the request that no other format has, by the client's names.
    pub unmapped_fields: Vec<String>,
}

/// One text to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// The text itself.
    Text(String),
    /// Tokens of the model's own vocabulary.
    Tokens(Vec<u64>),
}

/// What vectors are for, where a model distinguishes such uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingPurpose {
    /// A document that queries search.
    Document,
    /// A query that searches documents.
    Query,
    /// Input of a classifier.
    Classification,
    /// Input of a clustering.
    Clustering,
}

/// The vectors of an embedding request, in the order of its texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingResponse {
    /// One vector for each text.
    pub vectors: Vec<Vec<f32>>,
    /// Whether the client wants vectors as base64 of little-endian 32-bit floats. Readers leave it: they
    /// do not know the request.
    pub base64: bool,
}
