//! A gateway before strict providers, and a client before the gateway.

use std::collections::BTreeMap;

use http::Request;
use testkit::client as http_client;
use testkit::lockgate::{Lockgate, Setup};
use testkit::strict::{Asked, Dialect, KEY as PROVIDER_KEY, Script, Strict};

use crate::client::{self, Asking, Heard, KEY, Misread};
use crate::talk::{Bit, Line, Outcome, Talk};

/// Every format that clients speak.
pub(crate) const INBOUND: [Dialect; 4] =
    [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];

/// Every format that providers speak, and the configuration's word for one who does.
pub(crate) const OUTBOUND: [(Dialect, &str); 5] = [
    (Dialect::OpenAiChat, "openai"),
    (Dialect::OpenAiResponses, "openai-responses"),
    (Dialect::Anthropic, "anthropic"),
    (Dialect::Gemini, "gemini"),
    (Dialect::Bedrock, "bedrock"),
];

/// A model that has everything its API has.
fn model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "gpt-5.1",
        Dialect::Anthropic => "claude-opus-4-5",
        Dialect::Gemini => "gemini-3-pro-preview",
        Dialect::Bedrock => "anthropic.claude-opus-4-5-20251101-v1",
    }
}

/// The client's name for a provider's model.
pub(crate) fn direct(dialect: Dialect) -> String {
    format!("{}/{}", dialect.name(), model(dialect))
}

/// The client's name for one provider's model, and where it fails another's.
pub(crate) fn route(first: Dialect, second: Dialect) -> String {
    format!("{}-then-{}", first.name(), second.name())
}

/// A gateway with a provider of each format.
pub(crate) struct Arena {
    gateway: Lockgate,
    providers: BTreeMap<Dialect, Strict>,
}

/// A conversation that goes on for as many rounds as there are answers.
pub(crate) struct Exchange {
    /// What each answer was, as far as it came.
    pub(crate) heard: Vec<Heard>,
    /// What the provider was asked.
    pub(crate) asked: Vec<Asked>,
    /// What `X-Gateway-Dropped` said.
    pub(crate) dropped: String,
    /// Why it did not go on.
    pub(crate) failed: Option<Failed>,
}

pub(crate) enum Failed {
    /// The client's format has no word for it.
    Unsayable,
    /// The gateway refused it, without asking anybody.
    Refused(String),
    /// The provider refused what the gateway made of it.
    Provider(String),
    /// The client got what is not of its format.
    Misread(Misread),
    /// Anything else.
    Broken(String),
}

/// Who asks whom, and how.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) client: Dialect,
    pub(crate) provider: Dialect,
    pub(crate) stream: bool,
    /// What results of tools are like.
    pub(crate) result: &'a Outcome,
}

impl Arena {
    pub(crate) async fn open() -> Self {
        let mut providers = BTreeMap::new();
        let mut yaml = format!("api_key: {KEY}\nproviders:\n");
        for (dialect, kind) in OUTBOUND {
            let provider = Strict::start(dialect).await;
            yaml.push_str(&format!(
                "  - {{ name: {}, type: {kind}, base_url: \"{}\", api_key: {PROVIDER_KEY} }}\n",
                dialect.name(),
                provider.url()
            ));
            providers.insert(dialect, provider);
        }
        yaml.push_str("routes:\n");
        for (first, _) in OUTBOUND {
            for (second, _) in OUTBOUND {
                yaml.push_str(&format!(
                    "  - name: {}\n    cooldown: 0s\n    steps:\n      \
                     - {{ provider: {}, model: {} }}\n      - {{ provider: {}, model: {} }}\n",
                    route(first, second),
                    first.name(),
                    model(first),
                    second.name(),
                    model(second)
                ));
            }
        }
        let gateway = Setup::new(env!("CARGO_BIN_EXE_lockgate")).config(&yaml).start().await;
        Self { gateway, providers }
    }

    pub(crate) fn provider(&self, dialect: Dialect) -> &Strict {
        &self.providers[&dialect]
    }

    /// Lets a client go on with a conversation until every answer was given.
    pub(crate) async fn hold(&self, pair: Pair<'_>, talk: Talk, scripts: &[Script]) -> Exchange {
        let provider = self.provider(pair.provider);
        provider.forget();
        let model = direct(pair.provider);
        let mut talk = talk;
        let mut exchange =
            Exchange { heard: vec![], asked: vec![], dropped: String::new(), failed: None };
        for script in scripts {
            provider.says([script.clone()]);
            let round = self.round(pair, &talk, &model).await;
            exchange.asked = provider.asked();
            match round {
                Ok((heard, dropped)) => {
                    go_on(&mut talk, &heard, pair.result);
                    exchange.heard.push(heard);
                    exchange.dropped = dropped;
                }
                Err(failed) => {
                    let refused = provider.refused().pop();
                    exchange.failed = Some(refused.map_or(failed, Failed::Provider));
                    break;
                }
            }
        }
        exchange
    }

    /// Asks again for all or nothing, and holds the answer against what was dropped before.
    pub(crate) async fn insist(&self, pair: Pair<'_>, talk: &Talk) -> Result<(), String> {
        let (provider, model) = (self.provider(pair.provider), direct(pair.provider));
        provider.says([Script::text(["Hi"])]);
        let Ok((_, dropped)) = self.round(pair, talk, &model).await else { return Ok(()) };
        let asking = client::ask(pair.client, talk, &model, pair.stream);
        let mut asking = asking.map_err(|_unsayable| "unsayable")?;
        asking.headers.push(("x-gateway-strict", "true".to_owned()));
        provider.forget();
        let answer = self.send(&asking).await.map_err(|it| it.to_string())?;
        let (status, asked) = (answer.status.as_u16(), provider.seen().len());
        let text = answer.text().await.map_err(|it| it.to_string())?;
        let wanted = if dropped.is_empty() { (200, 1) } else { (400, 0) };
        if (status, asked) != wanted {
            return Err(format!("drops {dropped:?}, but {status} after {asked} calls: {text}"));
        }
        if status == 400 {
            let said = client::failure(pair.client, &text)?;
            let first = dropped.split(',').next().unwrap_or_default();
            if !said.contains(first) {
                return Err(format!("{said:?} does not name {first:?}"));
            }
        }
        Ok(())
    }

    /// Asks once, and gives what was heard and what was dropped.
    pub(crate) async fn round(
        &self,
        pair: Pair<'_>,
        talk: &Talk,
        model: &str,
    ) -> Result<(Heard, String), Failed> {
        let asking = client::ask(pair.client, talk, model, pair.stream);
        let asking = asking.map_err(|_unsayable| Failed::Unsayable)?;
        let answer = self.send(&asking).await.map_err(|it| Failed::Broken(it.to_string()))?;
        let (status, dropped) =
            (answer.status.as_u16(), answer.header("x-gateway-dropped").to_owned());
        let kind = answer.header("content-type").to_owned();
        let text = answer.text().await.map_err(|it| Failed::Broken(it.to_string()))?;
        if status == 400 {
            let message = client::failure(pair.client, &text).map_err(Failed::Misread)?;
            return Err(Failed::Refused(message));
        }
        if status != 200 {
            return Err(Failed::Broken(format!("{status} {text}")));
        }
        let wanted = if pair.stream { "text/event-stream" } else { "application/json" };
        if !kind.starts_with(wanted) {
            return Err(Failed::Misread(format!("the content type is {kind}")));
        }
        let heard = client::hear(pair.client, &text, pair.stream).map_err(Failed::Misread)?;
        Ok((heard, dropped))
    }

    async fn send(&self, asking: &Asking) -> Result<http_client::Answer, http_client::Error> {
        let mut request = Request::post(format!("{}{}", self.gateway.url(), asking.target))
            .header("content-type", "application/json");
        for (name, value) in &asking.headers {
            request = request.header(*name, value);
        }
        http_client::send(request.body(asking.body.to_string().into())?).await
    }
}

/// What a client does after an answer: it keeps it, and gives results or asks on.
pub(crate) fn go_on(talk: &mut Talk, heard: &Heard, result: &Outcome) {
    talk.lines.push(Line::Answer(heard.echo.clone()));
    // What was forced once would be forced for ever.
    talk.choice = None;
    if heard.calls.is_empty() {
        talk.lines.push(Line::User(vec![Bit::Text("Go on.")]));
        return;
    }
    let outcome = |it: &client::Called| Outcome {
        id: it.id.clone(),
        name: it.name.clone(),
        text: format!("{} {}", result.text, it.arguments),
        ..result.clone()
    };
    talk.lines.push(Line::Results(heard.calls.iter().map(outcome).collect()));
}
