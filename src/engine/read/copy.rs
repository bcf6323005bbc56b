//! A page of a job's records goes into the table: at one go, by COPY, while its table has none of them; else record by record.
//! What COPY takes is written piece by piece beside the runtime, each while PostgreSQL takes the one before.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::domain::mappings::mapping::Mapping;
use crate::postgres;
use crate::postgres::tables::copy::CopyRecords;
use crate::postgres::tables::copy_format::{CopyFormat, CopyWriter};
use crate::salesforce::sheet::Sheet;
use crate::salesforce::value;

use super::apply::{self, PageApplied, settle};
use super::fetch::ReadError;
use super::loading::Load;
use super::replaced;

/// Records that are looked at one by one in one go.
const PART: usize = 2_000;
/// Pieces that are written before PostgreSQL takes them.
const PIECES: usize = 4;
/// Pages that PostgreSQL refused to copy before one was copied, after which no more is tried so: the table has the records.
const MANY_REFUSED: u32 = 3;

/// How the pages of a load were stored.
pub(super) struct Copies {
    /// Whether it may be tried to copy one at one go.
    possible: bool,
    /// Whether a page had a value without a binary form: then all are copied as text.
    as_text: bool,
    pages: u32,
    done: u32,
    refused: u32,
}

impl Copies {
    pub(super) fn new(possible: bool) -> Copies {
        Copies { possible, as_text: false, pages: 0, done: 0, refused: 0 }
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pages were copied at one go", self.done, self.pages)
    }
}

impl Load<'_> {
    /// Stores a page: at one go where nothing stands in its way, else with a look at each record.
    pub(super) async fn store(
        &mut self,
        sheet: &Arc<Sheet>,
        loaded: bool,
        copies: &mut Copies,
    ) -> Result<(), ReadError> {
        replaced::tell(self.shared, self.mapping, &sheet.replaced);
        if loaded {
            self.met.note_ids(sheet.ids());
        }
        copies.pages += 1;
        if copies.possible && self.copy(sheet, copies).await? {
            copies.done += 1;
            return Ok(());
        }
        for from in (0..sheet.len()).step_by(PART) {
            let part = from..sheet.len().min(from + PART);
            self.apply(part.map(|at| value::to_row(self.mapping, &sheet.record(at))).collect()).await?;
            self.renew().await?;
        }
        Ok(())
    }

    /// Copies a page into the table. False where one of its records needs a look; then nothing was written.
    async fn copy(&mut self, sheet: &Arc<Sheet>, copies: &mut Copies) -> Result<bool, ReadError> {
        let (shared, mapping) = (self.shared, self.mapping);
        let format = match copies.as_text {
            true => CopyFormat::Text,
            false => shared.store.copy_format(mapping).await?,
        };
        let is_copied = match self.copy_in(format, sheet).await {
            Ok(Copied::All) => true,
            Ok(Copied::None) => false,
            Ok(Copied::Unfit) => {
                copies.as_text = true;
                return Box::pin(self.copy(sheet, copies)).await;
            }
            // What is wrong with one record, or with COPY into this table, the other way tells better.
            Err(error) if error.sql_state().is_some() && !error.is_connection() => {
                shared.log.of("reader").debug(
                    format!("{}: a page cannot be copied at one go", mapping.object),
                    json!({"mapping": mapping.object, "cause": error.masked([mapping].into_iter())}),
                );
                copies.refused += 1;
                copies.possible = copies.refused < MANY_REFUSED || copies.done > 0;
                false
            }
            Err(error) => return Err(error.into()),
        };
        if is_copied {
            self.note_copied(sheet).await?;
        }
        Ok(is_copied)
    }

    /// Copies a page that is written so.
    async fn copy_in(&self, format: CopyFormat, sheet: &Arc<Sheet>) -> Result<Copied, postgres::Error> {
        let places = CopyPlaces::of(self.mapping, sheet);
        let ids: Vec<&str> = sheet.ids().collect();
        let keys: Vec<Cow<'_, str>> = match places.key {
            Some(key) => (0..sheet.len()).filter_map(|row| sheet.text(row, key)).collect(),
            None => Vec::new(),
        };
        let (written, pieces) = write(sheet.clone(), places, format.clone());
        let records = CopyRecords { ids: &ids, keys: &keys, format: &format, pieces };
        let began_at = self.progress.began_at;
        let copied = self.shared.store.copy_records(self.lease, self.mapping, records, began_at).await;
        // Whoever broke off because nobody took the pieces says nothing of the values.
        let is_unfit = matches!(written.await, Ok(false));
        match copied {
            Ok(true) => Ok(Copied::All),
            Ok(false) if is_unfit => Ok(Copied::Unfit),
            Ok(false) => Ok(Copied::None),
            Err(error) if is_unfit && error.sql_state().is_some() && !error.is_connection() => {
                Ok(Copied::Unfit)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that a page was copied.
    async fn note_copied(&mut self, sheet: &Sheet) -> Result<(), ReadError> {
        let (shared, mapping) = (self.shared, self.mapping);
        if shared.store.knows_of_records(&mapping.table).await? {
            let ids: Vec<&str> = sheet.ids().collect();
            settle(shared, mapping, &ids, "it is stored").await?;
            shared.store.notice_read_findings(&mapping.table, &ids).await?;
        }
        let applied = PageApplied { written: sheet.len() as u64, ..PageApplied::default() };
        apply::note(&mut self.run, sheet.len(), &applied);
        self.progress.done += sheet.len() as i64;
        Ok(())
    }
}

/// What came of copying a page.
enum Copied {
    All,
    /// Nothing was written: a record needs a look.
    None,
    /// Nothing was written: a value has no binary form that is certain.
    Unfit,
}

/// Where on a page the values of a row stand.
struct CopyPlaces {
    fields: Vec<Option<usize>>,
    key: Option<usize>,
    system: [Option<usize>; 3],
}

impl CopyPlaces {
    fn of(mapping: &Mapping, sheet: &Sheet) -> CopyPlaces {
        let place = |name: &str| sheet.columns().place(name);
        CopyPlaces {
            fields: mapping.read_fields().map(|field| place(&field.name)).collect(),
            key: mapping.external_id_field().and_then(|field| place(&field.name)),
            system: ["Id", "SystemModstamp", "IsDeleted"].map(place),
        }
    }
}

/// A page as COPY takes it, piece by piece. Where nobody takes them any more, no more are written. Tells at last whether
/// every value could be written so.
fn write(
    sheet: Arc<Sheet>,
    places: CopyPlaces,
    format: CopyFormat,
) -> (JoinHandle<bool>, mpsc::Receiver<Bytes>) {
    let (send, pieces) = mpsc::channel(PIECES);
    let written = tokio::task::spawn_blocking(move || {
        let mut rows = CopyWriter::new(format);
        for row in 0..sheet.len() {
            let value = |place: &Option<usize>| place.and_then(|place| sheet.text(row, place));
            if !rows.add(places.fields.iter().map(value), places.system.each_ref().map(value)) {
                return false;
            }
            if let Some(piece) = rows.piece()
                && send.blocking_send(piece).is_err()
            {
                return true;
            }
        }
        let _ = send.blocking_send(rows.finished());
        true
    });
    (written, pieces)
}
