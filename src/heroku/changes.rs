//! What a connection is told to do: only one that was seen to keep the tables that are looked at.

use reqwest::Method;

use crate::domain::attached::told::{NotificationFilter, ToldConnection};

use super::shapes::Details;
use super::{Client, ConnectionAction, Error, Place, asked, mapping_id};

/// A connection that keeps the tables that are looked at, as it stood just now.
pub struct Proven<'a> {
    client: &'a Client,
    place: Place,
    details: Details,
}

impl Client {
    /// The connection, to be told what to do.
    ///
    /// # Errors
    /// See [`Error`]: also where nothing may be changed, and where it is not known whose tables it keeps.
    pub async fn proven(&self) -> Result<Proven<'_>, Error> {
        if self.access.read_only {
            return Err(Error::ReadOnly);
        }
        let (place, details) = self.details().await?;
        if !self.compare(&place, &details)? {
            return Err(Error::Unproven { app: self.access.app.clone(), resource: place.resource });
        }
        Ok(Proven { client: self, place, details })
    }
}

impl Proven<'_> {
    /// How it stood.
    pub fn told(&self) -> ToldConnection {
        self.details.told(&self.client.access.app, &self.place.resource)
    }

    /// Has it do something.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn act(&self, action: ConnectionAction) -> Result<(), Error> {
        self.post(&format!("/api/v3/connections/{}/actions/{}", self.place.id, action.word()), &[]).await
    }

    /// Has a mapping's table emptied, and loaded again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn reload(&self, object: &str) -> Result<(), Error> {
        let id = mapping_id(&self.details, &self.place, object)?;
        self.post(&format!("/api/v3/mappings/{id}/actions/reload"), &[]).await
    }

    /// Acknowledges notifications.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn acknowledge(&self, filter: &NotificationFilter) -> Result<(), Error> {
        let path = format!("/api/v3/connections/{}/notifications/acknowledge", self.place.id);
        self.post(&path, &asked(filter)).await
    }

    async fn post(&self, path: &str, query: &[(&str, &str)]) -> Result<(), Error> {
        let url = self.client.at(&self.place, path, query)?;
        self.client.send(Method::POST, url, true).await.map(drop)
    }
}
