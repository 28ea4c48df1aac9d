//! A conversation, as a provider of this format wants it.

use std::borrow::Cow;

use canonical::{
    Content, Conversation, Error, Field, Kind, Output, Part as Said, Result, Sampling, Schema,
    Tool, ToolCall, ToolChoice, ToolResult,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    MAKER, fit,
    media::{self, Taken},
    model::{self, Family},
    parts::{self, Content as Wire, FunctionCall, FunctionResponse, Outcome, Part, Value},
    signature,
    thinking::{self, Thinking},
};
use crate::turns::{self, Side};

/// What is sent.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    /// Only where the path does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Wire<'a>>,
    contents: Vec<Wire<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<Config<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<std::collections::BTreeMap<&'a str, &'a str>>,
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
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
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

/// Writes a conversation; what cannot be said is added to `dropped`.
pub(super) fn body<'a>(
    conversation: &'a Conversation,
    model: &str,
    dropped: &mut Vec<Field>,
) -> Result<Body<'a>> {
    let Conversation {
        turns: _,
        tools,
        tool_choice: _,
        parallel_tool_calls,
        output,
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
        other: _,
    } = conversation;
    let family = model::family(model);
    if !tools.is_empty() && family != Family::Level && !matches!(output, None | Some(Output::Text))
    {
        let message = "Gemini models before 3 take tools or a response format, not both at once.";
        let mut error = Error::new(Kind::Inexpressible, message);
        error.param = Some("response_format".to_owned());
        return Err(error);
    }
    let unsaid = [
        (*parallel_tool_calls == Some(false) && !tools.is_empty(), Field::ParallelToolCalls),
        (cache.is_some(), Field::Cache),
        (user.is_some(), Field::User),
        (verbosity.is_some(), Field::Verbosity),
        (prompt_cache_key.is_some(), Field::PromptCacheKey),
    ];
    dropped.extend(unsaid.into_iter().filter(|it| it.0).map(|it| it.1));
    let mut config = config(sampling, *max_tokens, dropped);
    form(output.as_ref(), &mut config, dropped);
    config.thinking_config = reasoning.as_ref().and_then(|it| thinking::of(it, model, dropped));
    let (system_instruction, contents) = Writer { conversation, family, dropped }.contents()?;
    Ok(Body {
        model: None,
        system_instruction,
        contents,
        tools: functions(tools, dropped)?,
        tool_config: choice(conversation, family, dropped),
        generation_config: (config != Config::default()).then_some(config),
        service_tier: service_tier.as_deref().and_then(|it| tier(it, dropped)),
        labels: labels(metadata, dropped),
    })
}

fn config<'a>(
    sampling: &'a Sampling,
    max_tokens: Option<u64>,
    dropped: &mut Vec<Field>,
) -> Config<'a> {
    let Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed, stop, n } =
        sampling;
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
        stop_sequences: stop,
        seed: small,
        presence_penalty: *presence_penalty,
        frequency_penalty: *frequency_penalty,
        ..Config::default()
    }
}

/// The form of the answer. A schema's name and description become its title and description.
fn form(output: Option<&Output>, config: &mut Config<'_>, dropped: &mut Vec<Field>) {
    let schema = match output {
        None | Some(Output::Text) => return,
        Some(Output::Json) => None,
        Some(Output::Schema(Schema { name, description, schema, strict: _ })) => {
            let mut json = fit::schema(schema, dropped);
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
    for Tool { name, description, schema, strict: _, cache } in tools {
        if cache.is_some() {
            dropped.push(Field::Cache);
        }
        let schema = schema.as_ref().map(|it| RawValue::from_string(fit::arguments(it, dropped)));
        let schema = schema.transpose().map_err(|error| {
            Error::new(Kind::Internal, "A schema was written wrongly.").caused_by(error)
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

/// Labels are short and in lower case.
fn labels<'a>(
    metadata: &'a [(String, String)],
    dropped: &mut Vec<Field>,
) -> Option<std::collections::BTreeMap<&'a str, &'a str>> {
    let fits = |text: &str| {
        let plain =
            |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'_' | b'-');
        text.len() <= 63 && text.bytes().all(plain)
    };
    let starts = |key: &str| key.starts_with(|it: char| it.is_ascii_lowercase());
    if !metadata.iter().all(|(key, value)| starts(key) && fits(key) && fits(value)) {
        dropped.push(Field::Metadata);
        return None;
    }
    let labels = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    (!metadata.is_empty()).then(|| labels.collect())
}

/// What was said so far, while it is written.
struct Writer<'a, 'd> {
    conversation: &'a Conversation,
    family: Family,
    dropped: &'d mut Vec<Field>,
}

impl<'a> Writer<'a, '_> {
    /// The rules, and what the sides say.
    fn contents(mut self) -> Result<(Option<Wire<'a>>, Vec<Wire<'a>>)> {
        let conversation = self.conversation;
        if conversation.turns.iter().any(|it| it.name.is_some()) {
            self.drop(Field::SpeakerName);
        }
        let whole = turns::alternating(conversation);
        let mut rules = vec![];
        for part in &whole.rules {
            self.part(part, &mut rules)?;
        }
        let mut contents: Vec<Wire<'a>> = vec![];
        for (side, said) in &whole.turns {
            let mut parts = vec![];
            for part in said {
                self.part(part, &mut parts)?;
            }
            let role = match side {
                Side::User => "user",
                Side::Assistant => "model",
            };
            match contents.last_mut() {
                _ if parts.is_empty() => {}
                Some(last) if last.role == Some(role) => last.parts.append(&mut parts),
                _ => contents.push(Wire { role: Some(role), parts }),
            }
        }
        if self.family == Family::Level {
            excuse(&mut contents);
        }
        if contents.is_empty() && !rules.is_empty() {
            // Rules alone are what is asked.
            return Ok((None, vec![Wire { role: Some("user"), parts: rules }]));
        }
        let rules = (!rules.is_empty()).then_some(Wire { role: None, parts: rules });
        Ok((rules, contents))
    }

    fn drop(&mut self, field: Field) {
        if !self.dropped.contains(&field) {
            self.dropped.push(field);
        }
    }

    fn part(&mut self, part: &'a Said, out: &mut Vec<Part<'a>>) -> Result<()> {
        let Said { content, cache, signature } = part;
        if cache.is_some() {
            self.drop(Field::Cache);
        }
        let signature = signature.as_ref().filter(|it| it.maker == MAKER);
        let written = match content {
            Content::Text(text, citations) => {
                if !citations.is_empty() {
                    self.drop(Field::Citations);
                }
                // Google refuses empty ones.
                if text.is_empty() && signature.is_none() {
                    return Ok(());
                }
                Part::text(text.as_str())
            }
            Content::Refusal(text) => {
                self.drop(Field::Refusal);
                Part::text(text.as_str())
            }
            Content::Reasoning(text) => {
                if let Some(signature) = signature {
                    thought(text, signature, out);
                } else if !text.is_empty() && part.signature.is_none() {
                    self.drop(Field::ReasoningText);
                }
                return Ok(());
            }
            Content::Image(it) => self.media(it, "an image")?,
            Content::Audio(it) => self.media(it, "audio")?,
            Content::Video(it) => self.media(it, "a video")?,
            Content::File(it) => self.media(it, "a file")?,
            Content::ToolCall(ToolCall { id, name, arguments }) => {
                let args = parts::arguments(arguments).ok_or_else(|| {
                    let message = format!("The arguments of the call `{id}` in an earlier turn are no JSON object, and Gemini takes nothing else.");
                    Error::invalid("messages[].tool_calls[].function.arguments", message)
                })?;
                Part::call(FunctionCall {
                    id: id.as_str().into(),
                    name: name.as_str().into(),
                    args,
                })
            }
            Content::ToolResult(result) => return self.result(result, out),
        };
        out.push(written.signed(signature));
        Ok(())
    }

    fn media(&mut self, media: &'a canonical::Media, what: &str) -> Result<Part<'a>> {
        let canonical::Media { source: _, media_type: _, name, detail } = media;
        if name.is_some() {
            self.drop(Field::FileName);
        }
        if detail.as_deref().is_some_and(|it| it != "auto") {
            self.drop(Field::ImageDetail);
        }
        let path = format!("messages[].content[] ({what})");
        Ok(match media::taken(media, &path, self.family == Family::Old)? {
            Taken::Inline(data, kind) => Part::inline(kind, data),
            Taken::Uri(uri, kind) => Part::file(uri, kind.map(Cow::Owned)),
            Taken::Text(text) => Part::text(text),
        })
    }

    /// Writes a result. Models before 3 take media beside it, later ones within.
    fn result(&mut self, result: &'a ToolResult, out: &mut Vec<Part<'a>>) -> Result<()> {
        let ToolResult { id, name, parts, is_error } = result;
        let named = name.as_deref().or_else(|| self.conversation.tool_of(id)).ok_or_else(|| {
            let message =
                format!("A tool result names the call `{id}`, but no call before it has that id.");
            Error::invalid("messages[].tool_call_id", message)
        })?;
        let (mut texts, mut media) = (vec![], vec![]);
        for part in parts {
            match &part.content {
                Content::Text(text, _) | Content::Refusal(text) => texts.push(text.as_str()),
                _ => self.part(part, &mut media)?,
            }
        }
        let text = match texts.as_slice() {
            [text] => Cow::Borrowed(*text),
            _ => Cow::Owned(texts.join("\n")),
        };
        let response = match is_error {
            Some(true) => Outcome { error: Some(Value::Text(text)), output: None },
            _ => Outcome { output: Some(value(text)), error: None },
        };
        let within = if self.family == Family::Level { std::mem::take(&mut media) } else { vec![] };
        let answer = FunctionResponse {
            id: id.as_str().into(),
            name: named.into(),
            response,
            parts: within,
        };
        out.push(Part { function_response: Some(answer), ..Part::default() });
        out.append(&mut media);
        Ok(())
    }
}

/// A signed thought: a part of its own, or the signature of what stands before it. Google signs
/// texts and pictures too, which no other format can do.
fn thought<'a>(text: &'a str, signature: &'a canonical::Signature, out: &mut Vec<Part<'a>>) {
    let last = out.last_mut().filter(|it| {
        text.is_empty()
            && it.thought_signature.is_none()
            && it.function_response.is_none()
            && it.function_call.is_none()
    });
    match last {
        Some(last) => last.thought_signature = Some(signature::written(signature)),
        None if text.is_empty() => out.push(Part::text("").signed(Some(signature))),
        None => out.push(Part::thought(text).signed(Some(signature))),
    }
}

/// The text of a result, as the JSON that it is. Google would follow a `$ref` within.
fn value(text: Cow<'_, str>) -> Value<'_> {
    let Cow::Borrowed(text) = text else { return Value::Text(text) };
    let is_json = text.trim_start().starts_with(['{', '[']) && !text.contains("\"$ref\"");
    match serde_json::from_str::<&RawValue>(text) {
        Ok(json) if is_json => Value::Json(json),
        _ => Value::Text(Cow::Borrowed(text)),
    }
}

/// Gives the first call of every step of the current turn, where it has no signature, the one that
/// stands for none: without it Gemini 3 refuses the request.
fn excuse(contents: &mut [Wire<'_>]) {
    let asks = |it: &Wire<'_>| {
        it.role == Some("user") && it.parts.iter().all(|it| it.function_response.is_none())
    };
    let start = contents.iter().rposition(asks).unwrap_or(0);
    for content in contents.iter_mut().skip(start).filter(|it| it.role == Some("model")) {
        let first = content.parts.iter_mut().find(|it| it.function_call.is_some());
        if let Some(part) = first {
            part.thought_signature.get_or_insert(Cow::Borrowed(signature::SKIP));
        }
    }
}
