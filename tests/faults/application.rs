//! The application: writers with a connection of their own and a ledger of what they committed. Each writes keys of
//! its own only; a commit whose answer was lost is looked up before anything else is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use syncdeck::demo::ledger::{Commits, Ledger};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A table as the writers know it: its object, and the text columns they write, with the fields' API names.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub table: &'static str,
    pub object: &'static str,
    pub columns: &'static [(&'static str, &'static str)],
}

pub const ACCOUNT: Written = Written {
    table: "account",
    object: "Account",
    columns: &[("name", "Name"), ("description", "Description"), ("accountnumber", "AccountNumber")],
};
pub const CONTACT: Written = Written {
    table: "contact",
    object: "Contact",
    columns: &[
        ("lastname", "LastName"),
        ("description", "Description"),
        ("firstname", "FirstName"),
        ("email", "Email"),
    ],
};

/// What the writers share.
#[derive(Clone)]
pub struct Application {
    pub ledger: Ledger,
    pub tables: &'static [Written],
    url: String,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// What PostgreSQL refused them, by SQLSTATE; lost connections have none.
    refusals: Arc<Mutex<Vec<String>>>,
    commits: Arc<AtomicU64>,
}

/// A row of a writer's own.
#[derive(Clone, Debug)]
struct Own {
    of: Written,
    key: String,
    row: i32,
}

/// What a transaction does once it is committed.
#[derive(Clone, Debug)]
struct Effect {
    own: Own,
    values: Vec<(&'static str, &'static str, Value)>,
    deleted: bool,
}

impl Application {
    pub fn new(url: String, tables: &'static [Written]) -> Application {
        Application {
            ledger: Ledger::default(),
            tables,
            url,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            refusals: Arc::default(),
            commits: Arc::default(),
        }
    }

    /// Sets writers going. Each waits up to `pause` between two transactions.
    pub fn start(&self, writers: usize, seed: u64, pause: Duration) {
        for number in 0..writers {
            let writer = Writer {
                of: self.clone(),
                dice: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
                number,
                made: 0,
                own: Vec::new(),
                pause,
            };
            self.tasks.spawn(writer.run());
        }
    }

    /// Stops the writers; each finishes its transaction and knows what became of it.
    pub async fn finish(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// SQLSTATEs that PostgreSQL answered the writers with.
    pub fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().clone()
    }

    /// The same, and forgets them: a test expected them.
    pub fn take_refusals(&self) -> Vec<String> {
        std::mem::take(&mut self.refusals.lock().unwrap())
    }

    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Notes a commit that a test made itself.
    pub fn note(&self, of: Written, key: &str, row: i32, values: &[(&str, Value)]) {
        self.ledger.note(key, |commits| {
            commits.object = of.object.to_owned();
            commits.table = of.table.to_owned();
            (commits.row, commits.inserted, commits.deleted) = (row, true, false);
            for (field, value) in values {
                commits.value(field, value.clone());
            }
        });
    }
}

struct Writer {
    of: Application,
    dice: StdRng,
    number: usize,
    made: u32,
    own: Vec<Own>,
    pause: Duration,
}

impl Writer {
    async fn run(mut self) {
        let mut client: Option<Client> = None;
        let mut unsure: Option<Vec<Effect>> = None;
        while !self.of.stop.is_cancelled() || unsure.is_some() {
            let connected = match client.take() {
                Some(client) if !client.is_closed() => client,
                _ => match tokio_postgres::connect(&self.of.url, NoTls).await {
                    Ok((client, connection)) => {
                        tokio::spawn(connection);
                        client
                    }
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            if let Some(effects) = unsure.take() {
                match happened(&connected, &effects[0]).await {
                    Ok(Some(row)) => self.note(row, effects),
                    Ok(None) => {}
                    Err(_) => {
                        unsure = Some(effects);
                        continue;
                    }
                }
            }
            let effects = self.plan();
            match apply(&connected, &effects).await {
                Ok(row) => self.note(row, effects),
                Err(error) => match error.code() {
                    Some(code) if !code.code().starts_with("57P") => {
                        let text = format!("{}: {error:?}", code.code());
                        self.of.refusals.lock().unwrap().push(text);
                        let _ = connected.batch_execute("ROLLBACK").await;
                    }
                    _ => unsure = Some(effects),
                },
            }
            client = Some(connected);
            if !self.pause.is_zero() {
                // The pace of an application, not a wait for anything.
                let pause = self.pause.mul_f64(self.dice.random::<f64>());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.of.stop.cancelled() => {}
                }
            }
        }
    }

    /// An insert, an update of one row or of two, a delete, or all of a short life in one transaction.
    fn plan(&mut self) -> Vec<Effect> {
        let die = self.dice.random_range(0..100);
        if self.own.len() < 3 || (die < 25 && self.own.len() < 40) {
            return vec![self.insert()];
        }
        let first = self.dice.random_range(0..self.own.len());
        if die < 32 {
            let own = self.own[first].clone();
            return vec![Effect { own, values: Vec::new(), deleted: true }];
        }
        let mut effects = vec![self.update(first)];
        if die < 60 {
            let second = self.dice.random_range(0..self.own.len());
            if second != first {
                effects.push(self.update(second));
            }
        }
        effects
    }

    fn word(&mut self) -> String {
        self.made += 1;
        format!("w{}-{}", self.number, self.made)
    }

    fn insert(&mut self) -> Effect {
        let of = *self.of.tables.choose(&mut self.dice).unwrap();
        let key = format!("{}-{}", of.table, self.word());
        let values = of.columns.iter().map(|column| self.value(*column)).collect();
        Effect { own: Own { of, key, row: 0 }, values, deleted: false }
    }

    fn update(&mut self, at: usize) -> Effect {
        let own = self.own[at].clone();
        let mut columns: Vec<_> = own.of.columns.to_vec();
        while columns.len() > 2 {
            columns.remove(self.dice.random_range(0..columns.len()));
        }
        let values = columns.into_iter().map(|column| self.value(column)).collect();
        Effect { own, values, deleted: false }
    }

    /// A value that was never there before; some are empty, and some e-mail addresses are wrong.
    fn value(
        &mut self,
        (column, field): (&'static str, &'static str),
    ) -> (&'static str, &'static str, Value) {
        let word = self.word();
        let value = match column {
            "email" if self.dice.random_range(0..12) == 0 => json!(format!("{word} at acme")),
            "email" => json!(format!("{word}@acme.com")),
            "description" if self.dice.random_range(0..10) == 0 => Value::Null,
            _ => json!(word),
        };
        (column, field, value)
    }

    /// Notes what is committed, with the row it inserted.
    fn note(&mut self, row: i32, effects: Vec<Effect>) {
        self.of.commits.fetch_add(1, Ordering::Relaxed);
        for mut effect in effects {
            if effect.own.row == 0 {
                effect.own.row = row;
                self.own.push(effect.own.clone());
            }
            if effect.deleted {
                self.own.retain(|own| own.key != effect.own.key);
                self.of.ledger.note(&effect.own.key, Commits::delete);
                continue;
            }
            let values: Vec<(&str, Value)> =
                effect.values.iter().map(|(_, field, value)| (*field, value.clone())).collect();
            self.of.note(effect.own.of, &effect.own.key, effect.own.row, &values);
        }
    }
}

/// Carries a transaction out. Returns the id of the row it inserted, or 0.
async fn apply(client: &Client, effects: &[Effect]) -> Result<i32, tokio_postgres::Error> {
    if effects.len() > 1 {
        client.batch_execute("BEGIN").await?;
    }
    let mut row = 0;
    for effect in effects {
        for message in client.simple_query(&statement(effect)).await? {
            if let SimpleQueryMessage::Row(inserted) = message {
                row = inserted.get(0).unwrap().parse().unwrap();
            }
        }
    }
    if effects.len() > 1 {
        client.batch_execute("COMMIT").await?;
    }
    Ok(row)
}

fn statement(effect: &Effect) -> String {
    let Own { of, key, row } = &effect.own;
    let literal = |value: &Value| value.as_str().map_or("NULL".to_owned(), |text| format!("'{text}'"));
    let columns: Vec<&str> = effect.values.iter().map(|(column, ..)| *column).collect();
    let values: Vec<String> = effect.values.iter().map(|(.., value)| literal(value)).collect();
    if effect.deleted {
        return format!("DELETE FROM salesforce.{} WHERE id = {row}", of.table);
    }
    if *row == 0 {
        return format!(
            "INSERT INTO salesforce.{} (external_id__c, {}) VALUES ('{key}', {}) RETURNING id",
            of.table,
            columns.join(", "),
            values.join(", ")
        );
    }
    let set: Vec<String> =
        columns.iter().zip(&values).map(|(column, value)| format!("{column} = {value}")).collect();
    format!("UPDATE salesforce.{} SET {} WHERE id = {row}", of.table, set.join(", "))
}

/// Whether a transaction whose commit was not answered took place: its first effect tells. Returns its row, or 0.
async fn happened(client: &Client, effect: &Effect) -> Result<Option<i32>, tokio_postgres::Error> {
    let sql =
        format!("SELECT to_jsonb(t) FROM salesforce.{} t WHERE external_id__c = $1", effect.own.of.table);
    let row: Option<Value> = client.query_opt(&sql, &[&effect.own.key]).await?.map(|row| row.get(0));
    Ok(match (row, effect.deleted) {
        (None, true) => Some(0),
        (Some(row), false) if effect.values.iter().all(|(column, _, value)| row[column] == *value) => {
            row["id"].as_i64().map(|id| i32::try_from(id).unwrap())
        }
        _ => None,
    })
}
