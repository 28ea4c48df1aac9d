//! What a configuration is before anyone asks what it means: mappings, lists and texts.
//!
//! YAML and stored rows both become this, so that one reader serves both.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::Position;

/// A value and where it stands; values of stored rows stand nowhere.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The place in the file.
    pub at: Option<Position>,
    /// The bytes of the file that hold a scalar, and those where a list or mapping begins and ends. Of
    /// an alias these are the bytes of what it names.
    pub bytes: Range<usize>,
    /// The value.
    pub value: Value<'a>,
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    /// The place in the file.
    pub at: Option<Position>,
    /// The bytes of the file that hold it.
    pub bytes: Range<usize>,
    /// The key itself.
    pub text: Cow<'a, str>,
}

/// A key and its value.
pub type Entry<'a> = (Key<'a>, Node<'a>);

/// The three shapes.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// One text, number or truth value.
    Scalar {
        /// What it says.
        text: Cow<'a, str>,
        /// How it was written.
        style: Style,
    },
    /// Values in order.
    List(Vec<Node<'a>>),
    /// Keys and values, in order; a key may come twice.
    Map(Vec<Entry<'a>>),
}

/// Whether the way a scalar was written says what type it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// YAML without quotes: `8080` is a number, `fast` a text.
    Plain,
    /// YAML in quotes: a text, whatever it looks like.
    Quoted,
    /// Neither: the field decides.
    Open,
}

impl<'a> Node<'a> {
    /// A value without a place.
    pub(super) fn stored(value: Value<'a>) -> Self {
        Self { at: None, bytes: 0..0, value }
    }

    /// Whether nothing was written where a value could be.
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, style: Style::Plain } => {
                matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => false,
        }
    }

    /// How many values it is made of, itself included.
    pub(super) fn size(&self) -> usize {
        let inside: usize = match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, value)| value.size()).sum(),
        };
        inside + 1
    }

    /// How many values stand inside each other at the deepest place.
    pub(super) fn depth(&self) -> usize {
        let inside = match &self.value {
            Value::Scalar { .. } => None,
            Value::List(items) => items.iter().map(Self::depth).max(),
            Value::Map(entries) => entries.iter().map(|(_, value)| value.depth()).max(),
        };
        inside.unwrap_or(0) + 1
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Json).map(Self::stored)
    }
}

/// Reads the JSON of a stored row.
struct Json;

impl<'de> Visitor<'de> for Json {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the configuration")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Scalar { text: Cow::Borrowed(text), style: Style::Open })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Scalar { text: Cow::Owned(text.to_owned()), style: Style::Open })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Scalar { text: Cow::Owned(number.to_string()), style: Style::Plain })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut items = vec![];
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut entries = vec![];
        while let Some(key) = map.next_key::<String>()? {
            let key = Key { at: None, bytes: 0..0, text: Cow::Owned(key) };
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}
