//! What became of rows that somebody has just sent: Salesforce's answer, or at once what holds them up for longer than
//! anybody waits.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::{Item, OperationKind, Report, RowStatus};
use crate::domain::state::ConnectionState;
use crate::postgres::changes::outcomes::{Holdups, RowStanding, UnresolvedError};

use super::api::{Client, ClientError};
use super::operations::execute::{LOOK, Plan};

/// Between two looks, from the first on.
const LOOKS: [Duration; 2] = [Duration::from_millis(30), Duration::from_millis(200)];

/// A row that was sent.
#[derive(Clone, Debug)]
pub struct SentRow {
    /// Which.
    pub at: RowRef,
    /// When its error was seen last before that: what was seen later is the answer.
    pub seen: DateTime<Utc>,
}

impl Client {
    /// Waits for what Salesforce says about an error's row that was sent.
    ///
    /// # Errors
    /// When it was rejected again, waits for another row or for a person, is not sent for now, or is not answered in
    /// time.
    pub async fn answer(&self, before: &SyncError, patience: Duration) -> Result<String, ClientError> {
        let at = before.row().ok_or_else(|| ClientError::invalid("this error is not of one row"))?;
        let sent = SentRow { at: at.clone(), seen: before.last_seen };
        match self.outcomes(&[sent], patience).await?.remove(&at) {
            Some((RowStatus::Done, message)) => Ok(message),
            Some((_, message)) => Err(ClientError::refused(message)),
            None => Err(ClientError::refused(no_answer(patience))),
        }
    }

    /// Waits for what Salesforce says about the rows that an operation sent, and puts it into the report. What an operation did here
    /// alone stays told as it is: there is nothing to wait for.
    pub async fn answers(
        &self,
        plan: &Plan,
        report: &mut Report,
        patience: Duration,
    ) -> Result<(), ClientError> {
        let sent: HashMap<i64, SentRow> = plan
            .steps
            .iter()
            .filter(|step| sends(plan, step.id))
            .map(|step| (step.id, SentRow { at: step.at.clone(), seen: step.seen }))
            .collect();
        let done = |item: &&Item| item.result == RowStatus::Done;
        let awaited: Vec<SentRow> =
            report.items.iter().filter(done).filter_map(|item| sent.get(&item.id).cloned()).collect();
        let outcomes = self.outcomes(&awaited, patience).await?;
        let items = std::mem::take(&mut report.items);
        (report.done, report.skipped, report.failed) = (0, 0, 0);
        for item in items {
            let outcome = match item.result {
                RowStatus::Done => sent.get(&item.id).and_then(|sent| outcomes.get(&sent.at)).cloned(),
                _ => None,
            };
            let (result, message) = outcome.unwrap_or((item.result, item.message));
            report.note(Item { id: item.id, result, message });
        }
        Ok(())
    }

    /// Waits until each of these rows is answered, or shows that it will not be soon.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn outcomes(
        &self,
        sent: &[SentRow],
        patience: Duration,
    ) -> Result<HashMap<RowRef, (RowStatus, String)>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            let rows: Vec<_> = sent.iter().map(|one| (one.at.clone(), one.seen)).collect();
            return attached.outcomes(&rows, patience, LOOKS[1]).await;
        }
        let until = Instant::now() + patience;
        let mut told = HashMap::new();
        let mut waiting: BTreeMap<String, Vec<SentRow>> = BTreeMap::new();
        for one in sent {
            waiting.entry(one.at.table.clone()).or_default().push(one.clone());
        }
        let mut pause = LOOKS[0];
        loop {
            for (table, rows) in &mut waiting {
                // Before the rows: what is still on its way then was held up all the while.
                let holdups = self.own()?.holdups().await?;
                let mut left = Vec::new();
                for part in rows.chunks(LOOK) {
                    let ids: Vec<i32> = part.iter().map(|one| one.at.row.0).collect();
                    let standings = self.own()?.standings(table, &ids).await?;
                    for one in part {
                        let standing = standings.get(&one.at.row.0).cloned().unwrap_or_default();
                        let soon = Utc::now() + until.saturating_duration_since(Instant::now());
                        let held_up = || holdup(&holdups, table).filter(|_| !standing.is_in_flight(&holdups));
                        match outcome(&standing, one.seen, soon).or_else(held_up) {
                            Some(outcome) => drop(told.insert(one.at.clone(), outcome)),
                            None => left.push(one.clone()),
                        }
                    }
                }
                *rows = left;
            }
            waiting.retain(|_, rows| !rows.is_empty());
            if waiting.is_empty() {
                return Ok(told);
            }
            if Instant::now() >= until {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOKS[1]);
        }
        let late = self.why_late(patience).await?;
        let rows = waiting.into_values().flatten();
        told.extend(rows.map(|one| (one.at, (RowStatus::Failed, late.clone()))));
        Ok(told)
    }

    /// What holds up what an operation sent, a line for each mapping; nothing when it goes at once.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn held_up(&self, plan: &Plan) -> Result<Vec<String>, ClientError> {
        if self.beside_heroku().is_some() {
            return Ok(Vec::new());
        }
        let sent = plan.steps.iter().filter(|step| sends(plan, step.id));
        let mut tables: Vec<&str> = sent.map(|step| step.at.table.as_str()).collect();
        tables.dedup();
        let holdups = self.own()?.holdups().await?;
        let mut told: Vec<String> =
            tables.iter().filter_map(|table| Some(holdup(&holdups, table)?.1)).collect();
        told.dedup();
        Ok(told)
    }

    /// The same of one row.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn holds_up(&self, table: &str) -> Result<Option<String>, ClientError> {
        if self.beside_heroku().is_some() {
            return Ok(None);
        }
        Ok(holdup(&self.own()?.holdups().await?, table).map(|(_, why)| why))
    }

    /// Why nothing came in time, as far as that is known.
    async fn why_late(&self, patience: Duration) -> Result<String, ClientError> {
        let connection = self.own()?.overview().await?.connection;
        let why = match (connection.state, connection.detail) {
            (ConnectionState::Ok, _) => String::new(),
            (state, Some(detail)) => format!("\nSalesforce cannot be asked now ({state}): {detail}"),
            (state, None) => format!("\nSalesforce cannot be asked now ({state})"),
        };
        Ok(format!("{}{why}", no_answer(patience)))
    }
}

/// Whether an operation sends the row of one of its steps.
fn sends(plan: &Plan, step: i64) -> bool {
    match plan.kind {
        OperationKind::Retry
        | OperationKind::Release
        | OperationKind::Fix { .. }
        | OperationKind::Mend
        | OperationKind::Merge(_)
        | OperationKind::Choose(_) => true,
        OperationKind::Ignore | OperationKind::Revert => false,
        OperationKind::Undo(_) => plan.entries.get(&step).is_some_and(|entry| entry.action != "ignored"),
    }
}

/// What became of a row; `None` while it is on its way. What is tried again by itself before `soon` is.
fn outcome(row: &RowStanding, seen: DateTime<Utc>, soon: DateTime<Utc>) -> Option<(RowStatus, String)> {
    if row.untaken {
        return None;
    }
    let told = |failure: &UnresolvedError| format!("{}: {}", failure.code, failure.message);
    let answered = row.error.as_ref().filter(|failure| failure.last_seen > seen);
    Some(match (row.unit.as_deref(), &row.error) {
        (None | Some("writeback"), _) => match &row.unsent {
            Some(why) => (RowStatus::Done, format!("nothing was sent: {why}")),
            None => (RowStatus::Done, "Salesforce took it".to_owned()),
        },
        (Some("held"), failure) => {
            let why =
                failure.as_ref().map_or("waits for another row".to_owned(), |held| held.message.clone());
            (RowStatus::Failed, format!("it {why}"))
        }
        (Some("review"), Some(failure)) if answered.is_none() => {
            let remedy = format!("release it with: syncdeck release {}", failure.id);
            (RowStatus::Failed, format!("it waits for a person's release ({})\n{remedy}", told(failure)))
        }
        (Some("failed" | "review"), Some(failure)) => {
            (RowStatus::Failed, format!("rejected again: {}", told(failure)))
        }
        (Some("failed" | "review"), None) => (RowStatus::Failed, "it was not taken".to_owned()),
        (Some("ready"), Some(failure)) => {
            let at = answered.and_then(|failure| failure.next_retry_at).filter(|at| *at > soon)?;
            let at = at.format("%m-%d %H:%M:%S");
            (RowStatus::Failed, format!("rejected again: {}\nit is tried again at {at} UTC", told(failure)))
        }
        _ => return None,
    })
}

/// What keeps a table's rows from being sent for as long as nobody does something about it.
fn holdup(holdups: &Holdups, table: &str) -> Option<(RowStatus, String)> {
    let kept = "it is kept, and not sent for now";
    let why = match holdups.writes.get(table) {
        None => format!("{kept}: nothing is mapped to the table {table} any more"),
        Some((object, state, why)) if state.rest() => {
            let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!(
                "{kept}: the writes of {object} are {state}{why}\nlet them go on with: syncdeck mapping {object} resume"
            )
        }
        Some(_) if !holdups.engine => format!("{kept}: no engine runs\nstart one with: syncdeck run"),
        Some(_) => return None,
    };
    Some((RowStatus::Failed, why))
}

impl RowStanding {
    /// Whether an engine has it in its hands: it sees that through whatever was said since.
    fn is_in_flight(&self, holdups: &Holdups) -> bool {
        holdups.engine && self.unit.as_deref() == Some("inflight")
    }
}

fn no_answer(patience: Duration) -> String {
    format!("no answer within {} s; it stays queued", patience.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::WritesState;

    fn failure(state: &str, seconds: i64) -> UnresolvedError {
        UnresolvedError {
            id: 7,
            state: state.to_owned(),
            code: "CODE".to_owned(),
            message: "why".to_owned(),
            last_seen: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds),
            next_retry_at: None,
        }
    }

    fn told(unit: Option<&str>, error: Option<UnresolvedError>) -> Option<(RowStatus, String)> {
        let row = RowStanding { unit: unit.map(str::to_owned), error, ..RowStanding::default() };
        let seen = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(10);
        outcome(&row, seen, seen + chrono::TimeDelta::seconds(30))
    }

    #[test]
    fn nothing_is_claimed_that_did_not_happen() {
        assert_eq!(told(None, None), Some((RowStatus::Done, "Salesforce took it".to_owned())));
        for unit in ["ready", "inflight", "stopped"] {
            assert_eq!(told(Some(unit), Some(failure("retrying", 10))), None, "{unit}");
        }
        let rejected = told(Some("failed"), Some(failure("open", 11)));
        assert_eq!(rejected, Some((RowStatus::Failed, "rejected again: CODE: why".to_owned())));
        let waits = told(Some("review"), Some(failure("review", 10))).unwrap().1;
        assert!(
            waits.contains("a person's release (CODE: why)\nrelease it with: syncdeck release 7"),
            "{waits}"
        );
        assert_eq!(told(Some("review"), Some(failure("review", 11))), rejected);
        let again = |after: i64| UnresolvedError {
            next_retry_at: Some(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(after)),
            ..failure("retrying", 11)
        };
        assert_eq!(told(Some("ready"), Some(again(39))), None);
        let late = told(Some("ready"), Some(again(41))).unwrap().1;
        assert!(late.contains("rejected again: CODE: why\nit is tried again at 01-01 00:00:41"), "{late}");
        let kept =
            RowStanding { unsent: Some("a condition keeps it out".to_owned()), ..RowStanding::default() };
        let kept = outcome(&kept, DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(kept.1, "nothing was sent: a condition keeps it out");
        let new = RowStanding { untaken: true, ..RowStanding::default() };
        assert_eq!(outcome(&new, DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH), None);
    }

    #[test]
    fn what_holds_a_mapping_up_is_named_with_the_way_on() {
        let mut holdups = Holdups { engine: true, ..Holdups::default() };
        let of = |writes: &str| ("Contact".to_owned(), WritesState::of(writes), Some("by ada".to_owned()));
        holdups.writes.insert("contact".to_owned(), of("draining"));
        assert_eq!(holdup(&holdups, "contact"), None);
        holdups.writes.insert("contact".to_owned(), of("paused"));
        let why = holdup(&holdups, "contact").unwrap().1;
        assert!(why.contains("the writes of Contact are paused (by ada)\nlet them go on with: syncdeck mapping Contact resume"), "{why}");
        holdups.writes.insert("contact".to_owned(), of("on"));
        holdups.engine = false;
        assert!(
            holdup(&holdups, "contact").unwrap().1.contains("no engine runs\nstart one with: syncdeck run")
        );
        assert!(holdup(&holdups, "lead").unwrap().1.contains("nothing is mapped to the table lead"));
    }
}
