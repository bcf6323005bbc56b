//! The name that somebody meant: the nearest of those that there are.

/// The known name that is nearest to a misspelt one, if any is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 2.max(name.chars().count() / 4))
        .filter(|(distance, candidate)| *distance < name.chars().count().max(candidate.chars().count()))
        .map(|(_, candidate)| candidate)
}

/// "did you mean ...", when a known name is near; else `otherwise`.
pub fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(name, known).map_or_else(|| otherwise.to_owned(), |near| format!("did you mean {near}?"))
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_gets_the_nearest_one() {
        let known = ["LastName", "FirstName", "Email"];
        assert_eq!(suggestion("Emial", known.into_iter(), "?"), "did you mean Email?");
        assert_eq!(suggestion("Turnover", known.into_iter(), "remove it"), "remove it");
        assert_eq!(nearest("ab", ["op", "id"].into_iter()), None);
    }
}
