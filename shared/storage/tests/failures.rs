//! DynamoDB that is down, slow, busy or wrong.
//!
//! Nothing may hang: such a test would not end.

#[path = "support/emulated.rs"]
mod emulated;

use std::{net::TcpListener, time::Duration};

use storage::{
    Aws, Change, Consistency, Parameters, Query, Row, StoreError, Stores, Tallied, Tally, Timeouts,
    dynamodb,
};
use testkit::aws::Scripted;

const CONFLICT: &str = r#"{
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message": "Transaction cancelled",
    "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]
}"#;

const BUSY: &str = r#"{"__type": "InternalServerError", "message": "busy"}"#;

const SHORT: Timeouts = Timeouts {
    attempt: Duration::from_millis(100),
    operation: Duration::from_millis(250),
    max_attempts: 2,
};

fn tables(aws: &Aws) -> Stores {
    dynamodb::open(aws, "the-config", "the-state")
}

async fn read(stores: &Stores) -> Result<Vec<Row>, StoreError> {
    stores.config.query(&Query::partition("routes", 0)).await.map(|page| page.rows)
}

fn put(sk: &str) -> Change {
    let text = |text: &str| text.to_owned();
    Change::Put(Row { pk: text("a"), sk: text(sk), value: text("{}"), expires: None })
}

#[tokio::test]
async fn a_store_that_is_down_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut aws = emulated::account(&format!("http://{}", listener.local_addr().unwrap()));
    aws.timeouts = Timeouts::CALL;
    drop(listener);
    let error = read(&tables(&aws)).await.unwrap_err().to_string();
    assert!(error.starts_with("reading rows failed: the-config: dispatch failure"), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    Parameters::new(&aws).get(&["/a".to_owned()]).await.unwrap_err();
}

#[tokio::test]
async fn a_store_that_never_responds_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut aws = emulated::account(&format!("http://{}", listener.local_addr().unwrap()));
    aws.timeouts = SHORT;
    let error = read(&tables(&aws)).await.unwrap_err().to_string();
    assert!(error.contains("timeout"), "{error}");
    tables(&aws).state.write(&[put("1"), put("2")]).await.unwrap_err();
    Parameters::new(&aws).get(&["/a".to_owned()]).await.unwrap_err();
}

#[tokio::test]
async fn a_server_error_is_retried() {
    let aws = Scripted::start(&[(500, BUSY), (200, r#"{"Items": []}"#)]);
    assert_eq!(read(&tables(&emulated::account(&aws.endpoint_url))).await.unwrap(), []);
    assert_eq!(aws.requests().len(), 2);
}

#[tokio::test]
async fn a_call_makes_no_more_than_two_attempts() {
    let aws = Scripted::start(&[(500, BUSY), (500, BUSY), (200, r#"{"Items": []}"#)]);
    let mut account = emulated::account(&aws.endpoint_url);
    account.timeouts = Timeouts { max_attempts: Timeouts::CALL.max_attempts, ..Timeouts::OPERATOR };
    read(&tables(&account)).await.unwrap_err();
    assert_eq!(aws.requests().len(), 2);
}

#[tokio::test]
async fn a_transaction_that_met_another_is_retried_with_the_same_token() {
    let aws = Scripted::start(&[(400, CONFLICT), (200, "{}")]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    stores.state.write(&[put("1"), put("2")]).await.unwrap();
    let [first, second] = &aws.requests()[..] else { panic!("two attempts") };
    assert_eq!(first, second);
    assert!(first.contains("ClientRequestToken"));
}

#[tokio::test]
async fn a_client_error_is_not_retried_and_names_the_table() {
    let missing = r#"{"__type": "ResourceNotFoundException", "message": "no such table"}"#;
    let aws = Scripted::start(&[(400, missing), (200, r#"{"Items": []}"#)]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    let error = read(&stores).await.unwrap_err().to_string();
    assert_eq!(error, "reading rows failed: the-config: ResourceNotFoundException: no such table");
    assert_eq!(aws.requests().len(), 1);
}

#[tokio::test]
async fn an_item_that_is_not_a_row_is_an_error() {
    let items = r#"{"Items": [{"pk": {"S": "a"}, "sk": {"S": "1"}, "value": {"N": "5"}}]}"#;
    let aws = Scripted::start(&[(200, items)]);
    let error = read(&tables(&emulated::account(&aws.endpoint_url))).await.unwrap_err();
    assert!(error.to_string().ends_with("the-config: a row has no text in `value`"), "{error}");
}

fn adding() -> Tally {
    Tally {
        pk: "a".to_owned(),
        sk: "1".to_owned(),
        add: vec![("n".to_owned(), 1)],
        ..Tally::default()
    }
}

#[tokio::test]
async fn a_tally_that_met_a_transaction_is_retried() {
    let conflict = r#"{"__type": "TransactionConflictException", "message": "ongoing"}"#;
    let aws = Scripted::start(&[(400, conflict), (200, r#"{"Attributes": {"n": {"N": "3"}}}"#)]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    let Tallied::Done(tallies) = stores.state.tally(&adding()).await.unwrap() else {
        panic!("it has no conditions")
    };
    assert_eq!(tallies.number("n"), 3);
}

#[tokio::test]
async fn a_tally_is_one_request_that_returns_the_row() {
    let aws = Scripted::start(&[(200, "{}")]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    stores.state.tally(&adding()).await.unwrap();
    let [request] = &aws.requests()[..] else { panic!("one request") };
    assert!(request.contains(r#""ReturnValues":"ALL_NEW""#), "{request}");
    assert!(request.contains(r#""ReturnValuesOnConditionCheckFailure":"ALL_OLD""#), "{request}");
}

#[tokio::test]
async fn eventual_reads_and_limits_are_sent_to_dynamodb() {
    let aws = Scripted::start(&[(200, r#"{"Items": []}"#), (200, "{}")]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    let query =
        Query { consistency: Consistency::Eventual, limit: Some(9), ..Query::partition("a", 0) };
    stores.state.query(&query).await.unwrap();
    stores.state.get("a", "1", Consistency::Eventual, 0).await.unwrap();
    let requests = aws.requests();
    assert!(requests.iter().all(|request| request.contains(r#""ConsistentRead":false"#)));
    assert!(requests[0].contains(r#""Limit":10"#), "{}", requests[0]);
}

#[tokio::test]
async fn a_number_that_is_not_whole_is_an_error() {
    let aws = Scripted::start(&[(200, r#"{"Attributes": {"n": {"N": "0.5"}}}"#)]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    let error = stores.state.tally(&adding()).await.unwrap_err().to_string();
    assert!(error.contains("the-state: `n` has the value 0.5"), "{error}");
}
