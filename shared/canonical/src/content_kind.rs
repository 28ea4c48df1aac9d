//! What an answer may hold beside texts, thoughts and calls.

use crate::{ChatResponse, Content, Delta};

/// What not every client's API has a word for in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A file.
    File,
    /// Where a text comes from, when that is no page.
    Source,
}

impl ContentKind {
    /// How it is named to the client that does not get it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "answer.image",
            Self::Audio => "answer.audio",
            Self::Video => "answer.video",
            Self::File => "answer.file",
            Self::Source => "answer.citation",
        }
    }
}

impl ChatResponse {
    /// What there is beside texts, thoughts and calls.
    pub fn content_kinds(&self) -> impl Iterator<Item = ContentKind> {
        let parts = self.choices.iter().flat_map(|it| &it.parts);
        parts.filter_map(|it| match &it.content {
            Content::Image(_) => Some(ContentKind::Image),
            Content::Audio(_) => Some(ContentKind::Audio),
            Content::Video(_) => Some(ContentKind::Video),
            Content::File(_) => Some(ContentKind::File),
            Content::Text(_, citations) if citations.iter().any(|it| it.url.is_none()) => {
                Some(ContentKind::Source)
            }
            Content::Text(..)
            | Content::Refusal(_)
            | Content::Reasoning(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => None,
        })
    }
}

impl Delta {
    /// What it is, if it is neither text, thought nor call.
    pub fn content_kind(&self) -> Option<ContentKind> {
        match self {
            Self::Image(_) => Some(ContentKind::Image),
            Self::Audio(_) => Some(ContentKind::Audio),
            Self::Video(_) => Some(ContentKind::Video),
            Self::File(_) => Some(ContentKind::File),
            Self::Citation(citation) if citation.url.is_none() => Some(ContentKind::Source),
            Self::Start { .. }
            | Self::Text(_)
            | Self::Refusal(_)
            | Self::Reasoning(_)
            | Self::Signature(_)
            | Self::Citation(_)
            | Self::ToolCall { .. }
            | Self::Arguments { .. }
            | Self::Finish(_)
            | Self::Usage
            | Self::End => None,
        }
    }
}
