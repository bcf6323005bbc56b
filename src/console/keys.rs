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

/// Whether this is the name of a key, as [`name`] gives it.
pub fn is_name(text: &str) -> bool {
    const NAMED: [&str; 16] = [
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
        "S-Tab",
    ];
    let base = text.strip_prefix("C-").unwrap_or(text);
    let base = base.strip_prefix("A-").unwrap_or(base);
    let number = base.strip_prefix('F').and_then(|number| number.parse::<u8>().ok());
    let mut letters = base.chars();
    let is_letter =
        matches!((letters.next(), letters.next()), (Some(c), None) if !c.is_control() && c != ' ');
    is_letter || number.is_some_and(|number| (1..=24).contains(&number)) || NAMED.contains(&base)
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
