//! Anthropic's wire format: messages.

pub mod messages;
