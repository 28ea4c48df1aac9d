//! A member that is null says nothing: a request with one is as good as a request without it.

use bytes::Bytes;
use canonical::{Field, ModelFacts, ModelFamily};
use formats::{
    EncodeOptions, Inbound, RequestPolicy, SystemPromptPolicy, anthropic::messages::Anthropic,
    google::generate_content::Gemini, openai::chat::OpenAiChat, openai::responses::OpenAiResponses,
};
use serde_json::{Value, json};

/// A request in a format, and the members that have to be there, by the ends of their paths.
type Case = (&'static dyn Inbound, Value, &'static [&'static str]);

fn chat() -> Case {
    let request = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": false},
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "user", "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "https://h/a.png", "detail": "low"}},
            ]},
            {"role": "assistant", "content": "a", "refusal": "r", "reasoning_content": "t",
             "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
             ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "x"},
            {"role": "user", "name": "n", "content": "y"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "f", "description": "d", "strict": true,
            "parameters": {"type": "object"},
        }}],
        "tool_choice": "auto", "parallel_tool_calls": true,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "description": "d", "strict": true, "schema": {"type": "object"},
        }},
        "max_tokens": 5, "max_completion_tokens": 6, "stop": ["x"], "temperature": 1, "top_p": 1,
        "reasoning_effort": "low", "user": "u", "seed": 1, "n": 1, "metadata": {"a": "b"},
    });
    let required = &[
        "messages",
        ".role",
        ".type",
        ".url",
        ".image_url",
        ".id",
        ".name",
        ".text",
        ".function",
        ".tool_call_id",
        ".json_schema",
        "stop[0]",
        "messages[0]",
        "messages[1]",
        "messages[2]",
        "messages[3]",
        "messages[4]",
        "messages[5]",
        "content[0]",
        "content[1]",
        "tool_calls[0]",
        "tools[0]",
    ];
    (&OpenAiChat, request, required)
}

fn responses() -> Case {
    let request = json!({
        "model": "m", "instructions": "i", "store": true, "include": ["x"],
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "https://h/a.png", "detail": "low"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f",
             "arguments": "{}", "status": "completed"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
        ],
        "tools": [{"type": "function", "name": "f", "description": "d", "strict": true,
                   "parameters": {"type": "object"}}],
        "tool_choice": "auto", "parallel_tool_calls": true,
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n",
            "strict": true, "schema": {"type": "object"}}},
        "reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 5,
        "temperature": 1, "top_p": 1, "stream": true, "metadata": {"a": "b"}, "user": "u",
    });
    let required = &[
        "input",
        ".role",
        ".type",
        ".name",
        ".call_id",
        ".text",
        ".image_url",
        ".output",
        "input[0]",
        "input[1]",
        "input[2]",
        "input[3]",
        "content[0]",
        "content[1]",
        "tools[0]",
        "include[0]",
        "input[0].content",
        ".metadata.a",
        ".schema",
    ];
    (&OpenAiResponses, request, required)
}

fn messages() -> Case {
    let request = json!({
        "model": "m", "max_tokens": 9, "stream": true,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": ""}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "text", "text": "a", "citations": []},
                {"type": "tool_use", "id": "toolu!1", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu!1", "is_error": false,
                 "content": [{"type": "text", "text": "x"}]},
            ]},
        ],
        "tools": [{"type": "custom", "name": "f", "description": "d",
                   "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": "u"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "stop_sequences": ["x"], "temperature": 1, "top_p": 1, "top_k": 1,
    });
    let required = &[
        "messages",
        "max_tokens",
        ".role",
        ".type",
        ".id",
        ".name",
        ".text",
        ".tool_use_id",
        ".thinking",
        ".signature",
        ".input_schema",
        ".budget_tokens",
        "messages[0]",
        "messages[1]",
        "messages[2]",
        "content[0]",
        "content[1]",
        "content[2]",
        "tools[0]",
        "system[0]",
        "stop_sequences[0]",
        ".schema",
        "[0].content",
        "[1].content",
        "[2].content",
    ];
    (&Anthropic, request, required)
}

fn generate_content() -> Case {
    let request = json!({
        "systemInstruction": {"role": "user", "parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            ]},
            {"role": "model", "parts": [
                {"text": "t", "thought": true, "thoughtSignature": "AAAA"},
                {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c", "name": "f", "response": {"output": "x"}}},
            ]},
        ],
        "tools": [{"functionDeclarations": [
            {"name": "f", "description": "d", "parameters": {"type": "OBJECT"}},
        ]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "maxOutputTokens": 5, "temperature": 1, "topP": 1, "topK": 1, "candidateCount": 1,
            "stopSequences": ["x"], "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT"},
            "thinkingConfig": {"thinkingBudget": 100, "includeThoughts": true},
        },
        "safetySettings": [{"category": "c", "threshold": "t"}], "cachedContent": "x",
    });
    let required = &[
        "contents",
        ".name",
        ".data",
        ".mimeType",
        ".role",
        "contents[0]",
        "contents[1]",
        "contents[2]",
        "parts[0]",
        "parts[1]",
        ".text",
        ".inlineData",
        ".functionCall",
        ".functionResponse",
        "tools[0]",
        "functionDeclarations[0]",
        "allowedFunctionNames[0]",
        "stopSequences[0]",
        "safetySettings[0]",
        "contents[1].parts",
    ];
    (&Gemini, request, required)
}

/// The paths of every value within another.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    let within: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(key, value)| (format!("{path}/{key}"), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, value)| (format!("{path}/{at}"), value)).collect()
        }
        _ => vec![],
    };
    for (path, value) in within {
        // What is in a schema is the schema's own.
        if !path.contains("/parameters/") && !path.to_lowercase().contains("schema/") {
            paths(value, &path, found);
        }
        found.push(path);
    }
}

/// The path as messages write it, such as `.tools[0].name`.
fn written(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1).map(|it| match it.parse::<usize>() {
        Ok(at) => format!("[{at}]"),
        Err(_) => format!(".{it}"),
    });
    parts.collect()
}

/// How a request fails, wherever it may go.
fn faults(format: &dyn Inbound, body: &Value) -> Vec<String> {
    let mut request = match format.decode(Bytes::from(body.to_string())) {
        Ok(request) => request,
        Err(error) => return vec![format!("decode: {error}")],
    };
    let mut faults = vec![];
    if let Err(error) = request.canonical() {
        faults.push(format!("canonical: {error}"));
    }
    let mistral = ModelFacts { family: ModelFamily::Mistral, ..ModelFacts::default() };
    let plain = ModelFacts::default();
    let dropped = [
        Field::ResponseSchema,
        Field::ResponseFormat,
        Field::LateSystem,
        Field::MaxTokensName,
        Field::Verbosity,
        Field::Reasoning,
    ];
    for (facts, drop_fields) in [(&plain, &[][..]), (&mistral, &dropped[..])] {
        let options = EncodeOptions {
            model: "m",
            stream: true,
            facts,
            drop_fields,
            drop_signatures: !drop_fields.is_empty(),
            ..EncodeOptions::default()
        };
        if let Err(error) = request.passthrough(&options) {
            faults.push(format!("passthrough: {error}"));
        }
    }
    for system_prompt in
        [SystemPromptPolicy::Prepend("Be brief."), SystemPromptPolicy::Replace("x")]
    {
        let policy = RequestPolicy { max_output: Some(3), system_prompt };
        if let Err(error) = request.apply_policy(&policy) {
            faults.push(format!("policy: {error}"));
        }
    }
    faults
}

#[test]
fn a_null_is_no_fault_where_nothing_has_to_be() {
    let mut wrong = vec![];
    for (format, request, required) in [chat(), responses(), messages(), generate_content()] {
        assert_eq!(faults(format, &request), [""; 0], "{format:?}");
        let mut pointers = vec![];
        paths(&request, "", &mut pointers);
        for pointer in pointers {
            let path = written(&pointer);
            if required.iter().any(|it| path.ends_with(it)) {
                continue;
            }
            let mut nulled = request.clone();
            *nulled.pointer_mut(&pointer).unwrap() = Value::Null;
            for fault in faults(format, &nulled) {
                wrong.push(format!("{format:?} {path}: {fault}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
