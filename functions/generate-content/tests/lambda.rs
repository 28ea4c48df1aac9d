//! The real binary as Lambda runs it, behind a URL that streams, before a provider of another format.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::{Value, json};
use testkit::{
    openai,
    provider::{Answer as Scripted, Gate, Step},
};

#[path = "../../../shared/testkit/deployed/conversation.rs"]
mod conversation;

fn case() -> conversation::Case {
    let question = json!({"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]});
    conversation::Case {
        function: "generate-content",
        binary: env!("CARGO_BIN_EXE_generate-content"),
        path: "/v1beta/models/r:generateContent",
        stream_path: "/gemini/v1/models/r:streamGenerateContent?alt=sse",
        questions: [question.clone(), question],
        text: "/candidates/0/content/parts/0/text",
        end: "\"finishReason\":\"STOP\"",
        comment: None,
        word: "/error/status",
        words: ["UNAUTHENTICATED", "PERMISSION_DENIED"],
    }
}

conversation::tests!(case);

#[tokio::test]
async fn silence_in_an_array_is_filled_with_white_space() {
    let case = case();
    let gateway = conversation::Gateway::start(&case).await;
    let (first, second) = (Gate::new(), Gate::new());
    let late = Scripted::stream([
        Step::Gate(first.clone()),
        openai::chunk("one"),
        Step::Gate(second.clone()),
        Step::Cut,
    ]);
    gateway.fake.answers([late]);
    let path = "/v1beta/models/r:streamGenerateContent";
    let mut answer = gateway.ask(path, "key", &case.questions[1]).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let mut text = answer.until("\n").await.unwrap();
    assert_eq!(text.trim(), "");
    first.open();
    text += &answer.until("one").await.unwrap();
    text += &answer.until("\n").await.unwrap();
    second.open();
    text += &answer.text().await.unwrap();
    let array: Value = serde_json::from_str(&text).unwrap();
    let last = array.as_array().unwrap().last().unwrap();
    assert_eq!(last["error"]["status"], "UNAVAILABLE", "{text}");
    gateway.is_well();
}
