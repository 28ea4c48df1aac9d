//! Requests of other formats, encoded as a request of this one.

mod wire;

use std::borrow::Cow;

use canonical::{
    CacheBreakpoint, Citation, Content, Conversation, Error, ErrorKind, Field, Media, MediaSource,
    Message, Part, ResponseFormat, Result, Role, Sampling, Tool, ToolCall, ToolChoice, ToolResult,
};

use self::wire::{
    Body, Choice, ContentJson, Format, Item, Labels, Name, PartJson, Place, TextJson, Thinking,
    ToolJson,
};
use super::{
    super::file_id,
    content::unsealed,
    output::{self, Annotation},
};
use crate::{
    EncodeOptions, EncodedRequest, alternating_roles::no_message, json,
    object_schema::with_properties, openai::chat::effort, size_limits,
    strict_schema::strict_or_named,
};

/// The least limit on output tokens that is accepted.
const MIN_TOKENS: u64 = 16;
/// How long a call's id may be, in bytes.
const MAX_ID_LENGTH: usize = 64;
/// The value of `include` that adds signatures to reasoning, so that it can be sent again.
pub(super) const SEALED: &str = "reasoning.encrypted_content";

/// Encodes a conversation, and names what the format does not support.
pub(super) fn encode(
    conversation: &Conversation,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let Conversation {
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format: output,
        sampling,
        max_tokens,
        reasoning,
        cache,
        user,
        metadata,
        service_tier,
        verbosity,
        prompt_cache_key,
        // The caller names them to the client.
        unmapped_fields: _,
    } = conversation;

    let mut encoder = InputEncoder::default();
    encoder.cache(cache.as_ref());
    messages.iter().try_for_each(|it| encoder.message(it))?;
    if encoder.items.is_empty() {
        return Err(no_message());
    }

    let tools = tools.iter().map(|it| encoder.tool(it)).collect::<Result<Vec<_>>>()?;
    // Encrypted reasoning is refused for models without reasoning, and needed by those that reason
    // unasked.
    let thinks = reasoning.as_ref().map_or(target.facts.reasoning.unrequested, |it| !it.is_off());
    let format = output.as_ref().map(|it| encoder.output(it)).transpose()?;
    let verbosity = verbosity.as_deref();
    let (temperature, top_p) = encoder.sampling(sampling);

    let body = Body {
        model: target.model,
        tool_choice: tool_choice.as_ref().filter(|_| !tools.is_empty()).map(choice),
        parallel_tool_calls: parallel_tool_calls.filter(|_| !tools.is_empty()),
        tools,
        text: (format.is_some() || verbosity.is_some()).then_some(TextJson { format, verbosity }),
        reasoning: reasoning.as_ref().map(|it| Thinking {
            effort: it.as_effort().map(effort::word),
            summary: (it.visible == Some(true)).then_some("auto"),
        }),
        include: if thinks { vec![SEALED] } else { vec![] },
        max_output_tokens: max_tokens.map(|it| encoder.max_tokens(it)),
        temperature,
        top_p,
        user: user.as_deref(),
        metadata: Labels(metadata),
        service_tier: service_tier.as_deref(),
        prompt_cache_key: prompt_cache_key.as_deref(),
        store: false,
        stream: target.stream,
        input: encoder.items.into_iter().map(plain).collect(),
    };
    Ok(EncodedRequest {
        body: json::written(&body).into(),
        headers: vec![],
        dropped: encoder.dropped,
    })
}

/// The input of a request that is being encoded.
#[derive(Default)]
struct InputEncoder<'a> {
    items: Vec<Item<'a>>,
    dropped: Vec<Field>,
}

impl<'a> InputEncoder<'a> {
    fn drop(&mut self, field: Field) {
        size_limits::note(&mut self.dropped, field);
    }

    /// Here the provider caches by itself; only its newest models take marks.
    fn cache(&mut self, mark: Option<&CacheBreakpoint>) {
        if mark.is_some() {
            self.drop(Field::Cache);
        }
    }

    fn message(&mut self, message: &'a Message) -> Result<()> {
        let Message { role, name, parts } = message;
        if name.is_some() {
            self.drop(Field::MessageName);
        }
        for part in parts {
            self.cache(part.cache.as_ref());
        }
        match role {
            Role::System => self.parts("system", parts),
            Role::Developer => self.parts("developer", parts),
            Role::User => self.parts("user", parts),
            Role::Assistant => {
                parts.iter().for_each(|it| self.assistant_part(it));
                Ok(())
            }
        }
    }

    /// Adds to the last message if it is of the same author, or begins one.
    fn add_message(&mut self, role: &'static str, begins: bool, part: PartJson<'a>) {
        match self.items.last_mut() {
            Some(Item::Message { role: last, content: ContentJson::Parts(content) })
                if !begins && *last == role =>
            {
                content.push(part);
            }
            _ => self.items.push(Item::Message { role, content: ContentJson::Parts(vec![part]) }),
        }
    }

    fn parts(&mut self, role: &'static str, parts: &'a [Part]) -> Result<()> {
        let mut begins = true;
        for part in parts {
            if let Content::ToolResult(result) = &part.content {
                self.result(result)?;
            } else {
                let part = self.input(&part.content)?;
                self.add_message(role, begins, part);
                begins = false;
            }
        }
        Ok(())
    }

    /// Encodes a user's message or a tool's result.
    fn input(&mut self, content: &'a Content) -> Result<PartJson<'a>> {
        Ok(match content {
            // Text of another model may stand in a result; here it is only a text.
            Content::Text(text, _) | Content::Refusal(text) | Content::Reasoning(text) => {
                PartJson::InputText { text }
            }
            Content::Image(media) => PartJson::InputImage {
                place: image(media)?,
                // The reference requires it, unlike that of chat.
                detail: media.detail.as_deref().unwrap_or("auto"),
            },
            Content::File(media) => self.file(media)?,
            Content::Audio(_) => return Err(unknown(&Field::Audio, "no audio")),
            Content::Video(_) => return Err(unknown(&Field::Video, "no video")),
            Content::ToolCall(_) | Content::ToolResult(_) => {
                return Err(unknown(&Field::Tools, "no tool call within a user's message"));
            }
        })
    }

    fn file(&mut self, media: &'a Media) -> Result<PartJson<'a>> {
        let filename = media.name.as_deref();
        let place = match &media.source {
            MediaSource::Url(url) => Place::FileUrl(url),
            MediaSource::Id(id) => Place::FileId(own(id, &Field::File)?),
            MediaSource::Text(text) => {
                if filename.is_some() {
                    self.drop(Field::FileName);
                }
                return Ok(PartJson::InputText { text });
            }
            MediaSource::Base64(data) => {
                let kind = media.media_type.as_deref().unwrap_or("application/pdf");
                let place = Place::FileData(format!("data:{kind};base64,{data}"));
                // A name is demanded beside the bytes.
                let filename = filename.or(Some("document.pdf"));
                return Ok(PartJson::InputFile { place, filename });
            }
        };
        Ok(PartJson::InputFile { place, filename })
    }

    fn result(&mut self, result: &'a ToolResult) -> Result<()> {
        // The name of a tool is known by the call.
        let ToolResult { id, name: _, parts, is_error } = result;
        if *is_error == Some(true) {
            self.drop(Field::ToolError);
        }
        let output = match parts.as_slice() {
            // `output` is required, and a tool may return nothing.
            [] => ContentJson::Text(""),
            [Part { content: Content::Text(text, _), cache, .. }] => {
                self.cache(cache.as_ref());
                ContentJson::Text(text)
            }
            parts => {
                let mut list = Vec::with_capacity(parts.len());
                for part in parts {
                    self.cache(part.cache.as_ref());
                    if matches!(part.content, Content::Audio(_) | Content::Video(_)) {
                        self.drop(Field::ToolResultMedia);
                    } else {
                        list.push(self.input(&part.content)?);
                    }
                }
                ContentJson::Parts(list)
            }
        };
        self.items.push(Item::FunctionCallOutput { call_id: fit(id), output });
        Ok(())
    }

    /// Encodes an earlier message of the model. Signatures of this maker are sent, those of others
    /// are not.
    fn assistant_part(&mut self, part: &'a Part) {
        let own = part.signature.as_ref().and_then(unsealed);
        match &part.content {
            Content::Text(text, citations) => {
                let annotations = self.annotations(citations);
                self.add_message("assistant", false, PartJson::OutputText { text, annotations });
            }
            Content::Refusal(refusal) => {
                self.add_message("assistant", false, PartJson::Refusal { refusal });
            }
            Content::Reasoning(text) => match own {
                Some(own) => self.reasoning_item(own, text),
                // Another maker's reasoning means nothing here, so that nothing is lost with it.
                None if part.signature.is_none() => self.drop(Field::ReasoningText),
                None => {}
            },
            Content::ToolCall(ToolCall { id, name, arguments }) => {
                // OpenAI wants the reasoning before the call that came of it.
                if let Some(own) = own {
                    self.reasoning_item(own, "");
                }
                let arguments = output::whole(arguments);
                self.items.push(Item::FunctionCall { call_id: fit(id), name, arguments });
            }
            Content::Image(_) => self.drop(Field::Image),
            Content::Audio(_) => self.drop(Field::Audio),
            Content::Video(_) => self.drop(Field::Video),
            Content::File(_) => self.drop(Field::File),
            Content::ToolResult(_) => self.drop(Field::ToolResultMedia),
        }
    }

    fn reasoning_item(&mut self, (id, encrypted_content): (&'a str, &'a str), text: &'a str) {
        let summary = Some(text).filter(|it| !it.is_empty());
        let summary = summary.map(|text| PartJson::SummaryText { text }).into_iter().collect();
        self.items.push(Item::Reasoning { id, summary, encrypted_content });
    }

    fn annotations(&mut self, citations: &[Citation]) -> Vec<Annotation> {
        // An annotation has a URL and no quote.
        if citations.iter().any(|it| it.url.is_none() || it.quote.is_some()) {
            self.drop(Field::Citations);
        }
        citations.iter().filter(|it| it.url.is_some()).map(Annotation::new).collect()
    }

    fn tool(&mut self, tool: &'a Tool) -> Result<ToolJson<'a>> {
        let Tool { name, description, schema, strict, cache } = tool;
        self.cache(cache.as_ref());
        let empty = r#"{"type":"object","properties":{}}"#;
        Ok(ToolJson {
            kind: "function",
            name,
            description: description.as_deref(),
            parameters: with_properties(schema.as_ref().map_or(empty, |it| &it.0))?,
            strict: strict_or_named(
                *strict,
                schema.as_ref().map_or(empty, |it| &it.0),
                Field::ToolStrict,
                &mut self.dropped,
            )
            .unwrap_or(false),
        })
    }

    fn output(&mut self, output: &'a ResponseFormat) -> Result<Format<'a>> {
        Ok(match output {
            ResponseFormat::Text => Format::Text,
            ResponseFormat::Json => Format::JsonObject,
            ResponseFormat::Schema(schema) => Format::JsonSchema {
                name: schema.name.as_deref().unwrap_or("answer"),
                description: schema.description.as_deref(),
                schema: json::verbatim(&schema.schema.0)?,
                strict: strict_or_named(
                    schema.strict,
                    &schema.schema.0,
                    Field::ResponseStrict,
                    &mut self.dropped,
                ),
            },
        })
    }

    fn sampling(&mut self, sampling: &Sampling) -> (Option<f64>, Option<f64>) {
        let Sampling {
            temperature,
            top_p,
            top_k,
            frequency_penalty,
            presence_penalty,
            seed,
            stop,
            n,
        } = sampling;
        let unknown = [
            (top_k.is_some(), Field::TopK),
            (frequency_penalty.is_some_and(|it| it != 0.0), Field::FrequencyPenalty),
            (presence_penalty.is_some_and(|it| it != 0.0), Field::PresencePenalty),
            (seed.is_some(), Field::Seed),
            (!stop.is_empty(), Field::Stop),
            (n.is_some_and(|it| it != 1), Field::N),
        ];
        for (given, field) in unknown {
            if given {
                self.drop(field);
            }
        }
        (*temperature, *top_p)
    }

    /// Less than the fewest is refused; a little more is nearer to what is wanted than nothing.
    fn max_tokens(&mut self, wanted: u64) -> u64 {
        if wanted < MIN_TOKENS {
            self.drop(Field::MaxTokens);
        }
        wanted.max(MIN_TOKENS)
    }
}

/// The plainest form of an item: some services accept a part of a response only with its id, which
/// no other provider knows.
fn plain(item: Item<'_>) -> Item<'_> {
    match item {
        Item::Message { role: "assistant", content: ContentJson::Parts(parts) } => {
            let content = match parts.as_slice() {
                [PartJson::OutputText { text, annotations }] if annotations.is_empty() => {
                    ContentJson::Text(text)
                }
                _ => ContentJson::Parts(parts),
            };
            Item::Message { role: "assistant", content }
        }
        item => item,
    }
}

fn unknown(field: &Field, what: &str) -> Error {
    let message = format!("OpenAI Responses takes {what}");
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some(field.openai_chat_name().into_owned());
    error
}

/// The id of a file, unless another provider keeps the file.
fn own<'a>(id: &'a str, field: &Field) -> Result<&'a str> {
    if file_id::is_foreign(id) {
        Err(unknown(field, "no files of another provider"))
    } else {
        Ok(id)
    }
}

fn image(media: &Media) -> Result<Place<'_>> {
    Ok(match &media.source {
        MediaSource::Url(url) => Place::ImageUrl(Cow::Borrowed(url)),
        MediaSource::Id(id) => Place::FileId(own(id, &Field::Image)?),
        MediaSource::Base64(data) => {
            let kind = media.media_type.as_deref().unwrap_or_else(|| image_type(data));
            Place::ImageUrl(Cow::Owned(format!("data:{kind};base64,{data}")))
        }
        MediaSource::Text(_) => return Err(unknown(&Field::Image, "no image made of text")),
    })
}

/// The media type of an image by its first bytes, where the client names none.
fn image_type(base64: &str) -> &'static str {
    let known = [("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp")];
    known.iter().find(|it| base64.starts_with(it.0)).map_or("image/png", |it| it.1)
}

fn choice(choice: &ToolChoice) -> Choice<'_> {
    let named = |name| Name { kind: "function", name };
    match choice {
        ToolChoice::Auto => Choice::Word("auto"),
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::Required => Choice::Word("required"),
        ToolChoice::Named(name) => Choice::Named(named(name)),
        ToolChoice::Among(names, must) => Choice::Among {
            kind: "allowed_tools",
            mode: if *must { "required" } else { "auto" },
            tools: names.iter().map(|it| named(it)).collect(),
        },
    }
}

/// A call's id as this format takes it: the same for the call and for its result.
fn fit(id: &str) -> Cow<'_, str> {
    if id.len() <= MAX_ID_LENGTH {
        return Cow::Borrowed(id);
    }
    // FNV-1a: ids only have to stay apart within one conversation.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start: String = id.chars().filter(char::is_ascii_graphic).take(40).collect();
    Cow::Owned(format!("{start}_{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use canonical::Signature;

    use super::*;

    fn encoded(conversation: &Conversation) -> (String, Vec<Field>) {
        let target = EncodeOptions { model: "gpt-4o", ..EncodeOptions::default() };
        let encoded = encode(conversation, &target).unwrap();
        (String::from_utf8(encoded.body.to_vec()).unwrap(), encoded.dropped)
    }

    fn answered(parts: Vec<Part>) -> Conversation {
        let messages = vec![user("Hi"), Message::new(Role::Assistant, parts)];
        Conversation { messages, ..Conversation::default() }
    }

    fn user(text: &str) -> Message {
        Message::new(Role::User, vec![Part::new(Content::Text(text.to_owned(), vec![]))])
    }

    #[test]
    fn a_request_has_a_message() {
        for messages in [vec![], vec![Message::new(Role::User, vec![])]] {
            let conversation = Conversation { messages, ..Conversation::default() };
            let error = encode(&conversation, &EncodeOptions::default()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
        }
    }

    #[test]
    fn unsupported_fields_are_named() {
        let sampling = Sampling {
            temperature: Some(0.0),
            top_k: Some(1),
            seed: Some(7),
            stop: vec!["x".to_owned()],
            n: Some(1),
            presence_penalty: Some(0.0),
            ..Sampling::default()
        };
        let messages = vec![user("Hi")];
        let conversation =
            Conversation { messages, sampling, max_tokens: Some(5), ..Conversation::default() };
        let (body, dropped) = encoded(&conversation);
        assert_eq!(dropped, [Field::TopK, Field::Seed, Field::Stop, Field::MaxTokens]);
        assert!(body.contains(r#""max_output_tokens":16,"temperature":0.0"#), "{body}");
    }

    #[test]
    fn only_its_own_reasoning_goes_back() {
        let reasoning = |maker: &str, data: &str| Part {
            content: Content::Reasoning("Hm.".to_owned()),
            cache: None,
            signature: Some(Signature::new(maker, data)),
        };
        let (body, dropped) = encoded(&answered(vec![
            reasoning("anthropic", "c2ln"),
            reasoning("openai_responses", "rs_1:gAAA"),
        ]));
        assert_eq!(body.matches("reasoning").count(), 1);
        assert!(body.contains(r#""id":"rs_1""#) && body.contains(r#""encrypted_content":"gAAA""#));
        assert_eq!(dropped, []);
        let bare = Part::new(Content::Reasoning("Hm.".to_owned()));
        assert_eq!(encoded(&answered(vec![bare])).1, [Field::ReasoningText]);
    }

    #[test]
    fn an_id_that_is_too_long_is_cut_alike_everywhere() {
        let long = |end: &str| format!("{}{end}", "x".repeat(80));
        assert_eq!(fit("call_1"), "call_1");
        assert_eq!(fit(&long("a")), fit(&long("a")));
        assert_ne!(fit(&long("a")), fit(&long("b")));
        assert!(fit(&long("a")).len() <= MAX_ID_LENGTH);
    }

    #[test]
    fn audio_is_unsupported() {
        let parts = vec![Part::new(Content::Audio(Media::default()))];
        let messages = vec![Message::new(Role::User, parts)];
        let conversation = Conversation { messages, ..Conversation::default() };
        let target = EncodeOptions { model: "m", ..EncodeOptions::default() };
        assert_eq!(encode(&conversation, &target).unwrap_err().kind, ErrorKind::Unsupported);
    }
}
