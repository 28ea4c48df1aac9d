//! Decodes the contents of a client's request.

use std::collections::{HashMap, VecDeque};

use canonical::{
    Content, Error, Media, MediaSource, Message, Part, Result, Role, ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base64;
use crate::google::generate_content::{
    media, response_decode, signature,
    wire::{
        self,
        members::{Many, camel, either},
    },
};
use crate::json::{self, Object};

/// Decodes contents into messages.
#[derive(Debug, Default)]
pub(crate) struct ContentsDecoder {
    pub(crate) messages: Vec<Message>,
    /// Members that no other format has.
    pub(crate) other: Vec<String>,
    calls: Calls,
}

/// The calls so far, by the id and name that a result may give.
#[derive(Debug, Default)]
struct Calls {
    /// The id of each, until its result is there.
    ids: Vec<Option<String>>,
    by_id: HashMap<String, VecDeque<usize>>,
    by_name: HashMap<String, VecDeque<usize>>,
}

impl Calls {
    fn add(&mut self, id: &str, name: &str) {
        let at = self.ids.len();
        self.ids.push(Some(id.to_owned()));
        self.by_id.entry(id.to_owned()).or_default().push_back(at);
        self.by_name.entry(name.to_owned()).or_default().push_back(at);
    }

    /// The id of the call that a result belongs to: by its id, else the first open one of its name.
    fn take(&mut self, id: Option<&str>, name: Option<&str>) -> Option<String> {
        let by_id = id.and_then(|it| self.by_id.get_mut(it));
        let by_name = name.and_then(|it| self.by_name.get_mut(it));
        // Clients of older SDKs send results without ids: order and name tell.
        for places in [by_id, by_name].into_iter().flatten() {
            // A call may have been taken by way of the other list.
            while let Some(at) = places.pop_front() {
                if let Some(id) = self.ids.get_mut(at).and_then(Option::take) {
                    return Some(id);
                }
            }
        }
        None
    }
}

impl ContentsDecoder {
    /// Decodes one content.
    pub(crate) fn read(&mut self, content: &Object<'_>, path: &str) -> Result<()> {
        let role: Option<String> = match either(content, "role") {
            Some(role) => Some(json::parsed(role, &format!("{path}.role"), "a text")?),
            None => None,
        };
        let role = match role.as_deref() {
            // `function` was the role of results before they became the user's.
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => {
                let path = format!("{path}.role");
                let message = format!(
                    "`{path}` must be `user` or `model`; a system prompt belongs in `systemInstruction`."
                );
                return Err(Error::invalid(&path, message));
            }
        };
        self.read_as(role, content, path)
    }

    /// Decodes one content of a known role.
    pub(crate) fn read_as(&mut self, role: Role, content: &Object<'_>, path: &str) -> Result<()> {
        // The SDKs keep a streamed response chunk by chunk: its contents are one message.
        let goes_on = role == Role::Assistant
            && self.messages.last().is_some_and(|it| it.role == Role::Assistant);
        let mut message = match self.messages.pop_if(|_| goes_on) {
            Some(message) => message,
            None => Message::new(role, vec![]),
        };
        let parts: Many<Object<'_>> = match either(content, "parts") {
            Some(parts) => {
                json::parsed(parts, &format!("{path}.parts"), "a list of parts, each an object")?
            }
            None => Many::default(),
        };
        for (at, part) in parts.0.iter().enumerate() {
            self.part(part, &format!("{path}.parts[{at}]"), &mut message)?;
        }
        self.messages.push(message);
        Ok(())
    }

    fn part(&mut self, part: &Object<'_>, path: &str, message: &mut Message) -> Result<()> {
        let (mut content, mut signature, mut thought, mut unknown) = (None, None, false, false);
        for (name, value) in part.present() {
            let at = format!("{path}.{name}");
            match camel(name).as_ref() {
                "text" => {
                    let text = json::parsed(value, &at, "a text")?;
                    content = Some(Content::Text(text, vec![]));
                }
                "thought" => thought = json::parsed(value, &at, "true or false")?,
                "thoughtSignature" => {
                    let text: String = json::parsed(value, &at, "base64")?;
                    signature = signature::read(&text);
                }
                "inlineData" => content = Some(inline(value, &at)?),
                "fileData" => content = Some(file(value, &at)?),
                "functionCall" => content = Some(Content::ToolCall(self.call(value, &at)?)),
                "functionResponse" => content = Some(Content::ToolResult(self.result(value, &at)?)),
                _ => {
                    unknown = true;
                    self.other.push(format!("contents[].parts[].{name}"));
                }
            }
        }

        let content = match content {
            Some(Content::Text(text, _)) if thought => Content::Reasoning(text),
            // Google signs an empty text at the end of a stream; without a signature it is dropped
            // below.
            Some(Content::Text(text, _)) if text.is_empty() => Content::Reasoning(text),
            // An intermediate image of a model that reasons in images.
            Some(Content::Image(_)) if thought => {
                self.other.push("contents[].parts[].thought".to_owned());
                return Ok(());
            }
            Some(content) => content,
            None if signature.is_some() => Content::Reasoning(String::new()),
            None if unknown => return Ok(()),
            None => {
                let message = format!(
                    "`{path}` holds nothing; give it `text`, `inlineData`, `fileData`, `functionCall` or `functionResponse`."
                );
                return Err(Error::invalid(path, message));
            }
        };

        if message.role == Role::Assistant {
            // Joined as a response is, so that chunks that a client kept one by one are one text
            // and one reasoning again.
            response_decode::push(&mut message.parts, content, signature);
        } else if content != Content::Reasoning(String::new()) {
            message.parts.push(Part::new(content));
        }
        Ok(())
    }

    fn call(&mut self, value: &RawValue, path: &str) -> Result<ToolCall> {
        let wanted = "an object with `name` and `args`";
        let call: wire::FunctionCall<'_> = json::parsed(value, path, wanted)?;
        let name = call.name.filter(|it| !it.is_empty()).ok_or_else(|| {
            let path = format!("{path}.name");
            Error::invalid(&path, format!("`{path}` is missing; it must name a function."))
        })?;
        let arguments = call.args.map_or("{}", RawValue::get);
        if !arguments.starts_with('{') {
            let path = format!("{path}.args");
            return Err(Error::invalid(&path, format!("`{path}` must be an object.")));
        }
        // Gemini's own calls may lack an id, and other formats demand one.
        let made = || format!("call_{}", self.calls.ids.len() + 1);
        let id = call.id.filter(|it| !it.is_empty()).unwrap_or_else(made);
        self.calls.add(&id, &name);
        Ok(ToolCall { id, name, arguments: arguments.to_owned() })
    }

    fn result(&mut self, value: &RawValue, path: &str) -> Result<ToolResult> {
        let wanted = "an object with `name` and `response`";
        let result: FunctionResponse<'_> = json::parsed(value, path, wanted)?;
        let id = self.calls.take(result.id.as_deref(), result.name.as_deref()).ok_or_else(|| {
            let message = format!("`{path}` is the result of no `functionCall` before it: neither its id nor its name is that of an open one.");
            Error::invalid(path, message)
        })?;
        let outcome = result.response.map_or("{}", RawValue::get);
        let outcome: Object<'_> = serde_json::from_str(outcome).map_err(|error| {
            let path = format!("{path}.response");
            let message = format!("`{path}` must be an object.");
            Error::invalid(&path, message).caused_by(json::unquoted(&error))
        })?;
        let (text, is_error) = outcome_of(&outcome, result.response);
        let mut parts = vec![Part::text(text)];
        for (at, part) in result.parts.unwrap_or_default().0.iter().enumerate() {
            let mut message = Message::new(Role::User, vec![]);
            self.part(part, &format!("{path}.parts[{at}]"), &mut message)?;
            parts.append(&mut message.parts);
        }
        for (value, name) in
            [(result.will_continue, "willContinue"), (result.scheduling, "scheduling")]
        {
            if value.is_some() {
                self.other.push(format!("contents[].parts[].functionResponse.{name}"));
            }
        }
        Ok(ToolResult { id, name: result.name, parts, is_error })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FunctionResponse<'a> {
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<Many<Object<'a>>>,
    #[serde(borrow, rename = "willContinue", alias = "will_continue")]
    will_continue: Option<&'a RawValue>,
    #[serde(borrow)]
    scheduling: Option<&'a RawValue>,
}

/// What a tool gave: the text that is meant by `output` or `result`, why it failed by `error`, else
/// the whole object.
fn outcome_of(outcome: &Object<'_>, whole: Option<&RawValue>) -> (String, Option<bool>) {
    let whole = whole.map_or("{}", RawValue::get);
    // An object with more than one member is the tool's own: to take one of them would lose the
    // others.
    let [(name, value)] = outcome.0.as_slice() else { return (whole.to_owned(), None) };
    let is_error = match name.as_ref() {
        "output" | "result" => None,
        "error" => Some(true),
        _ => return (whole.to_owned(), None),
    };
    let text = serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned());
    (text, is_error)
}

fn inline(value: &RawValue, path: &str) -> Result<Content> {
    let blob: wire::Blob = json::parsed(value, path, "an object with `mimeType` and `data`")?;
    if blob.mime_type.as_deref().is_none_or(str::is_empty) {
        let path = format!("{path}.mimeType");
        return Err(Error::invalid(&path, format!("`{path}` is missing; say what the bytes are.")));
    }
    let source = MediaSource::Base64(base64::standard(blob.data));
    Ok(media::content(Media { source, media_type: blob.mime_type, ..Media::default() }))
}

fn file(value: &RawValue, path: &str) -> Result<Content> {
    let file: wire::FileData = json::parsed(value, path, "an object with `fileUri`")?;
    let source = media::source(file.file_uri);
    Ok(media::content(Media { source, media_type: file.mime_type, ..Media::default() }))
}
