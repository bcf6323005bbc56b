//! Why a query is refused: Salesforce's code, its words, and the place in the query.

/// A refusal of a query.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct Fault {
    pub(in crate::simulator) code: &'static str,
    pub(in crate::simulator) message: String,
    /// Offset of the byte in the query that it is about.
    at: Option<usize>,
}

/// How much of the query is shown before and after the place.
const SHOWN: usize = 35;

impl Fault {
    /// About the query as a whole.
    pub(in crate::simulator) fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), at: None }
    }

    pub(super) fn at(code: &'static str, at: usize, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), at: Some(at) }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Fault {
        Fault::new("MALFORMED_QUERY", message)
    }

    /// What Salesforce's parser says where it cannot go on.
    pub(super) fn unexpected(token: &str, at: usize) -> Fault {
        Fault::at("MALFORMED_QUERY", at, format!("unexpected token: '{token}'"))
    }

    /// The message, with the piece of the query, a caret and the place, as an org shows it.
    pub(in crate::simulator) fn told(&self, query: &str) -> String {
        let Some(at) = self.at.map(|at| at.min(query.len())) else { return self.message.clone() };
        let before = &query[..at];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let row = before.matches('\n').count() + 1;
        let column = before[line..].chars().count() + 1;
        // From the first word that is near enough.
        let near = before.char_indices().rev().take(SHOWN).last().map_or(at, |(from, _)| from).max(line);
        let start = match before[near..].find([' ', ',']) {
            Some(space) if near > line => near + space + 1,
            _ => near,
        };
        let rest: String = query[at..].chars().take_while(|c| *c != '\n').take(SHOWN).collect();
        let indent = " ".repeat(before[start..].chars().count());
        let shown = &before[start..];
        format!("\n{shown}{rest}\n{indent}^\nERROR at Row:{row}:Column:{column}\n{}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_shown_with_the_words_around_it() {
        let query = "SELECT Id,Name,BillingCity,IsDeleted FROM Accout";
        let told = Fault::at("INVALID_TYPE", 42, "no").told(query);
        assert_eq!(
            told,
            "\nName,BillingCity,IsDeleted FROM Accout\n                                ^\nERROR at Row:1:Column:43\nno"
        );
        let told = Fault::unexpected("x", 11).told("SELECT Id\nFx Account");
        assert_eq!(told, "\nFx Account\n ^\nERROR at Row:2:Column:2\nunexpected token: 'x'");
    }
}
