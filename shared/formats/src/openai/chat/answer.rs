//! A whole answer: read for a client of another format, or written for one of this.

use std::borrow::Cow;

use canonical::{
    CallSummary, ChatResponse, Choice, Citation, Content, GatewayResponse, Media, MediaSource,
    Part, Signature, ToolCall,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{finish, thoughts, wire};
use crate::{data_uri, json};

/// A message that a model wrote, or a piece of one: what services put into either.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Written<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) refusal: Option<String>,
    pub(super) reasoning_content: Option<String>,
    /// `OpenRouter`'s and others' word for the same.
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<WrittenCall<'a>>>,
    pub(super) annotations: Option<Vec<Annotation>>,
    pub(super) images: Option<Vec<Picture>>,
    pub(super) audio: Option<Sound>,
}

/// A call that a model wrote, or a piece of one.
#[derive(Debug, Deserialize)]
pub(super) struct WrittenCall<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) function: Option<WrittenFunction<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WrittenFunction<'a> {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl WrittenFunction<'_> {
    /// The arguments as text. Some services send an object in place of its text.
    pub(super) fn arguments(&self) -> String {
        let Some(arguments) = self.arguments.map(RawValue::get) else { return String::new() };
        match arguments {
            "null" => String::new(),
            text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
            object => object.to_owned(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Annotation {
    #[serde(default)]
    url_citation: Option<UrlCitation>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct UrlCitation {
    url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    start_index: Option<u64>,
    #[serde(default)]
    end_index: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Picture {
    image_url: PictureUrl,
}

#[derive(Debug, Deserialize)]
struct PictureUrl {
    url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sound {
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    transcript: Option<String>,
}

/// One of several parts that some services write in place of a text.
#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    thinking: Option<Vec<Self>>,
}

impl Written<'_> {
    /// What is thought and said here, in order: thoughts stand first.
    pub(super) fn texts(&self) -> (String, String) {
        let mut thought = self.reasoning_content.clone().unwrap_or_default();
        if thought.is_empty() {
            let reasoning = self.reasoning.map(RawValue::get).filter(|it| it.starts_with('"'));
            thought = reasoning.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
        }
        let Some(content) = self.content.map(RawValue::get) else {
            return (thought, String::new());
        };
        if !content.starts_with('[') {
            let text: Option<String> = serde_json::from_str(content).ok().flatten();
            return (thought, text.unwrap_or_default());
        }
        // Mistral's: texts and thoughts in one list.
        let parts: Vec<ContentPart<'_>> = serde_json::from_str(content).unwrap_or_default();
        let mut said = String::new();
        for part in parts {
            let inner = part.thinking.unwrap_or_default();
            thought.extend(inner.into_iter().filter_map(|it| it.text));
            said.extend(part.text.filter(|_| part.kind != "thinking"));
        }
        (thought, said)
    }

    /// Where the text comes from.
    pub(super) fn citations(&mut self) -> Vec<Citation> {
        let given = self.annotations.take().unwrap_or_default();
        let citation = |it: Annotation| {
            let UrlCitation { url, title, start_index, end_index } = it.url_citation?;
            let range = start_index.zip(end_index);
            Some(Citation { url: Some(url), title, quote: None, range })
        };
        given.into_iter().filter_map(citation).collect()
    }

    /// Pictures and sound.
    pub(super) fn media(&mut self) -> Vec<Content> {
        let pictures = self.images.take().unwrap_or_default().into_iter();
        let mut media: Vec<_> =
            pictures.map(|it| Content::Image(data_uri::at(&it.image_url.url))).collect();
        let sound = self.audio.take().and_then(|it| it.data);
        media.extend(sound.map(|data| {
            Content::Audio(Media { source: MediaSource::Base64(data), ..Media::default() })
        }));
        media
    }

    /// What the sound says.
    pub(super) fn transcript(&self) -> Option<&str> {
        self.audio.as_ref()?.transcript.as_deref()
    }
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow)]
    choices: Vec<WholeChoice<'a>>,
}

#[derive(Deserialize)]
struct WholeChoice<'a> {
    #[serde(borrow)]
    message: Written<'a>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

/// Reads an answer that was already found to be one.
pub(super) fn read(body: &[u8]) -> serde_json::Result<ChatResponse> {
    let whole: Whole<'_> = serde_json::from_slice(body)?;
    let id = whole.id.unwrap_or_default();
    let choices = whole.choices.into_iter().map(|it| choice(it, &id)).collect();
    Ok(ChatResponse { id: Some(id).filter(|it| !it.is_empty()), model: whole.model, choices })
}

fn choice(choice: WholeChoice<'_>, id: &str) -> Choice {
    let mut message = choice.message;
    let (thought, said) = message.texts();
    let said = if said.is_empty() { message.transcript().unwrap_or_default().into() } else { said };
    let citations = message.citations();
    let mut parts = vec![];
    if !thought.is_empty() {
        parts.push(Part::new(Content::Reasoning(thought)));
    }
    if !said.is_empty() {
        parts.push(Part::new(Content::Text(said, citations)));
    }
    let refusal = message.refusal.take().filter(|it| !it.is_empty());
    let refuses = refusal.is_some();
    parts.extend(refusal.map(|it| Part::new(Content::Refusal(it))));
    parts.extend(message.media().into_iter().map(Part::new));
    let calls = message.tool_calls.take().unwrap_or_default();
    let has_calls = !calls.is_empty();
    parts.extend(calls.into_iter().enumerate().map(|(at, it)| call(it, at, id)));
    let finish =
        finish::read(choice.finish_reason.as_deref().unwrap_or_default(), has_calls, refuses);
    Choice { parts, finish_reason: finish }
}

fn call(call: WrittenCall<'_>, at: usize, answer: &str) -> Part {
    let arguments = call.function.as_ref().map(WrittenFunction::arguments).unwrap_or_default();
    Part::new(Content::ToolCall(ToolCall {
        id: id_of(call.id.as_deref(), at, answer),
        name: call.function.and_then(|it| it.name).unwrap_or_default(),
        arguments: if arguments.is_empty() { "{}".to_owned() } else { arguments },
    }))
}

/// A call's id; made of the answer's where a service gives none.
pub(super) fn id_of(given: Option<&str>, at: usize, answer: &str) -> String {
    match given {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => format!("call_{answer}_{at}"),
    }
}

#[derive(Serialize)]
struct WholeJson<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<ChoiceJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<wire::UsageJson>,
}

#[derive(Serialize)]
struct ChoiceJson {
    index: usize,
    message: MessageJson,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

/// A message as clients read it, or a piece of one.
#[derive(Default, Serialize)]
pub(super) struct MessageJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasoning_details: Vec<thoughts::Detail>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) annotations: Vec<AnnotationJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<PictureJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<CallJson>,
}

#[derive(Serialize)]
pub(super) struct CallJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    pub(super) function: FunctionJson,
}

#[derive(Serialize)]
pub(super) struct FunctionJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) arguments: String,
}

#[derive(Serialize)]
pub(super) struct AnnotationJson {
    r#type: &'static str,
    url_citation: UrlCitation,
}

#[derive(Serialize)]
pub(super) struct PictureJson {
    r#type: &'static str,
    image_url: PictureUrlJson,
}

#[derive(Serialize)]
struct PictureUrlJson {
    url: String,
}

/// Where a text comes from; none where that is no page.
pub(super) fn annotation(citation: &Citation) -> Option<AnnotationJson> {
    let Citation { url, title, quote: _, range } = citation;
    Some(AnnotationJson {
        r#type: "url_citation",
        url_citation: UrlCitation {
            url: url.clone()?,
            title: title.clone(),
            start_index: Some(range.map_or(0, |it| it.0)),
            end_index: Some(range.map_or(0, |it| it.1)),
        },
    })
}

/// A picture, as OpenRouter and its clients write it.
pub(super) fn picture(media: &Media) -> Option<PictureJson> {
    let url = match &media.source {
        MediaSource::Url(url) => url.clone(),
        MediaSource::Base64(data) => {
            let kind = media.media_type.as_deref().unwrap_or("image/png");
            format!("data:{kind};base64,{data}")
        }
        MediaSource::Text(_) | MediaSource::Id(_) => return None,
    };
    Some(PictureJson { r#type: "image_url", image_url: PictureUrlJson { url } })
}

/// Writes an answer for a client.
pub(super) fn write(
    answer: &ChatResponse,
    response: &GatewayResponse,
    summary: &CallSummary,
) -> Vec<u8> {
    let choices = answer.choices.iter().enumerate().map(|(index, choice)| ChoiceJson {
        index,
        message: message(&choice.parts),
        logprobs: None,
        finish_reason: finish::word(&choice.finish_reason),
    });
    let whole = WholeJson {
        id: answer.id.as_deref().unwrap_or(&summary.request_id),
        object: "chat.completion",
        created: summary.arrived / 1000,
        model: answer.model.as_deref().unwrap_or(&summary.model),
        choices: choices.collect(),
        usage: response.usage.as_ref().map(wire::written),
    };
    json::written(&whole)
}

fn message(parts: &[Part]) -> MessageJson {
    let mut message = MessageJson { role: Some("assistant"), ..MessageJson::default() };
    let mut thought: Option<(&str, &Signature)> = None;
    for part in parts {
        match &part.content {
            Content::Text(text, citations) => {
                message.content.get_or_insert_default().push_str(text);
                message.annotations.extend(citations.iter().filter_map(annotation));
            }
            Content::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
            Content::Reasoning(text) => {
                if !text.is_empty() {
                    message.reasoning_content.get_or_insert_default().push_str(text);
                }
                if let Some(signature) = &part.signature {
                    message.reasoning_details.push(thoughts::Detail::new(text, signature));
                    thought = thought.or(Some((text, signature)));
                }
            }
            Content::Image(media) => message.images.extend(picture(media)),
            Content::ToolCall(call) => {
                message.tool_calls.push(CallJson {
                    index: None,
                    id: Some(thoughts::attach_to_id(
                        &call.id,
                        part.signature.as_ref(),
                        thought.take(),
                    )),
                    r#type: Some("function"),
                    function: FunctionJson {
                        name: Some(call.name.clone()),
                        arguments: call.arguments.clone(),
                    },
                });
            }
            Content::Audio(_) | Content::Video(_) | Content::File(_) | Content::ToolResult(_) => {}
        }
    }
    message
}
