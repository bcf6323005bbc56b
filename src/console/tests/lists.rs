//! How lists behave: filters and their history, order, the record that follows, the log and its way to a record, and
//! where the next console begins.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::screens::text;
use super::world::{
    console, error, errors, failing, full, jane, log, many_lines, page, pending, press, relatives, type_in,
};
use crate::client::api::{Count, ErrorPage};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::record::{RecordTab, Remote};
use crate::console::settings::Connection;
use crate::console::widgets::cursor::Cursor;
use crate::domain::errors::sort::{PageKey, Sort, SortBy};
use crate::domain::errors::sync_error::{ErrorState, SyncError};

/// The one request for errors among effects: its filter and its order.
/// What was asked for: the filter but for what the list begins with, and the order.
fn asked(effects: &[Effect]) -> (String, Sort) {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::LoadErrors { query, append: false, .. } => {
            Some((query.filter.trim_start_matches("needs:person").trim().to_owned(), query.sort))
        }
        _ => None,
    });
    asked.unwrap_or_else(|| panic!("{effects:?}"))
}

fn came(app: &mut App) {
    // What was typed meanwhile is asked for when what was typed before comes.
    let mut generation = app.errors.generation;
    let asks = |effect: &Effect| matches!(effect, Effect::LoadErrors { append: false, .. });
    while update(app, Msg::Errors { generation, append: false, result: Ok(page(errors())) }).iter().any(asks)
    {
        generation = app.errors.generation;
    }
    update(app, Msg::Counted { generation, result: Ok(Count { matching: 6, capped: false }) });
}

fn filtered(app: &mut App, filter: &str) {
    press(app, "/ C-u");
    type_in(app, filter);
    press(app, "Enter");
    came(app);
}

#[test]
fn one_goes_back_and_forward_through_filters_and_recalls_those_typed() {
    let mut app = full((120, 40));
    filtered(&mut app, "code:A");
    filtered(&mut app, "code:B");
    assert_eq!(asked(&press(&mut app, "[")).0, "code:A");
    came(&mut app);
    assert_eq!(asked(&press(&mut app, "[")).0, "");
    came(&mut app);
    assert_eq!(press(&mut app, "["), [], "there is none before the first");
    assert_eq!(asked(&press(&mut app, "]")).0, "code:A");
    came(&mut app);
    filtered(&mut app, "code:C");
    assert_eq!(press(&mut app, "]"), [], "a new one has none after it");
    press(&mut app, "/ Up Up");
    let Some(Overlay::Filter(line)) = app.overlays.last() else { panic!() };
    assert_eq!(line.input.text(), "code:B");
}

#[test]
fn a_filter_is_completed_with_what_there_is_and_kept_under_a_name() {
    let mut app = full((120, 40));
    press(&mut app, "/");
    type_in(&mut app, "co");
    press(&mut app, "Tab");
    let Some(Overlay::Filter(line)) = app.overlays.last() else { panic!() };
    assert_eq!(line.input.text(), "code:");
    let effects = press(&mut app, "E");
    let (qualifier, prefix) = ("code".to_owned(), "e".to_owned());
    assert_eq!(effects, [Effect::LoadValues { qualifier: qualifier.clone(), prefix: prefix.clone() }]);
    let values = vec![("EMAIL".to_owned(), 3), ("ENTITY GONE".to_owned(), 1)];
    update(&mut app, Msg::Offers { qualifier, prefix, values });
    press(&mut app, "Tab Tab Enter");
    assert_eq!(app.errors.filter, "code:\"ENTITY GONE\"");
    came(&mut app);
    press(&mut app, "F");
    type_in(&mut app, "gone");
    assert!(
        matches!(&press(&mut app, "Enter")[..], [Effect::SaveState(state)] if state.saved.contains_key("gone"))
    );
    press(&mut app, "Esc");
    came(&mut app);
    press(&mut app, ":");
    type_in(&mut app, "gone");
    assert_eq!(asked(&press(&mut app, "Enter")).0, "code:\"ENTITY GONE\"");
}

#[test]
fn the_list_is_sorted_by_another_column_and_turned_round() {
    let mut app = full((120, 40));
    press(&mut app, "s j j");
    let by = |by, descending| Sort { by, descending };
    assert_eq!(asked(&press(&mut app, "Enter")).1, by(SortBy::Mapping, false));
    came(&mut app);
    press(&mut app, "s");
    assert_eq!(asked(&press(&mut app, "Enter")).1, by(SortBy::Mapping, true));
}

#[test]
fn what_needs_a_person_is_listed_and_a_key_lists_everything() {
    let mut app = full((120, 40));
    filtered(&mut app, "mapping:Contact");
    // What is marked as all is all that is listed.
    let effects = press(&mut app, "A i");
    assert!(
        matches!(&effects[..], [Effect::Plan { chosen, .. }] if format!("{chosen:?}").contains("needs:person"))
    );
    press(&mut app, "Esc Esc");
    press(&mut app, "!");
    assert_eq!(app.errors.asked_filter(), "mapping:Contact");
    press(&mut app, "Esc");
    assert_eq!(app.errors.asked_filter(), "needs:person mapping:Contact");
}

#[test]
fn rows_show_as_they_are_found_and_the_rest_is_asked_for() {
    let mut app = console((120, 40));
    let next = Some(PageKey::of(SortBy::LastSeen, &errors()[1]));
    let part = ErrorPage { items: errors().into_iter().take(2).collect(), next: next.clone(), done: false };
    let effects = update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(part) });
    assert_eq!(app.errors.items.len(), 2);
    let more = effects.iter().any(
        |effect| matches!(effect, Effect::LoadErrors { append: true, query, .. } if query.after == next),
    );
    assert!(more, "{effects:?}");
    let rest = ErrorPage { items: errors(), next: None, done: true };
    update(&mut app, Msg::Errors { generation: 0, append: true, result: Ok(rest) });
    assert_eq!(app.errors.items.len(), 6, "what is known already does not come twice");
}

/// Errors by number, the newest first.
fn numbered(numbers: std::ops::RangeInclusive<i64>) -> Vec<SyncError> {
    numbers.rev().map(|number| error(number, "CODE", "Email", "bad", ErrorState::Open)).collect()
}

#[test]
fn new_errors_leave_the_selected_line_where_the_eye_is_however_many_they_are() {
    for fresh in [1, 40] {
        let mut app = console((120, 40));
        let came = |items| Msg::Errors { generation: 0, append: false, result: Ok(page(items)) };
        update(&mut app, came(numbered(1..=60)));
        press(&mut app, "PgDn PgDn PgDn Up Up");
        let Cursor { at, top } = app.errors.cursor;
        let stands_at = |app: &App| {
            let screen = text(app);
            let number = app.errors.selected().unwrap().row_id.unwrap().to_string();
            screen.lines().position(|line| line.contains(&number)).unwrap()
        };
        let (selected, line) = (app.errors.selected().unwrap().id, stands_at(&app));
        assert!(top > 0 && at > top, "the list is scrolled: {at}, {top}");
        update(&mut app, came(numbered(1..=60 + fresh)));
        assert_eq!((app.errors.selected().unwrap().id, stands_at(&app)), (selected, line));
        let moved = usize::try_from(fresh).unwrap();
        assert_eq!(app.errors.cursor, Cursor { at: at + moved, top: top + moved });
        // Gone, the next one stands in its place.
        let rest = numbered(1..=60 + fresh).into_iter().filter(|error| error.id != selected).collect();
        update(&mut app, came(rest));
        assert_eq!((app.errors.selected().unwrap().id, stands_at(&app)), (selected - 1, line));
        assert_eq!(app.errors.cursor, Cursor { at: at + moved, top: top + moved });
    }
}

#[test]
fn the_record_follows_the_selection_once_it_rests() {
    let mut app = full((120, 40));
    let rests = |effects: Vec<Effect>| {
        effects
            .into_iter()
            .find_map(|effect| if let Effect::Debounce(number) = effect { Some(number) } else { None })
    };
    let first = rests(update(&mut app, Msg::Key(super::world::key("k")))).unwrap();
    let second = rests(update(&mut app, Msg::Key(super::world::key("j")))).unwrap();
    assert_eq!(update(&mut app, Msg::Debounced(first)), [], "it moved on");
    assert_eq!(update(&mut app, Msg::Debounced(second)), [Effect::LoadRecord(jane())]);
    let pane = app.selection.record.as_ref().unwrap();
    assert_eq!(
        (app.ctx.focus, &pane.remote),
        (Pane::Errors, &Remote::Unasked),
        "Salesforce is not asked in passing"
    );
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(press(&mut app, "Enter").contains(&Effect::FetchValues(jane())));
    assert_eq!(app.ctx.focus, Pane::Record);
    // Changes that are not saved are not lost by looking at another error.
    press(&mut app, "k e BS Tab 2");
    let third = rests(update(&mut app, Msg::Key(super::world::key("j")))).unwrap();
    assert_eq!(update(&mut app, Msg::Debounced(third)), []);
    assert_eq!(app.selection.record.as_ref().unwrap().row, jane());
    // On a low screen the record does not show, and nothing is read for it.
    let mut low = full((80, 24));
    assert_eq!(rests(update(&mut low, Msg::Key(super::world::key("j")))), None);
}

#[test]
fn the_records_views_are_asked_for_when_they_are_looked_at_and_lead_to_relatives() {
    let mut app = full((120, 40));
    press(&mut app, "j Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert_eq!(press(&mut app, "] ]"), [Effect::LoadRelatives(jane())]);
    update(&mut app, Msg::Relatives { row: jane(), result: Ok(relatives()) });
    assert_eq!(press(&mut app, "]"), [Effect::LoadRecordLog(jane())]);
    assert_eq!(press(&mut app, "["), [], "it is known already");
    let child = relatives()[1].row.clone();
    let effects = press(&mut app, "j Enter");
    assert!(effects.contains(&Effect::LoadRecord(child.clone())), "{effects:?}");
    assert_eq!(app.selection.record.as_ref().unwrap().row, child);
    press(&mut app, "]");
    assert_eq!(app.selection.record.as_ref().unwrap().tab, RecordTab::Attempts);
    press(&mut app, "Esc");
    assert_eq!(
        (app.selection.record.as_ref().unwrap().tab, app.ctx.focus),
        (RecordTab::Fields, Pane::Record)
    );
    // Back to the record that one came from, among its relatives, and only then out of it.
    press(&mut app, "Esc");
    let pane = app.selection.record.as_ref().unwrap();
    assert_eq!((&pane.row, pane.tab, app.ctx.focus), (&jane(), RecordTab::Relatives, Pane::Record));
    press(&mut app, "Esc Esc");
    assert_eq!(app.ctx.focus, Pane::Errors);
}

#[test]
fn a_line_of_the_log_leads_to_its_record_and_back() {
    let mut app = full((120, 40));
    let mut line = log().remove(1);
    line.id = 9;
    line.fields.insert("row".to_owned(), serde_json::json!(10_235));
    update(&mut app, Msg::Log(Ok(vec![line])));
    let effects = press(&mut app, "4 Enter");
    assert!(effects.contains(&Effect::LoadRecord(jane())), "{effects:?}");
    assert_eq!(app.ctx.focus, Pane::Record);
    press(&mut app, "Esc");
    assert_eq!(app.ctx.focus, Pane::Log, "one step back is where one came from");
    press(&mut app, "k Enter");
    assert_eq!(app.ctx.focus, Pane::Log);
    assert_eq!(app.ctx.toast.as_ref().unwrap().text, "this line speaks of no row");
}

#[test]
fn the_log_is_searched_scrolled_back_and_filtered_elsewhere_when_it_is_long() {
    let mut app = full((120, 40));
    for part in 0..25 {
        update(&mut app, Msg::Log(Ok(many_lines(1_000 + part * 1_000, 1_000))));
    }
    press(&mut app, "4 s");
    type_in(&mut app, "INVOICE");
    press(&mut app, "Enter");
    let id = |app: &App| app.log.selected().unwrap().id;
    assert_eq!(id(&app), 25_900);
    press(&mut app, "N");
    assert_eq!(id(&app), 25_800);
    press(&mut app, "n E E");
    assert_eq!(id(&app), 25_700, "warnings are found as well");
    press(&mut app, "/");
    type_in(&mut app, "level:warn");
    let effects = press(&mut app, "Enter");
    let [Effect::FilterLog { generation, upto, lines, filter }] = &effects[..] else {
        panic!("{}", effects.len())
    };
    // What comes meanwhile is not lost.
    update(&mut app, Msg::Log(Ok(many_lines(26_000, 101))));
    let places = crate::logs::ring::search(lines, filter);
    update(&mut app, Msg::LogFiltered { generation: *generation, upto: *upto, places });
    assert_eq!((app.log.len(), id(&app)), (254, 25_700), "the line that one looks at stays in sight");
    press(&mut app, "Esc Esc");
    let effects = press(&mut app, "g");
    assert_eq!(effects, [Effect::LoadOlderLog(1)], "the first line asks for those before it, once");
    assert_eq!(press(&mut app, "g"), []);
    update(&mut app, Msg::OlderLog(Ok(many_lines(-500, 400))));
    press(&mut app, "g");
    assert_eq!(id(&app), -500);
}

#[test]
fn what_waits_shows_in_the_place_of_the_errors_and_opens() {
    let mut app = full((120, 40));
    assert!(
        press(&mut app, "5").iter().any(|effect| matches!(effect, Effect::LoadPending { append: false, .. }))
    );
    update(&mut app, Msg::Pending { append: false, limit: 100, result: Ok(pending()) });
    press(&mut app, "j");
    let selected = app.pending.selected().unwrap().row.clone();
    let rest = pending().into_iter().skip(1).collect();
    update(&mut app, Msg::Pending { append: false, limit: 100, result: Ok(rest) });
    assert_eq!(app.pending.selected().unwrap().row, selected, "the selection stays on its row");
    assert!(press(&mut app, "Enter").contains(&Effect::LoadRecord(selected)));
    press(&mut app, "Esc");
    assert_eq!(app.ctx.focus, Pane::Pending);
}

#[test]
fn the_next_console_begins_where_this_one_stood() {
    let mut app = full((120, 40));
    filtered(&mut app, "code:EMAIL");
    press(&mut app, "j Enter z");
    let state = app.session();
    let mut next = console((120, 40));
    next.resume(&state);
    assert_eq!(
        (next.ctx.focus, next.ctx.zoom, next.errors.filter.as_str()),
        (Pane::Record, true, "code:EMAIL")
    );
    let effects = update(&mut next, Msg::Opened(Vec::new()));
    assert_eq!(asked(&effects).0, "code:EMAIL");
    assert!(effects.contains(&Effect::FetchValues(jane())), "{effects:?}");
    let mut all = errors();
    all.insert(
        0,
        super::world::error(
            77,
            "NEW",
            "",
            "came meanwhile",
            crate::domain::errors::sync_error::ErrorState::Open,
        ),
    );
    update(&mut next, Msg::Errors { generation: 0, append: false, result: Ok(page(all)) });
    assert_eq!(next.errors.selected().map(|error| error.id), state.selected);
    // What makes no sense any more is left out.
    let mut odd = console((120, 40));
    let broken = crate::config::state::SessionState {
        filter: "state:shut".to_owned(),
        pane: "Moon".to_owned(),
        ..state
    };
    odd.resume(&broken);
    assert_eq!((odd.errors.filter.as_str(), odd.ctx.focus), ("", Pane::Errors));
    assert!(odd.selection.record.is_some());
}

#[test]
fn another_connection_is_gone_to_and_one_alone_says_so() {
    let mut app = full((120, 40));
    assert_eq!(press(&mut app, "C"), []);
    assert!(app.ctx.toast.as_ref().unwrap().text.contains("one connection only"));
    let named = |name: &str| Connection { name: name.to_owned(), environment: "prod".to_owned() };
    app.ctx.settings.connections = vec![named("acme"), named("other")];
    press(&mut app, "C");
    assert_eq!(press(&mut app, "2"), [Effect::Connect("other".to_owned())]);
}

#[test]
fn a_click_chooses_a_line_and_the_wheel_moves() {
    let mut app = full((120, 40));
    let mouse =
        |kind, column, row| Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    // The header, the frame and the head of the columns are above the first error.
    update(&mut app, mouse(MouseEventKind::Down(MouseButton::Left), 60, 5));
    assert_eq!((app.ctx.focus, app.errors.cursor.at), (Pane::Errors, 2));
    update(&mut app, mouse(MouseEventKind::ScrollDown, 60, 5));
    assert_eq!(app.errors.cursor.at, 5);
    update(&mut app, mouse(MouseEventKind::Down(MouseButton::Left), 5, 4));
    assert_eq!((app.ctx.focus, app.mappings.cursor.at), (Pane::Mappings, 1));
    update(&mut app, mouse(MouseEventKind::Down(MouseButton::Left), 5, 30));
    assert_eq!(app.ctx.focus, Pane::Mappings, "no record is open");
}
