//! The console on a database that Heroku Connect keeps: what it says it is, and keys that cannot do anything there.

use super::screens::text;
use super::world::{console, full, overview, press};
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::domain::reports::overview::Overview;
use crate::domain::state::EngineState;

fn attached() -> Overview {
    let mut overview = overview();
    overview.engine.state = EngineState::Attached;
    overview
}

#[test]
fn the_header_says_what_it_is_and_the_bar_that_nothing_is_noted() {
    for (size, word) in [((120, 40), "● attached to Heroku Connect"), ((80, 24), "● Heroku Connect")] {
        let mut app = console(size);
        update(&mut app, Msg::Overview(Ok(attached())));
        let screen = text(&app);
        assert!(screen.contains(word) && screen.contains("what you do here is in no audit"), "{screen}");
    }
}

#[test]
fn what_the_list_leaves_out_is_told_above_it_and_whole_by_a_key() {
    let cap = "of 31000 rows with failed changes, the newest 20000 are listed";
    let table = "kept: its rows were not counted: \u{1b}[31mout of reach";
    for size in [(120, 40), (80, 24)] {
        let mut app = full(size);
        update(&mut app, Msg::Overview(Ok(attached())));
        press(&mut app, "2");
        assert!(!text(&app).contains("incomplete: "), "{}", text(&app));
        let before = text(&app);
        update(
            &mut app,
            Msg::Overview(Ok(Overview { gaps: vec![cap.to_owned(), table.to_owned()], ..attached() })),
        );
        let screen = text(&app);
        assert!(screen.contains("▲ incomplete: of 31000 rows") && screen.contains("+1  B all"), "{screen}");
        assert_ne!(before, screen);
        press(&mut app, "B");
        let whole = text(&app).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(whole.contains("its rows were not counted") && whole.contains("out of reach"), "{whole}");
        assert!(!whole.contains('\u{1b}'), "{whole}");
        press(&mut app, "Esc");
        assert!(app.overlays.is_empty());
        // The selected line stays in sight below it.
        press(&mut app, "G");
        let last = app.errors.items.last().unwrap().code.clone();
        assert!(text(&app).contains(&last), "{last}: {}", text(&app));
    }
}

#[test]
fn a_key_that_needs_an_engine_of_ours_says_why_it_does_nothing() {
    for (keys, why) in [
        ("u", "Heroku Connect alone knows what Salesforce has"),
        ("U", "nothing notes here who did what"),
        ("a", "nothing notes here who did what"),
        ("M", "no figures of the past"),
        ("1 s", "Heroku Connect has no strategies"),
        ("1 v", "has no login"),
    ] {
        let mut app = full((120, 40));
        update(&mut app, Msg::Overview(Ok(attached())));
        press(&mut app, keys);
        assert!(app.overlays.is_empty(), "{keys}");
        assert!(text(&app).contains(why), "{keys}:\n{}", text(&app));
    }
}
