//! Signatures of reasoning, and the ids of tool calls that carry signatures of other makers.

use canonical::Signature;

use super::MAKER;

/// How the data of a signature begins that stands for a whole reasoning unsigned may read.
const REDACTED: &str = "redacted:";
/// The maker of marks that only keep a provider from what it did not write.
const NOBODY: &str = "nobody";

/// The id of a tool call, with the signature that it carries for its maker.
pub(super) fn tool_id(id: &str, signature: Option<&Signature>) -> String {
    let id = sanitize_id(id);
    // Behind the sanitized id: a tag has only letters that are allowed, and must not be rewritten.
    signature.map_or_else(|| id.clone(), |it| it.attach_to_id(&id))
}

/// An id of letters, digits, `_` and `-`, as Anthropic demands.
pub(super) fn sanitize_id(id: &str) -> String {
    let allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    if id.is_empty() {
        return "toolu_0".to_owned();
    }
    id.chars().map(|it| if allowed(it) { it } else { '_' }).collect()
}

/// A signature as the client keeps it: Anthropic's own as it is, another's tagged.
pub(super) fn signature(signature: &Signature) -> String {
    if signature.maker == MAKER { signature.data.clone() } else { signature.tagged() }
}

/// The value in place of the signature of reasoning that no provider signed.
pub(super) fn unsigned() -> String {
    Signature::new(NOBODY, "").tagged()
}

/// Reads a signature as a client sends it back. An untagged one is Anthropic's.
pub(super) fn read_signature(text: &str) -> Option<Signature> {
    if text.starts_with(canonical::TAG_PREFIX) {
        return Signature::from_tag(text).filter(|it| it.maker != NOBODY);
    }
    // Clients of this format keep Anthropic's signatures as they are, whichever account made them
    // (decision 0022).
    (!text.is_empty()).then(|| Signature::new(MAKER, text))
}

/// A signature that stands for a whole reasoning unsigned may read.
pub(super) fn redact(data: &str) -> Signature {
    Signature::new(MAKER, format!("{REDACTED}{data}"))
}

/// The data of reasoning that unsigned may read, where a signature stands for one.
pub(super) fn redacted(signature: &Signature) -> Option<&str> {
    signature.data.strip_prefix(REDACTED).filter(|_| signature.maker == MAKER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_come_back_as_they_went() {
        for it in [Signature::new(MAKER, "Eq=="), Signature::new("gemini", "a+b/")] {
            assert_eq!(read_signature(&signature(&it)), Some(it));
        }
        assert_eq!(read_signature(&unsigned()), None);
        assert_eq!(read_signature(""), None);
        assert_eq!(redacted(&redact("x")), Some("x"));
    }
}
