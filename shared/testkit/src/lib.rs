//! The gateway's surroundings for tests: providers, Lambda and AWS, each emulated on loopback.
//!
//! Nothing here is part of the product. Everything listens on a real socket, so that what is
//! tested is what will run.

pub mod aws;
pub mod bedrock;
pub mod client;
pub mod hostile;
pub mod lambda;
pub mod lockgate;
pub mod openai;
pub mod provider;
pub mod proxy;
pub mod sockets;
pub mod sqlite;
pub mod strict;
pub mod tls;

mod body;
mod server;
