//! A gateway with strict providers, and clients of the gateway.

use std::collections::BTreeMap;

use http::Request;
use testkit::client as http_client;
use testkit::lockgate::{Lockgate, Setup};
use testkit::strict::{DecodedRequest, Format, KEY as PROVIDER_KEY, Script, Strict};

use crate::client::{self, ClientRequest, DecodeFailure, KEY, ReceivedResponse};
use crate::conversation::{Bit, Conversation, Line, Outcome};

/// Every format of clients.
pub(crate) const INBOUND: [Format; 4] =
    [Format::OpenAiChat, Format::OpenAiResponses, Format::Anthropic, Format::Gemini];

/// Every format of providers, and the `type` of a provider with it.
pub(crate) const OUTBOUND: [(Format, &str); 5] = [
    (Format::OpenAiChat, "openai"),
    (Format::OpenAiResponses, "openai-responses"),
    (Format::Anthropic, "anthropic"),
    (Format::Gemini, "gemini"),
    (Format::Bedrock, "bedrock"),
];

/// A model that has everything its API has.
fn model(format: Format) -> &'static str {
    match format {
        Format::OpenAiChat | Format::OpenAiResponses => "gpt-5.1",
        Format::Anthropic => "claude-opus-4-5",
        Format::Gemini => "gemini-3-pro-preview",
        Format::Bedrock => "anthropic.claude-opus-4-5-20251101-v1",
    }
}

/// The client's name for a provider's model.
pub(crate) fn direct(format: Format) -> String {
    format!("{}/{}", format.name(), model(format))
}

/// The client's name for one provider's model, and where it fails another's.
pub(crate) fn route(first: Format, second: Format) -> String {
    format!("{}-then-{}", first.name(), second.name())
}

/// A gateway with a provider of each format.
pub(crate) struct Gateway {
    gateway: Lockgate,
    providers: BTreeMap<Format, Strict>,
}

/// A conversation of as many rounds as there are responses.
pub(crate) struct Exchange {
    /// The responses received.
    pub(crate) responses: Vec<ReceivedResponse>,
    /// The requests that the provider accepted.
    pub(crate) requests: Vec<DecodedRequest>,
    /// The value of `X-Gateway-Dropped`.
    pub(crate) dropped: String,
    /// Why the conversation ended early.
    pub(crate) failed: Option<Failed>,
}

pub(crate) enum Failed {
    /// The client's format does not support it.
    Unsupported,
    /// The gateway rejected it, without an attempt.
    Rejected(String),
    /// The provider rejected the gateway's request.
    Provider(String),
    /// The client got what is not of its format.
    DecodeFailure(DecodeFailure),
    /// Anything else.
    Broken(String),
}

/// A client's and a provider's format, and how they are connected.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) client: Format,
    pub(crate) provider: Format,
    pub(crate) stream: bool,
    /// What results of tools are like.
    pub(crate) result: &'a Outcome,
}

impl Gateway {
    pub(crate) async fn open() -> Self {
        let mut providers = BTreeMap::new();
        let mut yaml = format!("api_key: {KEY}\nproviders:\n");
        for (format, kind) in OUTBOUND {
            let provider = Strict::start(format).await;
            yaml.push_str(&format!(
                "  - {{ name: {}, type: {kind}, base_url: \"{}\", api_key: {PROVIDER_KEY} }}\n",
                format.name(),
                provider.url()
            ));
            providers.insert(format, provider);
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

    pub(crate) fn provider(&self, format: Format) -> &Strict {
        &self.providers[&format]
    }

    /// Continues a conversation until every scripted response was sent.
    pub(crate) async fn converse(
        &self,
        pair: Pair<'_>,
        conversation: Conversation,
        scripts: &[Script],
    ) -> Exchange {
        let provider = self.provider(pair.provider);
        provider.forget();
        let model = direct(pair.provider);
        let mut conversation = conversation;
        let mut exchange =
            Exchange { responses: vec![], requests: vec![], dropped: String::new(), failed: None };
        for script in scripts {
            provider.script([script.clone()]);
            let round = self.round(pair, &conversation, &model).await;
            exchange.requests = provider.accepted();
            match round {
                Ok((responses, dropped)) => {
                    go_on(&mut conversation, &responses, pair.result);
                    exchange.responses.push(responses);
                    exchange.dropped = dropped;
                }
                Err(failed) => {
                    let refused = provider.rejected().pop();
                    exchange.failed = Some(refused.map_or(failed, Failed::Provider));
                    break;
                }
            }
        }
        exchange
    }

    /// Sends the request again as strict, and compares the outcome with what was dropped before.
    pub(crate) async fn check_strict(
        &self,
        pair: Pair<'_>,
        conversation: &Conversation,
    ) -> Result<(), String> {
        let (provider, model) = (self.provider(pair.provider), direct(pair.provider));
        provider.script([Script::text(["Hi"])]);
        let Ok((_, dropped)) = self.round(pair, conversation, &model).await else { return Ok(()) };
        let client_request = client::ask(pair.client, conversation, &model, pair.stream);
        let mut client_request = client_request.map_err(|_unsayable| "unsayable")?;
        client_request.headers.push(("x-gateway-strict", "true".to_owned()));
        provider.forget();
        let response = self.send(&client_request).await.map_err(|it| it.to_string())?;
        let (status, requests) = (response.status.as_u16(), provider.requests().len());
        let text = response.text().await.map_err(|it| it.to_string())?;
        let wanted = if dropped.is_empty() { (200, 1) } else { (400, 0) };
        if (status, requests) != wanted {
            return Err(format!("drops {dropped:?}, but {status} after {requests} calls: {text}"));
        }
        if status == 400 {
            let failure_text = client::failure(pair.client, &text)?;
            let first = dropped.split(',').next().unwrap_or_default();
            if !failure_text.contains(first) {
                return Err(format!("{failure_text:?} does not name {first:?}"));
            }
        }
        Ok(())
    }

    /// Sends one request, and returns the response and what was dropped.
    pub(crate) async fn round(
        &self,
        pair: Pair<'_>,
        conversation: &Conversation,
        model: &str,
    ) -> Result<(ReceivedResponse, String), Failed> {
        let client_request = client::ask(pair.client, conversation, model, pair.stream);
        let client_request = client_request.map_err(|_unsayable| Failed::Unsupported)?;
        let response =
            self.send(&client_request).await.map_err(|it| Failed::Broken(it.to_string()))?;
        let (status, dropped) =
            (response.status.as_u16(), response.header("x-gateway-dropped").to_owned());
        let kind = response.header("content-type").to_owned();
        let text = response.text().await.map_err(|it| Failed::Broken(it.to_string()))?;
        if status == 400 {
            let message = client::failure(pair.client, &text).map_err(Failed::DecodeFailure)?;
            return Err(Failed::Rejected(message));
        }
        if status != 200 {
            return Err(Failed::Broken(format!("{status} {text}")));
        }
        let wanted = if pair.stream { "text/event-stream" } else { "application/json" };
        if !kind.starts_with(wanted) {
            return Err(Failed::DecodeFailure(format!("the content type is {kind}")));
        }
        let responses =
            client::hear(pair.client, &text, pair.stream).map_err(Failed::DecodeFailure)?;
        Ok((responses, dropped))
    }

    async fn send(
        &self,
        client_request: &ClientRequest,
    ) -> Result<http_client::ClientResponse, http_client::Error> {
        let mut request = Request::post(format!("{}{}", self.gateway.url(), client_request.target))
            .header("content-type", "application/json");
        for (name, value) in &client_request.headers {
            request = request.header(*name, value);
        }
        http_client::send(request.body(client_request.body.to_string().into())?).await
    }
}

/// Appends a response to the conversation, and then results or another message.
pub(crate) fn go_on(
    conversation: &mut Conversation,
    responses: &ReceivedResponse,
    result: &Outcome,
) {
    conversation.lines.push(Line::Answer(responses.echo.clone()));
    // What was forced once would be forced for ever.
    conversation.choice = None;
    if responses.calls.is_empty() {
        conversation.lines.push(Line::User(vec![Bit::Text("Go on.")]));
        return;
    }
    let outcome = |it: &client::ToolCall| Outcome {
        id: it.id.clone(),
        name: it.name.clone(),
        text: format!("{} {}", result.text, it.arguments),
        ..result.clone()
    };
    conversation.lines.push(Line::Results(responses.calls.iter().map(outcome).collect()));
}
