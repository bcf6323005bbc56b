//! What each command does is what it says: rules in force, lines counted, answers waited for, wrong words refused.

use std::process::Output;

use serde_json::{Value, json};

use crate::scripts::{json_of, run, text};
use crate::world::{MAPPINGS, World};

/// How many entries the audit has.
async fn audited(world: &World) -> String {
    world.text("SELECT count(*)::text FROM syncdeck.audit").await.unwrap()
}

/// The value of a rule, as `mapping Contact --json` prints it together with what is changed.
async fn rule(world: &World, changes: &[&str], key: &str) -> (String, String) {
    let document = json_of(world, &[&["mapping", "contact"], changes].concat()).await;
    let rules = document["rules"].as_array().unwrap().clone();
    let rule = rules.into_iter().find(|rule| rule["key"] == json!(key)).unwrap_or_default();
    let word = |member: &str| rule[member].as_str().unwrap_or_default().to_owned();
    (word("value"), word("origin"))
}

fn rejected(output: &Output, status: i32, parts: &[&str]) {
    let told = text(output);
    assert_eq!(output.status.code(), Some(status), "{told}");
    for part in parts {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_printed_as_it_was_just_set_with_or_without_an_engine() {
    let mappings = MAPPINGS.replace("\"Contact\"", "\"Contact\"\nstrategy = \"manual_review\"");
    let mut world = World::start(&mappings).await;
    let of = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(rule(&world, &[], "strategy").await, of("manual_review", "configuration"));
    assert_eq!(rule(&world, &["strategy=retry"], "strategy").await, of("retry", "run time"));
    let listed = json_of(&world, &["mapping"]).await;
    assert_eq!(listed[1]["strategy"], json!("retry"), "{listed}");
    assert_eq!(rule(&world, &["strategy="], "strategy").await, of("manual_review", "configuration"));
    assert_eq!(rule(&world, &["max_retries=7"], "max_retries").await, of("7", "run time"));
    world.stop_engine().await;
    assert_eq!(rule(&world, &["max_retries=8"], "max_retries").await, of("8", "run time"));
    assert_eq!(rule(&world, &["max_retries="], "max_retries").await, of("3", "default"));
    let transforms = rule(&world, &["phone.transforms=trim"], "Phone.transforms").await;
    assert_eq!(transforms, of("trim", "run time"), "however a field is spelled, it is one rule");
    assert_eq!(rule(&world, &["PHONE.transforms="], "Phone.transforms").await, of("", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_so_already_is_said_to_be_and_leaves_no_trace() {
    let world = World::start(MAPPINGS).await;
    for (change, said) in [
        ("strategy=skip", "strategy is skip already"),
        ("poll_interval=0.2s", "poll_interval is 0.2s already"),
        ("check=true", "check is true already"),
        ("strategy=", "strategy is not set at run time"),
        ("Phone.mask=false", "Phone.mask is false already"),
    ] {
        let told = text(&run(&world, &["mapping", "Contact", change]).await);
        assert!(told.contains(said), "{change}: {told}");
    }
    assert_eq!(audited(&world).await, "0");
    run(&world, &["mapping", "Contact", "strategy=retry", "retry_delay=1m"]).await;
    assert_eq!(audited(&world).await, "2");
    for change in ["strategy=retry", "retry_delay=60s"] {
        let told = text(&run(&world, &["mapping", "Contact", change]).await);
        assert!(told.contains("already"), "{told}");
    }
    run(&world, &["mapping", "Contact", "pause"]).await;
    assert_eq!(audited(&world).await, "3");
    run(&world, &["mapping", "Contact", "pause"]).await;
    run(&world, &["mapping", "Account", "resume"]).await;
    assert_eq!(audited(&world).await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_wrong_usage_and_change_nothing() {
    let world = World::start(MAPPINGS).await;
    for (arguments, parts) in [
        (vec!["mapping", "Contact", "strategy=panic"], vec!["strategy: is unknown", "fail_fast"]),
        (
            vec!["mapping", "Contact", "stratgy=skip"],
            vec!["is no rule of a mapping", "did you mean strategy?"],
        ),
        (vec!["mapping", "Contact", "transforms=trim"], vec!["is no rule of a mapping", "FIELD.transforms"]),
        (vec!["mapping", "Contact", "Phone.transfroms=trim"], vec!["did you mean transforms?"]),
        (
            vec!["mapping", "Contact", "Fone.transforms=trim"],
            vec!["has no mapped field Fone", "did you mean Phone?"],
        ),
        (vec!["mapping", "Contact", "where=emial IS NULL"], vec!["emial"]),
        (vec!["mapping", "Contact", "stratgy="], vec!["is no rule of a mapping"]),
        (vec!["mapping", "Contact", "max_retries=5", "batch_size=1000"], vec!["from 1 to 200"]),
        (vec!["mapping", "Contact", "pause", "strategy=panic"], vec!["is unknown"]),
        (
            vec!["mapping", "Contract", "pause"],
            vec!["no mapping of a table or object \"Contract\"", "did you mean Contact?"],
        ),
        (vec!["mapping", "Order"], vec!["there are Account, Contact"]),
        (vec!["runs", "Contract"], vec!["did you mean Contact?"]),
        (vec!["pending", "Contract"], vec!["did you mean Contact?"]),
        (vec!["verify", "Contract"], vec!["did you mean Contact?"]),
        (vec!["test", "Contract", "--offline"], vec!["has no mapping \"Contract\"", "did you mean Contact?"]),
        (vec!["find", "1", "--mapping", "Contract"], vec!["did you mean Contact?"]),
        (vec!["audit", "--mapping", "Contract"], vec!["did you mean Contact?"]),
        (vec!["audit", "--row", "Contract:1"], vec!["did you mean Contact?"]),
        (vec!["show", "Contract:1"], vec!["did you mean Contact?"]),
        (
            vec!["errors", "--where", "mapings:contact"],
            vec!["there is no mapings:", "did you mean mapping:?"],
        ),
        (vec!["errors", "--group", "--where", "cod:x"], vec!["did you mean code:?"]),
        (vec!["export", "--where", "colour:red"], vec!["there is no colour:; use mapping:"]),
        (vec!["retry", "--where", "cod:x", "--yes"], vec!["did you mean code:?"]),
        (vec!["logs", "--where", "levl:warn"], vec!["there is no levl:", "did you mean level:?"]),
        (vec!["logs", "--where", "-maping:Contact"], vec!["did you mean mapping:?"]),
        (vec!["logs", "--where", "--follow"], vec!["a text is missing before --follow"]),
        (vec!["retry", "1", "--why", "--wait"], vec!["a text is missing before --wait"]),
    ] {
        for json in [&[][..], &["--json"]] {
            let output = run(&world, &[&arguments[..], json].concat()).await;
            rejected(&output, 2, &parts);
            assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output));
        }
    }
    assert_eq!(audited(&world).await, "0");
    assert_eq!(world.text("SELECT count(*)::text FROM syncdeck.setting").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_interval_is_kept_from_the_moment_it_is_set() {
    let hourly = MAPPINGS.replace("\"200ms\"", "\"1h\"");
    let world = World::start(&hourly).await;
    let fields = [("LastName", "Doe"), ("External_Id__c", "K1")];
    let fields = fields.map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect();
    run(&world, &["mapping", "Contact", "poll_interval=300ms"]).await;
    world.org.user_create("Contact", fields).unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "1").await;
    let last = "SELECT last_read::text FROM syncdeck.mapping WHERE name = 'Contact'";
    for _ in 0..3 {
        let before = world.text(last).await;
        world.until("it is read again and again", async || world.text(last).await > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_wait_holds_for_what_waits_already() {
    let mappings = MAPPINGS.replace("\"Contact\"", "\"Contact\"\nretry_delay = \"1h\"");
    let world = World::start(&mappings).await;
    world.org.change_faults(|faults| faults.row_lock = 1.0);
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    let far = "SELECT (max(next_retry_at) > clock_timestamp() + interval '50 min')::text FROM syncdeck.error";
    world.until_text(far, "true").await;
    world.org.change_faults(|faults| faults.row_lock = 0.0);
    run(&world, &["mapping", "Contact", "retry_delay=200ms"]).await;
    world.until("it is tried again at once", async || world.record("Contact", "K1").is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_names_the_role_that_was_let_in_whatever_a_statement_claims() {
    let world = World::start(MAPPINGS).await;
    run(&world, &["mapping", "Contact", "strategy=retry"]).await;
    let acts = json_of(&world, &["audit"]).await;
    let role = world.text("SELECT session_user::text").await.unwrap();
    assert_eq!(acts[0]["db_user"], json!(role), "{acts}");
    let table = text(&run(&world, &["audit"]).await);
    assert!(table.contains("role") && table.contains(&format!("  {role}  ")), "{table}");
    world
        .run(
            "SET ROLE pg_monitor; RESET ROLE;
             INSERT INTO syncdeck.audit (actor, origin, db_user, action, mapping, table_name)
             VALUES ('ada@here', 'local', 'somebody else', 'set', 'Contact', 'contact')",
        )
        .await;
    let forged = "SELECT db_user FROM syncdeck.audit WHERE actor = 'ada@here'";
    assert_eq!(world.text(forged).await.unwrap(), role);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_acts_neither_on_a_terminal_nor_in_a_spreadsheet() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fingerprint, state)
             VALUES ('Contact', 'contact', 1, 'insert', E'=1+\\x1b[2J', 'data', 'permanent',
                 E'\\x1b]52;c;aGk=\\x07 \\u009b31m \\u202egpj', 'f1', 'open')",
        )
        .await;
    for arguments in [
        vec!["export"],
        vec!["export", "--format", "jsonl"],
        vec!["export", "--json"],
        vec!["errors"],
        vec!["errors", "--json"],
        vec!["errors", "--group"],
        vec!["show", "1"],
    ] {
        let output = run(&world, &arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        let acts = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text(&output).contains(acts), "{arguments:?}: {:?}", text(&output));
    }
    let csv = text(&run(&world, &["export"]).await);
    assert!(csv.contains("\"'=1+\\e[2J\""), "{csv}");
    let path = world.config.path.with_file_name("errors.csv");
    let path = path.to_str().unwrap();
    let written = json_of(&world, &["export", "-o", path]).await;
    assert_eq!(written["written"], json!(1));
    assert!(!std::fs::read_to_string(path).unwrap().contains('\u{1b}'));
    rejected(&run(&world, &["export", "-o", "/nowhere/e.csv"]).await, 1, &["there is no directory /nowhere"]);
    rejected(&run(&world, &["export", "--json", "--format", "csv"]).await, 2, &["leave one of them out"]);
    let nothing = run(&world, &["retry", "--where", "code:NOTHING", "--yes"]).await;
    rejected(&nothing, 0, &["nothing matches, and nothing was done"]);
    rejected(&run(&world, &["retry", "abc"]).await, 2, &["as listed by: syncdeck errors"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_counted_after_they_are_filtered() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO syncdeck.log (time, level, source, dyno, message, fields)
             SELECT clock_timestamp(), CASE WHEN n % 1000 = 0 THEN 'warn' ELSE 'info' END, 'syncdeck', 'writer',
                 CASE WHEN n % 1000 = 0 THEN 'rare ' ELSE 'frequent ' END || n, '{\"mapping\": \"Contact\"}'
             FROM generate_series(1, 9000) n",
        )
        .await;
    let messages = async |arguments: &[&str]| -> Vec<String> {
        let output = run(&world, &[&["logs", "--json"], arguments].concat()).await;
        assert!(output.status.success(), "{}", text(&output));
        let lines = String::from_utf8(output.stdout).unwrap();
        let message =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
        lines.lines().map(message).collect()
    };
    assert_eq!(messages(&["-n", "3", "--where", "rare"]).await, ["rare 7000", "rare 8000", "rare 9000"]);
    assert_eq!(
        messages(&["-n", "2", "--where", "level:warn mapping:Contact"]).await,
        ["rare 8000", "rare 9000"]
    );
    assert_eq!(messages(&["-n", "500", "--where", "rare mapping:Contact"]).await.len(), 9);
    let others = messages(&["-n", "2", "--where", "-frequent rare"]).await;
    assert_eq!(others, ["rare 8000", "rare 9000"], "a filter may begin with a hyphen");
    assert_eq!(messages(&["-n", "0"]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_answer_says_at_once_that_none_will_come() {
    let mut world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             VALUES ('Doe', 'jane@acme,com', 'K1'), ('Roe', 'rick@acme,com', 'K2'), ('Poe', 'ed@acme,com', 'K3')",
        )
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE state = 'open'", "3").await;
    let id = async |row: i32| {
        let sql = format!("SELECT id::text FROM syncdeck.error WHERE record_id = {row}");
        world.text(&sql).await.unwrap()
    };
    let (first, second, third) = (id(1).await, id(2).await, id(3).await);
    run(&world, &["mapping", "Contact", "pause"]).await;
    for arguments in [
        vec!["fix", &first, "Email=jane@acme.com", "--retry", "--wait"],
        vec!["fix", &second, "--remedy", "1", "--wait"],
        vec!["retry", &first, "--wait"],
        vec!["retry", "--where", "mapping:contact", "--yes", "--wait"],
        vec!["undo", "2", "--yes", "--wait"],
    ] {
        // What was just sent again is told to be so until the engine has put it aside.
        let sent = "SELECT count(*)::text FROM syncdeck.unit WHERE state IN ('ready', 'inflight')";
        world.until_text(sent, "0").await;
        let output = run(&world, &arguments).await;
        let remedy = "let them go on with: syncdeck mapping Contact resume";
        rejected(&output, 1, &["the writes of Contact are paused (by ", remedy]);
    }
    let unsaid = text(&run(&world, &["fix", &third, "Email=ed@acme.com", "--retry"]).await);
    assert!(
        unsaid.contains("saved; it is kept, and not sent for now: the writes of Contact are paused"),
        "{unsaid}"
    );
    run(&world, &["mapping", "Contact", "resume"]).await;
    world.until("what was kept is sent", async || world.record("Contact", "K3").is_some()).await;
    world.until_quiet().await;
    world.stop_engine().await;
    world.run("UPDATE salesforce.contact SET email = 'nobody' WHERE id = 3").await;
    world.start_engine().await;
    let fails = "SELECT count(*)::text FROM syncdeck.error WHERE state = 'open' AND record_id = 3";
    world.until_text(fails, "1").await;
    world.stop_engine().await;
    let last = world.text("SELECT max(id)::text FROM syncdeck.error").await.unwrap();
    for arguments in [
        vec!["retry", &last, "--wait"],
        vec!["fix", &last, "Email=ed@acme.org", "--retry", "--wait"],
        vec!["revert", &last, "--yes", "--wait"],
        vec!["link", &last, "--wait"],
    ] {
        let remedy = "start one with: syncdeck run";
        rejected(&run(&world, &arguments).await, 1, &["no engine runs", remedy]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_waited_for_where_something_was_sent_and_claimed_nowhere_else() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'jane@acme.com', 'K1');
             INSERT INTO salesforce.account (name, external_id__c) VALUES ('Acme', 'A1')",
        )
        .await;
    world.until_quiet().await;
    world.run("UPDATE salesforce.contact SET email = 'jane@acme,com' WHERE id = 1").await;
    let open = "SELECT max(id)::text FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until("it fails", async || world.text(open).await.is_some()).await;
    let id = world.text(open).await.unwrap();
    let preview = json_of(&world, &["fix", &id, "--remedy", "1", "--dry-run"]).await;
    assert_eq!((&preview["touched"], &preview["sample"][0]["after"]), (&json!(1), &json!("jane@acme.com")));
    let preview = json_of(&world, &["fix", &id, "Email=a@b.co", "LastName=Roe", "--dry-run"]).await;
    assert_eq!(preview["sample"].as_array().unwrap().len(), 2);
    assert_eq!(audited(&world).await, "0", "what is only looked at changes nothing");
    let same = json_of(&world, &["fix", &id, "LastName=Doe"]).await;
    assert_eq!(
        (&same["skipped"], &same["items"][0]["message"]),
        (&json!(1), &json!("its value stays as it is"))
    );
    assert_eq!(audited(&world).await, "0");

    let reverted = json_of(&world, &["revert", &id, "--wait", "--why", "-no reason"]).await;
    let message = reverted["items"][0]["message"].as_str().unwrap();
    assert!(!message.contains("took it") && message.contains("Salesforce"), "nothing was sent: {message}");
    assert_eq!(world.text("SELECT why FROM syncdeck.audit").await.unwrap(), "-no reason");
    // What was reverted fails as before.
    rejected(&run(&world, &["undo", "--yes", "--wait"]).await, 1, &["rejected again: INVALID_EMAIL_ADDRESS"]);
    let id = world.text(open).await.unwrap();
    let ignored = json_of(&world, &["ignore", &id, "--wait"]).await;
    assert_eq!(ignored["done"], json!(1), "{ignored}");
    let fixed = json_of(&world, &["fix", &id, "Email=jane@acme.org", "--wait"]).await;
    assert_eq!(fixed["items"][0]["message"], json!("Salesforce took it"), "{fixed}");
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], json!("jane@acme.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_waits_for_its_answer() {
    // A poll that has the row in hand is told as somebody who is changing it.
    let mappings = MAPPINGS.replace("\"Email\"", "\"Email\", \"Legacy_Code__c\"").replace("200ms", "1h");
    let world = World::with(&mappings, |org| {
        let fields = json!({"LastName": "Doe", "Legacy_Code__c": "L77", "External_Id__c": "THEIRS"});
        org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
    })
    .await;
    let theirs = world.org.find_by_external_id("Contact", "THEIRS").unwrap();
    world.until_text("SELECT count(*)::text FROM salesforce.contact", "1").await;
    world
        .run("INSERT INTO salesforce.contact (lastname, legacy_code__c, external_id__c) VALUES ('Roe', 'L77', 'K1')")
        .await;
    let open = "SELECT max(id)::text FROM syncdeck.error WHERE resolved_at IS NULL";
    world.until("it fails", async || world.text(open).await.is_some()).await;
    let id = world.text(open).await.unwrap();
    let linked = json_of(&world, &["link", &id, &theirs, "--replace", "--wait"]).await;
    let message = linked["items"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("now: Salesforce took it"), "{linked}");
    assert_eq!(world.org.record("Contact", &theirs).unwrap()["LastName"], json!("Roe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_says_what_is_not_in_salesforce_and_why() {
    let mappings = MAPPINGS.replace("\"Contact\"", "\"Contact\"\nwhere = \"phone IS NULL\"");
    let world = World::start(&mappings).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, phone, external_id__c)
             VALUES ('Doe', NULL, NULL, 'K1'), ('Roe', NULL, NULL, 'K2'), ('Poe', 'ed@acme,com', NULL, 'F1'),
                 ('Out', NULL, '555', 'O1')",
        )
        .await;
    world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE state = 'open'", "1").await;
    world.until_quiet().await;
    run(&world, &["mapping", "Contact", "pause"]).await;
    world
        .run(
            "DELETE FROM salesforce.contact WHERE external_id__c = 'K2';
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('New', 'P1')",
        )
        .await;
    let told = run(&world, &["verify", "Contact"]).await;
    assert_eq!(
        String::from_utf8_lossy(&told.stdout),
        "Contact: 4 rows, 2 records, 1 compared: no inconsistency\n  \
         not in Salesforce: 3 rows (1 pending, 1 failed, 1 kept out by the condition phone IS NULL)\n  \
         deleted here, not there: 1 record\n",
        "{}",
        text(&told)
    );
    let comparison = json_of(&world, &["verify", "Contact"]).await;
    assert_eq!(comparison[0]["absent"], json!({"pending": 1, "failed": 1, "kept_out": 1}));
    assert_eq!((&comparison[0]["leaving"], &comparison[0]["unsent"]), (&json!(1), &json!({})));
}
