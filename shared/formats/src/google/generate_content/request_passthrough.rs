//! A client's own request, on its way to a provider of the same format.

use bytes::Bytes;
use canonical::{Field, Result, TAG_PREFIX};
use serde_json::value::RawValue;

use super::{quirks::models, signature, wire::members};
use crate::{EncodeOptions, EncodedRequest, GatewayRequest, RawObject, json};

/// The client's bytes, with only what must change changed.
pub(super) fn passthrough(
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    passthrough_object(&request.raw, target)
}

/// The bytes of a request, which may be a member of another, with only what must change changed.
pub(super) fn passthrough_object(
    raw: &RawObject,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let mut edits = json::Edits::new(raw);
    let mut dropped = vec![];
    let named = members::spelled(raw, "model");
    // Only where the body names it: the path is what counts.
    if json::find(raw, &named)?.is_some() {
        edits.set(&named, json::quoted(&format!("models/{}", models::bare(target.model))));
    }

    for field in target.drop_fields {
        if drop_field(field, raw, &mut edits)? {
            dropped.push(field.clone());
        }
    }

    if let Some(contents) = json::find(raw, "contents")?
        && (target.drop_signatures || is_marked(&raw.body))
    {
        let contents = json::text(&raw.body, &contents.value);
        let is_signed = ["thoughtSignature", "thought_signature"].map(|it| contents.contains(it));
        if target.drop_signatures && is_signed.contains(&true) {
            dropped.push(Field::ReasoningText);
        }
        edits.set("contents", without_foreign_signatures(contents, target.drop_signatures)?);
    }
    Ok(EncodedRequest { body: edits.apply(), headers: vec![], dropped })
}

/// Takes out what a policy leaves out. False where there is nothing of it.
fn drop_field(field: &Field, raw: &RawObject, edits: &mut json::Edits<'_>) -> Result<bool> {
    let (name, members): (_, &[&str]) = match field {
        Field::Tools => ("tools", &["functionDeclarations"]),
        Field::ToolChoice => ("toolConfig", &["functionCallingConfig"]),
        Field::MaxTokens => ("generationConfig", &["maxOutputTokens"]),
        Field::Temperature => ("generationConfig", &["temperature"]),
        Field::TopP => ("generationConfig", &["topP"]),
        Field::TopK => ("generationConfig", &["topK"]),
        Field::FrequencyPenalty => ("generationConfig", &["frequencyPenalty"]),
        Field::PresencePenalty => ("generationConfig", &["presencePenalty"]),
        Field::Seed => ("generationConfig", &["seed"]),
        Field::Stop => ("generationConfig", &["stopSequences"]),
        Field::N => ("generationConfig", &["candidateCount"]),
        Field::Reasoning => ("generationConfig", &["thinkingConfig"]),
        Field::ResponseFormat => {
            ("generationConfig", &["responseMimeType", "responseSchema", "responseJsonSchema"])
        }
        _ => return Ok(false),
    };

    let name = members::spelled(raw, name);
    let Some(value) = edits.value(&name) else { return Ok(false) };

    if field == &Field::Tools {
        // Google's own tools of the list stay: the policy is about those of the client.
        let Some(left) = without_functions(value) else { return Ok(false) };
        if left == "[]" {
            edits.remove(&name);
        } else {
            edits.set(&name, left);
        }
        return Ok(true);
    }

    let Ok(inner) = json::members(Bytes::copy_from_slice(value.as_bytes())) else {
        return Ok(false);
    };
    let mut less = json::Edits::new(&inner);
    let spelled = members.iter().map(|it| members::spelled(&inner, it));
    let removed = spelled.filter(|it| less.remove(it)).count();
    edits.set(&name, String::from_utf8_lossy(&less.apply()).into_owned());
    Ok(removed != 0)
}

/// Google's own tools of a list; none where there are no others.
fn without_functions(tools: &str) -> Option<String> {
    let members::Many(objects) = serde_json::from_str(tools).ok()?;
    let objects: Vec<json::Object<'_>> = objects;
    let has = objects.iter().any(|it| members::either(it, "functionDeclarations").is_some());
    let kept = objects.iter().filter_map(|tool| {
        let members = tool.present().filter(|it| members::camel(it.0) != "functionDeclarations");
        let members: Vec<_> =
            members.map(|(name, value)| format!("{}:{value}", json::quoted(name))).collect();
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
    });
    has.then(|| format!("[{}]", kept.collect::<Vec<_>>().join(",")))
}

/// Whether a signature of another maker may ride in a body.
pub(super) fn is_marked(body: &[u8]) -> bool {
    let has = |mark: &str| memchr::memmem::find(body, mark.as_bytes()).is_some();
    // As base64 in `thoughtSignature`, or as it stands on the ids of calls in other formats.
    has(signature::MARK_64) || has(TAG_PREFIX)
}

/// Contents without the signatures of other makers, or of anyone: reasoning goes with its own.
pub(super) fn without_foreign_signatures(contents: &str, of_anyone: bool) -> Result<String> {
    let Ok(members::Many(contents)) =
        serde_json::from_str::<members::Many<json::Object<'_>>>(contents)
    else {
        return Ok(contents.to_owned());
    };
    let mut kept: Vec<Kept> = vec![];
    for (at, content) in contents.iter().enumerate() {
        let parts = members::either(content, "parts").map_or("[]", RawValue::get);
        let members::Many(parts) = serde_json::from_str(parts).unwrap_or_default();
        for part in &parts {
            redact(part, at, of_anyone, &mut kept);
        }
    }
    let written = kept.chunk_by(|one, next| one.content == next.content).filter_map(|parts| {
        let content = contents.get(parts.first()?.content)?;
        let parts: Vec<&str> = parts.iter().map(|it| it.text.as_str()).collect();
        let others = content.present().filter(|it| it.0 != "parts");
        let others = others.map(|(name, value)| format!("{}:{value},", json::quoted(name)));
        Some(format!("{{{}\"parts\":[{}]}}", others.collect::<String>(), parts.join(",")))
    });
    Ok(format!("[{}]", written.collect::<Vec<_>>().join(",")))
}

/// A part that is sent.
struct Kept {
    /// Which content it is a part of.
    content: usize,
    text: String,
    /// Whether the part is reasoning without a signature so far.
    is_open: bool,
}

/// Adds a part of a content, or takes reasoning away that another maker signs here. Clients
/// keep a streamed reasoning chunk by chunk, each a content of its own, and only the last is signed.
fn redact(part: &json::Object<'_>, content: usize, of_anyone: bool, kept: &mut Vec<Kept>) {
    let is_reasoning = members::either(part, "thought").is_some_and(|it| it.get() == "true");
    let signature = members::either(part, "thoughtSignature");
    let is_foreign = signature.is_some_and(|it| of_anyone || foreign(it).is_some());
    // The call whose signature is lost.
    // Without any signature Gemini 3 refuses the call; it must say that it has none.
    let is_bare = of_anyone && members::either(part, "functionCall").is_some();
    if is_reasoning && is_foreign {
        // Chunks of the same reasoning that came before its signature.
        while kept.pop_if(|it| it.is_open).is_some() {}
        return;
    }
    let text = if is_foreign || is_bare { unsigned(part) } else { written(part.present()) };
    let is_open = is_reasoning && signature.is_none();
    kept.push(Kept { content, text, is_open });
}

/// A signature of another maker; one of Google's own comes as it is.
fn foreign(value: &RawValue) -> Option<canonical::Signature> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    signature::foreign(&text)
}

/// A part without its signature. A call says that it has none.
fn unsigned(part: &json::Object<'_>) -> String {
    let rest = part.present().filter(|it| members::camel(it.0) != "thoughtSignature");
    let mut text = written(rest);
    if members::either(part, "functionCall").is_some() && text.pop().is_some() {
        text.push_str(&format!(",\"thoughtSignature\":\"{}\"}}", signature::SKIP));
    }
    text
}

fn written<'a>(members: impl Iterator<Item = (&'a str, &'a RawValue)>) -> String {
    let members: Vec<_> =
        members.map(|(name, value)| format!("{}:{value}", json::quoted(name))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use canonical::Signature;

    use super::*;

    #[test]
    fn reasoning_of_another_maker_goes_with_all_its_chunks() {
        let foreign = Signature::new("anthropic", "c2ln");
        let sign = signature::written(&foreign);
        let contents = format!(
            r#"[{{"role":"user","parts":[{{"text":"q"}}]}},
            {{"role":"model","parts":[{{"text":"own","thought":true,"thoughtSignature":"YWI="}}]}},
            {{"role":"model","parts":[{{"text":"a","thought":true}}]}},
            {{"role":"model","parts":[{{"text":"","thought":true,"thoughtSignature":"{sign}"}}]}},
            {{"role":"model","parts":[{{"functionCall":{{"name":"f"}},"thought_signature":"{sign}"}}]}}]"#
        );
        assert!(is_marked(contents.as_bytes()));
        let skip = signature::SKIP;
        let wanted = format!(
            r#"[{{"role":"user","parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{{"text":"own","thought":true,"thoughtSignature":"YWI="}}]}},{{"role":"model","parts":[{{"functionCall":{{"name":"f"}},"thoughtSignature":"{skip}"}}]}}]"#
        );
        assert_eq!(without_foreign_signatures(&contents, false).unwrap(), wanted);
    }
}
