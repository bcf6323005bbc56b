//! A plan, a takeover and its way back, in every state.

use chrono::TimeDelta;

use super::look::Look::{Any, Bad, Bold, Dim, Focus, Key, Plain, Warn};
use super::{HOSTILE, Scene, Size, refused};
use crate::client::setup::SetupPreview;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::setup::{attached, command, taking_over};
use crate::console::tests::world::setup::{
    planned_nothing, planned_start, refused_takeover, taken_over, takeover, way_back,
};
use crate::console::tests::world::{now, press, type_in};

/// A command, and what is found.
fn found(size: Size, name: &str, preview: SetupPreview) -> App {
    let mut app = attached(size);
    command(&mut app, name);
    if matches!(name, "plan" | "adopt") {
        press(&mut app, "Enter");
    }
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(preview) });
    app
}

pub fn scenes() -> Vec<Scene> {
    vec![
        (
            "setup_file",
            &[
                (Focus, "Plan with which configuration?"),
                (Plain, "own.toml"),
                (Dim, "a file that syncdeck import heroku-connect wrote"),
                (Key, "Enter"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = attached(size);
                command(&mut app, "plan");
                app
            },
        ),
        (
            "setup_looking",
            &[
                (Focus, "Plan: what the start of an engine does"),
                (Dim, "asking Salesforce what the objects are"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = attached(size);
                command(&mut app, "plan");
                press(&mut app, "Enter");
                update(&mut app, Msg::Tick(now() + TimeDelta::seconds(3)));
                app
            },
        ),
        (
            "setup_plan",
            &[
                (Focus, "Plan: what the start of an engine does · own.toml"),
                (Warn, "▲ changes in _trigger_log of tables that are not mapped here"),
                (Bold, "2 tables are taken over, 1 table is made"),
                (Bold, "Account: the table account was there before syncdeck"),
                (Key, "a"),
                (Plain, "take over ..."),
                (Key, "Esc"),
            ],
            |size| found(size, "plan", planned_start()),
        ),
        (
            "setup_plan_end",
            &[(Bold, "This assumes:"), (Plain, "To do it, switch Heroku Connect off")],
            |size| {
                let mut app = found(size, "plan", planned_start());
                press(&mut app, "G");
                app
            },
        ),
        (
            "setup_plan_nothing",
            &[
                (Bold, "There is nothing to do: the database is as the"),
                (Plain, "nothing is done"),
                (Key, "Esc"),
            ],
            |size| found(size, "plan", planned_nothing()),
        ),
        (
            "setup_refused",
            &[(Bad, "✗ no connection to PostgreSQL at db:5432"), (Key, "r"), (Key, "Esc")],
            |size| {
                let mut app = attached(size);
                command(&mut app, "adopt");
                press(&mut app, "Enter");
                update(&mut app, Msg::SetupFound { id: 1, result: Err(refused()) });
                app
            },
        ),
        (
            "setup_adopt",
            &[
                (Focus, "Take the tables over from Heroku Connect · own.toml"),
                (Bold, "2 tables are taken over"),
                (Key, "Enter"),
                (Plain, "take them over ..."),
                (Plain, "leave everything as it is"),
            ],
            |size| found(size, "adopt", takeover()),
        ),
        (
            "setup_adopt_at_work",
            &[
                (Warn, "▲ Heroku Connect still works here, as it seems"),
                (Plain, "connect:pause"),
                (Key, "r"),
                (Plain, "look again"),
                (Key, "Esc"),
            ],
            |size| found(size, "adopt", refused_takeover("hc")),
        ),
        (
            "setup_adopt_asked",
            &[
                (Bold, "Heroku Connect must be off: two programs would"),
                (Plain, "Type acme and Enter: "),
                (Bold, "acm"),
                (Key, "Enter"),
                (Plain, "leave everything as it is"),
            ],
            |size| {
                let mut app = found(size, "adopt", takeover());
                press(&mut app, "Enter");
                type_in(&mut app, "acm");
                app
            },
        ),
        ("setup_adopt_not_typed", &[(Bad, "✗ that is not acme; nothing was done")], |size| {
            let mut app = found(size, "adopt", takeover());
            press(&mut app, "Enter y Enter");
            app
        }),
        (
            "setup_adopting",
            &[
                (Bold, "taking the tables over, in one transaction ... 2 s"),
                (Plain, "the index hc_idx_contact_email is made"),
                (Key, "Ctrl-C"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = taking_over(size);
                let line = "the index hc_idx_contact_email is made beside".to_owned();
                update(&mut app, Msg::SetupTold { id: 1, line });
                update(&mut app, Msg::Tick(now() + TimeDelta::seconds(2)));
                app
            },
        ),
        (
            "setup_adopted",
            &[
                (Focus, "Taken over from Heroku Connect · own.toml"),
                (Plain, "Taken over: account, contact, of the schema salesforce"),
                (Key, "syncdeck run --config /srv/acme/own.toml"),
                (Key, "c"),
                (Plain, "copy the command"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = taking_over(size);
                update(&mut app, Msg::SetupDone { id: 1, result: Ok(taken_over()) });
                app
            },
        ),
        (
            "setup_undo_asked",
            &[
                (Focus, "Give the tables back to Heroku Connect"),
                (Bold, "Put back as it was:"),
                (Any, "trigger hc_contact_logtrigger ON salesforce.contact"),
                (Bold, "In the schema salesforce (connection acme, prod)"),
                (Plain, "Type acme and Enter: "),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = found(size, "adopt undo", way_back());
                press(&mut app, "Enter");
                app
            },
        ),
    ]
}

/// With texts in it that nobody should draw as they are.
pub fn hostile() -> Scene {
    ("setup_hostile", &[(Warn, "▲ Heroku Connect still works here")], |size| {
        found(size, "adopt", refused_takeover(HOSTILE))
    })
}
