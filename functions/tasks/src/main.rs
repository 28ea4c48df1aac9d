//! What is asked of providers beside conversations and embeddings, as a Lambda function behind a URL
//! that streams: audio, images, moderation, reranking, files and batches.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::LambdaError> {
    edge::run("tasks").await
}
