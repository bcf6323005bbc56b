//! What lies on top of the panes, a stack: the editor, a choice, a question, the filter, the help. Only the uppermost one gets
//! keys; Esc takes it off.

mod acts;
mod ask;
mod choice;
mod plan;
mod sides;
mod work;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};

pub use acts::{Acts, Looked};
pub use ask::{About, Answered, Ask, suggestions};
pub use choice::{Choice, Deed, Picking, Verb, changes};
pub use plan::{Decided, Question};
pub use sides::{Picked, Sides};
pub use work::Working;

use super::command::COMMANDS;
use super::effect::Effect;
use super::keys;
use super::model::{Model, Pane};
use super::panes::edit::{self, Editor};
use super::widgets::cells::{clip, fit, wrap};
use super::widgets::input::Input;
use crate::domain::act::Report;

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
        /// What a yes does.
        effect: Box<Effect>,
    },
    /// The filter of a list, with what is wrong with it.
    Filter {
        /// Of which pane.
        pane: Pane,
        /// What is typed.
        input: Input,
        /// What is wrong with it.
        complaint: Option<String>,
    },
    /// The keys of a pane.
    Help {
        /// Which.
        pane: Pane,
        /// The first line that shows.
        top: usize,
    },
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
            Overlay::Sure { text, .. } => {
                sure(model, frame, "Sure?", text, [" do it   ", " leave everything as it is"])
            }
            Overlay::Filter { pane, input, complaint } => {
                filter(model, frame, *pane, input, complaint.as_deref())
            }
            Overlay::Help { pane, top } => help(model, frame, *pane, *top),
        }
    }
}

fn panel(model: &Model, frame: &mut Frame, area: Rect, title: &str) -> Rect {
    let block = Block::new()
        .borders(Borders::ALL)
        .border_type(BorderType::Thick)
        .border_style(model.theme.border(true))
        .title(Span::styled(format!(" {title} "), model.theme.title(true)));
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inner
}

/// A question with yes or no, and what either does.
fn sure(model: &Model, frame: &mut Frame, title: &str, text: &str, [yes, no]: [&str; 2]) {
    let width = frame.area().width.saturating_sub(4).min(if text.is_empty() { 46 } else { 90 });
    let words = wrap(text, usize::from(width).saturating_sub(4), 4);
    let height = u16::try_from(words.len()).unwrap_or(4) + 4;
    let area = frame.area().centered(Constraint::Length(width), Constraint::Length(height));
    let inner = panel(model, frame, area, title);
    let mut lines: Vec<Line> = words.into_iter().map(|line| Line::from(format!(" {line}"))).collect();
    lines.push(Line::default());
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

fn filter(model: &Model, frame: &mut Frame, pane: Pane, input: &Input, complaint: Option<&str>) {
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(96);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(5));
    let inner = panel(model, frame, area, &format!("Filter {}", pane.title().to_lowercase()));
    let room = usize::from(inner.width).saturating_sub(2);
    let help = match pane {
        Pane::Log => "words  level:warn  mapping:Contact  row:42  -word",
        _ => "words  mapping:contact  code:EMAIL  field:phone  state:open|held  category:data  since:1h  -…",
    };
    let note = match complaint {
        Some(complaint) => {
            Span::styled(format!(" ✗ {}", clip(complaint, room.saturating_sub(2))), model.theme.bad())
        }
        None => Span::styled(format!(" {}", clip(help, room)), model.theme.dim()),
    };
    let keys = Line::from(vec![
        Span::styled(" Enter", model.theme.key()),
        Span::raw(" apply   "),
        Span::styled("Esc", model.theme.key()),
        Span::raw(" leave it as it was"),
    ]);
    // The end of a long filter is what one types.
    let skip = (input.column() + 2).saturating_sub(room);
    let text: String = input.text().chars().skip(skip).collect();
    frame.render_widget(
        Paragraph::new(vec![Line::from(format!(" {}", clip(&text, room))), Line::from(note), keys]),
        inner,
    );
    let column = u16::try_from(input.column() - skip).unwrap_or(u16::MAX);
    frame.set_cursor_position((inner.x.saturating_add(1).saturating_add(column), inner.y));
}

/// The lines of the help of a pane, from the command table.
pub fn help_lines(pane: Pane) -> Vec<(String, &'static str)> {
    COMMANDS
        .iter()
        .filter(|command| command.is_in(pane))
        .map(|command| {
            let names: Vec<String> = command.keys.iter().map(|key| keys::shown(key)).collect();
            (names.join(" "), command.doc)
        })
        .collect()
}

fn help(model: &Model, frame: &mut Frame, pane: Pane, top: usize) {
    let lines = help_lines(pane);
    let screen = frame.area();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(screen.height.saturating_sub(2));
    let area = screen
        .centered(Constraint::Length(screen.width.saturating_sub(4).min(92)), Constraint::Length(height));
    let inner = panel(model, frame, area, &format!("Keys in {} · Esc closes, j and k scroll", pane.title()));
    let room = usize::from(inner.width).saturating_sub(22);
    let top = top.min(lines.len().saturating_sub(usize::from(inner.height)));
    let text: Vec<Line> = lines
        .iter()
        .skip(top)
        .take(usize::from(inner.height))
        .map(|(keys, doc)| {
            Line::from(vec![
                Span::raw(" "),
                Span::styled(fit(keys, 18), model.theme.key()),
                Span::raw(" "),
                Span::raw(clip(doc, room)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(text), inner);
}
