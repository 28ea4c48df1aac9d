//! Encodes a conversation as a Converse request.

pub(super) mod blocks;
mod media;
mod tools;

use std::{borrow::Cow, collections::BTreeSet};

use canonical::{Conversation, Error, ErrorKind, Field, ResponseFormat, Result, Sampling, Schema};
use serde_json::{Map, Value};

use self::{
    blocks::EncodedMessages,
    tools::{EncodedTools, encode_tools},
};
use super::{
    quirks::{
        models::Family,
        thinking::{self, ModelSettings},
    },
    wire::{self, Converse, JsonSchema, ServiceTier, Structure, TextFormat},
};
use crate::{EncodeOptions, EncodedRequest, anthropic::messages::request_encode::schema, json};

/// How many labels a request may have.
const MAX_LABELS: usize = 16;
/// How long a label's name or value may be.
const MAX_LABEL_LENGTH: usize = 256;

/// Encodes a conversation, and names what Converse does not have.
pub(super) fn encode(
    conversation: &Conversation,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let Conversation {
        messages: _,
        tools: _,
        tool_choice: _,
        parallel_tool_calls: _,
        response_format: output,
        sampling,
        max_tokens: _,
        reasoning: _,
        cache: _,
        user,
        metadata,
        service_tier,
        verbosity,
        prompt_cache_key,
        // The caller names them.
        unmapped_fields: _,
    } = conversation;
    let family = Family::of(target.facts);
    let EncodedMessages { system, messages, dropped: unsupported_content } =
        blocks::encode_messages(conversation, family)?;
    // Behind the encoding, which leaves empty messages out.
    check_end(&messages, family)?;
    let EncodedTools { config, claude, dropped: unsupported_tools } =
        encode_tools(conversation, family)?;
    let ModelSettings {
        inference,
        mut additional,
        output: mut form,
        dropped: unsupported_settings,
    } = thinking::encode_settings(conversation, family, &messages);
    additional.tool_choice = claude;

    let mut dropped: BTreeSet<Field> =
        [unsupported_content, unsupported_tools, unsupported_settings]
            .into_iter()
            .flatten()
            .collect();
    form.text_format = match output {
        Some(output) => text_format(output, family, &mut dropped)?,
        None => None,
    };

    let request = Converse {
        messages,
        system,
        inference_config: present(inference),
        tool_config: config,
        additional_model_request_fields: Some(additional).filter(|it| !it.is_empty()),
        additional_model_response_field_paths: response_field_paths(family, sampling),
        request_metadata: labels(metadata, &mut dropped),
        service_tier: service_tier.as_deref().and_then(|it| tier(it, &mut dropped)),
        output_config: Some(form).filter(|it| it.text_format.is_some() || it.effort.is_some()),
    };

    let silent = [
        (user.is_some(), Field::User),
        (verbosity.is_some(), Field::Verbosity),
        (prompt_cache_key.is_some(), Field::PromptCacheKey),
    ];
    dropped.extend(silent.into_iter().filter(|it| it.0).map(|it| it.1));
    let body = json::written(&request).into();
    Ok(EncodedRequest { body, headers: vec![], dropped: dropped.into_iter().collect() })
}

/// The member that says which of the client's stop texts came up, where the model says so.
fn response_field_paths(family: Family, sampling: &Sampling) -> &'static [&'static str] {
    match family {
        Family::Claude(_) if !sampling.stop.is_empty() => &["/stop_sequence"],
        _ => &[],
    }
}

/// Refuses a conversation that ends with the assistant, where the model does not continue it.
fn check_end(messages: &[wire::WireMessage<'_>], family: Family) -> Result<()> {
    let ends_with_assistant = messages.last().is_some_and(|it| it.role == "assistant");
    if ends_with_assistant && family.claude().is_some_and(|it| !it.continues) {
        let message =
            "does not continue an assistant's message; end the conversation with a user's";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(())
}

fn present(inference: wire::Inference<'_>) -> Option<wire::Inference<'_>> {
    Some(inference).filter(|it| *it != wire::Inference::default())
}

fn text_format<'a>(
    output: &'a ResponseFormat,
    family: Family,
    dropped: &mut BTreeSet<Field>,
) -> Result<Option<TextFormat<'a>>> {
    let schema = match output {
        ResponseFormat::Text => return Ok(None),
        ResponseFormat::Schema(schema) if family.claude().is_none_or(|it| it.schemas) => schema,
        // There is no JSON without a schema here.
        ResponseFormat::Json | ResponseFormat::Schema(_) => {
            dropped.insert(Field::ResponseFormat);
            return Ok(None);
        }
    };
    // It is always followed to the letter, which suits who does not ask for it too.
    let Schema { name, description, schema: json, strict: _ } = schema;
    // Claude is held to the same few keywords here as at Anthropic.
    let json = if family.claude().is_some() {
        let mut lost = vec![];
        let json = schema::of_response(schema, &mut lost)?;
        dropped.extend(lost);
        Cow::Owned(json.get().to_owned())
    } else {
        Cow::Borrowed(json.0.as_str())
    };
    let (name, description) = (name.as_deref(), description.as_deref());
    let json_schema = JsonSchema { schema: json, name, description };
    Ok(Some(TextFormat { kind: "json_schema", structure: Structure { json_schema } }))
}

/// OpenAI's tiers, where Bedrock has one of the same name. `auto` is what happens anyway.
fn tier(word: &str, dropped: &mut BTreeSet<Field>) -> Option<ServiceTier> {
    let kind = match word {
        "auto" => return None,
        "default" => "default",
        "flex" => "flex",
        "priority" => "priority",
        _ => {
            dropped.insert(Field::ServiceTier);
            return None;
        }
    };
    Some(ServiceTier { kind })
}

/// The labels that are allowed.
fn labels(
    metadata: &[(String, String)],
    dropped: &mut BTreeSet<Field>,
) -> Option<Map<String, Value>> {
    // One label that does not fit would have the whole request refused.
    let allowed =
        metadata.iter().filter(|it| !it.0.is_empty() && fits_label(&it.0) && fits_label(&it.1));
    let labels: Map<String, Value> = allowed
        .take(MAX_LABELS)
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    if labels.len() < metadata.len() {
        dropped.insert(Field::Metadata);
    }
    Some(labels).filter(|it| !it.is_empty())
}

/// Whether a text is allowed as the name or value of a label.
fn fits_label(it: &str) -> bool {
    it.len() <= MAX_LABEL_LENGTH && it.chars().all(is_plain)
}

/// Source: the pattern of `RequestMetadata` in the service model.
fn is_plain(it: char) -> bool {
    it.is_ascii_alphanumeric() || it.is_ascii_whitespace() || ":_@$#=/+,-.".contains(it)
}

#[cfg(test)]
mod tests;
