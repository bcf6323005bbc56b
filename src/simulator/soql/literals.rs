//! What a field is compared with: values, and the names of spans of days like `LAST_N_DAYS:30`.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use crate::simulator::values::parse_datetime;

/// A value in a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text {
        value: String,
        /// Between the quotes, as it was written: only LIKE tells `\%` from `%`.
        raw: String,
    },
    Date(NaiveDate),
    Instant(DateTime<Utc>),
    Period(Period),
}

/// Days from a beginning up to an end, in units from the one that is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    unit: Unit,
    from: i64,
    to: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Literal {
    /// A value that stands without quotes.
    pub(super) fn of_word(word: &str) -> Option<Literal> {
        match word.to_ascii_lowercase().as_str() {
            "null" => return Some(Literal::Null),
            "true" => return Some(Literal::Bool(true)),
            "false" => return Some(Literal::Bool(false)),
            _ => {}
        }
        if is_number(word) {
            return Some(Literal::Number(word.trim_start_matches('+').to_owned()));
        }
        if let Some(time) = parse_datetime(word) {
            return Some(Literal::Instant(time));
        }
        let date = (word.len() == 10).then(|| NaiveDate::parse_from_str(word, "%Y-%m-%d").ok()).flatten();
        date.map(Literal::Date).or_else(|| Period::of_word(word).map(Literal::Period))
    }
}

/// Digits, with a sign, a point and a power of ten where they are wanted.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let (number, power) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
    let number = unsigned(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    digits(&unsigned(power)) && digits(fraction) && (digits(whole) || (whole.is_empty() && number.len() > 1))
}

impl Period {
    fn of_word(word: &str) -> Option<Period> {
        let word = word.to_ascii_uppercase();
        let of = |unit, from, to| Some(Period { unit, from, to });
        match word.split_once(':') {
            None => match word.as_str() {
                "TODAY" => of(Unit::Day, 0, 1),
                "YESTERDAY" => of(Unit::Day, -1, 0),
                "TOMORROW" => of(Unit::Day, 1, 2),
                "LAST_90_DAYS" => of(Unit::Day, -90, 1),
                "NEXT_90_DAYS" => of(Unit::Day, 1, 91),
                word => {
                    let (place, unit) = word.split_once('_')?;
                    let unit = Unit::of_word(unit).filter(|unit| *unit != Unit::Day)?;
                    match place {
                        "LAST" => of(unit, -1, 0),
                        "THIS" => of(unit, 0, 1),
                        "NEXT" => of(unit, 1, 2),
                        _ => None,
                    }
                }
            },
            Some((word, number)) => {
                let number = i64::from(number.parse::<u16>().ok()?);
                let unit = |word: &str| Unit::of_word(word.strip_suffix('S')?);
                if let Some(unit) = word.strip_prefix("LAST_N_").and_then(unit) {
                    // Today is one of the last days; this week is none of the last weeks.
                    return of(unit, -number, i64::from(unit == Unit::Day));
                }
                if let Some(unit) = word.strip_prefix("NEXT_N_").and_then(unit) {
                    return of(unit, 1, number + 1);
                }
                let unit = word.strip_prefix("N_")?.strip_suffix("_AGO").and_then(unit)?;
                of(unit, -number, 1 - number)
            }
        }
    }

    /// The first day and the first day after.
    pub(super) fn days(self, today: NaiveDate) -> (NaiveDate, NaiveDate) {
        let start = self.unit.start(today);
        // A year of five digits is written in another form.
        let last = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX);
        (self.unit.step(start, self.from).min(last), self.unit.step(start, self.to).min(last))
    }
}

impl Unit {
    /// The fiscal year is the calendar's.
    fn of_word(word: &str) -> Option<Unit> {
        match word.strip_prefix("FISCAL_").unwrap_or(word) {
            "QUARTER" => Some(Unit::Quarter),
            "YEAR" => Some(Unit::Year),
            _ => match word {
                "DAY" => Some(Unit::Day),
                "WEEK" => Some(Unit::Week),
                "MONTH" => Some(Unit::Month),
                _ => None,
            },
        }
    }

    /// The first day of the one that a day is in. A week begins on Sunday.
    fn start(self, day: NaiveDate) -> NaiveDate {
        let first = |month: u32| NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day);
        match self {
            Unit::Day => day,
            Unit::Week => day - Days::new(u64::from(day.weekday().num_days_from_sunday())),
            Unit::Month => first(day.month()),
            Unit::Quarter => first(day.month0() / 3 * 3 + 1),
            Unit::Year => first(1),
        }
    }

    fn step(self, from: NaiveDate, count: i64) -> NaiveDate {
        let size = u32::try_from(count.unsigned_abs()).unwrap_or(u32::MAX);
        let days = |days: u64| {
            if count < 0 {
                from.checked_sub_days(Days::new(days))
            } else {
                from.checked_add_days(Days::new(days))
            }
        };
        let months = |months: u32| {
            let months = Months::new(months);
            if count < 0 { from.checked_sub_months(months) } else { from.checked_add_months(months) }
        };
        let stepped = match self {
            Unit::Day => days(u64::from(size)),
            Unit::Week => days(u64::from(size) * 7),
            Unit::Month => months(size),
            Unit::Quarter => months(size.saturating_mul(3)),
            Unit::Year => months(size.saturating_mul(12)),
        };
        stepped.unwrap_or(if count < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(word: &str, today: &str) -> (String, String) {
        let Some(Literal::Period(period)) = Literal::of_word(word) else { panic!("{word} is no period") };
        let (from, to) = period.days(today.parse().unwrap());
        (from.to_string(), to.to_string())
    }

    #[test]
    fn periods_are_counted_from_the_unit_that_is_now() {
        // A Thursday.
        for (word, from, to) in [
            ("TODAY", "2026-02-12", "2026-02-13"),
            ("yesterday", "2026-02-11", "2026-02-12"),
            ("THIS_WEEK", "2026-02-08", "2026-02-15"),
            ("LAST_WEEK", "2026-02-01", "2026-02-08"),
            ("THIS_QUARTER", "2026-01-01", "2026-04-01"),
            ("LAST_FISCAL_QUARTER", "2025-10-01", "2026-01-01"),
            ("NEXT_YEAR", "2027-01-01", "2028-01-01"),
            ("LAST_90_DAYS", "2025-11-14", "2026-02-13"),
            ("LAST_N_DAYS:1", "2026-02-11", "2026-02-13"),
            ("NEXT_N_DAYS:2", "2026-02-13", "2026-02-15"),
            ("LAST_N_MONTHS:2", "2025-12-01", "2026-02-01"),
            ("N_DAYS_AGO:3", "2026-02-09", "2026-02-10"),
            ("N_FISCAL_YEARS_AGO:1", "2025-01-01", "2026-01-01"),
        ] {
            assert_eq!(span(word, "2026-02-12"), (from.to_owned(), to.to_owned()), "{word}");
        }
    }

    #[test]
    fn words_that_are_no_value_are_none() {
        for word in [
            "LAST_N_DAYS",
            "LAST_N_DAYS:",
            "LAST_N_DAYS:-1",
            "THIS_DAY",
            "LAST_N_FISCAL_DAYS:2",
            "2026-13-01",
            "1e",
            ".",
            "-",
            "1.",
            "NaN",
            "inf",
            "2026-1-1",
            "USD5",
            "--1",
            "+-1",
        ] {
            assert_eq!(Literal::of_word(word), None, "{word}");
        }
        for word in ["1", "-1.5", "+2", ".5", "1e3", "1.0E-7"] {
            assert!(matches!(Literal::of_word(word), Some(Literal::Number(_))), "{word}");
        }
    }

    proptest! {
        #[test]
        fn a_period_ends_after_it_begins(day in 0..40_000_u64, count in 1..u16::MAX, word in "(LAST_N_|NEXT_N_)(DAY|WEEK|MONTH|QUARTER|YEAR|FISCAL_YEAR)S") {
            let Some(Literal::Period(period)) = Literal::of_word(&format!("{word}:{count}")) else { panic!("{word}") };
            let (from, to) = period.days(NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + Days::new(day));
            prop_assert!(from < to, "{from} {to}");
        }
    }
}
