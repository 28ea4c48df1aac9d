//! Health: which targets answer, which cool down and until when, and whether the store works.

use askama::Template;

use crate::{
    moment::Moment,
    number::{Share, Took},
    shell::{Pill, Shell},
};

/// The page of health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "health.html")]
pub struct Health {
    /// What surrounds the page.
    pub shell: Shell,
    /// When the page was made.
    pub now: Moment,
    /// Parts of the gateway with their state, such as the store.
    pub parts: Vec<Part>,
    /// Targets and keys that cool down.
    pub cooldowns: Vec<Cooldown>,
    /// Providers with what they did lately.
    pub providers: Vec<Provider>,
}

/// A part of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The name.
    pub name: String,
    /// The state.
    pub state: Pill,
    /// What the state means for calls.
    pub text: String,
}

/// A target or key that cools down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cooldown {
    /// The provider and its model, or the provider and a key's fingerprint.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Moment,
    /// How long from now.
    pub left: Took,
    /// What the form sends to end it; empty where it cannot be ended.
    pub id: String,
}

/// What a provider did lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// The name.
    pub name: String,
    /// The state.
    pub state: Pill,
    /// Attempts that succeeded in the last hour.
    pub success: Share,
    /// The median time to the first token.
    pub first_token: Option<Took>,
    /// Attempts that failed, by their cause.
    pub failures: String,
}
