//! A comparison beside Heroku Connect, in every state.

use std::time::Duration;

use chrono::TimeDelta;

use super::look::Look::{Bad, Bold, Dim, Focus, Key, Plain};
use super::{HOSTILE, Scene, refused};
use crate::client::setup::shadow::ShadowNews;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::setup::{attached, command};
use crate::console::tests::world::shadow::{comparing, prepared, ready, report, round, without_org};
use crate::console::tests::world::{now, press};

fn told(app: &mut App, news: ShadowNews) {
    update(app, Msg::ShadowTold { id: 1, news });
}

/// One that has come to its third round.
fn rounds(size: (u16, u16)) -> App {
    let mut app = comparing(size);
    for (number, found) in [
        (1, "15 differ, and it cannot be said yet whether they catch up"),
        (2, "12 stay different, 3 caught up so far"),
    ] {
        told(&mut app, ShadowNews::Round(round(number, found)));
    }
    told(&mut app, ShadowNews::Now("Contact: 2,000 of 6,003 records compared".to_owned()));
    update(&mut app, Msg::Tick(now() + TimeDelta::minutes(31)));
    app
}

pub fn scenes() -> Vec<Scene> {
    vec![
        (
            "shadow_looking",
            &[
                (Focus, "Compare beside Heroku Connect"),
                (Dim, "signing in, and looking at what can be compared"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = attached(size);
                command(&mut app, "shadow");
                update(&mut app, Msg::Tick(now() + TimeDelta::seconds(3)));
                app
            },
        ),
        (
            "shadow_no_org",
            &[
                (Plain, "This compares Salesforce with the rows"),
                (Key, "Enter"),
                (Plain, "name a configuration"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = attached(size);
                command(&mut app, "shadow");
                update(&mut app, Msg::ShadowFound { id: 1, result: Ok(without_org()) });
                app
            },
        ),
        (
            "shadow_ready",
            &[
                (Plain, "comparing Account, Contact with the org"),
                (Plain, "not compared: Contact: the role may not read"),
                (Bold, "It compares until what differs has caught up or stays"),
                (Key, "Enter"),
                (Key, "t"),
                (Plain, "for how long"),
                (Key, "Esc"),
            ],
            prepared,
        ),
        (
            "shadow_time",
            &[(Focus, "Compare for how long?"), (Plain, "until decided"), (Key, "Esc")],
            |size| {
                let mut app = prepared(size);
                press(&mut app, "t");
                app
            },
        ),
        (
            "shadow_running",
            &[
                (Focus, "Comparing beside Heroku Connect"),
                (Bold, "comparing for 31 min, until what differs has caught up or stays"),
                (Plain, "Contact: 2,000 of 6,003 records compared"),
                (Plain, "round 2: 10,000 rows compared"),
                (Plain, "round 1: 10,000 rows compared"),
                (Key, "s"),
                (Plain, "stop ..."),
                (Key, "Esc"),
                (Plain, "leave it going"),
            ],
            rounds,
        ),
        (
            "shadow_waiting",
            &[
                (Plain, "the next round begins in 13 min"),
                (Plain, "round 2: 10,000 rows compared"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = rounds(size);
                let length = Duration::from_secs(15 * 60);
                told(&mut app, ShadowNews::Waits("the next round begins", length));
                update(&mut app, Msg::Tick(now() + TimeDelta::minutes(33)));
                app
            },
        ),
        (
            "shadow_asked",
            &[
                (Bold, "Stop here, and see what was found so far?"),
                (Key, "y"),
                (Plain, "stop, with the report"),
                (Plain, "go on comparing"),
            ],
            |size| {
                let mut app = rounds(size);
                press(&mut app, "s");
                app
            },
        ),
        ("shadow_stopping", &[(Bold, "stopping: the report comes in a moment"), (Key, "Esc")], |size| {
            let mut app = rounds(size);
            press(&mut app, "s y");
            app
        }),
        (
            "shadow_over",
            &[
                (Focus, "Compared beside Heroku Connect"),
                (Bold, "Not in step, over 3 rounds, stopped before its time."),
                (Bold, "Contact: 6,000 rows"),
                (Plain, "12 rows differ from their records"),
                (Plain, "3 records without a row"),
                (Key, "y"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = rounds(size);
                update(&mut app, Msg::ShadowDone { id: 1, result: Ok(report("jane@acme,com")) });
                app
            },
        ),
        (
            "shadow_refused",
            &[(Bad, "✗ no connection to PostgreSQL at db:5432"), (Key, "r"), (Key, "f"), (Key, "Esc")],
            |size| {
                let mut app = attached(size);
                command(&mut app, "shadow");
                update(&mut app, Msg::ShadowFound { id: 1, result: Err(refused()) });
                app
            },
        ),
    ]
}

/// With texts in them that nobody should draw as they are.
pub fn hostile() -> Vec<Scene> {
    vec![
        ("shadow_ready_hostile", &[(Plain, "\\e[31m")], |size| {
            let mut app = attached(size);
            command(&mut app, "shadow");
            update(&mut app, Msg::ShadowFound { id: 1, result: Ok(ready(HOSTILE)) });
            app
        }),
        ("shadow_running_hostile", &[(Plain, "\\e[31m")], |size| {
            let mut app = comparing(size);
            told(&mut app, ShadowNews::Round(HOSTILE.to_owned()));
            told(&mut app, ShadowNews::Now(HOSTILE.to_owned()));
            app
        }),
        ("shadow_over_hostile", &[(Bold, "Not in step")], |size| {
            let mut app = comparing(size);
            update(&mut app, Msg::ShadowDone { id: 1, result: Ok(report(HOSTILE)) });
            app
        }),
    ]
}
