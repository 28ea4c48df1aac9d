//! Parts as they are written, to clients and to providers.

use std::borrow::Cow;

use canonical::{Media, MediaSource, Signature};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::google::generate_content::signature;

/// The content of one message.
#[derive(Debug, Serialize)]
pub(crate) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part<'a>>,
}

/// One part of a message.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thought_signature: Option<Cow<'a, str>>,
}

/// Media whose bytes stand in the message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob<'a> {
    pub(crate) mime_type: Cow<'a, str>,
    pub(crate) data: Cow<'a, str>,
}

/// Media at an address.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mime_type: Option<Cow<'a, str>>,
    pub(crate) file_uri: Cow<'a, str>,
}

/// A tool call of the model.
#[derive(Debug, Serialize)]
pub(crate) struct FunctionCall<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) args: Cow<'a, RawValue>,
}

/// The result of a call.
#[derive(Debug, Serialize)]
pub(crate) struct FunctionResponse<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) response: Outcome<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part<'a>>,
}

/// An object with what a tool gave, or with why it failed.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Value<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Value<'a>>,
}

/// Text, or the JSON that it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Value<'a> {
    /// Text that is no JSON, or must not be read as JSON.
    Text(Cow<'a, str>),
    /// JSON in its own text.
    Json(&'a RawValue),
}

impl<'a> Part<'a> {
    /// Text.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Reasoning.
    pub(crate) fn reasoning(text: impl Into<Cow<'a, str>>) -> Self {
        Self { thought: true, ..Self::text(text) }
    }

    /// Media whose bytes stand in the message.
    pub(crate) fn inline(
        mime_type: impl Into<Cow<'a, str>>,
        data: impl Into<Cow<'a, str>>,
    ) -> Self {
        let blob = Blob { mime_type: mime_type.into(), data: data.into() };
        Self { inline_data: Some(blob), ..Self::default() }
    }

    /// Media at an address.
    pub(crate) fn file(file_uri: impl Into<Cow<'a, str>>, mime_type: Option<Cow<'a, str>>) -> Self {
        let file = FileData { mime_type, file_uri: file_uri.into() };
        Self { file_data: Some(file), ..Self::default() }
    }

    /// A call.
    pub(crate) fn call(call: FunctionCall<'a>) -> Self {
        Self { function_call: Some(call), ..Self::default() }
    }

    /// The part with its signature.
    pub(crate) fn signed(mut self, signature: Option<&'a Signature>) -> Self {
        self.thought_signature = signature.map(signature::written);
        self
    }

    /// The part for a client; a call that Google did not sign says so, or Gemini would refuse it in
    /// a later message.
    pub(crate) fn for_client(self, signature: Option<&'a Signature>) -> Self {
        let mut part = self.signed(signature);
        if part.function_call.is_some() && part.thought_signature.is_none() {
            part.thought_signature = Some(Cow::Borrowed(signature::SKIP));
        }
        part
    }
}

/// Media that a model made, for a client.
pub(crate) fn made<'a>(media: &'a Media, otherwise: &'static str) -> Part<'a> {
    let kind = media.media_type.as_deref();
    match &media.source {
        MediaSource::Base64(data) => Part::inline(kind.unwrap_or(otherwise), data.as_str()),
        MediaSource::Url(uri) | MediaSource::Id(uri) => {
            Part::file(uri.as_str(), kind.map(Cow::Borrowed))
        }
        MediaSource::Text(text) => Part::text(text.as_str()),
    }
}
