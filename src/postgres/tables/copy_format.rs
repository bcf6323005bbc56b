//! How records are written for COPY: in PostgreSQL's binary format, which it takes a fifth faster, where the table's columns
//! have the types that this knows and each value is written as Salesforce writes it; else as text, which PostgreSQL reads itself.

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use tokio_postgres::types::Type;

/// Bytes that are sent at a time, and room for these and a row.
const PIECE: usize = 256 << 10;
const ROOM: usize = PIECE + (32 << 10);
/// What begins a binary COPY: its signature, no flags, no extension.
const BEGIN: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of values of a row that is none: the end.
const END: i16 = -1;

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// As text.
    Text,
    /// In binary, each column by its type.
    Binary(Vec<CopyColumn>),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyColumn {
    /// Text of any length.
    Text,
    /// `true` or `false`.
    Bool,
    /// Four bytes.
    Int,
    /// Eight bytes.
    Long,
    /// A floating-point number of eight bytes.
    Double,
    /// A day.
    Date,
    /// An instant, or what a clock in Greenwich shows then.
    Timestamp,
}

impl CopyFormat {
    /// By the types of the columns, which may be missing.
    pub(super) fn of(types: impl Iterator<Item = Option<u32>>) -> CopyFormat {
        let columns: Option<Vec<CopyColumn>> = types.map(|oid| CopyColumn::of(oid?)).collect();
        columns.map_or(CopyFormat::Text, CopyFormat::Binary)
    }

    pub(super) fn options(&self) -> &'static str {
        match self {
            CopyFormat::Text => "",
            CopyFormat::Binary(_) => " (FORMAT binary)",
        }
    }
}

impl CopyColumn {
    fn of(oid: u32) -> Option<CopyColumn> {
        Some(match Type::from_oid(oid)? {
            Type::TEXT | Type::VARCHAR => CopyColumn::Text,
            Type::BOOL => CopyColumn::Bool,
            Type::INT4 => CopyColumn::Int,
            Type::INT8 => CopyColumn::Long,
            Type::FLOAT8 => CopyColumn::Double,
            Type::DATE => CopyColumn::Date,
            Type::TIMESTAMP | Type::TIMESTAMPTZ => CopyColumn::Timestamp,
            _ => return None,
        })
    }

    /// Writes a value behind its length. False for what is not written as Salesforce writes it: PostgreSQL may know it as text.
    fn put(self, text: &str, into: &mut BytesMut) -> bool {
        let put = |into: &mut BytesMut, bytes: &[u8]| {
            // Pages are far shorter.
            into.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            into.put_slice(bytes);
            true
        };
        let bytes: Option<[u8; 8]> = match self {
            CopyColumn::Text => return put(into, text.as_bytes()),
            CopyColumn::Bool => {
                return match text {
                    "true" => put(into, &[1]),
                    "false" => put(into, &[0]),
                    _ => false,
                };
            }
            CopyColumn::Int => {
                return text.parse::<i32>().is_ok_and(|number| put(into, &number.to_be_bytes()));
            }
            CopyColumn::Date => {
                let days =
                    day(text.as_bytes()).and_then(|day| i32::try_from((day - epoch()).num_days()).ok());
                return days.is_some_and(|days| put(into, &days.to_be_bytes()));
            }
            CopyColumn::Long => text.parse::<i64>().ok().map(i64::to_be_bytes),
            CopyColumn::Double => double(text).map(f64::to_be_bytes),
            CopyColumn::Timestamp => {
                let since = instant(text).map(|instant| instant - epoch().and_time(NaiveTime::MIN));
                since.and_then(|since| since.num_microseconds()).map(i64::to_be_bytes)
            }
        };
        bytes.is_some_and(|bytes| put(into, &bytes))
    }
}

/// Where PostgreSQL begins to count days.
fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default()
}

/// A number that is read without a doubt: neither too large nor too small.
fn double(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    text.parse::<f64>().ok().filter(|_| is_plain && text.len() < 40)
}

/// The number that so many digits are.
fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

/// `2026-03-04`.
fn day(text: &[u8]) -> Option<NaiveDate> {
    let [y, e, a, r, b'-', m, o, b'-', d, n] = text else { return None };
    let year = digits(&[*y, *e, *a, *r]).filter(|year| *year > 0)?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digits(&[*m, *o])?, digits(&[*d, *n])?)
}

/// `2026-03-04T05:06:07.000+0000`.
fn instant(text: &str) -> Option<NaiveDateTime> {
    let (date, clock) = text.strip_suffix("+0000")?.as_bytes().split_at_checked(10)?;
    let [b'T', h, o, b':', m, i, b':', s, e, b'.', milli @ ..] = clock else { return None };
    if milli.len() != 3 {
        return None;
    }
    let (hour, minute, second) = (digits(&[*h, *o])?, digits(&[*m, *i])?, digits(&[*s, *e])?);
    Some(day(date)?.and_time(NaiveTime::from_hms_milli_opt(hour, minute, second, digits(milli)?)?))
}

/// Writes records for COPY, in pieces.
#[derive(Debug)]
pub struct CopyWriter {
    format: CopyFormat,
    piece: BytesMut,
    /// Values in the row so far.
    values: usize,
    fits: bool,
}

impl CopyWriter {
    /// One that writes so.
    pub fn new(format: CopyFormat) -> CopyWriter {
        let mut piece = BytesMut::with_capacity(ROOM);
        if format != CopyFormat::Text {
            piece.put_slice(BEGIN);
        }
        CopyWriter { format, piece, values: 0, fits: true }
    }

    /// Adds a record: the values of the mapping's read fields in their order, and of the system's fields the id, the stamp and
    /// whether it is deleted. False where a value cannot be written so; then nothing that was written is of use.
    pub fn add<T: AsRef<str>>(
        &mut self,
        fields: impl Iterator<Item = Option<T>>,
        system: [Option<T>; 3],
    ) -> bool {
        if let CopyFormat::Binary(columns) = &self.format {
            // A table has 1,600 columns at most.
            self.piece.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
        }
        fields.chain(system).for_each(|value| self.value(value.as_ref().map(AsRef::as_ref)));
        self.value(Some("SYNCED"));
        if self.format == CopyFormat::Text {
            self.piece.put_u8(b'\n');
        }
        self.values = 0;
        self.fits
    }

    fn value(&mut self, value: Option<&str>) {
        let at = self.values;
        self.values += 1;
        match (&self.format, value) {
            (CopyFormat::Binary(_), None) => self.piece.put_i32(-1),
            (CopyFormat::Binary(columns), Some(text)) => {
                self.fits &= columns.get(at).is_some_and(|column| column.put(text, &mut self.piece));
            }
            (CopyFormat::Text, value) => {
                if at > 0 {
                    self.piece.put_u8(b'\t');
                }
                match value {
                    None => self.piece.put_slice(b"\\N"),
                    Some(text) => escape(text.as_bytes(), &mut self.piece),
                }
            }
        }
    }

    /// A piece, as soon as there is a whole one.
    pub fn piece(&mut self) -> Option<Bytes> {
        let is_whole = self.piece.len() >= PIECE;
        is_whole.then(|| std::mem::replace(&mut self.piece, BytesMut::with_capacity(ROOM)).freeze())
    }

    /// The last piece.
    pub fn finished(mut self) -> Bytes {
        if self.format != CopyFormat::Text {
            self.piece.put_i16(END);
        }
        self.piece.freeze()
    }
}

/// Writes a value so that it ends neither the value nor the row.
fn escape(mut text: &[u8], into: &mut BytesMut) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
    while let Some(at) = text.iter().position(special) {
        into.put_slice(&text[..at]);
        into.put_slice(match text[at] {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        });
        text = &text[at + 1..];
    }
    into.put_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_neither_end_early_nor_become_others() {
        let mut text = CopyWriter::new(CopyFormat::Text);
        let fields = ["a\tb\\N", "line\r\nend", "plain"].map(Some).into_iter().chain([None]);
        assert!(text.add(fields, [Some("001"), None, Some("false")]));
        assert!(text.add([None; 4].into_iter(), [Some("002"), None, None]));
        assert_eq!(text.piece(), None);
        let wanted = "a\\tb\\\\N\tline\\r\\nend\tplain\t\\N\t001\t\\N\tfalse\tSYNCED\n\\N\t\\N\t\\N\t\\N\t002\t\\N\t\\N\tSYNCED\n";
        assert_eq!(text.finished(), wanted);
    }

    #[test]
    fn rows_are_whole_in_each_piece() {
        let (mut text, mut pieces) = (CopyWriter::new(CopyFormat::Text), Vec::new());
        let long = "x".repeat(PIECE / 3);
        for _ in 0..10 {
            text.add([Some(long.as_str())].into_iter(), [Some("001"), None, None]);
            pieces.extend(text.piece());
        }
        pieces.push(text.finished());
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.is_empty() || piece.ends_with(b"\n")));
        assert_eq!(pieces.concat().iter().filter(|byte| **byte == b'\n').count(), 10);
    }

    fn put(column: CopyColumn, text: &str) -> Option<Vec<u8>> {
        let mut bytes = BytesMut::new();
        column.put(text, &mut bytes).then(|| bytes[4..].to_vec())
    }

    #[test]
    fn values_are_written_in_binary_as_postgresql_holds_them() {
        let micros = |text| {
            put(CopyColumn::Timestamp, text).map(|bytes| i64::from_be_bytes(bytes.try_into().unwrap()))
        };
        assert_eq!(micros("2000-01-01T00:00:00.000+0000"), Some(0));
        assert_eq!(micros("2000-01-02T00:00:01.500+0000"), Some(86_401_500_000));
        assert_eq!(micros("1999-12-31T23:59:59.999+0000"), Some(-1_000));
        let days =
            |text| put(CopyColumn::Date, text).map(|bytes| i32::from_be_bytes(bytes.try_into().unwrap()));
        assert_eq!(
            (days("2000-01-31"), days("1999-12-31"), days("2000-02-29")),
            (Some(30), Some(-1), Some(59))
        );
        assert_eq!(put(CopyColumn::Int, "-7"), Some(vec![255, 255, 255, 249]));
        assert_eq!(put(CopyColumn::Double, "-12.5"), Some((-12.5_f64).to_be_bytes().to_vec()));
        assert_eq!(put(CopyColumn::Bool, "true"), Some(vec![1]));
        assert_eq!(put(CopyColumn::Text, "K\u{e4}"), Some("K\u{e4}".as_bytes().to_vec()));
    }

    #[test]
    fn what_salesforce_does_not_write_so_is_left_to_postgresql() {
        for (column, text) in [
            (CopyColumn::Bool, "t"),
            (CopyColumn::Int, "7.5"),
            (CopyColumn::Int, " 7"),
            (CopyColumn::Int, "9999999999"),
            (CopyColumn::Long, "many"),
            (CopyColumn::Double, "NaN"),
            (CopyColumn::Double, "1e400"),
            (CopyColumn::Double, "infinity"),
            (CopyColumn::Date, "2026-02-30"),
            (CopyColumn::Date, "0000-01-01"),
            (CopyColumn::Date, "2026-03-04T05:06:07.000+0000"),
            (CopyColumn::Timestamp, "2026-03-04"),
            (CopyColumn::Timestamp, "2026-03-04T05:06:07.000+0200"),
            (CopyColumn::Timestamp, "2026-03-04T05:06:60.000+0000"),
            (CopyColumn::Timestamp, "2026-03-04T05:06:07.1+0000"),
        ] {
            assert_eq!(put(column, text), None, "{text}");
        }
        let of = |types: [Type; 2]| CopyFormat::of(types.iter().map(|known| Some(known.oid())));
        assert_eq!(of([Type::VARCHAR, Type::NUMERIC]), CopyFormat::Text);
        assert_eq!(CopyFormat::of([None].into_iter()), CopyFormat::Text);
        assert_eq!(
            of([Type::TEXT, Type::BOOL]),
            CopyFormat::Binary(vec![CopyColumn::Text, CopyColumn::Bool])
        );
    }

    #[test]
    fn binary_rows_say_how_many_values_they_have_and_the_last_is_none() {
        let columns =
            [CopyColumn::Int, CopyColumn::Text, CopyColumn::Timestamp, CopyColumn::Bool, CopyColumn::Text];
        let mut rows = CopyWriter::new(CopyFormat::Binary(columns.to_vec()));
        assert!(rows.add([Some("7")].into_iter(), [Some("001"), None, Some("false")]));
        let wanted = [
            BEGIN,
            b"\0\x05\0\0\0\x04\0\0\0\x07\0\0\0\x03001\xff\xff\xff\xff\0\0\0\x01\0\0\0\0\x06SYNCED\xff\xff",
        ];
        assert_eq!(rows.finished(), wanted.concat());
        let mut rows = CopyWriter::new(CopyFormat::Binary(columns.to_vec()));
        assert!(!rows.add([Some("seven")].into_iter(), [Some("001"), None, None]));
    }
}
