//! The overview: what happened lately, and what needs attention.

use askama::Template;

use crate::{
    chart::Columns,
    moment::{Html, Moment},
    number::{Count, Money, Share, Took},
    shell::{Link, Pill, Shell},
};

/// The overview.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What surrounds the page.
    pub shell: Shell,
    /// The window, as the query names it: `24h`, `7d` or `30d`.
    pub window: String,
    /// The end of the window.
    pub until: Moment,
    /// The sums of the window.
    pub figures: Figures,
    /// Spend by day and provider.
    pub spend: Columns,
    /// What needs attention.
    pub attention: Vec<Attention>,
    /// Calls that failed, newest first.
    pub failures: Vec<Failure>,
}

/// The sums of a window, with the values of its parts for the curves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls of any outcome.
    pub calls: Count,
    /// Calls in the window before, for comparison.
    pub calls_before: Option<Count>,
    /// Calls that were answered.
    pub answered: Count,
    /// Calls that failed; refused ones are not among them.
    pub failed: Count,
    /// Calls that another target than the first answered.
    pub failed_over: Count,
    /// What the window cost.
    pub spend: Money,
    /// What the month has cost so far.
    pub month: Money,
    /// The sum of the tenants' monthly budgets, where all have one.
    pub budget: Option<Money>,
    /// The median time to the first token.
    pub first_token: Option<Took>,
    /// The gateway's part of that time.
    pub overhead: Option<Took>,
    /// Calls in each part of the window.
    pub calls_curve: Vec<u64>,
    /// Failures in each part of the window.
    pub failed_curve: Vec<u64>,
    /// Spend in each part of the window.
    pub spend_curve: Vec<u64>,
    /// Milliseconds to the first token in each part of the window.
    pub first_token_curve: Vec<u64>,
}

/// Something that needs attention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// What it is about.
    pub subject: String,
    /// What is the case, and since when.
    pub text: String,
    /// The state.
    pub pill: Option<Pill>,
    /// What to do.
    pub link: Option<Link>,
}

/// A call that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// When the call ended.
    pub at: Moment,
    /// The call's id.
    pub id: String,
    /// The tenant's name.
    pub tenant: String,
    /// What the client put in `model`.
    pub requested: String,
    /// What happened, in a sentence.
    pub text: String,
    /// From arrival to end.
    pub took: Took,
}

impl Figures {
    fn answered_share(&self) -> Share {
        Share { part: self.answered.0, whole: self.answered.0 + self.failed.0 }
    }

    /// The change against the window before, such as `+12 %`.
    fn change(&self) -> Option<String> {
        let before = self.calls_before?.0;
        // Growth from nothing has no percentage.
        if before == 0 {
            return None;
        }
        let now = i128::from(self.calls.0);
        let percent = (now - i128::from(before)) * 100 / i128::from(before);
        Some(format!("{percent:+} %"))
    }

    fn curve(values: &[u64]) -> Html {
        crate::chart::sparkline(values)
    }
}

impl Overview {
    fn windows(&self) -> [(&'static str, &'static str); 3] {
        [("24h", "24 h"), ("7d", "7 days"), ("30d", "30 days")]
    }

    fn window_name(&self) -> &'static str {
        match self.window.as_str() {
            "7d" => "Last 7 days",
            "30d" => "Last 30 days",
            _ => "Last 24 hours",
        }
    }
}
