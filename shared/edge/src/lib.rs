//! Where HTTP meets the gateway: in Lambda ([`run`]) and as a server ([`listen`]).
//!
//! Only this crate knows axum and Lambda, reads the environment, and reads the wall clock.

mod answer;
mod api;
mod app;
mod body;
mod conversation;
mod generate;
mod health;
mod lambda;
mod limits;
mod log;
mod models;
mod nodelay;
mod reply;
mod request;
mod routes;
mod server;
pub mod settings;

pub use app::App;
pub use conversation::conversation;
pub use generate::generate_content;
pub use health::health;
pub use lambda::{run, run_buffered};
pub use lambda_http::Error as LambdaError;
pub use log::log;
pub use models::models;
pub use routes::Routes;
pub use server::{Server, listen};
