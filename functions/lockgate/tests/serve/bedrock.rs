//! Amazon Bedrock: the translated request, its signature, and the client's response.

use serde_json::{Value, json};
use testkit::bedrock;
use testkit::lockgate::Lockgate;
use testkit::provider::{FakeProvider, ReceivedRequest, Step};

use crate::support::{
    KEY, ask, ask_with, attempts_of, chunks_of, error_of, hello, hello_streamed, only, program,
    provider, text_in, text_of,
};

/// A model whose id has to be encoded in a path.
const MODEL: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1:0";

fn yaml(url: &str, more: &str) -> String {
    format!(
        "api_key: {KEY}\nproviders:\n\
         \x20 - {{ name: aws, type: bedrock, base_url: \"{url}\"{more} }}\n\
         routes:\n  - name: claude\n    steps: [{{ provider: aws, model: \"{MODEL}\" }}]\n"
    )
}

/// A gateway with a role in AWS.
async fn with_role(yaml: &str) -> Lockgate {
    program()
        .config(yaml)
        .variable("AWS_REGION", "eu-west-1")
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
        .variable("AWS_SESSION_TOKEN", "the-token")
        .start()
        .await
}

async fn answering() -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([bedrock::response("Hi")]);
    fake
}

/// Gives the scope of a signature, and checks that the rest of it is there.
fn scope(seen: &ReceivedRequest) -> String {
    let authorization = seen.header("authorization");
    let parts: Vec<&str> =
        authorization.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().split(", ").collect();
    let [credential, names, signature] = parts[..] else { panic!("{authorization}") };
    assert_eq!(names, "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token");
    let signature = signature.strip_prefix("Signature=").unwrap();
    assert!(signature.len() == 64 && signature.bytes().all(|it| it.is_ascii_hexdigit()));
    assert_eq!(seen.header("x-amz-security-token"), "the-token");
    let (id, scope) =
        credential.strip_prefix("Credential=").and_then(|it| it.split_once('/')).unwrap();
    assert_eq!(id, "AKIDEXAMPLE");
    let (date, scope) = scope.split_once('/').unwrap();
    assert!(seen.header("x-amz-date").starts_with(date), "{authorization}");
    scope.to_owned()
}

#[tokio::test]
async fn a_request_is_translated_and_signed() {
    let fake = answering().await;
    let gateway = with_role(&yaml(&fake.url(), "")).await;
    let request = json!({
        "model": "claude", "max_tokens": 50, "stop": "END",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    });
    assert_eq!(text_of(ask(&gateway, &request).await).await, "Hi");
    let seen = only(&fake);
    assert_eq!(seen.target, "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse");
    assert_eq!(scope(&seen), "eu-west-1/bedrock/aws4_request");
    assert_eq!(
        seen.json(),
        json!({
            "system": [{"text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
            "inferenceConfig": {"maxTokens": 50, "stopSequences": ["END"]},
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
        })
    );
    assert!(!gateway.log().contains("hunter2"));
}

#[tokio::test]
async fn the_signature_names_the_configured_region() {
    let fake = answering().await;
    let gateway = with_role(&yaml(&fake.url(), ", region: us-west-2")).await;
    assert_eq!(ask(&gateway, &hello("claude")).await.status, 200);
    assert_eq!(scope(&only(&fake)), "us-west-2/bedrock/aws4_request");
}

#[tokio::test]
async fn a_bedrock_api_key_precedes_the_role() {
    let fake = answering().await;
    fake.require_bearer("bedrock-api-key-x");
    let gateway = with_role(&yaml(&fake.url(), ", api_key: bedrock-api-key-x")).await;
    assert_eq!(text_of(ask(&gateway, &hello("claude")).await).await, "Hi");
    assert_eq!(only(&fake).header("x-amz-date"), "");
}

#[tokio::test]
async fn without_a_key_or_a_role_the_next_target_is_attempted() {
    let (fake, next) = (answering().await, provider().await);
    let yaml = format!(
        "api_key: {KEY}\nproviders:\n\
         \x20 - {{ name: aws, type: bedrock, base_url: \"{}\" }}\n\
         \x20 - {{ name: next, base_url: \"{}\" }}\n\
         routes:\n  - name: both\n    steps:\n\
         \x20     - {{ provider: aws, model: m }}\n      - {{ provider: next, model: n }}\n",
        fake.url(),
        next.url()
    );
    let setup = program().config(&yaml).variable("AWS_EC2_METADATA_DISABLED", "true");
    let gateway = setup.start().await;
    gateway.logged("are skipped: the AWS region is not known").await;
    let body: Value = ask(&gateway, &hello("both")).await.json().await.unwrap();
    assert_eq!(attempts_of(&body["x_gateway"])[1], "next success 200");
    let why = body["x_gateway"]["attempts"][0]["message"].as_str().unwrap();
    assert!(why.contains("AWS_ACCESS_KEY_ID"), "{why}");
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn frames_become_chunks() {
    let fake = FakeProvider::start().await;
    fake.respond_with([bedrock::stream(["Hel", "lo"])]);
    let gateway = with_role(&yaml(&fake.url(), "")).await;
    let mut request = hello_streamed("claude");
    request["stream_options"] = json!({"include_usage": true});
    let stream = ask(&gateway, &request).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "Hello");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let last = chunks_of(&stream).pop().unwrap();
    assert_eq!(
        (&last["usage"]["prompt_tokens"], &last["usage"]["completion_tokens"]),
        (&json!(9), &json!(2))
    );
    assert!(only(&fake).target.ends_with("v1%3A0/converse-stream"));
}

#[tokio::test]
async fn a_tool_call_is_streamed_as_it_arrives() {
    let fake = FakeProvider::start().await;
    let start = json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "look"}}});
    let delta = |input: &str| {
        let delta = json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": input}}});
        bedrock::event("contentBlockDelta", &delta)
    };
    fake.respond_with([bedrock::streamed([
        bedrock::start(),
        bedrock::event("contentBlockStart", &start),
        delta("{\"at\":"),
        delta("1}"),
        bedrock::event("messageStop", &json!({"stopReason": "tool_use"})),
    ])]);
    let gateway = with_role(&yaml(&fake.url(), "")).await;
    let mut request = hello_streamed("claude");
    request["tools"] = json!([{"type": "function", "function": {"name": "look"}}]);
    let stream = ask(&gateway, &request).await.text().await.unwrap();
    let chunks = chunks_of(&stream);
    let calls =
        chunks.iter().filter_map(|it| it["choices"][0]["delta"]["tool_calls"][0].as_object());
    let arguments: String =
        calls.clone().filter_map(|it| it["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, "{\"at\":1}");
    assert_eq!(calls.clone().next().unwrap()["id"], "tooluse_1");
    assert!(
        stream.contains("\"finish_reason\":\"tool_calls\"") && stream.ends_with("data: [DONE]\n\n")
    );
}

#[tokio::test]
async fn an_exception_before_the_first_token_keeps_its_status() {
    let fake = FakeProvider::start().await;
    fake.respond_with([bedrock::streamed([
        bedrock::start(),
        bedrock::exception("throttlingException", "Too many requests"),
    ])]);
    let gateway = with_role(&yaml(&fake.url(), "")).await;
    let (status, error) = error_of(ask(&gateway, &hello_streamed("claude")).await).await;
    assert_eq!((status, &error["code"]), (429, &json!("rate_limit")));
}

#[tokio::test]
async fn an_exception_after_the_first_token_ends_the_stream_with_an_error() {
    let cut = [bedrock::start(), bedrock::text("Once"), Step::Cut];
    let silent_end = [bedrock::start(), bedrock::text("Once")];
    let thrown = bedrock::exception("modelStreamErrorException", "the worker died");
    let failed = [bedrock::start(), bedrock::text("Once"), thrown];
    for steps in [cut.to_vec(), silent_end.to_vec(), failed.to_vec()] {
        let fake = FakeProvider::start().await;
        fake.respond_with([bedrock::streamed(steps)]);
        let gateway = with_role(&yaml(&fake.url(), "")).await;
        let stream = ask(&gateway, &hello_streamed("claude")).await.text().await.unwrap();
        assert_eq!(text_in(&stream), "Once");
        let last = chunks_of(&stream).pop().unwrap();
        assert!(last["error"]["message"].as_str().unwrap().starts_with("Provider aws: "), "{last}");
        assert!(!stream.contains("[DONE]") && !stream.contains("\"finish_reason\":\"stop\""));
    }
}

#[tokio::test]
async fn denied_role_access_is_not_reported_as_the_clients_error() {
    let fake = FakeProvider::start().await;
    fake.respond_with([bedrock::error(
        403,
        "User: arn:aws:sts::123456789012:assumed-role/x is not authorized to perform: \
         bedrock:InvokeModel",
    )]);
    let gateway = with_role(&yaml(&fake.url(), "")).await;
    let (status, error) = error_of(ask(&gateway, &hello("claude")).await).await;
    assert_eq!(status, 502);
    assert!(!error.to_string().contains("123456789012"), "{error}");
}

#[tokio::test]
async fn fields_unsupported_by_bedrock_are_named() {
    let fake = answering().await;
    let gateway = with_role(&yaml(&fake.url(), "")).await;
    let mut request = hello("claude");
    request["seed"] = 7.into();
    let response = ask(&gateway, &request).await;
    assert_eq!((response.status.as_u16(), response.header("x-gateway-dropped")), (200, "seed"));
    let (status, error) =
        error_of(ask_with(&gateway, &request, &[("x-gateway-strict", "true")]).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("seed")));
    assert_eq!(fake.requests().len(), 1);
}
