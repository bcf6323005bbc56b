//! Rules of the configuration that split groups: errors which have the same form, but not the same cause. A rule says which
//! errors it is about, and what of their messages tells one cause from another.

use crate::domain::errors::group::template;
use crate::domain::values::checksum::checksum;

/// What of a message that a rule tells causes apart by is shown.
const SHOWN: usize = 80;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Just this text.
    Text(String),
    /// Any text up to what follows, under a name.
    Hole(String),
}

/// A text with holes, which is looked for anywhere in a message: `Rule {rule}: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPattern(Vec<Piece>);

impl GroupPattern {
    /// Reads one; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<GroupPattern, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '{' | '}' if letters.peek() == Some(&letter) => plain.extend(letters.next()),
                '}' => return Err("a } closes nothing; write }} for the letter".to_owned()),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next() {
                            Some('}') => break,
                            Some(letter) if letter.is_ascii_alphanumeric() || letter == '_' => {
                                name.push(letter)
                            }
                            Some(letter) => return Err(format!("{letter:?} is no letter of a hole's name")),
                            None => return Err("a { is not closed; write {{ for the letter".to_owned()),
                        }
                    }
                    if name.is_empty() {
                        return Err("a hole has no name; write it as {rule}".to_owned());
                    }
                    if plain.is_empty() && matches!(pieces.last(), Some(Piece::Hole(_))) {
                        return Err(format!("nothing stands between {{{name}}} and the hole before it"));
                    }
                    if pieces.iter().any(|piece| *piece == Piece::Hole(name.clone())) {
                        return Err(format!("{{{name}}} stands in it twice"));
                    }
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Hole(name));
                }
                letter => plain.push(letter),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        match pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if !text.trim().is_empty())) {
            true => Ok(GroupPattern(pieces)),
            false => Err("it has no text of its own, so that it would fit every message".to_owned()),
        }
    }

    /// The names of its holes.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// What stands in its holes where it is first met in a message: each holds as little as it can, the last one, where
    /// nothing follows, the rest.
    pub fn read<'a>(&'a self, message: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut found = Vec::new();
        let mut rest = message;
        let mut hole: Option<&str> = None;
        for piece in &self.0 {
            match piece {
                Piece::Hole(name) => hole = Some(name),
                Piece::Text(text) => {
                    let (before, after) = rest.split_once(text.as_str())?;
                    if let Some(name) = hole.take() {
                        found.push((name, before.trim()));
                    }
                    rest = after;
                }
            }
        }
        if let Some(name) = hole {
            found.push((name, rest.trim()));
        }
        Some(found)
    }
}

/// What tells causes apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// What stands in a hole of the pattern.
    Hole(String),
    /// The operation: `insert`, `update`, `delete`, ...
    Op,
    /// The whole message, with all its numbers and values.
    Message,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// Its name.
    pub name: String,
    /// Only errors of this object.
    pub mapping: Option<String>,
    /// Only errors of this code.
    pub code: Option<String>,
    /// Only errors whose message has this.
    pub pattern: Option<GroupPattern>,
    /// What tells causes apart; without anything, errors that the rule is about are one group beside the others.
    pub by: Vec<By>,
}

/// An error, as far as it is grouped by that.
#[derive(Clone, Copy, Debug)]
pub struct Grouped<'a> {
    /// The mapping's object.
    pub mapping: &'a str,
    /// Its code.
    pub code: &'a str,
    /// Fields at fault.
    pub fields: &'a [String],
    /// `insert`, `update`, ...
    pub op: &'a str,
    /// Its message, as it is kept.
    pub message: &'a str,
}

impl GroupRule {
    /// What tells an error's cause apart, where the rule is about it.
    fn parts(&self, of: Grouped<'_>) -> Option<Vec<(String, String)>> {
        let fits = |wanted: &Option<String>, is: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(is))
        };
        if !fits(&self.mapping, of.mapping) || !fits(&self.code, of.code) {
            return None;
        }
        let holes = match &self.pattern {
            Some(pattern) => pattern.read(of.message)?,
            None => Vec::new(),
        };
        let part = |by: &By| match by {
            By::Hole(name) => {
                let value = holes.iter().find(|(hole, _)| hole == name).map_or("", |(_, value)| *value);
                (name.clone(), value.to_owned())
            }
            By::Op => ("operation".to_owned(), of.op.to_owned()),
            By::Message => ("whole message".to_owned(), of.message.to_owned()),
        };
        Some(self.by.iter().map(part).collect())
    }
}

/// All rules; the first one that is about an error counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping(pub Vec<GroupRule>);

impl Grouping {
    fn split(&self, of: Grouped<'_>) -> Option<(&GroupRule, Vec<(String, String)>)> {
        self.0.iter().find_map(|rule| Some((rule, rule.parts(of)?)))
    }

    /// The fingerprint of an error that has this one without any rule. What a rule splits keeps the one that it would have
    /// without it, behind a word of its own.
    pub fn fingerprint(&self, base: &str, of: Grouped<'_>) -> String {
        let Some((rule, parts)) = self.split(of) else { return base.to_owned() };
        let mut text = rule.name.clone();
        for (name, value) in parts {
            text.push_str(&format!("\u{1f}{name}\u{1e}{value}"));
        }
        let [a, b, c, d, e, f, g, h] = checksum(&text).to_be_bytes();
        let short = u32::from_be_bytes([a ^ e, b ^ f, c ^ g, d ^ h]);
        format!("{short:08x}-{base}")
    }

    /// The fingerprint that an error has without any rule.
    pub fn base(fingerprint: &str) -> &str {
        fingerprint.rsplit('-').next().unwrap_or(fingerprint)
    }

    /// What the errors of an error's group have in common, by name.
    pub fn key(&self, of: Grouped<'_>) -> Vec<(String, String)> {
        let whose = if of.mapping.is_empty() { "the connection" } else { of.mapping };
        let mut key = vec![("mapping".to_owned(), whose.to_owned()), ("code".to_owned(), of.code.to_owned())];
        if !of.fields.is_empty() {
            key.push(("fields".to_owned(), of.fields.join(", ")));
        }
        key.push(("form of the message".to_owned(), template(of.message)));
        if let Some((rule, parts)) = self.split(of) {
            key.push(("split by [[group]]".to_owned(), rule.name.clone()));
            key.extend(parts.into_iter().map(|(name, value)| (name, value.chars().take(SHOWN).collect())));
        }
        key
    }

    /// Tells whether rules are others than they were.
    pub fn stamp(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("{:016x}", checksum(&format!("{:?}", self.0))) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::errors::group;

    fn rule(pattern: &str) -> GroupRule {
        let pattern = GroupPattern::parse(pattern).unwrap();
        let by = pattern.holes().map(|hole| By::Hole(hole.to_owned())).collect();
        GroupRule { name: "rules".to_owned(), mapping: None, code: None, pattern: Some(pattern), by }
    }

    fn of(message: &str) -> Grouped<'_> {
        Grouped {
            mapping: "Contact",
            code: "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            fields: &[],
            op: "insert",
            message,
        }
    }

    fn print(rules: &Grouping, of: Grouped<'_>) -> String {
        rules.fingerprint(&group::fingerprint(of.mapping, of.code, of.fields, of.message), of)
    }

    #[test]
    fn a_rule_splits_what_has_one_form_by_what_stands_in_its_holes() {
        let none = Grouping::default();
        let (one, other) = (of("Rule A12 failed for 0031"), of("Rule B13 failed for 0032"));
        assert_eq!(print(&none, one), print(&none, other));
        let rules = Grouping(vec![rule("Rule {rule} failed")]);
        assert_ne!(print(&rules, one), print(&rules, other));
        assert_eq!(print(&rules, one), print(&rules, of("Rule A12 failed for 0099")));
        assert_eq!(Grouping::base(&print(&rules, one)), print(&none, one));
        assert_eq!(Grouping::base(&print(&none, one)), print(&none, one));
        let key = rules.key(one);
        let shown: Vec<(&str, &str)> =
            key.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("mapping", "Contact"),
                ("code", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
                ("form of the message", "Rule … failed for …"),
                ("split by [[group]]", "rules"),
                ("rule", "A12"),
            ]
        );
        assert_ne!(rules.stamp(), none.stamp());
    }

    #[test]
    fn a_rule_is_about_its_mapping_its_code_and_its_text_only() {
        let base = print(&Grouping::default(), of("limit is 5"));
        let with = |change: fn(&mut GroupRule)| {
            let mut rule = GroupRule { pattern: None, by: vec![By::Message], ..rule("x") };
            change(&mut rule);
            print(&Grouping(vec![rule]), of("limit is 5"))
        };
        assert_ne!(with(|_| {}), base);
        assert_ne!(with(|rule| rule.mapping = Some("contact".to_owned())), base);
        assert_eq!(with(|rule| rule.mapping = Some("Account".to_owned())), base);
        assert_eq!(with(|rule| rule.code = Some("OTHER".to_owned())), base);
        assert_eq!(with(|rule| rule.pattern = GroupPattern::parse("limits").ok()), base);
        let rules = Grouping(vec![GroupRule { by: vec![By::Op], pattern: None, ..rule("x") }]);
        let updated = Grouped { op: "update", ..of("limit is 5") };
        assert_ne!(print(&rules, updated), print(&rules, of("limit is 5")));
        // The first rule that is about it counts.
        let rules =
            Grouping(vec![rule("Rule {x}"), GroupRule { name: "second".to_owned(), ..rule("is {y}") }]);
        assert_eq!(rules.key(of("limit is 5")).last().unwrap(), &("y".to_owned(), "5".to_owned()));
    }

    #[test]
    fn a_pattern_is_read_or_refused_with_what_is_wrong() {
        let read = |pattern: &str, message: &'static str| -> Option<Vec<String>> {
            let pattern = GroupPattern::parse(pattern).unwrap();
            Some(pattern.read(message)?.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
        };
        assert_eq!(
            read("Rule {rule}: {why} (", "x Rule 7: no phone (b) (c)").unwrap(),
            ["rule=7", "why=no phone"]
        );
        assert_eq!(read("{first}: no", "Phone: no").unwrap(), ["first=Phone"]);
        assert_eq!(read("Rule {rule}", "Rule 7 of 9").unwrap(), ["rule=7 of 9"]);
        assert_eq!(read("a {{b}} {c}", "a {b} d").unwrap(), ["c=d"]);
        assert_eq!(read("Rule {rule}:", "Rules"), None);
        for (wrong, why) in [
            ("{a}", "no text of its own"),
            ("", "no text of its own"),
            ("x {a}{b}", "nothing stands between"),
            ("x {a} {a}", "twice"),
            ("x {a", "not closed"),
            ("x }", "closes nothing"),
            ("x {}", "no name"),
            ("x {a b}", "no letter of a hole's name"),
        ] {
            let refused = GroupPattern::parse(wrong).unwrap_err();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }

    proptest! {
        /// Whatever a message says: reading it is quick and never fails, and what one rule tells apart stays apart.
        #[test]
        fn groups_are_the_same_exactly_where_the_holes_are(
            one in "[a-zA-Z0-9 ]{0,12}", other in "[a-zA-Z0-9 ]{0,12}", tail in "\\PC{0,40}",
        ) {
            let rules = Grouping(vec![rule("<{hole}>")]);
            let (first, second) = (format!("id 1 <{one}> {tail}"), format!("id 2 <{other}> {tail}"));
            let hash = |message: &str| rules.fingerprint("base", of(message));
            prop_assert_eq!(hash(&first) == hash(&second), one.trim() == other.trim());
        }

        #[test]
        fn no_pattern_and_no_message_makes_it_panic(pattern in "\\PC{0,30}", message in "\\PC{0,60}") {
            if let Ok(pattern) = GroupPattern::parse(&pattern) {
                let _ = pattern.read(&message);
            }
        }
    }
}
