//! What is drawn.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Modifier;

use chrono::TimeDelta;

use super::world::{
    acts, console, contested, failing, full, groups, jane, now, overview, page, plan, planned, press, report,
    type_in, values,
};
use crate::console::model::Model;
use crate::console::msg::Msg;
use crate::console::theme::Theme;
use crate::console::update::update;
use crate::console::view;
use crate::domain::act::Progress;
use crate::engine::handle::{Event, Refused};

/// The screen as cells.
pub fn drawn(model: &Model) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view::draw(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text.
pub fn text(model: &Model) -> String {
    let buffer = drawn(model);
    let width = usize::from(buffer.area.width);
    let cells: Vec<&str> = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
    cells.chunks(width).map(|row| row.concat().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn with_record(size: (u16, u16)) -> Model {
    let mut model = full(size);
    press(&mut model, "j Enter");
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    update(&mut model, Msg::Values { row: jane(), result: Ok(values()) });
    model
}

#[test]
fn screens_at_120x40() {
    let size = (120, 40);
    insta::assert_snapshot!("loading", text(&console(size)));
    insta::assert_snapshot!("errors", text(&full(size)));
    insta::assert_snapshot!("record", text(&with_record(size)));
    let mut edit = with_record(size);
    press(&mut edit, "e");
    insta::assert_snapshot!("edit", text(&edit));
    let mut long = with_record(size);
    press(&mut long, "j j e");
    insta::assert_snapshot!("edit_long", text(&long));
    let mut remedies = with_record(size);
    press(&mut remedies, "f j");
    insta::assert_snapshot!("remedies", text(&remedies));
    let mut causes = full(size);
    update(&mut causes, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    insta::assert_snapshot!("causes", text(&causes));
    let mut strategies = full(size);
    press(&mut strategies, "1 j s");
    insta::assert_snapshot!("strategies", text(&strategies));
    let mut help = with_record(size);
    press(&mut help, "?");
    insta::assert_snapshot!("help", text(&help));
    let mut healthy = console(size);
    let mut all_well = overview();
    all_well.mappings.retain(|mapping| mapping.state == "ok");
    update(&mut healthy, Msg::Overview(Ok(all_well)));
    update(&mut healthy, Msg::Errors { generation: 0, append: false, result: Ok(page(Vec::new())) });
    insta::assert_snapshot!("healthy", text(&healthy));
    let mut lost = full(size);
    update(&mut lost, Msg::Event(Event::Lost("no connection".to_owned())));
    update(&mut lost, Msg::Overview(Err(Refused("no connection to PostgreSQL at db:5432".to_owned()))));
    insta::assert_snapshot!("lost", text(&lost));
}

#[test]
fn screens_of_acts() {
    for (name, size) in [("", (120, 40)), ("low_", (80, 24))] {
        let shown =
            |screen: &str, model: &Model| insta::assert_snapshot!(format!("{name}{screen}"), text(model));
        let mut ask = full(size);
        press(&mut ask, "2 j j Space f");
        shown("ask", &ask);
        let mut question = full(size);
        planned(&mut question, plan(5_000));
        press(&mut question, "5 Enter");
        shown("question", &question);
        press(&mut question, "BS");
        type_in(&mut question, "5000");
        press(&mut question, "Enter");
        update(&mut question, Msg::Progress(Progress { through: 1_200, total: 5_000 }));
        update(&mut question, Msg::Tick(now() + TimeDelta::seconds(2)));
        shown("working", &question);
        update(
            &mut question,
            Msg::Reported { text: "fix Phone".to_owned(), sends: true, result: Ok(report(4_997)) },
        );
        shown("report", &question);
        let mut audit = full(size);
        update(&mut audit, Msg::Acts(Ok(acts())));
        press(&mut audit, "j");
        shown("audit", &audit);
        let mut sides = full(size);
        press(&mut sides, "j Enter");
        update(&mut sides, Msg::Record { row: jane(), result: Box::new(Ok(contested())) });
        press(&mut sides, "c l j h");
        shown("sides", &sides);
    }
}

#[test]
fn screens_at_80x24() {
    let size = (80, 24);
    insta::assert_snapshot!("low_errors", text(&full(size)));
    insta::assert_snapshot!("low_record", text(&with_record(size)));
    let mut filter = full(size);
    press(&mut filter, "/ s t a t e :");
    insta::assert_snapshot!("low_filter", text(&filter));
}

#[test]
fn a_screen_too_small_says_what_it_needs() {
    assert!(text(&full((40, 10))).contains("need 60x15, have 40x10"));
    for width in (0..70).step_by(7) {
        for height in 0..20 {
            drawn(&full((width, height)));
        }
    }
}

#[test]
fn the_selected_line_stands_out_without_colour() {
    let mut model = full((120, 40));
    model.theme = Theme::new(false);
    let buffer = drawn(&model);
    let reversed: Vec<u16> = (0..40)
        .filter(|&y| (0..120).filter(|&x| buffer[(x, y)].modifier.contains(Modifier::REVERSED)).count() > 40)
        .collect();
    assert_eq!(reversed.len(), 1, "exactly one line is reversed: {reversed:?}");
    assert!(buffer.content.iter().all(|cell| cell.fg == ratatui::style::Color::Reset), "a colour is left");
}

#[test]
fn hostile_text_reaches_no_cell() {
    let mut model = with_record((120, 40));
    press(&mut model, "4");
    for cell in &drawn(&model).content {
        assert!(
            !cell.symbol().chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
            "{cell:?}"
        );
    }
}
