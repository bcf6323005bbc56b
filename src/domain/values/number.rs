//! Numbers by their digits. A binary fraction has no exact place for most of what Salesforce and PostgreSQL hold: a number
//! of 15 to 17 digits that goes through one may come out a unit off.

use std::cmp::Ordering;
use std::fmt;

/// More digits than this are no number of either side; so far, a power of ten is written out.
const LONGEST: usize = 400;

/// A number as its digits, `0.DIGITS` times a power of ten; zero has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Without zeros at either end.
    digits: Vec<u8>,
    /// Where the point stands, counted from the first digit.
    point: i64,
}

impl Decimal {
    /// Reads a number as JSON, PostgreSQL and people write it: `-12.50`, `.5`, `1.0E7`, `+3`. `None` for anything else,
    /// `NaN` and infinity included.
    pub fn parse(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, power) = match rest.split_once(['e', 'E']) {
            Some((number, power)) => (number, power.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let decimal = Decimal { negative, digits, point: whole.len() as i64 + i64::from(power) };
        Some(decimal.trimmed())
    }

    /// Cut to so many digits behind the point, half away from zero, as both sides do it.
    #[must_use]
    pub fn rounded(mut self, scale: u32) -> Decimal {
        let keep = self.point + i64::from(scale);
        if keep >= self.digits.len() as i64 {
            return self;
        }
        let Ok(keep) = usize::try_from(keep) else { return Decimal { digits: Vec::new(), ..self }.trimmed() };
        let up = self.digits[keep] >= 5;
        self.digits.truncate(keep);
        if up {
            match self.digits.iter().rposition(|digit| *digit < 9) {
                Some(at) => {
                    self.digits[at] += 1;
                    self.digits.truncate(at + 1);
                }
                None => {
                    self.digits = vec![1];
                    self.point += 1;
                }
            }
        }
        self.trimmed()
    }

    /// Whether a binary fraction of 64 bits shows exactly these digits, so that the number may come out of one.
    fn fits_double(&self) -> bool {
        self.as_double().is_some_and(|number| Decimal::parse(&format!("{number:e}")).as_ref() == Some(self))
    }

    fn as_double(&self) -> Option<f64> {
        self.to_string().parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn trimmed(mut self) -> Decimal {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        self.point -= zeros as i64;
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            (self.negative, self.point) = (false, 0);
        }
        self
    }
}

/// Written out, without an exponent and without zeros that say nothing: `-12.5`, `10000000`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let text: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let length = self.digits.len() as i64;
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.point.unsigned_abs() as usize > LONGEST {
            return write!(f, "0.{text}e{}", self.point);
        }
        match (self.point.cmp(&0), self.point.cmp(&length)) {
            (Ordering::Less | Ordering::Equal, _) => {
                write!(f, "0.{}{text}", "0".repeat(usize::try_from(-self.point).unwrap_or(0)))
            }
            (_, Ordering::Less) => {
                let (whole, fraction) = text.split_at(usize::try_from(self.point).unwrap_or(0));
                write!(f, "{whole}.{fraction}")
            }
            _ => write!(f, "{text}{}", "0".repeat(usize::try_from(self.point - length).unwrap_or(0))),
        }
    }
}

/// Whether two texts are one number; `None` where one is no number.
pub fn equal(a: &str, b: &str) -> Option<bool> {
    Some(Decimal::parse(a)? == Decimal::parse(b)?)
}

/// The same with so many digits behind the point, where one of the two may come out of a column of double precision: that
/// shows the shortest digits which tell a number from its neighbours, and stands for whatever is nearest to it.
pub fn equal_in_a_double(a: &str, b: &str, scale: Option<u32>) -> Option<bool> {
    let round = |number: Decimal| match scale {
        Some(scale) => number.rounded(scale),
        None => number,
    };
    let (a, b) = (Decimal::parse(a)?, Decimal::parse(b)?);
    if round(a.clone()) == round(b.clone()) {
        return Some(true);
    }
    let near = a.as_double().is_some_and(|number| b.as_double() == Some(number));
    Some(near && (a.fits_double() || b.fits_double()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        Decimal::parse(text).map_or("none".to_owned(), |number| number.to_string())
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, number) in [
            ("23.0", "23"),
            ("1.0E7", "10000000"),
            ("1e21", "1000000000000000000000"),
            ("-0.0", "0"),
            ("+.50", "0.5"),
            ("9007199254740993", "9007199254740993"),
            ("1234567890.1234567", "1234567890.1234567"),
            ("1.2345678901234567E-5", "0.000012345678901234567"),
            ("000120", "120"),
            ("NaN", "none"),
            ("Infinity", "none"),
            ("1,5", "none"),
            ("", "none"),
            (".", "none"),
            ("1e", "none"),
            ("0x10", "none"),
        ] {
            assert_eq!(shown(text), number, "{text}");
        }
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        for (text, scale, number) in [
            ("12.344999", 2, "12.34"),
            ("1.005", 2, "1.01"),
            ("-1.005", 2, "-1.01"),
            ("-0.001", 2, "0"),
            ("9.999", 2, "10"),
            ("0.5", 0, "1"),
            ("0.04", 0, "0"),
            ("12345678901234567.5", 0, "12345678901234568"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().rounded(scale).to_string(), number, "{text}");
        }
    }

    #[test]
    fn equal_is_what_a_column_can_hold() {
        for (a, b, same) in [
            ("1.50", "1.5", true),
            ("1e21", "1000000000000000000000", true),
            // 18 digits, and what double precision shows of them.
            ("123456789012345678", "1.2345678901234568e+17", true),
            ("123456789012345678", "123456789012345679", false),
            ("1234567890.1234567", "1234567890.1234575", false),
            ("0.1", "0.2", false),
        ] {
            assert_eq!(equal_in_a_double(a, b, None), Some(same), "{a} {b}");
        }
        assert_eq!(equal_in_a_double("12.344999", "12.34", Some(2)), Some(true));
        assert_eq!(equal_in_a_double("12.34", "twelve", None), None);
        assert_eq!(equal("9007199254740993", "9007199254740992"), Some(false));
        assert_eq!(equal("23", "23.0"), Some(true));
    }

    proptest! {
        #[test]
        fn a_double_comes_back_as_it_was(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
            for text in [format!("{number}"), format!("{number:e}")] {
                let decimal = Decimal::parse(&text).unwrap();
                prop_assert_eq!(decimal.to_string().parse::<f64>().unwrap(), number, "{} {}", text, decimal);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,30}", scale in 0..20_u32) {
            if let Some(number) = Decimal::parse(&text) {
                let _ = number.rounded(scale).to_string();
            }
        }
    }
}
