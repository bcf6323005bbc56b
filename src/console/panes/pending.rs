//! Pending: what waits and what is in flight, with its age, its batch and the reason; in flight first, then the oldest.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::queries::PendingQuery;
use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::pane::Pane;
use crate::console::panes::Slot;
use crate::console::widgets::cells::{ago, cell, clip, count, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::changes::pending::Pending;
use crate::domain::state::PendingState;

/// Lines asked for at once.
pub const PAGE: usize = 100;

/// The pane's state.
#[derive(Debug, Default)]
pub struct PendingPane {
    /// What is known of the list, from its beginning on.
    pub items: Vec<Pending>,
    /// Which line. It stays on its row, wherever the others go.
    pub cursor: Cursor,
    /// Whether the first page came.
    pub loaded: bool,
    /// When the list was read last.
    pub read_at: Option<DateTime<Utc>>,
    /// Why the list cannot be shown.
    pub refusal: Option<String>,
    /// Whether there is more behind what is known.
    more: bool,
    /// Whether a further page is on its way.
    asked: bool,
}

impl PendingPane {
    /// The selected line.
    pub fn selected(&self) -> Option<&Pending> {
        self.items.get(self.cursor.at)
    }

    /// Asks for the list from its beginning, as much of it as is known.
    pub fn reload(&self) -> Effect {
        let limit = self.items.len().clamp(PAGE, 10 * PAGE);
        Effect::LoadPending { append: false, query: PendingQuery { limit, ..PendingQuery::default() } }
    }

    /// Moves; asks for the next page when the end of what is known comes near.
    pub fn step(&mut self, step: Step) -> Option<Effect> {
        self.cursor.step(step, self.items.len());
        if self.asked || !self.more || self.cursor.at + PAGE / 2 < self.items.len() {
            return None;
        }
        let last = self.items.last()?;
        self.asked = true;
        let query = PendingQuery { after: Some((last.since, last.row.clone())), limit: PAGE, mapping: None };
        Some(Effect::LoadPending { append: true, query })
    }

    /// A page could not be read; the next step asks again.
    pub fn refused(&mut self, why: String) {
        self.refusal = Some(why);
        self.asked = false;
    }

    /// Takes a page in that was asked for with a limit.
    pub fn take(&mut self, items: Vec<Pending>, append: bool, limit: usize) {
        let selected = self.selected().map(|pending| pending.row.clone());
        self.refusal = None;
        self.loaded = true;
        let full = items.len() >= limit;
        if append {
            (self.asked, self.more) = (false, full);
            let known: HashSet<_> = self.items.iter().map(|pending| pending.row.clone()).collect();
            self.items.extend(items.into_iter().filter(|pending| !known.contains(&pending.row)));
        } else {
            // What was read behind it stays, so that nobody who went far down is thrown back.
            let mut behind = self.items.split_off(limit.min(self.items.len()));
            let fresh: HashSet<_> = items.iter().map(|pending| &pending.row).collect();
            behind.retain(|pending| full && !fresh.contains(&pending.row));
            if behind.is_empty() {
                self.more = full;
            }
            self.items = items;
            self.items.append(&mut behind);
        }
        let there = selected.and_then(|row| self.items.iter().position(|pending| pending.row == row));
        self.cursor.at = there.unwrap_or(self.cursor.at).min(self.items.len().saturating_sub(1));
    }
}

/// Sign, word and looks of a state.
fn state(ctx: &Context, pending: &Pending) -> (&'static str, &'static str, Style) {
    let theme = ctx.theme;
    match pending.state {
        PendingState::InFlight => ("→", "in flight", theme.good()),
        PendingState::Held => ("○", "held", theme.dim()),
        PendingState::Stopped => ("✗", "stopped", theme.bad()),
        PendingState::Review => ("?", "review", theme.warn()),
        PendingState::New => ("·", "new", theme.dim()),
        PendingState::Ready | PendingState::Unknown => ("·", "waits", theme.text()),
    }
}

/// Draws the pane.
pub fn draw(ctx: &Context, pane: &PendingPane, frame: &mut Frame, slot: Slot) {
    let right = match pane.items.len() {
        0 => String::new(),
        known => {
            let more = if pane.more { "+" } else { "" };
            format!("{} of {}{more}", count(pane.cursor.at as i64 + 1, 0), count(known as i64, 0))
        }
    };
    let right = super::dated(ctx, pane.read_at, &right);
    let block = super::frame(ctx, slot, "", &right);
    let inner = block.inner(slot.area);
    frame.render_widget(block, slot.area);
    if pane.items.is_empty() {
        let text = match (&pane.refusal, pane.loaded) {
            (Some(why), _) => why.as_str(),
            (None, false) => "reading ...",
            (None, true) => "Nothing waits: Salesforce has every change.",
        };
        frame.render_widget(Paragraph::new(super::empty(ctx, inner, text)), inner);
        return;
    }
    let width = usize::from(inner.width);
    let widths = widths(pane, width);
    let mut lines = vec![head(ctx, widths)];
    let height = usize::from(inner.height).saturating_sub(1);
    let window = pane.cursor.window(pane.items.len(), height);
    let top = window.start;
    super::place_in_list(ctx, frame, slot, pane.items.len(), &window);
    for at in window {
        let selected = at == pane.cursor.at;
        lines.push(super::list_line(ctx, Pane::Pending, selected, row(ctx, &pane.items[at], widths)));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    let line = 1 + pane.cursor.at.saturating_sub(top);
    super::place_cursor(frame, slot, inner, line);
}

/// The widths: record, operation, batch, reason.
type Widths = (usize, usize, usize, usize);

fn widths(pane: &PendingPane, width: usize) -> Widths {
    // Only what was sent before has one.
    let any = pane.items.iter().any(|pending| pending.batch.is_some());
    let batch = if width >= 80 && any { 10 } else { 0 };
    let op = if width >= 60 { 8 } else { 0 };
    // Sign 2, state 10, age 8.
    let rest = width.saturating_sub(20 + op + batch);
    let record = (rest * 4 / 10).clamp(12, 26);
    (record, op, batch, rest.saturating_sub(record))
}

fn head(ctx: &Context, (record, op, batch, reason): Widths) -> Line<'static> {
    let text = format!(
        "  {}{}{}{}{}{}",
        fit("state", 10),
        fit("for", 8),
        fit("record", record),
        fit("change", op),
        fit("batch", batch),
        fit("why it waits", reason)
    );
    Line::from(Span::styled(text, ctx.theme.label()))
}

fn row(ctx: &Context, pending: &Pending, (record, op, batch, reason): Widths) -> Line<'static> {
    let theme = ctx.theme;
    let (sign, word, style) = state(ctx, pending);
    let number = pending.row.row.to_string();
    let name = clip(&pending.mapping, record.saturating_sub(number.len() + 2));
    let several =
        if pending.changes > 1 { format!("{} changes · ", pending.changes) } else { String::new() };
    let left = (pending.ready_at - ctx.now).num_seconds();
    let when = if pending.rests { format!(" in {}", ago(left)) } else { String::new() };
    Line::from(vec![
        Span::styled(format!("{sign} "), style),
        Span::styled(fit(word, 10), style),
        Span::styled(fit(&ago((ctx.now - pending.since).num_seconds()), 8), theme.dim()),
        cell(&format!("{name} {number}"), record, theme.text()),
        cell(&pending.op, op, theme.dim()),
        cell(pending.batch.as_deref().unwrap_or(""), batch, theme.dim()),
        cell(&format!("{several}{}{when}", pending.reason), reason, theme.text()),
    ])
}
