//! A line to type into.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_width::UnicodeWidthChar;

use super::cells::clip;
use crate::logs::sanitize::sanitize;

/// A line with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Byte position of the cursor, always between characters.
    at: usize,
}

impl Input {
    /// With a text, the cursor behind it.
    pub fn new(text: &str) -> Input {
        Input { text: text.to_owned(), at: text.len() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What shows of it in `width` columns, made harmless, and the cursor's column there: of a long text the part that
    /// ends at the cursor.
    pub fn shown(&self, width: usize) -> (String, usize) {
        let left = sanitize(&self.text[..self.at]);
        let (mut from, mut column) = (left.len(), 0);
        for (at, c) in left.char_indices().rev() {
            let columns = c.width().unwrap_or(0);
            if column + columns >= width {
                break;
            }
            (from, column) = (at, column + columns);
        }
        let text = format!("{}{}", &left[from..], sanitize(&self.text[self.at..]));
        (clip(&text, width), column)
    }

    /// Puts text at the cursor; line breaks become blanks.
    pub fn insert(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }

    /// The word that ends at the cursor.
    pub fn word(&self) -> &str {
        &self.text[self.word_start()..self.at]
    }

    /// Puts another word in the place of the one that ends at the cursor.
    pub fn replace_word(&mut self, word: &str) {
        let start = self.word_start();
        self.text.replace_range(start..self.at, word);
        self.at = start + word.len();
    }

    /// Quotes keep blanks in a word.
    fn word_start(&self) -> usize {
        let mut quoted = false;
        let mut start = 0;
        for (at, c) in self.text[..self.at].char_indices() {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => start = at + 1,
                _ => {}
            }
        }
        start
    }

    /// Edits. False when the key means nothing here.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.text.len(),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.at);
                self.at = 0;
            }
            KeyCode::Char('k') if control => self.text.truncate(self.at),
            KeyCode::Char('w') if control => {
                let start = self.text[..self.at].trim_end().rfind(' ').map_or(0, |space| space + 1);
                self.text.drain(start..self.at);
                self.at = start;
            }
            KeyCode::Char(c) if !control => self.insert(&c.to_string()),
            KeyCode::Backspace => {
                if let Some(c) = self.text[..self.at].chars().next_back() {
                    self.at -= c.len_utf8();
                    self.text.remove(self.at);
                }
            }
            KeyCode::Delete if self.at < self.text.len() => {
                self.text.remove(self.at);
            }
            KeyCode::Left => self.at -= self.text[..self.at].chars().next_back().map_or(0, char::len_utf8),
            KeyCode::Right => self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_between_characters() {
        let mut input = Input::new("aé株");
        for code in [KeyCode::Left, KeyCode::Left, KeyCode::Backspace, KeyCode::Char('x'), KeyCode::Delete] {
            input.key(code.into());
        }
        assert_eq!((input.text(), input.shown(9)), ("x株", ("x株".to_owned(), 1)));
        input.key(KeyEvent::new(KeyCode::Char('k'), KeyModifiers::CONTROL));
        assert_eq!(input.text(), "x");
    }

    #[test]
    fn of_a_long_text_the_part_at_the_cursor_shows_however_wide_its_letters_are() {
        let mut input = Input::new("株式会社 jane");
        assert_eq!(input.shown(20), ("株式会社 jane".to_owned(), 13));
        assert_eq!(input.shown(8), ("社 jane".to_owned(), 7));
        input.key(KeyCode::Home.into());
        assert_eq!(input.shown(8), ("株式会…".to_owned(), 0));
    }

    #[test]
    fn the_word_at_the_cursor_is_replaced() {
        let mut input = Input::new("jane mapping:con");
        assert_eq!(input.word(), "mapping:con");
        input.replace_word("mapping:\"Order Item\"");
        assert_eq!((input.text(), input.word()), ("jane mapping:\"Order Item\"", "mapping:\"Order Item\""));
    }
}
