//! Both tables in DynamoDB.
//!
//! A row is an item with the attributes `pk`, `sk`, `value`, `expires` (the table's TTL attribute)
//! if it ends, and one attribute for each number and note. DynamoDB removes expired items late, so
//! every read compares `expires` itself.
//!
//! What a verb costs, in DynamoDB's units; an eventually consistent read costs half:
//!
//! | verb | requests | units |
//! | --- | --- | --- |
//! | `get`, `get_tallies` | one | one read for each 4 KB of the row |
//! | `query` | one for each MB | one read for each 4 KB, expired rows included |
//! | `tally` | one | one write for each KB of the row, also when it is refused |
//! | `write` of one change | one | one write for each KB of the row |
//! | `write` of more | one for each 100 changes | two writes for each KB of each row |

mod item;
mod query;
mod retry;
mod tally;

use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    config::Builder,
    error::BuildError,
    types::{Delete, Put, TransactWriteItem},
};

use self::item::{Item, item, key, row, tallies};
use crate::{
    aws::{Aws, describe_error},
    error::StoreError,
    limits,
    query::{Consistency, Page, Query},
    table::{Change, Pending, Row, Stores, Table},
    tally::{Tallied, Tallies, Tally},
};

/// Opens two tables by name. Nothing is asked of AWS until one is used.
pub fn open(aws: &Aws, config_table: &str, state_table: &str) -> Stores {
    let config =
        Builder::from(&aws.sdk_config()).retry_classifier(retry::TransactionConflicts).build();
    let client = Client::from_conf(config);
    Stores {
        config: Arc::new(DynamoTable { client: client.clone(), name: config_table.to_owned() }),
        state: Arc::new(DynamoTable { client, name: state_table.to_owned() }),
    }
}

#[derive(Debug)]
struct DynamoTable {
    client: Client,
    name: String,
}

impl Table for DynamoTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        Box::pin(async move {
            limits::check_row(pk, sk)?;
            let found = self.get_item(pk, sk, consistency, now).await;
            found
                .and_then(|item| item.map(row).transpose())
                .map_err(|cause| self.failed("reading a row", &cause))
        })
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        Box::pin(async move {
            limits::check_query(query)?;
            let rows = self.query_rows(query).await;
            rows.map(|rows| query.page(rows)).map_err(|cause| self.failed("reading rows", &cause))
        })
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        Box::pin(async move {
            limits::check_row(pk, sk)?;
            let found = self.get_item(pk, sk, consistency, now).await;
            found
                .and_then(|item| item.map(tallies).transpose())
                .map_err(|cause| self.failed("reading tallies", &cause))
        })
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        Box::pin(async move {
            limits::check_tally(change)?;
            let tallied = self.update_item(change).await;
            tallied.map_err(|cause| self.failed("changing tallies", &cause))
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            // Groups go one after the other: the last one may be the digest by which the others
            // count as written.
            for group in limits::groups(changes)? {
                let done = match group.as_slice() {
                    // A transaction costs twice as much as a plain write.
                    [change] => self.change(change).await,
                    group => self.change_together(group).await,
                };
                done.map_err(|cause| self.failed("writing rows", &cause))?;
            }
            Ok(())
        })
    }
}

impl DynamoTable {
    /// Reads an item that has not expired.
    async fn get_item(
        &self,
        pk: &str,
        sk: &str,
        consistency: Consistency,
        now: u64,
    ) -> Result<Option<Item>, String> {
        let strong = consistency == Consistency::Strong;
        let get = self.client.get_item().table_name(&self.name).consistent_read(strong);
        let found =
            get.set_key(Some(key(pk, sk))).send().await.map_err(|error| describe_error(&error))?;
        let Some(item) = found.item else {
            return Ok(None);
        };
        // DynamoDB removes expired items up to days late.
        let expires = item::expires(&item)?;
        Ok(expires.is_none_or(|expires| now < expires).then_some(item))
    }

    /// Makes one change, for half the price of a transaction.
    async fn change(&self, change: &Change) -> Result<(), String> {
        match change {
            Change::Put(row) => {
                let put = self.client.put_item().table_name(&self.name);
                let done = put.set_item(Some(item(row))).send().await;
                done.map(drop).map_err(|error| describe_error(&error))
            }
            Change::Delete { pk, sk } => {
                let delete = self.client.delete_item().table_name(&self.name);
                let done = delete.set_key(Some(key(pk, sk))).send().await;
                done.map(drop).map_err(|error| describe_error(&error))
            }
        }
    }

    /// Makes a group of changes in a transaction. The SDK gives each transaction a token, so that a
    /// repeated attempt of one that went through does nothing.
    async fn change_together(&self, group: &[&Change]) -> Result<(), String> {
        let actions = group.iter().map(|change| self.action(change)).collect::<Result<_, _>>();
        let actions = actions.map_err(|error| error.to_string())?;
        let transaction = self.client.transact_write_items().set_transact_items(Some(actions));
        transaction.send().await.map(drop).map_err(|error| describe_error(&error))
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
