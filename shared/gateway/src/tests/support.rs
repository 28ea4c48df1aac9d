//! What the tests of the gateway start and look at.

use std::{
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use bytes::Bytes;
use canonical::{ErrorKind, Result};
use formats::{Inbound, openai::chat::OpenAiChat};
use storage::{Signer, Stores, sqlite};
use telemetry::{CallRecord, RecordSink, RequestFacts, SinkFuture};
use tenants::Tenant;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::{
    CacheDirectives, Call, CallHints, CallLimits, CallPlace, Client, ClientResponse,
    ClientResponseBody, Clock, Configuration, Freshness, Gateway, MeteredStream, ProxyVariables,
    Source, kinds,
};

/// The key that clients show.
pub(crate) const KEY: &str = "gateway-key";
/// A configuration whose only provider is nowhere.
pub(crate) const UNREACHABLE: &str =
    "providers: [{ name: first, base_url: \"http://127.0.0.1:1\", api_key: k }]";
/// When every test begins, in milliseconds since 1970.
pub(crate) const WALL: u64 = 1_790_000_000_000;

/// A gateway, its scripted providers, and its clock.
pub(crate) struct TestGateway {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) records: Arc<Collected>,
    /// The time: a call sees it stand still.
    clock: Mutex<Clock>,
    next_id: AtomicUsize,
}

/// A sink that keeps what it takes.
#[derive(Debug, Default)]
pub(crate) struct Collected(Mutex<Vec<Arc<CallRecord>>>);

impl Collected {
    /// What was taken so far.
    pub(crate) fn taken(&self) -> Vec<Arc<CallRecord>> {
        self.0.lock().unwrap().clone()
    }
}

impl RecordSink for Collected {
    fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a> {
        self.0.lock().unwrap().extend(records.iter().cloned());
        Box::pin(std::future::ready(()))
    }
}

impl TestGateway {
    /// A gateway with a memory of its own.
    pub(crate) async fn start(config: &str) -> Self {
        Self::sharing(config, sqlite::in_memory().unwrap()).await
    }

    /// A gateway that shares its memory with others.
    pub(crate) async fn sharing(config: &str, stores: Stores) -> Self {
        Self::calling(config, stores, Client::new(Signer::default(), ProxyVariables::default()))
            .await
    }

    /// A gateway that calls others over this client.
    pub(crate) async fn calling(config: &str, stores: Stores, client: Client) -> Self {
        let none = |_: &Configuration| Arc::new(Collected::default());
        Self::with_sink(config, stores, client, none).await.0
    }

    /// A gateway with one more sink, which follows the configuration.
    pub(crate) async fn telling<S: RecordSink + Clone + 'static>(
        config: &str,
        stores: Stores,
        client: Client,
        sink: impl FnOnce(&Configuration) -> S,
    ) -> (Self, S) {
        let (gateway, sink) =
            Self::with_sink(config, stores, client, |it| Arc::new(sink(it))).await;
        (gateway, S::clone(&*sink))
    }

    /// A gateway that gives its records to this sink too.
    pub(crate) async fn with_sink<S: RecordSink + 'static>(
        config: &str,
        stores: Stores,
        client: Client,
        sink: impl FnOnce(&Configuration) -> Arc<S>,
    ) -> (Self, Arc<S>) {
        let source = Source::Config(Box::new(read(config)), None);
        let configuration = Configuration::new(source, stores, client, Freshness::default());
        // In the future, so that no clock but the test's moves it while the test runs.
        let started = Instant::now() + Duration::from_secs(3600);
        let clock = Clock { arrived: WALL, started };
        configuration.load(clock).await.unwrap();
        let records = Arc::new(Collected::default());
        let sink = sink(&configuration);
        let gateway = Self {
            gateway: Arc::new(Gateway::new(configuration, vec![records.clone(), sink.clone()])),
            records,
            clock: Mutex::new(clock),
            next_id: AtomicUsize::new(0),
        };
        (gateway, sink)
    }

    /// Lets the ids of calls begin at a number, so that they differ from those of other gateways.
    pub(crate) fn begin_ids_at(&self, number: usize) {
        self.next_id.store(number, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn clock(&self) -> Clock {
        *self.clock.lock().unwrap()
    }

    /// Moves both clocks on.
    pub(crate) fn advance(&self, seconds: u64) {
        let mut clock = self.clock.lock().unwrap();
        clock.arrived += seconds * 1_000;
        clock.started += Duration::from_secs(seconds);
    }

    /// Sets the wall clock back, as an administrator would.
    pub(crate) fn set_back(&self, seconds: u64) {
        self.clock.lock().unwrap().arrived -= seconds * 1_000;
    }

    /// A call for a model, as `edge` makes it.
    pub(crate) async fn call(&self, model: &str, stream: bool) -> Call {
        self.call_about(model, stream, "Hello there, how are you?").await
    }

    /// A call with this message.
    pub(crate) async fn call_about(&self, model: &str, stream: bool, content: &str) -> Call {
        let clock = self.clock();
        let body = format!(
            r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{content}"}}]}}"#
        );
        let request = OpenAiChat.decode(Bytes::from(body)).unwrap();
        let nth = self.next_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let facts = RequestFacts {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            format: "openai_chat",
            model: Some(model.to_owned()),
            stream,
        };
        let record =
            CallRecord { id: format!("call-{nth}"), request: facts, ..CallRecord::default() };
        let mut record = self.gateway.begin_record(record, clock);
        let admitted = self.gateway.admit(&[KEY], clock).await.unwrap();
        record.principal = Some(admitted.principal);
        Call {
            request: Arc::new(request),
            only_provider: None,
            strict: false,
            cache: CacheDirectives::default(),
            idempotency_key: None,
            tenant: admitted.tenant,
            hints: CallHints::default(),
            snapshot: admitted.snapshot,
            clock,
            platform_deadline: None,
            record,
            watch: None,
            place: CallPlace::default(),
        }
    }

    /// A call as [`Self::call`] makes it, of another tenant.
    pub(crate) async fn call_of(&self, tenant: &Arc<Tenant>, model: &str, stream: bool) -> Call {
        Call { tenant: tenant.clone(), ..self.call(model, stream).await }
    }

    /// Admits a call and makes it.
    pub(crate) async fn answer(&self, call: Call) -> Result<ClientResponse> {
        let admitted = self.gateway.admit_call(call, &mut CallLimits::default()).await?;
        self.gateway.respond(admitted).await
    }

    pub(crate) async fn respond(&self, model: &str) -> Result<ClientResponse> {
        self.answer(self.call(model, false).await).await
    }

    /// The provider that responds to a call; the kind of the error where none does.
    pub(crate) async fn provider(&self, model: &str) -> Result<String, ErrorKind> {
        self.respond(model).await.map(|response| response.provider).map_err(|error| error.kind)
    }

    pub(crate) async fn stream(&self, model: &str) -> Box<MeteredStream> {
        self.stream_of(self.call(model, true).await).await
    }

    /// The stream that a call gets.
    pub(crate) async fn stream_of(&self, call: Call) -> Box<MeteredStream> {
        let response = self.answer(call).await.unwrap();
        match response.body {
            ClientResponseBody::Stream(stream) => stream,
            ClientResponseBody::Whole(..) => panic!("{:?} is not a stream", response.body),
        }
    }

    /// Every record so far, once the work behind the calls is done.
    pub(crate) async fn records(&self) -> Vec<Arc<CallRecord>> {
        self.gateway.drain().await;
        self.records.0.lock().unwrap().clone()
    }

    /// The only record.
    pub(crate) async fn record(&self) -> Arc<CallRecord> {
        let records = self.records().await;
        assert_eq!(records.len(), 1, "{records:?}");
        records[0].clone()
    }
}

/// A provider with a script.
pub(crate) async fn provider(answers: impl IntoIterator<Item = ScriptedResponse>) -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with(answers);
    fake
}

/// The configuration that a text is, with the key of clients.
pub(crate) fn read(config: &str) -> config::Config {
    let yaml = format!("api_key: {KEY}\n{config}");
    config::read(&yaml, &|_| None, &kinds()).unwrap()
}

/// A configuration with these providers, and a route `both` over the first two of them.
pub(crate) fn config(providers: &[(&str, &FakeProvider)]) -> String {
    let each = providers.iter().map(|(name, fake)| {
        format!("  - {{ name: {name}, base_url: \"{}\", api_key: key-of-{name} }}\n", fake.url())
    });
    let steps = providers
        .iter()
        .map(|(name, _)| format!("      - {{ provider: {name}, model: gpt-4o-mini }}\n"));
    let (each, steps): (String, String) = (each.collect(), steps.collect());
    format!(
        "providers:\n{each}routes:\n  - name: both\n    steps:\n{steps}\
         prices:\n  - {{ provider: first, model: gpt-4o-mini, input: 1, output: 1000 }}\n"
    )
}

/// Reads a stream until `enough` events came or the stream ended: whether a failure ended it.
pub(crate) async fn read_events(stream: &mut MeteredStream, enough: usize) -> Option<ErrorKind> {
    let mut seen = 0;
    while seen < enough {
        match std::future::poll_fn(|cx| stream.poll_next(cx)).await {
            None => return None,
            Some(Ok(events)) => seen += events.len(),
            Some(Err(error)) => return Some(error.kind),
        }
    }
    None
}
