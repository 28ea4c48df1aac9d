//! Secrets in the parameter store of AWS Systems Manager.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/emulated.rs"]
mod emulated;

use storage::{Parameters, Secret};
use testkit::aws::{Aws, Scripted};

fn parameters() -> Parameters {
    Parameters::new(&emulated::account(&Aws::shared().endpoint_url))
}

/// Writes parameters with names such as `/many/03`, each with its name as its value.
async fn write(parameters: &Parameters, path: &str, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|number| format!("{path}/{number:02}")).collect();
    for name in &names {
        parameters.put(name, &Secret::new(name.as_str())).await.unwrap();
    }
    names
}

#[tokio::test]
async fn more_than_ten_secrets_are_read() {
    let parameters = parameters();
    let names = write(&parameters, "/many", 23).await;
    let secrets = parameters.get(&names).await.unwrap();
    assert_eq!(secrets.len(), 23);
    assert!(names.iter().all(|name| secrets[name].expose() == name));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_left_out() {
    let parameters = parameters();
    let mut names = write(&parameters, "/some", 1).await;
    names.push("/some/other".to_owned());
    let secrets = parameters.get(&names).await.unwrap();
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["/some/00"]);
}

#[tokio::test]
async fn no_names_are_no_request() {
    let aws = Scripted::start(&[]);
    let parameters = Parameters::new(&emulated::account(&aws.endpoint_url));
    assert!(parameters.get(&[]).await.unwrap().is_empty());
    parameters.delete(&[]).await.unwrap();
}

#[tokio::test]
async fn a_secret_is_replaced() {
    let parameters = parameters();
    let names = write(&parameters, "/replaced", 1).await;
    parameters.put(&names[0], &Secret::new("new")).await.unwrap();
    assert_eq!(parameters.get(&names).await.unwrap()[&names[0]].expose(), "new");
}

#[tokio::test]
async fn an_older_version_is_returned_under_the_requested_name() {
    let parameters = parameters();
    write(&parameters, "/versions", 1).await;
    parameters.put("/versions/00", &Secret::new("new")).await.unwrap();
    let name = "/versions/00:1".to_owned();
    let secrets = parameters.get(std::slice::from_ref(&name)).await.unwrap();
    assert_eq!(secrets[&name].expose(), "/versions/00");
}

#[tokio::test]
async fn a_path_lists_the_names_below_it() {
    let parameters = parameters();
    let mut names = write(&parameters, "/listed/providers", 12).await;
    names.extend(write(&parameters, "/listed/tenants", 1).await);
    write(&parameters, "/listed-not", 1).await;
    let mut listed = parameters.list("/listed").await.unwrap();
    listed.sort_unstable();
    assert_eq!(listed, names);
}

#[tokio::test]
async fn more_than_ten_secrets_are_removed_and_missing_ones_are_no_failure() {
    let parameters = parameters();
    let mut names = write(&parameters, "/removed", 12).await;
    let kept = names.pop().unwrap();
    names.push("/removed/never".to_owned());
    parameters.delete(&names).await.unwrap();
    assert_eq!(parameters.list("/removed").await.unwrap(), [kept]);
}

#[tokio::test]
async fn a_secret_that_does_not_fit_is_not_sent() {
    let aws = Scripted::start(&[]);
    let parameters = Parameters::new(&emulated::account(&aws.endpoint_url));
    let error = parameters.put("/long", &Secret::new("x".repeat(4097))).await.unwrap_err();
    let rule = "writing a secret failed: /long: a secret has 1 to 4096 bytes, this has 4097";
    assert_eq!(error.to_string(), rule);
}

#[tokio::test]
async fn a_name_may_refer_to_secrets_manager() {
    let name = "/aws/reference/secretsmanager/groq".to_owned();
    let response = format!(r#"{{"Parameters": [{{"Name": "{name}", "Value": "key"}}]}}"#);
    let ssm = Scripted::start(&[(200, &response)]);
    let parameters = Parameters::new(&emulated::account(&ssm.endpoint_url));
    let secrets = parameters.get(&[name.clone(), name.clone()]).await.unwrap();
    assert_eq!(secrets[&name].expose(), "key");
    let request = format!(r#"{{"Names":["{name}"],"WithDecryption":true}}"#);
    assert_eq!(ssm.requests(), [request]);
}

#[tokio::test]
async fn an_error_that_quotes_the_secret_is_redacted() {
    let response = r#"{"__type": "ValidationException", "message": "value 'key-123' is wrong"}"#;
    let ssm = Scripted::start(&[(400, response)]);
    let parameters = Parameters::new(&emulated::account(&ssm.endpoint_url));
    let error = parameters.put("/quoted", &Secret::new("key-123")).await.unwrap_err();
    let texts = format!("{error} {error:?}");
    assert!(texts.contains("value '[secret]' is wrong") && !texts.contains("key-123"), "{texts}");
}

#[tokio::test]
async fn a_response_that_cannot_be_decoded_is_not_printed() {
    let response = r#"{"Parameters": [{"Name": "/a", "Value": "key-123"}, {"Name": 7}]}"#;
    let ssm = Scripted::start(&[(200, response)]);
    let parameters = Parameters::new(&emulated::account(&ssm.endpoint_url));
    let error = parameters.get(&["/a".to_owned()]).await.unwrap_err();
    let texts = format!("{error} {error:?}");
    assert!(!texts.contains("key-123"), "{texts}");
}

#[test]
fn no_handle_prints_a_secret() {
    let aws = emulated::account("http://127.0.0.1:1");
    let stores = storage::dynamodb::open(&aws, "config", "state");
    let texts = format!("{aws:?} {stores:?} {:?}", Parameters::new(&aws));
    assert!(!texts.contains("hidden"), "{texts}");
}

/// AWS's error when one name of a batch may not be read.
const DENIED: &str = r#"{
    "__type": "AccessDeniedException",
    "Message": "User: lockgate is not authorized to perform: ssm:GetParameters"
}"#;

#[tokio::test]
async fn a_name_that_may_not_be_read_does_not_take_the_others_with_it() {
    let found = r#"{"Parameters": [{"Name": "/b", "Value": "secret of b"}]}"#;
    let aws = Scripted::start(&[(400, DENIED), (400, DENIED), (200, found)]);
    let parameters = Parameters::new(&emulated::account(&aws.endpoint_url));
    let secrets = parameters.get(&["/a".to_owned(), "/b".to_owned()]).await.unwrap();
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["/b"]);
    assert_eq!(aws.requests().len(), 3);
}

#[tokio::test]
async fn an_account_that_is_not_known_is_a_failure_and_not_a_missing_name() {
    let unknown = r#"{"__type": "UnrecognizedClientException", "message": "no such token"}"#;
    let aws = Scripted::start(&[(400, unknown)]);
    let parameters = Parameters::new(&emulated::account(&aws.endpoint_url));
    parameters.get(&["/a".to_owned(), "/b".to_owned()]).await.unwrap_err();
}
