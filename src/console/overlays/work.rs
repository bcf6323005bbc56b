//! An act under way, and what it came to.

use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::model::Model;
use crate::console::widgets::cells::{clip, count};
use crate::domain::act::{Came, Progress, Report};
use crate::domain::duration::spoken;

/// Reasons shown of each result.
const REASONS: usize = 4;

/// An act under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Working {
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

impl Working {
    /// An act that has just begun.
    pub fn begun(text: String, since: DateTime<Utc>) -> Working {
        Working {
            text,
            note: String::new(),
            progress: Progress { through: 0, total: 0 },
            since,
            stopping: false,
        }
    }
}

/// Draws how far it is.
pub fn draw(model: &Model, working: &Working, frame: &mut Frame) {
    let theme = model.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(80);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(5));
    let inner = super::panel(model, frame, area, &clip(&working.text, usize::from(width).saturating_sub(6)));
    let room = usize::from(inner.width).saturating_sub(2);
    let Progress { through, total } = working.progress;
    let filled = (room * through).checked_div(total).unwrap_or(0).min(room);
    let bar = format!(" {}{}", "█".repeat(filled), "░".repeat(room - filled));
    let elapsed = (model.now - working.since).to_std().unwrap_or_default();
    let left = working.progress.time_left(elapsed).filter(|_| elapsed.as_secs() > 0);
    let left = left.map(|left| format!(" · {} left", spoken(left))).unwrap_or_default();
    let far = if total == 0 {
        String::new()
    } else {
        format!("{} of {} ", count(through as i64, 0), count(total as i64, 0))
    };
    let text = format!(" {far}{}{left}", working.note);
    let keys = match working.stopping {
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
pub fn draw_report(model: &Model, text: &str, report: &Report, frame: &mut Frame) {
    let theme = model.theme;
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
    for (came, number, sign, style) in [
        (Came::Done, report.done, "✓", theme.good()),
        (Came::Skipped, report.skipped, "·", theme.text()),
        (Came::Failed, report.failed, "✗", theme.bad()),
    ] {
        let head = format!(" {sign} {} {}", count(number as i64, 0), came.word());
        lines.push(Line::from(Span::styled(
            head,
            if number > 0 { style.patch(theme.strong()) } else { theme.dim() },
        )));
        let reasons = report.reasons(came);
        lines.extend(reasons.iter().take(REASONS).map(|(why, number)| {
            let text = format!("     {}  {}", count(*number as i64, 7), why.replace('\n', " · "));
            Line::from(Span::styled(clip(&text, room), theme.dim()))
        }));
        if reasons.len() > REASONS {
            let more = format!("              and {} other reasons", reasons.len() - REASONS);
            lines.push(Line::from(Span::styled(more, theme.dim())));
        }
    }
    lines.push(Line::default());
    let mut keys = Vec::new();
    if let Some(act) = report.act {
        keys.extend([Span::styled(" U", theme.key()), Span::raw(format!(" take it back (act {act})   "))]);
    }
    keys.extend([Span::styled(" Esc", theme.key()), Span::raw(" back to the list")]);
    lines.push(Line::from(keys));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(model, frame, area, &clip(text, room));
    frame.render_widget(Paragraph::new(lines), inner);
}
