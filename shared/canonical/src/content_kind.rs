//! Content of responses that not every client's API has.

use crate::{ChatResponse, Content, Delta};

/// A kind of content that not every client's API has in responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    /// An image.
    Image,
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// A file.
    File,
    /// A cited source that is no page.
    Citation,
}

impl ContentKind {
    /// The name of the kind to a client that does not get it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "answer.image",
            Self::Audio => "answer.audio",
            Self::Video => "answer.video",
            Self::File => "answer.file",
            Self::Citation => "answer.citation",
        }
    }
}

impl ChatResponse {
    /// The kinds of content in the response, each as often as it occurs.
    pub fn content_kinds(&self) -> impl Iterator<Item = ContentKind> {
        let parts = self.choices.iter().flat_map(|it| &it.parts);
        parts.filter_map(|it| match &it.content {
            Content::Image(_) => Some(ContentKind::Image),
            Content::Audio(_) => Some(ContentKind::Audio),
            Content::Video(_) => Some(ContentKind::Video),
            Content::File(_) => Some(ContentKind::File),
            Content::Text(_, citations) if citations.iter().any(|it| it.url.is_none()) => {
                Some(ContentKind::Citation)
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
    /// The kind of content that the delta adds, if it is one.
    pub fn content_kind(&self) -> Option<ContentKind> {
        match self {
            Self::Image(_) => Some(ContentKind::Image),
            Self::Audio(_) => Some(ContentKind::Audio),
            Self::Video(_) => Some(ContentKind::Video),
            Self::File(_) => Some(ContentKind::File),
            Self::Citation(citation) if citation.url.is_none() => Some(ContentKind::Citation),
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
