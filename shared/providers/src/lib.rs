//! The companies that we call.
//!
//! A provider is data: one small file and one line in [`CATALOG`]. Nothing here matches on one.

mod client;
mod connections;
mod endpoint;
mod fetch;
mod reassembly;
mod redaction;
mod request;
mod response;
mod response_headers;
mod signing;
mod stream;
mod tls;
mod upstream;

mod anthropic;
mod azure_openai;
mod bedrock;
mod bedrock_anthropic;
mod bedrock_openai;
mod cerebras;
mod cohere;
mod deepseek;
mod fireworks;
mod gemini;
mod github;
mod groq;
mod lmstudio;
mod mistral;
mod mock;
mod nvidia;
mod ollama;
mod openai;
mod openai_responses;
mod openrouter;
mod perplexity;
mod together;
mod vllm;
mod xai;

use canonical::Task;
use formats::{
    ChatCompatibility, MaxTokensName, Outbound, openai::chat::OpenAiChat,
    openai::embeddings::OpenAiEmbeddings, openai::responses::OpenAiResponses,
};
pub use formats::{StreamEnd, StreamUsage};

pub use client::{Client, ProxyVariables};
pub use endpoint::ResolveSecret;
pub use fetch::FetchedMedia;
pub use stream::{EventStream, OutputEstimate};
pub use upstream::{Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse};

/// What the gateway calls itself where it calls others.
pub(crate) const USER_AGENT: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

/// Every provider, by the word for `type` in the configuration.
pub const CATALOG: &[&Provider] = &[
    &anthropic::PROVIDER,
    &azure_openai::PROVIDER,
    &bedrock::PROVIDER,
    &bedrock_anthropic::PROVIDER,
    &bedrock_openai::PROVIDER,
    &cerebras::PROVIDER,
    &cohere::PROVIDER,
    &deepseek::PROVIDER,
    &fireworks::PROVIDER,
    &gemini::PROVIDER,
    &github::PROVIDER,
    &groq::PROVIDER,
    &lmstudio::PROVIDER,
    &mistral::PROVIDER,
    &mock::PROVIDER,
    &nvidia::PROVIDER,
    &ollama::PROVIDER,
    &openai::PROVIDER,
    &openai_responses::PROVIDER,
    &openrouter::PROVIDER,
    &perplexity::PROVIDER,
    &together::PROVIDER,
    &vllm::PROVIDER,
    &xai::PROVIDER,
];

/// How a provider is called.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The word for `type` in the configuration.
    pub name: &'static str,
    /// Where it lives, with its version segment; `{region}` is filled in. Empty where only the
    /// operator knows.
    pub base_url: &'static str,
    /// What a configured `base_url` without a path of its own gets, such as `/v1`.
    pub version: &'static str,
    /// The `api_version` that is meant when the configuration names none.
    pub api_version: &'static str,
    /// How the key travels.
    pub auth: Auth,
    /// Whether calls without a key make sense.
    pub key: Key,
    /// What it speaks, its own format first. At an address that is not its own, only the first of
    /// each task counts: who imitates a company rarely imitates all of it.
    pub apis: &'static [ProviderApi],
    /// How a stream comes to report its usage.
    pub stream_usage: StreamUsage,
    /// How it speaks OpenAI chat, if it does; at an address that is not its own, without what only
    /// OpenAI has.
    pub compatibility: ChatCompatibility,
    /// How a stream shows that it is whole.
    pub stream_end: StreamEnd,
    /// Headers that every call carries.
    pub headers: &'static [(&'static str, &'static str)],
}

/// One format that a provider speaks, and where.
#[derive(Clone, Copy, Debug)]
pub struct ProviderApi {
    /// What it is for.
    pub task: Task,
    /// The format.
    pub format: &'static dyn Outbound,
    /// The endpoint under the base URL; `{model}` and `{api_version}` are filled in.
    pub path: &'static str,
    /// Where streams are asked for, when that is elsewhere.
    pub stream_path: Option<&'static str>,
    /// How the names of those models begin that speak nothing else.
    pub only_for: &'static [&'static str],
}

/// How the key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone, in the header of this name.
    Header(&'static str),
    /// As a bearer where there is one; else the process's role in AWS signs for this service.
    SigV4(&'static str),
}

/// Whether a provider needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Every call is refused without one.
    Required,
    /// A server of one's own, or one that takes signatures too.
    Optional,
}

impl Provider {
    /// Whether it lives in many regions, and its address names one.
    pub fn takes_region(&self) -> bool {
        self.base_url.contains(REGION)
    }
}

/// What stands in an address for the region.
pub(crate) const REGION: &str = "{region}";

/// The entry of this name.
pub fn find(name: &str) -> Option<&'static Provider> {
    CATALOG.iter().copied().find(|it| it.name == name)
}

/// OpenAI chat, where nearly everybody has it.
pub(crate) const CHAT: ProviderApi = ProviderApi {
    task: Task::Chat,
    format: &OpenAiChat,
    path: "/chat/completions",
    stream_path: None,
    only_for: &[],
};

/// OpenAI Responses, where somebody has it.
pub(crate) const RESPONSES: ProviderApi =
    ProviderApi { format: &OpenAiResponses, path: "/responses", ..CHAT };

/// OpenAI embeddings, beside chat in most places.
pub(crate) const EMBEDDINGS: ProviderApi = ProviderApi {
    task: Task::Embed,
    format: &OpenAiEmbeddings,
    path: "/embeddings",
    stream_path: None,
    only_for: &[],
};

/// OpenAI's own words, some of which only its own models know.
pub(crate) const OPENAI_ITSELF: ChatCompatibility = ChatCompatibility {
    max_tokens_name: MaxTokensName::Completion,
    developer_role: true,
    ..ChatCompatibility::COMMON
};

/// Those whose references know `max_tokens` alone.
///
/// Mistral refuses the newer word (zed-industries/zed #57122); others pass over it, and with it the
/// limit.
pub(crate) const MAX_TOKENS_ONLY: ChatCompatibility =
    ChatCompatibility { max_tokens_name: MaxTokensName::Plain, ..ChatCompatibility::COMMON };

/// Any service that speaks OpenAI chat, from which the others differ in a line or two.
pub(crate) const OPENAI_COMPATIBLE: Provider = Provider {
    name: "openai",
    base_url: "https://api.openai.com/v1",
    version: "/v1",
    apis: &[CHAT, EMBEDDINGS],
    api_version: "",
    auth: Auth::Bearer,
    key: Key::Required,
    stream_usage: StreamUsage::OnRequest,
    compatibility: ChatCompatibility::COMMON,
    stream_end: StreamEnd::FinishReason,
    headers: &[],
};
