//! What the tests of functions share. The testkit itself cannot hold it: it knows nothing of the
//! product that it tests, so each test takes this file in by its path.

use config::{read, rows::to_rows};
use testkit::aws::stack::AwsStack;

/// Writes a configuration as `lockgate apply` does.
pub(crate) async fn apply(
    cloud: &AwsStack,
    yaml: &str,
    variable: &(dyn Fn(&str) -> Option<String> + Sync),
) {
    let config = read(yaml, variable, &gateway::kinds()).unwrap();
    let (rows, secrets) = to_rows(&config, &cloud.prefix);
    for (name, secret) in secrets {
        cloud.keep(&name, secret.expose()).await;
    }
    cloud.write(rows.into_iter().map(|it| [it.pk, it.sk, it.value])).await;
}
