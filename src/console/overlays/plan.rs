//! What an act on many rows would do, and the question whether to do it: as much as it takes.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::operations::execute::Plan;
use crate::console::model::Model;
use crate::console::widgets::cells::{cell, clip, count, fit};
use crate::console::widgets::input::Input;
use crate::domain::act::{Confirm, Deed, Sample};

/// Reasons shown of each kind; the rest is counted.
const REASONS: usize = 3;

/// A plan that waits for a yes.
#[derive(Clone, Debug)]
pub struct Question {
    plan: Arc<Plan>,
    typed: Input,
    why: Input,
    /// Whether the keys go into the reason.
    on_why: bool,
    complaint: Option<String>,
}

/// What a key did.
#[derive(Debug)]
pub enum Decided {
    /// Nothing yet.
    Open(Question),
    /// It is to be done.
    Do {
        /// What.
        plan: Arc<Plan>,
        /// Why, where that was said.
        why: Option<String>,
    },
    /// It was left.
    Left,
}

impl Question {
    /// A question about a plan.
    pub fn new(plan: Arc<Plan>) -> Question {
        Question { plan, typed: Input::default(), why: Input::default(), on_why: false, complaint: None }
    }

    /// A key.
    pub fn key(mut self, key: KeyEvent) -> Decided {
        self.complaint = None;
        match key.code {
            KeyCode::Esc => return Decided::Left,
            KeyCode::Tab | KeyCode::BackTab => self.on_why = !self.on_why,
            KeyCode::Enter if self.on_why => self.on_why = false,
            _ if self.on_why => {
                self.why.key(key);
            }
            _ if self.plan.is_empty() => return Decided::Left,
            code => match (self.plan.confirm, code) {
                (Confirm::Count(count), KeyCode::Enter) => {
                    if self.typed.text().trim().replace(',', "") == count.to_string() {
                        return self.decided();
                    }
                    self.complaint = Some(format!("that is not {count}; nothing was done"));
                }
                (Confirm::Count(_), _) => {
                    self.typed.key(key);
                }
                (_, KeyCode::Char('y')) => return self.decided(),
                (_, KeyCode::Char('n' | 'q')) => return Decided::Left,
                _ => {}
            },
        }
        Decided::Open(self)
    }

    fn decided(self) -> Decided {
        let why = Some(self.why.text().trim().to_owned()).filter(|why| !why.is_empty());
        Decided::Do { plan: self.plan, why }
    }
}

/// Draws the question over the panes.
pub fn draw(model: &Model, question: &Question, frame: &mut Frame) {
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(116);
    let plan = &question.plan;
    let room = usize::from(width).saturating_sub(4);
    let mut lines = summary(model, plan, room);
    let below = 5;
    let height_of_all = screen.height.saturating_sub(2);
    let space = usize::from(height_of_all).saturating_sub(lines.len() + below + 3);
    let samples = &plan.preview.sample;
    if !samples.is_empty() && space > 1 {
        lines.push(Line::default());
        lines.extend(samples.iter().take(space - 1).map(|sample| sample_line(model, sample, room)));
        let shown = samples.len().min(space - 1);
        if plan.len() > shown {
            let rest =
                format!("   … and {} more rows", count((plan.len() - shown.min(plan.len())) as i64, 0));
            lines.push(Line::from(Span::styled(rest, model.theme.dim())));
        }
    }
    lines.push(Line::default());
    let cursor = lines.len();
    lines.extend(asked(model, question, room));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(height_of_all);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(model, frame, area, &clip(&plan.deed.text(), room.saturating_sub(4)));
    frame.render_widget(Paragraph::new(lines), inner);
    let (line, column) = match (question.on_why, plan.confirm) {
        (true, _) => (cursor, 8 + question.why.shown(why_room(room)).1),
        (false, Confirm::Count(count)) => {
            let digits = count.to_string().len();
            (cursor + 1, 20 + digits + question.typed.shown(digits + 2).1)
        }
        _ => (cursor + 1, 1),
    };
    let place = |start: u16, by: usize| start.saturating_add(u16::try_from(by).unwrap_or(0));
    frame.set_cursor_position((place(inner.x, column), place(inner.y, line)));
}

/// How many, and why not the others.
fn summary(model: &Model, plan: &Plan, room: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let preview = &plan.preview;
    let number = |n: usize| count(n as i64, 0);
    let mut text = format!(" {} selected · {} to do", number(preview.selected), number(preview.touched));
    if matches!(plan.deed, Deed::Fix { .. } | Deed::Mend) {
        text += &format!(" · {} would then pass the checks", number(preview.passing));
    }
    let mut lines = vec![Line::from(Span::styled(clip(&text, room), theme.strong()))];
    if preview.removed > 0 {
        let text = match preview.removed {
            1 => " ▲ the row is removed: Salesforce has no record of it".to_owned(),
            rows => format!(" ▲ {} rows are removed: Salesforce has no record of them", number(rows)),
        };
        lines.push(Line::from(Span::styled(clip(&text, room), theme.warn())));
    }
    if preview.doubled > 0 {
        let text = match preview.doubled {
            1 => " ▲ it may be made a second time: its answer was lost; if Salesforce has it, link it"
                .to_owned(),
            rows => format!(" ▲ {} may be made a second time: their answers were lost", number(rows)),
        };
        lines.push(Line::from(Span::styled(clip(&text, room), theme.warn())));
    }
    let reasons = |kind: &str, reasons: &std::collections::BTreeMap<String, usize>, style| {
        let mut list: Vec<(&String, &usize)> = reasons.iter().collect();
        list.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let line = |(why, count): (&String, &usize)| {
            Line::from(Span::styled(
                clip(&format!("   {} {kind}: {}", number(*count), why.replace('\n', " · ")), room),
                style,
            ))
        };
        let more = list.len().saturating_sub(REASONS);
        let mut lines: Vec<Line<'static>> = list.into_iter().take(REASONS).map(line).collect();
        if more > 0 {
            lines.push(Line::from(Span::styled(format!("   … and {more} other reasons"), style)));
        }
        lines
    };
    lines.extend(reasons("would not pass", &preview.refused, theme.warn()));
    lines.extend(reasons("left alone", &preview.left, theme.dim()));
    lines
}

fn sample_line(model: &Model, sample: &Sample, room: usize) -> Line<'static> {
    let theme = model.theme;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let (row, field) = (24.min(room / 4), if sample.field.is_empty() { 0 } else { 16.min(room / 5) });
    let values = room.saturating_sub(row + field + 8) / 2;
    let sign = if sample.refused.is_some() { Span::styled(" ✗ ", theme.bad()) } else { Span::raw("   ") };
    Line::from(vec![
        sign,
        Span::styled(fit(&format!("{} {}", sample.row.table, sample.row.row), row), theme.dim()),
        Span::styled(fit(&sample.field, field), theme.text()),
        cell(&shown(&sample.before), values, theme.dim()),
        Span::styled(" → ", theme.dim()),
        cell(&shown(&sample.after), values, theme.strong()),
    ])
}

/// The columns of the line that says why.
fn why_room(room: usize) -> usize {
    room.saturating_sub(8)
}

/// Why, and whether.
fn asked(model: &Model, question: &Question, room: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let why = match (question.why.text(), question.on_why) {
        ("", false) => Span::styled("Tab to say why, for the audit", theme.dim()),
        _ => Span::raw(question.why.shown(why_room(room)).0),
    };
    let leave = [Span::styled("Esc", theme.key()), Span::raw(" leave everything as it is")];
    let mut lines = vec![Line::from(vec![Span::styled(" Why    ", theme.label()), why])];
    let mut ask = match (question.plan.is_empty(), question.plan.confirm) {
        (true, _) => vec![Span::raw(" There is nothing to do.   ")],
        (false, Confirm::Count(count)) => vec![
            Span::styled(" Type ", theme.text()),
            Span::styled(count.to_string(), theme.strong()),
            Span::raw(" and Enter:  "),
            Span::styled(
                fit(&question.typed.shown(count.to_string().len() + 2).0, count.to_string().len() + 2),
                theme.strong(),
            ),
            Span::raw("  "),
        ],
        (false, _) => vec![Span::styled(" y", theme.key()), Span::raw(" do it   ")],
    };
    ask.extend(leave);
    lines.push(Line::from(ask));
    lines.push(match &question.complaint {
        Some(complaint) => Line::from(Span::styled(format!(" ✗ {complaint}"), theme.bad())),
        None => Line::default(),
    });
    lines
}
