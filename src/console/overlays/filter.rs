//! The line in which a filter is typed: completion of qualifiers and of the values that there are (`Tab`), the filters
//! typed before (arrows), what is wrong with it.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::client::api::Count;
use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::pane::Pane;
use crate::console::widgets::cells::{clip, count, wrap};
use crate::console::widgets::input::Input;
use crate::domain::errors::filter::QUALIFIERS;
use crate::logs::line::QUALIFIERS as LOG_QUALIFIERS;
use crate::logs::ring::Sifted;

/// Values shown of a completion.
const SHOWN: usize = 6;

/// The line.
#[derive(Debug)]
pub struct FilterLine {
    /// Of which pane.
    pub pane: Pane,
    /// What is typed.
    pub input: Input,
    /// What is wrong with it.
    pub complaint: Option<String>,
    /// Filters typed before, newest last.
    history: Vec<String>,
    /// The mappings' names, which a filter of the log may have.
    mappings: Vec<String>,
    /// The names of the log's sources.
    pub sources: Vec<String>,
    /// Fields that lines of the log have, beside those that are known.
    pub fields: Vec<String>,
    /// What it makes of the lines of the log, once that is known.
    pub sifted: Option<Sifted>,
    /// How many errors match, once that is counted.
    pub matching: Option<Count>,
    /// Which of them shows; `None` is what is typed now.
    at: Option<usize>,
    /// What was typed before one of them was recalled.
    draft: Input,
    /// What the word at the cursor may become, with how many errors have it.
    offers: Vec<(String, i64)>,
    /// The word that the offers are for.
    word: String,
    /// Which offer stands there.
    taken: Option<usize>,
}

impl FilterLine {
    /// A line with the filter in force and those typed before.
    pub fn new(pane: Pane, filter: &str, history: Vec<String>, mappings: Vec<String>) -> FilterLine {
        let mut line = FilterLine {
            pane,
            input: Input::new(filter),
            complaint: None,
            history,
            mappings,
            sources: Vec::new(),
            fields: Vec::new(),
            sifted: None,
            matching: None,
            at: None,
            draft: Input::default(),
            offers: Vec::new(),
            word: String::new(),
            taken: None,
        };
        if !filter.is_empty() {
            // One narrows what is there, or types something else after Ctrl-U.
            line.input.insert(" ");
        }
        line
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let asked = match key.code {
            KeyCode::Esc => return Outcome::EndFilter.closing(),
            KeyCode::Enter => {
                let text = self.input.text().trim().to_owned();
                return vec![Outcome::ApplyFilter { pane: self.pane, text }];
            }
            KeyCode::Tab | KeyCode::BackTab if self.offers.is_empty() => self.typed(),
            KeyCode::Tab => self.complete(1),
            KeyCode::BackTab => self.complete(self.offers.len().saturating_sub(1)),
            KeyCode::Up => self.recall(false),
            KeyCode::Down => self.recall(true),
            _ => {
                self.input.key(key);
                self.typed()
            }
        };
        asked.map(Outcome::Effect).into_iter().chain([Outcome::PreviewFilter]).collect()
    }

    /// Something was typed: the offers are those of the word at the cursor. Values are to be asked for.
    fn typed(&mut self) -> Option<Effect> {
        self.complaint = None;
        self.taken = None;
        self.word = self.input.word().to_owned();
        self.offers.clear();
        let bare = self.word.strip_prefix('-').unwrap_or(&self.word).to_lowercase();
        if bare.is_empty() {
            return None;
        }
        match bare.split_once(':') {
            Some((qualifier, prefix)) if self.pane == Pane::Log => {
                self.offers = self.of_log(qualifier, prefix);
                None
            }
            Some((qualifier, prefix)) => {
                Some(Effect::LoadValues { qualifier: qualifier.to_owned(), prefix: prefix.to_owned() })
            }
            None => {
                let known = if self.pane == Pane::Log { LOG_QUALIFIERS } else { QUALIFIERS };
                let fields = self.fields.iter().map(|field| format!("{field}:"));
                let all = known.split(' ').map(str::to_owned).chain(fields);
                let fitting = all.filter(|qualifier| qualifier.to_lowercase().starts_with(&bare));
                self.offers = fitting.map(|qualifier| (qualifier, 0)).collect();
                None
            }
        }
    }

    /// What a qualifier of the log may be followed by, as far as that is known.
    fn of_log(&self, qualifier: &str, prefix: &str) -> Vec<(String, i64)> {
        let values: Vec<&str> = match qualifier {
            "level" => vec!["debug", "info", "warn", "error"],
            "mapping" => self.mappings.iter().map(String::as_str).collect(),
            "source" => self.sources.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let fitting = values.into_iter().filter(|value| value.to_lowercase().starts_with(prefix));
        fitting.map(|value| (format!("{qualifier}:{value}"), 0)).collect()
    }

    /// The values of a qualifier came.
    pub fn take_values(&mut self, qualifier: &str, prefix: &str, values: Vec<(String, i64)>) {
        let bare = self.word.strip_prefix('-').unwrap_or(&self.word).to_lowercase();
        if bare != format!("{qualifier}:{prefix}") || self.taken.is_some() {
            return;
        }
        let offer = |(value, count): (String, i64)| {
            let quoted = if value.contains(' ') {
                format!("{qualifier}:\"{value}\"")
            } else {
                format!("{qualifier}:{value}")
            };
            (quoted, count)
        };
        self.offers = values.into_iter().map(offer).collect();
    }

    /// What the filter hides, where that is known.
    fn hides(&self) -> Option<String> {
        if let Some(Count { matching, capped }) = self.matching {
            let more = if capped { "more than " } else { "" };
            let errors = if matching == 1 { "error matches" } else { "errors match" };
            return Some(format!("{more}{} {errors}", count(matching, 0)));
        }
        let Sifted { passing, all, bad } = self.sifted?;
        let number = |number: usize| count(number as i64, 0);
        let hidden = number(all.saturating_sub(passing));
        let bad = match bad {
            0 => String::new(),
            1 => ", 1 of them a warning or an error".to_owned(),
            bad => format!(", {} of them warnings or errors", number(bad)),
        };
        Some(match passing {
            0 => format!("none of {} lines passes{bad}", number(all)),
            passing => format!("{} of {} lines pass, {hidden} are hidden{bad}", number(passing), number(all)),
        })
    }

    fn complete(&mut self, by: usize) -> Option<Effect> {
        let at = self.taken.map_or(0, |at| (at + by) % self.offers.len());
        self.taken = Some(at);
        let sign = if self.word.starts_with('-') { "-" } else { "" };
        let offer = format!("{sign}{}", self.offers[at].0);
        self.input.replace_word(&offer);
        None
    }

    fn recall(&mut self, newer: bool) -> Option<Effect> {
        let at = match (self.at, newer) {
            (None, true) => return None,
            (None, false) if self.history.is_empty() => return None,
            (None, false) => {
                self.draft = self.input.clone();
                self.history.len().checked_sub(1)
            }
            (Some(at), false) => Some(at.saturating_sub(1)),
            (Some(at), true) => Some(at + 1).filter(|at| *at < self.history.len()),
        };
        self.at = at;
        self.input = at.map_or_else(|| self.draft.clone(), |at| Input::new(&self.history[at]));
        self.offers.clear();
        None
    }
}

/// Draws the line.
pub fn draw(ctx: &Context, line: &FilterLine, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(100);
    let offers = u16::try_from(line.offers.len().min(SHOWN)).unwrap_or(0);
    // What is wrong is said whole: its end says what to type.
    let room = usize::from(width).saturating_sub(5);
    let complaint =
        line.complaint.as_ref().map(|text| wrap(&format!("✗ {text}"), room, 4)).unwrap_or_default();
    let more = u16::try_from(complaint.len().saturating_sub(1)).unwrap_or(0);
    let area = screen.centered(Constraint::Length(width), Constraint::Length(5 + offers + more));
    let inner = super::panel(ctx, frame, area, &format!("Filter {}", line.pane.title().to_lowercase()));
    let room = usize::from(inner.width).saturating_sub(2);
    let help = match line.pane {
        Pane::Log => "words  level:warn  status>=500  since:1h  record:42  mapping:Contact  -word",
        _ => "words  mapping:contact  code:EMAIL  field:phone  state:open|held  category:data  since:1h  -…",
    };
    let told = line.hides();
    let notes: Vec<Line> = match complaint.is_empty() {
        false => complaint
            .into_iter()
            .map(|text| Line::from(Span::styled(format!(" {text}"), theme.bad())))
            .collect(),
        true => {
            let text = clip(told.as_deref().unwrap_or(help), room);
            vec![Line::from(Span::styled(format!(" {text}"), theme.dim()))]
        }
    };
    let (text, column) = line.input.shown(room);
    let mut lines = vec![Line::from(format!(" {text}"))];
    let first = line.taken.map_or(0, |at| (at + 1).saturating_sub(SHOWN));
    lines.extend(line.offers.iter().enumerate().skip(first).take(SHOWN).map(|(at, (offer, errors))| {
        let style = if line.taken == Some(at) { theme.strong() } else { theme.dim() };
        let number = if *errors > 0 { format!("  {}", count(*errors, 0)) } else { String::new() };
        Line::from(Span::styled(format!("   {}{number}", clip(offer, room.saturating_sub(14))), style))
    }));
    lines.extend(notes);
    let keys =
        [("Enter", "apply"), ("Tab", "complete"), ("↑↓", "earlier"), ("Ctrl-U", "empty"), ("Esc", "leave")];
    lines.push(super::hints(ctx, &keys, inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    let column = u16::try_from(column).unwrap_or(u16::MAX);
    frame.set_cursor_position((inner.x.saturating_add(1).saturating_add(column), inner.y));
}
