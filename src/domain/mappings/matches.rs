//! The rule `match`: by which fields rows are the same thing although their keys differ.

/// Fields that make rows the same when all of them agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match(pub Vec<String>);

impl Match {
    /// Reads `Email, Name + Phone`: by the first, or by the other two together.
    ///
    /// # Errors
    /// The part that is no field name.
    pub fn parse_all(text: &str) -> Result<Vec<Match>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(Match::parse).collect()
    }

    fn parse(text: &str) -> Result<Match, String> {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        };
        let fields: Vec<String> = text.split('+').map(|field| field.trim().to_owned()).collect();
        match fields.iter().find(|field| !is_name(field)) {
            Some(bad) => Err(format!("{bad:?} is no field name")),
            None => Ok(Match(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_read_with_its_alternatives() {
        let fields =
            |text| Match::parse_all(text).map(|all| all.into_iter().map(|of| of.0).collect::<Vec<_>>());
        assert_eq!(fields("Email, Name + Phone").unwrap(), [vec!["Email"], vec!["Name", "Phone"]]);
        assert_eq!(fields(" ").unwrap(), Vec::<Vec<String>>::new());
        assert_eq!(fields("Email,,Phone"), Err("\"\" is no field name".to_owned()));
        assert_eq!(fields("Name & Phone"), Err("\"Name & Phone\" is no field name".to_owned()));
    }
}
