//! The endpoint as a Lambda function, behind a URL that streams: a hundred texts can be more numbers
//! than the 6 MB that one which does not would let through.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::LambdaError> {
    edge::run("embeddings").await
}
