//! The real binary as Lambda runs it, behind a URL that streams, before a provider of another format.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::json;

#[path = "../../../shared/testkit/deployed/conversation.rs"]
mod conversation;

fn case() -> conversation::Case {
    conversation::Case {
        function: "messages",
        binary: env!("CARGO_BIN_EXE_messages"),
        path: "/v1/messages",
        stream_path: "/anthropic/v1/messages",
        requests: [false, true].map(|stream| {
            json!({
                "model": "r", "max_tokens": 64, "stream": stream,
                "messages": [{"role": "user", "content": "Hello?"}],
            })
        }),
        text: "/content/0/text",
        end: "event: message_stop\n",
        comment: Some(':'),
        word: "/error/type",
        words: ["authentication_error", "permission_error"],
    }
}

conversation::tests!(case);
