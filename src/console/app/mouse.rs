//! The mouse, where it is wanted: a click chooses, the wheel moves. Everything works without it.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::App;
use super::{draw, layout};
use crate::console::effect::Effect;
use crate::console::pane::Pane;
use crate::console::panes::errors::banner_height;
use crate::console::panes::log;
use crate::console::panes::record::RecordPane;
use crate::console::widgets::cursor::Step;

/// Lines that one notch of the wheel moves.
const NOTCH: isize = 3;

impl App {
    /// The mouse did something over the panes; what lies on top of them has the keyboard only.
    pub(super) fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        // What is too small to show anything takes no click either.
        if !self.overlays.is_empty() || !layout::fits(self.ctx.size) {
            return Vec::new();
        }
        let pressed = event.kind == MouseEventKind::Down(MouseButton::Left);
        if pressed && event.row + 1 == self.ctx.size.1 {
            let command = draw::hint_at(self, event.column);
            return command.map_or(Vec::new(), |command| self.run(command));
        }
        let middle = Rect::new(0, 1, self.ctx.size.0, self.ctx.size.1.saturating_sub(2));
        let at = Position::new(event.column, event.row);
        let Some((pane, area)) =
            layout::arrange(&self.ctx, middle).into_iter().find(|(_, area)| area.contains(at))
        else {
            return Vec::new();
        };
        if pane == Pane::Record && self.selection.record.is_none() {
            return Vec::new();
        }
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => self.click(pane, area, at),
            MouseEventKind::ScrollDown => self.wheel(pane, NOTCH),
            MouseEventKind::ScrollUp => self.wheel(pane, -NOTCH),
            _ => Vec::new(),
        }
    }

    /// Moves in the pane under the pointer, which need not have the keys.
    fn wheel(&mut self, pane: Pane, lines: isize) -> Vec<Effect> {
        let keys = std::mem::replace(&mut self.ctx.focus, pane);
        let effects = self.moved(Step::Lines(lines));
        self.ctx.focus = keys;
        self.settle(pane);
        effects
    }

    /// Gives a pane the keys, and selects what is pointed at.
    fn click(&mut self, pane: Pane, area: Rect, at: Position) -> Vec<Effect> {
        let had_keys = self.ctx.focus == pane;
        // Whoever went on with the mouse has not left the record: they are told again what that throws away.
        self.navigation.leaving = None;
        let below = usize::from(at.y.saturating_sub(area.y + 1));
        if at.y == area.y {
            return self.go(self.named_at(at).unwrap_or(pane));
        }
        let line_of_log = log::line_at(&self.ctx, &self.log, area, below).filter(|_| pane == Pane::Log);
        let mut effects = self.go(pane);
        match (pane, line_of_log) {
            (Pane::Log, Some(index)) => {
                let by = index as isize - self.log.index() as isize;
                effects.extend(self.step(Step::Lines(by)));
            }
            // Without the keys it had less room, and none of its lines stays where it is pointed at.
            (Pane::Record, _) if had_keys => self.point_at_line(at),
            (Pane::Record | Pane::Log, _) => {}
            (Pane::Mappings | Pane::Errors | Pane::Pending, _) => {
                effects.extend(self.point(pane, had_keys, below, area));
            }
        }
        effects
    }

    /// The list whose name is pointed at in the frame of the other one.
    fn named_at(&self, at: Position) -> Option<Pane> {
        let (screen, _) = self.picture()?;
        let line: Vec<&str> = cells(&screen, at.y).collect();
        [Pane::Errors, Pane::Pending].into_iter().find(|pane| {
            let name = format!("{} {}", pane.number(), pane.title());
            let cells = name.chars().count();
            let first = line.windows(cells).position(|window| window.concat() == name);
            first.is_some_and(|first| (first..first + cells).contains(&usize::from(at.x)))
        })
    }

    /// Selects the line of the record that is pointed at, where it is one that can be selected: only then does the
    /// selection, so many lines further, rest on the same words, wherever the view has scrolled to.
    fn point_at_line(&mut self, at: Position) {
        let Some((before, rests)) = self.picture() else { return };
        let by = isize::from(at.y.cast_signed()) - isize::from(rests.y.cast_signed());
        let Some((cursor, len)) = self.selection.record.as_mut().map(RecordPane::here) else { return };
        let was = *cursor;
        let Some(there) = was.at.checked_add_signed(by).filter(|there| *there < len) else { return };
        cursor.at = there;
        let same = |(after, rests): (Buffer, Position)| cells(&before, at.y).eq(cells(&after, rests.y));
        if !self.picture().is_some_and(same)
            && let Some((cursor, _)) = self.selection.record.as_mut().map(RecordPane::here)
        {
            *cursor = was;
        }
    }

    /// The screen as it shows now, and where its cursor rests. Only a click asks for it.
    fn picture(&self) -> Option<(Buffer, Position)> {
        let mut terminal = Terminal::new(TestBackend::new(self.ctx.size.0, self.ctx.size.1)).ok()?;
        terminal.draw(|frame| draw::draw(self, frame)).ok()?;
        let cursor = terminal.get_cursor_position().ok()?;
        Some((terminal.backend().buffer().clone(), cursor))
    }

    /// Selects the line of a list that is `line` lines below its frame; the first is the head of the columns.
    fn point(&mut self, pane: Pane, had_keys: bool, line: usize, area: Rect) -> Vec<Effect> {
        let banner =
            if pane == Pane::Errors { banner_height(&self.errors, area.height.saturating_sub(2)) } else { 0 };
        let height = usize::from(area.height.saturating_sub(banner)).saturating_sub(3);
        let line = line.saturating_sub(usize::from(banner));
        let (cursor, len) = match pane {
            Pane::Mappings => {
                let len = self.ctx.mappings().len();
                (&self.mappings.cursor, len)
            }
            Pane::Errors => (&self.errors.cursor, self.errors.items.len()),
            Pane::Pending => (&self.pending.cursor, self.pending.items.len()),
            Pane::Record | Pane::Log => return Vec::new(),
        };
        let Some(line) = line.checked_sub(1).filter(|line| *line < height) else { return Vec::new() };
        let there = cursor.window(len, height).start + line;
        let by = there as isize - cursor.at as isize;
        match by {
            _ if there >= len => Vec::new(),
            // A click on the line that is selected already opens it, and so does the second of two.
            0 if had_keys => self.open(),
            by => self.step(Step::Lines(by)),
        }
    }
}

fn cells(screen: &Buffer, line: u16) -> impl Iterator<Item = &str> {
    (0..screen.area.width).map(move |column| screen[(column, line)].symbol())
}
