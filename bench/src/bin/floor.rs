//! The floor: the least that a gateway has to do, to measure the gateway against.
//!
//! A bare hyper server and client that checks a key, looks once at the model's name and passes
//! everything through. No configuration, no fallback, no limits, no errors worth the name.

use std::{borrow::Cow, convert::Infallible, net::Ipv4Addr};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
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

type Upstream = Client<HttpConnector, Full<Bytes>>;
type ChatResponse = Response<Either<Full<Bytes>, Incoming>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let upstream: Uri = arguments.next().ok_or("usage: floor UPSTREAM_URL PORT")?.parse()?;
    let port: u16 = arguments.next().ok_or("usage: floor UPSTREAM_URL PORT")?.parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.clone());
        let service = service_fn(move |request| {
            let (client, upstream) = (client.clone(), upstream.clone());
            async move { Ok::<_, Infallible>(pass(&client, upstream, request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn pass(client: &Upstream, upstream: Uri, request: Request<Incoming>) -> ChatResponse {
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
    let mut post = Request::new(Full::new(body));
    *post.method_mut() = hyper::Method::POST;
    *post.uri_mut() = upstream;
    post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match client.request(post).await {
        Ok(response) => response.map(Either::Right),
        Err(_) => refused(StatusCode::BAD_GATEWAY),
    }
}

fn refused(status: StatusCode) -> ChatResponse {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}
