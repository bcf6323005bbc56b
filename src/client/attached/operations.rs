//! What a person has Heroku Connect do, by its API: it pauses and goes on with all of its mappings at once, and empties a table
//! before it loads it again. It is done there first, and noted here after that, where there is an audit.

use serde_json::json;

use crate::client::error::ClientError;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::overview::Writes;
use crate::heroku::ConnectionAction;

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
                "Heroku Connect is told to pause: it finishes what it has begun; changes are captured, and nothing is read or sent \
                 until it is resumed",
            ),
            Writes::Drain | Writes::Resume => {
                (ConnectionAction::Resume, "resumed", "Heroku Connect is told to go on")
            }
        };
        self.heroku.client()?.act(action).await?;
        self.after(operation, noted, ("", ""), does).await
    }

    /// Has the connection begin again after an error. Returns what was done, in a sentence.
    pub(in crate::client) async fn recover(&self, operation: &Operation) -> Result<String, ClientError> {
        self.heroku.client()?.act(ConnectionAction::Restart).await?;
        let does = "Heroku Connect is told to begin again, as after a new sign-in";
        self.after(operation, "recovered", ("", ""), does).await
    }

    /// Has the table of a mapping, or of every mapping, emptied and loaded again. Returns what was done, in a sentence.
    pub(in crate::client) async fn reload(
        &self,
        mapping: Option<&str>,
        operation: &Operation,
    ) -> Result<String, ClientError> {
        let client = self.heroku.client()?;
        let tables = match mapping {
            Some(name) => vec![self.mapping(name).await?],
            None => {
                let told = client.connection().await?;
                let picture = self.last_picture().await?;
                let of = |object: &str| picture.schema.table(object).map(|table| table.mapping.clone());
                told.mappings.iter().filter_map(|mapping| of(&mapping.object)).collect()
            }
        };
        let mut asked = Vec::new();
        for of in &tables {
            let (object, table) = (of.object.as_str(), of.table.as_str());
            if let Err(error) = client.reload(table).await {
                self.heroku.look_again();
                let before = match asked.as_slice() {
                    [] => String::new(),
                    some => format!("{} are loaded again; {object} is not: ", some.join(", ")),
                };
                return Err(ClientError::from(error).within(&before));
            }
            asked.push(object.to_owned());
            if tables.len() > 1 {
                self.note(operation, "reloaded", (object, table)).await?;
            }
        }
        let does = format!(
            "{}: Heroku Connect is told to empty the table and to load all records again; numbers of rows may change",
            asked.join(", ")
        );
        match tables.as_slice() {
            [] => Err(beside("Heroku Connect maps nothing here")),
            [one] => self.after(operation, "reloaded", (&one.object, &one.table), &does).await,
            _ => {
                self.heroku.look_again();
                Ok(does)
            }
        }
    }

    /// Looks how it stands after something was done, and notes that; both are told.
    async fn after(
        &self,
        operation: &Operation,
        action: &str,
        of: (&str, &str),
        does: &str,
    ) -> Result<String, ClientError> {
        self.heroku.look_again();
        self.heroku.ask().await;
        let now = self.heroku.heard().told.map(|told| told.state.clone());
        let now = now.map(|state| format!(" (it says {state} now)")).unwrap_or_default();
        let noted = self.note(operation, action, of).await?;
        let unnoted =
            if noted { "" } else { "; it is in no audit, for nothing of syncdeck is installed here" };
        Ok(format!("{does}{now}{unnoted}"))
    }

    /// Notes what was done in the audit; `false` where there is none.
    async fn note(
        &self,
        operation: &Operation,
        action: &str,
        (object, table): (&str, &str),
    ) -> Result<bool, ClientError> {
        let after = json!({"heroku_connect": action});
        let noted = self.store().attached_audit(operation, action, (object, table), &after).await;
        noted.map_err(|error| {
            ClientError::from(error)
                .within("it was done at Heroku Connect, and could not be noted in the audit: ")
        })
    }
}
