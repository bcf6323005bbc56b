//! What can be done about an error, and which of it fits the record at hand: a remedy that would change nothing, or
//! make a value that Salesforce is certain to refuse, is not offered.

use serde::{Deserialize, Serialize};

use crate::domain::changes::merge::Side;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::field::{Field, Op};
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::records::consistency;
use crate::domain::records::record::{FieldEdit, RecordView};
use crate::domain::records::verify::FindingKind;
use crate::domain::values::check;
use crate::domain::values::picklist::{choices, nearest_of};
use crate::domain::values::transform::{Transform, apply_all};

pub use crate::domain::errors::suggested_fix::{Against, SuggestedFix};

/// One line of advice, with the deed behind it where there is one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Remedy {
    /// An imperative in a few words; `{field}` stands for the field at fault.
    pub text: String,
    /// What does it.
    pub action: Option<RemedyAction>,
    /// Where it is no remedy otherwise.
    pub only: Option<Only>,
}

/// What must be so for a remedy to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// The login may not write the field at fault.
    ReadOnly,
}

/// What a remedy does. Afterwards the record is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemedyAction {
    /// Puts the values of the fields at fault through these transforms, once.
    Apply(String),
    /// Sets a rule of the mapping; `{field}` and `{column}` stand for the field at fault.
    Rule {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Sets the fields at fault to the values of their picklists that are nearest.
    Nearest,
    /// Has a person choose one of the values that the field at fault may have, where none is near.
    Pick,
    /// Sets the fields at fault to NULL.
    Clear,
    /// Takes the record that is in Salesforce already as this row's own.
    Link,
    /// Shows the row beside the record that has the same, and the row that has that: a person chooses what stays.
    Compare,
    /// Reads the object's definition and the record again.
    Reread,
    /// Nothing else.
    Retry,
    /// Decides every open conflict of the row for one side.
    Choose(Side),
    /// Takes one side where a comparison found that both differ, or that one lacks.
    Repair(Side),
    /// Merges the rows that are the same thing into this one.
    Merge,
    /// Compares both sides once more.
    LookAgain,
}

/// A remedy in the catalogue's file: a text, or a table with what it does.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Table(Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    text: String,
    apply: Option<String>,
    /// `KEY=VALUE`; `KEY+=VALUE` joins what is set already.
    rule: Option<String>,
    #[serde(rename = "do")]
    step: Option<Step>,
    only: Option<Only>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Nearest,
    Pick,
    Clear,
    Link,
    Compare,
    Reread,
    Retry,
    ChoosePostgres,
    ChooseSalesforce,
    RepairPostgres,
    RepairSalesforce,
    Merge,
    LookAgain,
}

impl Remedy {
    /// Its text where nothing is known of a field.
    pub fn plainly(&self) -> String {
        self.text.replace("{field}", "the field").replace("{column}", "the column")
    }
}

impl TryFrom<Written> for Remedy {
    type Error = String;

    fn try_from(written: Written) -> Result<Remedy, String> {
        let Table { text, apply, rule, step, only } = match written {
            Written::Text(text) => return Ok(Remedy { text, action: None, only: None }),
            Written::Table(table) => table,
        };
        let action = match (apply, rule, step) {
            (Some(transforms), None, None) => {
                Transform::parse_all(&transforms)?;
                RemedyAction::Apply(transforms)
            }
            (None, Some(rule), None) => {
                let (key, value) = rule.split_once('=').ok_or_else(|| format!("{rule:?} is no KEY=VALUE"))?;
                RemedyAction::Rule { key: key.to_owned(), value: value.to_owned() }
            }
            (None, None, Some(step)) => match step {
                Step::Nearest => RemedyAction::Nearest,
                Step::Pick => RemedyAction::Pick,
                Step::Clear => RemedyAction::Clear,
                Step::Link => RemedyAction::Link,
                Step::Compare => RemedyAction::Compare,
                Step::Reread => RemedyAction::Reread,
                Step::Retry => RemedyAction::Retry,
                Step::ChoosePostgres => RemedyAction::Choose(Side::Postgres),
                Step::ChooseSalesforce => RemedyAction::Choose(Side::Salesforce),
                Step::RepairPostgres => RemedyAction::Repair(Side::Postgres),
                Step::RepairSalesforce => RemedyAction::Repair(Side::Salesforce),
                Step::Merge => RemedyAction::Merge,
                Step::LookAgain => RemedyAction::LookAgain,
            },
            (None, None, None) if only.is_some() => return Ok(Remedy { text, action: None, only }),
            _ => return Err(format!("{text:?} needs one of apply, rule and do")),
        };
        Ok(Remedy { text, action: Some(action), only })
    }
}

/// The remedies that fit a record, those that can be done numbered.
pub fn offers(remedies: &[Remedy], mapping: &Mapping, record: &RecordView) -> Vec<SuggestedFix> {
    let faults: Vec<&(Field, Option<String>)> =
        record.values.iter().filter(|(field, _)| record.is_at_fault(field)).collect();
    let mut offers: Vec<SuggestedFix> = Vec::new();
    for remedy in remedies {
        let Some(offer) = offer(remedy, mapping, record, &faults) else { continue };
        let known = |other: &SuggestedFix| !offer.changes.is_empty() && other.changes == offer.changes;
        if !offers.iter().any(known) {
            offers.push(offer);
        }
    }
    number(&mut offers);
    offers
}

/// Numbers what can be done. What empties a value or takes something away comes last, and has no number by which the first
/// is meant.
pub fn number(offers: &mut [SuggestedFix]) {
    offers.sort_by_key(|offer| offer.clears);
    let mut number = 0;
    for offer in offers.iter_mut().filter(|offer| offer.action.is_some()) {
        number = if offer.clears { 2.max(number + 1) } else { number + 1 };
        offer.number = Some(number);
    }
}

fn offer(
    remedy: &Remedy,
    mapping: &Mapping,
    record: &RecordView,
    faults: &[&(Field, Option<String>)],
) -> Option<SuggestedFix> {
    let field = faults.first().map(|(field, _)| field);
    let name = |text: &str| match field {
        Some(field) => Some(text.replace("{field}", &field.name).replace("{column}", &field.column)),
        None => (!text.contains("{field}") && !text.contains("{column}")).then(|| text.to_owned()),
    };
    let mut changes = Vec::new();
    let action = match remedy.action.as_ref() {
        // Nobody here can fill or correct what the login may not write.
        None if remedy.text.contains(BY_EDITING) && all_read_only(faults) => return None,
        None if remedy.only == Some(Only::ReadOnly) && !all_read_only(faults) => return None,
        None => None,
        Some(RemedyAction::Apply(transforms)) => {
            let transforms = Transform::parse_all(transforms).ok()?;
            // What leaves nothing of a value is Clear under another name.
            changes = edits(mapping, record, faults, |field, value| {
                apply_all(&transforms, field, value).ok().filter(|new| new.as_deref() != Some(""))
            })?;
            remedy.action.clone()
        }
        Some(RemedyAction::Nearest) => {
            changes = edits(mapping, record, faults, |field, value| Some(Some(nearest_of(field, value?)?)))?;
            remedy.action.clone()
        }
        Some(RemedyAction::Pick) => {
            picked(record).filter(|(field, value)| !has_nearest(field, value.as_deref()))?;
            remedy.action.clone()
        }
        Some(RemedyAction::Clear) => {
            changes = edits(mapping, record, faults, |_, value| value.map(|_| None))?;
            remedy.action.clone()
        }
        // It is about changes to a record that is gone, and this one was never there.
        Some(RemedyAction::Rule { key, .. }) if key == "create_if_missing" && record.sfid.is_none() => {
            return None;
        }
        Some(RemedyAction::Rule { key, value }) => {
            let rule = rule(mapping, &name(key)?, &name(value)?)?;
            Some(rule).filter(|rule| helps(mapping, rule, faults)).map(Some)?
        }
        Some(RemedyAction::Link | RemedyAction::Compare) if record.sfid.is_some() || !record.exists => {
            return None;
        }
        // What goes to Salesforce goes by a mapping that may write there.
        Some(RemedyAction::Repair(Side::Postgres) | RemedyAction::Merge)
            if mapping.access == Access::ReadOnly =>
        {
            return None;
        }
        Some(RemedyAction::Choose(_))
            if record.conflicts.iter().all(|conflict| conflict.winner.is_some()) =>
        {
            return None;
        }
        Some(_) => remedy.action.clone(),
    };
    let text = named(&name(&remedy.text)?, &mapping.object, field.map(|field| field.name.as_str()));
    let clears = match &action {
        Some(RemedyAction::Clear) => true,
        Some(RemedyAction::Choose(side)) => empties(record, *side),
        Some(action) if action.removes(record.error.as_ref()) => true,
        _ => changes.iter().any(|edit| !is_empty(&edit.shown) && is_empty(&edit.new)),
    };
    let against = record.error.as_ref().map(|error| Against { error: error.id, seen: error.last_seen });
    Some(SuggestedFix { number: None, text, action, changes, clears, against })
}

impl RemedyAction {
    /// Whether it gives the row's own fields other values.
    pub fn sets_values(&self) -> bool {
        matches!(
            self,
            RemedyAction::Apply(_) | RemedyAction::Nearest | RemedyAction::Pick | RemedyAction::Clear
        )
    }

    /// Whether it is about what a comparison found: it is done without the row's being sent by itself.
    pub fn is_of_comparison(&self) -> bool {
        matches!(self, RemedyAction::Repair(_) | RemedyAction::Merge | RemedyAction::LookAgain)
    }

    /// Whether it takes a row or a record away.
    pub fn removes(&self, error: Option<&SyncError>) -> bool {
        let code = error.map(|error| error.code.as_str());
        match self {
            RemedyAction::Merge => true,
            RemedyAction::Repair(Side::Salesforce) => {
                code == Some(consistency::code(FindingKind::RowWithoutRecord))
            }
            RemedyAction::Repair(Side::Postgres) => {
                code == Some(consistency::code(FindingKind::RecordWithoutRow))
            }
            _ => false,
        }
    }
}

/// Whether a value of a field's list is near to this one, and another than it.
fn has_nearest(field: &Field, value: Option<&str>) -> bool {
    value.and_then(|value| nearest_of(field, value)).is_some_and(|near| Some(near.as_str()) != value)
}

/// The field at fault whose value is of a list, and can be chosen here.
pub fn picked(record: &RecordView) -> Option<&(Field, Option<String>)> {
    let mut faults = record.values.iter().filter(|(field, _)| record.is_at_fault(field));
    faults.find(|(field, value)| {
        record.exists && !field.read_only() && !choices(field, value.as_deref()).is_empty()
    })
}

/// Whether a side that is chosen has nothing where the other one has something.
fn empties(record: &RecordView, side: Side) -> bool {
    let mut open = record.conflicts.iter().filter(|conflict| conflict.winner.is_none());
    open.any(|conflict| {
        let (chosen, other) = match side {
            Side::Postgres => (&conflict.postgres, &conflict.salesforce),
            Side::Salesforce => (&conflict.salesforce, &conflict.postgres),
        };
        is_empty(chosen) && !is_empty(other)
    })
}

fn is_empty(value: &Option<String>) -> bool {
    value.as_deref().is_none_or(str::is_empty)
}

/// A remedy's command with the mapping and the field that it is about, where those are known.
pub fn named(text: &str, mapping: &str, field: Option<&str>) -> String {
    let text = if mapping.is_empty() {
        text.to_owned()
    } else {
        text.replace("mapping NAME", &format!("mapping {mapping}"))
    };
    field.map_or(text.clone(), |field| text.replace("FIELD.", &format!("{field}.")))
}

/// What a remedy says that a person does in the row's own fields.
const BY_EDITING: &str = "(e)";

fn all_read_only(faults: &[&(Field, Option<String>)]) -> bool {
    !faults.is_empty() && faults.iter().all(|(field, _)| field.read_only())
}

/// Whether a rule of the fields at fault makes their values pass: a value that passes here already, and was refused all
/// the same, is sent and refused again.
fn helps(mapping: &Mapping, rule: &RemedyAction, faults: &[&(Field, Option<String>)]) -> bool {
    let RemedyAction::Rule { key, value } = rule else { return true };
    let mut rules = mapping.rules.clone();
    match key.rsplit_once('.').map(|(_, what)| what) {
        Some("transforms") => {
            let with = rules.set(key, value).map(|()| Mapping { rules, ..mapping.clone() });
            with.is_ok_and(|with| faults.iter().all(|(field, value)| passes(&with, field, value.as_deref())))
        }
        Some("skip_invalid") => faults.iter().any(|(field, value)| !passes(mapping, field, value.as_deref())),
        // What Salesforce itself asks for, it asks for whatever is said here.
        Some("required") => {
            let asked_here = |field: &Field| {
                let rules = mapping.rules.of(&field.column);
                rules.is_some_and(|rules| rules.required == Some(true)) && !field.requires_value(Op::Insert)
            };
            faults.iter().all(|(field, _)| asked_here(field))
        }
        _ => true,
    }
}

/// Whether a value comes through the transforms of its field as one that fits.
fn passes(mapping: &Mapping, field: &Field, value: Option<&str>) -> bool {
    let transforms = mapping.rules.of(&field.column).map(|rules| rules.transforms.as_slice());
    apply_all(transforms.unwrap_or_default(), field, value)
        .is_ok_and(|sent| check::check(field, sent.as_deref()).is_ok())
}

/// What becomes of the values at fault; `None` when nothing, or something that is certain to be refused.
fn edits(
    mapping: &Mapping,
    record: &RecordView,
    faults: &[&(Field, Option<String>)],
    change: impl Fn(&Field, Option<&str>) -> Option<Option<String>>,
) -> Option<Vec<FieldEdit>> {
    let mut edits = Vec::new();
    for (field, shown) in faults.iter().filter(|(field, _)| record.exists && !field.read_only()) {
        let Some(new) = change(field, shown.as_deref()).filter(|new| new != shown) else { continue };
        if !passes(mapping, field, new.as_deref()) {
            return None;
        }
        edits.push(FieldEdit { column: field.column.clone(), shown: shown.clone(), new });
    }
    Some(edits).filter(|edits| !edits.is_empty())
}

/// A rule that is not set like this yet, and can be.
fn rule(mapping: &Mapping, key: &str, value: &str) -> Option<RemedyAction> {
    let set =
        |key: &str| mapping.rules.shown().into_iter().find(|(known, _)| known == key).map(|(_, text)| text);
    let (key, value) = match key.strip_suffix('+') {
        None => (key, value.to_owned()),
        Some(key) => {
            let before = set(key).unwrap_or_default();
            let (link, parts): (_, Vec<&str>) = if key == "where" {
                (" AND ", before.split(" AND ").collect())
            } else {
                (" | ", before.split('|').collect())
            };
            if parts.iter().any(|part| part.trim() == value) {
                return None;
            }
            (key, if before.is_empty() { value.to_owned() } else { format!("{before}{link}{value}") })
        }
    };
    let needs_key = key == "upsert" && mapping.external_id.is_none();
    if needs_key || set(key).as_deref() == Some(value.as_str()) {
        return None;
    }
    mapping.rules.clone().set(key, &value).ok()?;
    Some(RemedyAction::Rule { key: key.to_owned(), value })
}

#[cfg(test)]
mod tests;
