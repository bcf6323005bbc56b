//! What lies on top of the panes, a stack: the editor, a menu, a question, the filter, the help. Only the uppermost one gets
//! keys; Esc takes it off.

mod alerts;
mod audit;
mod columns;
mod confirm;
mod conflicts;
mod duplicate;
mod editor;
mod filter;
mod groups;
mod health;
mod heroku;
mod menu;
mod menus;
mod palette;
mod patterns;
mod progress;
mod prompt;
mod setup;
mod shadow;
mod sources;
mod trends;

use std::ops::Range;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

pub use alerts::{AlertsOverlay, RECEIVER};
pub use audit::AuditLog;
pub use columns::ColumnsView;
pub use confirm::{ConfirmEffect, ConfirmPlan};
pub use conflicts::ConflictPicker;
pub use duplicate::DuplicatePicker;
pub use editor::Editor;
pub use filter::FilterLine;
pub use groups::{GroupsView, MOST as MOST_GROUPS, group_of};
pub use health::HealthView;
pub use heroku::HerokuView;
pub use menu::Menu;
pub use palette::{Palette, Thing};
pub use patterns::Patterns;
pub use progress::{ProgressBar, ReportView};
pub use prompt::{About, DECIDED, EACH, Prompt, suggestions};
pub use setup::SetupView;
pub use shadow::ShadowView;
pub use sources::SourceList;
pub use trends::Trends;

use super::command::Command;
use super::context::Context;
use super::effect::Effect;
use super::outcome::Outcome;
use super::panes::log::LogPane;
use super::widgets::cells::{clip, wrap};
use super::widgets::scroll::scrollbar;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::Confirm;

/// What was typed before there was an editor.
#[derive(Debug)]
pub enum Ahead {
    /// A key.
    Key(KeyEvent),
    /// A text at once.
    Paste(String),
}

/// One layer.
#[derive(Debug)]
pub enum Overlay {
    /// The editor of a value.
    Editor(Editor),
    /// A list to choose from.
    Menu(Menu),
    /// Whether to throw an edit away.
    ConfirmLeave,
    /// Something is to be typed.
    Prompt(Prompt),
    /// Whether to execute the plan of an operation.
    ConfirmPlan(Box<ConfirmPlan>),
    /// Whether to do something else.
    Confirm(ConfirmEffect),
    /// An operation under way.
    Progress(ProgressBar),
    /// What an operation came to.
    Report(ReportView),
    /// What operators did.
    AuditLog(AuditLog),
    /// Fields that changed on both sides.
    ConflictPicker(ConflictPicker),
    /// A row that is refused, beside the record that has the same.
    DuplicatePicker(Box<DuplicatePicker>),
    /// What was asked for is on its way, in these words: a key pressed meanwhile was not meant for what shows now. Esc gives
    /// it up.
    Loading {
        /// The words.
        words: &'static str,
        /// What was asked: only the answer to it ends this.
        asked: Effect,
    },
    /// The record of this row is being read, and this command waits for it.
    Awaiting {
        /// Which row.
        row: RowRef,
        /// What is done then.
        command: &'static Command,
    },
    /// A list or a record is being read that is to be opened or edited: what is typed meanwhile goes on there.
    TypeAhead(Vec<Ahead>),
    /// Something to read.
    Info {
        /// What about.
        title: String,
        /// The words, by paragraphs.
        text: String,
        /// The first line that shows.
        top: usize,
    },
    /// The filter of a list.
    Filter(FilterLine),
    /// The lines of the log by their patterns.
    Patterns(Patterns),
    /// Where the lines of the log come from.
    Sources(SourceList),
    /// The columns of the errors.
    Columns(ColumnsView),
    /// Errors and throughput as pictures.
    Trends(Trends),
    /// The errors by their causes.
    Groups(Box<GroupsView>),
    /// How well the sync goes.
    Health(HealthView),
    /// What fires, what is silenced, how the channels are, what was told.
    Alerts(AlertsOverlay),
    /// What Heroku Connect's own API lists.
    Heroku(Box<HerokuView>),
    /// A comparison beside Heroku Connect.
    Shadow(Box<ShadowView>),
    /// What a configuration makes of the database.
    Setup(Box<SetupView>),
    /// Commands to choose from.
    Palette(Palette),
}

impl Overlay {
    /// Something to read, from its beginning.
    pub fn info(title: String, text: String) -> Overlay {
        Overlay::Info { title, text, top: 0 }
    }

    /// What it scrolled past its end, on a screen of that size, it is back at the end.
    pub fn settle(&mut self, ctx: &Context) {
        match self {
            Overlay::ConfirmPlan(confirm) => confirm.settle(ctx),
            Overlay::Setup(view) => view.settle(ctx),
            Overlay::Shadow(view) => view.settle(ctx),
            Overlay::Groups(view) => view.settle(ctx),
            Overlay::Info { text, top, .. } => {
                let (words, most) = info_words(ctx.size, text);
                *top = (*top).min(words.len().saturating_sub(most));
            }
            _ => {}
        }
    }

    /// A question as much as is due.
    pub fn confirm(text: String, confirm: Confirm, effect: Effect) -> Overlay {
        Overlay::Confirm(ConfirmEffect::new(text, confirm, effect))
    }

    /// Takes a key, and answers what is to be done about it. One of them is about the log's own state.
    pub fn key(&mut self, log: &LogPane, key: KeyEvent) -> Vec<Outcome> {
        let leaves = matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'));
        match self {
            Overlay::Editor(editor) => editor.key(key),
            Overlay::Menu(menu) => menu.key(key),
            Overlay::ConfirmLeave => confirm::leave_key(key),
            Overlay::Prompt(prompt) => prompt.key(key),
            Overlay::ConfirmPlan(confirm) => confirm.key(key),
            Overlay::Confirm(confirm) => confirm.key(key),
            Overlay::Progress(progress) => progress.key(key),
            Overlay::Report(view) => view.key(key),
            Overlay::AuditLog(audit) => audit.key(key),
            Overlay::ConflictPicker(picker) => picker.key(key),
            Overlay::DuplicatePicker(picker) => picker.key(key),
            Overlay::Filter(line) => line.key(key),
            Overlay::Patterns(patterns) => patterns.key(key),
            Overlay::Sources(list) => list.key(key, log.sources.all().len()),
            Overlay::Columns(view) => view.key(key),
            Overlay::Trends(trends) => trends.key(key),
            Overlay::Groups(view) => view.key(key),
            Overlay::Health(view) => view.key(key),
            Overlay::Alerts(alerts) => alerts.key(key),
            Overlay::Heroku(view) => view.key(key),
            Overlay::Shadow(view) => view.key(key),
            Overlay::Setup(view) => view.key(key),
            Overlay::Palette(palette) => palette.key(key),
            // Esc gives it up: the answer is dropped when it comes.
            Overlay::Loading { .. } | Overlay::Awaiting { .. } | Overlay::TypeAhead(_)
                if key.code == KeyCode::Esc =>
            {
                Outcome::Unsay.closing()
            }
            Overlay::TypeAhead(typed) => {
                typed.push(Ahead::Key(key));
                Vec::new()
            }
            Overlay::Info { .. } if leaves => vec![Outcome::Close],
            Overlay::Info { top, .. } => {
                *top = top.saturating_add_signed(match key.code {
                    KeyCode::Char('j') | KeyCode::Down => 1,
                    KeyCode::Char('k') | KeyCode::Up => -1,
                    KeyCode::PageDown => 10,
                    KeyCode::PageUp => -10,
                    _ => 0,
                });
                Vec::new()
            }
            Overlay::Loading { .. } | Overlay::Awaiting { .. } => Vec::new(),
        }
    }

    /// Takes pasted text, where one types.
    pub fn paste(&mut self, text: &str) -> Vec<Outcome> {
        match self {
            Overlay::Editor(editor) => editor.paste(text),
            Overlay::TypeAhead(typed) => typed.push(Ahead::Paste(text.to_owned())),
            Overlay::Filter(line) => {
                line.input.insert(text);
                return vec![Outcome::PreviewFilter];
            }
            Overlay::Prompt(prompt) => prompt.input.insert(text),
            Overlay::Setup(view) => view.paste(text),
            Overlay::Palette(palette) => palette.paste(text),
            _ => {}
        }
        Vec::new()
    }

    /// Draws it over what lies below.
    pub fn draw(&self, ctx: &Context, log: &LogPane, frame: &mut Frame) {
        match self {
            Overlay::Editor(editor) => editor::draw(ctx, editor, frame),
            Overlay::Menu(menu) => menu::draw(ctx, menu, frame),
            Overlay::ConfirmLeave => confirm::draw_leave(ctx, frame),
            Overlay::Prompt(prompt) => prompt::draw(ctx, prompt, frame),
            Overlay::ConfirmPlan(confirm) => confirm::draw(ctx, confirm, frame),
            Overlay::Confirm(confirm) => confirm::draw_effect(ctx, confirm, frame),
            Overlay::Progress(progress) => progress::draw(ctx, progress, frame),
            Overlay::Report(view) => progress::draw_report(ctx, view, frame),
            Overlay::AuditLog(audit) => audit::draw(ctx, audit, frame),
            Overlay::ConflictPicker(picker) => conflicts::draw(ctx, picker, frame),
            Overlay::DuplicatePicker(picker) => duplicate::draw(ctx, picker, frame),
            // It is over in a moment, and the last line says it.
            Overlay::Loading { .. } | Overlay::Awaiting { .. } | Overlay::TypeAhead(_) => {}
            Overlay::Info { title, text, top } => info(ctx, frame, title, text, *top),
            Overlay::Filter(line) => filter::draw(ctx, line, frame),
            Overlay::Patterns(list) => patterns::draw(ctx, list, frame),
            Overlay::Sources(list) => sources::draw(ctx, log, list, frame),
            Overlay::Columns(view) => columns::draw(ctx, view, frame),
            Overlay::Trends(trends) => trends::draw(ctx, trends, frame),
            Overlay::Groups(view) => groups::draw(ctx, view, frame),
            Overlay::Health(view) => health::draw(ctx, view, frame),
            Overlay::Alerts(list) => alerts::draw(ctx, log, list, frame),
            Overlay::Heroku(view) => heroku::draw(ctx, view, frame),
            Overlay::Shadow(view) => shadow::draw(ctx, view, frame),
            Overlay::Setup(view) => setup::draw(ctx, view, frame),
            Overlay::Palette(palette) => palette::draw(ctx, palette, frame),
        }
    }
}

fn panel(ctx: &Context, frame: &mut Frame, area: Rect, title: &str) -> Rect {
    // A title may name a filter, and a filter a value of anybody's.
    let title = clip(title, usize::from(area.width.saturating_sub(4)));
    let block = Block::new()
        .borders(Borders::ALL)
        .border_type(BorderType::Thick)
        .border_style(ctx.theme.border(true))
        .title(Span::styled(format!(" {title} "), ctx.theme.title(true)));
    let inner = block.inner(area);
    clear(frame, area);
    frame.render_widget(block, area);
    inner
}

/// Where one is in a list that is longer than its overlay.
fn place_in_list(ctx: &Context, frame: &mut Frame, area: Rect, len: usize, shown: &Range<usize>) {
    scrollbar(frame, area, ctx.theme.border(true), len, shown);
}

/// Empties a place for what lies on top. A wide letter that reaches into it goes as a whole: the terminal would draw it
/// instead of the frame.
fn clear(frame: &mut Frame, area: Rect) {
    for y in area.top()..area.bottom() {
        let before = area.x.checked_sub(1).and_then(|x| frame.buffer_mut().cell_mut((x, y)));
        if let Some(cell) = before.filter(|cell| cell.symbol().width() > 1) {
            cell.set_symbol(" ");
        }
    }
    frame.render_widget(Clear, area);
}

/// A line of a list in an overlay; the chosen one stands out as a whole.
fn chosen_line<'a>(ctx: &Context, chosen: bool, line: Line<'a>) -> Line<'a> {
    if chosen { super::panes::standing_out(ctx.theme.selected(true), line) } else { line }
}

/// The keys of an overlay, in its last line of so many columns. Where they do not fit, the first ones stay, and the last
/// one, which is the way out.
fn hints(ctx: &Context, keys: &[(&'static str, &'static str)], width: usize) -> Line<'static> {
    let takes = |(key, does): &(&str, &str)| key.width() + does.width() + 4;
    let mut keys = keys.to_vec();
    while keys.len() > 2 && keys.iter().map(takes).sum::<usize>() > width + 2 {
        keys.remove(keys.len() - 2);
    }
    let spans = keys.iter().flat_map(|(key, does)| {
        [Span::styled(format!(" {key}"), ctx.theme.key()), Span::raw(format!(" {does}  "))]
    });
    Line::from_iter(spans)
}

/// The columns of something to read, on a screen of so many.
fn info_width(columns: u16) -> u16 {
    columns.saturating_sub(4).min(90)
}

/// The lines of something to read, and how many of them show at most on a screen of that size.
fn info_words((columns, lines): (u16, u16), text: &str) -> (Vec<String>, usize) {
    let room = usize::from(info_width(columns)).saturating_sub(4);
    let words = text.lines().flat_map(|line| wrap(line, room, usize::MAX)).collect();
    (words, usize::from(lines).saturating_sub(6).max(1))
}

/// Something to read; what does not fit is scrolled to.
fn info(ctx: &Context, frame: &mut Frame, title: &str, text: &str, top: usize) {
    let screen = frame.area();
    let width = info_width(screen.width);
    let (words, most) = info_words((screen.width, screen.height), text);
    let height = u16::try_from(words.len().min(most)).unwrap_or(u16::MAX).saturating_add(4);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = panel(ctx, frame, area, title);
    let top = top.min(words.len().saturating_sub(most));
    let part = top..(top + most).min(words.len());
    place_in_list(ctx, frame, area, words.len(), &part);
    let keys: &[(&str, &str)] = if part.len() < words.len() {
        &[("↑↓", "scroll"), ("Esc", "close")]
    } else {
        &[("Esc", "close")]
    };
    let mut lines: Vec<Line> = words[part].iter().map(|line| Line::from(format!(" {line}"))).collect();
    lines.extend([Line::default(), hints(ctx, keys, usize::from(inner.width))]);
    frame.render_widget(Paragraph::new(lines), inner);
}
