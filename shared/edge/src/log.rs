//! Where a server's log goes: to the standard error output, one line per event.
//!
//! In Lambda the runtime's own subscriber writes instead, as the function's settings say.

use config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::settings::Environment;

/// Starts to log, in the form and from the level that the configuration names. `RUST_LOG` goes
/// before the level, and so does `verbose`.
pub fn log(log: &Log, verbose: bool, environment: &Environment) {
    let level = if verbose { "debug" } else { log.level.name() };

    // What libraries do is logged at the lowest level only.
    let default = format!("{level},h2=info,hyper=info,rustls=info");
    let default = if level == "trace" { level.to_owned() } else { default };
    let filter = environment.get("RUST_LOG").unwrap_or(default);
    let builder = tracing_subscriber::fmt()
        // A mistake in `RUST_LOG` must not keep the gateway from starting.
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_writer(std::io::stderr)
        .with_target(false);
    // Whoever started one before, a test for instance, keeps it.

    match log.format {
        LogFormat::Text => drop(tracing::subscriber::set_global_default(builder.finish())),
        LogFormat::Json => {
            let subscriber = builder.json().flatten_event(true).finish();
            drop(tracing::subscriber::set_global_default(subscriber));
        }
    }
}
