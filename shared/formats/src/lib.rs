//! Wire formats, to and from the canonical vocabulary.
//!
//! Pure: nothing here does I/O, waits or knows a provider. A request that stays in one format
//! keeps its own bytes; only what must change is changed.

pub mod anthropic;
pub mod aws;
mod common;
pub mod google;
mod inbound;
pub mod opaque;
pub mod openai;
mod options;
mod outbound;
mod request;

use common::{
    alternating_roles, arguments, base64, data_uri, diagnosis, error_body, fingerprint,
    finish_reason, json, lenient_values, lost_reasoning, media_type, multipart, object_schema,
    param_names, redact, response_id, retry_hint, signature_tags, size_limits, split_surrogates,
    sse, stop_sequences, strict_schema, surrogates, tool_names, used_up_quota, whole_calls,
};

pub use common::byte_order_mark::{BYTE_ORDER_MARK, without_byte_order_mark};
pub use common::completeness::is_complete;
pub use common::error_body::from_provider;
pub use common::estimate::{ConversationSize, conversation_size, estimated_tokens};
pub use common::finish_reason::missing as missing_finish_reason;
pub use common::model_name::with_model_name;
pub use common::opaque_size::OpaqueSize;
pub use common::redact::{redact, without_secrets};
pub use common::request_policy::{RequestPolicy, SystemPromptPolicy};
pub use common::requested_output::{OutputMembers, RequestedOutput};
pub use common::retry_hint::{date, duration, hint};
pub use common::size_limits::tokens as bounded_tokens;
pub use common::tool_names::ToolNames;
pub use common::value_count::value_count;
pub use common::whole_calls::{check_calls, with_checked_calls};
pub use inbound::{
    ClientFormat, Inbound, InboundChat, InboundCompaction, InboundEmbeddings, InboundTokenCount,
    StreamEncoder,
};
pub use options::{
    ChatCompatibility, DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, MaxTokensName,
    Prefill, StreamEnd, StreamUsage,
};
pub use outbound::{
    Outbound, OutboundChat, OutboundConversation, OutboundEmbeddings, OutboundText,
    OutboundTokenCount, ProviderFormat, StreamDecoder,
};
pub use request::{Format, Framing, GatewayRequest, Member, Passthrough, RawObject};
