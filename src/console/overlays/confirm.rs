//! Questions whether to do something. What an operation on many rows would do is shown before, and what weighs much is
//! confirmed by typing its number.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::operations::execute::Plan;
use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{cell, clip, count, fit, wrap};
use crate::console::widgets::input::Input;
use crate::domain::operations::operation::{Confirm, OperationKind, Sample};

/// Reasons shown of each kind; the rest is counted.
const REASONS: usize = 3;
/// Lines below and around the table: a blank one, why, whether, a complaint, and the border.
const BELOW: usize = 8;

/// A plan that waits for a yes.
#[derive(Clone, Debug)]
pub struct ConfirmPlan {
    plan: Arc<Plan>,
    typed: Input,
    why: Input,
    /// Whether the keys go into the reason.
    on_why: bool,
    complaint: Option<String>,
    /// The first line of the table that shows.
    top: usize,
    /// Whether those that need a person are listed, and not the others.
    persons: bool,
}

impl ConfirmPlan {
    /// A question about a plan.
    pub fn new(plan: Arc<Plan>) -> ConfirmPlan {
        ConfirmPlan {
            plan,
            typed: Input::default(),
            why: Input::default(),
            on_why: false,
            complaint: None,
            top: 0,
            persons: false,
        }
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        self.complaint = None;
        match key.code {
            KeyCode::Esc => return Outcome::GiveUp.closing(),
            KeyCode::Tab | KeyCode::BackTab => self.on_why = !self.on_why,
            KeyCode::Enter if self.on_why => self.on_why = false,
            _ if self.on_why => {
                self.why.key(key);
            }
            KeyCode::Char('p') if !self.plan.persons.is_empty() && !rows_of(&self.plan).is_empty() => {
                (self.persons, self.top) = (!self.persons, 0);
            }
            _ if self.plan.is_empty() => return Outcome::GiveUp.closing(),
            KeyCode::Down => self.scroll(1),
            KeyCode::Up => self.scroll(-1),
            KeyCode::PageDown => self.scroll(10),
            KeyCode::PageUp => self.scroll(-10),
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
                (_, KeyCode::Char('n' | 'q')) => return Outcome::GiveUp.closing(),
                (_, KeyCode::Char('j')) => self.scroll(1),
                (_, KeyCode::Char('k')) => self.scroll(-1),
                _ => {}
            },
        }
        Vec::new()
    }

    fn scroll(&mut self, by: isize) {
        self.top = self.top.saturating_add_signed(by);
    }

    /// Scrolls no further than to the last line of the table.
    pub fn settle(&mut self, ctx: &Context) {
        if self.top == 0 {
            return;
        }
        let (width, height) = ctx.size;
        let room = room(width);
        let space = space(height, summary(ctx, &self.plan, room).len());
        let lines = table_lines(ctx, self, room).len();
        self.top = self.top.min(lines.saturating_sub(shown(lines, space)));
    }

    fn decided(&self) -> Vec<Outcome> {
        let why = Some(self.why.text().trim().to_owned()).filter(|why| !why.is_empty());
        Outcome::Execute { plan: self.plan.clone(), why }.closing()
    }
}

/// An effect that waits for a yes.
#[derive(Debug)]
pub struct ConfirmEffect {
    /// What is at stake.
    pub text: String,
    /// The number to type, where a yes weighs much; else `y` is enough.
    count: Option<usize>,
    /// What is typed of it.
    typed: String,
    /// What a yes does.
    effect: Effect,
}

impl ConfirmEffect {
    /// A question as much as is due.
    pub fn new(text: String, confirm: Confirm, effect: Effect) -> ConfirmEffect {
        let count = if let Confirm::Count(count) = confirm { Some(count) } else { None };
        ConfirmEffect { text, count, typed: String::new(), effect }
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        match (key.code, self.count) {
            (KeyCode::Char('y'), None) => return Outcome::Confirmed(self.effect.clone()).closing(),
            (KeyCode::Enter, Some(count)) if self.typed == count.to_string() => {
                return Outcome::Confirmed(self.effect.clone()).closing();
            }
            (KeyCode::Esc, _) | (KeyCode::Char('n'), None) => return vec![Outcome::Close],
            (KeyCode::Char(digit), _) if digit.is_ascii_digit() && self.typed.len() < 12 => {
                self.typed.push(digit);
            }
            (KeyCode::Backspace, _) => drop(self.typed.pop()),
            _ => {}
        }
        Vec::new()
    }
}

/// Draws the question over the panes.
pub fn draw_effect(ctx: &Context, confirm: &ConfirmEffect, frame: &mut Frame) {
    let ConfirmEffect { text, count, typed, .. } = confirm;
    match count {
        None => yes_or_no(ctx, frame, "Sure?", text, [" do it   ", " leave everything as it is"]),
        Some(count) => {
            let text = format!("{text} Type {count} and Enter to do it: {typed}_");
            yes_or_no(ctx, frame, "Sure?", &text, ["", ""]);
        }
    }
}

/// Draws the question whether an edit is to be thrown away.
pub fn draw_leave(ctx: &Context, frame: &mut Frame) {
    yes_or_no(ctx, frame, "Throw the change away?", "", [" throw it away   ", " go on editing"]);
}

/// A key of the question whether an edit is to be thrown away: a yes closes the editor, too.
pub fn leave_key(key: KeyEvent) -> Vec<Outcome> {
    match key.code {
        KeyCode::Char('y') => vec![Outcome::Close, Outcome::Close],
        KeyCode::Char('n') | KeyCode::Esc => vec![Outcome::Close],
        _ => Vec::new(),
    }
}

/// A question with yes or no, and what either does.
fn yes_or_no(ctx: &Context, frame: &mut Frame, title: &str, text: &str, [yes, no]: [&str; 2]) {
    let width = frame.area().width.saturating_sub(4).min(if text.is_empty() { 46 } else { 90 });
    let words = wrap(text, usize::from(width).saturating_sub(4), 6);
    let height = u16::try_from(words.len()).unwrap_or(6) + 4;
    let area = frame.area().centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(ctx, frame, area, title);
    let mut lines: Vec<Line> = words.into_iter().map(|line| Line::from(format!(" {line}"))).collect();
    lines.push(Line::default());
    if yes.is_empty() {
        lines.push(super::hints(
            ctx,
            &[("Enter", "do it"), ("Esc", "leave everything as it is")],
            inner.width.into(),
        ));
        return frame.render_widget(Paragraph::new(lines), inner);
    }
    lines.push(Line::from(vec![
        Span::styled(" y", ctx.theme.key()),
        Span::raw(yes.to_owned()),
        Span::styled("n", ctx.theme.key()),
        Span::raw(" or "),
        Span::styled("Esc", ctx.theme.key()),
        Span::raw(no.to_owned()),
    ]));
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Draws the question over the panes.
pub fn draw(ctx: &Context, confirm: &ConfirmPlan, frame: &mut Frame) {
    let screen = frame.area();
    let plan = &confirm.plan;
    let room = room(screen.width);
    let mut lines = summary(ctx, plan, room);
    let space = space(screen.height, lines.len());
    let mut part = (0, 0..0);
    if space > 2 {
        let (table, len, shown) = table(ctx, confirm, room, space);
        lines.extend(table);
        part = (len, shown);
    }
    lines.push(Line::default());
    let cursor = lines.len();
    lines.extend(asked(ctx, confirm, room));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width(screen.width)), Constraint::Length(height));
    let inner = super::panel(ctx, frame, area, &clip(&plan.kind.text(), room.saturating_sub(4)));
    super::place_in_list(ctx, frame, area, part.0, &part.1);
    frame.render_widget(Paragraph::new(lines), inner);
    let (line, column) = match (confirm.on_why, plan.confirm) {
        (true, _) => (cursor, 8 + confirm.why.shown(why_room(room)).1),
        (false, Confirm::Count(count)) => {
            let digits = count.to_string().len();
            (cursor + 1, 20 + digits + confirm.typed.shown(digits + 2).1)
        }
        _ => (cursor + 1, 1),
    };
    let place = |start: u16, by: usize| start.saturating_add(u16::try_from(by).unwrap_or(0));
    frame.set_cursor_position((place(inner.x, column), place(inner.y, line)));
}

/// The columns of the question on a screen of so many.
fn width(screen: u16) -> u16 {
    screen.saturating_sub(4).min(116)
}

/// The columns of its lines.
fn room(screen: u16) -> usize {
    usize::from(width(screen)).saturating_sub(4)
}

/// The lines that the table may take on a screen of so many lines, below a summary of so many.
fn space(screen: u16, summary: usize) -> usize {
    usize::from(screen).saturating_sub(2 + summary + BELOW)
}

/// How many of the table's lines show in that space: one of it is taken by the line that tells of the others.
fn shown(lines: usize, space: usize) -> usize {
    let height = space.saturating_sub(2).max(1);
    if lines > height { height.saturating_sub(1).max(1) } else { height }
}

/// The rows of a plan that are told of: all of them, where they are known.
fn rows_of(plan: &Plan) -> &[Sample] {
    if plan.rows.is_empty() { &plan.preview.sample } else { &plan.rows }
}

/// What becomes of the rows, each in a line; or those that need a person. Of these a line tells above the others, with the
/// key that lists them.
fn table_lines(ctx: &Context, confirm: &ConfirmPlan, room: usize) -> Vec<Line<'static>> {
    let plan = &confirm.plan;
    let rows = rows_of(plan);
    let others = |rows: usize| {
        let text = format!("   … and {} more rows", count(rows as i64, 0));
        Line::from(Span::styled(clip(&text, room), ctx.theme.dim()))
    };
    let mut all = Vec::new();
    let persons = plan.persons.len() + plan.more_persons;
    if persons > 0 {
        let key = match (rows.is_empty(), confirm.persons) {
            (true, _) => ":",
            (false, true) => "; p shows what is done to the others:",
            (false, false) => "; p lists them",
        };
        let need = if persons == 1 { "1 needs" } else { &format!("{} need", count(persons as i64, 0)) };
        all.push(Line::from(Span::styled(clip(&format!(" ▲ {need} a person{key}"), room), ctx.theme.warn())));
    }
    if confirm.persons || rows.is_empty() {
        all.extend(plan.persons.iter().map(|row| person_line(ctx, row, room)));
        all.extend((plan.more_persons > 0).then(|| others(plan.more_persons)));
        return all;
    }
    all.extend(rows.iter().map(|row| sample_line(ctx, row, room)));
    // A row may change in several fields, each of which has a line.
    let told: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
    if plan.len() > told.len() {
        all.push(others(plan.len() - told.len()));
    }
    all
}

/// As much of that as there is space for, and how much does not show; how many lines there are, and which of them show.
fn table(
    ctx: &Context,
    confirm: &ConfirmPlan,
    room: usize,
    space: usize,
) -> (Vec<Line<'static>>, usize, Range<usize>) {
    let all = table_lines(ctx, confirm, room);
    if all.is_empty() {
        return (Vec::new(), 0, 0..0);
    }
    let mut lines = vec![Line::default()];
    if rows_of(&confirm.plan).iter().any(|row| !row.field.is_empty()) {
        lines.push(table_head(ctx, room));
    }
    let shown = shown(all.len(), space);
    let top = confirm.top.min(all.len().saturating_sub(shown));
    let len = all.len();
    let below = len.saturating_sub(top + shown);
    lines.extend(all.into_iter().skip(top).take(shown));
    if top > 0 || below > 0 {
        let text = format!("   ↑↓  {top} above, {below} below");
        lines.push(Line::from(Span::styled(clip(&text, room), ctx.theme.dim())));
    }
    (lines, len, top..(top + shown).min(len))
}

/// The columns of the table: row, field, value now.
fn table_widths(room: usize, with_field: bool) -> (usize, usize, usize) {
    let (row, field) = (24.min(room / 4), if with_field { 16.min(room / 5) } else { 0 });
    (row, field, room.saturating_sub(row + field + 8) / 2)
}

fn table_head(ctx: &Context, room: usize) -> Line<'static> {
    let (row, field, values) = table_widths(room, true);
    let text = format!("   {}{}{}   becomes", fit("row", row), fit("field", field), fit("value now", values));
    Line::from(Span::styled(clip(&text, room), ctx.theme.label()))
}

/// A text in its column, with a blank before the next one.
fn column(text: &str, width: usize) -> String {
    fit(&clip(text, width.saturating_sub(1)), width)
}

/// A row that no remedy mends by itself.
fn person_line(ctx: &Context, row: &Sample, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let (width, field, values) = table_widths(room, true);
    Line::from(vec![
        Span::raw("   "),
        Span::styled(column(&ctx.row_name(&row.row), width), theme.dim()),
        Span::styled(column(&row.field, field), theme.text()),
        cell(row.before.as_deref().unwrap_or("nothing"), values, theme.dim()),
        Span::styled("   ", theme.dim()),
        cell(row.refused.as_deref().unwrap_or_default(), values, theme.dim()),
    ])
}

/// How many, and why not the others.
fn summary(ctx: &Context, plan: &Plan, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let preview = &plan.preview;
    let number = |n: usize| count(n as i64, 0);
    let mut text = format!(" {} selected · {} to do", number(preview.selected), number(preview.touched));
    if matches!(plan.kind, OperationKind::Fix { .. } | OperationKind::Mend | OperationKind::Merge(_)) {
        text += &format!(" · {} would then pass the checks", number(preview.passing));
    }
    let mut lines = vec![Line::from(Span::styled(clip(&text, room), theme.strong()))];
    if let OperationKind::Merge(merge) = &plan.kind {
        let mut text = format!(" ▲ it takes the record {} over", merge.sfid);
        if let Some(row) = merge.replaces {
            text += &format!("; the row {row} is removed and stays so (the audit has its values)");
        }
        lines.extend(
            wrap(&text, room, 3).into_iter().map(|line| Line::from(Span::styled(line, theme.warn()))),
        );
    } else if preview.removed > 0 {
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

fn sample_line(ctx: &Context, sample: &Sample, room: usize) -> Line<'static> {
    let theme = ctx.theme;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let (row, field, values) = table_widths(room, !sample.field.is_empty());
    let sign = if sample.refused.is_some() { Span::styled(" ✗ ", theme.bad()) } else { Span::raw("   ") };
    Line::from(vec![
        sign,
        Span::styled(column(&ctx.row_name(&sample.row), row), theme.dim()),
        Span::styled(column(&sample.field, field), theme.text()),
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
fn asked(ctx: &Context, confirm: &ConfirmPlan, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let why = match (confirm.why.text(), confirm.on_why) {
        ("", false) => Span::styled("Tab to say why, for the audit", theme.dim()),
        _ => Span::raw(confirm.why.shown(why_room(room)).0),
    };
    let leave = [Span::styled("Esc", theme.key()), Span::raw(" leave everything as it is")];
    let mut lines = vec![Line::from(vec![Span::styled(" Why    ", theme.label()), why])];
    let mut ask = match (confirm.plan.is_empty(), confirm.plan.confirm) {
        (true, _) => vec![Span::raw(" There is nothing to do.   ")],
        (false, Confirm::Count(count)) => vec![
            Span::styled(" Type ", theme.text()),
            Span::styled(count.to_string(), theme.strong()),
            Span::raw(" and Enter:  "),
            Span::styled(
                fit(&confirm.typed.shown(count.to_string().len() + 2).0, count.to_string().len() + 2),
                theme.strong(),
            ),
            Span::raw("  "),
        ],
        (false, _) => vec![Span::styled(" y", theme.key()), Span::raw(" do it   ")],
    };
    ask.extend(leave);
    lines.push(Line::from(ask));
    lines.push(match &confirm.complaint {
        Some(complaint) => Line::from(Span::styled(format!(" ✗ {complaint}"), theme.bad())),
        None => Line::default(),
    });
    lines
}
