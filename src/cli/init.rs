//! `syncdeck init`: leads through database, org and first mappings, tests each step, and writes the configuration.
//! `syncdeck init --reconnect` replaces a login that was lost, while the engine waits.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use color_eyre::eyre::Result;
use secrecy::SecretString;

use crate::config::edit::quoted;
use crate::config::{Auth, Config, ConfigError, Salesforce, edit};
use crate::domain::errors::catalogue::login_advice;
use crate::domain::reports::budget::ApiBudget;
use crate::domain::state::{ConnectionState, EngineState};
use crate::engine;
use crate::logs::sanitize::sanitize;
use crate::postgres::Store;
use crate::salesforce::describe::Describe;
use crate::salesforce::{self, Client};

use super::args::Cli;
use super::dialogue::Dialogue;
use super::{DONE, FAILED, bulk, print};

/// What is written unless another is named.
const FILE: &str = "syncdeck.toml";
/// What is offered beside what was asked: whoever wants it takes the signs of a comment away.
const ALERTS: &str = "\n# Tell people what fails (try a channel with: syncdeck alert test ops):\n\
    # [[alert]]\n# when = \"new_cause\"\n#\n# [[alert]]\n# when = \"login_lost\"\n# severity = \"critical\"\n#\n\
    # [[alert]]\n# when = \"nothing_synced\"\n# older_than = \"15m\"\n#\n\
    # [alert.channel.ops]\n# kind = \"slack\"                 # or email, webhook, pagerduty\n# url_env = \"SLACK_URL\"\n";
/// What everybody gets: both sides are compared once a day.
const VERIFY: &str = "\n# Rows and records are compared once a day; what differs is listed as an error (\"off\" to leave it):\n\
    [verify]\nevery = \"24h\"\napi_share = 10               # percent of the org's API requests of a day\n";
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Leads through it.
pub(super) async fn run(cli: &Cli, reconnect: bool) -> Result<u8> {
    bulk::refuse_read_only(cli)?;
    let path = cli.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let mut ask = Dialogue::new();
    if reconnect {
        return self::reconnect(cli, &mut ask).await;
    }
    if path.exists() {
        let question = format!("{} exists. Write it anew?", path.display());
        if !ask.yes(&question, false)? {
            print::line(&format!(
                "left as it is; to sign in anew: syncdeck init --reconnect --config {}",
                path.display()
            ))?;
            return Ok(DONE);
        }
    }
    let engine = set_up(cli, &path, &mut ask).await?;
    let next = if engine == "service" { "syncdeck run" } else { "syncdeck" };
    print::line(&format!("start with: {next} --config {}", path.display()))?;
    Ok(DONE)
}

/// Asks for everything, and writes the configuration to the path. Returns who is to run the engine.
async fn set_up(cli: &Cli, path: &Path, ask: &mut Dialogue) -> Result<String> {
    let name = cli.connection.as_deref().unwrap_or("acme");
    let name = ask.text("A short name for the connection", Some(name))?;
    let environment = ask.text("Which environment is it (prod, sandbox, test)", Some("sandbox"))?;
    print::line("\n1 of 4  PostgreSQL")?;
    let (url, schema) = database(ask).await?;
    print::line("\n2 of 4  Salesforce")?;
    let (client, salesforce) = org(ask, path).await?;
    print::line("\n3 of 4  Mappings")?;
    let mappings = mappings(ask, &client).await?;
    print::line("\n4 of 4  The engine")?;
    let service = "service: only `syncdeck run` runs it, and consoles attach";
    print::line(&format!("  with-console: the console that comes first runs it\n  {service}"))?;
    let engine = ask.one_of("Who runs the engine", &["with-console", "service"])?;
    let text = format!(
        "# Written by syncdeck init. It holds secrets: keep it readable by its owner alone.\n\n\
         [connection]\nname = {}\nenvironment = {}\nengine = {}\n\n[postgres]\nurl = {}\nschema = {}\n\n{salesforce}{VERIFY}{mappings}{ALERTS}",
        quoted(&name),
        quoted(&environment),
        quoted(&engine),
        quoted(&url),
        quoted(&schema)
    );
    edit::write_private(path, &text)?;
    Config::load(Some(path), None)?;
    print::line(&format!("\nwritten to {}", path.display()))?;
    Ok(engine)
}

/// The first start of the console on a machine where nothing is configured.
pub(super) async fn first_start(cli: &Cli, missing: &ConfigError) -> Result<()> {
    let found = missing.to_string();
    let found = found.lines().next().unwrap_or_default();
    print::problem(&format!(
        "{found}\na few questions make one and open the console; Ctrl-C leaves; to only try it: syncdeck demo"
    ));
    print::note("");
    set_up(cli, Path::new(FILE), &mut Dialogue::new()).await.map(|_| ())
}

/// A database that can be laid out.
async fn database(ask: &mut Dialogue) -> Result<(String, String)> {
    loop {
        let url = ask.text("URL of the database", Some("postgresql:///syncdeck"))?;
        let schema = ask.text("Schema for the mapped tables", Some("salesforce"))?;
        let connected = Store::connect(&url, &schema, "syncdeck init", PATIENCE).await;
        let surveyed = match connected {
            Ok(store) => store.survey().await,
            Err(error) => Err(error),
        };
        match surveyed {
            Ok(survey) if survey.missing.is_empty() => {
                print::line(&format!("  ok: PostgreSQL {}", survey.version))?;
                return Ok((url, schema));
            }
            Ok(survey) => survey.missing.iter().for_each(|missing| print::problem(missing)),
            Err(error) => print::problem(&error.to_string()),
        }
    }
}

/// An org that lets the app in. Returns its client and what is written of it.
async fn org(ask: &mut Dialogue, path: &Path) -> Result<(Client, String)> {
    loop {
        let login_url = ask.text("Your org's My Domain (https://acme.my.salesforce.com)", None)?;
        let client_id = ask.text("Consumer key of the external client app", None)?;
        let ways = ["client_credentials", "jwt", "refresh_token"];
        let way = ask.one_of("How does the app sign in", &ways)?;
        let mut text = format!(
            "[salesforce]\nlogin_url = {}\nclient_id = {}\nauth = {}\n",
            quoted(&login_url),
            quoted(&client_id),
            quoted(&way)
        );
        let auth = match way.as_str() {
            "jwt" => {
                let username = ask.text("The user it speaks for", None)?;
                let file = ask.text("File with the private key (PEM)", None)?;
                let _ =
                    write!(text, "username = {}\nprivate_key_file = {}\n", quoted(&username), quoted(&file));
                match std::fs::read_to_string(&file) {
                    Ok(key) => Auth::Jwt { username, key: key.into(), audience: None },
                    Err(error) => {
                        print::problem(&format!("cannot read {file}: {error}"));
                        continue;
                    }
                }
            }
            "refresh_token" => {
                let token = ask.secret("The refresh token")?;
                let file = path.with_file_name("refresh_token");
                edit::write_private(&file, &token)?;
                let _ = writeln!(text, "refresh_token_file = {}", quoted(&file.display().to_string()));
                Auth::RefreshToken { secret: None, file }
            }
            _ => {
                let secret = ask.secret("Consumer secret")?;
                let _ = writeln!(text, "client_secret = {}", quoted(&secret));
                Auth::ClientCredentials { secret: secret.into() }
            }
        };
        let client = engine::client(&Salesforce {
            login_url,
            client_id,
            auth,
            api_version: "62.0".to_owned(),
            request_timeout: PATIENCE,
            lease: PATIENCE * 3,
            look_back: PATIENCE,
            describe_interval: PATIENCE,
            calls_at_once: 1,
            api_budget: ApiBudget::default(),
        })?;
        match client.org_id().await {
            Ok(org) => {
                print::line(&format!("  ok: signed in to the org {}", sanitize(&org)))?;
                return Ok((client, text));
            }
            Err(salesforce::Error::Login { code, message }) => {
                let advice = login_advice(&code, &message);
                print::problem(&format!(
                    "{}\n{advice}\nthen try again",
                    salesforce::Error::Login { code, message }
                ));
            }
            Err(error) => print::problem(&format!("{error}\nlook at the app in Salesforce, and try again")),
        }
    }
}

/// The first mappings, as they are written.
async fn mappings(ask: &mut Dialogue, client: &Client) -> Result<String> {
    let known = client.object_names().await?;
    print::line(&format!("  the login sees {} objects", known.len()))?;
    let mut text = String::new();
    while text.is_empty() {
        let wanted = ask.text("Objects to keep in step, with commas between", Some("Account, Contact"))?;
        for object in wanted.split(',').map(str::trim).filter(|object| !object.is_empty()) {
            match client.describe(object, None).await {
                Ok(Some((describe, _))) => text += &mapping(ask, &describe)?,
                Ok(None) => {}
                Err(error) => print::problem(&format!("{object}: {error}")),
            }
        }
    }
    Ok(text)
}

fn mapping(ask: &mut Dialogue, describe: &Describe) -> Result<String> {
    let object = &describe.name;
    let writable: Vec<String> = describe
        .fields
        .iter()
        .map(crate::salesforce::describe::DescribedField::to_field)
        .filter(|field| !field.read_only())
        .map(|field| field.name)
        .collect();
    let keys: Vec<&str> =
        describe.fields.iter().filter(|field| field.external_id).map(|field| field.name.as_str()).collect();
    let default = format!("all {} that can be written", writable.len());
    let fields = loop {
        let typed = ask.text(&format!("Fields of {object}"), Some(&default))?;
        if typed == default {
            break writable.iter().filter(|field| !keys.contains(&field.as_str())).cloned().collect();
        }
        let fields: Vec<String> = typed.split(',').map(|field| field.trim().to_owned()).collect();
        match fields.iter().find(|field| describe.field(field).is_none()) {
            Some(unknown) => {
                print::problem(&format!("{object} has no field {unknown} that this login can see"))
            }
            None => break fields,
        }
    };
    let choices: Vec<&str> = keys.iter().copied().chain(["none"]).collect();
    let key = ask.one_of(
        &format!("External id of {object} (none: lost answers of inserts wait for a person)"),
        &choices,
    )?;
    let names: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    let mut text = format!("\n[[mapping]]\nobject = {}\nfields = [{}]\n", quoted(object), names.join(", "));
    if key != "none" {
        let _ = writeln!(text, "external_id = {}", quoted(&key));
    }
    Ok(text)
}

/// Replaces the login of a configuration that is there, and waits until the engine, if one runs, has signed in.
async fn reconnect(cli: &Cli, ask: &mut Dialogue) -> Result<u8> {
    let config = super::config(cli)?;
    super::needs_org(&config)?;
    loop {
        print::line(&format!("signing in to {}", sanitize(&config.salesforce.login_url)))?;
        let (auth, done) = new_login(ask, &config)?;
        let client = engine::client(&Salesforce { auth, ..config.salesforce.clone() })?;
        match client.org_id().await {
            Ok(_) => {
                done()?;
                break;
            }
            Err(error) => {
                print::problem(&format!("{error}\nnothing was changed; try again, or leave with Ctrl-C"))
            }
        }
    }
    print::line("  ok: signed in; the configuration is changed")?;
    let store = super::store(&config, &super::session(cli, &config)).await?;
    if !store.is_installed().await? || store.overview().await?.engine.state != EngineState::Running {
        print::line("no engine runs; the next one signs in with it")?;
        return Ok(DONE);
    }
    store.notify("reconnect").await?;
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < PATIENCE {
        if store.overview().await?.connection.state == ConnectionState::Ok {
            print::line("  ok: the engine is connected again")?;
            return Ok(DONE);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    print::problem("the engine is not connected yet; see why with: syncdeck status");
    Ok(FAILED)
}

/// Keeps a login that was tested.
type Keep = Box<dyn FnOnce() -> Result<()>>;

/// Asks for what replaces the login; the second part writes it down.
fn new_login(ask: &mut Dialogue, config: &Config) -> Result<(Auth, Keep)> {
    let (path, table) = (config.path.clone(), config.table("salesforce"));
    Ok(match &config.salesforce.auth {
        Auth::ClientCredentials { .. } => {
            let secret = ask.secret("The new consumer secret")?;
            let auth = Auth::ClientCredentials { secret: SecretString::from(secret.clone()) };
            let keep = move || Ok(edit::set_secret(&path, &table, "client_secret", &secret)?);
            (auth, Box::new(keep))
        }
        Auth::Jwt { username, audience, .. } => {
            let file = ask.text("File with the new private key (PEM)", None)?;
            let key = std::fs::read_to_string(&file)
                .map_err(|error| print::Usage(format!("cannot read {file}: {error}")))?;
            let auth = Auth::Jwt { username: username.clone(), key: key.into(), audience: audience.clone() };
            let keep = move || Ok(edit::set_key(&path, &table, "private_key_file", &file)?);
            (auth, Box::new(keep))
        }
        Auth::RefreshToken { secret, file } => {
            // It may be good once only, so it is tried where it will be kept.
            let token = ask.secret("The new refresh token")?;
            edit::write_private(file, &token)?;
            let auth = Auth::RefreshToken { secret: secret.clone(), file: file.clone() };
            (auth, Box::new(|| Ok(())))
        }
    })
}
