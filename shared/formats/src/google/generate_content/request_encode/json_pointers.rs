//! Pointers within a JSON document, by their pointers. What was looked into is not read again.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::json::Object;

/// A document, as far as it was looked into.
#[derive(Debug)]
pub(crate) struct Pointers<'a> {
    root: &'a RawValue,
    /// The members of each value, by the offset at which its text begins.
    within: HashMap<*const u8, HashMap<String, &'a RawValue>>,
}

impl<'a> Pointers<'a> {
    /// A document.
    pub(crate) fn new(root: &'a RawValue) -> Self {
        Self { root, within: HashMap::new() }
    }

    /// The value at a pointer within the document.
    pub(crate) fn resolved(&mut self, pointer: &str) -> Option<&'a RawValue> {
        let mut found = self.root;
        for step in pointer.strip_prefix('#')?.split('/').skip(1) {
            let step =
                // In this order: `~01` is `~1`, not `/` (RFC 6901), and a fragment is
                // percent-encoded around that.
                step.replace("%24", "$").replace("%25", "%").replace("~1", "/").replace("~0", "~");
            let start = found.get().as_ptr();
            let within = self.within.entry(start).or_insert_with(|| members(found));
            found = within.get(&step)?;
        }
        Some(found)
    }
}

/// The member of a value by its name or number.
fn members(value: &RawValue) -> HashMap<String, &RawValue> {
    if value.get().starts_with('[') {
        let list: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
        return list.into_iter().enumerate().map(|(at, it)| (at.to_string(), it)).collect();
    }
    let object: Object<'_> = serde_json::from_str(value.get()).unwrap_or_default();
    // The first of a name counts.
    object.present().rev().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_through_objects_and_lists() {
        let json = r#"{"$defs":{"a/b":[1,{"c":2}],"d":null},"x":3,"x":4}"#;
        let mut places = Pointers::new(serde_json::from_str(json).unwrap());
        let mut at = |pointer: &str| places.resolved(pointer).map(RawValue::get);
        assert_eq!(at("#"), Some(json));
        assert_eq!(at("#/$defs/a~1b/1/c"), Some("2"));
        assert_eq!(at("#/%24defs/a~1b/0"), Some("1"));
        assert_eq!(at("#/x"), Some("3"));
        assert_eq!(at("#/$defs/a~1b/2"), None);
        assert_eq!(at("#/$defs/d"), None);
        assert_eq!(at("other"), None);
    }
}
