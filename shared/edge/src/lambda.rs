//! Endpoints as a Lambda function.
//!
//! The runtime is put together by hand, so that work behind a call runs after its response is
//! delivered and before the process freezes.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use admin::{Admin, ConfigRows, ConfigSource};
use gateway::{Client, Clock, Configuration, Gateway, InFlight, MemoryBudget, Sealing, Source};
use http::{Request, Response, header};
use lambda_http::{
    Adapter, Error, RequestExt, StreamAdapter,
    lambda_runtime::{LambdaInvocation, Runtime, layers::TracingLayer},
};
use storage::{Aws, Parameters, dynamodb};
use tower::{Layer, Service, service_fn};

use crate::{
    api::Api,
    body::{Body, GuardedBody, empty, full},
    endpoint::Access,
    endpoints::ENDPOINTS,
    front::{App, Front},
    log_limiter::LogLimiter,
    platform::Nodelay,
    record_sinks::Records,
    request::Origin,
    request_body::{BodyLimits, LAMBDA_BODY_SILENCE},
    response,
    settings::{Environment, LambdaSettings, now_ms},
    shutdown::Stopping,
};

/// How long before the platform ends a call its response has to be over, in milliseconds.
const RESERVE_MS: u64 = 2_000;

/// Serves the endpoints of a function behind a URL that streams (`InvokeMode: RESPONSE_STREAM`).
pub async fn run(function: &'static str) -> Result<(), Error> {
    let (front, nodelay) = prepare(function).await?;
    let app = front.app.clone();
    let service = service_fn(move |request: lambda_http::Request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(guard(front.respond_in_lambda(request).await)) }
    });
    Runtime::new(StreamAdapter::from(service))
        // The runtime's own service ends when the response is delivered, so that draining comes
        // after it.
        .layer(AfterDelivery { app, nodelay })
        .layer(TracingLayer::new())
        .run()
        .await
}

/// Serves the endpoints of a function behind a URL that does not stream (`InvokeMode: BUFFERED`).
pub async fn run_buffered(function: &'static str) -> Result<(), Error> {
    let (front, nodelay) = prepare(function).await?;
    let app = front.app.clone();
    let service = service_fn(move |request: lambda_http::Request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.respond_in_lambda(request).await) }
    });
    Runtime::new(Adapter::from(service))
        .layer(AfterDelivery { app, nodelay })
        .layer(TracingLayer::new())
        .run()
        .await
}

/// Everything that happens before the first call. A store that fails is no reason not to start.
async fn prepare(function: &'static str) -> Result<(Front, Arc<Nodelay>), Error> {
    lambda_http::tracing::init_default_subscriber();
    let environment = Environment::of_process();
    let (settings, otlp) = (LambdaSettings::read(&environment)?, environment.otlp()?);
    let stores = dynamodb::open(&settings.aws, &settings.config_table, &settings.state_table);
    let (stores, errors) = stores.counted();
    let source = Source::Store(Parameters::new(&settings.aws));
    let memory = MemoryBudget::new(settings.max_memory_bytes);
    let client = Client::new(settings.signer, settings.proxies)
        .with_memory(memory.clone())
        .with_aws_endpoint(settings.aws.endpoint_url.clone());
    let records = Records::of_lambda((&stores, errors), otlp, &client);
    let configuration = Configuration::new(source, stores, client, settings.freshness);
    let records = records.with_usage_events(&configuration);
    let endpoints = ENDPOINTS.iter().filter(move |endpoint| endpoint.function == function);
    // The function of `/health` alone needs no configuration and starts without a read.
    let is_configured = endpoints.clone().any(|endpoint| endpoint.access != Access::Open);
    // Loaded while the function starts, rather than at the first call's expense.
    if is_configured && let Err(error) = configuration.load(Clock::starting(now_ms())).await {
        let cause = error.cause().map(tracing::field::display);
        tracing::error!(cause, "{error} The first call tries again.");
    }
    let sealing = settings.root_secret_parameter.map_or(Sealing::None, Sealing::Parameter);
    let gateway = Gateway::new(configuration, records.sinks()).with_sealing(sealing);
    let gateway = Arc::new(gateway);
    let app = Arc::new(App {
        admin: administration(&settings.aws, settings.admin_parameters, &gateway).await?,
        public_origins: settings.public_url.into_iter().collect(),
        gateway,
        records,
        in_flight: InFlight::default(),
        body_limits: BodyLimits {
            max_bytes: settings.max_body_bytes,
            silence: LAMBDA_BODY_SILENCE,
        },

        memory,
        origin_secrets: settings.origin_secrets,
        keep_alive: settings.keep_alive,
        wrong_keys: Mutex::default(),
        wrong_key_log: LogLimiter::default(),
        // The platform ends the process, between calls.
        stopping: Stopping::never(),
    });
    let nodelay = Arc::new(Nodelay::new(settings.runtime_api.as_deref()));
    Ok((Front::new(app, endpoints), nodelay))
}

/// The administration, in the function that serves it. Its secrets are the stack's: without them
/// sessions end with the process, and nobody but operators of the configuration can sign in.
async fn administration(
    aws: &Aws,
    prefix: Option<String>,
    gateway: &Arc<Gateway>,
) -> Result<Option<Admin>, Error> {
    let Some(prefix) = prefix else { return Ok(None) };
    let parameters = Parameters::new(aws);
    let names = ["admin-secret", "admin-password"].map(|name| format!("{prefix}/{name}"));
    // A store that fails must not keep the pages down: operators of the configuration can still
    // sign in.
    let mut found = parameters.get(&names).await.unwrap_or_else(|error| {
        tracing::error!(%error, "failed to read the secrets of the administration");
        HashMap::new()
    });
    let [secret, password] = names.map(|name| found.remove(&name));
    let root = secret.and_then(|secret| admin::parse_root_secret(secret.expose()));
    // Sessions that are signed with a random secret end with this instance, which is better than no
    // signing in.
    let root = root.or_else(admin::generate_root_secret).ok_or("there is no randomness")?;
    let source = ConfigSource::Rows(ConfigRows { parameters, prefix });
    let admin = Admin::new(gateway.clone(), source, &root);
    Ok(admin.map(|admin| admin.with_initial_password(password)))
}

impl Front {
    async fn respond_in_lambda(&self, request: lambda_http::Request) -> Response<Body> {
        let deadline =
            // The reserve lets the last frame reach the client before the platform cuts the
            // connection.
            request.lambda_context_ref().map(|it| it.deadline.saturating_sub(RESERVE_MS));
        let request: Request<Body> = request.map(|body| match body {
            lambda_http::Body::Text(text) => full(text),
            lambda_http::Body::Binary(bytes) => full(bytes),
            _ => empty(),
        });
        let origin = Origin { platform_deadline: deadline, connection: None };
        let mut response = self.respond(request, origin).await;
        // Lambda frames bodies itself, and renames what it finds.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response
    }
}

fn guard(response: Response<Body>) -> Response<GuardedBody<Body>> {
    response.map(|body| {
        // What can break is guarded further in, where its format is known.
        let end = |_: &mut Body| Api::OpenAi.format().error(&response::internal_error(), "");
        GuardedBody::new(body, end)
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

/// The runtime, with what happens once a response is delivered.
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
            // The process may freeze as soon as this returns, with whatever was still to be
            // written.
            app.gateway.drain().await;
            outcome
        })
    }
}
