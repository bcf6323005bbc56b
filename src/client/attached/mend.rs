//! What a person does to one row.

use chrono::{DateTime, Utc};

use crate::client::error::ClientError;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::errors::suggested_fix::SuggestedFix;
use crate::domain::names::RowRef;
use crate::domain::records::record::FieldEdit;
use crate::postgres::attached::asked::Mend;

use super::session::{Attached, beside};

/// An error as it was seen: its number, and when it was seen last.
type AsSeen = (i64, DateTime<Utc>);

impl Attached {
    /// Changes fields of a row, and has what failed of it sent again.
    ///
    /// # Errors
    /// When the row or its error is not as it was shown, or nothing would reach Salesforce.
    pub(in crate::client) async fn mend(
        &self,
        at: &RowRef,
        fields: &[FieldEdit],
        retry: bool,
        seen: Option<AsSeen>,
    ) -> Result<(), ClientError> {
        let table = self.table(&at.table).await?;
        if let Some(why) = &table.unsent {
            return Err(ClientError::refused(format!(
                "{}: {why}\nmend the record in Salesforce",
                table.mapping.object
            )));
        }
        if let Some(unknown) = fields.iter().find(|edit| table.mapping.field(&edit.column).is_none()) {
            return Err(ClientError::invalid(format!(
                "{} has no mapped column {:?}",
                table.mapping.object, unknown.column
            )));
        }
        let picture = self.last_picture().await?;
        let error = picture.error_of(at).map(|error| error.id);
        let mend = Mend {
            mapping: &table.mapping,
            at,
            fields,
            retry,
            seen: seen.map(entry_of),
            mode: picture.mode,
            archive: picture.schema.archive.is_none(),
        };
        let done = self.store().attached_mend(&mend).await;
        // What it came to is to be seen at once, also where somebody else was quicker.
        self.look_again().await;
        done?;
        if let Some(error) = error.or(seen.map(|(id, _)| id)) {
            self.remember(error, at).await;
        }
        Ok(())
    }

    /// Has everybody stop asking about what failed of a row.
    ///
    /// # Errors
    /// When nothing of it failed, as far as the log goes.
    pub(in crate::client) async fn ignore(
        &self,
        at: &RowRef,
        seen: Option<AsSeen>,
    ) -> Result<(), ClientError> {
        let table = self.table(&at.table).await?;
        let picture = self.last_picture().await?;
        let mend = Mend {
            mapping: &table.mapping,
            at,
            fields: &[],
            retry: false,
            seen: seen.map(entry_of),
            mode: picture.mode,
            archive: picture.schema.archive.is_none(),
        };
        let done = self.store().attached_ignore(&mend).await;
        self.look_again().await;
        Ok(done?)
    }

    /// Does what a remedy says, and sends the row again.
    ///
    /// # Errors
    /// As [`Attached::mend`], and for what cannot be done here.
    pub(in crate::client) async fn apply(
        &self,
        at: &RowRef,
        action: &RemedyAction,
        offer: &SuggestedFix,
    ) -> Result<(), ClientError> {
        let seen = offer.against.map(|against| (against.error, against.seen));
        match action {
            action if action.sets_values() => self.mend(at, &offer.changes, true, seen).await,
            RemedyAction::Retry => self.mend(at, &[], true, seen).await,
            _ => Err(beside("this remedy needs an engine of syncdeck")),
        }
    }
}

/// The entry that an error is about; none where only the row tells of it.
fn entry_of((error, at): AsSeen) -> (Option<i64>, DateTime<Utc>) {
    (Some(error).filter(|error| *error <= i64::from(u32::MAX)), at)
}
