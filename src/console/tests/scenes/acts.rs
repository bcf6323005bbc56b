//! What lies on top of the panes while something is done to rows or mappings: what is asked, what goes on, what came
//! of it.

use super::look::Look::{Any, Bad, Bold, Dim, Focus, Good, Key, Plain, Production, Selected, Warn};
use super::{Scene, refused, with};
use crate::client::operations::execute::Chosen;
use crate::console::model::Model;
use crate::console::msg::Msg;
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{
    acts, full, now, plan, planned, press, report, shares, trends, trial, type_in, verdict,
};
use crate::console::update::update;
use crate::domain::act::Progress;
use crate::domain::verify::Stage;
use chrono::TimeDelta;

pub fn scenes() -> Vec<Scene> {
    let mut all = of_acts();
    all.extend(of_mappings());
    all
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
        (
            "ask",
            &[
                (Focus, "Fix 2 errors"),
                (Any, "each row by its own first remedy"),
                (Dim, "1 of 2 rows have one that passes"),
                (Plain, "show what it would do"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "2 j Space Space f");
                let chosen = Chosen::Ids(vec![34, 35]);
                update(&mut model, Msg::Remedies { chosen, result: Ok((1, 2)) });
                model
            },
        ),
        ("ask_refused", &[(Focus, "Fix 1 error"), (Bad, "✗ write FIELD=VALUE")], |size| {
            let mut model = full(size);
            press(&mut model, "2 j j Space f C-u x Enter");
            model
        }),
        (
            "looking",
            &[(Plain, "· looking at what it would do ... (Esc gives it up)"), (Key, "●")],
            |size| {
                let mut model = full(size);
                press(&mut model, "2 j Space u");
                model
            },
        ),
        ("awaiting", &[(Plain, "· reading contact 10235; retry waits for it (Esc gives it up)")], |size| {
            // Only where the record shows beside the list, a key waits for it.
            let mut model = full((120, 40));
            press(&mut model, "2 j r");
            update(&mut model, Msg::Resize(size.0, size.1));
            model
        }),
        (
            "sure_production",
            &[
                (Production, " PROD "),
                (Plain, "PROD: the writes of Contact"),
                (Key, "y"),
                (Plain, "do it"),
                (Key, "Esc"),
                (Plain, "leave everything as it is"),
            ],
            |size| {
                let mut model = full(size);
                with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
                press(&mut model, "1 j d");
                model
            },
        ),
        (
            "sure_production_all",
            &[
                (Production, " PROD "),
                (Plain, "All 3 mappings of this connection."),
                (Plain, "Type 3 and Enter to do it: 3_"),
                (Key, "Enter"),
                (Key, "Esc"),
            ],
            |size| {
                let mut model = full(size);
                with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
                press(&mut model, ":");
                type_in(&mut model, "pause all");
                press(&mut model, "Enter 3");
                model
            },
        ),
        (
            "question",
            &[
                (Focus, "fix Phone"),
                (Bold, "5,003 selected · 5,000 to do"),
                (Any, "1 would not pass: STRING_TOO_LONG Phone"),
                (Any, "2 left alone: its value stays as it is"),
                (Any, "Type 5000 and Enter:"),
                (Bad, "✗ that is not 5000; nothing was done"),
                (Key, "Esc"),
            ],
            |size| {
                let mut model = full(size);
                asked(&mut model);
                model
            },
        ),
        (
            "question_few",
            &[
                (Focus, "fix Phone"),
                (Bold, "5 selected · 2 to do"),
                (Any, "1 would not pass: STRING_TOO_LONG Phone"),
                (Any, "the import wrote call"),
                (Key, "y"),
                (Plain, "do it"),
            ],
            |size| {
                let mut model = full(size);
                planned(&mut model, plan(2));
                press(&mut model, "Tab");
                type_in(&mut model, "the import wrote call");
                model
            },
        ),
        (
            "working",
            &[
                (Focus, "fix Phone"),
                (Any, "█"),
                (Any, "1,200 of 5,000"),
                (Any, "6 s left"),
                (Key, "Esc"),
                (Plain, "stop here: what is done stays"),
            ],
            |size| {
                let mut model = full(size);
                under_way(&mut model);
                model
            },
        ),
        (
            "working_stopping",
            &[(Any, "1,200 of 5,000"), (Any, "stopping after the rows under way ...")],
            |size| {
                let mut model = full(size);
                under_way(&mut model);
                press(&mut model, "Esc");
                model
            },
        ),
        (
            "report",
            &[
                (Focus, "fix Phone"),
                (Good, "✓ 4,997 done"),
                (Any, "· 1 skipped"),
                (Any, "phone was changed meanwhile"),
                (Bad, "✗ 2 failed"),
                (Any, "the row … of contact is gone"),
                (Key, "U"),
                (Plain, "take it back (act 12)"),
            ],
            |size| {
                let mut model = full(size);
                let text = "fix Phone".to_owned();
                update(&mut model, Msg::Reported { text, sends: true, result: Ok(report(4_997)) });
                model
            },
        ),
        (
            "audit",
            &[
                (Focus, "Audit: what operators did"),
                (Selected, "4,990 rows"),
                (Any, "ignored"),
                (Any, "undone"),
                (Any, "why: the import wrote call"),
                (Key, "u"),
                (Plain, "take it back"),
                (Key, "Esc"),
            ],
            |size| {
                let mut model = full(size);
                waited_for(&mut model, Msg::Acts(Ok(acts())));
                press(&mut model, "j");
                model
            },
        ),
        ("audit_none", &[(Dim, "Nobody has done anything yet.")], |size| {
            let mut model = full(size);
            waited_for(&mut model, Msg::Acts(Ok(Vec::new())));
            model
        }),
        (
            "act_rows",
            &[
                (Focus, "Act 2: edited 2 rows"),
                (Selected, "phone call 415-555-2671 → 415-555-2671"),
                (Plain, "email jane@acme,com"),
                (Plain, "open"),
            ],
            |size| {
                let mut model = full(size);
                waited_for(
                    &mut model,
                    Msg::Act(Ok(acts().into_iter().skip(1).map(|act| act.first).collect())),
                );
                model
            },
        ),
    ]
}

fn of_mappings() -> Vec<Scene> {
    vec![
        (
            "strategies",
            &[
                (Focus, "Contact: what becomes of errors"),
                (Any, "skip"),
                (Any, "the failed record waits in the list"),
                (Any, "fail_fast"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "1 j s");
                model
            },
        ),
        (
            "sure",
            &[
                (Plain, "Account: its newest rows are sent to Salesforce"),
                (Key, "y"),
                (Plain, "do it"),
                (Key, "Esc"),
                (Plain, "leave everything as it is"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "1 t");
                model
            },
        ),
        (
            "verifying",
            &[
                (Focus, "verify Contact"),
                (Any, "█"),
                (Any, "1,500 of 6,000 records compared"),
                (Any, "30 s left"),
                (Key, "Esc"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "1 j v");
                update(&mut model, Msg::Stage(Stage::Settling(12)));
                update(&mut model, Msg::Stage(Stage::Comparing(1_500, 6_000)));
                update(&mut model, Msg::Tick(now() + TimeDelta::seconds(10)));
                model
            },
        ),
        (
            "verified",
            &[
                (Focus, "Contact: 2 of 6000 rows and 6001 records differ"),
                (Selected, "mismatch  row 7"),
                (Any, "orphan  row 8"),
                (Key, "s"),
                (Plain, "take Salesforce's"),
                (Key, "p"),
                (Plain, "take PostgreSQL's"),
            ],
            |size| {
                let mut model = full(size);
                update(&mut model, Msg::Verified(Ok(verdict())));
                model
            },
        ),
        (
            "repair",
            &[
                (Production, " PROD "),
                (Plain, "1 mismatch: the rows get Salesforce's values"),
                (Key, "y"),
                (Plain, "do it"),
            ],
            |size| {
                let mut model = full(size);
                with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
                update(&mut model, Msg::Verified(Ok(verdict())));
                press(&mut model, "s");
                model
            },
        ),
        (
            "tried",
            &[
                (Focus, "Contact: 1 of 2 rows would go through"),
                (Selected, "✓ goes through"),
                (Plain, "✗ REQUIRED_FIELD_MISSING"),
                (Plain, "open"),
            ],
            |size| {
                let mut model = full(size);
                update(&mut model, Msg::DryRunDone { mapping: "Contact".to_owned(), result: Ok(trial()) });
                model
            },
        ),
        (
            "tried_all",
            &[
                (Any, "Contact: 1 of 2 rows would go through"),
                (Any, "✗ REQUIRED_FIELD_MISSING"),
                (Dim, "Account: no connection to PostgreSQL"),
            ],
            |size| {
                let mut model = full(size);
                let tried = vec![("Contact".to_owned(), Ok(trial())), ("Account".to_owned(), Err(refused()))];
                update(&mut model, Msg::DryRunsDone(Ok(tried)));
                model
            },
        ),
        (
            "trends",
            &[
                (Focus, "Trends: the last 1 h"),
                (Dim, "peak/min"),
                (Dim, "rejected"),
                (Good, "█"),
                (Bad, "█"),
                (Key, "█"),
                (Any, "INVALID_TYPE"),
                (Warn, "█"),
                (Dim, "mapping"),
                (Key, "Esc"),
            ],
            |size| {
                let mut model = full(size);
                press(&mut model, "M");
                update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
                press(&mut model, "j");
                model
            },
        ),
        ("trends_loading", &[(Dim, "reading ..."), (Key, "Esc")], |size| {
            let mut model = full(size);
            press(&mut model, "M");
            model
        }),
        ("trends_refused", &[(Bad, "no connection to PostgreSQL at db:5432"), (Key, "Esc")], |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Err(refused()) });
            model
        }),
        ("trends_healthy", &[(Good, "none"), (Dim, "errors that are open now")], |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), Some(Vec::new()))) });
            model
        }),
    ]
}
