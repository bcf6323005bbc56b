//! Commands to choose from by a few letters: all of them (`:`), or those of one pane (`?`). A disabled one says why.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::command::Command;
use crate::console::context::{Context, Tone};
use crate::console::effect::Effect;
use crate::console::keys;
use crate::console::outcome::Outcome;
use crate::console::pane::Pane;
use crate::console::widgets::cells::fit;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::console::widgets::input::Input;

/// One that may be chosen.
#[derive(Debug)]
struct PaletteEntry {
    /// What is typed against: pane, title, name and doc.
    haystack: String,
    title: String,
    keys: String,
    doc: String,
    disabled: Option<&'static str>,
    does: Outcome,
}

/// Something to go to.
#[derive(Debug)]
pub struct Thing {
    /// What it is called.
    pub title: String,
    /// What it is.
    pub doc: String,
    /// How one goes there.
    pub does: Outcome,
}

/// The list.
#[derive(Debug)]
pub struct Palette {
    title: String,
    entries: Vec<PaletteEntry>,
    /// Those that match what is typed, the best first.
    shown: Vec<usize>,
    /// Whether what is typed may be a row that is looked for.
    finds: bool,
    input: Input,
    cursor: Cursor,
}

impl Palette {
    /// The commands of the pane with the keys, in the order of the table; `disabled` tells why one cannot be used in a pane.
    pub fn help(ctx: &Context, disabled: impl Fn(&Command, Pane) -> Option<&'static str>) -> Palette {
        let pane = ctx.focus;
        let commands = ctx.keymap.of(pane);
        let entries =
            commands.map(|(command, keys)| entry(ctx, command, keys, pane, disabled(command, pane)));
        Palette::of(format!("Keys in {}", pane.title()), entries.collect())
    }

    /// Every command, those of the pane with the keys first, the saved filters, and things: mappings, codes, rows by their
    /// names; what is typed beside them is looked for.
    pub fn all(
        ctx: &Context,
        things: Vec<Thing>,
        disabled: impl Fn(&Command, Pane) -> Option<&'static str>,
    ) -> Palette {
        let here = ctx.keymap.of(ctx.focus).map(|(command, keys)| (command, keys, ctx.focus));
        let elsewhere = ctx.keymap.all().filter(|(command, _)| !command.is_in(ctx.focus));
        let elsewhere = elsewhere.map(|(command, keys)| (command, keys, command.panes[0]));
        let commands = here.chain(elsewhere);
        let commands =
            commands.map(|(command, keys, pane)| entry(ctx, command, keys, pane, disabled(command, pane)));
        let mut entries: Vec<PaletteEntry> = commands.collect();
        for (pane, of) in [(Pane::Errors, ""), (Pane::Log, "log ")] {
            entries.extend(ctx.settings.saved_filters(pane).map(|(name, filter)| PaletteEntry {
                haystack: format!("{of}filter {name} {filter}").to_lowercase(),
                title: format!("{of}filter {name}"),
                keys: String::new(),
                doc: filter.to_owned(),
                disabled: None,
                does: Outcome::FilterBy { pane, filter: filter.to_owned() },
            }));
        }
        entries.extend(things.into_iter().map(|thing| PaletteEntry {
            haystack: format!("{} {}", thing.title, thing.doc).to_lowercase(),
            title: thing.title,
            keys: String::new(),
            doc: thing.doc,
            disabled: None,
            does: thing.does,
        }));
        Palette { finds: true, ..Palette::of("Commands and things".to_owned(), entries) }
    }

    fn of(title: String, entries: Vec<PaletteEntry>) -> Palette {
        let shown = (0..entries.len()).collect();
        Palette { title, entries, shown, finds: false, input: Input::default(), cursor: Cursor::default() }
    }

    /// A key: letters narrow the list, arrows move, Enter runs.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return vec![Outcome::Close],
            KeyCode::Enter => return self.choose(),
            KeyCode::Down => self.cursor.step(Step::Lines(1), self.lines()),
            KeyCode::Up => self.cursor.step(Step::Lines(-1), self.lines()),
            KeyCode::Char('n') if control => self.cursor.step(Step::Lines(1), self.lines()),
            KeyCode::Char('p') if control => self.cursor.step(Step::Lines(-1), self.lines()),
            KeyCode::PageDown => self.cursor.step(Step::Lines(10), self.lines()),
            KeyCode::PageUp => self.cursor.step(Step::Lines(-10), self.lines()),
            _ => {
                let before = self.input.text().to_owned();
                self.input.key(key);
                if self.input.text() != before {
                    self.narrow();
                }
            }
        }
        Vec::new()
    }

    /// Pasted text narrows the list too.
    pub fn paste(&mut self, text: &str) {
        self.input.insert(text);
        self.narrow();
    }

    /// How many lines there are to choose from: behind those that match, what is typed is looked for.
    fn lines(&self) -> usize {
        self.shown.len() + usize::from(self.finds && !self.input.text().trim().is_empty())
    }

    fn choose(&self) -> Vec<Outcome> {
        let Some(entry) = self.shown.get(self.cursor.at).map(|at| &self.entries[*at]) else {
            let text = self.input.text().trim().to_owned();
            let finds = self.finds && !text.is_empty() && self.cursor.at == self.shown.len();
            let find = Outcome::Load("looking for it", Effect::Find(text));
            return if finds { find.closing() } else { Vec::new() };
        };
        match entry.disabled {
            Some(why) => vec![Outcome::Say(Tone::Neutral, why.to_owned())],
            None => entry.does.clone().closing(),
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

fn entry(
    ctx: &Context,
    command: &'static Command,
    keys: &[String],
    pane: Pane,
    disabled: Option<&'static str>,
) -> PaletteEntry {
    let names: Vec<String> = keys.iter().map(|key| keys::shown(key)).collect();
    let place = match command.panes {
        [] => String::new(),
        _ if pane == ctx.focus => String::new(),
        _ => format!("{}: ", pane.title().to_lowercase()),
    };
    PaletteEntry {
        haystack: format!(
            "{place}{} {} {} {}",
            command.title,
            command.name,
            command.alias.unwrap_or(""),
            command.doc
        )
        .to_lowercase(),
        title: format!("{place}{}", command.title),
        keys: names.join(" "),
        doc: command.doc.to_owned(),
        disabled,
        does: Outcome::Run(command, pane),
    }
}

/// The line behind all others: what is typed is looked for.
fn find_line(ctx: &Context, typed: &str, title: usize, room: usize) -> Line<'static> {
    let text = format!(" the row {typed}: by its id, its record's or external id, or its name");
    Line::from(vec![
        Span::raw(" "),
        Span::styled(fit("find", title), ctx.theme.text()),
        Span::styled(fit(&text, room.saturating_sub(title + 2)), ctx.theme.text()),
    ])
}

/// Draws the list over the panes.
pub fn draw(ctx: &Context, palette: &Palette, frame: &mut Frame) {
    let theme = ctx.theme;
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(110);
    let wanted = u16::try_from(palette.entries.len() + 5).unwrap_or(u16::MAX);
    let area = screen
        .centered(Constraint::Length(width), Constraint::Length(wanted.min(screen.height.saturating_sub(2))));
    let inner = super::panel(ctx, frame, area, &palette.title);
    let room = usize::from(inner.width).saturating_sub(1);
    let (title, keys) = ((room / 4).clamp(14, 28), (room / 5).clamp(10, 16));
    let (text, column) = palette.input.shown(room.saturating_sub(3));
    let typed = match text.as_str() {
        "" => Span::styled("type a few letters", theme.dim()),
        _ => Span::raw(text),
    };
    let mut lines = vec![Line::from(vec![Span::styled(" : ", theme.key()), typed])];
    let height = usize::from(inner.height).saturating_sub(3);
    let window = palette.cursor.window(palette.lines(), height);
    super::place_in_list(ctx, frame, area, palette.lines(), &window);
    for at in window {
        let Some(entry) = palette.shown.get(at).map(|place| &palette.entries[*place]) else {
            let line = find_line(ctx, palette.input.text().trim(), title, room);
            lines.push(super::chosen_line(ctx, at == palette.cursor.at, line));
            continue;
        };
        let plain = if entry.disabled.is_some() { theme.dim() } else { theme.text() };
        let doc = entry.disabled.map_or(entry.doc.clone(), |why| format!("✗ {why}"));
        // What has no key may be as long as both columns.
        let (title, keys) = if entry.keys.is_empty() { (title + keys, 0) } else { (title, keys) };
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
        lines.push(super::chosen_line(ctx, at == palette.cursor.at, line));
    }
    if palette.lines() == 0 {
        lines.push(Line::from(Span::styled(" no command matches", theme.dim())));
    }
    lines.resize(usize::from(inner.height).saturating_sub(1), Line::default());
    let keys = [("Enter", "run it"), ("↑↓", "choose"), ("Esc", "close")];
    lines.push(super::hints(ctx, &keys, inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    let column = u16::try_from(column).unwrap_or(0);
    frame.set_cursor_position((inner.x + 3 + column, inner.y));
}
