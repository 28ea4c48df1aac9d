//! Faults that users of gateways reported, as data: the files of `reports/` hold one kind each.
//!
//! A rule has the providers of a route (what each rejects and what it responds otherwise), one
//! request, and what is expected of the response and of what was sent. `reader` reads responses as
//! a client's SDK does, and `rejection` says which requests a provider rejects.

mod reader;
mod rejection;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::client::ClientResponse as Response;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ReceivedRequest, ScriptedResponse, Step};

use crate::support::{KEY, send, serve};
use crate::wire_formats::Format;

#[tokio::test]
async fn an_error_that_is_not_about_the_request_advances() {
    check_rules(include_str!("reports/advancing.json")).await;
}

#[tokio::test]
async fn invalid_content_is_repaired_and_not_dropped() {
    check_rules(include_str!("reports/undecodable.json")).await;
}

#[tokio::test]
async fn a_truncated_response_is_not_a_success() {
    check_rules(include_str!("reports/cut_responses.json")).await;
}

#[tokio::test]
async fn tool_calls_in_unusual_deltas_are_assembled() {
    check_rules(include_str!("reports/tool_call_deltas.json")).await;
}

#[tokio::test]
async fn a_client_gets_its_format_and_not_a_providers_variant() {
    check_rules(include_str!("reports/format_variants.json")).await;
}

#[tokio::test]
async fn supported_content_is_preserved_and_the_rest_is_reported() {
    check_rules(include_str!("reports/lost_content.json")).await;
}

#[tokio::test]
async fn rejected_parts_are_adapted_to_the_target() {
    check_rules(include_str!("reports/rejections.json")).await;
}

#[tokio::test]
async fn unusual_http_is_accepted_on_both_sides() {
    check_rules(include_str!("reports/http.json")).await;
}

/// Plays every rule of a file, and fails with all rules that do not hold.
async fn check_rules(file: &str) {
    let rules: Vec<Value> = serde_json::from_str(file).unwrap();
    let mut broken = Vec::new();
    for rule in &rules {
        let faults = play(rule).await;
        broken.extend(faults.iter().map(|fault| format!("{}: {fault}", text(&rule["rule"]))));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Sends a rule's request, and gives what is not as expected.
async fn play(rule: &Value) -> Vec<String> {
    let specs = rule["providers"].as_array().unwrap();
    let mut providers = Vec::new();
    for spec in specs {
        providers.push(start(spec.clone()).await);
    }

    let gateway = serve(&config(specs, &providers)).await;
    let response = request(&gateway, &rule["request"]).await;

    faults(&rule["expect"], response, &providers).await
}

/// A provider that rejects what its rule says, and responds to everything else.
async fn start(spec: Value) -> FakeProvider {
    FakeProvider::responding_with(move |seen| {
        let rejects = &spec["rejects"];
        let rejected = rejects["what"].as_str().is_some_and(|what| rejection::applies(what, seen));
        if rejected {
            return respond(&spec, rejects, seen);
        }
        respond(&spec, &spec["answer"], seen)
    })
    .await
}

fn respond(spec: &Value, answer: &Value, seen: &ReceivedRequest) -> ScriptedResponse {
    let status = answer["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
    let response = if let Some(text) = answer["text"].as_str() {
        text_response(text_kind(spec), text)
    } else if let Some(argument) = answer["calls_back"].as_str() {
        ScriptedResponse::json(200, &call_of_first_tool(&seen.json(), argument))
    } else if let Some(events) = answer["events"].as_array() {
        ScriptedResponse::stream(events.iter().map(event))
    } else if let Some(encoded) = answer["base64"].as_str() {
        ScriptedResponse::raw(200, "application/json", STANDARD.decode(encoded).unwrap())
    } else {
        ScriptedResponse::json(200, &answer["json"])
    };
    headers(answer)
        .fold(response.status(status), |response, (name, value)| response.header(name, value))
}

fn text_kind(spec: &Value) -> &str {
    spec["type"].as_str().unwrap()
}

fn text_response(kind: &str, text: &str) -> ScriptedResponse {
    match kind {
        "anthropic" => Format::Messages.whole(text),
        "gemini" => Format::Gemini.whole(text),
        "openai-responses" => Format::Responses.whole(text),
        "bedrock" => ScriptedResponse::json(
            200,
            &json!({
                "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
                "metrics": {"latencyMs": 1},
            }),
        ),
        _ => openai::completion(text),
    }
}

/// A call of the first tool that Anthropic was sent, with its first property as it was sent.
fn call_of_first_tool(sent: &Value, argument: &str) -> Value {
    let tool = &sent["tools"][0];
    let properties = tool["input_schema"]["properties"].as_object().unwrap();
    let property = properties.keys().next().unwrap();
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [
            {"type": "tool_use", "id": "t1", "name": tool["name"], "input": {property: argument}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 2},
    })
}

/// One event: data as text, any JSON as `raw`, a whole `frame`, or a chat chunk of a `delta` and a
/// `finish`.
fn event(event: &Value) -> Step {
    if let Some(frame) = event["frame"].as_str() {
        return Step::text(frame);
    }
    let data = match event {
        Value::String(data) => data.clone(),
        _ if event.get("raw").is_some() => event["raw"].to_string(),
        _ => json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [
                {"index": 0, "delta": event["delta"], "finish_reason": event["finish"]},
            ],
        })
        .to_string(),
    };
    Step::text(format!("data: {data}\n\n"))
}

fn config(specs: &[Value], providers: &[FakeProvider]) -> String {
    let mut text = format!("api_key: {KEY}\nproviders:\n");
    let mut steps = String::new();
    for (at, (spec, provider)) in specs.iter().zip(providers).enumerate() {
        let kind = text_kind(spec);
        let version = if ["azure-openai", "bedrock"].contains(&kind) { "" } else { "/v1" };
        let model = spec["model"].as_str().unwrap_or("m");
        text += &format!(
            "  - {{ name: p{at}, type: {kind}, base_url: \"{}{version}\", api_key: secret }}\n",
            provider.url()
        );
        steps += &format!("      - {{ provider: p{at}, model: \"{model}\" }}\n");
    }
    format!("{text}routes:\n  - name: r\n    cooldown: 0s\n    steps:\n{steps}")
}

async fn request(gateway: &Lockgate, request: &Value) -> Response {
    let body = if let Some(encoded) = request["base64"].as_str() {
        Bytes::from(STANDARD.decode(encoded).unwrap())
    } else if let Some(text) = request["text"].as_str() {
        Bytes::from(text.to_owned())
    } else if request["body"].is_object() {
        Bytes::from(request["body"].to_string())
    } else {
        Bytes::new()
    };
    let key = format!("Bearer {KEY}");
    let json_type = ("content-type", "application/json");
    let mut sent = vec![("authorization", key.as_str()), json_type];
    sent.extend(headers(request));
    let method = request["method"].as_str().unwrap_or("POST");
    send(gateway, method, &text(&request["path"]), &sent, body).await
}

fn headers(holder: &Value) -> impl Iterator<Item = (&str, &str)> {
    let headers = holder["headers"].as_object().into_iter().flatten();
    headers.map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
}

/// Everything in which a response, and what providers were sent, differs from a rule.
async fn faults(expect: &Value, response: Response, providers: &[FakeProvider]) -> Vec<String> {
    let status = response.status.as_u16();
    let dropped = response.header("x-gateway-dropped").to_owned();
    let mut faults = Vec::new();
    for (name, value) in headers(&json!({"headers": expect["headers"]})) {
        if response.header(name) != value {
            faults.push(format!("the header {name} is {:?}", response.header(name)));
        }
    }

    let body = response.text().await.unwrap();
    if expect["status"] != status {
        faults.push(format!("the status is {status}: {body}"));
    }
    faults.extend(reader::faults(expect, &body));
    for name in strings(&expect["dropped"]) {
        if !dropped.split(',').any(|it| it.trim() == name) {
            faults.push(format!("{name} is not among the dropped: {dropped:?}"));
        }
    }

    let last = providers.iter().rev().find_map(|provider| provider.requests().pop());
    let sent =
        last.map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).unwrap_or_default();
    faults.extend(
        strings(&expect["sent"])
            .filter(|it| !sent.contains(it))
            .map(|it| format!("{it} was not sent: {sent}")),
    );
    faults.extend(
        strings(&expect["unsent"])
            .filter(|it| sent.contains(it))
            .map(|it| format!("{it} was sent: {sent}")),
    );

    for (at, attempts) in expect["attempts"].as_array().into_iter().flatten().enumerate() {
        let seen = providers[at].requests().len();
        if *attempts != seen {
            faults.push(format!("provider {at} got {seen} requests"));
        }
    }
    faults
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(|it| it.as_str().unwrap())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
