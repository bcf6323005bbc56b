//! Where one is in a list, and which part of it shows.

/// A position in a list of which only a window is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The selected line.
    pub at: usize,
    /// The first line that shows.
    pub top: usize,
}

/// A move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// That many lines, up when negative.
    Lines(isize),
    /// To the first line.
    First,
    /// To the last line.
    Last,
}

impl Cursor {
    /// Moves within a list of `len` lines.
    pub fn step(&mut self, step: Step, len: usize) {
        let last = len.saturating_sub(1);
        self.at = match step {
            Step::Lines(by) => self.at.saturating_add_signed(by).min(last),
            Step::First => 0,
            Step::Last => last,
        };
    }

    /// Scrolls no further than the selected line needs to be among the `height` that show.
    pub fn settle(&mut self, len: usize, height: usize) {
        self.top = self.window(len, height).start;
    }

    /// The lines to draw in `height`: keeps the selected one in sight.
    pub fn window(&self, len: usize, height: usize) -> std::ops::Range<usize> {
        let height = height.max(1);
        let at = self.at.min(len.saturating_sub(1));
        let mut top = self.top.min(len.saturating_sub(height));
        if at < top {
            top = at;
        } else if at >= top + height {
            top = at + 1 - height;
        }
        top..(top + height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_scrolls_only_when_the_selection_would_leave_it() {
        let mut cursor = Cursor::default();
        let mut go = |by| {
            cursor.step(Step::Lines(by), 100);
            cursor.settle(100, 10);
            cursor
        };
        assert_eq!(go(12), Cursor { at: 12, top: 3 });
        assert_eq!(go(-5), Cursor { at: 7, top: 3 });
        assert_eq!(go(-6), Cursor { at: 1, top: 1 });
    }

    #[test]
    fn the_selected_line_is_always_in_the_window() {
        let mut cursor = Cursor::default();
        cursor.step(Step::Lines(12), 100);
        assert_eq!(cursor.window(100, 10), 3..13);
        cursor.step(Step::Last, 100);
        assert_eq!(cursor.window(100, 10), 90..100);
        cursor.step(Step::Lines(-500), 100);
        assert_eq!(cursor.window(100, 10), 0..10);
        assert_eq!(cursor.window(0, 10), 0..0);
    }
}
