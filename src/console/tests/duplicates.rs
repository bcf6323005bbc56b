//! A row that is refused because a record has the same: what is shown, what is chosen, and that nothing is done unasked.

use super::screens::text;
use super::world::{duplicate, duplicated, full, jane, press};
use crate::client::api::ClientError;
use crate::client::operations::execute::{Plan, Targets};
use crate::client::row::Linked;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::domain::names::RowId;
use crate::domain::operations::operation::{OperationKind, Preview};
use crate::domain::records::duplicate::{Duplicate, Merge};

/// Jane's record, which is refused as a duplicate.
fn refused() -> App {
    let mut app = full((120, 40));
    press(&mut app, "j Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(duplicated())) });
    app
}

/// The view over all three of them.
fn compared() -> App {
    let mut app = refused();
    assert_eq!(press(&mut app, "c"), [Effect::LoadDuplicate(jane())]);
    update(&mut app, Msg::Duplicate { row: jane(), result: Ok(Box::new(duplicate("jane@acme.com"))) });
    app
}

fn merge_of(effects: &[Effect]) -> Merge {
    let [Effect::Plan { chosen: Targets::Ids(ids), kind: OperationKind::Merge(merge) }] = effects else {
        panic!("{effects:?}")
    };
    assert_eq!(ids, &[35]);
    (**merge).clone()
}

#[test]
fn the_other_row_this_row_and_the_record_stand_side_by_side() {
    let mut app = compared();
    let screen = text(&app);
    for said in ["row 7, which has it", "this row, 10235", "Salesforce 003sd0000000007AAA", "● jane@acme.com"]
    {
        assert!(screen.contains(said), "{said}\n{screen}");
    }
    // What this row lacks is not lost unless somebody says so.
    let columns = |merge: &Merge| -> Vec<String> {
        merge
            .fields
            .iter()
            .map(|edit| format!("{}={}", edit.column, edit.new.clone().unwrap_or_default()))
            .collect()
    };
    let mut other = compared();
    let merge = merge_of(&press(&mut other, "Enter"));
    assert_eq!(columns(&merge), ["description=came by letter", "level__c=Secondary"]);
    assert_eq!((merge.replaces, merge.sfid.as_str()), (Some(RowId(7)), "003sd0000000007AAA"));
    let merge = merge_of(&press(&mut app, "h j l j l Enter"));
    assert_eq!(columns(&merge), ["firstname=Janet", "email=jane@acme.net", "level__c=Secondary"]);
}

#[test]
fn one_side_is_chosen_for_all_by_one_key() {
    for (key, columns) in [
        ("t", vec![]),
        ("s", vec!["firstname", "email", "level__c"]),
        ("o", vec!["firstname", "email", "description"]),
    ] {
        let mut app = compared();
        let merge = merge_of(&press(&mut app, &format!("{key} Enter")));
        assert_eq!(
            merge.fields.iter().map(|edit| edit.column.as_str()).collect::<Vec<_>>(),
            columns,
            "{key}"
        );
    }
}

#[test]
fn no_side_is_marked_that_has_nothing_to_give() {
    // Only the record has a level: whichever side is chosen for all, it keeps that.
    for key in ["t", "o", "s"] {
        let mut app = compared();
        press(&mut app, key);
        let screen = text(&app);
        let line = screen.lines().find(|line| line.contains("Level__c")).unwrap();
        assert!(line.contains("● Secondary") && line.matches('●').count() == 1, "{key}: {line}");
    }
    // From there, one goes on from the side that is marked.
    let mut app = compared();
    press(&mut app, "t G h");
    assert!(text(&app).contains("● Secondary"), "{}", text(&app));
    assert!(merge_of(&press(&mut app, "Enter")).fields.is_empty());
}

#[test]
fn it_is_said_what_it_does_and_asked_before_anything_is_done() {
    let mut app = compared();
    let merge = merge_of(&press(&mut app, "Enter"));
    let preview = Preview { selected: 1, touched: 1, passing: 1, removed: 1, ..Preview::default() };
    let kind = OperationKind::Merge(Box::new(merge));
    update(&mut app, Msg::Planned(Ok(std::sync::Arc::new(Plan::shown(kind, preview, "demo")))));
    let screen = text(&app);
    assert!(screen.contains("it takes the record 003sd0000000007AAA over"), "{screen}");
    assert!(screen.contains("the row 7 is removed and stays so"), "{screen}");
    assert_eq!(press(&mut app, "Enter"), []);
    assert!(matches!(&press(&mut app, "y")[..], [Effect::Execute { .. }]));
}

#[test]
fn without_another_row_only_two_stand_side_by_side() {
    let mut app = refused();
    press(&mut app, "c");
    let mut found = Duplicate { other: None, ..duplicate("jane@acme.com") };
    found.fields.iter_mut().for_each(|field| field.other = None);
    update(&mut app, Msg::Duplicate { row: jane(), result: Ok(Box::new(found)) });
    let screen = text(&app);
    assert!(!screen.contains("which has it") && screen.contains("this row, 10235"), "{screen}");
    let merge = merge_of(&press(&mut app, "o h h Enter"));
    assert_eq!((merge.replaces, merge.fields.len()), (None, 1));
}

#[test]
fn a_link_to_a_record_that_another_row_has_shows_all_three_first() {
    let mut app = refused();
    let effects = press(&mut app, "m");
    assert_eq!(effects, [Effect::Link { row: jane(), replace: false }]);
    let taken = Linked::Taken { sfid: "003sd0000000007AAA".to_owned(), row: RowId(7) };
    let effects = update(&mut app, Msg::Linked { row: jane(), result: Ok(taken) });
    assert_eq!(effects, [Effect::LoadDuplicate(jane())]);
}

#[test]
fn what_cannot_be_compared_is_said_and_what_comes_too_late_shows_nothing() {
    let mut app = refused();
    press(&mut app, "c");
    let why = ClientError::refused("no engine runs, which has to be asked");
    update(&mut app, Msg::Duplicate { row: jane(), result: Err(why) });
    assert!(app.overlays.is_empty() && text(&app).contains("no engine runs"), "{}", text(&app));
    press(&mut app, "c Esc");
    update(&mut app, Msg::Duplicate { row: jane(), result: Ok(Box::new(duplicate("x"))) });
    assert!(!app.overlays.iter().any(|overlay| matches!(overlay, Overlay::DuplicatePicker(_))));
}
