//! A line to type into, with what may be typed: the change of many rows, what to find, where to export to.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::model::Model;
use crate::console::widgets::cells::clip;
use crate::console::widgets::input::Input;
use crate::domain::act::How;
use crate::domain::catalogue;
use crate::domain::remedy::Action;
use crate::domain::sync_error::SyncError;
use crate::engine::bulk::Chosen;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// What becomes of a field of these errors' rows.
    Fix {
        /// Which errors.
        chosen: Chosen,
        /// How many, in words.
        count: String,
    },
    /// What somebody has in hand.
    Find,
    /// What the log is searched for.
    Search,
    /// The name under which a filter is kept.
    FilterName {
        /// The filter.
        filter: String,
    },
    /// A file's name.
    Export {
        /// Which errors, by the filter in force.
        filter: String,
        /// How many, in words.
        count: String,
    },
}

/// The question.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What is asked.
    pub about: About,
    /// What is typed.
    pub input: Input,
    /// What is wrong with it.
    pub complaint: Option<String>,
    /// What may be typed, the likeliest first.
    pub suggestions: Vec<String>,
    at: usize,
}

/// What a key did.
#[derive(Debug, PartialEq)]
pub enum Answered {
    /// Nothing yet.
    Open(Ask),
    /// This was entered.
    Entered(About, String),
    /// It was left.
    Left,
}

impl Ask {
    /// A question with what may be typed; the first of it stands there already.
    pub fn new(about: About, suggestions: Vec<String>) -> Ask {
        let first = suggestions.first().map_or("", String::as_str);
        Ask { about, input: Input::new(first), complaint: None, suggestions, at: 0 }
    }

    /// A key. Enter with something that cannot be read says why and stays.
    pub fn key(mut self, key: KeyEvent) -> Answered {
        self.complaint = None;
        match key.code {
            KeyCode::Esc => return Answered::Left,
            KeyCode::Enter => {
                let text = self.input.text().trim().to_owned();
                self.complaint = match &self.about {
                    About::Fix { .. } => How::parse(&text).err(),
                    About::Search => None,
                    _ if text.is_empty() => Some("nothing is typed".to_owned()),
                    _ => None,
                };
                if self.complaint.is_none() {
                    return Answered::Entered(self.about, text);
                }
            }
            KeyCode::Down | KeyCode::Tab if !self.suggestions.is_empty() => {
                self.at = (self.at + 1) % self.suggestions.len();
                self.input = Input::new(&self.suggestions[self.at]);
            }
            KeyCode::Up | KeyCode::BackTab if !self.suggestions.is_empty() => {
                self.at = (self.at + self.suggestions.len() - 1) % self.suggestions.len();
                self.input = Input::new(&self.suggestions[self.at]);
            }
            _ => {
                self.input.key(key);
            }
        }
        Answered::Open(self)
    }

    fn words(&self) -> (String, &'static str, &'static str) {
        match &self.about {
            About::Fix { count, .. } => (
                format!("Fix {count}"),
                "FIELD=value   FIELD= (nothing)   FIELD | trim | phone_e164(US) | replace(\"from\", \"to\")",
                " show what it would do   ",
            ),
            About::Find => (
                "Go to any row".to_owned(),
                "row id, Contact:42, record id (15 or 18 characters) or external id",
                " find it   ",
            ),
            About::Search => {
                ("Search the log".to_owned(), "what the line has in it; case does not matter", " search   ")
            }
            About::FilterName { filter } => {
                (format!("Keep the filter {filter}"), "a short name for it", " keep it   ")
            }
            About::Export { count, .. } => (
                format!("Export {count}"),
                "a file: errors.csv, or errors.jsonl for JSON lines",
                " write it   ",
            ),
        }
    }
}

/// What is likely to mend errors like this one: its remedies as something to type.
pub fn suggestions(error: &SyncError) -> Vec<String> {
    let Some(field) = error.fields.first() else { return Vec::new() };
    let entry = catalogue::classify(error.source, &error.code, &error.message);
    let mut list: Vec<String> = entry
        .remedies
        .iter()
        .filter_map(|remedy| match &remedy.action {
            Some(Action::Apply(transforms)) => Some(format!("{field} | {transforms}")),
            Some(Action::Clear) => Some(format!("{field}=")),
            _ => None,
        })
        .collect();
    list.push(format!("{field} | replace(\"\", \"\")"));
    list.push(format!("{field} | "));
    list.dedup();
    list
}

/// Draws the question over the panes.
pub fn draw(model: &Model, ask: &Ask, frame: &mut Frame) {
    let theme = model.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(100);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(6));
    let (title, help, does) = ask.words();
    let inner = super::panel(model, frame, area, &title);
    let room = usize::from(inner.width).saturating_sub(2);
    let note = match &ask.complaint {
        Some(complaint) => {
            Span::styled(format!(" ✗ {}", clip(complaint, room.saturating_sub(2))), theme.bad())
        }
        None => Span::styled(format!(" {}", clip(help, room)), theme.dim()),
    };
    let mut keys = vec![Span::styled(" Enter", theme.key()), Span::raw(does)];
    if ask.suggestions.len() > 1 {
        keys.extend([Span::styled("↑↓", theme.key()), Span::raw(" other suggestions   ")]);
    }
    keys.extend([Span::styled("Esc", theme.key()), Span::raw(" leave")]);
    let (text, column) = ask.input.shown(room);
    let lines = vec![Line::from(format!(" {text}")), Line::from(note), Line::default(), Line::from(keys)];
    frame.render_widget(Paragraph::new(lines), inner);
    let column = u16::try_from(column).unwrap_or(u16::MAX);
    frame.set_cursor_position((inner.x.saturating_add(1).saturating_add(column), inner.y));
}
