//! The mouse, where it is wanted: a click chooses, a second one opens, the wheel moves. Everything works without it.

use crossterm::event::{KeyCode, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::App;
use super::{draw, layout};
use crate::console::command::{COMMANDS, Id};
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::errors::banner_height;
use crate::console::panes::log;
use crate::console::panes::record::{RecordPane, RecordTab};
use crate::console::widgets::cursor::Step;

/// Lines that one notch of the wheel moves.
const NOTCH: isize = 3;

impl App {
    /// The mouse did something over the panes; of what lies on top of them, the wheel scrolls lists. `twice` tells that a
    /// button was pressed a second time in the same place.
    pub(super) fn mouse(&mut self, event: MouseEvent, twice: bool) -> Vec<Effect> {
        // What is too small to show anything takes no click either.
        if !layout::fits(self.ctx.size) {
            return Vec::new();
        }
        if !self.overlays.is_empty() {
            return self.wheel_on_top(event.kind);
        }
        let pressed = event.kind == MouseEventKind::Down(MouseButton::Left);
        if pressed && event.row + 1 == self.ctx.size.1 {
            let command = draw::hint_at(self, event.column).filter(|_| !twice);
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
            MouseEventKind::Down(MouseButton::Left) if twice => self.click_twice(pane, area, at),
            MouseEventKind::Down(MouseButton::Left) => self.click(pane, area, at),
            MouseEventKind::ScrollDown => self.wheel(pane, NOTCH),
            MouseEventKind::ScrollUp => self.wheel(pane, -NOTCH),
            _ => Vec::new(),
        }
    }

    /// The wheel over what lies on top moves in its list, one line a notch, as the arrow keys do.
    fn wheel_on_top(&mut self, kind: MouseEventKind) -> Vec<Effect> {
        let code = match kind {
            MouseEventKind::ScrollDown => KeyCode::Down,
            MouseEventKind::ScrollUp => KeyCode::Up,
            _ => return Vec::new(),
        };
        // In others an arrow changes what is typed.
        let lists = matches!(
            self.overlays.last(),
            Some(
                Overlay::Menu(_)
                    | Overlay::AuditLog(_)
                    | Overlay::Palette(_)
                    | Overlay::Patterns(_)
                    | Overlay::Sources(_)
                    | Overlay::Alerts(_)
                    | Overlay::Columns(_)
                    | Overlay::ConflictPicker(_)
                    | Overlay::DuplicatePicker(_)
                    | Overlay::Health(_)
                    | Overlay::Trends(_)
                    | Overlay::Info { .. }
                    | Overlay::ConfirmPlan(_)
                    | Overlay::Setup(_)
                    | Overlay::Heroku(_)
                    | Overlay::Shadow(_)
            )
        );
        if lists { self.overlay_key(code.into()) } else { Vec::new() }
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
        if at.y == area.y {
            return self.go(self.named_at(at).unwrap_or(pane));
        }
        if let Some(tab) = self.tab_at(pane, area, at) {
            let mut effects = self.go(pane);
            effects.extend(self.selection.record.as_mut().and_then(|record| record.turn_to(tab)));
            return effects;
        }
        let line = self.line_at(pane, area, at);
        let mut effects = self.go(pane);
        match (pane, line) {
            // Without the keys it had less room, and none of its lines stays where it is pointed at.
            (Pane::Record, _) if had_keys => drop(self.point_at_line(at)),
            (_, Some((there, now))) => {
                effects.extend(self.step(Step::Lines(there as isize - now as isize)));
            }
            _ => {}
        }
        effects
    }

    /// Opens what is pointed at, where the first click has selected it.
    fn click_twice(&mut self, pane: Pane, area: Rect, at: Position) -> Vec<Effect> {
        let selected = match self.line_at(pane, area, at) {
            Some((there, now)) => there == now,
            None => pane == Pane::Record && self.point_at_line(at) == Some(0),
        };
        if self.ctx.focus != pane || !selected {
            return self.click(pane, area, at);
        }
        let id = if pane == Pane::Record { Id::Edit } else { Id::Open };
        let command = COMMANDS.iter().find(|command| command.id == id && command.is_in(pane));
        command.map_or(Vec::new(), |command| self.run(command))
    }

    /// The view of the record whose name is pointed at, in the lower edge of its frame.
    fn tab_at(&self, pane: Pane, area: Rect, at: Position) -> Option<RecordTab> {
        self.selection.record.as_ref().filter(|_| pane == Pane::Record && at.y + 1 == area.bottom())?;
        let mut end = area.right().saturating_sub(1);
        RecordTab::ALL.into_iter().rev().find(|tab| {
            let begin = end.saturating_sub(tab.columns());
            let there = (begin..end).contains(&at.x);
            end = begin;
            there
        })
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
    /// selection, so many lines further, rest on the same words, wherever the view has scrolled to. Returns how many lines
    /// further that was.
    fn point_at_line(&mut self, at: Position) -> Option<isize> {
        let (before, rests) = self.picture()?;
        let by = isize::from(at.y.cast_signed()) - isize::from(rests.y.cast_signed());
        let (cursor, len) = self.selection.record.as_mut().map(RecordPane::here)?;
        let was = *cursor;
        let there = was.at.checked_add_signed(by).filter(|there| *there < len)?;
        cursor.at = there;
        let same = |(after, rests): (Buffer, Position)| cells(&before, at.y).eq(cells(&after, rests.y));
        if self.picture().is_some_and(same) {
            return Some(by);
        }
        if let Some((cursor, _)) = self.selection.record.as_mut().map(RecordPane::here) {
            *cursor = was;
        }
        None
    }

    /// The screen as it shows now, and where its cursor rests. Only a click asks for it.
    fn picture(&self) -> Option<(Buffer, Position)> {
        let mut terminal = Terminal::new(TestBackend::new(self.ctx.size.0, self.ctx.size.1)).ok()?;
        terminal.draw(|frame| draw::draw(self, frame)).ok()?;
        let cursor = terminal.get_cursor_position().ok()?;
        Some((terminal.backend().buffer().clone(), cursor))
    }

    /// The line of a list that is pointed at, by its place, and the one that is selected.
    fn line_at(&self, pane: Pane, area: Rect, at: Position) -> Option<(usize, usize)> {
        let below = usize::from(at.y.checked_sub(area.y + 1)?);
        let (cursor, len) = match pane {
            Pane::Mappings => (&self.mappings.cursor, self.ctx.mappings().len()),
            Pane::Errors => (&self.errors.cursor, self.errors.items.len()),
            Pane::Pending => (&self.pending.cursor, self.pending.items.len()),
            Pane::Groups => {
                let height = usize::from(area.height.saturating_sub(2));
                let each = self.groups.lines_each(height);
                let (cursor, len) = (&self.groups.cursor, self.groups.items.len());
                let there = cursor.window(len, (height / each).max(1)).start + below / each;
                return (below < height && there < len).then_some((there, cursor.at));
            }
            Pane::Log => return Some((log::line_at(&self.ctx, &self.log, area, below)?, self.log.index())),
            Pane::Record => return None,
        };
        let banner = match pane {
            Pane::Errors => banner_height(&self.ctx, &self.errors, area.height.saturating_sub(2)),
            _ => 0,
        };
        let height = usize::from(area.height.saturating_sub(banner)).saturating_sub(3);
        // The first line is the head of the columns.
        let line = below.checked_sub(usize::from(banner) + 1).filter(|line| *line < height)?;
        let there = cursor.window(len, height).start + line;
        (there < len).then_some((there, cursor.at))
    }
}

fn cells(screen: &Buffer, line: u16) -> impl Iterator<Item = &str> {
    (0..screen.area.width).map(move |column| screen[(column, line)].symbol())
}
