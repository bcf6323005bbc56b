//! The frames, and what would break them: at every size each one closes, nothing is wider than the screen, and nothing
//! covers half a letter.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

use super::{TINY, all, at_every_size, said_lines};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::app::{draw, layout};
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::tests::screens::{composed, drawn, rows, text_of};
use crate::console::widgets::scroll::THUMB;

/// What a frame is drawn with, clockwise from the upper left corner; then its sides.
struct Signs {
    corners: [&'static str; 4],
    level: char,
    upright: &'static str,
}

const PLAIN: Signs = Signs { corners: ["┌", "┐", "┘", "└"], level: '─', upright: "│" };
/// Of what has the keys.
const THICK: Signs = Signs { corners: ["┏", "┓", "┛", "┗"], level: '━', upright: "┃" };

/// The frames of what has the keys, from their upper left corners down and right.
pub fn thick_frames(screen: &Buffer) -> Vec<Rect> {
    let is = |x, y, sign: &str| screen.cell(Position::new(x, y)).is_some_and(|cell| cell.symbol() == sign);
    let area = screen.area;
    let corners = area.positions().filter(|at| is(at.x, at.y, THICK.corners[0]));
    let frame = |at: Position| {
        let right = (at.x..area.width).find(|x| is(*x, at.y, THICK.corners[1])).unwrap_or(area.width);
        let bottom = (at.y + 1..area.height).find(|y| !is(at.x, *y, THICK.upright)).unwrap_or(area.height);
        Rect::new(at.x, at.y, right + 1 - at.x, bottom + 1 - at.y)
    };
    corners.map(frame).collect()
}

/// What is wrong with a frame, where it is not hidden.
fn gap(screen: &Buffer, frame: Rect, signs: &Signs, hidden: impl Fn(Position) -> bool) -> Option<String> {
    let (right, bottom) = (frame.right() - 1, frame.bottom() - 1);
    let corners = [(frame.x, frame.y), (right, frame.y), (right, bottom), (frame.x, bottom)];
    let corners = corners.into_iter().zip(signs.corners);
    let sides = (frame.y + 1..bottom).flat_map(|y| [(frame.x, y), (right, y)]).map(|at| (at, signs.upright));
    corners.chain(sides).filter(|(at, _)| !hidden((*at).into())).find_map(|((x, y), sign)| {
        let there = screen.cell((x, y)).map_or("", |cell| cell.symbol());
        // Where one is in a long list stands in the right side.
        let scrolls = x == right && sign == signs.upright && there == THUMB;
        (there != sign && !scrolls)
            .then(|| format!("{there:?} for {sign} in column {x}, line {y} of {frame:?}"))
    })
}

/// A frame's line from one corner to the other, but for what is hidden.
fn between(screen: &Buffer, frame: Rect, y: u16, hidden: impl Fn(Position) -> bool) -> String {
    let line = (frame.x + 1..frame.right() - 1).filter(|x| !hidden(Position::new(*x, y)));
    line.map(|x| screen[(x, y)].symbol()).collect()
}

/// What is wrong with the frames of a screen.
fn gaps(app: &App, screen: &Buffer) -> Vec<String> {
    let mut gaps = Vec::new();
    let said = screen.area.height - said_lines(app, screen);
    let below = |at: Position| at.y >= said;
    let framed = |overlay: &&Overlay| {
        !matches!(overlay, Overlay::Loading { .. } | Overlay::Awaiting { .. } | Overlay::TypeAhead(_))
    };
    let overlays = draw::shown_overlays(app).filter(framed).count();
    let focused = usize::from(app.overlays.is_empty());
    let thick = thick_frames(screen);
    if thick.len() != overlays + focused {
        gaps.push(format!("{} frames have the keys, not {}", thick.len(), overlays + focused));
    }
    for frame in &thick {
        gaps.extend(gap(screen, *frame, &THICK, |at| focused == 1 && below(at)));
        let title = between(screen, *frame, frame.y, |_| false);
        if !title.starts_with(' ') || title.replace(THICK.level, "").trim().is_empty() {
            gaps.push(format!("a frame without a title: {title:?}"));
        }
        let foot = between(screen, *frame, frame.bottom() - 1, |at| focused == 1 && below(at));
        if overlays > 0 && !foot.trim_matches(THICK.level).is_empty() {
            gaps.push(format!("something stands in the lower edge: {foot:?}"));
        }
    }
    let middle = Rect { y: 1, height: screen.area.height - 2, ..screen.area };
    for (pane, area) in layout::arrange(&app.ctx, middle) {
        let has_keys = focused == 1 && pane == app.ctx.focus;
        let signs = if has_keys { &THICK } else { &PLAIN };
        let on_top = if focused == 1 { &[][..] } else { &thick[..] };
        let hidden = |at: Position| below(at) || on_top.iter().any(|frame| frame.contains(at));
        gaps.extend(gap(screen, area, signs, hidden));
        let title = between(screen, area, area.y, |_| false);
        let called = format!(" {} {}", pane.number(), pane.title());
        let covered = on_top.iter().any(|frame| frame.intersects(Rect { height: 1, ..area }));
        // The names of the two lists stand in one order, where there is room for both.
        if !covered && !title.starts_with(&called) && !title.starts_with(&format!(" 2 Errors {called}")) {
            gaps.push(format!("a pane is not called {called:?}: {title:?}"));
        }
        let foot = between(screen, area, area.bottom() - 1, hidden).replace([' ', '[', ']'], "");
        let foot = foot.trim_matches(signs.level);
        let views = if pane == Pane::Record && app.selection.record.is_some() {
            "fieldsattemptsrelativeslog"
        } else {
            ""
        };
        if !views.ends_with(foot) {
            gaps.push(format!("{pane:?} has {foot:?} in its lower edge"));
        }
    }
    gaps
}

#[test]
fn every_frame_closes_at_every_size() {
    let mut seen = Vec::new();
    at_every_size(|(name, ..), app| {
        let screen = drawn(app);
        let gaps = gaps(app, &screen);
        if !gaps.is_empty() {
            seen.push(format!("{name} at {:?}: {}\n{}", app.ctx.size, gaps.join("; "), text_of(&screen)));
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn every_row_is_as_wide_as_the_screen_and_nothing_covers_half_a_letter() {
    let mut seen = Vec::new();
    at_every_size(|(name, ..), app| {
        let screen = composed(app);
        let columns = usize::from(screen.area.width);
        for (y, row) in rows(&screen).iter().enumerate() {
            if row.text.width() != columns {
                seen.push(format!(
                    "{name} at {:?}, line {y} takes {}: {}",
                    app.ctx.size,
                    row.text.width(),
                    row.text
                ));
            }
        }
        // What a wide letter covers has nothing of its own: a terminal would not show it.
        for at in screen.area.positions().filter(|at| screen[*at].symbol().width() > 1) {
            let covered = screen.cell((at.x + 1, at.y)).map_or("nothing", |cell| cell.symbol());
            if covered != " " {
                seen.push(format!("{name} at {:?}: a letter at {at} covers {covered:?}", app.ctx.size));
            }
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn where_a_frame_does_not_fit_the_screen_says_what_it_needs() {
    for (name, _, scene) in all() {
        let mut app = scene((120, 40));
        for size in TINY {
            update(&mut app, Msg::Resize(size.0, size.1));
            let screen = drawn(&app);
            let read: Vec<String> = rows(&screen).into_iter().map(|row| row.text).collect();
            let says = |words: &str| {
                read.iter().any(|row| row.starts_with(&words[..words.len().min(size.0.into())]))
            };
            assert!(size.1 < 2 || says("need 60x15, have "), "{name} at {size:?}: {read:?}");
            assert!(size.1 < 3 || says("q leaves"), "{name} at {size:?}: {read:?}");
            assert!(!text_of(&screen).contains(['│', '┃']), "{name} at {size:?}: {read:?}");
        }
    }
}

#[test]
fn a_broken_frame_is_seen() {
    let whole = Buffer::with_lines(["┏ a ━┓", "┃    ┃", "┗━━━━┛"]);
    let frames = thick_frames(&whole);
    assert_eq!(frames, [whole.area]);
    assert_eq!(gap(&whole, whole.area, &THICK, |_| false), None);
    for (lines, is) in [
        (["┏ a ━┓", "┃     ", "┗━━━━┛"], "\" \" for ┃ in column 5, line 1"),
        (["┏ a ━┓", "┃    ┃", "┗━━━━━"], "\"━\" for ┛ in column 5, line 2"),
    ] {
        let broken = Buffer::with_lines(lines);
        let seen = gap(&broken, broken.area, &THICK, |_| false).unwrap();
        assert!(seen.starts_with(is), "{seen}");
    }
}
