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

/// The value of a list that a text was meant to be: the same but for case, blanks and punctuation; else its words and
/// little more; else the nearest by letters, where that is near for its length: a letter in four, and none of three. Numbers
/// are not misspelt. Where two may be meant, none is.
pub fn nearest_value<'a>(text: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = words_of(text);
    let letters = wanted.concat();
    if letters.is_empty() {
        return None;
    }
    let plain = |value: &&String| value.trim().to_lowercase() == text.trim().to_lowercase();
    if let Some(same) = known.iter().find(plain) {
        return Some(same);
    }
    let same: Vec<&String> = known.iter().filter(|value| words_of(value).concat() == letters).collect();
    if !same.is_empty() {
        return if let [one] = same.as_slice() { Some(one) } else { None };
    }
    let is_close =
        |value: &&String| is_most_of(&words_of(value), &wanted) || is_most_of(&wanted, &words_of(value));
    let mut part: Vec<&String> = known.iter().filter(is_close).collect();
    part.sort_by_key(|value| std::cmp::Reverse(value.chars().count()));
    if let [longest, shorter @ ..] = part.as_slice() {
        let longest_words = words_of(longest).concat();
        let is_one = shorter.iter().all(|value| longest_words.contains(&words_of(value).concat()));
        return is_one.then_some(longest.as_str());
    }
    let mut near: Vec<(usize, &String)> =
        known.iter().map(|value| (distance(&letters, &words_of(value).concat()), value)).collect();
    near.sort_by_key(|(distance, _)| *distance);
    if matches!(near.as_slice(), [(first, _), (second, _), ..] if first == second) {
        return None;
    }
    let (distance, value) = near.first()?;
    let near = words_of(value).concat();
    let is_near = *distance <= near.chars().count().max(letters.chars().count()) / 4;
    let is_other =
        is_contrary(&near, &letters) || is_contrary(&letters, &near) || digits(&near) != digits(&letters);
    (is_near && !is_other).then_some(value.as_str())
}

/// The words of a text, without case and punctuation.
fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Whether some words are most of others, which do not deny them.
fn is_most_of(few: &[String], many: &[String]) -> bool {
    let length = |words: &[String]| words.iter().map(|word| word.chars().count()).sum::<usize>();
    let at = many.windows(few.len().max(1)).position(|part| part == few);
    at.is_some_and(|at| length(few) > 2 && length(few) * 2 >= length(many) && !denies(&many[..at].concat()))
}

/// What turns a word into its contrary.
const CONTRARIES: [&str; 14] =
    ["in", "im", "un", "non", "not", "no", "dis", "de", "anti", "ex", "pre", "never", "without", "half"];

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

/// Levenshtein's distance, where two letters that changed their places are one change.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = [Vec::new(), Vec::new(), (0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        rows.rotate_left(1);
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[0][j - 2] + 1);
            }
            row.push(least);
        }
        rows[2] = row;
    }
    rows[2][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_list_is_found_by_case_by_words_and_by_letters() {
        let ratings = ["Hot", "Warm", "Cold"].map(str::to_owned);
        for (text, value) in [
            (" hot ", Some("Hot")),
            ("hot!", Some("Hot")),
            ("Clod", Some("Cold")),
            ("Wram", Some("Warm")),
            ("hot or cold", None),
            ("unrated", None),
            ("", None),
            ("?", None),
        ] {
            assert_eq!(nearest_value(text, &ratings), value, "{text}");
        }
    }

    #[test]
    fn what_only_shares_letters_with_a_value_is_not_near_it() {
        let ratings = ["Hot", "Warm", "Cold"].map(str::to_owned);
        for text in ["Hotel", "Lukewarm", "Hat", "Scolded", "hot water bottle"] {
            assert_eq!(nearest_value(text, &ratings), None, "{text}");
        }
        let industries = ["Not For Profit", "Construction", "Consulting", "Tier 1"].map(str::to_owned);
        for (text, value) in [
            ("not-for-profit", Some("Not For Profit")),
            ("NotForProfit", Some("Not For Profit")),
            ("Konstruction", Some("Construction")),
            ("Constructing", Some("Construction")),
            ("Tier-1", Some("Tier 1")),
            ("Tier 3", None),
        ] {
            assert_eq!(nearest_value(text, &industries), value, "{text}");
        }
        let genders = ["Male"].map(str::to_owned);
        assert_eq!(nearest_value("Female", &genders), None);
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
