//! A provider's whole response, decoded for a client of another format, and what messages and the
//! deltas of streams share.
//!
//! Decoding is lenient: a member of an unexpected shape costs itself and never the rest.

mod call;

use std::borrow::Cow;

use canonical::{
    ChatResponse, Choice, Citation, Content, Error, ErrorKind, FinishReason, Media, MediaSource,
    Part, Result, ToolCall,
};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use self::call::DecodedCall;
use super::{finish_reason, listed_sources::ListedSources};
use crate::{
    data_uri, error_body, json,
    surrogates::{self, PairJoiner},
};

/// How many lists and objects within each other are looked into for a text; Mistral nests two.
const MAX_TEXT_DEPTH: usize = 8;

/// A model's message: the whole, or the part that one chunk adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DecodedMessage<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    /// The text of the reasoning at `OpenRouter`, Groq and others.
    #[serde(borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    /// The one call of OpenAI's first API for tools, which some servers still write.
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    images: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    url_citation: Option<UrlCitation>,
}

#[derive(Deserialize)]
struct UrlCitation {
    url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    start_index: Option<u64>,
    #[serde(default)]
    end_index: Option<u64>,
}

#[derive(Deserialize)]
struct Image {
    image_url: ImageUrl,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Audio {
    data: Option<String>,
    transcript: Option<String>,
}

/// One of several parts that some providers write in place of a text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
}

/// Pairs of surrogates that a stream splits over two deltas, for each text that may be split.
#[derive(Debug, Default)]
pub(super) struct SplitPairs {
    pub(super) content: PairJoiner,
    pub(super) reasoning: PairJoiner,
}

impl SplitPairs {
    /// Whether half a pair waits for the other half.
    pub(super) fn is_waiting(&self) -> bool {
        self.content.is_waiting() || self.reasoning.is_waiting()
    }
}

/// The texts of a message, by what they are.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Texts {
    pub(super) reasoning: String,
    pub(super) content: String,
    pub(super) refusal: String,
}

impl DecodedMessage<'_> {
    /// Every text of the whole message.
    pub(super) fn texts(&self) -> Texts {
        let mut texts = Texts {
            reasoning: text(self.reasoning_content),
            refusal: text(self.refusal),
            ..Texts::default()
        };
        // One of the two names: where both are there, they hold the same text.
        if texts.reasoning.is_empty() {
            texts.reasoning = text(self.reasoning);
        }
        add_content(self.content, &mut texts);
        texts
    }

    /// Every text of one delta of a stream, where pairs of surrogates may be split.
    pub(super) fn delta_texts(&self, pairs: &mut SplitPairs) -> Texts {
        let mut texts = self.texts();
        if let Some(content) = self.content.and_then(|it| pairs.content.join_value(it)) {
            texts.content = string(&content);
        }
        if let Some(reasoning) = self.reasoning_json().and_then(|it| pairs.reasoning.join_value(it))
        {
            texts.reasoning = string(&reasoning);
        }
        texts
    }

    /// The reasoning as it stands in the JSON, under whichever name it has a text.
    pub(super) fn reasoning_json(&self) -> Option<&RawValue> {
        self.reasoning_content.filter(has_text).or(self.reasoning)
    }

    /// The tool calls; the older `function_call` is one of them.
    pub(super) fn tool_calls(&self) -> Vec<DecodedCall<'_>> {
        let mut calls: Vec<DecodedCall<'_>> = items(self.tool_calls);
        // Where both members are there, they are the same call.
        if calls.is_empty()
            && let Some(function) = self.function_call.filter(|it| it.get().starts_with('{'))
        {
            calls.push(DecodedCall::of_function(function));
        }
        calls
    }

    /// The tool calls as they stand in the JSON.
    pub(super) fn raw_tool_calls(&self) -> Vec<&RawValue> {
        items(self.tool_calls)
    }

    /// The older `function_call`, where its arguments are no text.
    pub(super) fn odd_function_call(&self) -> Option<DecodedCall<'_>> {
        let function = self.function_call.filter(|it| it.get().starts_with('{'))?;
        let call = DecodedCall::of_function(function);
        Some(call).filter(|it| !it.has_text_arguments())
    }

    /// Whether a text is no string, or holds escapes that may be lone surrogates.
    pub(super) fn has_odd_text(&self) -> bool {
        let texts = [self.content, self.refusal, self.reasoning_content, self.reasoning];
        texts.into_iter().flatten().map(RawValue::get).any(|it| {
            !matches!(surrogates::replace_lone(it), Cow::Borrowed(_)) || !it.starts_with('"')
        })
    }

    /// Where the text comes from.
    pub(super) fn citations(&self) -> Vec<Citation> {
        let annotations = items::<Annotation>(self.annotations).into_iter();
        let cited = annotations.filter_map(|it| it.url_citation);
        cited.map(url_citation).collect()
    }

    /// Images and audio.
    pub(super) fn media(&self) -> Vec<Content> {
        let images = items::<Image>(self.images).into_iter();
        let mut media: Vec<_> =
            images.map(|it| Content::Image(data_uri::at(&it.image_url.url))).collect();
        if let Some(data) = self.audio().data {
            let source = MediaSource::Base64(data);
            media.push(Content::Audio(Media { source, ..Media::default() }));
        }
        media
    }

    /// The transcript of the audio.
    pub(super) fn transcript(&self) -> Option<String> {
        self.audio().transcript
    }

    fn audio(&self) -> Audio {
        lenient(self.audio)
    }
}

fn has_text(it: &&RawValue) -> bool {
    !matches!(it.get(), "null" | "\"\"")
}

fn url_citation(citation: UrlCitation) -> Citation {
    let UrlCitation { url, title, start_index, end_index } = citation;
    Citation { url: Some(url), title, quote: None, range: start_index.zip(end_index) }
}

/// Adds a content to its texts: a string, one part, or a list of strings and parts as Mistral's
/// reasoning models write it.
fn add_content(content: Option<&RawValue>, texts: &mut Texts) {
    match content {
        Some(list) if list.get().starts_with('[') => {
            items::<&RawValue>(content).into_iter().for_each(|it| add_part(it, texts));
        }
        Some(one) => add_part(one, texts),
        None => {}
    }
}

/// Adds a string or a part to the texts; a list within the list counts as text.
fn add_part(part: &RawValue, texts: &mut Texts) {
    let content = Some(part);
    let json = part.get();
    match json.as_bytes().first() {
        Some(b'"') => texts.content.push_str(&string(json)),
        Some(b'[') => texts.content.push_str(&text(content)),
        Some(b'{') => {
            let part: ContentPart<'_> = lenient(content);
            texts.reasoning.push_str(&text(part.thinking.or(part.reasoning)));
            texts.refusal.push_str(&text(part.refusal));
            match text(part.kind).as_str() {
                "thinking" | "reasoning" => texts.reasoning.push_str(&text(part.text)),
                // Better an odd text than a response without any.
                _ => texts.content.push_str(&text(part.text)),
            }
        }
        _ => {}
    }
}

/// The text of a value: a string, what a list of texts says together, or the `text` of an object. Of
/// a number its digits, of `null` nothing, nor of what nests deeper than any provider writes.
pub(super) fn text(value: Option<&RawValue>) -> String {
    text_within(value, MAX_TEXT_DEPTH)
}

/// The text of a value that may hold so many lists and objects within each other.
fn text_within(value: Option<&RawValue>, depth: usize) -> String {
    let Some(json) = value.map(RawValue::get) else { return String::new() };
    // Values that are kept as text are parsed without a limit on their depth, and a provider that
    // nests thousands of lists would exhaust the stack.
    let inner = depth.checked_sub(1);
    match (json.as_bytes().first(), inner) {
        (Some(b'"'), _) => string(json),
        (Some(b'['), Some(inner)) => {
            items::<&RawValue>(value).into_iter().map(|it| text_within(Some(it), inner)).collect()
        }
        (Some(b'{'), Some(inner)) => text_within(lenient::<ContentPart<'_>>(value).text, inner),
        (Some(b'0'..=b'9' | b'-'), _) => json.to_owned(),
        _ => String::new(),
    }
}

fn string(json: &str) -> String {
    serde_json::from_str(&surrogates::replace_lone(json)).unwrap_or_default()
}

/// The items of a list that are of the expected shape.
pub(super) fn items<'a, T: Deserialize<'a>>(list: Option<&'a RawValue>) -> Vec<T> {
    let list = list.and_then(|it| serde_json::from_str::<Vec<&RawValue>>(it.get()).ok());
    let items = list.unwrap_or_default().into_iter();
    items.filter_map(|it| serde_json::from_str(it.get()).ok()).collect()
}

/// A value, or what is the default where it has another shape.
pub(super) fn lenient<'a, T: Deserialize<'a> + Default>(value: Option<&'a RawValue>) -> T {
    value.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default()
}

#[derive(Deserialize)]
struct WholeResponse<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Vec<WholeChoice<'a>>,
}

#[derive(Deserialize)]
struct WholeChoice<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

/// Decodes a body that was already found to be a response.
pub(super) fn decode(body: &[u8]) -> Result<ChatResponse> {
    let whole: WholeResponse<'_> = serde_json::from_slice(body).map_err(not_a_response)?;
    let id = text(whole.id);
    let choices = whole.choices.iter().map(|it| choice(it, &id)).collect::<Result<Vec<_>>>()?;
    let mut response = ChatResponse {
        id: Some(id).filter(|it| !it.is_empty()),
        model: Some(text(whole.model)).filter(|it| !it.is_empty()),
        choices,
    };
    let sources: ListedSources<'_> = serde_json::from_slice(body).unwrap_or_default();
    // Beside the choices the provider does not say which text cites them.
    add_sources(&mut response, sources.decode());
    Ok(response)
}

/// The error for a body that is no response of this format.
#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
pub(super) fn not_a_response(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Upstream, "returned a body that is not a chat completion")
        .caused_by(json::unquoted(&error))
}

fn choice(choice: &WholeChoice<'_>, response_id: &str) -> Result<Choice> {
    let message: DecodedMessage<'_> =
        choice.message.map(error_body::part).transpose()?.unwrap_or_default();
    let Texts { reasoning, mut content, refusal } = message.texts();
    // OpenAI's audio models put their words into the transcript and leave the content null.
    if content.is_empty() {
        content = message.transcript().unwrap_or_default();
    }
    let mut parts = vec![];
    if !reasoning.is_empty() {
        parts.push(Part::new(Content::Reasoning(reasoning)));
    }
    if !content.is_empty() {
        parts.push(Part::new(Content::Text(content, message.citations())));
    }
    let has_refused = !refusal.is_empty();
    if has_refused {
        parts.push(Part::new(Content::Refusal(refusal)));
    }
    parts.extend(message.media().into_iter().map(Part::new));

    let calls = message.tool_calls();
    for (at, call) in calls.iter().enumerate() {
        parts.push(tool_call(call, at, response_id)?);
    }
    let reason = finish_reason::word_of(choice.finish_reason);
    let finish_reason = match reason.as_str() {
        // Without a reason nothing shows that a whole response was cut.
        "" if calls.is_empty() => FinishReason::Stop,
        "" => FinishReason::ToolCalls,
        word => finish_reason::decode(word, !calls.is_empty(), has_refused)?,
    };
    Ok(Choice { parts, finish_reason })
}

fn tool_call(call: &DecodedCall<'_>, at: usize, response_id: &str) -> Result<Part> {
    let arguments = call.arguments();
    Ok(Part::new(Content::ToolCall(ToolCall {
        id: call.id().unwrap_or_else(|| call_id(response_id, at)),
        name: call.name().ok_or_else(nameless_call)?,
        arguments: if arguments.is_empty() { "{}".to_owned() } else { arguments },
    })))
}

/// The error for a call that names no tool, which no client could answer.
pub(super) fn nameless_call() -> Error {
    Error::new(ErrorKind::Upstream, "called a tool without naming it")
}

/// An id for a call that has none, made of the response's own.
pub(super) fn call_id(response_id: &str, at: usize) -> String {
    format!("call_{response_id}_{at}")
}

/// Adds sources that are listed beside the choices to the first text.
fn add_sources(response: &mut ChatResponse, sources: Vec<Citation>) {
    let parts = response.choices.iter_mut().flat_map(|it| &mut it.parts);
    let first = parts.into_iter().find_map(|it| match &mut it.content {
        Content::Text(_, citations) => Some(citations),
        _ => None,
    });
    let Some(citations) = first else { return };
    for source in sources {
        if citations.iter().all(|it| it.url != source.url) {
            citations.push(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(message: &str) -> Choice {
        let body = format!(
            r#"{{"id":7,"model":"m","choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#
        );
        decode(body.as_bytes()).unwrap().choices.remove(0)
    }

    fn contents(message: &str) -> Vec<Content> {
        response(message).parts.into_iter().map(|it| it.content).collect()
    }

    fn decoded_text(text: &str) -> Content {
        Content::Text(text.to_owned(), vec![])
    }

    #[test]
    fn a_text_is_decoded_in_whatever_shape_it_comes() {
        for content in [
            r#""Hello""#,
            r#"["Hel","lo"]"#,
            r#"[{"type":"text","text":"Hel"},"lo"]"#,
            r#"[{"type":"output_text","text":["Hel","lo"]}]"#,
            r#"{"type":"text","text":"Hello"}"#,
        ] {
            assert_eq!(
                contents(&format!(r#"{{"content":{content}}}"#)),
                [decoded_text("Hello")],
                "{content}"
            );
        }
        assert_eq!(
            contents(r#"{"content":"cut \ud83d here"}"#),
            [decoded_text("cut \u{fffd} here")]
        );
    }

    #[test]
    fn a_text_within_thousands_of_lists_costs_only_itself() {
        for (open, close) in [("[", "]"), (r#"{"text":"#, "}"), (r#"[{"text":"#, "}]")] {
            let (open, close) = (open.repeat(6_000), close.repeat(6_000));
            let deep = format!(r#"{open}"x"{close}"#);
            let message = format!(
                r#"{{"content":["a",{deep},"b"],"reasoning":{deep},"refusal":{deep},"tool_calls":[{{"id":{deep},"function":{{"name":"f"}}}}]}}"#
            );
            assert_eq!(contents(&message)[0], decoded_text("ab"));
        }
    }

    #[test]
    fn a_member_of_an_odd_shape_costs_only_itself() {
        let odd = r#"{"content":"Hi","annotations":{},"images":[1],"audio":[],"tool_calls":{},"refusal":5e0}"#;
        let contents = contents(odd);
        assert_eq!(contents[0], decoded_text("Hi"));
    }

    #[test]
    fn an_older_function_call_is_a_call() {
        let choice =
            response(r#"{"content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}"#);
        let Content::ToolCall(call) = &choice.parts[0].content else { panic!("{choice:?}") };
        assert_eq!((call.id.as_str(), call.name.as_str()), ("call_7_0", "f"));
        assert_eq!(call.arguments, r#"{"a":1}"#);
        assert_eq!(choice.finish_reason, FinishReason::ToolCalls);
    }

    #[test]
    fn an_id_may_be_a_number() {
        let call = r#"{"tool_calls":[{"id":12,"function":{"name":"f","arguments":{"a":1}}}]}"#;
        let Content::ToolCall(call) = &contents(call)[0] else { panic!() };
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("12", r#"{"a":1}"#));
    }

    #[test]
    fn a_call_without_a_name_is_an_error() {
        let body =
            br#"{"choices":[{"message":{"tool_calls":[{"id":"c"}]},"finish_reason":"stop"}]}"#;
        assert_eq!(decode(body).unwrap_err().kind, ErrorKind::Upstream);
    }

    #[test]
    fn sources_beside_the_choices_are_citations() {
        let body = br#"{"choices":[{"message":{"content":"Oslo[1]."},"finish_reason":"stop"}],
            "citations":["https://a.test/1","https://b.test/2"],
            "search_results":[{"title":"A","url":"https://a.test/1","date":null}]}"#;
        let Content::Text(_, citations) = &decode(body).unwrap().choices[0].parts[0].content else {
            panic!()
        };
        let found: Vec<_> =
            citations.iter().map(|it| (it.url.as_deref().unwrap(), it.title.as_deref())).collect();
        assert_eq!(found, [("https://a.test/1", Some("A")), ("https://b.test/2", None)]);
    }
}
