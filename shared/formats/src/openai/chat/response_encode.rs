//! A whole response, encoded for a client, and the members that chunks of a stream share with it.

use canonical::{
    CallSummary, ChatResponse, Citation, Content, Media, MediaSource, Part, Signature, Usage,
};
use serde::Serialize;

use super::{finish_reason, reasoning, wire};
use crate::{
    json,
    openai::tool_name::{self, ToolName},
};

#[derive(Serialize)]
struct ResponseJson<'a> {
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

/// A message as clients read it.
#[derive(Default, Serialize)]
pub(super) struct MessageJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasoning_details: Vec<reasoning::Detail>,
    pub(super) annotations: Vec<AnnotationJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<ImageJson>,
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
    #[serde(flatten)]
    pub(super) tool: ToolJson,
}

/// What a call says of its tool, under the name of the tool's type.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToolJson {
    Function(FunctionJson),
    Custom(CustomJson),
}

impl ToolJson {
    /// A tool that is called by its whole name.
    pub(super) fn called(name: &str, arguments: &str) -> Self {
        match ToolName::custom_of(name) {
            // Clients run a custom tool with its text, and never see the arguments that carried it.
            Some(custom) => Self::Custom(CustomJson {
                name: Some(custom.to_owned()),
                input: tool_name::input(arguments),
            }),
            None => Self::Function(FunctionJson {
                name: Some(name.to_owned()),
                arguments: arguments.to_owned(),
            }),
        }
    }

    /// The word for the tool's type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Function(_) => "function",
            Self::Custom(_) => "custom",
        }
    }
}

#[derive(Serialize)]
pub(super) struct CustomJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) input: String,
}

#[derive(Serialize)]
pub(super) struct FunctionJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) arguments: String,
}

#[derive(Serialize)]
struct UrlCitation {
    url: String,
    title: Option<String>,
    start_index: Option<u64>,
    end_index: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct AnnotationJson {
    r#type: &'static str,
    url_citation: UrlCitation,
}

#[derive(Serialize)]
pub(super) struct ImageJson {
    r#type: &'static str,
    image_url: ImageUrlJson,
}

#[derive(Serialize)]
struct ImageUrlJson {
    url: String,
}

/// The page that a text comes from; none where the source is no page.
pub(super) fn annotation(citation: &Citation) -> Option<AnnotationJson> {
    let Citation { url, title, quote: _, range } = citation;
    Some(AnnotationJson {
        r#type: "url_citation",
        url_citation: UrlCitation {
            url: url.clone()?,
            title: title.clone(),
            // The reference requires both as numbers; a source without a range is one of the whole
            // text.
            start_index: Some(range.map_or(0, |it| it.0)),
            end_index: Some(range.map_or(0, |it| it.1)),
        },
    })
}

/// An image, as OpenRouter and its clients write it; none where only its provider could find it.
pub(super) fn image(media: &Media) -> Option<ImageJson> {
    let url = match &media.source {
        MediaSource::Url(url) => url.clone(),
        MediaSource::Base64(data) => {
            // Image models make PNG unless they are asked for another type.
            let kind = media.media_type.as_deref().unwrap_or("image/png");
            format!("data:{kind};base64,{data}")
        }
        MediaSource::Text(_) | MediaSource::Id(_) => return None,
    };
    Some(ImageJson { r#type: "image_url", image_url: ImageUrlJson { url } })
}

/// Encodes a response for a client.
pub(super) fn encode(chat: &ChatResponse, usage: Option<&Usage>, summary: &CallSummary) -> Vec<u8> {
    let choices = chat.choices.iter().enumerate().map(|(index, choice)| ChoiceJson {
        index,
        message: message(&choice.parts),
        logprobs: None,
        finish_reason: finish_reason::encode(&choice.finish_reason),
    });
    let whole = ResponseJson {
        id: &completion_id(chat.id.as_deref().unwrap_or(&summary.request_id)),
        object: "chat.completion",
        created: summary.arrived / 1000,
        model: chat.model.as_deref().unwrap_or(&summary.model),
        choices: choices.collect(),
        usage: usage.map(wire::encode_usage),
    };
    json::written(&whole)
}

/// An id as OpenAI's clients know it; that of another format's response stands within.
pub(super) fn completion_id(id: &str) -> String {
    if id.starts_with("chatcmpl-") { id.to_owned() } else { format!("chatcmpl-{id}") }
}

fn message(parts: &[Part]) -> MessageJson {
    let mut message = MessageJson { role: Some("assistant"), ..MessageJson::default() };
    let mut signed_reasoning: Option<(&str, &Signature)> = None;
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
                    message.reasoning_details.push(reasoning::Detail::new(text, signature));
                    // The first of a message: providers check the reasoning with which a loop of
                    // tools begins.
                    signed_reasoning = signed_reasoning.or(Some((text, signature)));
                }
            }
            Content::Image(media) => message.images.extend(image(media)),
            Content::ToolCall(call) => {
                let tool = ToolJson::called(&call.name, &call.arguments);
                message.tool_calls.push(CallJson {
                    index: None,
                    id: Some(reasoning::attach_to_id(
                        &call.id,
                        part.signature.as_ref(),
                        // On the first call alone: ids grow by the length of the reasoning.
                        signed_reasoning.take(),
                    )),
                    r#type: Some(tool.kind()),
                    tool,
                });
            }
            Content::Audio(_) | Content::Video(_) | Content::File(_) | Content::ToolResult(_) => {}
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use canonical::ToolCall;

    use super::*;

    #[test]
    fn a_custom_tool_is_called_with_its_text() {
        let call = |name: &str| {
            let (id, name) = ("a".to_owned(), name.to_owned());
            let arguments = r#"{"input":"any text"}"#.to_owned();
            Part::new(Content::ToolCall(ToolCall { id, name, arguments }))
        };
        let message = message(&[call("f:custom"), call("f")]);
        assert_eq!(
            json::quoted(&message.tool_calls),
            r#"[{"id":"a","type":"custom","custom":{"name":"f","input":"any text"}},{"id":"a","type":"function","function":{"name":"f","arguments":"{\"input\":\"any text\"}"}}]"#
        );
    }
}
