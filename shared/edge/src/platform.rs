//! What differs between operating systems, each with a stand-in where a system has it not.
//!
//! Only the files below this one may use `rustix` and the signals of Unix.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod not_linux;
#[cfg(not(unix))]
mod not_unix;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
pub(crate) use linux::Nodelay;
#[cfg(not(target_os = "linux"))]
pub(crate) use not_linux::Nodelay;
#[cfg(not(unix))]
pub(crate) use not_unix::{StopSignals, raise_descriptor_limit};
#[cfg(unix)]
pub(crate) use unix::{StopSignals, raise_descriptor_limit};
