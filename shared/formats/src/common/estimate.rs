//! How many tokens a conversation has, about.
//!
//! For providers that do not count. Rules of thumb, no vocabulary: the tables of one tokenizer are
//! larger than the whole program, and each family of models has its own. Decision 0021 has more.
//!
//! Sources: help.openai.com, *What are tokens*, and developers.openai.com, *Images and vision* (a
//! image of 1024 pixels square is 765, 85 in low detail) and the cookbook's *How to count tokens*
//! (3 for each message, 3 for the response); platform.claude.com, *Vision* (the same image is 1,400)
//! and *PDF support* (1,500 to 3,000 for a page); ai.google.dev, *Understand and count tokens* (263
//! for a second of video, 32 for one of audio). Seen 2026-11.

use canonical::{
    Citation, Content, Conversation, Media, MediaSource, Part, ResponseFormat, Tool, ToolResult,
};

/// The weight of one token; characters weigh a part of it each. It is divisible by 4, 2 and 1.5, so that
/// every weight is a whole number and no rounding error adds up.
const TOKEN: u64 = 12;
/// The cost of each message and each tool beside its text, in tokens.
const FRAME: u64 = 4;
/// The cost of the beginning of the response, in tokens.
const RESPONSE_FRAME: u64 = 3;
/// The tokens of an image of unknown size, between those of OpenAI and Anthropic.
const IMAGE_TOKENS: u64 = 1_000;
/// The tokens of an image of low detail.
const SMALL_IMAGE_TOKENS: u64 = 85;
/// A document of which only the address is known: a page.
const PAGE: u64 = 2_000;
/// A recording of which only the address is known: a minute of audio, and of video.
const MINUTE: [u64; 2] = [32 * 60, 263 * 60];
/// How many bytes a page has, and a second of audio and of video.
const BYTES: [u64; 3] = [50_000, 16_000, 250_000];

/// What a conversation holds, about, as far as it counts as input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversationSize {
    /// The tokens of everything that is text, and of the frames around it.
    pub text_tokens: u64,
    /// The characters of everything that is text.
    pub characters: u64,
    /// The tokens of images, audio, video and documents.
    pub media_tokens: u64,
}

/// How many tokens a conversation has, about: never 0, and not what any provider would count.
pub fn estimated_tokens(conversation: &Conversation) -> u64 {
    let size = conversation_size(conversation);
    size.text_tokens + size.media_tokens
}

/// How large a conversation is, about.
pub fn conversation_size(conversation: &Conversation) -> ConversationSize {
    let mut size = ConversationSize { text_tokens: RESPONSE_FRAME, ..ConversationSize::default() };
    for message in &conversation.messages {
        size.text_tokens += FRAME;
        size.add_text(message.name.as_deref().unwrap_or_default());
        message.parts.iter().for_each(|part| size.add_part(part));
    }
    conversation.tools.iter().for_each(|tool| size.add_tool(tool));
    if let Some(ResponseFormat::Schema(schema)) = &conversation.response_format {
        size.add_text(&schema.schema.0);
    }
    size
}

impl ConversationSize {
    fn add_text(&mut self, content: &str) {
        self.text_tokens += text(content);
        self.characters += content.chars().count() as u64;
    }

    fn add_tool(&mut self, tool: &Tool) {
        self.text_tokens += FRAME;
        self.add_text(&tool.name);
        self.add_text(tool.description.as_deref().unwrap_or_default());
        self.add_text(tool.schema.as_ref().map_or("", |it| &it.0));
    }

    fn add_part(&mut self, part: &Part) {
        match &part.content {
            Content::Text(content, citations) => {
                self.add_text(content);
                citations.iter().for_each(|it| self.add_citation(it));
            }
            Content::Refusal(content) | Content::Reasoning(content) => self.add_text(content),
            Content::Image(media) => {
                self.media_tokens += match media.detail.as_deref() {
                    // OpenAI's `low` is the only detail that makes the cost independent of the
                    // image's size.
                    Some("low") => SMALL_IMAGE_TOKENS,
                    _ => IMAGE_TOKENS,
                };
            }
            Content::Audio(media) => self.add_recording(media, BYTES[1], MINUTE[0]),
            Content::Video(media) => self.add_recording(media, BYTES[2], MINUTE[1]),
            Content::File(media) => self.add_file(media),
            Content::ToolCall(call) => {
                self.text_tokens += FRAME;
                self.add_text(&call.name);
                self.add_text(&call.arguments);
            }
            Content::ToolResult(ToolResult { parts, .. }) => {
                self.text_tokens += FRAME;
                parts.iter().for_each(|it| self.add_part(it));
            }
        }
    }

    fn add_citation(&mut self, citation: &Citation) {
        let texts = [&citation.url, &citation.title, &citation.quote];
        texts.into_iter().flatten().for_each(|it| self.add_text(it));
    }

    fn add_file(&mut self, media: &Media) {
        match &media.source {
            MediaSource::Text(content) => self.add_text(content),
            MediaSource::Base64(data) if media.media_type.as_deref().is_some_and(is_text) => {
                // Four bytes for a token as for Latin text; decoding megabytes for a rule of thumb
                // would cost more than it tells.
                self.text_tokens += bytes_of(data).div_ceil(4);
                self.characters += bytes_of(data);
            }
            MediaSource::Base64(data) => {
                self.media_tokens += bytes_of(data).div_ceil(BYTES[0]) * PAGE;
            }
            MediaSource::Url(_) | MediaSource::Id(_) => self.media_tokens += PAGE,
        }
    }

    /// Something that takes time: `each` is how many bytes a second of it has.
    fn add_recording(&mut self, media: &Media, each: u64, minute: u64) {
        match &media.source {
            MediaSource::Base64(data) => {
                self.media_tokens += bytes_of(data).div_ceil(each) * minute / 60;
            }
            MediaSource::Text(content) => self.add_text(content),
            MediaSource::Url(_) | MediaSource::Id(_) => self.media_tokens += minute,
        }
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

fn bytes_of(base64: &str) -> u64 {
    base64.len() as u64 * 3 / 4
}

/// How many tokens a text has, about: 4 characters each where letters are Latin, 2 where they are
/// those of another alphabet, 1.5 where a character is a word or a syllable.
fn text(text: &str) -> u64 {
    let weights = text.chars().map(|it| match it {
        // Up to Latin Extended-B; the next arm has Hangul, the blocks of CJK, full-width forms and
        // emoji.
        '\0'..='\u{24f}' => TOKEN / 4,
        '\u{1100}'..='\u{11ff}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'.. => TOKEN * 2 / 3,
        _ => TOKEN / 2,
    });
    weights.sum::<u64>().div_ceil(TOKEN)
}

#[cfg(test)]
mod tests {
    use canonical::{Json, Message, Role, ToolCall};

    use super::*;

    fn of(parts: Vec<Part>) -> u64 {
        let messages = vec![Message::new(Role::User, parts)];
        estimated_tokens(&Conversation { messages, ..Conversation::default() })
            - RESPONSE_FRAME
            - FRAME
    }

    fn media(source: MediaSource, media_type: &str) -> Media {
        Media { source, media_type: Some(media_type.to_owned()), ..Media::default() }
    }

    #[test]
    fn scripts_differ_in_what_a_character_weighs() {
        for (content, tokens) in [
            ("", 0),
            ("a", 1),
            ("abcd", 1),
            ("The quick brown fox jumps over the lazy dog.", 11),
            ("Größe", 2),
            ("Привет!", 4),
            ("東京都に住む", 4),
            ("안녕하세요", 4),
        ] {
            assert_eq!(text(content), tokens, "{content}");
        }
    }

    #[test]
    fn a_size_counts_text_and_media_apart() {
        let parts = vec![Part::text("abcdefgh"), Part::new(Content::Image(Media::default()))];
        let messages = vec![Message::new(Role::User, parts)];
        let conversation = Conversation { messages, ..Conversation::default() };
        let size = conversation_size(&conversation);
        assert_eq!((size.characters, size.media_tokens), (8, IMAGE_TOKENS));
        assert_eq!(size.text_tokens, RESPONSE_FRAME + FRAME + 2);
    }

    #[test]
    fn tools_and_schemas_count() {
        let schema = Some(Json(r#"{"type":"object"}"#.to_owned()));
        let tool = Tool { name: "look_up".to_owned(), schema, ..Tool::default() };
        let conversation = Conversation { tools: vec![tool], ..Conversation::default() };
        assert_eq!(estimated_tokens(&conversation), RESPONSE_FRAME + FRAME + 2 + 5);
    }

    #[test]
    fn calls_and_their_results_count() {
        let call = ToolCall { arguments: "{}".to_owned(), ..ToolCall::default() };
        assert_eq!(of(vec![Part::new(Content::ToolCall(call))]), FRAME + 1);
        let result = ToolResult { parts: vec![Part::text("fine")], ..ToolResult::default() };
        assert_eq!(of(vec![Part::new(Content::ToolResult(result))]), FRAME + 1);
    }

    #[test]
    fn what_is_not_text_counts_by_rule_of_thumb() {
        let one = |content| of(vec![Part::new(content)]);
        let here = |bytes: usize| MediaSource::Base64("A".repeat(bytes / 3 * 4));
        assert_eq!(one(Content::Image(media(here(300), "image/png"))), IMAGE_TOKENS);
        let far = Media { detail: Some("low".to_owned()), ..Media::default() };
        assert_eq!(one(Content::Image(far)), SMALL_IMAGE_TOKENS);
        assert_eq!(one(Content::File(media(here(60_000), "application/pdf"))), 2 * PAGE);
        assert_eq!(one(Content::File(media(here(60_000), "text/csv"))), 15_000);
        assert_eq!(one(Content::Audio(media(here(48_000), "audio/mp3"))), 3 * 32);
        assert_eq!(
            one(Content::Video(media(MediaSource::Url(String::new()), "video/mp4"))),
            MINUTE[1]
        );
    }
}
