//! `[[group]]`: which errors are no one cause although they look alike. It holds for every connection of the file, but for a
//! rule that names one.

use serde::Deserialize;
use toml::Spanned;

use crate::domain::errors::grouping::{By, GroupPattern, GroupRule, Grouping};

use super::ConfigError;
use super::written::Check;

/// `[[group]]` of a file whose other tables are read elsewhere.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    group: Vec<Spanned<GroupKeys>>,
}

type Text = Option<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupKeys {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    connection: Text,
    #[serde(default)]
    mapping: Text,
    #[serde(default)]
    code: Text,
    #[serde(default)]
    message: Text,
    #[serde(default)]
    by: Option<Spanned<Vec<Spanned<String>>>>,
}

impl Check<'_> {
    /// The rules by which groups of errors of a connection are split.
    pub(super) fn grouping(&self, connection: &str) -> Result<Grouping, ConfigError> {
        let file: File = self.parse()?;
        let mut rules: Vec<GroupRule> = Vec::new();
        let mut kept = Vec::new();
        for written in file.group {
            let at = written.span().start;
            let keys = written.into_inner();
            let rule = self.group_rule(&keys, at)?;
            if rules.iter().any(|other| other.name == rule.name) {
                let at = keys.name.as_ref().map_or(at, |name| name.span().start);
                let problem = format!("{:?} is the name of another rule", rule.name);
                return Err(self.refuse_at(at, "group.name", &problem, "give each rule a name of its own"));
            }
            rules.push(rule.clone());
            if keys.connection.is_none_or(|named| named.get_ref() == connection) {
                kept.push(rule);
            }
        }
        Ok(Grouping(kept))
    }

    fn group_rule(&self, keys: &GroupKeys, at: usize) -> Result<GroupRule, ConfigError> {
        let text = |value: &Text| value.as_ref().map(|value| value.get_ref().trim().to_owned());
        for (key, value) in [
            ("name", &keys.name),
            ("mapping", &keys.mapping),
            ("code", &keys.code),
            ("message", &keys.message),
        ] {
            if let Some(value) = value.as_ref().filter(|value| value.get_ref().trim().is_empty()) {
                let remedy = "write something, or take it out";
                return Err(self.refuse(value, &format!("group.{key}"), "is empty", remedy));
            }
        }
        if keys.code.is_none() && keys.message.is_none() {
            let remedy = "write the code of the errors, or a text of their messages, as listed by: syncdeck errors --group";
            return Err(self.refuse_at(at, "group", "has neither code nor message", remedy));
        }
        let pattern = match &keys.message {
            None => None,
            Some(written) => Some(GroupPattern::parse(written.get_ref()).map_err(|problem| {
                let remedy = "write a text of the message, with {name} for what differs: \"Rule {rule}: \"";
                self.refuse(written, "group.message", &problem, remedy)
            })?),
        };
        let by = self.group_by(keys, pattern.as_ref())?;
        if pattern.is_none() && by.is_empty() {
            let remedy = "add by = [\"op\"] or by = [\"message\"], or a message with a hole";
            return Err(self.refuse_at(at, "group", "splits nothing", remedy));
        }
        let named = text(&keys.name).or(text(&keys.message)).or(text(&keys.code));
        Ok(GroupRule {
            name: named.unwrap_or_default(),
            mapping: text(&keys.mapping),
            code: text(&keys.code),
            pattern,
            by,
        })
    }

    /// What tells causes apart: what is written, or all holes of the pattern.
    fn group_by(&self, keys: &GroupKeys, pattern: Option<&GroupPattern>) -> Result<Vec<By>, ConfigError> {
        let holes: Vec<&str> = pattern.iter().flat_map(|pattern| pattern.holes()).collect();
        let Some(written) = &keys.by else {
            return Ok(holes.into_iter().map(|hole| By::Hole(hole.to_owned())).collect());
        };
        let mut by = Vec::new();
        for word in written.get_ref() {
            let part = match word.get_ref().as_str() {
                hole if holes.contains(&hole) => By::Hole(hole.to_owned()),
                "op" => By::Op,
                "message" => By::Message,
                other => {
                    let known: Vec<&str> = ["op", "message"].into_iter().chain(holes).collect();
                    let problem = format!("{other:?} is no hole of the message");
                    let remedy = format!("use one of {}", known.join(", "));
                    return Err(self.refuse(word, "group.by", &problem, &remedy));
                }
            };
            if by.contains(&part) {
                let problem = format!("{:?} stands in it twice", word.get_ref());
                return Err(self.refuse(word, "group.by", &problem, "take one of them out"));
            }
            by.push(part);
        }
        Ok(by)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;

    /// The least that a configuration has, for the tests of its sections.
    pub const FILE: &str = r#"
[connection]
name = "acme"
[postgres]
url = "postgresql:///app"
[salesforce]
login_url = "https://acme.my.salesforce.com"
client_id = "id"
client_secret_env = "HOME"
[[mapping]]
object = "Contact"
fields = ["LastName"]
"#;

    fn read(more: &str) -> Result<Grouping, String> {
        let text = format!("{FILE}{more}");
        Check::new(Path::new("/nowhere/syncdeck.toml"), &text)
            .grouping("acme")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_splits_by_its_holes_unless_it_says_by_what() {
        assert_eq!(read("").unwrap(), Grouping::default());
        let rules = read(
            "[[group]]\ncode = \"X\"\nmessage = \"Rule {rule}: {why}\"\n\
             [[group]]\nname = \"ops\"\nmapping = \"Contact\"\nmessage = \"Rule {rule}\"\nby = [\"op\", \"rule\"]\n\
             [[group]]\nmessage = \"trigger\"\n[[group]]\nconnection = \"other\"\ncode = \"Y\"\nby = [\"message\"]\n",
        );
        let rules = rules.unwrap().0;
        let hole = |name: &str| By::Hole(name.to_owned());
        assert_eq!(rules.len(), 3, "the fourth is of another connection");
        assert_eq!(
            (rules[0].name.as_str(), &rules[0].by),
            ("Rule {rule}: {why}", &vec![hole("rule"), hole("why")])
        );
        assert_eq!((rules[1].name.as_str(), &rules[1].by), ("ops", &vec![By::Op, hole("rule")]));
        assert_eq!((rules[2].name.as_str(), rules[2].by.len()), ("trigger", 0));
    }

    #[test]
    fn a_wrong_rule_is_refused_by_line_and_remedy() {
        for (more, wanted) in [
            ("[[group]]\nmapping = \"Contact\"", ":13: group: has neither code nor message\nwrite the code"),
            ("[[group]]\ncode = \"X\"", ":13: group: splits nothing\nadd by = "),
            ("[[group]]\ncode = \" \"", ":14: group.code: is empty\nwrite something"),
            ("[[group]]\nmessage = \"{rule}\"", ":14: group.message: it has no text of its own"),
            ("[[group]]\nmessage = \"Rule {rule\"", ":14: group.message: a { is not closed"),
            (
                "[[group]]\nmessage = \"Rule {rule}\"\nby = [\"rul\"]",
                ":15: group.by: \"rul\" is no hole of the message\nuse one of op, message, rule",
            ),
            (
                "[[group]]\nmessage = \"a\"\nby = [\"op\", \"op\"]",
                ":15: group.by: \"op\" stands in it twice\ntake one",
            ),
            (
                "[[group]]\nmessage = \"a\"\n[[group]]\nmessage = \"a\"",
                ":15: group.name: \"a\" is the name of another rule\ngive each",
            ),
            ("[[group]]\nmessage = \"a\"\nbye = 1", ":15: unknown field `bye`"),
        ] {
            let refused = read(more).unwrap_err();
            assert!(refused.starts_with(&format!("/nowhere/syncdeck.toml{wanted}")), "{more}\n{refused}");
        }
    }
}
