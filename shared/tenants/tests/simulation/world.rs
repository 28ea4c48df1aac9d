//! The world of one schedule: instances of the gateway, their calls, the store, and time.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex},
};

use tenants::{
    AdmissionRequest, Alert, Decision, Demand, Extra, Ledger, LedgerKey, Limits, Period,
    Reservation, ReservationId, Settlement, TopUp, UnreachablePolicy, Usage, WorstPrice,
};

use crate::{
    executor::{Clock, Executor, pause},
    link::{Fate, LinkedTable, Network},
    mutant::Mutant,
    schedule::{Choice, INSTANCES, Schedule},
    store::Store,
    truth::{Call, Truth},
};

/// 2026-11-30T21:30:00Z, in the last evening of a month.
const START: u64 = 1_796_074_200;

/// How far some schedules begin after that, in seconds: shortly before midnight.
const LATE_START: u64 = 8_700;

/// How long a call may take, in seconds.
const ROUTE_TIMEOUT: u64 = 600;

/// One micro-dollar for an input token, two for an output token.
const PRICE: WorstPrice = WorstPrice { input: 1_000_000, output: 2_000_000 };

/// One instance of the gateway, as its calls see it.
#[derive(Clone)]
struct Instance {
    ledger: Rc<Ledger>,
    skew: i64,
    clock: Clock,
    limits: Rc<Limits>,
    store: Rc<RefCell<Store>>,
}

impl Instance {
    fn now(&self) -> u64 {
        self.clock.now().checked_add_signed(self.skew).unwrap()
    }
}

/// What one call will do, whatever is decided about it.
#[derive(Clone, Copy, Debug)]
struct CallScript {
    number: usize,
    input: u64,
    output: u64,
    seconds: u64,
    gets_through: bool,
    grows: bool,
    exceeds_estimate: bool,
}

impl CallScript {
    fn new(number: usize, drawn: u32) -> Self {
        let pick = |shift: u32, values: [u64; 4]| values[(drawn >> shift & 3) as usize];
        Self {
            number,
            input: pick(0, [10, 900, 2_000, 4_000]),
            output: pick(2, [50, 300, 2_000, 9_000]),
            seconds: pick(4, [0, 3, 59, 590]),
            gets_through: drawn >> 6 & 7 != 0,
            grows: drawn >> 9 & 3 == 0,
            exceeds_estimate: drawn >> 11 & 3 == 0,
        }
    }

    /// Input and output tokens that are used, given the output that was requested for.
    fn used(&self, requested: u64) -> (u64, u64) {
        let input = if self.exceeds_estimate { self.input + 100 } else { self.input * 2 / 3 };
        (input, if self.number.is_multiple_of(2) { requested } else { requested / 3 })
    }
}

/// The world of one schedule.
pub(crate) struct World {
    schedule: Schedule,
    clock: Clock,
    executor: Executor,
    network: Arc<Mutex<Network>>,
    store: Rc<RefCell<Store>>,
    instances: Vec<Instance>,
    frozen: [bool; INSTANCES],
    calls: usize,
    has_failed: bool,
    luck: Luck,
}

/// Plays a schedule to its end; the invariants that were broken.
pub(crate) fn play(schedule: &Schedule, mutant: Option<Mutant>) -> BTreeMap<u8, String> {
    let mut world = World::new(schedule, mutant);
    for number in &schedule.choices {
        world.step(Choice::decode(*number));
    }
    world.finish()
}

impl World {
    pub(crate) fn new(schedule: &Schedule, mutant: Option<Mutant>) -> Self {
        let truth = Truth::new(schedule.limits(), schedule.clocks_agree());
        let mut world = Self {
            schedule: schedule.clone(),
            clock: Clock::at(START + if schedule.starts_late() { LATE_START } else { 0 }),
            executor: Executor::default(),
            network: Arc::default(),
            store: Rc::new(RefCell::new(Store::new(mutant, truth))),
            instances: vec![],
            frozen: [false; INSTANCES],
            calls: 0,
            has_failed: false,
            luck: Luck(schedule.setting | 1),
        };
        world.set_time(world.clock.now());
        world.instances = (0..INSTANCES).map(|instance| world.start(instance)).collect();
        world
    }

    /// A new process, which remembers nothing.
    fn start(&self, instance: usize) -> Instance {
        let direct = self.store.borrow().table();
        let network = Arc::clone(&self.network);
        let skew = self.schedule.skew(instance);
        let table = Arc::new(LinkedTable { network, instance, skew, direct });
        Instance {
            ledger: Rc::new(Ledger::new(table, UnreachablePolicy::default())),
            skew,
            clock: self.clock.clone(),
            limits: Rc::new(self.schedule.limits()),
            store: Rc::clone(&self.store),
        }
    }

    fn step(&mut self, choice: Choice) {
        match choice {
            Choice::Poll(at) if 0 < self.executor.len() => self.poll(at % self.executor.len()),
            Choice::Resolve(at, fate) => {
                let in_flight = self.network.lock().unwrap().in_flight();
                if let Some(at) = at.checked_rem(in_flight) {
                    self.resolve(at, fate);
                }
            }
            Choice::DeliverLate(at) => {
                let mut network = self.network.lock().unwrap();
                if let Some(at) = at.checked_rem(network.late()) {
                    network.deliver_late(at, &mut self.store.borrow_mut());
                }
            }
            Choice::Call(drawn) => self.call(drawn as usize % INSTANCES, drawn / 3),
            Choice::Poll(_) => self.call(0, 0),
            Choice::Advance(seconds) => self.advance(seconds),
            Choice::Freeze(instance) => self.freeze(instance % INSTANCES),
            Choice::Thaw(instance) => self.frozen[instance % INSTANCES] = false,
            Choice::Kill(instance) => self.kill(instance % INSTANCES),
        }
    }

    fn poll(&mut self, at: usize) {
        if !self.frozen[self.executor.instance(at)] {
            self.executor.poll(at);
        }
    }

    pub(crate) fn resolve(&self, at: usize, fate: Fate) {
        self.network.lock().unwrap().resolve(at, fate, &mut self.store.borrow_mut());
    }

    pub(crate) fn call(&mut self, instance: usize, drawn: u32) {
        let script = CallScript::new(self.calls, drawn);
        self.calls += 1;
        let attribute = id(script.number).attribute();
        self.store.borrow_mut().truth.calls.insert(attribute, Call::default());
        let task = call(self.instances[instance].clone(), script);
        self.executor.spawn(instance, task);
    }

    fn freeze(&mut self, instance: usize) {
        self.frozen[instance] = true;
        self.note_failure(instance);
    }

    pub(crate) fn kill(&mut self, instance: usize) {
        self.note_failure(instance);
        self.executor.kill(instance);
        self.frozen[instance] = false;
        self.instances[instance] = self.start(instance);
    }

    /// Calls of an instance that stops may end late or never. Which of them are its own does not
    /// matter: a call that has ended stays as it ended.
    fn note_failure(&mut self, _instance: usize) {
        self.has_failed = true;
        let mut store = self.store.borrow_mut();
        for call in store.truth.calls.values_mut().filter(|call| !call.settled) {
            call.owner_failed = true;
        }
    }

    /// Lets time pass. What runs keeps its own times: only a frozen instance is late.
    fn advance(&mut self, seconds: u64) {
        let target = self.clock.now() + seconds;
        if 2 < seconds {
            self.run_until_idle();
            while let Some(timer) = self.clock.next_timer(target) {
                self.set_time(timer);
                self.run_until_idle();
            }
        }
        self.set_time(target);
    }

    fn set_time(&self, now: u64) {
        self.clock.advance_to(now);
        self.network.lock().unwrap().now = self.clock.now();
        self.store.borrow_mut().truth.now = self.clock.now();
    }

    /// Runs what can run. The link fails now and then, until the end of the schedule.
    fn run_until_idle(&mut self) {
        let mut idle_rounds = 0;
        while idle_rounds < 3 {
            idle_rounds += 1;
            for instance in (0..INSTANCES).filter(|instance| !self.frozen[*instance]) {
                loop {
                    let first = self.network.lock().unwrap().first_of(instance);
                    let Some(at) = first else { break };
                    let fate = self.luck.next_fate();
                    self.resolve(at, fate);
                    idle_rounds = 0;
                }
            }
            if self.poll_each() {
                idle_rounds = 0;
            }
        }
    }

    /// Lets each task that is not frozen run once; whether any ended.
    fn poll_each(&mut self) -> bool {
        let before = self.executor.len();
        for at in (0..before).rev() {
            self.poll(at);
        }
        self.executor.len() < before
    }

    /// Lets every task run until only the store or time can move it.
    pub(crate) fn poll_until_blocked(&mut self) {
        // A task pauses at most twice between two requests to the store.
        for _ in 0..3 {
            self.poll_each();
        }
    }

    /// How many requests wait for their fate, and how many may arrive late.
    pub(crate) fn requests(&self) -> (usize, usize) {
        let network = self.network.lock().unwrap();
        (network.in_flight(), network.late())
    }

    /// Lets one late request arrive.
    pub(crate) fn deliver_late(&mut self, at: usize) {
        self.network.lock().unwrap().deliver_late(at, &mut self.store.borrow_mut());
    }

    /// Whether any call has not ended.
    pub(crate) fn is_busy(&self) -> bool {
        0 < self.executor.len()
    }

    /// Lets a second pass, in which nothing is resolved.
    pub(crate) fn tick(&mut self) {
        self.set_time(self.clock.now() + 1);
    }

    /// The invariants that were broken, once everything has ended.
    pub(crate) fn finish(mut self) -> BTreeMap<u8, String> {
        self.end();
        std::mem::take(&mut self.store.borrow_mut().truth.violations)
    }

    /// Ends everything: what is late arrives, all calls end, deadlines pass, and one more call
    /// comes, and another, so that its settlement is seen too. A new process takes them, since an
    /// old one may still refuse from memory.
    fn end(&mut self) {
        self.frozen = [false; INSTANCES];
        self.luck = Luck(0);
        self.run_until_idle();
        self.advance(2 * ROUTE_TIMEOUT);
        while 0 < self.network.lock().unwrap().late() {
            let mut network = self.network.lock().unwrap();
            network.deliver_late(0, &mut self.store.borrow_mut());
        }
        for _ in 0..2 {
            // Beyond every deadline, margin and difference of clocks.
            self.advance(2 * ROUTE_TIMEOUT);
            self.instances[0] = self.start(0);
            self.call(0, 0);
            self.advance(ROUTE_TIMEOUT);
        }
        let budget = self.schedule.limits().budget;
        let length = budget.map(|budget| budget.period).unwrap_or_default();
        let period = Period::containing(self.clock.now(), length).to_string();
        let are_exact = self.schedule.clocks_agree() && !self.has_failed;
        self.store.borrow_mut().truth.check_end(&period, are_exact);
    }
}

/// What becomes of requests while time passes: pseudo-random, so that a schedule plays the same way
/// each time. With 0 nothing fails.
struct Luck(u32);

impl Luck {
    fn next_fate(&mut self) -> Fate {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        match self.0 % 32 {
            1 => Fate::FailedBefore,
            2 | 3 => Fate::ResponseLost,
            4 => Fate::AppliedLate,
            5 => Fate::DeliveredTwice,
            _ => Fate::Delivered,
        }
    }
}

fn id(number: usize) -> ReservationId {
    ReservationId::new(number.to_string())
}

/// One call, as the gateway makes it: admitted, sent to a provider, and settled.
async fn call(instance: Instance, script: CallScript) {
    let id = id(script.number);
    let key = LedgerKey::tenant("t");
    let demand =
        Demand { input: script.input, output: script.output, choices: 1, price: Some(PRICE) };
    let now = instance.now();
    let request = AdmissionRequest {
        key: &key,
        limits: &instance.limits,
        demand,
        id: &id,
        deadline: now + ROUTE_TIMEOUT,
    };
    match instance.ledger.admit(&request, now).await {
        Decision::Refused { alert, .. } => {
            instance.store.borrow_mut().truth.refused(&id.attribute());
            announce(&instance, alert.map(|alert| *alert)).await;
        }
        Decision::Unavailable(unavailable) => {
            if let Some(release) = unavailable.release {
                settle(&instance, release).await;
            }
        }
        Decision::Admitted(admission) => {
            let requested = admission.capped_output.unwrap_or(script.output);
            let reservation = admission.reservation.unwrap();
            let settlement = respond(&instance, script, reservation, requested).await;
            settle(&instance, settlement).await;
        }
    }
}

/// The provider's part: the response, and what it costs.
async fn respond(
    instance: &Instance,
    script: CallScript,
    mut reservation: Reservation,
    requested: u64,
) -> Settlement {
    pause().await;
    if !script.gets_through {
        return Settlement { reservation, usage: Usage::Nothing };
    }
    let (input, mut output) = script.used(requested);
    note_use(instance, &reservation, input, output);
    instance.clock.sleep_until(instance.clock.now() + script.seconds).await;
    if script.grows {
        let extra = Extra { cost: PRICE.cost(0, 64), output: 64, until: 0 };
        let topped_up =
            instance.ledger.top_up(&reservation, extra, &instance.limits, instance.now()).await;
        if let Ok(TopUp::Granted(grown)) = topped_up {
            reservation = grown;
            output += 64;
            note_use(instance, &reservation, input, output);
        }
    }
    let cost = PRICE.cost(input, output).0;
    Settlement { reservation, usage: Usage::Used { cost, input, output } }
}

/// Keeps the record of what a call used, which the provider bills.
fn note_use(instance: &Instance, reservation: &Reservation, input: u64, output: u64) {
    let cost = PRICE.cost(input, output).0;
    let mut store = instance.store.borrow_mut();
    let call = store.truth.calls.get_mut(&reservation.id.attribute()).unwrap();
    call.used = (cost, input, output);
    call.billed = Some(cost);
}

/// Settles until the store says that it is done.
async fn settle(instance: &Instance, settlement: Settlement) {
    loop {
        let settled = instance.ledger.settle(&settlement, &instance.limits, instance.now()).await;
        if let Ok(settled) = settled {
            let attribute = settlement.reservation.id.attribute();
            instance.store.borrow_mut().truth.calls.get_mut(&attribute).unwrap().settled = true;
            announce(instance, settled.alert).await;
            return;
        }
        instance.clock.sleep_until(instance.clock.now() + 1).await;
    }
}

/// Sends an alert, and whatever becomes due meanwhile.
async fn announce(instance: &Instance, alert: Option<Alert>) {
    let mut next = alert;
    while let Some(alert) = next.take() {
        pause().await;
        for level in &alert.levels {
            let mut store = instance.store.borrow_mut();
            *store.truth.alerts.entry((alert.period.to_string(), *level)).or_default() += 1;
        }
        loop {
            match instance.ledger.mark_sent(&alert, &instance.limits, instance.now()).await {
                Ok(due) => {
                    next = due;
                    break;
                }
                Err(_) => instance.clock.sleep_until(instance.clock.now() + 1).await,
            }
        }
    }
}
