//! A client of one format before providers of others: whom it reaches, what is told of what is lost.

use serde_json::{Value, json};
use testkit::{
    client::Answer,
    lockgate::Lockgate,
    openai,
    provider::{Answer as Scripted, Fake, Step},
};

use crate::{
    speech::{self, Speech, events},
    support::{KEY, send, serve},
};

/// A gateway whose route `r` asks these providers in turn, each called by its format's `type`.
async fn before(steps: &[(Speech, &Fake)]) -> Lockgate {
    let mut yaml = format!("api_key: {KEY}\nproviders:\n");
    for (speech, fake) in steps {
        let kind = speech.kind();
        let url = fake.url();
        yaml += &format!(
            "  - {{ name: {kind}, type: {kind}, base_url: \"{url}\", api_key: secret }}\n"
        );
    }
    yaml += "routes:\n  - name: r\n    cooldown: 0s\n    steps:\n";
    for (speech, _) in steps {
        yaml += &format!("      - {{ provider: {}, model: m }}\n", speech.kind());
    }
    serve(&yaml).await
}

async fn post(
    gateway: &Lockgate,
    client: Speech,
    body: &Value,
    headers: &[(&str, &str)],
) -> Answer {
    let stream = body["stream"] == true;
    let headers = [&[("x-api-key", KEY)], headers].concat();
    send(gateway, "POST", &client.path("r", stream), &headers, body.to_string()).await
}

#[tokio::test]
async fn a_client_falls_back_to_providers_of_any_format() {
    for client in speech::ALL {
        for (first, second) in [
            (Speech::Messages, Speech::Gemini),
            (Speech::Gemini, Speech::Responses),
            (Speech::Responses, Speech::Chat),
            (Speech::Chat, Speech::Messages),
        ] {
            let (busy, steady) = (Fake::start().await, Fake::start().await);
            busy.answers([openai::error(529, "overloaded_error", "Overloaded")]);
            let gateway = before(&[(first, &busy), (second, &steady)]).await;
            steady.answers([second.whole("Hi")]);
            let answer = post(&gateway, client, &client.question("r", false), &[]).await;
            let told =
                ["x-gateway-provider", "x-gateway-attempts"].map(|it| answer.header(it).to_owned());
            let body = answer.json().await.unwrap();
            assert_eq!(told, [second.kind(), "2"], "{client:?} {first:?} {second:?}: {body}");
            assert_eq!(client.said(&body), "Hi");
        }
    }
}

#[tokio::test]
async fn a_stream_falls_back_before_its_first_token() {
    for client in speech::ALL {
        let (silent, steady) = (Fake::start().await, Fake::start().await);
        let mut begun = Speech::Messages.begun("never");
        begun.truncate(3);
        silent.answers([Scripted::stream(begun.into_iter().chain([Step::Cut]))]);
        steady.answers([Speech::Gemini.stream("Hi")]);
        let gateway = before(&[(Speech::Messages, &silent), (Speech::Gemini, &steady)]).await;
        let path = client.path("r", true);
        let question = client.question("r", true).to_string();
        let answer = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
        assert_eq!(answer.header("x-gateway-provider"), "gemini", "{client:?}");
        let text = answer.text().await.unwrap();
        let said: String = events(&text).iter().map(|it| client.says(it)).collect();
        assert_eq!(said, "Hi again", "{client:?}: {text}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_the_failure_of_the_clients_format() {
    for client in speech::ALL {
        for provider in speech::ALL {
            let fake = Fake::start().await;
            fake.answers([Scripted::stream(provider.begun("Hel").into_iter().chain([Step::Cut]))]);
            let gateway = before(&[(provider, &fake)]).await;
            let path = client.path("r", true);
            let question = client.question("r", true).to_string();
            let answer = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
            assert_eq!(answer.status, 200);
            let text = answer.text().await.unwrap();
            let events = events(&text);
            let said: String = events.iter().map(|it| client.says(it)).collect();
            assert_eq!(said, "Hel", "{client:?} {provider:?}: {text}");
            assert!(!events.iter().any(|it| client.ends(it)) && !text.contains("[DONE]"), "{text}");
            let last = events.last().unwrap();
            let told = format!("Provider {}: ", provider.kind());
            assert!(last.to_string().contains(&told), "{client:?} {provider:?}: {text}");
            let is_failure = match client {
                Speech::Responses => last["type"] == "response.failed" || last["type"] == "error",
                _ => client.failure(last).starts_with(&told),
            };
            assert!(is_failure, "{client:?}: {last}");
        }
    }
}

#[tokio::test]
async fn a_break_within_a_call_names_the_tool() {
    for client in [Speech::Messages, Speech::Responses, Speech::Gemini] {
        let fake = Fake::start().await;
        let half = [openai::tool_call(0, "c1", "weather"), openai::tool_arguments(0, "{\"city\"")];
        fake.answers([Scripted::stream(half.into_iter().chain([Step::Cut]))]);
        let gateway = before(&[(Speech::Chat, &fake)]).await;
        let path = client.path("r", true);
        let question = client.question("r", true).to_string();
        let answer = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
        let text = answer.text().await.unwrap();
        let last = events(&text).pop().unwrap().to_string();
        assert!(last.contains("its call of `weather` is incomplete"), "{client:?}: {text}");
    }
}

#[tokio::test]
async fn an_array_that_breaks_is_still_an_array() {
    let fake = Fake::start().await;
    fake.answers([Scripted::stream(Speech::Messages.begun("Hel").into_iter().chain([Step::Cut]))]);
    let gateway = before(&[(Speech::Messages, &fake)]).await;
    let question = Speech::Gemini.question("r", true).to_string();
    let path = "/v1beta/models/r:streamGenerateContent";
    let body = send(&gateway, "POST", path, &[("x-goog-api-key", KEY)], question).await;
    let body = body.json().await.unwrap();
    let elements = body.as_array().unwrap();
    assert_eq!(Speech::Gemini.says(&elements[0]), "Hel");
    assert!(Speech::Gemini.failure(elements.last().unwrap()).starts_with("Provider anthropic: "));
}

#[tokio::test]
async fn only_the_formats_own_headers_reach_a_provider_of_that_format() {
    let (anthropic, openai) = (Fake::start().await, Fake::start().await);
    anthropic.answers([Speech::Messages.whole("Hi")]);
    openai.answers([Speech::Chat.whole("Hi")]);
    let sent = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "context-1m-2025-08-07"),
        ("anthropic-beta", "files-api-2025-04-14"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("x-stainless-lang", "python"),
        ("openai-organization", "org-1"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("authorization", "Bearer not-for-them"),
        ("user-agent", "Anthropic/Python 2.12"),
    ];
    let question = Speech::Messages.question("r", false);
    let gateway = before(&[(Speech::Messages, &anthropic)]).await;
    assert_eq!(post(&gateway, Speech::Messages, &question, &sent).await.status, 200);
    let seen = anthropic.seen().remove(0);
    let betas: Vec<_> = seen.header("anthropic-beta").split(',').map(str::trim).collect();
    assert_eq!(betas, ["context-1m-2025-08-07", "files-api-2025-04-14"]);
    assert_eq!(seen.header("anthropic-version"), "2023-06-01");
    assert_eq!(seen.header("x-api-key"), "secret");
    for name in
        ["x-stainless-lang", "openai-organization", "cookie", "x-forwarded-for", "authorization"]
    {
        assert_eq!(seen.header(name), "", "{name}");
    }
    assert!(seen.header("user-agent").starts_with("lockgate/"));
    assert_eq!(seen.header("anthropic-dangerous-direct-browser-access"), "");

    let gateway = before(&[(Speech::Chat, &openai)]).await;
    assert_eq!(post(&gateway, Speech::Messages, &question, &sent).await.status, 200);
    let seen = openai.seen().remove(0);
    for name in ["anthropic-version", "anthropic-beta", "x-api-key"] {
        assert_eq!(seen.header(name), "", "{name}");
    }
}

/// A question that no other format has every word for.
fn odd() -> Value {
    let mut question = Speech::Chat.question("r", false);
    question["logit_bias"] = json!({"50256": -100});
    question["seed"] = 7.into();
    question
}

#[tokio::test]
async fn what_a_provider_was_not_told_is_told_to_the_client() {
    let fake = Fake::start().await;
    fake.answers([Speech::Messages.whole("Hi")]);
    let gateway = before(&[(Speech::Messages, &fake)]).await;
    let answer = post(&gateway, Speech::Chat, &odd(), &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-gateway-dropped")),
        (200, "seed, logit_bias")
    );
    let sent = fake.seen().remove(0).json();
    assert_eq!((sent.get("logit_bias"), sent.get("seed")), (None, None));
    let mut question = odd();
    question["gr\u{fc}n"] = true.into();
    let answer = post(&gateway, Speech::Chat, &question, &[]).await;
    assert!(answer.header("x-gateway-dropped").contains("gr?n"), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_strict_client_is_refused_before_anybody_is_asked() {
    let (one, other) = (Fake::start().await, Fake::start().await);
    let gateway = before(&[(Speech::Messages, &one), (Speech::Gemini, &other)]).await;
    let answer = post(&gateway, Speech::Chat, &odd(), &[("x-gateway-strict", "true")]).await;
    let (status, body) = (answer.status.as_u16(), answer.json().await.unwrap());
    assert_eq!((status, &body["error"]["param"]), (400, &json!("seed")), "{body}");
    assert!(one.seen().is_empty() && other.seen().is_empty());
}

#[tokio::test]
async fn a_strict_client_gets_the_step_that_can_say_it_all() {
    let (one, other) = (Fake::start().await, Fake::start().await);
    other.answers([Speech::Chat.whole("Hi")]);
    let gateway = before(&[(Speech::Messages, &one), (Speech::Chat, &other)]).await;
    let answer = post(&gateway, Speech::Chat, &odd(), &[("x-gateway-strict", "true")]).await;
    assert_eq!(answer.header("x-gateway-provider"), "openai");
    assert_eq!(answer.header("x-gateway-dropped"), "");
    assert_eq!(Speech::Chat.said(&answer.json().await.unwrap()), "Hi");
    assert!(one.seen().is_empty());
    assert_eq!(other.seen().remove(0).json()["logit_bias"], json!({"50256": -100}));
}

/// What Gemini says, shows and sounds.
fn shown() -> Value {
    let parts = json!([
        {"text": "Hi"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ]);
    let content = json!({"role": "model", "parts": parts});
    json!({"candidates": [{"content": content, "finishReason": "STOP"}]})
}

#[tokio::test]
async fn what_a_client_has_no_word_for_in_an_answer_is_said() {
    for (client, lost) in [
        (Speech::Chat, vec!["answer.audio", "answer.file"]),
        (Speech::Responses, vec!["answer.audio", "answer.file"]),
        (Speech::Messages, vec!["answer.image", "answer.audio", "answer.file"]),
        (Speech::Gemini, vec![]),
    ] {
        let fake = Fake::start().await;
        let event = format!("data: {}\n\n", shown());
        fake.answers([Scripted::json(200, &shown()), Scripted::stream([Step::text(event)])]);
        let gateway = before(&[(Speech::Gemini, &fake)]).await;
        let answer = post(&gateway, client, &client.question("r", false), &[]).await;
        assert_eq!(answer.header("x-gateway-dropped"), lost.join(", "), "{client:?}");
        assert_eq!(client.said(&answer.json().await.unwrap()), "Hi");
        let path = client.path("r", true);
        let question = client.question("r", true).to_string();
        let answer = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
        let text = answer.text().await.unwrap();
        let said: Vec<_> = text.lines().filter_map(|it| it.strip_prefix(": dropped ")).collect();
        assert_eq!(said, lost, "{client:?}: {text}");
        assert_eq!(text.contains("iVBORw0KGgo="), !lost.contains(&"answer.image"), "{text}");
    }
}

/// A name as programs put them together: longer than most providers take.
const LONG: &str = "mcp__plugin_design_tools__performance_analyze_insight.of_every_page_2";

#[tokio::test]
async fn a_tool_may_have_a_name_that_its_provider_does_not_take() {
    let fake = Fake::start().await;
    let gateway = before(&[(Speech::Chat, &fake)]).await;
    let mut question = Speech::Gemini.question("r", false);
    question["tools"] = json!([{"functionDeclarations": [{"name": LONG}, {"name": "plain"}]}]);
    fake.answers([openai::completion("Hi")]);
    post(&gateway, Speech::Gemini, &question, &[]).await;
    let sent = fake.seen()[0].json();
    let names = [0, 1].map(|at| sent["tools"][at]["function"]["name"].as_str().unwrap());
    let told = names[0].to_owned();
    assert!(told.len() <= 64 && told.starts_with("mcp__plugin_design_tools__"), "{told}");
    assert_eq!(names[1], "plain");

    // It is called by that name, whole and streamed, and the client hears its own.
    fake.answers([
        openai::completion_with_tool("c1", &told, "{}"),
        Scripted::stream([
            openai::tool_call(0, "c1", &told),
            openai::tool_arguments(0, "{}"),
            openai::finish("tool_calls"),
            openai::done(),
        ]),
    ]);
    let answer = post(&gateway, Speech::Gemini, &question, &[]).await.json().await.unwrap();
    let content = answer["candidates"][0]["content"].clone();
    assert_eq!(content["parts"][0]["functionCall"]["name"], LONG, "{answer}");
    let path = Speech::Gemini.path("r", true);
    let body = question.to_string();
    let stream = send(&gateway, "POST", &path, &[("x-api-key", KEY)], body).await;
    let stream = stream.text().await.unwrap();
    assert!(stream.contains(LONG) && !stream.contains(&told), "{stream}");

    // The next turn names it as before.
    let result = json!({"functionResponse": {"name": LONG, "response": {"a": 1}}});
    let turns = question["contents"].as_array_mut().unwrap();
    turns.extend([content, json!({"role": "user", "parts": [result]})]);
    fake.answers([openai::completion("Done")]);
    post(&gateway, Speech::Gemini, &question, &[]).await;
    let sent = fake.seen().pop().unwrap().json();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], told, "{sent}");
    assert!(!sent.to_string().contains(LONG), "{sent}");
}

#[tokio::test]
async fn what_other_models_got_wrong_does_not_end_a_conversation() {
    // Ids that begin anew with each turn, and arguments that are no JSON.
    let call = |name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"role": "assistant", "content": null,
            "tool_calls": [{"id": "call_0", "type": "function", "function": function}]})
    };
    let result = json!({"role": "tool", "tool_call_id": "call_0", "content": "x"});
    let hello = json!({"role": "user", "content": "Hello"});
    let messages = json!([hello, call("f", "{\"a\":"), result, call("g", "{}"), result]);
    let question = json!({"model": "r", "messages": messages});
    for provider in [Speech::Messages, Speech::Gemini] {
        let fake = Fake::start().await;
        fake.answers([provider.whole("Hi")]);
        let gateway = before(&[(provider, &fake)]).await;
        let answer = post(&gateway, Speech::Chat, &question, &[]).await;
        assert_eq!(answer.status, 200, "{provider:?}");
        let sent = fake.seen()[0].json();
        let at = |path: &str| sent.pointer(path).unwrap().clone();
        if provider == Speech::Messages {
            assert_eq!(at("/messages/1/content/0/input"), json!({"INVALID_JSON": "{\"a\":"}));
            let ids = [1, 3].map(|turn| at(&format!("/messages/{turn}/content/0/id")));
            let of = [2, 4].map(|turn| at(&format!("/messages/{turn}/content/0/tool_use_id")));
            assert!(ids[0] != ids[1] && ids == of, "{sent}");
        } else {
            assert_eq!(at("/contents/1/parts/0/functionCall/args/INVALID_JSON"), "{\"a\":");
            let names =
                [2, 4].map(|turn| at(&format!("/contents/{turn}/parts/0/functionResponse/name")));
            assert_eq!(names, ["f", "g"], "{sent}");
        }
    }
}
