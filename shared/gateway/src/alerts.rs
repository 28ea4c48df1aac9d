//! Alerts: who is told that a level of a budget is reached, beside the log.

use config::{Alerts, Webhook};
use providers::Message;
use storage::Secret;
use tenants::{Alert, webhook};

use crate::{Clock, Configuration, Snapshot};

/// The header of a webhook's signature.
const SIGNATURE: &str = "x-gateway-signature";
/// The header of an alert's id.
const ID: &str = "x-gateway-alert-id";
/// The version of Amazon SNS's API.
const SNS_VERSION: &str = "2010-03-31";

/// Tells everybody that the configuration names. True once each of them has accepted the alert.
pub(crate) async fn send(configuration: &Configuration, alert: &Alert, clock: Clock) -> bool {
    let snapshot = match configuration.current(clock).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            tracing::warn!(%error, "failed to load the configuration for an alert");
            return false;
        }
    };
    let Alerts { webhook, sns_topic } = &snapshot.config.alerts;
    let now = clock.now();
    let messages = [
        webhook.as_ref().and_then(|it| webhook_message(&snapshot, it, alert, now / 1000)),
        sns_topic.as_deref().and_then(|topic| sns_message(topic, alert, now / 1000)),
    ];
    let resolve = |source: &config::SecretSource| snapshot.secret(source);
    let client = configuration.client();
    let mut are_accepted = true;
    for message in messages.into_iter().flatten() {
        let sending = client.send_message(&message, &snapshot.config, &resolve, now);
        if let Err(error) = sending.await {
            let receiver = message.service.map_or("webhook", |(service, _)| service);
            let reason = error.message();
            tracing::warn!(receiver, reason, alert = alert.id(), "failed to send an alert");
            // The other receiver gets the alert all the same.
            are_accepted = false;
        }
    }
    are_accepted
}

fn webhook_message(
    snapshot: &Snapshot,
    receiver: &Webhook,
    alert: &Alert,
    now: u64,
) -> Option<Message> {
    let url = snapshot.secret(&receiver.url)?;
    let body = alert.to_json(now);
    let secret = receiver.secret.as_ref().and_then(|source| snapshot.secret(source));
    let signature = secret.map(|secret| (SIGNATURE, webhook::signature(&secret, &body, now)));
    let headers = [(ID, alert.id())].into_iter().chain(signature).collect();
    Some(Message { url, content_type: "application/json", headers, body, service: None })
}

/// A message that publishes to a topic, whose ARN names its region. Source: the API reference of
/// Amazon SNS, *Publish*.
fn sns_message(topic: &str, alert: &Alert, now: u64) -> Option<Message> {
    // An ARN is `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
    let mut parts = topic.split(':');
    let (partition, region) = (parts.nth(1)?, parts.nth(1)?);
    let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let subject = format!("Budget of {}: {} %", alert.tenant(), alert.level());
    let message = format!("{}\n\n{}", alert.sentence(), alert.to_json(now));
    let fields = [
        ("Action", "Publish"),
        ("Message", &message),
        ("Subject", &subject),
        ("TopicArn", topic),
        ("Version", SNS_VERSION),
    ];
    let pairs = fields.map(|(name, value)| format!("{name}={}", form_encoded(value)));
    Some(Message {
        url: Secret::new(format!("https://sns.{region}.{suffix}/")),
        content_type: "application/x-www-form-urlencoded; charset=utf-8",
        headers: vec![],
        body: pairs.join("&"),
        service: Some(("sns", region.to_owned())),
    })
}

/// A value as forms carry it: every byte but the unreserved ones of RFC 3986 as `%XX`.
fn form_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_form_is_encoded_byte_by_byte() {
        assert_eq!(form_encoded("a b/ü~&"), "a%20b%2F%C3%BC~%26");
    }
}
