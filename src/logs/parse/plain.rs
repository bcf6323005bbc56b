//! Text that no other reader takes: as it is, but for a time at its beginning; its level where a word says it.

use std::borrow::Cow;

use super::{LineFormat, ParsedEntry, level, time};
use crate::logs::Level;

/// The level stands among so many first words.
const WORDS: usize = 6;

/// Any line.
pub(super) fn read(line: &str) -> ParsedEntry<'_> {
    let mut entry = ParsedEntry::new(LineFormat::Plain);
    let rest = match time::leading(line.strip_prefix('[').unwrap_or(line)) {
        Some((stamp, rest)) => {
            (entry.format, entry.stamp) = (LineFormat::Timed, Some(stamp));
            let rest = if line.starts_with('[') { rest.strip_prefix(']').unwrap_or(rest) } else { rest };
            rest.trim_start_matches(' ')
        }
        None => line,
    };
    // What is indented belongs to a text above it, which said its level.
    entry.level = if rest.starts_with([' ', '\t']) { None } else { named(rest) };
    entry.message = Cow::Borrowed(rest);
    entry
}

/// The level that a word among the first names: `ERROR`, `[warn]`, or `warning:` at the very beginning. In the middle of
/// a sentence `error` is a word like another.
fn named(text: &str) -> Option<Level> {
    let is_mark = |c: char| matches!(c, '[' | ']' | '(' | ')' | '<' | '>' | '|' | ':' | ',' | '-');
    text.split_ascii_whitespace().take(WORDS).enumerate().find_map(|(at, word)| {
        let bare = word.trim_matches(is_mark);
        if !(3..=8).contains(&bare.len()) {
            return None;
        }
        let is_loud = bare.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_marked = word.starts_with('[') && word.ends_with(']') || at == 0 && word.ends_with(':');
        if is_loud || is_marked { level::of_word(bare) } else { None }
    })
}
