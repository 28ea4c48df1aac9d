//! Numbers as people read them: counts, money, shares and durations, each with its unit.

use std::{fmt, time::Duration};

/// A whole number, shown with separators between thousands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// Millionths of a US dollar, shown with as many decimals as say something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub u64);

/// Parts of a whole, shown in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many parts.
    pub part: u64,
    /// How many make the whole.
    pub whole: u64,
}

/// A duration, shown in the unit that fits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Took(pub Duration);

impl Took {
    /// A duration of so many milliseconds.
    pub fn ms(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl Money {
    /// Dollars with all six decimals and no sign, as a table of costs wants them.
    pub fn exact(self) -> String {
        format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }

    /// The amount in dollars without sign and separators, as a form wants it.
    pub fn plain(self) -> String {
        let text = self.exact();
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rounds `micros` to `decimals` decimals and gives the decimals' digits with the whole dollars.
fn rounded(micros: u64, decimals: u32) -> (u64, u64) {
    let unit = 10_u64.pow(6 - decimals);
    let units = (micros + unit / 2) / unit;
    let per_dollar = 10_u64.pow(decimals);
    (units / per_dollar, units % per_dollar)
}

impl Count {
    /// The number with what it counts, such as `1 call` or `2 calls`.
    pub fn of(self, thing: &str) -> String {
        let ending = if self.0 == 1 { "" } else { "s" };
        format!("{self} {thing}{ending}")
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_separators(self.0))
    }
}

impl fmt::Display for Money {
    /// From a dollar on two decimals, from a hundredth of a cent on four, below that six.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0 {
            0 => return f.write_str("$0"),
            1_000_000.. => 2,
            100.. => 4,
            _ => 6,
        };
        let (dollars, rest) = rounded(self.0, decimals);
        let rest = format!("{rest:0width$}", width = decimals as usize);
        let short = rest.trim_end_matches('0');
        let kept = if short.len() < 2 { rest.get(..2).unwrap_or(&rest) } else { short };
        write!(f, "${}.{kept}", with_separators(dollars))
    }
}

impl fmt::Display for Share {
    /// Nothing of nothing is shown as a dash, and no fault is rounded away to 100 %.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole == 0 {
            return f.write_str("–");
        }
        let tenths = u128::from(self.part) * 1000 / u128::from(self.whole);
        match tenths % 10 {
            0 => write!(f, "{} %", tenths / 10),
            tenth => write!(f, "{}.{tenth} %", tenths / 10),
        }
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let seconds = self.0.as_secs();
        match seconds {
            0 if micros < 10_000 => write!(f, "{}.{} ms", micros / 1000, micros % 1000 / 100),
            0 => write!(f, "{} ms", micros / 1000),
            1..60 => write!(f, "{}.{} s", seconds, micros % 1_000_000 / 100_000),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..172_800 => write!(f, "{} h {} min", seconds / 3600, seconds % 3600 / 60),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [0, 1, 2_000].map(|it| Count(it).of("call")),
            ["0 calls", "1 call", "2,000 calls"]
        );
    }

    #[test]
    fn thousands_are_separated() {
        let shown = [0, 999, 1000, 1_234_567].map(|it| Count(it).to_string());
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn money_has_as_many_decimals_as_say_something() {
        let shown = [0, 20, 406, 44_100, 10_000, 2_140_000, 1_234_500_000, 999_999];
        let shown = shown.map(|it| Money(it).to_string());
        let wanted =
            ["$0", "$0.00002", "$0.0004", "$0.0441", "$0.01", "$2.14", "$1,234.50", "$1.00"];
        assert_eq!(shown, wanted);
        assert_eq!(Money(406).exact(), "0.000406");
        assert_eq!(Money(50_000_000).plain(), "50");
    }

    #[test]
    fn a_single_failure_in_many_is_not_rounded_away() {
        assert_eq!(Share { part: 1_275, whole: 1_284 }.to_string(), "99.2 %");
        assert_eq!(Share { part: 99_999, whole: 100_000 }.to_string(), "99.9 %");
        assert_eq!(Share { part: 3, whole: 3 }.to_string(), "100 %");
        assert_eq!(Share { part: 0, whole: 0 }.to_string(), "–");
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        let shown = [0, 3, 103, 2_107, 65_000, 8_000_000, 86_400_000, 200_000_000]
            .map(|it| Took::ms(it).to_string());
        assert_eq!(
            shown,
            [
                "0.0 ms",
                "3.0 ms",
                "103 ms",
                "2.1 s",
                "1 min 5 s",
                "2 h 13 min",
                "24 h 0 min",
                "2 days"
            ]
        );
    }
}
