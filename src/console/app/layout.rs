//! Where the panes are.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::console::context::Context;
use crate::console::pane::Pane;
use crate::console::sizes::Shape;

/// The smallest screen that shows anything of use.
pub const SMALLEST: (u16, u16) = (60, 15);
/// Columns, or percent of the lines, by which one key makes a pane larger.
const STEP: i16 = 4;
/// The least columns of a pane that stands beside others.
const NARROWEST: u16 = 24;
/// The least lines of one that stands above others.
const LOWEST: u16 = 4;

/// Whether a screen of so many columns and lines shows anything of use.
pub fn fits((columns, lines): (u16, u16)) -> bool {
    columns >= SMALLEST.0 && lines >= SMALLEST.1
}

/// The part of the screen that the panes share.
fn middle(ctx: &Context) -> Rect {
    Rect::new(0, 0, ctx.size.0, ctx.size.1.saturating_sub(2))
}

/// The shape of the screen.
pub fn shape(ctx: &Context) -> Shape {
    let Rect { width, height, .. } = middle(ctx);
    Shape::of(width, height)
}

/// Where each pane is. On a low screen, mappings and errors give way to the record while it has the keys.
pub fn arrange(ctx: &Context, area: Rect) -> Vec<(Pane, Rect)> {
    if ctx.zoom {
        return vec![(ctx.focus, area)];
    }
    match Shape::of(area.width, area.height) {
        Shape::Wide => wide(ctx, area),
        Shape::Tall => tall(ctx, area),
        Shape::Low => low(ctx, area),
    }
}

/// A number that is wanted larger or smaller by so many, within bounds; the lower one counts where they cross.
fn sized(by_itself: u16, by: i16, least: u16, most: u16) -> u16 {
    by_itself.saturating_add_signed(by).min(most).max(least)
}

/// Mappings over groups at the left, the errors, the record beside them; the log below.
fn wide(ctx: &Context, area: Rect) -> Vec<(Pane, Rect)> {
    let wants = |pane: Pane| ctx.settings.sizes.of(Shape::Wide, pane);
    let log = area.height * if ctx.focus == Pane::Log { 45 } else { 20 } / 100;
    let log = sized(log.max(5), wants(Pane::Log) * 2, LOWEST, area.height - 12);
    let [above, log] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(log)]));
    let left = sized(area.width * 6 / 25, wants(Pane::Mappings) * STEP, NARROWEST, area.width / 2);
    let rest = area.width - left;
    let errors = (wants(Pane::Errors) - wants(Pane::Record)) * STEP;
    let errors = sized(rest * 27 / 50, errors, 2 * NARROWEST, rest.saturating_sub(NARROWEST));
    let [left, errors, record] = above.layout(&Layout::horizontal([
        Constraint::Length(left),
        Constraint::Length(errors),
        Constraint::Fill(1),
    ]));
    // Of few mappings no more than there are.
    let mappings = u16::try_from(ctx.mappings().len() + 3).unwrap_or(u16::MAX).min(left.height / 2);
    let mappings = sized(mappings, -wants(Pane::Groups), LOWEST, left.height.saturating_sub(LOWEST));
    let [mappings, groups] =
        left.layout(&Layout::vertical([Constraint::Length(mappings), Constraint::Fill(1)]));
    vec![
        (Pane::Mappings, mappings),
        (Pane::Groups, groups),
        (ctx.list, errors),
        (Pane::Record, record),
        (Pane::Log, log),
    ]
}

/// The mappings beside the list.
fn lists(ctx: &Context, shape: Shape, area: Rect) -> Vec<(Pane, Rect)> {
    let left = match area.width {
        180.. => 78,
        140.. => 70,
        100.. => 34,
        _ => 30,
    };
    let by = ctx.settings.sizes.of(shape, Pane::Mappings) * STEP;
    let left = sized(left, by, NARROWEST - 4, area.width.saturating_sub(NARROWEST + 6));
    let [mappings, errors] =
        area.layout(&Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)]));
    vec![(Pane::Mappings, mappings), (ctx.list, errors)]
}

/// The lists above the record, the log below.
fn tall(ctx: &Context, area: Rect) -> Vec<(Pane, Rect)> {
    // What has the keys gets the room: a long list, all fields of a record, much of the log.
    let shares = match ctx.focus {
        Pane::Record => [24, 60, 16],
        Pane::Log => [28, 28, 44],
        _ => [42, 42, 16],
    };
    let wants = |pane: Pane| ctx.settings.sizes.of(Shape::Tall, pane) * STEP;
    let panes = [Pane::Errors, Pane::Record, Pane::Log];
    let shares: [u16; 3] = std::array::from_fn(|at| sized(shares[at], wants(panes[at]), 12, 100));
    let all: u16 = shares.iter().sum();
    let percent = |share: u16| Constraint::Percentage(share * 100 / all);
    let [above, record, log] =
        area.layout(&Layout::vertical([percent(shares[0]), Constraint::Fill(1), percent(shares[2])]));
    let mut places = lists(ctx, Shape::Tall, above);
    places.extend([(Pane::Record, record), (Pane::Log, log)]);
    places
}

/// The lists or the record, the log below.
fn low(ctx: &Context, area: Rect) -> Vec<(Pane, Rect)> {
    let wants = |pane: Pane| ctx.settings.sizes.of(Shape::Low, pane);
    let of_record = ctx.focus == Pane::Record;
    let log = if ctx.focus == Pane::Log { area.height / 2 } else { (area.height / 4).max(4) };
    let by = wants(Pane::Log) - wants(if of_record { Pane::Record } else { Pane::Errors });
    let log = sized(log, by, 3, area.height.saturating_sub(6));
    let [main, log] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(log)]));
    let mut places = if of_record { vec![(Pane::Record, main)] } else { lists(ctx, Shape::Low, main) };
    places.push((Pane::Log, log));
    places
}

/// Where a pane is, if it shows.
pub fn place(ctx: &Context, pane: Pane) -> Option<Rect> {
    arrange(ctx, middle(ctx)).into_iter().find(|(other, _)| *other == pane).map(|(_, area)| area)
}

/// Whether a pane shows.
pub fn shows(ctx: &Context, pane: Pane) -> bool {
    place(ctx, pane).is_some()
}

/// How many lines of a pane's list show, for moving by pages.
pub fn page(ctx: &Context, pane: Pane) -> usize {
    let height = place(ctx, pane).map_or(10, |area| area.height);
    usize::from(height).saturating_sub(4).max(1)
}
