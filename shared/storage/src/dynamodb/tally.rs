//! The conditional counter as one `UpdateItem`.
//!
//! Source: <<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpr>
//! essions.html>.
//! Conditions compare and combine, and do no arithmetic.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use super::{
    DynamoTable,
    item::{Item, key, number, tallies, text},
};
use crate::{
    aws::describe_error,
    tally::{Condition, Tallied, Tally},
};

impl DynamoTable {
    /// Makes a change of numbers and notes, if its conditions hold. Either way the item comes back.
    pub(super) async fn update_item(&self, change: &Tally) -> Result<Tallied, String> {
        let expressions = Expressions::new(change);
        let updated = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(&change.pk, &change.sk)))
            .update_expression(expressions.update)
            .set_condition_expression(expressions.condition)
            .set_expression_attribute_names(expressions.names)
            .set_expression_attribute_values(expressions.values)
            // The numbers after the change decide what follows, and a second read could see
            // somebody else's.
            .return_values(ReturnValue::AllNew)
            // A refusal has to say which limit was reached, without one more read.
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match updated {
            Ok(updated) => Ok(Tallied::Done(tallies(updated.attributes.unwrap_or_default())?)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let item = refused.item.clone();
                    Ok(Tallied::Refused(item.map(tallies).transpose()?.unwrap_or_default()))
                }
                _ => Err(describe_error(&error)),
            },
        }
    }
}

/// The expressions of one update.
struct Expressions {
    update: String,
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
}

impl Expressions {
    fn new(change: &Tally) -> Self {
        let mut placeholders = Placeholders::default();
        let update = placeholders.update(change);
        let conditions: Vec<_> =
            change.conditions.iter().map(|condition| placeholders.condition(condition)).collect();
        let condition = (!conditions.is_empty()).then(|| conditions.join(" AND "));
        // DynamoDB refuses a map without entries.
        let names = (!placeholders.names.is_empty()).then_some(placeholders.names);
        let values = (!placeholders.values.is_empty()).then_some(placeholders.values);
        Self { update, condition, names, values }
    }
}

/// The placeholders of names and values in expressions. Every name has one, because many words are
/// reserved.
#[derive(Default)]
struct Placeholders {
    names: HashMap<String, String>,
    values: Item,
}

impl Placeholders {
    fn name(&mut self, name: &str) -> String {
        // By placeholder, since a name may be one of the words that DynamoDB reserves.
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn update(&mut self, change: &Tally) -> String {
        let mut set: Vec<_> = change
            .set
            .iter()
            .map(|(name, note)| format!("{} = {}", self.name(name), self.value(text(note))))
            .collect();
        if let Some(expires) = change.expires {
            set.push(format!("expires = {}", self.value(number(&expires))));
        }
        let add = change
            .add
            .iter()
            .map(|(name, amount)| format!("{} {}", self.name(name), self.value(number(amount))));
        let add: Vec<_> = add.collect();
        let remove: Vec<_> = change.remove.iter().map(|name| self.name(name)).collect();

        // DynamoDB refuses a clause without actions.
        let clauses = [("SET", set), ("ADD", add), ("REMOVE", remove)];
        let clauses: Vec<_> = clauses
            .iter()
            .filter(|(_, actions)| !actions.is_empty())
            .map(|(clause, actions)| format!("{clause} {}", actions.join(", ")))
            .collect();
        clauses.join(" ")
    }

    fn condition(&mut self, condition: &Condition) -> String {
        let name = self.name(condition.name());
        match condition {
            Condition::Absent(_) => format!("attribute_not_exists({name})"),
            Condition::Present(_) => format!("attribute_exists({name})"),
            Condition::Is(_, note) => format!("{name} = {}", self.value(text(note))),
            Condition::AtMost(_, most) => {
                let at_most = format!("{name} <= {}", self.value(number(most)));
                // A number that is not there is 0.
                match most {
                    0.. => format!("(attribute_not_exists({name}) OR {at_most})"),
                    _ => at_most,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_compiled_with_its_conditions() {
        let name = |name: &str| name.to_owned();
        let change = Tally {
            pk: name("tenant#a"),
            sk: name("ledger"),
            conditions: vec![
                Condition::Absent(name("r_1")),
                Condition::AtMost(name("b202611"), 7),
                Condition::AtMost(name("debt"), -1),
            ],
            add: vec![(name("b202611"), 3)],
            set: vec![(name("r_1"), name("3,0"))],
            remove: vec![name("m1")],
            expires: Some(9),
            unread_notes: None,
        };
        let expressions = Expressions::new(&change);
        assert_eq!(expressions.update, "SET #n0 = :v0, expires = :v1 ADD #n1 :v2 REMOVE #n2");
        assert_eq!(
            expressions.condition.unwrap(),
            "attribute_not_exists(#n3) AND (attribute_not_exists(#n4) OR #n4 <= :v3) \
             AND #n5 <= :v4"
        );
        assert_eq!(expressions.names.unwrap()["#n4"], "b202611");
        assert_eq!(expressions.values.unwrap()[":v4"], number(&-1));
    }

    #[test]
    fn a_removal_needs_no_values() {
        let change = Tally { remove: vec!["a".to_owned()], ..Tally::default() };
        let expressions = Expressions::new(&change);
        assert_eq!(expressions.update, "REMOVE #n0");
        assert!(expressions.condition.is_none() && expressions.values.is_none());
    }
}
