//! Texts that are wanted as numbers, and the numbers.

/// Texts that are wanted as numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingRequest {
    /// The texts, in order.
    pub inputs: Vec<EmbeddingInput>,
    /// How many numbers each; absent is the model's own.
    pub dimensions: Option<u64>,
    /// Whether the client wants them as base64 of little-endian 32-bit floats.
    pub base64: bool,
    /// What they are for; absent where the client does not say.
    pub purpose: Option<EmbeddingPurpose>,
    /// Which of the client's own users asks.
    pub user: Option<String>,
    /// What no other format has a word for, by the client's names.
    pub unmapped_fields: Vec<String>,
}

/// One text.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// As it reads.
    Text(String),
    /// As tokens of the model's own vocabulary.
    Tokens(Vec<u64>),
}

/// What the numbers of a text are for, where a model tells such uses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingPurpose {
    /// To be found.
    Document,
    /// To find what is alike.
    Query,
    /// To be sorted into known classes.
    Classification,
    /// To be sorted into groups that nobody knows yet.
    Clustering,
}

/// The numbers of each text, in the order of the texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingResponse {
    /// One list for each text.
    pub vectors: Vec<Vec<f32>>,
    /// Whether the client wants them as base64 of little-endian 32-bit floats. Readers leave it: they
    /// do not know the request.
    pub base64: bool,
}
