//! The causes of errors on their own screen, and those of one mapping.

use super::screens::text;
use super::world::{about, full, groups, press, told_of_groups, type_in, waited_for};
use crate::client::api::ClientError;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::domain::errors::group::Group;

/// The screen with two groups.
fn open() -> App {
    let mut app = full((120, 40));
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    app
}

/// They come once more, with one that was not there, which has the most.
fn with_a_new_one() -> Vec<Group> {
    let new = Group { group: "77aa".to_owned(), count: 9_000, ..groups().remove(0) };
    [vec![new], groups()].concat()
}

#[test]
fn a_new_group_is_told_of_and_moves_nothing() {
    let mut app = open();
    press(&mut app, "j");
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(with_a_new_one()) });
    assert!(text(&app).contains("▼ 1 new group at the end"), "{}", text(&app));
    // It is seen where one stands on it, and sorted in on a key; the selection stays on its own.
    press(&mut app, "G");
    assert!(!text(&app).contains("new group at the end"), "{}", text(&app));
    press(&mut app, "R Enter");
    assert_eq!(app.errors.filter, "group:77aa");
    let mut app = open();
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(with_a_new_one()) });
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "group:03aa");
}

#[test]
fn the_hour_and_the_remedies_are_asked_for_once_and_again_after_a_look() {
    let mut app = full((120, 40));
    let effects = waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    let fit = |group: &str, count| Effect::LoadFit {
        group: group.to_owned(),
        filter: format!("group:{group}"),
        count,
    };
    assert_eq!(effects, [Effect::LoadGroupHours(String::new()), fit("03aa", 187)]);
    told_of_groups(&mut app);
    let screen = text(&app);
    for told in ["remedy fits 38 of the first 40", "no remedy mends any of 44", "80 %", "19 %"] {
        assert!(screen.contains(told), "{told}\n{screen}");
    }
    // The counts are as they were: nothing of the remedies is asked for again.
    let effects = update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(groups()) });
    assert_eq!(effects, [Effect::LoadGroupHours(String::new())]);
}

#[test]
fn groups_that_cannot_be_read_again_stay_and_say_why_and_without_any_it_is_said() {
    let mut app = open();
    let refused = Err(ClientError::refused("too late"));
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: refused });
    assert!(text(&app).contains("this is how it was: too late"), "{}", text(&app));
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(Vec::new()) });
    assert!(text(&app).contains("nothing is wrong here that needs a person"), "{}", text(&app));
    assert!(press(&mut app, "m Enter 1").is_empty());
    press(&mut app, "Esc");
    assert!(app.overlays.is_empty());
}

#[test]
fn a_console_may_begin_with_the_groups() {
    let mut app = full((120, 40));
    app.ctx.settings.begins_with_groups = true;
    let effects = update(&mut app, Msg::Opened(Vec::new()));
    assert!(effects.contains(&Effect::LoadGroups("needs:person".to_owned())), "{effects:?}");
    update(&mut app, Msg::Groups { filter: "needs:person".to_owned(), result: Ok(groups()) });
    assert!(matches!(&app.overlays[..], [Overlay::Groups(_)]), "{:?}", app.overlays);
}

#[test]
fn a_zoomed_mapping_tells_its_causes_runs_and_rules_and_a_digit_lists_a_cause() {
    let mut app = full((120, 40));
    press(&mut app, "1 j");
    let effects = press(&mut app, "z");
    assert!(effects.contains(&Effect::LoadAbout("Contact".to_owned())), "{effects:?}");
    update(&mut app, Msg::About { mapping: "Contact".to_owned(), result: Box::new(Ok(about())) });
    let screen = text(&app);
    for told in [
        "sends       12 rows wait",
        "reads       read ",
        "1     187",
        "last runs",
        "187 sent, 140 taken",
        "set by ada@ops",
    ] {
        assert!(screen.contains(told), "{told}\n{screen}");
    }
    press(&mut app, "2");
    assert_eq!((app.ctx.focus, app.errors.filter.as_str()), (Pane::Errors, "group:8fb2"));
    // Without a cause of that number it is the pane's.
    press(&mut app, "1 z 5");
    assert_eq!(app.ctx.focus, Pane::Pending);
}

#[test]
fn the_groups_of_a_mapping_lead_back_to_them() {
    let mut app = full((120, 40));
    press(&mut app, "1 j");
    let asked = Effect::LoadGroups("needs:person mapping:Contact".to_owned());
    assert!(press(&mut app, "c").contains(&asked));
    let filter = "needs:person mapping:Contact".to_owned();
    update(&mut app, Msg::Groups { filter, result: Ok(groups()) });
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "group:03aa mapping:Contact");
    assert!(press(&mut app, "Esc").contains(&asked));
    assert_eq!(app.ctx.focus, Pane::Mappings);
}

#[test]
fn the_palette_goes_to_a_mapping_and_looks_at_it_alone() {
    let mut app = full((120, 40));
    press(&mut app, ":");
    type_in(&mut app, "contact");
    press(&mut app, "Enter");
    assert_eq!((app.ctx.focus, app.ctx.zoom), (Pane::Mappings, true));
}
