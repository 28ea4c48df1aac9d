//! Conversations: messages, their parts, and what is wanted of the response.
//!
//! A member is here if at least two formats have it.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::{Json, Signature};

/// A conversation, and what is wanted of the next message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// The messages so far, in order. System and developer messages stand where the client put them.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model may, must or must not call tools.
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the response.
    pub response_format: Option<ResponseFormat>,
    /// How tokens are chosen, and when to stop.
    pub sampling: Sampling,
    /// The most that the model may write, in tokens; absent is the provider's own limit.
    pub max_tokens: Option<u64>,
    /// How much the model reasons.
    pub reasoning: Option<Reasoning>,
    /// A cache breakpoint for the whole request rather than for a part of it.
    pub cache: Option<CacheBreakpoint>,
    /// The client's own user, for the provider's abuse detection.
    pub user: Option<String>,
    /// The client's own labels.
    pub metadata: Vec<(String, String)>,
    /// OpenAI's tier of service, as OpenAI writes it.
    pub service_tier: Option<String>,
    /// OpenAI's `verbosity`, as OpenAI writes it.
    pub verbosity: Option<String>,
    /// OpenAI's key for prompts that share a beginning.
    pub prompt_cache_key: Option<String>,
    /// Members of the request that no other format has, by the client's names: they are never passed
    /// to another format.
    pub unmapped_fields: Vec<String>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The role of its author.
    pub role: Role,
    /// A name that tells authors of one role apart.
    pub name: Option<String>,
    /// What the message holds, in order.
    pub parts: Vec<Part>,
}

/// The author of a message. Tool results are parts of the user's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator of the client: a system prompt.
    System,
    /// The developer of the client: OpenAI's newer word for nearly the same.
    Developer,
    /// The user of the client.
    User,
    /// The model.
    Assistant,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What the part holds.
    pub content: Content,
    /// Where the provider may cache everything up to and including this.
    pub cache: Option<CacheBreakpoint>,
    /// The signature with which its maker recognizes the part.
    pub signature: Option<Signature>,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text, and the sources that it cites.
    Text(String, Vec<Citation>),
    /// The text with which the model refuses.
    Refusal(String),
    /// The model's reasoning; empty where only its signature is known.
    Reasoning(String),
    /// An image.
    Image(Media),
    /// Audio.
    Audio(Media),
    /// Video.
    Video(Media),
    /// A document.
    File(Media),
    /// A tool call of the model.
    ToolCall(ToolCall),
    /// The result of a tool call.
    ToolResult(ToolResult),
}

/// An image, audio, a video or a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// Where its bytes are.
    pub source: MediaSource,
    /// The media type, such as `image/png`; absent when nobody named it.
    pub media_type: Option<String>,
    /// The file name, for documents.
    pub name: Option<String>,
    /// How closely the model looks at an image: OpenAI's `low`, `high`, `auto`.
    pub detail: Option<String>,
}

/// Where the bytes of media are.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource {
    /// At an address.
    Url(String),
    /// In the request, in base64.
    Base64(String),
    /// In the request, as plain text.
    Text(String),
    /// At the provider, under an id that only this provider knows.
    Id(String),
}

impl Default for MediaSource {
    fn default() -> Self {
        Self::Base64(String::new())
    }
}

/// A tool call of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// The id that its result refers to. Never empty: decoders make one where a provider gives none.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// A JSON object as text, `{}` where there are no arguments. Models write it, so it may be broken.
    pub arguments: String,
}

/// The result of a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The name of the tool, where the format repeats it.
    pub name: Option<String>,
    /// Texts, images, documents.
    pub parts: Vec<Part>,
    /// Whether the call failed; absent where the client does not say.
    pub is_error: Option<bool>,
}

/// A source that a text cites.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// The address of the page.
    pub url: Option<String>,
    /// The title of the page or document.
    pub title: Option<String>,
    /// The quoted words.
    pub quote: Option<String>,
    /// The characters of the response's text that cite the source: first, and one past the last.
    pub range: Option<(u64, u64)>,
}

/// The end of what a provider may cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheBreakpoint {
    /// How long the cache entry lives, such as `5m` or `1h`; absent is the provider's default.
    pub ttl: Option<String>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// The name of the tool.
    pub name: String,
    /// What the tool is for.
    pub description: Option<String>,
    /// JSON Schema of the arguments; absent when the tool takes none.
    pub schema: Option<Json>,
    /// Whether the arguments must follow the schema exactly.
    pub strict: Option<bool>,
    /// Where the provider may cache everything up to and including this.
    pub cache: Option<CacheBreakpoint>,
}

/// Whether the model calls tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// The model calls none.
    None,
    /// The model calls at least one.
    Required,
    /// The model calls the tool of this name.
    Named(String),
    /// The model calls one of these, if any; and whether it must call one.
    Among(Vec<String>, bool),
}

/// The form of a response.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Text.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    Schema(Schema),
}

/// A JSON Schema for the response.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The name of the schema; targets that demand one get `answer` where the client gave none.
    pub name: Option<String>,
    /// What the response is for.
    pub description: Option<String>,
    /// The schema itself.
    pub schema: Json,
    /// Whether the response must follow the schema exactly.
    pub strict: Option<bool>,
}

impl Schema {
    /// An instruction to follow a schema, for models that take no schemas.
    pub fn as_instruction(schema: &str) -> String {
        format!("Answer with one JSON object alone, which follows this JSON Schema: {schema}")
    }
}

/// How tokens are chosen, and when to stop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// How far sampling departs from the most likely token (0).
    pub temperature: Option<f64>,
    /// Sampling is limited to the most likely tokens, up to this sum of probabilities.
    pub top_p: Option<f64>,
    /// Sampling is limited to this many of the most likely tokens.
    pub top_k: Option<u64>,
    /// A penalty on tokens by how often they were used.
    pub frequency_penalty: Option<f64>,
    /// A penalty on tokens that were used at all.
    pub presence_penalty: Option<f64>,
    /// A seed for repeatable responses, as far as the provider can repeat them.
    pub seed: Option<i64>,
    /// Texts that end the response.
    pub stop: Vec<String>,
    /// The number of choices; absent is one.
    pub n: Option<u64>,
}

/// How much the model reasons. Present and empty means that the model decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The effort, in words.
    pub effort: Option<Effort>,
    /// The budget, in tokens; 0 is no reasoning.
    pub budget: Option<u64>,
    /// Whether the client wants to see the reasoning.
    pub visible: Option<bool>,
}

/// How much the model reasons, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as the model can.
    Highest,
}

impl Reasoning {
    /// The effort, named or derived from the budget; none when the model decides.
    pub fn as_effort(&self) -> Option<Effort> {
        self.effort.or_else(|| {
            self.budget.map(|it| match it {
                0 => Effort::None,
                // The table of `as_budget` read backwards; 1024 is also the least budget that
                // Claude takes, so that nothing below it can mean less.
                1..=1024 => Effort::Low,
                1025..=8192 => Effort::Medium,
                _ => Effort::High,
            })
        })
    }

    /// The budget in tokens, named or derived from the effort. Source of the numbers: Google's table
    /// for OpenAI's efforts, <https://ai.google.dev/gemini-api/docs/openai>, seen 2026-11.
    pub fn as_budget(&self) -> Option<u64> {
        self.budget.or_else(|| {
            self.effort.map(|it| match it {
                Effort::None => 0,
                Effort::Minimal | Effort::Low => 1024,
                Effort::Medium => 8192,
                Effort::High => 24_576,
                Effort::Highest => 32_768,
            })
        })
    }

    /// Whether the client wants no reasoning.
    pub fn is_off(&self) -> bool {
        // The budget counts more than the effort, as in `as_budget`: a client that names both means
        // the number.
        self.budget == Some(0) || (self.budget.is_none() && self.effort == Some(Effort::None))
    }
}

impl Part {
    /// A part without cache breakpoint and signature.
    pub fn new(content: Content) -> Self {
        Self { content, cache: None, signature: None }
    }

    /// A text part without cache breakpoint and signature.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into(), vec![]))
    }
}

impl Message {
    /// A message without a name.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, name: None, parts }
    }
}

impl Conversation {
    /// Moves the schema of the response into the prompt, behind the system messages, and requests any
    /// JSON object; or no form at all where that was requested before.
    pub(crate) fn move_schema_into_prompt(&mut self) {
        if let Some(ResponseFormat::Schema(schema)) = self.response_format.take() {
            let instruction = Part::text(Schema::as_instruction(&schema.schema.0));
            // Behind the client's own prompt, so that a cached prompt keeps its beginning; and not
            // at the end, where some templates refuse system messages.
            let behind = self.messages.iter().take_while(is_system).count();
            self.messages.insert(behind, Message::new(Role::System, vec![instruction]));
            // Still JSON mode: models follow an instruction better with it.
            self.response_format = Some(ResponseFormat::Json);
        }
    }

    /// Whether every call has an id of its own. Some providers count anew in each message.
    pub fn has_unique_call_ids(&self) -> bool {
        let mut seen = HashSet::new();
        let parts = self.messages.iter().flat_map(|it| &it.parts);
        parts.into_iter().all(|it| match &it.content {
            Content::ToolCall(call) => seen.insert(call.id.as_str()),
            _ => true,
        })
    }

    /// Gives a call whose id an earlier call has another id, and its result the same.
    pub fn make_call_ids_unique(&mut self) {
        let mut used: HashSet<String> = HashSet::new();
        let mut times: HashMap<String, u32> = HashMap::new();
        let mut current: HashMap<String, String> = HashMap::new();
        for part in self.messages.iter_mut().flat_map(|it| &mut it.parts) {
            match &mut part.content {
                Content::ToolCall(call) => {
                    let mut id = call.id.clone();
                    // The new id may be the client's own id of another call.
                    while !used.insert(id.clone()) {
                        // Counted on from the last one: to begin anew would make the work grow with
                        // the square of the calls.
                        let times = times.entry(call.id.clone()).or_insert(1);
                        *times += 1;
                        id = format!("{}_{times}", call.id);
                    }
                    // The latest call of an id is the one that the next result belongs to.
                    current.insert(std::mem::replace(&mut call.id, id.clone()), id);
                }
                Content::ToolResult(result) => {
                    if let Some(id) = current.get(&result.id) {
                        result.id.clone_from(id);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whether a message is a part of the system prompt.
fn is_system(it: &&Message) -> bool {
    matches!(it.role, Role::System | Role::Developer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_and_budgets_convert_to_each_other() {
        let budget = |budget| Reasoning { budget: Some(budget), ..Reasoning::default() };
        let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
        for word in [Effort::None, Effort::Low, Effort::Medium, Effort::High] {
            let tokens = effort(word).as_budget().unwrap();
            assert_eq!(budget(tokens).as_effort(), Some(word));
        }
        assert!(budget(0).is_off() && effort(Effort::None).is_off());
        assert!(!Reasoning::default().is_off());
        assert_eq!(Reasoning::default().as_budget(), None);
    }

    #[test]
    fn a_call_gets_an_id_of_its_own() {
        let call = |id: &str, name: &str| {
            let call = ToolCall { id: id.to_owned(), name: name.to_owned(), ..ToolCall::default() };
            Message::new(Role::Assistant, vec![Part::new(Content::ToolCall(call))])
        };
        let result = |id: &str| {
            let result = ToolResult { id: id.to_owned(), ..ToolResult::default() };
            Message::new(Role::User, vec![Part::new(Content::ToolResult(result))])
        };
        let messages = vec![
            call("c", "f"),
            result("c"),
            call("c_2", "g"),
            call("c", "h"),
            result("c"),
            result("c_2"),
        ];
        let mut conversation = Conversation { messages, ..Conversation::default() };
        assert!(!conversation.has_unique_call_ids());
        conversation.make_call_ids_unique();
        assert!(conversation.has_unique_call_ids());
        let ids: Vec<_> = conversation
            .messages
            .iter()
            .map(|it| match &it.parts[0].content {
                Content::ToolCall(call) => call.id.as_str(),
                Content::ToolResult(result) => result.id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, ["c", "c", "c_2", "c_3", "c_3", "c_2"]);
    }
}
