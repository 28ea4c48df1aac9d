//! The path that every call takes.
//!
//! [`Gateway::answer`] is the product: whom to try is decided by `routing`, sockets are the
//! business of `providers`, and what is written to the client of `edge`.

mod background;
mod call;
mod configuration;
mod meter;
mod snapshot;

use std::sync::Arc;

use canonical::{Error, Result};
use providers::{FetchedMedia, UpstreamRequest, UpstreamResponse};
use routing::{Cooldowns, Failover, Limits, ModelQuery, Outlook, RoutePlan, Target};

pub use call::{Call, Clock};
pub use configuration::{Configuration, Freshness, Source, kinds};
pub use meter::{GatewayReply, GatewayReplyBody, MeteredStream};
pub use providers::{Client, ProxyVariables};
pub use snapshot::Snapshot;

/// Everything that calls share.
#[derive(Debug)]
pub struct Gateway {
    configuration: Configuration,
    rests: Arc<Cooldowns>,
}

impl Gateway {
    /// A gateway that follows a configuration.
    pub fn new(configuration: Configuration) -> Self {
        let rests = configuration.rests().clone();
        Self { configuration, rests }
    }

    /// The configuration in force, once the caller has shown a key that fits.
    pub async fn admit(&self, shown: &[&str], clock: Clock) -> Result<Arc<Snapshot>> {
        let snapshot = self.configuration.current(clock.now()).await?;
        snapshot.gate.admit(shown)?;
        Ok(snapshot)
    }

    /// The configuration in force, for what is decided before the caller is known.
    pub async fn snapshot(&self, clock: Clock) -> Result<Arc<Snapshot>> {
        self.configuration.current(clock.now()).await
    }

    /// Whether calls can be answered: a configuration is there, or can be read.
    pub async fn is_ready(&self, clock: Clock) -> bool {
        self.configuration.is_ready(clock.now()).await
    }

    /// Answers one call: tries each candidate until one answers.
    pub async fn answer(&self, mut call: Call) -> Result<GatewayReply> {
        match self.try_candidates(&mut call).await {
            Ok((answer, attempts)) => Ok(meter::watch(answer, attempts, call)),
            Err(error) => {
                call.record.failed(&error);
                Err(error)
            }
        }
    }

    async fn try_candidates(&self, call: &mut Call) -> Result<(UpstreamResponse, Failover)> {
        let asked = ModelQuery {
            model: call.request.model.as_deref(),
            provider: call.only_provider.as_deref(),
        };
        let plan = call.snapshot.routes.plan(asked)?;
        let limits = Limits { deadline: call.deadline(), seed: call.clock.now() };
        let mut tries = Failover::new(plan, self.rests.clone(), limits);
        let mut renewed = false;
        let fetched = FetchedMedia::default();
        loop {
            let now = call.clock.now();
            let next = tries.next(now)?;
            if !next.pause.is_zero() {
                tokio::time::sleep(next.pause).await;
            }
            let snapshot = &call.snapshot;
            let max_output = |it: &Target| snapshot.max_output(&it.provider, &it.model);
            let question = UpstreamRequest {
                request: &call.request,
                strict: call.strict,
                max_output: &max_output,
                fetched: &fetched,
            };
            match snapshot.upstream.send(&next, &question, now).await {
                Ok(answer) => return Ok((answer, tries)),
                Err(error) if is_about_the_key(&error) && !renewed => {
                    renewed = true;
                    match self.configuration.renew_keys(&call.snapshot, call.clock.now()).await {
                        Some(snapshot) => call.snapshot = snapshot,
                        None => self.note(&mut tries, error, call.clock)?,
                    }
                }
                Err(error) => self.note(&mut tries, error, call.clock)?,
            }
        }
    }

    /// Tells routing of a failure, and other instances of a rest that it led to.
    fn note(&self, tries: &mut Failover, error: Error, clock: Clock) -> Result<()> {
        let now = clock.now();
        let outcome = tries.failed(error, now);
        self.configuration.share_rests(now);
        outcome
    }

    /// What would happen to each step now, without trying any; and why one cannot be tried at all.
    pub async fn outlook(
        &self,
        asked: ModelQuery<'_>,
        now: u64,
    ) -> Result<(Arc<RoutePlan>, Vec<(Outlook, Option<String>)>)> {
        let snapshot = self.configuration.current(now).await?;
        let plan = snapshot.routes.plan(asked)?;
        let limits = Limits { deadline: u64::MAX, seed: 0 };
        let outlook = Failover::new(plan.clone(), self.rests.clone(), limits).outlook(now);
        let with_fault = |it: Outlook| {
            let fault = snapshot.upstream.unusable_reason(&plan.steps[it.step]);
            (it, fault)
        };
        let outlook = outlook.into_iter().map(with_fault).collect();
        Ok((plan, outlook))
    }

    /// Waits for what runs behind calls: a refresh, a shared rest. Bounded in time.
    pub async fn settle(&self) {
        self.configuration.settle().await;
    }
}

/// A key that was changed where it is kept may work again at once.
fn is_about_the_key(error: &Error) -> bool {
    error.provider_status == Some(401)
}
