//! Charts as SVG: columns, curves and sparklines.
//!
//! Horizontal places are percentages, so that a chart fits any width while its text keeps its size.
//! Each chart has a label that says what it shows; the page puts the same numbers into a table.

use std::fmt::Write as _;

use crate::{
    moment::{Html, escaped},
    number::{Count, Money},
};

const HEIGHT: f64 = 200.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 176.0;
/// How many labels stand below a chart at most.
const MAX_LABELS: usize = 14;

/// What the numbers of a chart are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Whole numbers.
    #[default]
    Count,
    /// Millionths of a US dollar.
    Money,
}

impl Unit {
    fn text(self, value: u64) -> String {
        match self {
            Self::Count => Count(value).to_string(),
            Self::Money => Money(value).to_string(),
        }
    }
}

/// One part of every column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// A value for each label.
    pub values: Vec<u64>,
}

/// Stacked columns over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// What the chart shows, in a sentence.
    pub label: String,
    /// What stands below each column.
    pub labels: Vec<String>,
    /// The parts of the columns, largest first; up to five have colours of their own.
    pub series: Vec<Series>,
    /// What the numbers are.
    pub unit: Unit,
}

/// A sum that grows over a period, with the limit that it must not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// What the chart shows, in a sentence.
    pub label: String,
    /// What stands below each point of the whole period.
    pub labels: Vec<String>,
    /// The sums so far, in micro-dollars.
    pub sums: Vec<u64>,
    /// The sum expected at the period's end.
    pub forecast: Option<u64>,
    /// The budget.
    pub limit: Option<u64>,
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that reaches `max` in at most four steps.
fn step_for(max: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [10, 20, 25, 50] {
            let step = (power * factor).div_ceil(10);
            if max <= step.saturating_mul(4) || u64::MAX / 100 < power {
                return step;
            }
        }
        power *= 10;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture has no room for the difference")]
fn portion(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(index: usize, count: usize) -> f64 {
    let (index, count) = (u64::try_from(index).unwrap_or(0), u64::try_from(count).unwrap_or(1));
    portion(index, count.max(1)) * 100.0
}

fn height_of(value: u64, top: u64) -> f64 {
    portion(value, top) * (BOTTOM - TOP)
}

/// The numbers at the left, and the lines behind the chart.
fn axis(top: u64, step: u64, unit: Unit) -> (String, String) {
    let (mut numbers, mut lines) = (String::new(), String::new());
    let mut value = 0;
    while value <= top {
        let y = BOTTOM - height_of(value, top);
        let text = unit.text(value);
        // Whole dollars leave room for larger numbers.
        let text = text.strip_suffix(".00").unwrap_or(&text);
        _ = write!(
            numbers,
            "<text x=\"44\" y=\"{:.0}\" text-anchor=\"end\">{text}</text>",
            y + 4.0
        );
        _ = write!(
            lines,
            "<line class=\"s-line\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
        value += step;
    }
    (numbers, lines)
}

fn labels(names: &[String]) -> String {
    let every = names.len().div_ceil(MAX_LABELS).max(1);
    let mut text = String::new();
    for (place, (index, name)) in names.iter().enumerate().step_by(every).enumerate() {
        let x = percent(index, names.len()) + percent(1, names.len()) / 2.0;
        let class = if place % 2 == 1 { " class=\"every-other\"" } else { "" };
        // A month beside every day would not fit.
        let name = escaped(name.split(' ').next().unwrap_or_default());
        _ = write!(
            text,
            "<text{class} x=\"{x:.2}%\" y=\"194\" text-anchor=\"middle\">{name}</text>"
        );
    }
    text
}

fn plot(label: &str, numbers: &str, content: &str) -> Html {
    let label = escaped(label);
    Html(format!(
        "<div class=\"plot\"><svg height=\"{HEIGHT}\" aria-hidden=\"true\">{numbers}</svg>\
         <svg height=\"{HEIGHT}\" role=\"img\" aria-label=\"{label}\">{content}</svg></div>"
    ))
}

impl Columns {
    fn total(&self, index: usize) -> u64 {
        self.series.iter().filter_map(|it| it.values.get(index)).sum()
    }

    /// The colour's class of a series, by its place.
    pub fn class(place: &usize) -> String {
        // More colours could not be told apart.
        format!("s{}", (*place).min(4) + 1)
    }

    /// The value of a series at a label, as text.
    pub fn cell(&self, series: &Series, index: &usize) -> String {
        self.unit.text(series.values.get(*index).copied().unwrap_or_default())
    }

    /// The sum of a column, as text.
    pub fn sum(&self, index: &usize) -> String {
        self.unit.text(self.total(*index))
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        (0..self.labels.len()).all(|index| self.total(index) == 0)
    }

    fn column(&self, index: usize, top: u64) -> String {
        let count = self.labels.len();
        // A third of each place stays free, so that columns do not run together.
        let width = percent(1, count) * 0.66;
        let x = percent(index, count) + percent(1, count) * 0.17;
        let mut base = BOTTOM;
        let mut rects = String::new();
        for (place, series) in self.series.iter().enumerate() {
            let value = series.values.get(index).copied().unwrap_or_default();
            let height = height_of(value, top);
            base -= height;
            if 0 < value {
                let class = Self::class(&place);
                let label = self.labels.get(index).map_or("", String::as_str);
                let title =
                    escaped(&format!("{label}, {}: {}", series.name, self.unit.text(value)));
                _ = write!(
                    rects,
                    "<rect class=\"{class}\" x=\"{x:.2}%\" y=\"{base:.1}\" width=\"{width:.2}%\" \
                     height=\"{height:.1}\"><title>{title}</title></rect>"
                );
            }
        }
        rects
    }

    /// The chart.
    pub fn svg(&self) -> Html {
        let max = (0..self.labels.len()).map(|index| self.total(index)).max().unwrap_or_default();
        let step = step_for(max);
        // Without any value there is still an axis to draw.
        let top = step * max.div_ceil(step).max(1);
        let (numbers, lines) = axis(top, step, self.unit);
        let columns: String = (0..self.labels.len()).map(|it| self.column(it, top)).collect();
        plot(&self.label, &numbers, &format!("{lines}{columns}{}", labels(&self.labels)))
    }
}

impl Curve {
    fn points(&self, values: impl Iterator<Item = (usize, u64)>, top: u64) -> String {
        let count = self.labels.len();
        let mut points = String::new();
        for (index, value) in values {
            let y = 100.0 - portion(value, top) * 100.0;
            _ = write!(points, "{:.2},{y:.2} ", percent(index, count) + percent(1, count) / 2.0);
        }
        points
    }

    fn line(class: &str, points: &str) -> String {
        let height = BOTTOM - TOP;
        // Without `non-scaling-stroke` the line would become as much thicker as the chart is wider.
        format!(
            "<svg x=\"0\" y=\"{TOP}\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 100 100\" \
             preserveAspectRatio=\"none\"><polyline class=\"{class}\" \
             vector-effect=\"non-scaling-stroke\" points=\"{points}\"/></svg>"
        )
    }

    fn limit_line(limit: u64, top: u64) -> String {
        let y = BOTTOM - height_of(limit, top);
        format!(
            "<line class=\"s-limit\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"0\" y=\"{:.1}\">budget {}</text>",
            y - 5.0,
            Money(limit)
        )
    }

    /// The chart.
    pub fn svg(&self) -> Html {
        let last = self.sums.last().copied().unwrap_or_default();
        let expected = self.forecast.unwrap_or_default();
        let max = last.max(expected).max(self.limit.unwrap_or_default());
        let step = step_for(max);
        let top = step * max.div_ceil(step).max(1);

        let (numbers, mut content) = axis(top, step, Unit::Money);
        if let Some(limit) = self.limit {
            content.push_str(&Self::limit_line(limit, top));
        }
        let sums = self.sums.iter().copied().enumerate();
        content.push_str(&Self::line("s-curve", &self.points(sums, top)));
        if let Some(forecast) = self.forecast {
            let ends =
                [(self.sums.len().saturating_sub(1), last), (self.labels.len() - 1, forecast)];
            content.push_str(&Self::line("s-forecast", &self.points(ends.into_iter(), top)));
        }
        content.push_str(&labels(&self.labels));
        plot(&self.label, &numbers, &content)
    }
}

/// A small curve without axes, for a figure whose number stands above it.
pub fn sparkline(values: &[u64]) -> Html {
    let max = values.iter().max().copied().unwrap_or_default();
    let mut points = String::new();
    for (index, value) in values.iter().enumerate() {
        // From edge to edge, unlike columns: the last value stands at the right.
        let x = percent(index, values.len().saturating_sub(1));
        _ = write!(points, "{x:.1},{:.1} ", 28.0 - portion(*value, max) * 25.0);
    }
    Html(format!(
        "<svg viewBox=\"0 0 100 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <polyline class=\"s-curve\" vector-effect=\"non-scaling-stroke\" points=\"{points}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(values: &[u64]) -> Columns {
        let labels = (1..=values.len()).map(|it| it.to_string()).collect();
        let series = vec![Series { name: "<groq>".to_owned(), values: values.to_vec() }];
        Columns { label: "Spend & more".to_owned(), labels, series, unit: Unit::Money }
    }

    #[test]
    fn an_axis_has_at_most_four_round_steps() {
        let steps = [0, 3, 4, 5, 9, 11, 900, 3_800_000].map(step_for);
        assert_eq!(steps, [1, 1, 1, 2, 3, 3, 250, 1_000_000]);
    }

    #[test]
    fn a_column_says_its_value_and_escapes_its_name() {
        let svg = columns(&[1_000_000, 0, 4_000_000]).svg().to_string();
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("<title>3, &lt;groq&gt;: $4.00</title>"), "{svg}");
        assert!(svg.contains("aria-label=\"Spend &amp; more\""), "{svg}");
    }

    #[test]
    fn a_chart_of_nothing_is_still_one() {
        assert!(columns(&[]).is_empty());
        assert!(columns(&[0, 0]).svg().to_string().contains("role=\"img\""));
        let svg = Curve::default().svg().to_string();
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn a_forecast_goes_on_from_the_last_sum_to_the_periods_end() {
        let labels = (1..=4).map(|it| it.to_string()).collect();
        let sums = vec![100, 200];
        let curve =
            Curve { labels, sums, forecast: Some(400), limit: Some(300), ..Curve::default() };
        let svg = curve.svg().to_string();
        assert!(svg.contains("points=\"37.50,50.00 87.50,0.00 \""), "{svg}");
        assert!(svg.contains("s-limit"), "{svg}");
    }
}
