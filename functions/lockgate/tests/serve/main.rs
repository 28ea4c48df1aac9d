//! The real program, with scripted providers on real sockets: what a client and an operator see.
//!
//! One file per endpoint or topic; the name of a test is a rule of the contract.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

mod access;
mod admin;
mod aws_account;
mod bedrock;
mod beta_headers;
mod browsers;
mod chat;
mod client_connections;
mod codex;
mod commands;
mod compaction;
mod compatibility;
mod completions;
mod configuration;
mod connections;
mod cooldown;
mod embeddings;
mod endpoints;
mod exhausted;
mod failover;
mod faults;
mod first_steps;
mod format;
mod hedging;
mod http2_flood;
mod image_fetch;
mod model_names;
mod models;
mod outbound_limits;
mod output_limit;
mod provider_health;
mod reports;
mod request_bodies;
mod rescue;
mod response_forms;
mod secrets;
mod signatures;
mod soak;
mod stopping;
mod stored_objects;
mod strategies;
mod stream;
mod stream_faults;
mod support;
mod tasks;
mod tenants;
mod timeouts;
mod tls;
mod translated;
mod unsupported;
