//! A client's request: its prompt checked, and the whole of it decoded for targets that only chat.

use std::borrow::Cow;

use canonical::{
    CanonicalRequest, Conversation, Error, ErrorKind, Message, Part, Result, Role, Sampling,
};
use serde_json::value::RawValue;

use crate::{RawObject, json, size_limits};

/// The forms of `prompt`.
const WANTED: &str = "a text, a list of texts, a list of tokens or a list of token lists";

/// Members that are decoded here, or that the gateway itself answers to.
const KNOWN: &[&str] = &[
    "best_of",
    "echo",
    "frequency_penalty",
    "max_tokens",
    "model",
    "n",
    "presence_penalty",
    "prompt",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "top_p",
    "user",
];

/// How a chat model is asked to go on with a text.
const CONTINUE: &str = "Continue the text of the user exactly where it ends. Answer with the \
    continuation alone: do not repeat the text, do not comment on it, and do not put it into a \
    Markdown code block. Where the text asks for something, the continuation is the answer.";

/// How a chat model is asked to fill a gap.
const FILL: &str = "The user gives a text with a gap: what stands before the gap in <prefix>, and \
    what stands behind it in <suffix>. Answer with the text that belongs into the gap and with \
    nothing else: repeat neither side, do not comment, and do not put it into a Markdown code \
    block. Begin and end with the white space that joins both sides.";

/// Checks that there is a prompt of a form that the endpoint takes. Its text is not read.
pub(super) fn check_prompt(raw: &RawObject) -> Result<()> {
    let Some(prompt) = member(raw, "prompt")? else {
        let message = format!("`prompt` is missing; it must be {WANTED}.");
        return Err(Error::invalid("prompt", message));
    };
    let first = prompt.trim_start_matches(['[', ' ', '\t', '\r', '\n']).as_bytes().first();
    match first {
        Some(b'"') => Ok(()),
        // Tokens are numbers within a list; a number alone is no prompt.
        Some(b'0'..=b'9') if prompt.starts_with('[') => Ok(()),
        Some(b']') => {
            Err(Error::invalid("prompt", "`prompt` is empty; at least one text is needed."))
        }
        _ => Err(Error::invalid("prompt", format!("`prompt` must be {WANTED}."))),
    }
}

/// The text behind the gap; none where the prompt is only continued.
pub(super) fn suffix(raw: &RawObject) -> Result<Option<String>> {
    let suffix: Option<String> = json::read(raw, "suffix", "a text")?;
    Ok(suffix.filter(|it| !it.is_empty()))
}

/// The one text of the prompt; an error where there are several, or only tokens.
pub(super) fn prompt(raw: &RawObject) -> Result<String> {
    let prompt = member(raw, "prompt")?.unwrap_or("\"\"");
    if prompt.starts_with('"') {
        return json::parsed_text(prompt, "prompt", WANTED);
    }
    let list: Vec<&RawValue> = json::parsed_text(prompt, "prompt", WANTED)?;
    match list.as_slice() {
        [text] if text.get().starts_with('"') => json::parsed(text, "prompt", WANTED),
        [first, _, ..] if first.get().starts_with('"') => {
            Err(unsupported("takes one prompt at a time"))
        }
        _ => Err(unsupported("takes no prompts made of tokens")),
    }
}

/// The text that a client wants repeated before each completion; empty where it does not.
pub(super) fn echo(raw: &RawObject) -> String {
    let wants = json::read::<bool>(raw, "echo", "true or false");
    if matches!(wants, Ok(Some(true))) { prompt(raw).unwrap_or_default() } else { String::new() }
}

/// Decodes a request for a target that only has conversations.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let prompt = prompt(raw)?;
    let (instruction, text) = match suffix(raw)? {
        Some(suffix) => (FILL, format!("<prefix>{prompt}</prefix>\n<suffix>{suffix}</suffix>")),
        None => (CONTINUE, prompt),
    };
    let messages = vec![
        Message::new(Role::System, vec![Part::text(instruction)]),
        Message::new(Role::User, vec![Part::text(text)]),
    ];
    let mut conversation = Conversation {
        messages,
        sampling: sampling(raw)?,
        max_tokens: json::read(raw, "max_tokens", "a whole number")?,
        user: json::read(raw, "user", "a text")?,
        ..Conversation::default()
    };
    note_unmapped(raw, &mut conversation)?;
    Ok(CanonicalRequest::Conversation(Box::new(conversation)))
}

fn sampling(raw: &RawObject) -> Result<Sampling> {
    Ok(Sampling {
        temperature: json::read(raw, "temperature", "a number")?,
        top_p: json::read(raw, "top_p", "a number")?,
        top_k: None,
        frequency_penalty: json::read(raw, "frequency_penalty", "a number")?,
        presence_penalty: json::read(raw, "presence_penalty", "a number")?,
        seed: json::read(raw, "seed", "a whole number")?,
        stop: stop(raw)?,
        n: json::read(raw, "n", "a whole number")?,
    })
}

fn stop(raw: &RawObject) -> Result<Vec<String>> {
    let wanted = "a text or a list of texts";
    let Some(stop) = member(raw, "stop")? else { return Ok(vec![]) };
    if stop.starts_with('"') {
        return Ok(vec![json::parsed_text(stop, "stop", wanted)?]);
    }
    json::parsed_text(stop, "stop", wanted)
}

/// Notes the members that no conversation has.
fn note_unmapped(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let unmapped = &mut conversation.unmapped_fields;
    for (name, _) in json::object(raw)?.present().filter(|it| !KNOWN.contains(&it.0)) {
        size_limits::note(unmapped, name.to_owned());
    }
    // To choose the best of as many as are returned is no choice. Both numbers are 1 by default.
    let best_of: Option<u64> = json::read(raw, "best_of", "a whole number")?;
    if conversation.sampling.n.unwrap_or(1) < best_of.unwrap_or(1) {
        size_limits::note(unmapped, "best_of".to_owned());
    }
    Ok(())
}

/// The text of a member that says something.
fn member<'a>(raw: &'a RawObject, name: &str) -> Result<Option<&'a str>> {
    let member = json::find(raw, name)?.map(|it| json::text(&raw.body, &it.value));
    Ok(member.filter(|it| *it != "null"))
}

fn unsupported(message: &str) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some("prompt".to_owned());
    error
}

/// The names of the members that say something and are not among these.
pub(super) fn others<'a>(raw: &'a RawObject, known: &[&str]) -> Result<Vec<Cow<'a, str>>> {
    let object = json::object(raw)?;
    let members = object.0.into_iter().filter(|(_, value)| value.get() != "null");
    Ok(members.map(|it| it.0).filter(|name| !known.contains(&name.as_ref())).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn raw(json: &str) -> RawObject {
        json::members(Bytes::copy_from_slice(json.as_bytes())).unwrap()
    }

    fn conversation(json: &str) -> Conversation {
        decode(&raw(json)).unwrap().conversation().unwrap().clone()
    }

    #[test]
    fn a_prompt_has_four_forms() {
        for prompt in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1],[2]]", r#" [ "a" ]"#] {
            check_prompt(&raw(&format!("{{\"prompt\":{prompt}}}"))).unwrap();
        }
        for (body, message) in [
            ("{}", "missing"),
            (r#"{"prompt":null}"#, "missing"),
            (r#"{"prompt":5}"#, "must be"),
            (r#"{"prompt":[]}"#, "empty"),
            (r#"{"prompt":{}}"#, "must be"),
        ] {
            let error = check_prompt(&raw(body)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("prompt"), "{body}");
            assert!(error.message().contains(message), "{body}");
        }
    }

    #[test]
    fn a_chat_takes_one_text() {
        assert_eq!(prompt(&raw(r#"{"prompt":["a\n"]}"#)).unwrap(), "a\n");
        for prompt_json in [r#"["a","b"]"#, "[1,2]", "[[1]]"] {
            let error = prompt(&raw(&format!("{{\"prompt\":{prompt_json}}}"))).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported, "{prompt_json}");
        }
    }

    #[test]
    fn both_sides_of_a_gap_are_distinct() {
        let conversation = conversation(r#"{"prompt":"def f(","suffix":"return 1"}"#);
        let text = "<prefix>def f(</prefix>\n<suffix>return 1</suffix>";
        assert_eq!(conversation.messages[1], Message::new(Role::User, vec![Part::text(text)]));
    }

    #[test]
    fn every_member_is_decoded_or_named() {
        let decoded = conversation(
            r#"{"model":"m","prompt":"a","max_tokens":5,"temperature":0.5,"stop":"x","n":2,
            "best_of":2,"echo":true,"logprobs":3,"logit_bias":{},"seed":null,"user":"u"}"#,
        );
        assert_eq!((decoded.max_tokens, decoded.sampling.n), (Some(5), Some(2)));
        assert_eq!(
            (decoded.sampling.stop, decoded.user.as_deref()),
            (vec!["x".to_owned()], Some("u"))
        );
        assert_eq!(decoded.unmapped_fields, ["logprobs", "logit_bias"]);
        let best = conversation(r#"{"prompt":"a","best_of":3}"#);
        assert_eq!(best.unmapped_fields, ["best_of"]);
    }
}
