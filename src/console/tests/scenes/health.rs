//! How well the sync goes, in every state.

use super::look::Look::{Any, Bad, Dim, Focus, Good, Key, Selected};
use super::{HOSTILE, Scene, refused};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::world::{full, health, press, week};
use crate::domain::health::review::Health;

pub fn scenes() -> Vec<Scene> {
    vec![
        (
            "health",
            &[
                (Focus, "Health: the last 7 d"),
                (Bad, "6.3 % of the changes failed"),
                (Bad, "▲ worse"),
                (Any, "refused"),
                (Any, "ended by"),
                (Good, "█"),
                (Bad, "█"),
                (Selected, "Account"),
                (Key, "Esc"),
            ],
            |size| of(size, health()),
        ),
        ("health_loading", &[(Dim, "reading ..."), (Key, "Esc")], |size| {
            let mut app = full(size);
            press(&mut app, "H");
            app
        }),
        ("health_refused", &[(Bad, "no connection to PostgreSQL at db:5432"), (Key, "Esc")], |size| {
            let mut app = full(size);
            press(&mut app, "H");
            update(&mut app, Msg::Health { span: week(), result: Box::new(Err(refused())) });
            app
        }),
        (
            "health_nothing",
            &[(Dim, "no change was answered in this time"), (Any, "not measured"), (Key, "Esc")],
            |size| of(size, Health::default()),
        ),
    ]
}

/// With texts in it that nobody should draw as they are.
pub fn hostile() -> Scene {
    ("health_hostile", &[(Selected, "\\e[31m"), (Any, "6.3 %")], |size| {
        let mut hostile = health();
        hostile.mappings[0].name = HOSTILE.to_owned();
        hostile.figures.by_code[0].code = HOSTILE.to_owned();
        of(size, hostile)
    })
}

fn of(size: super::Size, health: Health) -> App {
    let mut app = full(size);
    press(&mut app, "H");
    update(&mut app, Msg::Health { span: week(), result: Box::new(Ok(health)) });
    app
}
