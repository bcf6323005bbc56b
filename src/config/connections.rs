//! Which connections a file has: one, whose tables stand at the top (`[connection]`, `[postgres]`, ...), or several,
//! each with the same tables below `[connections.NAME]`. The order of the file counts: the first is the default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::heroku_api::HerokuKeys;
use super::mapping::MappingKeys;
use super::metrics::MetricsKeys;
use super::written::{Check, PostgresKeys, SalesforceKeys};
use super::{ConfigError, EngineMode};
use crate::domain::attached::mode::WriteMode;

/// The environment of a connection that names none: what asks most carefully.
const ENVIRONMENT: &str = "prod";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryKeys {
    #[serde(default)]
    pub(super) keep: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) log_rows: Option<Spanned<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyKeys {
    #[serde(default)]
    pub(super) every: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) api_share: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) listed: Option<Spanned<i64>>,
}

/// The top of a file, to tell its form.
#[derive(Deserialize)]
struct Top {
    #[serde(default)]
    connections: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    connection: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    postgres: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    salesforce: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    heroku: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    history: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    verify: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    metrics: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    mapping: Option<Spanned<IgnoredAny>>,
}

/// A file of one connection.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    connection: Head,
    postgres: PostgresKeys,
    #[serde(default)]
    salesforce: Option<SalesforceKeys>,
    #[serde(default)]
    heroku: Option<Spanned<HerokuKeys>>,
    #[serde(default)]
    history: HistoryKeys,
    #[serde(default)]
    verify: VerifyKeys,
    #[serde(default)]
    metrics: Option<MetricsKeys>,
    #[serde(default)]
    mapping: Vec<Spanned<MappingKeys>>,
    /// Read apart from all this: no engine minds what is wrong in it.
    #[serde(default, rename = "console")]
    _console: IgnoredAny,
    #[serde(default, rename = "log")]
    _log: IgnoredAny,
    #[serde(default, rename = "alert")]
    _alert: IgnoredAny,
    #[serde(default, rename = "group")]
    _group: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: Spanned<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    engine: Option<Spanned<String>>,
    #[serde(default)]
    writes: Option<Spanned<String>>,
}

/// A file of several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    connections: BTreeMap<Spanned<String>, Sections>,
    #[serde(default, rename = "console")]
    _console: IgnoredAny,
    #[serde(default, rename = "log")]
    _log: IgnoredAny,
    #[serde(default, rename = "alert")]
    _alert: IgnoredAny,
    #[serde(default, rename = "group")]
    _group: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    engine: Option<Spanned<String>>,
    #[serde(default)]
    writes: Option<Spanned<String>>,
    postgres: PostgresKeys,
    #[serde(default)]
    salesforce: Option<SalesforceKeys>,
    #[serde(default)]
    heroku: Option<Spanned<HerokuKeys>>,
    #[serde(default)]
    history: HistoryKeys,
    #[serde(default)]
    verify: VerifyKeys,
    #[serde(default)]
    metrics: Option<MetricsKeys>,
    #[serde(default)]
    mapping: Vec<Spanned<MappingKeys>>,
}

/// One connection as it is written.
pub(super) struct WrittenConnection {
    pub(super) name: Spanned<String>,
    /// Before its keys in messages: empty, or `connections.NAME.`.
    pub(super) place: String,
    pub(super) environment: String,
    pub(super) engine: EngineMode,
    pub(super) postgres: PostgresKeys,
    /// How Heroku Connect writes, where it is the engine and somebody said so.
    pub(super) writes: Option<WriteMode>,
    /// None only where Heroku Connect is the engine.
    pub(super) salesforce: Option<SalesforceKeys>,
    /// How Heroku Connect's API is asked.
    pub(super) heroku: Option<Spanned<HerokuKeys>>,
    pub(super) history: HistoryKeys,
    pub(super) verify: VerifyKeys,
    pub(super) metrics: Option<MetricsKeys>,
    pub(super) mapping: Vec<Spanned<MappingKeys>>,
}

impl Check<'_> {
    /// The connections of the file, at least one, the default first.
    pub(super) fn connections(&self) -> Result<Vec<WrittenConnection>, ConfigError> {
        let top: Top = self.parse()?;
        let Some(several) = &top.connections else { return Ok(vec![self.one(self.parse()?)?]) };
        for (table, found) in [
            ("connection", &top.connection),
            ("postgres", &top.postgres),
            ("salesforce", &top.salesforce),
            ("heroku", &top.heroku),
            ("history", &top.history),
            ("verify", &top.verify),
            ("metrics", &top.metrics),
            ("mapping", &top.mapping),
        ] {
            if let Some(found) = found {
                let remedy = "write it below [connections.NAME], or take [connections] out";
                return Err(self.refuse(found, table, "does not go together with [connections]", remedy));
            }
        }
        let at = several.span().start;
        let file: Several = self.parse()?;
        let mut sections: Vec<(Spanned<String>, Sections)> = file.connections.into_iter().collect();
        sections.sort_by_key(|(name, _)| name.span().start);
        let connections = sections
            .into_iter()
            .map(|(name, sections)| self.one_of_several(name, sections))
            .collect::<Result<Vec<_>, _>>()?;
        if connections.is_empty() {
            return Err(self.refuse_at(at, "connections", "there is none", "add [connections.NAME]"));
        }
        self.refuse_shared_databases(&connections)?;
        self.refuse_shared_addresses(&connections)?;
        Ok(connections)
    }

    fn one(&self, file: One) -> Result<WrittenConnection, ConfigError> {
        self.named(&file.connection.name, "connection.name")?;
        let engine = self.engine("connection.engine", file.connection.engine.as_ref())?;
        let at = file.connection.name.span().start;
        self.has_org("", at, engine, file.salesforce.is_some())?;
        Ok(WrittenConnection {
            engine,
            writes: self.writes("connection.writes", file.connection.writes.as_ref(), engine)?,
            name: file.connection.name,
            place: String::new(),
            environment: file.connection.environment.unwrap_or_else(|| ENVIRONMENT.to_owned()),
            postgres: file.postgres,
            salesforce: file.salesforce,
            heroku: file.heroku,
            history: file.history,
            verify: file.verify,
            metrics: file.metrics,
            mapping: file.mapping,
        })
    }

    fn one_of_several(
        &self,
        name: Spanned<String>,
        sections: Sections,
    ) -> Result<WrittenConnection, ConfigError> {
        self.named(&name, "connections")?;
        let place = format!("connections.{}.", name.get_ref());
        let engine = self.engine(&format!("{place}engine"), sections.engine.as_ref())?;
        self.has_org(&place, name.span().start, engine, sections.salesforce.is_some())?;
        Ok(WrittenConnection {
            engine,
            writes: self.writes(&format!("{place}writes"), sections.writes.as_ref(), engine)?,
            name,
            place,
            environment: sections.environment.unwrap_or_else(|| ENVIRONMENT.to_owned()),
            postgres: sections.postgres,
            salesforce: sections.salesforce,
            heroku: sections.heroku,
            history: sections.history,
            verify: sections.verify,
            metrics: sections.metrics,
            mapping: sections.mapping,
        })
    }

    fn named(&self, name: &Spanned<String>, key: &str) -> Result<(), ConfigError> {
        if name.get_ref().trim().is_empty() {
            return Err(self.refuse(name, key, "is empty", "give the connection a short name"));
        }
        Ok(())
    }

    fn engine(&self, key: &str, written: Option<&Spanned<String>>) -> Result<EngineMode, ConfigError> {
        match written.map(|mode| (mode, mode.get_ref().as_str())) {
            None | Some((_, "with-console")) => Ok(EngineMode::WithConsole),
            Some((_, "service")) => Ok(EngineMode::Service),
            Some((_, "heroku-connect")) => Ok(EngineMode::HerokuConnect),
            Some((mode, _)) => Err(self.refuse(
                mode,
                key,
                "is unknown",
                "use \"with-console\" (the console runs the engine), \"service\" (only `syncdeck run` does) or \"heroku-connect\" (Heroku \
                 Connect does the work, and syncdeck looks and mends)",
            )),
        }
    }

    /// Only Heroku Connect knows its org by itself.
    fn has_org(&self, place: &str, at: usize, engine: EngineMode, written: bool) -> Result<(), ConfigError> {
        if written || engine == EngineMode::HerokuConnect {
            return Ok(());
        }
        let remedy = format!("add [{place}salesforce] with login_url, client_id and how the app signs in");
        Err(self.refuse_at(at, &format!("{place}salesforce"), "is missing", &remedy))
    }

    /// How Heroku Connect writes to Salesforce.
    fn writes(
        &self,
        key: &str,
        written: Option<&Spanned<String>>,
        engine: EngineMode,
    ) -> Result<Option<WriteMode>, ConfigError> {
        let Some(word) = written else { return Ok(None) };
        if engine != EngineMode::HerokuConnect {
            let remedy = "leave it out, or set engine = \"heroku-connect\"";
            return Err(self.refuse(
                word,
                key,
                "says how Heroku Connect writes, which is not the engine here",
                remedy,
            ));
        }
        let mode = WriteMode::from_word(word.get_ref());
        let remedy = "use \"merged\" or \"ordered\", as Heroku Connect's settings have it";
        mode.map(Some).ok_or_else(|| self.refuse(word, key, "is unknown", remedy))
    }

    /// Two engines with different mappings in one database would undo each other's work.
    fn refuse_shared_databases(&self, connections: &[WrittenConnection]) -> Result<(), ConfigError> {
        let at = |keys: &PostgresKeys| -> [Option<PathBuf>; 3] {
            let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.get_ref().into());
            [text(&keys.url), text(&keys.url_env), keys.url_file.as_ref().map(|file| file.get_ref().clone())]
        };
        for (number, second) in connections.iter().enumerate() {
            let same = |first: &&WrittenConnection| at(&first.postgres) == at(&second.postgres);
            if let Some(first) = connections[..number].iter().find(same) {
                let problem = format!("is the database of connection {} already", first.name.get_ref());
                let key = format!("{}postgres.url", second.place);
                return Err(self.refuse(
                    &second.name,
                    &key,
                    &problem,
                    "give each connection a database of its own",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    /// A connection among several.
    fn section(name: &str, more: &str) -> String {
        format!(
            "[connections.{name}]\n{more}\n[connections.{name}.postgres]\nurl = \"postgresql:///{name}\"\n\
             [connections.{name}.salesforce]\nlogin_url = \"https://{name}.my.salesforce.com\"\nclient_id = \"id\"\n\
             client_secret_env = \"PATH\"\n[[connections.{name}.mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n"
        )
    }

    fn chosen(text: &str, connection: Option<&str>) -> Result<Config, String> {
        Config::of(Path::new("x.toml"), text, connection).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_of_the_file_is_the_default_and_any_can_be_chosen() {
        let text = section("staging", "environment = \"sandbox\"") + &section("live", "engine = \"service\"");
        let text = text + "[console]\nutc = true\n";
        let first = chosen(&text, None).unwrap();
        assert_eq!((first.name.as_str(), first.environment.as_str()), ("staging", "sandbox"));
        assert_eq!(first.table("salesforce"), ["connections", "staging", "salesforce"]);
        let live = chosen(&text, Some("live")).unwrap();
        assert_eq!((live.environment.as_str(), live.salesforce.login_url.len()), ("prod", 30));
        assert!(live.console.utc);
        let told = chosen(&text, Some("life")).unwrap_err();
        assert_eq!(told, "x.toml has no connection \"life\"\nname one of staging, live with --connection");
        let names: Vec<String> = super::super::written::names(Path::new("x.toml"), &text)
            .unwrap()
            .into_iter()
            .map(|of| of.name)
            .collect();
        assert_eq!(names, ["staging", "live"]);
    }

    #[test]
    fn an_engine_minds_its_own_connection_only() {
        let text = section("a", "") + &section("b", "");
        let a = chosen(&text, Some("a")).unwrap();
        let b = chosen(&text, Some("b")).unwrap();
        let changed = section("a", "") + &section("b", "environment = \"test\"") + "[console]\nutc = true\n";
        assert_eq!(a.engine_part(&text), a.engine_part(&changed));
        assert_ne!(b.engine_part(&text), b.engine_part(&changed));
    }

    #[test]
    fn an_engine_reads_its_own_connection_again_whatever_became_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("syncdeck.toml");
        let several = section("a", "") + &section("b", "");
        let alone =
            "[connection]\nname = \"b\"\n".to_owned() + &section("b", "").replace("connections.b.", "");
        let alone = alone.replace("[connections.b]\n", "");
        std::fs::write(&path, &alone).unwrap();
        let config = Config::load(Some(&path), None).unwrap();
        let again = |text: &str| {
            std::fs::write(&path, text).unwrap();
            config.load_again().map(|config| (config.name, config.salesforce.login_url))
        };
        let own = "https://b.my.salesforce.com".to_owned();
        assert_eq!(again(&several).unwrap(), ("b".to_owned(), own.clone()));
        assert_eq!(again(&alone.replace("name = \"b\"", "name = \"c\"")).unwrap(), ("c".to_owned(), own));
        let told = again(&section("a", "")).unwrap_err().to_string();
        assert!(told.contains("has no connection \"b\""), "{told}");
    }

    #[test]
    fn a_refusal_names_the_connection() {
        let good = section("a", "") + &section("b", "");
        for (text, wanted) in [
            (good.clone() + "[postgres]\n", "x.toml:23: postgres: does not go together with"),
            ("[connections]\n".to_owned(), "x.toml:1: connections: there is none"),
            (
                good.replace("///b", "///a"),
                "x.toml:12: connections.b.postgres.url: is the database of connection a",
            ),
            (
                section("a", "engine = \"always\""),
                "x.toml:2: connections.a.engine: is unknown\nuse \"with-console\"",
            ),
            (good.replace("[\"LastName\"]", "[]"), "x.toml:11: connections.a.mapping.fields: is empty"),
            (section("a", "engines = 3"), "x.toml:2: unknown field `engines`"),
            (
                good.split("[[").next().unwrap().to_owned(),
                "x.toml:1: connections.a.mapping: there is none\nadd at least one [[connections.a.mapping]]",
            ),
        ] {
            let told = chosen(&text, None).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
    }
}
