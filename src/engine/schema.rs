//! What the org's administrator changes while the engine runs. Describe is read again, cheaply; what is safe is applied,
//! the rest is listed with its remedy, and only what it touches stops: a field that is gone is neither read nor sent,
//! one whose values no longer fit its column is not read, an object that is gone rests with everything unsent kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::field::{Field, FieldTrouble};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::state::MappingState;
use crate::postgres::errors::sync_errors::NewError;
use crate::salesforce::Error;
use crate::salesforce::describe::Describe;

use super::connection;
use super::{Shared, prepare};

/// The operation under which its errors are listed.
const OP: &str = "describe";
/// What somebody asked to be looked at is looked at this often at most.
const ASKED_PAUSE: Duration = Duration::from_secs(60);

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Memory {
    objects: HashMap<String, Seen>,
    /// Objects that are to be looked at soon, and whether by all means.
    wanted: HashMap<String, bool>,
}

#[derive(Default)]
struct Seen {
    /// The answer's stamp.
    modified: Option<String>,
    /// Every field that the login sees.
    fields: Vec<String>,
    at: Option<Instant>,
}

/// Runs until the end of the engine.
pub(super) async fn run(shared: Arc<Shared>) {
    let interval = shared.config.salesforce.describe_interval;
    while !shared.stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shared.wake_schema.notified() => {}
            () = shared.stop.cancelled() => return,
        }
        for mapping in shared.mappings().iter() {
            let due = is_due(&shared, &mapping.object, interval);
            if let Some(force) = due.filter(|_| shared.link.closed_for().is_none()) {
                look(&shared, &mapping.object, force).await;
            }
        }
    }
}

/// Asks for a look at an object soon: what is known of it was just contradicted (then by all means: rights change without
/// a new stamp), or made the engine refuse a value that may be right by now.
pub(super) fn want(shared: &Shared, object: &str, force: bool) {
    if let Ok(mut memory) = shared.schema.lock() {
        let wanted = memory.wanted.entry(object.to_owned()).or_default();
        *wanted |= force;
        shared.wake_schema.notify_one();
    }
}

/// Whether an object is to be looked at now, and if so, whether by all means.
fn is_due(shared: &Shared, object: &str, interval: Duration) -> Option<bool> {
    let mut memory = shared.schema.lock().ok()?;
    let since = memory.objects.get(object).and_then(|seen| seen.at).map(|at| at.elapsed());
    let older_than = |pause: Duration| since.is_none_or(|since| since >= pause);
    if memory.wanted.contains_key(object) && older_than(ASKED_PAUSE.min(interval)) {
        return memory.wanted.remove(object);
    }
    older_than(interval).then_some(false)
}

/// Looks at one object; by all means, or only if it says that it changed. Tells whether anything is news.
pub(super) async fn look(shared: &Shared, name: &str, force: bool) -> bool {
    let config = &shared.config.mappings;
    let Some(written) = config.iter().find(|written| written.object.eq_ignore_ascii_case(name)) else {
        return false;
    };
    let Some(held) = shared.mappings().iter().find(|mapping| mapping.object == name).cloned() else {
        return false;
    };
    let troubled = held.gone || held.fields.iter().any(|field| field.trouble.is_some());
    let since = shared.schema.lock().ok().and_then(|mut memory| {
        let seen = memory.objects.entry(name.to_owned()).or_default();
        seen.at = Some(Instant::now());
        seen.modified.clone()
    });
    let since = since.filter(|_| !force && !troubled);
    let (mut fresh, modified) = match shared.client.describe(name, since.as_deref()).await {
        Ok(None) => return false,
        Ok(Some((describe, modified))) => {
            tell_new_fields(shared, name, &describe);
            match prepare::mapping(&shared.config, written, &describe, Some(&held)) {
                Ok(fresh) => (fresh, modified),
                Err(error) => {
                    shared.log.of("schema").error(
                        format!("{name} cannot be mapped any more"),
                        json!({"mapping": name, "cause": error.to_string()}),
                    );
                    return false;
                }
            }
        }
        Err(Error::Api { status: 404, .. }) => (Mapping { gone: true, ..held.clone() }, None),
        Err(error) => {
            connection::note_failure(shared, &error).await;
            return false;
        }
    };
    if let Err(error) = fit(shared, &held, &mut fresh).await {
        shared.log.of("schema").warn(
            format!("the table of {name} cannot follow the org yet"),
            json!({"mapping": name, "cause": error.to_string()}),
        );
        return false;
    }
    if let Ok(mut memory) = shared.schema.lock() {
        memory.objects.entry(name.to_owned()).or_default().modified = modified;
    }
    let news = put(shared, &held, fresh.clone()).await;
    list(shared, &fresh, news).await;
    news
}

/// Makes columns wide enough for fields that grew, and marks fields whose values their column cannot hold.
async fn fit(shared: &Shared, held: &Mapping, fresh: &mut Mapping) -> Result<(), crate::postgres::Error> {
    let before = |field: &Field| held.fields.iter().find(|before| before.name == field.name);
    let changed = |field: &Field| {
        before(field).is_some_and(|before| {
            before.trouble == Some(FieldTrouble::Retyped)
                || before.kind != field.kind
                || (before.length, before.precision) != (field.length, field.precision)
        })
    };
    if !fresh.fields.iter().any(changed) {
        return Ok(());
    }
    let misfits = shared.store.fit_columns(fresh).await?;
    for field in fresh.fields.iter_mut().filter(|field| misfits.contains(&field.column)) {
        field.trouble = field.trouble.or(Some(FieldTrouble::Retyped));
    }
    Ok(())
}

/// Puts a definition in force. Tells whether it is news.
async fn put(shared: &Shared, held: &Mapping, fresh: Mapping) -> bool {
    let same = Mapping { rules: held.rules.clone(), ..fresh.clone() };
    if same == *held {
        return false;
    }
    let log = shared.log.of("schema");
    for line in changes(held, &fresh) {
        log.warn(line, json!({"mapping": held.object}));
    }
    let mut stored = None;
    if let Ok(mut all) = shared.mappings.write() {
        let mut mappings = all.as_ref().clone();
        if let Some(old) = mappings.iter_mut().find(|mapping| mapping.object == held.object) {
            // The rules may have changed while describe was asked.
            *old = Mapping { rules: old.rules.clone(), ..fresh };
            stored = Some(old.clone());
        }
        *all = Arc::new(mappings);
    }
    if let Some(stored) = stored {
        let _ = shared.store.set_definition(&stored).await;
        let names: Vec<String> = touched(held, &stored);
        // What was refused for what the field was may be right for what it is.
        let _ = shared.store.wake_for_fields(&stored.table, &names).await;
        shared.wake_writer.notify_one();
    }
    true
}

/// The names of the fields that are not what they were.
fn touched(held: &Mapping, fresh: &Mapping) -> Vec<String> {
    let same = |field: &&Field| !held.fields.contains(field);
    fresh.fields.iter().filter(same).map(|field| field.name.clone()).collect()
}

/// What changed, a line each.
fn changes(held: &Mapping, fresh: &Mapping) -> Vec<String> {
    let object = &held.object;
    if held.gone != fresh.gone {
        let word = if fresh.gone { "is gone" } else { "is back" };
        return vec![format!("{object} {word} in Salesforce")];
    }
    let pairs = fresh.fields.iter().filter_map(|new| {
        let old = held.fields.iter().find(|old| old.name == new.name)?;
        let name = &new.name;
        Some(match (old.trouble, new.trouble) {
            _ if old == new => return None,
            (was, is) if was != is => match (was, is) {
                (_, Some(FieldTrouble::Removed)) => format!("{object}.{name} is gone in Salesforce"),
                (_, Some(FieldTrouble::Retyped)) => {
                    format!(
                        "{object}.{name} is {} in Salesforce now, which its column cannot hold",
                        new.type_text()
                    )
                }
                (_, Some(FieldTrouble::Denied)) => format!("{object}.{name} may no longer be written"),
                (_, None) => format!("{object}.{name} is as it was mapped again"),
            },
            _ if old.type_text() != new.type_text() => {
                format!(
                    "{object}.{name} changed in Salesforce: {} is now {}",
                    old.type_text(),
                    new.type_text()
                )
            }
            _ if old.picklist != new.picklist => {
                format!("{object}.{name} has other picklist values in Salesforce now")
            }
            _ => format!("{object}.{name} changed in Salesforce"),
        })
    });
    pairs.collect()
}

/// Fields that came since the last look: nothing is done about them but to say so.
fn tell_new_fields(shared: &Shared, name: &str, describe: &Describe) {
    let now: Vec<String> = describe.fields.iter().map(|field| field.name.clone()).collect();
    let Ok(mut memory) = shared.schema.lock() else { return };
    let seen = memory.objects.entry(name.to_owned()).or_default();
    let before = std::mem::replace(&mut seen.fields, now.clone());
    if before.is_empty() {
        return;
    }
    let new: Vec<&String> = now.iter().filter(|field| !before.contains(field)).collect();
    for field in new {
        shared.log.of("schema").info(
            format!("{name} has a field {field} that it had not, and that is not mapped or is back"),
            json!({"mapping": name, "field": field}),
        );
    }
}

/// Lists what is wrong with a mapping's fields, one error for each kind of trouble, and resolves what is over.
async fn list(shared: &Shared, mapping: &Mapping, news: bool) {
    let object = &mapping.object;
    let fields = |trouble: FieldTrouble| -> Vec<&Field> {
        mapping.fields.iter().filter(|field| field.trouble == Some(trouble)).collect()
    };
    let mut found: Vec<(&str, String, Vec<String>)> = Vec::new();
    if mapping.gone {
        let message = format!("{object} is gone in Salesforce, or the login may not see it any more");
        found.push(("OBJECT_REMOVED", message, Vec::new()));
    }
    for (trouble, code, words) in [
        (FieldTrouble::Removed, "FIELD_REMOVED", "gone in Salesforce, or hidden from the login"),
        (FieldTrouble::Retyped, "FIELD_RETYPED", "of another type in Salesforce than its column"),
        (FieldTrouble::Denied, "FIELD_NOT_WRITABLE", "no longer to be written by the login"),
    ] {
        let fields = fields(trouble);
        if fields.is_empty() || mapping.gone {
            continue;
        }
        let named = |field: &&Field| match trouble {
            FieldTrouble::Retyped => format!("{object}.{} ({})", field.name, field.type_text()),
            _ => format!("{object}.{}", field.name),
        };
        let list: Vec<String> = fields.iter().map(named).collect();
        let names = fields.iter().map(|field| field.name.clone()).collect();
        found.push((code, format!("{}: {words}", list.join(", ")), names));
    }
    let codes: Vec<&str> = found.iter().map(|(code, ..)| *code).collect();
    let resolved = shared.store.resolve_other_errors(object, OP, &codes).await.unwrap_or(0);
    for (code, message, names) in &found {
        let error = NewError::classified(object, OP, ErrorSource::Engine, code, message, names.clone());
        let _ = shared.store.keep_mapping_error(&mapping.table, &error, None).await;
    }
    if mapping.gone {
        let detail = found.first().map(|(code, message, _)| format!("{code}: {message}"));
        let _ = shared.store.set_mapping_state(object, MappingState::Broken, detail.as_deref()).await;
    }
    if resolved > 0 || news {
        let _ = shared.store.notify("errors").await;
        let _ = shared.store.notify("overview").await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::FieldType;

    fn mapping(fields: Vec<Field>) -> Mapping {
        Mapping::plain("Contact", fields)
    }

    #[test]
    fn what_changed_is_told_field_by_field() {
        let field = |name: &str| Field { length: 20, ..Field::plain(name, FieldType::String) };
        let held = mapping(["A", "B", "C", "D"].map(field).to_vec());
        let mut fresh = held.clone();
        fresh.fields[0].trouble = Some(FieldTrouble::Removed);
        fresh.fields[1].length = 10;
        (fresh.fields[2].kind, fresh.fields[2].trouble) = (FieldType::Boolean, Some(FieldTrouble::Retyped));
        let told = changes(&held, &fresh);
        assert_eq!(
            told,
            [
                "Contact.A is gone in Salesforce",
                "Contact.B changed in Salesforce: text(20) is now text(10)",
                "Contact.C is checkbox(20) in Salesforce now, which its column cannot hold",
            ]
        );
        assert_eq!(touched(&held, &fresh), ["A", "B", "C"]);
        assert_eq!(changes(&fresh, &held)[0], "Contact.A is as it was mapped again");
        assert!(changes(&held, &held).is_empty());
    }
}
