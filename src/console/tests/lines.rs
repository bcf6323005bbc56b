//! What an operator does with lines of the log.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::screens::text;
use super::world::{console, failing, full, jane, many_lines, now, press, type_in};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::logs::source::Batch;
use crate::logs::{ELSEWHERE, OWN_SOURCE};
use crate::logs::{Level, LogRecord, ring};

const REQUEST: &str = "00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c";

/// A line, so many seconds ago.
pub fn line(id: i64, ago: i64, level: Level, dyno: &str, message: &str, fields: Value) -> LogRecord {
    LogRecord {
        id,
        time: now() - TimeDelta::seconds(ago),
        level,
        source: "app".to_owned(),
        dyno: dyno.to_owned(),
        message: message.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

/// Lines of an app and of its router, which came later than they were written, between lines of others.
pub fn app_log() -> Vec<LogRecord> {
    let of_request = |more: Value| {
        let mut fields = json!({"request_id": REQUEST});
        fields.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        fields
    };
    vec![
        line(
            11,
            20,
            Level::Info,
            "router",
            "POST /accounts",
            of_request(json!({"status": 503, "service": 30_000, "code": "H12"})),
        ),
        line(12, 29, Level::Info, "web.1", "Processing request to /accounts...", of_request(json!({}))),
        line(
            13,
            28,
            Level::Info,
            "web.1",
            "another request",
            json!({"status": 200, "service": 12, "hops": 2}),
        ),
        line(14, 27, Level::Warn, "web.1", "row 42 of Contact waits", of_request(json!({}))),
        line(15, 26, Level::Info, "web.1", "created 003Ws00003GGHVCIA5", json!({})),
    ]
}

/// A console whose log has them, and the keys.
pub fn with_app(size: (u16, u16)) -> App {
    let mut app = full(size);
    update(&mut app, Msg::Log(Ok(app_log())));
    press(&mut app, "4");
    app
}

/// Lines of other programs, as their sources tell them.
pub fn of(records: Vec<LogRecord>) -> Batch {
    Batch { records, ..Batch::default() }
}

/// The ids of the lines that show.
fn shown(app: &mut App) -> Vec<i64> {
    let at = app.log.selected().map(|line| line.id);
    press(app, "g");
    let mut ids = Vec::new();
    for _ in 0..app.log.len() {
        ids.extend(app.log.selected().map(|line| line.id));
        press(app, "j");
    }
    assert!(at.is_none_or(|at| ids.contains(&at)), "the selected line shows");
    ids
}

fn filter(app: &mut App, filter: &str) {
    press(app, "/ C-u");
    type_in(app, filter);
    press(app, "Enter");
}

#[test]
fn a_filter_tells_what_it_hides_while_it_is_typed() {
    let mut app = with_app((120, 40));
    press(&mut app, "/");
    type_in(&mut app, "status>=500");
    let told = "1 of 8 lines pass, 7 are hidden, 3 of them warnings or errors";
    assert!(text(&app).contains(told), "{}", text(&app));
    press(&mut app, "C-u");
    type_in(&mut app, "service>5m");
    assert!(text(&app).contains("none of 8 lines passes"), "{}", text(&app));
    press(&mut app, "C-u");
    assert!(text(&app).contains("words  level:warn"), "an empty filter hides nothing: {}", text(&app));
    type_in(&mut app, "hop");
    assert!(text(&app).contains("hops:"), "a field that lines have is offered: {}", text(&app));
    press(&mut app, "C-u");
    type_in(&mut app, "hops:2");
    press(&mut app, "Enter");
    assert_eq!(shown(&mut app), [13]);
    press(&mut app, "/");
    assert!(text(&app).contains("1 of 8 lines pass, 7 are hidden"), "of the one in force: {}", text(&app));
    press(&mut app, "C-u");
    type_in(&mut app, "hosp:2");
    press(&mut app, "Enter");
    assert!(text(&app).contains("there is no hosp:"), "{}", text(&app));
    press(&mut app, "Esc");
    assert_eq!(app.log.filter, "hops:2", "a filter that is refused changes nothing");
}

#[test]
fn many_lines_are_counted_elsewhere_and_an_answer_to_what_is_no_longer_typed_says_nothing() {
    let mut app = console((120, 40));
    update(&mut app, Msg::Log(Ok(many_lines(1_000, 20_001))));
    let effects = press(&mut app, "4 / a");
    let Some(Effect::PreviewLog { filter, lines, parsed }) = effects.last().cloned() else {
        panic!("{effects:?}");
    };
    let sifted = ring::sift(&lines, &parsed);
    press(&mut app, "b");
    update(&mut app, Msg::LogPreviewed { filter: filter.clone(), sifted });
    assert!(matches!(app.overlays.last(), Some(Overlay::Filter(line)) if line.sifted.is_none()));
    press(&mut app, "BS");
    update(&mut app, Msg::LogPreviewed { filter, sifted });
    assert_eq!(sifted.all, 20_001);
    assert!(matches!(app.overlays.last(), Some(Overlay::Filter(line)) if line.sifted == Some(sifted)));
}

#[test]
fn a_span_of_time_counts_from_now() {
    let mut app = with_app((120, 40));
    filter(&mut app, "since:25s");
    assert_eq!(shown(&mut app), [11], "of the engine's, the newest is 27 s old");
    filter(&mut app, "until:28s request_id:nothing");
    assert_eq!(app.log.len(), 0);
}

#[test]
fn a_request_is_followed_through_all_sources_by_its_times_and_back() {
    let mut app = with_app((120, 40));
    filter(&mut app, "level:info -created");
    press(&mut app, "G k k");
    assert_eq!(app.log.selected().unwrap().id, 12);
    press(&mut app, "t");
    assert_eq!(app.log.filter, format!("request:{REQUEST}"));
    assert_eq!(app.log.selected().unwrap().id, 12, "one stays on the line");
    assert_eq!(shown(&mut app), [12, 14, 11]);
    // What comes meanwhile stands where it belongs.
    let late = line(20, 28, Level::Info, "web.1", "late", json!({"request_id": REQUEST}));
    update(&mut app, Msg::Log(Ok(vec![late])));
    assert_eq!(shown(&mut app), [12, 20, 14, 11]);
    press(&mut app, "z");
    for back in ["t", "Esc"] {
        press(&mut app, back);
        assert!(app.ctx.zoom, "{back} leaves the lines of one thing, not the zoom");
        assert_eq!(app.log.filter, "level:info -created", "{back}");
        assert_eq!(app.log.selected().unwrap().id, 12, "{back}");
        assert!(!app.log.following);
        press(&mut app, "t");
    }
    press(&mut app, "z");
    // Another filter is none of the thread's.
    filter(&mut app, "level:error");
    press(&mut app, "Esc");
    assert_eq!((app.log.filter.as_str(), app.ctx.focus), ("", Pane::Log));
}

#[test]
fn a_line_that_names_nothing_says_so() {
    let mut app = with_app((120, 40));
    filter(&mut app, "another");
    press(&mut app, "t");
    assert!(text(&app).contains("this line names no request, no record and no batch"));
    assert_eq!(app.log.filter, "another");
    filter(&mut app, "batch:8f2");
    press(&mut app, "Esc g t");
    assert_eq!(app.log.filter, "batch:7aa");
}

#[test]
fn a_record_leads_to_the_lines_that_speak_of_it_and_they_back_to_it() {
    let mut app = with_app((120, 40));
    let of_row = line(30, 1, Level::Info, "writer", "sent", json!({"mapping": "Contact", "row": 10_235}));
    update(&mut app, Msg::Log(Ok(vec![of_row])));
    press(&mut app, "Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert_eq!(app.ctx.focus, Pane::Record);
    press(&mut app, "t");
    let view = failing();
    let wanted = view.sfid.map_or(String::new(), |id| format!("|{id}"));
    assert_eq!(app.log.filter, format!("record:Contact:{}{wanted}", jane().row));
    assert_eq!(app.ctx.focus, Pane::Log);
    press(&mut app, "t");
    assert_eq!((app.ctx.focus, app.log.filter.as_str()), (Pane::Record, ""));
    assert!(app.log.following);
    press(&mut app, "Esc");
    assert_eq!(app.ctx.focus, Pane::Log, "the way on back is what it was");
}

#[test]
fn a_line_leads_to_the_row_that_it_names_in_words_or_by_its_records_id() {
    let mut app = with_app((120, 40));
    filter(&mut app, "waits");
    let effects = press(&mut app, "Enter");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::LoadRecord(row) if row.row.0 == 42)),
        "{effects:?}"
    );
    let mut app = with_app((120, 40));
    filter(&mut app, "created");
    let effects = press(&mut app, "Enter");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Find(id) if id == "003Ws00003GGHVCIA5")),
        "{effects:?}"
    );
}

#[test]
fn lines_are_grouped_by_patterns_and_one_is_silenced_or_alone_as_a_filter_that_can_be_seen() {
    let mut app = console((120, 40));
    let lines = (1..=30).map(|id| match id % 10 {
        0 => line(id, 60 - id, Level::Warn, "writer", &format!("{id} of 200 rejected"), json!({})),
        _ => line(id, 60 - id, Level::Info, "web.1", &format!("GET /accounts/{id} took {id}ms"), json!({})),
    });
    update(&mut app, Msg::Log(Ok(lines.collect())));
    press(&mut app, "4 p");
    let drawn = text(&app);
    assert!(drawn.contains("2 patterns of 30 lines"), "{drawn}");
    assert!(drawn.contains("27 info  GET /accounts/* took *"), "{drawn}");
    assert!(drawn.contains("3 WARN  * of * rejected"), "{drawn}");
    press(&mut app, "-");
    assert_eq!(app.log.filter, "-pattern:\"GET /accounts/* took *\"");
    assert_eq!(app.log.len(), 3);
    press(&mut app, "Esc p j Enter");
    assert_eq!((app.log.filter.as_str(), app.log.len()), ("pattern:\"* of * rejected\"", 3));
    press(&mut app, "p Esc Esc");
    assert_eq!(app.log.len(), 30);
}

#[test]
fn a_zoomed_log_shows_the_minutes_of_the_lines_that_show() {
    let mut app = with_app((120, 40));
    assert!(!text(&app).contains("a cell a minute"));
    press(&mut app, "z");
    assert!(text(&app).contains(" all   █"), "{}", text(&app));
    assert!(text(&app).contains("a cell a minute, 1 from 14:01"), "{}", text(&app));
    filter(&mut app, "level:error");
    assert!(text(&app).contains(" error █ 1"), "{}", text(&app));
    update(&mut app, Msg::Log(Ok(vec![line(40, 0, Level::Error, "web.1", "crashed", json!({}))])));
    assert!(text(&app).contains(" error █ 2") || text(&app).contains(" error ██ 2"), "{}", text(&app));
    update(&mut app, Msg::Resize(80, 16));
    assert!(!text(&app).contains("a cell a minute"), "lines go first");
}

#[test]
fn what_shows_is_written_to_a_file_that_is_asked_for() {
    let mut app = with_app((120, 40));
    filter(&mut app, "waits");
    press(&mut app, "w");
    assert!(text(&app).contains("Write 1 lines of the log"), "{}", text(&app));
    let effects = press(&mut app, "Enter");
    let [Effect::KeepLines { path, kept }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(path, "log.txt");
    let mut lines = Vec::new();
    let count = kept.each(|line| {
        lines.push((line.logfmt(), line.json()));
        Ok::<(), ()>(())
    });
    assert_eq!(count, Ok(1));
    let (logfmt, json) = &lines[0];
    assert!(logfmt.contains("WARN  web.1    row 42 of Contact waits request_id=00Dbc"), "{logfmt}");
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(
        (json["message"].as_str(), json["level"].as_str()),
        (Some("row 42 of Contact waits"), Some("warn"))
    );
    filter(&mut app, "");
    press(&mut app, "w");
    let effects = press(&mut app, "Enter");
    let [Effect::KeepLines { kept, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(kept.each(|_| Ok::<(), ()>(())), Ok(8));
}

#[test]
fn another_programs_line_says_whose_it_is() {
    let mut app = console((120, 40));
    let own =
        LogRecord { source: OWN_SOURCE.to_owned(), ..line(1, 3, Level::Info, "writer", "sent", json!({})) };
    update(&mut app, Msg::Log(Ok(vec![own.clone()])));
    press(&mut app, "4 z");
    assert!(text(&app).contains("info  writer  sent"), "{}", text(&app));
    let mut theirs = line(ELSEWHERE, 2, Level::Warn, "web.1", "slow", json!({}));
    theirs.source = "shop".to_owned();
    let router = LogRecord { dyno: String::new(), ..theirs.clone() };
    update(&mut app, Msg::Lines(of(vec![theirs, router])));
    let drawn = text(&app);
    for shown in ["info  writer          sent", "WARN  shop[web.1]     slow", "WARN  shop            slow"] {
        assert!(drawn.contains(shown), "{shown:?} in {drawn}");
    }
    // The engine's next lines still come: those of others have no number of their own.
    update(&mut app, Msg::Log(Ok(vec![LogRecord { id: 2, ..own }])));
    assert_eq!(app.log.len(), 4);
}

#[test]
fn where_only_the_newest_lines_are_counted_that_is_said() {
    let mut app = console((120, 40));
    let lines = (1..=50_001).map(|id| line(id, 60, Level::Info, "web.1", "GET /", json!({})));
    update(&mut app, Msg::Log(Ok(lines.collect())));
    press(&mut app, "4 z");
    assert!(!text(&app).contains("of the newest"), "as they come, all are counted: {}", text(&app));
    press(&mut app, "p");
    assert!(text(&app).contains("1 pattern of the newest 20,000 of 50,001 lines"), "{}", text(&app));
    press(&mut app, "Esc");
    let effects = press(&mut app, "/ G Enter");
    let Some(Effect::FilterLog { generation, upto, lines, filter }) = effects.last() else {
        panic!("{effects:?}");
    };
    let places = ring::search(lines, filter);
    update(&mut app, Msg::LogFiltered { generation: *generation, upto: *upto, places });
    let said = "each line by its own highest; of the newest 20,000 lines";
    assert!(text(&app).contains(said), "{}", text(&app));
}
