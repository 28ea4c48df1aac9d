//! The endpoint as a Lambda function, behind a URL that streams.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::LambdaError> {
    edge::run("chat-completions").await
}
