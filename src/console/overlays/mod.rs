//! What lies on top of the panes, a stack: the editor, a choice, a question, the filter, the help. Only the uppermost one gets
//! keys; Esc takes it off.

mod acts;
mod ask;
mod choice;
mod filter;
mod palette;
mod patterns;
mod plan;
mod sides;
mod trends;
mod work;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

pub use acts::{Acts, Looked};
pub use ask::{About, Answered, Ask, EACH, suggestions};
pub use choice::{Choice, Deed, Picking, Verb, changes};
pub use filter::{FilterLine, Typed};
pub use palette::{Chose, Palette, Run};
pub use patterns::{Patterns, Shaped};
pub use plan::{Decided, Question};
pub use sides::{Picked, Sides};
pub use trends::{Seen, Trends};
pub use work::Working;

use super::command::Command;
use super::effect::Effect;
use super::model::Model;
use super::panes::edit::{self, Editor};
use super::widgets::cells::{clip, wrap};
use crate::domain::act::{Confirm, Report};
use crate::domain::names::RowRef;

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
    Edit(Editor),
    /// A list to choose from.
    Choice(Choice),
    /// Whether to throw an edit away.
    ConfirmLeave,
    /// Something is to be typed.
    Ask(Ask),
    /// Whether to do what is shown.
    Question(Box<Question>),
    /// An act under way.
    Working(Working),
    /// What an act came to.
    Report {
        /// What it was.
        text: String,
        /// What it came to.
        report: Box<Report>,
    },
    /// What operators did.
    Acts(Acts),
    /// Fields that changed on both sides.
    Sides(Sides),
    /// A question with yes or no.
    Sure {
        /// What is at stake.
        text: String,
        /// The number to type, where a yes weighs much; else `y` is enough.
        count: Option<usize>,
        /// What is typed of it.
        typed: String,
        /// What a yes does.
        effect: Box<Effect>,
    },
    /// What was asked for is on its way, in these words: a key pressed meanwhile was not meant for what shows now. Esc gives
    /// it up.
    Looking(&'static str),
    /// The record of this row is being read, and this command waits for it.
    Awaiting {
        /// Which row.
        row: RowRef,
        /// What is done then.
        command: &'static Command,
    },
    /// A list or a record is being read that is to be opened or edited: what is typed meanwhile goes on there.
    Opening(Vec<Ahead>),
    /// Something to read.
    Told {
        /// What about.
        title: String,
        /// The words, by paragraphs.
        text: String,
    },
    /// The filter of a list.
    Filter(FilterLine),
    /// The lines of the log by their patterns.
    Patterns(Patterns),
    /// Errors and throughput as pictures.
    Trends(Trends),
    /// Commands to choose from.
    Palette(Palette),
}

impl Overlay {
    /// A question with yes or no.
    pub fn sure(text: String, effect: Effect) -> Overlay {
        Overlay::sure_of(text, Confirm::Yes, effect)
    }

    /// A question as much as is due.
    pub fn sure_of(text: String, confirm: Confirm, effect: Effect) -> Overlay {
        let count = if let Confirm::Count(count) = confirm { Some(count) } else { None };
        Overlay::Sure { text, count, typed: String::new(), effect: Box::new(effect) }
    }
}

/// Draws all layers, the lowest first.
pub fn draw(model: &Model, frame: &mut Frame) {
    for overlay in &model.overlays {
        match overlay {
            Overlay::Edit(editor) => edit::draw(model, editor, frame),
            Overlay::Choice(choice) => choice::draw(model, choice, frame),
            Overlay::ConfirmLeave => {
                sure(model, frame, "Throw the change away?", "", [" throw it away   ", " go on editing"]);
            }
            Overlay::Ask(ask) => ask::draw(model, ask, frame),
            Overlay::Question(question) => plan::draw(model, question, frame),
            Overlay::Working(working) => work::draw(model, working, frame),
            Overlay::Report { text, report } => work::draw_report(model, text, report, frame),
            Overlay::Acts(acts) => acts::draw(model, acts, frame),
            Overlay::Sides(sides) => sides::draw(model, sides, frame),
            Overlay::Sure { text, count: None, .. } => {
                sure(model, frame, "Sure?", text, [" do it   ", " leave everything as it is"])
            }
            Overlay::Sure { text, count: Some(count), typed, .. } => {
                let text = format!("{text} Type {count} and Enter to do it: {typed}_");
                sure(model, frame, "Sure?", &text, ["", ""])
            }
            // It is over in a moment, and the last line says it.
            Overlay::Looking(_) | Overlay::Awaiting { .. } | Overlay::Opening(_) => {}
            Overlay::Told { title, text } => told(model, frame, title, text),
            Overlay::Filter(line) => filter::draw(model, line, frame),
            Overlay::Patterns(list) => patterns::draw(model, list, frame),
            Overlay::Trends(trends) => trends::draw(model, trends, frame),
            Overlay::Palette(palette) => palette::draw(model, palette, frame),
        }
    }
}

fn panel(model: &Model, frame: &mut Frame, area: Rect, title: &str) -> Rect {
    // A title may name a filter, and a filter a value of anybody's.
    let title = clip(title, usize::from(area.width.saturating_sub(4)));
    let block = Block::new()
        .borders(Borders::ALL)
        .border_type(BorderType::Thick)
        .border_style(model.theme.border(true))
        .title(Span::styled(format!(" {title} "), model.theme.title(true)));
    let inner = block.inner(area);
    clear(frame, area);
    frame.render_widget(block, area);
    inner
}

/// Empties a place for what lies on top. A wide letter that reaches into it goes as a whole: the terminal would draw it
/// instead of the frame.
pub(super) fn clear(frame: &mut Frame, area: Rect) {
    for y in area.top()..area.bottom() {
        let before = area.x.checked_sub(1).and_then(|x| frame.buffer_mut().cell_mut((x, y)));
        if let Some(cell) = before.filter(|cell| cell.symbol().width() > 1) {
            cell.set_symbol(" ");
        }
    }
    frame.render_widget(Clear, area);
}

/// A line of a list in an overlay; the chosen one stands out as a whole.
fn chosen_line<'a>(model: &Model, chosen: bool, line: Line<'a>) -> Line<'a> {
    if chosen { super::panes::standing_out(model.theme.selected(true), line) } else { line }
}

/// The keys of an overlay, in its last line of so many columns. Where they do not fit, the first ones stay, and the last
/// one, which is the way out.
fn hints(model: &Model, keys: &[(&'static str, &'static str)], width: usize) -> Line<'static> {
    let takes = |(key, does): &(&str, &str)| key.width() + does.width() + 4;
    let mut keys = keys.to_vec();
    while keys.len() > 2 && keys.iter().map(takes).sum::<usize>() > width + 2 {
        keys.remove(keys.len() - 2);
    }
    let spans = keys.iter().flat_map(|(key, does)| {
        [Span::styled(format!(" {key}"), model.theme.key()), Span::raw(format!(" {does}  "))]
    });
    Line::from_iter(spans)
}

/// Something to read, as long as it is.
fn told(model: &Model, frame: &mut Frame, title: &str, text: &str) {
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(90);
    let most = usize::from(screen.height).saturating_sub(6);
    let room = usize::from(width).saturating_sub(4);
    let mut words: Vec<String> = text.lines().flat_map(|line| wrap(line, room, most)).collect();
    words.truncate(most);
    let height = u16::try_from(words.len()).unwrap_or(u16::MAX).saturating_add(4);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = panel(model, frame, area, title);
    let mut lines: Vec<Line> = words.into_iter().map(|line| Line::from(format!(" {line}"))).collect();
    lines.extend([Line::default(), hints(model, &[("Esc", "close")], room)]);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// A question with yes or no, and what either does.
fn sure(model: &Model, frame: &mut Frame, title: &str, text: &str, [yes, no]: [&str; 2]) {
    let width = frame.area().width.saturating_sub(4).min(if text.is_empty() { 46 } else { 90 });
    let words = wrap(text, usize::from(width).saturating_sub(4), 6);
    let height = u16::try_from(words.len()).unwrap_or(6) + 4;
    let area = frame.area().centered(Constraint::Length(width), Constraint::Length(height));
    let inner = panel(model, frame, area, title);
    let mut lines: Vec<Line> = words.into_iter().map(|line| Line::from(format!(" {line}"))).collect();
    lines.push(Line::default());
    if yes.is_empty() {
        lines.push(hints(
            model,
            &[("Enter", "do it"), ("Esc", "leave everything as it is")],
            inner.width.into(),
        ));
        return frame.render_widget(Paragraph::new(lines), inner);
    }
    lines.push(Line::from(vec![
        Span::styled(" y", model.theme.key()),
        Span::raw(yes.to_owned()),
        Span::styled("n", model.theme.key()),
        Span::raw(" or "),
        Span::styled("Esc", model.theme.key()),
        Span::raw(no.to_owned()),
    ]));
    frame.render_widget(Paragraph::new(lines), inner);
}
