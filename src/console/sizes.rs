//! How much room the panes have beside what they have by themselves: as the operator wants it, for each shape of the screen.

use std::collections::BTreeMap;

use super::pane::Pane;

/// From so many columns there is room for everything beside each other.
pub const WIDE: u16 = 160;
/// From so many lines, without the first and the last, the record has a band of its own.
const TALL: u16 = 32;
/// Lower than this nothing stands above anything else.
const LOWEST: u16 = 18;
/// By how many steps a pane is larger or smaller at most.
const MOST: i16 = 15;

/// The shape of a screen, which decides where the panes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Mappings over groups, the errors, and the record beside them.
    Wide,
    /// The lists above the record.
    Tall,
    /// Lists or the record.
    Low,
}

impl Shape {
    /// All of them.
    const ALL: [Shape; 3] = [Shape::Wide, Shape::Tall, Shape::Low];

    /// That of so many columns and lines, without the first line and the last one.
    pub fn of(columns: u16, lines: u16) -> Shape {
        match (columns, lines) {
            (WIDE.., LOWEST..) => Shape::Wide,
            (_, TALL..) => Shape::Tall,
            _ => Shape::Low,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Shape::Wide => "wide",
            Shape::Tall => "tall",
            Shape::Low => "low",
        }
    }
}

/// What is wanted of the panes, in steps; of one that is not named, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaneSizes(BTreeMap<(Shape, Pane), i16>);

/// Both lists have one place.
fn place(pane: Pane) -> Pane {
    if pane == Pane::Pending { Pane::Errors } else { pane }
}

impl PaneSizes {
    /// By how many steps a pane is larger, or smaller, than by itself.
    pub fn of(&self, shape: Shape, pane: Pane) -> i16 {
        self.0.get(&(shape, place(pane))).copied().unwrap_or(0)
    }

    /// Makes a pane larger or smaller by a step.
    pub fn step(&mut self, shape: Shape, pane: Pane, larger: bool) {
        let by = (self.of(shape, pane) + if larger { 1 } else { -1 }).clamp(-MOST, MOST);
        self.0.insert((shape, place(pane)), by);
        self.0.retain(|_, by| *by != 0);
    }

    /// All panes have what they have by themselves, on screens of that shape.
    pub fn reset(&mut self, shape: Shape) {
        self.0.retain(|(of, _), _| *of != shape);
    }

    /// As they are kept for the next console.
    pub fn kept(&self) -> BTreeMap<String, i16> {
        self.0.iter().map(|((shape, pane), by)| (key(*shape, *pane), *by)).collect()
    }

    /// As the last console kept them; what of it makes no sense is left out.
    pub fn read(kept: &BTreeMap<String, i16>) -> PaneSizes {
        let all = Shape::ALL.into_iter().flat_map(|shape| Pane::ALL.map(|pane| (shape, pane)));
        let wanted = all.filter_map(|(shape, pane)| {
            let by = kept.get(&key(shape, pane)).filter(|by| **by != 0 && (-MOST..=MOST).contains(*by))?;
            Some(((shape, pane), *by))
        });
        PaneSizes(wanted.filter(|((_, pane), _)| place(*pane) == *pane).collect())
    }
}

fn key(shape: Shape, pane: Pane) -> String {
    format!("{} {}", shape.name(), pane.title().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_kept_for_each_shape_and_bounded() {
        let mut sizes = PaneSizes::default();
        sizes.step(Shape::Wide, Pane::Pending, true);
        (0..99).for_each(|_| sizes.step(Shape::Low, Pane::Log, false));
        assert_eq!((sizes.of(Shape::Wide, Pane::Errors), sizes.of(Shape::Tall, Pane::Errors)), (1, 0));
        assert_eq!(sizes.of(Shape::Low, Pane::Log), -MOST);
        assert_eq!(PaneSizes::read(&sizes.kept()), sizes);
        sizes.reset(Shape::Wide);
        assert_eq!(sizes.kept(), [("low log".to_owned(), -MOST)].into());
        sizes.reset(Shape::Low);
        assert_eq!(sizes, PaneSizes::default());
    }

    #[test]
    fn what_was_kept_and_makes_no_sense_is_left_out() {
        let kept = [("wide log", 999), ("flat log", 1), ("wide pending", 1), ("tall record", 0)];
        let kept = kept.map(|(name, by)| (name.to_owned(), by)).into();
        assert_eq!(PaneSizes::read(&kept), PaneSizes::default());
    }
}
