//! The mouse, where it is wanted: a click chooses, the wheel moves. Everything works without it.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::effect::Effect;
use super::model::{Model, Pane};
use super::view;
use super::widgets::cursor::Step;

/// Lines that one notch of the wheel moves.
const NOTCH: isize = 3;

impl Model {
    /// The mouse did something over the panes; what lies on top of them has the keyboard only.
    pub(super) fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        if !self.overlays.is_empty() {
            return Vec::new();
        }
        let middle = Rect::new(0, 1, self.size.0, self.size.1.saturating_sub(2));
        let at = Position::new(event.column, event.row);
        let Some((pane, area)) = view::arrange(self, middle).into_iter().find(|(_, area)| area.contains(at))
        else {
            return Vec::new();
        };
        if pane == Pane::Record && self.record.is_none() {
            return Vec::new();
        }
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                let mut effects = self.go(pane);
                effects.extend(self.point(pane, usize::from(event.row.saturating_sub(area.y + 1)), area));
                effects
            }
            MouseEventKind::ScrollDown if pane == self.focus => self.step(Step::Lines(NOTCH)),
            MouseEventKind::ScrollUp if pane == self.focus => self.step(Step::Lines(-NOTCH)),
            _ => Vec::new(),
        }
    }

    /// Selects the line of a list that is `line` lines below its frame; the first is the head of the columns.
    fn point(&mut self, pane: Pane, line: usize, area: Rect) -> Vec<Effect> {
        let height = usize::from(area.height).saturating_sub(3);
        let (cursor, len) = match pane {
            Pane::Mappings => {
                let len = self.overview.as_ref().map_or(0, |overview| overview.mappings.len());
                (&self.mappings.cursor, len)
            }
            Pane::Errors => (&self.errors.cursor, self.errors.items.len()),
            Pane::Pending => (&self.pending.cursor, self.pending.items.len()),
            Pane::Record | Pane::Log => return Vec::new(),
        };
        let Some(line) = line.checked_sub(1).filter(|line| *line < height) else { return Vec::new() };
        let there = cursor.window(len, height).start + line;
        let by = there as isize - cursor.at as isize;
        if there < len { self.step(Step::Lines(by)) } else { Vec::new() }
    }
}
