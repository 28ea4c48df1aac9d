//! Wire forms of a response: items, their parts, and the response around them.

use canonical::{
    CallSummary, Citation, Content, FinishReason, Media, MediaSource, Part as CanonicalPart,
    Signature, Usage,
};
use serde::Serialize;

use super::{
    super::tool_name::{self, ToolName},
    content::unsealed,
    echo::{EchoJson, RequestEcho},
};

/// One item of a response.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    /// The text.
    Message { id: String, status: Status, role: &'static str, content: Vec<Part> },
    /// A tool is to be called.
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        name: String,
        arguments: String,
    },
    /// A tool is to be called that takes any text.
    CustomToolCall {
        id: String,
        status: Status,
        call_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        name: String,
        input: String,
    },
    /// The reasoning.
    Reasoning {
        id: String,
        summary: Vec<Part>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    /// The item in place of the conversation so far.
    Compaction { id: String, encrypted_content: String },
    /// An image.
    ImageGenerationCall { id: String, status: Status, result: String },
}

/// One part of an item.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    /// Text, and where it comes from.
    OutputText { text: String, annotations: Vec<Annotation>, logprobs: [(); 0] },
    /// The refusal.
    Refusal { refusal: String },
    /// The reasoning.
    SummaryText { text: String },
}

/// Where a text comes from.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Annotation {
    /// A page.
    UrlCitation { url: String, title: String, start_index: u64, end_index: u64 },
    /// A document.
    FileCitation { file_id: String, filename: String, index: u64 },
}

/// The status of a response or an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// The item is still being generated.
    InProgress,
    /// The response or item is whole.
    Completed,
    /// The response or item is cut by a limit or a filter.
    Incomplete,
    /// The response failed.
    Failed,
}

/// The end of a response: its status, and why it is incomplete.
pub(super) fn outcome(finish: &FinishReason, refused: bool) -> (Status, Option<&'static str>) {
    match finish {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => {
            (Status::Completed, None)
        }
        // A refusal with its words is a whole response, whose content is of the type `refusal`.
        FinishReason::Refusal if refused => (Status::Completed, None),
        // The reference knows two reasons for a response that is incomplete.
        FinishReason::Refusal | FinishReason::Filtered => {
            (Status::Incomplete, Some("content_filter"))
        }
        // The nearest counterpart of a pause: a request with this response in it lets the model go on.
        FinishReason::Length | FinishReason::ContextFull | FinishReason::Paused => {
            (Status::Incomplete, Some("max_output_tokens"))
        }
    }
}

impl Part {
    /// A text that comes from nowhere else.
    pub(super) fn text(text: String) -> Self {
        Self::OutputText { text, annotations: vec![], logprobs: [] }
    }
}

impl Annotation {
    /// A citation in this format.
    pub(super) fn new(citation: &Citation) -> Self {
        let (start_index, end_index) = citation.range.unwrap_or_default();
        let title = citation.title.clone().unwrap_or_default();
        match &citation.url {
            Some(url) => Self::UrlCitation { url: url.clone(), title, start_index, end_index },
            None => {
                // The only annotation without a URL; its id is required, and nobody could look one
                // up.
                Self::FileCitation { file_id: String::new(), filename: title, index: start_index }
            }
        }
    }
}

impl Item {
    /// A call of either kind.
    pub(super) fn call(id: String, call_id: String, name: &str, arguments: &str) -> Self {
        let ToolName { namespace, name, custom } = ToolName::of(name);
        let (namespace, name) = (namespace.map(str::to_owned), name.to_owned());
        let status = Status::Completed;
        // Clients run a custom tool with its text, and never see the arguments that carried it.
        if custom {
            let input = tool_name::input(arguments);
            return Self::CustomToolCall { id, status, call_id, namespace, name, input };
        }
        let arguments = whole(arguments);
        Self::FunctionCall { id, status, call_id, namespace, name, arguments }
    }

    /// The item as it is announced, before any of its content.
    pub(super) fn begun(mut self) -> Self {
        match &mut self {
            Self::FunctionCall { status, arguments: text, .. }
            | Self::CustomToolCall { status, input: text, .. } => {
                // An item is announced empty, and its deltas fill it.
                *status = Status::InProgress;
                text.clear();
            }
            Self::Message { .. }
            | Self::Reasoning { .. }
            | Self::Compaction { .. }
            | Self::ImageGenerationCall { .. } => {}
        }
        self
    }

    /// The item of reasoning under the id by which it was announced.
    pub(super) fn named(mut self, name: &str) -> Self {
        if let Self::Reasoning { id, .. } = &mut self {
            name.clone_into(id);
        }
        self
    }
}

/// The ids of a response and of its items.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The response's own id.
    pub(super) id: String,
}

impl Names {
    /// Ids that are made of the provider's own for the response.
    pub(super) fn new(id: &str) -> Self {
        let id = if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{id}") };
        Self { id }
    }

    /// The name of the item at this place.
    pub(super) fn item(&self, kind: &str, at: usize) -> String {
        let plain = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        format!("{kind}_{plain}_{at}")
    }

    /// The item of reasoning. Its signature is included, even where this client's provider cannot
    /// use it.
    pub(super) fn reasoning(&self, at: usize, text: &str, signature: Option<&Signature>) -> Item {
        // OpenAI's own reasoning goes to the client under its own id, with what OpenAI encrypted:
        // it may come back to OpenAI untouched.
        let own = signature.and_then(unsealed);
        let id = own.map(|it| it.0).filter(|it| !it.is_empty());
        let encrypted = own.map(|it| it.1.to_owned()).or_else(|| signature.map(Signature::tagged));
        let summary = Some(text).filter(|it| !it.is_empty());
        Item::Reasoning {
            id: id.map_or_else(|| self.item("rs", at), str::to_owned),
            summary: summary
                .map(|it| Part::SummaryText { text: it.to_owned() })
                .into_iter()
                .collect(),
            encrypted_content: encrypted,
        }
    }

    /// All parts of a response, as items.
    pub(super) fn items(&self, parts: &[CanonicalPart], status: Status) -> Vec<Item> {
        let mut items: Vec<Item> = vec![];
        for part in parts {
            let at = items.len();
            match &part.content {
                Content::Text(text, citations) => {
                    let annotations = citations.iter().map(Annotation::new).collect();
                    let text = text.clone();
                    self.add_text(&mut items, Part::OutputText { text, annotations, logprobs: [] });
                    // This format signs no texts: the signature becomes an item of its own behind
                    // the text.
                    if part.signature.is_some() {
                        items.push(self.reasoning(items.len(), "", part.signature.as_ref()));
                    }
                }
                Content::Refusal(refusal) => {
                    self.add_text(&mut items, Part::Refusal { refusal: refusal.clone() });
                }
                Content::Reasoning(text) => {
                    items.push(self.reasoning(at, text, part.signature.as_ref()));
                }
                Content::ToolCall(call) => items.push(Item::call(
                    self.item("fc", at),
                    signed(&call.id, part.signature.as_ref()),
                    &call.name,
                    &call.arguments,
                )),
                Content::Image(media) => match image(self.item("ig", at), media) {
                    Ok(item) => items.push(item),
                    Err(url) => self.add_text(&mut items, Part::text(url)),
                },
                // A response of this format holds no other content.
                Content::Audio(_)
                | Content::Video(_)
                | Content::File(_)
                | Content::ToolResult(_) => {}
            }
        }

        if items.is_empty() {
            // Clients look into the first item.
            self.add_text(&mut items, Part::text(String::new()));
        }
        if let Some(Item::Message { status: last, .. }) = items.last_mut() {
            // Only the last item can have been cut.
            *last = status;
        }
        items
    }

    /// Adds to the message that stands last, or begins one.
    fn add_text(&self, items: &mut Vec<Item>, part: Part) {
        if let Some(Item::Message { content, .. }) = items.last_mut() {
            content.push(part);
            return;
        }
        let id = self.item("msg", items.len());
        let content = vec![part];
        items.push(Item::Message { id, status: Status::Completed, role: "assistant", content });
    }
}

/// An image as an item; its URL where there are no bytes.
pub(super) fn image(id: String, media: &Media) -> Result<Item, String> {
    match &media.source {
        MediaSource::Base64(data) => {
            let result = data.clone();
            Ok(Item::ImageGenerationCall { id, status: Status::Completed, result })
        }
        MediaSource::Url(text) | MediaSource::Text(text) | MediaSource::Id(text) => {
            Err(text.clone())
        }
    }
}

/// A call's id with the signature of the call.
pub(super) fn signed(id: &str, signature: Option<&Signature>) -> String {
    signature.map_or_else(|| id.to_owned(), |it| it.attach_to_id(id))
}

/// Arguments as clients parse them.
pub(super) fn whole(arguments: &str) -> String {
    if arguments.trim().is_empty() { "{}".to_owned() } else { arguments.to_owned() }
}

/// A response, as far as it has come.
#[derive(Debug, Serialize)]
pub(super) struct ResponseJson<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created_at: u64,
    completed_at: Option<u64>,
    pub(super) status: Status,
    pub(super) error: Option<Failure<'a>>,
    pub(super) incomplete_details: Option<Reason>,
    pub(super) model: &'a str,
    pub(super) output: &'a [Item],
    pub(super) usage: Option<Tokens>,
    #[serde(flatten)]
    echo: EchoJson<'a>,
}

/// The reason why a response is incomplete.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    reason: &'static str,
}

/// The failure of a response.
#[derive(Debug, Serialize)]
pub(super) struct Failure<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

impl<'a> ResponseJson<'a> {
    /// A response with nothing in it yet.
    pub(super) fn new(id: &'a str, model: &'a str, created_at: u64, echo: &'a RequestEcho) -> Self {
        Self {
            id,
            object: "response",
            created_at,
            completed_at: None,
            status: Status::InProgress,
            error: None,
            incomplete_details: None,
            model,
            output: &[],
            usage: None,
            echo: echo.members(),
        }
    }

    /// The response at its end.
    pub(super) fn ended(
        mut self,
        (status, reason): (Status, Option<&'static str>),
        summary: &CallSummary,
    ) -> Self {
        let now = (summary.arrived + summary.latency_ms) / 1000;
        self.completed_at = Some(now).filter(|_| status == Status::Completed);
        self.status = status;
        self.incomplete_details = reason.map(|reason| Reason { reason });
        self
    }
}

/// The usage of a response, as this format counts it.
#[derive(Debug, Serialize)]
pub(super) struct Tokens {
    input_tokens: u64,
    input_tokens_details: Read,
    output_tokens: u64,
    output_tokens_details: Written,
    total_tokens: u64,
}

#[derive(Debug, Serialize)]
struct Read {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Debug, Serialize)]
struct Written {
    reasoning_tokens: u64,
}

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.all_input(),
            input_tokens_details: Read {
                cached_tokens: usage.cached_input,
                cache_write_tokens: usage.cache_write,
            },
            output_tokens: usage.all_output(),
            output_tokens_details: Written { reasoning_tokens: usage.reasoning },
            total_tokens: usage.total(),
        }
    }
}
