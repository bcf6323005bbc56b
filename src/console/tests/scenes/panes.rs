//! The panes: nothing there yet, nothing there at all, refused, and as an operator sees them on a working day.

use chrono::TimeDelta;

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
use crate::domain::sort::{Key, SortBy};

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
        ("opening", |size| {
            let mut model = console(size);
            model.settings.connection = "acme".to_owned();
            model.settings.opening = "connecting to PostgreSQL ...".to_owned();
            model
        }),
        ("loading", console),
        ("healthy", |size| {
            let mut model = console(size);
            with(&mut model, |overview| overview.mappings.retain(|mapping| mapping.state == "ok"));
            listed(&mut model, page(Vec::new()));
            model
        }),
        ("lost", |size| {
            let mut model = full(size);
            update(&mut model, Msg::Event(Event::Lost("no connection".to_owned())));
            update(&mut model, Msg::Overview(Err(refused())));
            model
        }),
        ("mappings_loading", |size| {
            let mut model = console(size);
            press(&mut model, "1");
            model
        }),
        ("mappings_none", |size| {
            let mut model = console(size);
            with(&mut model, |overview| overview.mappings.clear());
            press(&mut model, "1");
            model
        }),
        ("mappings_zoomed", |size| {
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
        }),
        ("errors", full),
        ("errors_loading", |size| {
            let mut model = console(size);
            update(&mut model, Msg::Overview(Ok(overview())));
            model
        }),
        ("errors_refused", |size| {
            let mut model = console(size);
            update(&mut model, Msg::Errors { generation: 0, append: false, result: Err(refused()) });
            model
        }),
        ("errors_none_match", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "code:EMAIL");
            press(&mut model, "Enter");
            listed(&mut model, page(Vec::new()));
            model
        }),
        ("errors_nothing_needs_a_person", |size| {
            let mut model = full(size);
            press(&mut model, "!");
            listed(&mut model, page(Vec::new()));
            model
        }),
        ("errors_searching", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "jane");
            press(&mut model, "Enter");
            let next = Some(Key::of(SortBy::LastSeen, &errors()[5]));
            listed(&mut model, ErrorPage { items: Vec::new(), next, done: false });
            model
        }),
        ("errors_marked", |size| {
            let mut model = full(size);
            press(&mut model, "j Space Space");
            model
        }),
        ("pending", |size| {
            let mut model = full(size);
            press(&mut model, "5 j");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(pending()) });
            model
        }),
        ("pending_loading", |size| {
            let mut model = full(size);
            press(&mut model, "5");
            model
        }),
        ("pending_none", |size| {
            let mut model = full(size);
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(Vec::new()) });
            model
        }),
        ("pending_refused", |size| {
            let mut model = full(size);
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Err(refused()) });
            model
        }),
    ]
}

fn records() -> Vec<Scene> {
    vec![
        ("rowless", |size| {
            let mut model = full(size);
            press(&mut model, "Enter");
            model
        }),
        ("record", |size| record(size, failing())),
        ("record_loading", |size| {
            let mut model = full(size);
            press(&mut model, "j Enter");
            model
        }),
        ("record_refused", |size| {
            let mut model = full(size);
            press(&mut model, "j Enter");
            update(&mut model, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
            model
        }),
        ("record_in_step", |size| record(size, row("in step", "jane@acme.com", None))),
        ("record_being_sent", |size| {
            record(size, row("in flight", "jane@acme.com", errors().into_iter().nth(1)))
        }),
        ("record_dated", |size| {
            let mut model = record(size, failing());
            update(&mut model, Msg::Tick(now() + TimeDelta::seconds(4)));
            update(&mut model, Msg::Event(Event::Lost("the connection to PostgreSQL broke".to_owned())));
            press(&mut model, "m");
            model
        }),
        ("record_contested", |size| record(size, contested())),
        ("record_changed", |size| {
            let mut model = record(size, failing());
            press(&mut model, "g e y Tab");
            model
        }),
        ("record_rejected_again", |size| {
            let mut model = record(size, failing());
            update(&mut model, Msg::Retried { row: jane(), result: Ok(()) });
            update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
            update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
            model
        }),
        ("record_attempts", |size| {
            let mut view = failing();
            view.history[0].request = Some(serde_json::json!({"Email": "jane@acme,com"}));
            view.history[0].response = Some(serde_json::json!({
                "success": false,
                "errors": [{"statusCode": "INVALID_EMAIL_ADDRESS", "message": "invalid email address: jane@acme,com"}],
            }));
            let mut model = record(size, view);
            press(&mut model, "]");
            model
        }),
        ("record_attempts_none", |size| {
            let mut model = record(size, RecordView { history: Vec::new(), ..failing() });
            press(&mut model, "]");
            model
        }),
        ("record_relatives", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            update(&mut model, Msg::Relatives { row: jane(), result: Ok(relatives()) });
            model
        }),
        ("record_relatives_loading", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            model
        }),
        ("record_relatives_none", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            update(&mut model, Msg::Relatives { row: jane(), result: Ok(Vec::new()) });
            model
        }),
        ("record_relatives_refused", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            update(&mut model, Msg::Relatives { row: jane(), result: Err(refused()) });
            model
        }),
        ("record_log", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            update(&mut model, Msg::RecordLog { row: jane(), result: Ok(log()) });
            model
        }),
        ("record_log_loading", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            model
        }),
        ("record_log_none", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            update(&mut model, Msg::RecordLog { row: jane(), result: Ok(Vec::new()) });
            model
        }),
        ("record_log_refused", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            update(&mut model, Msg::RecordLog { row: jane(), result: Err(refused()) });
            model
        }),
    ]
}

fn logs() -> Vec<Scene> {
    vec![
        ("log", |size| {
            let mut model = full(size);
            press(&mut model, "4 k");
            model
        }),
        ("log_loading", |size| {
            let mut model = console(size);
            press(&mut model, "4");
            model
        }),
        ("log_none", |size| {
            let mut model = console(size);
            update(&mut model, Msg::Log(Ok(Vec::new())));
            press(&mut model, "4");
            model
        }),
        ("log_none_match", |size| {
            let mut model = full(size);
            press(&mut model, "4 /");
            type_in(&mut model, "nothing-like-it");
            press(&mut model, "Enter");
            model
        }),
        ("log_searching", |size| {
            let mut model = full(size);
            // So many that another thread looks them through.
            update(&mut model, Msg::Log(Ok(many_lines(1_000, 20_001))));
            press(&mut model, "4 /");
            type_in(&mut model, "level:warn");
            press(&mut model, "Enter");
            model
        }),
        ("log_gap_and_search", |size| {
            let mut model = full(size);
            let mut gap = log().remove(1);
            (gap.id, gap.message) = (4, "1,234 lines are missing: the store was too slow".to_owned());
            gap.fields.insert("dropped".to_owned(), serde_json::json!(1_234));
            update(&mut model, Msg::Log(Ok(vec![gap])));
            press(&mut model, "4 s");
            type_in(&mut model, "lead");
            press(&mut model, "Enter N z T");
            model
        }),
    ]
}
