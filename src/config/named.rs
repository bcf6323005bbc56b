//! Rules that name a connection or a mapping: one that names what is not there would never be met, and nobody would hear of
//! it.

use serde::Deserialize;
use toml::Spanned;

use crate::domain::values::nearest::suggestion;

use super::ConfigError;
use super::connections::WrittenConnection;
use super::written::Check;

/// What such a rule names, whatever else it says.
#[derive(Deserialize)]
struct Naming {
    connection: Option<Spanned<String>>,
    mapping: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
struct Alerts {
    #[serde(default)]
    alert: Vec<Naming>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    group: Vec<Naming>,
    #[serde(default)]
    log: Log,
}

#[derive(Default, Deserialize)]
struct Log {
    #[serde(default)]
    source: Vec<Naming>,
}

impl Check<'_> {
    /// Refuses a rule about a connection or a mapping that the file does not have.
    pub(super) fn refuse_unknown_names(&self, connections: &[WrittenConnection]) -> Result<(), ConfigError> {
        // Without rules, `alert` is no list.
        let Alerts { alert } = self.parse().unwrap_or_default();
        let File { group, log } = self.parse()?;
        for (table, rules) in [("alert", alert), ("group", group), ("log.source", log.source)] {
            for rule in rules {
                self.known(table, &rule, connections)?;
            }
        }
        Ok(())
    }

    fn known(
        &self,
        table: &str,
        rule: &Naming,
        connections: &[WrittenConnection],
    ) -> Result<(), ConfigError> {
        if let Some(named) = &rule.connection {
            let names = connections.iter().map(|of| of.name.get_ref().as_str());
            self.one_of(named, &format!("{table}.connection"), "connection", names, str::eq)?;
        }
        if let Some(named) = &rule.mapping {
            let of = rule.connection.as_ref().map(Spanned::get_ref);
            let mappings = connections
                .iter()
                .filter(|connection| of.is_none_or(|name| name == connection.name.get_ref()))
                .flat_map(|connection| &connection.mapping)
                .map(|mapping| mapping.get_ref().object());
            self.one_of(named, &format!("{table}.mapping"), "mapping", mappings, |known, written| {
                known.eq_ignore_ascii_case(written.trim())
            })?;
        }
        Ok(())
    }

    /// `same` compares as those do who go by the rule.
    fn one_of<'a>(
        &self,
        named: &Spanned<String>,
        key: &str,
        what: &str,
        names: impl Iterator<Item = &'a str>,
        same: fn(&str, &str) -> bool,
    ) -> Result<(), ConfigError> {
        let names: Vec<&str> = names.collect();
        let name = named.get_ref().as_str();
        if names.iter().any(|known| same(known, name)) {
            return Ok(());
        }
        let problem = format!("{name:?} is no {what} of this file");
        let otherwise = match names.as_slice() {
            [] => format!("take it out: there is no {what} yet"),
            _ => format!("write one of: {}", names.join(", ")),
        };
        Err(self.refuse(named, key, &problem, &suggestion(name, names.iter().copied(), &otherwise)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    const FILE: &str = "[connection]\nname = \"acme\"\n[postgres]\nurl = \"postgresql:///app\"\n[salesforce]\n\
        login_url = \"https://acme.my.salesforce.com\"\nclient_id = \"id\"\nclient_secret_env = \"HOME\"\n\
        [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n[[mapping]]\nobject = \"Lead\"\nfields = [\"LastName\"]\n";

    fn refusal(more: &str) -> Option<String> {
        let config = Config::parse(Path::new("/nowhere/syncdeck.toml"), &format!("{FILE}{more}"));
        config.err().map(|error| error.to_string())
    }

    #[test]
    fn a_rule_about_what_is_not_there_is_refused_by_line() {
        let drain = "kind = \"file\"\npath = \"/var/log/app.log\"";
        for (rule, line, problem) in [
            (
                "[[alert]]\nwhen = \"error\"\nmapping = \"Contcat\"",
                17,
                "alert.mapping: \"Contcat\" is no mapping of this file",
            ),
            (
                "[[alert]]\nwhen = \"error\"\nconnection = \"ACME\"",
                17,
                "alert.connection: \"ACME\" is no connection of this file",
            ),
            (
                "[[alert]]\nwhen = \"error\"\nconnection = \"acmee\"",
                17,
                "alert.connection: \"acmee\" is no connection of this file",
            ),
            (
                "[[group]]\ncode = \"X\"\nby = [\"op\"]\nmapping = \"Account\"",
                18,
                "group.mapping: \"Account\" is no mapping of this file",
            ),
            (
                "[[group]]\nconnection = \"other\"\ncode = \"X\"\nby = [\"op\"]",
                16,
                "group.connection: \"other\" is no connection",
            ),
            (
                &format!("[[log.source]]\nname = \"shop\"\n{drain}\nconnection = \"other\""),
                19,
                "log.source.connection: \"other\"",
            ),
        ] {
            let told = refusal(rule).unwrap_or_else(|| panic!("{rule} is taken"));
            assert!(told.contains(&format!(":{line}: ")) && told.contains(problem), "{told}");
            assert!(told.contains("write one of: ") || told.contains("did you mean "), "{told}");
        }
    }

    #[test]
    fn a_rule_about_what_is_there_is_taken() {
        for rule in [
            "[[alert]]\nwhen = \"error\"\nmapping = \"contact\"\nconnection = \"acme\"\n\
             [alert.channel.ops]\nkind = \"slack\"\nurl_env = \"HOME\"",
            "[[group]]\nmapping = \"Lead\"\ncode = \"X\"\nby = [\"op\"]",
            "",
        ] {
            assert_eq!(refusal(rule), None, "{rule}");
        }
    }
}
