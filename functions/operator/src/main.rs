//! The endpoints as a Lambda function, behind a URL that streams: the playground shows answers as they
//! come.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), edge::LambdaError> {
    edge::run("operator").await
}
