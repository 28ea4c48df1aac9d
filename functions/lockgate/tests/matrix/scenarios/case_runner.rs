//! A gateway with a route for each case, and one client's call of it.

use std::fmt;
use std::time::Duration;

use http::Request;
use testkit::client as http_client;
use testkit::lockgate::{Lockgate, Setup};
use testkit::strict::{Format, InjectedFault, KEY as PROVIDER_KEY, Strict};

use super::broken_providers::{self, ANSWER, Log, TOKENS};
use super::catalog::{Expects, Injected, Scenario};
use crate::client::{self, KEY, ReceivedResponse};
use crate::conversation::Conversation;
use crate::gateway::INBOUND;

/// What every route has. The cooldown is short, so that the end of an outage is noticed quickly.
const ROUTE: &str = "rescue: continue\n    cooldown: 200ms\n    cooldown_max: 400ms";
/// What the first step of every route has.
const STEP: &str = "retries: 1";
/// What it has beyond that where its provider is silent. Elsewhere the usual time leaves room for a
/// machine that is busy.
const SILENT: &str = ", timeout: 3s";

/// A scenario, played in two formats.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) scenario: &'static Scenario,
    pub(crate) client: Format,
    pub(crate) provider: Format,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, provider) = (self.client.name(), self.provider.name());
        write!(f, "{} {client} from {provider}", self.scenario.id)
    }
}

impl Case {
    /// The name of the route, and of the first provider's model.
    fn model(self) -> String {
        format!("{}-{}-{}", self.scenario.id, self.client.name(), self.provider.name())
    }

    /// The format of the second provider: the same where all of the case is native, else another one,
    /// so that a rescue crosses formats too.
    fn fallback(self) -> Format {
        let place = INBOUND.iter().position(|it| *it == self.provider).unwrap();
        let next = if self.client == self.provider { place } else { place + 1 };
        INBOUND[next % INBOUND.len()]
    }

    /// The second provider and its model. Claude 4.5 is known to take a prefill, as is vLLM.
    fn second(self) -> (&'static str, String) {
        let format = self.fallback();
        let takes_prefill = self.scenario.expects == Expects::DespitePrefill;
        match format {
            Format::OpenAiChat if takes_prefill => ("vllm", format!("ok-{}", self.model())),
            Format::Anthropic if takes_prefill => {
                (format.name(), format!("claude-sonnet-4-5-{}", self.model().to_lowercase()))
            }
            _ => (format.name(), format!("ok-{}", self.model())),
        }
    }

    fn route(self) -> String {
        let (second, second_model) = self.second();
        let silence = [InjectedFault::Silent, InjectedFault::SilentBody].map(Injected::Always);
        let is_silent = silence.contains(&self.scenario.injected);
        let timeout = if is_silent { SILENT } else { "" };
        format!(
            "  - name: {0}\n    {ROUTE}\n    steps:\n      \
             - {{ provider: {1}, model: {0}, {STEP}{timeout} }}\n      \
             - {{ provider: {second}, model: {second_model} }}\n",
            self.model(),
            self.provider.name(),
        )
    }
}

/// The gateway and its providers.
pub(crate) struct CaseRunner {
    gateway: Lockgate,
    log: Log,
    _providers: Vec<Strict>,
}

/// What a client got: the response or why not, the status, and the body.
struct Got {
    response: Result<ReceivedResponse, String>,
    provider: String,
    text: String,
}

impl CaseRunner {
    pub(crate) async fn open() -> Self {
        let log = Log::default();
        let mut providers = vec![];
        let mut yaml = format!("api_key: {KEY}\nidle_timeout: 4s\nproviders:\n");
        for (format, kind) in INBOUND.into_iter().zip(KINDS) {
            let provider = broken_providers::start(format, log.clone()).await;
            let names = [(format.name(), kind), ("vllm", "vllm")];
            for (name, kind) in &names[..1 + usize::from(format == Format::OpenAiChat)] {
                let url = provider.url();
                yaml.push_str(&format!(
                    "  - {{ name: {name}, type: {kind}, base_url: \"{url}\", api_key: {PROVIDER_KEY} }}\n"
                ));
            }
            providers.push(provider);
        }
        yaml.push_str("routes:\n");
        super::cases().for_each(|case| yaml.push_str(&case.route()));
        let gateway = Setup::new(env!("CARGO_BIN_EXE_lockgate")).config(&yaml).start().await;
        Self { gateway, log, _providers: providers }
    }

    /// Plays a case: why it is not passed, if it is not.
    pub(crate) async fn play(&self, case: Case) -> Result<(), String> {
        let expects = case.scenario.expects;
        if expects == Expects::Recovery {
            self.recovery(case).await?;
        } else {
            let got = self.call(case, &case.model()).await;
            judge(case, &got)?;
        }
        self.check_requests(case)?;
        // The gateway serves on, whatever it met.
        let alive = format!("{}/alive", case.client.name());
        is_whole(&self.call(case, &alive).await)
    }

    /// Calls during an outage, and after it until the first provider responds again.
    async fn recovery(&self, case: Case) -> Result<(), String> {
        for _ in 0..5 {
            is_whole(&self.call(case, &case.model()).await)?;
        }
        self.log.lock().unwrap().heal(&case.model());
        for _ in 0..200 {
            let got = self.call(case, &case.model()).await;
            is_whole(&got)?;
            if got.provider == case.provider.name() && got.text.contains(&case.model()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("the first provider is never asked again".to_owned())
    }

    fn check_requests(&self, case: Case) -> Result<(), String> {
        let seen = self.log.lock().unwrap();
        let primary = seen.count(&case.model());
        let fallback = seen.count(&case.second().1);
        if !case.scenario.primary.contains(&primary) {
            return Err(format!("the first provider was asked {primary} times"));
        }
        if !case.scenario.fallback.contains(&fallback) {
            return Err(format!("the second provider was asked {fallback} times"));
        }
        Ok(())
    }

    /// Asks for a stream, and reads it as a client of the case's format does.
    async fn call(&self, case: Case, model: &str) -> Got {
        let mut conversation = Conversation::of("What is a gateway for?");
        conversation.wants_usage = true;
        let request = client::ask(case.client, &conversation, model, true);
        let request = request.map_err(|_unsupported| ()).unwrap();
        let mut sent = Request::post(format!("{}{}", self.gateway.url(), request.target))
            .header("content-type", "application/json");
        for (name, value) in &request.headers {
            sent = sent.header(*name, value);
        }
        let sent = sent.body(request.body.to_string().into()).unwrap();
        let response = http_client::send(sent).await.unwrap();
        let (status, provider) =
            (response.status.as_u16(), response.header("x-gateway-provider").to_owned());
        let text = response.text().await.unwrap();
        let response = match status {
            200 => client::hear(case.client, &text, true),
            _ => Err(client::failure(case.client, &text).unwrap_or_else(|why| why)),
        };
        Got { response, provider, text }
    }
}

/// The `type` of the provider of each of the clients' formats.
const KINDS: [&str; 4] = ["openai", "openai-responses", "anthropic", "gemini"];

fn judge(case: Case, got: &Got) -> Result<(), String> {
    match case.scenario.expects {
        Expects::Whole | Expects::DespitePrefill => is_whole(got),
        Expects::WithUsage => {
            is_whole(got)?;
            let usage = got.response.as_ref().ok().and_then(|it| it.usage);
            usage.map(|_| ()).ok_or_else(|| "there is no usage".to_owned())
        }
        Expects::OfFallback => {
            is_whole(got)?;
            let usage = got.response.as_ref().ok().and_then(|it| it.usage);
            let output = usage.map(|it| it.output_tokens);
            if output != Some(TOKENS.output) {
                return Err(format!("usage is {usage:?}"));
            }
            let (second, model) = case.second();
            if got.provider != second || !got.text.contains(&model) {
                return Err(format!("it is not told that {second} responded: {}", got.text));
            }
            Ok(())
        }
        Expects::Refusal => match &got.response {
            Err(why) if why.contains("rejected by the safety system") => Ok(()),
            other => Err(format!("the refusal reads {other:?}")),
        },
        Expects::Recovery => Err("it is more than one call".to_owned()),
    }
}

fn is_whole(got: &Got) -> Result<(), String> {
    match &got.response {
        Ok(response) if response.text == ANSWER.concat() => Ok(()),
        Ok(response) => Err(format!("the text is {:?}", response.text)),
        Err(why) => Err(format!("it fails: {why}")),
    }
}
