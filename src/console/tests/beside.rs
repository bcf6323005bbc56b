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
