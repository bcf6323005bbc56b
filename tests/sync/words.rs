//! What is said of values and errors: numbers that nobody guesses, lengths as Salesforce counts them, fields that nobody
//! may fill, errors of no row, and long values on a narrow screen.

use std::process::{Command, Output};

use serde_json::{Value, json};
use syncdeck::domain::names::{RowId, RowRef};
use syncdeck::domain::records::record::RecordView;

use crate::world::{World, contact};

fn one(object: &str, fields: &str, rules: &str) -> String {
    let fields: Vec<String> = fields.split(' ').map(|field| format!("{field:?}")).collect();
    format!(
        "[[mapping]]\nobject = \"{object}\"\nfields = [{}]\nexternal_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n{rules}\n",
        fields.join(", ")
    )
}

async fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    command.args(arguments).arg("--config").arg(&world.config.path);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn told(world: &World, arguments: &[&str]) -> String {
    let output = run(world, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn json_of(world: &World, arguments: &[&str]) -> Value {
    serde_json::from_str(&told(world, &[arguments, &["--json"]].concat()).await).unwrap()
}

async fn until_error(world: &World, row: &RowRef, code: &str) -> RecordView {
    let sql = format!(
        "SELECT code FROM syncdeck.error WHERE table_name = '{}' AND record_id = {} AND resolved_at IS NULL",
        row.table, row.row
    );
    world.until_text(&sql, code).await;
    world.handle.record(row).await.unwrap()
}

async fn remedied(world: &World, view: &RecordView, words: &str) {
    let offers = &view.advice.remedies;
    let offer = offers.iter().find(|offer| offer.text.contains(words) && offer.number.is_some());
    let offer = offer.unwrap_or_else(|| panic!("{words:?} is not offered: {offers:#?}"));
    world.handle.apply(&view.row, offer).await.unwrap();
}

async fn until_synced(world: &World, key: &str) {
    let sql = format!("SELECT _hc_lastop FROM salesforce.contact WHERE external_id__c = '{key}'");
    world.until_text(&sql, "SYNCED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_arrives_as_it_was_meant_or_is_an_error_with_the_reason() {
    let rules = "[mapping.field.Phone]\ntransforms = \"trim | phone_e164(US)\"";
    let world = World::start(&one("Contact", "LastName Phone", rules)).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, phone, external_id__c) VALUES
             ('London', '+44 (0)20 7946 0958', 'PH-1'), ('São Paulo', '+55 (11) 91234-5678', 'PH-2'),
             ('Washington', '202-555-0143 x12', 'PH-3'), ('Nowhere', '(555) 010-1234', 'PH-4')",
        )
        .await;
    for (key, number) in [("PH-1", "+442079460958"), ("PH-2", "+5511912345678")] {
        until_synced(&world, key).await;
        assert_eq!(world.record("Contact", key).unwrap()["Phone"], json!(number));
    }
    let extension = until_error(&world, &contact(3), "TRANSFORM_FAILED").await;
    let message = &extension.error.as_ref().unwrap().message;
    assert!(message.contains("has the extension \"x12\""), "{message}");
    remedied(&world, &extension, "Take the extension off").await;
    until_synced(&world, "PH-3").await;
    assert_eq!(world.record("Contact", "PH-3").unwrap()["Phone"], json!("+12025550143"));
    let nowhere = until_error(&world, &contact(4), "TRANSFORM_FAILED").await;
    assert!(nowhere.error.as_ref().unwrap().message.contains("is no valid telephone number in US"));
    assert!(world.record("Contact", "PH-4").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_salesforce_puts_together_stops_no_insert() {
    let world = World::start(&one("Contact", "Name LastName FirstName Email", "")).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, firstname, email, external_id__c)
             VALUES ('Sand', 'Mia', 'mia@example.com', 'NR-1'), ('Rau', 'Jo', 'jo@example.com', 'NR-2')",
        )
        .await;
    for (key, name) in [("NR-1", "Mia Sand"), ("NR-2", "Jo Rau")] {
        until_synced(&world, key).await;
        let sql = format!("SELECT name FROM salesforce.contact WHERE external_id__c = '{key}'");
        world.until_text(&sql, name).await;
    }
    world.run("UPDATE salesforce.contact SET lastname = 'Wind' WHERE external_id__c = 'NR-1'").await;
    world.until_text("SELECT name FROM salesforce.contact WHERE external_id__c = 'NR-1'", "Mia Wind").await;
    // What is really missing is still asked for, and not taken back by the next remedy.
    world.run("INSERT INTO salesforce.contact (firstname, external_id__c) VALUES ('Ada', 'NR-3')").await;
    let view = until_error(&world, &contact(3), "REQUIRED_FIELD_MISSING").await;
    assert_eq!(view.error.as_ref().unwrap().fields, ["LastName"]);
    let texts: Vec<&str> = view.advice.remedies.iter().map(|offer| offer.text.as_str()).collect();
    assert!(
        texts[0].contains("Fill the field") && !texts.iter().any(|text| text.contains("Do not ask")),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_counted_and_cut_as_salesforce_counts_it() {
    let world = World::start(&one("Account", "Name Nickname__c", "check = false")).await;
    world.org.shorten_field("Account", "Nickname__c", 10);
    world
        .until_text(
            "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE 'Account.% changed in Salesforce%'",
            "1",
        )
        .await;
    world
        .run(
            "INSERT INTO salesforce.account (name, nickname__c, external_id__c)
             VALUES ('Acme', '😀😀😀😀😀', 'E-0'), ('Acme', '😀😀😀😀😀😀', 'E-1'), ('Acme', '👨‍👩‍👧‍👦👨‍👩‍👧‍👦', 'E-2')",
        )
        .await;
    let row = |row| RowRef { table: "account".to_owned(), row: RowId(row) };
    world.until_text("SELECT _hc_lastop FROM salesforce.account WHERE id = 1", "SYNCED").await;
    let long = until_error(&world, &row(2), "STRING_TOO_LONG").await;
    remedied(&world, &long, "Cut it to what the field holds").await;
    world.until_text("SELECT _hc_lastop FROM salesforce.account WHERE id = 2", "SYNCED").await;
    assert_eq!(world.record("Account", "E-1").unwrap()["Nickname__c"], json!("😀😀😀😀😀"));
    // A family of eleven units is one to whoever reads it: nothing of it is left, so no cut is offered.
    let family = until_error(&world, &row(3), "STRING_TOO_LONG").await;
    assert!(
        !family.advice.remedies.iter().any(|offer| offer.text.starts_with("Cut it")),
        "{:?}",
        family.advice
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_no_row_is_told_with_cause_remedies_and_what_waits_for_it() {
    let world = World::start(&one("Contact", "LastName", "")).await;
    // It lasts for as long as this looks at it.
    world.org.change_faults(|faults| faults.daily_limit = 1_000);
    world
        .until_text("SELECT code FROM syncdeck.error WHERE record_id IS NULL", "REQUEST_LIMIT_EXCEEDED")
        .await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_text("SELECT count(*)::text FROM syncdeck.unit", "1").await;
    world
        .until("the connection is limited", async || {
            let overview = world.handle.overview().await.unwrap();
            overview.connection.state.word() == "limited" && overview.mappings[0].pending == 1
        })
        .await;
    let id = world.text("SELECT id::text FROM syncdeck.error").await.unwrap();
    for arguments in [["show", &id], ["explain", &id]] {
        let told = told(&world, &arguments).await;
        for part in [
            "REQUEST_LIMIT_EXCEEDED (retrying)",
            "the connection: connection, transient",
            "since 20",
            "Rate limit exceeded. The org's daily allowance",
            "All reads and writes wait for it, with 1 change to be sent.",
            "  - Wait: it goes on by itself",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let shown = json_of(&world, &["show", &id]).await;
    assert_eq!(shown["advice"]["title"], json!("Rate limit exceeded"));
    assert!(shown["waits"].as_str().unwrap().contains("1 change"));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_values_fill_no_screen_and_are_whole_when_they_are_asked_for() {
    let world = World::start(&one("Contact", "LastName Description", "")).await;
    world.run("ALTER TABLE salesforce.contact ALTER COLUMN description TYPE text").await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, description, external_id__c)
             VALUES ('Long', repeat('x', 70000), 'L-1'), ('株式会社', repeat('式', 5000), 'L-2')",
        )
        .await;
    until_synced(&world, "L-2").await;
    let view = until_error(&world, &contact(1), "STRING_TOO_LONG").await;
    let id = view.error.unwrap().id.to_string();
    for (arguments, length) in [
        (vec!["errors"], "characters)"),
        (vec!["show", &id], "(70,000 characters)"),
        (vec!["show", "contact:2"], "(5,000 characters)"),
    ] {
        let told = told(&world, &arguments).await;
        assert!(told.contains(length), "{arguments:?} names no length: {told}");
        let longest = told.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= 1_001, "{arguments:?}: a line of {longest}");
    }
    assert!(told(&world, &["show", &id, "--full"]).await.contains(&"x".repeat(70_000)));
    let shown = json_of(&world, &["show", &id]).await.to_string();
    assert!(shown.contains(&"x".repeat(70_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_in_a_row_is_explained_as_the_record_view_does() {
    let world = World::start(&one("Contact", "LastName Email", "")).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'jane@acme,com', 'K1')")
        .await;
    let view = until_error(&world, &contact(1), "INVALID_EMAIL_ADDRESS").await;
    let error = view.error.as_ref().unwrap();
    let kept = world.text("SELECT _hc_err FROM salesforce.contact").await.unwrap();
    let logged = world.text("SELECT sf_message FROM salesforce._trigger_log").await.unwrap();
    let id = error.id.to_string();
    for text in [kept.as_str(), &logged, &error.message, &error.code.to_lowercase()] {
        let told = told(&world, &["explain", text]).await;
        let title = format!("{}. {}", view.advice.title, view.advice.cause);
        assert!(told.contains(&title), "{text}: {told}");
    }
    assert!(told(&world, &["explain", &id]).await.contains(&view.advice.title));
    let calm = told(&world, &["explain", "level=INFO msg=\"Valid request!\""]).await;
    assert!(calm.contains("no error"), "{calm}");
    let unknown = run(&world, &["explain", "SOMETHING_NEW: never seen"]).await;
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("does not know the code SOMETHING_NEW"), "{said}");
    assert!(unknown.stdout.is_empty() && unknown.status.code() == Some(1));
}
