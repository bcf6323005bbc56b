//! The panes: nothing there yet, nothing there at all, refused, and as an operator sees them on a working day.

use chrono::TimeDelta;

use super::look::Look::{Any, Bad, Differs, Dim, Focus, Good, Key, Plain, Selected, Warn};
use super::{Scene, record, refused, with};
use crate::client::api::{ErrorPage, Event};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::world::record as row;
use crate::console::tests::world::{
    blocked, console, contested, errors, failing, full, jane, log, many_lines, now, overview, page, pending,
    press, relatives, trends, type_in, words,
};
use crate::domain::errors::sort::{self, SortBy};
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::operations::answer::Answer;
use crate::domain::records::record::RecordView;
use crate::domain::reports::overview::{EventsStatus, LoadProgress};

pub fn scenes() -> Vec<Scene> {
    let mut all = lists();
    all.extend(records());
    all.extend(logs());
    all
}

/// The list comes that was asked for last.
fn listed(app: &mut App, page: ErrorPage) {
    let generation = app.errors.generation;
    update(app, Msg::Errors { generation, append: false, result: Ok(page) });
}

fn lists() -> Vec<Scene> {
    vec![
        ("opening", &[(Warn, "acme: connecting to PostgreSQL ..."), (Dim, "reading ...")], |size| {
            let mut app = console(size);
            app.ctx.settings.connection = "acme".to_owned();
            app.ctx.settings.opening = "connecting to PostgreSQL ...".to_owned();
            app
        }),
        ("loading", &[(Warn, "reading ..."), (Dim, "reading ...")], console),
        ("healthy", &[(Good, "● running"), (Plain, "errors 0"), (Dim, "No errors.")], |size| {
            let mut app = console(size);
            with(&mut app, |overview| {
                overview.mappings.retain(|mapping| mapping.state == crate::domain::state::MappingState::Ok)
            });
            listed(&mut app, page(Vec::new()));
            app
        }),
        (
            "lost",
            &[
                (Bad, "✗ no PostgreSQL since 14:02:11|✗ PostgreSQL out of reach since 14:02:11"),
                (Bad, "✗ no connection; what shows is as it was last seen"),
                (Dim, "as of 14:02:11"),
            ],
            |size| {
                let mut app = full(size);
                update(&mut app, Msg::Event(Event::Lost("no connection".to_owned())));
                update(&mut app, Msg::Overview(Err(refused())));
                app
            },
        ),
        ("mappings_loading", &[(Dim, "reading ...")], |size| {
            let mut app = console(size);
            press(&mut app, "1");
            app
        }),
        ("mappings_none", &[(Dim, "no mapping yet")], |size| {
            let mut app = console(size);
            with(&mut app, |overview| overview.mappings.clear());
            press(&mut app, "1");
            app
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
                (Warn, "change events do not come since 13:57:11"),
                (Dim, "reading ..."),
                (Any, "200 data · 31 mapping"),
                (Dim, "198,000 in 1 h"),
            ],
            |size| {
                let mut app = full(size);
                with(&mut app, |overview| {
                    overview.mappings[1].failing_since = Some(now() - TimeDelta::minutes(3));
                    overview.mappings[1].by_category =
                        [("data".to_owned(), 200), ("mapping".to_owned(), 31)].into();
                    overview.mappings[1].lag_seconds = Some(300);
                    overview.mappings[1].events = Some(EventsStatus {
                        since: Some(now() - TimeDelta::minutes(5)),
                        reason: Some("the object is not selected".to_owned()),
                        ..EventsStatus::default()
                    });
                    overview.mappings[2].load = Some(LoadProgress {
                        done: 2_000,
                        total: 6_000,
                        began_at: now() - TimeDelta::seconds(30),
                    });
                });
                press(&mut app, "1 j z");
                update(&mut app, Msg::Trends { minutes: 60, result: Ok((trends(), None)) });
                app
            },
        ),
        (
            "errors",
            &[
                (Warn, "errors 231"),
                (Selected, "↻"),
                (Bad, "✗"),
                (Warn, "in 40 s"),
                (Dim, "○"),
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
            let mut app = console(size);
            update(&mut app, Msg::Overview(Ok(overview())));
            app
        }),
        ("errors_refused", &[(Dim, "no connection to PostgreSQL"), (Dim, "what is typed stays")], |size| {
            let mut app = console(size);
            update(&mut app, Msg::Errors { generation: 0, append: false, result: Err(refused()) });
            app
        }),
        (
            "errors_none_match",
            &[(Any, "· code:EMAIL"), (Dim, "No error matches the filter."), (Dim, "Esc shows all errors")],
            |size| {
                let mut app = full(size);
                press(&mut app, "/");
                type_in(&mut app, "code:EMAIL");
                press(&mut app, "Enter");
                listed(&mut app, page(Vec::new()));
                app
            },
        ),
        (
            "errors_nothing_needs_a_person",
            &[(Dim, "No errors. Nothing needs a person."), (Dim, "! lists")],
            |size| {
                let mut app = full(size);
                with(&mut app, |overview| overview.mappings.truncate(2));
                listed(&mut app, page(Vec::new()));
                app
            },
        ),
        (
            "errors_everything",
            &[(Any, "· everything"), (Plain, "· everything is listed"), (Dim, "○"), (Warn, "in 40 s")],
            |size| {
                let mut app = full(size);
                press(&mut app, "!");
                let generation = app.errors.generation;
                update(&mut app, Msg::Errors { generation, append: false, result: Ok(page(errors())) });
                app
            },
        ),
        (
            "errors_in_words",
            &[(Warn, "▲ Contact (describe)"), (Key, "B what helps"), (Any, "→"), (Good, "✓")],
            |size| {
                let mut app = full(size);
                let condition = SyncError {
                    row_id: None,
                    op: "describe".to_owned(),
                    code: "FIELD_NOT_WRITABLE".to_owned(),
                    message: "Contact.Title cannot be written".to_owned(),
                    ..errors().remove(1)
                };
                update(&mut app, Msg::Standing(Ok(page(vec![condition]))));
                let asked = errors();
                let said = asked.iter().map(|error| words(error, "jane@acme,com")).collect();
                update(&mut app, Msg::Words { asked, result: Ok(said) });
                press(&mut app, "j");
                app.errors.keep_line(33, Answer::Waiting, now());
                app.errors.keep_line(34, Answer::Waiting, now());
                update(&mut app, Msg::Answers(Ok(vec![(34, Answer::Taken)])));
                app
            },
        ),
        ("errors_searching", &[(Any, "· jane"), (Dim, "searching ...")], |size| {
            let mut app = full(size);
            press(&mut app, "/");
            type_in(&mut app, "jane");
            press(&mut app, "Enter");
            let next = Some(sort::PageKey::of(SortBy::LastSeen, &errors()[5]));
            listed(&mut app, ErrorPage { items: Vec::new(), next, done: false });
            app
        }),
        ("errors_marked", &[(Key, "●"), (Dim, "2 marked · 4 of 6"), (Selected, "10233")], |size| {
            let mut app = full(size);
            press(&mut app, "j Space Space");
            app
        }),
        ("errors_unfolded", &[(Selected, "▾ 2 wait"), (Dim, "└"), (Any, "Case 11")], |size| {
            let mut app = full(size);
            let wait = |error: &SyncError| Summary { waiting: 2, ..words(error, "jane@acme,com") };
            let told = errors().iter().take(2).map(wait).collect();
            update(&mut app, Msg::Words { asked: errors(), result: Ok(told) });
            press(&mut app, "j w");
            update(&mut app, Msg::Blocked(Ok(vec![(35, blocked(&[901, 902]))])));
            app
        }),
        (
            "columns",
            &[
                (Focus, "Columns of the errors"),
                (Key, "on"),
                (Selected, "record"),
                (Selected, "+4"),
                (Key, "Space"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "v j l l");
                app
            },
        ),
        (
            "pending",
            &[
                (Selected, "→ in flight"),
                (Plain, "· waits"),
                (Dim, "○ held"),
                (Bad, "✗ stopped"),
                (Dim, "why it waits"),
                (Plain, "waits for Acc"),
                (Dim, "1 of 5"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "5 j");
                update(&mut app, Msg::Pending { append: false, limit: 100, result: Ok(pending()) });
                app
            },
        ),
        ("pending_loading", &[(Dim, "reading ...")], |size| {
            let mut app = full(size);
            press(&mut app, "5");
            app
        }),
        ("pending_none", &[(Dim, "Nothing waits: Salesforce has every change.")], |size| {
            let mut app = full(size);
            press(&mut app, "5");
            update(&mut app, Msg::Pending { append: false, limit: 100, result: Ok(Vec::new()) });
            app
        }),
        ("pending_refused", &[(Dim, "no connection to PostgreSQL")], |size| {
            let mut app = full(size);
            press(&mut app, "5");
            update(&mut app, Msg::Pending { append: false, limit: 100, result: Err(refused()) });
            app
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
                let mut app = full(size);
                press(&mut app, "Enter");
                app
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
            let mut app = full(size);
            press(&mut app, "j Enter");
            app
        }),
        (
            "record_refused",
            &[(Dim, "no connection to PostgreSQL at db:5432 · what is typed stays")],
            |size| {
                let mut app = full(size);
                press(&mut app, "j Enter");
                update(&mut app, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
                app
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
                let mut app = record(size, failing());
                update(&mut app, Msg::Tick(now() + TimeDelta::seconds(4)));
                update(&mut app, Msg::Event(Event::Lost("the connection to PostgreSQL broke".to_owned())));
                press(&mut app, "m");
                app
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
                let mut app = record(size, failing());
                press(&mut app, "g e y Tab");
                app
            },
        ),
        (
            "record_rejected_again",
            &[(Bad, "✗ rejected again at 14:02:11"), (Bad, "✗ Contact 10235 was rejected again")],
            |size| {
                let mut app = record(size, failing());
                update(&mut app, Msg::Retried { row: jane(), result: Ok(()) });
                update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
                update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
                app
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
                let mut app = record(size, view);
                press(&mut app, "]");
                app
            },
        ),
        ("record_attempts_none", &[(Any, "[attempts]"), (Dim, "nothing was sent yet")], |size| {
            let mut app = record(size, RecordView { history: Vec::new(), ..failing() });
            press(&mut app, "]");
            app
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
                let mut app = record(size, failing());
                press(&mut app, "] ]");
                update(&mut app, Msg::Relatives { row: jane(), result: Ok(relatives()) });
                app
            },
        ),
        ("record_relatives_loading", &[(Any, "[relatives]"), (Dim, "reading ...")], |size| {
            let mut app = record(size, failing());
            press(&mut app, "] ]");
            app
        }),
        (
            "record_relatives_none",
            &[(Any, "[relatives]"), (Dim, "no parents, and nothing waits for it")],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "] ]");
                update(&mut app, Msg::Relatives { row: jane(), result: Ok(Vec::new()) });
                app
            },
        ),
        (
            "record_relatives_refused",
            &[(Any, "[relatives]"), (Dim, "no connection to PostgreSQL at db:5432 · what is typed stays")],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "] ]");
                update(&mut app, Msg::Relatives { row: jane(), result: Err(refused()) });
                app
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
                let mut app = record(size, failing());
                press(&mut app, "] ] ]");
                update(&mut app, Msg::RecordLog { row: jane(), result: Ok(log()) });
                app
            },
        ),
        ("record_log_loading", &[(Any, "[log]"), (Dim, "reading ...")], |size| {
            let mut app = record(size, failing());
            press(&mut app, "] ] ]");
            app
        }),
        ("record_log_none", &[(Any, "[log]"), (Dim, "the log has no line about it")], |size| {
            let mut app = record(size, failing());
            press(&mut app, "] ] ]");
            update(&mut app, Msg::RecordLog { row: jane(), result: Ok(Vec::new()) });
            app
        }),
        (
            "record_log_refused",
            &[(Any, "[log]"), (Dim, "no connection to PostgreSQL at db:5432 · what is typed stays")],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "] ] ]");
                update(&mut app, Msg::RecordLog { row: jane(), result: Err(refused()) });
                app
            },
        ),
    ]
}

fn logs() -> Vec<Scene> {
    vec![
        (
            "log",
            &[
                (Warn, "Nov 20 · paused"),
                (Dim, "info"),
                (Selected, "3 of 200 rejected"),
                (Bad, "ERROR"),
                (Any, "Lead cannot be read \\e[31m"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "4 k");
                app
            },
        ),
        ("log_loading", &[(Dim, "reading ...")], |size| {
            let mut app = console(size);
            press(&mut app, "4");
            app
        }),
        ("log_none", &[(Dim, "nothing was logged yet")], |size| {
            let mut app = console(size);
            update(&mut app, Msg::Log(Ok(Vec::new())));
            press(&mut app, "4");
            app
        }),
        (
            "log_none_match",
            &[(Any, "· nothing-like-it"), (Dim, "no line matches the filter; Esc shows all")],
            |size| {
                let mut app = full(size);
                press(&mut app, "4 /");
                type_in(&mut app, "nothing-like-it");
                press(&mut app, "Enter");
                app
            },
        ),
        ("log_searching", &[(Any, "· level:warn"), (Dim, "searching ...")], |size| {
            let mut app = full(size);
            // So many that another thread looks them through.
            update(&mut app, Msg::Log(Ok(many_lines(1_000, 20_001))));
            press(&mut app, "4 /");
            type_in(&mut app, "level:warn");
            press(&mut app, "Enter");
            app
        }),
        (
            "log_gap_and_search",
            &[
                (Any, "· search lead"),
                (Warn, "Nov 20 · UTC · paused"),
                (Any, "1,234 lines are missing: the store was too slow"),
                (Plain, "· times are in UTC"),
            ],
            |size| {
                let mut app = full(size);
                let mut gap = log().remove(1);
                (gap.id, gap.message) = (4, "1,234 lines are missing: the store was too slow".to_owned());
                gap.fields.insert("dropped".to_owned(), serde_json::json!(1_234));
                update(&mut app, Msg::Log(Ok(vec![gap])));
                press(&mut app, "4 s");
                type_in(&mut app, "lead");
                press(&mut app, "Enter N z T");
                app
            },
        ),
    ]
}
