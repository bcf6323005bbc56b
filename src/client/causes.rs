//! Causes at the door: what there are, how they live, and what operators say about them.

use serde::Serialize;

use crate::domain::errors::cause::{Cause, Life, Until};
use crate::postgres::operations::causes::Say;

use super::api::{Client, ClientError};

/// A cause as it is listed (`cause --json` prints exactly these members).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedCause {
    /// Its fingerprint, the name of the group.
    pub group: String,
    /// The mapping's object; empty for the connection.
    pub mapping: String,
    /// The code of its errors.
    pub code: String,
    /// The fields at fault.
    pub fields: Vec<String>,
    /// Their category.
    pub category: &'static str,
    /// What it is, in a few words.
    pub title: String,
    /// Its life.
    #[serde(flatten)]
    pub life: Life,
}

impl ListedCause {
    fn of(cause: Cause, now: chrono::DateTime<chrono::Utc>) -> ListedCause {
        ListedCause {
            life: cause.life(now),
            group: cause.fingerprint,
            mapping: cause.mapping,
            code: cause.code,
            fields: cause.fields,
            category: cause.category.word(),
            title: cause.title,
        }
    }
}

impl Client {
    /// Causes whose name begins so, those with the newest errors first; mended ones too, where they are wanted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn causes(
        &self,
        prefix: &str,
        mended: bool,
        limit: usize,
    ) -> Result<Vec<ListedCause>, ClientError> {
        let now = self.own()?.now().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let causes = self.own()?.causes(prefix, mended, limit).await?;
        Ok(causes.into_iter().map(|cause| ListedCause::of(cause, now)).collect())
    }

    /// The only cause whose name begins so.
    ///
    /// # Errors
    /// When there is none, or there are several.
    pub async fn cause(&self, prefix: &str) -> Result<ListedCause, ClientError> {
        let mut found = self.causes(prefix, true, 2).await?;
        match (found.pop(), found.pop()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(ClientError::not_found(format!(
                "there is no cause {prefix}\nlist them with: syncdeck cause"
            ))),
            (Some(a), Some(b)) => Err(ClientError::refused(format!(
                "{prefix} may be {} or {}\nname more of it",
                b.group, a.group
            ))),
        }
    }

    /// Says whose a cause is; nobody's with nothing.
    ///
    /// # Errors
    /// When there is no such cause.
    pub async fn own_cause(&self, group: &str, owner: Option<&str>) -> Result<ListedCause, ClientError> {
        let owner = owner.map(str::trim).filter(|owner| !owner.is_empty());
        self.say(group, Say::Owner(owner.map(str::to_owned))).await
    }

    /// Says what is to be known about a cause; nothing takes the note away.
    ///
    /// # Errors
    /// When there is no such cause.
    pub async fn note_cause(&self, group: &str, note: Option<&str>) -> Result<ListedCause, ClientError> {
        let note = note.map(str::trim).filter(|note| !note.is_empty());
        self.say(group, Say::Note(note.map(str::to_owned))).await
    }

    /// Mutes a cause: alerts say nothing of it until then.
    ///
    /// # Errors
    /// When there is no such cause.
    pub async fn mute_cause(&self, group: &str, until: Until) -> Result<ListedCause, ClientError> {
        self.say(group, Say::Mute(until)).await
    }

    /// Ends a mute.
    ///
    /// # Errors
    /// When there is no such cause.
    pub async fn unmute_cause(&self, group: &str) -> Result<ListedCause, ClientError> {
        self.say(group, Say::Unmute).await
    }

    /// Who asks, as an owner is named.
    pub fn operator_name(&self) -> &str {
        &self.operator.actor
    }

    async fn say(&self, group: &str, say: Say) -> Result<ListedCause, ClientError> {
        let none = || {
            ClientError::not_found(format!(
                "there is no cause {group}, or the engine has not looked at it yet\nlist them with: syncdeck cause"
            ))
        };
        let cause = self.own()?.say_of_cause(group, &say, &self.operation()).await?.ok_or_else(none)?;
        Ok(ListedCause::of(cause, self.own()?.now().await?))
    }
}
