//! Hostile text in every place where data can appear, and values of four kilobytes.

use std::collections::BTreeMap;

use super::look::Look::{Any, Bad, Differs, Dim, Focus, Found, Good, Key, Plain, Selected, Warn};
use super::{Scene, record, with};
use crate::client::api::{ClientError, Event};
use crate::client::operations::execute::Plan;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::{Msg, SendState};
use crate::console::settings::Connection;
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{
    HOSTILE, console, contested, dry_run, error, errors, failing, full, groups, hits, jane, log, operations,
    page, pending, plan, planned, press, relatives, report, shares, trends, type_in, verified,
};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::{FieldChange, Item, OperationKind, RowStatus};
use crate::domain::records::record::{PendingChange, RecordView};
use crate::domain::state::{ConnectionState, EngineState, MappingState};
use crate::logs::source::{SourceFailure, SourceStanding};

pub fn scenes() -> Vec<Scene> {
    let mut all = panes();
    all.extend(of_the_record());
    all.extend(overlays());
    all
}

fn hostile() -> String {
    HOSTILE.to_owned()
}

/// A record in which everything is hostile that anybody names or writes; every second value is 4 kB of wide characters.
fn hostile_record() -> RecordView {
    let mut view = failing();
    let long = "株式会社 ".repeat(400);
    for (at, (field, value)) in view.values.iter_mut().enumerate() {
        field.name = format!("{HOSTILE}{at}");
        *value = Some(if at % 2 == 0 { hostile() } else { long.clone() });
    }
    view.values[3].0.picklist = vec![hostile()];
    (view.mapping, view.sfid) = (hostile(), Some(hostile()));
    view.sending.values = vec![(hostile(), Some(hostile()))];
    view.sending.left_out = vec![(hostile(), hostile())];
    for entry in &mut view.history {
        entry.text = hostile();
    }
    let columns = vec![(hostile(), None, None)];
    let (at, state) = (view.history[0].at, "PENDING".to_owned());
    view.pending = vec![PendingChange { at, action: hostile(), state, columns }];
    for offer in &mut view.advice.remedies {
        offer.text = hostile();
    }
    (view.advice.title, view.advice.cause) = (hostile(), hostile());
    if let Some(error) = &mut view.error {
        error.message = format!("{HOSTILE} {long}");
        (error.code, error.op, error.fields) = (hostile(), hostile(), vec![format!("{HOSTILE}2")]);
    }
    view
}

fn panes() -> Vec<Scene> {
    vec![
        ("opening_hostile", &[(Warn, "\\e[31m")], |size| {
            let mut app = console(size);
            (app.ctx.settings.connection, app.ctx.settings.opening) = (hostile(), hostile());
            app
        }),
        (
            "lost_hostile",
            &[(Bad, "✗ \\e[31m"), (Bad, "no PostgreSQL since|PostgreSQL out of reach since")],
            |size| {
                let mut app = full(size);
                update(&mut app, Msg::Event(Event::Lost(hostile())));
                update(&mut app, Msg::Overview(Err(ClientError::refused(hostile()))));
                app
            },
        ),
        (
            "mappings_hostile",
            &[(Any, "\\e[31m"), (Bad, "▲ Salesforce down"), (Any, "Contact"), (Dim, "? unknown")],
            |size| {
                let mut app = full(size);
                with(&mut app, |overview| {
                    let connection = &mut overview.connection;
                    (connection.name, connection.environment) = (hostile(), hostile());
                    (connection.state, connection.detail) = (ConnectionState::Down, Some(hostile()));
                    let mapping = &mut overview.mappings[0];
                    (mapping.name, mapping.table, mapping.detail) = (hostile(), hostile(), Some(hostile()));
                    (mapping.access, mapping.strategy) = (hostile(), hostile());
                    (mapping.state, mapping.by_category) = (MappingState::Unknown, [(hostile(), 2)].into());
                });
                press(&mut app, "1 z");
                app
            },
        ),
        ("engine_unknown", &[(Bad, "✗ engine unknown")], |size| {
            let mut app = full(size);
            with(&mut app, |overview| overview.engine.state = EngineState::Unknown);
            app
        }),
        ("salesforce_unknown", &[(Bad, "▲ Salesforce unknown")], |size| {
            let mut app = full(size);
            with(&mut app, |overview| overview.connection.state = ConnectionState::Unknown);
            app
        }),
        (
            "errors_hostile",
            &[(Any, "\\e[31m"), (Key, "●"), (Bad, "✗"), (Any, "株"), (Selected, "?"), (Selected, "CODE")],
            |size| {
                let mut app = console(size);
                let mut bad = error(7, HOSTILE, HOSTILE, HOSTILE, ErrorState::Open);
                bad.mapping = hostile();
                let mut wide = error(8, "CODE", "Field", &"שלום ".repeat(800), ErrorState::Review);
                wide.mapping = "株式会社".to_owned();
                let result = Ok(page(vec![bad, wide]));
                update(&mut app, Msg::Errors { generation: 0, append: false, result });
                press(&mut app, "Space");
                app
            },
        ),
        ("errors_refused_hostile", &[(Dim, "\\e[31m")], |size| {
            let mut app = console(size);
            update(
                &mut app,
                Msg::Errors { generation: 0, append: false, result: Err(ClientError::refused(hostile())) },
            );
            app
        }),
        ("filtered_hostile", &[(Any, "everything · \\e[31m")], |size| {
            let mut app = full(size);
            app.errors.filter = hostile();
            press(&mut app, "!");
            app
        }),
        (
            "rowless_hostile",
            &[(Any, "· \\e[31m"), (Bad, "\\e[31m"), (Any, "Refused by Salesforce.")],
            |size| {
                let mut app = console(size);
                let mut error = error(1, HOSTILE, HOSTILE, HOSTILE, ErrorState::Open);
                (error.row_id, error.mapping, error.op) = (None, hostile(), hostile());
                error.message = format!("{HOSTILE} {}", "株式会社 ".repeat(400));
                update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(vec![error])) });
                press(&mut app, "Enter");
                app
            },
        ),
        (
            "pending_hostile",
            &[(Selected, "7"), (Any, "\\e[31m"), (Dim, "○ held"), (Any, "waits for Acc")],
            |size| {
                let mut app = full(size);
                press(&mut app, "5");
                let mut waiting = pending();
                (waiting[0].mapping, waiting[0].batch) = (hostile(), Some(hostile()));
                (waiting[1].op, waiting[1].reason) = (hostile(), hostile());
                update(&mut app, Msg::Pending { append: false, limit: 100, result: Ok(waiting) });
                app
            },
        ),
        ("log_hostile", &[(Any, "\\e[31m"), (Bad, "ERROR"), (Found, "red"), (Any, "· search red")], |size| {
            let mut app = full(size);
            let mut line = log().remove(2);
            (line.id, line.dyno, line.source) = (5, hostile(), hostile());
            line.fields.insert(hostile(), serde_json::json!(HOSTILE));
            let mut message = log().remove(2);
            (message.id, message.message) = (6, format!("{HOSTILE} Lead"));
            let mut gap = message.clone();
            gap.id = 7;
            gap.fields = [("dropped".to_owned(), serde_json::json!(1_234))].into_iter().collect();
            update(&mut app, Msg::Log(Ok(vec![line, message, gap])));
            press(&mut app, "4 s");
            type_in(&mut app, "red");
            press(&mut app, "Enter N N z T");
            app
        }),
    ]
}

fn of_the_record() -> Vec<Scene> {
    vec![
        (
            "record_hostile",
            &[
                (Bad, "\\e[31m"),
                (Any, "· \\e[31m"),
                (Selected, "▶"),
                (Differs, "≠"),
                (Key, "[1]"),
                (Differs, "Doe"),
            ],
            |size| record(size, hostile_record()),
        ),
        ("record_refused_hostile", &[(Dim, "\\e[31m")], |size| {
            let mut app = full(size);
            press(&mut app, "j Enter");
            let result = Box::new(Err(ClientError::refused(hostile())));
            update(&mut app, Msg::Record { row: jane(), result });
            app
        }),
        (
            "record_remote_hostile",
            &[(Selected, "▶ Email"), (Selected, "\\e[31m"), (Any, "Level__c")],
            |size| {
                let mut app = record(size, failing());
                update(&mut app, Msg::Values { row: jane(), result: Err(ClientError::refused(hostile())) });
                app
            },
        ),
        ("record_contested_hostile", &[(Any, "\\e[31m"), (Any, "[1] Write a dot for the comma")], |size| {
            let mut view = contested();
            let field = &mut view.conflicts[0];
            (field.column, field.postgres) = (hostile(), Some(hostile()));
            let mut app = record(size, view);
            press(&mut app, "z");
            app
        }),
        (
            "record_waits_hostile",
            &[(Any, "\\e[31m"), (Any, "· Contact 10235"), (Any, "Waits to be sent.")],
            |size| {
                let mut view = crate::console::tests::world::record("held", "jane@acme.com", None);
                (view.sending.what, view.sending.why) = (hostile(), Some(hostile()));
                (view.sending.values, view.unit) = (Vec::new(), hostile());
                record(size, view)
            },
        ),
        (
            "record_attempts_hostile",
            &[(Any, "\\e[31m"), (Any, "\\u001b[31mred"), (Any, "insert  batch 7aa"), (Any, "[attempts]")],
            |size| {
                let mut view = failing();
                let entry = &mut view.history[0];
                entry.text = hostile();
                entry.request = Some(serde_json::json!({"Email": "jane@acme,com", HOSTILE: HOSTILE}));
                entry.response =
                    Some(serde_json::json!({"success": false, "errors": [{"message": HOSTILE}]}));
                view.history[1].what = hostile();
                let mut app = record(size, view);
                press(&mut app, "]");
                app
            },
        ),
        (
            "record_relatives_hostile",
            &[(Any, "\\e[31m"), (Selected, "by AccountId"), (Any, "held")],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "] ]");
                let mut all = relatives();
                (all[0].mapping, all[0].unit) = (hostile(), hostile());
                (all[1].field, all[1].sfid) = (hostile(), Some(hostile()));
                update(&mut app, Msg::Relatives { row: jane(), result: Ok(all) });
                app
            },
        ),
        ("record_relatives_refused_hostile", &[(Dim, "\\e[31m")], |size| {
            let mut app = record(size, failing());
            press(&mut app, "] ]");
            update(&mut app, Msg::Relatives { row: jane(), result: Err(ClientError::refused(hostile())) });
            app
        }),
        (
            "record_log_hostile",
            &[(Any, "\\e[31m"), (Selected, "200 accepted"), (Any, "Lead cannot be read")],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "] ] ]");
                let mut lines = log();
                (lines[0].dyno, lines[1].message) = (hostile(), hostile());
                lines[2].fields.insert("code".to_owned(), serde_json::json!(HOSTILE));
                update(&mut app, Msg::RecordLog { row: jane(), result: Ok(lines) });
                app
            },
        ),
    ]
}

/// A plan of two rows in which everything is hostile.
fn hostile_plan() -> Plan {
    let mut preview = plan(2).preview.clone();
    preview.refused = [(hostile(), 1)].into();
    preview.left = [(hostile(), 2)].into();
    let sample = &mut preview.sample[0];
    (sample.row.table, sample.field) = (hostile(), hostile());
    (sample.before, sample.after) = (Some(hostile()), Some(hostile()));
    let how = FieldChange::Set(Some(hostile()));
    Plan::shown(OperationKind::Fix { field: hostile(), how, retry: true }, preview, "demo")
}

fn overlays() -> Vec<Scene> {
    vec![
        (
            "edit_hostile",
            &[
                (Focus, "\\e[31m"),
                (Any, "✗ at most 80 characters"),
                (Any, "18 cannot be seen, the first is U+001B"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = record(size, hostile_record());
                press(&mut app, "g e");
                app
            },
        ),
        ("duplicate_hostile", &[(Focus, "a record has the same"), (Any, "\\e[31m")], |size| {
            super::overlays::compared(size, HOSTILE)
        }),
        (
            "edit_picklist_hostile",
            &[
                (Bad, "✗ not saved: choose one of: \\e[31m"),
                (Dim, "2000 of 255 characters · ↑↓ choose: \\e[31m"),
            ],
            |size| {
                let mut app = record(size, hostile_record());
                press(&mut app, "g j j j e C-s");
                app
            },
        ),
        (
            "remedies_hostile",
            &[
                (Focus, "\\e[31m"),
                (Any, "\\e[31m"),
                (Selected, "1  \\e[31m"),
                (Dim, "jane@acme,com → nothing; asks first"),
                (Dim, "for all rows of \\e[31m"),
            ],
            |size| {
                let mut app = record(size, hostile_record());
                press(&mut app, "f");
                app
            },
        ),
        (
            "sides_hostile",
            &[(Any, "\\e[31m"), (Any, "○ \\e[31m"), (Any, "○ Dow"), (Any, "○ Dough")],
            |size| {
                let mut view = contested();
                let field = &mut view.conflicts[0];
                (field.column, field.base) = (hostile(), Some(hostile()));
                (field.postgres, field.salesforce) = (Some(hostile()), Some(hostile()));
                let mut app = record(size, view);
                press(&mut app, "c");
                app
            },
        ),
        ("filter_hostile", &[(Focus, "Filter errors"), (Any, "\\e[31m"), (Any, "· \\e[31m")], |size| {
            let mut app = full(size);
            app.errors.filter = hostile();
            press(&mut app, "/ Home");
            app
        }),
        ("filter_offers_hostile", &[(Dim, "code:\"\\e[31m"), (Plain, "apply")], |size| {
            let mut app = full(size);
            press(&mut app, "/");
            type_in(&mut app, "code:in");
            let (qualifier, prefix) = ("code".to_owned(), "in".to_owned());
            update(&mut app, Msg::Offers { qualifier, prefix, values: vec![(hostile(), 1)] });
            app
        }),
        ("filter_name_hostile", &[(Focus, "Keep the filter \\e[31m")], |size| {
            let mut app = full(size);
            app.errors.filter = hostile();
            press(&mut app, "F");
            app
        }),
        ("palette_hostile", &[(Selected, "filter \\e[31m"), (Any, "\\e[31m")], |size| {
            let mut app = full(size);
            app.ctx.settings.filters = [(hostile(), hostile())].into();
            press(&mut app, ":");
            type_in(&mut app, "filter red");
            app
        }),
        (
            "log_sources_hostile",
            &[(Focus, "Where lines come from"), (Any, "fails"), (Dim, "\\e[31m"), (Warn, "▲ log")],
            |size| {
                let mut app = full(size);
                app.log.sources.open(&[(hostile(), "heroku")]);
                let failure = SourceFailure { what: hostile(), remedy: hostile() };
                app.log.sources.stands(HOSTILE, SourceStanding::Fails(failure));
                press(&mut app, "4 S G Enter");
                app
            },
        ),
        ("connections_hostile", &[(Selected, "1  \\e[31m"), (Any, "acme  \\e[31m")], |size| {
            let mut app = full(size);
            let named = |name: String| Connection { environment: hostile(), name };
            app.ctx.settings.connections = vec![named(hostile()), named("acme".to_owned())];
            press(&mut app, "C");
            app
        }),
        (
            "hits_hostile",
            &[
                (Focus, "Rows found by \\e[31m"),
                (Selected, "1  \\e[31m"),
                (Any, "Contact 7  failed · the row is gone"),
                (Dim, "\\e[31m"),
            ],
            |size| {
                let mut app = full(size);
                let mut found = hits();
                (found[0].mapping, found[0].unit, found[0].state) = (hostile(), hostile(), Some(hostile()));
                (found[1].sfid, found[1].external_id) = (Some(hostile()), None);
                waited_for(&mut app, Msg::Found { text: hostile(), result: Ok(found) });
                app
            },
        ),
        (
            "groups_hostile",
            &[
                (Focus, "Groups of errors that match \\e[31m"),
                (Any, "44"),
                (Selected, "\\e[31m"),
                (Plain, "ignore"),
            ],
            |size| {
                let mut app = full(size);
                let mut hostiles = groups();
                hostiles[0].template = hostile();
                (hostiles[1].mapping, hostiles[1].code, hostiles[1].fields) =
                    (hostile(), hostile(), vec![hostile()]);
                waited_for(&mut app, Msg::Groups { filter: hostile(), result: Ok(hostiles) });
                app
            },
        ),
        (
            "ask_hostile",
            &[(Any, "\\e[31m"), (Focus, "Fix 1 error"), (Plain, "show what it would do")],
            |size| {
                let mut app = console(size);
                let mut bad = errors().remove(2);
                bad.fields = vec![hostile()];
                bad.table = hostile();
                update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(vec![bad])) });
                press(&mut app, "2 Space f Down Home");
                app
            },
        ),
        (
            "question_hostile",
            &[
                (Focus, "fix \\e[31m"),
                (Any, "1 would not pass: \\e[31m"),
                (Any, "2 left alone: \\e[31m"),
                (Key, "y"),
            ],
            |size| {
                let mut app = full(size);
                planned(&mut app, hostile_plan().into());
                app
            },
        ),
        ("working_hostile", &[(Focus, "fix \\e[31m"), (Any, "0 of 2"), (Key, "Esc")], |size| {
            let mut app = full(size);
            planned(&mut app, hostile_plan().into());
            press(&mut app, "y");
            app
        }),
        (
            "report_hostile",
            &[(Focus, "\\e[31m"), (Good, "✓ 3 done"), (Bad, "✗ 3 failed"), (Any, "back\\u{202e}gpj.exe")],
            |size| {
                let mut app = full(size);
                let mut status = report(3);
                status.note(Item { id: 4, result: RowStatus::Failed, message: hostile() });
                update(
                    &mut app,
                    Msg::Reported { text: hostile(), sent: SendState::Rows(None), result: Ok(status) },
                );
                app
            },
        ),
        (
            "audit_hostile",
            &[(Selected, "\\e[31m"), (Any, "ada@sync-1"), (Any, "undone"), (Plain, "take it back")],
            |size| {
                let mut app = full(size);
                let mut all = operations();
                (all[0].actor, all[0].origin, all[0].why) = (hostile(), hostile(), Some(hostile()));
                (all[0].mapping, all[0].action) = (hostile(), hostile());
                let values: BTreeMap<_, _> = [(hostile(), Some(hostile()))].into();
                (all[1].first.before, all[1].first.after) = (None, Some(values));
                waited_for(&mut app, Msg::Audit(Ok(all)));
                app
            },
        ),
        ("act_rows_hostile", &[(Focus, "Operation 2: \\e[31m"), (Selected, "1  \\e[31m")], |size| {
            let mut app = full(size);
            let mut entry = operations().remove(1).first;
            (entry.table, entry.action) = (hostile(), hostile());
            waited_for(&mut app, Msg::AuditRows { operation: 2, result: Ok(vec![entry]) });
            app
        }),
        (
            "verified_hostile",
            &[
                (Focus, "\\e[31m"),
                (Selected, "mismatch  row 7  \\e[31m"),
                (Any, "orphan  row 8"),
                (Dim, "\\e[31m"),
            ],
            |size| {
                let mut app = full(size);
                let mut found = verified();
                found.mapping = hostile();
                (found.findings[0].sfid, found.findings[0].text) = (Some(hostile()), hostile());
                found.findings[1].fields[0].field = hostile();
                update(&mut app, Msg::Verified(Ok(found)));
                app
            },
        ),
        (
            "repair_hostile",
            &[(Plain, "\\e[31m"), (Any, "1 mismatch: the rows get Salesforce's values"), (Key, "y")],
            |size| {
                let mut app = full(size);
                let mut found = verified();
                found.mapping = hostile();
                update(&mut app, Msg::Verified(Ok(found)));
                press(&mut app, "s");
                app
            },
        ),
        (
            "tried_hostile",
            &[(Focus, "\\e[31m"), (Selected, "row 7  \\e[31m"), (Any, "✗ \\e[31m"), (Dim, "\\e[31m")],
            |size| {
                let mut app = full(size);
                let mut tried = dry_run();
                (tried.mapping, tried.items[0].op) = (hostile(), hostile());
                tried.items[0].left_out.insert(hostile(), hostile());
                tried.items[1].code = Some(hostile());
                update(&mut app, Msg::DryRunDone { mapping: hostile(), result: Ok(tried) });
                app
            },
        ),
        (
            "trends_hostile",
            &[(Any, "\\e[31m"), (Any, "198,000|198k"), (Selected, "INVALID_EMAIL_ADDRESS")],
            |size| {
                let mut app = full(size);
                press(&mut app, "M");
                let mut drawn = trends();
                drawn[0].mapping = hostile();
                update(&mut app, Msg::Trends { minutes: 60, result: Ok((drawn, Some(shares()))) });
                app
            },
        ),
        ("strategies_hostile", &[(Focus, "\\e[31m"), (Any, "fail_fast")], |size| mapping_asked(size, "1 s")),
        (
            "sure_hostile",
            &[(Plain, "\\e[31m"), (Plain, "its newest rows are sent to Salesforce"), (Key, "y")],
            |size| mapping_asked(size, "1 t"),
        ),
        ("verifying_hostile", &[(Focus, "verify \\e[31m"), (Key, "Esc")], |size| mapping_asked(size, "1 v")),
        ("toast_hostile", &[(Bad, "✗ \\e[31m")], |size| {
            let mut app = full(size);
            update(&mut app, Msg::Changed(Err(ClientError::refused(format!("{HOSTILE}\n{HOSTILE}")))));
            app
        }),
        ("copied_hostile", &[(Good, "✓ copied: Contact 10:"), (Good, "\\e[31m")], |size| {
            let mut app = full(size);
            let mut waiting = pending();
            waiting[0].row = RowRef { table: hostile(), row: waiting[0].row.row };
            press(&mut app, "5");
            update(&mut app, Msg::Pending { append: false, limit: 100, result: Ok(waiting) });
            press(&mut app, "Enter 5 G y");
            app
        }),
    ]
}

/// Keys pressed on a mapping with a hostile name.
fn mapping_asked(size: super::Size, keys: &str) -> App {
    let mut app = full(size);
    with(&mut app, |overview| overview.mappings[0].name = hostile());
    press(&mut app, keys);
    app
}
