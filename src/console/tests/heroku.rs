//! Heroku Connect's own lists, by keys: what is asked for and when, where Enter goes, and what is asked before something is done.

use super::screens::text;
use super::setup::command;
use super::world::heroku::{beside, checks, heard, notifications, write_errors};
use super::world::{full, jane, press};
use crate::client::api::ClientError;
use crate::client::heroku::{HerokuList, HerokuListed};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::pane::Pane;
use crate::domain::attached::told::{HerokuStatus, NotificationFilter, ToldList};
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::record::FieldEdit;

const SIZE: (u16, u16) = (120, 40);

fn came(app: &mut App, id: u64, listed: HerokuListed) {
    update(app, Msg::HerokuListed { id, result: Ok(listed) });
}

fn load(id: u64, list: HerokuList) -> [Effect; 1] {
    [Effect::LoadHeroku { id, list }]
}

#[test]
fn a_list_is_asked_for_when_it_is_first_looked_at_and_when_somebody_says_so() {
    let mut app = beside(SIZE, heard());
    assert_eq!(command(&mut app, "heroku write errors"), load(1, HerokuList::WriteErrors));
    // It is asked for already.
    assert!(press(&mut app, "r").is_empty());
    came(&mut app, 1, HerokuListed::WriteErrors(write_errors()));
    assert_eq!(press(&mut app, "Tab"), load(2, HerokuList::Notifications));
    assert_eq!(press(&mut app, "]"), load(3, HerokuList::Checks));
    // What comes late stands on its own list.
    came(&mut app, 2, HerokuListed::Notifications(notifications()));
    assert!(text(&app).contains("Heroku Connect checks the connection"), "{}", text(&app));
    came(&mut app, 3, HerokuListed::Checks(checks()));
    assert!(press(&mut app, "Tab Tab Tab").is_empty());
    assert_eq!(press(&mut app, "r"), load(4, HerokuList::Checks));
    // The answer to what was asked before is dropped, and so is one that nobody waits for.
    update(&mut app, Msg::HerokuListed { id: 3, result: Err(ClientError::refused("too late")) });
    assert!(!text(&app).contains("too late"), "{}", text(&app));
    assert_eq!(press(&mut app, "Esc"), [Effect::EndHeroku]);
    came(&mut app, 4, HerokuListed::Checks(checks()));
    assert!(app.overlays.is_empty(), "{}", text(&app));
}

#[test]
fn enter_goes_to_the_row_of_a_refused_write_or_says_why_not() {
    let mut app = beside(SIZE, heard());
    command(&mut app, "heroku write errors");
    came(&mut app, 1, HerokuListed::WriteErrors(write_errors()));
    assert_eq!(press(&mut app, "Enter"), [Effect::LookForRow(jane())]);
    let none = ClientError::not_found("the table contact has no row 10235");
    update(&mut app, Msg::RowLookedFor { row: jane(), result: Err(none) });
    assert!(text(&app).contains("the table contact has no row 10235"), "{}", text(&app));
    // The list is where it was.
    assert!(text(&app).contains("write errors 3"), "{}", text(&app));
    assert!(press(&mut app, "G Enter").is_empty());
    assert!(text(&app).contains("Heroku Connect names no row of it"), "{}", text(&app));
    assert_eq!(press(&mut app, "g Enter"), [Effect::LookForRow(jane())]);
    let effects = update(&mut app, Msg::RowLookedFor { row: jane(), result: Ok(()) });
    assert!(effects.contains(&Effect::LoadRecord(jane())), "{effects:?}");
    assert!(effects.contains(&Effect::EndHeroku) && app.overlays.is_empty(), "{effects:?}");
    // A search that was given up opens nothing.
    command(&mut app, "heroku write errors");
    came(&mut app, 2, HerokuListed::WriteErrors(write_errors()));
    press(&mut app, "Enter Esc");
    let late = update(&mut app, Msg::RowLookedFor { row: jane(), result: Ok(()) });
    assert!(!late.contains(&Effect::LoadRecord(jane())), "{late:?}");
    assert!(text(&app).contains("write errors 3"), "{}", text(&app));
}

/// From the list of refused writes to Jane's record, while her row's checks are asked for beside.
fn opened(app: &mut App) {
    command(app, "heroku write errors");
    let (id, checks) = (app.navigation.heroku_asks, app.navigation.heroku_asks + 1);
    came(app, id, HerokuListed::WriteErrors(write_errors()));
    assert_eq!(press(app, "S-Tab"), load(checks, HerokuList::Checks));
    press(app, "Tab Enter");
    update(app, Msg::RowLookedFor { row: jane(), result: Ok(()) });
    assert!(app.overlays.is_empty() && app.ctx.focus == Pane::Record, "{}", text(app));
}

#[test]
fn a_step_back_from_the_record_leads_to_the_list_it_was_opened_from() {
    let mut app = beside(SIZE, heard());
    let from = app.ctx.focus;
    opened(&mut app);
    press(&mut app, "Esc");
    assert!(text(&app).contains("write errors 3"), "{}", text(&app));
    assert_eq!(app.ctx.focus, from);
    // What was given up on the way is asked for where it is looked at.
    assert_eq!(press(&mut app, "S-Tab"), load(3, HerokuList::Checks));
    press(&mut app, "Esc");
    assert!(app.overlays.is_empty(), "{}", text(&app));
    // Whoever went elsewhere meanwhile comes back there.
    opened(&mut app);
    press(&mut app, "2 3 Esc");
    assert!(app.overlays.is_empty() && app.ctx.focus == Pane::Errors, "{}", text(&app));
}

#[test]
fn a_record_with_changes_that_are_not_saved_keeps_the_list() {
    let mut app = beside(SIZE, heard());
    let other = RowRef { row: RowId(10_236), ..jane() };
    app.selection.show(other.clone());
    let field = FieldEdit { column: "email".to_owned(), shown: None, new: Some("x".to_owned()) };
    app.selection.record_of(&other).unwrap().keep(field);
    command(&mut app, "heroku write errors");
    came(&mut app, 1, HerokuListed::WriteErrors(write_errors()));
    press(&mut app, "Enter");
    let effects = update(&mut app, Msg::RowLookedFor { row: jane(), result: Ok(()) });
    assert!(effects.is_empty(), "{effects:?}");
    let shown = text(&app);
    assert!(shown.contains("write errors 3"), "{shown}");
    assert!(shown.contains("Contact 10236 has changed fields that are not saved"), "{shown}");
}

#[test]
fn notifications_are_acknowledged_up_to_the_newest_that_shows_after_a_question() {
    let mut app = beside(SIZE, heard());
    command(&mut app, "heroku notifications");
    came(&mut app, 1, HerokuListed::Notifications(notifications()));
    assert!(press(&mut app, "a").is_empty());
    let asked = text(&app);
    assert!(asked.contains("DEMO: herokuconnect-angular-12345 of acme-prod: 2 notifications."), "{asked}");
    press(&mut app, "Esc");
    press(&mut app, "a");
    let newest = notifications().items[0].created_at.unwrap();
    let before = Some(newest.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    let filter = NotificationFilter { before, ..NotificationFilter::default() };
    assert_eq!(press(&mut app, "y"), [Effect::AcknowledgeHeroku(filter)]);
    let done = Msg::HerokuAcknowledged(Ok("they are acknowledged".to_owned()));
    let effects = update(&mut app, done);
    assert!(effects.contains(&load(2, HerokuList::Notifications)[0]), "{effects:?}");
    assert!(text(&app).contains("they are acknowledged"), "{}", text(&app));
    // It is asked for again, too, where another list showed meanwhile and where the answer was lost.
    came(&mut app, 2, HerokuListed::Notifications(notifications()));
    press(&mut app, "a y [");
    update(&mut app, Msg::HerokuAcknowledged(Err(ClientError::unavailable("no whole answer"))));
    let again = press(&mut app, "Tab");
    let [Effect::LoadHeroku { id, list: HerokuList::Notifications }] = again[..] else { panic!("{again:?}") };
    // What did not come is not said to be nothing.
    let none = ToldList { count: Some(5), items: Vec::new(), unread: None };
    came(&mut app, id, HerokuListed::Notifications(none));
    assert!(press(&mut app, "a").is_empty());
    assert!(text(&app).contains("none of them came"), "{}", text(&app));
    let again = press(&mut app, "r");
    let [Effect::LoadHeroku { id, .. }] = again[..] else { panic!("{again:?}") };
    // Where they have no times, and where nothing may be changed, nothing is asked.
    let mut timeless = notifications();
    timeless.items.iter_mut().for_each(|of| of.created_at = None);
    came(&mut app, id, HerokuListed::Notifications(timeless));
    assert!(press(&mut app, "a").is_empty());
    assert!(text(&app).contains("does not say when these came"), "{}", text(&app));
    press(&mut app, "r");
    came(&mut app, id + 1, HerokuListed::Notifications(notifications()));
    app.ctx.read_only = true;
    assert!(press(&mut app, "a y").iter().all(|effect| matches!(effect, Effect::Copy(_))));
    assert!(!text(&app).contains(" a acknowledge"), "{}", text(&app));
}

#[test]
fn heroku_connect_begins_again_after_a_question() {
    let mut app = beside(SIZE, heard());
    assert!(command(&mut app, "heroku recover").is_empty());
    assert!(text(&app).contains("again, as after a new sign-in"), "{}", text(&app));
    assert_eq!(press(&mut app, "y"), [Effect::RecoverHeroku]);
}

#[test]
fn what_cannot_be_asked_here_says_why() {
    let mut app = full(SIZE);
    for title in ["heroku write errors", "heroku notifications", "heroku diagnose", "heroku recover"] {
        assert!(command(&mut app, title).is_empty(), "{title}");
        assert!(text(&app).contains("an engine of syncdeck keeps these tables"), "{}", text(&app));
        press(&mut app, "Esc");
    }
    // Without a key a list says which and what for; what only the API does is not offered.
    let mut app = beside(SIZE, HerokuStatus::default());
    assert!(command(&mut app, "heroku recover").is_empty());
    assert!(text(&app).contains("set HEROKU_API_KEY and [heroku] app"), "{}", text(&app));
    press(&mut app, "Esc");
    assert_eq!(command(&mut app, "heroku diagnose"), load(1, HerokuList::Checks));
}
