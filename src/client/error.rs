//! Why the client did not do what was asked: of which kind, in words, and with what to do. Exit statuses and what the
//! console does follow from the kind, never from the words.

use crate::domain::errors::filter::FilterError;
use crate::postgres;

/// Of which kind an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for cannot be read, or names a mapping, a rule or a value that there is none of.
    Invalid,
    /// The row, error or operation is not there, or not any more.
    NotFound,
    /// The state of things does not allow it.
    Refused,
    /// Somebody else changed it meanwhile, or is changing it now: the same may do in a moment.
    Conflict,
    /// The role or the session may not do it.
    NoRights,
    /// PostgreSQL, Salesforce or the engine cannot be reached or does not answer.
    Unavailable,
    /// Something failed that is nobody's doing here.
    Internal,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", remedy.as_ref().map(|remedy| format!("\n{remedy}")).unwrap_or_default())]
pub struct ClientError {
    /// Of which kind it is.
    pub kind: ErrorKind,
    /// What was not done, on what, and why; one line.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl ClientError {
    /// An error of a kind. The first line of the text is the message, the rest the remedy.
    pub fn new(kind: ErrorKind, text: impl AsRef<str>) -> ClientError {
        let (message, remedy) = match text.as_ref().split_once('\n') {
            Some((message, remedy)) => (message, Some(remedy.to_owned())),
            None => (text.as_ref(), None),
        };
        ClientError { kind, message: message.to_owned(), remedy }
    }

    /// The state of things does not allow it.
    pub fn refused(text: impl AsRef<str>) -> ClientError {
        ClientError::new(ErrorKind::Refused, text)
    }

    /// What was asked for cannot be read, or names something that there is none of.
    pub fn invalid(text: impl AsRef<str>) -> ClientError {
        ClientError::new(ErrorKind::Invalid, text)
    }

    /// It is not there.
    pub fn not_found(text: impl AsRef<str>) -> ClientError {
        ClientError::new(ErrorKind::NotFound, text)
    }

    /// Whoever has to do it cannot be reached or does not answer.
    pub fn unavailable(text: impl AsRef<str>) -> ClientError {
        ClientError::new(ErrorKind::Unavailable, text)
    }

    /// The same error, told behind other words.
    pub fn within(self, before: &str) -> ClientError {
        ClientError { message: format!("{before}{}", self.message), ..self }
    }
}

impl From<postgres::Error> for ClientError {
    fn from(error: postgres::Error) -> ClientError {
        ClientError::new(kind_of(&error), error.to_string())
    }
}

impl From<FilterError> for ClientError {
    fn from(error: FilterError) -> ClientError {
        ClientError::invalid(error.to_string())
    }
}

fn kind_of(error: &postgres::Error) -> ErrorKind {
    use postgres::Error;
    match error {
        Error::BadFilter { .. } | Error::Wrong(_) => ErrorKind::Invalid,
        Error::NotFound(_) => ErrorKind::NotFound,
        Error::Conflict(_) => ErrorKind::Conflict,
        Error::Refused(_) => ErrorKind::Refused,
        Error::Connect(_) => ErrorKind::Unavailable,
        Error::Sql { .. } => match error.sql_state().map(|state| state.code()) {
            _ if error.is_connection() => ErrorKind::Unavailable,
            Some("42501" | "25006") => ErrorKind::NoRights,
            Some(code) if code.starts_with("40") || code == "55P03" => ErrorKind::Conflict,
            _ => ErrorKind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_message_and_the_rest_the_remedy() {
        let error = ClientError::refused("no engine runs\nstart one with: syncdeck run");
        assert_eq!(error.message, "no engine runs");
        assert_eq!(error.remedy.as_deref(), Some("start one with: syncdeck run"));
        assert_eq!(error.to_string(), "no engine runs\nstart one with: syncdeck run");
        let error = ClientError::not_found("there is no error 7").within("error 8 is mended; ");
        assert_eq!(error.to_string(), "error 8 is mended; there is no error 7");
        assert_eq!(error.kind, ErrorKind::NotFound);
    }

    #[test]
    fn what_postgresql_says_has_the_kind_that_callers_go_by() {
        let kind = |error: postgres::Error| ClientError::from(error).kind;
        assert_eq!(kind(postgres::Error::Connect("no server".to_owned())), ErrorKind::Unavailable);
        assert_eq!(kind(postgres::Error::Wrong("no such rule".to_owned())), ErrorKind::Invalid);
        assert_eq!(kind(postgres::Error::NotFound("no row 7".to_owned())), ErrorKind::NotFound);
        assert_eq!(kind(postgres::Error::Conflict("changed".to_owned())), ErrorKind::Conflict);
        assert_eq!(kind(postgres::Error::Refused("read-only".to_owned())), ErrorKind::Refused);
    }
}
