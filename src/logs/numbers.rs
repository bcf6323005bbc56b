//! Numbers of lines that filters compare most: beside the text, so that it need not be read for them.

/// The fields.
pub(super) const KEYS: [&str; 3] = ["status", "service", "connect"];

/// Those of one line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Numbers {
    /// Each; not a number where the line has none.
    values: [f64; KEYS.len()],
    /// Bit by bit, those of which it has several: its text tells.
    several: u8,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { values: [f64::NAN; KEYS.len()], several: 0 }
    }
}

/// Which of them a key is, whatever its case.
pub(super) fn of_key(key: &str) -> Option<usize> {
    KEYS.iter().position(|known| known.eq_ignore_ascii_case(key))
}

impl Numbers {
    /// Takes a field in, where it is one of them and has a number.
    pub(super) fn put(&mut self, key: &str, value: &str) {
        // Most keys are told apart by their lengths.
        if !matches!(key.len(), 6 | 7) {
            return;
        }
        let Some((at, number)) = of_key(key).zip(quantity(value)) else { return };
        if self.values[at].is_nan() {
            self.values[at] = number;
        } else {
            self.several |= 1 << at;
        }
    }

    /// That of a key; `None` where the text must tell.
    pub(super) fn get(&self, at: usize) -> Option<f64> {
        (self.several >> at & 1 == 0).then_some(self.values[at])
    }
}

/// Those of many lines, one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NumberColumns {
    columns: [Vec<f64>; KEYS.len()],
    /// Lines of which a column's text must tell.
    several: [Vec<u32>; KEYS.len()],
}

impl NumberColumns {
    /// Takes in those of the line behind so many others.
    pub(super) fn push(&mut self, line: usize, numbers: &Numbers) {
        for (at, (column, several)) in self.columns.iter_mut().zip(&mut self.several).enumerate() {
            match numbers.get(at) {
                // A column begins with the first line that has such a number.
                Some(number) if number.is_nan() => {}
                Some(number) => {
                    column.resize(line, f64::NAN);
                    column.push(number);
                }
                None => several.push(u32::try_from(line).unwrap_or(u32::MAX)),
            }
        }
    }

    /// The lines whose number holds, and those of which the text must tell.
    pub(super) fn holding(
        &self,
        at: usize,
        holds: impl Fn(f64) -> bool,
    ) -> (impl Iterator<Item = usize>, &[u32]) {
        let lines = self.columns[at].iter().enumerate().filter(move |(_, number)| holds(**number));
        (lines.map(|(line, _)| line), &self.several[at])
    }

    /// Gives back what it took more than it needs.
    pub(super) fn shrink(&mut self) {
        self.columns.iter_mut().for_each(Vec::shrink_to_fit);
        self.several.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(|column| column.capacity() * size_of::<f64>());
        let several = self.several.iter().map(|several| several.capacity() * size_of::<u32>());
        columns.chain(several).sum()
    }
}

/// A number with its unit, in the least one of its kind: `5s` is 5000, as are `5000ms` and `5000`, and so is `5kB`.
pub(super) fn quantity(text: &str) -> Option<f64> {
    // Most are whole numbers without a unit.
    if (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(f64::from(text.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))));
    }
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let (number, unit) = text.split_at(text.find(|c| !is_digit(c)).unwrap_or(text.len()));
    let factor = match unit {
        "" | "ms" | "B" | "b" | "%" => 1.0,
        "us" | "µs" => 1e-3,
        "ns" => 1e-6,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3.6e6,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1_024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, wanted) in [
            ("5s", Some(5_000.0)),
            ("267.06ms", Some(267.06)),
            ("-3", Some(-3.0)),
            ("1.5h", Some(5.4e6)),
            ("007", Some(7.0)),
            ("", None),
            ("-", None),
            ("1.2.3", None),
            ("2024-10-28", None),
            ("5 s", None),
            ("inf", None),
        ] {
            assert_eq!(quantity(text), wanted, "{text}");
        }
    }
}
