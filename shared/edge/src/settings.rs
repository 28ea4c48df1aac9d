//! The only reader of the environment and of the wall clock.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gateway::{Freshness, ProxyVariables};
use storage::{Aws, Credentials, Secret, Signer};

/// Now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock enters")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Variables of the process, and those of an environment file for what the process does not set.
#[derive(Clone, Default)]
pub struct Environment {
    file: HashMap<String, String>,
}

impl Environment {
    /// The process's own variables.
    pub fn of_process() -> Self {
        Self::default()
    }

    /// The same with a file behind it. A file that is not there is no fault unless it was `named`.
    pub fn with_file(path: &Path, named: bool) -> Result<Self, String> {
        if !named && !path.exists() {
            return Ok(Self::default());
        }
        let unreadable = |error: dotenvy::Error| format!("{}: {error}", path.display());
        let lines = dotenvy::from_path_iter(path).map_err(unreadable)?;
        let file = lines.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(Self { file })
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
        let set = std::env::var(name).ok();
        set.or_else(|| self.file.get(name).cloned()).filter(|it| !it.is_empty())
    }

    /// A time, as a number of seconds.
    fn seconds(&self, name: &str) -> Result<Option<Duration>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse().map(Duration::try_from_secs_f64) {
            Ok(Ok(time)) => Ok(Some(time)),
            _ => Err(format!("the variable {name} must be a number of seconds")),
        }
    }

    /// The AWS region.
    pub fn region(&self) -> Option<String> {
        self.get("AWS_REGION").or_else(|| self.get("AWS_DEFAULT_REGION"))
    }

    /// Keys to AWS.
    pub fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.get("AWS_ACCESS_KEY_ID")?,
            secret_access_key: Secret::new(self.get("AWS_SECRET_ACCESS_KEY")?),
            session_token: self.get("AWS_SESSION_TOKEN").map(Secret::new),
        })
    }

    /// Who the process is in AWS, for services that are called without a key.
    pub fn signer(&self) -> Signer {
        Signer::new(self.region(), self.credentials())
    }

    /// The proxies for calls to providers, by the variables that `curl` reads: in lower case first.
    pub fn proxies(&self) -> ProxyVariables {
        let either = |name: &str| self.get(&name.to_ascii_lowercase()).or_else(|| self.get(name));
        ProxyVariables {
            https: either("HTTPS_PROXY").map(Secret::new),
            http: either("HTTP_PROXY").map(Secret::new),
            all: either("ALL_PROXY").map(Secret::new),
            no_proxy: either("NO_PROXY"),
        }
    }

    /// Access to AWS. None without a region or without keys.
    pub fn aws(&self) -> Option<Aws> {
        let mut aws = Aws::new(self.region()?, self.credentials()?);
        aws.endpoint_url = self.get("AWS_ENDPOINT_URL");
        Some(aws)
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

/// What a Lambda function is told by its stack.
///
/// Times are numbers of seconds, fractions allowed: `CONFIG_REFRESH_SECONDS` and
/// `KEY_REFRESH_SECONDS` say how old what was read may be before it is read again behind a call,
/// `STREAM_HEARTBEAT_SECONDS` and `BUFFERED_HEARTBEAT_SECONDS` when silence is filled, 0 never.
#[derive(Clone, Debug)]
pub(crate) struct LambdaSettings {
    pub(crate) config_table: String,
    pub(crate) state_table: String,
    pub(crate) aws: Aws,
    pub(crate) signer: Signer,
    pub(crate) proxies: ProxyVariables,
    /// The front door's secret, and the one before it while it changes.
    pub(crate) origin_secrets: Vec<Secret>,
    pub(crate) heartbeats: KeepAliveSettings,
    pub(crate) freshness: Freshness,
    /// Where the Runtime API listens: `host:port`.
    pub(crate) runtime_api: Option<String>,
}

impl LambdaSettings {
    pub(crate) fn read(environment: &Environment) -> Result<Self, String> {
        let need = |name: &str| {
            environment.get(name).ok_or_else(|| format!("the variable {name} is not set"))
        };
        let secrets = ["ORIGIN_SECRET", "ORIGIN_SECRET_PREVIOUS"];
        let (beats, fresh) = (KeepAliveSettings::LAMBDA, Freshness::default());
        let heartbeat = |name: &str, default: Option<Duration>| {
            let time = environment.seconds(name)?.or(default);
            Ok::<_, String>(time.filter(|it| !it.is_zero()))
        };
        let refresh = |name: &str, default: Duration| {
            Ok::<_, String>(environment.seconds(name)?.unwrap_or(default))
        };
        Ok(Self {
            config_table: need("CONFIG_TABLE")?,
            state_table: need("STATE_TABLE")?,
            aws: environment
                .aws()
                .ok_or("the variables AWS_REGION and AWS_ACCESS_KEY_ID are not set")?,
            signer: environment.signer(),
            proxies: environment.proxies(),
            origin_secrets: secrets
                .iter()
                .filter_map(|it| environment.get(it))
                .map(Secret::new)
                .collect(),
            heartbeats: KeepAliveSettings {
                stream: heartbeat("STREAM_HEARTBEAT_SECONDS", beats.stream)?,
                early: heartbeat("STREAM_HEARTBEAT_SECONDS", beats.early)?,
                whole: heartbeat("BUFFERED_HEARTBEAT_SECONDS", beats.whole)?,
            },
            freshness: Freshness {
                configuration: refresh("CONFIG_REFRESH_SECONDS", fresh.configuration)?,
                keys: refresh("KEY_REFRESH_SECONDS", fresh.keys)?,
            },
            runtime_api: environment.get("AWS_LAMBDA_RUNTIME_API"),
        })
    }
}

/// When silence is filled, so that nothing between us and the client takes it for the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAliveSettings {
    /// Within a stream that has begun.
    pub(crate) stream: Option<Duration>,
    /// Before a stream's first token. It commits the status, so that a failure has to follow inside.
    pub(crate) early: Option<Duration>,
    /// Before a whole answer: white space, which JSON allows. It commits the status too.
    pub(crate) whole: Option<Duration>,
}

impl KeepAliveSettings {
    /// On a server the status waits for the first token: nobody stands between who cuts silence.
    pub(crate) const SERVER: Self =
        Self { stream: Some(Duration::from_secs(10)), early: None, whole: None };
    /// Behind CloudFront, which cuts after 120 s of silence, the status cannot wait for ever.
    pub(crate) const LAMBDA: Self = Self {
        stream: Some(Duration::from_secs(10)),
        early: Some(Duration::from_secs(10)),
        whole: Some(Duration::from_secs(60)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_fills_what_the_process_does_not_set() {
        let file = std::env::temp_dir().join(format!("lockgate-env-{}", std::process::id()));
        std::fs::write(&file, "PATH=never\nLOCKGATE_TEST_ONLY=\"a b\"\n").unwrap();
        let environment = Environment::with_file(&file, true).unwrap();
        assert_eq!(environment.get("LOCKGATE_TEST_ONLY").as_deref(), Some("a b"));
        assert_ne!(environment.get("PATH").as_deref(), Some("never"));
        std::fs::remove_file(&file).unwrap();
        assert!(Environment::with_file(&file, true).is_err());
        assert!(Environment::with_file(&file, false).is_ok());
    }
}
