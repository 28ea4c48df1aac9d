//! Names of tools that a provider does not take, and those that it is sent instead.
//!
//! Anthropic takes 128 letters, digits, `_` and `-`, OpenAI and Bedrock 64 of them, Gemini 64 and
//! `.` and `:` but no digit in front. Names that programs put together from a server's and a tool's
//! are often longer. The same name always becomes the same other, so earlier messages still fit.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use canonical::{
    ChatResponse, Content, Conversation, Delta, EventBody, Result, StreamEvent, ToolChoice,
};

use crate::{
    OutboundConversation, StreamDecoder, fingerprint::fingerprint, param_names::ParamNames,
};

/// How much of a name is kept before what tells it from others, in bytes: with `_` and eight digits behind
/// it 64 in all, the least that any provider takes.
const KEPT: usize = 55;

/// The names of tools and parameters that a provider is sent in place of the client's.
#[derive(Clone, Debug, Default)]
pub struct ToolNames {
    /// The names that the provider is sent, by the client's.
    sent: HashMap<String, String>,
    /// The client's names, by those that the provider is sent.
    original: HashMap<String, String>,
    params: ParamNames,
}

impl ToolNames {
    /// The names within a conversation that a format does not accept.
    pub fn of(conversation: &Conversation, format: &dyn OutboundConversation) -> Self {
        let mut names = Self::default();
        each(conversation, &mut |name| {
            if !format.accepts_tool_name(name) && !names.sent.contains_key(name) {
                let sent = fitting(name);
                names.original.insert(sent.clone(), name.to_owned());
                names.sent.insert(name.to_owned(), sent);
            }
        });
        let accepts = |name: &str| format.accepts_param_name(name);
        names.params = ParamNames::of(&conversation.tools, &accepts);
        names
    }

    /// Whether every name is sent as it is.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.params.is_empty()
    }

    /// The conversation with the names that the provider is sent.
    #[must_use]
    pub fn rename(&self, mut conversation: Conversation) -> Conversation {
        // Parameters first: they are found by the client's name of their tool.
        self.rename_params(&mut conversation);
        each_mut(&mut conversation, &mut |name| {
            if let Some(sent) = self.sent.get(name) {
                sent.clone_into(name);
            }
        });
        conversation
    }

    fn rename_params(&self, conversation: &mut Conversation) {
        if self.params.is_empty() {
            return;
        }
        conversation.tools.iter_mut().for_each(|it| self.params.rename_schema(it));
        for part in conversation.messages.iter_mut().flat_map(|it| &mut it.parts) {
            if let Content::ToolCall(call) = &mut part.content {
                self.params.rename_arguments(call);
            }
        }
    }

    /// Gives the tools of a response the names that the client knows.
    pub fn restore(&self, response: &mut ChatResponse) {
        for part in response.choices.iter_mut().flat_map(|it| &mut it.parts) {
            if let Content::ToolCall(call) = &mut part.content {
                if let Some(name) = self.original.get(&call.name) {
                    name.clone_into(&mut call.name);
                }
                // Behind the name, because parameters are known by the client's name of their tool.
                let arguments = std::mem::take(&mut call.arguments);
                call.arguments = self.params.restored(&call.name, arguments);
            }
        }
    }

    /// A decoder whose events have the names that the client knows.
    pub fn restored(self, reader: Box<dyn StreamDecoder>) -> Box<dyn StreamDecoder> {
        if self.is_empty() {
            return reader;
        }
        Box::new(Restored { reader, names: self, held: BTreeMap::new() })
    }
}

/// A call of one choice.
type CallNumber = (u32, usize);

#[derive(Debug)]
struct Restored {
    reader: Box<dyn StreamDecoder>,
    names: ToolNames,
    /// Arguments so far of calls whose parameters have other names, with the client's name of the tool.
    held: BTreeMap<CallNumber, (String, String)>,
}

impl Restored {
    /// Gives the events from `first` on the names that the client knows.
    fn restore(&mut self, first: usize, events: &mut Vec<StreamEvent>) {
        let arrived = events.split_off(first);
        for mut event in arrived {
            let EventBody::Delta(choice, delta) = &mut event.body else {
                events.push(event);
                continue;
            };
            let choice = *choice;
            match &mut **delta {
                Delta::ToolCall { call, name, .. } => {
                    if let Some(original) = self.names.original.get(name) {
                        original.clone_into(name);
                    }
                    if self.names.params.has(name) {
                        self.held.insert((choice, *call), (name.clone(), String::new()));
                    }
                }
                Delta::Arguments { call, json } => {
                    if let Some((_, so_far)) = self.held.get_mut(&(choice, *call)) {
                        // A key may be split over two deltas, so that nothing can be renamed before
                        // all of it is there.
                        so_far.push_str(json);
                        continue;
                    }
                }
                Delta::Finish(_) | Delta::End => self.release(events),
                _ => {}
            }
            events.push(event);
        }
    }

    /// Writes the arguments that were held back, whole.
    fn release(&mut self, events: &mut Vec<StreamEvent>) {
        for ((choice, call), (tool, json)) in std::mem::take(&mut self.held) {
            let json = self.names.params.restored(&tool, json);
            events.push(StreamEvent::delta(choice, Delta::Arguments { call, json }));
        }
    }
}

impl StreamDecoder for Restored {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let first = events.len();
        let outcome = self.reader.read(bytes, events);
        self.restore(first, events);
        outcome
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        let first = events.len();
        let outcome = self.reader.close(events);
        self.restore(first, events);
        outcome
    }
}

/// Whether a name has at most so many letters, digits, `_` and `-`, and these beside.
pub(crate) fn is_plain(name: &str, max: usize, beside: &[u8]) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"_-".contains(&it) || beside.contains(&it);
    (1..=max).contains(&name.len()) && name.bytes().all(fits)
}

/// A name that every provider takes.
fn fitting(name: &str) -> String {
    let plain = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' };
    // Gemini wants a letter or `_` in front.
    let first = name.chars().next().filter(|it| !it.is_ascii_alphabetic() && *it != '_');
    let whole = first.map(|_| '_').into_iter().chain(name.chars().map(plain));
    let kept: String = whole.take(KEPT).collect();
    // Always with the fingerprint, also where the name would be short enough: two names may differ
    // only in what is replaced.
    format!("{kept}_{:08x}", fingerprint(name) & 0xffff_ffff)
}

fn each(conversation: &Conversation, visit: &mut dyn FnMut(&str)) {
    let Conversation { tools, tool_choice, messages, .. } = conversation;
    tools.iter().for_each(|it| visit(&it.name));
    match tool_choice {
        Some(ToolChoice::Named(name)) => visit(name),
        Some(ToolChoice::Among(names, _)) => names.iter().for_each(|it| visit(it)),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
    }
    for part in messages.iter().flat_map(|it| &it.parts) {
        match &part.content {
            Content::ToolCall(call) => visit(&call.name),
            Content::ToolResult(result) => result.name.iter().for_each(|it| visit(it)),
            _ => {}
        }
    }
}

fn each_mut(conversation: &mut Conversation, visit: &mut dyn FnMut(&mut String)) {
    let Conversation { tools, tool_choice, messages, .. } = conversation;
    tools.iter_mut().for_each(|it| visit(&mut it.name));
    match tool_choice {
        Some(ToolChoice::Named(name)) => visit(name),
        Some(ToolChoice::Among(names, _)) => names.iter_mut().for_each(&mut *visit),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
    }
    for part in messages.iter_mut().flat_map(|it| &mut it.parts) {
        match &mut part.content {
            Content::ToolCall(call) => visit(&mut call.name),
            Content::ToolResult(result) => result.name.iter_mut().for_each(&mut *visit),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use canonical::{Json, Tool};

    use super::*;
    use crate::{
        DecodeMode, DecodeOptions, OutboundText, anthropic::messages::Anthropic,
        google::generate_content::Gemini, openai::chat::OpenAiChat,
    };

    #[test]
    fn each_format_takes_what_its_api_takes() {
        let long = "a".repeat(65);
        let formats: [&dyn OutboundConversation; 3] = [&OpenAiChat, &Anthropic, &Gemini];
        for (name, taken) in [
            ("get_weather", [true, true, true]),
            (long.as_str(), [false, true, false]),
            ("files.read", [false, false, true]),
            ("21st_magic", [true, true, false]),
            ("", [false, false, false]),
            ("wetter\u{e4}", [false, false, false]),
        ] {
            assert_eq!(formats.map(|it| it.accepts_tool_name(name)), taken, "{name}");
        }
    }

    #[test]
    fn parameters_get_their_own_names_again_in_a_stream() {
        let schema = Json(r#"{"properties":{"filter[id]":{}}}"#.to_owned());
        let tool = Tool { name: "list".to_owned(), schema: Some(schema), ..Tool::default() };
        let conversation = Conversation { tools: vec![tool], ..Conversation::default() };
        let names = ToolNames::of(&conversation, &Anthropic);
        let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"list","input":{}}}"#;
        let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"filter_id_\":"}}"#;
        let rest = delta.replace(r#"{\"filter_id_\":"#, r#"\"x\"}"#);
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;

        let translate = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
        let mut decoder = names.restored(Anthropic.stream_decoder(translate));
        let mut events = vec![];
        for event in [start, delta, &rest, end] {
            decoder.read(format!("data: {event}\n\n").into(), &mut events).unwrap();
        }

        let arguments: Vec<&String> = events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::Delta(_, delta) => match &**delta {
                    Delta::Arguments { json, .. } => Some(json),
                    _ => None,
                },
                EventBody::Frame(_) => None,
            })
            .collect();
        assert_eq!(arguments, [r#"{"filter[id]":"x"}"#]);
    }

    #[test]
    fn sent_names_fit_everywhere_and_differ() {
        let long = format!("mcp__{}", "server_".repeat(20));
        let names = ["21st", "a.b", "a_b.", "\u{1f600}", "", &long, &format!("{long}2")];
        let sent: Vec<_> = names.iter().map(|it| fitting(it)).collect();
        let formats: [&dyn OutboundConversation; 3] = [&OpenAiChat, &Anthropic, &Gemini];
        for name in &sent {
            assert!(formats.iter().all(|it| it.accepts_tool_name(name)), "{name}");
            assert_eq!(sent.iter().filter(|it| *it == name).count(), 1, "{name}");
        }
        assert_eq!(fitting("files.read"), "files_read_d0376a62");
    }
}
