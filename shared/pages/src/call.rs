//! One call: the story in a sentence, the time bar, attempts, what it cost, what was dropped.

use std::time::Duration;

use askama::Template;

use crate::{
    call_outcome,
    moment::{Html, Moment},
    number::{Count, Money, Took},
    shell::{Pill, Shell, Tone},
    time_bar::{Lane, Spent, Stretch, TimeBar},
};

/// The page of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "call.html")]
pub struct Call {
    /// What surrounds the page.
    pub shell: Shell,
    /// The call's id.
    pub id: String,
    /// When the request arrived.
    pub arrived: Moment,
    /// How the call ended.
    pub end: End,
    /// How it ended, as a word.
    pub outcome: Pill,
    /// Who called, by name; empty where nobody was authenticated.
    pub tenant: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// What the client put in `model`.
    pub requested: String,
    /// The route, if the name was one.
    pub route: Option<String>,
    /// The model that the last provider was sent.
    pub sent: Option<String>,
    /// The model that the provider named in its response.
    pub answered: Option<String>,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
    /// How long each part took.
    pub times: Times,
    /// Facts with their names, such as the provider's id for the request.
    pub facts: Vec<Fact>,
    /// What the provider was not sent.
    pub dropped: Vec<String>,
    /// What each class of tokens cost.
    pub classes: Vec<ClassCost>,
    /// What the call was expected to cost at most, before it was made.
    pub held: Option<Money>,
    /// What the call cost; absent where no price is known.
    pub cost: Option<Money>,
    /// Whether the tokens were estimated, because the provider did not report them.
    pub is_estimated: bool,
    /// What the cache has saved.
    pub saved: Option<Money>,
    /// The response's head, as the client saw it.
    pub response: String,
    /// Prompt and answer, where they are stored.
    pub contents: Option<Contents>,
}

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The client got its response.
    #[default]
    Answered,
    /// The response came from the cache.
    Cached,
    /// The gateway refused the request without an attempt; why.
    Refused(String),
    /// The call failed; what the client read.
    Failed(String),
    /// The stream broke after it had begun; what the client read.
    Interrupted(String),
    /// The client left.
    Canceled,
}

/// One attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The provider's name.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The key's fingerprint.
    pub key: String,
    /// How the attempt ended.
    pub result: Result,
    /// The provider's HTTP status.
    pub status: Option<u16>,
    /// What went wrong, in a word such as `rate_limit`.
    pub code: String,
    /// What went wrong, in a sentence.
    pub message: Option<String>,
    /// From arrival to the attempt's start, in milliseconds.
    pub start_ms: u64,
    /// From the attempt's start to its first token, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// From the attempt's start to its end, in milliseconds.
    pub duration_ms: u64,
    /// What was decided then, in a few words.
    pub then: String,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Result {
    /// A response came.
    #[default]
    Success,
    /// The attempt failed.
    Failed,
    /// The attempt was given up.
    Canceled,
}

/// How long each part of a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From arrival until the call was admitted.
    pub admit: Option<Duration>,
    /// From arrival to the first token.
    pub first_token: Option<Duration>,
    /// From arrival to the end.
    pub total: Duration,
    /// The gateway's part of the time to the first token.
    pub overhead: Option<Duration>,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens.
    pub input_tokens: u64,
}

/// A fact with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// The name.
    pub name: &'static str,
    /// The fact.
    pub text: String,
    /// Whether the fact is code: an id, or a name on a wire.
    pub is_code: bool,
}

/// What one class of tokens cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassCost {
    /// The class, such as `Cached input`.
    pub name: &'static str,
    /// How many tokens.
    pub tokens: Count,
    /// Dollars per million tokens; absent where no price is known.
    pub per_million: Option<Money>,
    /// The cost; absent where no price is known.
    pub cost: Option<Money>,
}

/// Prompt and answer of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// What the client sent, cut.
    pub request: String,
    /// What it got, cut.
    pub response: String,
    /// When both are deleted.
    pub until: Moment,
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "no call lasts for so many milliseconds")]
fn float(millis: u64) -> f64 {
    millis as f64
}

impl Attempt {
    fn took(&self) -> Took {
        Took::ms(self.duration_ms)
    }

    fn first_token(&self) -> Option<Took> {
        self.first_token_ms.map(Took::ms)
    }

    fn pill(&self) -> Pill {
        let tone = match self.result {
            Result::Success => Tone::Ok,
            Result::Failed => Tone::Err,
            Result::Canceled => Tone::Off,
        };
        let text = match self.result {
            Result::Canceled => "given up".to_owned(),
            Result::Success | Result::Failed => {
                self.status.map_or_else(|| self.code.replace('_', " "), |it| it.to_string())
            }
        };
        Pill::new(tone, text)
    }

    /// The words beside the attempt's stretch in the time bar.
    fn note(&self, output_tokens: u64) -> String {
        let took = Took::ms(self.duration_ms);
        match (self.result, self.first_token_ms) {
            (Result::Success, Some(first)) => {
                // A whole response in one event has no time in which its tokens arrived.
                let rate = output_tokens * 1000 / (self.duration_ms.saturating_sub(first)).max(1);
                let rate = if 0 < rate { format!(", then {rate} tokens/s") } else { String::new() };
                format!("first token after {}{rate}", Took::ms(first))
            }
            (Result::Success, None) => format!("answered in {took}"),
            (Result::Failed, _) => format!("{} → {}", call_outcome::failure(self), self.then),
            (Result::Canceled, _) => format!("given up after {took}"),
        }
    }

    fn lane(&self, output_tokens: u64) -> Lane {
        let start = float(self.start_ms);
        let end = start + float(self.duration_ms);
        let note = self.note(output_tokens);
        let stretch =
            |from, to, spent, title: &str| Stretch { from, to, spent, title: title.to_owned() };
        let stretches = match (self.result, self.first_token_ms) {
            (Result::Success, first) => {
                // Without a stream the first token came with the whole response.
                let first = start + float(first.unwrap_or(self.duration_ms));
                vec![
                    stretch(start, first, Spent::Waiting, "waiting for the response"),
                    stretch(first, end, Spent::Answering, &note),
                ]
            }
            (Result::Failed, _) => vec![stretch(start, end, Spent::Failed, &note)],
            (Result::Canceled, _) => vec![stretch(start, end, Spent::Canceled, &note)],
        };
        Lane { name: self.provider.clone(), stretches, note }
    }
}

impl Call {
    fn story(&self) -> Html {
        call_outcome::of(self)
    }

    fn title(&self) -> String {
        let requested =
            if self.requested.is_empty() { "no model" } else { self.requested.as_str() };
        let tenant = if self.tenant.is_empty() { "an unknown key" } else { self.tenant.as_str() };
        format!("{requested}, for {tenant}")
    }

    /// The names of the model: as requested, as sent, and as the provider gave it back.
    fn names(&self) -> Html {
        call_outcome::names(self)
    }

    fn ended(&self) -> Moment {
        let total = u64::try_from(self.times.total.as_millis()).unwrap_or(0);
        Moment(self.arrived.0 + total)
    }

    fn total(&self) -> Took {
        Took(self.times.total)
    }

    /// The lanes: our work before the first attempt, the attempts, and our work behind the last.
    fn time_bar(&self) -> Html {
        let total = millis(self.times.total);
        let mut lanes = vec![];

        if let Some(admit) = self.times.admit {
            let note = Took(admit).to_string();
            let title = format!("key, limits, budget and route in {note}");
            let stretch = Stretch { from: 0.0, to: millis(admit), spent: Spent::Ours, title };
            lanes.push(Lane { name: "admitted".to_owned(), stretches: vec![stretch], note });
        }
        lanes.extend(self.attempts.iter().map(|it| it.lane(self.times.output_tokens)));

        // Without a width: the call is over for its client, whatever runs behind it.
        let stretch = Stretch {
            from: total,
            to: total,
            spent: Spent::Ours,
            title: "end of the call".to_owned(),
        };
        let note = format!("after {}", self.total());
        lanes.push(Lane { name: "ended".to_owned(), stretches: vec![stretch], note });
        TimeBar { label: format!("Time line: {}", call_outcome::text(self)), total, lanes }.html()
    }
}
