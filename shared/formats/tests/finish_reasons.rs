//! No stream of any format is whole before each of its choices has a finish reason.

use bytes::Bytes;
use canonical::{Result, StreamEvent};
use formats::{
    DecodeMode, DecodeOptions, OutboundText, StreamEnd, anthropic::messages::Anthropic,
    google::generate_content::Gemini, openai::chat::OpenAiChat,
    openai::completions::OpenAiCompletions, openai::responses::OpenAiResponses,
};

const CONTENT: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
const CALL: &str = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}}]}"#;
const SECOND: &str = r#"{"choices":[{"index":1,"delta":{"content":"Hi"}}]}"#;
const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const COMPLETION: &str = r#"{"choices":[{"index":0,"text":"Hi"},{"index":1,"text":"Ho"}]}"#;
const COMPLETION_END: &str = r#"{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}"#;
const MESSAGE: &str = r#"{"type":"message_start","message":{"id":"m"}}"#;
const BLOCK: &str =
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}"#;
const TOOL: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
const BLOCK_END: &str = r#"{"type":"content_block_stop","index":0}"#;
const NO_REASON: &str = r#"{"type":"message_delta","delta":{"stop_reason":""},"usage":{}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;
const CANDIDATE: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#;
const ITEM: &str =
    r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}"#;

/// Streams that end, with or without a terminator, before their finish reasons.
const STREAMS: &[(&dyn OutboundText, &[&str])] = &[
    (&OpenAiChat, &["[DONE]"]),
    (&OpenAiChat, &[CONTENT]),
    (&OpenAiChat, &[CONTENT, "[DONE]"]),
    (&OpenAiChat, &[CALL, "[DONE]"]),
    (&OpenAiChat, &[CONTENT, SECOND, FINISH]),
    (&OpenAiChat, &[CONTENT, SECOND, FINISH, "[DONE]"]),
    (&OpenAiCompletions, &["[DONE]"]),
    (&OpenAiCompletions, &[COMPLETION, "[DONE]"]),
    (&OpenAiCompletions, &[COMPLETION, COMPLETION_END]),
    (&OpenAiCompletions, &[COMPLETION, COMPLETION_END, "[DONE]"]),
    (&Anthropic, &[MESSAGE, BLOCK, BLOCK_END]),
    (&Anthropic, &[MESSAGE, BLOCK, BLOCK_END, STOP]),
    (&Anthropic, &[MESSAGE, TOOL, STOP]),
    (&Anthropic, &[MESSAGE, BLOCK, BLOCK_END, NO_REASON, STOP]),
    (&Gemini, &[CANDIDATE]),
    (&OpenAiResponses, &[ITEM]),
    (&OpenAiResponses, &[ITEM, "[DONE]"]),
];

fn decoded(format: &dyn OutboundText, frames: &[&str], options: DecodeOptions) -> Result<()> {
    let mut decoder = format.stream_decoder(options);
    let mut events: Vec<StreamEvent> = vec![];
    for data in frames {
        decoder.read(Bytes::from(format!("data: {data}\n\n")), &mut events)?;
    }
    decoder.close(&mut events)
}

#[test]
fn a_stream_that_ends_without_a_finish_reason_is_an_error_in_every_format() {
    for (format, frames) in STREAMS {
        for mode in [DecodeMode::Passthrough, DecodeMode::Translate] {
            for end in [StreamEnd::Terminator, StreamEnd::FinishReason] {
                let outcome = decoded(*format, frames, DecodeOptions { mode, end });
                assert!(outcome.is_err(), "{} {mode:?} {end:?}: {frames:?}", format.name());
            }
        }
    }
}
