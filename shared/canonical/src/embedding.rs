//! Texts that are wanted as numbers, and the numbers.

/// Texts that are wanted as numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    /// The texts, in order.
    pub inputs: Vec<EmbeddingInput>,
    /// How many numbers each; absent is the model's own.
    pub dimensions: Option<u64>,
    /// Whether the client wants them as base64 of little-endian 32-bit floats.
    pub base64: bool,
    /// Which of the client's own users asks.
    pub user: Option<String>,
    /// What no other format has a word for, by the client's names.
    pub other: Vec<String>,
}

/// One text.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// As it reads.
    Text(String),
    /// As tokens of the model's own vocabulary.
    Tokens(Vec<u64>),
}

/// The numbers of each text, in the order of the texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// One list for each text.
    pub vectors: Vec<Vec<f32>>,
}
