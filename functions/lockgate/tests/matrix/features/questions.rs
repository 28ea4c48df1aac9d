//! What a client says in one question.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Asked, Bit, Choice, Feature, Got, Line, PLAIN, Role, Script, Shape, Talk, Thinks, Turn, Value,
    Verdict, json, last, same, that, weather,
};

/// A picture of one dot.
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
    all.extend(rest());
    all
}

fn texts() -> Vec<Feature> {
    vec![
        Feature {
            name: "text",
            arrives: |asked| same(last(asked).texts(Role::User), vec!["Hi"]),
            ..PLAIN
        },
        Feature {
            name: "unicode",
            talk: || Talk::of("Grüße 👩‍🚀 \u{202e}نص \"\\ \u{7f} 漢字"),
            scripts: || vec![Script::text(["Gr", "üße 👩", "\u{200d}🚀 \u{2028}", "\u{1} نص"])],
            arrives: |asked| {
                let texts = last(asked).texts(Role::User);
                same(texts, vec!["Grüße 👩‍🚀 \u{202e}نص \"\\ \u{7f} 漢字"])
            },
            returns: |heard, _, _| super::says(&heard[0], "Grüße 👩\u{200d}🚀 \u{2028}\u{1} نص"),
            ..PLAIN
        },
        Feature {
            name: "several system texts",
            talk: || {
                Talk::of("Hi").after(Line::System("Be brief.")).after(Line::System("Be kind."))
            },
            arrives: |asked| rules(last(asked), &["Be brief.", "Be kind."]),
            ..PLAIN
        },
        Feature {
            name: "system and developer text",
            talk: || {
                Talk::of("Hi").after(Line::System("Be brief.")).after(Line::Developer("Be kind."))
            },
            arrives: |asked| rules(last(asked), &["Be brief.", "Be kind."]),
            ..PLAIN
        },
    ]
}

/// These texts stand, in this order, where the API has rules.
fn rules(asked: &Asked, wanted: &[&str]) -> Verdict {
    let rule = |it: &&Turn| matches!(it.role, Role::System | Role::Developer);
    let found: Vec<&str> =
        asked.turns.iter().filter(rule).flat_map(|it| &it.bits).filter_map(Got::text).collect();
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
            talk: || Talk {
                lines: vec![Line::User(vec![Bit::Text("What?"), Bit::Image("image/png", PNG)])],
                ..Talk::default()
            },
            arrives: |asked| has(asked, &Got::Image(format!("data:image/png;base64,{PNG}"))),
            ..PLAIN
        },
        Feature {
            name: "image by address",
            talk: || Talk {
                lines: vec![Line::User(vec![
                    Bit::Text("What?"),
                    Bit::ImageUrl("https://example.com/a.png"),
                ])],
                ..Talk::default()
            },
            arrives: |asked| has(asked, &Got::Image("https://example.com/a.png".to_owned())),
            ..PLAIN
        },
        Feature {
            name: "document in base64",
            talk: || Talk {
                lines: vec![Line::User(vec![Bit::Text("What?"), Bit::Pdf(PDF)])],
                ..Talk::default()
            },
            arrives: |asked| has(asked, &Got::File(format!("data:application/pdf;base64,{PDF}"))),
            ..PLAIN
        },
        Feature {
            name: "sound",
            talk: || Talk {
                lines: vec![Line::User(vec![Bit::Text("What?"), Bit::Wav(WAV)])],
                ..Talk::default()
            },
            arrives: |asked| has(asked, &Got::Audio(format!("data:audio/wav;base64,{WAV}"))),
            ..PLAIN
        },
    ]
}

fn has(asked: &[Asked], wanted: &Got) -> Verdict {
    let mut bits = last(asked).bits(Role::User);
    that(bits.any(|it| it == wanted), format!("{:?} lacks it", last(asked).turns))
}

fn tools() -> Vec<Feature> {
    vec![
        Feature {
            name: "tool definition",
            talk: || Talk::of("Hi").tool("weather", weather()),
            arrives: |asked| {
                let tool = last(asked).tools.first().ok_or("no tool")?;
                same(tool.description.as_str(), "Looks something up.")?;
                keeps(&weather(), &tool.schema)
            },
            ..PLAIN
        },
        Feature {
            name: "tool without arguments",
            talk: || Talk::of("Hi").tool("now", json!({"type": "object", "properties": {}})),
            arrives: |asked| same(last(asked).tools.len(), 1),
            ..PLAIN
        },
        Feature {
            name: "tool with any JSON Schema",
            talk: || Talk::of("Hi").tool("any", any_schema()),
            arrives: |asked| {
                let tool = last(asked).tools.first().ok_or("no tool")?;
                keeps(&any_schema(), &tool.schema)
            },
            ..PLAIN
        },
        Feature {
            name: "parallel tool calls off",
            talk: || Talk {
                parallel: Some(false),
                choice: Some(Choice::Auto),
                ..Talk::of("Hi").tool("weather", weather())
            },
            arrives: |asked| same(last(asked).parallel, Some(false)),
            ..PLAIN
        },
    ]
}

/// A schema with much that one or another API refuses.
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
    // A title of the dialect says nothing about what is wanted.
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
    fn talk(choice: Choice) -> Talk {
        let talk = Talk::of("Hi").tool("weather", weather()).tool("time", weather());
        Talk { choice: Some(choice), ..talk }
    }
    vec![
        Feature {
            name: "tool choice auto",
            talk: || talk(Choice::Auto),
            arrives: |asked| {
                let choice = last(asked).choice.clone();
                same(choice.unwrap_or(Choice::Auto), Choice::Auto)
            },
            ..PLAIN
        },
        Feature {
            name: "tool choice none",
            talk: || talk(Choice::None),
            arrives: |asked| {
                let asked = last(asked);
                that(asked.choice == Some(Choice::None) || asked.tools.is_empty(), "may call")
            },
            ..PLAIN
        },
        Feature {
            name: "tool choice required",
            talk: || talk(Choice::Required),
            arrives: |asked| same(last(asked).choice.clone(), Some(Choice::Required)),
            ..PLAIN
        },
        Feature {
            name: "tool choice by name",
            talk: || talk(Choice::Named("time".to_owned())),
            arrives: |asked| {
                same(last(asked).choice.clone(), Some(Choice::Named("time".to_owned())))
            },
            ..PLAIN
        },
    ]
}

fn shapes() -> Vec<Feature> {
    vec![
        Feature {
            name: "JSON mode",
            talk: || Talk { shape: Some(Shape::Json), ..Talk::of("Answer in JSON.") },
            scripts: || vec![Script::text(["{\"a\":", "1}"])],
            arrives: |asked| that(last(asked).shape.is_some(), "no JSON wanted"),
            returns: |heard, _, _| super::says(&heard[0], "{\"a\":1}"),
            ..PLAIN
        },
        Feature {
            name: "JSON schema",
            talk: || Talk { shape: Some(Shape::Schema(answer_schema())), ..Talk::of("Hi") },
            arrives: |asked| match &last(asked).shape {
                Some(Shape::Schema(found)) => keeps(&answer_schema(), found),
                other => Err(format!("{other:?} is no schema")),
            },
            ..PLAIN
        },
        Feature {
            name: "JSON schema beside tools",
            talk: || Talk {
                shape: Some(Shape::Schema(answer_schema())),
                ..Talk::of("Hi").tool("weather", weather())
            },
            arrives: |asked| {
                let asked = last(asked);
                let both = asked.tools.len() == 1 && matches!(asked.shape, Some(Shape::Schema(_)));
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

fn number(asked: &[Asked], name: &str, value: f64) -> Verdict {
    same(last(asked).numbers.get(name).copied(), Some(value))
}

fn numbers() -> Vec<Feature> {
    vec![
        Feature {
            name: "temperature 0",
            talk: || Talk::of("Hi").number("temperature", 0.0),
            arrives: |asked| number(asked, "temperature", 0.0),
            ..PLAIN
        },
        Feature {
            name: "top_p",
            talk: || Talk::of("Hi").number("top_p", 0.5),
            arrives: |asked| number(asked, "top_p", 0.5),
            ..PLAIN
        },
        Feature {
            name: "top_k",
            talk: || Talk::of("Hi").number("top_k", 20.0),
            arrives: |asked| number(asked, "top_k", 20.0),
            ..PLAIN
        },
        Feature {
            name: "seed",
            talk: || Talk::of("Hi").number("seed", 7.0),
            arrives: |asked| number(asked, "seed", 7.0),
            ..PLAIN
        },
        Feature {
            name: "penalties",
            talk: || {
                Talk::of("Hi").number("frequency_penalty", 0.5).number("presence_penalty", -0.5)
            },
            arrives: |asked| {
                number(asked, "frequency_penalty", 0.5)?;
                number(asked, "presence_penalty", -0.5)
            },
            ..PLAIN
        },
        Feature {
            name: "several answers",
            talk: || Talk::of("Hi").number("n", 2.0),
            arrives: |asked| number(asked, "n", 2.0),
            ..PLAIN
        },
        Feature {
            name: "max tokens",
            talk: || Talk::of("Hi").number("max_tokens", 100.0),
            arrives: |asked| number(asked, "max_tokens", 100.0),
            ..PLAIN
        },
        Feature {
            name: "no max tokens",
            arrives: |asked| {
                let found = last(asked).numbers.get("max_tokens");
                that(found.is_none_or(|it| 4096.0 <= *it), format!("{found:?} was made up"))
            },
            ..PLAIN
        },
        Feature {
            name: "stop",
            talk: || Talk { stop: vec!["END", "STOP"], ..Talk::of("Hi") },
            arrives: |asked| {
                let found = &last(asked).stop;
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
            talk: || Talk { thinks: Some(Thinks::Word("low")), ..Talk::of("Hi") },
            arrives: |asked| that(last(asked).effort.is_some(), "no effort"),
            ..PLAIN
        },
        Feature {
            name: "reasoning budget",
            talk: || Talk { thinks: Some(Thinks::Budget(2048)), ..Talk::of("Hi") },
            arrives: |asked| that(last(asked).effort.is_some(), "no effort"),
            ..PLAIN
        },
        Feature {
            name: "user",
            talk: || Talk { user: Some("u-1"), ..Talk::of("Hi") },
            arrives: |asked| same(last(asked).user.as_deref(), Some("u-1")),
            ..PLAIN
        },
        Feature {
            name: "metadata",
            talk: || Talk { metadata: Some(("job", "7")), ..Talk::of("Hi") },
            arrives: |asked| {
                let wanted = BTreeMap::from([("job".to_owned(), "7".to_owned())]);
                same(&last(asked).metadata, &wanted)
            },
            ..PLAIN
        },
        Feature {
            name: "cache marker",
            talk: || Talk { cache: Some(""), ..Talk::of("Hi").after(Line::System("Be brief.")) },
            arrives: |asked| same(last(asked).cache.len(), 1),
            ..PLAIN
        },
        Feature {
            name: "cache marker's time to live",
            talk: || Talk { cache: Some("1h"), ..Talk::of("Hi").after(Line::System("Be brief.")) },
            arrives: |asked| same(last(asked).cache.first().map(String::as_str), Some("1h")),
            ..PLAIN
        },
    ]
}
