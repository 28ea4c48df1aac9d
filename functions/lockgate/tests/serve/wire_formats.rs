//! One request and one response in each format, as clients and providers encode them.

use serde_json::{Value, json};
use testkit::{
    openai,
    provider::{ScriptedResponse, Step},
};

/// A format of clients and providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Chat,
    Responses,
    Messages,
    Gemini,
}

pub(crate) const ALL: [Format; 4] =
    [Format::Chat, Format::Responses, Format::Messages, Format::Gemini];

impl Format {
    /// The `type` of a provider with this format.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Chat => "openai",
            Self::Responses => "openai-responses",
            Self::Messages => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Every path of its endpoint; the first is the company's own.
    pub(crate) fn paths(self, model: &str, stream: bool) -> Vec<String> {
        let under =
            |bases: &[&str], rest: &str| bases.iter().map(|it| format!("{it}{rest}")).collect();
        match self {
            Self::Chat => under(&["/v1", "", "/openai/v1"], "/chat/completions"),
            Self::Responses => under(&["/v1", "/openai/v1"], "/responses"),
            Self::Messages => under(&["", "/anthropic"], "/v1/messages"),
            Self::Gemini => {
                let method =
                    if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let bases = ["/v1beta", "/v1", "/gemini/v1beta", "/gemini/v1"];
                under(&bases, &format!("/models/{model}:{method}"))
            }
        }
    }

    /// The path of a client's request.
    pub(crate) fn path(self, model: &str, stream: bool) -> String {
        self.paths(model, stream).remove(0)
    }

    /// A client's request.
    pub(crate) fn request(self, model: &str, stream: bool) -> Value {
        let messages = json!([{"role": "user", "content": "Hello"}]);
        match self {
            Self::Chat => json!({"model": model, "messages": messages, "stream": stream}),
            Self::Responses => json!({"model": model, "input": "Hello", "stream": stream}),
            Self::Messages => {
                json!({"model": model, "messages": messages, "max_tokens": 64, "stream": stream})
            }
            Self::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
        }
    }

    /// A provider's whole response.
    pub(crate) fn whole(self, text: &str) -> ScriptedResponse {
        let body = match self {
            Self::Chat => return openai::completion(text),
            Self::Responses => response("completed", &json!([item(text)])),
            Self::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
                "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 12},
            }),
            Self::Gemini => candidate(text, true),
        };
        ScriptedResponse::json(200, &body)
    }

    /// The start of a provider's stream, with one text.
    pub(crate) fn begun(self, text: &str) -> Vec<Step> {
        match self {
            Self::Chat => vec![openai::role(), openai::chunk(text)],
            Self::Responses => {
                let begun = json!({"type": "message", "id": "m1", "status": "in_progress", "role": "assistant", "content": []});
                let part = json!({"type": "output_text", "text": "", "annotations": []});
                steps(&[
                    ("response.created", json!({"response": response("in_progress", &json!([]))})),
                    ("response.output_item.added", json!({"output_index": 0, "item": begun})),
                    (
                        "response.content_part.added",
                        json!({"item_id": "m1", "output_index": 0, "content_index": 0, "part": part}),
                    ),
                    (
                        "response.output_text.delta",
                        json!({"item_id": "m1", "output_index": 0, "content_index": 0, "delta": text, "logprobs": []}),
                    ),
                ])
            }
            Self::Messages => steps(&[
                (
                    "message_start",
                    json!({"message": {
                        "id": "msg_1", "type": "message", "role": "assistant", "content": [],
                        "model": "claude-sonnet-4-5", "stop_reason": null, "stop_sequence": null,
                        "usage": {"input_tokens": 9, "output_tokens": 1},
                    }}),
                ),
                (
                    "content_block_start",
                    json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
                ),
                ("ping", json!({})),
                (
                    "content_block_delta",
                    json!({"index": 0, "delta": {"type": "text_delta", "text": text}}),
                ),
            ]),
            Self::Gemini => vec![frame(&candidate(text, false))],
        }
    }

    /// The rest of such a stream, to its proper end.
    pub(crate) fn ended(self, text: &str) -> Vec<Step> {
        match self {
            Self::Chat => vec![openai::chunk(" again"), openai::finish("stop"), openai::done()],
            Self::Responses => {
                let whole = format!("{text} again");
                let part = json!({"type": "output_text", "text": whole, "annotations": []});
                let at = |value: Value| {
                    let mut value = value;
                    value["item_id"] = "m1".into();
                    value["output_index"] = 0.into();
                    value["content_index"] = 0.into();
                    value
                };
                steps(&[
                    ("response.output_text.delta", at(json!({"delta": " again", "logprobs": []}))),
                    ("response.output_text.done", at(json!({"text": whole, "logprobs": []}))),
                    ("response.content_part.done", at(json!({"part": part}))),
                    ("response.output_item.done", json!({"output_index": 0, "item": item(&whole)})),
                    (
                        "response.completed",
                        json!({"response": response("completed", &json!([item(&whole)]))}),
                    ),
                ])
            }
            Self::Messages => steps(&[
                (
                    "content_block_delta",
                    json!({"index": 0, "delta": {"type": "text_delta", "text": " again"}}),
                ),
                ("content_block_stop", json!({"index": 0})),
                (
                    "message_delta",
                    json!({
                        "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                        "usage": {"output_tokens": 12},
                    }),
                ),
                ("message_stop", json!({})),
            ]),
            Self::Gemini => vec![frame(&candidate(" again", true))],
        }
    }

    /// A provider's whole stream: the text, and ` again`.
    pub(crate) fn stream(self, text: &str) -> ScriptedResponse {
        ScriptedResponse::stream(self.begun(text).into_iter().chain(self.ended(text)))
    }

    /// The text of a whole response.
    pub(crate) fn response_text(self, body: &Value) -> &str {
        let text = match self {
            Self::Chat => &body["choices"][0]["message"]["content"],
            Self::Responses => &body["output"][0]["content"][0]["text"],
            Self::Messages => &body["content"][0]["text"],
            Self::Gemini => &body["candidates"][0]["content"]["parts"][0]["text"],
        };
        text.as_str().unwrap_or_else(|| panic!("{body} says nothing"))
    }

    /// The text of one stream event.
    pub(crate) fn delta_text(self, event: &Value) -> &str {
        let text = match self {
            Self::Chat => &event["choices"][0]["delta"]["content"],
            Self::Responses if event["type"] == "response.output_text.delta" => &event["delta"],
            Self::Responses => &Value::Null,
            Self::Messages => &event["delta"]["text"],
            Self::Gemini => &event["candidates"][0]["content"]["parts"][0]["text"],
        };
        text.as_str().unwrap_or_default()
    }

    /// Whether an event ends a stream as it should.
    pub(crate) fn ends(self, event: &Value) -> bool {
        match self {
            Self::Chat => event["choices"][0]["finish_reason"].is_string(),
            Self::Responses => event["type"] == "response.completed",
            Self::Messages => event["type"] == "message_stop",
            Self::Gemini => event["candidates"][0]["finishReason"].is_string(),
        }
    }

    /// The message of a failure in this shape; every other member has to be as it should.
    pub(crate) fn failure(self, body: &Value) -> &str {
        let error = &body["error"];
        let right = match self {
            Self::Chat | Self::Responses => {
                ["type", "code", "request_id"].iter().all(|it| error[*it].is_string())
            }
            Self::Messages => {
                body["type"] == "error"
                    && error["type"].is_string()
                    && body["request_id"].is_string()
            }
            Self::Gemini => {
                error["code"].is_u64() && error["status"].is_string() && error["details"].is_array()
            }
        };
        assert!(right, "{self:?} does not tell failures like this: {body}");
        error["message"].as_str().unwrap()
    }
}

/// The events of a stream, comments and OpenAI's terminator left out.
pub(crate) fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|it| it.strip_prefix("data: "));
    lines.filter(|it| *it != "[DONE]").map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn response(status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_741_476_542, "status": status,
        "error": null, "incomplete_details": null, "instructions": null, "model": "gpt-5",
        "output": output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "usage": if status == "completed" { json!({
            "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 21,
        }) } else { Value::Null },
    })
}

fn item(text: &str) -> Value {
    json!({
        "type": "message", "id": "m1", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    })
}

fn candidate(text: &str, last: bool) -> Value {
    let mut candidate =
        json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    let mut body = json!({"modelVersion": "gemini-2.5-flash", "responseId": "r1"});
    if last {
        candidate["finishReason"] = "STOP".into();
        body["usageMetadata"] =
            json!({"promptTokenCount": 9, "candidatesTokenCount": 12, "totalTokenCount": 21});
    }
    body["candidates"] = json!([candidate]);
    body
}

fn frame(body: &Value) -> Step {
    Step::text(format!("data: {body}\r\n\r\n"))
}

/// Events with names, which their data repeats, numbered as OpenAI does.
fn steps(events: &[(&str, Value)]) -> Vec<Step> {
    let step = |(number, (name, data)): (usize, &(&str, Value))| {
        let mut data = data.clone();
        data["type"] = (*name).into();
        if name.starts_with("response.") {
            data["sequence_number"] = number.into();
        }
        Step::text(format!("event: {name}\ndata: {data}\n\n"))
    };
    events.iter().enumerate().map(step).collect()
}
