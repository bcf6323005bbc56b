//! A comparison beside Heroku Connect: what is looked at, its rounds, and the report.

use crate::client::setup::line::SetupLine;
use crate::client::setup::shadow::{ShadowPreview, ShadowRun};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::tests::setup::{attached, command};
use crate::console::tests::world::press;

fn text(text: &str) -> SetupLine {
    SetupLine::Text(text.to_owned())
}

/// What can be compared.
pub fn ready(org: &str) -> ShadowPreview {
    let lines = vec![
        text(&format!("comparing Account, Contact with the org {org}; nothing is changed")),
        text(
            "a round costs 7 API calls, and at least another for each 200 of a mapping that look different, 10,000 at most; every 15 min that is 672 a day",
        ),
        text("not compared: Contact: the role may not read the column phone"),
        SetupLine::Blank,
        SetupLine::Heading("From a shell it goes on without a console:".to_owned()),
        SetupLine::Command("syncdeck shadow --for 1d --config /srv/acme/own.toml".to_owned()),
    ];
    let run = ShadowRun::new(|_| Box::pin(async { Ok(Vec::new()) }));
    ShadowPreview { lines, run: Some(run) }
}

/// Where the connection has no login to the org.
pub fn without_org() -> ShadowPreview {
    let what = "This compares Salesforce with the rows that Heroku Connect keeps. Enter names a configuration that import wrote.";
    ShadowPreview { lines: vec![text(what)], run: None }
}

/// A round that is over.
pub fn round(number: u32, found: &str) -> String {
    format!("2026-11-20T14:1{number}:11Z round {number}: 10,000 rows compared in 4 s, 7 API calls: {found}")
}

/// What was found.
pub fn report(value: &str) -> Vec<SetupLine> {
    let item = |text: String| SetupLine::Item(text);
    vec![
        SetupLine::Heading("Not in step, over 3 rounds, stopped before its time.".to_owned()),
        SetupLine::Blank,
        SetupLine::Heading("Contact: 6,000 rows, 6,003 records, 6,000 compared: differences".to_owned()),
        item("12 rows differ from their records".to_owned()),
        item("  Email: 12 rows".to_owned()),
        item(format!("    row 10235 003sd0000000001AAA: {value:?} here, \"jane@acme.com\" there")),
        item("3 records without a row".to_owned()),
        item("40 differed and caught up".to_owned()),
        SetupLine::Blank,
        SetupLine::Heading("Account: 4,000 rows, 4,000 records, 4,000 compared: no difference".to_owned()),
    ]
}

/// A console that may begin to compare.
pub fn prepared(size: (u16, u16)) -> App {
    let mut app = attached(size);
    command(&mut app, "shadow");
    update(&mut app, Msg::ShadowFound { id: 1, result: Ok(ready("00D000000000001AAA")) });
    app
}

/// One that compares.
pub fn comparing(size: (u16, u16)) -> App {
    let mut app = prepared(size);
    press(&mut app, "Enter");
    app
}
