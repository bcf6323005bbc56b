//! What operators say about causes of errors: whose one is, a note, and that it is muted. Each stands in the audit.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::errors::cause::{Cause, Mute, Until};
use crate::domain::operations::operation::Operation;

use crate::postgres::errors::causes::lock_cause;
use crate::postgres::{Error, ErrorContext, Store};

/// What is said about a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// It is this person's, or nobody's.
    Owner(Option<String>),
    /// This is to be known about it, or nothing.
    Note(Option<String>),
    /// It is muted until then.
    Mute(Until),
    /// It is muted no more.
    Unmute,
}

impl Say {
    /// The word for it in the audit.
    fn action(&self) -> &'static str {
        match self {
            Say::Owner(_) => "owned a cause",
            Say::Note(_) => "noted a cause",
            Say::Mute(_) => "muted a cause",
            Say::Unmute => "unmuted a cause",
        }
    }

    /// The cause as it is then.
    fn said(&self, of: &Cause, by: &str, now: DateTime<Utc>) -> Cause {
        let cause = of.clone();
        match self {
            Say::Owner(owner) => Cause { owner: owner.clone(), ..cause },
            Say::Note(note) => Cause { note: note.clone(), ..cause },
            Say::Mute(until) => Cause { mute: Some(Mute::of(&cause.course, *until, by, now)), ..cause },
            Say::Unmute => Cause { mute: None, ..cause },
        }
    }

    /// What of it the audit has.
    fn shown(&self, of: &Cause) -> Value {
        match self {
            Say::Owner(_) => json!({"owner": of.owner}),
            Say::Note(_) => json!({"note": of.note}),
            Say::Mute(_) | Say::Unmute => {
                json!({"muted": of.mute.as_ref().map(|mute| mute.until.to_string())})
            }
        }
    }
}

impl Store {
    /// Says something about a cause. `None` when there is none of that name; nothing is written when it is so already.
    pub async fn say_of_cause(
        &self,
        fingerprint: &str,
        say: &Say,
        operation: &Operation,
    ) -> Result<Option<Cause>, Error> {
        let now = self.now().await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to say something about a cause")?;
        let Some(before) = lock_cause(&transaction, fingerprint).await? else { return Ok(None) };
        let after = say.said(&before, &operation.operator.actor, now);
        if after == before {
            return Ok(Some(after));
        }
        transaction
            .execute(
                "UPDATE syncdeck.cause SET owner = $2, note = $3, mute = $4 WHERE fingerprint = $1",
                &[&fingerprint, &after.owner, &after.note, &after.mute.as_ref().map(|mute| json!(mute))],
            )
            .await
            .context("say something about a cause")?;
        let mut told = say.shown(&after);
        told["cause"] = json!(format!("{} {fingerprint}", before.code));
        transaction
            .execute(
                "INSERT INTO syncdeck.audit (actor, origin, why, action, mapping, table_name, before, after)
                 VALUES ($1, $2, $3, $4, $5, '', $6, $7)",
                &[
                    &operation.operator.actor,
                    &operation.operator.origin,
                    &operation.why,
                    &say.action(),
                    &before.mapping,
                    &say.shown(&before),
                    &told,
                ],
            )
            .await
            .context("write the audit")?;
        transaction.commit().await.context("finish saying something about a cause")?;
        let _ = self.notify("errors").await;
        Ok(Some(after))
    }
}
