//! One page of a job's records, as CSV: what is one, and what only looks like one. A page that was cut would pass for fewer
//! records or shorter values, so each row, and the end, must be whole.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};
use serde_json::{Map, Value};

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::{Mapping, Stamp};
use crate::domain::names::Sfid;

use super::body::{NAMED, STANDS_IN, stand_in};
use super::page::Replaced;
use super::query::FieldSelection;
use super::value;

/// The columns that a page must have, in this order.
#[derive(Debug)]
pub struct Columns {
    names: Vec<String>,
    kinds: Vec<FieldType>,
}

impl Columns {
    /// Those of a mapping. `parents` has the type of each external id by which a parent is named, in their order: as a query
    /// answers them, not as their columns hold them.
    pub fn of(mapping: &Mapping, parents: &[FieldType]) -> Columns {
        let names = FieldSelection::of(mapping).columns().to_vec();
        let kind_of = |field: &Field| {
            let named = mapping.parents.iter().zip(parents).find(|(parent, _)| parent.column == field.column);
            named.map_or(field.kind, |(_, kind)| *kind)
        };
        let kind = |name: &String| {
            let field = mapping.read_fields().find(|field| field.name.eq_ignore_ascii_case(name));
            match name.as_str() {
                "Id" => FieldType::Id,
                "IsDeleted" => FieldType::Boolean,
                name if Stamp::ALL.iter().any(|stamp| stamp.name() == name) => FieldType::Datetime,
                _ => field.map_or(FieldType::Other, kind_of),
            }
        };
        Columns { kinds: names.iter().map(kind).collect(), names }
    }

    /// The place of a column.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.eq_ignore_ascii_case(name))
    }
}

/// A page of records.
#[derive(Debug)]
pub struct Sheet {
    columns: Arc<Columns>,
    /// All values, one behind the other: a text of its own for each would cost far more than what it holds.
    text: String,
    /// Where each value ends in it, row by row. No answer is so long that this would not do.
    ends: Vec<u32>,
    /// Values that could not be held as they came: each has a U+FFFD where something was no text.
    pub replaced: Vec<Replaced>,
}

impl Sheet {
    /// Takes an answer apart.
    ///
    /// # Errors
    /// In words, and without a word of it, why it is no page.
    pub(super) fn parse(bytes: Vec<u8>, columns: Arc<Columns>) -> Result<Sheet, String> {
        let (whole, spoilt) = readable(bytes);
        let text = whole.strip_prefix('\u{feff}').unwrap_or(&whole);
        if text.trim_start().starts_with('<') {
            return Err("it is a page of HTML or XML".to_owned());
        }
        let quotes = memchr::memchr_iter(b'"', text.as_bytes()).count();
        if !text.ends_with('\n') || quotes % 2 == 1 {
            return Err("it ends in the middle".to_owned());
        }
        // A row ends with any line end outside of quotes.
        let taken = whole.len() - text.len();
        let text = Rc::new(RefCell::new(InPlace { bytes: whole.into_bytes(), taken, put: 0 }));
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(Unread(text.clone()));
        let mut ends: Vec<u32> = Vec::with_capacity(quotes / 2);
        let mut row = ByteRecord::new();
        let mut is_header = true;
        // Rows of different lengths are an error to the reader.
        while reader.read_byte_record(&mut row).map_err(|_| "its rows have different lengths")? {
            if is_header {
                let is = |(name, known): (&[u8], &String)| name.eq_ignore_ascii_case(known.as_bytes());
                if row.len() != columns.names.len() || !row.iter().zip(&columns.names).all(is) {
                    return Err("its columns are others than those that were asked for".to_owned());
                }
                is_header = false;
                continue;
            }
            let id = row.get(0).and_then(|id| std::str::from_utf8(id).ok());
            if id.and_then(Sfid::parse).is_none() {
                return Err("one of its records has no id".to_owned());
            }
            let mut text = text.borrow_mut();
            let begin = text.put;
            text.put(row.as_slice())?;
            for range in (0..row.len()).filter_map(|at| row.range(at)) {
                ends.push(u32::try_from(begin + range.end).map_err(|_| "it is too long")?);
            }
        }
        if is_header {
            return Err("it has no columns".to_owned());
        }
        drop(reader);
        let text = text.take().values().ok_or("its values are no text")?;
        let mut sheet = Sheet { columns, text, ends, replaced: Vec::new() };
        if spoilt {
            sheet.mark();
        }
        Ok(sheet)
    }

    /// Records on it.
    pub fn len(&self) -> usize {
        self.ends.len() / self.columns.names.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The ids of its records.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|row| self.value(row, 0))
    }

    /// A value as PostgreSQL is given it; nothing where it is null.
    pub fn text(&self, row: usize, column: usize) -> Option<Cow<'_, str>> {
        let text = Some(self.value(row, column)).filter(|text| !text.is_empty())?;
        Some(value::plain_of_csv(self.columns.kinds[column], text))
    }

    /// A value as it came.
    fn value(&self, row: usize, column: usize) -> &str {
        let at = row * self.columns.names.len() + column;
        let end = |at: usize| self.ends[at] as usize;
        &self.text[at.checked_sub(1).map_or(0, end)..end(at)]
    }

    /// A record as a query answers it: each parent as an object of its own.
    pub fn record(&self, row: usize) -> Value {
        let mut record = Map::new();
        for (at, (name, kind)) in self.columns.names.iter().zip(&self.columns.kinds).enumerate() {
            let value = value::of_csv(*kind, self.value(row, at));
            match name.split_once('.') {
                None => {
                    record.insert(name.clone(), value);
                }
                Some((parent, name)) => {
                    let parent = record.entry(parent).or_insert_with(|| Value::Object(Map::new()));
                    parent[name] = value;
                }
            }
        }
        Value::Object(record)
    }

    /// Puts the mark that people know in place of the stand-in, which is as long, and notes where.
    fn mark(&mut self) {
        let places = (0..self.len()).flat_map(|row| (0..self.columns.names.len()).map(move |at| (row, at)));
        let spoilt = places.filter(|(row, at)| self.value(*row, *at).contains(STANDS_IN)).take(NAMED);
        let named = |(row, at): (usize, usize)| Replaced {
            id: self.value(row, 0).to_owned(),
            field: self.columns.names[at].clone(),
        };
        self.replaced = spoilt.map(named).collect();
        self.text = self.text.replace(STANDS_IN, MARK);
    }
}

/// A page that becomes its values, without another one of its size: they are shorter than what they are read from, so each is
/// put where something was that is taken already.
#[derive(Default)]
struct InPlace {
    bytes: Vec<u8>,
    /// Up to where it was taken to be read.
    taken: usize,
    /// Up to where the values stand.
    put: usize,
}

impl InPlace {
    fn put(&mut self, values: &[u8]) -> Result<(), &'static str> {
        let end = self.put + values.len();
        let place =
            self.bytes[..self.taken].get_mut(self.put..end).ok_or("its values are longer than itself")?;
        place.copy_from_slice(values);
        self.put = end;
        Ok(())
    }

    /// The values, which were text before they were put together.
    fn values(mut self) -> Option<String> {
        self.bytes.truncate(self.put);
        String::from_utf8(self.bytes).ok()
    }
}

/// What of it is still to be read.
struct Unread(Rc<RefCell<InPlace>>);

impl Read for Unread {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut page = self.0.borrow_mut();
        let taken = (&page.bytes[page.taken..]).read(into)?;
        page.taken += taken;
        Ok(taken)
    }
}

/// What people know as the sign of what was no text. It takes the place of the stand-in without moving what follows.
const MARK: &str = "\u{FFFD}";
const _: () = assert!(MARK.len() == STANDS_IN.len_utf8());

/// The bytes as text, with a stand-in for all that is none or that PostgreSQL cannot hold; and whether there is any.
fn readable(bytes: Vec<u8>) -> (String, bool) {
    let (text, spoilt) = match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => (stand_in(error.as_bytes()), true),
    };
    if text.contains('\0') {
        return (text.replace('\0', &STANDS_IN.to_string()), true);
    }
    (text, spoilt)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::mappings::mapping::Parent;

    const ID: &str = "003sd0000000001AAA";

    fn mapping() -> Mapping {
        let kinds = [
            ("Name", FieldType::String),
            ("Score__c", FieldType::Double),
            ("Born__c", FieldType::Date),
            ("Seen__c", FieldType::Datetime),
            ("Wakes__c", FieldType::Time),
            ("Old__c", FieldType::Boolean),
            ("Boss__r.Key__c", FieldType::String),
        ];
        let field = |(name, kind): (&str, FieldType)| Field {
            column: name.to_lowercase().replace('.', "__"),
            ..Field::plain(name, kind)
        };
        Mapping::plain("Contact", kinds.map(field).to_vec())
    }

    fn parse(text: impl AsRef<[u8]>) -> Result<Sheet, String> {
        let mapping = mapping();
        let columns = Columns::of(&mapping, &[]);
        Sheet::parse(text.as_ref().to_vec(), Arc::new(columns))
    }

    fn header() -> String {
        let names =
            "Id SystemModstamp IsDeleted Name Score__c Born__c Seen__c Wakes__c Old__c Boss__r.Key__c";
        format!("\"{}\"\n", names.replace(' ', "\",\""))
    }

    fn page(row: &str) -> String {
        format!("{}\"{ID}\",\"2026-01-02T03:04:05.000Z\",\"false\",{row}\n", header())
    }

    #[test]
    fn values_are_those_that_json_has() {
        let text = page(
            r#""A ""b"", c","1.50E1","1990-01-02","2026-01-02T03:04:05.000Z","12:30:00.000Z","true","K1""#,
        );
        let csv = value::to_row(&mapping(), &parse(&text).unwrap().record(0));
        let read: Value = serde_json::from_str(&format!(
            r#"{{"Id":"{ID}","SystemModstamp":"2026-01-02T03:04:05.000+0000","IsDeleted":false,"Name":"A \"b\", c","Score__c":1.50E1,
            "Born__c":"1990-01-02","Seen__c":"2026-01-02T03:04:05.000+0000","Wakes__c":"12:30:00.000Z","Old__c":true,"Boss__r":{{"Key__c":"K1"}}}}"#
        ))
        .unwrap();
        assert_eq!(csv, value::to_row(&mapping(), &read));
        let empty = parse(page(r#""","","","","","","""#)).unwrap();
        let nulls = value::to_row(&mapping(), &empty.record(0));
        assert!(mapping().fields.iter().all(|field| nulls[&field.column] == Value::Null), "{nulls:?}");
        assert_eq!(empty.text(0, 3), None);
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, digits) in [
            ("12345678901234567890.123", "12345678901234567890.123"),
            ("007", "7"),
            ("0", "0"),
            ("23.0", "23"),
            ("-1.20", "-1.2"),
            ("1.0E7", "10000000"),
            ("123456", "123456"),
        ] {
            let sheet = parse(page(&format!(r#""x","{text}","","","","","""#))).unwrap();
            assert_eq!(sheet.text(0, 4).as_deref(), Some(digits));
            assert_eq!(value::to_row(&mapping(), &sheet.record(0))["score__c"].to_string(), digits);
        }
        let odd = parse(page(r#""x","many","","","","","""#)).unwrap();
        assert_eq!(odd.record(0)["Score__c"], json!("many"));
    }

    #[test]
    fn an_external_id_of_a_parent_is_what_its_field_holds() {
        let parent = Parent {
            column: "boss__r__key__c".to_owned(),
            relationship: "Boss__r".to_owned(),
            field: "Key__c".to_owned(),
            object: "Boss__c".to_owned(),
        };
        let mapping = Mapping { parents: vec![parent], ..mapping() };
        for (kind, text) in [(FieldType::Double, "1"), (FieldType::String, "1.0")] {
            let columns = Arc::new(Columns::of(&mapping, &[kind]));
            let bytes = page(r#""x","1","","","","","1.0""#).into_bytes();
            let sheet = Sheet::parse(bytes, columns).unwrap();
            assert_eq!(sheet.text(0, 9).as_deref(), Some(text));
            let row = value::to_row(&mapping, &sheet.record(0));
            assert_eq!(row["boss__r__key__c"].to_string().trim_matches('"'), text);
        }
    }

    #[test]
    fn what_is_no_whole_page_is_none() {
        let good = page(r#""x","1","","","","","""#);
        assert_eq!(parse(&good).unwrap().len(), 1);
        assert_eq!(parse(header()).unwrap().len(), 0);
        assert_eq!(parse(good.replace('\n', "\r\n")).unwrap().record(0)["Boss__r"]["Key__c"], Value::Null);
        let long = page(
            r#""line
one","1","","","","","""#,
        );
        for bad in [
            String::new(),
            "<html><body>Maintenance</body></html>\n".to_owned(),
            good.trim_end().to_owned(),
            good[..good.len() - 4].to_owned(),
            long[..long.find("one").unwrap()].to_owned(),
            good.replace("Score__c", "Score2__c"),
            good.replace("\"Name\",\"Score__c\"", "\"Score__c\",\"Name\""),
            good.replace(ID, "of another"),
            good.replace(",\"1\"", ""),
            format!("{good}\"{ID}\"\n"),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
        for end in 1..good.len() {
            let cut = parse(&good[..end]);
            assert!(cut.as_ref().is_err() || cut.unwrap().is_empty(), "{end}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_and_named() {
        let mut bytes = page(r#""a?b","1","","","","","""#).into_bytes();
        let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
        for byte in [0xFF, 0] {
            bytes[at] = byte;
            let sheet = parse(&bytes).unwrap();
            assert_eq!(sheet.record(0)["Name"], "a\u{FFFD}b");
            assert_eq!(sheet.replaced, [Replaced { id: ID.to_owned(), field: "Name".to_owned() }]);
        }
    }
}
