//! The strict providers refuse what the real ones refuse, and answer in their formats.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use http::Request;
use serde_json::{Value, json};
use testkit::client::{self, Answer};
use testkit::strict::{Dialect, KEY, Script, Strict, Tokens, Trouble};

const ALL: [Dialect; 5] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Bedrock,
];

/// A change of a request, and what has to be said to it.
type Wrong = (fn(&mut Value), &'static str);

fn target(dialect: Dialect, stream: bool) -> &'static str {
    match (dialect, stream) {
        (Dialect::OpenAiChat, _) => "/v1/chat/completions",
        (Dialect::OpenAiResponses, _) => "/v1/responses",
        (Dialect::Anthropic, _) => "/v1/messages",
        (Dialect::Gemini, false) => "/v1beta/models/m:generateContent",
        (Dialect::Gemini, true) => "/v1beta/models/m:streamGenerateContent?alt=sse",
        (Dialect::Bedrock, false) => "/model/m/converse",
        (Dialect::Bedrock, true) => "/model/m/converse-stream",
    }
}

async fn ask(provider: &Strict, body: &Value, stream: bool) -> Answer {
    let dialect = provider.dialect();
    let url = format!("{}{}", provider.url(), target(dialect, stream));
    let request = Request::post(url).header("content-type", "application/json");
    let request = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Bedrock => {
            request.header("authorization", format!("Bearer {KEY}"))
        }
        Dialect::Anthropic => {
            request.header("x-api-key", KEY).header("anthropic-version", "2023-06-01")
        }
        Dialect::Gemini => request.header("x-goog-api-key", KEY),
    };
    client::send(request.body(body.to_string().into()).unwrap()).await.unwrap()
}

/// Every wrong request is refused with what the API says to it, and the right one is not.
async fn refuses(dialect: Dialect, right: &Value, wrongs: &[Wrong]) {
    let provider = Strict::start(dialect).await;
    let answer = ask(&provider, right, false).await;
    let status = answer.status;
    assert_eq!(status, 200, "{}", answer.text().await.unwrap());
    for (spoil, said) in wrongs {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        let answer = ask(&provider, &wrong, false).await;
        assert_eq!(answer.status, 400, "{said}");
        let answer = answer.json().await.unwrap();
        let error = if dialect == Dialect::Bedrock { &answer } else { &answer["error"] };
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{message:?} is not {said:?}");
    }
    assert_eq!((provider.asked().len(), provider.refused().len()), (1, wrongs.len()));
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
async fn openai_chat_refuses_what_openai_refuses() {
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
    refuses(Dialect::OpenAiChat, &chat(), wrongs).await;
}

fn responses() -> Value {
    json!({"model": "m", "instructions": "Be brief.", "store": false, "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
    ], "tools": [{"type": "function", "name": "get", "parameters": {"type": "object"}}]})
}

#[tokio::test]
async fn openai_responses_refuse_what_openai_refuses() {
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
    refuses(Dialect::OpenAiResponses, &responses(), wrongs).await;
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
async fn anthropic_refuses_what_anthropic_refuses() {
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
    refuses(Dialect::Anthropic, &messages(), wrongs).await;
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
async fn gemini_refuses_what_google_refuses() {
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
    refuses(Dialect::Gemini, &contents(), wrongs).await;
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
async fn bedrock_refuses_what_amazon_refuses() {
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
    refuses(Dialect::Bedrock, &converse(), wrongs).await;
}

#[tokio::test]
async fn a_wrong_key_or_a_missing_version_is_refused() {
    for dialect in ALL {
        let provider = Strict::start(dialect).await;
        let url = format!("{}{}", provider.url(), target(dialect, false));
        let request = Request::post(url).header("content-type", "application/json");
        let answer = client::send(request.body("{}".into()).unwrap()).await.unwrap();
        let known = matches!(dialect, Dialect::Gemini | Dialect::Bedrock);
        let expected = if known { 403 } else { 401 };
        assert_eq!(answer.status, expected, "{dialect:?}");
    }
    let provider = Strict::start(Dialect::Anthropic).await;
    let url = format!("{}/v1/messages", provider.url());
    let request = Request::post(url).header("x-api-key", KEY).body("{}".into()).unwrap();
    let answer = client::send(request).await.unwrap().json().await.unwrap();
    assert_eq!(answer["error"]["message"], "anthropic-version: header is required");
}

fn question(dialect: Dialect, stream: bool) -> Value {
    let mut question = match dialect {
        Dialect::OpenAiChat => chat(),
        Dialect::OpenAiResponses => responses(),
        Dialect::Anthropic => messages(),
        Dialect::Gemini => return contents(),
        Dialect::Bedrock => return converse(),
    };
    question["stream"] = stream.into();
    question
}

#[tokio::test]
async fn one_script_is_said_in_each_format() {
    let tokens = Tokens { input: 5, cached: 3, written: 0, output: 7, thought: 2 };
    let script = Script::default()
        .then_thought(["I ", "think"])
        .then_text(["Hel", "lo"])
        .then_call("call_1", "get", ["{\"city\":", "\"Riga\"}"]);
    for dialect in ALL {
        let provider = Strict::start(dialect).await;
        provider.says([script.clone().uses(tokens)]);
        for stream in [false, true] {
            let answer = ask(&provider, &question(dialect, stream), stream).await;
            let kind = match (stream, dialect) {
                (true, Dialect::Bedrock) => "application/vnd.amazon.eventstream",
                (true, _) => "text/event-stream",
                (false, _) => "application/json",
            };
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind));
            let text = String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned();
            for piece in ["think", "lo", "get", "Riga"] {
                assert!(text.contains(piece), "{dialect:?} {stream} lacks {piece}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn trouble_comes_when_the_script_says() {
    for dialect in ALL {
        let provider = Strict::start(dialect).await;
        let troubled = |it| Script::text(["Hello"]).breaks(it);
        provider.says([
            troubled(Trouble::Status(429)),
            troubled(Trouble::Cut),
            troubled(Trouble::EndsEarly),
            troubled(Trouble::ErrorLast),
        ]);
        let question = question(dialect, true);
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
