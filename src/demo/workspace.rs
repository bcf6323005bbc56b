//! The workspace: a directory with a private cluster and a generated `syncdeck.toml`, so that every other command
//! works on the running demo from a second terminal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr, bail};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::demo::private::{self, PrivateServer};
use crate::postgres::Store;
use crate::simulator::{self, Org, OrgOptions, seed};

use super::app_log::AppLog;
use super::heroku_connect::api::ConnectApi;
use super::{Options, heroku_connect, receiver};

/// The demo's database.
const DATABASE: &str = "app";
/// The key of the stand-in for Heroku Connect's API.
const HEROKU_KEY: &str = "HRKU-simulated-key";
/// The application's log.
const APP_LOG: &str = "app.log";
/// The alerts that were told.
const ALERT_LOG: &str = "alerts.log";
/// What the demo tells: soon, for nobody waits for hours in front of it.
const RULES: &str = "
[[alert]]
when = \"new_cause\"
for = \"5s\"
again = \"20s\"

[[alert]]
name = \"many\"
when = \"errors\"
above = 100
for = \"5s\"

[[alert]]
when = \"login_lost\"
severity = \"critical\"
for = \"2s\"

[[alert]]
when = \"connection_down\"
severity = \"critical\"
for = \"5s\"

[[alert]]
when = \"mapping_stopped\"
for = \"5s\"

[[alert]]
when = \"nothing_synced\"
older_than = \"1m\"

[[alert]]
when = \"api_budget\"
";
/// Mappings that are compared by themselves, soon.
const COMPARED: [(&str, &str); 2] = [
    ("Account", "verify = \"30s\"\n"),
    ("Contact", "verify = \"30s\"\nmatch = [[\"LastName\", \"Phone\"]]\n"),
];
/// Marks a directory as a workspace of ours, which may be made anew.
const MARKER: &str = "# A workspace of `syncdeck demo`.";

/// The mappings of the demo: object and fields. Every one has External_Id__c as its key.
const MAPPINGS: [(&str, &str); 8] = [
    (
        "Account",
        "Name AccountNumber Phone Website Industry Rating AnnualRevenue NumberOfEmployees BillingCity BillingCountry Description Nickname__c Fleet_Size__c Secret_Tier__c CreatedDate",
    ),
    (
        "Contact",
        "LastName FirstName AccountId Title Email Phone MobilePhone Birthdate LeadSource Level__c Legacy_Code__c Score__c Description CreatedDate",
    ),
    (
        "Lead",
        "LastName FirstName Company Email Phone Status Rating City Country NumberOfEmployees Description CreatedDate",
    ),
    (
        "Opportunity",
        "Name AccountId StageName CloseDate Amount Probability NextStep IsPrivate Description CreatedDate",
    ),
    ("Case", "Subject Status Priority Origin ContactId AccountId SuppliedEmail Description CreatedDate"),
    ("Product2", "Name ProductCode Family IsActive Weight__c Released_On__c Description CreatedDate"),
    ("Invoice__c", "Name Account__c Amount__c Status__c Due_Date__c Billing_Email__c Note__c CreatedDate"),
    (
        "Invoice_Line__c",
        "Name Invoice__c Invoice__r.External_Id__c Quantity__c Unit_Price__c Taxed__c Note__c CreatedDate",
    ),
];

/// A workspace in use.
pub struct Workspace {
    /// The directory.
    pub dir: PathBuf,
    /// The org.
    pub org: Org,
    /// What the application logs.
    pub(super) app_log: AppLog,
    /// A stand-in for Heroku Connect's API, where that keeps the database.
    pub(super) connect_api: Option<ConnectApi>,
    server: PrivateServer,
    stop: CancellationToken,
}

impl Workspace {
    /// Makes it and starts its servers.
    ///
    /// # Errors
    /// Names what is missing and the remedy.
    pub(super) async fn start(options: &Options) -> Result<Workspace> {
        private::remove_leftovers();
        let dir = directory(options.dir.as_deref())?;
        let server_options = private::Options {
            dir: dir.clone(),
            remove: options.dir.is_none(),
            durable: options.dir.is_some(),
        };
        let server = tokio::task::spawn_blocking(move || PrivateServer::start(&server_options)).await;
        let server = match server.wrap_err("the private PostgreSQL did not start")? {
            Ok(server) => server,
            Err(error) => {
                if options.dir.is_none() {
                    let _ = std::fs::remove_dir_all(&dir);
                }
                return Err(error.into());
            }
        };
        let store =
            Store::connect(&server.url("postgres"), "salesforce", "syncdeck demo", Duration::from_secs(30))
                .await?;
        store.create_database(DATABASE).await?;
        let org = Org::new(OrgOptions { seed: 7, ..OrgOptions::default() });
        seed::populate(&org, options.rows, 7);
        let stop = CancellationToken::new();
        let listener =
            tokio::net::TcpListener::bind("127.0.0.1:0").await.wrap_err("no port for the simulated org")?;
        let address = listener.local_addr()?;
        tokio::spawn(simulator::serve(org.clone(), listener, stop.clone()));
        let path = dir.join(APP_LOG);
        let app_log = AppLog::begin(&path).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        let hook = tokio::net::TcpListener::bind("127.0.0.1:0").await.wrap_err("no port for the alerts")?;
        let told_to = hook.local_addr()?;
        let alert_log = dir.join(ALERT_LOG);
        std::fs::write(&alert_log, "").wrap_err_with(|| format!("cannot write {}", alert_log.display()))?;
        tokio::spawn(receiver::serve(hook, alert_log, stop.clone()));
        let connect_api = match options.heroku_connect {
            true => Some(ConnectApi::start(HEROKU_KEY, stop.clone()).await.wrap_err("no port for an API")?),
            false => None,
        };
        let workspace = Workspace { dir, org, app_log, connect_api, server, stop };
        let org = format!("http://{address}");
        if options.heroku_connect {
            workspace.write_attached_config(&org)?;
        } else {
            workspace.write_config(&org, &format!("http://{told_to}/alerts"))?;
        }
        Ok(workspace)
    }

    /// The configuration, as any other command reads it.
    ///
    /// # Errors
    /// None that a demo should meet.
    pub fn config(&self) -> Result<Config> {
        Ok(Config::load(Some(&self.dir.join("syncdeck.toml")), None)?)
    }

    /// Where the application connects.
    pub fn database_url(&self) -> String {
        self.server.url(DATABASE)
    }

    fn write_config(&self, org: &str, told_to: &str) -> Result<()> {
        let defaults = OrgOptions::default();
        let mut text = format!(
            "{MARKER} It is made anew by the next demo in this directory.\n\n[connection]\nname = \"acme\"\n\
             environment = \"demo\"\nengine = \"with-console\"\n\n[postgres]\nurl = \"{}\"\n\n[salesforce]\nlogin_url = \"{org}\"\n\
             client_id = \"{}\"\nclient_secret = \"{}\"\nrequest_timeout = \"5s\"\nlease = \"15s\"\nlook_back = \"5s\"\n\
             describe_interval = \"5s\"\n\n[[log.source]]\nname = \"shop\"\nkind = \"file\"\npath = {:?}\n\n\
             [[log.source]]\nname = \"alerts\"\nkind = \"file\"\npath = {:?}\n{RULES}\n\
             [alert.channel.hook]\nkind = \"webhook\"\nurl = \"{told_to}\"\nsecret = \"{}\"\nvalues = true\n",
            self.database_url(),
            defaults.client_id,
            defaults.client_secret,
            self.dir.join(APP_LOG),
            self.dir.join(ALERT_LOG),
            receiver::SECRET
        );
        for (object, fields) in MAPPINGS {
            let names: Vec<String> = fields.split(' ').map(|field| format!("{field:?}")).collect();
            let _ = write!(
                text,
                "\n[[mapping]]\nobject = \"{object}\"\nfields = [{}]\nexternal_id = \"External_Id__c\"\npoll_interval = \"2s\"\n{}",
                names.join(", "),
                COMPARED.iter().find(|(of, _)| *of == object).map_or("", |(_, rules)| rules)
            );
        }
        self.write_secret(&text)
    }

    /// The configuration of a console beside Heroku Connect, the one that takes over, and what to try there.
    fn write_attached_config(&self, org: &str) -> Result<()> {
        let url = self.database_url();
        let app = OrgOptions::default();
        write_private(
            &self.dir.join(heroku_connect::TAKEOVER),
            &format!(
                "[connection]\nname = \"acme\"\nenvironment = \"demo\"\nengine = \"service\"\n\n[postgres]\nurl = \"{url}\"\n\n\
                 [salesforce]\nlogin_url = \"{org}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n{}",
                app.client_id,
                app.client_secret,
                heroku_connect::mappings()
            ),
        )?;
        let words = heroku_connect::words(&self.dir, &url, org, &app.client_id);
        heroku_connect::write(&self.dir.join(heroku_connect::WORDS), &words)?;
        let key = self.dir.join("heroku.key");
        write_private(&key, HEROKU_KEY)?;
        let api = self.connect_api.as_ref().map(|api| {
            let (app, url) = (heroku_connect::api::APP, api.url());
            format!("\n[heroku]\napp = \"{app}\"\napi_url = \"{url}\"\napi_key_file = {key:?}\n")
        });
        let api = api.unwrap_or_default();
        self.write_secret(&format!(
            "{MARKER} It is made anew by the next demo in this directory.\n\n[connection]\nname = \"acme\"\n\
             environment = \"demo\"\nengine = \"heroku-connect\"\nwrites = \"merged\"\n\n[postgres]\nurl = \"{url}\"\n\n\
             [[log.source]]\nname = \"heroku\"\nkind = \"file\"\npath = {:?}\n{api}",
            self.dir.join(heroku_connect::LOG)
        ))
    }

    fn write_secret(&self, text: &str) -> Result<()> {
        write_private(&self.dir.join("syncdeck.toml"), text)
    }
}

/// Writes a file that its owner alone reads.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = opened.wrap_err_with(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).wrap_err_with(|| format!("cannot write {}", path.display()))
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The directory, empty. One that an earlier demo left is made anew: its org's state ended with that demo.
fn directory(wanted: Option<&Path>) -> Result<PathBuf> {
    let Some(dir) = wanted else {
        let dir = tempfile::Builder::new()
            .prefix("syncdeck-demo-")
            .tempdir_in("/tmp")
            .wrap_err("no temporary directory")?;
        let dir = dir.keep();
        // The server's account must get through; what is secret in here is readable by its owner alone.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711))?;
        return Ok(dir);
    };
    std::fs::create_dir_all(dir).wrap_err_with(|| format!("cannot make {}", dir.display()))?;
    let dir = std::fs::canonicalize(dir).wrap_err_with(|| format!("cannot open {}", dir.display()))?;
    let empty = std::fs::read_dir(&dir)?.next().is_none();
    let ours = std::fs::read_to_string(dir.join("syncdeck.toml")).is_ok_and(|text| text.starts_with(MARKER));
    if !empty && !ours {
        bail!("{} is not empty and no workspace of a demo\nname an empty or a new directory", dir.display());
    }
    if ours {
        private::stop_server_in(&dir);
        for entry in ["pgdata", "postgresql.log", "syncdeck.toml"] {
            let path = dir.join(entry);
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                bail!("cannot clear {}: {error}", path.display());
            }
        }
    }
    Ok(dir)
}
