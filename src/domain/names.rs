//! The names things have on either side.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::values::checksum;

/// The longest name that PostgreSQL keeps, in bytes.
pub const LONGEST_NAME: usize = 63;

/// A name as PostgreSQL keeps it: cut at 63 bytes, between two characters. An application that writes the long name reaches
/// what has the cut one, for the server cuts there too.
pub fn cut(name: &str) -> &str {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// A name of ours, cut where it exceeds what PostgreSQL keeps, and so that it stays distinct.
pub fn fitting(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let mut keep = LONGEST_NAME - 17;
    while !name.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}_{:016x}", &name[..keep], checksum::checksum(name))
}

/// The column of a field, by its API name; that of a relationship is `invoice__r__external_id__c`.
pub fn column_of(field: &str) -> String {
    cut(&field.to_lowercase().replace('.', "__")).to_owned()
}

/// The primary key `id` of a row in a mapped table (32 bits, as Heroku Connect lays it out).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowId(pub i32);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A Salesforce record id in its 18-character, case-safe form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sfid(String);

impl Sfid {
    /// Reads a 15- or 18-character id. `None` when it has another length, another character, or a checksum
    /// that does not belong to its first 15 characters.
    pub fn parse(text: &str) -> Option<Sfid> {
        if !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        match text.len() {
            15 => Some(Sfid(format!("{text}{}", checksum(text)))),
            18 if checksum(&text[..15]).eq_ignore_ascii_case(&text[15..]) => {
                Some(Sfid(format!("{}{}", &text[..15], checksum(&text[..15]))))
            }
            _ => None,
        }
    }

    /// The 18 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sfid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The three characters that make a 15-character id safe where case is folded: bit `k` of each is set when
/// character `k` of its group of five is a capital (Salesforce help 000383751).
fn checksum(id15: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    id15.as_bytes()
        .chunks(5)
        .map(|five| {
            let bits = five
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_uppercase())
                .fold(0, |bits, (k, _)| bits | 1 << k);
            char::from(ALPHABET[bits])
        })
        .collect()
}

/// One row of one mapped table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowRef {
    /// The table's name, without the schema.
    pub table: String,
    /// The row's `id`.
    pub row: RowId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_as_postgresql_cuts_it() {
        assert_eq!(column_of("Invoice__r.External_Id__c"), "invoice__r__external_id__c");
        let long = "a".repeat(62);
        assert_eq!(cut(&format!("{long}bc")), format!("{long}b"));
        assert_eq!(cut(&format!("{long}é")), long);
    }

    #[test]
    fn a_short_id_gets_its_checksum_and_a_wrong_checksum_is_refused() {
        assert_eq!(Sfid::parse("0010Y00000a1B2c").unwrap().as_str().len(), 18);
        assert_eq!(Sfid::parse("001Ws00003GGHVC").unwrap().as_str(), "001Ws00003GGHVCIA5");
        assert_eq!(Sfid::parse("001Ws00003GGHVCIA5").unwrap().as_str(), "001Ws00003GGHVCIA5");
        assert_eq!(Sfid::parse("001Ws00003GGHVCIA4"), None);
        assert_eq!(Sfid::parse("001'--0003GGHVC"), None);
    }
}
