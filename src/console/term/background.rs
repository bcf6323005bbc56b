//! What the terminal draws on, as it says itself: it is asked by OSC 11 when it is taken, when it gets the focus again and
//! when the screen is drawn anew. The reports of mode 2031 would come unasked; crossterm 0.29 takes every key behind such a
//! report for a part of it, until one is `c` or `u`.
//!
//! It makes keys of the answer, too: Alt-], its letters, and Alt-\ or Ctrl-G. They are taken together again here.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use crate::console::theme::Background;

/// Asks for the colour of the background.
pub const ASK: &[u8] = b"\x1b]11;?\x1b\\";
/// What the answer begins with.
const BEGIN: &str = "11;rgb";
/// The longest answer: `11;rgba:ffff/ffff/ffff/ffff`.
const LONGEST: usize = 27;

/// What was read from a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalInput {
    /// A key, the mouse, a new size.
    Event(Event),
    /// What it draws on.
    Background(Background),
}

/// The keys of an answer as far as it came.
#[derive(Debug, Default)]
pub struct BackgroundAnswer {
    held: Vec<KeyEvent>,
    text: String,
}

impl BackgroundAnswer {
    /// Whether keys are held back that may be of an answer; it comes in one piece, so that what follows is there at once.
    pub fn is_begun(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes an event in, and gives back what is known to be none of an answer, or the answer.
    pub fn take(&mut self, event: Event) -> Vec<TerminalInput> {
        let Event::Key(key) = event else {
            let mut all = self.release();
            all.push(TerminalInput::Event(event));
            return all;
        };
        match (self.is_begun(), key.code, key.modifiers) {
            (false, KeyCode::Char(']'), KeyModifiers::ALT) => self.held.push(key),
            (false, ..) => return vec![TerminalInput::Event(event)],
            (true, KeyCode::Char(letter), KeyModifiers::NONE | KeyModifiers::SHIFT)
                if self.goes_on_with(letter) =>
            {
                self.text.push(letter);
                self.held.push(key);
            }
            // Its end, told in one of two ways.
            (true, KeyCode::Char('\\'), KeyModifiers::ALT)
            | (true, KeyCode::Char('g'), KeyModifiers::CONTROL) => match brightness(&self.text) {
                Some(background) => {
                    *self = BackgroundAnswer::default();
                    return vec![TerminalInput::Background(background)];
                }
                None => return self.release_with(event),
            },
            (true, ..) => return self.release_with(event),
        }
        Vec::new()
    }

    /// It was no answer: what was held back are keys.
    pub fn release(&mut self) -> Vec<TerminalInput> {
        self.text.clear();
        self.held.drain(..).map(|key| TerminalInput::Event(Event::Key(key))).collect()
    }

    fn release_with(&mut self, event: Event) -> Vec<TerminalInput> {
        let mut all = self.release();
        // It may begin another one.
        all.extend(self.take(event));
        all
    }

    fn goes_on_with(&self, letter: char) -> bool {
        match BEGIN.chars().nth(self.text.len()) {
            Some(expected) => letter == expected,
            None => self.text.len() < LONGEST && (letter.is_ascii_hexdigit() || "a:/".contains(letter)),
        }
    }
}

/// Whether a colour such as `rgb:1e1e/1e1e/2e2e` is dark, as the eye weighs red, green and blue.
fn brightness(answer: &str) -> Option<Background> {
    let (_, color) = answer.strip_prefix(BEGIN)?.split_once(':')?;
    let part = |text: &str| {
        let most = 16_u32.checked_pow(u32::try_from(text.len()).ok()?)?.checked_sub(1)?;
        Some(u32::from_str_radix(text, 16).ok()? * 1_000 / most.max(1))
    };
    let parts = color.split('/').map(part).collect::<Option<Vec<u32>>>()?;
    let [red, green, blue, ..] = *parts.as_slice() else { return None };
    let bright = (red * 299 + green * 587 + blue * 114) / 1_000;
    Some(if bright > 500 { Background::Light } else { Background::Dark })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(letter), modifiers))
    }

    /// As crossterm reads it.
    fn events(text: &str) -> Vec<Event> {
        let mut events = vec![key(']', KeyModifiers::ALT)];
        events.extend(text.chars().map(|letter| match letter {
            'A'..='Z' => key(letter, KeyModifiers::SHIFT),
            _ => key(letter, KeyModifiers::NONE),
        }));
        events
    }

    fn all(answer: &mut BackgroundAnswer, events: Vec<Event>) -> Vec<TerminalInput> {
        events.into_iter().flat_map(|event| answer.take(event)).collect()
    }

    #[test]
    fn an_answer_is_taken_out_of_the_keys() {
        let ends = [key('\\', KeyModifiers::ALT), key('g', KeyModifiers::CONTROL)];
        for (text, background) in [
            ("11;rgb:1e1e/1e1e/2e2e", Background::Dark),
            ("11;rgb:FFFF/ffff/FfFf", Background::Light),
            ("11;rgb:fd/f6/e3", Background::Light),
            ("11;rgba:0000/2b2b/3636/ffff", Background::Dark),
        ] {
            for end in &ends {
                let mut answer = BackgroundAnswer::default();
                let mut came = vec![key('j', KeyModifiers::NONE)];
                came.extend(events(text));
                came.extend([end.clone(), key('k', KeyModifiers::NONE)]);
                let told = all(&mut answer, came);
                let keys = ['j', 'k'].map(|letter| TerminalInput::Event(key(letter, KeyModifiers::NONE)));
                assert_eq!(told, [keys[0].clone(), TerminalInput::Background(background), keys[1].clone()]);
                assert!(!answer.is_begun());
            }
        }
    }

    #[test]
    fn keys_that_are_no_answer_stay_keys_in_their_order() {
        for text in [
            "",
            "1",
            "11;rgb",
            "11;x",
            "q",
            "11;rgb:ffff/ffff",
            "11;rgb:////",
            "11;rgb:12345678901234567890123",
        ] {
            let mut answer = BackgroundAnswer::default();
            let mut came = events(text);
            came.push(key('\\', KeyModifiers::ALT));
            came.extend(events(""));
            let told: Vec<_> = all(&mut answer, came.clone()).into_iter().chain(answer.release()).collect();
            let keys: Vec<_> = came.into_iter().map(TerminalInput::Event).collect();
            assert_eq!(told, keys, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_goes_behind_what_was_held_back() {
        let mut answer = BackgroundAnswer::default();
        let mut came = events("11;");
        came.push(Event::FocusGained);
        let told = all(&mut answer, came.clone());
        assert_eq!(told, came.into_iter().map(TerminalInput::Event).collect::<Vec<_>>());
    }
}
