//! Endpoints as a Lambda function.
//!
//! The runtime is put together by hand, so that work behind a call runs after its answer is
//! delivered and before the process freezes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use gateway::{Configuration, Gateway, Source};
use http::{Request, Response, header};
use lambda_http::{
    Adapter, Error, RequestExt, StreamAdapter,
    lambda_runtime::{LambdaInvocation, Runtime, layers::TracingLayer},
};
use storage::{Parameters, dynamodb};
use tower::{Layer, Service, service_fn};

use crate::{
    App, Routes,
    api::Api,
    app::Front,
    body::Guarded,
    nodelay::Nodelay,
    reply,
    settings::{Environment, LambdaSettings, now_ms},
};

/// How long before the platform ends a call its answer has to be over, in milliseconds.
const RESERVE: u64 = 2_000;

/// Serves endpoints behind a function URL that streams (`InvokeMode: RESPONSE_STREAM`).
pub async fn run(routes: Routes) -> Result<(), Error> {
    let (front, nodelay) = prepare(routes).await?;
    let app = front.app.clone();
    let service = service_fn(move |request: lambda_http::Request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(streamed(front.answer_lambda(request).await)) }
    });
    Runtime::new(StreamAdapter::from(service))
        .layer(AfterDelivery { app, nodelay })
        .layer(TracingLayer::new())
        .run()
        .await
}

/// Serves endpoints behind a function URL that does not stream (`InvokeMode: BUFFERED`).
pub async fn run_buffered(routes: Routes) -> Result<(), Error> {
    let (front, nodelay) = prepare(routes).await?;
    let app = front.app.clone();
    let service = service_fn(move |request: lambda_http::Request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer_lambda(request).await) }
    });
    Runtime::new(Adapter::from(service))
        .layer(AfterDelivery { app, nodelay })
        .layer(TracingLayer::new())
        .run()
        .await
}

/// Everything that happens before the first call. A store that fails is no reason not to start.
async fn prepare(routes: Routes) -> Result<(Front, Arc<Nodelay>), Error> {
    lambda_http::tracing::init_default_subscriber();
    let settings = LambdaSettings::read(&Environment::of_process())?;
    let stores = dynamodb::open(&settings.aws, &settings.config_table, &settings.state_table);
    let source = Source::Store(Parameters::new(&settings.aws));
    let configuration = Configuration::new(source, stores, settings.signer, settings.freshness);
    if routes.configured
        && let Err(error) = configuration.load(now_ms()).await
    {
        let cause = error.cause().map(tracing::field::display);
        tracing::error!(cause, "{error} The first call tries again.");
    }
    let app = Arc::new(App {
        gateway: Gateway::new(configuration),
        body_limit: settings.max_body_bytes,
        origin_secrets: settings.origin_secrets,
        heartbeats: settings.heartbeats,
    });
    let nodelay = Arc::new(Nodelay::new(settings.runtime_api.as_deref()));
    Ok((Front::new(app, routes), nodelay))
}

impl Front {
    async fn answer_lambda(&self, request: lambda_http::Request) -> Response<Body> {
        let deadline = request.lambda_context_ref().map(|it| it.deadline.saturating_sub(RESERVE));
        let request: Request<Body> = request.map(|body| match body {
            lambda_http::Body::Text(text) => Body::from(text),
            lambda_http::Body::Binary(bytes) => Body::from(bytes),
            _ => Body::empty(),
        });
        let mut response = self.answer(request, deadline).await;
        // Lambda frames bodies itself, and renames what it finds.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response
    }
}

fn streamed(response: Response<Body>) -> Response<Guarded<Body>> {
    response.map(|body| {
        // What can break is guarded further in, where its format is known.
        let last_words = |_: &mut Body| Api::OpenAi.format().error(&reply::internal(), "");
        Guarded::new(body, last_words)
    })
}

/// What runs around every invocation.
#[derive(Clone, Debug)]
struct AfterDelivery {
    app: Arc<App>,
    nodelay: Arc<Nodelay>,
}

impl<S> Layer<S> for AfterDelivery {
    type Service = Delivered<S>;

    fn layer(&self, inner: S) -> Delivered<S> {
        Delivered { inner, around: self.clone() }
    }
}

/// The runtime with what happens once an answer is delivered.
#[derive(Clone, Debug)]
struct Delivered<S> {
    inner: S,
    around: AfterDelivery,
}

impl<S> Service<LambdaInvocation> for Delivered<S>
where
    S: Service<
            LambdaInvocation,
            Response = (),
            Error = lambda_http::lambda_runtime::tower::BoxError,
        >,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        // The connection is there: this invocation came through it.
        self.around.nodelay.apply();
        let delivered = self.inner.call(invocation);
        let app = self.around.app.clone();
        Box::pin(async move {
            let outcome = delivered.await;
            app.gateway.settle().await;
            outcome
        })
    }
}
