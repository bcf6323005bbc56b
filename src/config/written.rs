//! `syncdeck.toml` as it is written, and its check.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::domain::errors::grouping::Grouping;
use crate::domain::reports::budget::ApiBudget;
use crate::domain::values::address::OrgAddress;
use crate::domain::values::duration;
use crate::logs::source::LogSource;

use super::alert::AlertSettings;
use super::connections::{HistoryKeys, VerifyKeys, WrittenConnection};
use super::console::ConsoleFile;
use super::log::LogFile;
use super::{
    Config, ConfigError, ConnectionName, ConsoleSettings, Contents, EngineMode, HistorySettings,
    MappingConfig, Postgres, Salesforce, Verify,
};

/// Calls of the writer that are with Salesforce at once, where nothing else is said, and at most.
const CALLS_AT_ONCE: i64 = 1;
const MOST_CALLS_AT_ONCE: i64 = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostgresKeys {
    #[serde(default)]
    pub(super) url: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) url_env: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) url_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    schema: Option<Spanned<String>>,
    #[serde(default)]
    timeout: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SalesforceKeys {
    login_url: Spanned<String>,
    client_id: String,
    #[serde(default)]
    pub(super) client_secret: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) client_secret_env: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) client_secret_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) auth: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) username: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) private_key_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) audience: Option<String>,
    #[serde(default)]
    pub(super) refresh_token_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    api_version: Option<Spanned<String>>,
    #[serde(default)]
    request_timeout: Option<Spanned<String>>,
    #[serde(default)]
    lease: Option<Spanned<String>>,
    #[serde(default)]
    look_back: Option<Spanned<String>>,
    #[serde(default)]
    describe_interval: Option<Spanned<String>>,
    #[serde(default)]
    calls_at_once: Option<Spanned<i64>>,
    #[serde(default)]
    api_budget: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) change_events: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) poll_with_events: Option<Spanned<String>>,
}

/// The connection of that name, or the first; its console settings are the defaults.
pub(super) fn check(path: &Path, text: &str, connection: Option<&str>) -> Result<Config, ConfigError> {
    let check = Check::new(path, text);
    let written = check.chosen(connection)?;
    let alerts = alerts(path, text, written.name.get_ref())?;
    let grouping = check.grouping(written.name.get_ref())?;
    let config = check.below(&written.place).connection(written)?;
    Ok(Config { alerts, grouping, ..config })
}

/// The same, with the login to the org also where Heroku Connect is the engine.
pub(super) fn with_org(path: &Path, text: &str, connection: Option<&str>) -> Result<Config, ConfigError> {
    let check = Check { reads_org: true, ..Check::new(path, text) };
    let written = check.chosen(connection)?;
    check.below(&written.place).connection(written)
}

/// The same, of which secrets, alerts and groups are not looked at.
pub(super) fn shape(path: &Path, text: &str, connection: Option<&str>) -> Result<Config, ConfigError> {
    let check = Check { reads_secrets: false, ..Check::new(path, text) };
    let written = check.chosen(connection)?;
    check.below(&written.place).connection(written)
}

/// All connections in the order of the file, of which only name, environment and engine are looked at.
pub(super) fn names(path: &Path, text: &str) -> Result<Vec<ConnectionName>, ConfigError> {
    let named = |of: WrittenConnection| ConnectionName {
        name: of.name.into_inner(),
        environment: of.environment,
        engine: of.engine,
    };
    Ok(Check::new(path, text).connections()?.into_iter().map(named).collect())
}

/// What `[console]` says, whatever stands beside it.
pub(super) fn console(path: &Path, text: &str) -> Result<ConsoleSettings, ConfigError> {
    let check = Check::new(path, text);
    let file: ConsoleFile = check.parse()?;
    check.console(file.console)
}

/// The sources of log lines of a connection, whatever stands beside them.
pub(super) fn log(path: &Path, text: &str, connection: &str) -> Result<Vec<LogSource>, ConfigError> {
    let check = Check::new(path, text);
    let file: LogFile = check.parse()?;
    check.sources(file.log, connection)
}

/// What people of a connection are told about, and where.
pub(super) fn alerts(path: &Path, text: &str, connection: &str) -> Result<AlertSettings, ConfigError> {
    Check::new(path, text).alerts(connection)
}

pub(super) struct Check<'a> {
    path: &'a Path,
    text: &'a str,
    /// Before keys in messages: empty, or `connections.NAME.`.
    place: String,
    /// Whether secrets must be there; without, none is held.
    reads_secrets: bool,
    /// Whether the login to the org is looked at where no engine of ours needs it.
    reads_org: bool,
}

impl<'a> Check<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Check<'a> {
        Check { path, text, place: String::new(), reads_secrets: true, reads_org: false }
    }

    /// Of the same file, with the keys of another connection.
    pub(super) fn below(&self, place: &str) -> Check<'a> {
        Check { place: place.to_owned(), ..*self }
    }

    /// Whether secrets are looked at.
    pub(super) fn reads_secrets(&self) -> bool {
        self.reads_secrets
    }

    pub(super) fn text(&self) -> &str {
        self.text
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        // The parser's own text shows the line, which may hold a secret.
        toml::from_str(self.text).map_err(|error| ConfigError::Syntax {
            path: self.path.to_owned(),
            line: self.line(error.span().map_or(0, |span| span.start)),
            text: error.message().to_owned(),
        })
    }

    /// The connection of that name, or the first.
    fn chosen(&self, connection: Option<&str>) -> Result<WrittenConnection, ConfigError> {
        let mut connections = self.connections()?;
        let named = |name: &str| connections.iter().position(|of| of.name.get_ref() == name);
        let Some(at) = connection.map_or(Some(0), named) else {
            return Err(ConfigError::Unknown {
                path: self.path.to_owned(),
                name: connection.unwrap_or_default().to_owned(),
                known: connections.into_iter().map(|of| of.name.into_inner()).collect(),
            });
        };
        self.refuse_unknown_names(&connections)?;
        Ok(connections.swap_remove(at))
    }

    fn connection(&self, written: WrittenConnection) -> Result<Config, ConfigError> {
        let is_attached = written.engine == EngineMode::HerokuConnect;
        let has_org = !is_attached || self.reads_org;
        let of = written.salesforce.as_ref().filter(|_| has_org);
        let secret_files =
            of.into_iter().flat_map(|of| [&of.client_secret_file, &of.private_key_file]).flatten();
        let secret_files = secret_files.map(|file| file.get_ref().clone()).collect();
        if let Some(mapping) = written.mapping.first().filter(|_| is_attached) {
            let remedy = "leave [[mapping]] out: beside Heroku Connect the tables themselves tell what is mapped (fields are masked only \
                          where an engine of syncdeck keeps them)";
            return Err(self.refuse(mapping, "mapping", "it would have no effect", remedy));
        }
        let mut tables = HashSet::new();
        let mut mappings = written
            .mapping
            .into_iter()
            .map(|mapping| self.mapping(mapping, &mut tables))
            .collect::<Result<Vec<_>, _>>()?;
        let verify = self.verify(&written.verify, &mut mappings)?;
        if let Some(keys) = written.salesforce.as_ref().filter(|_| !is_attached) {
            self.change_events(keys, &mut mappings)?;
        }
        if mappings.is_empty() && !is_attached {
            let remedy = format!("add at least one [[{}mapping]] with object and fields", self.place);
            let at = if self.place.is_empty() { self.text.len() } else { written.name.span().start };
            return Err(self.refuse_at(at, "mapping", "there is none", &remedy));
        }
        let config = Config {
            path: self.path.to_owned(),
            secret_files,
            name: written.name.into_inner(),
            among_several: !written.place.is_empty(),
            environment: written.environment,
            engine: written.engine,
            writes: written.writes,
            postgres: self.postgres(written.postgres)?,
            // What only an engine of ours needs is not looked at where there is none.
            salesforce: match written.salesforce.filter(|_| has_org) {
                Some(keys) => self.salesforce(keys)?,
                None => Salesforce::nowhere(),
            },
            heroku: self.heroku_api(written.heroku, written.engine)?,
            history: self.history(&written.history)?,
            verify,
            metrics: self.metrics(written.metrics.as_ref())?,
            mappings,
            console: ConsoleSettings::default(),
            log_sources: Vec::new(),
            alerts: AlertSettings::default(),
            grouping: Grouping::default(),
            contents: Contents::default(),
            adopts: false,
            allows_two_engines: false,
        };
        Ok(Config { contents: Contents::of(&config, Some(self.text)), ..config })
    }

    fn history(&self, keys: &HistoryKeys) -> Result<HistorySettings, ConfigError> {
        let keep = self.duration("history.keep", keys.keep.as_ref(), 30 * 86_400)?;
        let log_rows = keys.log_rows.as_ref().map_or(100_000, |rows| *rows.get_ref());
        match &keys.log_rows {
            Some(rows) if log_rows < 1_000 => Err(self.refuse(
                rows,
                "history.log_rows",
                "is less than 1000",
                "keep at least 1000 lines of the log",
            )),
            _ => Ok(HistorySettings { keep, log_rows }),
        }
    }

    /// What holds for all comparisons; `every` is the rule `verify` of each mapping that has none of its own.
    fn verify(&self, keys: &VerifyKeys, mappings: &mut [MappingConfig]) -> Result<Verify, ConfigError> {
        if let Some(every) = &keys.every {
            let own = |mapping: &MappingConfig| mapping.rules.settings().contains_key("verify");
            for mapping in mappings.iter_mut().filter(|mapping| !own(mapping)) {
                let set = mapping.rules.set("verify", every.get_ref());
                set.map_err(|bad| self.refuse(every, "verify.every", &bad.problem, &bad.remedy))?;
            }
        }
        Ok(Verify {
            api_share: self.number("verify.api_share", &keys.api_share, 10, 100)? as u32,
            listed: self.number("verify.listed", &keys.listed, 1_000, 10_000)?,
        })
    }

    /// A whole number from 1 to `most`.
    fn number(
        &self,
        key: &str,
        value: &Option<Spanned<i64>>,
        default: i64,
        most: i64,
    ) -> Result<i64, ConfigError> {
        match value {
            None => Ok(default),
            Some(value) if (1..=most).contains(value.get_ref()) => Ok(*value.get_ref()),
            Some(value) => {
                let remedy = format!("use a whole number from 1 to {most}");
                Err(self.refuse(value, key, "is no such number", &remedy))
            }
        }
    }

    fn postgres(&self, keys: PostgresKeys) -> Result<Postgres, ConfigError> {
        let has_password = |url: &str| {
            let authority = url.split("://").nth(1).unwrap_or("").split(['/', '?']).next().unwrap_or("");
            authority.split('@').next().is_some_and(|user| authority.contains('@') && user.contains(':'))
                || url.contains("password=")
        };
        let inline_secret = keys.url.as_ref().is_some_and(|url| has_password(url.get_ref()));
        let url = self.secret("postgres.url", keys.url, keys.url_env, keys.url_file, inline_secret)?;
        let schema = match keys.schema {
            Some(schema) if schema.get_ref() == "syncdeck" || schema.get_ref().is_empty() => {
                return Err(self.refuse(
                    &schema,
                    "postgres.schema",
                    "cannot be used",
                    "choose another, such as \"salesforce\"",
                ));
            }
            Some(schema) => schema.into_inner(),
            None => "salesforce".to_owned(),
        };
        let timeout = self.duration("postgres.timeout", keys.timeout.as_ref(), 30)?;
        Ok(Postgres { url, schema, timeout })
    }

    fn salesforce(&self, mut keys: SalesforceKeys) -> Result<Salesforce, ConfigError> {
        OrgAddress::parse(keys.login_url.get_ref()).map_err(|problem| {
            self.refuse(
                &keys.login_url,
                "salesforce.login_url",
                &problem,
                "use your org's My Domain, such as https://acme.my.salesforce.com",
            )
        })?;
        if let Some(version) = &keys.api_version
            && version.get_ref().parse::<f64>().is_ok_and(|number| number < 46.0)
                | version.get_ref().parse::<f64>().is_err()
        {
            return Err(self.refuse(
                version,
                "salesforce.api_version",
                "is not an API version from 46.0 on",
                "use \"62.0\"",
            ));
        }
        let request_timeout =
            self.duration("salesforce.request_timeout", keys.request_timeout.as_ref(), 30)?;
        let lease = self.duration("salesforce.lease", keys.lease.as_ref(), 90)?;
        if lease < request_timeout * 2 {
            return Err(self.refuse_at(
                keys.lease.or(keys.request_timeout).map_or(0, |value| value.span().start),
                "salesforce.lease",
                "is shorter than twice the request timeout, so no request could ever start",
                "make it three times salesforce.request_timeout",
            ));
        }
        Ok(Salesforce {
            auth: self.auth(&mut keys)?,
            login_url: keys.login_url.into_inner(),
            client_id: keys.client_id,
            api_version: keys.api_version.map_or_else(|| "62.0".to_owned(), Spanned::into_inner),
            request_timeout,
            lease,
            look_back: self.duration("salesforce.look_back", keys.look_back.as_ref(), 600)?,
            describe_interval: self.duration(
                "salesforce.describe_interval",
                keys.describe_interval.as_ref(),
                300,
            )?,
            calls_at_once: self.number(
                "salesforce.calls_at_once",
                &keys.calls_at_once,
                CALLS_AT_ONCE,
                MOST_CALLS_AT_ONCE,
            )? as usize,
            api_budget: ApiBudget::percent(
                self.number("salesforce.api_budget", &keys.api_budget, 100, 100)? as u32
            ),
        })
    }

    pub(super) fn duration(
        &self,
        key: &str,
        value: Option<&Spanned<String>>,
        default: u64,
    ) -> Result<Duration, ConfigError> {
        let Some(value) = value else { return Ok(Duration::from_secs(default)) };
        duration::parse(value.get_ref()).filter(|duration| !duration.is_zero()).ok_or_else(|| {
            self.refuse(value, key, "is no length of time", "write it as 500ms, 10s, 2m or 1h")
        })
    }

    /// A secret from exactly one of its three places.
    pub(super) fn secret(
        &self,
        key: &str,
        inline: Option<Spanned<String>>,
        env: Option<Spanned<String>>,
        file: Option<Spanned<PathBuf>>,
        inline_is_secret: bool,
    ) -> Result<SecretString, ConfigError> {
        let places = [inline.is_some(), env.is_some(), file.is_some()];
        if !self.reads_secrets && places.into_iter().filter(|is| *is).count() == 1 {
            return Ok(String::new().into());
        }
        match (inline, env, file) {
            (Some(value), None, None) => {
                if inline_is_secret {
                    self.private(self.path, key, value.span().start)?;
                }
                Ok(value.into_inner().into())
            }
            (None, Some(name), None) => std::env::var(name.get_ref()).map(SecretString::from).map_err(|_| {
                let problem = format!("the environment variable {} is not set", name.get_ref());
                self.refuse(&name, &format!("{key}_env"), &problem, "set it, or name another")
            }),
            (None, None, Some(file)) => {
                self.private(file.get_ref(), &format!("{key}_file"), file.span().start)?;
                std::fs::read_to_string(file.get_ref()).map(|text| text.trim().to_owned().into()).map_err(
                    |error| {
                        let problem = format!("cannot read {}: {error}", file.get_ref().display());
                        self.refuse(
                            &file,
                            &format!("{key}_file"),
                            &problem,
                            "correct the path or its permissions",
                        )
                    },
                )
            }
            (inline, env, _) => {
                let at = inline
                    .map(|value| value.span().start)
                    .or(env.map(|value| value.span().start))
                    .unwrap_or(0);
                let problem = "must be given exactly once";
                Err(self.refuse_at(at, key, problem, &format!("set one of {key}, {key}_env and {key}_file")))
            }
        }
    }

    /// A file that holds a secret must not be readable by others.
    pub(super) fn private(&self, path: &Path, key: &str, at: usize) -> Result<(), ConfigError> {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
        if open {
            let problem = format!("holds a secret, but other users can read {}", path.display());
            return Err(self.refuse_at(at, key, &problem, &format!("chmod 600 {}", path.display())));
        }
        Ok(())
    }

    pub(super) fn refuse<T>(
        &self,
        value: &Spanned<T>,
        key: &str,
        problem: &str,
        remedy: &str,
    ) -> ConfigError {
        self.refuse_at(value.span().start, key, problem, remedy)
    }

    pub(super) fn refuse_at(&self, at: usize, key: &str, problem: &str, remedy: &str) -> ConfigError {
        ConfigError::Key {
            path: self.path.to_owned(),
            line: self.line(at),
            key: format!("{}{key}", self.place),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    pub(super) fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests;
