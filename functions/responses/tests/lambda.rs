//! The real binary as Lambda runs it, behind a URL that streams, before a provider of another format.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::json;

#[path = "../../../shared/testkit/deployed/conversation.rs"]
mod conversation;

fn case() -> conversation::Case {
    conversation::Case {
        function: "responses",
        binary: env!("CARGO_BIN_EXE_responses"),
        path: "/v1/responses",
        stream_path: "/openai/v1/responses",
        requests: [false, true]
            .map(|stream| json!({"model": "r", "input": "Hello?", "stream": stream})),
        text: "/output/0/content/0/text",
        end: "event: response.completed\n",
        comment: Some(':'),
        word: "/error/code",
        words: ["auth", "forbidden"],
    }
}

conversation::tests!(case);
