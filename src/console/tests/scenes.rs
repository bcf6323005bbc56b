//! Every pane and every overlay, empty, loading, full, hostile and refused. Each is a picture in text at 120x40 for a
//! person to review; what must hold at every size, in every theme, without colours and with hostile text is asserted of
//! all of them: `frames`, `sight`, `colours`, and here what reaches a cell.

mod alerts;
mod colours;
mod frames;
mod health;
mod heroku;
mod hostile;
mod look;
mod operations;
mod overlays;
mod panes;
mod setup;
mod shadow;
mod sight;

use ratatui::buffer::Buffer;

use self::look::Look;
use super::screens::{Row, drawn, rows, text, text_of, unfit};
use super::world::{HOSTILE, full, jane, overview, press, values};
use crate::client::api::ClientError;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::theme::Theme;
use crate::domain::records::record::RecordView;
use crate::domain::reports::overview::Overview;

type Size = (u16, u16);
/// A name, what must be in sight on an old screen and on wider ones, and how one gets there.
type Scene = (&'static str, &'static [(Look, &'static str)], fn(Size) -> App);

/// Sizes at which a scene is made.
const SIZES: [Size; 5] = [(60, 15), (80, 24), (97, 31), (120, 40), (200, 55)];
/// Sizes that a screen comes to have while a scene shows.
const RESIZED: [Size; 2] = [(61, 16), (141, 33)];
/// Sizes that show nothing of use.
const TINY: [Size; 5] = [(59, 40), (120, 14), (40, 10), (20, 5), (1, 1)];

fn all() -> impl Iterator<Item = Scene> {
    let told = [health::hostile(), setup::hostile()];
    let lists = [alerts::hostile(), heroku::hostile(), shadow::hostile()];
    ordinary().chain(hostile::scenes()).chain(told).chain(lists.into_iter().flatten())
}

/// Those without a hostile text in every place.
fn ordinary() -> impl Iterator<Item = Scene> {
    let panes = panes::scenes().into_iter().chain(overlays::scenes()).chain(operations::scenes());
    let beside = [setup::scenes(), heroku::scenes(), shadow::scenes()];
    panes.chain(health::scenes()).chain(alerts::scenes()).chain(beside.into_iter().flatten())
}

fn refused() -> ClientError {
    ClientError::refused(
        "no connection to PostgreSQL at db:5432\nwhat is typed stays; it is tried again by itself",
    )
}

/// Jane's record, open.
fn record(size: Size, view: RecordView) -> App {
    let mut app = full(size);
    press(&mut app, "j Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    update(&mut app, Msg::Values { row: jane(), result: Ok(values()) });
    app
}

/// The overview comes, somewhat other than in the demo.
fn with(app: &mut App, change: impl Fn(&mut Overview)) {
    let mut now = overview();
    change(&mut now);
    update(app, Msg::Overview(Ok(now)));
}

/// Looks at every scene on every screen that shows anything of use: made for it, and resized to it.
fn at_every_size(mut what: impl FnMut(Scene, &mut App)) {
    for scene in all() {
        let (_, _, made) = scene;
        SIZES.into_iter().for_each(|size| what(scene, &mut made(size)));
        let mut app = made((120, 40));
        for (columns, lines) in RESIZED {
            update(&mut app, Msg::Resize(columns, lines));
            what(scene, &mut app);
        }
    }
}

/// Looks at every scene on an old, an ordinary and a wide screen.
fn at_the_main_sizes(mut what: impl FnMut(Scene, &mut App)) {
    for scene in all() {
        for size in [(80, 24), (120, 40), (200, 55)] {
            what(scene, &mut scene.2(size));
        }
    }
}

/// The lines at the foot of a screen that the next keys take, or what is said there: that begins with a sign.
fn said_lines(app: &App, screen: &Buffer) -> u16 {
    let waits = |overlay: &Overlay| {
        matches!(overlay, Overlay::Loading { .. } | Overlay::Awaiting { .. } | Overlay::TypeAhead(_))
    };
    if app.ctx.toast.is_none() && !app.overlays.last().is_some_and(waits) {
        return 1;
    }
    let begins = |row: &Row| [" · ", " ✓ ", " ✗ "].iter().any(|sign| row.text.starts_with(sign));
    let above = rows(screen).iter().rev().position(begins).unwrap();
    u16::try_from(above).unwrap() + 1
}

#[test]
fn every_pane_and_overlay_looks_as_it_should() {
    let size = (120, 40);
    for (name, _, scene) in ordinary() {
        insta::assert_snapshot!(format!("scene_{name}"), text(&scene(size)));
    }
}

#[test]
fn no_two_scenes_have_one_name() {
    let mut names: Vec<&str> = all().map(|(name, ..)| name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}

/// What is left on a screen of an escape sequence whose beginning nobody made visible: ratatui drops control characters
/// by itself, so that the rest of it looks harmless.
fn beheaded(screen: &str) -> Option<&str> {
    let heads = ["\\e", "\\u001b", "\\u{1b}", "\\u{9b}"];
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
    at_every_size(|(name, ..), app| {
        let size = app.ctx.size;
        app.ctx.theme = Theme::new(true);
        let buffer = drawn(app);
        seen.extend(unfit(app, &buffer).map(|cell| format!("{name} at {size:?}: {cell:?}")));
        // In the editor the value is what it is, character by character.
        if !app.overlays.iter().any(|overlay| matches!(overlay, Overlay::Editor(_))) {
            let screen = text_of(&buffer);
            seen.extend(
                beheaded(&screen).map(|line| format!("{name} at {size:?} misses a sanitize: {line}")),
            );
        }
        app.ctx.theme = Theme::named("ascii").unwrap();
        let buffer = drawn(app);
        seen.extend(unfit(app, &buffer).map(|cell| format!("{name} at {size:?} in ASCII: {cell:?}")));
    });
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
