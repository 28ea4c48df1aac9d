//! A client's own request for a provider of the same format, with only what must change changed.
//!
//! Nothing is stored, so that reasoning has to travel: it is requested in encrypted form, and what
//! only a store could find is left out.

use canonical::{Error, Field, ModelFacts, Result, Signature, TAG_PREFIX};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{compaction, content, request_encode, wire};
use crate::{
    EncodeOptions, EncodedRequest, GatewayRequest, RawObject, json, object_schema, size_limits,
};

#[derive(Serialize)]
struct ReasoningJson<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    summary: Vec<Summary<'a>>,
    encrypted_content: &'a str,
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

/// Forwards a request.
pub(super) fn passthrough(
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let raw = &request.raw;
    let mut edits = json::Edits::new(raw);
    edits.set("model", json::quoted(target.model));
    // OpenAI stores by default; here nothing is stored, under whichever account.
    let stores = json::read::<bool>(raw, "store", "true or false")? != Some(false);
    if stores {
        edits.set("store", "false");
        if let Some(include) = included(raw, target.facts)? {
            edits.set("include", include);
        }
    }

    let mut dropped = vec![];
    if let Some(input) = cleaned(raw, target.drop_signatures, &mut dropped)? {
        edits.set("input", input);
    }
    if let Some(tools) = edits.present("tools")
        && let Some(tools) = object_schema::tools_with_properties(tools, None)?
    {
        edits.set("tools", tools);
    }

    for field in target.drop_fields {
        let is_gone = match field {
            Field::ResponseFormat => without_text_option("format", &mut edits)?,
            Field::Verbosity => without_text_option("verbosity", &mut edits)?,
            Field::MaxTokens => edits.remove("max_output_tokens"),
            Field::Reasoning => edits.remove("reasoning"),
            field => edits.remove(&super::word(field)),
        };
        if is_gone {
            dropped.push(field.clone());
        }
    }
    Ok(EncodedRequest { body: edits.apply(), headers: vec![], dropped })
}

/// The value of `include` with which reasoning travels; none where the client has it already, or the
/// model does not reason.
fn included(raw: &RawObject, facts: &ModelFacts) -> Result<Option<String>> {
    let requested = json::read::<&RawValue>(raw, "reasoning", "an object")?.is_some();
    if !requested && !facts.reasoning.unrequested {
        return Ok(None);
    }
    let given: Option<Vec<String>> = json::read(raw, "include", "a list of texts")?;
    let mut given = given.unwrap_or_default();
    if given.iter().any(|it| it == request_encode::SEALED) {
        return Ok(None);
    }
    given.push(request_encode::SEALED.to_owned());
    Ok(Some(json::quoted(&given)))
}

/// Removes one of the text options. False where there is none of this name.
fn without_text_option(name: &str, edits: &mut json::Edits<'_>) -> Result<bool> {
    let Some(text) = edits.present("text") else { return Ok(false) };
    let mut is_gone = false;
    let text = json::edited(text, |it| is_gone = it.remove(name))?;
    if is_gone {
        edits.set("text", text);
    }
    Ok(is_gone)
}

/// The input without what this provider cannot use; none where it can use everything.
pub(super) fn cleaned(
    raw: &RawObject,
    unsigned: bool,
    dropped: &mut Vec<Field>,
) -> Result<Option<String>> {
    let Some(member) = json::find(raw, "input")? else { return Ok(None) };
    let input = json::text(&raw.body, &member.value);
    let holds = |word: &str| memchr::memmem::find(input.as_bytes(), word.as_bytes()).is_some();
    let suspicious =
        [TAG_PREFIX, "item_reference", "\"reasoning\"", "\"compaction"].into_iter().any(holds);
    // A search of the bytes instead of parsing every item of every request.
    if !suspicious || !input.starts_with('[') {
        return Ok(None);
    }

    let items: Vec<&RawValue> = json::read(raw, "input", "a list of items")?.unwrap_or_default();
    let mut kept = Vec::with_capacity(items.len());
    let mut changed = false;
    for (at, json) in items.into_iter().enumerate() {
        // An item that cannot be read has nothing to clean, and is for the provider to judge.
        let item: wire::Item<'_> = serde_json::from_str(json.get()).unwrap_or_default();
        match fate(&item, json, unsigned)? {
            Fate::Keep => kept.push(json.get().to_owned()),
            Fate::Change(text) => {
                changed = true;
                kept.push(text);
            }
            Fate::Leave => {
                changed = true;
                if item.kind.as_deref().is_some_and(compaction::is_compaction) {
                    size_limits::note(dropped, Field::Named("input[].type=compaction".to_owned()));
                    continue;
                }
                let lost = match &item.encrypted_content {
                    // Another maker's reasoning goes in silence; OpenAI's own is lost where its
                    // signature was refused.
                    Some(_) => unsigned,
                    None => !content::reasoning_text(&item).is_empty(),
                };
                if lost && !dropped.contains(&Field::ReasoningText) {
                    dropped.push(Field::ReasoningText);
                }
            }
            Fate::Refuse => return Err(reference(&format!("input[{at}]"))),
        }
    }
    Ok(changed.then(|| format!("[{}]", kept.join(","))))
}

/// An item that only a memory could find.
pub(super) fn reference(path: &str) -> Error {
    let message = format!(
        "`{path}` refers to an item that is not here: nothing is stored; send the item itself, as SDKs \
         do with `store: false`."
    );
    Error::invalid(path, message)
}

/// The fate of an item.
enum Fate {
    Keep,
    Change(String),
    Leave,
    Refuse,
}

fn fate(item: &wire::Item<'_>, json: &RawValue, unsigned: bool) -> Result<Fate> {
    match item.kind.as_deref() {
        // OpenAI itself could not find it either: nothing of this gateway's is stored there.
        Some("item_reference") => Ok(Fate::Refuse),
        Some(kind) if compaction::is_compaction(kind) => Ok(match compaction::summary(item) {
            Some(summary) => Fate::Change(compaction::message_json(&summary)),
            None if unsigned => Fate::Leave,
            None => Fate::Keep,
        }),
        Some("reasoning") if unsigned && item.encrypted_content.is_some() => Ok(Fate::Leave),
        Some("reasoning") => reasoning_fate(item),
        _ => {
            let tagged = item.call_id.as_deref().filter(|it| it.contains(TAG_PREFIX));
            let named = unsigned && item.id.is_some();
            if tagged.is_none() && !named {
                return Ok(Fate::Keep);
            }
            let changed = json::edited(json.get(), |edits| {
                if let Some(id) = tagged {
                    edits.set("call_id", json::quoted(Signature::split_id(id).0));
                }
                if named {
                    // The provider would look for the reasoning that the item came with.
                    edits.remove("id");
                }
            });
            changed.map(Fate::Change)
        }
    }
}

/// Reasoning stays if its maker is this format's own and its signature travels with it, or if its
/// text is given in full, as open models do.
fn reasoning_fate(item: &wire::Item<'_>) -> Result<Fate> {
    let Some(encrypted) = item.encrypted_content.as_deref().filter(|it| !it.is_empty()) else {
        return Ok(if item.content.is_some() { Fate::Keep } else { Fate::Leave });
    };
    let Some(signature) = Signature::from_tag(encrypted) else { return Ok(Fate::Keep) };
    let Some((id, encrypted_content)) = content::unsealed(&signature) else {
        return Ok(Fate::Leave);
    };
    let text = content::reasoning_text(item);
    let summary = Some(Summary { kind: "summary_text", text: &text }).filter(|_| !text.is_empty());
    let summary = summary.into_iter().collect();
    let reasoning = ReasoningJson { kind: "reasoning", id, summary, encrypted_content };
    Ok(Fate::Change(json::quoted(&reasoning)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inbound, openai::responses::OpenAiResponses};

    fn forwarded(model: &str, body: &'static str) -> String {
        let request = OpenAiResponses.decode(bytes::Bytes::from_static(body.as_bytes())).unwrap();
        let facts = crate::options::facts("openai", model);
        let target = EncodeOptions { model, facts, ..EncodeOptions::default() };
        let encoded = request.passthrough(&target).unwrap();
        String::from_utf8(encoded.body.to_vec()).unwrap()
    }

    #[test]
    fn nothing_is_ever_stored() {
        for body in [r#"{"input":"x","store":true}"#, r#"{"input":"x","store":null}"#] {
            assert_eq!(
                forwarded("gpt-4o", body),
                r#"{"input":"x","store":false,"model":"gpt-4o"}"#
            );
        }
        let untouched = r#"{"model":"gpt-5","input":"x","store":false}"#;
        assert_eq!(forwarded("gpt-5", untouched), untouched);
    }

    #[test]
    fn a_field_is_dropped_under_its_name_in_this_format() {
        let body =
            br#"{"model":"m","store":false,"user":"u","text":{"format":{},"verbosity":"low"},
            "max_output_tokens":5,"input":"x"}"#;
        let request = OpenAiResponses.decode(bytes::Bytes::from_static(body)).unwrap();
        let drop_fields =
            &[Field::Verbosity, Field::ResponseFormat, Field::User, Field::MaxTokens, Field::N];
        let target = EncodeOptions { model: "m", drop_fields, ..EncodeOptions::default() };
        let encoded = request.passthrough(&target).unwrap();
        assert_eq!(encoded.dropped, drop_fields[..4]);
        let json: serde_json::Value = serde_json::from_slice(&encoded.body).unwrap();
        let rest = serde_json::json!({"model": "m", "store": false, "text": {}, "input": "x"});
        assert_eq!(json, rest);
    }

    #[test]
    fn reasoning_travels_where_there_is_any() {
        let sealed = |model, body| forwarded(model, body).contains(request_encode::SEALED);
        assert!(sealed("gpt-5.1", r#"{"input":"x"}"#));
        assert!(sealed("my-deployment", r#"{"input":"x","reasoning":{"effort":"low"}}"#));
        assert!(!sealed("gpt-5-chat-latest", r#"{"input":"x"}"#));
        assert!(!sealed("gpt-4.1", r#"{"input":"x"}"#));
        let kept = r#"{"input":"x","include":["message.output_text.logprobs"]}"#;
        assert!(forwarded("o3", kept).contains(
            r#""include":["message.output_text.logprobs","reasoning.encrypted_content"]"#
        ));
    }

    #[test]
    fn open_reasoning_stays_and_lost_reasoning_goes() {
        let open = r#"{"store":false,"input":[{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"x"}]}]}"#;
        assert!(forwarded("m", open).contains("reasoning_text"));
        let lost = r#"{"store":false,"input":[{"type":"reasoning","id":"rs_1","summary":[]}]}"#;
        assert_eq!(forwarded("m", lost), r#"{"store":false,"input":[],"model":"m"}"#);
    }
}
