//! Reading a range of a partition, page after page.

use std::ops::Bound;

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};

use super::{
    DynamoTable,
    item::{Item, number, row, text},
};
use crate::{
    aws::describe_error,
    query::{Consistency, Order, Query},
    table::Row,
};

/// How many items each response but the first looks at, so that a long run of expired ones costs few
/// requests.
const MIN_LATER_LIMIT: usize = 100;

impl DynamoTable {
    /// Reads the rows that decide a page.
    ///
    /// DynamoDB ends each response at 1 MB or at the limit, whichever comes first, and both count
    /// items before the filter leaves out the expired ones.
    pub(super) async fn query_rows(&self, query: &Query) -> Result<Vec<Row>, String> {
        // DynamoDB refuses a range that ends before it begins.
        if query.is_empty() {
            return Ok(vec![]);
        }
        let wanted = query.rows_to_read();
        let mut rows = vec![];
        let mut start_key = None;
        loop {
            let missing = wanted - rows.len();
            // The first response is most often enough; a later one means that expired rows stand in
            // between.
            let limit = match &start_key {
                None => missing.saturating_add(excluded_ends(query)),
                Some(_) => missing.max(MIN_LATER_LIMIT),
            };
            let request = self.page_request(query, limit);
            let response = request.set_exclusive_start_key(start_key).send().await;
            let response = response.map_err(|error| describe_error(&error))?;

            for item in response.items.unwrap_or_default() {
                let row = row(item)?;
                // The ends that the key condition could not leave out.
                if query.contains(&row.sk) {
                    rows.push(row);
                }
            }

            start_key = response.last_evaluated_key;
            if start_key.is_none() || wanted <= rows.len() {
                rows.truncate(wanted);
                return Ok(rows);
            }
        }
    }

    fn page_request(&self, query: &Query, limit: usize) -> QueryFluentBuilder {
        let (condition, values) = key_condition(query);
        // Without a limit of the caller's a response has a whole MB of rows, for as few requests as
        // can be.
        let limit = query.limit.and_then(|_| i32::try_from(limit).ok());
        self.client
            .query()
            .table_name(&self.name)
            .consistent_read(query.consistency == Consistency::Strong)
            .scan_index_forward(query.order == Order::Ascending)
            .key_condition_expression(condition)
            .filter_expression("attribute_not_exists(expires) OR expires > :now")
            .set_expression_attribute_values(Some(values))
            .set_limit(limit)
    }
}

/// How many rows a response may hold on top of those of the range: the ends that it excludes.
fn excluded_ends(query: &Query) -> usize {
    let ends = [&query.start, &query.end];
    ends.into_iter().filter(|end| matches!(end, Bound::Excluded(_))).count()
}

/// The key condition of a range. A condition with both ends includes them, whatever was asked for.
fn key_condition(query: &Query) -> (&'static str, Item) {
    let mut values =
        Item::from([(":pk".to_owned(), text(&query.pk)), (":now".to_owned(), number(&query.now))]);
    let mut bind = |name: &str, bound: &Bound<String>| match bound {
        // DynamoDB takes no empty text here; every `sk` is larger.
        Bound::Included(sk) | Bound::Excluded(sk) if sk.is_empty() => false,
        Bound::Included(sk) | Bound::Excluded(sk) => {
            values.insert(name.to_owned(), AttributeValue::S(sk.clone()));
            true
        }
        Bound::Unbounded => false,
    };
    // A key condition has one comparison of `sk`, and BETWEEN includes both ends; the caller leaves
    // out those that are excluded.
    let condition = match (bind(":start", &query.start), bind(":end", &query.end)) {
        (false, false) => "pk = :pk",
        (true, false) => "pk = :pk AND sk >= :start",
        (false, true) => "pk = :pk AND sk <= :end",
        (true, true) => "pk = :pk AND sk BETWEEN :start AND :end",
    };
    (condition, values)
}
