//! What tells that a list is longer than what shows of it, and where in it one is.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The sign that stands in the frame where one is.
pub const THUMB: &str = "▐";

/// Draws into the right side of a frame which part of so many lines shows in it; nothing where all of them do. At an end it
/// stands only where nothing more comes that way.
pub fn scrollbar(frame: &mut Frame, framed: Rect, style: Style, len: usize, shown: &Range<usize>) {
    let track = usize::from(framed.height.saturating_sub(2));
    let Some((from, size)) = thumb(track, len, shown) else { return };
    let column = framed.right().saturating_sub(1);
    for line in from..from + size {
        let line = framed.y + 1 + u16::try_from(line).unwrap_or(u16::MAX - framed.y - 1);
        if let Some(cell) = frame.buffer_mut().cell_mut((column, line)) {
            cell.set_symbol(THUMB).set_style(style);
        }
    }
}

/// How many lines there are above and below those that show, in a word: ` ↑2 ↓15`.
pub fn beyond(len: usize, shown: &Range<usize>) -> String {
    let parts = [("↑", shown.start), ("↓", len.saturating_sub(shown.end))];
    let parts = parts.into_iter().filter(|(_, lines)| *lines > 0);
    parts.map(|(sign, lines)| format!(" {sign}{lines}")).collect()
}

/// Where the thumb stands on a track of so many lines, and how long it is.
fn thumb(track: usize, len: usize, shown: &Range<usize>) -> Option<(usize, usize)> {
    if shown.len() >= len || track < 2 {
        return None;
    }
    let size = (track * shown.len() / len).clamp(1, track - 1);
    let (free, hidden) = (track - size, len - shown.len());
    let from = match shown.start {
        0 => 0,
        start if start >= hidden => free,
        start if free > 1 => (start * free / hidden).clamp(1, free - 1),
        start => usize::from(start * 2 >= hidden),
    };
    Some((from, size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_thumb_touches_an_end_only_where_the_list_ends() {
        assert_eq!(thumb(10, 10, &(0..10)), None);
        assert_eq!(thumb(10, 0, &(0..0)), None);
        assert_eq!(thumb(10, 100, &(0..10)), Some((0, 1)));
        assert_eq!(thumb(10, 100, &(1..11)), Some((1, 1)));
        assert_eq!(thumb(10, 100, &(89..99)), Some((8, 1)));
        assert_eq!(thumb(10, 100, &(90..100)), Some((9, 1)));
        assert_eq!(thumb(2, 11, &(5..10)), Some((1, 1)));
        assert_eq!(beyond(20, &(2..5)), " ↑2 ↓15");
        assert_eq!(beyond(5, &(0..5)), "");
    }

    proptest! {
        #[test]
        fn the_thumb_stays_on_its_track(track in 0_usize..60, len in 0_usize..5_000, from in 0_usize..5_000, shown in 0_usize..80) {
            let from = from.min(len);
            let shown = from..(from + shown).min(len);
            if let Some((at, size)) = thumb(track, len, &shown) {
                prop_assert!(size > 0 && at + size <= track);
            }
        }
    }
}
