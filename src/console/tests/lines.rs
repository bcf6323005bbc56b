//! What an operator does with lines of the log.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::screens::text;
use super::world::{console, failing, full, jane, many_lines, now, press, type_in};
use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::update::update;
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
pub fn app() -> Vec<LogRecord> {
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
pub fn with_app(size: (u16, u16)) -> Model {
    let mut model = full(size);
    update(&mut model, Msg::Log(Ok(app())));
    press(&mut model, "4");
    model
}

/// The ids of the lines that show.
fn shown(model: &mut Model) -> Vec<i64> {
    let at = model.log.selected().map(|line| line.id);
    press(model, "g");
    let mut ids = Vec::new();
    for _ in 0..model.log.len() {
        ids.extend(model.log.selected().map(|line| line.id));
        press(model, "j");
    }
    assert!(at.is_none_or(|at| ids.contains(&at)), "the selected line shows");
    ids
}

fn filter(model: &mut Model, filter: &str) {
    press(model, "/ C-u");
    type_in(model, filter);
    press(model, "Enter");
}

#[test]
fn a_filter_tells_what_it_hides_while_it_is_typed() {
    let mut model = with_app((120, 40));
    press(&mut model, "/");
    type_in(&mut model, "status>=500");
    assert!(text(&model).contains("1 of 8 lines pass, 7 are hidden"), "{}", text(&model));
    press(&mut model, "C-u");
    type_in(&mut model, "service>5m");
    assert!(text(&model).contains("none of 8 lines passes"), "{}", text(&model));
    press(&mut model, "C-u");
    assert!(text(&model).contains("words  level:warn"), "an empty filter hides nothing: {}", text(&model));
    type_in(&mut model, "hop");
    assert!(text(&model).contains("hops:"), "a field that lines have is offered: {}", text(&model));
    press(&mut model, "C-u");
    type_in(&mut model, "hops:2");
    press(&mut model, "Enter");
    assert_eq!(shown(&mut model), [13]);
    press(&mut model, "/ C-u");
    type_in(&mut model, "hosp:2");
    press(&mut model, "Enter");
    assert!(text(&model).contains("there is no hosp:"), "{}", text(&model));
    press(&mut model, "Esc");
    assert_eq!(model.log.filter, "hops:2", "a filter that is refused changes nothing");
}

#[test]
fn many_lines_are_counted_elsewhere_and_an_answer_to_what_is_no_longer_typed_says_nothing() {
    let mut model = console((120, 40));
    update(&mut model, Msg::Log(Ok(many_lines(1_000, 20_001))));
    let effects = press(&mut model, "4 / a");
    let Some(Effect::PreviewLog { filter, lines, parsed }) = effects.last().cloned() else {
        panic!("{effects:?}");
    };
    let passing = ring::search(&lines, &parsed).len();
    press(&mut model, "b");
    update(&mut model, Msg::LogPreviewed { filter: filter.clone(), passing });
    assert!(matches!(model.overlays.last(), Some(Overlay::Filter(line)) if line.passing.is_none()));
    press(&mut model, "BS");
    update(&mut model, Msg::LogPreviewed { filter, passing });
    assert!(
        matches!(model.overlays.last(), Some(Overlay::Filter(line)) if line.passing == Some((passing, 20_001)))
    );
}

#[test]
fn a_span_of_time_counts_from_now() {
    let mut model = with_app((120, 40));
    filter(&mut model, "since:25s");
    assert_eq!(shown(&mut model), [11], "of the engine's, the newest is 27 s old");
    filter(&mut model, "until:28s request_id:nothing");
    assert_eq!(model.log.len(), 0);
}

#[test]
fn a_request_is_followed_through_all_sources_by_its_times_and_back() {
    let mut model = with_app((120, 40));
    filter(&mut model, "level:info -created");
    press(&mut model, "G k k");
    assert_eq!(model.log.selected().unwrap().id, 12);
    press(&mut model, "t");
    assert_eq!(model.log.filter, format!("request:{REQUEST}"));
    assert_eq!(model.log.selected().unwrap().id, 12, "one stays on the line");
    assert_eq!(shown(&mut model), [12, 14, 11]);
    // What comes meanwhile stands where it belongs.
    let late = line(20, 28, Level::Info, "web.1", "late", json!({"request_id": REQUEST}));
    update(&mut model, Msg::Log(Ok(vec![late])));
    assert_eq!(shown(&mut model), [12, 20, 14, 11]);
    press(&mut model, "z");
    for back in ["t", "Esc"] {
        press(&mut model, back);
        assert!(model.zoom, "{back} leaves the lines of one thing, not the zoom");
        assert_eq!(model.log.filter, "level:info -created", "{back}");
        assert_eq!(model.log.selected().unwrap().id, 12, "{back}");
        assert!(!model.log.following);
        press(&mut model, "t");
    }
    press(&mut model, "z");
    // Another filter is none of the thread's.
    filter(&mut model, "level:error");
    press(&mut model, "Esc");
    assert_eq!((model.log.filter.as_str(), model.focus), ("", Pane::Log));
}

#[test]
fn a_line_that_names_nothing_says_so() {
    let mut model = with_app((120, 40));
    filter(&mut model, "another");
    press(&mut model, "t");
    assert!(text(&model).contains("this line names no request, no record and no batch"));
    assert_eq!(model.log.filter, "another");
    filter(&mut model, "batch:8f2");
    press(&mut model, "Esc g t");
    assert_eq!(model.log.filter, "batch:7aa");
}

#[test]
fn a_record_leads_to_the_lines_that_speak_of_it_and_they_back_to_it() {
    let mut model = with_app((120, 40));
    let of_row = line(30, 1, Level::Info, "writer", "sent", json!({"mapping": "Contact", "row": 10_235}));
    update(&mut model, Msg::Log(Ok(vec![of_row])));
    press(&mut model, "Enter");
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert_eq!(model.focus, Pane::Record);
    press(&mut model, "t");
    let view = failing();
    let wanted = view.sfid.map_or(String::new(), |id| format!("|{id}"));
    assert_eq!(model.log.filter, format!("record:Contact:{}{wanted}", jane().row));
    assert_eq!(model.focus, Pane::Log);
    press(&mut model, "t");
    assert_eq!((model.focus, model.log.filter.as_str()), (Pane::Record, ""));
    assert!(model.log.following);
    press(&mut model, "Esc");
    assert_eq!(model.focus, Pane::Log, "the way on back is what it was");
}

#[test]
fn a_line_leads_to_the_row_that_it_names_in_words_or_by_its_records_id() {
    let mut model = with_app((120, 40));
    filter(&mut model, "waits");
    let effects = press(&mut model, "Enter");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::LoadRecord(row) if row.row.0 == 42)),
        "{effects:?}"
    );
    let mut model = with_app((120, 40));
    filter(&mut model, "created");
    let effects = press(&mut model, "Enter");
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Find(id) if id == "003Ws00003GGHVCIA5")),
        "{effects:?}"
    );
}

#[test]
fn lines_are_grouped_by_patterns_and_one_is_silenced_or_alone_as_a_filter_that_can_be_seen() {
    let mut model = console((120, 40));
    let lines = (1..=30).map(|id| match id % 10 {
        0 => line(id, 60 - id, Level::Warn, "writer", &format!("{id} of 200 rejected"), json!({})),
        _ => line(id, 60 - id, Level::Info, "web.1", &format!("GET /accounts/{id} took {id}ms"), json!({})),
    });
    update(&mut model, Msg::Log(Ok(lines.collect())));
    press(&mut model, "4 p");
    let drawn = text(&model);
    assert!(drawn.contains("2 patterns of 30 lines"), "{drawn}");
    assert!(drawn.contains("27 info  GET /accounts/* took *"), "{drawn}");
    assert!(drawn.contains("3 WARN  * of * rejected"), "{drawn}");
    press(&mut model, "-");
    assert_eq!(model.log.filter, "-pattern:\"GET /accounts/* took *\"");
    assert_eq!(model.log.len(), 3);
    press(&mut model, "Esc p j Enter");
    assert_eq!((model.log.filter.as_str(), model.log.len()), ("pattern:\"* of * rejected\"", 3));
    press(&mut model, "p Esc Esc");
    assert_eq!(model.log.len(), 30);
}

#[test]
fn a_zoomed_log_shows_the_minutes_of_the_lines_that_show() {
    let mut model = with_app((120, 40));
    assert!(!text(&model).contains("a cell a minute"));
    press(&mut model, "z");
    assert!(text(&model).contains(" all   █"), "{}", text(&model));
    assert!(text(&model).contains("a cell a minute, 1 from 14:01"), "{}", text(&model));
    filter(&mut model, "level:error");
    assert!(text(&model).contains(" error █ 1"), "{}", text(&model));
    update(&mut model, Msg::Log(Ok(vec![line(40, 0, Level::Error, "web.1", "crashed", json!({}))])));
    assert!(text(&model).contains(" error █ 2") || text(&model).contains(" error ██ 2"), "{}", text(&model));
    update(&mut model, Msg::Resize(80, 16));
    assert!(!text(&model).contains("a cell a minute"), "lines go first");
}

#[test]
fn what_shows_is_written_to_a_file_that_is_asked_for() {
    let mut model = with_app((120, 40));
    filter(&mut model, "waits");
    press(&mut model, "w");
    assert!(text(&model).contains("Write 1 lines of the log"), "{}", text(&model));
    let effects = press(&mut model, "Enter");
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
    filter(&mut model, "");
    press(&mut model, "w");
    let effects = press(&mut model, "Enter");
    let [Effect::KeepLines { kept, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(kept.each(|_| Ok::<(), ()>(())), Ok(8));
}

#[test]
fn another_programs_line_says_whose_it_is() {
    let mut model = console((120, 40));
    let own =
        LogRecord { source: OWN_SOURCE.to_owned(), ..line(1, 3, Level::Info, "writer", "sent", json!({})) };
    update(&mut model, Msg::Log(Ok(vec![own.clone()])));
    press(&mut model, "4 z");
    assert!(text(&model).contains("info  writer  sent"), "{}", text(&model));
    let mut theirs = line(ELSEWHERE, 2, Level::Warn, "web.1", "slow", json!({}));
    theirs.source = "shop".to_owned();
    let router = LogRecord { dyno: String::new(), ..theirs.clone() };
    update(&mut model, Msg::Lines(vec![theirs, router]));
    let drawn = text(&model);
    for shown in ["info  writer          sent", "WARN  shop[web.1]     slow", "WARN  shop            slow"] {
        assert!(drawn.contains(shown), "{shown:?} in {drawn}");
    }
    // The engine's next lines still come: those of others have no number of their own.
    update(&mut model, Msg::Log(Ok(vec![LogRecord { id: 2, ..own }])));
    assert_eq!(model.log.len(), 4);
}

#[test]
fn where_only_the_newest_lines_are_counted_that_is_said() {
    let mut model = console((120, 40));
    let lines = (1..=50_001).map(|id| line(id, 60, Level::Info, "web.1", "GET /", json!({})));
    update(&mut model, Msg::Log(Ok(lines.collect())));
    press(&mut model, "4 z");
    assert!(!text(&model).contains("of the newest"), "as they come, all are counted: {}", text(&model));
    press(&mut model, "p");
    assert!(text(&model).contains("1 pattern of the newest 20,000 of 50,001 lines"), "{}", text(&model));
    press(&mut model, "Esc");
    let effects = press(&mut model, "/ G Enter");
    let Some(Effect::FilterLog { generation, upto, lines, filter }) = effects.last() else {
        panic!("{effects:?}");
    };
    let places = ring::search(lines, filter);
    update(&mut model, Msg::LogFiltered { generation: *generation, upto: *upto, places });
    let said = "each line by its own highest; of the newest 50,000 lines";
    assert!(text(&model).contains(said), "{}", text(&model));
}
