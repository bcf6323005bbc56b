//! What Heroku Connect's own API lists.

use chrono::TimeDelta;

use super::{now, overview};
use crate::client::heroku::{HerokuList, HerokuListed};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::setup::attached;
use crate::domain::attached::refused::{RefusedNow, RefusedWrite};
use crate::domain::attached::told::{
    CheckOutcome, HerokuStatus, ToldCheck, ToldList, ToldNotification, ToldWriteError,
};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::state::EngineState;

/// How its API is heard.
pub fn heard() -> HerokuStatus {
    HerokuStatus {
        has_key: true,
        app: Some("acme-prod".to_owned()),
        resource: Some("herokuconnect-angular-12345".to_owned()),
        state: Some("IDLE".to_owned()),
        meaning: Some("it works".to_owned()),
        told_at: Some(now()),
        trouble: None,
    }
}

/// A console on a database that Heroku Connect keeps, whose API is heard so.
pub fn beside(size: (u16, u16), heroku: HerokuStatus) -> App {
    let mut app = attached(size);
    let mut overview = overview();
    (overview.engine.state, overview.heroku) = (EngineState::Attached, Some(heroku));
    update(&mut app, Msg::Overview(Ok(overview)));
    app.ctx.toast = None;
    app
}

fn list<T>(items: Vec<T>) -> ToldList<T> {
    ToldList { count: i64::try_from(items.len()).ok(), items, unread: None }
}

/// A write that was refused some minutes ago.
pub fn refused(id: i64, row: &str, message: &str, now_is: RefusedNow) -> RefusedWrite {
    let told = ToldWriteError {
        id: id.to_string(),
        table: "contact".to_owned(),
        row: row.to_owned(),
        message: message.to_owned(),
        created_at: Some(now() - TimeDelta::minutes(5_000 - id)),
    };
    RefusedWrite::beside(told, None, |_| now_is)
}

/// Three writes: one of an error, one that is over, one of which no row is named.
pub fn write_errors() -> ToldList<RefusedWrite> {
    list(vec![
        refused(
            4_711,
            "10235",
            "INVALID_EMAIL_ADDRESS:Email: invalid email address: jane@acme,com",
            RefusedNow::Listed(ErrorState::Open),
        ),
        refused(
            4_708,
            "10236",
            "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record",
            RefusedNow::Over,
        ),
        refused(4_650, "", "SYSTEM_ERROR:it broke", RefusedNow::Over),
    ])
}

/// Two notifications.
pub fn notifications() -> ToldList<ToldNotification> {
    let notification = |id: &str, kind: &str, message: &str, minutes| ToldNotification {
        id: id.to_owned(),
        event_type: kind.to_owned(),
        message: message.to_owned(),
        created_at: Some(now() - TimeDelta::minutes(minutes)),
    };
    list(vec![
        notification("12", "mapping-error", "The mapping Contact has 231 write errors.", 12),
        notification("9", "postgres-connection", "The database refused connections for 4 minutes.", 3_000),
    ])
}

/// What a diagnosis found, as it is shown.
pub fn checks() -> Vec<ToldCheck> {
    let check = |mapping: Option<&str>, outcome, name: &str, message: &str, page: Option<&str>| ToldCheck {
        mapping: mapping.map(str::to_owned),
        outcome,
        name: name.to_owned(),
        message: message.to_owned(),
        doc_url: page.map(str::to_owned),
    };
    vec![
        check(
            Some("Contact"),
            CheckOutcome::Error,
            "Upsert Field",
            "This mapping is read-write and has no unique identifier: records may be created twice.",
            None,
        ),
        check(
            None,
            CheckOutcome::Warning,
            "Configured Logging",
            "App does not have logging configured.",
            Some("https://devcenter.heroku.com/articles/heroku-connect-diagnose#check-configured-log-drain"),
        ),
        check(None, CheckOutcome::Pass, "Number of Mappings", "", None),
        check(Some("Account"), CheckOutcome::Skip, "Binary Fields", "", None),
    ]
}

/// One of the lists, with this text wherever a text is.
pub fn listed(of: HerokuList, text: &str) -> HerokuListed {
    let text = text.to_owned();
    match of {
        HerokuList::WriteErrors => {
            let mut told = write_errors();
            let first = &mut told.items[0].told;
            (first.id, first.message, first.table) = (text.clone(), text.clone(), text.clone());
            told.items[0].row.iter_mut().for_each(|row| row.table.clone_from(&text));
            told.unread = Some(text);
            HerokuListed::WriteErrors(told)
        }
        HerokuList::Notifications => {
            let mut told = notifications();
            (told.items[0].event_type, told.items[0].message) = (text.clone(), text);
            HerokuListed::Notifications(told)
        }
        HerokuList::Checks => {
            let mut checks = checks();
            let first = &mut checks[0];
            (first.mapping, first.name, first.message) = (Some(text.clone()), text.clone(), text.clone());
            first.doc_url = Some(text);
            HerokuListed::Checks(checks)
        }
    }
}
