//! Which failures of DynamoDB are retried beyond those that the SDK retries.

use aws_sdk_dynamodb::{
    config::{
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError,
        transact_write_items::TransactWriteItemsError, update_item::UpdateItemError,
    },
};
use aws_smithy_runtime_api::client::interceptors::context::Error;

/// Retries a write that met a transaction on the same row. The SDK does not.
#[derive(Debug)]
pub(super) struct TransactionConflicts;

impl ClassifyRetry for TransactionConflicts {
    fn classify_retry(&self, attempt: &InterceptorContext) -> RetryAction {
        match attempt.output_or_error() {
            Some(Err(error)) if error.as_operation_error().is_some_and(is_conflict) => {
                // The other transaction ends within milliseconds, and the write has not been made.
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

fn is_conflict(error: &Error) -> bool {
    if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
        error.downcast_ref()
    {
        let reasons = canceled.cancellation_reasons();
        return reasons.iter().any(|reason| reason.code() == Some("TransactionConflict"));
    }
    matches!(error.downcast_ref(), Some(UpdateItemError::TransactionConflictException(_)))
        || matches!(error.downcast_ref(), Some(PutItemError::TransactionConflictException(_)))
        || matches!(error.downcast_ref(), Some(DeleteItemError::TransactionConflictException(_)))
}
