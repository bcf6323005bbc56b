//! What a chosen theme changes, and what it leaves as the terminal and the configuration have it.

use std::collections::BTreeMap;

use ratatui::style::Color;

use super::screens::{drawn, text};
use super::world::{full, press, type_in};
use crate::console::theme::{Always, Theme};

#[test]
fn a_theme_chosen_in_the_console_keeps_ascii_and_ones_own_colours() {
    let mut model = full((120, 40));
    let own: BTreeMap<String, String> = [("focus".to_owned(), "#010203".to_owned())].into();
    let always = Always { ascii: true, ..Always::default() };
    model.theme = Theme::configured("dark", &own, always).unwrap();
    press(&mut model, ":");
    type_in(&mut model, "theme");
    press(&mut model, "Enter");
    let listed = text(&model);
    assert!(listed.contains("2  dark  now") && listed.is_ascii(), "{listed}");
    press(&mut model, "4");
    assert_eq!(model.theme.name, "contrast");
    let screen = drawn(&model);
    assert!(screen.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(screen.content.iter().any(|cell| cell.fg == Color::Rgb(1, 2, 3)), "the focused frame");
}

#[test]
fn high_contrast_is_drawn_on_black_wherever_it_is() {
    for keys in ["2", ":", "M", "1 j s"] {
        let mut model = full((120, 40));
        model.theme = Theme::named("contrast").unwrap();
        press(&mut model, keys);
        let screen = drawn(&model);
        assert!(
            screen.content.iter().all(|cell| cell.bg == Color::Indexed(16) && cell.fg != Color::Reset),
            "{keys}"
        );
    }
}
