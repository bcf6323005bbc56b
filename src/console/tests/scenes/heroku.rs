//! What Heroku Connect's own API lists, in every state.

use chrono::TimeDelta;

use super::look::Look::{Bad, Bold, Dim, Focus, Good, Key, Plain, Selected, Warn};
use super::{HOSTILE, Scene, Size};
use crate::client::api::ClientError;
use crate::client::heroku::{HerokuList, HerokuListed};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::setup::command;
use crate::console::tests::world::heroku::{
    beside, checks, heard, listed, notifications, refused, write_errors,
};
use crate::console::tests::world::{now, press};
use crate::domain::attached::refused::RefusedNow;
use crate::domain::attached::told::{HerokuStatus, ToldList};

/// A list, and what came of it.
fn told(size: Size, name: &str, result: Result<HerokuListed, ClientError>) -> App {
    let mut app = beside(size, heard());
    command(&mut app, name);
    update(&mut app, Msg::HerokuListed { id: 1, result });
    app
}

/// Many writes, and not all.
fn many() -> ToldList<crate::domain::attached::refused::RefusedWrite> {
    let items = (0..200).map(|at| {
        refused(4_900 - at, &at.to_string(), "DUPLICATE_VALUE:duplicate value found", RefusedNow::Unknown)
    });
    let unread = Some("after 10,000 no more are read".to_owned());
    ToldList { count: Some(12_345), items: items.collect(), unread }
}

pub fn scenes() -> Vec<Scene> {
    let mut all = lists();
    all.extend(without());
    all
}

fn lists() -> Vec<Scene> {
    vec![
        (
            "heroku_write_errors",
            &[
                (Focus, "Heroku Connect · herokuconnect-angular-12345 of acme-prod"),
                (Selected, " write errors 3 "),
                (Dim, "of the last 24 hours; 1 is of a row that is an open error here"),
                (Selected, "▲ open"),
                (Good, "✓ over"),
                (Dim, "? unknown"),
                (Bold, "Contact 10235, an error here: Enter shows what helps"),
                (Plain, "INVALID_EMAIL_ADDRESS:Email: invalid email address: jane@acme,com"),
                (Key, "Enter"),
                (Plain, "its row"),
                (Key, "Tab"),
                (Key, "Esc"),
            ],
            |size| told(size, "heroku write errors", Ok(HerokuListed::WriteErrors(write_errors()))),
        ),
        (
            "heroku_write_errors_many",
            &[
                (Selected, " write errors 12,345 "),
                (Warn, "▲ there are 12,145 more write errors, which are not here"),
                (Warn, "read"),
                (Dim, "? unknown"),
                (Bold, "it cannot be said whether it is an error here still"),
            ],
            |size| {
                let mut app = told(size, "heroku write errors", Ok(HerokuListed::WriteErrors(many())));
                press(&mut app, "PgDn PgDn");
                app
            },
        ),
        (
            "heroku_write_errors_unknown",
            &[
                (Dim, "of the last 24 hours; of 3 it cannot be said whether they are errors here"),
                (Selected, "? unknown"),
            ],
            |size| {
                let mut list = write_errors();
                list.items.iter_mut().for_each(|write| write.now = RefusedNow::Unknown);
                told(size, "heroku write errors", Ok(HerokuListed::WriteErrors(list)))
            },
        ),
        (
            "heroku_none_came",
            &[
                (Selected, " notifications 5 "),
                (Warn, "▲ there are 5 more notifications"),
                (Plain, "None of them came."),
            ],
            |size| {
                let none = ToldList { count: Some(5), items: Vec::new(), unread: None };
                told(size, "heroku notifications", Ok(HerokuListed::Notifications(none)))
            },
        ),
        (
            "heroku_notifications",
            &[
                (Selected, " notifications 2 "),
                (Dim, "that nobody has acknowledged"),
                (Bold, "mapping-error, came 2026-11-"),
                (Plain, "The mapping Contact has 231 write errors."),
                (Key, "a"),
                (Plain, "acknowledge"),
                (Plain, "copy"),
                (Key, "Esc"),
            ],
            |size| told(size, "heroku notifications", Ok(HerokuListed::Notifications(notifications()))),
        ),
        (
            "heroku_acknowledge",
            &[(Plain, "2 notifications."), (Plain, "herokuconnect-angular-12345 of acme-prod")],
            |size| {
                let mut app =
                    told(size, "heroku notifications", Ok(HerokuListed::Notifications(notifications())));
                press(&mut app, "a");
                app
            },
        ),
        (
            "heroku_checks",
            &[
                (Selected, " checks 2 "),
                (Dim, "1 error, 1 warning, 1 passed, 1 skipped"),
                (Bad, "✗ error"),
                (Selected, "▲ warning"),
                (Good, "✓ pass"),
                (Bold, "warning: Configured Logging of the connection"),
                (Plain, "App does not have logging configured."),
                (Key, "c"),
                (Plain, "copy link"),
                (Plain, "ask again"),
            ],
            |size| {
                let mut app = told(size, "heroku diagnose", Ok(HerokuListed::Checks(checks())));
                press(&mut app, "j");
                app
            },
        ),
        (
            "heroku_checking",
            &[
                (Selected, " checks "),
                (Dim, "Heroku Connect checks the connection and its mappings"),
                (Key, "Esc"),
                (Plain, "give it up"),
            ],
            |size| {
                let mut app = beside(size, heard());
                command(&mut app, "heroku diagnose");
                update(&mut app, Msg::Tick(now() + TimeDelta::seconds(3)));
                app
            },
        ),
        (
            "heroku_none",
            &[
                (Selected, " write errors 0 "),
                (Dim, "Heroku Connect lists no write that was refused in the last 24 hours."),
                (Key, "r"),
            ],
            |size| {
                let none = ToldList { count: Some(0), items: Vec::new(), unread: None };
                told(size, "heroku write errors", Ok(HerokuListed::WriteErrors(none)))
            },
        ),
    ]
}

fn without() -> Vec<Scene> {
    vec![
        (
            "heroku_no_key",
            &[
                (Bad, "✗ Heroku Connect's API is not asked: HEROKU_API_KEY is not set"),
                (Plain, "heroku authorizations:create"),
                (Dim, "With a key, this console shows what only Heroku"),
                (Key, "r"),
                (Key, "Esc"),
            ],
            |size| {
                let why = "HEROKU_API_KEY is not set\nset it to what this prints: heroku authorizations:create -d syncdeck";
                let without = HerokuStatus { trouble: Some(why.to_owned()), ..HerokuStatus::default() };
                let mut app = beside(size, without);
                command(&mut app, "heroku write errors");
                let refused = ClientError::refused(format!("Heroku Connect's API is not asked: {why}"));
                update(&mut app, Msg::HerokuListed { id: 1, result: Err(refused) });
                app
            },
        ),
        (
            "heroku_refused",
            &[
                (Selected, " checks ✗ "),
                (Bad, "✗ Heroku refuses the API key"),
                (Plain, "set HEROKU_API_KEY to a valid one"),
                (Plain, "try again"),
            ],
            |size| {
                let why = "Heroku refuses the API key\nset HEROKU_API_KEY to a valid one: heroku authorizations:create -d syncdeck";
                told(size, "heroku diagnose", Err(ClientError::refused(why)))
            },
        ),
        (
            "heroku_away",
            &[
                (Bad, "✗ no connection to hc-central.heroku.com: connection refused"),
                (Plain, "status.heroku.com"),
            ],
            |size| {
                let why = "no connection to hc-central.heroku.com: connection refused\nlook at the network, and at status.heroku.com";
                told(size, "heroku notifications", Err(ClientError::unavailable(why)))
            },
        ),
    ]
}

/// With texts in them that nobody should draw as they are.
pub fn hostile() -> Vec<Scene> {
    vec![
        (
            "heroku_write_errors_hostile",
            &[(Selected, "\\e[31m"), (Warn, "▲ there are more write errors")],
            |size| told(size, "heroku write errors", Ok(listed(HerokuList::WriteErrors, HOSTILE))),
        ),
        ("heroku_notifications_hostile", &[(Selected, "\\e[31m")], |size| {
            told(size, "heroku notifications", Ok(listed(HerokuList::Notifications, HOSTILE)))
        }),
        ("heroku_checks_hostile", &[(Selected, "\\e[31m"), (Bold, "error: \\e[31m")], |size| {
            told(size, "heroku diagnose", Ok(listed(HerokuList::Checks, HOSTILE)))
        }),
        ("heroku_read_hostile", &[(Focus, "\\e[31m"), (Plain, "\\e[31m")], |size| {
            let mut app = told(size, "heroku notifications", Ok(listed(HerokuList::Notifications, HOSTILE)));
            press(&mut app, "Enter");
            app
        }),
        ("heroku_refused_hostile", &[(Bad, "✗ \\e[31m")], |size| {
            let mut app = beside(size, HerokuStatus { resource: Some(HOSTILE.to_owned()), ..heard() });
            command(&mut app, "heroku write errors");
            update(&mut app, Msg::HerokuListed { id: 1, result: Err(ClientError::refused(HOSTILE)) });
            app
        }),
    ]
}
