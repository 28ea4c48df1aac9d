//! The Lambda binary under an emulated Runtime API, with a store that responds at once.

use std::{
    convert::Infallible,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use config::{self, rows};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use testkit::lambda::{Emulator, Function};
use tokio::net::TcpListener;

use crate::{
    load::{KEY, Load, median},
    process::built,
    provider::Provider,
    tenants::BUDGETED,
};

/// How often the function starts anew.
const STARTS: usize = 9;
/// How often a warm one is called in each way.
const CALLS: u64 = 300;

/// Measures and prints.
pub(crate) async fn measure(out: &mut impl Write) -> io::Result<()> {
    let provider = Provider::start().await?;
    let store = Store::start(&provider).await?;
    writeln!(out, "\n## Lambda, emulated (medians of {STARTS} cold starts)\n")?;
    let mut figures = Figures::default();
    for _ in 0..STARTS {
        one_environment(&store, &mut figures).await?;
    }
    let millis = |it: &[u64]| median(it).unwrap_or_default() as f64 / 1000.0;
    writeln!(
        out,
        "Start to ready: {:.1} ms; processor time of init: {:.1} ms.",
        millis(&figures.init),
        millis(&figures.init_cpu)
    )?;
    writeln!(
        out,
        "First answer of a cold function: {:.1} ms from the call.",
        millis(&figures.first_answer)
    )?;
    writeln!(
        out,
        "AWS calls: {} for a cold start and its first call, {} for the {} warm calls after it.",
        figures.cold_calls,
        figures.warm_calls,
        2 * CALLS
    )?;
    writeln!(
        out,
        "Warm buffered call: {:.2} ms. First byte of a warm stream: {:.2} ms.",
        millis(&figures.warm),
        millis(&figures.first_byte)
    )?;
    writeln!(
        out,
        "Warm call that is admitted, limited and settled: {:.2} ms, {:.2} ms more; {:.2} AWS calls for each.",
        millis(&figures.budgeted),
        millis(&figures.budgeted) - millis(&figures.warm),
        figures.budgeted_calls as f64 / CALLS as f64,
    )
}

#[derive(Default)]
struct Figures {
    init: Vec<u64>,
    init_cpu: Vec<u64>,
    first_answer: Vec<u64>,
    warm: Vec<u64>,
    first_byte: Vec<u64>,
    cold_calls: u64,
    warm_calls: u64,
    budgeted: Vec<u64>,
    budgeted_calls: u64,
}

async fn one_environment(store: &Store, figures: &mut Figures) -> io::Result<()> {
    let function = Function::new("chat-completions", built("chat-completions")?)
        .path("*")
        .env("CONFIG_TABLE", "config")
        .env("STATE_TABLE", "state")
        .env("AWS_ENDPOINT_URL", &format!("http://{}", store.address));
    let before = store.request_count.load(Ordering::Relaxed);
    let emulator = Emulator::builder().function(function).start().await;
    let address = emulator.url().trim_start_matches("http://").parse().map_err(io::Error::other)?;
    let load = |key, model: &str, stream: bool, calls| {
        let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]});
        let body = body.to_string().into();
        Load { address, path: "/v1/chat/completions", key, body, at_once: 1, calls }
    };
    let first = load(KEY, "plain", false, 1).run().await?;
    let after = store.request_count.load(Ordering::Relaxed);
    let warm = load(KEY, "plain", false, CALLS).run().await?;
    let streams = load(KEY, "burst", true, CALLS).run().await?;
    figures.cold_calls = after - before;
    figures.warm_calls = store.request_count.load(Ordering::Relaxed) - after;
    let before = store.request_count.load(Ordering::Relaxed);
    let budgeted = load(BUDGETED, "plain", false, CALLS).run().await?;
    figures.budgeted_calls = store.request_count.load(Ordering::Relaxed) - before;
    figures.first_answer.extend(micros(&first.whole));
    figures.warm.extend(micros(&warm.whole));
    figures.budgeted.extend(micros(&budgeted.whole));
    figures.first_byte.extend(micros(&streams.first));
    let report = emulator.report();
    figures.init.extend(report.cold_starts.iter().filter_map(|it| it.init_micros));
    figures.init_cpu.extend(report.cold_starts.iter().filter_map(|it| it.init_cpu_micros));
    Ok(())
}

fn micros(times: &[Duration]) -> Option<u64> {
    u64::try_from(median(times)?.as_micros()).ok()
}

/// DynamoDB and SSM, as far as a configuration is read from them: fixed responses, counted.
struct Store {
    address: SocketAddr,
    request_count: Arc<AtomicU64>,
}

impl Store {
    async fn start(provider: &Provider) -> io::Result<Self> {
        let (items, parameters) = contents(provider).map_err(io::Error::other)?;
        let answers = Arc::new((items, parameters));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let store = Self { address: listener.local_addr()?, request_count: Arc::default() };
        let request_count = store.request_count.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if socket.set_nodelay(true).is_err() {
                    continue;
                }
                let (request_count, answers) = (request_count.clone(), answers.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    request_count.fetch_add(1, Ordering::Relaxed);
                    let answers = answers.clone();
                    async move { Ok::<_, Infallible>(answer(request, &answers).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        Ok(store)
    }
}

async fn answer(request: Request<Incoming>, answers: &(Value, Value)) -> Response<Full<Bytes>> {
    let target = request.headers().get("x-amz-target").map(|it| it.as_bytes().to_vec());
    let body = request.into_body().collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let config = body.windows(8).any(|it| it == b"\"config\"");
    let answer = match target.unwrap_or_default() {
        it if it.ends_with(b"GetParameters") => answers.1.to_string(),
        it if it.ends_with(b"Query") && config => answers.0.to_string(),
        // Whatever a tenant asks for is granted.
        it if it.ends_with(b"UpdateItem") => json!({"Attributes": {}}).to_string(),
        _ => json!({"Items": [], "Count": 0, "ScannedCount": 0}).to_string(),
    };
    let mut response = Response::new(Full::new(answer.into()));
    let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

/// A configuration of some size, as the two services give it.
fn contents(provider: &Provider) -> Result<(Value, Value), config::ConfigErrors> {
    let mut yaml = "api_key: bench\nproviders:\n".to_owned();
    for what in ["plain", "burst", "busy"] {
        yaml += &format!(
            "  - {{name: {what}, base_url: \"{}\", api_key: key-of-{what}}}\n",
            provider.url(what)
        );
    }
    yaml += "routes:\n";
    for what in ["plain", "burst"] {
        yaml += &format!(
            "  - {{name: {what}, steps: [{{provider: {what}, model: m, timeout: 30s}}, {{provider: busy, model: m}}]}}\n"
        );
    }
    for more in 0..10 {
        yaml += &format!(
            "  - {{name: dynamic/{more}, steps: [{{provider: plain, model: m{more}}}, {{provider: busy, model: m}}]}}\n"
        );
    }
    yaml += &crate::tenants::tenants("plain");
    let config = config::read(&yaml, &|_| None, &gateway::kinds())?;
    let (rows, parameters) = rows::to_rows(&config, "/lockgate/bench");
    let items: Vec<Value> = rows
        .iter()
        .map(|it| json!({"pk": {"S": it.pk}, "sk": {"S": it.sk}, "value": {"S": it.value}}))
        .collect();
    let items = json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items});
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|(name, secret)| json!({"Name": name, "Type": "SecureString", "Value": secret.expose()}))
        .collect();
    Ok((items, json!({"Parameters": parameters, "InvalidParameters": []})))
}
