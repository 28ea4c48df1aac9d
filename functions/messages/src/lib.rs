//! `POST /v1/messages` and `/v1/messages/count_tokens`, in Anthropic's format.

use edge::Routes;
use formats::anthropic::messages::{Anthropic, AnthropicCount};

/// The endpoints, under their two paths each.
pub fn routes() -> Routes {
    let messages = ["/v1/messages", "/anthropic/v1/messages"];
    let count = ["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens"];
    edge::conversation(&messages, &Anthropic).merge(edge::conversation(&count, &AnthropicCount))
}
