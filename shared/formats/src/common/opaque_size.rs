//! How much a request that only passes through may use, about: audio, images, moderation, reranking.
//!
//! Providers that sell such calls by the token bill the tokens of what is in a file and of what they
//! make, which no limit of the request bounds. Of several readings the largest counts, since what is
//! held for a call depends on it.
//!
//! Sources: developers.openai.com, *Image generation* (a square image of high quality is 4,160 tokens,
//! another shape 6,240; 1,584 and 408 in medium and low quality; 100 for each partial image), *Images
//! and vision* (65 for an image that is edited, 129 for each of its tiles, 6,240 with high fidelity)
//! and *Pricing* (a minute of audio is 1,000 tokens heard, and 1,250 spoken). Seen 2026-11.

use std::borrow::Cow;

use canonical::Task;
use serde_json::value::RawValue;

use super::{
    multipart::Form,
    request_policy::{count, is_spelling},
    requested_output::pairs,
};
use crate::RawObject;

/// More images than this are none's to make at once.
const MAX_IMAGES: u64 = 1_000;
/// The most tokens of an image in low, in medium, and in any other quality.
const IMAGE_TOKENS: [u64; 3] = [408, 1_584, 6_240];
/// The tokens of each partial image of a stream.
const PARTIAL_IMAGE_TOKENS: u64 = 100;
/// How many pixels an image of so many tokens has at most; a larger one has more in proportion.
const IMAGE_PIXELS: u64 = 1_024 * 1_536;
/// The tokens of an image that is edited.
const EDITED_IMAGE_TOKENS: u64 = 7_000;
/// How many bytes of audio make a token at least: a voice of 8 kilobits a second.
const AUDIO_BYTES: u64 = 64;
/// How many tokens are spoken for a byte of text at most.
const SPOKEN_TOKENS: u64 = 2;

/// How much a request that only passes through may use, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpaqueSize {
    /// The bytes of everything that is read as text.
    pub text_bytes: u64,
    /// The input tokens of images and audio.
    pub media_tokens: u64,
    /// The most tokens of what is made.
    pub output_tokens: u64,
}

/// How much a request of such a task may use.
pub(crate) fn opaque_size(task: Task, raw: &RawObject) -> OpaqueSize {
    let fields = Fields::of(raw);
    let (text_bytes, files) = fields.bytes(raw);
    let size = OpaqueSize { text_bytes, ..OpaqueSize::default() };
    match task {
        Task::GenerateImage => OpaqueSize { output_tokens: fields.image_tokens(), ..size },
        Task::EditImage => OpaqueSize {
            media_tokens: EDITED_IMAGE_TOKENS.saturating_mul(files.len() as u64),
            output_tokens: fields.image_tokens(),
            ..size
        },
        Task::Transcribe | Task::TranslateAudio => {
            let heard = files.iter().sum::<u64>().div_ceil(AUDIO_BYTES);
            // Nobody says more than half as many tokens as the audio has.
            OpaqueSize { media_tokens: heard, output_tokens: heard.div_ceil(2), ..size }
        }
        Task::Speak => {
            OpaqueSize { output_tokens: text_bytes.saturating_mul(SPOKEN_TOKENS), ..size }
        }
        _ => size,
    }
}

/// The members of an object, or the parts of a form.
enum Fields<'a> {
    Object(Vec<(Cow<'a, str>, &'a str)>),
    Form(Form<'a>),
    Unreadable,
}

impl<'a> Fields<'a> {
    fn of(raw: &'a RawObject) -> Self {
        if !raw.members.is_empty() {
            return Self::Object(pairs(&raw.body, &raw.members));
        }
        Form::parse(&raw.body).map_or(Self::Unreadable, Self::Form)
    }

    /// The bytes of text, and those of each file.
    fn bytes(&self, raw: &RawObject) -> (u64, Vec<u64>) {
        let (mut text_bytes, mut files) = (0, vec![]);
        let mut add = |name: &str, content: &[u8]| match content.len() as u64 {
            length if ["file", "image", "mask"].iter().any(|it| name.starts_with(it)) => {
                files.extend(elements(content).unwrap_or_else(|| vec![length]));
            }
            length => text_bytes += length,
        };
        match self {
            Self::Object(members) => members.iter().for_each(|it| add(&it.0, it.1.as_bytes())),
            Self::Form(form) => form.contents().for_each(|it| add(it.0, it.1)),
            Self::Unreadable => text_bytes = raw.body.len() as u64,
        }
        (text_bytes, files)
    }

    /// The values under a name, however it is spelled, without their quotes.
    fn values(&self, name: &str) -> Vec<&str> {
        match self {
            Self::Object(members) => {
                let named = members.iter().filter(|it| is_spelling(&it.0, name));
                named.map(|it| it.1.trim_matches('"')).filter(|it| *it != "null").collect()
            }
            Self::Form(form) => {
                let named = form.contents().filter(|it| is_spelling(it.0, name));
                named.filter_map(|it| std::str::from_utf8(it.1).ok()).map(str::trim).collect()
            }
            Self::Unreadable => vec![],
        }
    }

    /// The most tokens of all images that a request asks for.
    fn image_tokens(&self) -> u64 {
        let number = |name| self.values(name).into_iter().filter_map(count).max();
        let images = number("n").unwrap_or(1).min(MAX_IMAGES);
        let partial = number("partial_images").unwrap_or(0).min(MAX_IMAGES);
        let qualities = self.values("quality").into_iter().map(|quality| match quality {
            "low" => IMAGE_TOKENS[0],
            "medium" => IMAGE_TOKENS[1],
            _ => IMAGE_TOKENS[2],
        });
        let tokens = qualities.max().unwrap_or(IMAGE_TOKENS[2]);
        let pixels = self.values("size").into_iter().filter_map(pixels).max().unwrap_or(0);
        let larger = tokens.saturating_mul(pixels).div_ceil(IMAGE_PIXELS);
        let each = tokens.max(larger).saturating_add(partial * PARTIAL_IMAGE_TOKENS);
        images.saturating_mul(each)
    }
}

/// The bytes of each element of a list.
fn elements(content: &[u8]) -> Option<Vec<u64>> {
    let list: Vec<&RawValue> = serde_json::from_slice(content).ok()?;
    Some(list.iter().map(|it| it.get().len() as u64).collect())
}

/// The pixels of a size such as `1024x1536`.
fn pixels(size: &str) -> Option<u64> {
    let (width, height) = size.split_once(['x', 'X'])?;
    Some(width.parse::<u64>().ok()?.saturating_mul(height.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        Inbound, json,
        opaque::{IMAGE_EDITS, IMAGES, Opaque, TRANSCRIPTIONS},
    };

    fn size(endpoint: Opaque, body: &str) -> OpaqueSize {
        let request = endpoint.decode(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        request.opaque_size()
    }

    fn form(parts: &[(&str, &str)]) -> String {
        let part = |(name, content): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
        };
        parts.iter().map(part).collect::<String>() + "--b--\r\n"
    }

    #[test]
    fn every_image_has_the_tokens_of_its_quality_and_size() {
        for (members, tokens) in [
            ("", 6_240),
            (r#","n":3"#, 3 * 6_240),
            (r#","n":"2","quality":"low""#, 2 * 408),
            (r#","quality":"low","quality":"medium""#, 1_584),
            (r#","quality":"high","size":"2048x3072""#, 4 * 6_240),
            (r#","quality":"low","size":"auto","partial_images":2"#, 608),
            (r#","n":1e6"#, 6_240 * 1_000),
            (r#","n":null,"quality":null,"size":null"#, 6_240),
        ] {
            let body = format!(r#"{{"model":"m"{members}}}"#);
            assert_eq!(size(IMAGES, &body).output_tokens, tokens, "{members}");
        }
    }

    #[test]
    fn files_count_by_what_is_in_them() {
        let file = "x".repeat(64_000);
        let edited = form(&[("model", "m"), ("n", "2"), ("image[]", &file), ("prompt", "abcd")]);
        let edited = size(IMAGE_EDITS, &edited);
        assert_eq!((edited.text_bytes, edited.media_tokens), (6, 7_000));
        assert_eq!(edited.output_tokens, 2 * 6_240);
        let by_address =
            r#"{"prompt":"abcd","images":[{"image_url":"https://a/b"},{"file_id":"c"}]}"#;
        let by_address = size(IMAGE_EDITS, by_address);
        assert_eq!((by_address.text_bytes, by_address.media_tokens), (6, 14_000));
        let heard = size(TRANSCRIPTIONS, &form(&[("model", "m"), ("file", &file)]));
        assert_eq!((heard.text_bytes, heard.media_tokens, heard.output_tokens), (1, 1_000, 500));
    }

    #[test]
    fn a_text_that_is_spoken_has_more_tokens_than_letters() {
        let raw = json::members(Bytes::from_static(br#"{"model":"m","input":"Hello"}"#)).unwrap();
        let size = opaque_size(Task::Speak, &raw);
        assert_eq!(size.output_tokens, 2 * r#""m""Hello""#.len() as u64);
    }
}
