//! Keys by name, one way on every terminal: `j`, `G`, `Up`, `C-s`, `S-Tab`, `Space`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The name of a key, as the command table writes it. Shift is told only where the character does not.
pub fn name(key: KeyEvent) -> String {
    let base = match key.code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::BackTab => return "S-Tab".to_owned(),
        KeyCode::F(number) => format!("F{number}"),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        other => format!("{other:?}"),
    };
    let control = if key.modifiers.contains(KeyModifiers::CONTROL) { "C-" } else { "" };
    let alt = if key.modifiers.contains(KeyModifiers::ALT) { "A-" } else { "" };
    let shift = key.modifiers.contains(KeyModifiers::SHIFT) && !matches!(key.code, KeyCode::Char(_));
    format!("{control}{alt}{}{base}", if shift { "S-" } else { "" })
}

/// Keys that have a word for a name.
const NAMED: [&str; 15] = [
    "Space",
    "Enter",
    "Esc",
    "Tab",
    "Backspace",
    "Delete",
    "Insert",
    "Home",
    "End",
    "PgUp",
    "PgDn",
    "Up",
    "Down",
    "Left",
    "Right",
];

/// Why what is written is the name of no key that can be pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKey {
    /// What is wrong with it.
    pub problem: String,
    /// What to write.
    pub remedy: String,
}

/// A key's name as [`name`] gives it, from what a person wrote: Ctrl does not tell `S` from `s`.
///
/// # Errors
/// Why there is no such key, or why no terminal sends it, and what to write instead.
pub fn written(text: &str) -> Result<String, NoKey> {
    let (control, rest) = without(text, "C-");
    let (alt, rest) = without(rest, "A-");
    let (shift, base) = without(rest, "S-");
    let of = |base: &str| {
        let [control, alt, shift] =
            [(control, "C-"), (alt, "A-"), (shift, "S-")].map(|(held, sign)| if held { sign } else { "" });
        format!("{control}{alt}{shift}{base}")
    };
    // A terminal sends bytes: with Ctrl these are those of other keys, or none.
    let same_as = |key: &str| NoKey {
        problem: format!("{text} cannot be told from {key}: terminals send the same for both"),
        remedy: format!("write {key}, or take another key"),
    };
    let never =
        |remedy: &str| NoKey { problem: format!("no terminal sends {text}"), remedy: remedy.to_owned() };
    let number = base.strip_prefix('F').and_then(|number| number.parse::<u8>().ok());
    let mut letters = base.chars();
    match (letters.next(), letters.next()) {
        (Some(_), None) if shift => Err(never("write the character itself, such as G")),
        (Some('[' | 'O'), None) if alt => Err(never("take another letter with A-, such as A-x")),
        (Some(letter), None) if control => match letter.to_ascii_lowercase() {
            'i' => Err(same_as("Tab")),
            'm' => Err(same_as("Enter")),
            '[' => Err(same_as("Esc")),
            // What terminals send for C-\ to C-_ has these names.
            letter @ ('a'..='z' | '4'..='7') => Ok(of(&letter.to_string())),
            _ => Err(never("take a letter with C-, such as C-t")),
        },
        (Some(letter), None) if !letter.is_control() && letter != ' ' => Ok(of(base)),
        _ if base == "Tab" && shift && !control && !alt => Ok(of(base)),
        _ if ["Enter", "Esc", "Tab", "Backspace"].contains(&base) && (control || shift) => Err(same_as(base)),
        _ if (base == "Space" && shift) || (base == "Esc" && alt) => Err(same_as(base)),
        _ if NAMED.contains(&base) || number.is_some_and(|number| (1..=24).contains(&number)) => Ok(of(base)),
        _ => Err(NoKey {
            problem: format!("{text:?} is no key"),
            remedy: "write keys like j, G, Enter, Space, F5, C-s (with Ctrl), A-x (with Alt)".to_owned(),
        }),
    }
}

/// Whether a name begins with the sign of a held key, and what comes after it.
fn without<'a>(text: &'a str, sign: &str) -> (bool, &'a str) {
    text.strip_prefix(sign).map_or((false, text), |rest| (true, rest))
}

/// A key's name as people read it.
pub fn shown(name: &str) -> String {
    match name {
        "Up" => "↑".to_owned(),
        "Down" => "↓".to_owned(),
        "S-Tab" => "Shift-Tab".to_owned(),
        name => match (name.strip_prefix("C-"), name.strip_prefix("A-")) {
            (Some(letter), _) => format!("Ctrl-{}", letter.to_uppercase()),
            (_, Some(letter)) => format!("Alt-{letter}"),
            _ => name.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_key_that_a_terminal_sends() {
        for (text, key) in [
            ("C-S", "C-s"),
            ("C-s", "C-s"),
            ("G", "G"),
            ("-", "-"),
            ("C-5", "C-5"),
            ("A-X", "A-X"),
            ("C-A-T", "C-A-t"),
            ("C-Space", "C-Space"),
            ("S-Tab", "S-Tab"),
            ("S-Up", "S-Up"),
            ("F12", "F12"),
        ] {
            assert_eq!(written(text).as_deref(), Ok(key), "{text}");
        }
        let event = KeyEvent::new(KeyCode::Up, KeyModifiers::SHIFT);
        assert_eq!(written("S-Up"), Ok(name(event)));
    }

    #[test]
    fn what_no_terminal_sends_is_refused_with_what_it_sends_instead() {
        for (text, problem, remedy) in [
            ("C-i", "C-i cannot be told from Tab", "write Tab"),
            ("C-I", "C-I cannot be told from Tab", "write Tab"),
            ("C-m", "C-m cannot be told from Enter", "write Enter"),
            ("C-[", "C-[ cannot be told from Esc", "write Esc"),
            ("C-Enter", "C-Enter cannot be told from Enter", "write Enter"),
            ("S-Space", "S-Space cannot be told from Space", "write Space"),
            ("C-1", "no terminal sends C-1", "such as C-t"),
            ("C-.", "no terminal sends C-.", "such as C-t"),
            ("S-g", "no terminal sends S-g", "such as G"),
            ("A-[", "no terminal sends A-[", "such as A-x"),
            ("Ctrl-Q", "\"Ctrl-Q\" is no key", "C-s (with Ctrl)"),
            ("F25", "\"F25\" is no key", "F5"),
            ("", "\"\" is no key", "F5"),
        ] {
            let refused = written(text).unwrap_err();
            assert!(refused.problem.starts_with(problem) && refused.remedy.contains(remedy), "{refused:?}");
        }
    }
}
