//! Alerts in the console: what the header tells, the lists and their keys; and what people say about causes.

use super::screens::text;
use super::world::alerts::{alerts_view, life, listed, muted};
use super::world::{console, full, groups, overview, press, type_in, waited_for};
use crate::client::api::ClientError;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::{AlertChange, CauseChange, Effect};
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::domain::alert::life::AlertPhase;
use crate::domain::alert::rule::Silence;
use crate::domain::errors::cause::{CauseState, Until};
use crate::domain::errors::group::Group;
use crate::domain::reports::overview::{AlertsStatus, FailingChannel, Overview};

const SIZE: (u16, u16) = (120, 40);

/// The console with alerts on top.
pub fn open(size: (u16, u16)) -> App {
    let mut app = full(size);
    assert_eq!(press(&mut app, "b"), [Effect::LoadAlerts]);
    update(&mut app, Msg::Alerts(Ok(alerts_view())));
    app
}

fn header_with(size: (u16, u16), firing: i64, unattended: i64, failing: &[&str]) -> String {
    let failing_channels = failing
        .iter()
        .map(|name| FailingChannel { name: (*name).to_owned(), reason: "auth".to_owned() })
        .collect();
    let mut app = console(size);
    let alerts = AlertsStatus { firing, unattended, failing_channels };
    update(&mut app, Msg::Overview(Ok(Overview { alerts, ..overview() })));
    text(&app).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_header_tells_what_fires_which_channels_fail_and_the_key() {
    for (firing, unattended, failing, wanted) in [
        (3, 2, &[][..], "▲ 3 alerts (b)"),
        (1, 1, &[], "▲ 1 alert (b)"),
        (2, 0, &[], "● 2 alerts in hand (b)"),
        (0, 0, &["ops"], "✗ ops fails: auth (b)"),
        (1, 1, &["ops"], "▲ 1 alert, ops fails: auth (b)"),
        (0, 0, &["ops", "page"], "✗ 2 channels fail: ops: auth, ... (b)"),
    ] {
        let header = header_with((160, 40), firing, unattended, failing);
        assert!(header.contains(wanted), "{wanted} in {header}");
        let narrow = header_with((80, 24), firing, unattended, failing);
        assert!(narrow.contains('▲') || narrow.contains('●') || narrow.contains('✗'), "{narrow}");
    }
    let header = header_with((80, 24), 3, 2, &[]);
    assert!(header.contains("▲ 3 (b)") || header.contains("▲ 3 alerts (b)"), "{header}");
    let quiet = header_with(SIZE, 0, 0, &[]);
    assert!(!quiet.contains("alert") && !quiet.contains("(b)"), "{quiet}");
}

#[test]
fn an_alert_leads_to_its_errors() {
    let mut app = open(SIZE);
    press(&mut app, "Enter");
    assert!(app.overlays.is_empty());
    assert_eq!((app.errors.filter.as_str(), app.ctx.focus), ("group:8fb2", Pane::Errors));
    let mut app = open(SIZE);
    press(&mut app, "j j Enter");
    assert!(text(&app).contains("this alert is about no errors"), "{}", text(&app));
    press(&mut app, "G Enter");
    // Also of what waits and is tried again: the alert may speak of just that.
    assert_eq!(app.errors.asked_filter(), "mapping:Account state:open|retrying|review|held");
}

#[test]
fn an_alert_is_acknowledged_with_a_note_and_silenced_for_a_time() {
    let mut app = open(SIZE);
    press(&mut app, "a");
    type_in(&mut app, "I am on it");
    let (rule, subject) = ("new_cause".to_owned(), Some("8fb2".to_owned()));
    let note = "I am on it".to_owned();
    let wanted = AlertChange::Acknowledge { rule: rule.clone(), subject: subject.clone(), note };
    assert_eq!(press(&mut app, "Enter"), [Effect::Alert(wanted)]);
    let effects = update(&mut app, Msg::AlertsChanged(Ok("it is in your hand".to_owned())));
    assert!(effects.contains(&Effect::LoadAlerts) && effects.contains(&Effect::LoadOverview), "{effects:?}");
    assert!(text(&app).contains("it is in your hand"));
    update(&mut app, Msg::Alerts(Ok(alerts_view())));

    press(&mut app, "s");
    assert!(text(&app).contains("Silence new_cause:8fb2"), "{}", text(&app));
    type_in(&mut app, " a load runs");
    let silence = |rule, subject, seconds, note: &str| {
        let length = std::time::Duration::from_secs(seconds);
        Effect::Alert(AlertChange::Silence { rule, subject, length, note: note.to_owned() })
    };
    assert_eq!(press(&mut app, "Enter"), [silence(Some(rule.clone()), subject, 3_600, "a load runs")]);
    // The whole rule, for another time; what is no time is refused, and stays.
    press(&mut app, "S C-u");
    type_in(&mut app, "soon");
    assert!(press(&mut app, "Enter").is_empty());
    assert!(text(&app).contains("✗ begin with how long: 30m, 4h or 2d"), "{}", text(&app));
    press(&mut app, "C-u Down");
    assert_eq!(press(&mut app, "Enter"), [silence(Some(rule), None, 4 * 3_600, "")]);
    // All of them, from anywhere.
    press(&mut app, "Esc :");
    type_in(&mut app, "silence alerts");
    press(&mut app, "Enter");
    assert_eq!(press(&mut app, "Enter"), [silence(None, None, 3_600, "")]);
}

#[test]
fn what_does_not_fire_is_not_acknowledged_and_a_silence_is_ended_where_it_shows() {
    let mut app = open(SIZE);
    press(&mut app, "j j j a");
    assert!(text(&app).contains("it does not fire"), "{}", text(&app));
    press(&mut app, "e");
    assert!(text(&app).contains("nothing silences it"), "{}", text(&app));
    assert_eq!(press(&mut app, "k e"), [Effect::Alert(AlertChange::EndSilence(3))]);
    assert_eq!(press(&mut app, "Tab e"), [Effect::Alert(AlertChange::EndSilence(3))]);
}

#[test]
fn a_channel_leads_to_its_messages_and_a_message_is_read() {
    let mut app = open(SIZE);
    press(&mut app, "] ]");
    for row in ["ops", "slack", "✓ works", "page", "✗ fails", "auth: 401: the token", "mail", "· unused"]
    {
        assert!(text(&app).contains(row), "{row} in {}", text(&app));
    }
    press(&mut app, "j Enter");
    let listed = text(&app);
    assert!(
        listed.contains("of page") && listed.contains("▲ failed") && listed.contains("◌ queued"),
        "{listed}"
    );
    assert!(!listed.contains("✓ sent"), "only the channel's own: {listed}");
    assert!(listed.contains("Not taken, 4 times: auth: 401"), "{listed}");
    press(&mut app, "Enter");
    assert!(text(&app).contains("Open it with: syncdeck errors --where group:8fb2"), "{}", text(&app));
    press(&mut app, "Esc Esc");
    assert!(text(&app).contains("· unused"), "back at the channels: {}", text(&app));
    press(&mut app, "Esc");
    assert!(app.overlays.is_empty());
}

#[test]
fn what_the_receiver_got_is_a_part_of_the_log() {
    let mut app = open(SIZE);
    assert!(!text(&app).contains("what the receiver got"), "there is none");
    press(&mut app, "v");
    assert!(text(&app).contains("no source of the log is called alerts"), "{}", text(&app));
    let mut app = full(SIZE);
    update(&mut app, Msg::Opened(vec![("alerts".to_owned(), "file")]));
    press(&mut app, "b");
    update(&mut app, Msg::Alerts(Ok(alerts_view())));
    assert!(text(&app).contains("what the receiver got"), "{}", text(&app));
    press(&mut app, "v");
    assert_eq!((app.log.filter.as_str(), app.ctx.focus), ("source:alerts", Pane::Log));
}

#[test]
fn the_selected_alert_stays_selected_while_others_come_and_go() {
    let mut app = open(SIZE);
    press(&mut app, "j");
    let mut view = alerts_view();
    view.alerts.insert(0, listed("verify", "Lead", AlertPhase::Firing, "Lead: verify found 12 differences"));
    update(&mut app, Msg::Alerts(Ok(view.clone())));
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "group:03aa");
    // What is gone leaves the selection on a line that is there.
    let mut app = open(SIZE);
    press(&mut app, "G");
    view.alerts.truncate(1);
    update(&mut app, Msg::Alerts(Ok(view)));
    press(&mut app, "a");
    assert!(text(&app).contains("the list went on"), "{}", text(&app));
    press(&mut app, "a");
    assert!(text(&app).contains("Take verify:Lead in hand"), "{}", text(&app));
}

#[test]
fn it_is_read_again_while_it_shows_and_what_cannot_be_read_is_said() {
    let mut app = open(SIZE);
    let later = app.ctx.now + chrono::TimeDelta::seconds(10);
    assert!(update(&mut app, Msg::Tick(later)).contains(&Effect::LoadAlerts));
    update(&mut app, Msg::Alerts(Err(ClientError::refused("no connection"))));
    let shown = text(&app);
    assert!(shown.contains("This is how it was: no connection") && shown.contains("a new cause"), "{shown}");
    let mut app = full(SIZE);
    press(&mut app, "b");
    assert!(text(&app).contains("Reading the alerts ..."));
    update(&mut app, Msg::Alerts(Err(ClientError::refused("no connection"))));
    assert!(text(&app).contains("The alerts cannot be read: no connection"), "{}", text(&app));
    press(&mut app, "Esc");
    assert!(
        !update(&mut app, Msg::Tick(later + chrono::TimeDelta::seconds(10))).contains(&Effect::LoadAlerts)
    );
}

#[test]
fn a_read_only_console_neither_silences_nor_says_anything_about_a_cause() {
    let mut app = open(SIZE);
    app.ctx.read_only = true;
    assert!(!text(&app).contains("acknowledge"), "{}", text(&app));
    for key in ["a", "s", "S", "j j e"] {
        assert!(press(&mut app, key).is_empty());
        assert!(text(&app).contains("this console is read-only"), "{key}: {}", text(&app));
        assert!(matches!(app.overlays.as_slice(), [Overlay::Alerts(_)]), "{key}");
    }
    let mut app = with_groups();
    app.ctx.read_only = true;
    for key in ["o", "n", "s", "j s"] {
        assert!(press(&mut app, key).is_empty(), "{key}");
        assert!(text(&app).contains("this console is read-only"), "{key}: {}", text(&app));
    }
    press(&mut app, "w");
    assert!(text(&app).contains("Why these errors are one group"), "{}", text(&app));
}

/// The groups, the second one muted.
fn with_groups() -> App {
    let mut lives = [Some(life(CauseState::Back)), Some(muted())].into_iter();
    let groups = groups().into_iter().map(|group| Group { life: lives.next().flatten(), ..group });
    let mut app = full(SIZE);
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups.collect()) });
    app
}

#[test]
fn groups_tell_their_life_and_what_people_said() {
    let app = with_groups();
    let shown = text(&app);
    for words in ["↻ back", "○ quiet", "owner ada@ops · muted until 100 more by ada@ops · asked marketing"]
    {
        assert!(shown.contains(words), "{words} in {shown}");
    }
}

#[test]
fn groups_keep_their_order_while_they_are_open() {
    let mut app = with_groups();
    let turned = groups().into_iter().rev().collect();
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(turned) });
    press(&mut app, "1");
    assert_eq!(app.errors.filter, "group:03aa");
}

#[test]
fn a_cause_is_owned_noted_and_muted_in_the_groups() {
    let cause = |group: &str, change| vec![Effect::Cause { group: group.to_owned(), change }];
    let mut app = with_groups();
    assert_eq!(press(&mut app, "o"), cause("03aa", CauseChange::Own));
    let effects = update(&mut app, Msg::CauseChanged(Ok("it is yours".to_owned())));
    assert_eq!(effects, [Effect::RenewGroups(String::new())], "the list stays open and is read again");
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(groups()) });
    press(&mut app, "o");
    assert!(text(&app).contains("has not looked at this cause yet"), "{}", text(&app));

    let aside = groups().into_iter().map(|group| Group { aside: group.count, ..group }).collect();
    update(&mut app, Msg::GroupsRenewed { filter: String::new(), result: Ok(aside) });
    press(&mut app, "s");
    assert!(text(&app).contains("○ aside"), "{}", text(&app));
    assert!(text(&app).contains("these wait for something else"), "{}", text(&app));

    let mut app = with_groups();
    press(&mut app, "n");
    type_in(&mut app, "the org's rule");
    assert_eq!(press(&mut app, "Enter"), cause("03aa", CauseChange::Note(Some("the org's rule".to_owned()))));
    press(&mut app, "j n");
    assert!(text(&app).contains("asked marketing"), "what is known stands there: {}", text(&app));
    press(&mut app, "C-u");
    assert_eq!(press(&mut app, "Enter"), cause("8fb2", CauseChange::Note(None)));
    assert_eq!(press(&mut app, "o"), cause("8fb2", CauseChange::Disown));
    assert_eq!(press(&mut app, "s"), cause("8fb2", CauseChange::Unmute));
    press(&mut app, "k s");
    assert_eq!(press(&mut app, "Enter"), cause("03aa", CauseChange::Mute(Until::Grows)));
    press(&mut app, "s Down");
    assert_eq!(press(&mut app, "Enter"), cause("03aa", CauseChange::Mute(Until::More(100))));
    press(&mut app, "s C-u");
    type_in(&mut app, "soon");
    assert!(press(&mut app, "Enter").is_empty());
    assert!(text(&app).contains("✗ write 100 more, a time such as 2d"), "{}", text(&app));
}

#[test]
fn a_cause_is_owned_noted_and_muted_from_one_of_its_errors() {
    let mut app = full(SIZE);
    for error in &mut app.errors.items {
        error.group = "8fb2".to_owned();
    }
    for (command, keys, change) in [
        ("own cause", "", CauseChange::Own),
        ("mute cause", "Enter", CauseChange::Mute(Until::Grows)),
        ("mute cause", "Up Enter", CauseChange::Unmute),
    ] {
        press(&mut app, ":");
        type_in(&mut app, command);
        let mut effects = press(&mut app, "Enter");
        if !keys.is_empty() {
            effects.extend(press(&mut app, keys));
        }
        assert_eq!(effects, [Effect::Cause { group: "8fb2".to_owned(), change }], "{command}");
    }
    // What is noted already stands there, to be changed.
    press(&mut app, ":");
    type_in(&mut app, "note cause");
    let effects = press(&mut app, "Enter");
    let [Effect::LoadNote { group, cause }] = &effects[..] else { panic!("{effects:?}") };
    let (group, cause) = (group.clone(), cause.clone());
    update(&mut app, Msg::CauseNote { group, cause, note: Ok("Ada asks".to_owned()) });
    assert!(
        text(&app).contains("Note about REQUEST_LIMIT_EXCEEDED") && text(&app).contains("Ada asks"),
        "{}",
        text(&app)
    );
    let note = CauseChange::Note(Some("Ada asks!".to_owned()));
    assert_eq!(press(&mut app, "! Enter"), [Effect::Cause { group: "8fb2".to_owned(), change: note }]);
}

#[test]
fn a_silence_that_comes_above_does_not_get_the_end_of_another_one() {
    let mut app = full(SIZE);
    press(&mut app, "b");
    let mut view = alerts_view();
    update(&mut app, Msg::Alerts(Ok(view.clone())));
    press(&mut app, "Tab");
    let first = view.silences[0].clone();
    // A colleague's comes above it: the same one stays selected.
    view.silences.insert(0, Silence { id: 99, ..first.clone() });
    update(&mut app, Msg::Alerts(Ok(view.clone())));
    let end = |id| vec![Effect::Alert(AlertChange::EndSilence(id))];
    assert_eq!(press(&mut app, "e"), end(first.id));
    // It is gone: the next key ends nothing, the one after that what shows.
    view.silences.retain(|silence| silence.id != first.id);
    update(&mut app, Msg::Alerts(Ok(view)));
    assert!(press(&mut app, "e").is_empty());
    assert_eq!(press(&mut app, "e"), end(99));
}

#[test]
fn the_header_tells_that_polls_are_rarer_where_there_is_room() {
    let header = |width: u16, detail: Option<&str>| {
        let mut app = console((width, 40));
        let mut overview = overview();
        overview.connection.detail = detail.map(str::to_owned);
        update(&mut app, Msg::Overview(Ok(overview)));
        text(&app).lines().next().unwrap_or_default().to_owned()
    };
    let slowed = Some("polls are 2.0 times rarer: 450 of 500 API requests used in 24 hours (50 % of 1000)");
    assert!(header(140, slowed).contains("API 1,204/100,000, polls slowed  "), "{}", header(140, slowed));
    assert!(header(140, slowed).trim_end().ends_with("14:02"));
    let narrow = header(111, slowed);
    assert!(narrow.contains("API 1,204/100,000 ") && !narrow.contains("slowed"), "{narrow}");
    assert!(!header(140, None).contains("slowed"));
}
