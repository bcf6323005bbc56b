//! What lies on top of the panes.

use super::look::Look::{Any, Bad, Bold, Dim, Focus, Good, Key, Plain, Production, Selected, Warn};
use super::{Scene, record};
use crate::client::row::Linked;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::settings::Connection;
use crate::console::tests::world::record as world_record;
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{
    contested, diagnosed, duplicate, duplicated, error, failing, full, groups, hits, jane, page, press,
    told_of_groups, type_in,
};
use crate::domain::errors::sync_error::ErrorState;
use crate::domain::names::RowId;
use crate::domain::records::record::RecordView;
use crate::logs::source::{SourceFailure, SourceStanding};

pub fn scenes() -> Vec<Scene> {
    let mut all = of_a_record();
    all.extend(of_lists());
    all
}

/// Jane's record with a level that is not in its list, nor near one that is.
fn unlisted(level: &str) -> RecordView {
    let message = "bad value for restricted picklist field: Hotel";
    let code = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";
    let error = error(35, code, "Level__c", message, ErrorState::Open);
    let mut view = world_record("failed", "jane@acme.com", None);
    view.values[3].1 = Some(level.to_owned());
    diagnosed(view, error)
}

/// The view over a row that is refused and the record that has the same.
pub fn compared(size: (u16, u16), email: &str) -> App {
    let mut app = record(size, duplicated());
    press(&mut app, "c");
    update(&mut app, Msg::Duplicate { row: jane(), result: Ok(Box::new(duplicate(email))) });
    app
}

fn of_a_record() -> Vec<Scene> {
    vec![
        (
            "edit",
            &[
                (Focus, "Email of Contact 10235"),
                (Dim, "email(80)"),
                (Any, "jane@acme,com"),
                (Bad, "✗ this is no e-mail address"),
                (Dim, "13 of 80 characters"),
                (Key, "Enter"),
                (Key, "Tab"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "e");
                app
            },
        ),
        (
            "edit_picklist",
            &[
                (Focus, "Level__c of Contact 10235"),
                (Any, "Secondary"),
                (Good, "✓ fits the field"),
                (Dim, "↑↓ choose: Primary, Secondary"),
            ],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "j e Down");
                app
            },
        ),
        (
            "edit_long",
            &[
                (Focus, "Description of Contact 10235"),
                (Any, "first line"),
                (Dim, "unchanged"),
                (Dim, "▲ one of them cannot be seen: U+001B"),
                (Key, "Ctrl-S"),
            ],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "j j e");
                app
            },
        ),
        ("edit_refused", &[(Bad, "✗ not saved: this is no e-mail address")], |size| {
            let mut app = record(size, failing());
            press(&mut app, "e C-s");
            app
        }),
        (
            "confirm_leave",
            &[
                (Focus, "Throw the change away?"),
                (Key, "y"),
                (Plain, "throw it away"),
                (Key, "Esc"),
                (Plain, "go on editing"),
            ],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "e BS Esc");
                app
            },
        ),
        ("opening_record", &[(Plain, "· reading; what you type waits for it (Esc gives it up)")], |size| {
            let mut app = full(size);
            press(&mut app, "j Enter e");
            app
        }),
        (
            "remedies",
            &[
                (Focus, "Invalid e-mail address: what to do"),
                (Any, "Write a dot for the comma"),
                (Dim, "jane@acme,com → jane@acme.com"),
                (Selected, "Leave values of Email that cannot be taken out"),
                (Dim, "for all rows of Contact; asks first"),
                (Plain, "or its number does it"),
            ],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "f j");
                app
            },
        ),
        (
            "pick_value",
            &[
                (Focus, "Level__c of Contact 10235: choose its value"),
                (Selected, "Primary"),
                (Plain, "Secondary"),
                (Plain, "or its number does it"),
            ],
            |size| {
                let mut app = record(size, unlisted("Hotel"));
                press(&mut app, "m");
                app
            },
        ),
        (
            "duplicate",
            &[
                (Focus, "Contact 10235: a record has the same"),
                (Good, "● jane@acme.com"),
                (Dim, "○ Janet"),
                (Plain, "This row takes the record over"),
                (Key, "Enter"),
            ],
            |size| compared(size, "jane@acme.com"),
        ),
        (
            "sides",
            &[
                (Focus, "Contact 10235: changed here and in Salesforce"),
                (Any, "○ jane@acme.org"),
                (Any, "● jane@acme.net"),
                (Any, "● Dow"),
                (Any, "○ Dough"),
                (Any, "▌lastname"),
                (Key, "H L"),
                (Key, "Enter"),
                (Key, "Esc"),
            ],
            |size| {
                let mut app = record(size, contested());
                press(&mut app, "c l j h");
                app
            },
        ),
        (
            "sure_link",
            &[
                (Any, "The record 003sd0000000001AAA belongs to the row 7"),
                (Key, "y"),
                (Plain, "do it"),
                (Key, "Esc"),
                (Plain, "leave everything as it is"),
            ],
            |size| {
                let mut app = record(size, failing());
                let result = Ok(Linked::Taken { sfid: "003sd0000000001AAA".to_owned(), row: RowId(7) });
                update(&mut app, Msg::Linked { row: jane(), result });
                app
            },
        ),
    ]
}

/// A list by a filter, with what it lists.
fn filtered(app: &mut App, filter: &str) {
    press(app, "/");
    type_in(app, filter);
    press(app, "Enter");
    let generation = app.errors.generation;
    let result = Ok(page(crate::console::tests::world::errors()));
    update(app, Msg::Errors { generation, append: false, result });
}

fn of_lists() -> Vec<Scene> {
    vec![
        (
            "palette",
            &[
                (Focus, "Commands"),
                (Any, "pau"),
                (Selected, "mappings: pause/r"),
                (Key, "Enter"),
                (Plain, "run it"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, ":");
                type_in(&mut app, "pau");
                app
            },
        ),
        ("palette_none", &[(Any, "zzzz"), (Any, "the row zzzz")], |size| {
            let mut app = full(size);
            press(&mut app, ":");
            type_in(&mut app, "zzzz");
            app
        }),
        (
            "help",
            &[
                (Focus, "Keys in Record"),
                (Selected, "edit"),
                (Key, "m"),
                (Dim, "✗ no conflict, and no duplicate of it"),
                (Plain, "run it"),
            ],
            |size| {
                let mut app = record(size, failing());
                press(&mut app, "?");
                app
            },
        ),
        (
            "help_read_only",
            &[
                (Warn, "READ-ONLY"),
                (Focus, "Keys in Record"),
                (Dim, "✗ this console is read-only"),
                (Plain, "Show the next view"),
            ],
            |size| {
                let mut app = record(size, failing());
                app.ctx.read_only = true;
                press(&mut app, "?");
                app
            },
        ),
        (
            "filter",
            &[
                (Focus, "Filter errors"),
                (Any, "state:"),
                (Dim, "words  mapping:contact"),
                (Key, "Enter"),
                (Plain, "apply"),
                (Key, "Tab"),
                (Plain, "complete"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "/ s t a t e :");
                app
            },
        ),
        (
            "filter_completed",
            &[
                (Any, "-code:INVALID_EMAIL_ADDRESS"),
                (Bold, "code:INVALID_EMAIL_ADDRESS  44"),
                (Dim, "code:INVALID_TYPE  1"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "/");
                type_in(&mut app, "-code:in");
                let values = vec![("INVALID_EMAIL_ADDRESS".to_owned(), 44), ("INVALID_TYPE".to_owned(), 1)];
                let (qualifier, prefix) = ("code".to_owned(), "in".to_owned());
                update(&mut app, Msg::Offers { qualifier, prefix, values });
                press(&mut app, "Tab");
                app
            },
        ),
        (
            "filter_refused",
            &[(Any, "state:shut"), (Bad, "✗ state:shut: use open, retrying, review, held or ignored")],
            |size| {
                let mut app = full(size);
                press(&mut app, "/");
                type_in(&mut app, "state:shut");
                press(&mut app, "Enter");
                app
            },
        ),
        ("filter_log", &[(Focus, "Filter log"), (Any, "word"), (Dim, "none of 3 lines passes")], |size| {
            let mut app = full(size);
            press(&mut app, "4 / w o r d");
            app
        }),
        (
            "filter_name",
            &[
                (Focus, "Keep the filter code:INVALID_EMAIL_ADDRESS"),
                (Any, "bad addresses"),
                (Dim, "a short name for it"),
                (Plain, "keep it"),
            ],
            |size| {
                let mut app = full(size);
                filtered(&mut app, "code:INVALID_EMAIL_ADDRESS since:1h");
                press(&mut app, "F");
                type_in(&mut app, "bad addresses");
                app
            },
        ),
        (
            "sort",
            &[
                (Focus, "Sort the errors by"),
                (Any, "last seen"),
                (Any, "now, greatest first; choose it to turn round"),
                (Selected, "first seen"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "s j");
                app
            },
        ),
        (
            "groups",
            &[
                (Focus, "Groups of errors"),
                (Selected, "Phone must be a valid"),
                (Any, "187"),
                (Any, "FIELD_CUSTOM_VAL"),
                (Selected, "80 %"),
                (Good, "fits 38 of"),
                (Warn, "of 44"),
                (Bad, "▁ █"),
                (Any, "25"),
                (Dim, "20 s ago"),
                (Key, "f"),
                (Plain, "fix"),
                (Plain, "ignore"),
            ],
            |size| {
                let mut app = full(size);
                waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
                told_of_groups(&mut app);
                app
            },
        ),
        (
            "export",
            &[
                (Focus, "Export 6 errors"),
                (Any, "errors.csv"),
                (Dim, "errors.jsonl for JSON lines"),
                (Plain, "write it"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "x");
                app
            },
        ),
        (
            "find",
            &[
                (Focus, "Go to any row"),
                (Any, "C-10235"),
                (Dim, "row id, Contact:42, record id"),
                (Plain, "find it"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "o");
                type_in(&mut app, "C-10235");
                app
            },
        ),
        ("find_nothing_typed", &[(Bad, "✗ nothing is typed")], |size| {
            let mut app = full(size);
            press(&mut app, "o Enter");
            app
        }),
        (
            "hits",
            &[
                (Focus, "Rows found by C-10235"),
                (Selected, "Contact 10235  failed · open"),
                (Plain, "Contact 7  failed · the row is gone"),
                (Dim, "by external id"),
                (Plain, "open"),
            ],
            |size| {
                let mut app = full(size);
                waited_for(&mut app, Msg::Found { text: "C-10235".to_owned(), result: Ok(hits()) });
                app
            },
        ),
        (
            "log_search",
            &[
                (Focus, "Search the log"),
                (Any, "rejected"),
                (Dim, "what the line has in it"),
                (Plain, "search"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "4 s");
                type_in(&mut app, "rejected");
                app
            },
        ),
        (
            "log_sources",
            &[
                (Focus, "Where lines come from"),
                (Warn, "▲ log"),
                (Good, "works"),
                (Selected, "shop"),
                (Dim, "the API key is refused"),
                (Key, "Enter"),
                (Plain, "hide its lines"),
            ],
            |size| {
                let mut app = full(size);
                app.log.sources.open(&[("shop".to_owned(), "heroku"), ("access".to_owned(), "file")]);
                let failure = SourceFailure {
                    what: "acme-shop: the API key is refused".to_owned(),
                    remedy: "set HEROKU_API_KEY to a valid one".to_owned(),
                };
                app.log.sources.stands("shop", SourceStanding::Fails(failure));
                app.log.sources.stands("access", SourceStanding::Works);
                press(&mut app, "4 S j j Enter k");
                app
            },
        ),
        (
            "told",
            &[
                (Focus, "Object type changed"),
                (Plain, "The object no longer exists in Salesforce"),
                (Any, "→ Restore the object"),
                (Key, "Esc"),
                (Plain, "close"),
            ],
            |size| {
                let mut app = full(size);
                press(&mut app, "4 x");
                app
            },
        ),
        (
            "themes",
            &[(Focus, "Colours, until the console is left"), (Any, "16  now"), (Selected, "mono")],
            |size| {
                let mut app = full(size);
                press(&mut app, ":");
                type_in(&mut app, "theme");
                press(&mut app, "Enter j");
                app
            },
        ),
        (
            "connections",
            &[
                (Production, " PROD "),
                (Focus, "Go to a connection"),
                (Dim, "this one"),
                (Any, "acme-test  sandbox"),
            ],
            |size| {
                let mut app = full(size);
                app.ctx.settings.connection = "acme".to_owned();
                app.ctx.settings.connections = [("acme", "prod"), ("acme-test", "sandbox")]
                    .map(|(name, environment)| Connection {
                        name: name.to_owned(),
                        environment: environment.to_owned(),
                    })
                    .into();
                press(&mut app, "C");
                app
            },
        ),
    ]
}
