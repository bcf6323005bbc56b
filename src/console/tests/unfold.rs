//! Rows that wait for a listed one: shown below its line, and folded again; the cursor and the marks stay right.

use super::screens::text;
use super::world::{blocked, errors, full, page, press, words};
use crate::client::api::{ClientError, Count};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::domain::errors::summary::{Blocked, Summary};
use crate::domain::errors::sync_error::SyncError;

/// A console that stands on Jane's error, for which two rows wait.
fn waited_for() -> App {
    let mut app = full((120, 40));
    let told: Vec<Summary> = errors()
        .iter()
        .map(|error| Summary { waiting: if error.id == 35 { 2 } else { 0 }, ..words(error, "x") })
        .collect();
    update(&mut app, Msg::Words { asked: errors(), result: Ok(told) });
    press(&mut app, "j");
    app
}

fn unfolded(found: Blocked) -> App {
    let mut app = waited_for();
    let effects = press(&mut app, "w");
    let row = errors()[1].row().unwrap();
    assert_eq!(effects, [Effect::LoadBlocked(vec![(35, row)])]);
    update(&mut app, Msg::Blocked(Ok(vec![(35, found)])));
    app
}

fn ids(app: &App) -> Vec<i64> {
    app.errors.items.iter().map(|error| error.id).collect()
}

fn selected(app: &App) -> i64 {
    app.errors.selected().unwrap().id
}

fn listed(app: &mut App, items: Vec<SyncError>) -> Vec<Effect> {
    let generation = app.errors.generation;
    update(app, Msg::Errors { generation, append: false, result: Ok(page(items)) })
}

#[test]
fn what_waits_shows_below_its_line_and_the_same_key_folds_it() {
    let mut app = unfolded(blocked(&[901, 902]));
    assert_eq!((ids(&app), selected(&app)), (vec![36, 35, 901, 902, 34, 33, 32, 31], 35));
    let screen = text(&app);
    assert!(screen.contains("└ Case 11101") && screen.contains("▾ 2 wait"), "{screen}");
    assert!(screen.contains("2 of 6"), "they are no part of what is counted: {screen}");
    press(&mut app, "w");
    assert_eq!((ids(&app), selected(&app)), (vec![36, 35, 34, 33, 32, 31], 35));
    assert!(text(&app).contains("▸ 2 wait"));
}

#[test]
fn one_who_stands_below_goes_to_the_line_above_when_it_is_folded() {
    let mut app = unfolded(blocked(&[901, 902]));
    press(&mut app, "j j");
    assert_eq!(selected(&app), 902);
    press(&mut app, "w");
    assert_eq!((ids(&app), selected(&app)), (vec![36, 35, 34, 33, 32, 31], 35));
}

#[test]
fn the_list_comes_anew_and_one_stays_on_the_row_that_waits() {
    let mut app = unfolded(blocked(&[901, 902]));
    press(&mut app, "j");
    let mut now = errors();
    now.insert(0, SyncError { id: 37, ..errors()[1].clone() });
    let effects = listed(&mut app, now);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::LoadBlocked(_))), "{effects:?}");
    assert_eq!((ids(&app), selected(&app)), (vec![37, 36, 35, 901, 902, 34, 33, 32, 31], 901));
    // It waits no longer: its place has the next one, and nothing is done to that unseen.
    update(&mut app, Msg::Blocked(Ok(vec![(35, blocked(&[902]))])));
    assert_eq!((ids(&app), selected(&app)), (vec![37, 36, 35, 902, 34, 33, 32, 31], 902));
    // The parent is gone, and what waited for it with it.
    listed(&mut app, errors().into_iter().filter(|error| error.id != 35).collect());
    assert_eq!(ids(&app), [36, 34, 33, 32, 31]);
}

#[test]
fn marks_are_of_what_is_marked_and_all_that_match_are_none_of_those_below() {
    let mut app = unfolded(blocked(&[901, 902]));
    press(&mut app, "j Space");
    assert_eq!(app.errors.marks.ids.iter().copied().collect::<Vec<_>>(), [901]);
    press(&mut app, "w w");
    update(&mut app, Msg::Blocked(Ok(vec![(35, blocked(&[901, 902]))])));
    assert!(text(&app).lines().any(|line| line.contains("●") && line.contains("└ Case 11101")));
    press(&mut app, "A A");
    let screen = text(&app);
    assert!(screen.contains("all marked"), "{screen}");
    assert!(!screen.lines().any(|line| line.contains("●") && line.contains("└ Case")), "{screen}");
}

#[test]
fn rows_that_are_listed_themselves_or_wait_for_each_other_show_once() {
    let mut app = unfolded(blocked(&[32, 901]));
    assert_eq!(ids(&app), [36, 35, 32, 901, 34, 33, 31]);
    // The row below is unfolded as well, and waits for the one above.
    let below = app.errors.items[2].clone();
    let told = vec![Summary { waiting: 1, ..words(&below, "x") }];
    update(&mut app, Msg::Words { asked: vec![below], result: Ok(told) });
    press(&mut app, "j w");
    update(&mut app, Msg::Blocked(Ok(vec![(35, blocked(&[32, 901])), (32, blocked(&[35, 903]))])));
    assert_eq!(ids(&app), [36, 35, 32, 903, 901, 34, 33, 31]);
    press(&mut app, "k w");
    // Each stands where it stood.
    assert_eq!((ids(&app), selected(&app)), (vec![36, 35, 34, 33, 32, 31], 35));
}

#[test]
fn more_than_are_told_of_is_said_and_a_refusal_too() {
    let app = unfolded(blocked(&[901, 902, 903]));
    assert!(text(&app).contains("▾+ 2 wait"), "{}", text(&app));
    let mut app = waited_for();
    press(&mut app, "w");
    update(&mut app, Msg::Blocked(Err(ClientError::refused("no connection"))));
    assert!(text(&app).contains("no connection"));
}

#[test]
fn where_nothing_waits_the_key_says_so() {
    let mut app = waited_for();
    press(&mut app, "j w");
    assert!(text(&app).contains("no row waits for this one"), "{}", text(&app));
}

#[test]
fn another_filter_begins_with_everything_folded() {
    let mut app = unfolded(blocked(&[901, 902]));
    press(&mut app, "/ x");
    press(&mut app, "Esc");
    assert_eq!(ids(&app), [36, 35, 34, 33, 32, 31]);
    let generation = app.errors.generation;
    update(&mut app, Msg::Counted { generation, result: Ok(Count { matching: 6, capped: false }) });
    assert_eq!(selected(&app), 35);
}
