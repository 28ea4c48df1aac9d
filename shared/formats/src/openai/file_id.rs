//! Ids of files, which only the provider knows that keeps them.

/// Whether an id is of Anthropic's Files API (`file_01…`) or names a place of Google's, as the URI of
/// an upload, its name and the address of a bucket do. OpenAI's own begin with `file-`, and imitators
/// have others.
pub(super) fn is_foreign(id: &str) -> bool {
    id.contains('/') || id.starts_with("file_01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_known_by_their_ids() {
        let uri = "https://generativelanguage.googleapis.com/v1beta/files/abc";
        for foreign in [uri, "files/abc", "gs://bucket/a.pdf", "file_011CNha8iCJcU1wXNR6q4V8w"] {
            assert!(is_foreign(foreign), "{foreign}");
        }
        for own in ["file-abc", "assistant-abc", "0191c5a4-6a1c-7d1e-9d55-3f3b5d8c2f11"] {
            assert!(!is_foreign(own), "{own}");
        }
    }
}
