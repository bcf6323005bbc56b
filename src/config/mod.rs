//! The configuration: `syncdeck.toml` as it is written (`written`), and what it means once it is checked
//! ([`Config`]). A refusal names file, line, key and remedy. Secrets come in here, from the file (when nobody else
//! can read it), from another file or from the environment, and never leave as text.

pub mod alert;
mod change_events;
pub mod channel;
mod connections;
pub mod console;
pub mod edit;
mod group;
pub mod heroku_api;
pub mod heroku_connect;
pub mod log;
mod mapping;
pub mod metrics;
mod named;
mod signin;
pub mod state;
mod written;

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::domain::attached::mode::WriteMode;
use crate::domain::errors::grouping::Grouping;
use crate::domain::mappings::mapping::Access;
use crate::domain::mappings::rules::Rules;
use crate::domain::reports::budget::ApiBudget;
use crate::logs::source::LogSource;

pub use console::ConsoleSettings;
pub use state::SessionState;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none.
    #[error(
        "no configuration found: looked for {}\n\
         write one with: syncdeck init\n\
         name one with --config FILE, or try everything with: syncdeck demo",
        tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
    )]
    Missing {
        /// Where was looked.
        tried: Vec<PathBuf>,
    },
    /// The one that was named is not there.
    #[error(
        "there is no configuration {0}\n\
         correct the name, write it with: syncdeck init --config {0}, or try everything with: syncdeck demo",
        path.display()
    )]
    Absent {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Others than its owner and this user may change it: they could send secrets and rows to an address of theirs.
    #[error(
        "{} could be changed by {who}, who would decide where your secrets and rows go\n{remedy}",
        path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// By whom.
        who: &'static str,
        /// What to do.
        remedy: String,
    },
    /// A key is wrong.
    #[error("{}:{line}: {key}: {problem}\n{remedy}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, `mapping.poll_interval`.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// It has no connection of that name.
    #[error("{} has no connection {name:?}\nname one of {} with --connection", path.display(), known.join(", "))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// It is no TOML, or has unknown or missing keys.
    #[error("{}:{line}: {text}\ncorrect the file there", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        text: String,
    },
    /// Nothing names the database that Heroku Connect keeps.
    #[error(
        "DATABASE_URL is not set: it names the database that Heroku Connect syncs\nset it, such as: export \
         DATABASE_URL=$(heroku config:get DATABASE_URL -a APP)"
    )]
    NoDatabase,
    /// An engine was to be started beside Heroku Connect's.
    #[error(
        "the connection {name} is attached to Heroku Connect (engine = \"heroku-connect\"): a second engine would send the same changes \
         again, so none is started\nthree ways on: look and mend beside it, with the console (syncdeck); take its tables over (make a \
         configuration with: syncdeck import heroku-connect, pause Heroku Connect, then start: syncdeck run --adopt); or name another \
         database in postgres.url"
    )]
    Attached {
        /// Its name.
        name: String,
    },
}

/// Who runs the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineMode {
    /// The console that comes first; when that one quits, another takes over.
    WithConsole,
    /// Only `syncdeck run`; consoles attach.
    Service,
    /// Nobody here: Heroku Connect does the work, and syncdeck looks and mends beside it.
    HerokuConnect,
}

/// One of the connections of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionName {
    /// Its name.
    pub name: String,
    /// `prod`, `sandbox`, ...
    pub environment: String,
    /// Who runs its engine.
    pub engine: EngineMode,
}

/// The checked configuration of one connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Files beside it that hold secrets.
    pub secret_files: Vec<PathBuf>,
    /// Name of the connection, `acme`.
    pub name: String,
    /// Whether the file keeps its connections below `[connections.NAME]`.
    pub among_several: bool,
    /// `prod`, `sandbox`, ...
    pub environment: String,
    /// Who runs the engine.
    pub engine: EngineMode,
    /// How Heroku Connect writes to Salesforce, where it is the engine and somebody said so.
    pub writes: Option<WriteMode>,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// Salesforce.
    pub salesforce: Salesforce,
    /// How Heroku Connect's API is asked, where it is the engine and somebody said so.
    pub heroku: Option<heroku_api::HerokuApiSettings>,
    /// How long history is kept.
    pub history: HistorySettings,
    /// What holds for comparisons that go on by themselves.
    pub verify: Verify,
    /// Where figures for Prometheus are told; nowhere unless it is asked for.
    pub metrics: Option<metrics::Metrics>,
    /// The mappings, at least one where an engine of ours works.
    pub mappings: Vec<MappingConfig>,
    /// The console.
    pub console: ConsoleSettings,
    /// Where lines of other programs' logs come from.
    pub log_sources: Vec<LogSource>,
    /// What people are told about, and where.
    pub alerts: alert::AlertSettings,
    /// What splits groups of errors.
    pub grouping: Grouping,
    /// What it was read from.
    pub contents: Contents,
    /// Whether tables that were there before syncdeck may be taken over. No file says so: somebody does, once.
    pub adopts: bool,
    /// Whether that goes on although Heroku Connect was seen at work. No file says that either.
    pub allows_two_engines: bool,
}

/// What an engine minds of the files that a configuration is read from: the file itself, and the secrets beside it. Only
/// whether they are the same is kept, as hashes; `None` is a file that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(Vec<Option<u64>>);

impl Contents {
    /// Those of a configuration of which the file says `written`.
    fn of(config: &Config, written: Option<&str>) -> Contents {
        let hash = |bytes: &[u8]| {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes);
            hasher.finish()
        };
        let written = written.filter(|text| !text.trim().is_empty());
        let written = written.map(|text| hash(config.engine_part(text).as_bytes()));
        let secrets = config.secret_files.iter().map(|file| std::fs::read(file).ok().map(|text| hash(&text)));
        Contents(std::iter::once(written).chain(secrets).collect())
    }

    /// Whether there is a file at all, and something in it.
    pub fn is_there(&self) -> bool {
        self.0.first().is_some_and(Option::is_some)
    }
}

/// How long history is kept; the audit is kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Attempts, resolved errors, conflicts, runs, archived changes.
    pub keep: Duration,
    /// Log records.
    pub log_rows: i64,
}

/// What holds for comparisons of both sides; how often is a rule of each mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// Of the org's API requests of a day, how many percent scheduled comparisons may take.
    pub api_share: u32,
    /// Findings of a mapping that are listed as errors, at most.
    pub listed: i64,
}

/// Where the rows are.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Connection URL; may hold a password.
    pub url: SecretString,
    /// Schema of the mapped tables.
    pub schema: String,
    /// The longest that a statement may take, and a server may be silent.
    pub timeout: Duration,
}

/// Where the records are, and how hard it is asked.
#[derive(Clone, Debug)]
pub struct Salesforce {
    /// My Domain URL; empty where only Heroku Connect goes there.
    pub login_url: String,
    /// Consumer key.
    pub client_id: String,
    /// How the app signs in.
    pub auth: Auth,
    /// API version, `62.0`.
    pub api_version: String,
    /// How long an answer is waited for.
    pub request_timeout: Duration,
    /// How long a claim is held; at least twice the request timeout.
    pub lease: Duration,
    /// How far each read goes back behind the last one: Salesforce stamps before it commits.
    pub look_back: Duration,
    /// How often describe is read again.
    pub describe_interval: Duration,
    /// How many calls of the writer are with Salesforce at once, at most.
    pub calls_at_once: usize,
    /// How much of the org's requests of a day may be used before nothing more is asked.
    pub api_budget: ApiBudget,
}

impl Salesforce {
    /// Whether there is a login to an org.
    pub fn is_somewhere(&self) -> bool {
        !self.login_url.is_empty()
    }

    /// No org: nothing here asks Salesforce.
    fn nowhere() -> Salesforce {
        Salesforce {
            login_url: String::new(),
            client_id: String::new(),
            auth: Auth::ClientCredentials { secret: SecretString::default() },
            api_version: String::new(),
            request_timeout: Duration::ZERO,
            lease: Duration::ZERO,
            look_back: Duration::ZERO,
            describe_interval: Duration::ZERO,
            calls_at_once: 1,
            api_budget: ApiBudget::default(),
        }
    }
}

/// How the app signs in; `salesforce.auth` in the file.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `client_credentials`, the default: with the consumer secret.
    ClientCredentials {
        /// Consumer secret.
        secret: SecretString,
    },
    /// `jwt`: with a private key, for a user.
    Jwt {
        /// The user.
        username: String,
        /// PEM.
        key: SecretString,
        /// Whom the assertion is for, if not the login URL.
        audience: Option<String>,
    },
    /// `refresh_token`: with a token in a file of its own, which is written anew where Salesforce rotates it.
    RefreshToken {
        /// Consumer secret, where the app has one.
        secret: Option<SecretString>,
        /// The file.
        file: PathBuf,
    },
}

/// One mapping as configured; describe turns it into a `domain::mappings::mapping::Mapping`.
#[derive(Clone, Debug)]
pub struct MappingConfig {
    /// Line of its table in the file, for messages.
    pub line: usize,
    /// Object.
    pub object: String,
    /// Table.
    pub table: String,
    /// Direction.
    pub access: Access,
    /// Fields by API name; relationship columns as `Invoice__r.External_Id__c`.
    pub fields: Vec<String>,
    /// Key of upserts.
    pub external_id: Option<String>,
    /// Fields whose columns have an index of their own.
    pub indexes: Vec<String>,
    /// How its rows are prepared, what becomes of errors, how often it is read.
    pub rules: Rules,
}

impl Config {
    /// Finds and reads the configuration: `explicit`, else `./syncdeck.toml`, else the one in the user's
    /// configuration directory. Of several connections that one is taken, or the first.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(explicit: Option<&Path>, connection: Option<&str>) -> Result<Config, ConfigError> {
        let path = find(explicit)?;
        Config::of(&path, &read(&path)?, connection)
    }

    /// As [`Config::load`], for who reads the org also where Heroku Connect is the engine: `[salesforce]` is looked at there,
    /// where it is written. `[console]` and `[log]` are not.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load_with_org(explicit: Option<&Path>, connection: Option<&str>) -> Result<Config, ConfigError> {
        let path = find(explicit)?;
        written::with_org(&path, &read(&path)?, connection)
    }

    /// As [`Config::load`], for an engine alone, which must not rest for what is wrong in `[console]` or `[log]`: that is
    /// not looked at.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load_engine(explicit: Option<&Path>, connection: Option<&str>) -> Result<Config, ConfigError> {
        let path = find(explicit)?;
        written::check(&path, &read(&path)?, connection)
    }

    /// As [`Config::load`], with the text of the file, for who looks at the mappings only: no secret need be there, and
    /// none is held.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load_shape(
        explicit: Option<&Path>,
        connection: Option<&str>,
    ) -> Result<(Config, String), ConfigError> {
        let path = find(explicit)?;
        let text = read(&path)?;
        Ok((Config::shape(&path, &text, connection)?, text))
    }

    /// Reads a configuration from its text; no secret need be there, and none is held.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn shape(path: &Path, text: &str, connection: Option<&str>) -> Result<Config, ConfigError> {
        written::shape(path, text, connection)
    }

    /// The connections of the configuration in its order, the default first. Secrets are not looked at.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn connections(explicit: Option<&Path>) -> Result<Vec<ConnectionName>, ConfigError> {
        let path = find(explicit)?;
        written::names(&path, &read(&path)?)
    }

    /// Reads a configuration from its text; of several connections the first.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        Config::of(path, text, None)
    }

    fn of(path: &Path, text: &str, connection: Option<&str>) -> Result<Config, ConfigError> {
        let console = written::console(path, text)?;
        let config = written::check(path, text, connection)?;
        let log_sources = written::log(path, text, &config.name)?;
        Ok(Config { console, log_sources, ..config })
    }

    /// Reads the same connection of the file again, for an engine: `[console]` is not looked at, and stays as it was. A yes
    /// to tables that were there before was about those of then.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load_again(&self) -> Result<Config, ConfigError> {
        let text = read(&self.path)?;
        let now_several = text.parse::<toml::Table>().is_ok_and(|file| file.contains_key("connections"));
        // One that is alone in its file may be given another name; among several the name tells which one it is.
        let name = (self.among_several || now_several).then_some(self.name.as_str());
        let log_sources = self.log_sources.clone();
        Ok(Config { console: self.console.clone(), log_sources, ..written::check(&self.path, &text, name)? })
    }

    /// What its files hold now.
    pub fn contents_now(&self) -> Contents {
        Contents::of(self, std::fs::read_to_string(&self.path).ok().as_deref())
    }

    /// What of a file's text an engine minds: neither `[console]` nor `[log]` nor other connections nor the wording. A text that is
    /// no TOML is all of it.
    pub fn engine_part(&self, text: &str) -> String {
        let Ok(mut file) = text.parse::<toml::Table>() else { return text.to_owned() };
        file.remove("console");
        file.remove("log");
        if let Some(toml::Value::Table(connections)) = file.get_mut("connections") {
            connections.retain(|name, _| *name == self.name);
        }
        file.to_string()
    }

    /// Where a table of this connection stands in the file, such as `salesforce`.
    pub fn table(&self, name: &str) -> Vec<String> {
        let below: &[&str] = if self.among_several { &["connections", &self.name] } else { &[] };
        below.iter().chain([&name]).map(|part| (*part).to_owned()).collect()
    }

    /// The configuration of a database that Heroku Connect keeps, named by `DATABASE_URL`: for who has no file. `HEROKU_APP`
    /// names the app, as it does for Heroku's own program.
    ///
    /// # Errors
    /// When the variable is not set.
    pub fn attached(schema: &str, writes: Option<&str>) -> Result<Config, ConfigError> {
        if std::env::var_os("DATABASE_URL").is_none() {
            return Err(ConfigError::NoDatabase);
        }
        let writes = writes.map(|writes| format!("writes = {}\n", edit::quoted(writes))).unwrap_or_default();
        let app = std::env::var("HEROKU_APP").ok().filter(|app| !app.is_empty());
        let app = app.map(|app| format!("[heroku]\napp = {}\n", edit::quoted(&app))).unwrap_or_default();
        let text = format!(
            "[connection]\nname = \"heroku-connect\"\nengine = \"heroku-connect\"\n{writes}\
             [postgres]\nurl_env = \"DATABASE_URL\"\nschema = {}\n{app}",
            edit::quoted(schema)
        );
        Config::of(Path::new("--attach-heroku-connect"), &text, None)
    }

    /// Refuses an engine of ours where Heroku Connect does the work.
    ///
    /// # Errors
    /// With the reason, and the ways on.
    pub fn refuse_engine(&self) -> Result<(), ConfigError> {
        if self.engine != EngineMode::HerokuConnect {
            return Ok(());
        }
        Err(ConfigError::Attached { name: self.name.clone() })
    }

    /// The URL of the database, for the driver's eyes only.
    pub fn postgres_url(&self) -> &str {
        self.postgres.url.expose_secret()
    }

    /// A refusal at a mapping's place in the file.
    pub fn refuse_mapping(
        &self,
        mapping: &MappingConfig,
        key: &str,
        problem: String,
        remedy: String,
    ) -> ConfigError {
        ConfigError::Key {
            path: self.path.clone(),
            line: mapping.line,
            key: format!("{}.{key}", self.table("mapping").join(".")),
            problem,
            remedy,
        }
    }

    /// A refusal of an entry of `[console]` by its name there, `keys.retry` or `colors.bad`.
    pub fn refuse_console(&self, key: &str, problem: String, remedy: String) -> ConfigError {
        ConfigError::Key {
            path: self.path.clone(),
            line: self.console.lines.get(key).copied().unwrap_or(1),
            key: format!("console.{key}"),
            problem,
            remedy,
        }
    }
}

fn find(explicit: Option<&Path>) -> Result<PathBuf, ConfigError> {
    if let Some(path) = explicit {
        return Ok(path.to_owned());
    }
    let tried = default_places();
    match tried.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(ConfigError::Missing { tried }),
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Absent { path: path.to_owned() },
        _ => ConfigError::Unreadable { path: path.to_owned(), source },
    };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    // Of the very file that is read: between a look at a name and its opening somebody could put another there.
    ours_alone(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Refuses a file that others could change, and one in a folder where anybody could put another in its place.
fn ours_alone(path: &Path, file: &Metadata) -> Result<(), ConfigError> {
    let exposed = |who, remedy| Err(ConfigError::Exposed { path: path.to_owned(), who, remedy });
    let shown = path.display();
    if !file.is_file() {
        return Ok(());
    }
    if ![0, nix::unistd::geteuid().as_raw()].contains(&file.uid()) {
        return exposed(
            "another user who owns it",
            format!("make it yours or root's: chown \"$(id -un)\" {shown}"),
        );
    }
    if file.mode() & 0o022 != 0 {
        return exposed("other users", format!("chmod go-w {shown}"));
    }
    let folder = path.canonicalize().ok().and_then(|whole| whole.parent().map(Path::to_owned));
    if let Some(folder) = folder
        && std::fs::metadata(&folder).is_ok_and(|meta| meta.mode() & 0o1002 == 0o002)
    {
        return exposed("anybody (its folder is open to all)", format!("chmod o-w {}", folder.display()));
    }
    Ok(())
}

fn default_places() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("syncdeck.toml")];
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    places.extend(user.map(|dir| dir.join("syncdeck/config.toml")));
    places
}
