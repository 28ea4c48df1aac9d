//! The wizard from nothing to a first answer, in three steps that follow from what is missing.

use askama::Template;

use crate::{form::Choice, routes::Tested, setup::Snippet, shell::Shell};

/// The wizard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "welcome.html")]
pub struct Welcome {
    /// What surrounds the page.
    pub shell: Shell,
    /// The step.
    pub step: Step,
}

/// A step of the wizard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A provider and its key.
    Provider(ProviderStep),
    /// A model of the provider's list, under a name for clients.
    Model(ModelStep),
    /// A tenant with its first key.
    Key(KeyStep),
    /// The key, and a snippet that uses it.
    Done(DoneStep),
}

impl Default for Step {
    fn default() -> Self {
        Self::Provider(ProviderStep::default())
    }
}

/// The first step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderStep {
    /// The types that can be chosen.
    pub kinds: Vec<Choice>,
    /// The type that is chosen.
    pub kind: String,
    /// The base URL, for a provider of one's own.
    pub base_url: String,
    /// What a test gave.
    pub tested: Option<Tested>,
    /// The name of the provider, once it is saved.
    pub saved: Option<String>,
}

/// The second step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelStep {
    /// The provider's name.
    pub provider: String,
    /// The models that it lists.
    pub models: Vec<String>,
    /// What is wrong, such as that the list could not be fetched.
    pub error: Option<String>,
}

/// The third step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStep {
    /// The model's name for clients.
    pub model: String,
    /// Whether the prices of all of its targets are known, which a budget needs.
    pub is_priced: bool,
    /// What is wrong.
    pub error: Option<String>,
    /// Makes a second press of the button harmless.
    pub idempotency_key: String,
}

/// What the wizard leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoneStep {
    /// The key.
    pub key: String,
    /// The model's name for clients.
    pub model: String,
    /// A first call.
    pub snippet: Option<Snippet>,
}

impl Welcome {
    fn steps(&self) -> [(&'static str, &'static str); 3] {
        let current = match self.step {
            Step::Provider(_) => 0,
            Step::Model(_) => 1,
            Step::Key(_) => 2,
            Step::Done(_) => 3,
        };
        let state = |place: usize| match place.cmp(&current) {
            std::cmp::Ordering::Less => "done",
            std::cmp::Ordering::Equal => "current",
            std::cmp::Ordering::Greater => "",
        };
        [("A provider", state(0)), ("A model", state(1)), ("A key for your program", state(2))]
    }
}
