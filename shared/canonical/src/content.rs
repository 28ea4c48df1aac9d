//! What is said: turns and their parts, in the words that at least two formats share.

use std::collections::{HashMap, HashSet};

use crate::{Json, Signature};

/// A conversation, and what is wanted of its next turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// What was said so far, in order. System and developer texts stand where they stood.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// How tokens are chosen, and when to stop.
    pub sampling: Sampling,
    /// How much it may write, in tokens; absent is the provider's own limit.
    pub max_tokens: Option<u64>,
    /// How hard it thinks.
    pub reasoning: Option<Reasoning>,
    /// A marker that stands for the whole request rather than for a part of it.
    pub cache: Option<CacheBreakpoint>,
    /// Which of the client's own users asks.
    pub user: Option<String>,
    /// The client's own labels.
    pub metadata: Vec<(String, String)>,
    /// OpenAI's tier of service, by its own word.
    pub service_tier: Option<String>,
    /// OpenAI's `verbosity`, by its own word.
    pub verbosity: Option<String>,
    /// OpenAI's key for prompts that share a beginning.
    pub prompt_cache_key: Option<String>,
    /// What no other format has a word for, by the client's names: never passed to another format.
    pub unmapped_fields: Vec<String>,
}

/// What one side said at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// A name for one of several who share a role.
    pub name: Option<String>,
    /// What.
    pub parts: Vec<Part>,
}

/// Who speaks. Results of tools are parts of the user's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Rules from the operator of the client.
    System,
    /// Rules from its developer: OpenAI's newer word for nearly the same.
    Developer,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// One piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// Whether the provider may cache everything up to here.
    pub cache: Option<CacheBreakpoint>,
    /// What proves it to the provider that made it.
    pub signature: Option<Signature>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text, and where it comes from.
    Text(String, Vec<Citation>),
    /// What the model says in place of an answer.
    Refusal(String),
    /// What it thought. Empty where only the signature is known.
    Reasoning(String),
    /// A picture.
    Image(Media),
    /// Sound.
    Audio(Media),
    /// Moving pictures.
    Video(Media),
    /// A document.
    File(Media),
    /// The model's wish to have a tool called.
    ToolCall(ToolCall),
    /// What came of it.
    ToolResult(ToolResult),
}

/// A picture, a sound, a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// Where it is.
    pub source: MediaSource,
    /// What it is, such as `image/png`; absent when nobody said.
    pub media_type: Option<String>,
    /// Its name, for documents.
    pub name: Option<String>,
    /// How closely to look: OpenAI's `low`, `high`, `auto`.
    pub detail: Option<String>,
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource {
    /// At an address.
    Url(String),
    /// Here, in base64.
    Base64(String),
    /// Here, as plain text.
    Text(String),
    /// At the provider, under a name that only it knows.
    Id(String),
}

impl Default for MediaSource {
    fn default() -> Self {
        Self::Base64(String::new())
    }
}

/// The model's wish to have a tool called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// What its result will refer to. Never empty: readers make one where a provider has none.
    pub id: String,
    /// The tool.
    pub name: String,
    /// A JSON object; `{}` where there is nothing to say. As the model wrote it, so it may be broken.
    pub arguments: String,
}

/// What came of a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult {
    /// Which call.
    pub id: String,
    /// The tool, where the format says it again.
    pub name: Option<String>,
    /// Texts, pictures, documents.
    pub parts: Vec<Part>,
    /// Whether it failed; absent where the client does not say.
    pub is_error: Option<bool>,
}

/// Where a text comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// The page.
    pub url: Option<String>,
    /// Its title, or the document's.
    pub title: Option<String>,
    /// The words that are quoted.
    pub quote: Option<String>,
    /// Which characters of the answer's text it stands behind: first, and one past the last.
    pub range: Option<(u64, u64)>,
}

/// Up to where a provider may cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheBreakpoint {
    /// For how long, such as `5m` or `1h`; absent is the provider's own time.
    pub ttl: Option<String>,
}

/// Something that the model may call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its arguments; absent when it takes none.
    pub schema: Option<Json>,
    /// Whether the arguments must follow the schema to the letter.
    pub strict: Option<bool>,
    /// Whether the provider may cache everything up to here.
    pub cache: Option<CacheBreakpoint>,
}

/// Whether the model calls tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
    /// One of these, if it calls any; and whether it must.
    Among(Vec<String>, bool),
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Text.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    Schema(Schema),
}

/// A schema for the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// Its name; targets that demand one get `answer` where the client gave none.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema.
    pub schema: Json,
    /// Whether the answer must follow it to the letter.
    pub strict: Option<bool>,
}

impl Schema {
    /// What a model is told that takes no schemas, so that it has a chance to follow one.
    pub fn as_instruction(schema: &str) -> String {
        format!("Answer with one JSON object alone, which follows this JSON Schema: {schema}")
    }
}

/// How tokens are chosen, and when to stop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// From the most likely (0) to the unlikely.
    pub temperature: Option<f64>,
    /// Only the most likely, up to this sum of probabilities.
    pub top_p: Option<f64>,
    /// Only this many of the most likely.
    pub top_k: Option<u64>,
    /// Against words that were used often.
    pub frequency_penalty: Option<f64>,
    /// Against words that were used at all.
    pub presence_penalty: Option<f64>,
    /// The same seed, the same answer, as far as the provider can.
    pub seed: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers; absent is one.
    pub n: Option<u64>,
}

/// How hard the model thinks. Present and empty means that it decides for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens; 0 is not at all.
    pub budget: Option<u64>,
    /// Whether the client wants to see it.
    pub visible: Option<bool>,
}

/// How hard the model thinks, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// As much as it can.
    Highest,
}

impl Reasoning {
    /// The effort that is meant, by a word or by the budget; none when the model decides.
    pub fn as_effort(&self) -> Option<Effort> {
        self.effort.or_else(|| {
            self.budget.map(|it| match it {
                0 => Effort::None,
                1..=1024 => Effort::Low,
                1025..=8192 => Effort::Medium,
                _ => Effort::High,
            })
        })
    }

    /// The budget that is meant, in tokens. Source of the numbers: Google's table for OpenAI's
    /// words, <https://ai.google.dev/gemini-api/docs/openai>, seen 2026-11.
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

    /// Whether the client wants none.
    pub fn is_off(&self) -> bool {
        self.budget == Some(0) || (self.budget.is_none() && self.effort == Some(Effort::None))
    }
}

impl Part {
    /// A part without marks.
    pub fn new(content: Content) -> Self {
        Self { content, cache: None, signature: None }
    }

    /// A text without marks.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into(), vec![]))
    }
}

impl Message {
    /// A turn of one who needs no name.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, name: None, parts }
    }
}

impl Conversation {
    /// Tells the schema of the answer in words, behind the rules, and asks for any JSON object; or
    /// for nothing where it was that.
    pub(crate) fn move_schema_into_prompt(&mut self) {
        if let Some(ResponseFormat::Schema(schema)) = self.response_format.take() {
            let told = Part::text(Schema::as_instruction(&schema.schema.0));
            let rules = |it: &&Message| matches!(it.role, Role::System | Role::Developer);
            let behind = self.messages.iter().take_while(rules).count();
            self.messages.insert(behind, Message::new(Role::System, vec![told]));
            self.response_format = Some(ResponseFormat::Json);
        }
    }

    /// Whether every call has an id of its own. Some providers count anew in each turn.
    pub fn has_unique_call_ids(&self) -> bool {
        let mut seen = HashSet::new();
        let parts = self.messages.iter().flat_map(|it| &it.parts);
        parts.into_iter().all(|it| match &it.content {
            Content::ToolCall(call) => seen.insert(call.id.as_str()),
            _ => true,
        })
    }

    /// Gives a call whose id stands for another before it one of its own, and its result the same.
    pub fn make_call_ids_unique(&mut self) {
        let mut used: HashSet<String> = HashSet::new();
        let mut times: HashMap<String, u32> = HashMap::new();
        let mut current: HashMap<String, String> = HashMap::new();
        for part in self.messages.iter_mut().flat_map(|it| &mut it.parts) {
            match &mut part.content {
                Content::ToolCall(call) => {
                    let mut id = call.id.clone();
                    while !used.insert(id.clone()) {
                        let times = times.entry(call.id.clone()).or_insert(1);
                        *times += 1;
                        id = format!("{}_{times}", call.id);
                    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_budgets_mean_each_other() {
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
        let turns = vec![
            call("c", "f"),
            result("c"),
            call("c_2", "g"),
            call("c", "h"),
            result("c"),
            result("c_2"),
        ];
        let mut conversation = Conversation { messages: turns, ..Conversation::default() };
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
