//! Tenants: the list, one tenant with its spend and keys, and the form that makes or changes one.

use askama::Template;

use crate::{
    chart::Curve,
    form::{Choice, Field, Group, Kind},
    moment::Moment,
    number::{Count, Money},
    requests::query_value,
    shell::{Pill, Shell},
};

/// The list of tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "tenants.html")]
pub struct Tenants {
    /// What surrounds the page.
    pub shell: Shell,
    /// What the names are searched for.
    pub search: String,
    /// The tenants.
    pub rows: Vec<Row>,
    /// Where the list goes on.
    pub cursor: Option<String>,
}

impl Tenants {
    /// The page on which the list, or the search, goes on.
    fn more(&self) -> Option<String> {
        let cursor = query_value(self.cursor.as_deref()?);
        Some(match self.search.as_str() {
            "" => format!("/admin/tenants?cursor={cursor}"),
            search => format!("/admin/tenants?q={}&cursor={cursor}", query_value(search)),
        })
    }
}

/// One tenant of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Whether the tenant may call.
    pub state: Pill,
    /// What the period has cost so far.
    pub spent: Option<Money>,
    /// The budget of the period.
    pub budget: Option<Budget>,
    /// Limits in a few words, such as `60 a minute`.
    pub limits: String,
    /// How many keys the tenant has.
    pub keys: Count,
    /// The last call.
    pub last_used: Option<Moment>,
    /// Whether the configuration declares the tenant, of whose keys no use is kept.
    pub is_declared: bool,
}

/// A budget, and how much of it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// What may be spent in a period, in micro-dollars.
    pub limit: Money,
    /// What is settled and held.
    pub used: Money,
    /// The period: `month` or `day`.
    pub period: &'static str,
}

/// The form for a new tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "tenant_new.html")]
pub struct NewTenant {
    /// What surrounds the page.
    pub shell: Shell,
    /// The fields.
    pub groups: Vec<Group>,
    /// Makes a second press of the button harmless.
    pub idempotency_key: String,
}

/// A part of a tenant's page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Spend and limits.
    #[default]
    Spend,
    /// Keys.
    Keys,
    /// Settings.
    Settings,
    /// What was changed.
    Audit,
}

/// One tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "tenant.html")]
pub struct Tenant {
    /// What surrounds the page.
    pub shell: Shell,
    /// The part that is shown.
    pub tab: Tab,
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The version that changes are based on.
    pub version: String,
    /// Whether the tenant may call.
    pub is_enabled: bool,
    /// Why the tenant cannot be changed here, such as that the file declares it.
    pub fixed: Option<String>,
    /// A key that was made just now.
    pub new_key: Option<NewKey>,
    /// Money and limits.
    pub spend: Spend,
    /// The keys.
    pub keys: Vec<Key>,
    /// Makes a second press of a button harmless.
    pub idempotency_key: String,
    /// The settings.
    pub groups: Vec<Group>,
    /// What the page shows of the settings, for the form to send back: JSON, texts by field.
    pub shown: String,
    /// What was changed, newest first.
    pub changes: Vec<crate::audit::Row>,
}

/// A key that was made just now, and is shown once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// The key.
    pub key: String,
    /// When the key that it replaces ends.
    pub old_ends: Option<Moment>,
    /// The setup page with the key filled in is reached by this form's path.
    pub setup: String,
}

/// What a tenant has spent, and what is left of its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    /// The period's name, such as `Nov 2026`.
    pub period: String,
    /// Settled money.
    pub settled: Money,
    /// Held money.
    pub held: Money,
    /// How many calls hold it.
    pub holds: Count,
    /// Money of calls whose end was lost.
    pub lost: Money,
    /// The sums of the period.
    pub curve: Curve,
    /// When the budget will be spent at today's pace, in a sentence.
    pub forecast: String,
    /// The limits, with what is used of them.
    pub limits: Vec<Limit>,
    /// Cost by model in this period.
    pub models: Vec<ModelSpend>,
}

/// A limit, with what is used of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// What is limited, such as `Requests a minute`.
    pub name: &'static str,
    /// What is used.
    pub used: u64,
    /// The limit.
    pub limit: u64,
    /// What is used and the limit, as text.
    pub text: String,
}

/// What one model cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSpend {
    /// The provider and its model.
    pub model: String,
    /// Calls.
    pub calls: Count,
    /// The cost; absent where no price is known.
    pub cost: Option<Money>,
}

/// A key as it is shown after its first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The prefix and last four letters.
    pub hint: String,
    /// When the key was made.
    pub created: Option<Moment>,
    /// The last call with it.
    pub last_used: Option<Moment>,
    /// When the key ends.
    pub expires: Option<Moment>,
    /// How soon that is, in words.
    pub expires_in: Option<Pill>,
}

impl Budget {
    /// Nine tenths of the limit, where the meter turns.
    fn high(&self) -> u64 {
        self.limit.0 / 10 * 9
    }
}

impl Limit {
    fn high(&self) -> u64 {
        self.limit / 10 * 9
    }

    fn low(&self) -> u64 {
        self.limit / 4 * 3
    }
}

impl Tenant {
    fn tabs(&self) -> [(&'static str, String, bool); 4] {
        let base = format!("/admin/tenants/{}", self.id);
        [
            ("Spend and limits", base.clone(), self.tab == Tab::Spend),
            ("Keys", format!("{base}?tab=keys"), self.tab == Tab::Keys),
            ("Settings", format!("{base}?tab=settings"), self.tab == Tab::Settings),
            ("Audit", format!("{base}?tab=audit"), self.tab == Tab::Audit),
        ]
    }

    fn download(&self) -> String {
        let key = self.new_key.as_ref().map_or("", |it| it.key.as_str());
        // No request: the key is in this page alone and on no server's disk.
        format!("data:text/plain,{}%0A", crate::requests::query_value(key))
    }

    fn may_change(&self) -> bool {
        self.fixed.is_none() && self.shell.may_edit()
    }
}

fn field(name: &'static str, label: &'static str, kind: Kind, hint: &'static str) -> Field {
    Field { name, label, kind, hint, ..Field::default() }
}

fn number(name: &'static str, label: &'static str) -> Field {
    Field { name, label, kind: Kind::Number, placeholder: "unlimited", ..Field::default() }
}

fn choices(values: &[(&str, &str)]) -> Kind {
    Kind::Choice(values.iter().map(|(value, text)| Choice::new(*value, *text)).collect())
}

fn money_and_limits() -> [Group; 2] {
    let periods = choices(&[("month", "a month"), ("day", "a day")]);
    let levels = "Percent of the budget, with commas; empty is 80, 95, 100; none is no alert.";
    let unpriced = choices(&[("refuse", "are refused"), ("allow", "are allowed")]);
    let money = vec![
        number("budget_usd", "Budget, US dollars"),
        field("budget_period", "Period", periods, ""),
        field("alert_levels", "Alerts at", Kind::Text, levels),
        field("unpriced", "Calls without a known price", unpriced, ""),
    ];
    let limits = vec![
        number("rate_limit_rpm", "Requests a minute"),
        number("requests_per_hour", "Requests an hour"),
        number("requests_per_day", "Requests a day"),
        number("max_concurrent", "Calls at once"),
        number("daily_input_tokens", "Input tokens a day"),
        number("daily_output_tokens", "Output tokens a day"),
        number("max_input_tokens", "Input tokens of a call"),
        number("max_output_tokens", "Output tokens of a call"),
    ];
    [Group { title: "Money", fields: money }, Group { title: "Limits", fields: limits }]
}

fn models() -> Group {
    let allowed =
        "Names or patterns such as gpt-*, with commas; empty allows all, none allows none.";
    let fields = vec![
        field("allowed_models", "Allowed models", Kind::Text, allowed),
        field("default_model", "Default model", Kind::Text, "For requests that name none."),
        field(
            "fallback_models",
            "Fallback models",
            Kind::Text,
            "Attempted when the model's targets fail.",
        ),
    ];
    Group { title: "Models", fields }
}

fn behaviour() -> Group {
    let modes = choices(&[
        ("prepend", "before the client's own"),
        ("locked", "instead of the client's own"),
    ]);
    let caching = choices(&[("", "as the gateway's"), ("true", "on"), ("false", "off")]);
    let fields = vec![
        field("system_prompt", "System prompt", Kind::Lines, ""),
        field("system_prompt_mode", "System prompt goes", modes, ""),
        field("cache", "Response cache", caching, ""),
        field("tags", "Tags", Kind::Text, "name=value, with commas; for sums and filters."),
    ];
    Group { title: "Behaviour", fields }
}

fn own_provider() -> Group {
    let fields = vec![
        field(
            "provider",
            "Provider",
            Kind::Text,
            "A provider of the configuration, or a type such as openai: all calls go there. Empty: as the routes say.",
        ),
        field("base_url", "Base URL", Kind::Text, ""),
        Field {
            placeholder: "unchanged",
            ..field("provider_api_key", "Key", Kind::Secret, "Stored encrypted, never shown again.")
        },
    ];
    Group { title: "A provider of its own", fields }
}

/// The fields of a tenant, by the configuration's names and without values.
pub fn fields() -> Vec<Group> {
    let naming = vec![
        Field { placeholder: "my-service", ..field("name", "Name", Kind::Text, "") },
        Field { placeholder: "lg-", ..field("key_prefix", "Prefix of keys", Kind::Text, "") },
    ];
    let [money, limits] = money_and_limits();
    let naming = Group { title: "Name", fields: naming };
    vec![naming, money, limits, models(), behaviour(), own_provider()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_shows_values_and_says_which_field_is_wrong() {
        let mut groups = fields();
        let value = |name: &str| (name == "name").then(|| "<research>".to_owned());
        let error = |name: &str| (name == "budget_usd").then(|| "not a number".to_owned());
        Group::fill(&mut groups, value, error);
        let page = NewTenant { groups, ..NewTenant::default() };
        let html = page.render().unwrap();
        assert!(html.contains("value=\"&#60;research&#62;\""), "{html}");
        assert!(html.contains("aria-describedby=\"budget_usd-error\""), "{html}");
    }

    #[test]
    fn every_field_of_the_contract_is_in_the_form() {
        let names: Vec<&str> =
            fields().iter().flat_map(|it| it.fields.iter().map(|it| it.name)).collect();
        for wanted in
            ["name", "rate_limit_rpm", "budget_usd", "system_prompt", "provider_api_key", "tags"]
        {
            assert!(names.contains(&wanted), "{wanted}");
        }
        assert_eq!(names.len(), 24);
    }
}
