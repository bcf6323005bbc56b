//! What became of rows that operators sent again.

use chrono::{DateTime, Utc};

use crate::domain::operations::answer::{Answer, Tally};

use super::api::{Client, ClientError};

impl Client {
    /// What became of rows, by the numbers of their errors and when these had been seen last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn answered(&self, sent: &[(i64, DateTime<Utc>)]) -> Result<Vec<(i64, Answer)>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.answered(sent).await;
        }
        Ok(self.own()?.answers(sent).await?)
    }

    /// What became of the rows of an operation, by its number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tally(&self, act: i64) -> Result<Tally, ClientError> {
        Ok(self.own()?.tally(act).await?)
    }
}
