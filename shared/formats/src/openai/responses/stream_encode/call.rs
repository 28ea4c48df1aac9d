//! A call that is being encoded, or waits for that.

use super::super::{super::tool_name::ToolName, output::Item};

/// The call so far.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) call: usize,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Call {
    /// Whether the call's arguments are a whole JSON object: nothing can follow.
    pub(super) fn is_whole(&self) -> bool {
        // A look at the last byte, because this is asked for each call that begins, and parsing
        // takes all of the arguments.
        self.arguments.ends_with('}')
            && serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }

    /// Whether the call's tool takes any text.
    pub(super) fn is_custom(&self) -> bool {
        ToolName::of(&self.name).custom
    }

    /// The item of the call.
    pub(super) fn item(&self, id: String) -> Item {
        Item::call(id, self.id.clone(), &self.name, &self.arguments)
    }
}
