//! What is taken of a configuration, and how the rest is refused.

use super::*;

const GOOD: &str = r#"
[connection]
name = "acme"
[postgres]
url = "postgresql:///app"
[salesforce]
login_url = "https://acme.my.salesforce.com"
client_id = "id"
client_secret = "hush"
[[mapping]]
object = "Contact"
fields = ["LastName", "Email"]
external_id = "External_Id__c"
poll_interval = "10s"
"#;

fn refusal(text: &str) -> String {
    check(Path::new("/nowhere/syncdeck.toml"), text, None).unwrap_err().to_string()
}

#[test]
fn a_good_file_gets_its_defaults() {
    let config = check(Path::new("/nowhere/syncdeck.toml"), GOOD, None).unwrap();
    assert_eq!(config.postgres.schema, "salesforce");
    assert_eq!(config.mappings[0].table, "contact");
    assert_eq!(config.mappings[0].rules.poll_interval, Duration::from_secs(10));
    assert_eq!(config.salesforce.lease, Duration::from_secs(90));
    assert!(!format!("{config:?}").contains("hush"), "a secret shows in Debug");
}

#[test]
fn rules_stand_in_the_mapping_and_in_tables_of_its_fields() {
    let more = "strategy = \"retry\"\nmax_retries = 5\nretry_schedule = [\"1s\", \"2s\"]\nwhere = \"email IS NOT NULL\"\n\
            [mapping.field.Email]\ntransforms = [\"trim\", \"lowercase\"]\nskip_invalid = true\n";
    let config = check(Path::new("/nowhere/syncdeck.toml"), &format!("{GOOD}{more}"), None).unwrap();
    let rules = &config.mappings[0].rules;
    assert_eq!((rules.strategy.word(), rules.retries.max, rules.retries.schedule.len()), ("retry", 5, 2));
    assert_eq!(rules.settings()["Email.transforms"], "trim | lowercase");
    assert!(rules.of("email").unwrap().skip_invalid);
}

#[test]
fn the_login_of_an_attached_connection_is_looked_at_by_who_needs_it() {
    let text = "[connection]\nname = \"a\"\nengine = \"heroku-connect\"\n[postgres]\nurl = \"postgresql:///a\"\n\
            [salesforce]\nlogin_url = \"https://a.my.salesforce.com\"\nclient_id = \"id\"\nclient_secret_env = \"NOT_SET_ANYWHERE\"\n";
    let path = Path::new("a.toml");
    assert!(!Config::parse(path, text).unwrap().salesforce.is_somewhere());
    assert!(super::with_org(path, text, None).unwrap_err().to_string().contains("NOT_SET_ANYWHERE"));
}

#[test]
fn comparisons_are_for_every_mapping_that_says_nothing_else() {
    let text = format!(
        "{GOOD}match = [[\"Email\"], [\"LastName\", \"External_Id__c\"]]\n[verify]\nevery = \"12h\"\n"
    );
    let config = check(Path::new("/nowhere/syncdeck.toml"), &text, None).unwrap();
    let rules = &config.mappings[0].rules;
    assert_eq!(rules.verify, Some(Duration::from_secs(43_200)));
    assert_eq!(rules.settings()["match"], "Email, LastName + External_Id__c");
    assert_eq!((config.verify.api_share, config.verify.listed), (10, 1_000));
    let own = text.replace("match", "verify = \"off\"\nmatch");
    let config = check(Path::new("/nowhere/syncdeck.toml"), &own, None).unwrap();
    assert_eq!(config.mappings[0].rules.verify, None);
}

#[test]
fn a_refusal_names_file_line_key_and_remedy() {
    let text = refusal(&GOOD.replace("\"10s\"", "\"soon\""));
    assert_eq!(
        text,
        "/nowhere/syncdeck.toml:14: mapping.poll_interval: is no length of time\nwrite it as 500ms, 10s, 2m or 1h"
    );
    let text = refusal(&GOOD.replace("https://acme", "http://acme"));
    assert!(text.starts_with("/nowhere/syncdeck.toml:7: salesforce.login_url: is no https URL"), "{text}");
    let text = refusal(&GOOD.replace("object =", "objekt ="));
    assert!(text.starts_with("/nowhere/syncdeck.toml:11: unknown field `objekt`"), "{text}");
    let text = refusal(&GOOD.replace("\"hush\"", "\"hush"));
    assert!(text.starts_with("/nowhere/syncdeck.toml:9: ") && !text.contains("hush"), "{text}");
    let text = refusal(&GOOD.replace("client_secret = \"hush\"", "client_secret_env = \"SYNCDECK_NOT_SET\""));
    assert!(text.contains("SYNCDECK_NOT_SET is not set"), "{text}");
    let rules = |more: &str| refusal(&format!("{GOOD}{more}"));
    for (more, wanted) in [
        (
            "strategy = \"hope\"",
            ":15: mapping.strategy: is unknown\nuse one of skip, retry, fail_fast, manual_review",
        ),
        ("batch_size = 500", ":15: mapping.batch_size: is no such number\nuse a whole number from 1 to 200"),
        (
            "verify = \"5s\"",
            ":15: mapping.verify: is too short for a comparison\nwrite 10s or more, such as 24h, or off",
        ),
        (
            "verify = \"3651d\"",
            ":15: mapping.verify: is too long for a comparison\nwrite 3650d or less, such as 24h, or off",
        ),
        ("verify = \"daily\"", ":15: mapping.verify: is no length of time"),
        (
            "match = [[\"Email\"], [\"Nme\", \"LastName\"]]",
            ":15: mapping.match: Nme is not among the mapping's fields",
        ),
        (
            "match = \"Email,\"",
            ":15: mapping.match: \"\" is no field name\nwrite fields as Email, Name + Phone",
        ),
        ("[verify]\nevery = \"often\"", ":16: verify.every: is no length of time"),
        (
            "[verify]\napi_share = 0",
            ":16: verify.api_share: is no such number\nuse a whole number from 1 to 100",
        ),
        ("[verify]\nlisted = 0", ":16: verify.listed: is no such number\nuse a whole number from 1 to 10000"),
        ("[verify]\neach = \"1h\"", ":16: unknown field `each`"),
        (
            "change_events = \"on\"",
            ":15: mapping.change_events: is neither true nor false\nuse true or false",
        ),
        ("poll_with_events = \"0s\"", ":15: mapping.poll_with_events: is no length of time"),
        ("check = 1", ":15: mapping.check: is neither true nor false\nuse true or false"),
        (
            "[mapping.field.Email]\ntransforms = [\"trim\", \"shout\"]",
            ":16: mapping.field.Email.transforms: \"shout\" is no transform; there are trim,",
        ),
        (
            "[mapping.field.Email]\ntransforms = 'replace(\"(\", \"\")'",
            ":16: mapping.field.Email.transforms: \"(\" is no regular expression: unclosed group",
        ),
        (
            "[mapping.field.Emial]\nmask = true",
            ":16: mapping.field.Emial: Emial is not among the mapping's fields",
        ),
        ("[mapping.field.Email]\nmask = { a = 1 }", ":16: mapping.field.Email.mask: is of no type that fits"),
    ] {
        let text = rules(more);
        assert!(text.starts_with(&format!("/nowhere/syncdeck.toml{wanted}")), "{text}");
    }
    assert!(refusal(GOOD.split("[[mapping]]").next().unwrap()).contains("add at least one [[mapping]]"));
}
