//! A provider's response, decoded into the form that the client asked for.
//!
//! The first byte of a body says more than its `Content-Type`: relays send events as JSON, pages as
//! events, and whole responses where a stream was requested.

use std::{io, time::Duration};

use bytes::Bytes;
use canonical::{Content, Error, ErrorKind, GatewayResponse, ResponseBody, Result};
use formats::{
    BYTE_ORDER_MARK, DecodeMode, DecodeOptions, GatewayRequest, OutboundText, ProviderFormat,
    ToolNames, without_byte_order_mark, without_secrets,
};
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use storage::Secret;

use crate::{
    EventStream, UpstreamBody,
    connections::causes,
    endpoint::Endpoint,
    memory::{MemoryBudget, MemoryBuffer},
    reassembly::{events_from_response, response_from_events},
    response_headers,
    stream::Source,
};

/// How large a whole response may be.
const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;
/// How many bytes are reserved for a whole response at first.
const FIRST_BYTES: usize = 8 * 1024;
/// How much of a failure is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long the body of a failure may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The context in which a response is decoded.
pub(crate) struct ResponseContext<'a> {
    /// The name of the provider in the configuration.
    pub(crate) provider: &'a str,
    /// The provider's name for the model.
    pub(crate) model: &'a str,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) format: ProviderFormat,
    pub(crate) request: &'a GatewayRequest,
    pub(crate) mode: DecodeMode,
    /// The names of tools at the provider.
    pub(crate) tool_names: ToolNames,
    /// Silence that is allowed inside a stream.
    pub(crate) idle_timeout: Duration,
    /// The memory that a whole response is held in.
    pub(crate) memory: &'a MemoryBudget,
    /// How many bytes of the response are kept; none where nobody wants them.
    pub(crate) keep: Option<usize>,
}

/// A response, and the bytes that it was decoded from.
pub(crate) struct Decoded {
    pub(crate) body: UpstreamBody,
    /// The bytes of a whole response, where they are kept; a stream has a copy of its own.
    pub(crate) kept: Option<Bytes>,
}

/// Decodes a successful response: whole, or up to its first meaningful event.
pub(crate) async fn decode(
    context: ResponseContext<'_>,
    headers: &HeaderMap,
    body: reqwest::Body,
) -> Result<Decoded> {
    let is_opaque = context.request.task.is_opaque();
    if let Some(format) = context.format.text() {
        if is_opaque && !is_json_type(headers) {
            let stream = pass_stream(context, format, body).await?;
            return Ok(Decoded { body: UpstreamBody::Stream(stream), kept: None });
        }
        if context.request.stream && !is_opaque {
            let stream = decode_stream(context, format, headers, body).await?;
            return Ok(Decoded { body: UpstreamBody::Stream(stream), kept: None });
        }
    }
    let body = without_byte_order_mark(read_whole(&[], body, context.memory).await?);
    let kept = context.keep.filter(|most| body.len() <= *most).map(|_| body.clone());
    let mut response = context.decode_whole(body, headers, context.mode)?;
    check_vectors(&mut response, context.format, context.request)?;
    if context.request.compacts {
        check_compaction(&response)?;
    }
    Ok(Decoded { body: UpstreamBody::Whole(response), kept })
}

/// Whether a body is announced as JSON.
fn is_json_type(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    // A provider that announces nothing means JSON: only binary tasks announce another type.
    let essence = kind.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
}

/// A body that passes through as it comes, up to its first bytes.
async fn pass_stream(
    context: ResponseContext<'_>,
    format: &dyn OutboundText,
    body: reqwest::Body,
) -> Result<EventStream> {
    let secrets = context.endpoint.secrets.clone();
    let source = Source { provider: context.provider, model: context.model, secrets };
    let decoder = format.stream_decoder(context.options(context.mode));
    let mut events = EventStream::new(source, body, decoder, context.idle_timeout);
    // Until then another target can still be attempted.
    events.await_first_event().await?;
    Ok(events)
}

async fn decode_stream(
    context: ResponseContext<'_>,
    format: &dyn OutboundText,
    headers: &HeaderMap,
    mut body: reqwest::Body,
) -> Result<EventStream> {
    let secrets = context.endpoint.secrets.clone();
    let source = Source { provider: context.provider, model: context.model, secrets };
    let first = read_first_bytes(&mut body).await?;
    if is_json(&first) {
        tracing::debug!(
            provider = context.provider,
            "returned a whole response to a streaming request"
        );
        let whole = read_whole(&first, body, context.memory).await?;
        // Decoded even in the client's own format, since its frames have to be made.
        let response = context.decode_whole(whole.clone(), headers, DecodeMode::Translate)?;
        let ResponseBody::Chat(chat) = response.body else {
            let message = "returned a whole response to a streaming request";
            return Err(Error::new(ErrorKind::Upstream, message));
        };
        let events = events_from_response(chat, response.usage);
        let mut stream = EventStream::from_events(source, events);
        if let Some(most) = context.keep {
            // The bytes of the whole response are what is kept, not the frames that are made of it.
            stream.tee(most);
            stream.note_received(&whole);
        }
        return Ok(stream);
    }

    if is_page(&first) {
        let message = "returned a page where a stream of events was requested";
        return Err(Error::new(ErrorKind::Upstream, message));
    }

    let decoder = format.stream_decoder(context.options(context.mode));
    let decoder = context.tool_names.restored(decoder);
    let decoder = formats::with_checked_calls(decoder);
    let decoder = formats::with_model_name(decoder, context.model);
    let mut events = EventStream::new(source, body, decoder, context.idle_timeout);
    if let Some(most) = context.keep {
        events.tee(most);
    }
    events.push_bytes(first);
    events.await_first_event().await?;
    Ok(events)
}

impl ResponseContext<'_> {
    fn options(&self, mode: DecodeMode) -> DecodeOptions {
        DecodeOptions { mode, end: self.endpoint.stream_end }
    }

    /// Decodes a whole body, which may be a stream that was not requested.
    fn decode_whole(
        &self,
        body: Bytes,
        headers: &HeaderMap,
        mode: DecodeMode,
    ) -> Result<GatewayResponse> {
        let mut response = match self.format.text() {
            Some(format) if is_events(&body) => {
                tracing::debug!(
                    provider = self.provider,
                    "returned a stream to a request for a whole response"
                );
                collect_events(format, body, self.options(DecodeMode::Translate))?
            }
            _ => self.format.outbound().response(body, self.options(mode))?,
        };
        response.usage = response.usage.or_else(|| response_headers::usage(headers));
        if let ResponseBody::Chat(chat) = &mut response.body {
            self.tool_names.restore(chat);
            formats::check_calls(chat)?;
            // Bedrock, for one, names no model in its responses.
            chat.model.get_or_insert_with(|| self.model.to_owned());
        }
        Ok(response)
    }
}

fn collect_events(
    format: &dyn OutboundText,
    body: Bytes,
    options: DecodeOptions,
) -> Result<GatewayResponse> {
    let mut decoder = format.stream_decoder(options);
    let mut events = vec![];
    decoder.read(body, &mut events)?;
    decoder.close(&mut events)?;
    response_from_events(events)
}

/// Whether a body is one JSON value and no stream of events.
fn is_json(body: &[u8]) -> bool {
    matches!(first_visible(body), Some(b'{' | b'['))
}

/// Whether a body is a stream of server-sent events: it begins with a field or a comment.
fn is_events(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|it| start.starts_with(it))
}

/// Whether a body is HTML or XML, such as the page of a proxy: no format begins like it.
fn is_page(body: &[u8]) -> bool {
    first_visible(body) == Some(&b'<')
}

fn first_visible(body: &[u8]) -> Option<&u8> {
    body.iter().find(|byte| !byte.is_ascii_whitespace())
}

/// Reads a body up to its first byte that is no white space, and whatever came along with it.
async fn read_first_bytes(body: &mut reqwest::Body) -> Result<Bytes> {
    let mut read = Bytes::new();
    while first_visible(&read).is_none() || BYTE_ORDER_MARK.starts_with(&read) {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(broken_body)?.into_data() else { continue };
        // White space before the first event means nothing in any format, and neither does the mark,
        // which may come in parts.
        let begun = if BYTE_ORDER_MARK.starts_with(&read) { read.as_ref() } else { &[][..] };
        read = without_byte_order_mark(if begun.is_empty() {
            data
        } else {
            [begun, &data].concat().into()
        });
    }
    Ok(read)
}

/// Reads the rest of a body behind its first bytes, within the budget of memory.
async fn read_whole(first: &[u8], mut body: reqwest::Body, memory: &MemoryBudget) -> Result<Bytes> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let capacity = first.len().saturating_add(announced).max(FIRST_BYTES);
    let mut buffer = MemoryBuffer::new(capacity, MAX_RESPONSE_BYTES, memory)?;
    buffer.push(first)?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken_body)?.into_data() else { continue };
        if !buffer.has_room(data.len()) {
            return Err(Error::new(ErrorKind::Upstream, "returned more than 32 MiB"));
        }
        buffer.push(&data)?;
    }
    Ok(buffer.freeze())
}

/// The failure of a body that cannot be read on.
pub(crate) fn broken_body(error: reqwest::Error) -> Error {
    let (kind, message) = if is_about_compression(&error) {
        (ErrorKind::Upstream, "returned a body that its `Content-Encoding` does not fit")
    } else {
        (ErrorKind::Network, "ended its response early")
    };
    Error::new(kind, message).caused_by(error.without_url())
}

/// Whether bytes are not what their compression makes of them.
fn is_about_compression(error: &reqwest::Error) -> bool {
    // What fails in the connection, broken chunks among it, has come through hyper.
    let is_of_connection = causes(error).any(|it| it.is::<hyper::Error>());
    let is_of_bytes = causes(error).filter_map(|it| it.downcast_ref::<io::Error>());
    // The compressed bytes may only be too few.
    let mut is_of_bytes = is_of_bytes.map(|it| it.kind() != io::ErrorKind::UnexpectedEof);
    !is_of_connection && is_of_bytes.any(|it| it)
}

/// Sees to what no decoder can, which does not know the request: that there is a vector for each
/// text, and that vectors are encoded as requested.
fn check_vectors(
    response: &mut GatewayResponse,
    format: ProviderFormat,
    request: &GatewayRequest,
) -> Result<()> {
    let vectors = match (&mut response.body, format) {
        (ResponseBody::Embedding(vectors), _) => vectors,
        (ResponseBody::Raw(raw), ProviderFormat::Embeddings(format)) => {
            *raw = format.as_requested(std::mem::take(raw), request)?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    let requested = request.canonical()?.embedding()?;
    let (found, wanted) = (vectors.vectors.len(), requested.inputs.len());
    if found != wanted {
        let message = format!("returned {found} embeddings where {wanted} were requested");
        return Err(Error::new(ErrorKind::Upstream, message));
    }
    vectors.base64 = requested.base64;
    Ok(())
}

/// Checks that a response to a request for a compaction is one, or at least a summary: without
/// either the conversation would be lost.
fn check_compaction(response: &GatewayResponse) -> Result<()> {
    let is_there = match &response.body {
        ResponseBody::Raw(raw) => {
            let is_compaction = br#""compaction""#;
            raw.windows(is_compaction.len()).any(|it| it == is_compaction)
        }
        ResponseBody::Chat(chat) => {
            let parts = chat.choices.iter().flat_map(|it| &it.parts);
            parts.into_iter().any(|it| match &it.content {
                Content::Text(text, _) => !text.trim().is_empty(),
                _ => false,
            })
        }
        ResponseBody::Embedding(_) | ResponseBody::Tokens { .. } => true,
    };
    if is_there {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Upstream, "returned neither a compaction nor a summary"))
}

/// Decodes a failure's status, headers and body.
pub(crate) async fn decode_error(response: http::Response<reqwest::Body>, now: u64) -> Error {
    let (head, body) = response.into_parts();
    let read = Limited::new(body, MAX_ERROR_BYTES).collect();
    // The status alone says enough to go on; a body that hangs must not cost the next target's
    // time.
    let body = match tokio::time::timeout(ERROR_BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => without_byte_order_mark(body.to_bytes()),
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    let status = head.status.as_u16();
    // AWS names its error in a header, beside the body.
    let code = head.headers.get("x-amzn-errortype").and_then(|it| it.to_str().ok());
    let mut error = formats::from_provider(status, code, &body);
    let until = error.retry_at.map(|at| response_headers::until(at, now));
    let header = response_headers::retry_after(&head.headers, now);
    // A header is meant for programs and wins over a time in a sentence.
    error.retry_after = header.or(error.retry_after).or(until);
    error
}

/// The provider's own name for a request, unless it repeats a secret.
pub(crate) fn request_id(headers: &HeaderMap, secrets: &[Secret]) -> Option<String> {
    let id = response_headers::request_id(headers)?;
    let redacted = without_secrets(&id, secrets.iter().map(Secret::expose));
    if redacted == id { Some(id) } else { None }
}

#[cfg(test)]
mod tests {
    use canonical::EmbeddingResponse;
    use formats::{Inbound, openai::embeddings::OpenAiEmbeddings};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn checked(body: &'static str, vectors: usize) -> Result<EmbeddingResponse> {
        let request = OpenAiEmbeddings.decode(Bytes::from_static(body.as_bytes())).unwrap();
        let vectors = EmbeddingResponse { vectors: vec![vec![1.0]; vectors], base64: false };
        let mut response =
            GatewayResponse { body: ResponseBody::Embedding(vectors), usage: None, facts: None };
        check_vectors(&mut response, ProviderFormat::Embeddings(&OpenAiEmbeddings), &request)?;
        let ResponseBody::Embedding(vectors) = response.body else { panic!("{response:?}") };
        Ok(vectors)
    }

    #[test]
    fn there_is_one_vector_for_each_text() {
        let two = r#"{"input":["a","b"]}"#;
        assert_eq!(checked(two, 1).unwrap_err().kind, ErrorKind::Upstream);
        assert_eq!(checked(two, 3).unwrap_err().kind, ErrorKind::Upstream);
        assert!(!checked(two, 2).unwrap().base64);
    }

    #[test]
    fn vectors_are_wanted_as_the_request_says() {
        assert!(checked(r#"{"input":"a","encoding_format":"base64"}"#, 1).unwrap().base64);
    }

    #[test]
    fn the_first_bytes_tell_events_from_json() {
        for events in ["data: {}\n\n", "event: x\n", ": comment\n", "\n\ndata: {}", "id: 1\n"] {
            assert!(is_events(events.as_bytes()) && !is_json(events.as_bytes()), "{events}");
        }
        for json in ["{}", " \n[1]"] {
            assert!(is_json(json.as_bytes()) && !is_events(json.as_bytes()), "{json}");
        }
        for other in ["", "<html>", "\0\0\0\x51"] {
            assert!(!is_json(other.as_bytes()) && !is_events(other.as_bytes()), "{other}");
            assert_eq!(is_page(other.as_bytes()), other == "<html>", "{other}");
        }
    }

    #[test]
    fn a_request_id_that_repeats_a_key_is_left_out() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-request-id"),
            http::HeaderValue::from_static("req_hunter2-the-key"),
        )]);
        assert_eq!(request_id(&headers, &[Secret::new("hunter2-the-key")]), None);
        let id = request_id(&headers, &[Secret::new("another-key")]);
        assert_eq!(id.as_deref(), Some("req_hunter2-the-key"));
    }

    /// The failure of a body, by the bytes that a server sends.
    async fn failure(response: Vec<u8>) -> Error {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert_ne!(socket.read(&mut [0; 4096]).await.unwrap(), 0);
            socket.write_all(&response).await.unwrap();
            socket.shutdown().await.unwrap();
        });
        let tls = crate::tls::client_config(None, &[]).unwrap();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
        let client = client.build().unwrap();
        let body = reqwest::Body::from(client.get(url).send().await.unwrap());
        read_whole(&[], body, &MemoryBudget::default()).await.unwrap_err()
    }

    #[tokio::test]
    async fn broken_compression_is_not_a_broken_connection() {
        let head = "HTTP/1.1 200 OK\r\n";
        let chunks = format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\nzz\r\n");
        assert_eq!(failure(chunks.into()).await.kind, ErrorKind::Network);
        let short = format!("{head}content-length: 9\r\n\r\n{{}}");
        assert_eq!(failure(short.into()).await.kind, ErrorKind::Network);
        // A lawful header of gzip, and blocks of a kind that there is not.
        let mut corrupt = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        corrupt.extend([0xff; 40]);
        for body in [corrupt, b"{\"a\":1}, which is no gzip".to_vec()] {
            let length = body.len();
            let head = format!("{head}content-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
            let error = failure([head.into_bytes(), body].concat()).await;
            assert!(error.message().contains("`Content-Encoding`"), "{error:?}");
        }
    }
}
