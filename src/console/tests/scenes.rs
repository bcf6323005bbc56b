//! Every pane and every overlay, empty, loading, full, hostile and refused, as pictures in text: at 80x24, 120x40 and
//! 200x60, and at the smallest of these with what colour and attribute each cell has, in colour and without.

use chrono::TimeDelta;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::screens::{drawn, text};
use super::world::{
    HOSTILE, acts, console, contested, error, failing, full, groups, jane, log, now, overview, page, pending,
    plan, planned, press, relatives, report, shares, trends, trial, type_in, values, verdict,
};
use crate::console::model::{Connection, Model};
use crate::console::msg::Msg;
use crate::console::theme::Theme;
use crate::console::update::update;
use crate::domain::act::Progress;
use crate::domain::overview::{LoadProgress, Overview};
use crate::domain::record::RecordView;
use crate::domain::sync_error::ErrorState;
use crate::engine::handle::{Event, Refused};
use crate::engine::verify::Stage;

type Size = (u16, u16);
type Scene = (&'static str, fn(Size) -> Model);

const SIZES: [Size; 3] = [(80, 24), (120, 40), (200, 60)];

fn refused() -> Refused {
    Refused(format!("no connection to PostgreSQL at db:5432\n{HOSTILE}"))
}

/// Jane's record, open.
fn record(size: Size, view: RecordView) -> Model {
    let mut model = full(size);
    press(&mut model, "j Enter");
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    update(&mut model, Msg::Values { row: jane(), result: Ok(values()) });
    model
}

/// A record whose every value is hostile, or 4 kB of wide characters.
fn hostile_record() -> RecordView {
    let mut view = failing();
    let long = "株式会社 ".repeat(400);
    for (at, (_, value)) in view.values.iter_mut().enumerate() {
        *value = Some(if at % 2 == 0 { HOSTILE.to_owned() } else { long.clone() });
    }
    if let Some(error) = &mut view.error {
        error.message = format!("{HOSTILE} {long}");
        error.code = HOSTILE.to_owned();
    }
    view
}

fn with(model: &mut Model, change: impl Fn(&mut Overview)) {
    let mut now = overview();
    change(&mut now);
    update(model, Msg::Overview(Ok(now)));
}

fn pane_scenes() -> Vec<Scene> {
    vec![
        ("mappings_loading", |size| {
            let mut model = console(size);
            press(&mut model, "1");
            model
        }),
        ("mappings_none", |size| {
            let mut model = console(size);
            with(&mut model, |overview| overview.mappings.clear());
            press(&mut model, "1");
            model
        }),
        ("mappings_zoomed", |size| {
            let mut model = full(size);
            with(&mut model, |overview| {
                overview.mappings[1].failing_since = Some(now() - TimeDelta::minutes(3));
                overview.mappings[1].by_category =
                    [("data".to_owned(), 200), ("mapping".to_owned(), 31)].into();
                overview.mappings[1].lag_seconds = Some(300);
                overview.mappings[2].load = Some(LoadProgress {
                    done: 2_000,
                    total: 6_000,
                    began_at: now() - TimeDelta::seconds(30),
                });
            });
            press(&mut model, "1 j z");
            update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), None)) });
            model
        }),
        ("mappings_hostile", |size| {
            let mut model = full(size);
            with(&mut model, |overview| {
                overview.connection.name = HOSTILE.to_owned();
                overview.connection.environment = "prod".to_owned();
                overview.connection.state = "down".to_owned();
                overview.connection.detail = Some(HOSTILE.to_owned());
                overview.mappings[0].name = HOSTILE.to_owned();
                overview.mappings[0].detail = Some(HOSTILE.to_owned());
                overview.mappings[0].state = "broken".to_owned();
            });
            press(&mut model, "1 z");
            model
        }),
        ("rowless_hostile", |size| {
            let mut model = console(size);
            let mut error = error(1, "INVALID_TYPE", HOSTILE, HOSTILE, ErrorState::Open);
            error.row_id = None;
            error.mapping = HOSTILE.to_owned();
            error.fields = vec![HOSTILE.to_owned()];
            error.message = format!("{HOSTILE} {}", "株式会社 ".repeat(400));
            let listed = Msg::Errors { generation: 0, append: false, result: Ok(page(vec![error])) };
            update(&mut model, listed);
            press(&mut model, "Enter");
            model
        }),
        ("errors_refused", |size| {
            let mut model = console(size);
            update(&mut model, Msg::Errors { generation: 0, append: false, result: Err(refused()) });
            model
        }),
        ("errors_none_match", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "code:EMAIL");
            press(&mut model, "Enter");
            let generation = model.errors.generation;
            update(&mut model, Msg::Errors { generation, append: false, result: Ok(page(Vec::new())) });
            model
        }),
        ("errors_hostile", |size| {
            let mut model = console(size);
            let mut bad = error(7, HOSTILE, HOSTILE, HOSTILE, ErrorState::Open);
            bad.mapping = "株式会社".to_owned();
            let long = error(8, "CODE", "Field", &"שלום ".repeat(800), ErrorState::Review);
            update(
                &mut model,
                Msg::Errors { generation: 0, append: false, result: Ok(page(vec![bad, long])) },
            );
            press(&mut model, "Space");
            model
        }),
        ("record_loading", |size| {
            let mut model = full(size);
            press(&mut model, "j Enter");
            model
        }),
        ("record_refused", |size| {
            let mut model = full(size);
            press(&mut model, "j Enter");
            update(&mut model, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
            model
        }),
        ("record_hostile", |size| record(size, hostile_record())),
        ("record_attempts", |size| {
            let mut view = failing();
            view.history[0].request = Some(serde_json::json!({"Email": "jane@acme,com", "Note": HOSTILE}));
            view.history[0].response =
                Some(serde_json::json!({"success": false, "errors": [{"message": HOSTILE}]}));
            let mut model = record(size, view);
            press(&mut model, "]");
            model
        }),
        ("record_relatives", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ]");
            update(&mut model, Msg::Relatives { row: jane(), result: Ok(relatives()) });
            model
        }),
        ("record_log", |size| {
            let mut model = record(size, failing());
            press(&mut model, "] ] ]");
            update(&mut model, Msg::RecordLog { row: jane(), result: Ok(log()) });
            model
        }),
        ("pending", |size| {
            let mut model = full(size);
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(pending()) });
            model
        }),
        ("pending_none", |size| {
            let mut model = full(size);
            press(&mut model, "5");
            update(&mut model, Msg::Pending { append: false, limit: 100, result: Ok(Vec::new()) });
            model
        }),
        ("log_gap_and_search", |size| {
            let mut model = full(size);
            let mut gap = log().remove(1);
            gap.id = 4;
            gap.fields.insert("dropped".to_owned(), serde_json::json!(1_234));
            let mut hostile = log().remove(2);
            hostile.id = 5;
            hostile.message = format!("{HOSTILE} Lead");
            update(&mut model, Msg::Log(Ok(vec![gap, hostile])));
            press(&mut model, "4 s");
            type_in(&mut model, "lead");
            press(&mut model, "Enter N z T");
            model
        }),
        ("log_none_match", |size| {
            let mut model = full(size);
            press(&mut model, "4 /");
            type_in(&mut model, "nothing-like-it");
            press(&mut model, "Enter");
            model
        }),
        ("lost", |size| {
            let mut model = full(size);
            update(&mut model, Msg::Event(Event::Lost(HOSTILE.to_owned())));
            update(&mut model, Msg::Overview(Err(refused())));
            model
        }),
        ("opening", |size| {
            let mut model = console(size);
            model.settings.connection = "acme".to_owned();
            model.settings.opening = "connecting to PostgreSQL ...".to_owned();
            model
        }),
    ]
}

fn overlay_scenes() -> Vec<Scene> {
    vec![
        ("palette", |size| {
            let mut model = full(size);
            press(&mut model, ":");
            type_in(&mut model, "pau");
            model
        }),
        ("palette_none", |size| {
            let mut model = full(size);
            press(&mut model, ":");
            type_in(&mut model, "zzzz");
            model
        }),
        ("help_read_only", |size| {
            let mut model = record(size, failing());
            model.read_only = true;
            press(&mut model, "?");
            model
        }),
        ("filter_completed", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "-code:in");
            let values = vec![("INVALID_EMAIL_ADDRESS".to_owned(), 44), (HOSTILE.to_owned(), 1)];
            let (qualifier, prefix) = ("code".to_owned(), "in".to_owned());
            update(&mut model, Msg::Offers { qualifier, prefix, values });
            press(&mut model, "Tab");
            model
        }),
        ("filter_refused", |size| {
            let mut model = full(size);
            press(&mut model, "/");
            type_in(&mut model, "state:shut");
            press(&mut model, "Enter");
            model
        }),
        ("sort", |size| {
            let mut model = full(size);
            press(&mut model, "s j");
            model
        }),
        ("trends", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), Some(shares()))) });
            press(&mut model, "j");
            model
        }),
        ("trends_loading", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            model
        }),
        ("trends_healthy", |size| {
            let mut model = full(size);
            press(&mut model, "M");
            update(&mut model, Msg::Trends { minutes: 60, result: Ok((trends(), Some(Vec::new()))) });
            model
        }),
        ("verifying", |size| {
            let mut model = full(size);
            press(&mut model, "1 j v");
            update(&mut model, Msg::Stage(Stage::Settling(12)));
            update(&mut model, Msg::Stage(Stage::Comparing(1_500, 6_000)));
            update(&mut model, Msg::Tick(now() + TimeDelta::seconds(10)));
            model
        }),
        ("verified", |size| {
            let mut model = full(size);
            update(&mut model, Msg::Verified(Ok(verdict())));
            model
        }),
        ("repair", |size| {
            let mut model = full(size);
            with(&mut model, |overview| overview.connection.environment = "prod".to_owned());
            update(&mut model, Msg::Verified(Ok(verdict())));
            press(&mut model, "s");
            model
        }),
        ("tried", |size| {
            let mut model = full(size);
            update(&mut model, Msg::Tried { mapping: "Contact".to_owned(), result: Ok(trial()) });
            model
        }),
        ("sure", |size| {
            let mut model = full(size);
            press(&mut model, "1 t");
            model
        }),
        ("connections", |size| {
            let mut model = full(size);
            model.settings.connection = "acme".to_owned();
            model.settings.connections = [("acme", "prod"), ("acme-test", "sandbox")]
                .map(|(name, environment)| Connection {
                    name: name.to_owned(),
                    environment: environment.to_owned(),
                })
                .into();
            press(&mut model, "C");
            model
        }),
        ("causes_hostile", |size| {
            let mut model = full(size);
            let mut causes = groups();
            causes[0].template = HOSTILE.to_owned();
            update(&mut model, Msg::Groups { filter: HOSTILE.to_owned(), result: Ok(causes) });
            model
        }),
        ("question_hostile", |size| {
            let mut model = full(size);
            planned(&mut model, plan(2));
            update(&mut model, Msg::Progress(Progress { through: 1, total: 2 }));
            model
        }),
        ("report_hostile", |size| {
            let mut model = full(size);
            update(
                &mut model,
                Msg::Reported { text: HOSTILE.to_owned(), sends: true, result: Ok(report(3)) },
            );
            model
        }),
        ("audit_hostile", |size| {
            let mut model = full(size);
            let mut all = acts();
            all[0].actor = HOSTILE.to_owned();
            all[1].why = Some(HOSTILE.to_owned());
            update(&mut model, Msg::Acts(Ok(all)));
            model
        }),
        ("sides_hostile", |size| {
            let mut view = contested();
            view.conflicts[0].salesforce = Some(HOSTILE.to_owned());
            let mut model = record(size, view);
            press(&mut model, "c");
            model
        }),
        ("edit_hostile", |size| {
            let mut model = record(size, hostile_record());
            press(&mut model, "g e");
            model
        }),
        ("toast_hostile", |size| {
            let mut model = full(size);
            update(&mut model, Msg::Changed(Err(refused())));
            model
        }),
    ]
}

/// What each cell looks like, a letter a cell: colours by their first letter, attributes where there is no colour.
fn looks(buffer: &Buffer) -> String {
    let letter = |cell: &Cell| match (cell.fg, cell.modifier) {
        (_, modifier) if modifier.contains(Modifier::REVERSED) => '#',
        (Color::Reset, modifier) if modifier.contains(Modifier::DIM) => 'd',
        (Color::Reset, modifier) if modifier.contains(Modifier::BOLD) => 'b',
        (Color::Reset, modifier) if modifier.contains(Modifier::UNDERLINED) => 'u',
        (Color::Reset, _) => '.',
        (Color::DarkGray, _) => 'g',
        (Color::Cyan, _) => 'c',
        (Color::Green, _) => 'G',
        (Color::Yellow, _) => 'Y',
        (Color::Red, _) => 'R',
        _ => '?',
    };
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width).map(|row| row.iter().map(letter).collect::<String>());
    rows.map(|row| row.trim_end_matches('.').to_owned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_pane_and_overlay_looks_as_it_should() {
    for (name, scene) in pane_scenes().into_iter().chain(overlay_scenes()) {
        let mut picture = String::new();
        for size in SIZES {
            picture += &format!("{}x{}\n{}\n\n", size.0, size.1, text(&scene(size)));
        }
        let mut model = scene(SIZES[0]);
        picture += &format!("in colour\n{}\n\n", looks(&drawn(&model)));
        model.theme = Theme::new(false);
        let plain = drawn(&model);
        assert!(
            plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset),
            "{name}"
        );
        picture += &format!("NO_COLOR\n{}\n", looks(&plain));
        insta::assert_snapshot!(format!("scene_{name}"), picture);
    }
}

#[test]
fn nothing_hostile_and_nothing_but_ascii_where_that_is_wanted_reaches_a_cell() {
    for (name, scene) in pane_scenes().into_iter().chain(overlay_scenes()) {
        for size in SIZES {
            let mut model = scene(size);
            for cell in &drawn(&model).content {
                let hostile =
                    |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{200b}';
                assert!(!cell.symbol().chars().any(hostile), "{name}: {:?}", cell.symbol());
            }
            model.theme = Theme::named("ascii").unwrap();
            assert!(drawn(&model).content.iter().all(|cell| cell.symbol().is_ascii()), "{name}");
        }
    }
}
