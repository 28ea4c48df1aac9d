//! What happens when a store is down, slow, busy or wrong.
//!
//! None of it may hang: a test that did would not end.

#[path = "support/emulated.rs"]
mod emulated;

use std::{net::TcpListener, time::Duration};

use storage::{
    Aws, Change, Parameters, Patience, Query, Row, StoreError, Stores, dynamodb, sqlite,
};
use testkit::aws::Scripted;

const CONFLICT: &str = r#"{
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message": "Transaction cancelled",
    "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]
}"#;

const BUSY: &str = r#"{"__type": "InternalServerError", "message": "busy"}"#;

const IMPATIENT: Patience = Patience {
    attempt: Duration::from_millis(100),
    operation: Duration::from_millis(250),
    attempts: 2,
};

fn tables(aws: &Aws) -> Stores {
    dynamodb::open(aws, "the-config", "the-state")
}

async fn read(stores: &Stores) -> Result<Vec<Row>, StoreError> {
    stores.config.query(&Query::partition("routes", 0)).await.map(|page| page.rows)
}

fn put(sk: &str) -> Change {
    let text = |it: &str| it.to_owned();
    Change::Put(Row { pk: text("a"), sk: text(sk), value: text("{}"), expires: None })
}

#[tokio::test]
async fn a_store_that_is_down_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut aws = emulated::account(&format!("http://{}", listener.local_addr().unwrap()));
    aws.patience = Patience::CALL;
    drop(listener);
    let error = read(&tables(&aws)).await.unwrap_err().to_string();
    assert!(error.starts_with("reading rows failed: the-config: dispatch failure"), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    Parameters::new(&aws).get(&["/a".to_owned()]).await.unwrap_err();
}

#[tokio::test]
async fn a_store_that_never_answers_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut aws = emulated::account(&format!("http://{}", listener.local_addr().unwrap()));
    aws.patience = IMPATIENT;
    let error = read(&tables(&aws)).await.unwrap_err().to_string();
    assert!(error.contains("timeout"), "{error}");
    tables(&aws).state.write(&[put("1"), put("2")]).await.unwrap_err();
    Parameters::new(&aws).get(&["/a".to_owned()]).await.unwrap_err();
}

#[tokio::test]
async fn a_store_that_stumbles_is_asked_once_more() {
    let aws = Scripted::start(&[(500, BUSY), (200, r#"{"Items": []}"#)]);
    assert_eq!(read(&tables(&emulated::account(&aws.endpoint_url))).await.unwrap(), []);
    assert_eq!(aws.requests().len(), 2);
}

#[tokio::test]
async fn a_call_asks_no_more_than_twice() {
    let aws = Scripted::start(&[(500, BUSY), (500, BUSY), (200, r#"{"Items": []}"#)]);
    let mut account = emulated::account(&aws.endpoint_url);
    account.patience = Patience { attempts: Patience::CALL.attempts, ..Patience::OPERATOR };
    read(&tables(&account)).await.unwrap_err();
    assert_eq!(aws.requests().len(), 2);
}

#[tokio::test]
async fn a_transaction_that_met_another_is_tried_again_as_the_same_one() {
    let aws = Scripted::start(&[(400, CONFLICT), (200, "{}")]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    stores.state.write(&[put("1"), put("2")]).await.unwrap();
    let [first, second] = &aws.requests()[..] else { panic!("two attempts") };
    assert_eq!(first, second);
    assert!(first.contains("ClientRequestToken"));
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_says_which_table() {
    let missing = r#"{"__type": "ResourceNotFoundException", "message": "no such table"}"#;
    let aws = Scripted::start(&[(400, missing), (200, r#"{"Items": []}"#)]);
    let stores = tables(&emulated::account(&aws.endpoint_url));
    let error = read(&stores).await.unwrap_err().to_string();
    assert_eq!(error, "reading rows failed: the-config: ResourceNotFoundException: no such table");
    assert_eq!(aws.requests().len(), 1);
}

#[tokio::test]
async fn an_item_that_is_no_row_is_an_error() {
    let items = r#"{"Items": [{"pk": {"S": "a"}, "sk": {"S": "1"}, "value": {"N": "5"}}]}"#;
    let aws = Scripted::start(&[(200, items)]);
    let error = read(&tables(&emulated::account(&aws.endpoint_url))).await.unwrap_err();
    assert!(error.to_string().ends_with("the-config: a row has no text in `value`"), "{error}");
}
