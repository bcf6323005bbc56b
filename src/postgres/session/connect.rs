//! The pool: connecting, TLS, and why it did not work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::{
    Connect, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use rand::seq::SliceRandom;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, SimpleQueryMessage};

use crate::postgres::session::stream::IdleTimeoutStream;
use crate::postgres::session::tls::{self, Tls};
use crate::postgres::session::url::{Address, ServerAddress, SessionKind};
use crate::postgres::{CHANNEL, Error, ErrorContext, Store, describe, quote};

/// Questions that a look for a pooler asks at once in each of two sessions.
const AT_ONCE: usize = 20;

/// What every session is set to: nothing of ours waits or stays open for long, times and numbers print one way.
fn session_settings(session: &Session) -> Vec<String> {
    let timeout = session.timeout.as_millis();
    // An engine that is frozen in the middle of a transaction must not hold users' rows for long.
    let short = timeout.min(10_000);
    let mut settings = vec![
        // Statements are planned once; one that was planned while the queue was empty must still be right when it holds
        // a million, and then a scan of the whole table is never right.
        "enable_seqscan = off".to_owned(),
        // The price that this puts on a small table would have each statement compiled, for 60 to 150 ms a time.
        "jit = off".to_owned(),
        format!("statement_timeout = {timeout}"),
        format!("lock_timeout = {short}"),
        format!("idle_in_transaction_session_timeout = {short}"),
        "timezone = 'UTC'".to_owned(),
        "datestyle = 'ISO'".to_owned(),
        "intervalstyle = 'postgres'".to_owned(),
        "extra_float_digits = 1".to_owned(),
        "bytea_output = 'hex'".to_owned(),
        // What stands between quotes in a statement ends where the quotes do.
        "standard_conforming_strings = on".to_owned(),
        // What operators write is captured, whatever the database has by default.
        "xmlbinary = 'base64'".to_owned(),
        "client_min_messages = warning".to_owned(),
        // An operator or a function that somebody made in a schema of the default path would be called with our rights,
        // where it fits the types of a statement better than PostgreSQL's own.
        format!("search_path = {OUR_PATH}"),
    ];
    if session.read_only {
        settings.push("default_transaction_read_only = on".to_owned());
    }
    settings
}

/// The same for one transaction, where a session is not ours for longer.
fn transaction_settings(session: &Session) -> String {
    let mut settings = session_settings(session);
    if session.read_only {
        // The other one is for transactions to come; it stays, for it is asked for.
        settings.push("transaction_read_only = on".to_owned());
    }
    settings.iter().map(|setting| format!("SET LOCAL {setting}")).collect::<Vec<_>>().join("; ")
}

/// What an engine's sessions are called, from before it looks at the schema until it has ended.
pub const ENGINE_SESSION: &str = "syncdeck engine";
/// Where names of ours are looked up: what stands elsewhere is named with its schema.
pub(in crate::postgres) const OUR_PATH: &str = "pg_catalog, pg_temp";
/// Where an application's are, unless it says otherwise: as the database or the role has it.
pub(in crate::postgres) const USERS_PATH: &str = "DEFAULT";

/// Between looks at what changed, where no notice comes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How sessions are made.
#[derive(Clone)]
pub(in crate::postgres) struct Connector {
    config: Config,
    address: Arc<Address>,
    tls: Tls,
    /// The longest that a statement may take.
    timeout: Duration,
}

/// A session, and what drives it.
type Made = (Client, Connection<IdleTimeoutStream, <Tls as MakeTlsConnect<IdleTimeoutStream>>::Stream>);

impl Connector {
    pub(in crate::postgres) fn config(&self) -> &Config {
        &self.config
    }

    /// A session with the first of the servers that takes one and is as it is wanted.
    async fn connect(&self) -> Result<Made, tokio_postgres::Error> {
        let mut targets = self.address.targets.clone();
        if self.address.shuffled {
            targets.shuffle(&mut rand::rng());
        }
        let mut tries: Vec<(SessionKind, ServerAddress)> = Vec::new();
        for wanted in match self.address.wanted {
            SessionKind::PreferStandby => vec![SessionKind::Standby, SessionKind::Any],
            wanted => vec![wanted],
        } {
            tries.extend(targets.iter().map(|target| (wanted, target.clone())));
        }
        let mut failure = None;
        for (wanted, target) in &tries {
            match self.connect_to(target).await {
                Ok(mut made) => match is_as_wanted(*wanted, &mut made).await {
                    Ok(true) => return Ok(made),
                    Ok(false) => {}
                    Err(error) => failure = Some(error),
                },
                // Who is refused by one server does not try the same at the others.
                Err(error) if error.code().is_some_and(is_refusal) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => {
                self.open(
                    IdleTimeoutStream::nowhere("no server of the URL is as target_session_attrs wants it"),
                    "",
                )
                .await
            }
        }
    }

    async fn connect_to(&self, target: &ServerAddress) -> Result<Made, tokio_postgres::Error> {
        let limit = self.config.get_connect_timeout().copied();
        let stream = IdleTimeoutStream::connect(target, &self.address.keeping, limit, self.timeout).await;
        // A socket of this machine needs no TLS, and has none.
        if matches!(target.host, Host::Unix(_)) && self.config.get_ssl_mode() != SslMode::Disable {
            let mut plain = self.clone();
            plain.config.ssl_mode(SslMode::Disable).ssl_negotiation(SslNegotiation::Postgres);
            return plain.open(stream, &target.name()).await;
        }
        self.open(stream, &target.name()).await
    }

    async fn open(&self, stream: IdleTimeoutStream, name: &str) -> Result<Made, tokio_postgres::Error> {
        let tls = match MakeTlsConnect::<IdleTimeoutStream>::make_tls_connect(&mut self.tls.clone(), name) {
            Ok(tls) => tls,
            Err(never) => match never {},
        };
        self.config.connect_raw(stream, tls).await
    }

    /// Whether a transaction pooler stands in front of the server: two sessions are one there, or one is several. Where
    /// one can connect only once, none does.
    async fn is_pooled(&self) -> Result<bool, Error> {
        let (first, second) =
            tokio::join!(Connect::connect(self, &self.config), Connect::connect(self, &self.config));
        let first = match first {
            Ok(first) => first,
            // It is waited for.
            Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => return Ok(false),
            Err(error) => return Err(explain(&self.config, &error)),
        };
        let Ok(second) = second else { return Ok(false) };
        // By turns, where a pooler gives each the server that the other has just left; and all at once, where it has so much
        // to do that each may meet the same one for a while.
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        for turn in 0..6 {
            let client = if turn % 2 == 0 { &first.0 } else { &second.0 };
            let Ok(Some(server)) = server_of(client).await else { return Ok(false) };
            seen[turn % 2].insert(server);
        }
        let many = |client| join_all((0..AT_ONCE).map(move |_| server_of(client)));
        let (of_first, of_second) = tokio::join!(many(&first.0), many(&second.0));
        seen[0].extend(of_first.into_iter().flatten().flatten());
        seen[1].extend(of_second.into_iter().flatten().flatten());
        Ok(seen.iter().any(|servers| servers.len() > 1) || !seen[0].is_disjoint(&seen[1]))
    }
}

/// The process of the server that answers.
async fn server_of(client: &tokio_postgres::Client) -> Result<Option<i32>, tokio_postgres::Error> {
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}

/// Whether a server is as `target_session_attrs` wants it.
async fn is_as_wanted(wanted: SessionKind, made: &mut Made) -> Result<bool, tokio_postgres::Error> {
    if wanted == SessionKind::Any {
        return Ok(true);
    }
    let (client, connection) = made;
    let query = client.simple_query("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')");
    let messages = tokio::select! {
        messages = query => messages?,
        // It ended before it answered.
        end = connection => return end.map(|()| false),
    };
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
        _ => None,
    });
    Ok(row.is_some_and(|(standby, read_only)| match wanted {
        SessionKind::ReadWrite => !read_only && !standby,
        SessionKind::ReadOnly => read_only || standby,
        SessionKind::Primary => !standby,
        SessionKind::Standby => standby,
        SessionKind::Any | SessionKind::PreferStandby => true,
    }))
}

/// Whether a server refused who asks, and not only at this moment.
fn is_refusal(code: &SqlState) -> bool {
    [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
    ]
    .contains(code)
}

impl Connect for Connector {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async move {
            let (client, connection) = Connector::connect(self).await?;
            let task = tokio::spawn(async move {
                // Whoever waits for an answer hears of its end.
                let _ = connection.await;
            });
            Ok((client, task))
        })
    }
}

/// How a program keeps its sessions.
#[derive(Clone, Debug)]
pub struct Session {
    /// What it is called in `pg_stat_activity`.
    pub application: String,
    /// The longest that a statement may take.
    pub timeout: Duration,
    /// How many it has at most, without the one that listens.
    pub connections: usize,
    /// Whether PostgreSQL itself is to refuse every write.
    pub read_only: bool,
}

impl Session {
    /// Those of an engine.
    pub fn new(application: &str, timeout: Duration) -> Session {
        Session { application: application.to_owned(), timeout, connections: 16, read_only: false }
    }

    /// Those of a person at a console: two, whose statements end before patience does.
    pub fn of_console(timeout: Duration, read_only: bool) -> Session {
        let timeout = timeout.min(Duration::from_secs(15));
        Session { application: "syncdeck console".to_owned(), timeout, connections: 2, read_only }
    }
}

impl Store {
    /// As [`Store::open`], as an engine does.
    ///
    /// # Errors
    /// The text names the server and what to do.
    pub async fn connect(
        url: &str,
        schema: &str,
        application: &str,
        timeout: Duration,
    ) -> Result<Store, Error> {
        Store::open(url, schema, &Session::new(application, timeout)).await
    }

    /// Whether its sessions refuse every write.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Connects, and makes sure that it works. Waits up to 10 s for a server that is just starting. A statement may
    /// take as long as the session says; a server that is silent for a little longer counts as gone.
    ///
    /// # Errors
    /// The text names the server and what to do.
    pub async fn open(url: &str, schema: &str, session: &Session) -> Result<Store, Error> {
        let address = Address::read(url, &session.application).map_err(Error::Connect)?;
        let tls = tls::connector(&address.tls).map_err(Error::Connect)?;
        let config = address.config.clone();
        let dial = Connector { config, address: Arc::new(address), tls, timeout: session.timeout };
        let pooled = dial.is_pooled().await?.then(|| transaction_settings(session).into());
        let pool = pool(&dial, session, pooled.is_some())?;
        let read_only = session.read_only;
        let (schema_name, schema) = (schema.to_owned(), quote(schema));
        let grouping = Arc::default();
        let store = Store { pool, dial, read_only, pooled, schema_name, schema, grouping };
        store.wait_until_up().await?;
        Ok(store)
    }

    /// The same database by one session of its own, whose statements may take this long.
    pub(crate) fn with_patience(&self, timeout: Duration) -> Result<Store, Error> {
        let dial = Connector { timeout, ..self.dial.clone() };
        let application = dial.config.get_application_name().unwrap_or_default().to_owned();
        let session = Session { application, timeout, connections: 1, read_only: self.read_only };
        let pool = pool(&dial, &session, self.pooled.is_some())?;
        let pooled = self.pooled.as_ref().map(|_| transaction_settings(&session).into());
        Ok(Store { pool, dial, pooled, ..self.clone() })
    }

    /// The database and its server as people name them, without a password.
    pub fn place(&self) -> String {
        let config = self.dial.config();
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
        format!("database {database:?} at {}", place(config))
    }

    /// Whether the other one is the same schema of the same database, however their addresses are written.
    ///
    /// # Errors
    /// When one of both cannot be asked.
    pub async fn is_same(&self, other: &Store) -> Result<bool, Error> {
        Ok(self.schema_name == other.schema_name && self.identity().await? == other.identity().await?)
    }

    /// Which database of which server, as long as that one runs.
    async fn identity(&self) -> Result<(DateTime<Utc>, u32), Error> {
        let sql =
            "SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()";
        let client = self.client().await?;
        let row = client.query_one(sql, &[]).await.context("tell which database this is")?;
        Ok((row.get(0), row.get(1)))
    }

    async fn wait_until_up(&self) -> Result<(), Error> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            match self.pool.get().await {
                Ok(_) => return Ok(()),
                Err(error) if is_starting(&error) && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(explain_pool(self.dial.config(), &error)),
            }
        }
    }

    /// A session of its own whose statements may take that long, and wait for locks as long; nothing else is set.
    pub(in crate::postgres) async fn patient_session(&self, timeout: Duration) -> Result<Client, Error> {
        let dial = Connector { timeout, ..self.dial.clone() };
        let connected = Connect::connect(&dial, dial.config()).await;
        let (client, _) = connected.map_err(|error| explain(dial.config(), &error))?;
        // What is set behind a pooler stays there, with whoever comes next.
        if self.pooled.is_none() {
            let sql = format!(
                "SET statement_timeout = {}; SET lock_timeout = 0; SET search_path = {OUR_PATH}",
                timeout.as_millis()
            );
            client.batch_execute(&sql).await.map_err(|error| explain(dial.config(), &error))?;
        }
        Ok(client)
    }

    /// Listens for notices on a connection of its own until it breaks; then the receiver ends. Behind a transaction pooler
    /// no notice comes; there, everybody is told every second to look.
    pub async fn listen(&self) -> Result<mpsc::Receiver<String>, Error> {
        if self.pooled.is_some() {
            return Ok(self.look_again());
        }
        let (client, mut connection) =
            self.dial.connect().await.map_err(|error| explain(&self.dial.config, &error))?;
        let (sender, receiver) = mpsc::channel(256);
        let heard = sender.clone();
        tokio::spawn(async move {
            let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notice) = message
                    && heard.send(notice.payload().to_owned()).await.is_err()
                {
                    return;
                }
            }
        });
        client
            .batch_execute(&format!("LISTEN {CHANNEL}"))
            .await
            .map_err(|source| Error::Sql { what: "listen for changes", source })?;
        // The session lives as long as its client, which this task keeps until the receiver ends. Now and then it
        // asks for a sign of life, for the silence of this connection is not suspicious in itself.
        let pause = self.dial.timeout / 2;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => if client.batch_execute("").await.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        Ok(receiver)
    }
}

impl Store {
    /// Notices that say no more than to look, as long as the server answers.
    fn look_again(&self) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel(256);
        let store = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = sender.closed() => return,
                }
                let Ok(client) = store.client().await else { return };
                if client.query("SELECT", &[]).await.is_err() {
                    return;
                }
                for notice in ["errors", "overview", "log"] {
                    // Whoever has not read the last ones yet will look anyway.
                    let _ = sender.try_send(notice.to_owned());
                }
            }
        });
        receiver
    }
}

/// Sessions that are made when they are needed.
fn pool(dial: &Connector, session: &Session, pooled: bool) -> Result<Pool, Error> {
    let manager = Manager::from_connect(
        dial.config.clone(),
        dial.clone(),
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let settings: String =
        session_settings(session).iter().map(|setting| format!("SET {setting};")).collect();
    Pool::builder(manager)
        .max_size(session.connections)
        .runtime(Runtime::Tokio1)
        // Whoever waits for a session longer than a statement may take waits in vain.
        .wait_timeout(Some(session.timeout))
        .post_create(Hook::async_fn(move |client, _| {
            let settings = settings.clone();
            Box::pin(async move {
                // What is set behind a pooler stays there, with whoever comes next.
                if pooled {
                    Ok(())
                } else {
                    client.batch_execute(&settings).await.map_err(HookError::Backend)
                }
            })
        }))
        .build()
        .map_err(|error| Error::Connect(format!("cannot make a connection pool: {error}")))
}

/// Which database a URL names, by hosts, ports and name, and by nothing secret; empty where it is none.
pub fn database_of(url: &str) -> String {
    let Ok(Address { config, .. }) = Address::read(url, "") else { return String::new() };
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.to_lowercase(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}:{:?}/{database}", hosts.join(","), config.get_ports())
}

fn is_starting(error: &PoolError) -> bool {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            error.code() == Some(&SqlState::CANNOT_CONNECT_NOW)
        }
        _ => false,
    }
}

/// The innermost cause of a driver error, which holds the useful words.
pub(in crate::postgres) fn root_cause(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

pub(in crate::postgres) fn explain_pool(config: &Config, error: &PoolError) -> Error {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            explain(config, error)
        }
        other => Error::Connect(format!("no connection to PostgreSQL at {}: {other}", place(config))),
    }
}

/// Says who refused and what to do about it. The URL is not repeated: it may hold a password.
fn explain(config: &Config, error: &tokio_postgres::Error) -> Error {
    let place = place(config);
    let user = config.get_user().unwrap_or("(no user)");
    let database = config.get_dbname().unwrap_or(user);
    let text = match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => format!(
            "PostgreSQL at {place} refuses the user {user:?}: {}\ncheck user and password of postgres.url",
            describe(error)
        ),
        Some(&SqlState::INVALID_CATALOG_NAME) => format!(
            "PostgreSQL at {place} has no database {database:?}\ncreate it (createdb {database}) or correct postgres.url"
        ),
        Some(_) => {
            format!("PostgreSQL at {place} refuses the connection: {}", describe(error))
        }
        None => {
            let cause = root_cause(error);
            let advice = tls::advice(&cause).unwrap_or("is the server running, and is postgres.url right?");
            format!("no connection to PostgreSQL at {place}: {cause}\n{advice}")
        }
    };
    Error::Connect(text)
}

fn place(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => format!("{name}:{port}"),
        Some(Host::Unix(path)) => format!("{}/.s.PGSQL.{port}", path.display()),
        None => "(no host)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_known_by_its_place_and_name_whoever_asks() {
        let one = database_of("postgresql://ann:hush@H:5433/acme?sslmode=require");
        assert_eq!(one, "h:[5433]/acme");
        assert_eq!(database_of("postgresql://bob@h:5433/acme"), one);
        for other in ["h:5432/acme", "i:5433/acme", "h:5433/beta", "/acme?host=/tmp/one"] {
            assert_ne!(database_of(&format!("postgresql://{other}")), one);
        }
        assert_eq!(database_of("nowhere"), "");
    }
}
