//! `[[mapping]]`: an object, its table, its fields and its rules, as written and checked.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::domain::mappings::mapping::{Access, SYSTEM_FIELDS};
use crate::domain::mappings::rules::Rules;
use crate::domain::values::nearest::suggestion;

use super::written::Check;
use super::{ConfigError, MappingConfig};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingKeys {
    object: Spanned<String>,
    #[serde(default)]
    table: Option<Spanned<String>>,
    #[serde(default)]
    access: Option<Spanned<String>>,
    fields: Spanned<Vec<String>>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    indexes: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    poll_interval: Option<Spanned<Value>>,
    #[serde(default)]
    change_events: Option<Spanned<Value>>,
    #[serde(default)]
    poll_with_events: Option<Spanned<Value>>,
    #[serde(default)]
    strategy: Option<Spanned<Value>>,
    #[serde(default)]
    max_retries: Option<Spanned<Value>>,
    #[serde(default)]
    retry_delay: Option<Spanned<Value>>,
    #[serde(default)]
    retry_schedule: Option<Spanned<Value>>,
    #[serde(default)]
    upsert: Option<Spanned<Value>>,
    #[serde(default)]
    create_if_missing: Option<Spanned<Value>>,
    #[serde(default)]
    ignore_deletes: Option<Spanned<Value>>,
    #[serde(default)]
    check: Option<Spanned<Value>>,
    #[serde(default)]
    batch_size: Option<Spanned<Value>>,
    #[serde(default)]
    bulk_from: Option<Spanned<Value>>,
    #[serde(default)]
    conflicts: Option<Spanned<Value>>,
    #[serde(default, rename = "where")]
    filter: Option<Spanned<Value>>,
    #[serde(default)]
    verify: Option<Spanned<Value>>,
    #[serde(default, rename = "match")]
    matches: Option<Spanned<Value>>,
    /// Rules of fields, by API name.
    #[serde(default)]
    field: BTreeMap<String, BTreeMap<String, Spanned<Value>>>,
}

impl MappingKeys {
    /// The object's name as it is written.
    pub(super) fn object(&self) -> &str {
        self.object.get_ref()
    }

    /// The rules as they are written, by key.
    fn rules(&self) -> Vec<(String, &Spanned<Value>)> {
        let own = [
            ("poll_interval", &self.poll_interval),
            ("change_events", &self.change_events),
            ("poll_with_events", &self.poll_with_events),
            ("strategy", &self.strategy),
            ("max_retries", &self.max_retries),
            ("retry_delay", &self.retry_delay),
            ("retry_schedule", &self.retry_schedule),
            ("upsert", &self.upsert),
            ("create_if_missing", &self.create_if_missing),
            ("ignore_deletes", &self.ignore_deletes),
            ("check", &self.check),
            ("batch_size", &self.batch_size),
            ("bulk_from", &self.bulk_from),
            ("conflicts", &self.conflicts),
            ("where", &self.filter),
            ("verify", &self.verify),
            ("match", &self.matches),
        ];
        let own = own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.as_ref()?)));
        let fields = self.field.iter().flat_map(|(field, rules)| {
            rules.iter().map(move |(key, value)| (format!("{field}.{key}"), value))
        });
        own.chain(fields).collect()
    }
}

/// A rule's text: `true`, `3` and `["trim", "lowercase"]` may be written as TOML has them.
fn rule_text(key: &str, value: &Value) -> Option<String> {
    let joint = if key.ends_with(".transforms") { " | " } else { ", " };
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Boolean(_) | Value::Integer(_) | Value::Float(_) => Some(value.to_string()),
        Value::Array(parts) => {
            let part = |part: &Value| match part {
                Value::String(text) => Some(text.clone()),
                // Fields that count together, as the rule `match` has them.
                Value::Array(fields) if key == "match" => {
                    let fields: Option<Vec<&str>> = fields.iter().map(Value::as_str).collect();
                    fields.map(|fields| fields.join(" + "))
                }
                _ => None,
            };
            let parts: Option<Vec<String>> = parts.iter().map(part).collect();
            parts.map(|parts| parts.join(joint))
        }
        _ => None,
    }
}

impl Check<'_> {
    /// A mapping; its table joins those that are taken.
    pub(super) fn mapping(
        &self,
        mapping: Spanned<MappingKeys>,
        tables: &mut HashSet<String>,
    ) -> Result<MappingConfig, ConfigError> {
        let line = self.line(mapping.span().start);
        let keys = mapping.into_inner();
        let is_name = |name: &str| {
            !name.is_empty()
                && name.split('.').all(|part| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        };
        if !is_name(keys.object.get_ref()) || keys.object.get_ref().contains('.') {
            return Err(self.refuse(
                &keys.object,
                "mapping.object",
                "is no object name",
                "use the API name, such as Contact or Invoice__c",
            ));
        }
        if let Some(bad) = keys.fields.get_ref().iter().find(|field| !is_name(field)) {
            let problem = format!("{bad:?} is no field name");
            return Err(self.refuse(
                &keys.fields,
                "mapping.fields",
                &problem,
                "use API names, such as LastName or Level__c",
            ));
        }
        if keys.fields.get_ref().is_empty() {
            return Err(self.refuse(
                &keys.fields,
                "mapping.fields",
                "is empty",
                "name the fields to keep in step",
            ));
        }
        let access = match keys.access.as_ref().map(|access| access.get_ref().as_str()) {
            None | Some("read_write") => Access::ReadWrite,
            Some("read_only") => Access::ReadOnly,
            Some(_) => {
                let at = keys.access.as_ref().map_or(0, |access| access.span().start);
                return Err(self.refuse_at(
                    at,
                    "mapping.access",
                    "is unknown",
                    "use \"read_write\" or \"read_only\"",
                ));
            }
        };
        let table = keys
            .table
            .as_ref()
            .map_or_else(|| keys.object.get_ref().to_lowercase(), |table| table.get_ref().clone());
        // PostgreSQL would cut a longer name silently; _trigger_log's table_name holds more.
        if table.is_empty() || table.len() > 63 || table.starts_with('_') {
            let at = keys.table.as_ref().map_or(keys.object.span().start, |table| table.span().start);
            return Err(self.refuse_at(
                at,
                "mapping.table",
                "is no table name of 1 to 63 bytes that does not begin with _",
                "choose another name",
            ));
        }
        if !tables.insert(table.clone()) {
            let problem = format!("the table {table:?} is mapped twice");
            return Err(self.refuse(&keys.object, "mapping.table", &problem, "map each table once"));
        }
        let rules = self.rules(&keys)?;
        let indexes = self.indexes(&keys)?;
        Ok(MappingConfig {
            line,
            object: keys.object.into_inner(),
            table,
            access,
            fields: keys.fields.into_inner(),
            external_id: keys.external_id,
            indexes,
            rules,
        })
    }

    /// The fields whose columns get an index each; a system field may be one of them.
    fn indexes(&self, keys: &MappingKeys) -> Result<Vec<String>, ConfigError> {
        let Some(written) = &keys.indexes else { return Ok(Vec::new()) };
        let known = || keys.fields.get_ref().iter().chain(&keys.external_id).map(String::as_str);
        let is_known =
            |name: &str| known().chain(SYSTEM_FIELDS).any(|known| known.eq_ignore_ascii_case(name));
        if let Some(unknown) = written.get_ref().iter().find(|name| !is_known(name)) {
            let problem = format!("{unknown} is not among the mapping's fields");
            let remedy = suggestion(unknown, known(), "add it to fields, or take the index out");
            return Err(self.refuse(written, "mapping.indexes", &problem, &remedy));
        }
        Ok(written.get_ref().clone())
    }

    fn rules(&self, keys: &MappingKeys) -> Result<Rules, ConfigError> {
        let mut rules = Rules::default();
        for (key, value) in keys.rules() {
            if let Some((field, _)) = key.rsplit_once('.') {
                let known = keys.fields.get_ref().iter().chain(&keys.external_id);
                if !known.into_iter().any(|name| name.eq_ignore_ascii_case(field)) {
                    let problem = format!("{field} is not among the mapping's fields");
                    let remedy = "add it to fields, or correct the name";
                    return Err(self.refuse(value, &format!("mapping.field.{field}"), &problem, remedy));
                }
            }
            let place = match key.contains('.') {
                true => format!("mapping.field.{key}"),
                false => format!("mapping.{key}"),
            };
            let Some(text) = rule_text(&key, value.get_ref()) else {
                return Err(self.refuse(
                    value,
                    &place,
                    "is of no type that fits",
                    "write it as a text in quotes",
                ));
            };
            rules.set(&key, &text).map_err(|bad| self.refuse(value, &place, &bad.problem, &bad.remedy))?;
            if key == "match" {
                let known = |field: &&String| {
                    let mut known = keys.fields.get_ref().iter().chain(&keys.external_id);
                    known.any(|name| name.eq_ignore_ascii_case(field))
                };
                let mut named = rules.matches.iter().flat_map(|by| &by.0);
                if let Some(unknown) = named.find(|field| !known(field)) {
                    let problem = format!("{unknown} is not among the mapping's fields");
                    return Err(self.refuse(
                        value,
                        &place,
                        &problem,
                        "add it to fields, or correct the name",
                    ));
                }
            }
        }
        Ok(rules)
    }
}
