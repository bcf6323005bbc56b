//! What an administrator adds to an org and takes away again while it runs: validation rules, duplicate rules, triggers. A
//! rule that means nothing is refused with what it should say.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::records::Record;
use super::rejection::{Duplicate, Rejection, Saved};
use super::schema::{FieldDef, ObjectDef};
use super::soql::{self, Query};
use super::tables::{Snapshot, Table};
use super::values::{mistyped, normalise};

/// A record that it holds for is refused (FIELD_CUSTOM_VALIDATION_EXCEPTION).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationRule {
    /// No two rules of a kind have one name.
    pub name: String,
    /// The object whose records are looked at.
    pub object: String,
    /// What must not be true of a record, as behind WHERE in SOQL: `Level__c = 'Primary' AND Email = null`.
    pub condition: String,
    /// A regular expression for the value of `field`: a value that it matches is allowed whatever the condition says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_matches: Option<String>,
    /// What the user is told.
    pub message: String,
    /// The field at which it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A record that has the same values as another in all of some fields is refused (DUPLICATES_DETECTED).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicateRule {
    /// No two rules of a kind have one name.
    pub name: String,
    /// The object whose records are compared.
    pub object: String,
    /// What is compared, without regard to case. A record that lacks one of the values is like no other.
    pub fields: Vec<String>,
    /// What is done about it.
    #[serde(default)]
    pub action: DuplicateAction,
    /// What the user is told.
    #[serde(default = "use_one")]
    pub message: String,
}

fn use_one() -> String {
    "Use one of these records?".to_owned()
}

/// What a duplicate rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateAction {
    /// The record is refused.
    #[default]
    Block,
    /// It is refused unless the request says `Sforce-Duplicate-Rule-Header: allowSave=true`.
    Alert,
}

/// Code that runs when records of an object are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// No two triggers have one name.
    pub name: String,
    /// The object on whose records it runs.
    pub object: String,
    /// When it runs.
    pub on: Vec<TriggerEvent>,
    /// The records that it does something about, as behind WHERE in SOQL; all, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// It does nothing in requests of so many records and fewer.
    #[serde(default)]
    pub in_batches_over: usize,
    /// What it does.
    pub action: TriggerAction,
}

/// When a trigger runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are Apex's own words")]
pub enum TriggerEvent {
    BeforeInsert,
    AfterInsert,
    BeforeUpdate,
    AfterUpdate,
    BeforeDelete,
    AfterDelete,
    AfterUndelete,
}

impl TriggerEvent {
    fn word(self) -> &'static str {
        match self {
            TriggerEvent::BeforeInsert => "BeforeInsert",
            TriggerEvent::AfterInsert => "AfterInsert",
            TriggerEvent::BeforeUpdate => "BeforeUpdate",
            TriggerEvent::AfterUpdate => "AfterUpdate",
            TriggerEvent::BeforeDelete => "BeforeDelete",
            TriggerEvent::AfterDelete => "AfterDelete",
            TriggerEvent::AfterUndelete => "AfterUndelete",
        }
    }

    /// Whether the record can still be changed then.
    fn is_before_save(self) -> bool {
        matches!(self, TriggerEvent::BeforeInsert | TriggerEvent::BeforeUpdate)
    }
}

/// What a trigger does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum TriggerAction {
    /// Sets a field, before the record is saved.
    SetField {
        /// The field.
        field: String,
        /// What it is set to.
        value: Value,
    },
    /// Fails with an exception, `System.DmlException: ...`, which refuses the record.
    RaiseError {
        /// The exception.
        message: String,
    },
    /// Uses up its CPU time, which refuses the record.
    UseUpCpu,
}

/// A rule with its condition, read.
#[derive(Debug)]
struct Read<R> {
    rule: R,
    condition: Option<Query>,
    unless: Option<Regex>,
}

/// The rules of an org, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rules {
    validation: Vec<Read<ValidationRule>>,
    duplicate: Vec<DuplicateRule>,
    triggers: Vec<Read<Trigger>>,
}

/// A record that is about to be saved, between the rules and the other records.
pub(super) struct Candidate<'a> {
    pub(super) def: &'a ObjectDef,
    pub(super) record: &'a Record,
    pub(super) tables: &'a [Table],
}

impl Rules {
    /// Adds a validation rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add_validation(
        &mut self,
        mut rule: ValidationRule,
        tables: &[Table],
    ) -> Result<(), String> {
        let named = self.validation.iter().any(|other| other.rule.name == rule.name);
        free(&rule.name, named, "validation rule")?;
        let def = object(tables, &rule.object)?;
        rule.object.clone_from(&def.name);
        if rule.message.is_empty() {
            return Err("message is empty: it is what the user is told".to_owned());
        }
        if let Some(name) = &mut rule.field {
            name.clone_from(&field(def, name)?.name);
        }
        let unless = match (&rule.unless_matches, &rule.field) {
            (None, _) => None,
            (Some(_), None) => {
                return Err("unless_matches is about the value of a field: name it with field".to_owned());
            }
            (Some(text), Some(_)) => {
                let read = Regex::new(text);
                Some(read.map_err(|error| format!("unless_matches is no regular expression: {error}"))?)
            }
        };
        let condition = Some(read_condition(def, &rule.condition, tables)?);
        self.validation.push(Read { rule, condition, unless });
        Ok(())
    }

    /// Adds a duplicate rule; whoever adds it has the table's records noted ([`Table::watch`]).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add_duplicate(
        &mut self,
        mut rule: DuplicateRule,
        tables: &[Table],
    ) -> Result<DuplicateRule, String> {
        let named = self.duplicate.iter().any(|other| other.name == rule.name);
        free(&rule.name, named, "duplicate rule")?;
        let def = object(tables, &rule.object)?;
        rule.object.clone_from(&def.name);
        if rule.fields.is_empty() {
            return Err("fields is empty: name at least one whose values are compared".to_owned());
        }
        for name in &mut rule.fields {
            name.clone_from(&field(def, name)?.name);
        }
        self.duplicate.push(rule.clone());
        Ok(rule)
    }

    /// Adds a trigger.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add_trigger(&mut self, mut trigger: Trigger, tables: &[Table]) -> Result<(), String> {
        let named = self.triggers.iter().any(|other| other.rule.name == trigger.name);
        free(&trigger.name, named, "trigger")?;
        let def = object(tables, &trigger.object)?;
        trigger.object.clone_from(&def.name);
        if trigger.on.is_empty() {
            return Err("on is empty: name at least one event, such as before_insert".to_owned());
        }
        if let TriggerAction::SetField { field: name, value } = &mut trigger.action {
            let field = field(def, name)?;
            name.clone_from(&field.name);
            if field.system {
                return Err(format!("{name} is set by Salesforce itself: name a field that can be written"));
            }
            if let Some(late) = trigger.on.iter().find(|event| !event.is_before_save()) {
                return Err(format!(
                    "a record cannot be changed any more in {}: set_field runs on before_insert and before_update",
                    late.word()
                ));
            }
            let written = Map::from_iter([(name.clone(), value.clone())]);
            if let Some(why) = mistyped(def, &written) {
                return Err(format!("value is not of the type of {name}: {why}"));
            }
        }
        let read = |text: &String| read_condition(def, text, tables);
        let condition = trigger.condition.as_ref().map(read).transpose()?;
        self.triggers.push(Read { rule: trigger, condition, unless: None });
        Ok(())
    }

    /// Removes a validation rule.
    ///
    /// # Errors
    /// When there is none of the name.
    pub(super) fn remove_validation(&mut self, name: &str) -> Result<(), String> {
        let names = self.validation.iter().map(|rule| rule.rule.name.as_str()).collect();
        there(name, names, "validation rule")?;
        self.validation.retain(|rule| rule.rule.name != name);
        Ok(())
    }

    /// Removes a duplicate rule; whoever removes it has its object's table forget it ([`Table::unwatch`]).
    ///
    /// # Errors
    /// When there is none of the name.
    pub(super) fn remove_duplicate(&mut self, name: &str) -> Result<(), String> {
        there(name, self.duplicate.iter().map(|rule| rule.name.as_str()).collect(), "duplicate rule")?;
        self.duplicate.retain(|rule| rule.name != name);
        Ok(())
    }

    /// Removes a trigger.
    ///
    /// # Errors
    /// When there is none of the name.
    pub(super) fn remove_trigger(&mut self, name: &str) -> Result<(), String> {
        there(name, self.triggers.iter().map(|trigger| trigger.rule.name.as_str()).collect(), "trigger")?;
        self.triggers.retain(|trigger| trigger.rule.name != name);
        Ok(())
    }

    pub(super) fn validation(&self) -> Vec<ValidationRule> {
        self.validation.iter().map(|read| read.rule.clone()).collect()
    }

    pub(super) fn duplicate(&self) -> Vec<DuplicateRule> {
        self.duplicate.clone()
    }

    pub(super) fn triggers(&self) -> Vec<Trigger> {
        self.triggers.iter().map(|read| read.rule.clone()).collect()
    }

    // ---- when a record is saved ----------------------------------------------------------------------------------------

    /// What the validation rules refuse a record with, each with its own text.
    pub(super) fn validate(&self, candidate: &Candidate<'_>) -> Vec<Rejection> {
        let rules: Vec<_> =
            self.validation.iter().filter(|read| read.rule.object == candidate.def.name).collect();
        if rules.is_empty() {
            return Vec::new();
        }
        let snapshot = Snapshot::whole(candidate.tables);
        let refused = |read: &&Read<ValidationRule>| {
            let fields: Vec<&str> = read.rule.field.as_deref().into_iter().collect();
            let refuse =
                |message: String| Some(Rejection::new("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, &fields));
            match holds(read.condition.as_ref(), &snapshot, candidate) {
                Ok(false) => None,
                Ok(true) if read.allows(candidate) => None,
                Ok(true) => refuse(read.rule.message.clone()),
                Err(why) => refuse(broken("validation rule", &read.rule.name, &why)),
            }
        };
        rules.iter().filter_map(refused).collect()
    }

    /// The duplicate rule that refuses a record which has `written` anew; `own` is the record's id.
    pub(super) fn compare(
        &self,
        candidate: &Candidate<'_>,
        table: &Table,
        written: &Map<String, Value>,
        own: Option<&str>,
        allow_save: bool,
    ) -> Option<Rejection> {
        let rules = self.duplicate.iter().filter(|rule| rule.object == candidate.def.name);
        rules.filter(|rule| !(allow_save && rule.action == DuplicateAction::Alert)).find_map(|rule| {
            if !rule.fields.iter().any(|field| written.contains_key(field)) {
                return None;
            }
            let mut ids = table.ids_alike(&rule.name, |field| candidate.record.get(field));
            ids.retain(|id| Some(id.as_str()) != own);
            if ids.is_empty() {
                return None;
            }
            let mut rejection = Rejection::new("DUPLICATES_DETECTED", rule.message.clone(), &[]);
            rejection.duplicate = Some(Duplicate {
                rule: rule.name.clone(),
                allow_save: rule.action == DuplicateAction::Alert,
                object: rule.object.clone(),
                ids,
            });
            Some(rejection)
        })
    }

    /// Whether triggers run on an object's event.
    pub(super) fn run_on(&self, event: TriggerEvent, object: &str) -> bool {
        self.triggers.iter().any(|read| read.rule.object == object && read.rule.on.contains(&event))
    }

    /// Runs the triggers of an event: what they set, by the fields' names.
    ///
    /// # Errors
    /// The first exception.
    pub(super) fn fire(
        &self,
        event: TriggerEvent,
        candidate: &Candidate<'_>,
        batch: usize,
    ) -> Saved<Map<String, Value>> {
        let mut set = Map::new();
        let due = |read: &&Read<Trigger>| {
            let trigger = &read.rule;
            trigger.object == candidate.def.name
                && trigger.on.contains(&event)
                && batch > trigger.in_batches_over
        };
        let due: Vec<_> = self.triggers.iter().filter(due).collect();
        if due.is_empty() {
            return Ok(set);
        }
        let snapshot = Snapshot::whole(candidate.tables);
        for Read { rule: trigger, condition, .. } in due {
            let refuse = |message: String| {
                Err(vec![Rejection::new("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message, &[])])
            };
            match holds(condition.as_ref(), &snapshot, candidate) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(why) => return refuse(broken("trigger", &trigger.name, &why)),
            }
            match &trigger.action {
                TriggerAction::SetField { field, value } => {
                    if let Some(field) = any_field(candidate.def, field) {
                        set.insert(field.name.clone(), normalise(field, value.clone()));
                    }
                }
                TriggerAction::RaiseError { message } => {
                    let event = event.word();
                    return refuse(format!("{}: execution of {event}\n\ncaused by: {message}", trigger.name));
                }
                TriggerAction::UseUpCpu => {
                    let why = "System.LimitException: Apex CPU time limit exceeded";
                    return refuse(format!("{}: {why}", trigger.name));
                }
            }
        }
        Ok(set)
    }
}

impl Read<ValidationRule> {
    /// Whether the value is allowed whatever the condition says.
    fn allows(&self, candidate: &Candidate<'_>) -> bool {
        let value = self.rule.field.as_deref().map(|field| candidate.record.get(field)).unwrap_or_default();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.unless.as_ref().is_some_and(|unless| unless.is_match(&text))
    }
}

/// Whether a rule's condition holds; one that has none always does.
///
/// # Errors
/// It names what the object has no more.
fn holds(condition: Option<&Query>, snapshot: &Snapshot, candidate: &Candidate<'_>) -> Result<bool, String> {
    let Some(condition) = condition else { return Ok(true) };
    soql::holds_for(condition, snapshot, candidate.record).map_err(|fault| fault.message)
}

fn broken(what: &str, name: &str, why: &str) -> String {
    format!(
        "The {what} {name} cannot be evaluated any more: {why} Remove it, or give the object back what it names."
    )
}

/// A condition as a query of the object.
fn read_condition(def: &ObjectDef, text: &str, tables: &[Table]) -> Result<Query, String> {
    let told = |fault: soql::Fault| {
        format!("condition is not what can stand behind WHERE in SOQL: {} in {text:?}", fault.message)
    };
    let query = soql::condition(&def.name, text).map_err(told)?;
    soql::check_condition(&query, &Snapshot::whole(tables)).map_err(told)?;
    Ok(query)
}

fn object<'a>(tables: &'a [Table], name: &str) -> Result<&'a ObjectDef, String> {
    let found = tables.iter().find(|table| table.def.name.eq_ignore_ascii_case(name));
    let names = || tables.iter().map(|table| table.def.name.as_str()).collect::<Vec<_>>().join(", ");
    found
        .map(|table| table.def.as_ref())
        .ok_or_else(|| format!("no object {name:?}: the org has {}", names()))
}

fn field<'a>(def: &'a ObjectDef, name: &str) -> Result<&'a FieldDef, String> {
    let names = || def.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    any_field(def, name).ok_or_else(|| format!("{} has no field {name:?}: it has {}", def.name, names()))
}

/// A field, also one that the login may not see.
fn any_field<'a>(def: &'a ObjectDef, name: &str) -> Option<&'a FieldDef> {
    def.fields.iter().chain(&def.hidden).find(|field| field.name.eq_ignore_ascii_case(name))
}

fn free(name: &str, is_taken: bool, what: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("name is empty: a {what} is listed and removed by its name"));
    }
    match is_taken {
        true => Err(format!("there is a {what} {name:?} already: remove it first, or take another name")),
        false => Ok(()),
    }
}

fn there(name: &str, names: Vec<&str>, what: &str) -> Result<(), String> {
    let all = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    match names.contains(&name) {
        true => Ok(()),
        false => Err(format!("no {what} {name:?}: there is {all}")),
    }
}

// ---- what a new org has ------------------------------------------------------------------------------------------------

/// A phone number: seven digits and more, with what people put between them.
const PHONE: &str = r"^(?:[ +\-().x]*[0-9]){7}[0-9 +\-().x]*$";

impl Rules {
    /// The rules of the demo org.
    pub(super) fn demo(tables: &[Table]) -> (Rules, Vec<DuplicateRule>) {
        let mut rules = Rules::default();
        let mut watched = Vec::new();
        let rule = |name: &str, object: &str, condition: &str, message: &str, field: &str| ValidationRule {
            name: name.to_owned(),
            object: object.to_owned(),
            condition: condition.to_owned(),
            unless_matches: (field == "Phone").then(|| PHONE.to_owned()),
            message: message.to_owned(),
            field: Some(field.to_owned()),
        };
        let phone = "Phone must be a valid phone number, for example +1 555 010 1234";
        let email = "Email is required for primary contacts";
        let due = "An invoice that is sent needs a due date";
        let validation = [
            rule("Contact_Phone", "Contact", "Phone != null", phone, "Phone"),
            rule("Lead_Phone", "Lead", "Phone != null", phone, "Phone"),
            rule("Primary_Email", "Contact", "Level__c = 'Primary' AND Email = null", email, "Email"),
            rule("Amount", "Opportunity", "Amount < 0", "Amount must not be negative", "Amount"),
            rule("Due_Date", "Invoice__c", "Status__c = 'Sent' AND Due_Date__c = null", due, "Due_Date__c"),
        ];
        let duplicate = DuplicateRule {
            name: "Standard_Lead_Duplicate_Rule".to_owned(),
            object: "Lead".to_owned(),
            fields: ["Email", "LastName"].map(str::to_owned).to_vec(),
            action: DuplicateAction::Block,
            message: use_one(),
        };
        let trigger = |name: &str, condition: &str, in_batches_over: usize| Trigger {
            name: name.to_owned(),
            object: "Case".to_owned(),
            on: vec![TriggerEvent::AfterInsert, TriggerEvent::AfterUpdate],
            condition: Some(condition.to_owned()),
            in_batches_over,
            action: TriggerAction::UseUpCpu,
        };
        let triggers = [
            trigger("CaseTrigger", "Subject LIKE '%[runaway]%'", 0),
            trigger("CaseRollupTrigger", "Description LIKE '%[heavy]%'", 10),
        ];
        // The demo's own objects have what their rules name; a test says so.
        for rule in validation {
            drop(rules.add_validation(rule, tables));
        }
        watched.extend(rules.add_duplicate(duplicate, tables));
        for trigger in triggers {
            drop(rules.add_trigger(trigger, tables));
        }
        (rules, watched)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::super::schema::demo_objects;
    use super::*;

    #[test]
    fn the_demo_org_has_all_its_rules() {
        let tables: Vec<Table> = demo_objects().into_iter().map(|def| Table::of(def, Utc::now())).collect();
        let (rules, watched) = Rules::demo(&tables);
        assert_eq!((rules.validation.len(), rules.duplicate.len(), rules.triggers.len()), (5, 1, 2));
        assert_eq!(watched.len(), 1);
    }

    #[test]
    fn phone_numbers_have_seven_digits_and_what_stands_between_them() {
        let phone = Regex::new(PHONE).unwrap();
        for good in ["+1 555 010 1234", "(415) 555-0100 x12", "5550100", "1.2.3.4.5.6.7", " 1234567"] {
            assert!(phone.is_match(good), "{good}");
        }
        for bad in ["call me maybe", "555010", "555-0100 ext", "", "12345 6"] {
            assert!(!phone.is_match(bad), "{bad}");
        }
    }
}
