//! What a person has Heroku Connect do, by its API: it pauses and goes on with all of its mappings at once, and empties a table
//! before it loads it again. It is done there first, and noted here after that, where there is an audit.

use serde_json::json;

use crate::client::error::{ClientError, ErrorKind};
use crate::domain::attached::told::{NotificationFilter, ToldConnection};
use crate::domain::operations::operation::Operation;
use crate::domain::reports::overview::Writes;
use crate::heroku::{self, ConnectionAction};

use super::session::{Attached, beside};

impl Attached {
    /// Whether Heroku Connect can let writes rest or go on like that.
    ///
    /// # Errors
    /// When its API cannot be asked, for one mapping alone, and for what it has no counterpart of.
    pub(in crate::client) fn takes_writes(
        &self,
        mapping: Option<&str>,
        to: Writes,
    ) -> Result<(), ClientError> {
        self.heroku.client()?;
        if to == Writes::Drain {
            return Err(beside(
                "Heroku Connect cannot drain: a pause lets what it has begun be finished, and keeps the rest",
            ));
        }
        match mapping {
            None => Ok(()),
            Some(_) => {
                let word = to.word();
                let text = format!(
                    "Heroku Connect lets all of its mappings rest or go on together\nuse: syncdeck mapping all {word}"
                );
                Err(ClientError::refused(text))
            }
        }
    }

    /// Why nothing is to be done by this session, where that is so: who may only read here has nothing done there either.
    async fn may_do(&self) -> Result<(), ClientError> {
        match self.may_write().await? {
            Some(why) => Err(ClientError::new(ErrorKind::NoRights, why)),
            None => Ok(()),
        }
    }

    /// Has the connection pause, or go on. Returns what was done, in a sentence.
    pub(in crate::client) async fn set_writes(
        &self,
        to: Writes,
        operation: &Operation,
    ) -> Result<String, ClientError> {
        let (action, noted, does) = match to {
            Writes::Pause => (
                ConnectionAction::Pause,
                "paused",
                "is told to pause: it finishes what it has begun; changes are captured, and nothing is read or sent until it is resumed",
            ),
            Writes::Drain | Writes::Resume => (ConnectionAction::Resume, "resumed", "is told to go on"),
        };
        self.act(action, noted, does, operation).await
    }

    /// Has the connection begin again after an error. Returns what was done, in a sentence.
    pub(in crate::client) async fn recover(&self, operation: &Operation) -> Result<String, ClientError> {
        let does = "is told to begin again, as after a new sign-in";
        self.act(ConnectionAction::Restart, "recovered", does, operation).await
    }

    async fn act(
        &self,
        action: ConnectionAction,
        noted: &str,
        does: &str,
        operation: &Operation,
    ) -> Result<String, ClientError> {
        self.may_do().await?;
        let connection = self.heroku.client()?.proven().await?;
        let done = connection.act(action).await;
        let noted = self.noted(operation, noted, ("", ""), done).await?;
        let now = self.now().await;
        Ok(format!("{} {does}{now}{}", connection.told().whose(), unnoted(noted)))
    }

    /// Acknowledges notifications.
    pub(in crate::client) async fn acknowledge(
        &self,
        filter: &NotificationFilter,
        operation: &Operation,
    ) -> Result<String, ClientError> {
        self.may_do().await?;
        let connection = self.heroku.client()?.proven().await?;
        let done = connection.acknowledge(filter).await;
        let noted = self.noted(operation, "acknowledged", ("", ""), done).await?;
        Ok(format!("the notifications of {} are acknowledged{}", connection.told().whose(), unnoted(noted)))
    }

    /// Has the table of a mapping, or of every mapping, emptied and loaded again. Returns what was done, in a sentence.
    pub(in crate::client) async fn reload(
        &self,
        mapping: Option<&str>,
        operation: &Operation,
    ) -> Result<String, ClientError> {
        self.may_do().await?;
        let named = match mapping {
            Some(name) => Some(self.mapping(name).await?),
            None => None,
        };
        let connection = self.heroku.client()?.proven().await?;
        let told = connection.told();
        // Those that have no table to be seen are not left out without a word.
        let (tables, unseen) = match named {
            Some(of) => (vec![(of.object, of.table)], Vec::new()),
            None => self.tables_of(&told).await?,
        };
        if tables.is_empty() {
            return Err(beside(&format!("{} maps nothing that is seen here{}", told.whose(), left(&unseen))));
        }
        let mut reload = Reload { operation: operation.clone(), asked: Vec::new(), failed: None };
        for (object, table) in &tables {
            let done = connection.reload(table).await;
            self.note_reload(&mut reload, (object, table), done).await?;
        }
        let now = if tables.len() == 1 { self.now().await } else { String::new() };
        let unnoted = if reload.failed.is_some() { "" } else { unnoted(reload.operation.number) };
        let does = format!(
            "{}: {} is told to empty the table and to load all records again; numbers of rows may change{now}{}{}",
            reload.asked.join(", "),
            told.whose(),
            left(&unseen),
            unnoted,
        );
        match reload.failed {
            Some(failed) => Err(failed.within(&format!("{does}; "))),
            None => Ok(does),
        }
    }

    /// The object and the table of each mapping that is told and seen here; and the objects that are not seen.
    async fn tables_of(
        &self,
        told: &ToldConnection,
    ) -> Result<(Vec<(String, String)>, Vec<String>), ClientError> {
        let picture = self.last_picture().await?;
        let (mut tables, mut unseen) = (Vec::new(), Vec::new());
        for mapping in &told.mappings {
            match picture.schema.table(&mapping.object) {
                Some(of) => tables.push((of.mapping.object.clone(), of.mapping.table.clone())),
                None => unseen.push(mapping.object.clone()),
            }
        }
        Ok((tables, unseen))
    }

    /// Notes that a table is loaded again. What cannot be noted is told at the end: the others are loaded all the same.
    async fn note_reload(
        &self,
        reload: &mut Reload,
        (object, table): (&str, &str),
        done: Result<(), heroku::Error>,
    ) -> Result<(), ClientError> {
        let refused = done.is_err();
        match self.noted(&reload.operation, "reloaded", (object, table), done).await {
            Ok(number) => reload.operation.number = number.or(reload.operation.number),
            Err(error) if refused => {
                let before = match reload.asked.as_slice() {
                    [] => String::new(),
                    some => format!("loaded again: {}; {object} is not: ", some.join(", ")),
                };
                return Err(reload
                    .failed
                    .take()
                    .map_or(error.clone(), |noted| ClientError {
                        message: format!("{}; {}", error.message, noted.message),
                        ..error
                    })
                    .within(&before));
            }
            Err(error) => reload.failed = reload.failed.take().or(Some(error)),
        }
        reload.asked.push(object.to_owned());
        Ok(())
    }

    /// How it stands now, for whoever had something done.
    async fn now(&self) -> String {
        self.heroku.glance().await;
        let now = self.heroku.heard().told.map(|told| told.state.clone());
        now.map(|state| format!(" (it says {state} now)")).unwrap_or_default()
    }

    /// Notes what was done, and what may have been done, before anything else is asked. Returns its number in the audit, where there
    /// is one.
    async fn noted(
        &self,
        operation: &Operation,
        action: &str,
        of: (&str, &str),
        done: Result<(), heroku::Error>,
    ) -> Result<Option<i64>, ClientError> {
        self.heroku.look_again();
        match done {
            Ok(()) => self.note(operation, action, of, action).await,
            Err(error) if error.may_be_done() => {
                let noted = self.note(operation, action, of, &format!("{action} (no answer)")).await;
                let error = ClientError::from(error);
                match noted {
                    Ok(_) => Err(error),
                    Err(noted) => Err(ClientError {
                        message: format!("{}; nor is it in the audit: {}", error.message, noted.message),
                        ..error
                    }),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes it in the audit.
    async fn note(
        &self,
        operation: &Operation,
        action: &str,
        (object, table): (&str, &str),
        after: &str,
    ) -> Result<Option<i64>, ClientError> {
        let after = json!({"heroku_connect": after});
        let noted = self.store().attached_audit(operation, action, (object, table), &after).await;
        noted.map_err(|error| {
            ClientError::from(error)
                .within("it was done at Heroku Connect, and could not be noted in the audit: ")
        })
    }
}

/// How far a reload of several tables is.
struct Reload {
    /// With its number in the audit, once there is one.
    operation: Operation,
    asked: Vec<String>,
    /// What could not be noted, first.
    failed: Option<ClientError>,
}

/// Said where something is in no audit.
fn unnoted(number: Option<i64>) -> &'static str {
    if number.is_some() { "" } else { "; it is in no audit, for nothing of syncdeck is installed here" }
}

/// Said of mappings that are not loaded again.
fn left(unseen: &[String]) -> String {
    if unseen.is_empty() {
        return String::new();
    }
    format!("; {} not: it is mapped there, and no table of it is seen here", unseen.join(", "))
}
