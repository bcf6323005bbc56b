//! Commands to choose from by a few letters: all of them (`:`), or those of one pane (`?`). A disabled one says why.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::command::Command;
use crate::console::keys;
use crate::console::model::{Model, Pane};
use crate::console::widgets::cells::fit;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::console::widgets::input::Input;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    /// This command, in this pane.
    Command(&'static Command, Pane),
    /// The errors are listed by this filter.
    Filter(String),
}

impl PartialEq for Command {
    fn eq(&self, other: &Command) -> bool {
        std::ptr::eq(self, other)
    }
}

/// One that may be chosen.
#[derive(Debug)]
struct Entry {
    /// What is typed against: pane, title, name and doc.
    haystack: String,
    title: String,
    keys: String,
    doc: String,
    disabled: Option<&'static str>,
    run: Run,
}

/// The list.
#[derive(Debug)]
pub struct Palette {
    title: String,
    entries: Vec<Entry>,
    /// Those that match what is typed, the best first.
    shown: Vec<usize>,
    input: Input,
    cursor: Cursor,
}

/// What a key did.
pub enum Chose {
    /// Nothing yet.
    Open(Palette),
    /// This one.
    Run(Run),
    /// A disabled one, and why.
    Cannot(Palette, &'static str),
    /// It was left.
    Left,
}

impl Palette {
    /// The commands of a pane, in the order of the table.
    pub fn help(model: &Model) -> Palette {
        let pane = model.focus;
        let entries =
            model.keymap.of(pane).map(|(command, keys)| entry(model, command, keys, pane)).collect();
        Palette::of(format!("Keys in {}", pane.title()), entries)
    }

    /// Every command, those of the pane with the keys first, and the saved filters.
    pub fn all(model: &Model) -> Palette {
        let here = model.focus;
        let mut entries: Vec<Entry> =
            model.keymap.of(here).map(|(command, keys)| entry(model, command, keys, here)).collect();
        let elsewhere = model.keymap.all().filter(|(command, _)| !command.is_in(here));
        entries.extend(elsewhere.map(|(command, keys)| entry(model, command, keys, command.panes[0])));
        entries.extend(model.saved_filters().map(|(name, filter)| Entry {
            haystack: format!("filter {name} {filter}").to_lowercase(),
            title: format!("filter {name}"),
            keys: String::new(),
            doc: filter.to_owned(),
            disabled: None,
            run: Run::Filter(filter.to_owned()),
        }));
        Palette::of("Commands".to_owned(), entries)
    }

    fn of(title: String, entries: Vec<Entry>) -> Palette {
        let shown = (0..entries.len()).collect();
        Palette { title, entries, shown, input: Input::default(), cursor: Cursor::default() }
    }

    /// A key: letters narrow the list, arrows move, Enter runs.
    pub fn key(mut self, key: KeyEvent) -> Chose {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Chose::Left,
            KeyCode::Enter => return self.choose(),
            KeyCode::Down => self.cursor.step(Step::Lines(1), self.shown.len()),
            KeyCode::Up => self.cursor.step(Step::Lines(-1), self.shown.len()),
            KeyCode::Char('n') if control => self.cursor.step(Step::Lines(1), self.shown.len()),
            KeyCode::Char('p') if control => self.cursor.step(Step::Lines(-1), self.shown.len()),
            KeyCode::PageDown => self.cursor.step(Step::Lines(10), self.shown.len()),
            KeyCode::PageUp => self.cursor.step(Step::Lines(-10), self.shown.len()),
            _ => {
                let before = self.input.text().to_owned();
                self.input.key(key);
                if self.input.text() != before {
                    self.narrow();
                }
            }
        }
        Chose::Open(self)
    }

    /// Pasted text narrows the list too.
    pub fn paste(&mut self, text: &str) {
        self.input.insert(text);
        self.narrow();
    }

    fn choose(self) -> Chose {
        let Some(entry) = self.shown.get(self.cursor.at).map(|at| &self.entries[*at]) else {
            return Chose::Open(self);
        };
        match entry.disabled {
            Some(why) => Chose::Cannot(self, why),
            None => Chose::Run(entry.run.clone()),
        }
    }

    fn narrow(&mut self) {
        let typed = self.input.text().trim().to_lowercase();
        let words: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
        let pattern = Pattern::parse(self.input.text(), CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| {
                // Letters may be left out of a title; the sentence has to have the words.
                let title = pattern.score(Utf32Str::new(&entry.title, &mut buffer), &mut matcher);
                let said = words.iter().all(|word| entry.haystack.contains(word.as_str()));
                if title.is_none() && !said {
                    return None;
                }
                Some((2 * title.unwrap_or(0) + u32::from(said), at))
            })
            .collect();
        // What cannot be done now comes last; the table's order stays among equals.
        scored.sort_by_key(|(score, at)| {
            let entry = &self.entries[*at];
            // Whoever typed it whole wants it, or wants to know why not.
            (entry.title != typed, entry.disabled.is_some(), std::cmp::Reverse(*score), *at)
        });
        self.shown = scored.into_iter().map(|(_, at)| at).collect();
        self.cursor = Cursor::default();
    }
}

fn entry(model: &Model, command: &'static Command, keys: &[String], pane: Pane) -> Entry {
    let names: Vec<String> = keys.iter().map(|key| keys::shown(key)).collect();
    let place = match command.panes {
        [] => String::new(),
        _ if pane == model.focus => String::new(),
        _ => format!("{}: ", pane.title().to_lowercase()),
    };
    Entry {
        haystack: format!("{place}{} {} {}", command.title, command.name, command.doc).to_lowercase(),
        title: format!("{place}{}", command.title),
        keys: names.join(" "),
        doc: command.doc.to_owned(),
        disabled: command.disabled_in(model, pane),
        run: Run::Command(command, pane),
    }
}

/// Draws the list over the panes.
pub fn draw(model: &Model, palette: &Palette, frame: &mut Frame) {
    let theme = model.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(110);
    let wanted = u16::try_from(palette.entries.len() + 5).unwrap_or(u16::MAX);
    let area = screen
        .centered(Constraint::Length(width), Constraint::Length(wanted.min(screen.height.saturating_sub(2))));
    let inner = super::panel(model, frame, area, &palette.title);
    let room = usize::from(inner.width).saturating_sub(1);
    let (title, keys) = ((room / 4).clamp(14, 28), (room / 5).clamp(10, 16));
    let (text, column) = palette.input.shown(room.saturating_sub(3));
    let typed = match text.as_str() {
        "" => Span::styled("type a few letters", theme.dim()),
        _ => Span::raw(text),
    };
    let mut lines = vec![Line::from(vec![Span::styled(" : ", theme.key()), typed])];
    let height = usize::from(inner.height).saturating_sub(3);
    for at in palette.cursor.window(palette.shown.len(), height) {
        let entry = &palette.entries[palette.shown[at]];
        let plain = if entry.disabled.is_some() { theme.dim() } else { theme.text() };
        let doc = entry.disabled.map_or(entry.doc.clone(), |why| format!("✗ {why}"));
        let line = Line::from(vec![
            Span::raw(" "),
            Span::styled(fit(&entry.title, title), plain),
            Span::raw(" "),
            Span::styled(
                fit(&entry.keys, keys),
                if entry.disabled.is_some() { theme.dim() } else { theme.key() },
            ),
            Span::raw(" "),
            Span::styled(fit(&doc, room.saturating_sub(title + keys + 3)), plain),
        ]);
        lines.push(super::chosen_line(model, at == palette.cursor.at, line));
    }
    if palette.shown.is_empty() {
        lines.push(Line::from(Span::styled(" no command matches", theme.dim())));
    }
    lines.resize(usize::from(inner.height).saturating_sub(1), Line::default());
    let keys = [("Enter", "run it"), ("↑↓", "choose"), ("Esc", "close")];
    lines.push(super::hints(model, &keys, inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    let column = u16::try_from(column).unwrap_or(0);
    frame.set_cursor_position((inner.x + 3 + column, inner.y));
}
