//! The configuration file under watch: a good change is in force soon after it is saved, a bad one is
//! told and changes nothing.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use config::Config;
use tokio::sync::mpsc;

use crate::{
    commands::{Failure, note},
    serve::check_access,
    settings::{self, Sources},
};

/// How often the file is looked at. A change counts once it was the same twice, so that a file that
/// is being written is not read.
const PERIOD: Duration = Duration::from_millis(500);

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The configuration file.
    pub(crate) path: PathBuf,
    /// Where its variables come from.
    pub(crate) sources: Sources,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// The configuration in force.
    pub(crate) config: Config,
}

/// What tells one state of a file from another; none where there is no file.
type Stamp = Option<(SystemTime, u64)>;

impl Watch {
    /// Watches from a thread of its own for as long as anybody takes the changes.
    pub(crate) fn start(self) -> mpsc::Receiver<Config> {
        // One place: a change that is not taken up yet holds the next one back.
        let (sender, receiver) = mpsc::channel(1);
        // Taken before the thread begins, so that no change falls in between.
        let seen = self.stamps();
        // A thread, since reading files would stall the calls on the runtime's threads.
        thread::spawn(move || self.run(seen, &sender));
        receiver
    }

    fn run(mut self, mut seen: [Stamp; 2], sender: &mpsc::Sender<Config>) {
        let mut before = seen;

        while !sender.is_closed() {
            thread::sleep(PERIOD);
            let now = self.stamps();
            let is_settled = now == before;
            before = now;
            if !is_settled || now == seen {
                continue;
            }
            // Also for a bad file: its errors are printed once, not twice a second.
            seen = now;
            match self.read() {
                Ok(config) => {
                    self.note_restarts(&config);

                    self.config = config.clone();
                    if sender.blocking_send(config).is_err() {
                        return;
                    }
                }
                Err(failure) => {
                    failure.print();
                    note("The last good configuration stays in force.");
                }
            }
        }
    }

    fn stamps(&self) -> [Stamp; 2] {
        // The file of variables is part of the configuration: a rotated key is taken up, too.
        [stamp(&self.path), stamp(self.sources.env_file())]
    }

    fn read(&self) -> Result<Config, Failure> {
        let environment = self.sources.environment()?;
        let config = settings::config(&self.path, &environment)?;
        // The same rules as at the start, or a saved file could open the gateway to the network.
        check_access(&config, self.address)?;
        // A file that the next start would refuse must not come into force, either.
        settings::check_files(&self.path, &config)?;
        Ok(config)
    }

    /// Names what changed and is only read at the start.
    fn note_restarts(&self, new: &Config) {
        let old = &self.config;
        let changed = [
            ("port", old.port != new.port),
            ("server", old.server != new.server),
            ("tls", old.tls != new.tls),
            ("log", old.log != new.log),
        ];
        for (key, _) in changed.into_iter().filter(|(_, has_changed)| *has_changed) {
            note(&format!("`{key}` changed: that takes effect at the next start."));
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
