//! The world of one schedule: instances, their calls, the store, the providers, and time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use canonical::MicroDollars;
use storage::{Signer, Stores, memory};
use telemetry::{CacheOutcome, RequestLog, request_log::RequestLogSink, sums::CallSums};
use tenants::Tenant;
use testkit::provider::FakeProvider;
use tokio::task::JoinSet;

use super::{
    Mutant,
    link::LinkedTable,
    providers::{self, Log, NAMES},
    truth::{Ended, Truth, text_of},
};
use crate::{
    AdmittedCall, CacheDirectives, CacheMode, Call, CallLimits, Client, ClientResponse,
    ClientResponseBody, ProxyVariables,
    tests::{limits::tenant, support::TestGateway},
};

/// How many instances there are.
pub(crate) const INSTANCES: usize = 3;
/// How many steps a schedule has.
const STEPS: u32 = 30;
/// How long a call may take before it counts as one without an end: much longer than all time-outs
/// together, on a machine that is busy too.
const MAX_CALL: Duration = Duration::from_secs(30);
/// How long a call may take where one without an end is looked for.
const MAX_CALL_OF_MUTANT: Duration = Duration::from_secs(2);
/// How many requests a minute the provider `limited` may get.
pub(crate) const LIMIT: usize = 2;
/// What the tenant may spend: a few calls at once.
const BUDGET: u64 = 60_000_000;

/// One instance of the gateway.
struct Instance {
    gateway: Arc<TestGateway>,
    link: Arc<LinkedTable>,
    calls: JoinSet<(Plan, Ended)>,
}

/// What one call will do, whatever is decided about it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    route: &'static str,
    stream: bool,
    content: String,
    /// The idempotency key.
    pub(crate) key: Option<u32>,
    is_cached: bool,
    /// After how many events the client leaves.
    leaves_after: Option<usize>,
    /// After how long the client leaves who has no response until then.
    leaves_before: Option<Duration>,
}

/// What a schedule plays.
pub(crate) struct World {
    luck: Arc<Mutex<fastrand::Rng>>,
    mutant: Option<Mutant>,
    config: String,
    store: Stores,
    sums: CallSums,
    log: Arc<Mutex<Log>>,
    instances: Vec<Instance>,
    tenant: Arc<Tenant>,
    truth: Truth,
    /// Whether one call is made after the other.
    is_sequential: bool,
    /// Whether the link to the store fails now and then.
    fails: bool,
    /// Whether instances die.
    kills: bool,
    next_call: u32,
    /// How many instances were started, so that ids of their calls differ.
    started: usize,
    _providers: Vec<FakeProvider>,
}

impl World {
    pub(crate) async fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let luck = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        let log = Arc::new(Mutex::new(Log::default()));
        let mut providers = vec![];
        for place in 0..NAMES.len() {
            providers.push(providers::start(place, luck.clone(), log.clone()).await);
        }
        let store = memory::open();
        let requests = RequestLog::new(store.state.clone());
        let sums = CallSums::new(store.state.clone(), requests, Duration::from_secs(10));
        let mut world = Self {
            config: config(&providers, mutant),
            luck,
            mutant,
            store,
            sums,
            log,
            instances: vec![],
            tenant: tenant(|it| it.budget.amount = Some(MicroDollars(BUDGET))),
            truth: Truth::default(),
            is_sequential: seed.is_multiple_of(2),
            fails: seed % 3 == 1,
            kills: seed % 3 == 2,
            next_call: 0,
            started: 0,
            _providers: providers,
        };
        for _ in 0..INSTANCES {
            let instance = world.start().await;
            world.instances.push(instance);
        }
        world
    }

    /// A new process, which remembers nothing.
    async fn start(&mut self) -> Instance {
        let link = |table| LinkedTable::new(table, self.luck.clone(), (self.fails, self.mutant));
        let state = link(self.store.state.clone());
        let stores = Stores { state: state.clone(), ..self.store.clone() };
        let log = RequestLog::new(state.clone());
        let sums = CallSums::new(state.clone(), log.clone(), Duration::from_secs(10));
        let sink = Arc::new(RequestLogSink::new(log, sums));
        let client = Client::new(Signer::default(), ProxyVariables::default());
        let (gateway, _) = TestGateway::with_sink(&self.config, stores, client, |_| sink).await;
        gateway.advance(self.truth.seconds);
        self.started += 1;
        gateway.begin_ids_at(1_000 * self.started);
        Instance { gateway: Arc::new(gateway), link: state, calls: JoinSet::new() }
    }

    /// Plays the schedule: the invariants that were broken.
    pub(crate) async fn play(mut self) -> std::collections::BTreeMap<u8, String> {
        for _ in 0..STEPS {
            match self.draw(12) {
                0 => {
                    self.quiet().await;
                    self.advance();
                }
                1 if self.kills => self.kill().await,
                2 => self.quiet().await,
                _ => self.call().await,
            }
        }
        self.quiet().await;
        self.check().await;
        self.truth.violations
    }

    fn draw(&self, below: u32) -> u32 {
        self.luck.lock().unwrap().u32(0..below)
    }

    async fn call(&mut self) {
        self.next_call += 1;
        let routes = ["hedged", "rescued", "plain", "limited", "limited"];
        let route = routes[self.draw(5) as usize];
        let key = (self.draw(3) == 0).then(|| self.draw(3));
        let is_cached = key.is_none() && self.draw(4) == 0;
        let plan = Plan {
            // The same request, whoever sends it again. What two providers wrote together is not kept.
            route: if key.is_some() || is_cached { "plain" } else { route },
            stream: self.draw(3) != 0,
            content: match (key, is_cached) {
                (Some(key), _) => format!("keyed {key}"),
                (None, true) => "cached".to_owned(),
                (None, false) => format!("call {}", self.next_call),
            },
            key,
            is_cached,
            leaves_after: (self.draw(8) == 0).then(|| self.draw(5) as usize),
            leaves_before: (self.draw(8) == 0).then(|| Duration::from_millis(self.draw(20).into())),
        };
        let at = self.draw(INSTANCES as u32) as usize;
        let (gateway, tenant, mutant) =
            (self.instances[at].gateway.clone(), self.tenant.clone(), self.mutant);
        self.instances[at].calls.spawn(async move {
            let bound = match mutant {
                Some(Mutant::WaitsForEver) => MAX_CALL_OF_MUTANT,
                _ => MAX_CALL,
            };
            let made = make(&gateway, &tenant, &plan, mutant);
            let ended = tokio::time::timeout(bound, made).await.unwrap_or(Ended::Never);
            (plan, ended)
        });
        if self.is_sequential {
            self.end_calls().await;
        }
    }

    /// Waits until every call has ended.
    async fn end_calls(&mut self) {
        for instance in &mut self.instances {
            while let Some(ended) = instance.calls.join_next().await {
                let (plan, ended) = ended.unwrap();
                self.truth.ended(&plan, ended);
            }
        }
    }

    /// Lets every call end, and what runs behind calls.
    async fn quiet(&mut self) {
        self.end_calls().await;
        for instance in &self.instances {
            instance.gateway.gateway.drain().await;
        }
        let now = self.instances[0].gateway.clock().now();
        let counted = self.sums.totals(now).await.unwrap().sums.count();
        self.truth.counted(counted);
    }

    /// Moves all clocks on, beyond every cooldown and into another minute.
    fn advance(&mut self) {
        let seconds = 61 + u64::from(self.draw(60));
        self.truth.seconds += seconds;
        self.log.lock().unwrap().epoch += 1;
        for instance in &self.instances {
            instance.gateway.advance(seconds);
        }
    }

    /// Ends an instance where it stands; another one takes its place.
    async fn kill(&mut self) {
        let at = self.draw(INSTANCES as u32) as usize;
        let fresh = self.start().await;
        let mut dead = std::mem::replace(&mut self.instances[at], fresh);
        dead.link.cut();
        self.truth.died += 1;
        self.truth.keep_records(dead.gateway.records.taken());
        dead.calls.abort_all();
        while dead.calls.join_next().await.is_some() {}
    }

    async fn check(&mut self) {
        for instance in &self.instances {
            let records = instance.gateway.records().await;
            self.truth.keep_records(records);
        }
        let is_exact = !self.fails && self.truth.died == 0;
        let instance = &self.instances[0].gateway;
        let now = instance.clock().now() / 1000;
        let limits = self.tenant.settings.limits();
        let ledger = &instance.gateway.settlements.ledger;
        // A link that fails has to be asked again.
        let mut usage = ledger.usage(&self.tenant.ledger_key(), &limits, now).await;
        while usage.is_err() {
            usage = ledger.usage(&self.tenant.ledger_key(), &limits, now).await;
        }
        self.truth.check_money(&usage.unwrap(), BUDGET, is_exact);
        self.truth.check_records(is_exact);
        if is_exact && self.is_sequential {
            self.truth.check_cooldowns();
        }
        // While the store is down nothing is limited.
        if !self.fails {
            self.truth.check_limits(&self.log.lock().unwrap());
        }
    }
}

/// Providers with their limits, and a route for each thing that is to meet the others.
fn config(providers: &[FakeProvider], mutant: Option<Mutant>) -> String {
    let cooldown = if mutant == Some(Mutant::NeverCools) { "0s" } else { "60s" };
    let timeout = if mutant == Some(Mutant::WaitsForEver) { "1h" } else { "80ms" };
    let mut yaml = "cache: { enabled: true }\nproviders:\n".to_owned();
    for (name, fake) in NAMES.iter().zip(providers) {
        let limits = match *name {
            "limited" => format!(", limits: {{ requests_per_minute: {LIMIT} }}"),
            _ => String::new(),
        };
        yaml += &format!(
            "  - {{ name: {name}, base_url: \"{}\", api_key: key-of-{name}{limits} }}\n",
            fake.url()
        );
    }
    yaml += "routes:\n";
    for (name, setting, steps) in [
        ("hedged", "hedge: 5ms, hedge_budget: 100, ", ["first", "second", "good"].as_slice()),
        ("rescued", "rescue: continue, ", &["first", "second", "good"]),
        ("plain", "", &["second", "first", "good"]),
        ("limited", "rescue: continue, ", &["limited", "good"]),
    ] {
        let steps: Vec<String> = steps
            .iter()
            .map(|it| match *it {
                // The last target is waited for, however slow the machine is.
                "good" => "{ provider: good, model: gpt-4o-mini }".to_owned(),
                it => format!("{{ provider: {it}, model: gpt-4o-mini, timeout: {timeout} }}"),
            })
            .collect();
        let steps = steps.join(", ");
        yaml += &format!(
            "  - {{ name: {name}, {setting}cooldown: {cooldown}, cooldown_max: {cooldown}, steps: [{steps}] }}\n"
        );
    }
    yaml += "prices:\n";
    for name in NAMES {
        yaml +=
            &format!("  - {{ provider: {name}, model: gpt-4o-mini, input: 1, output: 1000 }}\n");
    }
    yaml
}

/// The reply to a call, as long as its client waits for it.
async fn respond(
    gateway: &TestGateway,
    plan: &Plan,
    admitted: AdmittedCall,
) -> Result<ClientResponse, Ended> {
    // A stream may still break, and is made again then.
    let is_promised = admitted.running.is_promised() && !plan.stream;
    let within = plan.leaves_before.unwrap_or(Duration::MAX);
    let response = tokio::time::timeout(within, gateway.gateway.respond(admitted)).await;
    let left = if is_promised { Ended::Promised } else { Ended::Left };
    response.map_err(|_elapsed| left)?.map_err(|error| Ended::Failed(error.kind))
}

/// Makes a call as a client does.
async fn make(
    gateway: &TestGateway,
    tenant: &Arc<Tenant>,
    plan: &Plan,
    mutant: Option<Mutant>,
) -> Ended {
    let call = gateway.call_about(plan.route, plan.stream, &plan.content).await;
    let mode = if plan.is_cached { CacheMode::Always } else { CacheMode::Default };
    let call = Call {
        tenant: tenant.clone(),
        idempotency_key: plan.key.map(|key| format!("key {key}")),
        cache: CacheDirectives { mode, max_age: None },
        ..call
    };
    let admitted = gateway.gateway.admit_call(call, &mut CallLimits::default()).await;
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return Ended::Failed(error.kind),
    };
    let response = match respond(gateway, plan, admitted).await {
        Ok(response) => response,
        Err(ended) => return ended,
    };
    let is_made = response.cache != CacheOutcome::Hit;
    let mut stream = match response.body {
        ClientResponseBody::Whole(response, _) => {
            return Ended::Whole { text: text_of(&response), is_made };
        }
        ClientResponseBody::Stream(stream) => stream,
    };
    let (mut text, mut seen) = (String::new(), 0);
    loop {
        if plan.leaves_after.is_some_and(|leaves| leaves <= seen) {
            return Ended::Left;
        }
        match std::future::poll_fn(|cx| stream.poll_next(cx)).await {
            None => {
                stream.finish();
                return Ended::Whole { text, is_made };
            }
            Some(Err(_)) if mutant == Some(Mutant::HidesFailures) => {
                return Ended::Whole { text, is_made };
            }
            Some(Err(error)) => return Ended::Failed(error.kind),
            Some(Ok(events)) => {
                for event in &events {
                    let delta = super::truth::text_in(event);
                    text += &delta;
                    if mutant == Some(Mutant::SendsTwice) && seen == 2 {
                        text += &delta;
                    }
                    seen += 1;
                }
            }
        }
    }
}
