//! The panes: nothing there yet, nothing there at all, refused, and as an operator sees them on a working day.

use chrono::TimeDelta;

use super::look::Look::{Any, Bad, Differs, Dim, Good, Key, Plain, Selected, Warn};
use super::{Scene, record, refused, with};
use crate::client::handle::{ErrorPage, Event};
use crate::console::model::Model;
use crate::console::msg::Msg;
use crate::console::tests::world::record as row;
use crate::console::tests::world::{
    console, contested, errors, failing, full, jane, log, many_lines, now, overview, page, pending, press,
    relatives, trends, type_in,
};
use crate::console::update::update;
use crate::domain::overview::LoadProgress;
use crate::domain::record::RecordView;
use crate::domain::sort::{self, SortBy};

pub fn scenes() -> Vec<Scene> {
    let mut all = lists();
    all.extend(records());
    all.extend(logs());
    all
}

/// The list comes that was asked for last.
fn listed(model: &mut Model, page: ErrorPage) {
    let generation = model.errors.generation;
    update(model, Msg::Errors { generation, append: false, result: Ok(page) });
}

fn lists() -> Vec<Scene> {
    vec![
        ("opening", &[(Warn, "acme: connecting to PostgreSQL ..."), (Dim, "reading ...")], |size| {
            let mut model = console(size);
            model.settings.connection = "acme".to_owned();
            model.settings.opening = "connecting to PostgreSQL ...".to_owned();
            model
        }),
        ("loading", &[(Warn, "reading ..."), (Dim, "reading ...")], console),
        ("healthy", &[(Good, "● running"), (Plain, "errors 0"), (Dim, "No errors.")], |size| {
            let mut model = console(size);
            with(&mut model, |overview| overview.mappings.retain(|mapping| mapping.state == "ok"));
            listed(&mut model, page(Vec::new()));
            model
        }),
        (
            "lost",
            &[
                (Bad, "✗ no PostgreSQL since 14:02:11|✗ PostgreSQL out of reach since 14:02:11"),
                (Bad, "✗ no connection; what shows is as it was last seen"),
                (Dim, "as of 14:02:11"),
            ],
            |size| {
                let mut model = full(size);
                update(&mut model, Msg::Event(Event::Lost("no connection".to_owned())));
                update(&mut model, Msg::Overview(Err(refused())));
                model
            },
        ),
        ("mappings_loading", &[(Dim, "reading ...")], |size| {
            let mut model = console(size);
            press(&mut model, "1");
            model
        }),
        ("mappings_none", &[(Dim, "no mapping yet")], |size| {
            let mut model = console(size);
            with(&mut model, |overview| overview.mappings.clear());
            press(&mut model, "1");
            model
        }),
        (
            "mappings_zoomed",
            &[
                (Good, "● ok"),
                (Selected, "✗ failing"),
                (Warn, "◌ loading"),
                (Warn, "33 %"),
                (Bad, "✗ failing"),
                (Bad, "nothing that was sent since 13:59:11 went through"),
                (Any, "5 min later than its interval says"),
                (Any, "200 data · 31 mapping"),
                (Dim, "198,000 in 1 h"),
            ],
            |size| {
                let mut model = full(size);
                with(&mut model, |overview| {
                    overview.mappings[1].failing_since = Some(now() - TimeDelta::minutes(3));
                    overview.mappings[1].by_category =
                        [("data".to_owned(), 200), ("mapping".to_owned(), 31)].into();
                    overview.mappings[1].lag_seconds = Some(300);
                    overview.mappings[2].load = Some(LoadProgress {
                        done: 2_000,
                        total: 6_000,
                        began_at: now() - TimeDelta::seconds(30),
                    });
                });
                press(&mut model, "1 j z");
                update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), None)) });
                model
            },
        ),
        (
            "errors",
            &[
                (Warn, "errors 231"),
                (Selected, "↻"),
                (Bad, "✗"),
                (Bad, "open"),
                (Warn, "in 40 s"),
                (Dim, "held"),
                (Good, "●"),
                (Warn, "▲"),
                (Warn, "◌"),
                (Dim, "1 of 6"),
                (Warn, "WARN"),
                (Bad, "ERROR"),
            ],
            full,
        ),
        ("errors_loading", &[(Dim, "reading ...")], |size| {
            let mut model = console(size);
            update(&mut model, Msg::Overview(Ok(overview())));
            model
        }),
        ("errors_refused", &[(Dim, "no connection to PostgreSQL"), (Dim, "what is typed stays")], |size| {
            let mut model = console(size);
            update(&mut model, Msg::Errors { generation: 0, append: false, result: Err(refused()) });
            model
        }),
        (
            "errors_none_match",
            &[(Any, "· code:EMAIL"), (Dim, "No error matches the filter."), (Dim, "Esc shows all errors")],
            |size| {
                let mut model = full(size);
                press(&mut model, "/");
                type_in(&mut model, "code:EMAIL");
                press(&mut model, "Enter");
                listed(&mut model, page(Vec::new()));
                model
            },
        ),
        (
            "errors_nothing_needs_a_person",
            &[
                (Any, "· faults only"),
                (Dim, "Nothing needs a person."),
                (Plain, "· only what needs a person is listed"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "!");
                listed(&mut model, page(Vec::new()));
                model
            },
        ),
        ("errors_searching", &[(Any, "· jane"), (Dim, "searching ...")], |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "jane");
            press(&mut model, "Enter");
            let next = Some(sort::Key::of(SortBy::LastSeen, &errors()[5]));
            listed(&mut model, ErrorPage { items: Vec::new(), next, done: false });
            model
        }),
        ("errors_marked", &[(Key, "●"), (Dim, "2 marked · 4 of 6"), (Selected, "10233")], |size| {
            let mut model = full(size);
            press(&mut model, "j Space Space");
            model
        }),
        (
            "pending",
            &[
                (Selected, "→ in flight"),
                (Plain, "· waits"),
                (Dim, "= held"),
                (Bad, "✗ stopped"),
                (Dim, "why it waits"),
                (Plain, "waits for Acc"),
                (Dim, "1 of 5"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "5 j");
                update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(pending()) });
                model
            },
        ),
        ("pending_loading", &[(Dim, "reading ...")], |size| {
            let mut model = full(size);
            press(&mut model, "5");
            model
        }),
        ("pending_none", &[(Dim, "Nothing waits: Salesforce has every change.")], |size| {
            let mut model = full(size);
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(Vec::new()) });
            model
        }),
        ("pending_refused", &[(Dim, "no connection to PostgreSQL")], |size| {
            let mut model = full(size);
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Err(refused()) });
            model
        }),
    ]
}

fn records() -> Vec<Scene> {
    vec![
        (
            "rowless",
            &[
                (Any, "· the connection"),
                (Bad, "TotalRequests Limit exceeded."),
                (Any, "REQUEST_LIMIT_EXCEEDED"),
                (Any, "Rate limit exceeded."),
                (Any, "Wait: it goes on by itself"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "Enter");
                model
            },
        ),
        (
            "record",
            &[
                (Dim, "failed"),
                (Bad, "Email: invalid email address: jane@acme,com"),
                (Any, "Invalid e-mail address."),
                (Key, "[1]"),
                (Plain, "Write a dot for the comma"),
                (Selected, "▶ Email"),
                (Bad, "jane@acme,com"),
                (Selected, "jane@acme.com"),
                (Differs, "≠"),
                (Any, "[fields]"),
            ],
            |size| record(size, failing()),
        ),
        ("record_loading", &[(Any, "· contact 10235 · no record yet"), (Dim, "reading ...")], |size| {
            let mut model = full(size);
            press(&mut model, "j Enter");
            model
        }),
        (
            "record_refused",
            &[(Dim, "no connection to PostgreSQL at db:5432 · what is typed stays")],
            |size| {
                let mut model = full(size);
                press(&mut model, "j Enter");
                update(&mut model, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
                model
            },
        ),
        (
            "record_in_step",
            &[(Dim, "in step"), (Any, "In step with Salesforce."), (Good, "accepted")],
            |size| record(size, row("in step", "jane@acme.com", None)),
        ),
        (
            "record_being_sent",
            &[(Dim, "in flight"), (Any, "being sent: what helps is known when"), (Selected, "▶ Email")],
            |size| record(size, row("in flight", "jane@acme.com", errors().into_iter().nth(1))),
        ),
        (
            "record_dated",
            &[
                (Warn, "as of 14:02:11, database unreachable since 14:02:15"),
                (Bad, "since 14:02:15"),
                (Any, "PostgreSQL is out of reach: what shows is as it was last seen"),
            ],
            |size| {
                let mut model = record(size, failing());
                update(&mut model, Msg::Tick(now() + TimeDelta::seconds(4)));
                update(&mut model, Msg::Event(Event::Lost("the connection to PostgreSQL broke".to_owned())));
                press(&mut model, "m");
                model
            },
        ),
        (
            "record_contested",
            &[(Differs, "Both changed"), (Any, "jane@acme.org here, jane@acme.net there")],
            |size| record(size, contested()),
        ),
        (
            "record_changed",
            &[(Warn, "✎ 1 changed: Ctrl-S saves and sends"), (Any, "✎"), (Any, "Doey (row: Doe)")],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "g e y Tab");
                model
            },
        ),
        (
            "record_rejected_again",
            &[(Bad, "✗ rejected again at 14:02:11"), (Bad, "✗ contact 10235 was rejected again")],
            |size| {
                let mut model = record(size, failing());
                update(&mut model, Msg::Retried { row: jane(), result: Ok(()) });
                update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
                update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
                model
            },
        ),
        (
            "record_attempts",
            &[
                (Any, "[attempts]"),
                (Selected, "rejected"),
                (Good, "accepted"),
                (Any, "─ sent"),
                (Any, "\"Email\": \"jane@acme,com\""),
            ],
            |size| {
                let mut view = failing();
                view.history[0].request = Some(serde_json::json!({"Email": "jane@acme,com"}));
                view.history[0].response = Some(serde_json::json!({
                    "success": false,
                    "errors": [{"statusCode": "INVALID_EMAIL_ADDRESS", "message": "invalid email address: jane@acme,com"}],
                }));
                let mut model = record(size, view);
                press(&mut model, "]");
                model
            },
        ),
        ("record_attempts_none", &[(Any, "[attempts]"), (Dim, "nothing was sent yet")], |size| {
            let mut model = record(size, RecordView { history: Vec::new(), ..failing() });
            press(&mut model, "]");
            model
        }),
        (
            "record_relatives",
            &[
                (Any, "[relatives]"),
                (Selected, "Account 88"),
                (Any, "Case 12"),
                (Any, "held"),
                (Any, "ContactId"),
            ],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ]");
                update(&mut model, Msg::Relatives { row: jane(), result: Ok(relatives()) });
                model
            },
        ),
        ("record_relatives_loading", &[(Any, "[relatives]"), (Dim, "reading ...")], |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            model
        }),
        (
            "record_relatives_none",
            &[(Any, "[relatives]"), (Dim, "no parents, and nothing waits for it")],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ]");
                update(&mut model, Msg::Relatives { row: jane(), result: Ok(Vec::new()) });
                model
            },
        ),
        (
            "record_relatives_refused",
            &[(Any, "[relatives]"), (Dim, "no connection to PostgreSQL at db:5432 · what is typed stays")],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ]");
                update(&mut model, Msg::Relatives { row: jane(), result: Err(refused()) });
                model
            },
        ),
        (
            "record_log",
            &[
                (Any, "[log]"),
                (Selected, "200 accepted"),
                (Any, "3 of 200 rejected"),
                (Any, "Lead cannot be read \\e[31m"),
            ],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ] ]");
                update(&mut model, Msg::RecordLog { row: jane(), result: Ok(log()) });
                model
            },
        ),
        ("record_log_loading", &[(Any, "[log]"), (Dim, "reading ...")], |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            model
        }),
        ("record_log_none", &[(Any, "[log]"), (Dim, "the log has no line about it")], |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            update(&mut model, Msg::RecordLog { row: jane(), result: Ok(Vec::new()) });
            model
        }),
        (
            "record_log_refused",
            &[(Any, "[log]"), (Dim, "no connection to PostgreSQL at db:5432 · what is typed stays")],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "] ] ]");
                update(&mut model, Msg::RecordLog { row: jane(), result: Err(refused()) });
                model
            },
        ),
    ]
}

fn logs() -> Vec<Scene> {
    vec![
        (
            "log",
            &[
                (Dim, "Nov 20 · paused"),
                (Dim, "info"),
                (Selected, "3 of 200 rejected"),
                (Bad, "ERROR"),
                (Any, "Lead cannot be read \\e[31m"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "4 k");
                model
            },
        ),
        ("log_loading", &[(Dim, "reading ...")], |size| {
            let mut model = console(size);
            press(&mut model, "4");
            model
        }),
        ("log_none", &[(Dim, "nothing was logged yet")], |size| {
            let mut model = console(size);
            update(&mut model, Msg::Log(Ok(Vec::new())));
            press(&mut model, "4");
            model
        }),
        (
            "log_none_match",
            &[(Any, "· nothing-like-it"), (Dim, "no line matches the filter; Esc shows all")],
            |size| {
                let mut model = full(size);
                press(&mut model, "4 /");
                type_in(&mut model, "nothing-like-it");
                press(&mut model, "Enter");
                model
            },
        ),
        ("log_searching", &[(Any, "· level:warn"), (Dim, "searching ...")], |size| {
            let mut model = full(size);
            // So many that another thread looks them through.
            update(&mut model, Msg::Log(Ok(many_lines(1_000, 20_001))));
            press(&mut model, "4 /");
            type_in(&mut model, "level:warn");
            press(&mut model, "Enter");
            model
        }),
        (
            "log_gap_and_search",
            &[
                (Any, "· search lead"),
                (Dim, "Nov 20 · UTC · paused"),
                (Any, "1,234 lines are missing: the store was too slow"),
                (Plain, "· times are in UTC"),
            ],
            |size| {
                let mut model = full(size);
                let mut gap = log().remove(1);
                (gap.id, gap.message) = (4, "1,234 lines are missing: the store was too slow".to_owned());
                gap.fields.insert("dropped".to_owned(), serde_json::json!(1_234));
                update(&mut model, Msg::Log(Ok(vec![gap])));
                press(&mut model, "4 s");
                type_in(&mut model, "lead");
                press(&mut model, "Enter N z T");
                model
            },
        ),
    ]
}
