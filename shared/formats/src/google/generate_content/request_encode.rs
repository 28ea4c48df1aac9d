//! A conversation, as a provider of this format wants it.

mod contents;
mod json_pointers;
mod schema;

use canonical::{
    Conversation, Error, ErrorKind, Field, ModelFacts, ResponseFormat, Result, Sampling, Schema,
    Tool, ToolChoice,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    quirks::{
        models::Family,
        thinking::{self, Thinking},
    },
    wire::parts::Content as WireContent,
};
use crate::stop_sequences;

/// How many texts may end a response (the API reference, `stopSequences`).
const MAX_STOPS: usize = 5;

/// The body of a request.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    /// Only where the path does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<WireContent<'a>>,
    contents: Vec<WireContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<Config<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allowed_function_names: &'a [String],
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "verbatim")]
    response_json_schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
}

fn verbatim<S: serde::Serializer>(json: &Option<String>, out: S) -> Result<S::Ok, S::Error> {
    let raw = json.as_deref().map(serde_json::from_str::<&RawValue>);
    raw.transpose().map_err(serde::ser::Error::custom)?.serialize(out)
}

/// Encodes a conversation; fields that the format does not support are added to `dropped`.
pub(super) fn encode_body<'a>(
    conversation: &'a Conversation,
    facts: &ModelFacts,
    dropped: &mut Vec<Field>,
) -> Result<Body<'a>> {
    let Conversation {
        messages: _,
        tools,
        tool_choice: _,
        parallel_tool_calls,
        response_format: output,
        sampling,
        max_tokens,
        reasoning,
        cache,
        user,
        metadata,
        service_tier,
        verbosity,
        prompt_cache_key,
        // The caller names them.
        unmapped_fields: _,
    } = conversation;
    let family = Family::of(facts);

    // Refused here, so that a route goes on to a target that takes both, or drops one where its
    // configuration says so.
    if !tools.is_empty()
        && family != Family::Level
        && !matches!(output, None | Some(ResponseFormat::Text))
    {
        let message = "Gemini models before 3 take tools or a response format, not both at once.";
        let mut error = Error::new(ErrorKind::Unsupported, message);
        error.param = Some("response_format".to_owned());
        return Err(error);
    }

    let unsupported = [
        (*parallel_tool_calls == Some(false) && !tools.is_empty(), Field::ParallelToolCalls),
        (cache.is_some() || tools.iter().any(|it| it.cache.is_some()), Field::Cache),
        (user.is_some(), Field::User),
        // Labels belong to Vertex; the Gemini API refuses them.
        (!metadata.is_empty(), Field::Metadata),
        (verbosity.is_some(), Field::Verbosity),
        (prompt_cache_key.is_some(), Field::PromptCacheKey),
    ];
    dropped.extend(unsupported.into_iter().filter(|it| it.0).map(|it| it.1));

    let mut config = config(sampling, *max_tokens, dropped);
    form(output.as_ref(), &mut config, dropped);
    config.thinking_config = reasoning.as_ref().and_then(|it| thinking::encode(it, facts, dropped));
    let (system_instruction, contents) = contents::encode(conversation, family, dropped)?;
    Ok(Body {
        model: None,
        system_instruction,
        contents,
        tools: functions(tools, dropped)?,
        tool_config: choice(conversation, family, dropped),
        generation_config: (config != Config::default()).then_some(config),
        service_tier: service_tier.as_deref().and_then(|it| tier(it, dropped)),
    })
}

fn config<'a>(
    sampling: &'a Sampling,
    max_tokens: Option<u64>,
    dropped: &mut Vec<Field>,
) -> Config<'a> {
    let Sampling {
        temperature,
        top_p,
        top_k,
        frequency_penalty,
        presence_penalty,
        seed,
        stop: _,
        n,
    } = sampling;
    // Google's seed has 32 bits, OpenAI's 64.
    let small = seed.and_then(|it| i32::try_from(it).ok());
    if small.is_none() && seed.is_some() {
        dropped.push(Field::Seed);
    }
    Config {
        temperature: *temperature,
        top_p: *top_p,
        top_k: *top_k,
        candidate_count: *n,
        max_output_tokens: max_tokens,
        stop_sequences: stop_sequences::accepted(sampling, MAX_STOPS, dropped),
        seed: small,
        presence_penalty: *presence_penalty,
        frequency_penalty: *frequency_penalty,
        ..Config::default()
    }
}

/// The form of the response. A schema's name and description become its title and description.
fn form(output: Option<&ResponseFormat>, config: &mut Config<'_>, dropped: &mut Vec<Field>) {
    let schema = match output {
        None | Some(ResponseFormat::Text) => return,
        Some(ResponseFormat::Json) => None,
        Some(ResponseFormat::Schema(Schema { name, description, schema, strict: _ })) => {
            let mut json = schema::encode(schema, dropped);
            for (member, text) in [("description", description), ("title", name)] {
                json = text.as_ref().map_or(json.clone(), |it| with_member(&json, member, it));
            }
            Some(json)
        }
    };
    config.response_mime_type = Some("application/json");
    config.response_json_schema = schema;
}

/// A schema with a note that it does not have yet. A reference stays alone.
fn with_member(schema: &str, name: &str, text: &str) -> String {
    let object: crate::json::Object<'_> = serde_json::from_str(schema).unwrap_or_default();
    let rest = schema.strip_prefix('{').unwrap_or_default();
    if object.get(name).is_some() || object.get("$ref").is_some() || rest.is_empty() {
        return schema.to_owned();
    }
    let comma = if object.0.is_empty() { "" } else { "," };
    format!("{{\"{name}\":{}{comma}{rest}", serde_json::Value::from(text))
}

fn functions<'a>(tools: &'a [Tool], dropped: &mut Vec<Field>) -> Result<Vec<Tools<'a>>> {
    let mut function_declarations = vec![];
    for Tool { name, description, schema, strict: _, cache: _ } in tools {
        let schema =
            schema.as_ref().map(|it| RawValue::from_string(schema::encode_arguments(it, dropped)));
        let schema = schema.transpose().map_err(|error| {
            Error::new(ErrorKind::Internal, "A schema was written wrongly.").caused_by(error)
        })?;
        let description = description.as_deref();
        function_declarations.push(Function { name, description, parameters_json_schema: schema });
    }
    if function_declarations.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Tools { function_declarations }])
}

/// Whether tools are called. Arguments follow their schema where a call is demanded or validated.
fn choice<'a>(
    conversation: &'a Conversation,
    family: Family,
    dropped: &mut Vec<Field>,
) -> Option<ToolConfig<'a>> {
    if conversation.tools.is_empty() {
        return None;
    }
    let strict = conversation.tools.iter().any(|it| it.strict == Some(true));
    let validates = family != Family::Old;
    let (mode, names): (_, &[String]) = match conversation.tool_choice.as_ref() {
        // The mode in which Gemini holds arguments to their schema without demanding a call.
        None | Some(ToolChoice::Auto) if strict && validates => ("VALIDATED", &[]),
        None if !strict => return None,
        None | Some(ToolChoice::Auto) => ("AUTO", &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Named(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Among(names, true)) => ("ANY", names),
        Some(ToolChoice::Among(names, false)) if validates => ("VALIDATED", names),
        Some(ToolChoice::Among(..)) => {
            dropped.push(Field::ToolChoice);
            ("AUTO", &[])
        }
    };
    if strict && mode == "AUTO" {
        dropped.push(Field::ToolStrict);
    }
    let function_calling_config = Calling { mode, allowed_function_names: names };
    Some(ToolConfig { function_calling_config })
}

fn tier(word: &str, dropped: &mut Vec<Field>) -> Option<&'static str> {
    match word {
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        "default" => Some("standard"),
        "auto" => None,
        _ => {
            dropped.push(Field::ServiceTier);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use canonical::{Json, Message, Role};

    use super::*;
    use crate::options::facts;

    fn asking() -> Conversation {
        let messages = vec![Message::new(Role::User, vec![canonical::Part::text("Hi")])];
        Conversation { messages, ..Conversation::default() }
    }

    fn tool(strict: Option<bool>) -> Tool {
        Tool { name: "f".to_owned(), strict, ..Tool::default() }
    }

    fn encoded(conversation: &Conversation, model: &str) -> (serde_json::Value, Vec<Field>) {
        let mut dropped = vec![];
        let body = encode_body(conversation, facts("gemini", model), &mut dropped).unwrap();
        (serde_json::to_value(&body).unwrap(), dropped)
    }

    #[test]
    fn whether_tools_are_called_is_a_mode() {
        let mode = |choice, strict, model| {
            let conversation =
                Conversation { tools: vec![tool(strict)], tool_choice: choice, ..asking() };
            let (body, dropped) = encoded(&conversation, model);
            let config = &body["toolConfig"]["functionCallingConfig"];
            (config.to_string(), dropped)
        };
        let new = "gemini-3.5-flash";
        assert_eq!(mode(None, None, new).0, "null");
        assert_eq!(mode(Some(ToolChoice::None), None, new).0, r#"{"mode":"NONE"}"#);
        assert_eq!(mode(Some(ToolChoice::Required), None, new).0, r#"{"mode":"ANY"}"#);
        assert_eq!(mode(None, Some(true), new).0, r#"{"mode":"VALIDATED"}"#);
        let old = mode(Some(ToolChoice::Auto), Some(true), "gemini-2.0-flash");
        assert_eq!(old, (r#"{"mode":"AUTO"}"#.to_owned(), vec![Field::ToolStrict]));
        let some = ToolChoice::Among(vec!["f".to_owned()], false);
        let named = r#"{"allowedFunctionNames":["f"],"mode":"VALIDATED"}"#;
        assert_eq!(mode(Some(some), None, new), (named.to_owned(), vec![]));
    }

    #[test]
    fn tools_and_a_response_format_are_for_later_models() {
        let output = Some(ResponseFormat::Json);
        let both = Conversation { tools: vec![tool(None)], response_format: output, ..asking() };
        let error = encode_body(&both, facts("gemini", "gemini-2.5-pro"), &mut vec![]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        let (body, _) = encoded(&both, "gemini-3.5-flash");
        assert_eq!(body["generationConfig"]["responseMimeType"], "application/json");
    }

    #[test]
    fn the_name_of_a_schema_becomes_its_title() {
        let schema = Schema {
            name: Some("event".to_owned()),
            description: Some("An \"event\"".to_owned()),
            schema: Json(r#"{"type":"object"}"#.to_owned()),
            strict: Some(true),
        };
        let conversation =
            Conversation { response_format: Some(ResponseFormat::Schema(schema)), ..asking() };
        let (body, dropped) = encoded(&conversation, "gemini-2.5-flash");
        assert_eq!(
            body["generationConfig"]["responseJsonSchema"],
            serde_json::json!({"title": "event", "description": "An \"event\"", "type": "object"})
        );
        assert_eq!(dropped, []);
    }

    #[test]
    fn what_gemini_does_not_have_is_named() {
        let conversation = Conversation {
            sampling: Sampling {
                seed: Some(1 << 40),
                temperature: Some(0.0),
                ..Sampling::default()
            },
            user: Some("u".to_owned()),
            metadata: vec![("Key".to_owned(), "v".to_owned())],
            service_tier: Some("scale".to_owned()),
            verbosity: Some("low".to_owned()),
            prompt_cache_key: Some("k".to_owned()),
            ..asking()
        };
        let (body, dropped) = encoded(&conversation, "gemini-3.5-flash");
        assert_eq!(body["generationConfig"], serde_json::json!({"temperature": 0.0}));
        let wanted = [
            Field::User,
            Field::Metadata,
            Field::Verbosity,
            Field::PromptCacheKey,
            Field::Seed,
            Field::ServiceTier,
        ];
        assert_eq!(dropped, wanted);
    }
}
