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

/// The value of a list that a text was meant to be: the same but for blanks and case, else the longest that is in the text or
/// has it in itself, else the nearest by letters. Where two may be meant, none is.
pub fn nearest_value<'a>(text: &str, known: &'a [String]) -> Option<&'a str> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let wanted = plain(text);
    if wanted.is_empty() {
        return None;
    }
    if let Some(same) = known.iter().find(|value| plain(value) == wanted) {
        return Some(same);
    }
    let within = |value: &&String| {
        let value = plain(value);
        is_part(&value, &wanted) || is_part(&wanted, &value)
    };
    let mut part: Vec<&String> = known.iter().filter(within).collect();
    part.sort_by_key(|value| std::cmp::Reverse(value.chars().count()));
    if let [longest, shorter @ ..] = part.as_slice() {
        let is_one = shorter.iter().all(|value| plain(longest).contains(&plain(value)));
        return is_one.then_some(longest.as_str());
    }
    let mut distances: Vec<(usize, &String)> =
        known.iter().map(|value| (distance(&wanted, &plain(value)), value)).collect();
    distances.sort_by_key(|(distance, _)| *distance);
    match distances.as_slice() {
        [(first, _), (second, _), ..] if first == second => None,
        _ => nearest(&wanted, known.iter().map(String::as_str)).filter(|value| {
            let value = plain(value);
            !is_contrary(&value, &wanted) && !is_contrary(&wanted, &value)
        }),
    }
}

/// What turns a word into its contrary.
const CONTRARIES: [&str; 14] =
    ["in", "im", "un", "non", "not", "no", "dis", "de", "anti", "ex", "pre", "never", "without", "half"];

/// Whether a word is a part of a longer text, and not what that denies.
fn is_part(word: &str, text: &str) -> bool {
    word.chars().count() > 2 && text.match_indices(word).any(|(at, _)| !denies(&text[..at]))
}

/// Whether a text is a word that it denies.
fn is_contrary(word: &str, text: &str) -> bool {
    text.strip_suffix(word).is_some_and(denies)
}

fn denies(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '-', '_']);
    CONTRARIES.iter().any(|contrary| before.ends_with(contrary))
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
    fn a_value_of_a_list_is_found_by_case_by_part_and_by_letters() {
        let ratings = ["Hot", "Warm", "Cold"].map(str::to_owned);
        for (text, value) in [
            ("Lukewarm", Some("Warm")),
            (" hot ", Some("Hot")),
            ("Clod", Some("Cold")),
            ("hot or cold", None),
            ("unrated", None),
            ("", None),
        ] {
            assert_eq!(nearest_value(text, &ratings), value, "{text}");
        }
    }

    #[test]
    fn the_contrary_of_a_value_is_not_taken_for_it() {
        let states = ["Active", "Qualified", "Non-profit"].map(str::to_owned);
        for text in ["Inactive", "not active", "Unqualified", "un-qualified", "in-active", "profit"] {
            assert_eq!(nearest_value(text, &states), None, "{text}");
        }
        for (text, value) in [("active!", "Active"), ("is qualified", "Qualified"), ("Actve", "Active")] {
            assert_eq!(nearest_value(text, &states), Some(value), "{text}");
        }
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest_one() {
        let known = ["LastName", "FirstName", "Email"];
        assert_eq!(suggestion("Emial", known.into_iter(), "?"), "did you mean Email?");
        assert_eq!(suggestion("Turnover", known.into_iter(), "remove it"), "remove it");
        assert_eq!(nearest("ab", ["op", "id"].into_iter()), None);
    }
}
