//! Hostile text in every place where data can appear, and values of four kilobytes.

use std::collections::BTreeMap;

use super::look::Look::{Any, Bad, Differs, Dim, Focus, Found, Good, Key, Plain, Selected, Warn};
use super::{Scene, record, with};
use crate::client::handle::{Event, Refused};
use crate::client::operations::execute::Plan;
use crate::console::model::{Connection, Model};
use crate::console::msg::Msg;
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{
    HOSTILE, acts, console, contested, error, errors, failing, full, groups, hits, jane, log, page, pending,
    plan, planned, press, relatives, report, shares, trends, trial, type_in, verdict,
};
use crate::console::update::update;
use crate::domain::act::{Came, Deed, How, Item};
use crate::domain::names::RowRef;
use crate::domain::record::{PendingChange, RecordView};
use crate::domain::sync_error::ErrorState;

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
            let mut model = console(size);
            (model.settings.connection, model.settings.opening) = (hostile(), hostile());
            model
        }),
        (
            "lost_hostile",
            &[(Bad, "✗ \\e[31m"), (Bad, "no PostgreSQL since|PostgreSQL out of reach since")],
            |size| {
                let mut model = full(size);
                update(&mut model, Msg::Event(Event::Lost(hostile())));
                update(&mut model, Msg::Overview(Err(Refused(hostile()))));
                model
            },
        ),
        (
            "mappings_hostile",
            &[(Any, "\\e[31m"), (Bad, "▲ Salesforce down"), (Any, "Contact"), (Dim, "? \\e[31m")],
            |size| {
                let mut model = full(size);
                with(&mut model, |overview| {
                    let connection = &mut overview.connection;
                    (connection.name, connection.environment) = (hostile(), hostile());
                    (connection.state, connection.detail) = ("down".to_owned(), Some(hostile()));
                    let mapping = &mut overview.mappings[0];
                    (mapping.name, mapping.table, mapping.detail) = (hostile(), hostile(), Some(hostile()));
                    (mapping.access, mapping.strategy) = (hostile(), hostile());
                    (mapping.state, mapping.by_category) = (hostile(), [(hostile(), 2)].into());
                });
                press(&mut model, "1 z");
                model
            },
        ),
        ("engine_hostile", &[(Bad, "✗ engine \\e[31m")], |size| {
            let mut model = full(size);
            with(&mut model, |overview| overview.engine.state = hostile());
            model
        }),
        ("salesforce_hostile", &[(Bad, "▲ Salesforce \\e[31m")], |size| {
            let mut model = full(size);
            with(&mut model, |overview| overview.connection.state = hostile());
            model
        }),
        (
            "errors_hostile",
            &[
                (Any, "\\e[31m"),
                (Key, "●"),
                (Bad, "✗"),
                (Any, "株"),
                (Selected, "review"),
                (Selected, "CODE"),
            ],
            |size| {
                let mut model = console(size);
                let mut bad = error(7, HOSTILE, HOSTILE, HOSTILE, ErrorState::Open);
                bad.mapping = hostile();
                let mut wide = error(8, "CODE", "Field", &"שלום ".repeat(800), ErrorState::Review);
                wide.mapping = "株式会社".to_owned();
                let result = Ok(page(vec![bad, wide]));
                update(&mut model, Msg::Errors { generation: 0, append: false, result });
                press(&mut model, "Space");
                model
            },
        ),
        ("errors_refused_hostile", &[(Dim, "\\e[31m")], |size| {
            let mut model = console(size);
            update(&mut model, Msg::Errors { generation: 0, append: false, result: Err(Refused(hostile())) });
            model
        }),
        ("filtered_hostile", &[(Any, "faults only · \\e[31m")], |size| {
            let mut model = full(size);
            model.errors.filter = hostile();
            press(&mut model, "!");
            model
        }),
        (
            "rowless_hostile",
            &[(Any, "· \\e[31m"), (Bad, "\\e[31m"), (Any, "Refused by Salesforce.")],
            |size| {
                let mut model = console(size);
                let mut error = error(1, HOSTILE, HOSTILE, HOSTILE, ErrorState::Open);
                (error.row_id, error.mapping, error.op) = (None, hostile(), hostile());
                error.message = format!("{HOSTILE} {}", "株式会社 ".repeat(400));
                update(
                    &mut model,
                    Msg::Errors { generation: 0, append: false, result: Ok(page(vec![error])) },
                );
                press(&mut model, "Enter");
                model
            },
        ),
        (
            "pending_hostile",
            &[(Selected, "7"), (Any, "\\e[31m"), (Dim, "= held"), (Any, "waits for Acc")],
            |size| {
                let mut model = full(size);
                press(&mut model, "5");
                let mut waiting = pending();
                (waiting[0].mapping, waiting[0].batch) = (hostile(), Some(hostile()));
                (waiting[1].op, waiting[1].reason) = (hostile(), hostile());
                update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(waiting) });
                model
            },
        ),
        ("log_hostile", &[(Any, "\\e[31m"), (Bad, "ERROR"), (Found, "red"), (Any, "· search red")], |size| {
            let mut model = full(size);
            let mut line = log().remove(2);
            (line.id, line.dyno, line.source) = (5, hostile(), hostile());
            line.fields.insert(hostile(), serde_json::json!(HOSTILE));
            let mut message = log().remove(2);
            (message.id, message.message) = (6, format!("{HOSTILE} Lead"));
            let mut gap = message.clone();
            gap.id = 7;
            gap.fields.insert("dropped".to_owned(), serde_json::json!(1_234));
            update(&mut model, Msg::Log(Ok(vec![line, message, gap])));
            press(&mut model, "4 s");
            type_in(&mut model, "red");
            press(&mut model, "Enter N N z T");
            model
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
            let mut model = full(size);
            press(&mut model, "j Enter");
            let result = Box::new(Err(Refused(hostile())));
            update(&mut model, Msg::Record { row: jane(), result });
            model
        }),
        (
            "record_remote_hostile",
            &[(Selected, "▶ Email"), (Selected, "\\e[31m"), (Any, "Level__c")],
            |size| {
                let mut model = record(size, failing());
                update(&mut model, Msg::Values { row: jane(), result: Err(Refused(hostile())) });
                model
            },
        ),
        ("record_contested_hostile", &[(Any, "\\e[31m"), (Any, "[1] Write a dot for the comma")], |size| {
            let mut view = contested();
            let field = &mut view.conflicts[0];
            (field.column, field.postgres) = (hostile(), Some(hostile()));
            let mut model = record(size, view);
            press(&mut model, "z");
            model
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
                let mut model = record(size, view);
                press(&mut model, "]");
                model
            },
        ),
        (
            "record_relatives_hostile",
            &[(Any, "\\e[31m"), (Selected, "by AccountId"), (Any, "held")],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ]");
                let mut all = relatives();
                (all[0].mapping, all[0].unit) = (hostile(), hostile());
                (all[1].field, all[1].sfid) = (hostile(), Some(hostile()));
                update(&mut model, Msg::Relatives { row: jane(), result: Ok(all) });
                model
            },
        ),
        ("record_relatives_refused_hostile", &[(Dim, "\\e[31m")], |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            update(&mut model, Msg::Relatives { row: jane(), result: Err(Refused(hostile())) });
            model
        }),
        (
            "record_log_hostile",
            &[(Any, "\\e[31m"), (Selected, "200 accepted"), (Any, "Lead cannot be read")],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ] ]");
                let mut lines = log();
                (lines[0].dyno, lines[1].message) = (hostile(), hostile());
                lines[2].fields.insert("code".to_owned(), serde_json::json!(HOSTILE));
                update(&mut model, Msg::RecordLog { row: jane(), result: Ok(lines) });
                model
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
    let how = How::Set(Some(hostile()));
    Plan::shown(Deed::Fix { field: hostile(), how, retry: true }, preview, "demo")
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
                let mut model = record(size, hostile_record());
                press(&mut model, "g e");
                model
            },
        ),
        (
            "edit_picklist_hostile",
            &[
                (Bad, "✗ not saved: choose one of: \\e[31m"),
                (Dim, "2000 of 255 characters · ↑↓ choose: \\e[31m"),
            ],
            |size| {
                let mut model = record(size, hostile_record());
                press(&mut model, "g j j j e C-s");
                model
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
                let mut model = record(size, hostile_record());
                press(&mut model, "f");
                model
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
                let mut model = record(size, view);
                press(&mut model, "c");
                model
            },
        ),
        ("filter_hostile", &[(Focus, "Filter errors"), (Any, "\\e[31m"), (Any, "· \\e[31m")], |size| {
            let mut model = full(size);
            model.errors.filter = hostile();
            press(&mut model, "/ Home");
            model
        }),
        ("filter_offers_hostile", &[(Dim, "code:\"\\e[31m"), (Plain, "apply")], |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "code:in");
            let (qualifier, prefix) = ("code".to_owned(), "in".to_owned());
            update(&mut model, Msg::Offers { qualifier, prefix, values: vec![(hostile(), 1)] });
            model
        }),
        ("filter_name_hostile", &[(Focus, "Keep the filter \\e[31m")], |size| {
            let mut model = full(size);
            model.errors.filter = hostile();
            press(&mut model, "F");
            model
        }),
        ("palette_hostile", &[(Selected, "filter \\e[31m"), (Any, "\\e[31m")], |size| {
            let mut model = full(size);
            model.settings.filters = [(hostile(), hostile())].into();
            press(&mut model, ":");
            type_in(&mut model, "filter red");
            model
        }),
        ("connections_hostile", &[(Selected, "1  \\e[31m"), (Any, "acme  \\e[31m")], |size| {
            let mut model = full(size);
            let named = |name: String| Connection { environment: hostile(), name };
            model.settings.connections = vec![named(hostile()), named("acme".to_owned())];
            press(&mut model, "C");
            model
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
                let mut model = full(size);
                let mut found = hits();
                (found[0].mapping, found[0].unit, found[0].state) = (hostile(), hostile(), Some(hostile()));
                (found[1].sfid, found[1].external_id) = (Some(hostile()), None);
                waited_for(&mut model, Msg::Found { text: hostile(), result: Ok(found) });
                model
            },
        ),
        (
            "causes_hostile",
            &[
                (Focus, "Causes of errors that match \\e[31m"),
                (Any, "44 ▼11"),
                (Dim, "11:02:11 to 14:01:51  \\e[31m"),
                (Plain, "ignore"),
            ],
            |size| {
                let mut model = full(size);
                let mut causes = groups();
                causes[0].template = hostile();
                (causes[1].mapping, causes[1].code, causes[1].fields) =
                    (hostile(), hostile(), vec![hostile()]);
                waited_for(&mut model, Msg::Groups { filter: hostile(), result: Ok(causes) });
                model
            },
        ),
        (
            "ask_hostile",
            &[(Any, "\\e[31m"), (Focus, "Fix 1 error"), (Plain, "show what it would do")],
            |size| {
                let mut model = console(size);
                let mut bad = errors().remove(2);
                bad.fields = vec![hostile()];
                bad.table = hostile();
                update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(vec![bad])) });
                press(&mut model, "2 Space f Down Home");
                model
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
                let mut model = full(size);
                planned(&mut model, hostile_plan().into());
                model
            },
        ),
        ("working_hostile", &[(Focus, "fix \\e[31m"), (Any, "0 of 2"), (Key, "Esc")], |size| {
            let mut model = full(size);
            planned(&mut model, hostile_plan().into());
            press(&mut model, "y");
            model
        }),
        (
            "report_hostile",
            &[(Focus, "\\e[31m"), (Good, "✓ 3 done"), (Bad, "✗ 3 failed"), (Any, "back\\u{202e}gpj.exe")],
            |size| {
                let mut model = full(size);
                let mut came = report(3);
                came.note(Item { id: 4, result: Came::Failed, message: hostile() });
                update(&mut model, Msg::Reported { text: hostile(), sends: true, result: Ok(came) });
                model
            },
        ),
        (
            "audit_hostile",
            &[(Selected, "\\e[31m"), (Any, "ada@sync-1"), (Any, "undone"), (Plain, "take it back")],
            |size| {
                let mut model = full(size);
                let mut all = acts();
                (all[0].actor, all[0].origin, all[0].why) = (hostile(), hostile(), Some(hostile()));
                (all[0].mapping, all[0].action) = (hostile(), hostile());
                let values: BTreeMap<_, _> = [(hostile(), Some(hostile()))].into();
                (all[1].first.before, all[1].first.after) = (None, Some(values));
                waited_for(&mut model, Msg::Acts(Ok(all)));
                model
            },
        ),
        ("act_rows_hostile", &[(Focus, "Act 2: \\e[31m"), (Selected, "1  \\e[31m")], |size| {
            let mut model = full(size);
            let mut entry = acts().remove(1).first;
            (entry.table, entry.action) = (hostile(), hostile());
            waited_for(&mut model, Msg::Act(Ok(vec![entry])));
            model
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
                let mut model = full(size);
                let mut found = verdict();
                found.mapping = hostile();
                (found.findings[0].sfid, found.findings[0].text) = (Some(hostile()), hostile());
                found.findings[1].fields[0].field = hostile();
                update(&mut model, Msg::Verified(Ok(found)));
                model
            },
        ),
        (
            "repair_hostile",
            &[(Plain, "\\e[31m"), (Any, "1 mismatch: the rows get Salesforce's values"), (Key, "y")],
            |size| {
                let mut model = full(size);
                let mut found = verdict();
                found.mapping = hostile();
                update(&mut model, Msg::Verified(Ok(found)));
                press(&mut model, "s");
                model
            },
        ),
        (
            "tried_hostile",
            &[(Focus, "\\e[31m"), (Selected, "row 7  \\e[31m"), (Any, "✗ \\e[31m"), (Dim, "\\e[31m")],
            |size| {
                let mut model = full(size);
                let mut tried = trial();
                (tried.mapping, tried.items[0].op) = (hostile(), hostile());
                tried.items[0].left_out.insert(hostile(), hostile());
                tried.items[1].code = Some(hostile());
                update(&mut model, Msg::DryRunDone { mapping: hostile(), result: Ok(tried) });
                model
            },
        ),
        (
            "trends_hostile",
            &[(Any, "\\e[31m"), (Any, "198,000|198k"), (Selected, "INVALID_EMAIL_ADDRESS")],
            |size| {
                let mut model = full(size);
                press(&mut model, "M");
                let mut drawn = trends();
                drawn[0].mapping = hostile();
                update(&mut model, Msg::Trends { minutes: 60, result: Ok((drawn, Some(shares()))) });
                model
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
            let mut model = full(size);
            update(&mut model, Msg::Changed(Err(Refused(format!("{HOSTILE}\n{HOSTILE}")))));
            model
        }),
        ("copied_hostile", &[(Good, "✓ copied: Contact 10:"), (Good, "\\e[31m")], |size| {
            let mut model = full(size);
            let mut waiting = pending();
            waiting[0].row = RowRef { table: hostile(), row: waiting[0].row.row };
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(waiting) });
            press(&mut model, "Enter 5 G y");
            model
        }),
    ]
}

/// Keys pressed on a mapping with a hostile name.
fn mapping_asked(size: super::Size, keys: &str) -> Model {
    let mut model = full(size);
    with(&mut model, |overview| overview.mappings[0].name = hostile());
    press(&mut model, keys);
    model
}
