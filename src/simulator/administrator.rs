//! What the org's administrator does while it runs: fields and objects dropped, hidden, changed, which changes what describe
//! tells; rights and logins taken away; rules and triggers added and removed.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::org::{Org, State};
use super::rules::{DuplicateRule, Trigger, ValidationRule};
use super::schema::{FieldDef, Kind, ObjectDef, field_line};
use super::tables::Table;

/// What the administrator is to do, as it comes over HTTP:
/// `{"do": "hide_field", "object": "Contact", "field": "Phone"}`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum Order {
    ShortenField { object: String, field: String, length: u32 },
    RetypeToNumber { object: String, field: String, precision: u32, scale: u32 },
    RetypeToText { object: String, field: String, length: u32 },
    AddPicklistValue { object: String, field: String, value: String },
    DenyWrite { object: String, field: String, denied: bool },
    DropField { object: String, field: String },
    HideField { object: String, field: String },
    ShowField { object: String, field: String },
    HideObject { object: String },
    ShowObject { object: String },
    ChangeSecret { secret: String },
    ChangeRefreshToken { token: String },
    SelectEntity { object: String },
    DeselectEntity { object: String },
    AddValidationRule(ValidationRule),
    RemoveValidationRule { name: String },
    AddDuplicateRule(DuplicateRule),
    RemoveDuplicateRule { name: String },
    AddTrigger(Trigger),
    RemoveTrigger { name: String },
}

impl Org {
    /// Does what was ordered; of objects and fields, what names nothing changes nothing.
    ///
    /// # Errors
    /// What is wrong with a rule or a trigger.
    pub fn administer(&self, order: &Order) -> Result<(), String> {
        match order {
            Order::AddValidationRule(rule) => return self.add_validation_rule(rule.clone()),
            Order::RemoveValidationRule { name } => return self.remove_validation_rule(name),
            Order::AddDuplicateRule(rule) => return self.add_duplicate_rule(rule.clone()),
            Order::RemoveDuplicateRule { name } => return self.remove_duplicate_rule(name),
            Order::AddTrigger(trigger) => return self.add_trigger(trigger.clone()),
            Order::RemoveTrigger { name } => return self.remove_trigger(name),
            Order::ShortenField { object, field, length } => self.shorten_field(object, field, *length),
            Order::RetypeToNumber { object, field, precision, scale } => {
                self.retype_to_number(object, field, *precision, *scale);
            }
            Order::RetypeToText { object, field, length } => self.retype_to_text(object, field, *length),
            Order::AddPicklistValue { object, field, value } => self.add_picklist_value(object, field, value),
            Order::DenyWrite { object, field, denied } => self.deny_write(object, field, *denied),
            Order::DropField { object, field } => self.drop_field(object, field),
            Order::HideField { object, field } => self.hide_field(object, field),
            Order::ShowField { object, field } => self.show_field(object, field),
            Order::HideObject { object } => self.hide_object(object),
            Order::ShowObject { object } => self.show_object(object),
            Order::ChangeSecret { secret } => self.change_secret(secret),
            Order::ChangeRefreshToken { token } => self.change_refresh_token(token),
            Order::SelectEntity { object } => self.select_entity(object),
            Order::DeselectEntity { object } => self.deselect_entity(object),
        }
        Ok(())
    }

    /// Adds a validation rule, which holds for what is saved from now on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_validation_rule(&self, rule: ValidationRule) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        let State { rules, tables, .. } = &mut *state;
        rules.add_validation(rule, tables)
    }

    /// Removes a validation rule.
    ///
    /// # Errors
    /// When there is none of the name.
    pub fn remove_validation_rule(&self, name: &str) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        state.rules.remove_validation(name)
    }

    /// The validation rules.
    pub fn validation_rules(&self) -> Vec<ValidationRule> {
        self.lock().rules.validation()
    }

    /// Adds a duplicate rule: what is saved from now on is compared with all that there is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_duplicate_rule(&self, rule: DuplicateRule) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        let State { rules, tables, .. } = &mut *state;
        let rule = rules.add_duplicate(rule, tables)?;
        if let Some(table) = state.table_mut(&rule.object) {
            table.watch(&rule.name, &rule.fields);
        }
        Ok(())
    }

    /// Removes a duplicate rule.
    ///
    /// # Errors
    /// When there is none of the name.
    pub fn remove_duplicate_rule(&self, name: &str) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        state.rules.remove_duplicate(name)?;
        let State { tables, hidden, .. } = &mut *state;
        tables.iter_mut().chain(hidden).for_each(|table| table.unwatch(name));
        Ok(())
    }

    /// The duplicate rules.
    pub fn duplicate_rules(&self) -> Vec<DuplicateRule> {
        self.lock().rules.duplicate()
    }

    /// Adds a trigger.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_trigger(&self, trigger: Trigger) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        let State { rules, tables, .. } = &mut *state;
        rules.add_trigger(trigger, tables)
    }

    /// Removes a trigger.
    ///
    /// # Errors
    /// When there is none of the name.
    pub fn remove_trigger(&self, name: &str) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        state.rules.remove_trigger(name)
    }

    /// The triggers.
    pub fn triggers(&self) -> Vec<Trigger> {
        self.lock().rules.triggers()
    }

    /// Shortens a text field.
    pub fn shorten_field(&self, object: &str, field: &str, length: u32) {
        self.change_field(object, field, |field| field.length = length);
    }

    /// Turns a text field into a number.
    pub fn retype_to_number(&self, object: &str, field: &str, precision: u32, scale: u32) {
        self.change_field(object, field, |field| {
            field.kind = Kind::Number { precision, scale };
            field.length = 0;
        });
    }

    /// Turns any field into text.
    pub fn retype_to_text(&self, object: &str, field: &str, length: u32) {
        self.change_field(object, field, |field| (field.kind, field.length) = (Kind::Text, length));
    }

    /// Adds a value to a picklist.
    pub fn add_picklist_value(&self, object: &str, field: &str, value: &str) {
        self.change_field(object, field, |field| {
            if let Kind::Picklist(values) = &mut field.kind {
                values.push(value.to_owned());
            }
        });
    }

    /// Takes the login's right to write a field away, or gives it back.
    pub fn deny_write(&self, object: &str, field: &str, denied: bool) {
        self.change_field(object, field, |field| field.write_denied = denied);
    }

    /// Has a key's values told apart by their case.
    pub fn make_case_sensitive(&self, object: &str, field: &str) {
        self.change_field(object, field, |field| field.case_sensitive = true);
    }

    /// Lets a field be set only when a record is made.
    pub fn fix_field(&self, object: &str, field: &str) {
        self.change_field(object, field, |field| field.fixed = true);
    }

    /// Makes any field a unique key.
    pub fn make_key(&self, object: &str, field: &str) {
        self.change_field(object, field, |field| (field.unique, field.key) = (true, true));
    }

    /// Adds a lookup field to an object.
    pub fn add_lookup(&self, object: &str, field: &str, relationship: &str, parent: &str) {
        let def = field_line(&format!("{field} | {field} | lookup {parent} {relationship}"));
        self.change(object, |table| table.def_mut().fields.push(def));
    }

    /// Drops a field with its values.
    pub fn drop_field(&self, object: &str, field: &str) {
        self.hide_field(object, field);
        self.change(object, |table| {
            table.def_mut().hidden.retain(|hidden| !hidden.name.eq_ignore_ascii_case(field));
            table.records.change_all(|record| record.fields = record.fields.without(field));
        });
    }

    /// Takes the login's right to see a field away: to the API it does not exist.
    pub fn hide_field(&self, object: &str, field: &str) {
        self.change(object, |table| {
            let ObjectDef { fields, hidden, .. } = table.def_mut();
            hidden.extend(fields.extract_if(.., |of| of.name.eq_ignore_ascii_case(field)));
        });
    }

    /// Gives it back.
    pub fn show_field(&self, object: &str, field: &str) {
        self.change(object, |table| {
            let ObjectDef { fields, hidden, .. } = table.def_mut();
            fields.extend(hidden.extract_if(.., |of| of.name.eq_ignore_ascii_case(field)));
        });
    }

    /// Takes the login's right to see an object away: to the API it does not exist.
    pub fn hide_object(&self, object: &str) {
        let (_turn, mut state) = (self.turn(), self.lock());
        let (hidden, seen) = state
            .tables
            .drain(..)
            .partition::<Vec<_>, _>(|table| table.def.name.eq_ignore_ascii_case(object));
        state.tables = seen;
        state.hidden.extend(hidden);
    }

    /// Gives it back.
    pub fn show_object(&self, object: &str) {
        let (_turn, mut state) = (self.turn(), self.lock());
        let (back, hidden) = state
            .hidden
            .drain(..)
            .partition::<Vec<_>, _>(|table| table.def.name.eq_ignore_ascii_case(object));
        state.hidden = hidden;
        state.tables.extend(back);
    }

    /// Sets how many API requests all programs together made in the last 24 hours.
    pub fn count_requests(&self, requests: u64) {
        self.lock().requests = requests;
    }

    /// Sets how many batches of Bulk jobs all programs together wrote in the last 24 hours.
    pub fn count_bulk_batches(&self, batches: u64) {
        self.lock().jobs.batches = batches;
    }

    /// Sets how many Bulk jobs that read all programs together made in the last 24 hours.
    pub fn count_query_jobs(&self, jobs: u64) {
        self.lock().jobs.queries = jobs;
    }

    /// Gives the app another secret, and ends all its sessions.
    pub fn change_secret(&self, secret: &str) {
        let mut state = self.lock();
        secret.clone_into(&mut state.options.client_secret);
        state.end_sessions();
    }

    /// Revokes the refresh token, and ends all sessions; `token` is what somebody got instead.
    pub fn change_refresh_token(&self, token: &str) {
        let mut state = self.lock();
        token.clone_into(&mut state.options.refresh_token);
        state.spent_refresh_tokens.clear();
        state.end_sessions();
    }

    /// Has an object's changes told as events. An org tells none by itself, and those of so many objects at most
    /// ([`super::OrgOptions::selectable_entities`]): one more changes nothing.
    pub fn select_entity(&self, object: &str) {
        let mut state = self.lock();
        let most = state.options.selectable_entities;
        if let Some(name) = state.table(object).map(|table| table.def.name.clone()) {
            state.events.select(name, most);
        }
    }

    /// Has them told no more.
    pub fn deselect_entity(&self, object: &str) {
        self.lock().events.deselect(object);
    }

    /// The refresh token that is good now.
    pub fn refresh_token(&self) -> String {
        self.lock().options.refresh_token.clone()
    }

    fn change_field(&self, object: &str, name: &str, change: impl FnOnce(&mut FieldDef)) {
        self.change(object, |table| {
            let field = table.def_mut().fields.iter_mut().find(|field| field.name.eq_ignore_ascii_case(name));
            if let Some(field) = field {
                change(field);
            }
        });
    }

    fn change(&self, object: &str, change: impl FnOnce(&mut Table)) {
        let (_turn, mut state) = (self.turn(), self.lock());
        if let Some(table) = state.table_mut(object) {
            table.described = next_stamp(table.described);
            change(table);
        }
    }
}

/// The next time that describe can tell apart from the last: its stamp has whole seconds.
fn next_stamp(last: DateTime<Utc>) -> DateTime<Utc> {
    Utc::now().max(last + chrono::Duration::seconds(1))
}
