//! Tables in DynamoDB.
//!
//! A row is an item with the attributes `pk`, `sk`, `value` and, if it ends, `expires` (the
//! table's TTL attribute). DynamoDB deletes late, so every read compares `expires` itself.
//!
//! What a verb costs, in DynamoDB's units:
//!
//! | verb | requests | units |
//! | --- | --- | --- |
//! | `query` | one for each MB of the partition | one read for each 4 KB, expired rows included |
//! | `write` of one change | one | one write for each KB of the row |
//! | `write` of more | one for each 100 changes | two writes for each KB of each row |

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::{
    Client,
    config::{
        Builder,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Delete, Put, TransactWriteItem},
};

use crate::{
    aws::{Aws, said},
    limits,
    table::{Change, Pending, Row, StoreError, Stores, Table},
};

type Item = HashMap<String, AttributeValue>;

/// Opens two tables by name. Nothing is asked of AWS until one is used.
pub fn open(aws: &Aws, config_table: &str, state_table: &str) -> Stores {
    let config = Builder::from(&aws.sdk_config()).retry_classifier(Conflicts).build();
    let client = Client::from_conf(config);
    Stores {
        config: Arc::new(Items { client: client.clone(), name: config_table.to_owned() }),
        state: Arc::new(Items { client, name: state_table.to_owned() }),
    }
}

#[derive(Debug)]
struct Items {
    client: Client,
    name: String,
}

impl Table for Items {
    fn query<'a>(&'a self, pk: &'a str, now: u64) -> Pending<'a, Vec<Row>> {
        Box::pin(async move {
            self.rows(pk, now).await.map_err(|cause| self.failed("reading rows", &cause))
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            for group in limits::groups(changes)? {
                let done = match group.as_slice() {
                    [change] => self.change(change).await,
                    group => self.change_together(group).await,
                };
                done.map_err(|cause| self.failed("writing rows", &cause))?;
            }
            Ok(())
        })
    }
}

impl Items {
    /// Reads are strongly consistent. Half the price would buy a plan, an export or a cold start
    /// that may miss what `apply` has just written, for rows that are read once a minute.
    async fn rows(&self, pk: &str, now: u64) -> Result<Vec<Row>, String> {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let mut items = query
            .key_condition_expression("pk = :pk")
            .filter_expression("attribute_not_exists(expires) OR expires > :now")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":now", number(now))
            .into_paginator()
            .items()
            .send();
        let mut rows = vec![];
        while let Some(item) = items.next().await {
            rows.push(row(item.map_err(|error| said(&error))?)?);
        }
        Ok(rows)
    }

    /// Makes one change, for half the price of a transaction.
    async fn change(&self, change: &Change) -> Result<(), String> {
        match change {
            Change::Put(row) => {
                let put = self.client.put_item().table_name(&self.name);
                let done = put.set_item(Some(item(row))).send().await;
                done.map(drop).map_err(|error| said(&error))
            }
            Change::Delete { pk, sk } => {
                let delete = self.client.delete_item().table_name(&self.name);
                let done = delete.set_key(Some(key(pk, sk))).send().await;
                done.map(drop).map_err(|error| said(&error))
            }
        }
    }

    /// Makes a group of changes in a transaction. The SDK marks it, so that a repeated attempt of
    /// one that went through does nothing.
    async fn change_together(&self, group: &[&Change]) -> Result<(), String> {
        let actions = group.iter().map(|it| self.action(it)).collect::<Result<_, _>>();
        let actions = actions.map_err(|error| error.to_string())?;
        let transaction = self.client.transact_write_items().set_transact_items(Some(actions));
        transaction.send().await.map(drop).map_err(|error| said(&error))
    }

    fn action(&self, change: &Change) -> Result<TransactWriteItem, BuildError> {
        let action = TransactWriteItem::builder();
        let action = match change {
            Change::Put(row) => {
                let put = Put::builder().table_name(&self.name);
                action.put(put.set_item(Some(item(row))).build()?)
            }
            Change::Delete { pk, sk } => {
                let delete = Delete::builder().table_name(&self.name);
                action.delete(delete.set_key(Some(key(pk, sk))).build()?)
            }
        };
        Ok(action.build())
    }

    /// DynamoDB's own messages do not say which table they are about.
    fn failed(&self, doing: &'static str, cause: &str) -> StoreError {
        StoreError::new(doing, format!("{}: {cause}", self.name))
    }
}

fn row(mut item: Item) -> Result<Row, String> {
    let mut text = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(format!("a row has no text in `{name}`")),
    };
    let (pk, sk, value) = (text("pk")?, text("sk")?, text("value")?);
    let expires = match item.remove("expires") {
        Some(AttributeValue::N(number)) => {
            Some(number.parse().map_err(|error| format!("a row expires at {number}: {error}"))?)
        }
        _ => None,
    };
    Ok(Row { pk, sk, value, expires })
}

fn item(row: &Row) -> Item {
    let mut item = key(&row.pk, &row.sk);
    item.insert("value".to_owned(), text(&row.value));
    if let Some(expires) = row.expires {
        item.insert("expires".to_owned(), number(expires));
    }
    item
}

fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Has a transaction tried again that met another one on the same row. The SDK gives those up.
#[derive(Debug)]
struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, attempt: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = attempt.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let refusal = error.as_operation_error().and_then(|it| it.downcast_ref());
        match refusal {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                if canceled
                    .cancellation_reasons()
                    .iter()
                    .any(|it| it.code() == Some("TransactionConflict")) =>
            {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}
