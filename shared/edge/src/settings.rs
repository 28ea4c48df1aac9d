//! Settings of the process: the only reader of the environment and of the wall clock.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gateway::{Freshness, ProxyVariables};
use storage::{Aws, Credentials, Secret, Signer};

use crate::request_body;

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
    /// The variables of the process.
    pub fn of_process() -> Self {
        Self::default()
    }

    /// The variables of the process, and those of a file. A missing file is no error unless it was
    /// `named`.
    pub fn with_file(path: &Path, named: bool) -> Result<Self, String> {
        if !named && !path.exists() {
            return Ok(Self::default());
        }
        let unreadable = |error| unreadable(path, &error);
        let lines = dotenvy::from_path_iter(path).map_err(unreadable)?;
        let file = lines.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(Self { file })
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
        let set = std::env::var(name).ok();
        // The process wins over the file, as in every tool that reads such files.
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

    /// A whole number.
    fn count(&self, name: &str) -> Result<Option<usize>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(error) => Err(format!("the variable {name} must be a whole number: {error}")),
        }
    }

    /// The AWS region.
    pub fn region(&self) -> Option<String> {
        self.get("AWS_REGION").or_else(|| self.get("AWS_DEFAULT_REGION"))
    }

    /// The credentials for AWS.
    pub fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.get("AWS_ACCESS_KEY_ID")?,
            secret_access_key: Secret::new(self.get("AWS_SECRET_ACCESS_KEY")?),
            session_token: self.get("AWS_SESSION_TOKEN").map(Secret::new),
        })
    }

    /// The signer of calls to AWS, for providers that are called without a key.
    pub fn signer(&self) -> Signer {
        Signer::new(self.region(), self.credentials())
    }

    /// The proxies for calls to providers, by the variables that `curl` reads: in lower case first.
    pub fn proxies(&self) -> ProxyVariables {
        // Lower case first, as curl has it; many systems set only the one or the other.
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

/// Why a file of variables cannot be read. A line of it may hold a secret and is never quoted.
fn unreadable(path: &Path, error: &dotenvy::Error) -> String {
    let dotenvy::Error::LineParse(wrong, _) = error else {
        return format!("{}: {error}", path.display());
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The library names the text and not its line, which is found again by comparison.
    let wrong = wrong.lines().next().unwrap_or_default().trim();
    let number = text.lines().position(|line| line.trim() == wrong).map(|index| index + 1);
    let place = number.map_or_else(|| "a line".to_owned(), |number| format!("line {number}"));
    format!("{}: {place} is not of the form NAME=VALUE", path.display())
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

/// The settings of a Lambda function, which its stack makes.
///
/// Times are numbers of seconds, fractions allowed: `CONFIG_REFRESH_SECONDS` and
/// `KEY_REFRESH_SECONDS` say how old what was read may be before it is read again behind a call,
/// `ORIGIN_READ_TIMEOUT_SECONDS` how long the front door bears silence, which is filled at half of
/// that, and `STREAM_HEARTBEAT_SECONDS` and `BUFFERED_HEARTBEAT_SECONDS` when else, 0 never.
/// `MAX_BODY_BYTES` is how large a body may be. `ADMIN_PARAMETERS` begins the names of the
/// administration's parameters, `ROOT_SECRET_PARAMETER` names the one that opens the keys of tenants'
/// own providers, and `PUBLIC_URL` is the origin under which browsers come.
#[derive(Clone, Debug)]
pub(crate) struct LambdaSettings {
    pub(crate) config_table: String,
    pub(crate) state_table: String,
    pub(crate) aws: Aws,
    pub(crate) signer: Signer,
    pub(crate) proxies: ProxyVariables,
    /// The front door's secret, and the one before it while it changes.
    pub(crate) origin_secrets: Vec<Secret>,
    pub(crate) keep_alive: KeepAliveSettings,
    /// How large a request's body may be, in bytes.
    pub(crate) max_body_bytes: usize,
    /// How much memory bodies and buffers in flight may take, in bytes: half of the function's.
    pub(crate) max_memory_bytes: usize,
    pub(crate) freshness: Freshness,
    /// Where the Runtime API listens: `host:port`.
    pub(crate) runtime_api: Option<String>,
    /// How the names of the administration's parameters begin, in the function that serves it.
    pub(crate) admin_parameters: Option<String>,
    /// The name of the parameter with the secret that opens the keys of tenants' own providers.
    pub(crate) root_secret_parameter: Option<String>,
    /// The origin under which browsers reach the gateway.
    pub(crate) public_url: Option<String>,
}

impl LambdaSettings {
    pub(crate) fn read(environment: &Environment) -> Result<Self, String> {
        let need = |name: &str| {
            environment.get(name).ok_or_else(|| format!("the variable {name} is not set"))
        };
        let secrets = ["ORIGIN_SECRET", "ORIGIN_SECRET_PREVIOUS"];
        let read_timeout = environment.seconds("ORIGIN_READ_TIMEOUT_SECONDS")?;
        let defaults = read_timeout.map_or(KeepAliveSettings::LAMBDA, KeepAliveSettings::within);
        let fresh = Freshness::default();
        // 128 MB is the least that a function can have.
        let memory_megabytes = environment.count("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.unwrap_or(128);
        let keep_alive_time = |name: &str, default: Option<Duration>| {
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
            keep_alive: KeepAliveSettings {
                stream: keep_alive_time("STREAM_HEARTBEAT_SECONDS", defaults.stream)?,
                early: keep_alive_time("STREAM_HEARTBEAT_SECONDS", defaults.early)?,
                whole: keep_alive_time("BUFFERED_HEARTBEAT_SECONDS", defaults.whole)?,
            },
            max_body_bytes: environment
                .count("MAX_BODY_BYTES")?
                .unwrap_or(request_body::MAX_LAMBDA_BODY_BYTES),
            // The other half is for the program itself and for what decoded requests take beyond
            // their bytes.
            max_memory_bytes: memory_megabytes.saturating_mul(1024 * 1024) / 2,
            freshness: Freshness {
                configuration: refresh("CONFIG_REFRESH_SECONDS", fresh.configuration)?,
                keys: refresh("KEY_REFRESH_SECONDS", fresh.keys)?,
            },
            runtime_api: environment.get("AWS_LAMBDA_RUNTIME_API"),
            admin_parameters: environment.get("ADMIN_PARAMETERS"),
            root_secret_parameter: environment.get("ROOT_SECRET_PARAMETER"),
            public_url: environment.get("PUBLIC_URL"),
        })
    }
}

/// When silence is filled, so that no proxy before the gateway takes it for the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAliveSettings {
    /// Within a stream that has begun.
    pub(crate) stream: Option<Duration>,
    /// Before a stream's first token. It commits the status, so that a failure has to follow
    /// inside.
    pub(crate) early: Option<Duration>,
    /// Before a whole response: white space, which JSON allows. It commits the status too.
    pub(crate) whole: Option<Duration>,
}

impl KeepAliveSettings {
    /// On a server the status waits for the first token: no proxy is known that cuts silence.
    pub(crate) const SERVER: Self =
        Self { stream: Some(Duration::from_secs(10)), early: None, whole: None };
    /// Behind CloudFront, which cuts after 120 s of silence, the status cannot wait for ever.
    pub(crate) const LAMBDA: Self = Self {
        stream: Some(Duration::from_secs(10)),
        early: Some(Duration::from_secs(10)),
        whole: Some(Duration::from_secs(60)),
    };

    /// In Lambda behind a front door that ends a response after this much silence.
    ///
    /// Half of it leaves room for the way there. A whole response waits as long as it may, since
    /// the status it commits to may turn out to be wrong.
    fn within(read_timeout: Duration) -> Self {
        let half = read_timeout / 2;
        let sooner = |configured: Option<Duration>| configured.map(|time| time.min(half));
        Self {
            stream: sooner(Self::LAMBDA.stream),
            early: sooner(Self::LAMBDA.early),
            whole: Some(half),
        }
    }
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

    #[test]
    fn a_broken_line_of_a_file_is_named_by_its_number_alone() {
        let file = std::env::temp_dir().join(format!("lockgate-broken-env-{}", std::process::id()));
        for broken in ["KEY=\"sk-secret", "sk-secret oops", "KEY='sk-secret' more"] {
            std::fs::write(&file, format!("A=1\n# note\n{broken}\nB=2\n")).unwrap();
            let error = Environment::with_file(&file, true).unwrap_err();
            assert!(!error.contains("sk-secret"), "{error}");
            assert!(error.contains("line"), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    fn lambda(variables: &[(&str, &str)]) -> Result<LambdaSettings, String> {
        let needed = ["CONFIG_TABLE", "STATE_TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID"];
        let mut file: HashMap<_, _> =
            needed.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        file.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "x".to_owned());
        file.extend(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        LambdaSettings::read(&Environment { file })
    }

    fn seconds(time: Option<Duration>) -> f64 {
        time.unwrap_or_default().as_secs_f64()
    }

    #[test]
    fn silence_is_filled_at_half_of_what_the_front_door_bears() {
        let wide = lambda(&[("ORIGIN_READ_TIMEOUT_SECONDS", "60")]).unwrap().keep_alive;
        assert_eq!(
            (seconds(wide.stream), seconds(wide.early), seconds(wide.whole)),
            (10., 10., 30.)
        );
        let narrow = lambda(&[("ORIGIN_READ_TIMEOUT_SECONDS", "10")]).unwrap().keep_alive;
        assert_eq!(
            (seconds(narrow.stream), seconds(narrow.early), seconds(narrow.whole)),
            (5., 5., 5.)
        );
    }

    #[test]
    fn a_keep_alive_time_that_is_set_goes_before_the_front_doors() {
        let variables =
            [("ORIGIN_READ_TIMEOUT_SECONDS", "60"), ("BUFFERED_HEARTBEAT_SECONDS", "0")];
        assert_eq!(lambda(&variables).unwrap().keep_alive.whole, None);
    }

    #[test]
    fn the_body_limit_is_lambdas_unless_the_stack_sets_another() {
        assert_eq!(lambda(&[]).unwrap().max_body_bytes, request_body::MAX_LAMBDA_BODY_BYTES);
        assert_eq!(lambda(&[("MAX_BODY_BYTES", "4500000")]).unwrap().max_body_bytes, 4_500_000);
        let error = lambda(&[("MAX_BODY_BYTES", "4.5 MB")]).unwrap_err();
        assert!(error.contains("MAX_BODY_BYTES"), "{error}");
    }
}
