//! Lists of errors as files for other programs: CSV that a spreadsheet cannot take for formulas, or JSON lines; neither does
//! anything to a terminal that shows it.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use crate::domain::errors::sync_error::SyncError;
use crate::logs::sanitize::{sanitize, sanitize_json};

use super::api::{Client, ClientError, ErrorQuery};

/// Errors read at once.
const PAGE: usize = 1_000;

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// RFC 4180, with a head line.
    Csv,
    /// One JSON document a line.
    JsonLines,
}

impl Client {
    /// Writes the errors that match into a new file; one that is there is replaced when all is written. Returns how many.
    ///
    /// # Errors
    /// A filter that cannot be read, or a place that cannot be written.
    pub async fn export_to(
        &self,
        path: &Path,
        filter: &str,
        format: ExportFormat,
    ) -> Result<usize, ClientError> {
        let told = |error: &dyn std::fmt::Display| {
            ClientError::refused(format!("cannot write {}: {error}", path.display()))
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(ClientError::refused(format!(
                "cannot write {}: there is no directory {}\nmake it first, or name another",
                path.display(),
                folder.display()
            )));
        }
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| told(&error))?;
        let count = export(self, filter, format, &mut io::BufWriter::new(&mut file)).await?;
        file.persist(path).map_err(|error| told(&error.error))?;
        Ok(count)
    }
}

/// Writes the errors that match, page by page. Returns how many.
///
/// # Errors
/// A filter that cannot be read, or an output that does not take it.
pub async fn export(
    client: &Client,
    filter: &str,
    format: ExportFormat,
    out: &mut (dyn Write + Send),
) -> Result<usize, ClientError> {
    let told =
        |error: &dyn std::fmt::Display| ClientError::refused(format!("cannot write the list: {error}"));
    let mut query = ErrorQuery { filter: filter.to_owned(), limit: PAGE, ..ErrorQuery::default() };
    let mut count = 0;
    if format == ExportFormat::Csv {
        out.write_all(&csv_line(&HEAD).map_err(|error| told(&error))?).map_err(|error| told(&error))?;
    }
    loop {
        let page = client.errors(&query).await?;
        for error in &page.items {
            let line = match format {
                ExportFormat::Csv => csv_line(&cells(error)),
                ExportFormat::JsonLines => json_line(error),
            };
            out.write_all(&line.map_err(|error| told(&error))?).map_err(|error| told(&error))?;
        }
        count += page.items.len();
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    out.flush().map_err(|error| told(&error))?;
    Ok(count)
}

const HEAD: [&str; 18] = [
    "id",
    "mapping",
    "table",
    "row_id",
    "sfid",
    "op",
    "source",
    "code",
    "category",
    "class",
    "message",
    "fields",
    "attempts",
    "state",
    "next_retry_at",
    "first_seen",
    "last_seen",
    "group",
];

fn cells(error: &SyncError) -> [String; 18] {
    [
        error.id.to_string(),
        error.mapping.clone(),
        error.table.clone(),
        error.row_id.map(|row| row.to_string()).unwrap_or_default(),
        error.sfid.clone().unwrap_or_default(),
        error.op.clone(),
        error.source.word().to_owned(),
        error.code.clone(),
        error.category.word().to_owned(),
        error.class.word().to_owned(),
        error.message.clone(),
        error.fields.join(" "),
        error.attempts.to_string(),
        error.state.word().to_owned(),
        error.next_retry_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        error.first_seen.to_rfc3339(),
        error.last_seen.to_rfc3339(),
        error.group.clone(),
    ]
}

fn csv_line<T: AsRef<str>>(cells: &[T]) -> io::Result<Vec<u8>> {
    let cells: Vec<String> = cells.iter().map(|cell| harmless(cell.as_ref())).collect();
    // Where lists are separated by it, what stands behind it would begin a cell of its own.
    let quotes = match cells.iter().any(|cell| cell.contains(';')) {
        true => csv::QuoteStyle::Always,
        false => csv::QuoteStyle::Necessary,
    };
    let mut writer = csv::WriterBuilder::new().quote_style(quotes).from_writer(Vec::new());
    writer.write_record(&cells)?;
    writer.into_inner().map_err(|error| error.into_error())
}

/// A text that no spreadsheet takes for a formula (OWASP: CSV injection), and that acts on no terminal. Its lines stay
/// lines.
fn harmless(cell: &str) -> String {
    let lines: Vec<Cow<'_, str>> = cell.split('\n').map(sanitize).collect();
    let shown = lines.join("\n");
    // A sign that looks double as wide counts like the plain one in some programs.
    match cell.trim_start_matches(' ').chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{shown}")
        }
        _ => shown,
    }
}

fn json_line(error: &SyncError) -> io::Result<Vec<u8>> {
    Ok(format!("{}\n", sanitize_json(&serde_json::to_string(error)?)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_cell_comes_back() {
        for (cell, written) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("  +1", "'  +1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\\tx"),
            ("＝1+1", "'＝1+1"),
            ("x;=1+1", "x;=1+1"),
            ("\x1b]52;c;aGk=\x07\u{9b}31m", "\\e]52;c;aGk=\\u{7}\\u{9b}31m"),
            ("gpj\u{202e}exe\rover", "gpj\\u{202e}exe\\rover"),
            ("plain, with \"quotes\"\nand lines", "plain, with \"quotes\"\nand lines"),
            ("", ""),
        ] {
            let line = csv_line(&[cell, "next"]).unwrap();
            assert!(!cell.contains(';') || line.starts_with(b"\""), "what is behind it begins no cell");
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
            let record = reader.records().next().unwrap().unwrap();
            assert_eq!(record.iter().collect::<Vec<_>>(), [written, "next"]);
        }
    }
}
