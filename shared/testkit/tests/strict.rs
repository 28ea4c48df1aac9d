//! The strict providers reject what the real ones reject, and respond in their formats.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use http::Request;
use serde_json::{Value, json};
use testkit::client::{self, ClientResponse};
use testkit::strict::{Format, InjectedFault, KEY, Script, Strict, Tokens};

const ALL: [Format; 5] = [
    Format::OpenAiChat,
    Format::OpenAiResponses,
    Format::Anthropic,
    Format::Gemini,
    Format::Bedrock,
];

/// A change of a request, and the expected error message.
type Wrong = (fn(&mut Value), &'static str);

fn target(format: Format, stream: bool) -> &'static str {
    match (format, stream) {
        (Format::OpenAiChat, _) => "/v1/chat/completions",
        (Format::OpenAiResponses, _) => "/v1/responses",
        (Format::Anthropic, _) => "/v1/messages",
        (Format::Gemini, false) => "/v1beta/models/m:generateContent",
        (Format::Gemini, true) => "/v1beta/models/m:streamGenerateContent?alt=sse",
        (Format::Bedrock, false) => "/model/m/converse",
        (Format::Bedrock, true) => "/model/m/converse-stream",
    }
}

async fn ask(provider: &Strict, body: &Value, stream: bool) -> ClientResponse {
    let format = provider.format();
    let url = format!("{}{}", provider.url(), target(format, stream));
    let request = Request::post(url).header("content-type", "application/json");
    let request = match format {
        Format::OpenAiChat | Format::OpenAiResponses | Format::Bedrock => {
            request.header("authorization", format!("Bearer {KEY}"))
        }
        Format::Anthropic => {
            request.header("x-api-key", KEY).header("anthropic-version", "2023-06-01")
        }
        Format::Gemini => request.header("x-goog-api-key", KEY),
    };
    client::send(request.body(body.to_string().into()).unwrap()).await.unwrap()
}

/// Every invalid request is rejected with the API's message, and the valid one is accepted.
async fn refuses(format: Format, right: &Value, wrongs: &[Wrong]) {
    let provider = Strict::start(format).await;
    let response = ask(&provider, right, false).await;
    let status = response.status;
    assert_eq!(status, 200, "{}", response.text().await.unwrap());
    for (spoil, expected_message) in wrongs {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        let response = ask(&provider, &wrong, false).await;
        assert_eq!(response.status, 400, "{expected_message}");
        let response = response.json().await.unwrap();
        let error = if format == Format::Bedrock { &response } else { &response["error"] };
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected_message), "{message:?} is not {expected_message:?}");
    }
    assert_eq!((provider.accepted().len(), provider.rejected().len()), (1, wrongs.len()));
}

/// A conversation with one tool call and its result.
fn chat() -> Value {
    let call = json!({"id": "c1", "type": "function",
        "function": {"name": "get", "arguments": "{\"a\":1}"}});
    json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
    ], "tools": [{"type": "function", "function": {"name": "get"}}], "temperature": 0})
}

#[tokio::test]
async fn openai_chat_rejects_what_openai_rejects() {
    let wrongs: &[Wrong] = &[
        (|it| it["top_k"] = 1.into(), "Unknown parameter: 'top_k'"),
        (|it| it["messages"][0]["role"] = "model".into(), "Invalid value: 'model'"),
        (|it| it["messages"][0]["x"] = 1.into(), "Unknown parameter: 'messages[0].x'"),
        (|it| it["messages"][3]["tool_call_id"] = "c2".into(), "must be a response to a prec"),
        (
            |it| drop(it["messages"].as_array_mut().unwrap().pop()),
            "did not have response messages: c1",
        ),
        (|it| it["temperature"] = "0".into(), "Invalid type for 'temperature'"),
        (|it| it["temperature"] = 3.into(), "expected a value between 0 and 2"),
        (|it| it["stream_options"] = json!({"include_usage": true}), "only allowed when 'stream'"),
        (
            |it| it["response_format"] = json!({"type": "json_object"}),
            "must contain the word 'json'",
        ),
        (|it| it["messages"][2]["tool_calls"][0]["id"] = "x".repeat(41).into(), "too long"),
        (|it| it["messages"] = json!([]), "empty array"),
        (
            |it| drop(it.as_object_mut().unwrap().remove("model")),
            "Missing required parameter: 'model'",
        ),
    ];
    refuses(Format::OpenAiChat, &chat(), wrongs).await;
}

fn responses() -> Value {
    json!({"model": "m", "instructions": "Be brief.", "store": false, "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
    ], "tools": [{"type": "function", "name": "get", "parameters": {"type": "object"}}]})
}

#[tokio::test]
async fn openai_responses_rejects_what_openai_rejects() {
    let wrongs: &[Wrong] = &[
        (|it| it["messages"] = json!([]), "Unknown parameter: 'messages'"),
        (|it| it["input"][0]["content"][0]["type"] = "text".into(), "Invalid value: 'text'"),
        (
            |it| it["input"][1]["call_id"] = "c2".into(),
            "No tool call found for function call output",
        ),
        (
            |it| drop(it["input"].as_array_mut().unwrap().pop()),
            "No tool output found for function call c1",
        ),
        (|it| it["input"][1]["id"] = "call_1".into(), "begins with 'fc'"),
        (|it| it["max_output_tokens"] = 15.into(), "integer below minimum value"),
        (
            |it| {
                it["input"][1] = json!({"type": "reasoning", "id": "rs_1", "summary": [],
                    "encrypted_content": "Zm9yZWlnbg=="});
            },
            "could not be verified",
        ),
    ];
    refuses(Format::OpenAiResponses, &responses(), wrongs).await;
}

fn messages() -> Value {
    json!({"model": "m", "max_tokens": 4096, "system": "Be brief.", "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "c1", "name": "get", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "1"}]},
    ], "tools": [{"name": "get", "input_schema": {"type": "object"}}]})
}

#[tokio::test]
async fn anthropic_rejects_what_anthropic_rejects() {
    let wrongs: &[Wrong] = &[
        (|it| drop(it.as_object_mut().unwrap().remove("max_tokens")), "max_tokens: Field required"),
        (|it| it["n"] = 1.into(), "n: Extra inputs are not permitted"),
        (|it| it["messages"][0]["role"] = "system".into(), "Unexpected role \"system\""),
        (|it| it["messages"][1]["content"][0]["id"] = "a.b".into(), "should match pattern"),
        (|it| it["messages"][1]["content"][0]["input"] = "{}".into(), "valid dictionary"),
        (
            |it| it["messages"][2]["content"] = "1".into(),
            "without `tool_result` blocks immediately",
        ),
        (|it| it["messages"][1]["content"] = "1".into(), "unexpected `tool_use_id`"),
        (
            |it| it["thinking"] = json!({"type": "enabled", "budget_tokens": 1}),
            "greater than or equal to 1024",
        ),
        (
            |it| it["thinking"] = json!({"type": "enabled", "budget_tokens": 4096}),
            "must be greater than",
        ),
        (
            |it| it["thinking"] = json!({"type": "enabled", "budget_tokens": 1024}),
            "Expected `thinking`",
        ),
        (
            |it| {
                it["messages"][1]["content"] =
                    json!([{"type": "thinking", "thinking": "Hm", "signature": "Zm9yZWlnbg=="}]);
            },
            "Invalid `signature`",
        ),
        (|it| it["temperature"] = json!(1.5), "between 0 and 1"),
        (|it| drop(it.as_object_mut().unwrap().remove("tools")), "must define tools"),
    ];
    refuses(Format::Anthropic, &messages(), wrongs).await;
}

fn contents() -> Value {
    let stand_in = "skip_thought_signature_validator";
    json!({"contents": [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "get", "args": {}}, "thoughtSignature": stand_in},
            {"functionCall": {"name": "get", "args": {}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "get", "response": {"output": "1"}}},
            {"functionResponse": {"name": "get", "response": {"output": "2"}}},
        ]},
    ], "tools": [{"functionDeclarations": [
        {"name": "get", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
    ]}], "generationConfig": {"temperature": 0}})
}

#[tokio::test]
async fn gemini_rejects_what_google_rejects() {
    const FIRST: fn(&mut Value) -> &mut Value = |it| &mut it["contents"][1]["parts"][0];
    let wrongs: &[Wrong] = &[
        (|it| it["messages"] = json!([]), "Unknown name \"messages\""),
        (|it| it["contents"][0]["role"] = "assistant".into(), "Please use a valid role"),
        (
            |it| {
                it["tools"][0]["functionDeclarations"][0]["parameters"]["properties"]["a"]["additionalProperties"] =
                    false.into();
            },
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters",
        ),
        (
            |it| drop(FIRST(it).as_object_mut().unwrap().remove("thoughtSignature")),
            "missing a thought_signature",
        ),
        (|it| FIRST(it)["thoughtSignature"] = "Zm9yZWlnbg==".into(), "corrupted thought signature"),
        (
            |it| drop(it["contents"][2]["parts"].as_array_mut().unwrap().pop()),
            "number of function response parts",
        ),
        (
            |it| it["contents"][2]["parts"][0]["functionResponse"]["response"] = "1".into(),
            "expected an object",
        ),
        (
            |it| drop(it["contents"].as_array_mut().unwrap().remove(0)),
            "comes immediately after a user turn",
        ),
        (|it| it["generationConfig"]["max_tokens"] = 1.into(), "Unknown name \"max_tokens\""),
        (
            |it| {
                it["toolConfig"] = json!({"functionCallingConfig": {"mode": "AUTO",
            "allowedFunctionNames": ["get"]}});
            },
            "only be set when",
        ),
    ];
    refuses(Format::Gemini, &contents(), wrongs).await;
}

fn converse() -> Value {
    let call = json!({"toolUseId": "c1", "name": "get", "input": {}});
    let result = json!({"toolUseId": "c1", "content": [{"text": "1"}]});
    let tool = json!({"name": "get", "inputSchema": {"json": {"type": "object"}}});
    json!({"messages": [
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": [{"toolUse": call}]},
        {"role": "user", "content": [{"toolResult": result}]},
    ], "toolConfig": {"tools": [{"toolSpec": tool}]}})
}

#[tokio::test]
async fn bedrock_rejects_what_amazon_rejects() {
    let wrongs: &[Wrong] = &[
        (|it| it["model"] = "m".into(), "Extra inputs are not permitted"),
        (|it| it["messages"][0]["role"] = "system".into(), "enum value set"),
        (|it| drop(it["messages"].as_array_mut().unwrap().remove(1)), "must alternate"),
        (|it| drop(it["messages"].as_array_mut().unwrap().pop()), "Expected toolResult blocks"),
        (
            |it| it["messages"][1]["content"] = json!([{"text": "1"}]),
            "exceeds the number of toolUse blocks",
        ),
        (|it| drop(it.as_object_mut().unwrap().remove("toolConfig")), "toolConfig field must be"),
        (|it| it["messages"][0]["content"][0]["text"] = " ".into(), "is blank"),
        (|it| it["messages"][1]["content"][0]["toolUse"]["toolUseId"] = "a.b".into(), "pattern"),
        (|it| it["inferenceConfig"] = json!({"topK": 1}), "Extra inputs are not permitted"),
    ];
    refuses(Format::Bedrock, &converse(), wrongs).await;
}

#[tokio::test]
async fn a_wrong_key_or_a_missing_version_is_rejected() {
    for format in ALL {
        let provider = Strict::start(format).await;
        let url = format!("{}{}", provider.url(), target(format, false));
        let request = Request::post(url).header("content-type", "application/json");
        let response = client::send(request.body("{}".into()).unwrap()).await.unwrap();
        let known = matches!(format, Format::Gemini | Format::Bedrock);
        let expected = if known { 403 } else { 401 };
        assert_eq!(response.status, expected, "{format:?}");
    }
    let provider = Strict::start(Format::Anthropic).await;
    let url = format!("{}/v1/messages", provider.url());
    let request = Request::post(url).header("x-api-key", KEY).body("{}".into()).unwrap();
    let response = client::send(request).await.unwrap().json().await.unwrap();
    assert_eq!(response["error"]["message"], "anthropic-version: header is required");
}

fn question(format: Format, stream: bool) -> Value {
    let mut question = match format {
        Format::OpenAiChat => chat(),
        Format::OpenAiResponses => responses(),
        Format::Anthropic => messages(),
        Format::Gemini => return contents(),
        Format::Bedrock => return converse(),
    };
    question["stream"] = stream.into();
    question
}

#[tokio::test]
async fn one_script_is_encoded_in_each_format() {
    let tokens = Tokens { input: 5, cached: 3, written: 0, output: 7, reasoning: 2 };
    let script = Script::default()
        .then_reasoning(["I ", "think"])
        .then_text(["Hel", "lo"])
        .then_call("call_1", "get", ["{\"city\":", "\"Riga\"}"]);
    for format in ALL {
        let provider = Strict::start(format).await;
        provider.script([script.clone().with_tokens(tokens)]);
        for stream in [false, true] {
            let response = ask(&provider, &question(format, stream), stream).await;
            let kind = match (stream, format) {
                (true, Format::Bedrock) => "application/vnd.amazon.eventstream",
                (true, _) => "text/event-stream",
                (false, _) => "application/json",
            };
            assert_eq!((response.status.as_u16(), response.header("content-type")), (200, kind));
            let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
            for text_part in ["think", "lo", "get", "Riga"] {
                assert!(text.contains(text_part), "{format:?} {stream} lacks {text_part}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn injected_faults_occur_where_the_script_places_them() {
    for format in ALL {
        let provider = Strict::start(format).await;
        let troubled = |it| Script::text(["Hello"]).with_fault(it);
        provider.script([
            troubled(InjectedFault::Status(429)),
            troubled(InjectedFault::Cut),
            troubled(InjectedFault::EndsEarly),
            troubled(InjectedFault::ErrorLast),
        ]);
        let question = question(format, true);
        assert_eq!(ask(&provider, &question, true).await.status, 429);
        let mut cut = ask(&provider, &question, true).await;
        assert!(cut.until("Hello").await.is_ok());
        assert!(cut.bytes().await.is_err());
        let early = ask(&provider, &question, true).await.bytes().await.unwrap();
        let broken = ask(&provider, &question, true).await.bytes().await.unwrap();
        let [early, broken] = [early, broken].map(|it| String::from_utf8_lossy(&it).to_lowercase());
        assert!(early.contains("hello") && broken.contains("hello"));
        assert!(broken.matches("error").count() > early.matches("error").count(), "{broken}");
    }
}
