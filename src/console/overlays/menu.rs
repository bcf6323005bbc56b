//! A list to choose from: the remedies of an error, the strategies of a mapping. A digit chooses at
//! once.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::console::context::Context;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{clip, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::changes::merge::Side;
use crate::domain::records::verify::VerifyReport;

/// The list.
#[derive(Debug)]
pub struct Menu {
    pub(super) title: String,
    pub(super) items: Vec<MenuItem>,
    pub(super) cursor: Cursor,
    pub(super) kind: MenuKind,
}

/// What is listed, where that has keys of its own.
#[derive(Debug)]
pub(super) enum MenuKind {
    /// Anything else.
    Plain,
    /// The colours; each shows as soon as it is selected. These are the ones that were chosen before.
    Themes { before: &'static str },
    /// What a comparison of this table found: one side may be taken for all of it.
    Findings { table: String, report: Arc<VerifyReport> },
}

/// The number of a line that no digit chooses.
pub(super) const NO_DIGIT: Option<usize> = Some(usize::MAX);

/// A line of the list.
#[derive(Debug)]
pub(super) struct MenuItem {
    /// What it is chosen by, where that is not its place.
    pub(super) number: Option<usize>,
    pub(super) text: String,
    pub(super) note: String,
    /// What it does; `None` for advice that a person has to follow.
    pub(super) does: Option<Outcome>,
}

impl MenuItem {
    /// The digit that chooses it at a place of the list: one key, so that what lies beyond has none.
    fn number(&self, at: usize) -> Option<usize> {
        self.number.or_else(|| self.does.as_ref().map(|_| at + 1)).filter(|number| *number < 10)
    }
}

impl Menu {
    pub(super) fn of(title: String, items: Vec<MenuItem>, at: usize) -> Menu {
        Menu { title, items, cursor: Cursor { at, ..Cursor::default() }, kind: MenuKind::Plain }
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let (len, at) = (self.items.len(), self.cursor.at);
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return self.left(),
            KeyCode::Char('j') | KeyCode::Down => self.cursor.step(Step::Lines(1), len),
            KeyCode::Char('k') | KeyCode::Up => self.cursor.step(Step::Lines(-1), len),
            KeyCode::Enter => return self.chosen(self.cursor.at),
            KeyCode::PageDown => self.cursor.step(Step::Lines(10), len),
            KeyCode::PageUp => self.cursor.step(Step::Lines(-10), len),
            KeyCode::Char(digit) if digit.is_ascii_digit() => {
                let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                let has = |(at, item): (usize, &MenuItem)| item.number(at) == number;
                return self.items.iter().enumerate().position(has).map_or(Vec::new(), |at| self.chosen(at));
            }
            KeyCode::Char(letter) => return self.letter(letter).map_or(Vec::new(), Outcome::closing),
            _ => {}
        }
        // What is looked at shows.
        let does = self.items.get(self.cursor.at).and_then(|item| item.does.clone());
        let shows = matches!(self.kind, MenuKind::Themes { .. }) && self.cursor.at != at;
        does.filter(|_| shows).into_iter().collect()
    }

    /// It is left without a choice: the colours are those of before.
    fn left(&self) -> Vec<Outcome> {
        match self.kind {
            MenuKind::Themes { before } => Outcome::Theme(before).closing(),
            _ => vec![Outcome::Close],
        }
    }

    /// What a letter does to a list of this kind.
    fn letter(&self, letter: char) -> Option<Outcome> {
        match (&self.kind, letter) {
            (MenuKind::Findings { table, report }, 's' | 'p') => Some(Outcome::Repair {
                table: table.clone(),
                report: report.clone(),
                side: if letter == 's' { Side::Salesforce } else { Side::Postgres },
            }),
            _ => None,
        }
    }

    /// Whether something of it has a number of its own.
    pub fn is_numbered(&self) -> bool {
        self.items.iter().any(|item| item.number.is_some() && item.number != NO_DIGIT)
    }

    /// What the one with a number does.
    pub fn numbered(self, number: usize) -> Option<Outcome> {
        self.items.into_iter().find(|item| item.number == Some(number)).and_then(|item| item.does)
    }

    /// What the first does that can be done by itself, or by one more key, and concerns nothing but what one looks at.
    pub fn first(self) -> Option<Outcome> {
        let by_itself = |does: &Outcome| {
            matches!(does, Outcome::Begin { question: None, .. } | Outcome::PickValue { .. })
        };
        self.items.into_iter().filter_map(|item| item.does).find(by_itself)
    }

    fn chosen(&self, at: usize) -> Vec<Outcome> {
        let does = self.items.get(at).and_then(|item| item.does.clone());
        does.map_or(Vec::new(), Outcome::closing)
    }

    /// Its keys, for its last line.
    fn keys(&self, read_only: bool) -> &'static [(&'static str, &'static str)] {
        let opens =
            matches!(self.items.first().and_then(|item| item.does.as_ref()), Some(Outcome::OpenRow(_)));
        match &self.kind {
            MenuKind::Findings { .. } if read_only => &[("Enter", "open"), ("Esc", "close")],
            MenuKind::Findings { .. } => {
                &[("Enter", "open"), ("s", "take Salesforce's"), ("p", "take PostgreSQL's"), ("Esc", "close")]
            }
            MenuKind::Themes { .. } => &[("j k", "show"), ("Enter", "take"), ("Esc", "as before")],
            MenuKind::Plain if opens => &[("Enter", "open"), ("Esc", "close")],
            MenuKind::Plain => &[("Enter", "or its number does it"), ("Esc", "leave it")],
        }
    }
}

/// Draws the list over the panes.
pub fn draw(ctx: &Context, menu: &Menu, frame: &mut Frame) {
    let screen = frame.area();
    let width = screen.width.saturating_sub(4).min(110);
    let lines: u16 = menu.items.iter().map(|item| if item.note.is_empty() { 1 } else { 2 }).sum();
    let height = (lines + 4).min(screen.height.saturating_sub(2));
    let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = super::panel(ctx, frame, area, &menu.title);
    // More than what shows can be told from where one is.
    if height < lines + 4 {
        let place = format!(" {} of {} ", menu.cursor.at + 1, menu.items.len());
        let width = u16::try_from(place.len()).unwrap_or(0);
        let corner = Rect { x: area.right().saturating_sub(width + 1), width, height: 1, ..area };
        frame.render_widget(Line::from(Span::styled(place, ctx.theme.dim())), corner);
    }
    let room = usize::from(inner.width).saturating_sub(7);
    let mut text = Vec::new();
    let mut cursor = 0;
    for (at, item) in menu.items.iter().enumerate() {
        let selected = at == menu.cursor.at;
        let doable = item.does.is_some();
        // A digit is one key; what lies beyond is reached with j and k.
        let number = match (doable, item.number(at)) {
            (true, Some(number)) => number.to_string(),
            (true, None) => " ".to_owned(),
            (false, _) => "·".to_owned(),
        };
        let style = if doable { ctx.theme.text() } else { ctx.theme.dim() };
        if selected {
            cursor = text.len();
        }
        let line = Line::from(vec![
            Span::styled(format!("  {number}  "), ctx.theme.key()),
            Span::styled(fit(&item.text, room), style),
            Span::raw("  "),
        ]);
        text.push(super::chosen_line(ctx, selected, line));
        if !item.note.is_empty() {
            let note = format!("      {}", clip(&item.note, room));
            text.push(Line::from(Span::styled(note, ctx.theme.dim())));
        }
    }
    // The keys stay in sight, however long the list is.
    let visible = usize::from(inner.height).saturating_sub(2);
    let top = (cursor + 2).saturating_sub(visible).min(text.len().saturating_sub(visible));
    super::place_in_list(ctx, frame, area, text.len(), &(top..(top + visible).min(text.len())));
    let mut text: Vec<Line> = text.into_iter().skip(top).take(visible).collect();
    text.resize(visible + 1, Line::default());
    let keys = menu.keys(ctx.read_only);
    text.push(super::hints(ctx, keys, inner.width.into()));
    frame.render_widget(Paragraph::new(text), inner);
    let line = u16::try_from(cursor.saturating_sub(top)).unwrap_or(0);
    frame.set_cursor_position((inner.x, inner.y.saturating_add(line)));
}
