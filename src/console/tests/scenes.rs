//! Every pane and every overlay, empty, loading, full, hostile and refused, as pictures in text at 80x24, 120x40 and
//! 200x60, each with how it looks in colour and without.

mod hostile;
mod overlays;
mod panes;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::screens::{drawn, text_of, unfit};
use super::world::{HOSTILE, full, jane, overview, press, values};
use crate::client::handle::Refused;
use crate::console::model::Model;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::theme::Theme;
use crate::console::update::update;
use crate::domain::overview::Overview;
use crate::domain::record::RecordView;

type Size = (u16, u16);
type Scene = (&'static str, fn(Size) -> Model);

const SIZES: [Size; 3] = [(80, 24), (120, 40), (200, 60)];

fn all() -> impl Iterator<Item = Scene> {
    panes::scenes().into_iter().chain(overlays::scenes()).chain(hostile::scenes())
}

fn refused() -> Refused {
    Refused(
        "no connection to PostgreSQL at db:5432\nwhat is typed stays; it is tried again by itself".to_owned(),
    )
}

/// Jane's record, open.
fn record(size: Size, view: RecordView) -> Model {
    let mut model = full(size);
    press(&mut model, "j Enter");
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    update(&mut model, Msg::Values { row: jane(), result: Ok(values()) });
    model
}

/// The overview comes, somewhat other than in the demo.
fn with(model: &mut Model, change: impl Fn(&mut Overview)) {
    let mut now = overview();
    change(&mut now);
    update(model, Msg::Overview(Ok(now)));
}

/// How one cell looks: its colour by the first letter (`g` is dark gray, `.` the terminal's own), its background behind a
/// `/`, and its attributes: `*` bold, `~` dim, `_` underlined, `#` reversed.
fn look(cell: &Cell) -> String {
    let color = |color: Color| match color {
        Color::Reset => '.',
        Color::DarkGray => 'g',
        Color::Cyan => 'c',
        Color::Green => 'G',
        Color::Yellow => 'Y',
        Color::Red => 'R',
        _ => '?',
    };
    let mut look = String::from(color(cell.fg));
    if cell.bg != Color::Reset {
        look.extend(['/', color(cell.bg)]);
    }
    let marks =
        [(Modifier::BOLD, '*'), (Modifier::DIM, '~'), (Modifier::UNDERLINED, '_'), (Modifier::REVERSED, '#')];
    look.extend(marks.into_iter().filter(|(mark, _)| cell.modifier.contains(*mark)).map(|(_, sign)| sign));
    look
}

/// How the cells look: of each row, or of rows that look alike, the runs of one look with their lengths, such as
/// `g1 c*5 .65`; what is plain at the end of a row, and rows that are plain as a whole, are left out.
fn looks(buffer: &Buffer) -> String {
    let mut rows: Vec<(usize, usize, String)> = Vec::new();
    for (at, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let row = runs(row);
        match rows.last_mut() {
            Some((_, last, before)) if *before == row => *last = at,
            _ => rows.push((at, at, row)),
        }
    }
    let line = |(first, last, runs): &(usize, usize, String)| match last - first {
        0 => format!("   {first:02} {runs}"),
        _ => format!("{first:02}-{last:02} {runs}"),
    };
    rows.iter().filter(|(.., runs)| !runs.is_empty()).map(line).collect::<Vec<_>>().join("\n")
}

fn runs(row: &[Cell]) -> String {
    let mut runs: Vec<(String, usize)> = Vec::new();
    let mut covered = 0;
    for cell in row {
        // What a wide character covers looks as that does.
        let look = if covered > 0 { runs.last().unwrap().0.clone() } else { look(cell) };
        covered = if covered > 0 { covered - 1 } else { cell.symbol().width().saturating_sub(1) };
        match runs.last_mut() {
            Some((before, length)) if *before == look => *length += 1,
            _ => runs.push((look, 1)),
        }
    }
    let plain = runs.last().is_some_and(|(look, _)| look == ".");
    runs.truncate(runs.len() - usize::from(plain));
    runs.iter().map(|(look, length)| format!("{look}{length}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_pane_and_overlay_looks_as_it_should() {
    for (name, scene) in all() {
        let mut pictures = String::new();
        let mut looked = String::new();
        for size in SIZES {
            let mut model = scene(size);
            let colored = drawn(&model);
            model.theme = Theme::new(false);
            let plain = drawn(&model);
            let is_plain = |cell: &Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
            assert!(plain.content.iter().all(is_plain), "{name} has colours without colours");
            let (columns, lines) = size;
            pictures += &format!("{columns}x{lines}\n{}\n\n", text_of(&colored));
            looked += &format!("{columns}x{lines} in colour\n{}\n", looks(&colored));
            looked += &format!("{columns}x{lines} without\n{}\n", looks(&plain));
        }
        insta::assert_snapshot!(format!("scene_{name}"), format!("{pictures}{looked}"));
    }
}

#[test]
fn no_two_scenes_have_one_name() {
    let mut names: Vec<&str> = all().map(|(name, _)| name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}

/// What is left on a screen of an escape sequence whose beginning nobody made visible: ratatui drops control characters
/// by itself, so that the rest of it looks harmless.
fn beheaded(screen: &str) -> Option<&str> {
    let heads = ["\\e", "\\u001b", "\\u{9b}"];
    let sequences = ["[31m", "[2J", "]52;c", "2Jc1"];
    screen.lines().find(|line| {
        sequences.iter().any(|sequence| {
            let mut found = line.match_indices(sequence).map(|(at, _)| &line[..at]);
            // The eight-bit sequence is the tail of the seven-bit one where that has a bracket.
            found.any(|before| !heads.iter().any(|head| before.ends_with(head)) && !before.ends_with('['))
        })
    })
}

#[test]
fn nothing_hostile_and_nothing_but_ascii_where_that_is_wanted_reaches_a_cell() {
    let mut seen: Vec<String> = Vec::new();
    for (name, scene) in all() {
        for size in SIZES {
            let mut model = scene(size);
            let buffer = drawn(&model);
            seen.extend(unfit(&model, &buffer).map(|cell| format!("{name} at {size:?}: {cell:?}")));
            // In the editor the value is what it is, character by character.
            if !model.overlays.iter().any(|overlay| matches!(overlay, Overlay::Edit(_))) {
                let screen = text_of(&buffer);
                seen.extend(
                    beheaded(&screen).map(|line| format!("{name} at {size:?} misses a sanitize: {line}")),
                );
            }
            model.theme = Theme::named("ascii").unwrap();
            let buffer = drawn(&model);
            seen.extend(unfit(&model, &buffer).map(|cell| format!("{name} at {size:?} in ASCII: {cell:?}")));
        }
    }
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn what_is_hostile_is_seen_as_what_it_is() {
    assert_eq!(beheaded("x\\e[31mred\\e]52;c;aGk= \\u{9b}2Jc1"), None);
    for spoilt in ["[31mred", "red]52;c;", "rlm2Jc1", "second [2Jline"] {
        assert_eq!(beheaded(spoilt), Some(spoilt));
    }
    assert!(HOSTILE.contains("\u{9b}2Jc1") && HOSTILE.starts_with("\u{1b}[31m"));
}
