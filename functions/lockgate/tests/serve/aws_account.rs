//! Where the credentials come from that `serve` and the operator's commands use in AWS.

use std::fs;

use serde_json::json;
use testkit::bedrock;
use testkit::lockgate::Setup;
use testkit::provider::{FakeProvider, ReceivedRequest, ScriptedResponse};

use crate::support::{KEY, ask, hello, program};

/// A profile whose credentials come from a program. The program numbers the keys that it issues.
const PROFILE: &str = "[profile work]\nregion = eu-west-3\ncredential_process = sh keys.sh\n";

/// Prints credentials that end so many seconds from now.
fn issuing(seconds: u32) -> String {
    let json = r#"{"Version": 1, "AccessKeyId": "AKID%s", "SecretAccessKey": "hidden", "SessionToken": "token", "Expiration": "%s"}"#;
    let end = format!("date -u -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%SZ");
    format!("echo >> issued\nprintf '{json}' $(wc -l < issued) $({end})\n")
}

fn with_profile(script: &str) -> Setup {
    let metadata = "AWS_EC2_METADATA_DISABLED";
    let setup = program().file("aws.ini", PROFILE).file("keys.sh", script);
    setup.variable("AWS_CONFIG_FILE", "aws.ini").variable(metadata, "true")
}

/// A provider in Bedrock without a key, at this address.
fn yaml(url: &str) -> String {
    format!(
        "api_key: {KEY}\nproviders: [{{ name: aws, type: bedrock, base_url: \"{url}\" }}]\n\
         routes: [{{ name: m, steps: [{{ provider: aws, model: m }}] }}]\n"
    )
}

/// The key and the region that a request was signed with.
fn signed_with(seen: &ReceivedRequest) -> (String, String) {
    let authorization = seen.header("authorization");
    let (_, scope) = authorization.split_once("Credential=").unwrap();
    let parts: Vec<&str> = scope.split('/').collect();
    (parts[0].to_owned(), parts[2].to_owned())
}

/// The keys that two calls were signed with, one after the other.
async fn keys_of_two_calls(setup: Setup, fake: &FakeProvider) -> Vec<(String, String)> {
    let gateway = setup.config(&yaml(&fake.url())).start().await;
    for _ in 0..2 {
        assert_eq!(ask(&gateway, &hello("m")).await.status, 200);
    }
    fake.requests().iter().map(signed_with).collect()
}

async fn bedrock() -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([bedrock::response("Hi"), bedrock::response("Hi")]);
    fake
}

#[tokio::test]
async fn a_profile_signs_with_the_credentials_of_its_program() {
    let fake = bedrock().await;
    let setup = with_profile(&issuing(3600)).variable("AWS_PROFILE", "work");
    let keys = keys_of_two_calls(setup, &fake).await;
    assert_eq!(keys[0].1, "eu-west-3");
    assert_eq!(keys[0], keys[1], "credentials that last are kept");
    assert_eq!(fake.requests()[0].header("x-amz-security-token"), "token");
}

#[tokio::test]
async fn credentials_near_expiry_are_refreshed() {
    let fake = bedrock().await;
    let setup = with_profile(&issuing(30)).variable("AWS_PROFILE", "work");
    let keys = keys_of_two_calls(setup, &fake).await;
    assert_ne!(keys[0].0, keys[1].0);
}

#[tokio::test]
async fn a_profile_with_static_keys_signs_with_them() {
    let fake = bedrock().await;
    let profile = "[default]\nregion = eu-north-1\naws_access_key_id = AKIDDEFAULT\n\
                   aws_secret_access_key = hidden\n";
    let setup = program().file("aws.ini", profile).variable("AWS_CONFIG_FILE", "aws.ini");
    let keys = keys_of_two_calls(setup, &fake).await;
    assert_eq!(keys[0], ("AKIDDEFAULT".to_owned(), "eu-north-1".to_owned()));
}

/// What `export` sends to an AWS that has no configuration, with keys in the environment, too.
async fn exported(setup: Setup, aws: &FakeProvider) -> (String, String) {
    aws.respond_with([ScriptedResponse::json(200, &json!({"Items": []}))]);
    let setup = setup
        .variable("AWS_ENDPOINT_URL", &aws.url())
        .variable("AWS_ACCESS_KEY_ID", "AKIDENV")
        .variable("AWS_SECRET_ACCESS_KEY", "hidden");
    setup.run().await;
    signed_with(&aws.requests()[0])
}

#[tokio::test]
async fn a_named_profile_precedes_keys_in_the_environment() {
    let aws = FakeProvider::start().await;
    let setup = with_profile(&issuing(3600)).arguments(["export", "--profile", "work"]);
    let (key, region) = exported(setup, &aws).await;
    assert!(key.starts_with("AKID") && key != "AKIDENV", "{key}");
    assert_eq!(region, "eu-west-3");
}

#[tokio::test]
async fn keys_in_the_environment_precede_the_default_profile() {
    let aws = FakeProvider::start().await;
    let setup = with_profile(&issuing(3600)).variable("AWS_PROFILE", "work");
    let (key, region) = exported(setup.arguments(["export"]), &aws).await;
    assert_eq!((key.as_str(), region.as_str()), ("AKIDENV", "eu-west-3"));
}

#[tokio::test]
async fn the_region_option_precedes_other_sources() {
    let aws = FakeProvider::start().await;
    let setup = with_profile(&issuing(3600)).variable("AWS_REGION", "us-east-1");
    let (_, region) = exported(setup.arguments(["export", "--region", "sa-east-1"]), &aws).await;
    assert_eq!(region, "sa-east-1");
}

#[tokio::test]
async fn a_failing_credential_process_is_an_error_with_advice() {
    let setup = with_profile("echo 'The session has ended.' >&2; exit 7");
    let output = setup.arguments(["export", "--profile", "work"]).run().await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("getting AWS credentials failed"), "{text}");
    assert!(text.contains("The session has ended."), "{text}");
    assert!(text.contains("AWS_ACCESS_KEY_ID"), "{text}");
}

#[tokio::test]
async fn a_missing_region_is_an_error_with_advice() {
    let setup = program().variable("AWS_EC2_METADATA_DISABLED", "true");
    let output = setup.arguments(["export"]).run().await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("set AWS_REGION"), "{text}");
}

#[tokio::test]
async fn parameters_are_read_with_a_slow_credential_process() {
    let (aws, provider) = (FakeProvider::start().await, FakeProvider::start().await);
    let parameter = json!({"Parameters": [{"Name": "/team/key", "Value": "from-aws"}]});
    aws.respond_with([ScriptedResponse::json(200, &parameter)]);
    let yaml = format!(
        "api_key: {KEY}\nproviders: [{{ name: first, base_url: \"{}\", api_key: \"ssm:/team/key\" }}]\n",
        provider.url()
    );
    // Longer than a store may take while a client waits.
    let slow = format!("sleep 2\n{}", issuing(3600));
    let setup = with_profile(&slow).variable("AWS_PROFILE", "work").config(&yaml);
    let gateway = setup.variable("AWS_ENDPOINT_URL", &aws.url()).start().await;
    let (key, region) = signed_with(&aws.requests()[0]);
    assert!(key.starts_with("AKID"), "{key}");
    assert_eq!(region, "eu-west-3");
    fs::metadata(gateway.folder().join("issued")).unwrap();
}

#[tokio::test]
async fn check_names_each_parameter_that_it_cannot_read() {
    let aws = FakeProvider::start().await;
    let parameter = json!({"Parameters": [{"Name": "/team/key", "Value": "from-aws"}]});
    aws.respond_with([ScriptedResponse::json(200, &parameter)]);
    let yaml = format!(
        "api_key: {KEY}-that-is-long-enough-for-everybody\nproviders:\n  \
         - {{ name: first, api_key: \"ssm:/team/key\" }}\n  \
         - {{ name: second, api_key: \"ssm:/team/other\" }}\n"
    );
    let setup = with_profile(&issuing(3600)).variable("AWS_PROFILE", "work").config(&yaml);
    let setup = setup.variable("AWS_ENDPOINT_URL", &aws.url()).arguments(["check"]);
    let output = setup.run().await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let warning = "config.yaml: warning: the parameter /team/other is missing or may not be read";
    assert!(text.contains(warning) && !text.contains("/team/key"), "{text}");
}
