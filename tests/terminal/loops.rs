//! The loop of the main job by keys: see, mend, and see in the same place that Salesforce took it.

use serde_json::Value;

use crate::demo::Session;
use crate::workspace::{Office, open_record};

#[test]
fn an_operator_mends_a_value_and_salesforce_takes_it_once() {
    let mut session = Session::demo(120, 40);
    session.wait_for("● running");
    session.keys("/");
    session.wait_for("Filter errors");
    session.keys("code:EMAIL mapping:contact state:open\r");
    session.wait_for("5 Pending · code:EMAIL mapping:contact state:open");
    session.wait_until("errors are listed", listed);
    session.keys("\r");
    session.wait_for("┏ 3 Record · Contact");
    session.wait_for("▶ Email");
    session.wait_for("Invalid e-mail address.");
    session.wait_for("Salesforce: no record yet");
    let title = session.line_with("3 Record · Contact");
    let row: i32 = title.split("Contact ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();

    // What the field cannot hold is refused with the reason, and nothing is saved.
    session.keys("e");
    session.wait_for("save and retry");
    session.keys("\x01\x0bnot an address\x13");
    session.wait_for("✗ not saved: an e-mail address needs an @");
    let address = format!("mended.{row}@example.com");
    session.keys(&format!("\x01\x0b{address}"));
    session.wait_for("✓ fits the field");
    session.keys("\x13");
    session.wait_for("✓ Salesforce took it at");
    session.wait_for("In step with Salesforce.");

    // Its row is written a moment after the org took it, where the reader had it locked.
    session.wait_for_sql(
        &format!("SELECT (_hc_lastop IN ('INSERTED', 'UPDATED', 'SYNCED'))::text FROM salesforce.contact WHERE id = {row}"),
        "true",
    );
    let found = session.sql(&format!(
        "SELECT email || ' ' || external_id__c || ' ' || sfid FROM salesforce.contact WHERE id = {row}"
    ));
    let words: Vec<&str> = found.split(' ').collect();
    assert_eq!(words[0], address);
    let journal: Vec<Value> =
        serde_json::from_str(&session.http(&format!("/_simulator/journal?external_id={}", words[1])))
            .unwrap();
    let creates: Vec<&Value> = journal.iter().filter(|entry| entry["op"] == "create").collect();
    assert_eq!(creates.len(), 1, "{journal:?}");
    assert_eq!(
        (&creates[0]["fields"]["Email"], &creates[0]["id"]),
        (&Value::from(address), &Value::from(words[2]))
    );

    // The log runs beside it and can be paused; Esc goes back a step at a time; q leaves and tidies up.
    session.keys("4 ");
    session.wait_for("paused");
    // Esc and a key in one read would be one key with Alt.
    session.keys("\x1b");
    session.wait_for("┏ 2 Errors");
    session.keys("?");
    session.wait_for("Keys in Errors");
    session.keys("\x1b");
    session.wait_until("the help is gone", |screen| !screen.contains("Keys in"));
    session.keys("q");
    assert_eq!(session.exit_code(), 0);
    session.assert_nothing_left();
}

/// The list has something in it; the log may say anything.
fn listed(screen: &str) -> bool {
    screen.lines().any(|line| line.contains("2 Errors") && line.contains(" of "))
}

#[test]
fn an_operator_finds_a_cause_and_mends_it_by_a_remedy_with_two_keys() {
    let mut session = Session::demo(120, 40);
    session.wait_for("● running");
    session.keys("/");
    session.wait_for("Filter errors");
    session.keys("code:PICKLIST source:engine\r");
    session.wait_for("5 Pending · code:PICKLIST source:engine");
    session.wait_until("errors are listed", listed);
    session.keys("c");
    session.wait_for("Groups of errors that match code:PICKLIST source:engine");
    session.keys("1");
    // The list bears the cause in words.
    let bears_cause = |line: &str| line.contains("5 Pending · ") && line.contains("RESTRICTED_PICKLIST");
    session.wait_until("the errors of the cause are listed", |screen| screen.lines().any(bears_cause));
    session.wait_until("errors are listed", listed);
    session.keys("\r");
    // The mark of a field shows once the record is read; before that, f is refused.
    let is_read = ["┏ 3 Record", "▶ ", "Not a value of the picklist."];
    session.wait_until("its record is read", |screen| is_read.iter().all(|words| screen.contains(words)));
    session.keys("f");
    session.wait_for("Not a value of the picklist: what to do");
    // What empties a value is the last one, and asks.
    session.wait_for("→ nothing; asks first");
    session.keys("\x1b[6~\r");
    session.wait_for("The row loses");
    session.keys("y");
    session.wait_for("✓ Salesforce took it at");
    session.wait_for("In step with Salesforce.");
    // Another strategy for a mapping, from the console.
    session.keys("1s");
    session.wait_for("Account: what becomes of errors");
    session.keys("4");
    session.wait_for("Account: strategy is manual_review now");
    let set = "SELECT mapping || ' ' || key || ' ' || value FROM syncdeck.setting";
    assert_eq!(session.sql(set), "Account strategy manual_review");
    session.keys("p");
    session.wait_for("Account: its writes rest");
    session.keys("q");
    assert_eq!(session.exit_code(), 0);
    session.assert_nothing_left();
}

/// Asks what is said when an alert is taken in hand. The list goes on by itself: a key about a line that has just left
/// it, or that fires no more, is refused with the reason, and pressed again when that no longer shows.
fn ask_to_take(session: &mut Session) {
    let is_refused =
        |screen: &str| ["the list went on", "it does not fire"].iter().any(|why| screen.contains(why));
    loop {
        session.wait_until("an alert fires", |screen| screen.contains("▲ firing") && !is_refused(screen));
        // Those that fire stand first.
        session.keys("ga");
        session
            .wait_until("it is asked, or refused", |screen| screen.contains("┏ Take ") || is_refused(screen));
        if session.shows("┏ Take ") {
            return;
        }
    }
}

#[test]
fn an_operator_is_told_what_fires_takes_it_in_hand_silences_it_and_mutes_a_cause() {
    let mut session = Session::demo(120, 40);
    session.wait_for("(b)");
    session.keys("b");
    // What the receiver got stands in the log already.
    session.wait_for("Enter its errors");
    ask_to_take(&mut session);
    session.keys("I look\r");
    session.wait_for("in your hand");
    session.wait_for("● in hand");
    let noted = "SELECT count(*)::text FROM syncdeck.alert WHERE acknowledged_note = 'I look'";
    assert_eq!(session.sql(noted), "1");
    session.keys("S");
    session.wait_for("┏ Silence ");
    session.keys(" a load runs\r");
    session.wait_for("silence 1 lasts for");
    session.wait_for("○ silenced");
    session.keys("\t");
    session.wait_for("a load runs");
    session.keys("v");
    session.wait_for("4 Log · source:alerts");
    session.keys("2/");
    session.wait_for("Filter errors");
    session.keys("code:INVALID_EMAIL mapping:contact\r");
    session.wait_for("5 Pending · code:INVALID_EMAIL mapping:contact");
    session.wait_until("errors are listed", listed);
    session.keys("c");
    session.wait_for("Groups of errors that match code:INVALID_EMAIL");
    let lives = ["● new", "▲ growing", "· ongoing", "↻ back"];
    session.wait_until("the engine looked at it", |screen| lives.iter().any(|life| screen.contains(life)));
    // It may grow at any time here; a time holds.
    session.keys("s");
    session.wait_for("until: grows");
    session.keys("\x152d\r");
    session.wait_for("muted until 20");
    session.wait_for("○ quiet");
    let muted = "SELECT count(*)::text FROM syncdeck.cause WHERE mute IS NOT NULL";
    assert_eq!(session.sql(muted), "1");
    session.keys("\x1b");
    session.wait_until("the groups are closed", |screen| !screen.contains("Groups of errors"));
    session.keys("q");
    assert_eq!(session.exit_code(), 0);
    session.assert_nothing_left();
}

/// Fixes all that is listed, which is 2,200 errors, and waits for Salesforce to take it.
fn fix_all(session: &mut Session) {
    session.keys("A");
    session.wait_for("all marked");
    session.keys("f");
    session.wait_for("Fix all 2,200 errors");
    session.keys("\x15Phone | replace(\"call \", \"\")\r");
    session.wait_for("2,200 selected · 2,200 to do · 2,200 would then pass the checks");
    session.wait_for("call 415-555-0001");
    // A count that is not the count does nothing.
    session.keys("220\r");
    session.wait_for("that is not 2200; nothing was done");
    session.keys("0\r");
    session.wait_for("✓ 2,200 done");
    session.keys("\x1b");
    session.wait_for("No error matches the filter.");
}

#[test]
fn thousands_of_errors_are_mended_at_once_undone_and_mended_again() {
    let mut session = Session::demo(120, 40);
    session.wait_for("● running");
    // The demo's application leaves alone what has such keys and is not its own.
    session.run(
        "INSERT INTO salesforce.contact (lastname, phone, external_id__c)
         SELECT 'Import', 'call 415-555-' || lpad(i::text, 4, '0'), 'APP-BULK-' || i FROM generate_series(1, 2200) i",
    );
    session.keys("/");
    session.wait_for("Filter errors");
    session.keys("mapping:contact field:phone \"call 415\"\r");
    session.wait_for(" of 2,200 ");
    fix_all(&mut session);
    let phones = "SELECT count(*)::text FROM salesforce.contact
         WHERE external_id__c LIKE 'APP-BULK-%' AND phone LIKE '415-%' AND sfid IS NOT NULL";
    // What the org was busy with is tried again by itself.
    session.wait_for_sql(phones, "2200");

    session.keys("U");
    session.wait_for("undo operation");
    session.wait_for("2,200 selected · 2,200 to do");
    session.keys("2200\r");
    session.wait_for("✓ 2,200 done");
    session.keys("\x1b");
    session.wait_for(" of 2,200 ");
    assert_eq!(session.sql(phones), "0");
    // They are listed before Salesforce has refused them again, and what is refused after it was counted is left alone.
    let refused =
        "SELECT count(*)::text FROM syncdeck.unit JOIN salesforce.contact ON contact.id = unit.record_id
         WHERE unit.table_name = 'contact' AND unit.state = 'failed' AND external_id__c LIKE 'APP-BULK-%'";
    session.wait_for_sql(refused, "2200");

    fix_all(&mut session);
    session.wait_for_sql(phones, "2200");
    let journal: Vec<Value> =
        serde_json::from_str(&session.http("/_simulator/journal?external_id=APP-BULK-77")).unwrap();
    let ours: Vec<&Value> = journal.iter().filter(|entry| entry["source"] == "api").collect();
    let creates = ours.iter().filter(|entry| entry["op"] == "create").count();
    let phones: Vec<&Value> = ours.iter().map(|entry| &entry["fields"]["Phone"]).collect();
    assert!(creates == 1 && phones.iter().all(|phone| *phone == "415-555-0077"), "{journal:?}");
    session.keys("a");
    session.wait_for("Audit: what operators did");
    session.wait_for("Contact 2,200 rows");
    let operations = "SELECT string_agg(action || ' ' || rows, ', ' ORDER BY act)
         FROM (SELECT act, min(action) AS action, count(*) AS rows FROM syncdeck.audit GROUP BY act) acts";
    assert_eq!(session.sql(operations), "edited 2200, undid 2200, edited 2200");
    session.keys("\x1b");
    session.wait_until("the audit is gone", |screen| !screen.contains("Audit:"));
    session.keys("q");
    assert_eq!(session.exit_code(), 0);
    session.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_console_mends_another_shows_at_once() {
    let office = Office::open().await;
    let mut watching = office.console("watching", 120, 40);
    let mut mending = office.console("mending", 120, 40);
    let row = open_record(&mut mending);
    assert_eq!(open_record(&mut watching), row);
    mending.keys("e");
    mending.wait_for("save and retry");
    mending.keys("\x01\x0bjane@acme.com\r");
    mending.wait_for("✓ Salesforce took it at");
    watching.wait_for(" of 7 ");
    watching.wait_for("In step with Salesforce.");
    watching.wait_for("jane@acme.com");
    // Its row is written a moment after the org took it, where the reader had it locked.
    let known = format!("SELECT (sfid IS NOT NULL)::text FROM salesforce.contact WHERE id = {row}");
    office.world.until_text(&known, "true").await;
    for mut terminal in [watching, mending] {
        terminal.keys("q");
        assert_eq!(terminal.exit_code(), 0);
    }
}
