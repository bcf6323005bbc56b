//! Columns of the errors left out and made wider, and values that go on further right.

use super::screens::text;
use super::world::{errors, full, press, words};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::domain::errors::summary::Summary;

fn head(app: &App) -> String {
    let screen = text(app);
    let is_head = |line: &&str| line.contains("field") && !line.contains("Columns of");
    screen.lines().find(is_head).unwrap_or_default().to_owned()
}

#[test]
fn columns_are_left_out_and_widened_and_the_next_console_has_them_so() {
    let mut app = full((220, 50));
    // Beside the record the code has no room.
    press(&mut app, "z");
    let column = |app: &App, name: &str| head(app).find(name).map(|at| head(app)[..at].chars().count());
    assert!(column(&app, "last").is_some() && column(&app, "code").is_some(), "{}", head(&app));
    let before = column(&app, "field").unwrap();
    press(&mut app, "v Space");
    assert!(column(&app, "last").is_none() && column(&app, "field").unwrap() < before);
    press(&mut app, "Space j l l l j Space Esc");
    assert_eq!(column(&app, "field"), Some(before + 6));
    assert!(column(&app, "code").is_none());
    let kept = app.session();
    let mut next = full((220, 50));
    next.resume(&kept);
    assert_eq!(head(&next), head(&app));
    press(&mut next, "v d Esc");
    assert_eq!(column(&next, "field"), Some(before));
}

#[test]
fn the_field_has_room_whatever_is_wanted_of_the_others() {
    for size in [(60, 15), (80, 24), (120, 40)] {
        let mut app = full(size);
        press(&mut app, "v j");
        for _ in 0..40 {
            press(&mut app, "l");
        }
        press(&mut app, "j");
        for _ in 0..40 {
            press(&mut app, "l");
        }
        press(&mut app, "Esc 2");
        let head = head(&app);
        assert!(head.contains("field"), "{size:?}: {head}\n{}", text(&app));
    }
}

#[test]
fn a_long_value_goes_to_the_left_in_the_list() {
    let mut app = full((120, 40));
    let long = format!("{}the end", "x".repeat(300));
    let told: Vec<Summary> = errors().iter().map(|error| words(error, &long)).collect();
    update(&mut app, Msg::Words { asked: errors(), result: Ok(told) });
    assert!(!text(&app).contains("the end"));
    for _ in 0..20 {
        press(&mut app, ">");
    }
    assert!(text(&app).contains("the end"), "{}", text(&app));
    for _ in 0..20 {
        press(&mut app, "<");
    }
    assert!(!text(&app).contains("the end"));
}
