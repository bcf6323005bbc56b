//! What a configuration makes of a database that Heroku Connect keeps.

use std::time::Duration;

use crate::client::setup::line::SetupLine;
use crate::client::setup::text::{
    NOT_YET, adopt_question, adopted_lines, after_plan, plan_lines, undo_question, way_back_lines,
};
use crate::client::setup::{SetupPreview, SetupQuestion, SetupRun};
use crate::domain::mappings::mapping::Access;
use crate::domain::reports::budget::ApiBudget;
use crate::domain::reports::forecast::{Allowance, Circumstances, Demand, WriteForecast, forecast};
use crate::domain::reports::setup_plan::{
    Entries, LoadPlan, SetupAction, SetupPlan, StartPlan, TableOrigin, TablePlan,
};
use crate::domain::reports::way_back::WayBack;

const OF: &str = "the schema salesforce (connection acme, prod)";
const PLACE: &str = "database \"app\" at db:5432";

fn demand(mapping: &str, access: Access) -> Demand {
    Demand {
        mapping: mapping.to_owned(),
        access,
        poll_interval: Duration::from_secs(600),
        change_events: false,
        asks_deletes: true,
        verify: None,
        records: Some(6_000),
        calls_a_page: 1,
        reads_all: false,
        batch_size: 200,
        bulk_from: None,
        writes: WriteForecast::Assumed { changes: 2_000 },
    }
}

fn table(mapping: &str, actions: Vec<SetupAction>) -> TablePlan {
    TablePlan {
        mapping: mapping.to_owned(),
        table: mapping.to_lowercase(),
        origin: TableOrigin::Foreign,
        actions,
        adopted: vec!["lastname".to_owned(), "email".to_owned(), "external_id__c".to_owned()],
        rows: 6_000,
        entries: Entries { unsent: 12, in_flight: 2, failed: 231 },
        loads: true,
        refused: None,
    }
}

/// The plan of a start that takes two tables over and makes a third one.
fn start() -> StartPlan {
    let drops = |table: &str| {
        let (trigger, function) = (format!("hc_{table}_logtrigger"), format!("hc_{table}_logger"));
        let replaced = SetupAction::ReplaceFunction { function: format!("{function}()") };
        vec![
            SetupAction::DropTrigger { trigger, function },
            replaced,
            SetupAction::Capture { renewed: false },
        ]
    };
    let added = SetupAction::AddColumn { column: "title".to_owned(), kind: "varchar(128)".to_owned() };
    let contact = std::iter::once(added).chain(drops("contact")).collect();
    let made = SetupAction::CreateTable {
        columns: vec![("id".to_owned(), "integer".to_owned()), ("name".to_owned(), "varchar(80)".to_owned())],
    };
    let invoice = TablePlan {
        origin: TableOrigin::New,
        adopted: Vec::new(),
        rows: 0,
        entries: Entries::default(),
        ..table("Invoice__c", vec![made])
    };
    let setup = SetupPlan {
        actions: vec![SetupAction::LayOut { schema: "syncdeck".to_owned(), new: true }],
        tables: vec![table("Account", drops("account")), table("Contact", contact), invoice],
        strangers: 3,
        ..SetupPlan::default()
    };
    let demands = [
        demand("Account", Access::ReadWrite),
        demand("Contact", Access::ReadWrite),
        demand("Invoice__c", Access::ReadOnly),
    ];
    let around = Circumstances {
        describe_interval: Duration::from_secs(300),
        verify_share: 10,
        allowance: Allowance::Told { calls: 100_000, used: 1_204 },
        budget: ApiBudget::default(),
    };
    let loads = ["Account", "Contact", "Invoice__c"];
    StartPlan {
        setup,
        loads: loads.map(|name| LoadPlan::of(name, Some(6_000), 1, 1_000.0)).to_vec(),
        load_rate: 1_000.0,
        load_rate_is_measured: false,
        forecast: forecast(&demands, &around),
    }
}

fn told(plan: &StartPlan, after: &str) -> SetupPreview {
    let mut lines = plan_lines(plan);
    lines.push(SetupLine::Text(after.to_owned()));
    SetupPreview::told(lines)
}

/// What a plan shows.
pub fn planned_start() -> SetupPreview {
    let plan = start();
    told(&plan, &after_plan(&plan.setup))
}

/// A plan by which nothing is done.
pub fn planned_nothing() -> SetupPreview {
    let mut plan = start();
    plan.setup = SetupPlan {
        tables: plan
            .setup
            .tables
            .into_iter()
            .map(|of| TablePlan {
                origin: TableOrigin::Own,
                actions: Vec::new(),
                adopted: Vec::new(),
                entries: Entries::default(),
                loads: false,
                ..of
            })
            .collect(),
        ..SetupPlan::default()
    };
    plan.loads.clear();
    told(&plan, &after_plan(&plan.setup))
}

/// A takeover that cannot be done: Heroku Connect works, and a table does not fit. `text` is in what was seen.
pub fn refused_takeover(text: &str) -> SetupPreview {
    let mut plan = start();
    plan.setup.at_work =
        vec![format!("the session 4711 of the role {text} listens for new entries of _trigger_log")];
    let mut lines = plan_lines(&plan);
    lines.splice(0..0, [SetupLine::Text(NOT_YET.to_owned()), SetupLine::Blank]);
    SetupPreview::told(lines)
}

fn run(lines: Vec<SetupLine>) -> SetupRun {
    SetupRun::new(move |_| {
        let lines = lines.clone();
        Box::pin(async move { Ok(lines) })
    })
}

fn tables() -> Vec<String> {
    vec!["account".to_owned(), "contact".to_owned()]
}

/// A takeover that is asked about; the name `acme` is to be typed.
pub fn takeover() -> SetupPreview {
    let question = SetupQuestion {
        text: adopt_question(OF, PLACE, &tables()),
        types: "acme".to_owned(),
        run: run(taken_over()),
    };
    SetupPreview { lines: plan_lines(&start()), question: Some(question) }
}

/// What came of it.
pub fn taken_over() -> Vec<SetupLine> {
    let mut lines =
        adopted_lines(OF, &tables(), &["the trigger hc_contact_logtrigger was dropped".to_owned()]);
    lines.extend([
        SetupLine::Blank,
        SetupLine::Heading("Next: the engine, which sends what waits and reads all records once.".to_owned()),
        SetupLine::Command("syncdeck run --config /srv/acme/own.toml".to_owned()),
    ]);
    lines
}

/// The way back, that is asked about.
pub fn way_back() -> SetupPreview {
    let way_back = WayBack {
        adopted_at: "2026-11-20 14:02:11 UTC".to_owned(),
        adopted_by: "app".to_owned(),
        restored: vec!["trigger hc_contact_logtrigger ON salesforce.contact".to_owned()],
        removed: vec!["trigger \"00_hc_logger\" ON salesforce.contact".to_owned()],
        kept: vec!["column salesforce.contact.title".to_owned()],
        unsent: 12,
        failed: 231,
        conflicts: 1,
        settings: vec!["Contact.strategy".to_owned()],
    };
    let types = "acme".to_owned();
    let question = SetupQuestion { text: undo_question(OF, PLACE), types, run: run(Vec::new()) };
    SetupPreview { lines: way_back_lines(&way_back), question: Some(question) }
}
