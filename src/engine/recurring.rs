//! What goes wrong each time it is tried again: every cause is told once, until it goes right or another one comes.

use std::collections::HashMap;

/// The last cause, by what it is about.
#[derive(Default)]
pub(super) struct Recurring(HashMap<String, String>);

impl Recurring {
    /// Whether a cause is news of what it is about; `None` says that nothing is wrong with that any more.
    pub(super) fn is_news(&mut self, about: &str, cause: Option<&str>) -> bool {
        let Some(cause) = cause else {
            self.0.remove(about);
            return false;
        };
        self.0.insert(about.to_owned(), cause.to_owned()).as_deref() != Some(cause)
    }

    /// Whether something was wrong with that when it was told last.
    pub(super) fn was_told(&self, about: &str) -> bool {
        self.0.contains_key(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_news_once_until_it_goes_right() {
        let mut recurring = Recurring::default();
        assert!(recurring.is_news("Contact", Some("no right")));
        assert!(!recurring.is_news("Contact", Some("no right")));
        assert!(recurring.is_news("Account", Some("no right")), "each has its own");
        assert!(recurring.is_news("Contact", Some("no room")));
        assert!(!recurring.is_news("Contact", None));
        assert!(recurring.is_news("Contact", Some("no room")));
    }
}
