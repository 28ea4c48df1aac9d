//! Requests as they travel: members in either spelling, lists that may be left out.
//!
//! Google reads every name in `camelCase` and in `snake_case`, and takes one object where a list of
//! them is meant.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::RawObject;
use crate::json::{self, Object};

/// A list, or its only member.
#[derive(Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut all = vec![];
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(all)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
                Ok(vec![T::deserialize(MapAccessDeserializer::new(map))?])
            }
        }
        json.deserialize_any(Either(PhantomData)).map(Self)
    }
}

/// A name in `camelCase`, whichever way it is spelled.
pub(crate) fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' if out.is_empty() => {}
            '_' => upper = true,
            _ if std::mem::take(&mut upper) => out.push(letter.to_ascii_uppercase()),
            _ => out.push(letter),
        }
    }
    Cow::Owned(out)
}

/// The value of a member that says something, in either spelling.
pub(crate) fn either<'a>(object: &Object<'a>, name: &str) -> Option<&'a RawValue> {
    object.present().find(|it| camel(it.0) == name).map(|it| it.1)
}

/// How a member of a body spells its name.
pub(crate) fn spelled<'a>(raw: &'a RawObject, name: &'a str) -> Cow<'a, str> {
    let mut names = raw.members.iter().map(|it| json::name_of(&raw.body, it));
    names.find(|it| camel(it) == name).unwrap_or(Cow::Borrowed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_both_spellings() {
        assert_eq!(camel("system_instruction"), "systemInstruction");
        assert_eq!(camel("systemInstruction"), "systemInstruction");
        assert_eq!(camel("_responseJsonSchema"), "responseJsonSchema");
    }

    #[test]
    fn a_list_may_be_left_out() {
        let many = |json| serde_json::from_str::<Many<Object<'_>>>(json).unwrap().0.len();
        assert_eq!(many(r#"{"a":1}"#), 1);
        assert_eq!(many(r#"[{"a":1},{}]"#), 2);
        assert_eq!(many("[]"), 0);
    }
}
