//! A text of ASCII letters that is searched for in ASCII texts whatever its case. A regular expression does the same, and
//! takes far longer to begin anew behind each hit: here most lines of a log may be one.

use memchr::memchr2;

/// Bytes from the most to the least frequent in logs; what is not among them is rarer still.
const FREQUENT: &[u8] = b" 0123456789etaoinsrlcdu=mpfh.gy:_-bwkv";

/// What is searched for.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    /// In small letters.
    text: Box<[u8]>,
    /// Where its rarest byte stands: that is looked for, and then the others beside it.
    rarest: usize,
}

impl Needle {
    /// Of a text; there is none of an empty one, and of one that is not ASCII.
    pub(super) fn of(text: &str) -> Option<Needle> {
        if text.is_empty() || !text.is_ascii() {
            return None;
        }
        let text = text.to_ascii_lowercase().into_bytes().into_boxed_slice();
        let rarity = |byte: &u8| FREQUENT.iter().position(|known| known == byte).unwrap_or(FREQUENT.len());
        let (rarest, _) = text.iter().enumerate().max_by_key(|(_, byte)| rarity(byte))?;
        Some(Needle { rarest, text })
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Where it stands first in an ASCII text, from a place on.
    pub(super) fn find_at(&self, text: &[u8], from: usize) -> Option<usize> {
        let byte = self.text[self.rarest];
        let mut at = from + self.rarest;
        loop {
            at += memchr2(byte, byte.to_ascii_uppercase(), text.get(at..)?)?;
            let begin = at - self.rarest;
            let found = text.get(begin..begin + self.text.len())?;
            if found.eq_ignore_ascii_case(&self.text) {
                return Some(begin);
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn there_is_none_of_what_an_ascii_text_cannot_have() {
        assert!(Needle::of("").is_none() && Needle::of("straße").is_none());
        let needle = Needle::of("K").unwrap();
        assert_eq!(
            (needle.find_at(b"", 0), needle.find_at(b"ok", 0), needle.find_at(b"ok", 2)),
            (None, Some(1), None)
        );
    }

    proptest! {
        #[test]
        fn it_is_found_where_a_regular_expression_finds_it(text in "[a-cA-C=1 ]{0,60}", word in "[a-cA-C=1 ]{1,4}", from in 0_usize..70) {
            let from = from.min(text.len());
            let wanted = Regex::new(&format!("(?i:{})", regex::escape(&word))).unwrap();
            let needle = Needle::of(&word).unwrap();
            prop_assert_eq!(needle.find_at(text.as_bytes(), from), wanted.find_at(&text, from).map(|hit| hit.start()));
        }
    }
}
