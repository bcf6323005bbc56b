//! The sources of the log, each with how it stands and its switch; filters of the log that are kept under names.

use serde_json::{Value, json};

use super::lines::{line, of};
use super::screens::text;
use super::world::{console, overview, press, type_in};
use crate::config::state::SessionState;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::pane::Pane;
use crate::logs::source::{Batch, SourceFailure, SourceStanding};
use crate::logs::{ELSEWHERE, Level, LogRecord, OWN_SOURCE};

/// A console with two sources, at the log.
fn with_sources(size: (u16, u16)) -> App {
    let mut app = console(size);
    update(&mut app, Msg::Opened(vec![("shop".to_owned(), "heroku"), ("access".to_owned(), "file")]));
    update(&mut app, Msg::Overview(Ok(overview())));
    let own =
        LogRecord { source: OWN_SOURCE.to_owned(), ..line(1, 9, Level::Info, "writer", "sent", json!({})) };
    update(&mut app, Msg::Log(Ok(vec![own])));
    press(&mut app, "4");
    app
}

fn from(source: &str, message: &str, fields: Value) -> LogRecord {
    LogRecord { source: source.to_owned(), ..line(ELSEWHERE, 5, Level::Info, "web.1", message, fields) }
}

fn stands(app: &mut App, source: &str, standing: SourceStanding) {
    let standings = vec![(source.to_owned(), standing)];
    update(app, Msg::Lines(Batch { standings, ..Batch::default() }));
}

fn fails() -> SourceStanding {
    SourceStanding::Fails(SourceFailure {
        what: "acme-shop: the API key is refused".to_owned(),
        remedy: "set HEROKU_API_KEY to a valid one".to_owned(),
    })
}

/// The first line of the screen.
fn header(app: &App) -> String {
    text(app).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_source_that_fails_is_named_in_the_header_until_it_is_back() {
    for (size, one, two) in
        [((120, 40), "▲ log of shop fails", "▲ 2 logs fail: shop, ..."), ((80, 24), "▲ log ", "▲ logs ")]
    {
        let mut app = with_sources(size);
        assert!(!header(&app).contains("▲ log"), "{}", header(&app));
        stands(&mut app, "shop", fails());
        assert!(header(&app).contains(one), "{}", header(&app));
        stands(&mut app, "access", fails());
        assert!(header(&app).contains(two), "{}", header(&app));
        stands(&mut app, "access", SourceStanding::Works);
        stands(&mut app, "shop", SourceStanding::Works);
        assert!(!header(&app).contains("▲ log"), "{}", header(&app));
        stands(&mut app, "nobody", fails());
        assert!(!header(&app).contains("▲ log"), "{}", header(&app));
    }
}

#[test]
fn the_sources_are_listed_with_how_they_stand_what_came_and_what_is_missing() {
    let mut app = with_sources((120, 40));
    update(
        &mut app,
        Msg::Lines(of(vec![
            from("shop", "GET /", json!({"status": 200})),
            from("shop", "400 lines are missing here", json!({"dropped": 400})),
            from("shop", "dropped by the app itself", json!({"dropped": 7, "queue": "mail"})),
            from("access", "lines may be missing here", json!({"dropped": "unknown"})),
        ])),
    );
    stands(&mut app, "shop", SourceStanding::Works);
    stands(&mut app, "access", fails());
    press(&mut app, "S");
    let drawn = text(&app);
    for row in [
        "on   syncdeck         works                1           -  engine",
        "on   shop             works                3         400  heroku",
        "on   access           fails                1        some  file",
    ] {
        assert!(drawn.contains(row), "{row} in {drawn}");
    }
    assert!(!drawn.contains("the API key is refused"), "{drawn}");
    press(&mut app, "G");
    assert!(text(&app).contains("the API key is refused; set HEROKU_API_KEY"), "{}", text(&app));
    stands(&mut app, "access", SourceStanding::Works);
    assert!(!text(&app).contains("the API key is refused"), "{}", text(&app));
}

#[test]
fn a_source_that_is_switched_off_is_hidden_and_kept_and_this_outlasts_the_console() {
    let mut app = with_sources((120, 40));
    update(&mut app, Msg::Lines(of(vec![from("shop", "one", json!({})), from("access", "two", json!({}))])));
    press(&mut app, "S j Enter Esc");
    assert_eq!(app.log.len(), 2);
    assert!(text(&app).contains("4 Log · shop off"), "{}", text(&app));
    update(
        &mut app,
        Msg::Lines(of(vec![from("shop", "three", json!({})), from("access", "four", json!({}))])),
    );
    assert_eq!(app.log.len(), 3);
    // A filter is one more thing that hides lines, and the preview counts with both.
    press(&mut app, "/");
    type_in(&mut app, "-two");
    assert!(text(&app).contains("2 of 5 lines pass, 3 are hidden"), "{}", text(&app));
    press(&mut app, "Enter");
    assert!(text(&app).contains("4 Log · -two · shop off"), "{}", text(&app));
    press(&mut app, "Esc");
    assert_eq!(app.log.len(), 3, "Esc takes the filter away, not the switch");
    let state = app.session();
    assert_eq!(state.sources_off, ["shop"]);
    press(&mut app, "S j Space Esc");
    assert_eq!(app.log.len(), 5);
    assert!(!text(&app).contains(" off"), "{}", text(&app));

    let mut next = with_sources((120, 40));
    next.resume(&state);
    update(&mut next, Msg::Lines(of(vec![from("shop", "one", json!({})), from("access", "two", json!({}))])));
    assert_eq!(next.log.len(), 2);
    press(&mut next, "4 S Enter j j Enter Esc");
    assert!(text(&next).contains("all lines here are of sources that are off"), "{}", text(&next));
}

#[test]
fn a_filter_of_the_log_is_named_kept_over_restarts_and_chosen() {
    let mut app = console((120, 40));
    update(
        &mut app,
        Msg::Log(Ok(vec![
            line(1, 9, Level::Info, "web.1", "quick", json!({"service": 12})),
            line(2, 8, Level::Info, "web.1", "slow", json!({"service": 7_000})),
        ])),
    );
    press(&mut app, "4 F");
    assert!(text(&app).contains("there is no filter to keep"), "{}", text(&app));
    press(&mut app, "K");
    assert!(text(&app).contains("no filter was kept yet"), "{}", text(&app));
    press(&mut app, "/");
    type_in(&mut app, "service>5s");
    press(&mut app, "Enter F");
    assert!(text(&app).contains("Keep the filter service>5s"), "{}", text(&app));
    type_in(&mut app, "slow ones");
    let effects = press(&mut app, "Enter");
    let [Effect::SaveState(state)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(state.log_saved["slow ones"], "service>5s");
    assert!(state.saved.is_empty(), "the errors' filters are others");
    assert_eq!(state.log_history, ["service>5s"]);

    // Another console, in which nobody filtered yet.
    let mut next = console((120, 40));
    next.resume(&SessionState { log_filter: String::new(), ..(**state).clone() });
    update(
        &mut next,
        Msg::Log(Ok(vec![
            line(1, 9, Level::Info, "web.1", "quick", json!({"service": 12})),
            line(2, 8, Level::Info, "web.1", "slow", json!({"service": 7_000})),
        ])),
    );
    press(&mut next, "4 K");
    let drawn = text(&next);
    assert!(drawn.contains("Filter the log by") && drawn.contains("slow ones"), "{drawn}");
    press(&mut next, "Enter");
    assert_eq!((next.log.filter.as_str(), next.log.len()), ("service>5s", 1));
    // By its name, from anywhere.
    press(&mut next, "Esc 2 :");
    type_in(&mut next, "log filter slow");
    press(&mut next, "Enter");
    assert_eq!((next.log.filter.as_str(), next.ctx.focus), ("service>5s", Pane::Log));
    // What was typed before is recalled.
    press(&mut next, "Esc / Up Enter");
    assert_eq!(next.log.filter, "service>5s");
    press(&mut next, "2 K");
    assert!(text(&next).contains("no filter was kept yet"), "of errors: {}", text(&next));
}
