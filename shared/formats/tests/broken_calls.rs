//! A provider's response that passes through does not end as a success within a call of a tool.

use bytes::Bytes;
use canonical::Result;
use formats::{
    DecodeOptions, Outbound, OutboundText, openai::chat::OpenAiChat,
    openai::responses::OpenAiResponses,
};
use serde_json::{Value, json};

/// Arguments that are whole, and two that are not.
const ARGUMENTS: [(&str, bool); 3] =
    [(r#"{"x":1}"#, true), (r#"{"x":"#, false), ("{'x':1}", false)];

fn whole(format: &dyn Outbound, body: &Value) -> Result<()> {
    format.response(Bytes::from(body.to_string()), DecodeOptions::default()).map(drop)
}

fn chat(arguments: &str, reason: &str) -> Value {
    let call = json!({"id": "c", "type": "function",
        "function": {"name": "f", "arguments": arguments}});
    json!({"choices": [{"index": 0, "finish_reason": reason,
        "message": {"role": "assistant", "content": null, "tool_calls": [call]}}]})
}

fn response(arguments: &str, status: &str) -> Value {
    let item =
        json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments});
    json!({"id": "r", "object": "response", "status": status, "output": [item]})
}

#[test]
fn of_a_whole_chat() {
    for (arguments, is_fine) in ARGUMENTS {
        for reason in ["tool_calls", "stop"] {
            let decoded = whole(&OpenAiChat, &chat(arguments, reason));
            assert_eq!(decoded.is_ok(), is_fine, "{reason} {arguments}");
        }
        // A limit says by itself what it cuts.
        whole(&OpenAiChat, &chat(arguments, "length")).unwrap();
    }
    let custom = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": null,
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "{"}}]}}]});
    whole(&OpenAiChat, &custom).unwrap();
}

#[test]
fn of_responses_whole_and_streamed() {
    for (arguments, is_fine) in ARGUMENTS {
        let body = response(arguments, "completed");
        assert_eq!(whole(&OpenAiResponses, &body).is_ok(), is_fine, "{arguments}");
        whole(&OpenAiResponses, &response(arguments, "incomplete")).unwrap();

        let event = json!({"type": "response.completed", "response": body});
        let mut decoder = OpenAiResponses.stream_decoder(DecodeOptions::default());
        let (frame, mut events) = (format!("data: {event}\n\n"), vec![]);
        let read = decoder.read(Bytes::from(frame), &mut events);
        assert_eq!((read.is_ok(), events.is_empty()), (is_fine, !is_fine), "{arguments}");
    }
}
