//! The clipboard of the terminal the operator sits at, also over SSH: OSC 52.

use base64::Engine as _;

/// Longer sequences are refused by some terminals, and by none below this (k9s found the same).
const LIMIT: usize = 74_994;
/// What of a text fits into one, in bytes.
const MOST: usize = LIMIT / 4 * 3;

/// As much of a text as can be copied.
pub fn fitting(text: &str) -> &str {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The escape sequence that copies `text`, cut where terminals stop.
pub fn copy(text: &str) -> Vec<u8> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(fitting(text));
    format!("\x1b]52;c;{encoded}\x07").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_encoded_so_that_it_cannot_act() {
        assert_eq!(copy("hi\x07"), b"\x1b]52;c;aGkH\x07");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_where_terminals_stop() {
        let text = format!("x{}", "é".repeat(40_000));
        assert_eq!(fitting(&text).len(), MOST - 1);
        assert!(copy(&text).len() <= LIMIT + "\x1b]52;c;\x07".len());
        assert_eq!(fitting("short"), "short");
    }
}
