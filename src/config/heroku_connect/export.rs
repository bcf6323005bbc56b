//! The file that `heroku connect:import` reads, from a configuration of ours.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::config::{Config, MappingConfig};
use crate::domain::mappings::mapping::SYSTEM_FIELDS;
use crate::domain::values::duration;

use super::{ID, Note, Notes, POLLING, SYSTEM_MODSTAMP};

/// What Heroku Connect writes for every mapping.
const DAILY_CALLS: u64 = 30_000;
/// Objects that tell of no record that it is deleted.
const WITHOUT_IS_DELETED: [&str; 3] = ["User", "RecordType", "EmailTemplate"];
/// What of a file is told apart, or stands in the export.
const TOLD: [&str; 5] = ["connections", "connection", "environment", "engine", "mapping"];

/// The file, and what of the configuration it has no place for. `text` is the configuration as it is written.
pub fn export(config: &Config, text: &str, now: DateTime<Utc>) -> (Value, Vec<Note>) {
    let mut notes = Notes::default();
    let sections = sections(config, text);
    // What holds for all comparisons is told once, and not as a rule of each mapping.
    let every = sections.get("verify").and_then(|verify| verify.get("every")?.as_str());
    let mappings: Vec<Value> = config
        .mappings
        .iter()
        .map(|mapping| {
            for (rule, text) in mapping.rules.settings() {
                if rule != "poll_interval" && !(rule == "verify" && every == Some(text)) {
                    notes.of(
                        &mapping.object,
                        format!("{rule} = {text:?}"),
                        "Heroku Connect has no such rule",
                    );
                }
            }
            of_mapping(mapping, &mut notes)
        })
        .collect();
    notes.add(
        "how unsent changes are sent",
        "poll_db_no_merge is false: merged writes, which also send what waits of a record as one",
    );
    notes.add(
        "no organization_id",
        "the configuration does not hold it; Heroku Connect has that of its own login",
    );
    for section in sections.keys().filter(|name| !TOLD.contains(&name.as_str())) {
        let instead = match section.as_str() {
            "postgres" | "salesforce" => "Heroku Connect has a database and a login of its own",
            _ => "Heroku Connect has nothing like it",
        };
        notes.add(format!("[{section}]"), instead);
    }
    let value = json!({
        "version": 1,
        "connection": {
            "app_name": config.name,
            "exported_at": now.to_rfc3339_opts(SecondsFormat::Secs, true),
            "features": {"poll_db_no_merge": false},
        },
        "mappings": mappings,
    });
    (value, notes.take())
}

/// The sections that the file has for the connection.
fn sections(config: &Config, text: &str) -> toml::Table {
    let mut file: toml::Table = text.parse().unwrap_or_default();
    let own = file.get("connections").and_then(|all| all.get(&config.name)?.as_table().cloned());
    file.extend(own.into_iter().flatten());
    file
}

fn of_mapping(mapping: &MappingConfig, notes: &mut Notes) -> Value {
    let object = &mapping.object;
    let mut fields = Map::new();
    let has_is_deleted = !WITHOUT_IS_DELETED.iter().any(|name| name.eq_ignore_ascii_case(object));
    let system = SYSTEM_FIELDS.into_iter().filter(|name| has_is_deleted || *name != "IsDeleted");
    let own = mapping.fields.iter().chain(&mapping.external_id).map(String::as_str);
    for name in system.chain(own) {
        if !fields.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
            fields.insert(name.to_owned(), json!({}));
        }
        if name.contains('.') {
            let instead = "it is written as Salesforce has it in a query, for Heroku documents no form of it: look at it there";
            notes.of(object, format!("fields.{name}"), instead);
        }
    }
    let plain = mapping.indexes.iter().map(String::as_str);
    let unique = [ID].into_iter().chain(mapping.external_id.as_deref());
    let mut indexes = Map::new();
    for (name, is_unique) in unique
        .map(|name| (name, true))
        .chain([SYSTEM_MODSTAMP].into_iter().chain(plain).map(|name| (name, false)))
    {
        if !indexes.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
            indexes.insert(name.to_owned(), json!({"unique": is_unique}));
        }
    }
    let mut config = json!({
        "access": mapping.access.word(),
        "sf_notify_enabled": false,
        "sf_polling_seconds": polling(mapping, notes),
        "sf_max_daily_api_calls": DAILY_CALLS,
        "fields": fields,
        "indexes": indexes,
    });
    if let Some(field) = &mapping.external_id {
        config["upsert_field"] = json!(field);
    }
    if mapping.table != object.to_lowercase() {
        let instead = format!("Heroku Connect's table is named {}", object.to_lowercase());
        notes.of(object, format!("table = {:?}", mapping.table), instead);
    }
    json!({"object_name": object, "config": config})
}

/// Seconds between two polls, within what Heroku Connect takes.
fn polling(mapping: &MappingConfig, notes: &mut Notes) -> u64 {
    let every = mapping.rules.poll_interval;
    let seconds = every.as_secs().clamp(POLLING.0, POLLING.1);
    if seconds != every.as_secs() || every.subsec_nanos() > 0 {
        let nearest = format!("sf_polling_seconds is {seconds}, the nearest that Heroku Connect takes");
        notes.of(&mapping.object, format!("poll_interval = {:?}", duration::text(every)), nearest);
    }
    seconds
}
