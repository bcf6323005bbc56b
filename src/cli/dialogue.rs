//! Questions on a terminal, or answered by a script a line each.

use std::io::{self, BufRead, IsTerminal};

use nix::sys::termios::{self, LocalFlags, SetArg};

use crate::logs::sanitize::sanitize;

use super::print::{self, Usage};

/// Somebody who answers.
pub(super) struct Dialogue {
    terminal: bool,
}

impl Dialogue {
    pub(super) fn new() -> Dialogue {
        Dialogue { terminal: io::stdin().is_terminal() }
    }

    /// A line; an empty one is the default, where there is one.
    pub(super) fn text(&mut self, question: &str, default: Option<&str>) -> Result<String, Usage> {
        loop {
            let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
            let answer = self.line(&format!("{question}{shown}: "), question)?;
            match (answer.is_empty(), default) {
                (false, _) => return Ok(answer),
                (true, Some(default)) => return Ok(default.to_owned()),
                (true, None) => {}
            }
        }
    }

    /// Whether exactly this was typed; an empty line is a no, whatever is to be typed.
    pub(super) fn typed(&mut self, question: &str, wanted: &str) -> Result<bool, Usage> {
        let answer = self.line(&format!("{question} [no]: "), question)?;
        Ok(agrees(&answer, wanted))
    }

    /// Yes or no.
    pub(super) fn yes(&mut self, question: &str, default: bool) -> Result<bool, Usage> {
        let shown = if default { "Y/n" } else { "y/N" };
        let answer = self.line(&format!("{question} [{shown}]: "), question)?.to_lowercase();
        Ok(match answer.as_str() {
            "" => default,
            answer => answer.starts_with('y'),
        })
    }

    /// One of these; the first is the default.
    pub(super) fn one_of(&mut self, question: &str, choices: &[&str]) -> Result<String, Usage> {
        loop {
            let list = choices.join(", ");
            let answer = self.text(&format!("{question} ({list})"), choices.first().copied())?;
            if choices.contains(&answer.as_str()) {
                return Ok(answer);
            }
            print::problem(&format!("{answer:?} is none of: {list}"));
        }
    }

    /// What nobody is to see.
    pub(super) fn secret(&mut self, question: &str) -> Result<String, Usage> {
        let _echo = self.terminal.then(Unseen::begin).flatten();
        loop {
            let answer = self.line(&format!("{question}: "), question)?;
            if self.terminal {
                print::note("");
            }
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
    }

    fn line(&mut self, prompt: &str, question: &str) -> Result<String, Usage> {
        // On standard error: what is printed on standard output stays results only.
        print::aside(&sanitize(prompt));
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => Err(Usage(format!("the input ended where an answer was needed: {question}"))),
            Ok(_) => {
                if !self.terminal {
                    print::note("");
                }
                Ok(line.trim().to_owned())
            }
        }
    }
}

/// Whether what was typed is what is to be typed, but for blanks around it.
fn agrees(typed: &str, wanted: &str) -> bool {
    !typed.trim().is_empty() && typed.trim() == wanted.trim()
}

/// Typed characters are not shown until it is dropped.
struct Unseen(termios::Termios);

impl Unseen {
    fn begin() -> Option<Unseen> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &quiet).ok()?;
        Some(Unseen(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_is_never_agreement() {
        for (typed, wanted, does) in [
            ("acme", "acme", true),
            (" acme ", "acme ", true),
            ("", "no", false),
            ("no", "no", true),
            ("", "", false),
            ("yes", "acme", false),
        ] {
            assert_eq!(agrees(typed, wanted), does, "{typed:?} {wanted:?}");
        }
    }
}
