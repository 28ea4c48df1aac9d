//! The floor: the least that a gateway has to do, to measure the gateway against.
//!
//! A bare hyper server and client that checks a key, looks once at the model's name and passes
//! everything through. No configuration, no fallback, no limits, no errors worth the name. With
//! `reqwest` as its last argument it calls by the client that the gateway has, to show that part.

use std::{borrow::Cow, convert::Infallible, error::Error, net::Ipv4Addr};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
}

type HyperClient = Client<HttpConnector, Full<Bytes>>;
type ChatResponse = Response<Either<Full<Bytes>, Either<Incoming, reqwest::Body>>>;

/// A client and the address that it calls.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost the floor an allocation for each call"
)]
#[derive(Clone)]
enum Upstream {
    Hyper(HyperClient, Uri),
    Reqwest(reqwest::Client, reqwest::Url),
}

impl Upstream {
    fn hyper(url: &str) -> Result<Self, Box<dyn Error>> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self::Hyper(Client::builder(TokioExecutor::new()).build(connector), url.parse()?))
    }

    fn reqwest(url: &str) -> Result<Self, Box<dyn Error>> {
        // Never used, but reqwest is not built without TLS.
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        Ok(Self::Reqwest(client.build()?, url.parse()?))
    }

    async fn post(self, body: Bytes) -> Option<ChatResponse> {
        match self {
            Self::Hyper(client, uri) => {
                let mut post = Request::new(Full::new(body));
                *post.method_mut() = Method::POST;
                *post.uri_mut() = uri;
                post.headers_mut().insert(CONTENT_TYPE, JSON);
                let response = client.request(post).await.ok()?;
                Some(response.map(|body| Either::Right(Either::Left(body))))
            }
            Self::Reqwest(client, url) => {
                let mut post = reqwest::Request::new(Method::POST, url);
                *post.body_mut() = Some(body.into());
                post.headers_mut().insert(CONTENT_TYPE, JSON);
                let response = Response::from(client.execute(post).await.ok()?);
                Some(response.map(|body| Either::Right(Either::Right(body))))
            }
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USAGE: &str = "usage: floor UPSTREAM_URL PORT [reqwest]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or(USAGE)?;
    let port: u16 = arguments.next().ok_or(USAGE)?.parse()?;
    let upstream = match arguments.next().as_deref() {
        None => Upstream::hyper(&url)?,
        Some("reqwest") => Upstream::reqwest(&url)?,
        Some(_) => return Err(USAGE.into()),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let upstream = upstream.clone();
        let service = service_fn(move |request| {
            let upstream = upstream.clone();
            async move { Ok::<_, Infallible>(pass(upstream, request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn pass(upstream: Upstream, request: Request<Incoming>) -> ChatResponse {
    let key = request.headers().get(AUTHORIZATION);
    if key.is_none_or(|it| it != "Bearer bench") {
        return refused(StatusCode::UNAUTHORIZED);
    }
    let Ok(body) = request.into_body().collect().await else {
        return refused(StatusCode::BAD_REQUEST);
    };
    let body = body.to_bytes();
    if !serde_json::from_slice::<Model<'_>>(&body).is_ok_and(|it| it.model == "bench") {
        return refused(StatusCode::NOT_FOUND);
    }
    let response = upstream.post(body).await;
    response.unwrap_or_else(|| refused(StatusCode::BAD_GATEWAY))
}

fn refused(status: StatusCode) -> ChatResponse {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}
