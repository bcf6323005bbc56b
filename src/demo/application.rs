//! The application: workers that insert, update and delete rows all day, with the mistakes that people make.
//!
//! Each worker writes only keys of its own, so that the order of commits per key is the order in its ledger.

use std::time::Duration;

use chrono::Utc;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::postgres::Store;
use crate::simulator::{Org, seed};

use super::app_log::{AppLog, WebRequest};
use super::ledger::{Commits, Ledger};

/// How many workers there are.
pub(super) const WORKERS: usize = 2;
/// Between two writes of one worker.
const PAUSE: Duration = Duration::from_millis(90);
/// After the first round through all mistakes, one is made this often (of so many writes).
const MISTAKE_EVERY: u32 = 30;

/// One write of so many answers a request.
const REQUEST_EVERY: u32 = 4;
/// One write of so many takes longer than the platform's router waits.
const LATE_EVERY: u32 = 100;

/// A mistake, or trouble that is none of the application's doing.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    PhoneInWords,
    PhoneWithLetters,
    EmailWithComma,
    NoEmailWherePrimary,
    NoLastName,
    NicknameTooLong,
    WordInNumber,
    NotANumber,
    UnknownRating,
    DuplicateCode,
    DuplicateLead,
    DeletedRecord,
    UnknownAccount,
    BrokenId,
    UnknownInvoice,
    RunawayTrigger,
    NumberTooLarge,
    NoPermission,
    ChildOfFailing,
}

const MISTAKES: [Mistake; 19] = [
    Mistake::PhoneInWords,
    Mistake::EmailWithComma,
    Mistake::NoPermission,
    Mistake::NicknameTooLong,
    Mistake::WordInNumber,
    Mistake::NotANumber,
    Mistake::UnknownRating,
    Mistake::DuplicateCode,
    Mistake::DeletedRecord,
    Mistake::UnknownInvoice,
    Mistake::UnknownAccount,
    Mistake::RunawayTrigger,
    Mistake::NoLastName,
    Mistake::BrokenId,
    Mistake::DuplicateLead,
    Mistake::NumberTooLarge,
    Mistake::NoEmailWherePrimary,
    Mistake::PhoneWithLetters,
    Mistake::ChildOfFailing,
];

/// A row of the worker's own that it may change or delete again.
#[derive(Clone, Debug)]
struct Own {
    object: &'static str,
    key: String,
    row: i32,
}

/// One worker.
pub(super) struct Worker {
    number: usize,
    dice: StdRng,
    org: Org,
    ledger: Ledger,
    store: Store,
    stop: CancellationToken,
    log: AppLog,
    made: u32,
    writes: u32,
    mistakes: usize,
    own: Vec<Own>,
}

impl Worker {
    pub(super) fn new(
        number: usize,
        org: Org,
        ledger: Ledger,
        store: Store,
        stop: CancellationToken,
        log: AppLog,
    ) -> Worker {
        let dice = StdRng::seed_from_u64(100 + number as u64);
        // Workers begin the round of mistakes in different places, so that all have been made soon.
        let mistakes = number * MISTAKES.len() / WORKERS;
        Worker { number, dice, org, ledger, store, stop, log, made: 0, writes: 0, mistakes, own: Vec::new() }
    }

    /// Writes until the end. Waits first until there is something to write to.
    pub(super) async fn run(mut self, url: String) {
        if !self.wait_for_rows().await {
            return;
        }
        let Ok((sql, connection)) = tokio_postgres::connect(&url, NoTls).await else { return };
        tokio::spawn(connection);
        while !self.stop.is_cancelled() {
            // A write that PostgreSQL refuses was not committed and is not in the ledger.
            let _ = self.write(&sql).await;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn wait_for_rows(&self) -> bool {
        while !self.stop.is_cancelled() {
            let loaded = self.store.overview().await.is_ok_and(|overview| {
                !overview.mappings.is_empty()
                    && overview.mappings.iter().all(|mapping| mapping.last_read.is_some())
            });
            if loaded {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    async fn write(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        self.writes += 1;
        let first_round = self.mistakes < MISTAKES.len() + self.number * MISTAKES.len() / WORKERS;
        if (first_round && self.writes.is_multiple_of(3)) || self.writes.is_multiple_of(MISTAKE_EVERY) {
            let mistake = MISTAKES[self.mistakes % MISTAKES.len()];
            self.mistakes += 1;
            return self.make(mistake, sql).await;
        }
        match self.dice.random_range(0..100) {
            0..45 => {
                let object = *["Contact", "Lead", "Account", "Opportunity", "Case"]
                    .choose(&mut self.dice)
                    .unwrap_or(&"Lead");
                let values = self.good(object);
                let own = self.insert(sql, object, values).await?;
                self.own.push(own);
                Ok(())
            }
            45..55 => self.invoice(sql).await,
            55..92 => self.change(sql).await,
            _ => self.delete(sql).await,
        }
    }

    /// An invoice and its lines in one transaction, the lines naming it by its external id.
    async fn invoice(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        let values = self.good("Invoice__c");
        let invoice = self.insert(sql, "Invoice__c", values).await?;
        for _ in 0..2 {
            let values = json!({"Name": seed::phrase(&mut self.dice), "Quantity__c": self.dice.random_range(1..9),
                "Invoice__r.External_Id__c": invoice.key});
            self.insert(sql, "Invoice_Line__c", values).await?;
        }
        Ok(())
    }

    /// Values that are in order.
    fn good(&mut self, object: &str) -> Value {
        let dice = &mut self.dice;
        let (first, last, email) = seed::person(dice);
        let phone = seed::phone(dice);
        let due =
            (Utc::now() + chrono::TimeDelta::days(dice.random_range(5..60))).format("%Y-%m-%d").to_string();
        match object {
            "Contact" => {
                json!({"LastName": last, "FirstName": first, "Email": email, "Phone": phone, "Level__c": "Secondary"})
            }
            "Lead" => {
                json!({"LastName": last, "FirstName": first, "Company": seed::company(dice), "Email": email, "Phone": phone, "Rating": "Warm"})
            }
            "Account" => {
                json!({"Name": seed::company(dice), "Phone": phone, "Rating": "Hot", "NumberOfEmployees": dice.random_range(1..900)})
            }
            "Opportunity" => {
                json!({"Name": seed::company(dice), "StageName": "Prospecting", "CloseDate": due, "Amount": f64::from(dice.random_range(100..90_000))})
            }
            "Case" => {
                json!({"Subject": seed::phrase(dice), "Status": "New", "Priority": "Medium", "SuppliedEmail": email})
            }
            _ => {
                json!({"Name": seed::phrase(dice), "Amount__c": f64::from(dice.random_range(10..9_000)), "Status__c": "Draft", "Billing_Email__c": email, "Due_Date__c": due})
            }
        }
    }

    async fn make(&mut self, mistake: Mistake, sql: &Client) -> Result<(), tokio_postgres::Error> {
        let (object, wrong) = match mistake {
            Mistake::PhoneInWords => ("Contact", json!({"Phone": "call me maybe"})),
            Mistake::PhoneWithLetters => ("Lead", json!({"Phone": "(555) ABC-1234"})),
            Mistake::EmailWithComma => {
                let (_, _, email) = seed::person(&mut self.dice);
                (
                    "Contact",
                    json!({"Email": email.replacen('.', ",", 2).replace('@', ",@").replacen(",@", "@", 1)}),
                )
            }
            Mistake::NoEmailWherePrimary => ("Contact", json!({"Level__c": "Primary", "Email": null})),
            Mistake::NoLastName => ("Lead", json!({"LastName": null})),
            Mistake::NicknameTooLong => ("Account", json!({"Nickname__c": "the big one down by the river"})),
            Mistake::WordInNumber => ("Account", json!({"Fleet_Size__c": "a dozen"})),
            Mistake::NotANumber => ("Contact", json!({"Score__c": "NaN"})),
            Mistake::UnknownRating => ("Lead", json!({"Rating": "Lukewarm"})),
            Mistake::DuplicateCode => {
                ("Contact", json!({"Legacy_Code__c": format!("L{:06}", self.dice.random_range(1..200))}))
            }
            Mistake::UnknownAccount => ("Contact", json!({"AccountId": "001sd00ZZZZZZZZ"})),
            Mistake::BrokenId => ("Opportunity", json!({"AccountId": "ACME Inc."})),
            Mistake::RunawayTrigger => ("Case", json!({"Subject": "[runaway] everything is on fire"})),
            Mistake::NumberTooLarge => ("Opportunity", json!({"Amount": 1e17})),
            Mistake::UnknownInvoice => {
                let values = json!({"Name": "Line of nothing", "Quantity__c": 1, "Invoice__r.External_Id__c": "INV-UNKNOWN"});
                return self.insert(sql, "Invoice_Line__c", values).await.map(drop);
            }
            Mistake::ChildOfFailing => return self.child_of_failing(sql).await,
            Mistake::DuplicateLead => return self.duplicate_lead(sql).await,
            Mistake::NoPermission => {
                return self.change_seeded(sql, "Account", "Secret_Tier__c", json!("platinum")).await;
            }
            Mistake::DeletedRecord => return self.change_deleted(sql).await,
        };
        let mut values = self.good(object);
        if let (Value::Object(values), Value::Object(wrong)) = (&mut values, wrong) {
            values.extend(wrong);
        }
        self.insert(sql, object, values).await.map(drop)
    }

    async fn child_of_failing(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        let mut values = self.good("Invoice__c");
        values["Billing_Email__c"] = json!("accounts payable");
        let invoice = self.insert(sql, "Invoice__c", values).await?;
        let line = json!({"Name": "Held line", "Quantity__c": 1, "Invoice__r.External_Id__c": invoice.key});
        self.insert(sql, "Invoice_Line__c", line).await.map(drop)
    }

    async fn duplicate_lead(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        let same = "SELECT lastname, email FROM salesforce.lead WHERE sfid IS NOT NULL AND email IS NOT NULL ORDER BY random() LIMIT 1";
        let Some(row) = sql.query_opt(same, &[]).await? else { return Ok(()) };
        let mut values = self.good("Lead");
        (values["LastName"], values["Email"]) =
            (json!(row.get::<_, String>(0)), json!(row.get::<_, String>(1)));
        self.insert(sql, "Lead", values).await.map(drop)
    }

    /// Somebody deletes a record in Salesforce, and the application changes its row before anybody told it.
    async fn change_deleted(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        let Some((key, row, sfid)) = self.seeded(sql, "Case").await? else { return Ok(()) };
        if self.org.user_delete("Case", &sfid).is_err() {
            return Ok(());
        }
        let subject = json!(seed::phrase(&mut self.dice));
        self.update(sql, "Case", &key, row, "Subject", subject).await
    }

    async fn change_seeded(
        &mut self,
        sql: &Client,
        object: &'static str,
        field: &str,
        value: Value,
    ) -> Result<(), tokio_postgres::Error> {
        let Some((key, row, _)) = self.seeded(sql, object).await? else { return Ok(()) };
        self.update(sql, object, &key, row, field, value).await
    }

    /// A row that came from the org, of those whose keys are this worker's: key, row and record.
    async fn seeded(
        &mut self,
        sql: &Client,
        object: &str,
    ) -> Result<Option<(String, i32, String)>, tokio_postgres::Error> {
        let text = format!(
            "SELECT external_id__c, id, sfid FROM salesforce.{} WHERE sfid IS NOT NULL AND id % $1 = $2
                 AND external_id__c NOT LIKE 'APP-%' AND _hc_lastop = 'SYNCED' AND id >= $3 ORDER BY id LIMIT 1",
            object.to_lowercase()
        );
        let from: i32 = self.dice.random_range(0..600);
        let (workers, number) = (WORKERS as i32, self.number as i32);
        let row = sql.query_opt(&text, &[&workers, &number, &from]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1), row.get(2))))
    }

    async fn change(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        if self.dice.random_range(0..3) > 0 {
            let phone = json!(seed::phone(&mut self.dice));
            let object = *["Contact", "Lead"].choose(&mut self.dice).unwrap_or(&"Lead");
            return self.change_seeded(sql, object, "Phone", phone).await;
        }
        let Some(own) = self.own.choose(&mut self.dice).cloned() else { return Ok(()) };
        let (field, value) = match own.object {
            "Contact" | "Lead" | "Account" => ("Phone", json!(seed::phone(&mut self.dice))),
            "Opportunity" => ("Amount", json!(f64::from(self.dice.random_range(100..90_000)))),
            _ => ("Subject", json!(seed::phrase(&mut self.dice))),
        };
        self.update(sql, own.object, &own.key, own.row, field, value).await
    }

    async fn delete(&mut self, sql: &Client) -> Result<(), tokio_postgres::Error> {
        if self.own.is_empty() {
            return Ok(());
        }
        let own = self.own.swap_remove(self.dice.random_range(0..self.own.len()));
        let text = format!("DELETE FROM salesforce.{} WHERE id = $1", own.object.to_lowercase());
        let deleted = sql.execute(&text, &[&own.row]).await;
        self.tell("DELETE", own.object, Some(own.row), "deleted", &deleted);
        if deleted? == 1 {
            self.ledger.note(&own.key, Commits::delete);
        }
        Ok(())
    }

    /// Logs the request that a write answers; now and then one takes longer than the router waits.
    fn tell<T>(
        &self,
        method: &str,
        object: &str,
        row: Option<i32>,
        done: &str,
        result: &Result<T, tokio_postgres::Error>,
    ) {
        // Most writes are those of its workers, whose log is another one.
        if result.is_ok() && !self.writes.is_multiple_of(REQUEST_EVERY) {
            return;
        }
        let late = self.writes.is_multiple_of(LATE_EVERY);
        let took = if late { 30_000 } else { rand::random_range(20..400) };
        self.log.request(&WebRequest {
            web: self.number + 1,
            id: rand::random(),
            method,
            object,
            row,
            done: result
                .as_ref()
                .map(|_| done)
                .map_err(|error| error.as_db_error().map_or(error.to_string(), ToString::to_string)),
            took: Duration::from_millis(took),
        });
    }

    /// Inserts a row with a key of its own.
    async fn insert(
        &mut self,
        sql: &Client,
        object: &'static str,
        values: Value,
    ) -> Result<Own, tokio_postgres::Error> {
        self.made += 1;
        let key = format!("APP-{}-{:06}", self.number, self.made);
        let Value::Object(mut values) = values else { return Ok(Own { object, key, row: 0 }) };
        values.insert("External_Id__c".to_owned(), json!(key));
        let table = object.to_lowercase();
        let columns: Map<String, Value> =
            values.iter().map(|(field, value)| (column(field), value.clone())).collect();
        let names = columns.keys().cloned().collect::<Vec<_>>().join(", ");
        let text = format!(
            "INSERT INTO salesforce.{table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::salesforce.{table}, $1) RETURNING id"
        );
        let inserted = sql.query_one(&text, &[&Value::Object(columns)]).await.map(|row| row.get::<_, i32>(0));
        self.tell("POST", object, inserted.as_ref().ok().copied(), "created", &inserted);
        let row = inserted?;
        self.ledger.note(&key, |commits| {
            (commits.object, commits.table, commits.row) = (object.to_owned(), table, row);
            commits.inserted = true;
            for (field, value) in values {
                commits.value(&field, value);
            }
        });
        Ok(Own { object, key, row })
    }

    async fn update(
        &mut self,
        sql: &Client,
        object: &str,
        key: &str,
        row: i32,
        field: &str,
        value: Value,
    ) -> Result<(), tokio_postgres::Error> {
        let table = object.to_lowercase();
        let name = column(field);
        let text = format!(
            "UPDATE salesforce.{table} t SET {name} = new.{name} FROM jsonb_populate_record(NULL::salesforce.{table}, $1) new
             WHERE t.id = $2 AND t.{name} IS DISTINCT FROM new.{name}"
        );
        let changed = sql.execute(&text, &[&json!({ (name.as_str()): value }), &row]).await;
        self.tell("PATCH", object, Some(row), "changed", &changed);
        if changed? == 1 {
            self.ledger.note(key, |commits| {
                (commits.object, commits.table, commits.row) = (object.to_owned(), table, row);
                commits.value(field, value);
            });
        }
        Ok(())
    }
}

/// The column of a field, `invoice__r__external_id__c` for a relationship.
fn column(field: &str) -> String {
    field.replace('.', "__").to_lowercase()
}
