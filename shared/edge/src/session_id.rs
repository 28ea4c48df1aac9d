//! The session that a request belongs to, by what its body says.

use formats::RawObject;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::text::shorten;

/// What clients put into `metadata`.
#[derive(Deserialize)]
struct Metadata {
    session_id: Option<String>,
}

/// `metadata.session_id` of a body, else its `user`; none where neither is a text.
pub(crate) fn named_in(body: &RawObject) -> Option<String> {
    // Claude Code and others send objects here whose other members may have any type.
    let metadata = member(body, "metadata")
        .and_then(|it| serde_json::from_str::<Metadata>(it.get()).ok()?.session_id);
    let user = || serde_json::from_str::<String>(member(body, "user")?.get()).ok();
    let named = metadata.or_else(user).filter(|name| !name.trim().is_empty())?;
    Some(shorten(&named).into_owned())
}

/// The value of one member of a body.
fn member<'a>(body: &'a RawObject, name: &str) -> Option<&'a RawValue> {
    let text =
        |range: &std::ops::Range<usize>| std::str::from_utf8(body.body.get(range.clone())?).ok();
    let is_named = |key: &str| key.trim_matches('"') == name;
    // Of a member that stands twice the last one counts, as in most JSON parsers.
    let member = body.members.iter().rev().find(|it| text(&it.key).is_some_and(is_named))?;
    serde_json::from_str(text(&member.value)?).ok()
}

#[cfg(test)]
mod tests {
    use formats::{Inbound, openai::chat::OpenAiChat};

    use super::*;

    fn session(fields: &str) -> Option<String> {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}]{fields}}}"#);
        named_in(&OpenAiChat.decode(body.into()).unwrap().raw)
    }

    #[test]
    fn a_session_is_named_by_metadata_or_else_by_the_user() {
        assert_eq!(session(r#","user":"u1""#).as_deref(), Some("u1"));
        let both = r#","user":"u1","metadata":{"session_id":"s1","x":"y"}"#;
        assert_eq!(session(both).as_deref(), Some("s1"));
        assert_eq!(session(r#","metadata":{"session_id":" "},"user":"u""#), None);
        assert_eq!(session(r#","metadata":{"other":"s1"}"#), None);
        assert_eq!(session(""), None);
    }
}
