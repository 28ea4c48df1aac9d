//! The wire formats of AWS Bedrock: Converse, and the embeddings of Titan and Cohere.

pub mod converse;
pub mod embeddings;
