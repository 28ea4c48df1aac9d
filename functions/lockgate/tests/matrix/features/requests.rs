//! Features of one request.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Bit, Choice, Conversation, DecodedRequest, Feature, Got, Line, Message, PLAIN,
    ReasoningSetting, Role, Script, Shape, Value, Verdict, json, last, same, that, weather,
};

/// An image of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const PDF: &str = "JVBERi0xLjQKJcOkw7zDtsOfCg==";

pub(super) fn all() -> Vec<Feature> {
    let mut all = texts();
    all.extend(media());
    all.extend(tools());
    all.extend(choices());
    all.extend(shapes());
    all.extend(numbers());
    all.extend(amounts());
    all.extend(rest());
    all
}

fn texts() -> Vec<Feature> {
    vec![
        Feature {
            name: "text",
            arrives: |requests| same(last(requests).texts(Role::User), vec!["Hi"]),
            ..PLAIN
        },
        Feature {
            name: "unicode",
            conversation: || Conversation::of("Grüße 👩‍🚀 \u{202e}نص \"\\ \u{7f} 漢字"),
            scripts: || vec![Script::text(["Gr", "üße 👩", "\u{200d}🚀 \u{2028}", "\u{1} نص"])],
            arrives: |requests| {
                let texts = last(requests).texts(Role::User);
                same(texts, vec!["Grüße 👩‍🚀 \u{202e}نص \"\\ \u{7f} 漢字"])
            },
            returns: |responses, _, _| {
                super::says(&responses[0], "Grüße 👩\u{200d}🚀 \u{2028}\u{1} نص")
            },
            ..PLAIN
        },
        Feature {
            name: "several system messages",
            conversation: || {
                Conversation::of("Hi")
                    .after(Line::System("Be brief."))
                    .after(Line::System("Be kind."))
            },
            arrives: |requests| check_instructions(last(requests), &["Be brief.", "Be kind."]),
            ..PLAIN
        },
        Feature {
            name: "system and developer message",
            conversation: || {
                Conversation::of("Hi")
                    .after(Line::System("Be brief."))
                    .after(Line::Developer("Be kind."))
            },
            arrives: |requests| check_instructions(last(requests), &["Be brief.", "Be kind."]),
            ..PLAIN
        },
    ]
}

/// Checks that these texts stand, in this order, in the system prompts.
fn check_instructions(request: &DecodedRequest, wanted: &[&str]) -> Verdict {
    let is_instruction = |it: &&Message| matches!(it.role, Role::System | Role::Developer);
    let found: Vec<&str> = request
        .messages
        .iter()
        .filter(is_instruction)
        .flat_map(|it| &it.bits)
        .filter_map(Got::text)
        .collect();
    let joined = found.join("\n\n");
    let mut rest = joined.as_str();
    for text in wanted {
        let Some((_, after)) = rest.split_once(text) else {
            return Err(format!("{found:?} is not {wanted:?}"));
        };
        rest = after;
    }
    Ok(())
}

fn media() -> Vec<Feature> {
    vec![
        Feature {
            name: "image in base64",
            conversation: || Conversation {
                lines: vec![Line::User(vec![Bit::Text("What?"), Bit::Image("image/png", PNG)])],
                ..Conversation::default()
            },
            arrives: |requests| has(requests, &Got::Image(format!("data:image/png;base64,{PNG}"))),
            ..PLAIN
        },
        Feature {
            name: "image by URL",
            conversation: || Conversation {
                lines: vec![Line::User(vec![
                    Bit::Text("What?"),
                    Bit::ImageUrl("https://example.com/a.png"),
                ])],
                ..Conversation::default()
            },
            arrives: |requests| has(requests, &Got::Image("https://example.com/a.png".to_owned())),
            ..PLAIN
        },
        Feature {
            name: "document in base64",
            conversation: || Conversation {
                lines: vec![Line::User(vec![Bit::Text("What?"), Bit::Pdf(PDF)])],
                ..Conversation::default()
            },
            arrives: |requests| {
                has(requests, &Got::File(format!("data:application/pdf;base64,{PDF}")))
            },
            ..PLAIN
        },
        Feature {
            name: "audio",
            conversation: || Conversation {
                lines: vec![Line::User(vec![Bit::Text("What?"), Bit::Wav(WAV)])],
                ..Conversation::default()
            },
            arrives: |requests| has(requests, &Got::Audio(format!("data:audio/wav;base64,{WAV}"))),
            ..PLAIN
        },
    ]
}

fn has(requests: &[DecodedRequest], wanted: &Got) -> Verdict {
    let mut bits = last(requests).bits(Role::User);
    that(bits.any(|it| it == wanted), format!("{:?} lacks it", last(requests).messages))
}

fn tools() -> Vec<Feature> {
    vec![
        Feature {
            name: "tool definition",
            conversation: || Conversation::of("Hi").tool("weather", weather()),
            arrives: |requests| {
                let tool = last(requests).tools.first().ok_or("no tool")?;
                same(tool.description.as_str(), "Looks something up.")?;
                keeps(&weather(), &tool.schema)
            },
            ..PLAIN
        },
        Feature {
            name: "tool without arguments",
            conversation: || {
                Conversation::of("Hi").tool("now", json!({"type": "object", "properties": {}}))
            },
            arrives: |requests| same(last(requests).tools.len(), 1),
            ..PLAIN
        },
        Feature {
            name: "tool with any JSON Schema",
            conversation: || Conversation::of("Hi").tool("any", any_schema()),
            arrives: |requests| {
                let tool = last(requests).tools.first().ok_or("no tool")?;
                keeps(&any_schema(), &tool.schema)
            },
            ..PLAIN
        },
        Feature {
            name: "parallel tool calls off",
            conversation: || Conversation {
                parallel: Some(false),
                choice: Some(Choice::Auto),
                ..Conversation::of("Hi").tool("weather", weather())
            },
            arrives: |requests| same(last(requests).parallel, Some(false)),
            ..PLAIN
        },
    ]
}

/// A schema with many keywords that one or another API rejects.
fn any_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "kind": {"const": "a"},
            "size": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9, "multipleOf": 3},
            "name": {"type": ["string", "null"], "minLength": 1, "pattern": "^a", "default": "a"},
            "tree": {"$ref": "#/$defs/tree"},
            "one": {"oneOf": [{"type": "string"}, {"type": "number"}]},
            "map": {"type": "object", "additionalProperties": {"type": "string"},
                "propertyNames": {"pattern": "^a"}},
            "list": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
        },
        "required": ["kind"],
        "additionalProperties": false,
        "$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}},
    })
}

/// Whether every keyword and every property of a schema is there, at the same place or not.
fn keeps(wanted: &Value, found: &Value) -> Verdict {
    let (wanted, found) = (words(wanted), words(found));
    let lost: Vec<_> = wanted.difference(&found).collect();
    that(lost.is_empty(), format!("the schema lost {lost:?}"))
}

fn words(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    collect(schema, &mut all);
    // The name of the JSON Schema version is no keyword.
    all.remove("$schema");
    all
}

fn collect(schema: &Value, all: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                all.insert(name.clone());
                collect(value, all);
            }
        }
        Value::Array(items) => items.iter().for_each(|it| collect(it, all)),
        _ => {}
    }
}

fn choices() -> Vec<Feature> {
    fn conversation(choice: Choice) -> Conversation {
        let conversation =
            Conversation::of("Hi").tool("weather", weather()).tool("time", weather());
        Conversation { choice: Some(choice), ..conversation }
    }
    vec![
        Feature {
            name: "tool choice auto",
            conversation: || conversation(Choice::Auto),
            arrives: |requests| {
                let choice = last(requests).choice.clone();
                same(choice.unwrap_or(Choice::Auto), Choice::Auto)
            },
            ..PLAIN
        },
        Feature {
            name: "tool choice none",
            conversation: || conversation(Choice::None),
            arrives: |requests| {
                let request = last(requests);
                that(request.choice == Some(Choice::None) || request.tools.is_empty(), "may call")
            },
            ..PLAIN
        },
        Feature {
            name: "tool choice required",
            conversation: || conversation(Choice::Required),
            arrives: |requests| same(last(requests).choice.clone(), Some(Choice::Required)),
            ..PLAIN
        },
        Feature {
            name: "tool choice by name",
            conversation: || conversation(Choice::Named("time".to_owned())),
            arrives: |requests| {
                same(last(requests).choice.clone(), Some(Choice::Named("time".to_owned())))
            },
            ..PLAIN
        },
    ]
}

fn shapes() -> Vec<Feature> {
    vec![
        Feature {
            name: "JSON mode",
            conversation: || Conversation {
                shape: Some(Shape::Json),
                ..Conversation::of("Answer in JSON.")
            },
            scripts: || vec![Script::text(["{\"a\":", "1}"])],
            arrives: |requests| that(last(requests).shape.is_some(), "no JSON wanted"),
            returns: |responses, _, _| super::says(&responses[0], "{\"a\":1}"),
            ..PLAIN
        },
        Feature {
            name: "JSON schema",
            conversation: || Conversation {
                shape: Some(Shape::Schema(answer_schema())),
                ..Conversation::of("Hi")
            },
            arrives: |requests| match &last(requests).shape {
                Some(Shape::Schema(found)) => keeps(&answer_schema(), found),
                other => Err(format!("{other:?} is no schema")),
            },
            ..PLAIN
        },
        Feature {
            name: "JSON schema beside tools",
            conversation: || Conversation {
                shape: Some(Shape::Schema(answer_schema())),
                ..Conversation::of("Hi").tool("weather", weather())
            },
            arrives: |requests| {
                let request = last(requests);
                let both =
                    request.tools.len() == 1 && matches!(request.shape, Some(Shape::Schema(_)));
                that(both, "not both arrived")
            },
            ..PLAIN
        },
    ]
}

/// A schema as OpenAI's strict mode wants it.
fn answer_schema() -> Value {
    json!({"type": "object", "properties": {
        "name": {"type": "string", "description": "Who."},
        "ages": {"type": "array", "items": {"type": "integer"}},
        "kind": {"type": "string", "enum": ["a", "b"]},
    }, "required": ["name", "ages", "kind"], "additionalProperties": false})
}

fn number(requests: &[DecodedRequest], name: &str, value: f64) -> Verdict {
    same(last(requests).numbers.get(name).copied(), Some(value))
}

fn numbers() -> Vec<Feature> {
    vec![
        Feature {
            name: "temperature 0",
            conversation: || Conversation::of("Hi").number("temperature", 0.0),
            arrives: |requests| number(requests, "temperature", 0.0),
            ..PLAIN
        },
        Feature {
            name: "top_p",
            conversation: || Conversation::of("Hi").number("top_p", 0.5),
            arrives: |requests| number(requests, "top_p", 0.5),
            ..PLAIN
        },
        Feature {
            name: "top_k",
            conversation: || Conversation::of("Hi").number("top_k", 20.0),
            arrives: |requests| number(requests, "top_k", 20.0),
            ..PLAIN
        },
        Feature {
            name: "seed",
            conversation: || Conversation::of("Hi").number("seed", 7.0),
            arrives: |requests| number(requests, "seed", 7.0),
            ..PLAIN
        },
        Feature {
            name: "penalties",
            conversation: || {
                Conversation::of("Hi")
                    .number("frequency_penalty", 0.5)
                    .number("presence_penalty", -0.5)
            },
            arrives: |requests| {
                number(requests, "frequency_penalty", 0.5)?;
                number(requests, "presence_penalty", -0.5)
            },
            ..PLAIN
        },
    ]
}

fn amounts() -> Vec<Feature> {
    vec![
        Feature {
            name: "several choices",
            conversation: || Conversation::of("Hi").number("n", 2.0),
            arrives: |requests| number(requests, "n", 2.0),
            ..PLAIN
        },
        Feature {
            name: "max tokens",
            conversation: || Conversation::of("Hi").number("max_tokens", 100.0),
            arrives: |requests| number(requests, "max_tokens", 100.0),
            ..PLAIN
        },
        Feature {
            name: "no max tokens",
            arrives: |requests| {
                let found = last(requests).numbers.get("max_tokens");
                that(found.is_none_or(|it| 4096.0 <= *it), format!("{found:?} was made up"))
            },
            ..PLAIN
        },
        Feature {
            name: "stop",
            conversation: || Conversation { stop: vec!["END", "STOP"], ..Conversation::of("Hi") },
            arrives: |requests| {
                let found = &last(requests).stop;
                same(found.as_slice(), &["END".to_owned(), "STOP".to_owned()])
            },
            ..PLAIN
        },
    ]
}

fn rest() -> Vec<Feature> {
    vec![
        Feature {
            name: "reasoning effort",
            conversation: || Conversation {
                reasoning_setting: Some(ReasoningSetting::Word("low")),
                ..Conversation::of("Hi")
            },
            arrives: |requests| that(last(requests).effort.is_some(), "no effort"),
            ..PLAIN
        },
        Feature {
            name: "reasoning budget",
            conversation: || Conversation {
                reasoning_setting: Some(ReasoningSetting::Budget(2048)),
                ..Conversation::of("Hi")
            },
            arrives: |requests| that(last(requests).effort.is_some(), "no effort"),
            ..PLAIN
        },
        Feature {
            name: "user",
            conversation: || Conversation { user: Some("u-1"), ..Conversation::of("Hi") },
            arrives: |requests| same(last(requests).user.as_deref(), Some("u-1")),
            ..PLAIN
        },
        Feature {
            name: "metadata",
            conversation: || Conversation {
                metadata: Some(("job", "7")),
                ..Conversation::of("Hi")
            },
            arrives: |requests| {
                let wanted = BTreeMap::from([("job".to_owned(), "7".to_owned())]);
                same(&last(requests).metadata, &wanted)
            },
            ..PLAIN
        },
        Feature {
            name: "cache marker",
            conversation: || Conversation {
                cache: Some(""),
                ..Conversation::of("Hi").after(Line::System("Be brief."))
            },
            arrives: |requests| same(last(requests).cache.len(), 1),
            ..PLAIN
        },
        Feature {
            name: "cache marker's time to live",
            conversation: || Conversation {
                cache: Some("1h"),
                ..Conversation::of("Hi").after(Line::System("Be brief."))
            },
            arrives: |requests| same(last(requests).cache.first().map(String::as_str), Some("1h")),
            ..PLAIN
        },
    ]
}
