//! What a chosen theme changes, and what it leaves as the terminal and the configuration have it; and pictures where
//! there is little room or no colour for them.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier};

use super::screens::{drawn, text};
use super::world::{full, press, shares, trends, type_in};
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::theme::{Always, Theme};

#[test]
fn a_theme_chosen_in_the_console_keeps_ascii_and_ones_own_colours() {
    let mut app = full((120, 40));
    let own: BTreeMap<String, String> = [("focus".to_owned(), "#010203".to_owned())].into();
    let always = Always { ascii: true, ..Always::default() };
    app.ctx.theme = Theme::configured("dark", &own, always).unwrap();
    press(&mut app, ":");
    type_in(&mut app, "theme");
    press(&mut app, "Enter");
    let listed = text(&app);
    assert!(listed.contains("2  dark  now") && listed.is_ascii(), "{listed}");
    press(&mut app, "4");
    assert_eq!(app.ctx.theme.name, "contrast");
    let screen = drawn(&app);
    assert!(screen.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(screen.content.iter().any(|cell| cell.fg == Color::Rgb(1, 2, 3)), "the focused frame");
}

#[test]
fn high_contrast_is_drawn_on_black_wherever_it_is() {
    for keys in ["2", ":", "M", "1 j s"] {
        let mut app = full((120, 40));
        app.ctx.theme = Theme::named("contrast").unwrap();
        press(&mut app, keys);
        let screen = drawn(&app);
        assert!(
            screen.content.iter().all(|cell| cell.bg == Color::Indexed(16) && cell.fg != Color::Reset),
            "{keys}"
        );
    }
}

#[test]
fn the_trends_tell_their_time_and_scale_and_cut_nothing_on_a_narrow_screen() {
    for (size, since, sum) in [((60, 15), "1 h  now", "198k"), ((80, 24), "1 h    now", "198,000")] {
        let mut app = full(size);
        press(&mut app, "M");
        update(&mut app, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
        let screen = text(&app);
        for part in [since, sum, "peak/min", "taken", "rejected ", "Esc close"] {
            assert!(screen.contains(part), "{part} at {size:?}:\n{screen}");
        }
        // The highest minute of all mappings: 22 * 300 were taken.
        let axis = screen.lines().find(|line| line.contains("peak/min")).unwrap();
        assert!(axis.contains(" 6,600 "), "{axis}");
    }
    let mut app = full((200, 60));
    press(&mut app, "M");
    update(&mut app, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
    assert!(text(&app).contains("60 min ago"), "{}", text(&app));
}

#[test]
fn without_colours_the_chosen_code_ends_before_its_bar() {
    let mut app = full((80, 24));
    app.ctx.theme = Theme::new(false);
    press(&mut app, "M");
    update(&mut app, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
    let screen = drawn(&app);
    let reversed = |x: u16, y: u16| screen[(x, y)].modifier.contains(Modifier::REVERSED);
    let row = (0..24).find(|y| reversed(10, *y)).unwrap();
    let bar = (0..80).find(|x| screen[(*x, row)].symbol() == "━").unwrap();
    assert!(!reversed(bar, row) && !reversed(bar - 1, row) && reversed(bar - 2, row));
}
