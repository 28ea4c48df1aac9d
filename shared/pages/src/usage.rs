//! Usage and cost: sums by day, by tenant and by model, with the budget, a forecast, and CSV.

use askama::Template;

use crate::{
    chart::{Columns, Curve},
    form::Choice,
    moment::Moment,
    number::{Count, Money},
    shell::Shell,
};

/// The page of usage and cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "usage.html")]
pub struct Usage {
    /// What surrounds the page.
    pub shell: Shell,
    /// What the sums are of.
    pub query: Query,
    /// The tenants that can be chosen.
    pub tenants: Vec<Choice>,
    /// The months that can be chosen.
    pub months: Vec<Choice>,
    /// Until when calls are in the sums.
    pub until: Moment,
    /// Spend by day.
    pub days: Columns,
    /// The sum so far, with the budget.
    pub curve: Option<Curve>,
    /// The month's cost so far.
    pub settled: Money,
    /// Money held by calls that have not ended.
    pub held: Money,
    /// Money of calls whose end was lost.
    pub lost: Money,
    /// What the month will have cost at its end, at the pace of the last seven days.
    pub forecast: Option<Money>,
    /// The budget of the tenant, or of all tenants.
    pub budget: Option<Money>,
    /// Sums by tenant.
    pub by_tenant: Vec<Row>,
    /// Sums by model.
    pub by_model: Vec<Row>,
}

/// What the sums are of, as the URL has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// A tenant's id; empty for all.
    pub tenant: String,
    /// A month such as `2026-11`.
    pub month: String,
}

/// A sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The tenant, or the provider and its model.
    pub name: String,
    /// Where its calls are listed.
    pub href: String,
    /// Calls.
    pub calls: Count,
    /// Input tokens.
    pub input: Count,
    /// Output tokens.
    pub output: Count,
    /// Cost.
    pub cost: Money,
    /// Calls whose price is not known.
    pub unpriced: Count,
}

impl Query {
    fn csv(&self) -> String {
        let (tenant, month) = (crate::requests::query_value(&self.tenant), &self.month);
        format!("/admin/usage.csv?month={month}&tenant={tenant}")
    }
}

impl Usage {
    fn total(rows: &[Row]) -> Row {
        let sum = |part: fn(&Row) -> u64| rows.iter().map(part).sum::<u64>();
        Row {
            calls: Count(sum(|it| it.calls.0)),
            input: Count(sum(|it| it.input.0)),
            output: Count(sum(|it| it.output.0)),
            cost: Money(sum(|it| it.cost.0)),
            unpriced: Count(sum(|it| it.unpriced.0)),
            ..Row::default()
        }
    }
}

/// One line of a CSV file.
pub fn csv_line(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|it| csv_field(it)).collect();
    format!("{}\n", fields.join(","))
}

/// One field of a CSV file: quoted where it must be, and never read as a formula by a spreadsheet.
fn csv_field(text: &str) -> String {
    // Names are anybody's text, and spreadsheets run cells that begin so.
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_and_no_formula() {
        let fields = ["plain", "a,b", "say \"hi\"", "=1+1", "-2"].map(csv_field);
        assert_eq!(fields, ["plain", "\"a,b\"", "\"say \"\"hi\"\"\"", "'=1+1", "'-2"]);
    }

    #[test]
    fn a_total_is_the_sum_of_its_rows() {
        let row = Row { calls: Count(2), cost: Money(5), ..Row::default() };
        let total = Usage::total(&[row.clone(), row]);
        assert_eq!((total.calls, total.cost), (Count(4), Money(10)));
    }
}
