//! The console on a database that Heroku Connect keeps: what it says it is, and keys that cannot do anything there.

use super::screens::text;
use super::world::{console, full, now, overview, press, type_in};
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::domain::attached::told::{HerokuStatus, ToldMapping};
use crate::domain::reports::overview::{Overview, Writes};
use crate::domain::state::{ConnectionState, EngineState};

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

/// Attached, with an API that can be asked.
fn with_api(state: Option<&str>, trouble: Option<&str>) -> Overview {
    let heroku = HerokuStatus {
        has_key: true,
        app: Some("acme-prod".to_owned()),
        resource: state.map(|_| "herokuconnect-1".to_owned()),
        state: state.map(str::to_owned),
        told_at: state.map(|_| now()),
        trouble: trouble.map(str::to_owned),
        ..HerokuStatus::default()
    };
    Overview { heroku: Some(heroku), ..attached() }
}

#[test]
fn the_header_says_what_its_api_tells_and_why_it_does_not() {
    let told_before = |seconds: i64| {
        let mut overview = with_api(Some("IDLE"), None);
        overview.heroku.as_mut().unwrap().told_at = Some(now() - chrono::Duration::seconds(seconds));
        overview
    };
    let unwell = |state: &str, of: ConnectionState| {
        let mut overview = with_api(Some(state), None);
        overview.connection.state = of;
        overview.connection.detail = Some("sign in again: heroku connect:sf:auth".to_owned());
        overview
    };
    for (overview, word) in [
        (with_api(Some("IDLE"), None), "● attached to Heroku Connect · idle"),
        (with_api(Some("PAUSED"), None), "= Heroku Connect paused"),
        (with_api(None, None), "● attached to Heroku Connect "),
        (with_api(None, Some("Heroku refuses the API key\nset it")), "▲ Heroku Connect's API fails"),
        (with_api(None, Some("Heroku refuses the API key\nset it")), "Heroku refuses the API key"),
        (told_before(30), "● attached to Heroku Connect · idle "),
        (told_before(31), "● Heroku Connect idle at 14:0"),
        (unwell("UNAUTHORIZED", ConnectionState::Unauthorized), "▲ Heroku Connect unauthorized"),
        (unwell("UNAUTHORIZED", ConnectionState::Unauthorized), "sign in again"),
        (with_api(Some("\u{1b}[31mODD"), None), "attached to Heroku Connect · \\e[31modd"),
    ] {
        let mut app = console((140, 40));
        update(&mut app, Msg::Overview(Ok(overview)));
        assert!(text(&app).contains(word), "{word}:\n{}", text(&app));
    }
}

#[test]
fn a_mapping_on_the_whole_screen_says_what_its_api_tells_of_it() {
    let mut told = with_api(Some("IDLE"), None);
    let of = ToldMapping { state: "RELOAD_TABLE".to_owned(), records: Some(6_000), ..ToldMapping::default() };
    told.mappings[0].heroku = Some(of);
    let trouble = with_api(None, Some("it is away\nlook there"));
    for (overview, words) in [
        (told, "RELOAD_TABLE: is read again as a whole, told by its API at 14:02"),
        (trouble, "what the database tells: it is away; look there"),
    ] {
        let mut app = full((100, 40));
        update(&mut app, Msg::Overview(Ok(overview)));
        press(&mut app, "1 z");
        let screen = text(&app).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(screen.contains(words), "{words}:\n{}", text(&app));
    }
}

#[test]
fn keys_pause_resume_and_reload_by_its_api_after_a_question_that_says_what_it_does() {
    let pause = Effect::Writes { mapping: None, to: Writes::Pause };
    let resume = Effect::Writes { mapping: None, to: Writes::Resume };
    let contact = Effect::Reload(Some("Account".to_owned()));
    for (state, key, question, effect) in [
        (Some("IDLE"), "p", "finishes", pause),
        (Some("PAUSED"), "p", "goes on.", resume),
        (Some("IDLE"), "L", "empties", contact),
    ] {
        let mut app = full((120, 40));
        update(&mut app, Msg::Overview(Ok(with_api(state, None))));
        press(&mut app, &format!("1 {key}"));
        assert!(text(&app).contains(question), "{key}:\n{}", text(&app));
        // Which one is told, and on what environment.
        let screen = text(&app).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(screen.contains("herokuconnect-1 of acme-prod"), "{key}:\n{}", text(&app));
        assert_eq!(press(&mut app, "y"), [effect], "{key}");
    }
    let mut app = full((120, 40));
    update(&mut app, Msg::Overview(Ok(with_api(Some("IDLE"), None))));
    press(&mut app, "1 d");
    assert!(app.overlays.is_empty() && text(&app).contains("cannot drain"), "{}", text(&app));
    for key in ["p", "L"] {
        update(&mut app, Msg::Overview(Ok(attached())));
        press(&mut app, &format!("1 {key}"));
        assert!(app.overlays.is_empty() && text(&app).contains("HEROKU_API_KEY"), "{}", text(&app));
    }
}

#[test]
fn a_key_that_does_one_of_two_things_is_not_guessed_where_the_state_is_not_known() {
    for overview in [
        with_api(None, Some("Heroku refuses the API key\nset it")),
        with_api(None, None),
        with_api(Some("DREAMING"), None),
    ] {
        let mut app = full((120, 40));
        update(&mut app, Msg::Overview(Ok(overview)));
        press(&mut app, "1 p");
        assert!(app.overlays.is_empty(), "{}", text(&app));
        let screen = text(&app);
        assert!(screen.contains(":pause-all") && screen.contains(":resume-all"), "{screen}");
    }
}

#[test]
fn emptying_tables_on_production_is_asked_about_as_stopping_their_writes() {
    let reload = |effect: &Effect, environment: &str| {
        let mut overview = with_api(Some("IDLE"), None);
        environment.clone_into(&mut overview.connection.environment);
        let mut app = full((120, 40));
        update(&mut app, Msg::Overview(Ok(overview)));
        let count = app.ctx.mappings().len();
        press(&mut app, "1");
        let asked = if matches!(effect, Effect::Reload(None)) {
            press(&mut app, ":");
            type_in(&mut app, "reload all");
            press(&mut app, "Enter")
        } else {
            press(&mut app, "L")
        };
        assert!(asked.is_empty());
        (app, count)
    };
    let (all, one) = (Effect::Reload(None), Effect::Reload(Some("Account".to_owned())));
    let (mut app, count) = reload(&all, "prod");
    let screen = text(&app).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        screen.contains("PROD: herokuconnect-1 of acme-prod: all") && screen.contains("empties"),
        "{screen}"
    );
    assert!(press(&mut app, "y").is_empty(), "a yes is not enough for {count}");
    let (mut app, _) = reload(&one, "prod");
    assert!(text(&app).contains("PROD: herokuconnect-1 of acme-prod: Account"), "{}", text(&app));
    assert_eq!(press(&mut app, "y"), std::slice::from_ref(&one));
    for effect in [all, one] {
        let (mut app, _) = reload(&effect, "test");
        assert_eq!(press(&mut app, "y"), [effect], "at least a yes");
    }
}
