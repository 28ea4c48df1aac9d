//! Hostile inputs: cheap to write, and expensive for code that searches
//! one by one.
//!
//! Each grows with its size and with nothing else, so that the time for a byte shows how work grows.

use crate::bedrock::{Frame, frames};

/// An input of a given size: the number of its elements.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// What is odd about it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The format that it is written in, and the one that it costs most to pass it on to.
    pub formats: (&'static str, &'static str),
    /// Writes it.
    pub write: fn(usize) -> Vec<u8>,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client's request.
    Request,
    /// A provider's whole answer.
    Response,
    /// A provider's stream.
    Stream,
    /// A provider's failure.
    Failure,
}

const fn hostile(
    kind: Kind,
    formats: (&'static str, &'static str),
    name: &'static str,
    write: fn(usize) -> Vec<u8>,
) -> Hostile {
    Hostile { name, kind, formats, write }
}

const CHAT: &str = "openai_chat";
const RESPONSES: &str = "openai_responses";
const ANTHROPIC: &str = "anthropic";
const GEMINI: &str = "gemini";
const BEDROCK: &str = "bedrock";

/// Every input.
pub const HOSTILE: &[Hostile] = &[
    hostile(Kind::Stream, (CHAT, RESPONSES), "many calls, deltas for the first", chat_calls),
    hostile(Kind::Stream, (CHAT, ANTHROPIC), "a call in every chunk", chat_call_chunks),
    hostile(Kind::Stream, (CHAT, CHAT), "a call in every chunk", chat_call_chunks),
    hostile(Kind::Stream, (CHAT, ANTHROPIC), "one event in many lines", chat_lines),
    hostile(Kind::Stream, (CHAT, ANTHROPIC), "one large line", chat_line),
    hostile(Kind::Stream, (CHAT, CHAT), "comments behind the finish", chat_comments),
    hostile(Kind::Stream, (CHAT, RESPONSES), "many thoughts without a proof", chat_reasoning),
    hostile(Kind::Stream, (CHAT, GEMINI), "nothing but line ends", line_ends),
    hostile(Kind::Stream, (CHAT, GEMINI), "a citation in every chunk", chat_citations),
    hostile(Kind::Stream, (RESPONSES, GEMINI), "many calls, deltas for the first", responses_calls),
    hostile(Kind::Stream, (ANTHROPIC, RESPONSES), "a call that looks whole", anthropic_almost),
    hostile(
        Kind::Stream,
        (ANTHROPIC, RESPONSES),
        "many blocks, deltas for the first",
        anthropic_calls,
    ),
    hostile(Kind::Stream, (GEMINI, CHAT), "a citation in every chunk", gemini_citations),
    hostile(Kind::Stream, (GEMINI, ANTHROPIC), "many calls in one chunk", gemini_calls),
    hostile(Kind::Stream, (BEDROCK, ANTHROPIC), "many blocks, deltas for the last", bedrock_calls),
    hostile(Kind::Response, (GEMINI, ANTHROPIC), "many citations of one page", gemini_grounding),
    hostile(Kind::Response, (CHAT, ANTHROPIC), "many calls", chat_answer),
    hostile(Kind::Response, (ANTHROPIC, GEMINI), "many citations", anthropic_citations),
    hostile(Kind::Failure, (CHAT, CHAT), "quotes within quotes", quotes),
    hostile(Kind::Request, (CHAT, ANTHROPIC), "many unknown members", chat_members),
    hostile(Kind::Request, (CHAT, BEDROCK), "results in reverse", chat_results),
    hostile(Kind::Request, (CHAT, BEDROCK), "many allowed tools", chat_allowed),
    hostile(Kind::Request, (CHAT, BEDROCK), "documents of one name", chat_documents),
    hostile(Kind::Request, (CHAT, GEMINI), "many references in one schema", schema_references),
    hostile(Kind::Request, (CHAT, GEMINI), "references to deep places", schema_pointers),
    hostile(Kind::Request, (CHAT, GEMINI), "many bounds in one schema", schema_bounds),
    hostile(Kind::Request, (CHAT, GEMINI), "lists that are joined at every level", schema_joins),
    hostile(Kind::Request, (CHAT, ANTHROPIC), "many properties beside a choice", root_properties),
    hostile(Kind::Request, (CHAT, ANTHROPIC), "a choice of many definitions", root_definitions),
    hostile(Kind::Request, (RESPONSES, CHAT), "many unknown members", responses_members),
    hostile(Kind::Request, (ANTHROPIC, ANTHROPIC), "thoughts of others", anthropic_tagged),
    hostile(Kind::Request, (GEMINI, GEMINI), "thoughts of others behind nothing", gemini_tagged),
    hostile(Kind::Request, (GEMINI, CHAT), "a long key above many", gemini_keys),
    hostile(Kind::Request, (GEMINI, CHAT), "one order for many properties", gemini_order),
];

/// `one` for every number, with commas between.
fn list(size: usize, one: impl Fn(usize) -> String) -> String {
    (0..size).map(one).collect::<Vec<_>>().join(",")
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

fn chat_chunk(delta: &str) -> String {
    event(&format!(r#"{{"id":"a","choices":[{{"index":0,"delta":{delta}}}]}}"#))
}

fn chat_end() -> String {
    event(r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
        + &event("[DONE]")
}

fn chat_calls(size: usize) -> Vec<u8> {
    let call =
        |at| format!(r#"{{"index":{at},"id":"c{at}","function":{{"name":"f","arguments":"{{"}}}}"#);
    let more = |_| r#"{"index":0,"function":{"arguments":" "}}"#.to_owned();
    let calls = chat_chunk(&format!(r#"{{"tool_calls":[{}]}}"#, list(size, call)));
    let deltas = chat_chunk(&format!(r#"{{"tool_calls":[{}]}}"#, list(size, more)));
    (calls + &deltas + &chat_end()).into_bytes()
}

fn chat_call_chunks(size: usize) -> Vec<u8> {
    let call = |at| {
        let function = r#"{"name":"f","arguments":""}"#;
        let call =
            format!(r#"{{"index":{at},"id":"c{at}","type":"function","function":{function}}}"#);
        chat_chunk(&format!(r#"{{"tool_calls":[{call}]}}"#))
    };
    ((0..size).map(call).collect::<String>() + &chat_end()).into_bytes()
}

fn root_properties(size: usize) -> Vec<u8> {
    let properties = list(size, |at| format!(r#""a{at}":{{}}"#));
    let required = list(size, |at| format!(r#""a{at}""#));
    with_schema(&format!(
        r#"{{"type":"object","allOf":[{{"required":[{required}]}}],"properties":{{{properties}}}}}"#
    ))
}

fn root_definitions(size: usize) -> Vec<u8> {
    let choice = list(size, |at| format!(r##"{{"$ref":"#/$defs/a{at}"}}"##));
    let definitions = list(size, |at| format!(r#""a{at}":{{"type":"object"}}"#));
    with_schema(&format!(r#"{{"type":"object","anyOf":[{choice}],"$defs":{{{definitions}}}}}"#))
}

fn chat_lines(size: usize) -> Vec<u8> {
    let lines = "data: ,{\"index\":0,\"delta\":{}}\n".repeat(size);
    let head = "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{}}\n";
    format!("{head}{lines}data: ]}}\n\n{}", chat_end()).into_bytes()
}

fn chat_line(size: usize) -> Vec<u8> {
    let text = chat_chunk(&format!(r#"{{"content":"{}"}}"#, "gr\u{fc}n \\n ".repeat(size)));
    (text + &chat_end()).into_bytes()
}

fn chat_comments(size: usize) -> Vec<u8> {
    let (finish, done) = (chat_end(), event("[DONE]"));
    let finish = finish.strip_suffix(&done).unwrap_or(&finish);
    format!("{finish}{}{done}", ": still here\n\n".repeat(size)).into_bytes()
}

fn chat_reasoning(size: usize) -> Vec<u8> {
    (chat_chunk(r#"{"reasoning_content":"x"}"#).repeat(size) + &chat_end()).into_bytes()
}

fn chat_citations(size: usize) -> Vec<u8> {
    let chunk = |at: usize| {
        let (start, end) = (at * 2, at * 2 + 2);
        let cited = format!(r#"{{"url":"u","start_index":{start},"end_index":{end}}}"#);
        chat_chunk(&format!(
            "{{\"content\":\"x\u{fc}\",\"annotations\":[{{\"url_citation\":{cited}}}]}}"
        ))
    };
    (0..size).map(chunk).chain([chat_end()]).collect::<String>().into_bytes()
}

fn line_ends(size: usize) -> Vec<u8> {
    ("\r".repeat(size) + "\n" + &chat_end()).into_bytes()
}

fn responses_event(kind: &str, rest: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n")
}

fn responses_end() -> String {
    let response = r#""response":{"id":"r","status":"completed","output":[]}"#;
    responses_event("response.completed", response)
}

fn responses_call(at: usize) -> String {
    let item = format!(r#"{{"type":"function_call","call_id":"c{at}","name":"f","arguments":""}}"#);
    let rest = format!(r#""output_index":{at},"item":{item}"#);
    responses_event("response.output_item.added", &rest)
}

fn responses_delta(at: usize, json: &str) -> String {
    let rest = format!(r#""output_index":{at},"delta":"{json}""#);
    responses_event("response.function_call_arguments.delta", &rest)
}

fn responses_calls(size: usize) -> Vec<u8> {
    let calls: String = (0..size).map(responses_call).collect();
    let first = responses_delta(0, "{");
    let more: String = (0..size).map(|at| responses_delta(size - 1 - at, " ")).collect();
    (first + &calls + &more + &responses_end()).into_bytes()
}

fn anthropic_event(kind: &str, rest: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n")
}

fn anthropic_start(at: usize) -> String {
    let block = format!(r#"{{"type":"tool_use","id":"c{at}","name":"f","input":{{}}}}"#);
    anthropic_event("content_block_start", &format!(r#","index":{at},"content_block":{block}"#))
}

fn anthropic_delta(json: &str) -> String {
    let delta = format!(r#"{{"type":"input_json_delta","partial_json":"{json}"}}"#);
    anthropic_event("content_block_delta", &format!(r#","index":0,"delta":{delta}"#))
}

fn anthropic_whole(events: &str) -> Vec<u8> {
    let begin = anthropic_event("message_start", r#","message":{"id":"m","model":"m"}"#);
    let finish = anthropic_event("message_delta", r#","delta":{"stop_reason":"tool_use"}"#);
    let stop = anthropic_event("message_stop", "");
    format!("{begin}{events}{finish}{stop}").into_bytes()
}

fn anthropic_calls(size: usize) -> Vec<u8> {
    let calls: String = (0..size).map(anthropic_start).collect();
    anthropic_whole(&(calls + &anthropic_delta(" ").repeat(size)))
}

fn anthropic_almost(size: usize) -> Vec<u8> {
    let long = anthropic_delta(&format!("{{\\\"a\\\":\\\"{}}}", "x".repeat(size * 8)));
    let calls: String = (1..size).map(anthropic_start).collect();
    anthropic_whole(&(anthropic_start(0) + &long + &calls))
}

fn gemini_chunk(parts: &str, rest: &str) -> String {
    event(&format!(
        r#"{{"responseId":"r","candidates":[{{"content":{{"parts":[{parts}]}}{rest}}}]}}"#
    ))
}

fn gemini_citations(size: usize) -> Vec<u8> {
    let chunk = |at: usize| {
        let (start, end) = (at * 3, at * 3 + 3);
        let cited = format!(r#"[{{"startIndex":{start},"endIndex":{end},"uri":"u"}}]"#);
        gemini_chunk(
            "{\"text\":\"x\u{fc}\"}",
            &format!(r#","citationMetadata":{{"citations":{cited}}}"#),
        )
    };
    let chunks: String = (0..size).map(chunk).collect();
    (chunks + &gemini_chunk("", r#","finishReason":"STOP""#)).into_bytes()
}

fn gemini_calls(size: usize) -> Vec<u8> {
    let call = |_| r#"{"functionCall":{"name":"f","args":{"a":1}}}"#.to_owned();
    gemini_chunk(&list(size, call), r#","finishReason":"STOP""#).into_bytes()
}

fn bedrock_calls(size: usize) -> Vec<u8> {
    let start = |at: usize| {
        format!(
            r#"{{"contentBlockIndex":{at},"start":{{"toolUse":{{"toolUseId":"c{at}","name":"f"}}}}}}"#
        )
    };
    let more = format!(
        r#"{{"contentBlockIndex":{},"delta":{{"toolUse":{{"input":" "}}}}}}"#,
        size.saturating_sub(1)
    );
    let starts: Vec<String> = (0..size).map(start).collect();
    let mut sent = vec![Frame::Event("messageStart", "{}")];
    sent.extend(starts.iter().map(|it| Frame::Event("contentBlockStart", it)));
    sent.extend((0..size).map(|_| Frame::Event("contentBlockDelta", &more)));
    sent.push(Frame::Event("messageStop", r#"{"stopReason":"tool_use"}"#));
    frames(&sent)
}

fn gemini_grounding(size: usize) -> Vec<u8> {
    let page = format!(r#"{{"web":{{"uri":"{}","title":"t"}}}}"#, "u".repeat(size));
    let supports = list(size, |_| {
        r#"{"segment":{"startIndex":0,"endIndex":1},"groundingChunkIndices":[0,0,0,0]}"#.to_owned()
    });
    let grounding = format!(r#"{{"groundingChunks":[{page}],"groundingSupports":[{supports}]}}"#);
    let content = r#"{"parts":[{"text":"text"}]}"#;
    format!(r#"{{"candidates":[{{"content":{content},"finishReason":"STOP","groundingMetadata":{grounding}}}]}}"#)
        .into_bytes()
}

fn chat_answer(size: usize) -> Vec<u8> {
    let call = |at| format!(r#"{{"id":"c{at}","function":{{"name":"f","arguments":"{{}}"}}}}"#);
    let calls = list(size, call);
    format!(r#"{{"choices":[{{"message":{{"tool_calls":[{calls}]}},"finish_reason":"stop"}}]}}"#)
        .into_bytes()
}

fn anthropic_citations(size: usize) -> Vec<u8> {
    let cited = list(size, |_| r#"{"type":"web_search_result_location","url":"u"}"#.to_owned());
    let text = "gr\u{fc}n".repeat(size);
    format!(
        r#"{{"type":"message","content":[{{"type":"text","text":"{text}","citations":[{cited}]}}],"stop_reason":"end_turn"}}"#
    )
    .into_bytes()
}

fn quotes(size: usize) -> Vec<u8> {
    // Each level costs the one within it a few bytes for every quote.
    let mut text = "x".to_owned();
    while text.len() < size * 8 {
        let quoted = text.replace('\\', "\\u005c").replace('"', "\\u0022");
        text = format!(r#"{{"error":{{"metadata":{{"raw":"{quoted}"}}}}}}"#);
    }
    text.into_bytes()
}

fn chat_request(rest: &str) -> Vec<u8> {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{rest}}}"#).into_bytes()
}

fn chat_members(size: usize) -> Vec<u8> {
    chat_request(&format!(",{}", list(size, |at| format!(r#""unknown_{at}":1"#))))
}

fn chat_results(size: usize) -> Vec<u8> {
    let call = |at| {
        format!(
            r#"{{"id":"c{at}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#
        )
    };
    let result =
        |at| format!(r#"{{"role":"tool","tool_call_id":"c{}","content":"r"}}"#, size - 1 - at);
    let (calls, results) = (list(size, call), list(size, result));
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"x"}},{{"role":"assistant","tool_calls":[{calls}]}},{results}]}}"#
    )
    .into_bytes()
}

fn chat_allowed(size: usize) -> Vec<u8> {
    let tool = |at| format!(r#"{{"type":"function","function":{{"name":"f{at}"}}}}"#);
    let tools = list(size, tool);
    chat_request(&format!(
        r#","tools":[{tools}],"tool_choice":{{"type":"allowed_tools","allowed_tools":{{"mode":"required","tools":[{tools}]}}}}"#
    ))
}

fn chat_documents(size: usize) -> Vec<u8> {
    let file = r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}}"#;
    let parts = list(size, |_| file.to_owned());
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"x"}},{parts}]}}]}}"#
    )
    .into_bytes()
}

fn with_schema(schema: &str) -> Vec<u8> {
    chat_request(&format!(
        r#","tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]"#
    ))
}

fn schema_references(size: usize) -> Vec<u8> {
    with_schema(&format!("{{{}}}", list(size, |at| format!(r##""$ref":"#/$defs/{at}""##))))
}

fn schema_pointers(size: usize) -> Vec<u8> {
    let depth = 50;
    let large = format!(r#""description":"{}""#, "x".repeat(size * 8));
    let mut deep = r#"{"type":"string"}"#.to_owned();
    for _ in 0..depth {
        deep = format!(r#"{{"a":{deep}}}"#);
    }
    let pointer = format!("#/$defs/a{}", "/a".repeat(depth));
    let properties = list(200, |at| format!(r#""p{at}":{{"$ref":"{pointer}"}}"#));
    with_schema(&format!(
        r#"{{"type":"object","properties":{{{properties}}},"$defs":{{"a":{deep},"b":{{{large}}}}}}}"#
    ))
}

fn schema_bounds(size: usize) -> Vec<u8> {
    with_schema(&format!("{{{}}}", list(size, |at| format!(r#""exclusiveMinimum":{at}"#))))
}

fn schema_joins(size: usize) -> Vec<u8> {
    let names = list(size, |at| format!(r#""n{at}""#));
    let mut schema = format!(r#"{{"required":[{names}]}}"#);
    let others = list(50, |_| r#"{"required":["a"]}"#.to_owned());
    for _ in 0..30 {
        schema = format!(r#"{{"allOf":[{schema},{others}]}}"#);
    }
    with_schema(&schema)
}

fn responses_members(size: usize) -> Vec<u8> {
    let members = list(size, |at| format!(r#""unknown_{at}":1"#));
    format!(r#"{{"model":"m","input":"x",{members}}}"#).into_bytes()
}

fn anthropic_tagged(size: usize) -> Vec<u8> {
    let reasoning = r#"{"type":"thinking","thinking":"x","signature":"__lgsig_gemini_AA"}"#;
    let message = format!(r#"{{"role":"assistant","content":[{reasoning}]}}"#);
    let messages = list(size, |_| message.clone());
    format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}},{messages},{{"role":"user","content":"x"}}]}}"#
    )
    .into_bytes()
}

fn gemini_tagged(size: usize) -> Vec<u8> {
    let empty = list(size, |_| r#"{"role":"model","parts":[]}"#.to_owned());
    let reasoning = r#"{"text":"x","thought":true,"thoughtSignature":"__lgsig_anthropic_AA"}"#;
    let reasoning = list(size, |_| reasoning.to_owned());
    format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"x"}}]}},{empty},{{"role":"model","parts":[{reasoning}]}}]}}"#
    )
    .into_bytes()
}

fn gemini_schema(schema: &str) -> Vec<u8> {
    format!(
        r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}],"generationConfig":{{"responseMimeType":"application/json","responseSchema":{schema}}}}}"#
    )
    .into_bytes()
}

fn gemini_keys(size: usize) -> Vec<u8> {
    let many = list(size, |at| format!(r#""p{at}":{{"type":"STRING"}}"#));
    let key = "k".repeat(size * 8);
    gemini_schema(&format!(
        r#"{{"type":"OBJECT","properties":{{"{key}":{{"type":"OBJECT","properties":{{{many}}}}}}}}}"#
    ))
}

fn gemini_order(size: usize) -> Vec<u8> {
    let order = list(size, |at| format!(r#""p{at}""#));
    let many = list(size, |_| r#""properties":{}"#.to_owned());
    gemini_schema(&format!(r#"{{"type":"OBJECT","propertyOrdering":[{order}],{many}}}"#))
}
