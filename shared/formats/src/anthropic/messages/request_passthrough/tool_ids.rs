//! Ids of tool calls that Anthropic refuses, in a conversation that another server of this format began:
//! Kimi's `functions.Bash:0`, for instance.
//!
//! Source: the pattern `^[a-zA-Z0-9_-]+$` of Anthropic's refusals (seen 2026-11).

use std::borrow::Cow;

use canonical::Result;

use super::parsed;
use crate::{anthropic::messages::signature::sanitize_id, json};

/// The keys that hold such an id, as they end.
const KEY_END: &[u8] = b"id\"";

/// Whether a body may hold an id that is refused, without parsing it.
pub(super) fn may_be(body: &[u8]) -> bool {
    // `"id"` and `"tool_use_id"` end alike. A hit elsewhere, such as `"file_id"`, only costs a
    // look.
    memchr::memmem::find_iter(body, KEY_END).any(|at| {
        let rest = body.get(at + KEY_END.len()..).unwrap_or_default().trim_ascii_start();
        let Some(value) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
            return false;
        };
        let Some(text) = value.strip_prefix(b"\"") else { return false };
        let end = memchr::memchr(b'"', text).unwrap_or(0);
        text.get(..end).unwrap_or_default().iter().any(|it| !is_accepted(*it))
    })
}

fn is_accepted(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A block with an id that is accepted.
pub(super) fn sanitized(block: &str) -> Result<Option<Cow<'_, str>>> {
    let parsed: super::Block<'_> = parsed(block)?;
    let (name, id) = match &*parsed.kind {
        "tool_use" => ("id", parsed.id),
        "tool_result" => ("tool_use_id", parsed.tool_use_id),
        _ => return Ok(Some(Cow::Borrowed(block))),
    };
    let Some(id) = id.filter(|it| !it.bytes().all(is_accepted)) else {
        return Ok(Some(Cow::Borrowed(block)));
    };
    let edited = json::edited(block, |it| it.set(name, json::quoted(&sanitize_id(&id))))?;
    Ok(Some(Cow::Owned(edited)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_id_fits_in_call_and_result_alike() {
        let call = r#"{"type":"tool_use","id":"functions.Bash:0","name":"Bash","input":{}}"#;
        let result = r#"{"type":"tool_result","tool_use_id":"functions.Bash:0","content":"ok"}"#;
        assert!(may_be(call.as_bytes()) && may_be(result.as_bytes()));
        let id = r#""functions_Bash_0""#;
        assert!(sanitized(call).unwrap().unwrap().contains(id));
        assert!(sanitized(result).unwrap().unwrap().contains(id));
    }

    #[test]
    fn an_id_of_anthropics_own_stays() {
        let call = r#"{"type":"tool_use","id" : "toolu_01A-b","name":"Bash","input":{"id":1}}"#;
        assert!(!may_be(call.as_bytes()));
        assert_eq!(sanitized(call).unwrap().unwrap(), call);
    }
}
