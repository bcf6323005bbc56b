//! The CSV of jobs: a header with names of fields, and rows; in the delimiter and with the line ends that the job named.

use std::collections::HashSet;

use csv::{QuoteStyle, ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use serde_json::Value;

/// How a job's CSV is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Dialect {
    /// The word, and the character.
    delimiter: &'static (&'static str, u8),
    carriage_returns: bool,
}

const DELIMITERS: [(&str, u8); 6] = [
    ("COMMA", b','),
    ("TAB", b'\t'),
    ("PIPE", b'|'),
    ("SEMICOLON", b';'),
    ("CARET", b'^'),
    ("BACKQUOTE", b'`'),
];

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect { delimiter: &DELIMITERS[0], carriage_returns: false }
    }
}

impl Dialect {
    /// As the body that makes a job names it.
    ///
    /// # Errors
    /// The name that means nothing.
    pub(super) fn of(job: &Value) -> Result<Dialect, String> {
        let named = |key: &str, usual: &str| {
            job.get(key).and_then(Value::as_str).unwrap_or(usual).to_ascii_uppercase()
        };
        let delimiter = named("columnDelimiter", "COMMA");
        let delimiter = DELIMITERS.iter().find(|(word, _)| *word == delimiter).ok_or(delimiter)?;
        let carriage_returns = match named("lineEnding", "LF").as_str() {
            "LF" => false,
            "CRLF" => true,
            other => return Err(other.to_owned()),
        };
        Ok(Dialect { delimiter, carriage_returns })
    }

    /// With the line ends that a text has.
    pub(super) fn as_written(text: &[u8]) -> Dialect {
        let end = text.iter().position(|byte| *byte == b'\n');
        let carriage_returns = end.is_some_and(|end| end > 0 && text[end - 1] == b'\r');
        Dialect { carriage_returns, ..Dialect::default() }
    }

    pub(super) fn line_ending(self) -> &'static str {
        if self.carriage_returns { "CRLF" } else { "LF" }
    }

    fn terminator(self) -> Terminator {
        if self.carriage_returns { Terminator::CRLF } else { Terminator::Any(b'\n') }
    }

    pub(super) fn delimiter(self) -> &'static str {
        self.delimiter.0
    }

    /// Writes rows, each value in quotes, as an org does.
    pub(super) fn write<'a, R>(self, rows: impl Iterator<Item = R>) -> Vec<u8>
    where
        R: IntoIterator<Item = &'a str>,
    {
        let mut writer = WriterBuilder::new()
            .delimiter(self.delimiter.1)
            .terminator(self.terminator())
            .quote_style(QuoteStyle::Always)
            .flexible(true)
            .from_writer(Vec::new());
        for row in rows {
            // Into memory, which takes everything.
            let _ = writer.write_record(row);
        }
        writer.into_inner().unwrap_or_default()
    }

    /// Reads an upload.
    ///
    /// # Errors
    /// What fails the whole job, in Salesforce's words.
    pub(super) fn read(self, upload: &[u8]) -> Result<Sheet, String> {
        let is_one_line = !upload.contains(&b'\n');
        if !is_one_line && Dialect::as_written(upload).carriage_returns != self.carriage_returns {
            return Err(format!(
                "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {}",
                self.line_ending()
            ));
        }
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter.1)
            .terminator(self.terminator())
            .has_headers(false)
            .flexible(true)
            .from_reader(upload);
        let mut records = reader.records().map(|record| {
            record.map_err(|_| "ClientInputError : Failed to read the data: it is not UTF-8".to_owned())
        });
        let header = records.next().transpose()?;
        let header = header.ok_or("ClientInputError : Unable to find any data to create a batch")?;
        // The reader drops a byte order mark; an org takes it for a part of the first name.
        let mark = if upload.starts_with("\u{feff}".as_bytes()) { "\u{feff}" } else { "" };
        let names = header.iter().enumerate().map(|(at, name)| match at {
            0 => format!("{mark}{name}"),
            _ => name.to_owned(),
        });
        let header = names.collect();
        let rows: Vec<StringRecord> = records.collect::<Result<_, _>>()?;
        let malformed = self.malformed(upload, &rows);
        Ok(Sheet { header, rows, malformed })
    }

    /// The rows whose quotes stand wrong; the reader takes them as they come, and an org does not.
    fn malformed(self, upload: &[u8], rows: &[StringRecord]) -> HashSet<usize> {
        let start = |row: &StringRecord| usize::try_from(row.position()?.byte()).ok();
        let ends = rows.iter().skip(1).map(start).chain([Some(upload.len())]);
        let text = |(row, end)| upload.get(start(row)?..end?);
        let texts = rows.iter().zip(ends).map(text).enumerate();
        texts
            .filter(|(_, text)| !text.is_some_and(|text| self.is_well_quoted(text)))
            .map(|(at, _)| at)
            .collect()
    }

    /// Whether a value in quotes has nothing beside them, and another has none within.
    fn is_well_quoted(self, row: &[u8]) -> bool {
        let delimiter = self.delimiter.1;
        let is_end = |byte: u8| byte == b'\n' || (byte == b'\r' && self.carriage_returns);
        let mut place = Place::Start;
        for byte in row {
            place = match (place, *byte) {
                (Place::Quoted, b'"') => Place::Closed,
                (Place::Quoted, _) | (Place::Start | Place::Closed, b'"') => Place::Quoted,
                (_, byte) if byte == delimiter || is_end(byte) => Place::Start,
                (Place::Closed, _) | (Place::Bare, b'"') => return false,
                (Place::Start | Place::Bare, _) => Place::Bare,
            };
        }
        !matches!(place, Place::Quoted)
    }
}

/// Where in a value a byte stands.
#[derive(Clone, Copy)]
enum Place {
    Start,
    Bare,
    Quoted,
    /// After the closing quote, unless it stands for one.
    Closed,
}

/// An upload, taken apart.
#[derive(Debug)]
pub(in crate::simulator) struct Sheet {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<StringRecord>,
    /// Those whose quotes stand wrong.
    pub(super) malformed: HashSet<usize>,
}

impl Sheet {
    /// A row with as many values as the header has names.
    pub(super) fn row(&self, at: usize) -> impl Iterator<Item = &str> {
        (0..self.header.len()).map(move |column| self.rows[at].get(column).unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_names_its_csv_and_the_data_must_follow() {
        let dialect = Dialect::of(&json!({"columnDelimiter": "PIPE", "lineEnding": "CRLF"})).unwrap();
        let sheet = dialect.read(b"A|B\r\n\"x\"\"|y\"|z\r\n").unwrap();
        assert_eq!(sheet.header, ["A", "B"]);
        assert_eq!(sheet.row(0).collect::<Vec<_>>(), ["x\"|y", "z"]);
        let message = dialect.read(b"A|B\nx|y\n").unwrap_err();
        assert_eq!(
            message,
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF"
        );
        assert_eq!(Dialect::of(&json!({"columnDelimiter": "COLON"})).unwrap_err(), "COLON");
        assert!(Dialect::of(&json!({})).unwrap().read(b"").is_err());
    }

    #[test]
    fn nothing_stands_beside_a_quote() {
        let malformed = |ending: &str, rows: &[&str]| {
            let dialect = Dialect::of(&json!({"lineEnding": ending})).unwrap();
            let end = if ending == "LF" { "\n" } else { "\r\n" };
            let sheet = dialect.read(format!("A,B{end}{}", rows.join(end)).as_bytes()).unwrap();
            let mut malformed: Vec<usize> = sheet.malformed.into_iter().collect();
            malformed.sort_unstable();
            malformed
        };
        for ending in ["LF", "CRLF"] {
            let good = ["\"a\",b", " a ,b", "\"\",\"\"", "\"a\"\",\n\",b", ",\"b\""];
            assert_eq!(malformed(ending, &good), [0; 0]);
            let bad = ["\"a\" ,b", "a, \"b\"", "a,b", "a\"\",b", "\"a\"b,c", "a,\"b"];
            assert_eq!(malformed(ending, &bad), [0, 1, 3, 4, 5]);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            rows in prop::collection::vec(prop::collection::vec("[a,\"\\n\\r;|\\té ]{0,5}", 3), 1..5),
            delimiter in prop::sample::select(DELIMITERS.map(|(word, ..)| word).to_vec()),
            crlf in any::<bool>(),
        ) {
            let ending = if crlf { "CRLF" } else { "LF" };
            let dialect = Dialect::of(&json!({"columnDelimiter": delimiter, "lineEnding": ending})).unwrap();
            let header = vec!["A".to_owned(), "B".to_owned(), "C".to_owned()];
            let all = std::iter::once(&header).chain(&rows);
            let written = dialect.write(all.map(|row| row.iter().map(String::as_str)));
            let sheet = dialect.read(&written).unwrap();
            prop_assert_eq!(&sheet.header, &header);
            for (at, row) in rows.iter().enumerate() {
                prop_assert_eq!(&sheet.row(at).collect::<Vec<_>>(), row);
            }
            prop_assert_eq!(sheet.rows.len(), rows.len());
            prop_assert!(sheet.malformed.is_empty());
        }
    }
}
