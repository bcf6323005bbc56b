//! `[[log.source]]`: where lines of other programs' logs come from. Nothing here concerns an engine, which neither reads
//! it nor stops for it. Secrets are not read here but by whoever follows a source: no other command needs them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::domain::values::address::OrgAddress;
use crate::logs::parse::Zone;
use crate::logs::source::{DrainAt, FileAt, HerokuApp, LogSource, Login, SourceKind};

use super::ConfigError;
use super::heroku_api::{KEY, is_heroku_name};
use super::written::Check;

/// The name of the engine's own log among the sources.
pub use crate::logs::OWN_SOURCE as ENGINE;
/// Heroku's Platform API.
const API: &str = "https://api.heroku.com";
/// A session lives for about an hour.
const LONGEST: u64 = 3_000;

/// `[log]` alone, of a file whose other tables are read elsewhere.
#[derive(Deserialize)]
pub(super) struct LogFile {
    #[serde(default)]
    pub(super) log: LogKeys,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogKeys {
    #[serde(default)]
    source: Vec<SourceKeys>,
}

type Text = Option<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceKeys {
    name: Spanned<String>,
    kind: Spanned<String>,
    #[serde(default)]
    connection: Text,
    #[serde(default)]
    path: Text,
    #[serde(default)]
    zone: Text,
    #[serde(default)]
    app: Text,
    #[serde(default)]
    dyno: Text,
    #[serde(default)]
    from: Text,
    #[serde(default)]
    api_url: Text,
    #[serde(default)]
    api_key_env: Text,
    #[serde(default)]
    renew: Text,
    #[serde(default)]
    listen: Text,
    #[serde(default)]
    user: Text,
    #[serde(default)]
    password_env: Text,
    #[serde(default)]
    token_env: Text,
}

impl SourceKeys {
    /// Each key that belongs to one kind only.
    fn of_kinds(&self) -> [(&'static str, &'static str, &Text); 12] {
        [
            ("file", "path", &self.path),
            ("file", "zone", &self.zone),
            ("heroku", "app", &self.app),
            ("heroku", "dyno", &self.dyno),
            ("heroku", "from", &self.from),
            ("heroku", "api_url", &self.api_url),
            ("heroku", "api_key_env", &self.api_key_env),
            ("heroku", "renew", &self.renew),
            ("drain", "listen", &self.listen),
            ("drain", "user", &self.user),
            ("drain", "password_env", &self.password_env),
            ("drain", "token_env", &self.token_env),
        ]
    }
}

impl Check<'_> {
    /// The sources of a connection: those that name it, and those that name none.
    pub(super) fn sources(&self, keys: LogKeys, connection: &str) -> Result<Vec<LogSource>, ConfigError> {
        let mut names: Vec<String> = Vec::new();
        let mut sources = Vec::new();
        for keys in keys.source {
            let name = keys.name.get_ref().trim();
            let problem = match name {
                "" => Some("is empty"),
                ENGINE => Some("is the engine's own log"),
                name if names.iter().any(|other| other == name) => Some("is the name of another source"),
                name if name.contains(char::is_whitespace) => Some("has a space in it"),
                _ => None,
            };
            if let Some(problem) = problem {
                let remedy = "give the source a short name of its own, such as \"shop\"";
                return Err(self.refuse(&keys.name, "log.source.name", problem, remedy));
            }
            names.push(name.to_owned());
            let source = LogSource { name: name.to_owned(), kind: self.source_kind(&keys)? };
            if keys.connection.is_none_or(|named| named.get_ref() == connection) {
                sources.push(source);
            }
        }
        Ok(sources)
    }

    fn source_kind(&self, keys: &SourceKeys) -> Result<SourceKind, ConfigError> {
        let kind = keys.kind.get_ref().as_str();
        if !["file", "heroku", "drain"].contains(&kind) {
            let remedy = "use \"file\", \"heroku\" or \"drain\"";
            return Err(self.refuse(&keys.kind, "log.source.kind", "is unknown", remedy));
        }
        let foreign = keys.of_kinds().into_iter().find(|(of, _, value)| *of != kind && value.is_some());
        if let Some((of, key, Some(value))) = foreign {
            let problem = format!("is not used with kind = {kind:?}");
            let remedy = format!("take it out, or set kind = {of:?}");
            return Err(self.refuse(value, &format!("log.source.{key}"), &problem, &remedy));
        }
        match kind {
            "file" => self.file(keys).map(SourceKind::File),
            "heroku" => self.heroku(keys).map(SourceKind::Heroku),
            _ => self.drain(keys).map(SourceKind::Drain),
        }
    }

    fn file(&self, keys: &SourceKeys) -> Result<FileAt, ConfigError> {
        let path = keys.path.as_ref().filter(|path| !path.get_ref().is_empty());
        let path = path.ok_or_else(|| self.source_lacks(keys, "path", "name the file"))?;
        let zone = keys.zone.as_ref().map_or(Ok(Zone::Utc), |zone| {
            let refuse = |remedy: String| self.refuse(zone, "log.source.zone", "is no zone", &remedy);
            Zone::parse(zone.get_ref()).map_err(refuse)
        })?;
        Ok(FileAt { path: PathBuf::from(path.get_ref()), zone })
    }

    fn heroku(&self, keys: &SourceKeys) -> Result<HerokuApp, ConfigError> {
        let app = keys.app.as_ref().ok_or_else(|| self.source_lacks(keys, "app", "name the app"))?;
        if !is_heroku_name(app.get_ref()) {
            let remedy = "name it as heroku apps does: small letters, digits and dashes";
            return Err(self.refuse(app, "log.source.app", "is no app's name", remedy));
        }
        if let Some(from) = &keys.from
            && !["app", "heroku"].contains(&from.get_ref().as_str())
        {
            let remedy = "use \"app\" or \"heroku\", or take it out to have both";
            return Err(self.refuse(from, "log.source.from", "is unknown", remedy));
        }
        let api_url = keys.api_url.as_ref().map_or(Ok(API.to_owned()), |url| {
            let address = OrgAddress::parse(url.get_ref()).map_err(|problem| {
                let remedy = format!("take it out; Heroku's is {API}");
                self.refuse(url, "log.source.api_url", &problem, &remedy)
            })?;
            Ok(address.to_string())
        })?;
        let renew = self.duration("log.source.renew", keys.renew.as_ref(), 900)?;
        if let Some(written) = &keys.renew
            && renew.as_secs() > LONGEST
        {
            let remedy = "write 50m at most: a session lives for about an hour";
            return Err(self.refuse(written, "log.source.renew", "is too long", remedy));
        }
        let text = |value: &Text| value.as_ref().map(|value| value.get_ref().clone());
        let api_key_env = text(&keys.api_key_env).unwrap_or_else(|| KEY.to_owned());
        let app = app.get_ref().clone();
        Ok(HerokuApp { app, dyno: text(&keys.dyno), from: text(&keys.from), api_url, api_key_env, renew })
    }

    fn drain(&self, keys: &SourceKeys) -> Result<DrainAt, ConfigError> {
        let listen = keys.listen.as_ref();
        let listen = listen.ok_or_else(|| self.source_lacks(keys, "listen", "write \"127.0.0.1:5140\""))?;
        // A port alone is one of this machine's.
        let port = listen.get_ref().parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let at = port.or_else(|_| listen.get_ref().parse()).map_err(|_| {
            let remedy = "write \"127.0.0.1:5140\" or \"5140\"";
            self.refuse(listen, "log.source.listen", "is no address with a port", remedy)
        })?;
        let text = |value: &Text| value.as_ref().map(|value| value.get_ref().clone());
        let login = match (text(&keys.user), text(&keys.password_env), text(&keys.token_env)) {
            (Some(user), Some(password_env), None) => Some(Login::Basic { user, password_env }),
            (None, None, Some(token_env)) => Some(Login::Token { token_env }),
            (None, None, None) if at.ip().is_loopback() => None,
            (None, None, None) => {
                let problem = "is open to other machines, and anybody could send lines there";
                let remedy = "set user and password_env, or token_env, or listen on 127.0.0.1";
                return Err(self.refuse(listen, "log.source.listen", problem, remedy));
            }
            (user, ..) => {
                let key = if user.is_some() { "user" } else { "password_env" };
                let problem = "does not tell how requests are proved";
                let remedy = "set user and password_env together, or token_env alone";
                let at = keys.kind.span().start;
                return Err(self.refuse_at(at, &format!("log.source.{key}"), problem, remedy));
            }
        };
        Ok(DrainAt { listen: at, login })
    }

    fn source_lacks(&self, keys: &SourceKeys, key: &str, remedy: &str) -> ConfigError {
        let problem = format!("is needed for kind = {:?}", keys.kind.get_ref());
        self.refuse(&keys.kind, &format!("log.source.{key}"), &problem, remedy)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::written::log;
    use super::*;

    fn read(text: &str) -> Result<Vec<LogSource>, String> {
        log(Path::new("x.toml"), text, "acme").map_err(|error| error.to_string())
    }

    #[test]
    fn sources_of_each_kind_are_read() {
        let sources = read(
            "[[log.source]]\nname = \"shop\"\nkind = \"heroku\"\napp = \"acme-shop\"\ndyno = \"web.1\"\n\
             [[log.source]]\nname = \"access\"\nkind = \"file\"\npath = \"/var/log/access.log\"\nzone = \"+02:00\"\n\
             [[log.source]]\nname = \"lines\"\nkind = \"drain\"\nlisten = \"5140\"\nconnection = \"acme\"\n\
             [[log.source]]\nname = \"others\"\nkind = \"drain\"\nlisten = \"5141\"\nconnection = \"other\"\n",
        )
        .unwrap();
        let named: Vec<(&str, &str)> =
            sources.iter().map(|source| (source.name.as_str(), source.kind.word())).collect();
        assert_eq!(named, [("shop", "heroku"), ("access", "file"), ("lines", "drain")]);
        let SourceKind::Heroku(app) = &sources[0].kind else { panic!("{sources:?}") };
        assert_eq!((app.api_url.as_str(), app.api_key_env.as_str()), (API, "HEROKU_API_KEY"));
        assert_eq!((app.renew, app.dyno.as_deref()), (Duration::from_secs(900), Some("web.1")));
        let SourceKind::Drain(drain) = &sources[2].kind else { panic!("{sources:?}") };
        assert_eq!(drain.listen.to_string(), "127.0.0.1:5140");
        assert!(read("[connection]\nname = \"acme\"\n").unwrap().is_empty());
    }

    #[test]
    fn a_refusal_names_the_place_and_the_remedy() {
        for (keys, wanted) in [
            ("kind = \"syslog\"", "x.toml:3: log.source.kind: is unknown\nuse \"file\", \"heroku\""),
            ("kind = \"file\"", "x.toml:3: log.source.path: is needed for kind = \"file\"\nname the file"),
            (
                "kind = \"file\"\npath = \"a\"\napp = \"b\"",
                "x.toml:5: log.source.app: is not used with kind = \"file\"\ntake it out, or set kind = \"heroku\"",
            ),
            ("kind = \"file\"\npath = \"a\"\nzone = \"x\"", "x.toml:5: log.source.zone: is no zone\nuse utc"),
            ("kind = \"heroku\"\napp = \"a/../b\"", "x.toml:4: log.source.app: is no app's name"),
            (
                "kind = \"heroku\"\napp = \"a\"\napi_url = \"http://api.heroku.com\"",
                "x.toml:5: log.source.api_url: is no https URL; plain http is for this machine",
            ),
            ("kind = \"heroku\"\napp = \"a\"\nrenew = \"2h\"", "x.toml:5: log.source.renew: is too long"),
            ("kind = \"heroku\"\napp = \"a\"\nfrom = \"b\"", "x.toml:5: log.source.from: is unknown"),
            ("kind = \"drain\"\nlisten = \"here\"", "x.toml:4: log.source.listen: is no address with a port"),
            ("kind = \"drain\"\nlisten = \"0.0.0.0:1\"", "x.toml:4: log.source.listen: is open to other"),
            (
                "kind = \"drain\"\nlisten = \"1\"\nuser = \"u\"",
                "x.toml:3: log.source.user: does not tell how requests are proved",
            ),
            ("kind = \"drain\"\ncolour = \"red\"", "x.toml:4: unknown field `colour`"),
        ] {
            let told = read(&format!("[[log.source]]\nname = \"shop\"\n{keys}\n")).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
        let file = "kind = \"file\"\npath = \"a\"\n";
        for name in ["", "syncdeck", "a b"] {
            let told = read(&format!("[[log.source]]\nname = {name:?}\n{file}")).unwrap_err();
            assert!(told.starts_with("x.toml:2: log.source.name: "), "{told}");
        }
        let twice = format!("[[log.source]]\nname = \"a\"\n{file}").repeat(2);
        assert!(read(&twice).unwrap_err().starts_with("x.toml:6: log.source.name: is the name of another"));
    }
}
