//! The shape of many lines: what of a message stays the same from line to line, and how many lines of each level a minute
//! has. Pure.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::Level;
use super::packed::Line;

/// What stands for what differs from line to line.
pub const HOLE: char = '*';
/// As much of a message as is compared.
const MOST: usize = 240;
/// Minutes that are kept.
const MINUTES: usize = 24 * 60;

/// A message without what differs from line to line: numbers, ids, quoted values, addresses and what JSON holds are holes.
/// The pattern of a pattern is itself.
pub fn pattern(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut shape: String = line.chars().take(MOST).collect();
    // A hole may have taken the bracket or the quote that kept others open.
    loop {
        let next = without_values(&shape);
        if next == shape {
            return shape;
        }
        shape = next;
    }
}

fn without_values(line: &str) -> String {
    let line: Vec<char> = line.chars().collect();
    let mut shape = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let c = line[at];
        at = match c {
            '"' => hole(&mut shape, closing(&line, at)),
            '\'' if at == 0 || !line[at - 1].is_alphanumeric() => hole(&mut shape, closing(&line, at)),
            '{' | '[' => match matching(&line, at).filter(|end| line[at..*end].iter().any(|c| varies(*c))) {
                Some(end) => hole(&mut shape, end),
                None => literal(&mut shape, c, at),
            },
            c if is_word(c) => {
                let end = at + line[at..].iter().take_while(|c| is_word(**c)).count();
                let word = &line[at..end];
                if word.iter().any(|c| c.is_numeric() || *c == '@') {
                    hole(&mut shape, end)
                } else {
                    shape.extend(word);
                    end
                }
            }
            HOLE => hole(&mut shape, at + 1),
            c => literal(&mut shape, c, at),
        };
    }
    shape
}

fn literal(shape: &mut String, c: char, at: usize) -> usize {
    shape.push(c);
    at + 1
}

/// Puts a hole where none is just before.
fn hole(shape: &mut String, end: usize) -> usize {
    if !shape.trim_end_matches([' ', ',', ':', '.']).ends_with(HOLE) {
        shape.push(HOLE);
    } else {
        shape.truncate(shape.trim_end_matches([' ', ',', ':', '.']).len());
    }
    end
}

fn varies(c: char) -> bool {
    c.is_numeric() || matches!(c, '"' | HOLE)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '%' | '+' | '#')
}

/// Behind the quote that closes one, or the end of the line.
fn closing(line: &[char], open: usize) -> usize {
    let close = line[open + 1..].iter().position(|c| *c == line[open]);
    close.map_or(line.len(), |close| open + close + 2)
}

/// Behind the bracket that closes one, if any does.
fn matching(line: &[char], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in line.iter().enumerate().skip(open) {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// Lines of one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What they have in common.
    pub text: String,
    /// How many there are.
    pub count: usize,
    /// The worst level of them.
    pub level: Level,
}

/// Lines by their patterns, those with the most lines first.
pub fn patterns<'a>(lines: impl Iterator<Item = Line<'a>>) -> Vec<Pattern> {
    let mut found: HashMap<String, (usize, Level)> = HashMap::new();
    for line in lines {
        let (count, level) = found.entry(pattern(line.message())).or_insert((0, line.level));
        *count += 1;
        *level = (*level).max(line.level);
    }
    let mut patterns: Vec<Pattern> =
        found.into_iter().map(|(text, (count, level))| Pattern { text, count, level }).collect();
    patterns.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
    patterns
}

/// How many lines of each level a minute has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minutes {
    counts: BTreeMap<i64, [u32; 4]>,
}

impl Minutes {
    /// Counts a line.
    pub fn add(&mut self, time: DateTime<Utc>, level: Level) {
        self.counts.entry(time.timestamp().div_euclid(60)).or_default()[level as usize] += 1;
        while self.counts.len() > MINUTES {
            self.counts.pop_first();
        }
    }

    /// The newest `width` minutes, the oldest first: of each, how many lines are as bad as that or worse; and when they
    /// begin.
    pub fn newest(&self, width: usize, level: Level) -> Option<(DateTime<Utc>, Vec<i64>)> {
        let last = *self.counts.last_key_value()?.0;
        let first = *self.counts.first_key_value()?.0;
        let begin = first.max(last - i64::try_from(width).ok()? + 1);
        let of = |minute: i64| {
            let counts = self.counts.get(&minute).copied().unwrap_or_default();
            counts[level as usize..].iter().map(|count| i64::from(*count)).sum()
        };
        Some((DateTime::from_timestamp(begin * 60, 0)?, (begin..=last).map(of).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_line_to_line_is_a_hole() {
        for (message, wanted) in [
            ("3 of 200 rejected", "* of * rejected"),
            ("GET /accounts/42?page=7", "GET /accounts/*?page=*"),
            ("took 267.062237ms", "took *"),
            ("2024/10/28 16:02:15 done", "*/*/* done"),
            ("user jane@example.com signed in", "user *.com signed in"),
            ("cannot read \"Last Name\" of 'x y'", "cannot read * of *"),
            ("it isn't there", "it isn't there"),
            ("found [{\"id\":\"001\"},{\"id\":\"002\"}]", "found *"),
            ("[web] starting", "[web] starting"),
            ("request 00Dbc0000000000000-f2f3ed60 of org 00Dbc0000000000000", "request * of org *"),
            ("open \"quote", "open *"),
            ("first line\nsecond 1", "first line"),
            ("", ""),
        ] {
            assert_eq!(pattern(message), wanted, "{message}");
        }
    }

    #[test]
    fn minutes_are_counted_by_levels_with_those_between_that_have_none() {
        let mut minutes = Minutes::default();
        assert_eq!(minutes.newest(5, Level::Debug), None);
        for (second, level) in [(0, Level::Info), (59, Level::Error), (60, Level::Warn), (190, Level::Debug)]
        {
            minutes.add(DateTime::from_timestamp(second, 0).unwrap(), level);
        }
        let of = |width, level| minutes.newest(width, level).unwrap().1;
        assert_eq!(of(9, Level::Debug), [2, 1, 0, 1]);
        assert_eq!(of(9, Level::Warn), [1, 1, 0, 0]);
        assert_eq!(of(9, Level::Error), [1, 0, 0, 0]);
        assert_eq!(of(2, Level::Debug), [0, 1]);
        assert_eq!(minutes.newest(2, Level::Debug).unwrap().0.timestamp(), 120);
    }

    proptest! {
        #[test]
        fn the_pattern_of_a_pattern_is_itself_and_has_no_quotes(message in any::<String>()) {
            let once = pattern(&message);
            prop_assert_eq!(&pattern(&once), &once);
            prop_assert!(!once.contains('"'));
        }

        #[test]
        fn numbers_do_not_change_a_pattern(a in any::<u32>(), b in any::<u32>(), word in "[a-z]{1,8}") {
            prop_assert_eq!(
                pattern(&format!("{word} {a} of row={a} \"{a}\"")),
                pattern(&format!("{word} {b} of row={b} \"{b}\""))
            );
        }
    }
}
