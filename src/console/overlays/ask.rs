//! A line to type into, with what may be typed: the change of many rows, what to find, where to export to.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::operations::execute::Chosen;
use crate::console::model::Model;
use crate::console::widgets::cells::clip;
use crate::console::widgets::input::Input;
use crate::domain::act::How;
use crate::domain::catalogue;
use crate::domain::remedy::Action;
use crate::domain::sync_error::SyncError;

/// What stands for the remedies of each row, where the change of many rows is asked for.
pub const EACH: &str = "each row by its own first remedy";

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
    /// The name of a file for the lines of the log that show.
    KeepLines {
        /// How many.
        count: usize,
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
    /// For how many rows a remedy of their own passes, and of how many, once that is counted.
    pub passing: Option<(usize, usize)>,
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
        Ask { about, input: Input::new(first), complaint: None, passing: None, suggestions, at: 0 }
    }

    /// A key. Enter with something that cannot be read says why and stays.
    pub fn key(mut self, key: KeyEvent) -> Answered {
        self.complaint = None;
        match key.code {
            KeyCode::Esc => return Answered::Left,
            KeyCode::Enter => {
                let text = self.input.text().trim().to_owned();
                self.complaint = match &self.about {
                    About::Fix { .. } if text == EACH => None,
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
                // It is one thing: whoever types something else types that instead.
                if self.is_each() && matches!(key.code, KeyCode::Char(_) | KeyCode::Backspace) {
                    self.input = Input::default();
                }
                self.input.key(key);
            }
        }
        Answered::Open(self)
    }

    fn is_each(&self) -> bool {
        matches!(self.about, About::Fix { .. }) && self.input.text() == EACH
    }

    /// What is told of it while it is typed.
    fn help(&self) -> String {
        let (_, help, _) = self.words();
        match self.passing {
            _ if !self.is_each() => help.to_owned(),
            None => "counting the rows that a remedy of their own passes ...".to_owned(),
            Some((0, all)) => {
                format!(
                    "none of {all} rows has one that passes: a person must say what (↓ suggests, or type it)"
                )
            }
            Some((with, all)) => {
                let left = all.saturating_sub(with);
                let person =
                    if left == 1 { "1 needs a person".to_owned() } else { format!("{left} need a person") };
                format!(
                    "{with} of {all} rows have one that passes, {person}; or type FIELD=value, FIELD | trim, ..."
                )
            }
        }
    }

    fn words(&self) -> (String, &'static str, &'static str) {
        match &self.about {
            About::Fix { count, .. } => (
                format!("Fix {count}"),
                "FIELD=value   FIELD= (nothing)   FIELD | trim | phone_e164(US) | replace(\"from\", \"to\")",
                "show what it would do",
            ),
            About::Find => (
                "Go to any row".to_owned(),
                "row id, Contact:42, record id (15 or 18 characters) or external id",
                "find it",
            ),
            About::Search => {
                ("Search the log".to_owned(), "what the line has in it; case does not matter", "search")
            }
            About::FilterName { filter } => {
                (format!("Keep the filter {filter}"), "a short name for it", "keep it")
            }
            About::KeepLines { count } => (
                format!("Write {count} lines of the log"),
                "a file: log.txt, or log.jsonl for JSON lines",
                "write it",
            ),
            About::Export { count, .. } => {
                (format!("Export {count}"), "a file: errors.csv, or errors.jsonl for JSON lines", "write it")
            }
        }
    }
}

/// What may be typed to mend errors like this one: first of all nothing but what helps each row, then its remedies as
/// something that is done to all of them.
pub fn suggestions(error: Option<&SyncError>) -> Vec<String> {
    let mut list = vec![EACH.to_owned()];
    list.extend(error.map_or(Vec::new(), by_hand));
    list
}

fn by_hand(error: &SyncError) -> Vec<String> {
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
    list.push(format!("{field} | "));
    // What empties a value comes last.
    list.sort_by_key(|text| text.ends_with('='));
    list.dedup();
    list
}

/// Draws the question over the panes.
pub fn draw(model: &Model, ask: &Ask, frame: &mut Frame) {
    let theme = model.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(100);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(6));
    let (title, _, does) = ask.words();
    let inner = super::panel(model, frame, area, &title);
    let room = usize::from(inner.width).saturating_sub(2);
    let note = match &ask.complaint {
        Some(complaint) => {
            Span::styled(format!(" ✗ {}", clip(complaint, room.saturating_sub(2))), theme.bad())
        }
        None => Span::styled(format!(" {}", clip(&ask.help(), room)), theme.dim()),
    };
    let mut keys = vec![("Enter", does)];
    if ask.suggestions.len() > 1 {
        keys.push(("↑↓", "other suggestions"));
    }
    keys.push(("Esc", "leave"));
    let keys = super::hints(model, &keys, inner.width.into());
    let (text, column) = ask.input.shown(room);
    let lines = vec![Line::from(format!(" {text}")), Line::from(note), Line::default(), keys];
    frame.render_widget(Paragraph::new(lines), inner);
    let column = u16::try_from(column).unwrap_or(u16::MAX);
    frame.set_cursor_position((inner.x.saturating_add(1).saturating_add(column), inner.y));
}
