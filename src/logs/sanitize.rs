//! One function between hostile text and any terminal: what a record, a message or a log line holds may be an escape
//! sequence that rewrites the screen, sets the clipboard or turns the reading direction round (CVE-2021-25743).

use std::borrow::Cow;
use std::fmt::Write;

/// Makes every character that does something instead of showing something visible: `\n`, `\e`, `\u{202e}`.
/// Borrows when there is nothing to do. What comes out is unchanged by a second pass.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{1b}' => shown.push_str("\\e"),
            c if is_active(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The same for a JSON document, which stays the same document: its strings hold escapes where they held such
/// characters. Line ends between its parts stay.
pub fn sanitize_json(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c != '\n' && is_active(c);
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Controls (C0, DEL, C1), reading direction, zero width, separators, variation selectors (which change a cell's
/// width), tags, interlinear marks and the byte order mark.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{115f}' | '\u{1160}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_shown_instead() {
        assert_eq!(sanitize("\x1b]52;c;aGk=\x07"), "\\e]52;c;aGk=\\u{7}");
        assert_eq!(sanitize("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(sanitize("user\u{202e}gpj.exe\u{9b}31m"), "user\\u{202e}gpj.exe\\u{9b}31m");
        assert!(matches!(sanitize("Zoë Müller, 株式会社"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_active_comes_out_and_a_second_pass_changes_nothing(text in any::<String>()) {
            let once = sanitize(&text).into_owned();
            prop_assert!(!once.chars().any(is_active));
            prop_assert_eq!(sanitize(&once), once.as_str());
        }

        #[test]
        fn a_json_document_stays_the_same_and_shows_nothing_active(text in any::<String>()) {
            let document = serde_json::json!({ &text: [&text] });
            for written in [serde_json::to_string(&document), serde_json::to_string_pretty(&document)] {
                let shown = sanitize_json(&written.unwrap()).into_owned();
                prop_assert!(!shown.chars().any(|c| c != '\n' && is_active(c)));
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), document.clone());
            }
        }
    }
}
