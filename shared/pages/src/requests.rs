//! The list of requests: every call, answered or not, with filters that live in the URL.

use askama::Template;

use crate::{
    form::Choice,
    moment::Moment,
    number::{Count, Money, Took},
    shell::{Pill, Shell},
};

/// The list of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "requests.html")]
pub struct Requests {
    /// What surrounds the page.
    pub shell: Shell,
    /// How many days records are kept.
    pub kept_days: u64,
    /// What is stored of prompts, in a sentence.
    pub prompts: String,
    /// What the list is narrowed to.
    pub filter: Filter,
    /// The tenants that can be chosen.
    pub tenants: Vec<Choice>,
    /// The targets or providers that can be chosen.
    pub targets: Vec<Choice>,
    /// The rows.
    pub rows: Rows,
    /// The cursor of the next page back in time.
    pub older: Option<String>,
    /// How far back the list has looked.
    pub searched_to: Option<Moment>,
}

/// The rows of the list, which the script asks for alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "rows.html")]
pub struct Rows {
    /// The rows, newest first.
    pub rows: Vec<Row>,
    /// Where the script asks for what has come since; absent on pages further back.
    pub live: Option<String>,
}

/// The rows alone, as a document that a browser parses: rows outside a table would be dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(
    source = "<!doctype html><title>Rows</title><table>{{ rows|safe }}</table>",
    ext = "html"
)]
pub struct RowsPart {
    /// The rows.
    pub rows: Rows,
}

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// When the call ended.
    pub at: Moment,
    /// The call's id.
    pub id: String,
    /// How it ended.
    pub outcome: Pill,
    /// The tenant's name; empty where nobody was authenticated.
    pub tenant: String,
    /// What the client put in `model`.
    pub requested: String,
    /// The attempts, in order.
    pub trail: Vec<Hop>,
    /// Why no attempt was made.
    pub not_sent: String,
    /// The model that answered.
    pub model: String,
    /// Input tokens.
    pub input: Option<Count>,
    /// Output tokens.
    pub output: Option<Count>,
    /// The cost; absent where no price is known.
    pub cost: Option<Money>,
    /// What the cache has saved.
    pub saved: Option<Money>,
    /// From arrival to end.
    pub took: Took,
    /// From arrival to the first token.
    pub first_token: Option<Took>,
}

/// One attempt in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// The provider's name, and what went wrong there.
    pub text: String,
    /// Whether the attempt answered.
    pub is_success: bool,
}

/// What the list is narrowed to, as the URL has it. Empty narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// An id, a session or a model.
    pub search: String,
    /// `1h`, `24h`, `7d` or `30d`.
    pub range: String,
    /// A tenant's id.
    pub tenant: String,
    /// A provider, or a provider and its model.
    pub target: String,
    /// Which calls alone are listed; each narrows further.
    pub only: Vec<Only>,
}

/// A kind of calls that a list can be narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Calls that failed.
    Failed,
    /// Calls with more than one attempt.
    FailedOver,
    /// Calls of more than ten seconds.
    Slow,
    /// Calls of more than a cent.
    Expensive,
}

impl Only {
    /// Every kind, in the order in which the list offers them.
    pub const ALL: [Self; 4] = [Self::Failed, Self::FailedOver, Self::Slow, Self::Expensive];

    /// The name in the URL, whose value is `1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::FailedOver => "failed_over",
            Self::Slow => "slow",
            Self::Expensive => "expensive",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::FailedOver => "Failed over",
            Self::Slow => "Over 10 s",
            Self::Expensive => "Over $0.01",
        }
    }
}

/// A filter that is switched by a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chip {
    /// The filter's name in the URL.
    pub name: &'static str,
    /// What the link says.
    pub text: &'static str,
    /// Whether the filter is on.
    pub is_on: bool,
    /// The list with the filter switched.
    pub href: String,
}

/// Text as a value in a query.
pub(crate) fn query_value(text: &str) -> String {
    let mut value = String::new();
    for byte in text.bytes() {
        match byte {
            // What RFC 3986 leaves unreserved. A space is %20 and not `+`, which only forms decode.
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                value.push(char::from(byte));
            }
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}

impl Filter {
    /// The parts of the query, those that narrow nothing left out.
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("q", &self.search),
            ("range", &self.range),
            ("tenant", &self.tenant),
            ("target", &self.target),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let texts = texts.map(|(name, text)| (name, text.clone()));

        texts.chain(self.only.iter().map(|it| (it.name(), "1".to_owned()))).collect()
    }

    /// The path of a page of the list, such as `/admin/requests`, with this filter.
    pub fn href(&self, path: &str) -> String {
        let parts = self.parts();
        let parts: Vec<String> =
            parts.iter().map(|(name, value)| format!("{name}={}", query_value(value))).collect();
        if parts.is_empty() { path.to_owned() } else { format!("{path}?{}", parts.join("&")) }
    }

    /// The path of the list with this filter and one more part of the query.
    pub fn href_with(&self, name: &str, value: &str) -> String {
        let href = self.href("/admin/requests");
        let separator = if href.contains('?') { '&' } else { '?' };
        format!("{href}{separator}{name}={}", query_value(value))
    }

    /// Whether anything is narrowed but the time.
    pub fn is_narrow(&self) -> bool {
        self.parts().iter().any(|(name, _)| *name != "range")
    }

    /// The same filter with one kind of calls switched on or off.
    fn switched(&self, only: Only) -> Self {
        let mut filter = self.clone();
        if filter.only.contains(&only) {
            filter.only.retain(|it| *it != only);
        } else {
            filter.only.push(only);
        }
        filter
    }

    fn chips(&self) -> [Chip; 4] {
        Only::ALL.map(|only| Chip {
            name: only.name(),
            text: only.text(),
            is_on: self.only.contains(&only),
            href: self.switched(only).href("/admin/requests"),
        })
    }
}

impl Requests {
    fn ranges(&self) -> [(&'static str, &'static str); 4] {
        [
            ("1h", "Last hour"),
            ("24h", "Last 24 hours"),
            ("7d", "Last 7 days"),
            ("30d", "Last 30 days"),
        ]
    }

    fn older_href(&self) -> Option<String> {
        self.older.as_ref().map(|cursor| self.filter.href_with("cursor", cursor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_combine_in_the_url_and_switch_off_one_by_one() {
        let filter = Filter {
            search: "a&b c".to_owned(),
            only: vec![Only::Failed, Only::Slow],
            ..Filter::default()
        };
        assert_eq!(filter.href("/admin/requests"), "/admin/requests?q=a%26b%20c&failed=1&slow=1");
        let failed = &filter.chips()[0];
        assert!(failed.is_on);
        assert_eq!(failed.href, "/admin/requests?q=a%26b%20c&slow=1");
    }

    #[test]
    fn a_cursor_joins_whatever_the_query_has() {
        assert_eq!(Filter::default().href_with("cursor", "x"), "/admin/requests?cursor=x");
        let filter = Filter { range: "1h".to_owned(), ..Filter::default() };
        assert_eq!(filter.href_with("cursor", "x"), "/admin/requests?range=1h&cursor=x");
    }
}
