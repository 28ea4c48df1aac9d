//! What the server logs, and how.

use super::{
    keys::{Key, Keys, Takes, words},
    node::Node,
    reader::Reader,
    write::{Map, Written, bare},
};

pub(super) const LOG: Keys = Keys {
    of: "log",
    keys: &[
        Key::new(
            "format",
            Takes::Words(&words(&FORMATS)),
            "`text`",
            "`text`, or `json`: one object per line",
        ),
        Key::new(
            "level",
            Takes::Words(&words(&LEVELS)),
            "`info`",
            "`error`, `warn`, `info`, `debug` or `trace`; `RUST_LOG` wins",
        ),
        Key::new(
            "contents",
            Takes::Words(&words(&CONTENTS)),
            "`none`",
            "`summary` adds cut texts of the request and the response, without media and keys",
        ),
    ],
};
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const CONTENTS: [(&str, LogContents); 2] =
    [("none", LogContents::None), ("summary", LogContents::Summary)];

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// The least severe events that are logged.
    pub level: LogLevel,
    /// What the line of a call shows of the request and the response.
    pub contents: LogContents,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The severity of an event, most severe first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Someone should look.
    Error,
    /// The gateway coped.
    Warn,
    /// One line per call.
    #[default]
    Info,
    /// What the gateway does.
    Debug,
    /// What the libraries do, too.
    Trace,
}

/// What the line of a call shows of the request and the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogContents {
    /// Nothing.
    #[default]
    None,
    /// Cut texts, without media and keys.
    Summary,
}

impl LogLevel {
    /// The level's name, as `RUST_LOG` takes it.
    pub fn name(self) -> &'static str {
        word(&LEVELS, self)
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Log> {
    let fields = reader.fields(node, &LOG)?;
    let format = reader.optional(fields, "format", |it, node| it.word(node, &FORMATS)).flatten();
    let level = reader.optional(fields, "level", |it, node| it.word(node, &LEVELS)).flatten();
    let contents =
        reader.optional(fields, "contents", |it, node| it.word(node, &CONTENTS)).flatten();
    Some(Log {
        format: format.unwrap_or_default(),
        level: level.unwrap_or_default(),
        contents: contents.unwrap_or_default(),
    })
}

pub(super) fn write(it: &Log) -> Option<Written> {
    let default = Log::default();
    let mut map = Map::default();
    map.unless("format", it.format == default.format, bare(&word(&FORMATS, it.format)));
    map.unless("level", it.level == default.level, bare(&it.level.name()));
    map.unless("contents", it.contents == default.contents, bare(&word(&CONTENTS, it.contents)));
    map.section()
}

/// The word for a value of a closed set.
pub(super) fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}
