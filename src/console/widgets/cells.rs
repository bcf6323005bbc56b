//! Text into cells: sanitised, cut to a width, padded.

use ratatui::style::Style;
use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::logs::sanitize::sanitize;

/// Hostile text in exactly `width` columns: made harmless, cut with `…`, padded on the right.
pub fn fit(text: &str, width: usize) -> String {
    let mut cut = clip(text, width);
    let used = cut.width();
    cut.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    cut
}

/// Hostile text in at most `width` columns.
pub fn clip(text: &str, width: usize) -> String {
    let clean = sanitize(text);
    if clean.width() <= width {
        return clean.into_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for shown in clean.graphemes(true) {
        let columns = shown.width();
        if used + columns + 1 > width {
            break;
        }
        cut.push_str(shown);
        used += columns;
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// Columns by which one key scrolls values sideways.
pub const SIDEWAYS: isize = 20;

/// A text scrolled to the left, as far as its end needs to be seen in so many columns; a short one stays in sight.
pub fn sideways(text: &str, by: usize, width: usize) -> String {
    let clean = sanitize(text);
    let most = clean.width().saturating_sub(width.saturating_sub(2));
    let by = by.min(most);
    if by == 0 {
        return clean.into_owned();
    }
    // What a reader takes for one character goes as a whole: it may be wide, and marks may stand on it.
    let (mut gone, mut at) = (0, 0);
    for shown in clean.graphemes(true) {
        if gone >= by {
            break;
        }
        gone += shown.width();
        at += shown.len();
    }
    // Half of a wide one is a blank: what follows stays in its column.
    format!("…{}{}", " ".repeat(gone.saturating_sub(by)), &clean[at..])
}

/// How many columns hostile text takes, made harmless.
pub fn columns(text: &str) -> usize {
    sanitize(text).width()
}

/// A number at the right of `width` columns, with thousands apart.
pub fn count(number: i64, width: usize) -> String {
    let digits = number.abs().to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if number < 0 {
        grouped.insert(0, '-');
    }
    format!("{grouped:>width$}")
}

/// A number at the right of `width` columns, in thousands or millions where it does not fit: `12k`, `1.2M`.
pub fn short(number: i64, width: usize) -> String {
    let whole = count(number, width);
    if whole.len() <= width {
        return whole;
    }
    let (unit, sign) = if number.abs() < 1_000_000 { (1_000, 'k') } else { (1_000_000, 'M') };
    let (left, tenth) = (number / unit, (number.abs() % unit) * 10 / unit);
    let text = if left.abs() < 10 { format!("{left}.{tenth}{sign}") } else { format!("{left}{sign}") };
    format!("{text:>width$}")
}

/// A styled piece of hostile text in exactly `width` columns.
pub fn cell(text: &str, width: usize, style: Style) -> Span<'static> {
    Span::styled(fit(text, width), style)
}

/// Breaks text into lines of at most `width` columns, at most `most` of them; the last one is cut.
pub fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let clean = sanitize(text);
    let mut lines: Vec<String> = Vec::new();
    for word in clean.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.len() > most && most > 0 {
        let rest = lines.split_off(most - 1).join(" ");
        lines.push(rest);
    }
    lines.into_iter().map(|line| clip(&line, width)).collect()
}

/// A span of time in a word: `3 s`, `5 min`, `2 h`, `4 d`.
pub fn ago(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..=59 => format!("{s} s"),
        s @ 60..=3_599 => format!("{} min", s / 60),
        s @ 3_600..=86_399 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(count(1_234_567, 10), " 1,234,567");
        assert_eq!(count(-999, 5), " -999");
        assert_eq!((short(12_345, 7).as_str(), short(12_345, 5).as_str()), (" 12,345", "  12k"));
        assert_eq!((short(1_250_000, 5), short(999_999, 4)), (" 1.2M".to_owned(), "999k".to_owned()));
        assert_eq!((ago(59), ago(3_600)), ("59 s".to_owned(), "1 h".to_owned()));
        assert_eq!(wrap("one two three four", 8, 2), ["one two", "three f…"]);
    }

    #[test]
    fn a_scrolled_text_goes_by_columns_and_no_character_is_halved() {
        // Five wide characters are ten columns.
        let wide = "東京都千代";
        assert_eq!(sideways(wide, 4, 4), "…都千代");
        assert_eq!(sideways(wide, 3, 4), "… 都千代", "half of one is a blank");
        assert_eq!(clip(&sideways(wide, 99, 6), 6), "…千代", "its end is in sight");
        assert_eq!(sideways(wide, 99, 12), wide, "one that fits stays");
        assert_eq!(sideways("👍🏽👍🏽ab", 2, 2), "…👍🏽ab");
        // A mark goes with what it stands on.
        assert_eq!(sideways("e\u{301}e\u{301}abc", 1, 2), "…e\u{301}abc");
        // What is made visible is counted as it shows.
        assert_eq!(sideways("\u{1b}[31mred", 2, 4), "…[31mred");
        assert_eq!(clip("🇩🇪🇫🇷🇮🇹", 4), "🇩🇪…", "no half of a flag");
        assert_eq!((columns(wide), columns("\u{1b}"), columns("e\u{301}")), (10, 2, 1));
    }

    proptest! {
        #[test]
        fn a_scrolled_text_stands_in_its_columns(text in "[a-z東京é👍]{0,30}", by in 0_usize..40, width in 3_usize..20) {
            let scrolled = sideways(&text, by, width);
            let gone = by.min(text.width().saturating_sub(width - 2));
            let ellipsis = usize::from(gone > 0);
            prop_assert_eq!(scrolled.width(), text.width() - gone + ellipsis);
        }

        #[test]
        fn any_text_fills_exactly_its_width(text in any::<String>(), width in 0_usize..40) {
            prop_assert_eq!(fit(&text, width).width(), width);
        }
    }
}
