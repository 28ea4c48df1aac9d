//! Where HTTP meets the gateway: in Lambda ([`run`]) and as a server ([`listen`]).
//!
//! Only this crate knows hyper's server and Lambda, reads the environment, and reads the wall clock.

mod admin;
mod allocator;
mod api;
mod body;
mod cache_headers;
mod client_access;
mod compression;
mod cors;
mod endpoint;
mod endpoints;
mod front;
mod generate_content;
mod health;
mod lambda;
mod log;
mod log_limiter;
mod metrics;
mod model_call;
mod models;
mod openapi;
mod operator_credentials;
mod otlp;
mod otlp_settings;
mod pages;
mod platform;
mod rate_limit_headers;
mod record_sinks;
mod request;
mod request_body;
mod request_log;
mod response;
mod response_stream;
mod router;
mod server;
mod session_id;
pub mod settings;
mod shutdown;
mod stored_objects;
mod text;
mod upload;
mod usage;
mod wrong_keys;

pub use api::Api;
pub use endpoint::{Access, BodyLimit, Endpoint, ErrorFormat, TimeoutClass};
pub use endpoints::ENDPOINTS;
pub use lambda::{run, run_buffered};
pub use lambda_http::Error as LambdaError;
pub use log::log;
pub use otlp::OtlpSettings;
pub use server::{Server, file_errors, listen};
