//! What only Heroku Connect's own API tells and does, for a database that it keeps: its list of write errors, what it wants people
//! to know, its checks, and a recovery. On a connection of ours each of them is refused.

use crate::domain::attached::refused::RefusedWrite;
use crate::domain::attached::told::{
    NotificationFilter, ToldCheck, ToldList, ToldNotification, ToldWriteError,
};

use super::api::{Client, ClientError};
use super::attached::session::Attached;

/// Said where syncdeck's own engine works.
const OWN: &str = "an engine of syncdeck keeps this connection: Heroku Connect has nothing to tell of it\n\
    this is for connections with engine = \"heroku-connect\"";

/// A list of Heroku Connect's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HerokuList {
    /// The writes of a day that Salesforce refused.
    WriteErrors,
    /// What it wants people to know, and nobody acknowledged.
    Notifications,
    /// Its checks of the connection and its mappings.
    Checks,
}

/// What is on one of them.
#[derive(Clone, Debug, PartialEq)]
pub enum HerokuListed {
    /// Refused writes, each beside its row.
    WriteErrors(ToldList<RefusedWrite>),
    /// Notifications.
    Notifications(ToldList<ToldNotification>),
    /// Checks, those that ask for something first.
    Checks(Vec<ToldCheck>),
}

impl HerokuListed {
    /// What of it did not come, where something did not.
    pub fn gap(&self) -> Option<String> {
        match self {
            HerokuListed::WriteErrors(told) => told.gap("write errors"),
            HerokuListed::Notifications(told) => told.gap("notifications"),
            HerokuListed::Checks(_) => None,
        }
    }
}

impl Client {
    /// One of Heroku Connect's own lists, as it is shown.
    ///
    /// # Errors
    /// When its API cannot be asked or does not answer.
    pub async fn heroku_list(&self, list: HerokuList) -> Result<HerokuListed, ClientError> {
        Ok(match list {
            HerokuList::WriteErrors => {
                let told = self.heroku_write_errors(None).await?;
                HerokuListed::WriteErrors(self.heroku()?.beside_rows(told).await)
            }
            HerokuList::Notifications => {
                HerokuListed::Notifications(self.heroku_notifications(&NotificationFilter::default()).await?)
            }
            HerokuList::Checks => {
                let mut checks = self.diagnose_heroku(None).await?;
                checks.sort_by_key(|check| check.outcome);
                HerokuListed::Checks(checks)
            }
        })
    }

    /// Whether Heroku Connect keeps the database.
    pub fn is_attached(&self) -> bool {
        self.beside_heroku().is_some()
    }

    /// Whether Heroku Connect's API can be asked at all.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn heroku_is_there(&self) -> Result<(), ClientError> {
        self.heroku()?.heroku.client().map(drop)
    }

    /// Waits for an answer of Heroku Connect's API, where it is to be asked at all; the next overview has it, or why there is none.
    pub async fn ask_heroku(&self) {
        if let Some(attached) = self.beside_heroku() {
            attached.heroku.ask().await;
        }
    }

    /// Waits like that, but not long: for whoever looks at the database besides.
    pub async fn glance_at_heroku(&self) {
        if let Some(attached) = self.beside_heroku() {
            attached.heroku.glance().await;
        }
    }

    /// Which Heroku Connect is told what to do, for whoever is asked before: `herokuconnect-angular-12345 of acme-prod`.
    ///
    /// # Errors
    /// When its API cannot be asked or does not answer, and when it keeps other tables.
    pub async fn heroku_name(&self) -> Result<String, ClientError> {
        Ok(self.heroku()?.heroku.client()?.connection().await?.whose())
    }

    fn heroku(&self) -> Result<&Attached, ClientError> {
        self.beside_heroku().ok_or_else(|| ClientError::refused(OWN))
    }

    /// A mapping's table by its object or table, as Heroku Connect's API is asked for it.
    async fn heroku_object(&self, mapping: Option<&str>) -> Result<Option<String>, ClientError> {
        let Some(name) = mapping else { return Ok(None) };
        Ok(Some(self.heroku()?.mapping(name).await?.table))
    }

    /// The writes of a day that Salesforce refused, as Heroku Connect lists them.
    ///
    /// # Errors
    /// When its API cannot be asked or does not answer, and when there is no such mapping.
    pub async fn heroku_write_errors(
        &self,
        mapping: Option<&str>,
    ) -> Result<ToldList<ToldWriteError>, ClientError> {
        let object = self.heroku_object(mapping).await?;
        Ok(self.heroku()?.heroku.client()?.write_errors(object.as_deref()).await?)
    }

    /// What Heroku Connect wants people to know, and nobody acknowledged.
    ///
    /// # Errors
    /// When its API cannot be asked or does not answer.
    pub async fn heroku_notifications(
        &self,
        filter: &NotificationFilter,
    ) -> Result<ToldList<ToldNotification>, ClientError> {
        Ok(self.heroku()?.heroku.client()?.notifications(filter).await?)
    }

    /// Acknowledges that. Returns what was done, in a sentence.
    ///
    /// # Errors
    /// When its API cannot be asked, does not answer, or refuses it.
    pub async fn acknowledge_heroku(&self, filter: &NotificationFilter) -> Result<String, ClientError> {
        self.heroku()?.acknowledge(filter, &self.operation()).await
    }

    /// Heroku Connect's own checks: of one mapping, or of the connection with all of them, which takes a while.
    ///
    /// # Errors
    /// When its API cannot be asked or does not answer, and when there is no such mapping.
    pub async fn diagnose_heroku(&self, mapping: Option<&str>) -> Result<Vec<ToldCheck>, ClientError> {
        let object = self.heroku_object(mapping).await?;
        Ok(self.heroku()?.heroku.client()?.diagnose(object.as_deref()).await?)
    }

    /// Has Heroku Connect begin again after an error. Returns what was done, in a sentence.
    ///
    /// # Errors
    /// When its API cannot be asked, does not answer, or refuses it.
    pub async fn recover_heroku(&self) -> Result<String, ClientError> {
        self.heroku()?.recover(&self.operation()).await
    }

    /// Whether Heroku Connect can let writes rest or go on like that; a connection of ours can.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn takes_writes(
        &self,
        mapping: Option<&str>,
        to: crate::domain::reports::overview::Writes,
    ) -> Result<(), ClientError> {
        self.beside_heroku().map_or(Ok(()), |attached| attached.takes_writes(mapping, to))
    }

    /// Whether records can be read again at all; on a connection of ours they can.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn takes_reload(&self) -> Result<(), ClientError> {
        if self.is_attached() { self.heroku_is_there() } else { Ok(()) }
    }
}
