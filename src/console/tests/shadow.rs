//! A comparison beside Heroku Connect, by keys: it begins without a question, is left going, and stops after one.

use std::time::Duration;

use super::screens::text;
use super::setup::{attached, command};
use super::world::press;
use super::world::shadow::{comparing, prepared, report, round, without_org};
use crate::client::api::ClientError;
use crate::client::setup::shadow::ShadowNews;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;

const SIZE: (u16, u16) = (120, 40);

fn begun(effects: &[Effect]) -> Vec<Option<Duration>> {
    let time = |effect: &Effect| match effect {
        Effect::RunShadow { id: 1, time, .. } => Some(*time),
        _ => None,
    };
    effects.iter().filter_map(time).collect()
}

fn done(app: &mut App) {
    update(app, Msg::ShadowDone { id: 1, result: Ok(report("x")) });
}

#[test]
fn it_compares_for_as_long_as_one_says_and_stops_after_a_question() {
    let mut app = prepared(SIZE);
    // It changes nothing: it may be begun where nothing may be changed.
    app.ctx.read_only = true;
    press(&mut app, "t C-u");
    super::world::type_in(&mut app, "soon");
    press(&mut app, "Enter");
    assert!(text(&app).contains("write how long"), "{}", text(&app));
    press(&mut app, "C-u");
    super::world::type_in(&mut app, "8h");
    press(&mut app, "Enter");
    assert!(text(&app).contains("It compares for 8 h"), "{}", text(&app));
    assert_eq!(begun(&press(&mut app, "Enter Enter")), [Some(Duration::from_secs(8 * 3_600))]);
    update(&mut app, Msg::ShadowTold { id: 1, news: ShadowNews::Round(round(1, "2 stay different")) });
    assert!(text(&app).contains("2 stay different"), "{}", text(&app));
    // Only a yes stops it, once.
    assert!(press(&mut app, "s n s Esc s Enter Esc").is_empty());
    assert_eq!(press(&mut app, "s y"), [Effect::StopShadow]);
    assert!(press(&mut app, "s y").is_empty());
    assert!(text(&app).contains("the report comes in a moment"), "{}", text(&app));
    done(&mut app);
    assert!(text(&app).contains("Not in step, over 3 rounds"), "{}", text(&app));
    let copied = press(&mut app, "y");
    let [Effect::Copy(all)] = copied.as_slice() else { panic!("{copied:?}") };
    assert!(all.contains("Email: 12 rows"), "{all}");
    let written = press(&mut app, "x Enter");
    assert_eq!(written, [Effect::WriteText { path: "shadow.txt".to_owned(), text: all.clone() }]);
    // What comes late says nothing more.
    update(&mut app, Msg::ShadowTold { id: 1, news: ShadowNews::Now("late".to_owned()) });
    update(&mut app, Msg::ShadowFound { id: 1, result: Err(ClientError::refused("late")) });
    assert!(!text(&app).contains("late"), "{}", text(&app));
    assert_eq!(press(&mut app, "r"), [Effect::LookAtShadow { id: 2, file: None }]);
    assert_eq!(press(&mut app, "Esc"), [Effect::EndLook]);
}

#[test]
fn it_goes_on_aside_and_comes_back_with_what_it_told_meanwhile() {
    let mut app = comparing(SIZE);
    assert!(press(&mut app, "Esc").is_empty() && app.overlays.is_empty());
    assert!(text(&app).contains("it goes on comparing; :shadow shows how far it is"), "{}", text(&app));
    assert!(app.unfinished().is_some_and(|told| told.contains("without its report")));
    update(&mut app, Msg::ShadowTold { id: 1, news: ShadowNews::Round(round(1, "nothing")) });
    assert!(command(&mut app, "shadow").is_empty());
    assert!(text(&app).contains("round 1"), "{}", text(&app));
    press(&mut app, "Esc");
    done(&mut app);
    assert!(text(&app).contains("is over; :shadow shows the report"), "{}", text(&app));
    assert_eq!(app.unfinished(), None);
    assert!(command(&mut app, "shadow").is_empty());
    assert!(text(&app).contains("Not in step, over 3 rounds"), "{}", text(&app));
    press(&mut app, "Esc");
    // The next one is looked at anew.
    assert_eq!(command(&mut app, "shadow"), [Effect::LookAtShadow { id: 2, file: None }]);
}

#[test]
fn a_connection_without_a_login_asks_for_a_configuration_that_has_one() {
    let mut app = attached(SIZE);
    command(&mut app, "shadow");
    update(&mut app, Msg::ShadowFound { id: 1, result: Ok(without_org()) });
    press(&mut app, "Enter");
    assert!(text(&app).contains("Compare with which configuration?"), "{}", text(&app));
    let request = Effect::LookAtShadow { id: 2, file: Some("own.toml".to_owned()) };
    assert_eq!(press(&mut app, "Enter"), [request]);
    assert_eq!(app.overlays.len(), 1);
}
