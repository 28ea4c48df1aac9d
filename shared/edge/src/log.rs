//! Where a server's log goes: to the standard error output, one line per event.
//!
//! In Lambda the runtime's own subscriber writes instead, as the function's settings say.

use tracing_subscriber::EnvFilter;

use crate::settings::Environment;

/// Starts to log. `RUST_LOG` says what; without it, `verbose` says how much.
pub fn log(verbose: bool, environment: &Environment) {
    let default = if verbose { "debug,h2=info,hyper=info,rustls=info" } else { "info" };
    let filter = environment.get("RUST_LOG").unwrap_or_else(|| default.to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        .finish();
    // Whoever started one before, a test for instance, keeps it.
    drop(tracing::subscriber::set_global_default(subscriber));
}
