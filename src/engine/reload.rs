//! A changed configuration, taken up without a restart: what changed is said; one that is wrong is listed with its
//! place and remedy, and the one before stays in force.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OwnedRwLockWriteGuard;

use crate::config::{Auth, Config};
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::overview::ConnectionStatus;
use crate::domain::state::{ConnectionState, EngineState};
use crate::logs::Level;
use crate::logs::log::record;
use crate::postgres::Store;
use crate::postgres::errors::sync_errors::NewError;
use crate::salesforce::Client;

use super::{PartFailure, Shared, StartError, client, lay_out, prepare, refuse_foreign, rules};

/// Between two looks at the file. SIGHUP looks at once.
const INTERVAL: Duration = Duration::from_secs(2);
/// The operation under which its errors are listed.
const OP: &str = "configuration";

/// What takes over.
pub(super) struct NextConfig {
    pub(super) config: Config,
    pub(super) client: Client,
    /// As describe tells them; without, the next generation asks until it is told.
    pub(super) mappings: Option<Vec<Mapping>>,
}

/// Runs until the end of this generation, which it brings about itself when the configuration changes.
pub(super) async fn run(shared: Arc<Shared>) {
    // What is in force now may be what was mended while no engine ran.
    let _ = shared.store.resolve_mapping_errors("", &[OP]).await;
    // What this generation was started from; the file may be another one since.
    let mut before = shared.config.contents.clone();
    let mut hangup = signal(SignalKind::hangup()).ok();
    while !shared.stop.is_cancelled() {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shared.wake_reload.notified() => {}
            _ = hung_up => {
                shared.log.of("config").info("SIGHUP: the configuration is looked at", json!({}));
                // However long a pause was asked for, a person may say that it is over.
                shared.link.try_again();
            }
            () = shared.stop.cancelled() => return,
        }
        let now = shared.config.contents_now();
        // An editor that writes in steps leaves nothing, or half of it, for a moment.
        if now == before || !now.is_there() {
            continue;
        }
        before = now;
        if before == shared.config.contents {
            // As it was taken up: what was refused of it meanwhile is over.
            let _ = shared.store.resolve_mapping_errors("", &[OP]).await;
            let _ = shared.store.notify("errors").await;
            continue;
        }
        match load(&shared).await {
            Ok(Some((next, _turn))) => {
                if let Ok(mut waiting) = shared.next.lock() {
                    *waiting = Some(Box::new(next));
                }
                shared.stop.cancel();
                // Whoever waits for a turn sees that it is over.
                return;
            }
            Ok(None) => {}
            Err(error) => {
                // It may be half of it, as an editor writes: what is refused reads the same a moment later.
                if shared.pause(INTERVAL).await && shared.config.contents_now() == before {
                    refuse(&shared, &error).await;
                }
            }
        }
    }
}

/// The new configuration, checked against the org, with the tables laid out for it and nobody at work in them; `None`
/// when it says nothing new.
async fn load(shared: &Shared) -> Result<Option<(NextConfig, OwnedRwLockWriteGuard<()>)>, StartError> {
    let config = shared.config.load_again()?;
    config.refuse_engine()?;
    let told = changes(&shared.config, &config);
    let log = shared.log.of("config");
    if config.postgres_url() != shared.config.postgres_url()
        || config.postgres.schema != shared.config.postgres.schema
    {
        log.warn("postgres.* is taken up by a restart only; what it was stays in force", json!({}));
    }
    let client = client(&config.salesforce)?;
    refuse_foreign(&config, &shared.store).await?;
    let known = shared.store.definitions().await?;
    let prepared = prepare::mappings(&config, &client, &known).await;
    let turn = shared.turn.clone().write_owned().await;
    let mappings = match prepared {
        Ok((org_id, mut mappings)) => {
            lay_out(&config, &shared.store, &shared.log, &org_id, &mut mappings).await?;
            Some(mappings)
        }
        // The org that does not answer now may be the very reason for the change.
        Err(StartError::Salesforce { .. }) => None,
        Err(error) => return Err(error),
    };
    for line in &told {
        log.info(format!("the configuration changed: {line}"), json!({}));
    }
    if told.is_empty() {
        log.info("the configuration changed in nothing but a secret", json!({}));
    }
    Ok(Some((NextConfig { config, client, mappings }, turn)))
}

/// Lists a configuration that cannot be taken up.
async fn refuse(shared: &Shared, error: &StartError) {
    let text = error.to_string();
    shared
        .log
        .of("config")
        .error("the changed configuration is refused; the one before stays in force", json!({"cause": text}));
    let _ = shared.store.keep_mapping_error("", &refusal(&text), None).await;
    let _ = shared.store.notify("errors").await;
}

/// Says why an engine cannot be started, where everybody looks who misses it: in the place of its sign of life, in the
/// log, and of a configuration in the list of errors. `owner` is who tried.
pub(crate) async fn tell_unstarted(store: &Store, config: &Config, owner: &str, error: &StartError) {
    let text = error.to_string();
    let what = "the engine cannot be started";
    tell(store, config, owner, what, &format!("{what}: {text}"), &text).await;
    if let StartError::Config(_) = error {
        let error = refusal(&text);
        let _ = store.keep_mapping_error("", &error, None).await;
    }
    for what in ["overview", "log", "errors"] {
        let _ = store.notify(what).await;
    }
}

/// Says the same of an engine that ended by itself, and what comes next.
pub(crate) async fn tell_ended(
    store: &Store,
    config: &Config,
    owner: &str,
    failure: &PartFailure,
    next: &str,
) {
    // What comes next is first: the cause may be longer than a line of the screen.
    let what = "the engine ended by itself";
    tell(store, config, owner, what, &format!("{what}; {next}: {}", failure.0), &failure.0).await;
    for what in ["overview", "log"] {
        let _ = store.notify(what).await;
    }
}

/// Tells it in the place of an engine's sign of life, and in the log.
async fn tell(store: &Store, config: &Config, owner: &str, what: &str, detail: &str, why: &str) {
    let status = ConnectionStatus {
        name: config.name.clone(),
        environment: config.environment.clone(),
        state: ConnectionState::Down,
        detail: Some(detail.to_owned()),
        ..ConnectionStatus::default()
    };
    let _ = store.heartbeat(owner, EngineState::Stopped, &status).await;
    let fields = [("cause", why), ("owner", owner)];
    let fields = fields.map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect();
    let _ = store.append_log(&[record(Level::Error, "config", what.to_owned(), fields)]).await;
}

fn refusal(text: &str) -> NewError {
    NewError::classified("", OP, ErrorSource::Engine, "CONFIGURATION_REFUSED", text, Vec::new())
}

/// What is different, a line each; of secrets only that they are.
fn changes(old: &Config, new: &Config) -> Vec<String> {
    let mut told = Vec::new();
    let mut differs = |key: &str, was: String, is: String| {
        if was != is {
            told.push(format!("{key} is {is} (was {was})"));
        }
    };
    differs("connection.name", old.name.clone(), new.name.clone());
    differs("connection.environment", old.environment.clone(), new.environment.clone());
    differs("connection.engine", format!("{:?}", old.engine), format!("{:?}", new.engine));
    let (a, b) = (&old.salesforce, &new.salesforce);
    differs("salesforce.login_url", a.login_url.clone(), b.login_url.clone());
    differs("salesforce.client_id", a.client_id.clone(), b.client_id.clone());
    differs("salesforce.auth", word(&a.auth).to_owned(), word(&b.auth).to_owned());
    differs("salesforce.api_version", a.api_version.clone(), b.api_version.clone());
    differs("salesforce.calls_at_once", a.calls_at_once.to_string(), b.calls_at_once.to_string());
    differs("history.log_rows", old.history.log_rows.to_string(), new.history.log_rows.to_string());
    differs("history.keep", format!("{:?}", old.history.keep), format!("{:?}", new.history.keep));
    for (key, was, is) in [
        ("request_timeout", a.request_timeout, b.request_timeout),
        ("lease", a.lease, b.lease),
        ("look_back", a.look_back, b.look_back),
        ("describe_interval", a.describe_interval, b.describe_interval),
    ] {
        differs(&format!("salesforce.{key}"), format!("{was:?}"), format!("{is:?}"));
    }
    let alerts = |of: &Config| format!("{:?}", of.alerts);
    if alerts(old) != alerts(new) {
        told.push("the alerts are others".to_owned());
    }
    for mapping in &old.mappings {
        let Some(now) = new.mappings.iter().find(|now| now.object == mapping.object) else {
            told.push(format!("{} is no longer mapped", mapping.object));
            continue;
        };
        let object = &mapping.object;
        let missing = |of: &[String], other: &[String]| -> Vec<String> {
            of.iter().filter(|field| !other.contains(field)).cloned().collect()
        };
        for (fields, words) in [
            (missing(&now.fields, &mapping.fields), "is mapped now"),
            (missing(&mapping.fields, &now.fields), "is no longer mapped"),
        ] {
            told.extend(fields.iter().map(|field| format!("{object}.{field} {words}")));
        }
        if (mapping.external_id.as_ref(), mapping.access, &mapping.table)
            != (now.external_id.as_ref(), now.access, &now.table)
        {
            told.push(format!("{object}: its table, access or external id is another"));
        }
        if mapping.indexes != now.indexes {
            told.push(format!("{object}: its indexes are others"));
        }
        told.extend(
            rules::changes(&mapping.rules, &now.rules).into_iter().map(|line| format!("{object}: {line}")),
        );
    }
    let added = new.mappings.iter().filter(|now| !old.mappings.iter().any(|old| old.object == now.object));
    told.extend(added.map(|mapping| format!("{} is mapped now", mapping.object)));
    told
}

fn word(auth: &Auth) -> &'static str {
    match auth {
        Auth::ClientCredentials { .. } => "client_credentials",
        Auth::Jwt { .. } => "jwt",
        Auth::RefreshToken { .. } => "refresh_token",
    }
}
