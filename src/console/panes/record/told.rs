//! What a remedy tells a person to type into a shell, as the console's own keys and commands have it.

/// What such a command is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToldCommand {
    /// A rule of a mapping, to be finished; without a mapping it is that of the selected one.
    Rule {
        /// Which mapping, where it is named.
        mapping: Option<String>,
        /// As far as it is known.
        rule: String,
    },
    /// A comparison of a mapping, where it is named.
    Verify(Option<String>),
    /// The engine signs in anew.
    SignIn,
    /// Rows that are the same thing become another one of them.
    MergeInto,
    /// Something that has a key.
    ByKey,
}

/// The words of a remedy before such a command, and what that is here.
pub fn told(text: &str) -> Option<(&str, ToldCommand)> {
    let (words, command) = text.split_once("syncdeck ")?;
    let words = words.trim_end().trim_end_matches(':').trim_end_matches("with").trim_end();
    let words = words.trim_end_matches([',', ' ']);
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    let named = |name: &str| (!["", "NAME", "MAPPING", "on"].contains(&name)).then(|| name.to_owned());
    let told = match verb {
        "mapping" => {
            let (mapping, rule) = rest.split_once(' ').unwrap_or((rest, ""));
            ToldCommand::Rule { mapping: named(mapping), rule: rule.trim_matches('\'').to_owned() }
        }
        "verify" => ToldCommand::Verify(named(rest.split(' ').next().unwrap_or_default())),
        "init" => ToldCommand::SignIn,
        "merge" => ToldCommand::MergeInto,
        "resolve" | "revert" | "errors" | "pending" | "status" | "show" | "fix" | "logs" => {
            ToldCommand::ByKey
        }
        _ => return None,
    };
    Some((words, told))
}

/// The words of a remedy as they stand here: with the key or the command of the console in the place of a shell's.
pub fn in_console(text: &str) -> String {
    let Some((words, told)) = told(text) else { return text.to_owned() };
    // A key that is named already is enough.
    if words.ends_with(')') {
        return words.to_owned();
    }
    match told {
        ToldCommand::Rule { rule, .. } if rule.is_empty() => format!("{words} (:rule)"),
        ToldCommand::Rule { rule, .. } => format!("{words}: {rule} (:rule)"),
        ToldCommand::Verify(_) => format!("{words} (:verify)"),
        ToldCommand::SignIn => format!("{words} (:sign-in)"),
        ToldCommand::MergeInto => format!("{words} (:merge-into)"),
        ToldCommand::ByKey => match text.split_once("syncdeck ").map_or("", |(_, command)| command) {
            command if command.starts_with("errors --group") => format!("{words} (c in the errors)"),
            command if command.starts_with("errors --where ") => {
                format!(
                    "{words}: {} (/ in the errors)",
                    command["errors --where ".len()..].trim_matches('\'')
                )
            }
            command if command.starts_with("logs --where ") => {
                format!("{words}: {} (/ in the log)", command["logs --where ".len()..].trim_matches('\''))
            }
            command if command.starts_with("errors") => format!("{words} (:errors)"),
            command if command.starts_with("pending") => format!("{words} (:pending)"),
            command if command.starts_with("status") => format!("{words} (:mappings)"),
            command if command.starts_with("revert") => format!("{words} (u)"),
            command if command.starts_with("resolve") => format!("{words} (c)"),
            command if command.starts_with("logs") => format!("{words} (:log)"),
            _ => format!("{words} (e in the record)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::in_console;
    use crate::domain::errors::catalogue::all_remedies;

    #[test]
    fn what_a_shell_would_take_is_a_key_or_a_command_here() {
        for (text, here) in [
            (
                "Choose field by field (c): syncdeck resolve ID FIELD=postgres|salesforce",
                "Choose field by field (c)",
            ),
            (
                "Poll less often: syncdeck mapping NAME poll_interval=5m",
                "Poll less often: poll_interval=5m (:rule)",
            ),
            (
                "Change the field's transforms: syncdeck mapping Contact",
                "Change the field's transforms (:rule)",
            ),
            ("Then, without a restart: syncdeck init --reconnect", "Then, without a restart (:sign-in)"),
            (
                "Look whether the parent is in Salesforce, with: syncdeck verify on its mapping",
                "Look whether the parent is in Salesforce (:verify)",
            ),
            (
                "Keep another one of them: syncdeck merge ID --into ROW",
                "Keep another one of them (:merge-into)",
            ),
            ("Correct the address (e)", "Correct the address (e)"),
        ] {
            assert_eq!(in_console(text), here);
        }
    }

    #[test]
    fn no_remedy_of_the_catalogue_tells_a_command_of_a_shell() {
        let told: Vec<String> =
            all_remedies().map(in_console).filter(|text| text.contains("syncdeck ")).collect();
        assert_eq!(told, Vec::<String>::new());
    }
}
