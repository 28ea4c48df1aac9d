//! Webhooks: what an alert says to a program, and the signature by which the program knows whose it is.
//!
//! The signature has Stripe's form: `t=1790000000,v1=…`, the HMAC-SHA256 over the time, a dot and the
//! body, so that an old message cannot be sent again.

use ring::hmac;
use serde_json::json;
use storage::Secret;

use crate::{alert::Alert, fields::dollars_as_json, text::hexadecimal, window::rfc3339};

/// The value of the signature's header, for a body that is sent at `now` (seconds since 1970).
pub fn signature(secret: &Secret, body: &str, now: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mac = hmac::sign(&key, format!("{now}.{body}").as_bytes());
    format!("t={now},v1={}", hexadecimal(mac.as_ref()))
}

impl Alert {
    /// The tenant's id.
    pub fn tenant(&self) -> &str {
        self.key.tenant_id()
    }

    /// The highest level that was reached, in percent.
    pub fn level(&self) -> u8 {
        self.levels.last().copied().unwrap_or(0)
    }

    /// What makes the alert one: whoever gets it twice, which can happen, knows by this.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.tenant(), self.period, self.level())
    }

    /// The alert as JSON.
    pub fn to_json(&self, now: u64) -> String {
        json!({
            "type": "budget_alert",
            "id": self.id(),
            "tenant_id": self.tenant(),
            "level": self.level(),
            "levels": self.levels,
            "period_start": rfc3339(self.period.start()),
            "period_end": rfc3339(self.period.end()),
            "spent_usd": dollars_as_json(self.spent),
            "budget_usd": dollars_as_json(self.budget),
            "sent_at": rfc3339(now),
        })
        .to_string()
    }

    /// The alert as a sentence.
    pub fn sentence(&self) -> String {
        let (tenant, level) = (self.tenant(), self.level());
        let (spent, budget) = (self.spent, self.budget);
        format!(
            "Tenant {tenant} has spent ${spent} of its budget of ${budget}: {level} % is reached."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_the_time_and_the_body() {
        let secret = Secret::new("whsec_test");
        let signed = signature(&secret, "{}", 1_790_000_000);
        // printf '1790000000.{}' | openssl dgst -sha256 -hmac whsec_test
        let mac = "1c2847ad1f8158a1da978f36627ac1f07f7fd027321ac9ad40bccc06743f8396";
        assert_eq!(signed, format!("t=1790000000,v1={mac}"));
        assert_ne!(signed, signature(&secret, "{}", 1_790_000_001).replace("001,", "000,"));
        assert_ne!(signed, signature(&Secret::new("other"), "{}", 1_790_000_000));
    }
}
