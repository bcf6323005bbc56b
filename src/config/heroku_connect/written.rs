//! The `syncdeck.toml` that a file of Heroku Connect becomes.

use std::fmt::Write as _;

use crate::config::edit::quoted;

use crate::domain::mappings::mapping::Access;
use crate::domain::values::duration;

use super::{ConnectExport, ExportedMapping};

/// Stands for the org's address until somebody writes it: no name that ends so ever leads anywhere.
pub const LOGIN_URL: &str = "https://my-domain.invalid";
/// Stands for the app's key until somebody writes it.
pub const CLIENT_ID: &str = "CONSUMER-KEY";
/// As long as a line of fields gets.
const WIDTH: usize = 100;

/// What the file of Heroku Connect does not say.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Name of the connection [the app's, or `salesforce`].
    pub name: Option<String>,
    /// The org's My Domain.
    pub login_url: Option<String>,
    /// The app's consumer key.
    pub client_id: Option<String>,
}

/// A configuration as it is written.
#[derive(Clone, Debug)]
pub struct WrittenExport {
    /// The text of the file.
    pub text: String,
    /// What somebody has to write or set before the first start: the line, and what.
    pub to_fill: Vec<(usize, &'static str)>,
}

/// Writes the configuration.
pub fn write(exported: &ConnectExport, choices: &Choices) -> WrittenExport {
    let name = choices.name.as_deref().or(exported.app_name.as_deref());
    let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("salesforce");
    let login_url = choices.login_url.as_deref().unwrap_or(LOGIN_URL);
    let client_id = choices.client_id.as_deref().unwrap_or(CLIENT_ID);
    let mut text = format!(
        "# Written by syncdeck import, from an export of Heroku Connect.\n\n\
         [connection]\nname = {}\nenvironment = \"prod\"               # prod asks more before it changes much\n\
         engine = \"service\"                 # syncdeck run is the engine; \"with-console\" lets the console run it\n\n\
         [postgres]\nurl_env = \"DATABASE_URL\"\nschema = \"salesforce\"\n\n\
         [salesforce]\nlogin_url = {}\nclient_id = {}\nclient_secret_env = \"SALESFORCE_SECRET\"\n\n\
         # Rows and records are compared once a day; what differs is listed as an error (\"off\" to leave it):\n\
         [verify]\nevery = \"24h\"\napi_share = 10               # percent of the org's API requests of a day\n",
        quoted(name),
        quoted(login_url),
        quoted(client_id),
    );
    exported.mappings.iter().for_each(|mapping| text += &of_mapping(mapping));
    let to_fill = to_fill(&text, choices);
    WrittenExport { text, to_fill }
}

fn of_mapping(mapping: &ExportedMapping) -> String {
    let mut text = format!("\n[[mapping]]\nobject = {}\n", quoted(&mapping.object));
    if mapping.access == Access::ReadOnly {
        text += "access = \"read_only\"\n";
    }
    text += &list("fields", &mapping.fields);
    if !mapping.indexes.is_empty() {
        text += &list("indexes", &mapping.indexes);
    }
    if let Some(field) = &mapping.upsert_field {
        let _ = writeln!(text, "external_id = {}", quoted(field));
    }
    let _ = writeln!(text, "poll_interval = {}", quoted(&duration::text(mapping.polling)));
    text
}

/// A list of names, over several lines where it is long.
fn list(key: &str, names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let one_line = format!("{key} = [{}]\n", quoted.join(", "));
    if one_line.len() <= WIDTH {
        return one_line;
    }
    let mut text = format!("{key} = [\n");
    let mut line = String::new();
    for name in quoted {
        if line.len() + name.len() > WIDTH {
            let _ = writeln!(text, "   {line}");
            line.clear();
        }
        line = format!("{line} {name},");
    }
    let _ = writeln!(text, "   {line}\n]");
    text
}

fn to_fill(text: &str, choices: &Choices) -> Vec<(usize, &'static str)> {
    let line = |key: &str| text.lines().position(|line| line.starts_with(key)).map_or(1, |at| at + 1);
    let mut wanted = vec![("url_env", "set DATABASE_URL to the address of the database")];
    if choices.login_url.is_none() {
        wanted.push(("login_url", "write your org's My Domain, https://acme.my.salesforce.com"));
    }
    if choices.client_id.is_none() {
        wanted.push(("client_id", "write the consumer key of your external client app"));
    }
    wanted.push(("client_secret_env", "set SALESFORCE_SECRET to the app's consumer secret"));
    wanted.into_iter().map(|(key, what)| (line(key), what)).collect()
}
