//! Two presses of a button that are one click with two: terminals tell of each alone.

use std::time::{Duration, Instant};

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

/// The most time between both, as on most desktops.
const BETWEEN: Duration = Duration::from_millis(500);

/// Where a button was pressed last, and when.
#[derive(Debug, Default)]
pub struct Clicks {
    last: Option<(u16, u16, Instant)>,
}

impl Clicks {
    /// Whether it is the second press of two. A third one is the first again.
    pub fn is_second(&mut self, event: MouseEvent, now: Instant) -> bool {
        if event.kind != MouseEventKind::Down(MouseButton::Left) {
            return false;
        }
        let there = |(column, row, at): (u16, u16, Instant)| {
            (column, row) == (event.column, event.row) && now.duration_since(at) <= BETWEEN
        };
        let second = self.last.take().is_some_and(there);
        if !second {
            self.last = Some((event.column, event.row, now));
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn two_presses_in_one_place_and_soon_are_one_click_with_two() {
        let press = |column| MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row: 3,
            modifiers: KeyModifiers::NONE,
        };
        let release = MouseEvent { kind: MouseEventKind::Up(MouseButton::Left), ..press(7) };
        let (mut clicks, start) = (Clicks::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut presses = [(press(7), 0), (release, 50), (press(7), 200), (press(7), 300), (press(8), 350)]
            .map(|(event, time)| clicks.is_second(event, at(time)))
            .to_vec();
        presses.push(clicks.is_second(press(8), at(900)));
        assert_eq!(presses, [false, false, true, false, false, false]);
    }
}
