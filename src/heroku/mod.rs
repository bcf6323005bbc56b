//! The only room that speaks the API of Heroku Connect itself: how a connection and its mappings stand, and what an operator has
//! them do. Whose database it is beside is the business of `client::attached`.
//!
//! A [`Client`] looks the app's connection up once, at Heroku's central address, and asks the region that this names from then
//! on. It sends each request once, follows no redirect, and takes its key to Heroku's own addresses only. What an answer says
//! is made harmless for a terminal here, and nothing of an answer that is none of the API's is shown.

mod answer;
mod changes;
mod error;
mod pages;
mod shapes;

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::domain::attached::told::{
    NotificationFilter, ToldCheck, ToldConnection, ToldList, ToldNotification, ToldWriteError,
};
use crate::domain::values::address::OrgAddress;

use answer::Sent;
pub use changes::Proven;
pub use error::Error;
use shapes::{Details, Found, Notification, Ticket, WriteError};

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Between two looks whether a diagnosis is done.
const PAUSE: Duration = Duration::from_millis(500);
/// How long that is waited for.
const DIAGNOSIS: Duration = Duration::from_secs(300);
/// Write errors or notifications in one answer.
const PAGE: &str = "1000";
/// The longest id that becomes a part of an address.
const ID: usize = 64;

/// The connections that are meant: those that keep a database and an org in step.
const SYNC: (&str, &str) = ("addon_type", "1");
/// What tells orgs apart: an id has these characters, or three more that follow from them.
const ORG: usize = 15;

/// Whose tables are looked at, as the database tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDatabase {
    /// The database's name.
    pub database: String,
    /// The id of the org that its tables are of, where that is known.
    pub org: Option<String>,
}

/// Which connection, and how it is asked for.
#[derive(Clone, Debug)]
pub struct ApiAccess {
    /// The app that has the add-on.
    pub app: String,
    /// The add-on, where the app has several.
    pub resource: Option<String>,
    /// The schema that it must keep.
    pub schema: String,
    /// Where connections are looked up.
    pub api_url: OrgAddress,
    /// The environment variable or the file that the key comes from, for messages.
    pub key_place: String,
    /// Heroku's API key.
    pub key: SecretString,
    /// Whether nothing may be changed.
    pub read_only: bool,
}

/// What a connection is made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionAction {
    /// What it has begun is finished; changes are captured, and wait.
    Pause,
    /// It goes on.
    Resume,
    /// It begins again after an error.
    Restart,
}

impl ConnectionAction {
    fn word(self) -> &'static str {
        match self {
            ConnectionAction::Pause => "pause",
            ConnectionAction::Resume => "resume",
            ConnectionAction::Restart => "restart",
        }
    }
}

/// Where the connection is.
#[derive(Clone, Debug)]
struct Place {
    region: OrgAddress,
    id: String,
    resource: String,
}

/// A client of one connection's API. Shared by reference.
pub struct Client {
    http: reqwest::Client,
    access: ApiAccess,
    timeout: Duration,
    /// Whose tables the connection must keep.
    kept: Option<KeptDatabase>,
    /// Where the connection was found.
    place: Mutex<Option<Place>>,
    /// Whether the key's account asked to be let in.
    asked_in: AtomicBool,
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// When TLS cannot be set up, and for a key that cannot be one.
    pub fn new(access: ApiAccess) -> Result<Client, Error> {
        let key = access.key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::NoKey { place: access.key_place, problem: "holds no API key" });
        }
        let http = reqwest::Client::builder();
        // Plain http is for this machine alone: a proxy would see the key.
        let plain = access.api_url.to_string().starts_with("http://");
        let http = if plain { http.no_proxy() } else { http };
        let http = http
            .connect_timeout(Duration::from_secs(10))
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("syncdeck/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Unreachable {
                host: access.api_url.host(),
                cause: answer::root_cause(&error),
            })?;
        let (kept, place, asked_in) = (None, Mutex::default(), AtomicBool::default());
        Ok(Client { http, access, timeout: TIMEOUT, kept, place, asked_in })
    }

    /// The same client, with another patience.
    pub fn patient_for(self, timeout: Duration) -> Client {
        Client { timeout, ..self }
    }

    /// The same client, for the connection that keeps these tables: another one is refused.
    pub fn of_database(self, kept: KeptDatabase) -> Client {
        Client { kept: Some(kept), ..self }
    }

    /// Where connections are looked up, for messages.
    pub fn host(&self) -> String {
        self.access.api_url.host()
    }

    /// The app whose connection it is.
    pub fn app(&self) -> &str {
        &self.access.app
    }

    /// How the connection and its mappings stand.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn connection(&self) -> Result<ToldConnection, Error> {
        let (place, details) = self.details().await?;
        Ok(details.told(&self.access.app, &place.resource))
    }

    /// The writes of a day that Salesforce refused: of one mapping, or of all; where not all came, the list says why.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn write_errors(&self, object: Option<&str>) -> Result<ToldList<ToldWriteError>, Error> {
        let (place, details) = self.details().await?;
        let path = match object {
            Some(object) => format!("/api/v3/mappings/{}/errors", mapping_id(&details, &place, object)?),
            None => format!("/api/v3/connections/{}/errors", place.id),
        };
        let first = self.at(&place, &path, &[("page_size", PAGE)])?;
        self.listed(first, |error: WriteError| error.told(), |told| told.id.clone()).await
    }

    /// What nobody has acknowledged yet; where not all came, the list says why.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn notifications(
        &self,
        filter: &NotificationFilter,
    ) -> Result<ToldList<ToldNotification>, Error> {
        let (place, _) = self.details().await?;
        let path = format!("/api/v3/connections/{}/notifications", place.id);
        let first = self.at(&place, &path, &asked(filter))?;
        self.listed(first, |notification: Notification| notification.told(), |told| told.id.clone()).await
    }

    /// Heroku Connect's own checks: of one mapping, or of the connection with all of them, which takes a while.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn diagnose(&self, object: Option<&str>) -> Result<Vec<ToldCheck>, Error> {
        let (place, details) = self.details().await?;
        if let Some(object) = object {
            let path = format!("/api/v3/mappings/{}/validations", mapping_id(&details, &place, object)?);
            let told: shapes::Validations = self.read(self.at(&place, &path, &[])?).await?;
            return Ok(told.told(Some(object)));
        }
        let path = format!("/api/v3/connections/{}/validations", place.id);
        let begun = self.send(Method::POST, self.at(&place, &path, &[])?, false).await?;
        let ticket: Ticket = self.shaped(&place.region, begun.body)?;
        let result = self.within(&place, &ticket.result_url)?;
        let late = Error::Slow { host: place.region.host(), seconds: DIAGNOSIS.as_secs(), changes: false };
        tokio::time::timeout(DIAGNOSIS, self.diagnosed(&place, result)).await.unwrap_or(Err(late))
    }

    /// What a diagnosis found, once it is done.
    async fn diagnosed(&self, place: &Place, result: Url) -> Result<Vec<ToldCheck>, Error> {
        loop {
            let answer = self.send(Method::GET, result.clone(), false).await?;
            if answer.status != StatusCode::ACCEPTED {
                let told: shapes::Validations = self.shaped(&place.region, answer.body)?;
                return Ok(told.told(None));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The connection with its mappings; one that is not where it was is looked up again with the next request.
    async fn details(&self) -> Result<(Place, Details), Error> {
        let place = self.place().await?;
        let url = self.at(&place, &format!("/api/v3/connections/{}", place.id), &[("deep", "true")])?;
        let read = self.read::<Details>(url).await;
        if matches!(read, Err(Error::Refused { status: 404, .. } | Error::NoAccess { .. })) {
            *self.place.lock().await = None;
        }
        let details = read?;
        let kept = details.schema();
        if kept != self.access.schema {
            let wanted = self.access.schema.clone();
            return Err(Error::OtherSchema { resource: place.resource, kept, wanted });
        }
        self.compare(&place, &details)?;
        Ok((place, details))
    }

    /// Whether the connection can be told apart from that of other tables; one that is another's is refused.
    fn compare(&self, place: &Place, details: &Details) -> Result<bool, Error> {
        let Some(here) = &self.kept else { return Ok(false) };
        let org = |id: String| id.chars().take(ORG).collect::<String>();
        let both = [
            ("database", details.database(), Some(here.database.clone())),
            ("org", details.org().map(org), here.org.clone().map(org)),
        ];
        let mut compared = false;
        for (what, kept, wanted) in both {
            let (Some(kept), Some(wanted)) = (kept, wanted) else { continue };
            if kept != wanted {
                let (app, resource) = (self.access.app.clone(), place.resource.clone());
                return Err(Error::OtherDatabase { app, resource, what, kept, wanted });
            }
            compared = true;
        }
        Ok(compared)
    }

    /// Where the connection is, looked up once.
    async fn place(&self) -> Result<Place, Error> {
        let mut held = self.place.lock().await;
        if let Some(place) = &*held {
            return Ok(place.clone());
        }
        let place = self.look_up().await?;
        *held = Some(place.clone());
        Ok(place)
    }

    /// Finds the app's connection. Whoever may see the app, and has never asked here, is let in first, as Heroku's own program
    /// does it.
    async fn look_up(&self) -> Result<Place, Error> {
        let searched = self.search().await;
        let found = match searched {
            Ok(found) => found,
            // Who is not let in may be told so, or that there is nothing.
            Err(Error::NoAccess { .. }) if self.may_ask_in() => Vec::new(),
            Err(error) => return Err(self.of_app(error)),
        };
        if !found.is_empty() || !self.may_ask_in() {
            return self.chosen(found);
        }
        self.ask_in().await?;
        self.chosen(self.search().await.map_err(|error| self.of_app(error))?)
    }

    /// The app's connections, as far as the key's account may see them.
    async fn search(&self) -> Result<Vec<Found>, Error> {
        let app = self.access.app.as_str();
        let mut wanted = vec![("app", app), SYNC];
        wanted.extend(self.access.resource.as_deref().map(|resource| ("resource_name", resource)));
        let first = self.central("connections", &wanted)?;
        let (found, failed) = self.pages(first, |found: Found| found, Found::key).await?;
        let all: Vec<Found> = found.items.into_iter().filter(|found| !found.is_of_another(app)).collect();
        let named = self.access.resource.as_deref();
        let is_named = |found: &Found| named.is_some_and(|named| found.resource() == named);
        // Among those that were not read may be the one that is meant, or another one; only who is named is known.
        match (failed, found.unread) {
            _ if all.iter().any(is_named) => Ok(all),
            (Some(error), _) => Err(error),
            (None, Some(cause)) => Err(Error::Unusable { host: self.host(), cause }),
            (None, None) => Ok(all),
        }
    }

    /// Whether it may be asked to be let in: once, for that is noted there.
    fn may_ask_in(&self) -> bool {
        !self.access.read_only && !self.asked_in.load(Ordering::Relaxed)
    }

    /// Asks to be let in. What that tells of connections is of all that the account may see, and nothing is made of it.
    async fn ask_in(&self) -> Result<(), Error> {
        let url = self.central(&format!("auth/{}", self.access.app), &[SYNC])?;
        let asked = self.send(Method::POST, url, false).await;
        // Whoever gives up before there is an answer asks again.
        if !matches!(asked, Err(Error::Unreachable { .. } | Error::Limited { .. })) {
            self.asked_in.store(true, Ordering::Relaxed);
        }
        asked.map(drop).map_err(|error| self.of_app(error))
    }

    /// What is not found while an app is looked up is the app.
    fn of_app(&self, error: Error) -> Error {
        match error {
            Error::Refused { status: 404, .. } => Error::NoApp { app: self.access.app.clone() },
            error => error,
        }
    }

    /// The one connection that is meant.
    fn chosen(&self, found: Vec<Found>) -> Result<Place, Error> {
        let app = self.access.app.clone();
        let wanted = self.access.resource.as_deref();
        let mut meant: Vec<Found> = found
            .into_iter()
            .filter(|found| wanted.is_none_or(|wanted| found.resource() == wanted))
            .collect();
        match (meant.pop(), meant.is_empty()) {
            (Some(one), true) => self.place_of(&one),
            (Some(one), false) => {
                let all = meant.iter().map(Found::resource).chain([one.resource()]).collect();
                Err(Error::Several { app, resources: all })
            }
            (None, _) => Err(Error::NoConnection { app, resource: self.access.resource.clone() }),
        }
    }

    /// Where a connection that was found is: at an address of Heroku's, with an id that is one.
    fn place_of(&self, found: &Found) -> Result<Place, Error> {
        let hub = &self.access.api_url;
        let unusable = |cause: &str| Error::Unusable { host: hub.host(), cause: cause.to_owned() };
        let (region, id) =
            found.place().ok_or_else(|| unusable("it does not say where the connection is"))?;
        let region = hub.of_region(&region).map_err(|why| {
            unusable(&format!("the region that it names {why}: the API key does not go there"))
        })?;
        if !is_id(&id) {
            return Err(unusable("the connection's id is none"));
        }
        Ok(Place { region, id, resource: found.resource() })
    }

    /// An address of the central server.
    fn central(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Error> {
        self.address(&self.access.api_url, &format!("/{path}"), query)
    }

    /// An address of the connection's region.
    fn at(&self, place: &Place, path: &str, query: &[(&str, &str)]) -> Result<Url, Error> {
        self.address(&place.region, path, query)
    }

    fn address(&self, host: &OrgAddress, path: &str, query: &[(&str, &str)]) -> Result<Url, Error> {
        let unusable = |why: url::ParseError| Error::Unusable { host: host.host(), cause: why.to_string() };
        let base = host.to_string();
        if query.is_empty() {
            return Url::parse(&format!("{base}{path}")).map_err(unusable);
        }
        Url::parse_with_params(&format!("{base}{path}"), query).map_err(unusable)
    }

    /// An address that the region's answer names: it must be the region's own.
    fn within(&self, place: &Place, told: &str) -> Result<Url, Error> {
        let base = Url::parse(&place.region.to_string()).ok();
        let url = base.as_ref().and_then(|base| base.join(told).ok());
        let same = |url: &Url| base.as_ref().is_some_and(|base| base.origin() == url.origin());
        url.filter(same).ok_or_else(|| Error::Unusable {
            host: place.region.host(),
            cause: "it names an address that is not its own: the API key does not go there".to_owned(),
        })
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, url: Url) -> Result<T, Error> {
        let host = host_of(&url);
        let answer = self.send(Method::GET, url, false).await?;
        shapes::shaped(answer.body).map_err(|cause| Error::Unusable { host, cause })
    }

    fn shaped<T: serde::de::DeserializeOwned>(&self, host: &OrgAddress, body: Value) -> Result<T, Error> {
        shapes::shaped(body).map_err(|cause| Error::Unusable { host: host.host(), cause })
    }

    /// Sends a request once; what is not success is an error.
    async fn send(&self, method: Method, url: Url, changes: bool) -> Result<answer::ApiAnswer, Error> {
        let host = host_of(&url);
        let request = self
            .http
            .request(method, url)
            .timeout(self.timeout)
            .bearer_auth(self.access.key.expose_secret())
            .header(ACCEPT, "application/json")
            .header(reqwest::header::CONTENT_TYPE, "application/json");
        answer::of(request, &host, &self.access, Sent { timeout: self.timeout, changes }).await
    }
}

/// The id of an object's mapping, as a part of an address.
fn mapping_id(details: &Details, place: &Place, object: &str) -> Result<String, Error> {
    let told = details.told("", &place.resource);
    let Some(mapping) = told.mapping(object) else {
        let known = told.mappings.into_iter().map(|mapping| mapping.object).collect();
        return Err(Error::NoMapping { object: object.to_owned(), known });
    };
    if is_id(&mapping.id) {
        return Ok(mapping.id.clone());
    }
    let cause = format!("the id of the mapping {} is none", mapping.object);
    Err(Error::Unusable { host: place.region.host(), cause })
}

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.len() <= ID && text.bytes().all(plain)
}

fn asked(filter: &NotificationFilter) -> Vec<(&str, &str)> {
    let given = [("after", &filter.after), ("before", &filter.before), ("event_type", &filter.event_type)];
    let given = given.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    given.chain([("page_size", PAGE)]).collect()
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Several names in a sentence.
fn listed<T: Display>(names: &[T]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
