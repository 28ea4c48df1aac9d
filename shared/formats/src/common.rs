//! What several wire formats share: JSON editing, event framing, error bodies, estimates.

pub(crate) mod alternating;
pub(crate) mod arguments;
pub(crate) mod base64;
pub(crate) mod bound;
pub(crate) mod data_uri;
pub(crate) mod diagnosis;
pub(crate) mod error_body;
pub(crate) mod estimate;
pub(crate) mod fingerprint;
pub(crate) mod finish_reason;
pub(crate) mod json;
pub(crate) mod lenient;
pub(crate) mod lost_reasoning;
pub(crate) mod media_type;
pub(crate) mod model_name;
pub(crate) mod object_schema;
pub(crate) mod param_names;
pub(crate) mod redact;
pub(crate) mod retry_hint;
pub(crate) mod signature_tags;
pub(crate) mod split_surrogates;
pub(crate) mod sse;
pub(crate) mod stop_sequences;
pub(crate) mod strict_schema;
pub(crate) mod surrogates;
pub(crate) mod tool_names;
