//! Reads the file that `heroku connect:export` writes. Only version 1 of it is known, and Heroku documents no schema: what
//! is not understood is told, what contradicts itself is refused by its place.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::mappings::mapping::{Access, SYSTEM_FIELDS};
use crate::domain::values::duration;

use super::{ConnectExport, ExportedMapping, ID, ImportError, Notes, SYSTEM_MODSTAMP};

/// No export is larger, in bytes: one of 200 mappings with 500 fields each takes some 4 MB.
pub const LARGEST: u64 = 32 << 20;
/// How a remedy begins where the file is not as Heroku Connect writes it.
const AGAIN: &str = "write the file again with: heroku connect:export";
/// How often Heroku Connect polls where it is not said.
const POLLING: u64 = 600;
/// As much of a value as is told.
const SHOWN: usize = 60;

/// Reads a file.
///
/// # Errors
/// See [`ImportError`].
pub fn load(path: &Path) -> Result<ConnectExport, ImportError> {
    let failed = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(ImportError::Directory { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ImportError::TooLarge { path: path.to_owned() });
    }
    parse(path, &bytes)
}

/// Reads a file's bytes.
///
/// # Errors
/// See [`ImportError`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<ConnectExport, ImportError> {
    // Some editors put a mark before the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(bytes).map_err(|error| ImportError::NoJson {
        path: path.to_owned(),
        line: error.line(),
        text: error.to_string(),
    })?;
    let file = At { path, place: "the file".to_owned(), value: &value };
    let mut notes = Notes::default();
    version(&file)?;
    let known = ["version", "connection", "mappings"];
    others(&file, &known, |what, instead| notes.add(what, instead))?;
    let app_name = match file.key("connection")? {
        Some(connection) => of_connection(&connection, &mut notes)?,
        None => None,
    };
    let mappings = file.needed("mappings")?;
    let mut read: Vec<ExportedMapping> = Vec::new();
    for (number, value) in mappings.list()?.iter().enumerate() {
        let at = At { path, place: format!("mappings[{number}]"), value };
        let object = at.needed("object_name")?;
        let name = object.text()?.to_owned();
        if !is_name(&name) {
            return Err(object.refuse("is no object name", "use the API name, such as Contact or Invoice__c"));
        }
        if let Some(first) = read.iter().position(|of| of.object.eq_ignore_ascii_case(&name)) {
            let problem = format!("{name} is mapped twice, here and in mappings[{first}]");
            return Err(object.refuse(&problem, "take one of both out of the file"));
        }
        let at = At { place: format!("{} ({name})", at.place), ..at };
        others(&at, &["object_name", "config"], |what, instead| notes.of(&name, what, instead))?;
        read.push(of_mapping(&name, &at.needed("config")?, &mut notes)?);
    }
    if read.is_empty() {
        return Err(
            mappings.refuse("there is none", "map an object in Heroku Connect first, and export again")
        );
    }
    Ok(ConnectExport { app_name, mappings: read, notes: notes.take() })
}

fn version(file: &At) -> Result<(), ImportError> {
    let version = file.needed("version")?;
    match version.value.as_u64() {
        Some(1) => Ok(()),
        _ => {
            let problem = format!("is {}, and syncdeck reads version 1", shown(version.value));
            Err(version.refuse(&problem, "use a newer syncdeck, or an export of version 1"))
        }
    }
}

/// What holds for the connection. Returns the name of its app.
fn of_connection(at: &At, notes: &mut Notes) -> Result<Option<String>, ImportError> {
    others(at, &["organization_id", "app_name", "exported_at", "features"], |what, instead| {
        notes.add(format!("connection.{what}"), instead);
    })?;
    if let Some(org) = at.key("organization_id")? {
        notes.add(
            format!("connection.organization_id = {}", shown(org.value)),
            "the first start notes the org of the login in the schema, and every later one refuses another org",
        );
    }
    if let Some(features) = at.key("features")? {
        of_features(&features, notes)?;
    }
    let name = at.key("app_name")?;
    name.map(|name| name.text().map(str::to_owned)).transpose()
}

/// What is switched on for the connection. Merged writes are what syncdeck does as well.
fn of_features(at: &At, notes: &mut Notes) -> Result<(), ImportError> {
    let known = [
        (
            "poll_db_no_merge",
            " (ordered writes)",
            "unsent changes of one record are sent as one, in their order, and parents before children; \
             strategy = \"fail_fast\" keeps the order of all changes of a mapping, and stops its writes at the first error",
        ),
        ("poll_external_ids", "", "each poll reads the columns that name a parent by its external id"),
        ("rest_count_only", "", "records are always counted by the REST API"),
    ];
    for (key, name, instead) in known {
        if let Some(flag) = at.key(key)?
            && flag.flag()?
        {
            notes.add(format!("connection.features.{key} = true{name}"), instead);
        }
    }
    others(at, &known.map(|(key, ..)| key), |what, instead| {
        notes.add(format!("connection.features.{what}"), instead);
    })
}

fn of_mapping(object: &str, at: &At, notes: &mut Notes) -> Result<ExportedMapping, ImportError> {
    let known = [
        "access",
        "sf_notify_enabled",
        "sf_polling_seconds",
        "sf_max_daily_api_calls",
        "fields",
        "indexes",
        "upsert_field",
        // Of the resource; they say how often the mapping was changed, and when.
        "revision",
        "applied_at",
    ];
    others(at, &known, |what, instead| notes.of(object, what, instead))?;
    let access = at.needed("access")?;
    let access = match access.text()? {
        "read_only" => Access::ReadOnly,
        "read_write" => Access::ReadWrite,
        other => {
            let problem = format!("{other:?} is no kind of access that syncdeck knows");
            return Err(access.refuse(&problem, "use \"read_only\" or \"read_write\""));
        }
    };
    let upsert_field = match at.key("upsert_field")? {
        Some(field) => Some(field_name(&field, field.text()?)?),
        None => None,
    };
    let polling = polling(object, at, notes)?;
    if at.key("sf_notify_enabled")?.map(|flag| flag.flag()).transpose()?.unwrap_or_default() {
        let every = duration::text(polling);
        notes.of(
            object,
            "sf_notify_enabled = true (accelerated polling)",
            format!(
                "a change in Salesforce is seen at the next poll, every {every}; a shorter poll_interval sees it sooner and \
                 takes more API calls"
            ),
        );
    }
    if let Some(limit) = at.key("sf_max_daily_api_calls")? {
        let calls = limit.number()?;
        notes.of(
            object,
            format!("sf_max_daily_api_calls = {calls}"),
            "no mapping has a limit of its own: the forecast says what each takes, and poll_interval decides it",
        );
    }
    let fields = fields(object, at, upsert_field.as_deref(), notes)?;
    let indexes = indexes(object, at, &fields, upsert_field.as_deref(), notes)?;
    if access == Access::ReadWrite && upsert_field.is_none() {
        notes.of(
            object,
            "no upsert_field",
            "an insert whose answer is lost cannot be sent again by itself: it waits for a person; external_id = \"...\" cures that",
        );
    }
    Ok(ExportedMapping { object: object.to_owned(), access, fields, indexes, upsert_field, polling })
}

fn polling(object: &str, at: &At, notes: &mut Notes) -> Result<Duration, ImportError> {
    let Some(seconds) = at.key("sf_polling_seconds")? else {
        notes.of(object, "no sf_polling_seconds", "poll_interval is 10m, as Heroku Connect's is by default");
        return Ok(Duration::from_secs(POLLING));
    };
    match seconds.number()? {
        number @ 1..=86_400 => Ok(Duration::from_secs(number)),
        number => {
            let problem = format!("is {number} seconds");
            Err(seconds.refuse(&problem, "use a number from 1 to 86400; Heroku Connect's default is 600"))
        }
    }
}

/// The fields, without those that every table has and without the upsert field, which is named apart.
fn fields(
    object: &str,
    at: &At,
    upsert_field: Option<&str>,
    notes: &mut Notes,
) -> Result<Vec<String>, ImportError> {
    let at = at.needed("fields")?;
    let mut fields: Vec<String> = Vec::new();
    for (name, of) in at.table()? {
        let here = at.below(name, of);
        let field = field_name(&here, name)?;
        if field != *name {
            notes.of(
                object,
                format!("fields.{name}"),
                format!("it is taken for {field}, the parent's external id"),
            );
        }
        others(&here, &[], |what, instead| notes.of(object, format!("fields.{name}.{what}"), instead))?;
        let is = |known: &str| known.eq_ignore_ascii_case(&field);
        if !SYSTEM_FIELDS.into_iter().any(is) && !upsert_field.is_some_and(is) {
            fields.push(field);
        }
    }
    if fields.is_empty() {
        // A mapping needs one; nearly every object has this.
        notes.of(
            object,
            "no fields but Id and the like",
            "CreatedDate is mapped, for a mapping needs a field",
        );
        fields.push("CreatedDate".to_owned());
    }
    Ok(fields)
}

/// The fields with an index of their own.
fn indexes(
    object: &str,
    at: &At,
    fields: &[String],
    upsert_field: Option<&str>,
    notes: &mut Notes,
) -> Result<Vec<String>, ImportError> {
    let Some(at) = at.key("indexes")? else { return Ok(Vec::new()) };
    let mut indexes = Vec::new();
    for (name, of) in at.table()? {
        let here = at.below(name, of);
        let field = field_name(&here, name)?;
        others(&here, &["unique"], |what, instead| {
            notes.of(object, format!("indexes.{name}.{what}"), instead)
        })?;
        let unique = here.key("unique")?.map(|flag| flag.flag()).transpose()?.unwrap_or_default();
        let is = |known: &str| known.eq_ignore_ascii_case(&field);
        if [ID, SYSTEM_MODSTAMP].into_iter().any(is) || upsert_field.is_some_and(is) {
            continue;
        }
        if !fields.iter().any(|known| is(known)) && !is("IsDeleted") {
            notes.of(object, format!("an index on {field}"), "none is made, for the field is not mapped");
            continue;
        }
        if unique {
            notes.of(
                object,
                format!("a unique index on {field}"),
                "a plain one is made where the table is new, for Salesforce lets records have the same value; a table that is \
                 taken over keeps its unique one, and PostgreSQL refuses such records",
            );
        }
        indexes.push(field);
    }
    Ok(indexes)
}

/// A field by its API name. No name of Salesforce's has three underscores in a row or `__r__` in it: that is a column's
/// name, which stands for a parent's external id.
fn field_name(at: &At, name: &str) -> Result<String, ImportError> {
    let lower = name.to_ascii_lowercase();
    let name = match lower.find("__r__") {
        // `ns__r__c` is a field `r` of a package.
        Some(found) if !name.contains('.') && !["c", "pc"].contains(&&lower[found + 5..]) => {
            format!("{}.{}", &name[..found + 3], &name[found + 5..])
        }
        _ => name.to_owned(),
    };
    if name.split('.').count() > 2 || !name.split('.').all(is_name) {
        let problem = format!("{name:?} is no field name");
        return Err(at.refuse(&problem, "use API names, such as LastName or Level__c"));
    }
    Ok(name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Tells the keys that are not known.
fn others(at: &At, known: &[&str], mut tell: impl FnMut(String, &'static str)) -> Result<(), ImportError> {
    for (key, value) in at.table()? {
        if !known.contains(&key.as_str()) {
            tell(format!("{key} = {}", shown(value)), "syncdeck does not know it, and does nothing");
        }
    }
    Ok(())
}

/// A value as it is told, not too long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { cut + "…" } else { text }
}

/// A place in the file.
struct At<'a> {
    path: &'a Path,
    place: String,
    value: &'a Value,
}

impl<'a> At<'a> {
    fn below(&self, key: &str, value: &'a Value) -> At<'a> {
        let place = if self.place == "the file" { key.to_owned() } else { format!("{}.{key}", self.place) };
        At { path: self.path, place, value }
    }

    /// What a key says, if it is there; null says nothing.
    fn key(&self, key: &str) -> Result<Option<At<'a>>, ImportError> {
        Ok(self.table()?.get(key).filter(|value| !value.is_null()).map(|value| self.below(key, value)))
    }

    fn needed(&self, key: &str) -> Result<At<'a>, ImportError> {
        self.key(key)?.ok_or_else(|| self.refuse(&format!("has no {key}"), AGAIN))
    }

    fn table(&self) -> Result<&'a Map<String, Value>, ImportError> {
        self.value.as_object().ok_or_else(|| self.is_no("an object with keys"))
    }

    fn list(&self) -> Result<&'a [Value], ImportError> {
        self.value.as_array().map(Vec::as_slice).ok_or_else(|| self.is_no("a list"))
    }

    fn text(&self) -> Result<&'a str, ImportError> {
        self.value.as_str().ok_or_else(|| self.is_no("a text"))
    }

    fn flag(&self) -> Result<bool, ImportError> {
        self.value.as_bool().ok_or_else(|| self.is_no("true or false"))
    }

    fn number(&self) -> Result<u64, ImportError> {
        self.value.as_u64().ok_or_else(|| self.is_no("a whole number"))
    }

    fn is_no(&self, wanted: &str) -> ImportError {
        let problem = format!("{} stands where Heroku Connect writes {wanted}", shown(self.value));
        self.refuse(&problem, AGAIN)
    }

    fn refuse(&self, problem: &str, remedy: &str) -> ImportError {
        ImportError::Value {
            path: self.path.to_owned(),
            place: self.place.clone(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}
