//! `change_events` and `poll_with_events` of `[salesforce]`: what every mapping does that has no rule of its own.

use super::written::{Check, SalesforceKeys};
use super::{ConfigError, MappingConfig};

impl Check<'_> {
    /// What is said of change events of a connection is the rule of each mapping that has none of its own.
    pub(super) fn change_events(
        &self,
        keys: &SalesforceKeys,
        mappings: &mut [MappingConfig],
    ) -> Result<(), ConfigError> {
        let flag = keys.change_events.as_ref().map(|flag| (flag.span().start, flag.get_ref().to_string()));
        let time = keys.poll_with_events.as_ref().map(|time| (time.span().start, time.get_ref().clone()));
        for (key, written) in [("change_events", flag), ("poll_with_events", time)] {
            let Some((at, text)) = written else { continue };
            let without = mappings.iter_mut().filter(|mapping| !mapping.rules.settings().contains_key(key));
            for mapping in without {
                let set = mapping.rules.set(key, &text);
                set.map_err(|bad| {
                    self.refuse_at(at, &format!("salesforce.{key}"), &bad.problem, &bad.remedy)
                })?;
            }
        }
        match keys.poll_with_events.as_ref().filter(|_| !mappings.iter().any(|of| of.rules.change_events)) {
            Some(time) => Err(self.refuse(
                time,
                "salesforce.poll_with_events",
                "has no effect without change events",
                "add change_events = true to [salesforce] or to a mapping, or leave poll_with_events out",
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::config::Config;
    use crate::config::group::tests::FILE;

    #[test]
    fn change_events_are_for_every_mapping_that_says_nothing_else() {
        let path = Path::new("/nowhere/syncdeck.toml");
        let both = "client_secret_env = \"HOME\"\nchange_events = true\npoll_with_events = \"1h\"";
        let text = FILE.replace("client_secret_env = \"HOME\"", both) + "poll_interval = \"10s\"\n";
        let rules = Config::parse(path, &text).unwrap().mappings[0].rules.clone();
        assert_eq!(
            (rules.poll_pause(false), rules.poll_pause(true)),
            (Duration::from_secs(10), Duration::from_secs(3_600))
        );
        let own =
            format!("{text}change_events = false\n[[mapping]]\nobject = \"Lead\"\nfields = [\"LastName\"]\n");
        let mappings = Config::parse(path, &own).unwrap().mappings;
        let told: Vec<bool> = mappings.iter().map(|mapping| mapping.rules.change_events).collect();
        assert_eq!(told, [false, true]);
        assert_eq!(mappings[0].rules.poll_pause(true), Duration::from_secs(10));
        let text = Config::parse(path, &text.replace("change_events = true\n", "")).unwrap_err().to_string();
        let wanted =
            "/nowhere/syncdeck.toml:10: salesforce.poll_with_events: has no effect without change events";
        assert!(text.starts_with(wanted), "{text}");
    }
}
