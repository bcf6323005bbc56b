//! A view of the record as it is drawn.

use std::ops::Range;

use ratatui::text::Line;

/// Which lines of how many show.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) len: usize,
    pub(super) shown: Range<usize>,
}

/// All lines of a view, which of them is the selected one, and the part of what it lists that shows.
pub(super) type View = (Vec<Line<'static>>, usize, Part);
