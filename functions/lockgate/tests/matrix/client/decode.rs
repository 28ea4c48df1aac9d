//! Strict decoding of JSON and server-sent events.

use serde_json::Value;

use super::DecodeFailure;

/// Rejects members that the format does not have.
pub(crate) fn only(value: &Value, known: &[&str]) -> Result<(), DecodeFailure> {
    let object = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    match object.keys().find(|it| !known.contains(&it.as_str())) {
        Some(name) => Err(format!("there is no member {name:?} in this format")),
        None => Ok(()),
    }
}

pub(crate) fn word<'a>(value: &'a Value, name: &str) -> Result<&'a str, DecodeFailure> {
    value[name].as_str().ok_or_else(|| format!("{name} is {} and no text", value[name]))
}

pub(crate) fn says(value: &Value, name: &str, wanted: &str) -> Result<(), DecodeFailure> {
    let found = word(value, name)?;
    if found == wanted { Ok(()) } else { Err(format!("{name} is {found:?} and not {wanted:?}")) }
}

pub(crate) fn number(value: &Value, name: &str) -> Result<u64, DecodeFailure> {
    value[name].as_u64().ok_or_else(|| format!("{name} is {} and no number", value[name]))
}

/// A number that may be absent, but not something else.
pub(crate) fn count(value: &Value, name: &str) -> Result<u64, DecodeFailure> {
    if value[name].is_null() { Ok(0) } else { number(value, name) }
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], DecodeFailure> {
    let found = value[name].as_array();
    found.map(Vec::as_slice).ok_or_else(|| format!("{name} is {} and no list", value[name]))
}

/// A list that may be absent.
pub(crate) fn each<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], DecodeFailure> {
    if value[name].is_null() { Ok(&[]) } else { list(value, name) }
}

/// The frames of a stream: names and data.
pub(crate) fn frames(text: &str) -> Result<Vec<(Option<&str>, &str)>, DecodeFailure> {
    // Google ends its lines in two characters, the others in one.
    let end = if text.contains("\r\n") { "\r\n\r\n" } else { "\n\n" };
    let Some(text) = text.strip_suffix(end) else {
        return Err(format!("the stream ends inside a frame: {text:?}"));
    };
    let mut frames = vec![];
    for frame in text.split(end) {
        let (mut name, mut data) = (None, None);
        for line in frame.lines() {
            if let Some(found) = line.strip_prefix("event: ") {
                name = Some(found);
            } else if let Some(found) = line.strip_prefix("data: ") {
                if data.replace(found).is_some() {
                    return Err(format!("two lines of data in {frame:?}"));
                }
            } else if !line.starts_with(':') {
                return Err(format!("{line:?} is no line of an event"));
            }
        }
        if let Some(data) = data {
            frames.push((name, data));
        }
    }
    Ok(frames)
}

pub(crate) fn json(text: &str) -> Result<Value, DecodeFailure> {
    serde_json::from_str(text).map_err(|error| format!("{error} in {text:?}"))
}

/// Arguments of a call: JSON text of an object.
pub(crate) fn arguments(text: &str) -> Result<Value, DecodeFailure> {
    let value = json(text)?;
    if value.is_object() { Ok(value) } else { Err(format!("arguments {text:?} are no object")) }
}

/// Merges a delta into the message so far, as OpenAI's SDK does: texts are joined, lists are
/// merged by `index`, anything else is replaced. As there, a list item without an index is an error.
pub(crate) fn add(whole: &mut Value, delta: &Value) -> Result<(), DecodeFailure> {
    match (whole, delta) {
        (Value::Object(whole), Value::Object(delta)) => {
            for (name, value) in delta {
                match whole.get_mut(name) {
                    Some(_) if matches!(name.as_str(), "index" | "type" | "id" | "role") => {}
                    Some(old) if !old.is_null() => add(old, value)?,
                    _ => drop(whole.insert(name.clone(), value.clone())),
                }
            }
        }
        (Value::String(whole), Value::String(delta)) => whole.push_str(delta),
        (Value::Array(whole), Value::Array(delta)) => {
            for item in delta {
                let index = &item["index"];
                if index.is_null() {
                    return Err(format!("{item} goes on with a list and has no index"));
                }
                match whole.iter_mut().find(|it| it["index"] == *index) {
                    Some(old) => add(old, item)?,
                    None => whole.push(item.clone()),
                }
            }
        }
        (whole, delta) if !delta.is_null() => *whole = delta.clone(),
        _ => {}
    }
    Ok(())
}
