//! What a provider's message may not repeat to clients and logs: secrets, and the client's own words.

use std::{collections::HashSet, ops::Range};

use canonical::{CanonicalRequest, Content, Conversation, Error, Part};
use formats::{GatewayRequest, without_secrets};
use storage::Secret;

use crate::Upstream;

/// How many bytes in a row show that a message quotes a text.
const QUOTE_BYTES: usize = 12;
/// How short a text may be that is found when a message repeats all of it.
const MIN_TEXT_BYTES: usize = 5;
/// The text in place of a quotation.
const QUOTE_MASK: &str = "[from the request]";

impl Upstream {
    /// The same text without the keys of any provider.
    pub fn without_keys(&self, text: &str) -> String {
        let providers = self.providers.values().filter_map(|it| it.as_ref().ok());
        let secrets = providers.flat_map(|it| it.endpoint.secrets.iter());
        without_secrets(text, secrets.map(Secret::expose))
    }
}

/// The same failure, in words that quote none of these secrets.
pub(crate) fn redact_error(mut error: Error, secrets: &[Secret]) -> Error {
    let exposed = || secrets.iter().map(Secret::expose);
    error.param = error.param.take().map(|param| without_secrets(&param, exposed()));
    if !exposed().any(|secret| error.message().contains(secret)) {
        return error;
    }
    let message = without_secrets(error.message(), exposed());
    error.with_message(message)
}

/// The same failure without what it quotes of the request's texts: messages are logged, and prompts
/// never are.
pub(crate) fn redact_quotes(error: Error, request: &GatewayRequest) -> Error {
    // What has no status is in the gateway's own words.
    if error.provider_status.is_none() {
        return error;
    }
    mask_quotes(error, request)
}

/// The failure that ends a stream, without what it quotes of the request's texts; it has no status.
pub fn redact_stream_error(error: Error, request: &GatewayRequest) -> Error {
    mask_quotes(error, request)
}

fn mask_quotes(error: Error, request: &GatewayRequest) -> Error {
    let Ok(CanonicalRequest::Conversation(conversation)) = request.canonical() else {
        return error;
    };
    let quotes = quotes(error.message(), &texts(conversation));
    if quotes.is_empty() {
        return error;
    }

    let mut message = String::new();
    let mut end = 0;
    for quote in quotes {
        message.push_str(error.message().get(end..quote.start).unwrap_or_default());
        message.push_str(QUOTE_MASK);
        end = quote.end;
    }
    message.push_str(error.message().get(end..).unwrap_or_default());
    error.with_message(message)
}

fn texts(conversation: &Conversation) -> Vec<&str> {
    let mut texts = vec![];
    for message in &conversation.messages {
        collect_texts(&message.parts, &mut texts);
    }
    texts
}

fn collect_texts<'a>(parts: &'a [Part], texts: &mut Vec<&'a str>) {
    for part in parts {
        match &part.content {
            Content::Text(text, _) | Content::Reasoning(text) | Content::Refusal(text) => {
                texts.push(text);
            }
            Content::ToolCall(call) => texts.push(&call.arguments),
            Content::ToolResult(result) => collect_texts(&result.parts, texts),
            Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::File(_) => {}
        }
    }
}

/// Where a message repeats one of these texts, in order and without overlaps.
fn quotes(message: &str, texts: &[&str]) -> Vec<Range<usize>> {
    let mut is_quoted = vec![false; message.len()];
    for text in texts.iter().filter(|text| MIN_TEXT_BYTES <= text.len()) {
        for (start, whole) in message.match_indices(*text) {
            is_quoted[start..start + whole.len()].fill(true);
        }
    }

    let windows: HashSet<&[u8]> = message.as_bytes().windows(QUOTE_BYTES).collect();
    let starts: HashSet<[u8; 4]> = windows.iter().filter_map(|it| first_four(it)).collect();
    let mut found: HashSet<&[u8]> = HashSet::new();
    // The request may have megabytes and the message has hundreds of bytes: the small side is
    // indexed.
    for window in texts.iter().flat_map(|text| text.as_bytes().windows(QUOTE_BYTES)) {
        // Most windows of a long text end here, for the price of a short key.
        if first_four(window).is_some_and(|start| starts.contains(&start))
            && windows.contains(window)
        {
            found.insert(window);
        }
    }
    for (start, window) in message.as_bytes().windows(QUOTE_BYTES).enumerate() {
        if found.contains(window) {
            is_quoted[start..start + QUOTE_BYTES].fill(true);
        }
    }
    ranges(message, &is_quoted)
}

fn first_four(window: &[u8]) -> Option<[u8; 4]> {
    window.first_chunk().copied()
}

/// The runs of marked characters; one that is marked in part is marked.
fn ranges(message: &str, is_quoted: &[bool]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = vec![];
    for (start, character) in message.char_indices() {
        let end = start + character.len_utf8();
        if !is_quoted[start..end].contains(&true) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use canonical::ErrorKind;
    use formats::{Inbound, openai::chat::OpenAiChat};

    use super::*;

    fn message(prompt: &str, quoting: &str) -> String {
        let body = serde_json::json!({
            "model": "m", "messages": [{"role": "user", "content": prompt}],
        });
        let request = OpenAiChat.decode(Bytes::from(body.to_string())).unwrap();
        let mut error = Error::new(ErrorKind::InvalidRequest, quoting);
        error.provider_status = Some(400);
        redact_quotes(error, &request).message().to_owned()
    }

    #[test]
    fn a_quoted_prompt_is_taken_out() {
        let redacted =
            message("My secret plan is to…", "Invalid content: 'My secret plan is to…' (400)");
        assert_eq!(redacted, "Invalid content: '[from the request]' (400)");
        let cut = message("It begins here: one two three four", "bad: 'one two three f…' at 5");
        assert_eq!(cut, "bad: '[from the request]…' at 5");
        assert_eq!(message("canary", "no canary please"), "no [from the request] please");
    }

    #[test]
    fn a_message_that_quotes_nothing_stays_as_it_is() {
        let refusal = "Unsupported parameter: 'max_tokens' is not supported with this model.";
        assert_eq!(message("What is the weather?", refusal), refusal);
        assert_eq!(message("", refusal), refusal);
    }

    #[test]
    fn secrets_are_taken_out_of_messages_and_params() {
        let mut error = Error::new(ErrorKind::ProviderAccess, "the key hunter2 is wrong");
        error.param = Some("hunter2".to_owned());
        let error = redact_error(error, &[Secret::new("hunter2")]);
        assert!(!error.message().contains("hunter2"), "{error}");
        assert!(!error.param.as_deref().unwrap_or_default().contains("hunter2"));
    }
}
