//! What is drawn, whatever it is.

use std::collections::BTreeSet;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::world::full;
use crate::console::app::App;
use crate::console::app::draw;
use crate::console::overlays::Overlay;
use crate::console::theme::Theme;
use crate::logs::sanitize::sanitize;

/// The screen as cells.
pub fn drawn(app: &App) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(app.ctx.size.0, app.ctx.size.1)).unwrap();
    terminal.draw(|frame| draw::draw(app, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as it is composed, with what a wide letter covers, which a terminal does not show.
pub fn composed(app: &App) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(app.ctx.size.0, app.ctx.size.1)).unwrap();
    terminal.draw(|frame| draw::draw(app, frame)).unwrap().buffer.clone()
}

/// A row of the screen as one reads it: without the cells that wide letters cover.
#[derive(Default)]
pub struct Row {
    /// What it says, to the edge of the screen.
    pub text: String,
    /// The column of each byte of it.
    columns: Vec<u16>,
}

impl Row {
    /// Each letter with its column.
    pub fn letters(&self) -> impl Iterator<Item = (u16, char)> {
        self.text.char_indices().map(|(at, c)| (self.columns[at], c))
    }

    /// The columns of each place where a text stands.
    pub fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Vec<u16>> + 'a {
        self.text
            .match_indices(text)
            .map(|(at, text)| text.char_indices().map(|(of, _)| self.columns[at + of]).collect())
    }
}

/// The rows of the screen.
pub fn rows(buffer: &Buffer) -> Vec<Row> {
    let row = |y: u16| {
        let (mut row, mut x) = (Row::default(), 0);
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            row.text.push_str(symbol);
            row.columns.resize(row.text.len(), x);
            x += u16::try_from(symbol.width()).unwrap().max(1);
        }
        row
    };
    (0..buffer.area.height).map(row).collect()
}

/// The screen as text.
pub fn text(app: &App) -> String {
    text_of(&drawn(app))
}

/// Cells as text.
pub fn text_of(buffer: &Buffer) -> String {
    let cells: Vec<&str> = buffer.content.iter().map(Cell::symbol).collect();
    let rows = cells.chunks(usize::from(buffer.area.width).max(1));
    rows.map(|row| row.concat().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A cell that holds what acts instead of showing something, or what is no ASCII where nothing else is wanted.
pub fn unfit<'a>(app: &App, buffer: &'a Buffer) -> Option<&'a str> {
    // In the editor a value is what it is, and many an emoji is several characters with a joiner between them.
    let edits = app.overlays.iter().any(|overlay| matches!(overlay, Overlay::Editor(_)));
    let joins = |c: char| edits && matches!(c, '\u{200d}' | '\u{fe0f}');
    // Most cells hold what others hold.
    let symbols: BTreeSet<&str> = buffer.content.iter().map(Cell::symbol).collect();
    symbols.into_iter().find(|symbol| {
        let symbol = symbol.replace(joins, "");
        sanitize(&symbol) != symbol || (app.ctx.theme.ascii && !symbol.is_ascii())
    })
}

#[test]
fn a_screen_too_small_says_what_it_needs() {
    assert!(text(&full((40, 10))).contains("need 60x15, have 40x10"));
    for width in (0..70).step_by(7) {
        for height in 0..20 {
            drawn(&full((width, height)));
        }
    }
}

#[test]
fn the_selected_line_stands_out_without_colour() {
    let mut app = full((120, 40));
    app.ctx.theme = Theme::new(false);
    let buffer = drawn(&app);
    let reversed: Vec<u16> = (0..40)
        .filter(|&y| (0..120).filter(|&x| buffer[(x, y)].modifier.contains(Modifier::REVERSED)).count() > 40)
        .collect();
    assert_eq!(reversed.len(), 1, "exactly one line is reversed: {reversed:?}");
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset), "a colour is left");
}
