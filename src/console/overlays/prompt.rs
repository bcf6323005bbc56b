//! A line to type into, with what may be typed: the change of many rows, what to find, where to export to.

use chrono::{DateTime, Utc};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::operations::execute::Targets;
use crate::client::setup::SetupTask;
use crate::console::context::Context;
use crate::console::effect::{AlertChange, CauseChange, Effect};
use crate::console::outcome::Outcome;
use crate::console::pane::Pane;
use crate::console::widgets::cells::clip;
use crate::console::widgets::input::Input;
use crate::domain::errors::catalogue;
use crate::domain::errors::cause::Until;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{FieldChange, OperationKind};
use crate::domain::values::duration;
use crate::logs::sanitize::sanitize;

/// What stands for the remedies of each row, where the change of many rows is asked for.
pub const EACH: &str = "each row by its own first remedy";

/// What stands for no time of its own: a comparison ends when what differs is decided.
pub const DECIDED: &str = "until decided";

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// What becomes of a field of these errors' rows.
    Fix {
        /// Which errors.
        chosen: Targets,
        /// How many, in words.
        count: String,
    },
    /// A rule of a mapping.
    Rule {
        /// Which mapping.
        mapping: String,
    },
    /// The row that the others of the same thing become.
    MergeInto {
        /// The row of which a comparison found that.
        row: RowRef,
    },
    /// What somebody has in hand.
    Find,
    /// What the log is searched for.
    Search,
    /// The name under which a filter is kept.
    FilterName {
        /// Of which pane.
        pane: Pane,
        /// The filter.
        filter: String,
    },
    /// The name of a file for the lines of the log that show.
    KeepLines {
        /// How many.
        count: usize,
    },
    /// For how long alerts are silenced, and why.
    Silence {
        /// The rule; `None` is all.
        rule: Option<String>,
        /// What of it.
        subject: Option<String>,
    },
    /// What is said with an acknowledgement.
    Acknowledge {
        /// The rule.
        rule: String,
        /// What of it.
        subject: Option<String>,
    },
    /// What is to be known about a cause.
    NoteCause {
        /// The group.
        group: String,
        /// Its errors, in words.
        cause: String,
    },
    /// What ends a mute of a cause.
    MuteCause {
        /// The group.
        group: String,
        /// Its errors, in words.
        cause: String,
        /// The time by which dates are read.
        now: DateTime<Utc>,
    },
    /// The configuration of a plan or a takeover, where the connection's own has none.
    SetupFile {
        /// What is looked at with it.
        task: SetupTask,
    },
    /// The configuration that has a login to the org, to compare beside Heroku Connect.
    ShadowFile,
    /// For how long that goes on.
    ShadowTime,
    /// The name of a file for a text.
    WriteText {
        /// The text.
        text: String,
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
pub struct Prompt {
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

impl Prompt {
    /// A question with what may be typed; the first of it stands there already.
    pub fn new(about: About, suggestions: Vec<String>) -> Prompt {
        let first = suggestions.first().map_or("", String::as_str);
        Prompt { about, input: Input::new(first), complaint: None, passing: None, suggestions, at: 0 }
    }

    /// A key. Enter with something that cannot be read says why and stays.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        self.complaint = None;
        match key.code {
            KeyCode::Esc => return Outcome::GiveUp.closing(),
            KeyCode::Enter => match self.entered(self.input.text().trim()) {
                Ok(outcome) => return outcome.closing(),
                Err(why) => self.complaint = Some(why),
            },
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
        Vec::new()
    }

    /// What becomes of a text that was entered, or why it cannot be read.
    fn entered(&self, text: &str) -> Result<Outcome, String> {
        let may_be_empty = matches!(
            self.about,
            About::Fix { .. } | About::Search | About::Acknowledge { .. } | About::NoteCause { .. }
        );
        if text.is_empty() && !may_be_empty {
            return Err("nothing is typed".to_owned());
        }
        let text = text.to_owned();
        Ok(match self.about.clone() {
            About::Fix { chosen, .. } if text == EACH => Outcome::Plan { chosen, kind: OperationKind::Mend },
            About::Fix { chosen, .. } => {
                let (field, how) = FieldChange::parse(&text)?;
                Outcome::Plan { chosen, kind: OperationKind::Fix { field, how, retry: true } }
            }
            About::Rule { mapping } => {
                let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                let question = format!(
                    "This sets a rule of the mapping {mapping} for all of its rows, now and later: {key} = {value}."
                );
                let effect = Effect::SetRule { mapping: Some(mapping), key, value };
                Outcome::Begin { effect, question: Some(question) }
            }
            About::MergeInto { row } => {
                let into = RowId(text.parse().map_err(|_| "write the number of a row")?);
                let question = format!(
                    "The rows that are the same thing as {} {} become the row {into}: the others are deleted, and their records with them.",
                    row.table, row.row
                );
                Outcome::Begin { effect: Effect::MergeInto { row, into }, question: Some(question) }
            }
            About::Find => Outcome::Load("looking for it", Effect::Find(text)),
            About::Search => Outcome::SearchLog(text),
            About::FilterName { pane, filter } => Outcome::KeepFilter { pane, name: text, filter },
            About::KeepLines { .. } => Outcome::WriteLogLines(text),
            About::WriteText { text: written } => {
                Outcome::Effect(Effect::WriteText { path: text, text: written })
            }
            About::ShadowFile => Outcome::LookAtShadow { file: Some(text) },
            About::ShadowTime if text == DECIDED => Outcome::ShadowTime(None),
            About::ShadowTime => {
                let time = duration::parse(&text).filter(|time| !time.is_zero());
                let time = time.ok_or("write how long: 1h, 8h or 2d; or: until decided")?;
                Outcome::ShadowTime(Some(time))
            }
            About::SetupFile { task } => Outcome::LookAtSetup { task, file: Some(text) },
            About::Export { filter, .. } => Outcome::Effect(Effect::Export { filter, path: text }),
            About::Silence { rule, subject } => {
                let (length, note) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
                let length = duration::parse(length).filter(|length| !length.is_zero());
                let length = length.ok_or("begin with how long: 30m, 4h or 2d; then why, for the others")?;
                let note = note.trim().to_owned();
                Outcome::Effect(Effect::Alert(AlertChange::Silence { rule, subject, length, note }))
            }
            About::Acknowledge { rule, subject } => {
                Outcome::Effect(Effect::Alert(AlertChange::Acknowledge { rule, subject, note: text }))
            }
            About::NoteCause { group, .. } => {
                let note = Some(text).filter(|text| !text.is_empty());
                Outcome::Effect(Effect::Cause { group, change: CauseChange::Note(note) })
            }
            About::MuteCause { group, .. } if text == "off" => {
                Outcome::Effect(Effect::Cause { group, change: CauseChange::Unmute })
            }
            About::MuteCause { group, now, .. } => {
                let change = CauseChange::Mute(Until::parse(&text, now)?);
                Outcome::Effect(Effect::Cause { group, change })
            }
        })
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
            About::Rule { mapping } => (
                format!("Set a rule of {mapping}"),
                "KEY=VALUE, such as poll_interval=5m or Email.read_only=true",
                "show what it sets",
            ),
            About::MergeInto { row } => (
                format!("Merge the rows that are the same as {} {}", sanitize(&row.table), row.row),
                "the number of the one that stays",
                "show what is deleted",
            ),
            About::Find => (
                "Go to any row".to_owned(),
                "row id, Contact:42, record id (15 or 18 characters), external id or name",
                "find it",
            ),
            About::Search => {
                ("Search the log".to_owned(), "what the line has in it; case does not matter", "search")
            }
            About::FilterName { filter, .. } => {
                (format!("Keep the filter {filter}"), "a short name for it", "keep it")
            }
            About::KeepLines { count } => (
                format!("Write {count} lines of the log"),
                "a file: log.txt, or log.jsonl for JSON lines",
                "write it",
            ),
            About::WriteText { text } => (
                format!("Write {} lines", text.lines().count()),
                "a new file, which only you may read",
                "write it",
            ),
            About::SetupFile { task } => (
                match task {
                    SetupTask::Adopt => "Take over with which configuration?".to_owned(),
                    _ => "Plan with which configuration?".to_owned(),
                },
                "a file that syncdeck import heroku-connect wrote: here, or beside this one's",
                "look at it",
            ),
            About::ShadowFile => (
                "Compare with which configuration?".to_owned(),
                "a file that syncdeck import heroku-connect wrote: here, or beside this one's",
                "look at it",
            ),
            About::ShadowTime => (
                "Compare for how long?".to_owned(),
                "1h, 8h, 2d; until decided: until what differs has caught up or stays",
                "take it",
            ),
            About::Silence { rule, subject } => {
                let what = match (rule, subject) {
                    (Some(rule), subject) => named(rule, subject.as_deref()),
                    (None, _) => "all alerts".to_owned(),
                };
                (format!("Silence {what}"), "how long, then why: 2h a load runs", "silence it")
            }
            About::Acknowledge { rule, subject } => (
                format!("Take {} in hand", named(rule, subject.as_deref())),
                "what the others may know; it is told no more until it is over",
                "acknowledge it",
            ),
            About::NoteCause { cause, .. } => (
                format!("Note about {}", sanitize(cause)),
                "what is to be known about this cause; empty: the note is removed",
                "note it",
            ),
            About::MuteCause { cause, .. } => (
                format!("Mute {}", sanitize(cause)),
                "until: grows, 100 more, 2d, 2026-12-01; off ends it",
                "mute it",
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
            Some(RemedyAction::Apply(transforms)) => Some(format!("{field} | {transforms}")),
            Some(RemedyAction::Clear) => Some(format!("{field}=")),
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
pub fn draw(ctx: &Context, prompt: &Prompt, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(100);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(6));
    let (title, _, does) = prompt.words();
    let inner = super::panel(ctx, frame, area, &title);
    let room = usize::from(inner.width).saturating_sub(2);
    let note = match &prompt.complaint {
        Some(complaint) => {
            Span::styled(format!(" ✗ {}", clip(complaint, room.saturating_sub(2))), theme.bad())
        }
        None => Span::styled(format!(" {}", clip(&prompt.help(), room)), theme.dim()),
    };
    let mut keys = vec![("Enter", does)];
    if prompt.suggestions.len() > 1 {
        keys.push(("↑↓", "other suggestions"));
    }
    keys.push(("Esc", "leave"));
    let keys = super::hints(ctx, &keys, inner.width.into());
    let (text, column) = prompt.input.shown(room);
    let lines = vec![Line::from(format!(" {text}")), Line::from(note), Line::default(), keys];
    frame.render_widget(Paragraph::new(lines), inner);
    let column = u16::try_from(column).unwrap_or(u16::MAX);
    frame.set_cursor_position((inner.x.saturating_add(1).saturating_add(column), inner.y));
}

/// An alert as it is called: its rule, and what of it.
fn named(rule: &str, subject: Option<&str>) -> String {
    subject.map_or_else(|| rule.to_owned(), |subject| format!("{rule}:{subject}"))
}
