//! The endpoints as a Lambda function, behind a URL that does not stream.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::LambdaError> {
    edge::run_buffered("operator").await
}
