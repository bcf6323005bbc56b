//! What lies on top of the panes.

use super::{Scene, record, refused, with};
use crate::client::operations::execute::Chosen;
use crate::client::row::Linked;
use crate::console::model::{Connection, Model};
use crate::console::msg::Msg;
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{
    acts, contested, failing, full, groups, hits, jane, now, page, plan, planned, press, report, shares,
    trends, trial, type_in, verdict,
};
use crate::console::update::update;
use crate::domain::act::Progress;
use crate::domain::names::RowId;
use crate::domain::verify::Stage;
use chrono::TimeDelta;

pub fn scenes() -> Vec<Scene> {
    let mut all = of_a_record();
    all.extend(of_lists());
    all.extend(of_acts());
    all.extend(of_mappings());
    all
}

fn of_a_record() -> Vec<Scene> {
    vec![
        ("edit", |size| {
            let mut model = record(size, failing());
            press(&mut model, "e");
            model
        }),
        ("edit_picklist", |size| {
            let mut model = record(size, failing());
            press(&mut model, "j e Down");
            model
        }),
        ("edit_long", |size| {
            let mut model = record(size, failing());
            press(&mut model, "j j e");
            model
        }),
        ("edit_refused", |size| {
            let mut model = record(size, failing());
            press(&mut model, "e C-s");
            model
        }),
        ("confirm_leave", |size| {
            let mut model = record(size, failing());
            press(&mut model, "e BS Esc");
            model
        }),
        ("opening_record", |size| {
            let mut model = full(size);
            press(&mut model, "j Enter e");
            model
        }),
        ("remedies", |size| {
            let mut model = record(size, failing());
            press(&mut model, "f j");
            model
        }),
        ("sides", |size| {
            let mut model = record(size, contested());
            press(&mut model, "c l j h");
            model
        }),
        ("sure_link", |size| {
            let mut model = record(size, failing());
            let result = Ok(Linked::Taken { sfid: "003sd0000000001AAA".to_owned(), row: RowId(7) });
            update(&mut model, Msg::Linked { row: jane(), result });
            model
        }),
    ]
}

/// A list by a filter, with what it lists.
fn filtered(model: &mut Model, filter: &str) {
    press(model, "/");
    type_in(model, filter);
    press(model, "Enter");
    let generation = model.errors.generation;
    let result = Ok(page(crate::console::tests::world::errors()));
    update(model, Msg::Errors { generation, append: false, result });
}

fn of_lists() -> Vec<Scene> {
    vec![
        ("palette", |size| {
            let mut model = full(size);
            press(&mut model, ":");
            type_in(&mut model, "pau");
            model
        }),
        ("palette_none", |size| {
            let mut model = full(size);
            press(&mut model, ":");
            type_in(&mut model, "zzzz");
            model
        }),
        ("help", |size| {
            let mut model = record(size, failing());
            press(&mut model, "?");
            model
        }),
        ("help_read_only", |size| {
            let mut model = record(size, failing());
            model.read_only = true;
            press(&mut model, "?");
            model
        }),
        ("filter", |size| {
            let mut model = full(size);
            press(&mut model, "/ s t a t e :");
            model
        }),
        ("filter_completed", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "-code:in");
            let values = vec![("INVALID_EMAIL_ADDRESS".to_owned(), 44), ("INVALID_TYPE".to_owned(), 1)];
            let (qualifier, prefix) = ("code".to_owned(), "in".to_owned());
            update(&mut model, Msg::Offers { qualifier, prefix, values });
            press(&mut model, "Tab");
            model
        }),
        ("filter_refused", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "state:shut");
            press(&mut model, "Enter");
            model
        }),
        ("filter_log", |size| {
            let mut model = full(size);
            press(&mut model, "4 / w o r d");
            model
        }),
        ("filter_name", |size| {
            let mut model = full(size);
            filtered(&mut model, "code:INVALID_EMAIL_ADDRESS since:1h");
            press(&mut model, "F");
            type_in(&mut model, "bad addresses");
            model
        }),
        ("sort", |size| {
            let mut model = full(size);
            press(&mut model, "s j");
            model
        }),
        ("causes", |size| {
            let mut model = full(size);
            waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
            model
        }),
        ("export", |size| {
            let mut model = full(size);
            press(&mut model, "x");
            model
        }),
        ("find", |size| {
            let mut model = full(size);
            press(&mut model, "o");
            type_in(&mut model, "C-10235");
            model
        }),
        ("find_nothing_typed", |size| {
            let mut model = full(size);
            press(&mut model, "o Enter");
            model
        }),
        ("hits", |size| {
            let mut model = full(size);
            waited_for(&mut model, Msg::Found { text: "C-10235".to_owned(), result: Ok(hits()) });
            model
        }),
        ("log_search", |size| {
            let mut model = full(size);
            press(&mut model, "4 s");
            type_in(&mut model, "rejected");
            model
        }),
        ("told", |size| {
            let mut model = full(size);
            press(&mut model, "4 x");
            model
        }),
        ("themes", |size| {
            let mut model = full(size);
            press(&mut model, ":");
            type_in(&mut model, "theme");
            press(&mut model, "Enter j");
            model
        }),
        ("connections", |size| {
            let mut model = full(size);
            model.settings.connection = "acme".to_owned();
            model.settings.connections = [("acme", "prod"), ("acme-test", "sandbox")]
                .map(|(name, environment)| Connection {
                    name: name.to_owned(),
                    environment: environment.to_owned(),
                })
                .into();
            press(&mut model, "C");
            model
        }),
    ]
}

/// The question about a fix of five thousand rows.
fn asked(model: &mut Model) {
    planned(model, plan(5_000));
    press(model, "5 Enter");
}

/// The fix of five thousand rows, some of them done.
fn under_way(model: &mut Model) {
    asked(model);
    press(model, "BS");
    type_in(model, "5000");
    press(model, "Enter");
    update(model, Msg::Progress(Progress { through: 1_200, total: 5_000 }));
    update(model, Msg::Tick(now() + TimeDelta::seconds(2)));
}

fn of_acts() -> Vec<Scene> {
    vec![
        ("ask", |size| {
            let mut model = full(size);
            press(&mut model, "2 j Space Space f");
            let chosen = Chosen::Ids(vec![34, 35]);
            update(&mut model, Msg::Remedies { chosen, result: Ok((1, 2)) });
            model
        }),
        ("ask_refused", |size| {
            let mut model = full(size);
            press(&mut model, "2 j j Space f C-u x Enter");
            model
        }),
        ("looking", |size| {
            let mut model = full(size);
            press(&mut model, "2 j Space u");
            model
        }),
        ("awaiting", |size| {
            let mut model = full(size);
            press(&mut model, "2 j r");
            model
        }),
        ("sure_production", |size| {
            let mut model = full(size);
            with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
            press(&mut model, "1 j d");
            model
        }),
        ("sure_production_all", |size| {
            let mut model = full(size);
            with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
            press(&mut model, ":");
            type_in(&mut model, "pause all");
            press(&mut model, "Enter 3");
            model
        }),
        ("question", |size| {
            let mut model = full(size);
            asked(&mut model);
            model
        }),
        ("question_few", |size| {
            let mut model = full(size);
            planned(&mut model, plan(2));
            press(&mut model, "Tab");
            type_in(&mut model, "the import wrote call");
            model
        }),
        ("working", |size| {
            let mut model = full(size);
            under_way(&mut model);
            model
        }),
        ("working_stopping", |size| {
            let mut model = full(size);
            under_way(&mut model);
            press(&mut model, "Esc");
            model
        }),
        ("report", |size| {
            let mut model = full(size);
            let text = "fix Phone".to_owned();
            update(&mut model, Msg::Reported { text, sends: true, result: Ok(report(4_997)) });
            model
        }),
        ("audit", |size| {
            let mut model = full(size);
            waited_for(&mut model, Msg::Acts(Ok(acts())));
            press(&mut model, "j");
            model
        }),
        ("audit_none", |size| {
            let mut model = full(size);
            waited_for(&mut model, Msg::Acts(Ok(Vec::new())));
            model
        }),
        ("act_rows", |size| {
            let mut model = full(size);
            waited_for(&mut model, Msg::Act(Ok(acts().into_iter().skip(1).map(|act| act.first).collect())));
            model
        }),
    ]
}

fn of_mappings() -> Vec<Scene> {
    vec![
        ("strategies", |size| {
            let mut model = full(size);
            press(&mut model, "1 j s");
            model
        }),
        ("sure", |size| {
            let mut model = full(size);
            press(&mut model, "1 t");
            model
        }),
        ("verifying", |size| {
            let mut model = full(size);
            press(&mut model, "1 j v");
            update(&mut model, Msg::Stage(Stage::Settling(12)));
            update(&mut model, Msg::Stage(Stage::Comparing(1_500, 6_000)));
            update(&mut model, Msg::Tick(now() + TimeDelta::seconds(10)));
            model
        }),
        ("verified", |size| {
            let mut model = full(size);
            update(&mut model, Msg::Verified(Ok(verdict())));
            model
        }),
        ("repair", |size| {
            let mut model = full(size);
            with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
            update(&mut model, Msg::Verified(Ok(verdict())));
            press(&mut model, "s");
            model
        }),
        ("tried", |size| {
            let mut model = full(size);
            update(&mut model, Msg::DryRunDone { mapping: "Contact".to_owned(), result: Ok(trial()) });
            model
        }),
        ("tried_all", |size| {
            let mut model = full(size);
            let tried = vec![("Contact".to_owned(), Ok(trial())), ("Account".to_owned(), Err(refused()))];
            update(&mut model, Msg::DryRunsDone(Ok(tried)));
            model
        }),
        ("trends", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
            press(&mut model, "j");
            model
        }),
        ("trends_loading", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            model
        }),
        ("trends_refused", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Err(refused()) });
            model
        }),
        ("trends_healthy", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), Some(Vec::new()))) });
            model
        }),
    ]
}
