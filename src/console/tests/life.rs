//! The life of a change in the record, what goes out with the next call, and what of a record shows where there is little
//! room.

use chrono::TimeDelta;

use super::screens::text;
use super::world::{errors, failing, full, jane, life, now, press, record, values};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::names::RowId;
use crate::domain::records::life::{ChangeLife, LifeStage};
use crate::domain::records::record::RecordView;

/// Jane's record, open on a screen of that size.
fn open(size: (u16, u16), view: RecordView) -> App {
    let mut app = full(size);
    press(&mut app, "j Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    update(&mut app, Msg::Values { row: jane(), result: Ok(values()) });
    app
}

fn line_with(app: &App, part: &str) -> String {
    let screen = text(app);
    let line = screen.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}\n{screen}"));
    line.trim_matches(['│', '┃', ' ']).to_owned()
}

fn lived(size: (u16, u16), life: ChangeLife) -> String {
    let view = RecordView { life, ..failing() };
    line_with(&open(size, view), "Life ")
}

#[test]
fn the_newest_change_tells_its_life_in_one_line() {
    let rejected = life("failed");
    assert_eq!(
        lived((150, 45), rejected.clone()),
        "Life ● captured 14:02:00 → ● sent ─ 2 s → ✗ rejected 14:02:02 → ▲ waits for a person for 9 s"
    );
    let again = LifeStage::Again { at: now() + TimeDelta::seconds(39) };
    let mut tried = ChangeLife { stage: again, ..rejected.clone() };
    tried.answers.as_mut().unwrap().count = 3;
    let short = lived((80, 24), tried.clone());
    assert!(short.starts_with("Life ● captured"), "{short}");
    assert!(short.contains("sent ×3") && short.ends_with("↻ again in 40 s"), "{short}");
    // On the narrowest of screens where it stands is what is left.
    assert!(lived((60, 24), tried).ends_with("↻ again in 40 s"));
    for (stage, words) in [
        (LifeStage::Waiting { why: "waits for Invoice 12".to_owned() }, "◌ waits for Invoice 12 for 9 s"),
        (
            LifeStage::Waiting { why: "its mapping's writes are paused".to_owned() },
            "◌ its mapping's writes are paused for 9 s",
        ),
        (
            LifeStage::InJob { job: Some("750x".to_owned()), since: now() - TimeDelta::seconds(2) },
            "◌ in bulk job 750x 14:02:09",
        ),
        (LifeStage::Dropped { why: "ignored".to_owned(), at: None }, "· ignored"),
        (LifeStage::Accepted { at: Some(now()) }, "● sent ─ 11 s → ✓ accepted 14:02:11"),
    ] {
        let line = lived((150, 45), ChangeLife { stage, ..rejected.clone() });
        assert!(line.ends_with(words), "{line}");
    }
    let unknown =
        ChangeLife { unknown: Some("no change of this row is known".to_owned()), ..ChangeLife::default() };
    assert_eq!(lived((80, 24), unknown), "Life no change of this row is known");
}

#[test]
fn what_goes_out_is_marked_at_its_field_and_an_edit_is_not_red() {
    let mut app = open((120, 40), failing());
    assert!(line_with(&app, "▶ Email").starts_with('→'));
    assert!(text(&app).contains("→ goes out: 1, update"));
    // Jane's address is typed anew, and waits to be saved.
    press(&mut app, "e");
    press(&mut app, "BS BS BS BS . c o m Tab");
    let line = line_with(&app, "✎ Email");
    assert!(line.starts_with("→✎ Email") && line.contains("(row: jane@acme,com)"), "{line}");
    assert!(text(&app).contains("→ goes out when saved"));
    assert!(!text(&app).contains("Send update"), "the old value is not what is sent");
}

#[test]
fn fields_without_a_value_fold_where_there_is_no_room_and_a_choice_is_kept() {
    let mut view = failing();
    let empty = (0..20).map(|at| (Field::plain(&format!("Empty{at}__c"), FieldType::String), None));
    view.values.extend(empty);
    let mut app = open((80, 24), view.clone());
    let folds = |app: &App| !text(app).contains("Empty");
    assert!(text(&app).contains("–21") && folds(&app), "{}", text(&app));
    // What was chosen holds for the next record, and for the next console.
    press(&mut app, "h");
    press(&mut app, "G");
    assert!(!folds(&app), "{}", text(&app));
    assert_eq!(app.session().fold_empty, Some(false));
    let other = RecordView { row: errors()[2].row().unwrap(), ..view.clone() };
    press(&mut app, "Esc j Enter");
    update(&mut app, Msg::Record { row: other.row.clone(), result: Box::new(Ok(other)) });
    press(&mut app, "G");
    assert!(!folds(&app), "{}", text(&app));
    // Where there is room for all of them, all show.
    let roomy = open((120, 80), view);
    assert!(!folds(&roomy), "{}", text(&roomy));
}

#[test]
fn an_old_screen_shows_fault_remedies_and_what_goes_out() {
    let app = open((80, 24), failing());
    let screen = text(&app);
    for part in ["invalid email address", "[1]", "[2]", "… f shows all", "→▶ Email", "Life "] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
}

#[test]
fn rows_that_are_the_same_thing_are_merged_into_the_one_that_is_typed() {
    let mut view = record("failed", "jane@acme.com", None);
    view.error = Some(crate::domain::errors::sync_error::SyncError {
        code: "DUPLICATE_ROWS".to_owned(),
        ..errors()[1].clone()
    });
    let mut app = open((120, 40), view);
    press(&mut app, ":");
    super::world::type_in(&mut app, "merge-into");
    press(&mut app, "Enter");
    super::world::type_in(&mut app, "7");
    press(&mut app, "Enter");
    assert!(text(&app).contains("become the row 7"), "{}", text(&app));
    let effects = press(&mut app, "y");
    assert!(effects.contains(&Effect::MergeInto { row: jane(), into: RowId(7) }), "{effects:?}");
}

#[test]
fn the_engine_signs_in_again_by_a_command() {
    let mut app = full((120, 40));
    press(&mut app, ":");
    super::world::type_in(&mut app, "sign-in");
    let effects = press(&mut app, "Enter");
    assert_eq!(effects, [Effect::SignIn]);
    // A rule of the selected mapping is typed, and asked about.
    press(&mut app, ":");
    super::world::type_in(&mut app, "rule");
    press(&mut app, "Enter");
    assert!(matches!(app.overlays.last(), Some(Overlay::Prompt(_))), "{}", text(&app));
}
