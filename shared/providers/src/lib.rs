//! Providers: the catalog of them, and calls to them.
//!
//! A provider is data: one small file and one line in [`CATALOG`]. Nothing here matches on one. Whom to
//! call, and when to give up, is decided by `routing`.

mod client;
mod connections;
mod endpoint;
mod fetch;
mod memory;
mod model_list;
mod notifications;
mod reassembly;
mod redaction;
mod relay;
mod remote_gateway;
mod replay;
mod request;
mod response;
mod response_headers;
mod response_text;
mod signing;
mod stream;
mod telemetry_export;
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
mod jina;
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

use canonical::ModelApi;
use formats::{
    ChatCompatibility, MaxTokensName, ProviderFormat, opaque,
    openai::chat::OpenAiChat,
    openai::completions::OpenAiCompletions,
    openai::embeddings::OpenAiEmbeddings,
    openai::responses::{OpenAiCompact, OpenAiResponses},
};
pub use formats::{StreamEnd, StreamUsage};

pub use client::{Client, ProxyVariables};
pub use endpoint::ResolveSecret;
pub use fetch::FetchedMedia;
pub use memory::{MemoryBudget, MemoryBuffer, Reservation};
pub use model_list::{ListedModel, ModelListing};
pub use notifications::Message;
pub use redaction::redact_stream_error;
pub use relay::{RelayBody, RelayPayload, RelayRequest, RelayResponse, StreamedBody};
pub use replay::KeptResponse;
pub use response_text::ResponseText;
pub use stream::{EventStream, OutputEstimate};
pub use telemetry_export::ExportRequest;
pub use tls::check_ca_file;
pub use upstream::{Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse};

/// The gateway's `User-Agent` at providers.
pub(crate) const USER_AGENT: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

/// Every provider, by its `type` in the configuration.
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
    &jina::PROVIDER,
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
    /// The `type` in the configuration.
    pub name: &'static str,
    /// The base URL, with its version segment; `{region}` is filled in. Empty where only the operator
    /// knows.
    pub base_url: &'static str,
    /// The path of a configured `base_url` that has none, such as `/v1`.
    pub version: &'static str,
    /// The `api_version` where the configuration names none.
    pub api_version: &'static str,
    /// How the key travels.
    pub auth: Auth,
    /// Whether calls without a key make sense.
    pub key: Key,
    /// The variables that usually hold a key of the provider, the usual one first. Empty where a key
    /// alone is not enough to call the provider, or none is needed.
    pub key_variables: &'static [&'static str],
    /// The APIs of the provider, that in its own format first. At an address that is not its own, only
    /// the first of each task counts: servers that imitate a company rarely imitate all of it.
    pub apis: &'static [ProviderApi],
    /// How a stream comes to report usage.
    pub stream_usage: StreamUsage,
    /// How the provider's OpenAI chat differs from OpenAI's own, where it has chat; at an address that
    /// is not its own, without what only OpenAI has.
    pub compatibility: ChatCompatibility,
    /// How a stream shows that it is complete.
    pub stream_end: StreamEnd,
    /// Headers that every call carries.
    pub headers: &'static [(&'static str, &'static str)],
    /// Collections of objects that the provider keeps, such as `files`, and their paths under the base.
    pub collections: &'static [(&'static str, &'static str)],
}

/// One API of a provider: a format, and where it is called.
#[derive(Clone, Copy, Debug)]
pub struct ProviderApi {
    /// The wire format, with the task that the API is for.
    pub format: ProviderFormat,
    /// The endpoint under the base URL; `{model}` and `{api_version}` are filled in.
    pub path: &'static str,
    /// The endpoint for streams, where that is another one.
    pub stream_path: Option<&'static str>,
    /// What the facts about a model must name for the API to be the model's: in a chat such a model has
    /// no other API, and for other tasks no other model has this one. None where it is for every model.
    pub only_with: Option<ModelApi>,
    /// Where the API is called.
    pub offered: Offered,
}

/// Where an API is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// At every address.
    Anywhere,
    /// At the provider's own address alone: those who imitate the provider do not have it.
    AtHome,
}

/// How the key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone, in the header of this name.
    Header(&'static str),
    /// As a bearer where there is a key; else requests are signed for this service of AWS.
    SigV4(&'static str),
}

/// Whether a provider needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Every call without a key is refused.
    Required,
    /// Calls without a key may work: a server of one's own, or one that takes signatures too.
    Optional,
}

impl Provider {
    /// Whether the provider's address names a region.
    pub fn takes_region(&self) -> bool {
        self.base_url.contains(REGION)
    }
}

/// The placeholder of the region in an address.
pub(crate) const REGION: &str = "{region}";

/// The entry of this name.
pub fn find(name: &str) -> Option<&'static Provider> {
    CATALOG.iter().copied().find(|it| it.name == name)
}

/// The provider whose host an address names: of several, `preferred`.
pub fn find_by_host(base_url: &str, preferred: &'static Provider) -> Option<&'static Provider> {
    let host = host_of(base_url)?;
    let is_there = |it: &&'static Provider| host_of(it.base_url).is_some_and(|own| own == host);
    Some(preferred).filter(is_there).or_else(|| CATALOG.iter().copied().find(is_there))
}

/// The host and port of an address, in lower case.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().filter(|it| !it.is_empty())?;
    Some(authority.trim_end_matches(":443").to_ascii_lowercase())
}

/// OpenAI chat, at the path where nearly every provider has it.
pub(crate) const CHAT: ProviderApi = ProviderApi {
    format: ProviderFormat::Chat(&OpenAiChat),
    path: "/chat/completions",
    stream_path: None,
    only_with: None,
    offered: Offered::Anywhere,
};

/// OpenAI Responses, at the path of the few providers that have it.
pub(crate) const RESPONSES: ProviderApi =
    ProviderApi { format: ProviderFormat::Chat(&OpenAiResponses), path: "/responses", ..CHAT };

/// OpenAI embeddings, which most providers have beside chat.
pub(crate) const EMBEDDINGS: ProviderApi = ProviderApi {
    format: ProviderFormat::Embeddings(&OpenAiEmbeddings),
    path: "/embeddings",
    ..CHAT
};

/// OpenAI's compaction of conversations.
pub(crate) const COMPACTION: ProviderApi = ProviderApi {
    format: ProviderFormat::Compaction(&OpenAiCompact),
    path: "/responses/compact",
    ..CHAT
};

/// OpenAI's older completions, at the path where several providers have them.
pub(crate) const COMPLETIONS: ProviderApi = ProviderApi {
    format: ProviderFormat::Completions(&OpenAiCompletions),
    path: "/completions",
    ..CHAT
};

/// OpenAI's older completions of gaps, at providers that take a `suffix`.
pub(crate) const INFILL: ProviderApi =
    ProviderApi { format: ProviderFormat::Infill(&OpenAiCompletions), ..COMPLETIONS };

/// OpenAI's audio: its text, its English text, and audio of a text.
pub(crate) const TRANSCRIPTIONS: ProviderApi = ProviderApi {
    format: ProviderFormat::Opaque(&opaque::TRANSCRIPTIONS),
    path: "/audio/transcriptions",
    ..CHAT
};
pub(crate) const TRANSLATIONS: ProviderApi = ProviderApi {
    format: ProviderFormat::Opaque(&opaque::TRANSLATIONS),
    path: "/audio/translations",
    ..CHAT
};
pub(crate) const SPEECH: ProviderApi =
    ProviderApi { format: ProviderFormat::Opaque(&opaque::SPEECH), path: "/audio/speech", ..CHAT };

/// OpenAI's images, made and changed.
pub(crate) const IMAGES: ProviderApi = ProviderApi {
    format: ProviderFormat::Opaque(&opaque::IMAGES),
    path: "/images/generations",
    ..CHAT
};
pub(crate) const IMAGE_EDITS: ProviderApi = ProviderApi {
    format: ProviderFormat::Opaque(&opaque::IMAGE_EDITS),
    path: "/images/edits",
    ..CHAT
};

/// OpenAI's moderation.
pub(crate) const MODERATIONS: ProviderApi = ProviderApi {
    format: ProviderFormat::Opaque(&opaque::MODERATIONS),
    path: "/moderations",
    ..CHAT
};

/// Reranking, at the path that Jina has and others share.
pub(crate) const RERANK: ProviderApi =
    ProviderApi { format: ProviderFormat::Opaque(&opaque::RERANK), path: "/rerank", ..CHAT };

/// OpenAI's own chat, with fields that only its own models know.
pub(crate) const OPENAI_ITSELF: ChatCompatibility = ChatCompatibility {
    max_tokens_name: MaxTokensName::Completion,
    developer_role: true,
    ..ChatCompatibility::COMMON
};

/// The chat of providers whose references know `max_tokens` alone.
///
/// Mistral refuses `max_completion_tokens` (zed-industries/zed #57122); others ignore it, and with it
/// the limit.
pub(crate) const MAX_TOKENS_ONLY: ChatCompatibility =
    ChatCompatibility { max_tokens_name: MaxTokensName::Plain, ..ChatCompatibility::COMMON };

/// Any service with OpenAI's chat API, from which most others differ in a line or two.
pub(crate) const OPENAI_COMPATIBLE: Provider = Provider {
    name: "openai",
    base_url: "https://api.openai.com/v1",
    version: "/v1",
    apis: &[CHAT, EMBEDDINGS],
    api_version: "",
    auth: Auth::Bearer,
    key: Key::Required,
    key_variables: &[],
    stream_usage: StreamUsage::OnRequest,
    compatibility: ChatCompatibility::COMMON,
    stream_end: StreamEnd::FinishReason,
    headers: &[],
    collections: &[],
};

/// Files and batches, at OpenAI's paths.
pub(crate) const FILES_AND_BATCHES: &[(&str, &str)] =
    &[("files", "/files"), ("batches", "/batches")];
