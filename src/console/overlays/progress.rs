//! An operation under way, and what it came to.

use chrono::{DateTime, Utc};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{clip, count};
use crate::domain::operations::answer::Tally;
use crate::domain::operations::operation::{Progress, Report, RowStatus};
use crate::domain::values::duration::spoken;

/// Reasons shown of each result.
const REASONS: usize = 4;

/// An operation under way.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressBar {
    /// What is done.
    pub text: String,
    /// What it is at.
    pub note: String,
    /// How far it is; of nothing, where that is not known.
    pub progress: Progress,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether it was told to stop.
    pub stopping: bool,
}

impl ProgressBar {
    /// An operation that has just begun.
    pub fn begun(text: String, since: DateTime<Utc>) -> ProgressBar {
        ProgressBar {
            text,
            note: String::new(),
            progress: Progress { through: 0, total: 0 },
            since,
            stopping: false,
        }
    }

    /// A key: Esc stops it, once.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let stops = key.code == KeyCode::Esc && !self.stopping;
        self.stopping |= stops;
        if stops { vec![Outcome::Effect(Effect::Stop)] } else { Vec::new() }
    }
}

/// What an operation came to, and what Salesforce says about it as it comes.
#[derive(Debug)]
pub struct ReportView {
    /// What it was.
    text: String,
    /// What it came to here.
    report: Box<Report>,
    /// Its number, where it sent rows: their answers are counted.
    sent: Option<i64>,
    /// Those answers, once they were counted.
    tally: Option<Tally>,
    /// Whether they were asked for.
    asked: bool,
}

impl ReportView {
    /// What came of one; `sent` is its number where it sent rows.
    pub fn new(text: String, report: Report, sent: Option<i64>) -> ReportView {
        ReportView { text, report: Box::new(report), sent, tally: None, asked: false }
    }

    /// The number of the operation whose answers are to be counted; and whether they were asked for before, so that it has
    /// time.
    pub fn uncounted(&self) -> Option<(i64, bool)> {
        let operation = self.sent?;
        self.tally.is_none_or(|tally| tally.open() > 0).then_some((operation, self.asked))
    }

    /// Answers were counted, or could not be this time.
    pub fn take(&mut self, operation: i64, tally: Option<Tally>) {
        if self.sent == Some(operation) {
            self.tally = tally.or(self.tally);
            self.asked = true;
        }
    }

    /// A key: Enter lists what was rejected, where something was.
    pub fn key(&self, key: KeyEvent) -> Vec<Outcome> {
        let rejected = self.sent.filter(|_| self.tally.is_some_and(|tally| tally.rejected > 0));
        match (key.code, self.report.operation, rejected) {
            (KeyCode::Char('U' | 'u'), Some(operation), _) => Outcome::undo(operation).closing(),
            (KeyCode::Enter, _, Some(operation)) => Outcome::List {
                filter: format!("operation:{operation} state:open|review"),
                label: Some(format!("what of operation {operation} was rejected")),
            }
            .closing(),
            (KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'), ..) => vec![Outcome::Close],
            _ => Vec::new(),
        }
    }
}

/// How many rows Salesforce took, rejected and has not answered.
fn tally_line(ctx: &Context, tally: Option<Tally>) -> Line<'static> {
    let theme = ctx.theme;
    let mut spans = vec![Span::styled(" Salesforce   ", theme.label())];
    let Some(tally) = tally else {
        spans.push(Span::styled("counting its answers ...", theme.dim()));
        return Line::from(spans);
    };
    for (sign, rows, what, style) in [
        ("✓", tally.taken, "taken", theme.good()),
        ("✗", tally.rejected, "rejected", theme.bad()),
        ("↻", tally.waiting, "waiting", theme.warn()),
        ("○", tally.held, "held", theme.text()),
        ("·", tally.settled, "no longer to be sent", theme.text()),
    ] {
        let style = if rows > 0 { style.patch(theme.strong()) } else { theme.dim() };
        if rows > 0 || ["taken", "rejected", "waiting"].contains(&what) {
            spans.push(Span::styled(format!("{sign} {} {what}   ", count(rows, 0)), style));
        }
    }
    Line::from(spans)
}

/// Draws how far it is.
pub fn draw(ctx: &Context, at: &ProgressBar, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(80);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(5));
    let inner = super::panel(ctx, frame, area, &clip(&at.text, usize::from(width).saturating_sub(6)));
    let room = usize::from(inner.width).saturating_sub(2);
    let Progress { through, total } = at.progress;
    let filled = (room * through).checked_div(total).unwrap_or(0).min(room);
    let bar = format!(" {}{}", "█".repeat(filled), "░".repeat(room - filled));
    let elapsed = (ctx.now - at.since).to_std().unwrap_or_default();
    let left = at.progress.time_left(elapsed).filter(|_| elapsed.as_secs() > 0);
    let left = left.map(|left| format!(" · {} left", spoken(left))).unwrap_or_default();
    let far = if total == 0 {
        String::new()
    } else {
        format!("{} of {} ", count(through as i64, 0), count(total as i64, 0))
    };
    let text = format!(" {far}{}{left}", at.note);
    let keys = match at.stopping {
        true => Line::from(Span::styled(" stopping after the rows under way ...", theme.warn())),
        false => Line::from(vec![
            Span::styled(" Esc", theme.key()),
            Span::raw(" stop here: what is done stays, the rest is as it was"),
        ]),
    };
    let lines = vec![Line::from(Span::styled(bar, theme.good())), Line::from(clip(&text, room)), keys];
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Draws what it came to.
pub fn draw_report(ctx: &Context, view: &ReportView, frame: &mut Frame) {
    let ReportView { text, report, sent, tally, .. } = view;
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(100);
    let room = usize::from(width).saturating_sub(4);
    let mut lines = Vec::new();
    if report.cancelled {
        lines.push(Line::from(Span::styled(
            " Stopped half-way: what was not reached is as it was.",
            theme.warn(),
        )));
    }
    for (status, number, sign, style) in [
        (RowStatus::Done, report.done, "✓", theme.good()),
        (RowStatus::Skipped, report.skipped, "·", theme.text()),
        (RowStatus::Failed, report.failed, "✗", theme.bad()),
    ] {
        let head = format!(" {sign} {} {}", count(number as i64, 0), status.word());
        lines.push(Line::from(Span::styled(
            head,
            if number > 0 { style.patch(theme.strong()) } else { theme.dim() },
        )));
        let reasons = report.reasons(status);
        lines.extend(reasons.iter().take(REASONS).map(|(why, number)| {
            let text = format!("     {}  {}", count(*number as i64, 7), why.replace('\n', " · "));
            Line::from(Span::styled(clip(&text, room), theme.dim()))
        }));
        if reasons.len() > REASONS {
            let more = format!("              and {} other reasons", reasons.len() - REASONS);
            lines.push(Line::from(Span::styled(more, theme.dim())));
        }
    }
    if sent.is_some() {
        lines.extend([Line::default(), tally_line(ctx, *tally)]);
    }
    lines.push(Line::default());
    let mut keys = Vec::new();
    if tally.is_some_and(|tally| tally.rejected > 0) {
        keys.extend([Span::styled(" Enter", theme.key()), Span::raw(" list what was rejected   ")]);
    }
    if let Some(operation) = report.operation {
        keys.extend([
            Span::styled(" U", theme.key()),
            Span::raw(format!(" take it back (operation {operation})   ")),
        ]);
    }
    keys.extend([Span::styled(" Esc", theme.key()), Span::raw(" back to the list")]);
    lines.push(Line::from(keys));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(ctx, frame, area, &clip(text, room));
    frame.render_widget(Paragraph::new(lines), inner);
}
