//! The time bar of a call: one line from arrival to end for admission, each attempt and settlement.

use std::fmt::Write as _;

use crate::{
    moment::{Html, escaped},
    number::Took,
};

const LANE_HEIGHT: usize = 30;
const AXIS_HEIGHT: usize = 22;

/// What a stretch of time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Our own work.
    Ours,
    /// Waiting for a first token.
    Waiting,
    /// Tokens arriving.
    Answering,
    /// An attempt that failed.
    Failed,
    /// An attempt that was given up because another was faster or the client had left.
    Canceled,
}

impl Spent {
    fn class(self) -> &'static str {
        match self {
            Self::Ours => "s5",
            Self::Waiting => "s-wait",
            Self::Answering => "s-ok",
            Self::Failed => "s-err",
            Self::Canceled => "s-off",
        }
    }
}

/// A stretch of time within a lane, in milliseconds since arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// When it began.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// What it was spent on.
    pub spent: Spent,
    /// What a pointer over it reads.
    pub title: String,
}

/// One line of the bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// What stands at the left.
    pub name: String,
    /// The stretches, earliest first.
    pub stretches: Vec<Stretch>,
    /// What stands beside the last stretch.
    pub note: String,
}

/// One bar from a call's arrival to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeBar {
    /// What the bar shows, in a sentence.
    pub label: String,
    /// From arrival to the end, in milliseconds.
    pub total: f64,
    /// The lanes, earliest first.
    pub lanes: Vec<Lane>,
}

/// The distance between ticks: at most six of a round length.
fn tick_for(total: f64) -> f64 {
    let mut power = 0.1;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            // The second condition ends the loop for a total that is no number.
            if total <= power * factor * 6.0 || 1e12 < power {
                return power * factor;
            }
        }
        power *= 10.0;
    }
}

fn tick_text(at: f64, tick: f64) -> String {
    match tick {
        ..1.0 => format!("{at:.1} ms"),
        ..200.0 => format!("{at:.0} ms"),
        ..1000.0 => format!("{:.1} s", at / 1000.0),
        _ => Took(std::time::Duration::from_secs_f64((at / 1000.0).max(0.0))).to_string(),
    }
}

impl TimeBar {
    fn x(&self, at: f64) -> f64 {
        // Room at the right for the last tick's label.
        (at / self.total.max(0.1) * 97.0).clamp(0.0, 97.0)
    }

    fn ticks(&self, height: usize) -> String {
        let tick = tick_for(self.total);
        let mut text = String::new();
        let mut at = 0.0;
        let mut place = 0;
        while at <= self.total {
            let (x, anchor) = (self.x(at), if place == 0 { "start" } else { "middle" });
            // The stylesheet hides every other label in a narrow window.
            let class = if place % 2 == 1 { " class=\"beside\"" } else { "" };
            let label = tick_text(at, tick);
            _ = write!(
                text,
                "<line class=\"s-line\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"18\" y2=\"{height}\"/>\
                 <text{class} x=\"{x:.2}%\" y=\"12\" text-anchor=\"{anchor}\">{label}</text>"
            );
            at += tick;
            place += 1;
        }
        text
    }

    fn rect(&self, stretch: &Stretch, y: usize) -> String {
        let x = self.x(stretch.from);
        // A stretch of a millisecond in a call of minutes must still be seen.
        let width = (self.x(stretch.to) - x).max(0.25);
        let (class, title) = (stretch.spent.class(), escaped(&stretch.title));
        format!(
            "<rect class=\"{class}\" x=\"{x:.2}%\" y=\"{y}\" width=\"{width:.2}%\" height=\"18\" \
             rx=\"3\"><title>{title}</title></rect>"
        )
    }

    /// The note, right of the lane's stretches or left of them, or upon the widest one where there is no
    /// room beside.
    fn note(&self, lane: &Lane, y: usize) -> String {
        let Some((first, last)) = lane.stretches.first().zip(lane.stretches.last()) else {
            return String::new();
        };
        let width = |it: &Stretch| self.x(it.to) - self.x(it.from);
        let widest = lane.stretches.iter().max_by(|a, b| width(a).total_cmp(&width(b)));
        let widest = widest.unwrap_or(last);
        let (from, to) = (self.x(first.from), self.x(last.to));
        let note = escaped(&lane.note);

        let is_on_bar = 45.0 < to && 35.0 < width(widest);
        // What waits is drawn pale, and takes dark letters.
        let on_bar = if widest.spent == Spent::Waiting { " strong" } else { " on-bar" };
        // A note takes about a third of the width: it stands behind the stretches where there is
        // room, else before them, else on the widest one.
        let (class, x, dx, anchor) = match () {
            () if to <= 45.0 => ("", to, 8, "start"),
            () if 60.0 < from => ("", from, -8, "end"),
            () if is_on_bar => (on_bar, self.x(widest.from), 10, "start"),
            () if 40.0 < from => ("", from, -8, "end"),
            () if to <= 70.0 => ("", to, 8, "start"),
            () => (on_bar, self.x(widest.from), 10, "start"),
        };
        format!(
            "<text class=\"beside{class}\" x=\"{x:.2}%\" dx=\"{dx}\" y=\"{}\" \
             text-anchor=\"{anchor}\">{note}</text>",
            y + 13
        )
    }

    /// The bar, with its lanes' names as text at the left.
    pub fn html(&self) -> Html {
        let height = AXIS_HEIGHT + self.lanes.len() * LANE_HEIGHT;
        let (mut names, mut content) = (String::new(), self.ticks(height));
        for (place, lane) in self.lanes.iter().enumerate() {
            let y = AXIS_HEIGHT + place * LANE_HEIGHT + 6;
            let name = escaped(&lane.name);
            _ = write!(names, "<li title=\"{name}\">{name}</li>");
            lane.stretches.iter().for_each(|it| content.push_str(&self.rect(it, y)));
            content.push_str(&self.note(lane, y));
        }
        let label = escaped(&self.label);
        Html(format!(
            "<div class=\"lanes\"><ol>{names}</ol><svg height=\"{height}\" role=\"img\" \
             aria-label=\"{label}\">{content}</svg></div>"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(total: f64) -> String {
        let title = "429 after 103 ms & more".to_owned();
        let stretch = Stretch { from: 0.0, to: total, spent: Spent::Failed, title };
        let lane =
            Lane { name: "groq".to_owned(), stretches: vec![stretch], note: "429".to_owned() };
        TimeBar { label: "Time".to_owned(), total, lanes: vec![lane] }.html().to_string()
    }

    #[test]
    fn a_bar_has_at_most_seven_ticks_of_a_round_length() {
        let ticks = [0.4, 3.0, 103.0, 2_107.0, 65_000.0].map(tick_for);
        assert_eq!(ticks.map(|it| format!("{it:.1}")), ["0.1", "0.5", "20.0", "500.0", "20000.0"]);
    }

    #[test]
    fn a_stretch_says_what_it_was() {
        let html = bar(103.0);
        assert!(html.contains("<title>429 after 103 ms &amp; more</title>"), "{html}");
        assert!(html.contains("width=\"97.00%\""), "{html}");
    }

    #[test]
    fn a_note_does_not_run_into_the_stretches_of_its_lane() {
        let stretch = |from, to, spent| Stretch { from, to, spent, title: String::new() };
        let note = |from, first, to| {
            let stretches =
                vec![stretch(from, first, Spent::Waiting), stretch(first, to, Spent::Answering)];
            let lane = Lane { name: String::new(), stretches, note: "first token".to_owned() };
            let html = TimeBar { label: String::new(), total: 100.0, lanes: vec![lane] }.html();
            let html = html.to_string();
            let at = html.find("<text class=\"beside").and_then(|_| html.rfind("<text")).unwrap();
            html.get(at..).unwrap().to_owned()
        };
        // Upon the wait, which is as wide as the note; left of both; right of both.
        assert!(note(0.0, 90.0, 100.0).contains("strong\" x=\"0.00%\" dx=\"10\""));
        assert!(note(70.0, 90.0, 100.0).contains("x=\"67.90%\" dx=\"-8\""));
        assert!(note(0.0, 10.0, 30.0).contains("x=\"29.10%\" dx=\"8\""));
    }

    #[test]
    fn a_call_that_took_no_time_is_drawn() {
        assert!(!bar(0.0).contains("NaN"));
    }
}
