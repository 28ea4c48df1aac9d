//! Who is calling, and what they may use.

mod gate;

pub use gate::Authenticator;
