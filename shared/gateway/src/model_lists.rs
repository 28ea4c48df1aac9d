//! What providers list as their models, kept for an hour: in memory, and in the state table, so that a
//! new process does not ask again.
//!
//! Nobody waits long for a provider. One that does not answer in time is asked behind the request, and
//! what it lists is there for the next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use canonical::KeyFingerprint;
use providers::ListedModel;
use serde::{Deserialize, Serialize};
use storage::{Consistency, Row, StoreError};
use tokio::sync::watch;

use crate::{Configuration, Gateway, Snapshot, call::Clock};

/// How long a list is given before the provider is asked again, in milliseconds.
const LIFE_MS: u64 = 60 * 60 * 1000;
/// How long a provider that failed is left alone, in milliseconds.
const FAILURE_LIFE_MS: u64 = 5 * 60 * 1000;
/// How long the table keeps a list, in seconds: an old one is better than none while a provider fails.
const ROW_LIFE_SECONDS: u64 = 24 * 60 * 60;
/// How long a request waits for the lists of providers that were never asked.
const WAIT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How many models of one provider are kept.
const MAX_MODELS: usize = 2_000;
/// How many bytes a list may have in the table, whose rows may have 400 KB.
const MAX_LIST_BYTES: usize = 300_000;
/// How many lists are kept in memory: those of a configuration, and a few that it had before.
const MAX_LISTS: usize = 1_000;
/// The partition of the state table that holds lists.
const PARTITION: &str = "model-list";

/// The lists of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelLists(Arc<Mutex<HashMap<String, Entry>>>);

/// What is known of one provider's list.
#[derive(Debug, Default)]
struct Entry {
    list: Option<Arc<KeptList>>,
    /// Closed when the provider has been asked.
    asking: Option<watch::Receiver<()>>,
}

/// A list as the table holds it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct KeptList {
    /// When the provider was asked, in milliseconds since 1970.
    listed_at: u64,
    /// Whether the provider failed then, and the models are those of an earlier list.
    has_failed: bool,
    models: Vec<ListedModel>,
}

impl KeptList {
    fn is_fresh(&self, now: u64) -> bool {
        let life = if self.has_failed { FAILURE_LIFE_MS } else { LIFE_MS };
        now.abs_diff(self.listed_at) < life
    }
}

/// The models that a provider lists.
#[derive(Clone, Debug)]
pub struct ProviderModels {
    /// The provider's name in the configuration.
    pub provider: String,
    list: Option<Arc<KeptList>>,
}

impl ProviderModels {
    /// The models, in order of their names; empty while nothing is known.
    pub fn models(&self) -> &[ListedModel] {
        self.list.as_ref().map_or(&[], |list| &list.models)
    }
}

impl Gateway {
    /// What these providers list as their models. A provider whose list is old is asked behind the
    /// request; one that was never asked is waited for, shortly.
    pub async fn provider_models(
        &self,
        snapshot: &Arc<Snapshot>,
        providers: &[&str],
        clock: Clock,
    ) -> Vec<ProviderModels> {
        let configuration = &self.configuration;
        let lists = &self.model_lists;
        let named: Vec<(&str, String)> =
            providers.iter().map(|provider| (*provider, key_of(snapshot, provider))).collect();

        let mut awaited = vec![];
        for (provider, key) in &named {
            let ask = Ask {
                lists: lists.clone(),
                configuration: configuration.clone(),
                snapshot: snapshot.clone(),
                provider: (*provider).to_owned(),
                key: key.clone(),
                clock,
            };
            awaited.extend(lists.begin(ask));
        }
        let all = async {
            for mut asking in awaited {
                // The end of the asking is the end of the channel.
                drop(asking.changed().await);
            }
        };
        drop(tokio::time::timeout(WAIT_TIMEOUT, all).await);
        let known = named.into_iter().map(|(provider, key)| ProviderModels {
            provider: provider.to_owned(),
            list: lists.known(&key),
        });
        known.collect()
    }
}

/// The name under which a provider's list is kept: another address or key may have other models.
fn key_of(snapshot: &Snapshot, provider: &str) -> String {
    let account = snapshot.upstream.account_of(provider).unwrap_or(KeyFingerprint::NONE);
    format!("{provider}\u{1f}{account}")
}

impl ModelLists {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: &str) -> Option<Arc<KeptList>> {
        self.entries().get(key)?.list.clone()
    }

    /// Asks a provider unless its list is fresh or it is asked already. What is given back ends with the
    /// asking; none where a list is there meanwhile.
    fn begin(&self, ask: Ask) -> Option<watch::Receiver<()>> {
        let mut entries = self.entries();
        if MAX_LISTS <= entries.len() {
            // All at once: the lists are in the table, too.
            entries.clear();
        }
        let entry = entries.entry(ask.key.clone()).or_default();
        if entry.list.as_ref().is_some_and(|list| list.is_fresh(ask.clock.now())) {
            return None;
        }
        // A channel that is closed belongs to an asking that has ended.
        let under_way = entry.asking.clone().filter(|asking| asking.has_changed().is_ok());
        let asking = under_way.unwrap_or_else(|| {
            let (done, asking) = watch::channel(());
            entry.asking = Some(asking.clone());
            let configuration = ask.configuration.clone();
            configuration.start_behind(async move {
                ask.run().await;
                drop(done);
            });
            asking
        });
        entry.list.is_none().then_some(asking)
    }

    fn keep(&self, key: &str, list: KeptList) {
        let mut entries = self.entries();
        entries.entry(key.to_owned()).or_default().list = Some(Arc::new(list));
    }
}

/// One question to a provider for its models.
struct Ask {
    lists: ModelLists,
    configuration: Configuration,
    snapshot: Arc<Snapshot>,
    provider: String,
    key: String,
    clock: Clock,
}

impl Ask {
    /// Takes the list that another process has put into the table, or asks the provider.
    async fn run(self) {
        let stored = self.stored().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to load a list of models");
            None
        });
        let earlier = match stored {
            Some(list) if list.is_fresh(self.clock.now()) => {
                return self.lists.keep(&self.key, list);
            }
            Some(list) => list.models,
            None => self.lists.known(&self.key).map(|list| list.models.clone()).unwrap_or_default(),
        };
        let listed = self.snapshot.upstream.list_models_of(&self.provider).await;
        let (has_failed, mut models) = match listed {
            Ok(models) => (false, models),
            Err(error) => {
                let (provider, reason) = (&self.provider, error.message());
                tracing::warn!(provider, reason, "failed to list a provider's models");
                (true, earlier)
            }
        };
        models.truncate(MAX_MODELS);
        let list = KeptList { listed_at: self.clock.now(), has_failed, models };
        if let Err(error) = self.store(&list).await {
            tracing::warn!(%error, "failed to store a list of models");
        }
        self.lists.keep(&self.key, list);
    }

    async fn stored(&self) -> Result<Option<KeptList>, StoreError> {
        let table = &self.configuration.stores().state;
        let now = self.clock.now() / 1000;
        // A list of a second ago is as good, at half the price.
        let row = table.get(PARTITION, &self.key, Consistency::Eventual, now).await?;
        // What another version wrote is no list, so that the provider is asked.
        Ok(row.and_then(|row| serde_json::from_str(&row.value).ok()))
    }

    async fn store(&self, list: &KeptList) -> Result<(), StoreError> {
        let row = Row {
            pk: PARTITION.to_owned(),
            sk: self.key.clone(),
            value: fitting(list),
            expires: Some(self.clock.now() / 1000 + ROW_LIFE_SECONDS),
        };
        self.configuration.stores().state.put(row).await
    }
}

/// A list as text, with as many models as fit into a row.
fn fitting(list: &KeptList) -> String {
    let mut list = list.clone();
    loop {
        // Texts and numbers are always JSON.
        let text = serde_json::to_string(&list).unwrap_or_default();
        if text.len() <= MAX_LIST_BYTES {
            return text;
        }
        list.models.truncate(list.models.len() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(listed_at: u64, has_failed: bool) -> KeptList {
        KeptList { listed_at, has_failed, models: vec![] }
    }

    #[test]
    fn a_list_is_fresh_for_an_hour_and_a_failure_for_minutes() {
        let now = 1_764_000_000_000;
        assert!(list(now - LIFE_MS + 1, false).is_fresh(now));
        assert!(!list(now - LIFE_MS, false).is_fresh(now));
        assert!(list(now - FAILURE_LIFE_MS + 1, true).is_fresh(now));
        assert!(!list(now - FAILURE_LIFE_MS, true).is_fresh(now));
    }

    #[test]
    fn a_stored_list_fits_into_a_row() {
        let model = |number: usize| ListedModel {
            id: format!("{number}-{}", "x".repeat(400)),
            ..ListedModel::default()
        };
        let models = (0..MAX_MODELS).map(model).collect();
        let text = fitting(&KeptList { models, ..KeptList::default() });
        assert!(MAX_LIST_BYTES / 3 < text.len() && text.len() <= MAX_LIST_BYTES);
        let read: KeptList = serde_json::from_str(&text).unwrap();
        assert_eq!(read.models.len(), MAX_MODELS / 4);
    }
}
