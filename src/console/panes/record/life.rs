//! The life of the newest change, in a line: captured, sent, answered, and where it stands.

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::console::context::Context;
use crate::console::widgets::cells::{clip, columns};
use crate::domain::records::life::{ChangeLife, LifeStep, StepKind, in_words};
use crate::domain::records::record::RecordView;

const LEAD: &str = " Life ";

/// How much of the line there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Detail {
    /// The times alone of the first step and the last one.
    Few,
    /// How long each step took as well.
    Some,
    /// The time of every step.
    All,
}

/// The line; nothing where a row is in step and nothing is known of a change.
pub(super) fn line(ctx: &Context, view: &RecordView, width: usize) -> Option<Line<'static>> {
    let steps = view.life.steps(ctx.now);
    let theme = ctx.theme;
    let room = width.saturating_sub(LEAD.len() + 1);
    let lead = Span::styled(LEAD, theme.dim());
    if steps.is_empty() {
        let unknown = view.life.unknown.as_ref()?;
        return Some(Line::from(vec![lead, Span::styled(clip(unknown, room), theme.dim())]));
    }
    let of = |detail| pieces(ctx, &view.life, &steps, detail);
    let fitting =
        [Detail::All, Detail::Some, Detail::Few].into_iter().map(of).find(|pieces| long(pieces) <= room);
    let pieces = fitting.unwrap_or_else(|| {
        // Where it stands is what a person looks for: what is behind it gives way.
        let mut pieces = of(Detail::Few);
        while pieces.len() > 2 && long(&pieces) + 2 > room {
            pieces.drain(..2);
        }
        pieces.insert(0, ("… ".to_owned(), theme.dim()));
        pieces
    });
    let mut left = room;
    let mut spans = vec![lead];
    for (text, style) in pieces {
        let text = clip(&text, left);
        left = left.saturating_sub(columns(&text));
        spans.push(Span::styled(text, style));
    }
    Some(Line::from(spans))
}

fn long(pieces: &[(String, Style)]) -> usize {
    pieces.iter().map(|(text, _)| columns(text)).sum()
}

/// Each step, and what is between two of them.
fn pieces(ctx: &Context, life: &ChangeLife, steps: &[LifeStep], detail: Detail) -> Vec<(String, Style)> {
    let theme = ctx.theme;
    let timed = |step: &LifeStep| step.at.is_some();
    let last_timed = steps.iter().rposition(timed);
    let mut pieces = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if at > 0 {
            let took = step.took.filter(|took| detail > Detail::Few && *took > TimeDelta::zero());
            let between = took.map_or(" → ".to_owned(), |took| format!(" ─ {} → ", in_words(took)));
            pieces.push((between, theme.dim()));
        }
        let (sign, style) = match step.kind {
            StepKind::Past => ("●", theme.text()),
            StepKind::Good => ("✓", theme.good()),
            StepKind::Bad => ("✗", theme.bad()),
            StepKind::Person => ("▲", theme.warn()),
            StepKind::Now => ("◌", theme.warn()),
            StepKind::Next => ("↻", theme.warn()),
            StepKind::Over => ("·", theme.text()),
        };
        let shows = detail == Detail::All || at == 0 || Some(at) == last_timed;
        let time = step.at.filter(|_| shows).map(|at| format!(" {}", moment(ctx, at))).unwrap_or_default();
        let waits = step.at.is_none() && matches!(step.kind, StepKind::Now | StepKind::Person);
        let since = life.since().filter(|_| waits && detail > Detail::Few);
        let since = since.map(|since| format!(" for {}", in_words(ctx.now - since))).unwrap_or_default();
        let strong = if at + 1 == steps.len() { style.patch(theme.strong()) } else { style };
        pieces.push((format!("{sign} {}{time}{since}", step.word), strong));
    }
    if let Some(whole) = life.whole().filter(|_| detail == Detail::All && steps.len() > 3) {
        pieces.push((format!("  {} in all", in_words(whole)), theme.dim()));
    }
    pieces
}

/// A time of day, with its day where that is another one.
fn moment(ctx: &Context, at: DateTime<Utc>) -> String {
    match ctx.now - at < TimeDelta::hours(20) {
        true => ctx.clock(at),
        false => ctx.local(at).format("%b %d %H:%M").to_string(),
    }
}
