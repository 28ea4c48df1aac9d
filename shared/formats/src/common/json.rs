//! JSON that is looked at without being rebuilt: where its members lie, and edits in place.
//!
//! Key order, number text and unknown members survive because nothing is parsed that does not
//! have to be.

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    ops::Range,
};

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{Member, RawObject, surrogates};

/// How deep a body may nest: deeper ones only exhaust a stack. The limit of `serde_json` itself is the
/// same, but does not hold for values that are kept as text.
pub(crate) const MAX_DEPTH: usize = 128;

/// Finds the members of a JSON object.
pub(crate) fn members(body: Bytes) -> Result<RawObject> {
    let text = std::str::from_utf8(&body).map_err(|error| {
        Error::new(
            ErrorKind::InvalidRequest,
            format!("The body is not UTF-8 text (byte {}).", error.valid_up_to()),
        )
    })?;
    // Before the parser: values that are kept as text are skipped without a limit on their depth,
    // and the decoders that look into them later recurse.
    check_depth(text.as_bytes())?;
    // JavaScript cuts texts within a character. Most providers refuse half a character, and once it
    // stands in a conversation, every later request of it.
    let repaired = match surrogates::replace_lone(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(Bytes::from(text)),
    };
    let body = repaired.unwrap_or(body);
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let members = members_of(text).map_err(|error| {
        let why = unquoted(&error);
        Error::new(ErrorKind::InvalidRequest, format!("The body is not a JSON object: {why}."))
    })?;
    Ok(RawObject { body, members })
}

/// Finds the members of an object within `text`; places count from its start.
pub(crate) fn members_of(text: &str) -> serde_json::Result<Vec<Member>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Places { start: text.as_ptr() as usize })?;
    json.end()?;
    Ok(members)
}

/// The members of an object that is decoded rather than passed on, in their order.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed where it holds no escape.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            // A key with escapes is unescaped into a buffer of the parser, and cannot be borrowed.
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = vec![];
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(members)
            }
        }
        json.deserialize_map(Members).map(Self)
    }
}

impl<'a> Object<'a> {
    /// The members that say something: null is as good as absent.
    pub(crate) fn present(&self) -> impl DoubleEndedIterator<Item = (&str, &'a RawValue)> {
        self.0.iter().filter(|it| it.1.get() != "null").map(|(key, value)| (key.as_ref(), *value))
    }

    /// The value of a member that says something.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.present().find(|it| it.0 == name).map(|it| it.1)
    }
}

/// Reads a value of a type, or says which field is wrong.
pub(crate) fn parsed<'a, T: Deserialize<'a>>(
    value: &'a RawValue,
    path: &str,
    wanted: &str,
) -> Result<T> {
    parsed_text(value.get(), path, wanted)
}

/// Parses a text that is known to be JSON as a value of a type, or says which field is wrong.
pub(crate) fn parsed_text<'a, T: Deserialize<'a>>(
    json: &'a str,
    path: &str,
    wanted: &str,
) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        Error::invalid(path, format!("`{path}` must be {wanted}.")).caused_by(unquoted(&error))
    })
}

/// The members of a body that say something, to be decoded one by one.
pub(crate) fn object(raw: &RawObject) -> Result<Object<'_>> {
    serde_json::from_slice(&raw.body).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, "The body is not a JSON object.")
            .caused_by(unquoted(&error))
    })
}

/// Serializes what is made of strings, numbers and lists, which cannot fail.
pub(crate) fn written(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec())
}

/// Serializes what cannot fail to be JSON, as text.
pub(crate) fn quoted(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// JSON text, to be written as it is.
pub(crate) fn verbatim(json: &str) -> Result<&RawValue> {
    serde_json::from_str(json).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, "A part of the request is not JSON.")
            .caused_by(unquoted(&error))
    })
}

/// The fault of a JSON text, without quoting the text: it may be a client's prompt.
pub(crate) fn unquoted(error: &serde_json::Error) -> String {
    if error.is_data() {
        let (line, column) = (error.line(), error.column());
        // serde quotes the value here, such as `invalid type: string "…"`.
        return format!("a value of the wrong type at line {line} column {column}");
    }
    error.to_string()
}

struct Places {
    start: usize,
}

impl Places {
    fn place(&self, value: &RawValue) -> Range<usize> {
        // A `RawValue` borrows from the text that is parsed, so that the difference of addresses is
        // its place. serde_json tells no places by itself.
        let start = value.get().as_ptr() as usize - self.start;
        start..start + value.get().len()
    }
}

impl<'de> Visitor<'de> for Places {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push(Member { key: self.place(key), value: self.place(value) });
        }
        Ok(members)
    }
}

/// The text at a place found by [`members`].
pub(crate) fn text<'a>(body: &'a [u8], place: &Range<usize>) -> &'a str {
    std::str::from_utf8(body.get(place.clone()).unwrap_or_default()).unwrap_or_default()
}

/// The member of this name. Two of them are refused: readers disagree on which one counts.
pub(crate) fn find<'a>(raw: &'a RawObject, name: &str) -> Result<Option<&'a Member>> {
    let mut found = None;
    for member in raw.members.iter().filter(|it| is_named(&raw.body, it, name)) {
        if found.replace(member).is_some() {
            return Err(Error::invalid(name, format!("`{name}` is given twice.")));
        }
    }
    Ok(found)
}

/// Whether a member has this name, escapes undone.
pub(crate) fn is_named(body: &[u8], member: &Member, name: &str) -> bool {
    let key = body.get(member.key.clone()).unwrap_or_default();
    let plain = key.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(key);
    // An escape takes more bytes than what it stands for, so that nearly every name is told by its
    // length. This is asked of every member of every body.
    match plain.len().cmp(&name.len()) {
        Ordering::Less => false,
        Ordering::Equal => plain == name.as_bytes(),
        Ordering::Greater => plain.contains(&b'\\') && name_of(body, member) == name,
    }
}

/// The name of a member, escapes undone.
pub(crate) fn name_of<'a>(body: &'a [u8], member: &Member) -> Cow<'a, str> {
    let key = text(body, &member.key);
    let plain = key.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(key);
    // Nearly no key has escapes, and this is asked for every member of every body.
    if !plain.contains('\\') {
        return Cow::Borrowed(plain);
    }
    serde_json::from_str(key).map_or(Cow::Borrowed(plain), Cow::Owned)
}

/// Reads a value of a type, or says which field is wrong.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    raw: &'a RawObject,
    name: &str,
    wanted: &str,
) -> Result<Option<T>> {
    let Some(member) = find(raw, name)? else {
        return Ok(None);
    };
    serde_json::from_str::<Option<T>>(text(&raw.body, &member.value)).map_err(|error| {
        Error::invalid(name, format!("`{name}` must be {wanted}.")).caused_by(unquoted(&error))
    })
}

/// Whether a list of objects has any, without reading them again: they are known to be JSON.
pub(crate) fn list(raw: &RawObject, name: &str, wanted: &str) -> Result<Option<bool>> {
    let Some(member) = find(raw, name)? else {
        return Ok(None);
    };
    let value = text(&raw.body, &member.value);
    if value == "null" {
        return Ok(None);
    }
    let first = value.strip_prefix('[').map(|it| it.trim_ascii_start().as_bytes().first());
    match first {
        Some(Some(b'{')) => Ok(Some(true)),
        Some(Some(b']')) => Ok(Some(false)),
        _ => Err(Error::invalid(name, format!("`{name}` must be {wanted}."))),
    }
}

/// An object's text with some members changed.
pub(crate) fn edited(json: &str, edit: impl FnOnce(&mut Edits<'_>)) -> Result<String> {
    let raw = members(Bytes::copy_from_slice(json.as_bytes()))?;
    let mut edits = Edits::new(&raw);
    edit(&mut edits);
    Ok(String::from_utf8_lossy(&edits.apply()).into_owned())
}

/// Changes to a body, made in one copy. Of a name that is given twice the last counts, as for most
/// readers of JSON, and a change leaves one.
#[derive(Debug)]
pub(crate) struct Edits<'a> {
    raw: &'a RawObject,
    values: BTreeMap<usize, Cow<'a, str>>,
    removed: BTreeSet<usize>,
    added: String,
}

impl<'a> Edits<'a> {
    pub(crate) fn new(raw: &'a RawObject) -> Self {
        Self { raw, values: BTreeMap::new(), removed: BTreeSet::new(), added: String::new() }
    }

    fn positions(&self, name: &str) -> Vec<usize> {
        let members = self.raw.members.iter().enumerate();
        members.filter(|it| is_named(&self.raw.body, it.1, name)).map(|it| it.0).collect()
    }

    /// Gives a member another value, or adds it behind the last one.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if let [earlier @ .., at] = self.positions(name).as_slice() {
            self.removed.extend(earlier);
            self.removed.remove(at);
            self.values.insert(*at, value);
            return;
        }
        if !self.added.is_empty() {
            self.added.push(',');
        }
        self.added.push_str(&format!("\"{name}\":{value}"));
    }

    /// The value of a member so far; none where there is none of this name, or no more.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let at = self.positions(name).pop().filter(|at| !self.removed.contains(at))?;
        let changed = self.values.get(&at).map(Cow::as_ref);
        changed.or_else(|| Some(text(&self.raw.body, &self.raw.members.get(at)?.value)))
    }

    /// The value of a member so far that says something: null is as good as absent.
    pub(crate) fn present(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|it| *it != "null")
    }

    /// Takes a member out, however often it is given. False when there is none of this name.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let was_there = self.value(name).is_some();
        self.removed.extend(self.positions(name));
        was_there
    }

    /// Takes out every member whose name is one of these, in one pass.
    pub(crate) fn remove_all(&mut self, names: &HashSet<Cow<'_, str>>) {
        let members = self.raw.members.iter().enumerate();
        let unwanted = members.filter(|it| names.contains(&name_of(&self.raw.body, it.1)));
        self.removed.extend(unwanted.map(|it| it.0));
    }

    /// The body with all changes made; the client's own bytes where there are none.
    pub(crate) fn apply(self) -> Bytes {
        if self.values.is_empty() && self.removed.is_empty() && self.added.is_empty() {
            return self.raw.body.clone();
        }

        let (body, members) = (&self.raw.body, &self.raw.members);
        let mut out = Vec::with_capacity(body.len() + self.added.len() + 64);
        let mut done = 0;
        let mut kept = false;
        for (at, member) in members.iter().enumerate() {
            if self.removed.contains(&at) {
                // The comma before it goes too, or the one behind it when nothing stands before.
                let start = if kept { done } else { member.key.start };
                out.extend_from_slice(slice(body, done..start));
                done = match members.get(at + 1) {
                    Some(next) if !kept => next.key.start,
                    _ => member.value.end,
                };
                continue;
            }
            kept = true;
            let value = self.values.get(&at);
            let end = if value.is_some() { member.value.start } else { member.value.end };
            out.extend_from_slice(slice(body, done..end));
            out.extend_from_slice(value.map_or(&[], |it| it.as_bytes()));
            done = member.value.end;
        }

        // An empty object has no member whose end tells where new ones go.
        if members.is_empty() {
            done = memchr::memchr(b'{', body).map_or(0, |it| it + 1);
            out.extend_from_slice(slice(body, 0..done));
        }
        if kept && !self.added.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(self.added.as_bytes());
        out.extend_from_slice(slice(body, done..body.len()));
        out.into()
    }
}

fn slice(body: &[u8], place: Range<usize>) -> &[u8] {
    body.get(place).unwrap_or_default()
}

/// Refuses a body that nests deeper than [`MAX_DEPTH`].
fn check_depth(body: &[u8]) -> Result<()> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            // Braces within strings nest nothing.
            b'"' => at = end_of_string(body, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if MAX_DEPTH < depth {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("The body nests deeper than {MAX_DEPTH} levels."),
            ));
        }
        at += 1;
    }
    Ok(())
}

/// Where the string that starts at `at` has its closing quote.
fn end_of_string(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if body[at + found] == b'"' {
            return at + found;
        }
        // The escaped character may be a quote.
        at += found + 2;
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &'static str) -> RawObject {
        members(Bytes::from_static(text.as_bytes())).unwrap()
    }

    fn edited(text: &str, edit: impl FnOnce(&mut Edits<'_>)) -> String {
        super::edited(text, edit).unwrap()
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        for (text, is_found) in [
            (r#"{"model":1}"#, true),
            (r#"{"mo\u0064el":1}"#, true),
            (r#"{"models":1}"#, false),
            (r#"{"mode":1}"#, false),
            (r#"{"modem":1}"#, false),
            (r#"{"\\model":1}"#, false),
        ] {
            assert_eq!(find(&raw(text), "model").unwrap().is_some(), is_found, "{text}");
        }
    }

    #[test]
    fn a_member_may_be_changed_twice() {
        let out = edited(r#"{"a":1,"b":2}"#, |it| {
            it.set("a", "3");
            let again = format!("{}0", it.value("a").unwrap());
            it.set("a", again);
            assert_eq!((it.value("b"), it.value("c")), (Some("2"), None));
        });
        assert_eq!(out, r#"{"a":30,"b":2}"#);
    }

    #[test]
    fn a_changed_value_leaves_every_other_byte_alone() {
        let out = edited(r#"{ "z": 1e400, "model" : "a", "n": 12345678901234567890 }"#, |it| {
            it.set("model", r#""b""#);
        });
        assert_eq!(out, r#"{ "z": 1e400, "model" : "b", "n": 12345678901234567890 }"#);
    }

    #[test]
    fn a_new_member_stands_last() {
        assert_eq!(edited(r#"{"a":1 }"#, |it| it.set("b", "2")), r#"{"a":1,"b":2 }"#);
        assert_eq!(edited(r#" { }"#, |it| it.set("b", "2")), r#" {"b":2 }"#);
    }

    #[test]
    fn a_member_goes_with_its_comma() {
        let remove = |name: &'static str| {
            edited(r#"{"a":1, "b":[2,{"c":","}], "c":3}"#, move |it| {
                it.remove(name);
            })
        };
        assert_eq!(remove("a"), r#"{"b":[2,{"c":","}], "c":3}"#);
        assert_eq!(remove("b"), r#"{"a":1, "c":3}"#);
        assert_eq!(remove("c"), r#"{"a":1, "b":[2,{"c":","}]}"#);
    }

    #[test]
    fn of_a_name_given_twice_the_last_counts_and_a_change_leaves_one() {
        let text = r#"{"a":1,"\u0061":2,"b":3}"#;
        let out = edited(text, |it| {
            assert_eq!(it.value("a"), Some("2"));
            it.set("a", "4");
        });
        assert_eq!(out, r#"{"\u0061":4,"b":3}"#);
        assert_eq!(edited(text, |it| _ = it.remove("a")), r#"{"b":3}"#);
        let names = HashSet::from(["a".into(), "c".into()]);
        assert_eq!(edited(text, |it| it.remove_all(&names)), r#"{"b":3}"#);
    }

    #[test]
    fn a_member_that_went_has_no_value_until_it_gets_one() {
        let out = edited(r#"{"a":1,"b":2}"#, |it| {
            assert!(it.remove("a") && !it.remove("a"));
            assert_eq!(it.value("a"), None);
            it.remove("b");
            it.set("b", "3");
        });
        assert_eq!(out, r#"{"b":3}"#);
    }

    #[test]
    fn neighbours_can_go_together() {
        let out = edited(r#"{"a":1,"b":2,"c":3}"#, |it| {
            it.remove("c");
            it.remove("b");
        });
        assert_eq!(out, r#"{"a":1}"#);
        let out = edited(r#"{"a":1,"b":2}"#, |it| {
            it.remove("a");
            it.remove("b");
            it.set("d", "4");
        });
        assert_eq!(out, r#"{"d":4}"#);
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let raw = raw(r#"{"model":"a","mod\u0065l":"b"}"#);
        assert_eq!(find(&raw, "model").unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn a_list_is_looked_at_from_outside() {
        let raw = raw(r#"{"a":[ {"b":1}],"c":[ ],"d":null,"e":["x"],"f":{}}"#);
        let list = |name: &str| list(&raw, name, "a list").map_err(|it| it.param.clone());
        assert_eq!(list("a"), Ok(Some(true)));
        assert_eq!(list("c"), Ok(Some(false)));
        assert_eq!(list("d"), Ok(None));
        assert_eq!(list("g"), Ok(None));
        assert_eq!(list("e"), Err(Some("e".to_owned())));
        assert_eq!(list("f"), Err(Some("f".to_owned())));
    }

    #[test]
    fn a_body_that_nests_too_deep_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(members(deep.into()).unwrap_err().message().contains("128 levels"));
        let brackets_in_text = format!("{{\"a\":\"{}\\\"\"}}", "[".repeat(200));
        members(brackets_in_text.into()).unwrap();
    }

    #[test]
    fn an_error_quotes_nothing_of_the_text() {
        let error = members(Bytes::from_static(b"\"a prompt\"")).unwrap_err();
        assert!(!error.message().contains("prompt") && error.message().contains("line 1"));
        let raw = raw(r#"{"stream":"a prompt"}"#);
        let error = read::<bool>(&raw, "stream", "true or false").unwrap_err();
        assert!(!error.cause().unwrap().to_string().contains("prompt"));
    }
}
