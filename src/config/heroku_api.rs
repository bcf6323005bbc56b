//! `[heroku]`: the app whose Heroku Connect keeps the tables, and how its API is asked. It goes with
//! `engine = "heroku-connect"` alone, and without a key nothing is asked: what shows is what the database tells.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

use crate::domain::values::address::OrgAddress;

use super::written::Check;
use super::{ConfigError, EngineMode};

/// Where Heroku Connect's connections are looked up.
const API: &str = "https://hc-central.heroku.com";
/// The variable that Heroku's own programs read.
pub(super) const KEY: &str = "HEROKU_API_KEY";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HerokuKeys {
    app: Spanned<String>,
    #[serde(default)]
    resource: Option<Spanned<String>>,
    #[serde(default)]
    api_url: Option<Spanned<String>>,
    #[serde(default)]
    api_key_env: Option<Spanned<String>>,
    #[serde(default)]
    api_key_file: Option<Spanned<PathBuf>>,
}

/// How Heroku Connect's API is asked.
#[derive(Clone, Debug)]
pub struct HerokuApiSettings {
    /// The app's name.
    pub app: String,
    /// The add-on, where the app has several.
    pub resource: Option<String>,
    /// Where connections are looked up.
    pub api_url: OrgAddress,
    /// The environment variable or the file that holds the key, for messages.
    pub key_place: String,
    /// The key; none where the variable is not set.
    pub key: Option<SecretString>,
}

/// What Heroku calls apps and add-ons; it becomes a part of an address.
pub(super) fn is_heroku_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Check<'_> {
    /// How Heroku Connect's API is asked, where somebody said so.
    pub(super) fn heroku_api(
        &self,
        keys: Option<Spanned<HerokuKeys>>,
        engine: EngineMode,
    ) -> Result<Option<HerokuApiSettings>, ConfigError> {
        let Some(keys) = keys else { return Ok(None) };
        if engine != EngineMode::HerokuConnect {
            let problem = "says where Heroku Connect is, which is not the engine here";
            let remedy = "leave it out, or set engine = \"heroku-connect\"";
            return Err(self.refuse(&keys, "heroku", problem, remedy));
        }
        let keys = keys.into_inner();
        if !is_heroku_name(keys.app.get_ref()) {
            let remedy = "name it as heroku apps does: small letters, digits and dashes";
            return Err(self.refuse(&keys.app, "heroku.app", "is no app's name", remedy));
        }
        if let Some(resource) = keys.resource.as_ref().filter(|name| !is_heroku_name(name.get_ref())) {
            let remedy = "name it as heroku connect:info does, such as \"herokuconnect-angular-12345\"";
            return Err(self.refuse(resource, "heroku.resource", "is no add-on's name", remedy));
        }
        let written = keys.api_url.as_ref().map_or(API, |url| url.get_ref().as_str());
        let api_url = OrgAddress::parse(written).map_err(|problem| {
            let at = keys.api_url.as_ref().map_or(0, |url| url.span().start);
            self.refuse_at(at, "heroku.api_url", &problem, &format!("take it out; Heroku's is {API}"))
        })?;
        let (key_place, key) = self.heroku_key(keys.api_key_env, keys.api_key_file)?;
        let resource = keys.resource.map(Spanned::into_inner);
        Ok(Some(HerokuApiSettings { app: keys.app.into_inner(), resource, api_url, key_place, key }))
    }

    /// Where the key is, and the key. A variable that is not set is no fault: nothing is asked then.
    fn heroku_key(
        &self,
        env: Option<Spanned<String>>,
        file: Option<Spanned<PathBuf>>,
    ) -> Result<(String, Option<SecretString>), ConfigError> {
        if let (Some(env), Some(_)) = (&env, &file) {
            let remedy = "set api_key_env or api_key_file";
            return Err(self.refuse(env, "heroku.api_key_env", "is one of two places of the key", remedy));
        }
        if let Some(file) = file {
            let place = file.get_ref().display().to_string();
            return Ok((place, Some(self.secret("heroku.api_key", None, None, Some(file), false)?)));
        }
        let name = env.map_or_else(|| KEY.to_owned(), Spanned::into_inner);
        let key = std::env::var(&name).ok().filter(|key| !key.trim().is_empty());
        Ok((name, key.filter(|_| self.reads_secrets()).map(|key| key.trim().to_owned().into())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    fn read(heroku: &str, engine: &str) -> Result<Config, String> {
        let text = format!(
            "[connection]\nname = \"acme\"\nengine = \"{engine}\"\n[postgres]\nurl = \"postgresql:///a\"\n{heroku}"
        );
        // An engine of ours has an org and mappings.
        let own = "[salesforce]\nlogin_url = \"https://a.my.salesforce.com\"\nclient_id = \"i\"\nclient_secret_env = \"PATH\"\n\
            [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n";
        let text = if engine == "heroku-connect" { text } else { text + own };
        Config::parse(Path::new("x.toml"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_app_is_enough() {
        let config =
            read("[heroku]\napp = \"acme-prod\"\napi_key_env = \"NO_SUCH_VARIABLE\"\n", "heroku-connect");
        let heroku = config.unwrap().heroku.unwrap();
        assert_eq!((heroku.app.as_str(), heroku.resource, heroku.key.is_none()), ("acme-prod", None, true));
        assert_eq!(heroku.api_url.to_string(), super::API);
        let config =
            read("[heroku]\napp = \"a\"\napi_key_env = \"PATH\"\nresource = \"r-1\"\n", "heroku-connect");
        let heroku = config.unwrap().heroku.unwrap();
        assert_eq!((heroku.key.is_some(), heroku.resource.as_deref()), (true, Some("r-1")));
        assert!(!format!("{heroku:?}").contains(&std::env::var("PATH").unwrap()), "a key shows");
        assert!(read("", "heroku-connect").unwrap().heroku.is_none());
    }

    #[test]
    fn a_refusal_names_the_place_and_the_remedy() {
        for (heroku, engine, wanted) in [
            (
                "app = \"a\"",
                "service",
                "x.toml:6: heroku: says where Heroku Connect is, which is not the engine",
            ),
            ("app = \"a/../b\"", "heroku-connect", "x.toml:7: heroku.app: is no app's name"),
            (
                "app = \"a\"\nresource = \"b c\"",
                "heroku-connect",
                "x.toml:8: heroku.resource: is no add-on's name",
            ),
            (
                "app = \"a\"\napi_url = \"http://hc-central.heroku.com\"",
                "heroku-connect",
                "x.toml:8: heroku.api_url: is no https URL; plain http is for this machine",
            ),
            ("app = \"a\"\nkey = \"b\"", "heroku-connect", "x.toml:8: unknown field `key`"),
            (
                "app = \"a\"\napi_key_env = \"A\"\napi_key_file = \"b\"",
                "heroku-connect",
                "x.toml:8: heroku.api_key_env: is one of two places",
            ),
            (
                "app = \"a\"\napi_key_file = \"/nowhere/key\"",
                "heroku-connect",
                "x.toml:8: heroku.api_key_file: cannot read /nowhere/key",
            ),
            ("resource = \"b\"", "heroku-connect", "x.toml:6: missing field `app`"),
        ] {
            let told = read(&format!("[heroku]\n{heroku}\n"), engine).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
    }
}
