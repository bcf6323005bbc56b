//! What lies on top of the panes.

use super::look::Look::{Any, Bad, Bold, Dim, Focus, Good, Key, Plain, Production, Selected, Warn};
use super::{Scene, record};
use crate::client::row::Linked;
use crate::console::model::{Connection, Model};
use crate::console::msg::Msg;
use crate::console::tests::world::waited_for;
use crate::console::tests::world::{contested, failing, full, groups, hits, jane, page, press, type_in};
use crate::console::update::update;
use crate::domain::names::RowId;

pub fn scenes() -> Vec<Scene> {
    let mut all = of_a_record();
    all.extend(of_lists());
    all
}

fn of_a_record() -> Vec<Scene> {
    vec![
        (
            "edit",
            &[
                (Focus, "Email of contact 10235"),
                (Dim, "email(80)"),
                (Any, "jane@acme,com"),
                (Bad, "✗ this is no e-mail address"),
                (Dim, "13 of 80 characters"),
                (Key, "Enter"),
                (Key, "Tab"),
                (Key, "Esc"),
            ],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "e");
                model
            },
        ),
        (
            "edit_picklist",
            &[
                (Focus, "Level__c of contact 10235"),
                (Any, "Secondary"),
                (Good, "✓ fits the field"),
                (Dim, "↑↓ choose: Primary, Secondary"),
            ],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "j e Down");
                model
            },
        ),
        (
            "edit_long",
            &[
                (Focus, "Description of contact 10235"),
                (Any, "first line"),
                (Dim, "unchanged"),
                (Dim, "▲ one of them cannot be seen: U+001B"),
                (Key, "Ctrl-S"),
            ],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "j j e");
                model
            },
        ),
        ("edit_refused", &[(Bad, "✗ not saved: this is no e-mail address")], |size| {
            let mut model = record(size, failing());
            press(&mut model, "e C-s");
            model
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
                let mut model = record(size, failing());
                press(&mut model, "e BS Esc");
                model
            },
        ),
        ("opening_record", &[(Plain, "· reading; what you type waits for it (Esc gives it up)")], |size| {
            let mut model = full(size);
            press(&mut model, "j Enter e");
            model
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
                let mut model = record(size, failing());
                press(&mut model, "f j");
                model
            },
        ),
        (
            "sides",
            &[
                (Focus, "contact 10235: changed here and in Salesforce"),
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
                let mut model = record(size, contested());
                press(&mut model, "c l j h");
                model
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
                let mut model = record(size, failing());
                let result = Ok(Linked::Taken { sfid: "003sd0000000001AAA".to_owned(), row: RowId(7) });
                update(&mut model, Msg::Linked { row: jane(), result });
                model
            },
        ),
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
                let mut model = full(size);
                press(&mut model, ":");
                type_in(&mut model, "pau");
                model
            },
        ),
        ("palette_none", &[(Any, "zzzz"), (Dim, "no command matches")], |size| {
            let mut model = full(size);
            press(&mut model, ":");
            type_in(&mut model, "zzzz");
            model
        }),
        (
            "help",
            &[
                (Focus, "Keys in Record"),
                (Selected, "edit"),
                (Key, "m"),
                (Dim, "✗ no field waits for a choice of sides"),
                (Plain, "run it"),
            ],
            |size| {
                let mut model = record(size, failing());
                press(&mut model, "?");
                model
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
                let mut model = record(size, failing());
                model.read_only = true;
                press(&mut model, "?");
                model
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
                let mut model = full(size);
                press(&mut model, "/ s t a t e :");
                model
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
                let mut model = full(size);
                press(&mut model, "/");
                type_in(&mut model, "-code:in");
                let values = vec![("INVALID_EMAIL_ADDRESS".to_owned(), 44), ("INVALID_TYPE".to_owned(), 1)];
                let (qualifier, prefix) = ("code".to_owned(), "in".to_owned());
                update(&mut model, Msg::Offers { qualifier, prefix, values });
                press(&mut model, "Tab");
                model
            },
        ),
        (
            "filter_refused",
            &[(Any, "state:shut"), (Bad, "✗ state:shut: use open, retrying, review, held or ignored")],
            |size| {
                let mut model = full(size);
                press(&mut model, "/");
                type_in(&mut model, "state:shut");
                press(&mut model, "Enter");
                model
            },
        ),
        ("filter_log", &[(Focus, "Filter log"), (Any, "word"), (Dim, "none of 3 lines passes")], |size| {
            let mut model = full(size);
            press(&mut model, "4 / w o r d");
            model
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
                let mut model = full(size);
                filtered(&mut model, "code:INVALID_EMAIL_ADDRESS since:1h");
                press(&mut model, "F");
                type_in(&mut model, "bad addresses");
                model
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
                let mut model = full(size);
                press(&mut model, "s j");
                model
            },
        ),
        (
            "causes",
            &[
                (Focus, "Causes of errors"),
                (Selected, "187 ▼46"),
                (Selected, "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
                (Dim, "11:02:11 to 14:01:51"),
                (Plain, "44 ▼11"),
                (Key, "f"),
                (Plain, "fix"),
                (Plain, "ignore"),
            ],
            |size| {
                let mut model = full(size);
                waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
                model
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
                let mut model = full(size);
                press(&mut model, "x");
                model
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
                let mut model = full(size);
                press(&mut model, "o");
                type_in(&mut model, "C-10235");
                model
            },
        ),
        ("find_nothing_typed", &[(Bad, "✗ nothing is typed")], |size| {
            let mut model = full(size);
            press(&mut model, "o Enter");
            model
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
                let mut model = full(size);
                waited_for(&mut model, Msg::Found { text: "C-10235".to_owned(), result: Ok(hits()) });
                model
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
                let mut model = full(size);
                press(&mut model, "4 s");
                type_in(&mut model, "rejected");
                model
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
                let mut model = full(size);
                press(&mut model, "4 x");
                model
            },
        ),
        (
            "themes",
            &[(Focus, "Colours, until the console is left"), (Any, "16  now"), (Selected, "mono")],
            |size| {
                let mut model = full(size);
                press(&mut model, ":");
                type_in(&mut model, "theme");
                press(&mut model, "Enter j");
                model
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
            },
        ),
    ]
}
