//! A plan, a takeover and its way back, by keys: what is asked, what is done once, and what is not done.

use super::screens::text;
use super::world::setup::{planned_start, refused_takeover, taken_over, takeover, way_back};
use super::world::{full, overview, press, type_in};
use crate::client::api::{ClientError, Event};
use crate::client::setup::SetupTask;
use crate::client::setup::text::adopt_question;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::{Effect, SetupRequest};
use crate::console::msg::Msg;
use crate::domain::state::EngineState;

/// A console on a database that Heroku Connect keeps.
pub fn attached(size: (u16, u16)) -> App {
    let mut app = full(size);
    let mut overview = overview();
    overview.engine.state = EngineState::Attached;
    update(&mut app, Msg::Overview(Ok(overview)));
    app.ctx.toast = None;
    app
}

/// Runs a command by its title.
pub fn command(app: &mut App, title: &str) -> Vec<Effect> {
    press(app, ":");
    type_in(app, title);
    press(app, "Enter")
}

/// A takeover that was confirmed.
pub fn taking_over(size: (u16, u16)) -> App {
    let mut app = attached(size);
    command(&mut app, "adopt");
    press(&mut app, "Enter");
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(takeover()) });
    press(&mut app, "Enter");
    type_in(&mut app, "acme");
    press(&mut app, "Enter");
    app
}

fn runs(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::RunSetup { .. })).count()
}

#[test]
fn a_takeover_asks_for_a_configuration_and_for_the_name_and_is_begun_once() {
    let mut app = attached((120, 40));
    assert!(command(&mut app, "adopt").is_empty());
    press(&mut app, "C-u");
    type_in(&mut app, "move.toml");
    let request = SetupRequest { id: 1, task: SetupTask::Adopt, file: Some("move.toml".to_owned()) };
    assert_eq!(press(&mut app, "Enter"), [Effect::LookAtSetup(request)]);
    // Nothing is agreed to before it shows.
    assert_eq!(runs(&press(&mut app, "Enter y Enter")), 0);
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(takeover()) });
    assert_eq!(runs(&press(&mut app, "y Enter y Enter")), 0);
    assert!(text(&app).contains("that is not acme; nothing was done"), "{}", text(&app));
    press(&mut app, "C-u");
    type_in(&mut app, "acme");
    assert_eq!(runs(&press(&mut app, "Enter Enter y Esc q")), 1);
    assert!(text(&app).contains("cannot be stopped half-way"), "{}", text(&app));
    let effects = update(&mut app, Msg::SetupDone { id: 1, result: Ok(taken_over()) });
    assert!(effects.contains(&Effect::LoadOverview), "{effects:?}");
    // What shows was lost for having been taken over, which is what the first line says.
    update(&mut app, Msg::Event(Event::Lost("they were taken over".to_owned())));
    assert!(text(&app).contains("▲ taken over: its own console shows it now"), "{}", text(&app));
    assert_eq!(press(&mut app, "c"), [Effect::Copy("syncdeck run --config /srv/acme/own.toml".to_owned())]);
    press(&mut app, "Esc");
    assert!(app.overlays.is_empty());
    // The configuration is remembered, and the way back is open although nothing else is.
    let request = SetupRequest { id: 2, task: SetupTask::UndoAdopt, file: None };
    assert_eq!(command(&mut app, "adopt undo"), [Effect::LookAtSetup(request)]);
    update(&mut app, Msg::SetupFound { id: 2, result: Ok(way_back()) });
    press(&mut app, "Enter");
    assert_eq!(runs(&press(&mut app, "y Enter Enter")), 0);
    press(&mut app, "C-u");
    type_in(&mut app, " acme ");
    assert_eq!(runs(&press(&mut app, "Enter")), 1);
    update(&mut app, Msg::SetupDone { id: 2, result: Ok(Vec::new()) });
    update(&mut app, Msg::Event(Event::Restored));
    press(&mut app, "Esc");
    assert!(text(&app).contains("Heroku Connect keeps these tables again"), "{}", text(&app));
    command(&mut app, "plan");
    assert!(text(&app).contains("move.toml"), "{}", text(&app));
}

#[test]
fn what_was_given_up_does_not_come_and_a_look_again_is_another_one() {
    let mut app = attached((80, 24));
    command(&mut app, "plan");
    press(&mut app, "Enter");
    assert_eq!(press(&mut app, "Esc"), [Effect::EndLook]);
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(planned_start()) });
    assert!(app.overlays.is_empty(), "{}", text(&app));
    command(&mut app, "plan");
    press(&mut app, "Enter");
    update(&mut app, Msg::SetupFound { id: 2, result: Err(ClientError::refused("no way\ntry it")) });
    assert!(text(&app).contains("✗ no way") && text(&app).contains("try it"), "{}", text(&app));
    let request = |id, task| SetupRequest { id, task, file: Some("own.toml".to_owned()) };
    assert_eq!(press(&mut app, "r"), [Effect::LookAtSetup(request(3, SetupTask::Plan))]);
    update(&mut app, Msg::SetupFound { id: 2, result: Ok(planned_start()) });
    assert!(text(&app).contains("asking Salesforce"), "{}", text(&app));
    update(&mut app, Msg::SetupFound { id: 3, result: Ok(planned_start()) });
    // From the plan on to the takeover; there is one screen of this kind.
    assert_eq!(press(&mut app, "a"), [Effect::LookAtSetup(request(4, SetupTask::Adopt))]);
    assert_eq!(app.overlays.len(), 1);
}

#[test]
fn a_plan_scrolls_to_its_last_line_and_no_further() {
    let mut app = attached((80, 24));
    command(&mut app, "plan");
    press(&mut app, "Enter");
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(planned_start()) });
    let first = text(&app);
    press(&mut app, "G j j PgDn");
    let last = text(&app);
    assert!(last.contains("syncdeck adopt") && first != last, "{last}");
    press(&mut app, "k");
    assert_ne!(text(&app), last);
    press(&mut app, "g");
    assert_eq!(text(&app), first);
    let copied = press(&mut app, "y");
    let [Effect::Copy(all)] = copied.as_slice() else { panic!("{copied:?}") };
    assert!(all.contains("Contact: the table contact") && all.contains("syncdeck adopt"), "{all}");
    let written = press(&mut app, "x Enter");
    let wanted = Effect::WriteText { path: "plan.txt".to_owned(), text: all.clone() };
    assert_eq!(written, [wanted]);
    assert_eq!(app.overlays.len(), 1);
}

#[test]
fn what_cannot_be_done_here_says_why() {
    for (title, attached_here, why) in [
        ("adopt", false, "these tables are syncdeck's already; adopt undo gives them back"),
        ("shadow", false, "an engine of syncdeck keeps these tables: verify compares them"),
        ("rebind", true, "rebind is for tables of syncdeck"),
    ] {
        let mut app = if attached_here { attached((120, 40)) } else { full((120, 40)) };
        assert!(command(&mut app, title).is_empty(), "{title}");
        assert!(text(&app).contains(why), "{title}: {}", text(&app));
    }
    // Without the right to change anything a plan is looked at, and that is all.
    let mut app = attached((120, 40));
    app.ctx.read_only = true;
    for title in ["adopt", "adopt undo"] {
        assert!(command(&mut app, title).is_empty());
        assert!(text(&app).contains("this console is read-only"), "{}", text(&app));
        press(&mut app, "Esc Esc");
    }
    command(&mut app, "plan");
    press(&mut app, "Enter");
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(planned_start()) });
    assert!(press(&mut app, "a").is_empty());
    assert!(text(&app).contains("this console is read-only"), "{}", text(&app));
    // A right that is lost meanwhile is the last word.
    let mut app = attached((120, 40));
    command(&mut app, "adopt");
    press(&mut app, "Enter");
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(takeover()) });
    press(&mut app, "Enter");
    update(&mut app, Msg::Rights(Ok(Some("a follower".to_owned()))));
    type_in(&mut app, "acme");
    assert_eq!(runs(&press(&mut app, "Enter")), 0);
    // Its own connection's plan asks for no file.
    let mut app = full((120, 40));
    let request = SetupRequest { id: 1, task: SetupTask::Plan, file: None };
    assert_eq!(command(&mut app, "plan"), [Effect::LookAtSetup(request)]);
}

#[test]
fn what_is_under_way_is_not_suspended_and_is_named_to_whoever_leaves() {
    let mut app = taking_over((120, 40));
    assert!(press(&mut app, "C-z").is_empty());
    assert!(text(&app).contains("PostgreSQL would wait for a stopped program"), "{}", text(&app));
    assert!(app.unfinished().is_some_and(|told| told.contains("syncdeck plan")));
    // A takeover that broke off may be done all the same.
    let broke = ClientError::refused("the connection broke\ntry again");
    update(&mut app, Msg::SetupDone { id: 1, result: Err(broke) });
    assert!(text(&app).contains("look again: r shows whether it was done"), "{}", text(&app));
    assert_eq!(app.unfinished(), None);
    assert_eq!(press(&mut app, "C-z"), [Effect::Suspend]);
}

#[test]
fn a_database_that_is_lost_while_a_plan_shows_is_told() {
    for (mut app, told) in [(taking_over((120, 40)), false), (attached((120, 40)), true)] {
        if told {
            command(&mut app, "plan");
            press(&mut app, "Enter");
            update(&mut app, Msg::SetupFound { id: 1, result: Ok(planned_start()) });
        }
        update(&mut app, Msg::Event(Event::Lost("the server went away".to_owned())));
        assert_eq!(app.ctx.toast.is_some(), told);
    }
}

#[test]
fn a_question_says_first_what_counts_and_all_of_a_name_shows() {
    let mut preview = takeover();
    let question = preview.question.as_mut().unwrap();
    let tables: Vec<String> = (1..=30).map(|number| format!("table_number_{number}")).collect();
    question.text = adopt_question("the schema salesforce", &"long_name".repeat(12), &tables);
    question.types =
        "a_name_of_a_connection_that_is_longer_than_a_line_of_the_terminal_has_columns_for_it".to_owned();
    let mut app = attached((80, 24));
    command(&mut app, "adopt");
    press(&mut app, "Enter");
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(preview) });
    press(&mut app, "Enter");
    let shown = text(&app);
    assert!(shown.contains("Heroku Connect must be off"), "{shown}");
    assert!(shown.contains("and 28 others (above)"), "{shown}");
    assert!(shown.contains("s_for_it ") && shown.contains("Type that and Enter: "), "{shown}");
}

#[test]
fn texts_of_others_leave_the_console_harmless() {
    let mut app = attached((120, 40));
    command(&mut app, "plan");
    press(&mut app, "Enter");
    let seen = "a role \u{1b}]52;c;x\u{7}\nrefused: nothing";
    update(&mut app, Msg::SetupFound { id: 1, result: Ok(refused_takeover(seen)) });
    let copied = press(&mut app, "y");
    let [Effect::Copy(all)] = copied.as_slice() else { panic!("{copied:?}") };
    assert!(!all.contains('\u{1b}') && all.contains("\\e]52"), "{all}");
    assert!(!all.lines().any(|line| line.trim_start().starts_with("refused: nothing")), "{all}");
}
