//! What the ledger does where a price or the store is missing, and where alerts and usage are sent.

use tenants::{Unpriced, UnreachablePolicy, WhenUnreachable};

use super::{
    SecretSource,
    keys::{Key, Keys, Takes, words},
    log::word,
    node::Node,
    provider::secret,
    reader::Reader,
    secrets::Place,
    values,
    write::{Map, WriteSecret, Written, bare, text},
};

pub(super) const STORE_DOWN: Keys = Keys {
    of: "store_down",
    keys: &[
        Key::new(
            "rate_limits",
            Takes::Words(&words(&WHEN_DOWN)),
            "`open`",
            "for tenants with limits but no budget: `open` lets them call, `closed` returns 503",
        ),
        Key::new(
            "budgets",
            Takes::Words(&words(&WHEN_DOWN)),
            "`closed`",
            "the same for tenants with a budget; where `closed`, a stream that needs more than was held for it ends after two seconds of attempts to hold more",
        ),
    ],
};
pub(super) const ALERTS: Keys = Keys {
    of: "alerts",
    keys: &[
        Key::new(
            "webhook",
            Takes::Mapping(&WEBHOOK),
            "none",
            "an address that alerts are posted to",
        ),
        Key::new("sns_topic", Takes::Text, "none", "the ARN of a topic of Amazon SNS"),
    ],
};
pub(super) const WEBHOOK: Keys = Keys {
    of: "a webhook",
    keys: &[
        Key::required("url", Takes::Text, "the address"),
        Key::new("secret", Takes::Text, "not signed", "the key of the signature over each body"),
    ],
};
pub(super) const USAGE_EVENTS: Keys = Keys {
    of: "usage_events",
    keys: &[Key::new(
        "sqs_queue",
        Takes::Text,
        "none",
        "the URL of a standard queue of Amazon SQS: a message per call with usage, as `GET /admin/requests` gives calls",
    )],
};
const UNPRICED: [(&str, Unpriced); 2] = [("refuse", Unpriced::Refuse), ("allow", Unpriced::Allow)];
const WHEN_DOWN: [(&str, WhenUnreachable); 2] =
    [("open", WhenUnreachable::Open), ("closed", WhenUnreachable::Closed)];

/// Whom budget alerts are sent to, beside the log.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// An address that every alert is posted to.
    pub webhook: Option<Webhook>,
    /// The ARN of a topic of Amazon SNS that every alert is published to.
    pub sns_topic: Option<String>,
}

/// An address that alerts are posted to.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address, which may hold a token and is therefore kept like a key.
    pub url: SecretSource,
    /// The key of the signature over each body. Absent: bodies are not signed.
    pub secret: Option<SecretSource>,
}

/// Whom the usage of every call is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageEvents {
    /// The URL of a queue of Amazon SQS.
    pub sqs_queue: Option<String>,
}

pub(super) fn unpriced(reader: &mut Reader<'_>, node: &Node<'_>) -> Unpriced {
    reader.word(node, &UNPRICED).unwrap_or_default()
}

pub(super) fn store_down(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<UnreachablePolicy> {
    let fields = reader.fields(node, &STORE_DOWN)?;
    let default = UnreachablePolicy::default();
    let rate_limits = reader.optional(fields, "rate_limits", |it, node| it.word(node, &WHEN_DOWN));
    let budgets = reader.optional(fields, "budgets", |it, node| it.word(node, &WHEN_DOWN));
    Some(UnreachablePolicy {
        rate_limits: rate_limits.flatten().unwrap_or(default.rate_limits),
        budgets: budgets.flatten().unwrap_or(default.budgets),
    })
}

pub(super) fn alerts(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Alerts> {
    let fields = reader.fields(node, &ALERTS)?;
    Some(Alerts {
        webhook: reader.optional(fields, "webhook", webhook).flatten(),
        sns_topic: reader.optional(fields, "sns_topic", |it, node| it.checked_text(node, topic)),
    })
}

fn webhook(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Webhook> {
    let fields = reader.fields(node, &WEBHOOK)?;
    let secret_key = reader.optional(fields, "secret", secret).flatten();
    Some(Webhook { url: reader.required(fields, "url", url)?, secret: secret_key })
}

fn url(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<SecretSource> {
    let source = secret(reader, node)?;
    // A webhook's path is its password at most services, so the sentence never shows the address.
    if let SecretSource::Value { value, .. } = &source
        && let Err(message) = values::http_url(value.expose())
    {
        reader.report(node.at, message);
    }
    Some(source)
}

pub(super) fn usage_events(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<UsageEvents> {
    let fields = reader.fields(node, &USAGE_EVENTS)?;
    let sqs_queue =
        reader.optional(fields, "sqs_queue", |it, node| it.checked_text(node, values::http_url));
    Some(UsageEvents { sqs_queue })
}

fn topic(text: &str) -> Result<(), &'static str> {
    if text.starts_with("arn:") && text.contains(":sns:") {
        return Ok(());
    }
    Err("is no ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alerts")
}

pub(super) fn write_unpriced(it: Unpriced) -> Option<Written> {
    Some(bare(&word(&UNPRICED, it))).filter(|_| it != Unpriced::default())
}

pub(super) fn write_store_down(it: UnreachablePolicy) -> Option<Written> {
    let default = UnreachablePolicy::default();
    let mut map = Map::default();
    let mut policy = |key, value, default| {
        map.unless(key, value == default, bare(&word(&WHEN_DOWN, value)));
    };
    policy("rate_limits", it.rate_limits, default.rate_limits);
    policy("budgets", it.budgets, default.budgets);
    map.section()
}

pub(super) fn write_alerts(it: &Alerts, secret: WriteSecret<'_>) -> Option<Written> {
    let mut map = Map::default();
    if let Some(webhook) = &it.webhook {
        let mut inner = Map::default();
        inner.put("url", secret(&Place::WebhookUrl, &webhook.url));
        inner.some("secret", webhook.secret.as_ref().map(|key| secret(&Place::WebhookSecret, key)));
        map.some("webhook", inner.section());
    }
    map.some("sns_topic", it.sns_topic.as_ref().map(text));
    map.section()
}

pub(super) fn write_usage_events(it: &UsageEvents) -> Option<Written> {
    let mut map = Map::default();
    map.some("sqs_queue", it.sqs_queue.as_ref().map(text));
    map.section()
}
