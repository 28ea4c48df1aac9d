//! The provider of the benchmarks: responds at once, or streams with given gaps.
//!
//! The path selects the behaviour: `/plain`, `/busy` (429), `/burst` (100 chunks without gaps),
//! `/gaps` (100 chunks, 5 ms apart), `/cut` (50 chunks, and the connection breaks), `/more` (50 chunks
//! of another text).

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Frame, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, time::Sleep};

/// How many chunks a stream has.
pub(crate) const CHUNKS: usize = 100;

/// A running provider, and the number of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    pub(crate) request_count: Arc<AtomicU64>,
}

impl Provider {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let provider = Self { address: listener.local_addr()?, request_count: Arc::default() };
        let request_count = provider.request_count.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if socket.set_nodelay(true).is_err() {
                    continue;
                }
                let request_count = request_count.clone();
                let service = service_fn(move |request| {
                    request_count.fetch_add(1, Ordering::Relaxed);
                    async move { Ok::<_, Infallible>(response(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        Ok(provider)
    }

    pub(crate) fn url(&self, what: &str) -> String {
        format!("http://{}/{what}", self.address)
    }
}

async fn response(request: Request<Incoming>) -> Response<Either<Full<Bytes>, Chunks>> {
    let what = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
    // The content of a body does not matter here; that it is complete does.
    drop(request.into_body().collect().await);
    let (status, kind, body) = match what.as_str() {
        "busy" => (StatusCode::TOO_MANY_REQUESTS, "application/json", whole(BUSY)),
        "burst" => (StatusCode::OK, "text/event-stream", Either::Right(Chunks::new(None))),
        "cut" => (StatusCode::OK, "text/event-stream", Either::Right(Chunks::cut())),
        "more" => (StatusCode::OK, "text/event-stream", Either::Right(Chunks::more())),
        "gaps" => {
            let gap = Some(Duration::from_millis(5));
            (StatusCode::OK, "text/event-stream", Either::Right(Chunks::new(gap)))
        }
        _ => (StatusCode::OK, "application/json", whole(ANSWER)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn whole(body: &'static str) -> Either<Full<Bytes>, Chunks> {
    Either::Left(Full::new(Bytes::from_static(body.as_bytes())))
}

const BUSY: &str =
    r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#;
const ANSWER: &str = r#"{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default"}"#;
const CHUNK: &str = "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1694268190,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
const MORE: &str = "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1694268190,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" world\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1694268190,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A streamed response.
pub(crate) struct Chunks {
    next: usize,
    /// How many chunks there are.
    count: usize,
    chunk: &'static str,
    /// Whether the connection breaks behind the chunks.
    breaks: bool,
    gap: Option<Duration>,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Chunks {
    fn new(gap: Option<Duration>) -> Self {
        Self { next: 0, count: CHUNKS, chunk: CHUNK, breaks: false, gap, waiting: None }
    }

    fn cut() -> Self {
        Self { count: CHUNKS / 2, breaks: true, ..Self::new(None) }
    }

    fn more() -> Self {
        Self { count: CHUNKS / 2, chunk: MORE, ..Self::new(None) }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
        }
        let frame = match self.next {
            it if it < self.count => self.chunk,
            _ if self.breaks => return Poll::Ready(Some(Err(io::Error::other("cut")))),
            it if it == self.count => LAST,
            it if it == self.count + 1 => DONE,
            _ => return Poll::Ready(None),
        };
        self.next += 1;
        let chunk_follows = self.next <= self.count;
        self.waiting =
            self.gap.filter(|_| chunk_follows).map(|it| Box::pin(tokio::time::sleep(it)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(frame.as_bytes())))))
    }
}
