//! What PostgreSQL cannot hold in a text is NUL, in `jsonb` its escape as well, and it refuses the whole statement for
//! one of them. Every parameter of a statement passes here, so that no text from outside (a message of Salesforce, what a
//! transform made, a command's answer) can stop a batch: each NUL becomes U+FFFD, which people see.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type};

use crate::postgres::Params;

/// What stands where a NUL was.
const MARK: &str = "\u{FFFD}";

/// A parameter that PostgreSQL can hold.
#[derive(Debug)]
pub(in crate::postgres) struct Storable<'a>(&'a (dyn ToSql + Sync));

/// The parameters of a statement, as PostgreSQL can hold them.
pub(in crate::postgres) fn storable<'a>(params: Params<'a>) -> Vec<Storable<'a>> {
    params.iter().map(|param| Storable(*param)).collect()
}

/// The same by reference, as the driver takes them.
pub(in crate::postgres) fn refs<'a>(params: &'a [Storable<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Storable<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql_checked(of, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, of: &Type) -> Format {
        self.0.encode_format(of)
    }

    fn to_sql_checked(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let start = out.len();
        let is_null = self.0.to_sql_checked(of, out)?;
        if matches!(self.encode_format(of), Format::Text) {
            // As a literal is written, of whatever type.
            if out[start..].contains(&0) {
                let encoded = out.split_off(start);
                out.extend_from_slice(&cleaned(&Type::TEXT, encoded.to_vec()));
            }
        } else if is_json(of) {
            mark_escapes(&mut out[start..]);
        } else if holds_text(of) && out[start..].contains(&0) {
            let encoded = out.split_off(start);
            out.extend_from_slice(&cleaned(of, encoded.to_vec()));
        }
        Ok(is_null)
    }
}

fn is_json(of: &Type) -> bool {
    [Type::JSON, Type::JSONB].contains(of)
}

fn holds_text(of: &Type) -> bool {
    match of.kind() {
        Kind::Array(member) => is_json(member) || holds_text(member),
        Kind::Domain(base) => holds_text(base),
        _ => [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(of),
    }
}

/// An encoded value without what cannot be held.
fn cleaned(of: &Type, mut encoded: Vec<u8>) -> Vec<u8> {
    match of.kind() {
        Kind::Array(member) => cleaned_array(member, &encoded),
        Kind::Domain(base) => cleaned(base, encoded),
        _ if is_json(of) => {
            mark_escapes(&mut encoded);
            encoded
        }
        _ if encoded.contains(&0) => {
            let mut text = Vec::with_capacity(encoded.len() + 16);
            for byte in encoded {
                match byte {
                    0 => text.extend_from_slice(MARK.as_bytes()),
                    other => text.push(other),
                }
            }
            text
        }
        _ => encoded,
    }
}

/// The escape of NUL in JSON is as long as that of the mark. One behind a backslash is no escape.
fn mark_escapes(json: &mut [u8]) {
    let mut at = 0;
    while let Some(step) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += step;
        if json[at..].starts_with(b"\\u0000") {
            json[at..at + 6].copy_from_slice(b"\\ufffd");
        }
        at = (at + 2).min(json.len());
    }
}

/// An array's elements, each behind its length (-1 for NULL), behind the head: number of dimensions, flags, type, and
/// for each dimension its length and lower bound.
fn cleaned_array(member: &Type, encoded: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        encoded.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes)
    };
    let head = 12 + 8 * usize::try_from(number(0)).unwrap_or(0);
    let mut array = encoded[..head.min(encoded.len())].to_vec();
    let mut at = head;
    while at + 4 <= encoded.len() {
        let length = number(at);
        at += 4;
        let Ok(bytes) = usize::try_from(length) else {
            array.extend_from_slice(&length.to_be_bytes());
            continue;
        };
        let element = cleaned(member, encoded[at..(at + bytes).min(encoded.len())].to_vec());
        at += bytes;
        array.extend_from_slice(&i32::try_from(element.len()).unwrap_or(length).to_be_bytes());
        array.extend_from_slice(&element);
    }
    array
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio_postgres::types::FromSql;

    use super::*;

    /// What PostgreSQL would read.
    fn stored<T: for<'a> FromSql<'a>>(of: &Type, value: &(dyn ToSql + Sync)) -> T {
        let mut out = BytesMut::from(&b"before"[..]);
        let params: [&(dyn ToSql + Sync); 1] = [value];
        refs(&storable(&params))[0].to_sql_checked(of, &mut out).unwrap();
        assert!(out.starts_with(b"before"));
        T::from_sql(of, &out[6..]).unwrap()
    }

    #[test]
    fn a_nul_becomes_a_mark_wherever_a_text_is() {
        assert_eq!(stored::<String>(&Type::TEXT, &"a\0b\0"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(stored::<String>(&Type::VARCHAR, &"plain"), "plain");
        let texts = [Some("a\0"), None, Some(""), Some("\0\0"), Some("ok")];
        let wanted = [Some("a\u{FFFD}"), None, Some(""), Some("\u{FFFD}\u{FFFD}"), Some("ok")];
        assert_eq!(
            stored::<Vec<Option<String>>>(&Type::TEXT_ARRAY, &texts.to_vec()),
            wanted.map(|text| text.map(str::to_owned))
        );
        assert_eq!(stored::<Vec<String>>(&Type::TEXT_ARRAY, &Vec::<String>::new()), Vec::<String>::new());
        assert_eq!(stored::<i64>(&Type::INT8, &256_i64), 256);
        assert_eq!(stored::<Vec<i32>>(&Type::INT4_ARRAY, &vec![0, 1]), [0, 1]);
        assert_eq!(stored::<Option<String>>(&Type::TEXT, &Some("x")), Some("x".to_owned()));
    }

    #[test]
    fn json_keeps_its_backslashes_and_loses_its_nuls() {
        let value = json!({"a\0": ["\0", "\\u0000", "\\\0", "C:\\"], "b": null});
        let wanted = json!({"a\u{FFFD}": ["\u{FFFD}", "\\u0000", "\\\u{FFFD}", "C:\\"], "b": null});
        assert_eq!(stored::<Value>(&Type::JSONB, &value), wanted);
        assert_eq!(stored::<Value>(&Type::JSON, &value), wanted);
        let both = vec![Some(value), None];
        assert_eq!(stored::<Vec<Option<Value>>>(&Type::JSONB_ARRAY, &both), [Some(wanted), None]);
    }
}
