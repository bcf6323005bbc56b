//! No text of others quotes a masked value: PostgreSQL's, an application's triggers', Salesforce's. Looked for in all that
//! an engine keeps of errors, runs, attempts, logs and states.

use serde_json::{Map, Value, json};
use syncdeck::simulator::Refusal;

use crate::world::World;

/// Contacts whose e-mail address, birthday and score are nobody's business.
const MASKED: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Email", "Phone", "Level__c", "Score__c", "Birthdate", "Legacy_Code__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
check = false
[mapping.field.Email]
mask = true
transforms = "trim | lowercase"
[mapping.field.Birthdate]
mask = true
[mapping.field.Legacy_Code__c]
mask = true
"#;

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl World {
    fn person(&self, value: Value) -> String {
        self.org.user_create("Contact", fields(value)).unwrap()
    }

    async fn until_error(&self, code: &str) -> String {
        let sql = format!("SELECT message FROM syncdeck.error WHERE code = '{code}' AND resolved_at IS NULL");
        self.until(code, async || self.text(&sql).await.is_some()).await;
        self.text(&sql).await.unwrap()
    }

    /// Everything that is kept, but for the users' own values; with any of the words in it.
    async fn quotes(&self, words: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for table in ["error", "log", "run", "attempt", "command", "mapping", "engine"] {
            let sql = format!("SELECT to_jsonb(t)::text FROM syncdeck.{table} t");
            found.extend(self.sql.query(&sql, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
        }
        for sql in [
            "SELECT _hc_err FROM salesforce.contact WHERE _hc_err IS NOT NULL",
            "SELECT sf_message FROM salesforce._trigger_log WHERE sf_message IS NOT NULL",
            "SELECT sf_message FROM salesforce._trigger_log_archive WHERE sf_message IS NOT NULL",
        ] {
            found.extend(self.sql.query(sql, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
        }
        found.retain(|text| words.iter().any(|word| text.to_lowercase().contains(&word.to_lowercase())));
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_and_triggers_say_of_a_read_quotes_nothing_masked() {
    let world = World::start(MASKED).await;
    world
        .run(
            "ALTER TABLE salesforce.contact ADD CONSTRAINT mail_of_ours CHECK (email LIKE '%@ours.example');
             CREATE FUNCTION public.loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.firstname = 'Loud' THEN RAISE EXCEPTION 'no mail for %, that is % born %', upper(NEW.email),
                     split_part(NEW.email, '@', 2), to_char(NEW.birthdate, 'DD.MM.YYYY')
                     USING HINT = 'ask ' || NEW.email, DETAIL = NEW.email, ERRCODE = 'check_violation'; END IF;
                 IF TG_OP = 'UPDATE' AND NEW.firstname = 'Old' THEN RAISE 'was <%>', OLD.legacy_code__c; END IF;
                 RETURN NEW; END $$;
             CREATE TRIGGER loud BEFORE INSERT OR UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION public.loud()",
        )
        .await;
    let words = ["jane", "doe-street", "1984", "07.03", "LC-77"];
    world.person(json!({"LastName": "A", "Email": "jane@doe-street.example", "Birthdate": "1984-03-07"}));
    let message = world.until_error("ROW_CONSTRAINT_REFUSED").await;
    assert!(message.contains("mail_of_ours"), "{message}");
    let loud = json!({"LastName": "B", "FirstName": "Loud", "Email": "jane@doe-street.example", "Birthdate": "1984-03-07"});
    world.person(loud);
    let message = world.until_error("ROW_TRIGGER_REFUSED").await;
    assert!(
        message.contains("loud") && message.contains("no mail for •••, that is ••• born •••"),
        "{message}"
    );
    let old = world.person(json!({"LastName": "C", "Email": "c@ours.example", "Legacy_Code__c": "LC-77"}));
    world.until_text("SELECT lastname FROM salesforce.contact", "C").await;
    let changed = fields(json!({"FirstName": "Old", "Legacy_Code__c": null}));
    world.org.user_update("Contact", &old, changed).unwrap();
    let was = "SELECT count(*)::text FROM syncdeck.error WHERE resolved_at IS NULL AND code = 'ROW_TRIGGER_REFUSED'";
    world.until_text(was, "2").await;
    assert_eq!(world.quotes(&words).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_is_not_told_when_masked() {
    let world = World::start(MASKED).await;
    world.run("ALTER TABLE salesforce.contact ALTER COLUMN legacy_code__c TYPE integer USING NULL").await;
    world.person(json!({"LastName": "A", "Legacy_Code__c": "secret-99"}));
    let message = world.until_error("ROW_VALUE_REFUSED").await;
    assert!(message.contains("invalid input syntax for type integer: \"•••\""), "{message}");
    assert_eq!(world.quotes(&["secret-99"]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_salesforce_says_quotes_nothing_masked_whatever_field_it_speaks_of() {
    let world = World::start(MASKED).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, legacy_code__c, external_id__c)
             VALUES ('Doe', ' Jane.Doe@ACME,com', 'LC-77', 'K1')",
        )
        .await;
    let message = world.until_error("INVALID_EMAIL_ADDRESS").await;
    assert_eq!(message, "Email: invalid email address: •••");
    // Mended, and a rule of the org that quotes what was there before.
    world.org.change_faults(|faults| {
        faults.refuse = Some(Refusal {
            code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
            message: "JANE.DOE@ACME,COM of lc-77 (Acme,com) is not welcome".to_owned(),
            times: 1,
            ..Refusal::default()
        });
    });
    world.run("UPDATE salesforce.contact SET email = 'roe@example.com'").await;
    let message = world.until_error("FIELD_CUSTOM_VALIDATION_EXCEPTION").await;
    assert_eq!(message, "••• of ••• (•••) is not welcome");
    assert_eq!(world.quotes(&["acme,com", "lc-77", "jane"]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_an_outcome_quotes_nothing_masked() {
    let world = World::start(MASKED).await;
    world
        .run(
            "CREATE FUNCTION public.loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.sfid IS NOT NULL THEN RAISE EXCEPTION 'no change of % now', NEW.email; END IF;
                 RETURN NEW; END $$;
             CREATE TRIGGER loud BEFORE UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION public.loud();
             INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', 'jane@acme.com', 'K1')",
        )
        .await;
    let message = world.until_error("WRITE_BACK_REFUSED").await;
    assert!(message.contains("function loud"), "{message}");
    assert_eq!(world.quotes(&["jane", "acme.com"]).await, Vec::<String>::new());
}
