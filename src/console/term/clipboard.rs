//! The clipboard of the terminal the operator sits at, also over SSH: OSC 52.

use base64::Engine as _;

/// Longer texts are refused by some terminals, and by none below this (k9s found the same).
const LIMIT: usize = 74_994;

/// The escape sequence that copies `text`, cut where terminals stop.
pub fn copy(text: &str) -> Vec<u8> {
    let mut end = text.len().min(LIMIT / 4 * 3);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(&text[..end]);
    format!("\x1b]52;c;{encoded}\x07").into_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_is_encoded_so_that_it_cannot_act() {
        assert_eq!(super::copy("hi\x07"), b"\x1b]52;c;aGkH\x07");
    }
}
