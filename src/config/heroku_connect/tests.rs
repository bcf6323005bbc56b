use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::export::export;
use super::read::{LARGEST, load, parse};
use super::written::{CLIENT_ID, Choices, LOGIN_URL, write};
use super::{ConnectExport, ImportError, Note};
use crate::config::Config;
use crate::domain::mappings::mapping::Access;

/// As the documented ones are, with what an Account, a Contact and a User have.
const EXPORT: &str = include_str!("../../../tests/support/connect-export.json");

fn read(value: &Value) -> Result<ConnectExport, ImportError> {
    parse(Path::new("e.json"), value.to_string().as_bytes())
}

fn sample() -> Value {
    serde_json::from_str(EXPORT).unwrap()
}

fn text_of(exported: &ConnectExport) -> String {
    write(exported, &Choices::default()).text
}

fn config_of(text: &str) -> Config {
    Config::shape(Path::new("syncdeck.toml"), text, None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn told(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| format!("{}|{}", note.mappings.join(","), note.what)).collect()
}

/// A configuration as Heroku Connect's file, at a moment.
fn out(text: &str) -> (Value, Vec<Note>) {
    export(&config_of(text), text, "2026-11-01T10:00:00Z".parse().unwrap())
}

#[test]
fn a_file_of_heroku_connect_becomes_a_configuration() {
    let text = text_of(&read(&sample()).unwrap());
    let mappings = text.split_once("\n[[mapping]]").unwrap().1;
    assert_eq!(
        mappings,
        "\nobject = \"Account\"\naccess = \"read_only\"\nfields = [\"CreatedDate\", \"Name\", \"Phone\"]\n\
         indexes = [\"Name\"]\npoll_interval = \"10m\"\n\n\
         [[mapping]]\nobject = \"Contact\"\n\
         fields = [\"AccountId\", \"CreatedDate\", \"Email\", \"FirstName\", \"LastName\", \"Phone\"]\n\
         indexes = [\"AccountId\", \"Email\"]\nexternal_id = \"External_Id__c\"\npoll_interval = \"2m\"\n\n\
         [[mapping]]\nobject = \"User\"\naccess = \"read_only\"\nfields = [\"Username\"]\npoll_interval = \"1h\"\n"
    );
    let config = config_of(&text);
    assert_eq!((config.name.as_str(), config.postgres.schema.as_str()), ("acme-prod", "salesforce"));
    assert_eq!(config.salesforce.login_url, LOGIN_URL);
    assert_eq!(config.mappings[1].rules.poll_interval.as_secs(), 120);
}

#[test]
fn what_has_no_counterpart_is_told_with_what_is_done_instead() {
    let notes = read(&sample()).unwrap().notes;
    assert_eq!(
        told(&notes),
        [
            "|connection.organization_id = \"00D5g000004XyZaEAK\"",
            "|connection.features.poll_db_no_merge = true (ordered writes)",
            "Account|sf_notify_enabled = true (accelerated polling)",
            "Account,Contact,User|sf_max_daily_api_calls = 30000",
            "Contact|a unique index on Email",
        ]
    );
    assert!(notes.iter().all(|note| note.instead.len() > 20), "{notes:?}");
}

#[test]
fn keys_that_nobody_knows_are_told_wherever_they_are() {
    let mut file = sample();
    file["colour"] = json!("red");
    file["connection"]["features"]["cdc"] = json!(true);
    file["mappings"][0]["state"] = json!("DATA_SYNCED");
    file["mappings"][0]["config"]["filter"] = json!({"a": "x".repeat(200)});
    file["mappings"][0]["config"]["fields"]["Name"]["mask"] = json!(1);
    file["mappings"][0]["config"]["indexes"]["Name"]["kind"] = json!("gin");
    file["mappings"][0]["config"]["indexes"]["Fax"] = json!({});
    let notes = read(&file).unwrap().notes;
    let told = told(&notes).join("\n");
    for wanted in [
        "|colour = \"red\"",
        "|connection.features.cdc = true",
        "Account|state = \"DATA_SYNCED\"",
        "Account|filter = {\"a\":\"xxx",
        "Account|fields.Name.mask = 1",
        "Account|indexes.Name.kind = \"gin\"",
        "Account|an index on Fax",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    assert!(told.lines().all(|line| line.len() < 120), "{told}");
}

#[test]
fn a_parent_by_its_external_id_is_named_as_syncdeck_names_it() {
    let mut file = sample();
    let fields = json!({"MemberPeriodId__r__OmId__c": {}, "Lead__r.External_Id__c": {}, "acme__r__c": {}});
    file["mappings"][1]["config"]["fields"] = fields;
    file["mappings"][1]["config"]["indexes"] = json!({"MemberPeriodId__r__OmId__c": {"unique": false}});
    let read = read(&file).unwrap();
    let contact = &read.mappings[1];
    assert_eq!(contact.fields, ["MemberPeriodId__r.OmId__c", "Lead__r.External_Id__c", "acme__r__c"]);
    assert_eq!(contact.indexes, ["MemberPeriodId__r.OmId__c"]);
    assert!(told(&read.notes).contains(&"Contact|fields.MemberPeriodId__r__OmId__c".to_owned()));
    config_of(&text_of(&read));
}

#[test]
fn a_mapping_of_nothing_but_what_every_table_has_gets_a_field() {
    let mut file = sample();
    file["mappings"][0]["config"]["fields"] = json!({"Id": {}, "SystemModstamp": {}});
    file["mappings"][0]["config"]["indexes"] = json!(null);
    let read = read(&file).unwrap();
    assert_eq!(read.mappings[0].fields, ["CreatedDate"]);
    assert!(told(&read.notes).contains(&"Account|no fields but Id and the like".to_owned()));
}

#[test]
fn what_is_chosen_stands_in_the_file_and_the_rest_is_named_by_its_line() {
    let read = read(&sample()).unwrap();
    let open = write(&read, &Choices::default());
    let lines: Vec<&str> = open.text.lines().collect();
    let named: Vec<&str> = open.to_fill.iter().map(|(line, _)| lines[line - 1]).collect();
    assert_eq!(
        named,
        [
            "url_env = \"DATABASE_URL\"",
            &format!("login_url = \"{LOGIN_URL}\""),
            &format!("client_id = \"{CLIENT_ID}\""),
            "client_secret_env = \"SALESFORCE_SECRET\""
        ]
    );
    let chosen = Choices {
        name: Some("a \"b\"\n[postgres]".to_owned()),
        login_url: Some("https://acme.my.salesforce.com".to_owned()),
        client_id: Some("3MVG9".to_owned()),
    };
    let closed = write(&read, &chosen);
    assert_eq!(closed.to_fill.len(), 2);
    let config = config_of(&closed.text);
    assert_eq!(
        (config.name.as_str(), config.salesforce.client_id.as_str()),
        ("a \"b\"\n[postgres]", "3MVG9")
    );
}

#[test]
fn bad_input_is_refused_by_its_place_with_the_remedy() {
    type Change = fn(&mut Value);
    let with = |change: Change| {
        let mut file = sample();
        change(&mut file);
        read(&file).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 14] = [
        (
            |file| file["version"] = json!(2),
            "e.json: version: is 2, and syncdeck reads version 1\nuse a newer",
        ),
        (
            |file| drop(file.as_object_mut().unwrap().remove("version")),
            "e.json: the file: has no version\nwrite the",
        ),
        (|file| *file = json!([1]), "e.json: the file: [1] stands where Heroku Connect writes a object"),
        (
            |file| file["mappings"][2]["object_name"] = json!("account"),
            "e.json: mappings[2].object_name: account is mapped twice, here and in mappings[0]\ntake one",
        ),
        (
            |file| drop(file["mappings"][1].as_object_mut().unwrap().remove("object_name")),
            "e.json: mappings[1]: has no object_name\nwrite the file again",
        ),
        (
            |file| file["mappings"][1]["object_name"] = json!("Con\"tact"),
            "e.json: mappings[1].object_name: is no object name\nuse the API name",
        ),
        (
            |file| file["mappings"][1]["config"]["access"] = json!("write_only"),
            "e.json: mappings[1] (Contact).config.access: \"write_only\" is no kind of access that syncdeck knows\nuse \"read_only\"",
        ),
        (
            |file| file["mappings"][1]["config"]["access"] = json!(3),
            "e.json: mappings[1] (Contact).config.access: 3 stands where Heroku Connect writes a text",
        ),
        (
            |file| file["mappings"][1]["config"]["sf_polling_seconds"] = json!("soon"),
            "e.json: mappings[1] (Contact).config.sf_polling_seconds: \"soon\" stands where Heroku Connect writes a whole number",
        ),
        (
            |file| file["mappings"][1]["config"]["sf_polling_seconds"] = json!(0),
            "e.json: mappings[1] (Contact).config.sf_polling_seconds: is 0 seconds\nuse a number from 1",
        ),
        (
            |file| file["mappings"][1]["config"]["fields"] = json!(["Id"]),
            "e.json: mappings[1] (Contact).config.fields: [\"Id\"] stands where Heroku Connect writes a object",
        ),
        (
            |file| file["mappings"][1]["config"]["fields"]["La st"] = json!({}),
            "e.json: mappings[1] (Contact).config.fields.La st: \"La st\" is no field name\nuse API names",
        ),
        (
            |file| file["mappings"][1]["config"]["indexes"]["Id"]["unique"] = json!("yes"),
            "e.json: mappings[1] (Contact).config.indexes.Id.unique: \"yes\" stands where Heroku Connect writes true or false",
        ),
        (|file| file["mappings"] = json!([]), "e.json: mappings: there is none\nmap an object"),
    ];
    for (change, wanted) in cases {
        let told = with(change);
        assert!(told.starts_with(&wanted.replace("writes a object", "writes an object")), "{told}\n{wanted}");
    }
    let cut = parse(Path::new("e.json"), &EXPORT.as_bytes()[..400]).unwrap_err().to_string();
    assert!(cut.starts_with("e.json:14: is no JSON: EOF") && cut.contains("heroku connect:export"), "{cut}");
}

#[test]
fn a_file_that_is_none_a_directory_and_a_huge_one_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("export.json");
    assert!(matches!(load(&missing), Err(ImportError::Unreadable { path, .. }) if path == missing));
    assert!(matches!(load(dir.path()), Err(ImportError::Directory { .. })));
    let huge = std::fs::File::create(&missing).unwrap();
    huge.set_len(LARGEST + 1).unwrap();
    let told = load(&missing).unwrap_err().to_string();
    assert!(told.contains("larger than 32 MB") && told.contains("heroku connect:export"), "{told}");
    // At the limit it is read, and is no JSON.
    huge.set_len(LARGEST).unwrap();
    assert!(matches!(load(&missing), Err(ImportError::NoJson { line: 1, .. })));
}

#[test]
fn a_configuration_becomes_a_file_that_heroku_connect_reads() {
    let text = text_of(&read(&sample()).unwrap());
    let (file, notes) = out(&text);
    assert_eq!(file["connection"]["app_name"], "acme-prod");
    assert_eq!(
        file["mappings"][1],
        json!({"object_name": "Contact", "config": {
            "access": "read_write", "sf_notify_enabled": false, "sf_polling_seconds": 120, "sf_max_daily_api_calls": 30000,
            "fields": {"Id": {}, "IsDeleted": {}, "SystemModstamp": {}, "AccountId": {}, "CreatedDate": {}, "Email": {},
                "FirstName": {}, "LastName": {}, "Phone": {}, "External_Id__c": {}},
            "indexes": {"Id": {"unique": true}, "External_Id__c": {"unique": true}, "SystemModstamp": {"unique": false},
                "AccountId": {"unique": false}, "Email": {"unique": false}},
            "upsert_field": "External_Id__c"}})
    );
    assert_eq!(
        file["mappings"][2]["config"]["fields"],
        json!({"Id": {}, "SystemModstamp": {}, "Username": {}})
    );
    assert_eq!(
        told(&notes),
        ["|how unsent changes are sent", "|no organization_id", "|[postgres]", "|[salesforce]", "|[verify]"]
    );
}

#[test]
fn what_heroku_connect_lacks_is_told_rule_by_rule() {
    let text = text_of(&read(&sample()).unwrap()).replace(
        "poll_interval = \"2m\"\n",
        "poll_interval = \"30s\"\ntable = \"people\"\nstrategy = \"retry\"\n[mapping.field.Email]\nmask = true\n",
    ) + "[metrics]\n";
    let (file, notes) = out(&text);
    assert_eq!(file["mappings"][1]["config"]["sf_polling_seconds"], 120);
    let told = told(&notes);
    for wanted in [
        "Contact|poll_interval = \"30s\"",
        "Contact|table = \"people\"",
        "Contact|Email.mask = \"true\"",
        "Contact|strategy = \"retry\"",
        "|[metrics]",
    ] {
        assert!(told.contains(&wanted.to_owned()), "{wanted}: {told:?}");
    }
}

/// Files as Heroku Connect might write them.
fn exports() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        "[A-Z][a-z]{1,8}",
        "[A-Z][a-z]{1,8}__c",
        "[a-z]{2,5}__[A-Z][a-z]{1,5}__c",
        "[A-Z][a-z]{1,6}__r\\.[A-Z][a-z]{1,6}__c",
        Just("Id".to_owned()),
        Just("IsDeleted".to_owned()),
        Just("SystemModstamp".to_owned()),
    ];
    let fields = proptest::collection::btree_map(field, any::<(bool, bool)>(), 0..12);
    let mapping = (
        fields,
        any::<bool>(),
        120_u64..=3_600,
        any::<proptest::sample::Index>(),
        any::<bool>(),
        any::<bool>(),
    );
    proptest::collection::vec(mapping, 1..6).prop_map(|mappings| {
        let mappings: Vec<Value> = mappings
            .into_iter()
            .enumerate()
            .map(|(number, (fields, writes, polling, key, upserts, notify))| {
                let names: Vec<&String> = fields.keys().filter(|name| !name.contains('.')).collect();
                let mut config = json!({
                    "access": if writes { "read_write" } else { "read_only" }, "sf_polling_seconds": polling,
                    "sf_notify_enabled": notify, "sf_max_daily_api_calls": 30000,
                    "fields": fields.keys().map(|name| (name.clone(), json!({}))).collect::<serde_json::Map<_, _>>(),
                    "indexes": fields.iter().filter(|(_, (indexed, _))| *indexed)
                        .map(|(name, (_, unique))| (name.clone(), json!({"unique": unique})))
                        .collect::<serde_json::Map<_, _>>(),
                });
                let own = |name: &&&String| !["Id", "IsDeleted", "SystemModstamp"].contains(&name.as_str());
                let names: Vec<&&String> = names.iter().filter(own).collect();
                if upserts && !names.is_empty() {
                    config["upsert_field"] = json!(key.get(&names));
                }
                json!({"object_name": format!("Object{number}__c"), "config": config})
            })
            .collect();
        json!({"version": 1, "connection": {"app_name": "acme"}, "mappings": mappings})
    })
}

proptest! {
    /// In, out and in again is the same; and out again is the same file.
    #[test]
    fn in_out_and_in_again_is_the_same(file in exports()) {
        let first = read(&file).unwrap();
        let text = text_of(&first);
        let (back, _) = out(&text);
        let second = read(&back).unwrap();
        prop_assert_eq!(&text_of(&second), &text);
        prop_assert_eq!(&second.mappings, &first.mappings);
        prop_assert_eq!(&out(&text_of(&second)).0, &back);
        // Nothing of the mappings got lost on the way.
        for (was, is) in first.mappings.iter().zip(config_of(&text).mappings) {
            prop_assert_eq!((&was.object, was.access, &was.fields, &was.indexes, &was.upsert_field, was.polling),
                (&is.object, is.access, &is.fields, &is.indexes, &is.external_id, is.rules.poll_interval));
            prop_assert_eq!(is.access == Access::ReadOnly, was.access == Access::ReadOnly);
        }
    }

    /// Whatever is written in a place, it is read or refused with that file's name.
    #[test]
    fn whatever_stands_in_a_place_is_read_or_refused(place in 0_usize..12, what in 0_usize..9) {
        let whats = [json!(null), json!(-1), json!(1e300), json!("x\u{1b}[2J"), json!([]), json!({}), json!([[{}]]),
            json!({"a": {"b": null}}), json!(true)];
        let mut file = sample();
        let at = ["/version", "/connection", "/connection/features", "/connection/app_name", "/mappings", "/mappings/1",
            "/mappings/1/object_name", "/mappings/1/config", "/mappings/1/config/fields", "/mappings/1/config/indexes/Id",
            "/mappings/1/config/upsert_field", "/mappings/1/config/sf_max_daily_api_calls"];
        *file.pointer_mut(at[place]).unwrap() = whats[what].clone();
        match read(&file) {
            Ok(read) => { config_of(&text_of(&read)); }
            Err(refused) => prop_assert!(refused.to_string().starts_with("e.json: ") && refused.to_string().contains('\n')),
        }
    }
}
