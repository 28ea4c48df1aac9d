//! Decodes a client's request.

mod contents;
mod openapi_schema;
mod tools;

use canonical::{
    CanonicalRequest, Conversation, Effort, Error, Json, Message, Part, Reasoning, ResponseFormat,
    Result, Role, Sampling, Schema,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use self::contents::ContentsDecoder;
use super::wire::members::{Many, camel, either};
use crate::RawObject;
use crate::json::{self, Object};

/// Decodes a request for a provider of another format.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    Ok(CanonicalRequest::Conversation(Box::new(decode_conversation(&json::object(raw)?)?)))
}

/// Decodes the members of a request.
pub(super) fn decode_conversation(body: &Object<'_>) -> Result<Conversation> {
    let mut conversation = Conversation::default();
    let mut system = None;
    for (name, value) in body.present() {
        match camel(name).as_ref() {
            // The path names the model, and contents are decoded below.
            "model" | "contents" => {}
            "systemInstruction" => system = Some(value),
            "tools" => tools::read(value, name, &mut conversation)?,
            "toolConfig" => tools::read_choice(value, name, &mut conversation)?,
            "generationConfig" => {
                Config { path: name, conversation: &mut conversation }.read(value)?;
            }
            "labels" => conversation.metadata = labels(value, name)?,
            "serviceTier" => conversation.service_tier = tier(value, name)?,
            _ => conversation.unmapped_fields.push(name.to_owned()),
        }
    }

    let contents = either(body, "contents");
    let contents: Many<Object<'_>> = contents.map_or(Ok(Many::default()), |it| {
        json::parsed(it, "contents", "a list of contents, each an object with `parts`")
    })?;
    let mut contents_decoder = ContentsDecoder::default();
    for (at, content) in contents.0.iter().enumerate() {
        contents_decoder.read(content, &format!("contents[{at}]"))?;
    }
    conversation.messages = contents_decoder.messages;
    conversation.unmapped_fields.extend(contents_decoder.other);
    // In front, wherever the member stands in the JSON.
    if let Some(system) = system {
        conversation.messages.insert(0, instruction(system)?);
    }
    // The same member may be named for each part of each content.
    conversation.unmapped_fields.sort_unstable();
    conversation.unmapped_fields.dedup();
    Ok(conversation)
}

/// Decodes the system prompt: a content whose role does not matter.
fn instruction(value: &RawValue) -> Result<Message> {
    let path = "systemInstruction";
    let content: Object<'_> = json::parsed(value, path, "an object with `parts`")?;
    let mut contents_decoder = ContentsDecoder::default();
    contents_decoder.read_as(Role::User, &content, path)?;
    let parts: Vec<Part> = contents_decoder.messages.into_iter().flat_map(|it| it.parts).collect();
    Ok(Message::new(Role::System, parts))
}

fn labels(value: &RawValue, path: &str) -> Result<Vec<(String, String)>> {
    let labels: Object<'_> = json::parsed(value, path, "an object of texts")?;
    let read = |(name, value): (&str, &RawValue)| {
        Ok((name.to_owned(), json::parsed(value, path, "an object of texts")?))
    };
    labels.present().map(read).collect()
}

/// The service tier by OpenAI's name.
fn tier(value: &RawValue, path: &str) -> Result<Option<String>> {
    let tier: String = json::parsed(value, path, "a text")?;
    let tier = tier.to_ascii_lowercase();
    Ok(match tier.trim_start_matches("service_tier_") {
        "unspecified" => None,
        "standard" => Some("default".to_owned()),
        other => Some(other.to_owned()),
    })
}

/// Decodes `generationConfig`.
struct Config<'a> {
    path: &'a str,
    conversation: &'a mut Conversation,
}

impl Config<'_> {
    fn read(mut self, value: &RawValue) -> Result<()> {
        let config: Object<'_> = json::parsed(value, self.path, "an object")?;
        let (mut kind, mut schema) = (None, None);
        for (name, value) in config.present() {
            match camel(name).as_ref() {
                "maxOutputTokens" => self.conversation.max_tokens = Some(self.number(name, value)?),
                "responseMimeType" => kind = Some(self.value::<String>(name, value, "a text")?),
                "responseSchema" => schema = Some(openapi_schema::schema(value, &self.name(name))?),
                "responseJsonSchema" => schema = Some(Json(value.get().to_owned())),
                "thinkingConfig" => self.thinking(name, value)?,
                "responseModalities" if is_text_only(value) => {}
                known => {
                    if !self.sampling(known, name, value)? {
                        self.conversation.unmapped_fields.push(self.name(name));
                    }
                }
            }
        }

        let schema = schema.map(|schema| Schema {
            name: None,
            description: None,
            schema,
            // Google holds every response to its schema.
            strict: Some(true),
        });

        match (kind.as_deref(), schema) {
            (Some("text/plain"), _) => {
                self.conversation.response_format = Some(ResponseFormat::Text);
            }
            (Some("application/json"), Some(schema)) => {
                self.conversation.response_format = Some(ResponseFormat::Schema(schema));
            }
            (Some("application/json"), None) => {
                self.conversation.response_format = Some(ResponseFormat::Json);
            }
            (None, None) => {}
            // Google refuses a schema without its media type.
            // A schema alone, or a type that only Google has.
            (kind, _) => {
                let name = if kind.is_some() { "responseMimeType" } else { "responseSchema" };
                self.conversation.unmapped_fields.push(self.name(name));
            }
        }
        Ok(())
    }

    /// Decodes a sampling parameter. False where the member is another one.
    fn sampling(&mut self, known: &str, name: &str, value: &RawValue) -> Result<bool> {
        // Taken out, because `self` is needed for the names of members.
        let mut sampling = std::mem::take(&mut self.conversation.sampling);
        let Sampling {
            temperature,
            top_p,
            top_k,
            frequency_penalty,
            presence_penalty,
            seed,
            stop,
            n,
        } = &mut sampling;

        match known {
            "temperature" => *temperature = Some(self.number(name, value)?),
            "topP" => *top_p = Some(self.number(name, value)?),
            "topK" => {
                // An integer in the reference, and a float in the types of `google-genai`, which
                // writes `40.0`.
                let number: f64 = self.number(name, value)?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "saturates"
                )]
                let count = number as u64;
                *top_k = Some(count);
            }
            "frequencyPenalty" => *frequency_penalty = Some(self.number(name, value)?),
            "presencePenalty" => *presence_penalty = Some(self.number(name, value)?),
            "seed" => *seed = Some(self.number(name, value)?),
            "candidateCount" => *n = Some(self.number(name, value)?),
            "stopSequences" => *stop = self.value(name, value, "a list of texts")?,
            _ => {
                self.conversation.sampling = sampling;
                return Ok(false);
            }
        }
        self.conversation.sampling = sampling;
        Ok(true)
    }

    /// A budget of -1 means that the model decides, which is what an empty [`Reasoning`] says.
    fn thinking(&mut self, name: &str, value: &RawValue) -> Result<()> {
        let config: Object<'_> = self.value(name, value, "an object")?;
        let mut reasoning = Reasoning::default();
        for (member, value) in config.present() {
            let path = format!("{name}.{member}");
            match camel(member).as_ref() {
                "thinkingBudget" => {
                    let budget: i64 = self.number(&path, value)?;
                    reasoning.budget = u64::try_from(budget).ok();
                }
                "thinkingLevel" => {
                    let level: String = self.value(&path, value, "a text")?;
                    reasoning.effort = self.effort(&path, &level)?;
                }
                "includeThoughts" => {
                    reasoning.visible = Some(self.value(&path, value, "true or false")?);
                }
                _ => self.conversation.unmapped_fields.push(self.name(&path)),
            }
        }
        self.conversation.reasoning = Some(reasoning);
        Ok(())
    }

    fn effort(&self, path: &str, level: &str) -> Result<Option<Effort>> {
        Ok(Some(match level.to_ascii_lowercase().as_str() {
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" => Effort::Highest,
            "thinking_level_unspecified" => return Ok(None),
            _ => {
                let path = self.name(path);
                let message = format!("`{path}` must be `minimal`, `low`, `medium` or `high`.");
                return Err(Error::invalid(&path, message));
            }
        }))
    }

    fn name(&self, member: &str) -> String {
        format!("{}.{member}", self.path)
    }

    fn value<'v, T: serde::Deserialize<'v>>(
        &self,
        name: &str,
        value: &'v RawValue,
        wanted: &str,
    ) -> Result<T> {
        json::parsed(value, &self.name(name), wanted)
    }

    /// A number; Google also takes it as text.
    fn number<T: DeserializeOwned>(&self, name: &str, value: &RawValue) -> Result<T> {
        let bare = value.get().trim_matches('"');
        serde_json::from_str(bare).map_err(|error| {
            let path = self.name(name);
            let message = format!("`{path}` must be a number of the right range.");
            Error::invalid(&path, message).caused_by(json::unquoted(&error))
        })
    }
}

/// Whether only text is requested.
fn is_text_only(value: &RawValue) -> bool {
    serde_json::from_str::<Vec<String>>(value.get())
        .is_ok_and(|it| it.iter().all(|it| it.eq_ignore_ascii_case("text")))
}
