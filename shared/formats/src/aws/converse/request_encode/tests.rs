//! Whole requests.

use canonical::{
    CacheBreakpoint, Citation, Content, Json, Media, MediaSource, Message, Part, Role, Sampling,
    Signature, Tool, ToolCall, ToolResult,
};
use serde_json::json;

use super::*;

const CLAUDE: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";

fn encoded(conversation: &Conversation, model: &str) -> Result<EncodedRequest> {
    let facts = crate::options::facts("bedrock", model);
    let target = EncodeOptions { model, facts, ..EncodeOptions::default() };
    encode(conversation, &target)
}

fn sent(conversation: &Conversation, model: &str) -> (Value, Vec<Field>) {
    let encoded = encoded(conversation, model).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

fn refused(messages: Vec<Message>) -> Error {
    encoded(&of(messages), CLAUDE).unwrap_err()
}

fn of(messages: Vec<Message>) -> Conversation {
    Conversation { messages, ..Conversation::default() }
}

fn user(parts: Vec<Part>) -> Message {
    Message::new(Role::User, parts)
}

fn model(parts: Vec<Part>) -> Message {
    Message::new(Role::Assistant, parts)
}

fn text(text: &str) -> Part {
    Part::text(text)
}

fn call(id: &str, arguments: &str) -> Part {
    let (id, arguments) = (id.to_owned(), arguments.to_owned());
    Part::new(Content::ToolCall(ToolCall { id, name: "look".to_owned(), arguments }))
}

fn result(id: &str, conversation: &str, is_error: Option<bool>) -> Part {
    let (id, parts) = (id.to_owned(), vec![text(conversation)]);
    Part::new(Content::ToolResult(ToolResult { id, parts, is_error, name: None }))
}

fn reasoning(conversation: &str, signature: Option<Signature>) -> Part {
    Part { signature, ..Part::new(Content::Reasoning(conversation.to_owned())) }
}

fn marked(part: Part, ttl: Option<&str>) -> Part {
    Part { cache: Some(CacheBreakpoint { ttl: ttl.map(str::to_owned) }), ..part }
}

#[test]
fn everything_has_its_place() {
    let conversation = Conversation {
        messages: vec![
            Message::new(Role::System, vec![text("Be brief.")]),
            user(vec![text("Hello")]),
            model(vec![text("Hi")]),
            user(vec![text("Why?")]),
        ],
        sampling: Sampling {
            temperature: Some(0.5),
            top_k: Some(40),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        },
        max_tokens: Some(100),
        metadata: vec![("team".to_owned(), "a".to_owned()), ("odd".to_owned(), "{}".to_owned())],
        service_tier: Some("flex".to_owned()),
        response_format: Some(ResponseFormat::Schema(Schema {
            name: Some("reply".to_owned()),
            description: None,
            schema: Json(r#"{"type":"object","additionalProperties":false}"#.to_owned()),
            strict: Some(true),
        })),
        ..Conversation::default()
    };
    let (body, dropped) = sent(&conversation, CLAUDE);
    assert_eq!(
        body,
        json!({
            "system": [{"text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"text": "Hello"}]},
                {"role": "assistant", "content": [{"text": "Hi"}]},
                {"role": "user", "content": [{"text": "Why?"}]},
            ],
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"]},
            "additionalModelRequestFields": {"top_k": 40},
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
            "requestMetadata": {"team": "a"},
            "serviceTier": {"type": "flex"},
            "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
                "schema": "{\"type\":\"object\",\"additionalProperties\":false,\"title\":\"reply\"}",
                "name": "reply",
            }}}},
        })
    );
    assert_eq!(dropped, [Field::Metadata]);
}

#[test]
fn what_is_unsupported_is_named() {
    let conversation = Conversation {
        response_format: Some(ResponseFormat::Json),
        user: Some("u".to_owned()),
        verbosity: Some("low".to_owned()),
        prompt_cache_key: Some("k".to_owned()),
        service_tier: Some("scale".to_owned()),
        sampling: Sampling { seed: Some(1), n: Some(2), ..Sampling::default() },
        ..of(vec![user(vec![text("a")])])
    };
    let (body, dropped) = sent(&conversation, LLAMA);
    assert_eq!(body, json!({"messages": [{"role": "user", "content": [{"text": "a"}]}]}));
    let wanted = [
        Field::ResponseFormat,
        Field::Seed,
        Field::N,
        Field::User,
        Field::ServiceTier,
        Field::Verbosity,
        Field::PromptCacheKey,
    ];
    assert_eq!(dropped, wanted);
}

#[test]
fn results_of_parallel_calls_are_one_message() {
    let messages = vec![
        user(vec![text("a")]),
        model(vec![call("c1", ""), call("c2", r#"{"b": 1e2}"#)]),
        user(vec![result("c1", "one", None)]),
        user(vec![result("c2", "two", Some(true))]),
        user(vec![text("and?")]),
    ];
    let conversation = Conversation {
        tools: vec![Tool { name: "look".to_owned(), ..Tool::default() }],
        ..of(messages)
    };
    let encoded = encoded(&conversation, CLAUDE).unwrap();
    let body = std::str::from_utf8(&encoded.body).unwrap();
    assert!(body.contains(r#""input":{}"#) && body.contains(r#""input":{"b": 1e2}"#), "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        body["messages"][2],
        json!({"role": "user", "content": [
            {"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}]}},
            {"toolResult": {"toolUseId": "c2", "content": [{"text": "two"}], "status": "error"}},
            {"text": "and?"},
        ]})
    );
    assert!(encoded.dropped.is_empty());
    assert_eq!(sent(&conversation, LLAMA).1, [Field::ToolError]);
}

#[test]
fn calls_and_results_belong_together() {
    let requested = || user(vec![text("a")]);
    let error = refused(vec![requested(), model(vec![call("c1", "{}")]), requested()]);
    assert!(error.message().contains("`c1` has no result"), "{error}");
    let error =
        refused(vec![requested(), model(vec![text("b")]), user(vec![result("c9", "x", None)])]);
    assert!(error.message().contains("`c9` does not follow"), "{error}");
    let twice = user(vec![result("c1", "x", None), result("c1", "y", None)]);
    let error = refused(vec![requested(), model(vec![call("c1", "{}")]), twice]);
    assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::InvalidRequest, Some("messages")));
}

#[test]
fn a_failure_is_never_empty() {
    for (is_error, content) in [
        (Some(true), json!([{"text": "The tool failed."}])),
        (Some(false), json!([])),
        (None, json!([])),
    ] {
        let result = user(vec![result("c1", " ", is_error)]);
        let messages = vec![user(vec![text("a")]), model(vec![call("c1", "{}")]), result];
        let body = sent(&of(messages), CLAUDE).0;
        assert_eq!(body["messages"][2]["content"][0]["toolResult"]["content"], content);
    }
}

#[test]
fn arguments_are_an_object() {
    for broken in ["{\"a", "[]", "null"] {
        let result = user(vec![result("c1", "x", None)]);
        let messages = vec![user(vec![text("a")]), model(vec![call("c1", broken)]), result];
        let input = &sent(&of(messages), CLAUDE).0["messages"][1]["content"][0]["toolUse"]["input"];
        assert_eq!(*input, json!({ "INVALID_JSON": broken }));
    }
}

#[test]
fn ids_are_made_fit_on_both_sides() {
    let long = "call|".repeat(30);
    let messages = vec![
        user(vec![text("a")]),
        model(vec![call(&long, "{}"), call("call|", "{}")]),
        user(vec![result(&long, "x", None), result("call|", "y", None)]),
    ];
    let (body, _) = sent(&of(messages), CLAUDE);
    let at = |place: &str| body.pointer(place).and_then(Value::as_str).unwrap().to_owned();
    let first = at("/messages/1/content/0/toolUse/toolUseId");
    assert!(first.len() <= 64 && first.starts_with("callcall"), "{first}");
    assert_eq!(first, at("/messages/2/content/0/toolResult/toolUseId"));
    let second = at("/messages/1/content/1/toolUse/toolUseId");
    assert_ne!(first, second);
    assert_eq!(second, at("/messages/2/content/1/toolResult/toolUseId"));
}

#[test]
fn reasoning_goes_back_to_its_maker_only() {
    let claude = |data| Some(Signature::new("anthropic", data));
    let messages = || {
        vec![
            user(vec![text("a")]),
            model(vec![
                reasoning("hm", claude("c2ln")),
                reasoning("", claude("redacted:eHg=")),
                reasoning("ah", Some(Signature::new("gemini", "x"))),
                text("b"),
            ]),
            user(vec![text("c")]),
        ]
    };
    let (body, dropped) = sent(&of(messages()), CLAUDE);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "eHg="}},
            {"text": "b"},
        ])
    );
    assert!(dropped.is_empty());
    let (body, dropped) = sent(&of(messages()), LLAMA);
    assert_eq!(body["messages"][1]["content"], json!([{"text": "b"}]));
    assert!(dropped.is_empty(), "{dropped:?}");
    let unsigned = vec![user(vec![text("a")]), model(vec![reasoning("hm", None), text("b")])];
    assert_eq!(sent(&of(unsigned), CLAUDE).1, [Field::ReasoningText]);
}

#[test]
fn marks_stand_behind_what_they_cover() {
    let mut inner = result("c1", "x", None);
    if let Content::ToolResult(result) = &mut inner.content {
        result.parts[0].cache = Some(CacheBreakpoint::default());
    }
    let messages = vec![
        Message::new(Role::System, vec![marked(text("rules"), Some("1h")), text("more")]),
        user(vec![marked(text("a"), None), marked(text(" "), None)]),
        model(vec![call("c1", "{}")]),
        user(vec![inner, text("b")]),
    ];
    let conversation = Conversation {
        cache: Some(CacheBreakpoint { ttl: Some("2h".to_owned()) }),
        ..of(messages)
    };
    let (body, dropped) = sent(&conversation, CLAUDE);
    let point = json!({"cachePoint": {"type": "default"}});
    let hour = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    assert_eq!(body["system"], json!([{"text": "rules"}, hour, {"text": "more"}]));
    assert_eq!(body["messages"][0]["content"], json!([{"text": "a"}, point]));
    let last = body["messages"][2]["content"].as_array().unwrap();
    assert_eq!((&last[1], &last[2], &last[3]), (&point, &json!({"text": "b"}), &point));
    assert_eq!(dropped, [Field::CacheTtl]);
    let (body, dropped) = sent(&conversation, LLAMA);
    assert!(!body.to_string().contains("cachePoint"));
    assert_eq!(dropped, [Field::Cache]);
}

#[test]
fn what_is_shown_has_a_format() {
    let shown = |content: fn(Media) -> Content, media_type: &str, name: Option<&str>| {
        Part::new(content(Media {
            source: MediaSource::Base64("AAAA".to_owned()),
            media_type: Some(media_type.to_owned()),
            name: name.map(str::to_owned),
            detail: None,
        }))
    };
    let messages = vec![user(vec![
        text("What is this?"),
        shown(Content::Image, "image/png", None),
        shown(Content::File, "application/pdf", Some("a.pdf")),
        shown(Content::Video, "video/quicktime", None),
        shown(Content::Audio, "audio/wav", None),
    ])];
    let (body, dropped) = sent(&of(messages), CLAUDE);
    let source = json!({"bytes": "AAAA"});
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"text": "What is this?"},
            {"image": {"format": "png", "source": source}},
            {"document": {"format": "pdf", "name": "a", "source": source}},
            {"video": {"format": "mov", "source": source}},
            {"audio": {"format": "wav", "source": source}},
        ])
    );
    assert!(dropped.is_empty());
}

#[test]
fn a_document_that_comes_alone_is_introduced() {
    let media = Media { media_type: Some("text/csv".to_owned()), ..Media::default() };
    let (body, dropped) = sent(&of(vec![user(vec![Part::new(Content::File(media))])]), CLAUDE);
    let content = body["messages"][0]["content"].as_array().unwrap();
    assert!(content[0]["text"].is_string() && content[1]["document"].is_object(), "{body}");
    assert!(dropped.is_empty());
}

#[test]
fn the_model_shows_nothing_that_it_could_be_reminded_of() {
    let image = Part::new(Content::Image(Media::default()));
    let cited = Part::new(Content::Text("b".to_owned(), vec![Citation::default()]));
    let refusal = Part::new(Content::Refusal("no".to_owned()));
    let messages =
        vec![user(vec![text("a")]), model(vec![image, cited, refusal]), user(vec![text("c")])];
    let (body, dropped) = sent(&of(messages), CLAUDE);
    assert_eq!(body["messages"][1]["content"], json!([{"text": "b"}, {"text": "no"}]));
    assert_eq!(dropped, [Field::Refusal, Field::Citations, Field::Image]);
}

#[test]
fn a_conversation_begins_with_the_user() {
    let (body, _) = sent(&of(vec![Message::new(Role::System, vec![text("Say hi.")])]), CLAUDE);
    let conversation = json!([{"role": "user", "content": [{"text": "Say hi."}]}]);
    assert_eq!((&body["messages"], &body["system"]), (&conversation, &Value::Null));
    let (body, _) = sent(&of(vec![model(vec![text("Hi")]), user(vec![text("a")])]), CLAUDE);
    assert_eq!(body["messages"][0], json!({"role": "user", "content": [{"text": "Begin."}]}));
    // Converse gives Claude few tokens where nothing is said.
    assert_eq!(body["inferenceConfig"]["maxTokens"], 64_000);
}

#[test]
fn blank_messages_leave_no_gap() {
    let messages = vec![user(vec![text("a")]), model(vec![text(" ")]), user(vec![text("b")])];
    let (body, _) = sent(&of(messages), CLAUDE);
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}])
    );
}

#[test]
fn a_schema_is_for_models_that_keep_to_one() {
    let schema = Schema {
        name: None,
        description: None,
        schema: Json(r#"{"type":"object","minProperties":1}"#.to_owned()),
        strict: None,
    };
    let conversation = Conversation {
        response_format: Some(ResponseFormat::Schema(schema)),
        ..of(vec![user(vec![text("a")])])
    };
    let place = "/outputConfig/textFormat/structure/jsonSchema/schema";
    let (body, dropped) = sent(&conversation, LLAMA);
    assert_eq!(body.pointer(place), Some(&json!(r#"{"type":"object","minProperties":1}"#)));
    assert!(dropped.is_empty());
    // Claude knows fewer keywords, and only newer ones know any.
    let (body, dropped) = sent(&conversation, CLAUDE);
    assert!(!body.pointer(place).unwrap().as_str().unwrap().contains("\"minProperties\":"));
    assert!(dropped.contains(&Field::SchemaKeyword("minProperties".to_owned())), "{dropped:?}");
    let (body, dropped) = sent(&conversation, "anthropic.claude-3-haiku-20240307-v1:0");
    assert_eq!((body.pointer(place), dropped), (None, vec![Field::ResponseFormat]));
}

#[test]
fn a_beginning_is_for_models_that_go_on_with_it() {
    let messages = || vec![user(vec![text("a")]), model(vec![text("Once ")])];
    let (body, _) = sent(&of(messages()), CLAUDE);
    assert_eq!(body["messages"][1]["content"], json!([{"text": "Once"}]));
    let error = encoded(&of(messages()), "anthropic.claude-opus-5").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}
