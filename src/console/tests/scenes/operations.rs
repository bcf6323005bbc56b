//! What lies on top of the panes while something is done to rows or mappings: what is asked, what goes on, what came
//! of it.

use super::look::Look::{Any, Bad, Bold, Dim, Focus, Good, Key, Plain, Production, Selected, Warn};
use super::{Scene, refused, with};
use crate::client::operations::execute::Targets;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::{Msg, SendState};
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{
    dry_run, full, now, operations, plan, planned, press, report, shares, trends, type_in, verified,
};
use crate::domain::operations::operation::Progress;
use crate::domain::records::verify::Stage;
use chrono::TimeDelta;

pub fn scenes() -> Vec<Scene> {
    let mut all = of_acts();
    all.extend(of_mappings());
    all
}

/// The question about a fix of five thousand rows.
fn asked(app: &mut App) {
    planned(app, plan(5_000));
    press(app, "5 Enter");
}

/// The fix of five thousand rows, some of them done.
fn under_way(app: &mut App) {
    asked(app);
    press(app, "BS");
    type_in(app, "5000");
    press(app, "Enter");
    update(app, Msg::Progress(Progress { through: 1_200, total: 5_000 }));
    update(app, Msg::Tick(now() + TimeDelta::seconds(2)));
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
                let mut app = full(size);
                press(&mut app, "2 j Space Space f");
                let chosen = Targets::Ids(vec![34, 35]);
                update(&mut app, Msg::Remedies { chosen, result: Ok((1, 2)) });
                app
            },
        ),
        ("ask_refused", &[(Focus, "Fix 1 error"), (Bad, "✗ write FIELD=VALUE")], |size| {
            let mut app = full(size);
            press(&mut app, "2 j j Space f C-u x Enter");
            app
        }),
        (
            "looking",
            &[(Plain, "· looking at what it would do ... (Esc gives it up)"), (Key, "●")],
            |size| {
                let mut app = full(size);
                press(&mut app, "2 j Space u");
                app
            },
        ),
        ("awaiting", &[(Plain, "· reading Contact 10235; retry waits for it (Esc gives it up)")], |size| {
            // Only where the record shows beside the list, a key waits for it.
            let mut app = full((120, 40));
            press(&mut app, "2 j r");
            update(&mut app, Msg::Resize(size.0, size.1));
            app
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
                let mut app = full(size);
                with(&mut app, |overview| overview.connection.environment = "prod".to_owned());
                press(&mut app, "1 j d");
                app
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
                let mut app = full(size);
                with(&mut app, |overview| overview.connection.environment = "prod".to_owned());
                press(&mut app, ":");
                type_in(&mut app, "pause all");
                press(&mut app, "Enter 3");
                app
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
                let mut app = full(size);
                asked(&mut app);
                app
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
                let mut app = full(size);
                planned(&mut app, plan(2));
                press(&mut app, "Tab");
                type_in(&mut app, "the import wrote call");
                app
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
                let mut app = full(size);
                under_way(&mut app);
                app
            },
        ),
        (
            "working_stopping",
            &[(Any, "1,200 of 5,000"), (Any, "stopping after the rows under way ...")],
            |size| {
                let mut app = full(size);
                under_way(&mut app);
                press(&mut app, "Esc");
                app
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
                (Plain, "take it back (operation 12)"),
            ],
            |size| {
                let mut app = full(size);
                let text = "fix Phone".to_owned();
                update(
                    &mut app,
                    Msg::Reported { text, sent: SendState::Rows(None), result: Ok(report(4_997)) },
                );
                app
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
                let mut app = full(size);
                waited_for(&mut app, Msg::Audit(Ok(operations())));
                press(&mut app, "j");
                app
            },
        ),
        ("audit_none", &[(Dim, "Nobody has done anything yet.")], |size| {
            let mut app = full(size);
            waited_for(&mut app, Msg::Audit(Ok(Vec::new())));
            app
        }),
        (
            "act_rows",
            &[
                (Focus, "Operation 2: edited 2 rows"),
                (Selected, "phone call 415-555-2671 → 415-555-2671"),
                (Plain, "email jane@acme,com"),
                (Plain, "open"),
            ],
            |size| {
                let mut app = full(size);
                let rows = operations().into_iter().skip(1).map(|operation| operation.first).collect();
                waited_for(&mut app, Msg::AuditRows { operation: 2, result: Ok(rows) });
                app
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
                let mut app = full(size);
                press(&mut app, "1 j s");
                app
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
                let mut app = full(size);
                press(&mut app, "1 t");
                app
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
                let mut app = full(size);
                press(&mut app, "1 j v");
                update(&mut app, Msg::Stage(Stage::Settling(12)));
                update(&mut app, Msg::Stage(Stage::Comparing(1_500, 6_000)));
                update(&mut app, Msg::Tick(now() + TimeDelta::seconds(10)));
                app
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
                let mut app = full(size);
                update(&mut app, Msg::Verified(Ok(verified())));
                app
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
                let mut app = full(size);
                with(&mut app, |overview| overview.connection.environment = "prod".to_owned());
                update(&mut app, Msg::Verified(Ok(verified())));
                press(&mut app, "s");
                app
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
                let mut app = full(size);
                update(&mut app, Msg::DryRunDone { mapping: "Contact".to_owned(), result: Ok(dry_run()) });
                app
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
                let mut app = full(size);
                let tried =
                    vec![("Contact".to_owned(), Ok(dry_run())), ("Account".to_owned(), Err(refused()))];
                update(&mut app, Msg::DryRunsDone(Ok(tried)));
                app
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
                (Warn, "━"),
                (Dim, "mapping"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "M");
                update(&mut app, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
                press(&mut app, "j");
                app
            },
        ),
        ("trends_loading", &[(Dim, "reading ..."), (Key, "Esc")], |size| {
            let mut app = full(size);
            press(&mut app, "M");
            app
        }),
        ("trends_refused", &[(Bad, "no connection to PostgreSQL at db:5432"), (Key, "Esc")], |size| {
            let mut app = full(size);
            press(&mut app, "M");
            update(&mut app, Msg::Trends { minutes: 60, result: Err(refused()) });
            app
        }),
        ("trends_healthy", &[(Good, "none"), (Dim, "errors that are open now")], |size| {
            let mut app = full(size);
            press(&mut app, "M");
            update(&mut app, Msg::Trends { minutes: 60, result: Ok((trends(), Some(Vec::new()))) });
            app
        }),
    ]
}
