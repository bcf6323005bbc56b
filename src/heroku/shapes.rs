//! Answers as they come, and what they tell. All that may lack does not hurt, ids are numbers or texts, and texts are made
//! harmless for a terminal before they go on.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

use crate::domain::attached::mode::WriteMode;
use crate::domain::attached::told::{
    CheckOutcome, ToldCheck, ToldConnection, ToldMapping, ToldNotification, ToldWriteError,
};
use crate::logs::sanitize::sanitize;

/// How much is kept of a text, in characters. A message of Salesforce's is far shorter.
const TEXT: usize = 4_000;

/// A body in its shape; why it is none, without a word of it.
pub(super) fn shaped<T: DeserializeOwned>(body: Value) -> Result<T, String> {
    if !body.is_object() {
        return Err("it is not what the API answers".to_owned());
    }
    serde_json::from_value(body).map_err(|_| "it is not what the API answers".to_owned())
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let short: String = text.chars().take(TEXT).collect();
    sanitize(&short).into_owned()
}

fn some(value: &Value) -> Option<String> {
    Some(text(value)).filter(|text| !text.is_empty())
}

/// A time, as the API writes it: `2025-07-16T19:22:08.288347Z`, or `2025-07-16 20:12:43.734321+00:00`.
fn time(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
        return Some(time.with_timezone(&Utc));
    }
    let plain = NaiveDateTime::parse_from_str(&text.replacen(' ', "T", 1), "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some(plain.and_utc())
}

/// What lacks and what is null is the same: nothing.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn count(value: &Value) -> Option<i64> {
    value.as_i64().filter(|count| *count >= 0)
}

/// A connection, as it is found.
#[derive(Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    app_name: Value,
    #[serde(default)]
    resource_name: Value,
    #[serde(default)]
    region_url: Value,
    #[serde(default)]
    detail_url: Value,
}

impl Found {
    /// Whether it says that it is another app's.
    pub(super) fn is_of_another(&self, app: &str) -> bool {
        self.app_name.as_str().is_some_and(|name| !name.is_empty() && name != app)
    }

    pub(super) fn resource(&self) -> String {
        some(&self.resource_name).unwrap_or_else(|| "Heroku Connect".to_owned())
    }

    /// What tells it apart; nothing where it does not say where it is.
    pub(super) fn key(&self) -> String {
        self.place().map(|(region, id)| format!("{region} {id}")).unwrap_or_default()
    }

    /// The region's address, and the connection's id there; what is not told stands in the address of its details.
    pub(super) fn place(&self) -> Option<(String, String)> {
        let details = self.detail_url.as_str().and_then(|url| Url::parse(url).ok());
        let of_details = || Some(details.as_ref()?.origin().ascii_serialization());
        let last = || Some(details.as_ref()?.path_segments()?.rfind(|part| !part.is_empty())?.to_owned());
        let region = some(&self.region_url).or_else(of_details)?;
        Some((region.trim_end_matches('/').to_owned(), some(&self.id).or_else(last)?))
    }
}

/// A connection with its mappings.
#[derive(Deserialize)]
pub(super) struct Details {
    state: String,
    #[serde(default)]
    schema_name: Value,
    #[serde(default)]
    database: Value,
    #[serde(default)]
    organization_id: Value,
    #[serde(default)]
    resource_name: Value,
    #[serde(default)]
    features: Value,
    #[serde(default)]
    metrics: Value,
    #[serde(default, deserialize_with = "or_nothing")]
    mappings: Vec<Mapped>,
}

#[derive(Deserialize)]
struct Mapped {
    #[serde(default)]
    id: Value,
    object_name: String,
    state: String,
    #[serde(default)]
    state_description: Value,
    #[serde(default)]
    counts: Value,
    #[serde(default)]
    times: Value,
}

impl Details {
    pub(super) fn schema(&self) -> String {
        text(&self.schema_name)
    }

    /// The name of its database, where it is told.
    pub(super) fn database(&self) -> Option<String> {
        some(self.database.get("database")?)
    }

    /// The id of its org, where it is told.
    pub(super) fn org(&self) -> Option<String> {
        some(&self.organization_id)
    }

    pub(super) fn told(&self, app: &str, resource: &str) -> ToldConnection {
        let mode = |ordered| if ordered { WriteMode::Ordered } else { WriteMode::Merged };
        ToldConnection {
            app: app.to_owned(),
            resource: some(&self.resource_name).unwrap_or_else(|| resource.to_owned()),
            schema: self.schema(),
            state: sanitize(&self.state).into_owned(),
            writes: self.features.get("poll_db_no_merge").and_then(Value::as_bool).map(mode),
            last_write: self.metrics.get("last_write_activity_time").and_then(time),
            mappings: self.mappings.iter().map(Mapped::told).collect(),
        }
    }
}

impl Mapped {
    fn told(&self) -> ToldMapping {
        let number = |key: &str| self.counts.get(key).and_then(count);
        let at = |key: &str| self.times.get(key).and_then(time);
        ToldMapping {
            id: text(&self.id),
            object: sanitize(&self.object_name).into_owned(),
            state: sanitize(&self.state).into_owned(),
            description: some(&self.state_description),
            rows: number("db"),
            records: number("sf"),
            pending: number("pending"),
            errors: number("errors"),
            last_read: at("sf_poll"),
            last_write: at("sf_write"),
        }
    }
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct ListPage<T> {
    #[serde(default)]
    count: Value,
    #[serde(deserialize_with = "or_nothing")]
    pub(super) results: Vec<T>,
    #[serde(default)]
    pub(super) next: Value,
}

impl<T> ListPage<T> {
    /// How many there are on all pages, where it says so.
    pub(super) fn count(&self) -> Option<i64> {
        count(&self.count)
    }
}

#[derive(Deserialize)]
pub(super) struct WriteError {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    table_name: Value,
    #[serde(default)]
    record_id: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    created_at: Value,
}

impl WriteError {
    pub(super) fn told(&self) -> ToldWriteError {
        ToldWriteError {
            id: text(&self.id),
            table: text(&self.table_name),
            row: text(&self.record_id),
            message: text(&self.message),
            created_at: time(&self.created_at),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Notification {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    event_type: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    created_at: Value,
}

impl Notification {
    pub(super) fn told(&self) -> ToldNotification {
        ToldNotification {
            id: text(&self.id),
            event_type: text(&self.event_type),
            message: text(&self.message),
            created_at: time(&self.created_at),
        }
    }
}

/// A diagnosis that was begun.
#[derive(Deserialize)]
pub(super) struct Ticket {
    pub(super) result_url: String,
}

/// What a diagnosis found; each of its parts may lack.
#[derive(Deserialize)]
pub(super) struct Validations {
    #[serde(default, deserialize_with = "or_nothing")]
    errors: Vec<Check>,
    #[serde(default, deserialize_with = "or_nothing")]
    warnings: Vec<Check>,
    #[serde(default, deserialize_with = "or_nothing")]
    passes: Vec<Check>,
    #[serde(default, deserialize_with = "or_nothing")]
    skips: Vec<Check>,
    #[serde(default, deserialize_with = "or_nothing")]
    mappings: BTreeMap<String, Validations>,
}

#[derive(Deserialize)]
struct Check {
    #[serde(default)]
    display_name: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    doc_url: Value,
}

impl Validations {
    /// Its checks: those of the connection, or of that mapping, first.
    pub(super) fn told(&self, mapping: Option<&str>) -> Vec<ToldCheck> {
        let parts = [
            (CheckOutcome::Error, &self.errors),
            (CheckOutcome::Warning, &self.warnings),
            (CheckOutcome::Pass, &self.passes),
            (CheckOutcome::Skip, &self.skips),
        ];
        let told = parts.into_iter().flat_map(|(outcome, checks)| {
            checks.iter().map(move |check| ToldCheck {
                mapping: mapping.map(|name| sanitize(name).into_owned()),
                outcome,
                name: text(&check.display_name),
                message: text(&check.message),
                doc_url: some(&check.doc_url),
            })
        });
        let below = self.mappings.iter().flat_map(|(object, found)| found.told(Some(object)));
        told.chain(below).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_in_both_of_the_apis_forms() {
        let read = |text: &str| time(&json!(text)).map(|time| time.to_rfc3339());
        let wanted = Some("2025-07-16T20:12:43.734321+00:00".to_owned());
        assert_eq!(read("2025-07-16 20:12:43.734321+00:00"), wanted);
        assert_eq!(read("2025-07-16T20:12:43.734321Z"), wanted);
        assert_eq!(read("2025-07-16T20:12:43.734321"), wanted);
        assert_eq!((read("yesterday"), time(&Value::Null)), (None, None));
    }

    #[test]
    fn a_connection_is_found_by_its_region_or_by_the_address_of_its_details() {
        let place = |found: Value| serde_json::from_value::<Found>(found).unwrap().place();
        let wanted = Some(("https://connect-x.heroku.com".to_owned(), "1234".to_owned()));
        assert_eq!(place(json!({"id": 1234, "region_url": "https://connect-x.heroku.com/"})), wanted);
        let details = "https://connect-x.heroku.com/api/v3/connections/1234";
        assert_eq!(place(json!({"detail_url": details})), wanted);
        assert_eq!(place(json!({"id": "1234"})), None);
    }

    #[test]
    fn lists_that_are_null_are_empty() {
        let details: Details =
            serde_json::from_value(json!({"state": "IDLE", "database": null, "mappings": null})).unwrap();
        let told = details.told("app", "hc");
        assert!(told.mappings.is_empty() && details.database().is_none() && details.org().is_none());
        let page = |body: Value| serde_json::from_value::<ListPage<WriteError>>(body);
        let none = page(json!({"count": null, "results": null})).unwrap();
        assert!(none.results.is_empty() && none.count().is_none() && none.next.is_null());
        assert!(page(json!({})).is_err());
        let checks: Validations =
            serde_json::from_value(json!({"errors": null, "mappings": {"Account": {"passes": null}}}))
                .unwrap();
        assert!(checks.told(None).is_empty());
    }

    #[test]
    fn a_diagnosis_may_lack_everything() {
        let told = |body: Value| serde_json::from_value::<Validations>(body).unwrap().told(None);
        assert!(told(json!({"mappings": {"Account": {}}})).is_empty());
        let checks = told(json!({"warnings": [{"display_name": "W\u{1b}", "message": "m"}],
            "mappings": {"Account": {"errors": [{"display_name": "E"}]}}}));
        let short: Vec<_> = checks
            .iter()
            .map(|check| (check.mapping.as_deref(), check.outcome, check.name.as_str()))
            .collect();
        assert_eq!(
            short,
            [(None, CheckOutcome::Warning, "W\\e"), (Some("Account"), CheckOutcome::Error, "E")]
        );
    }
}
