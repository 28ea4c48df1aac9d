//! Namespaces of tools, which only Responses has. Elsewhere a tool's name holds its namespace, with a
//! dot between: no name of OpenAI's has one.
//!
//! Source: `developers.openai.com/api/docs/guides/function-calling`, *Defining namespaces*, seen 2026-11.

/// A name with its namespace.
pub(super) fn joined(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}.{name}"),
        _ => name.to_owned(),
    }
}

/// The namespace of a name, and what it is called there.
pub(super) fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('.') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            (Some(namespace), name)
        }
        _ => (None, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_comes_apart() {
        for (namespace, name) in [(Some("crm"), "list_orders"), (None, "f"), (Some("a"), "b.c")] {
            assert_eq!(split(&joined(namespace, name)), (namespace, name));
        }
        assert_eq!(joined(Some(""), "f"), "f");
        assert_eq!((split(".f"), split("f.")), ((None, ".f"), (None, "f.")));
    }
}
