//! Which columns the list of errors has, and how wide they are beside what there is room for: as the operator wants them.

use std::collections::BTreeMap;

/// A column that can be left out. The field with its value cannot: it takes what the others leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// When it was seen last, or first.
    Time,
    /// The record by its number and name.
    Record,
    /// The code.
    Code,
}

impl Column {
    /// In their order.
    pub const ALL: [Column; 3] = [Column::Time, Column::Record, Column::Code];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Column::Time => "time",
            Column::Record => "record",
            Column::Code => "code",
        }
    }

    /// Whether it can have more columns than its text needs.
    pub fn is_elastic(self) -> bool {
        self != Column::Time
    }
}

/// What is wanted of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Hidden,
    /// So many columns more, or less, than it has by itself.
    Shown(i16),
}

/// By how much a column is wider or narrower at most.
const MOST: i16 = 60;
/// Columns by which one key makes one wider or narrower.
const STEP: i16 = 2;

/// What is wanted of the columns; of one that is not named, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorColumns(BTreeMap<Column, Wanted>);

impl ErrorColumns {
    /// How wide a column is that by itself has so many columns; 0 is none, and so it is by itself where there is no room.
    pub fn width(&self, column: Column, by_itself: usize) -> usize {
        match self.0.get(&column) {
            Some(Wanted::Hidden) => 0,
            Some(Wanted::Shown(by)) if by_itself > 0 || *by > 0 => {
                by_itself.max(LEAST).saturating_add_signed(isize::from(*by)).max(LEAST)
            }
            _ => by_itself,
        }
    }

    /// Whether a column is left out.
    pub fn hides(&self, column: Column) -> bool {
        self.0.get(&column) == Some(&Wanted::Hidden)
    }

    /// Leaves a column out, or shows it again.
    pub fn toggle(&mut self, column: Column) {
        if self.0.insert(column, Wanted::Hidden) == Some(Wanted::Hidden) {
            self.0.remove(&column);
        }
    }

    /// Makes a column wider, or narrower; one that is left out shows again.
    pub fn widen(&mut self, column: Column, wider: bool) {
        if !column.is_elastic() {
            return;
        }
        let by = if let Some(Wanted::Shown(by)) = self.0.get(&column) { *by } else { 0 };
        let by = (by + if wider { STEP } else { -STEP }).clamp(-MOST, MOST);
        self.0.insert(column, Wanted::Shown(by));
        if by == 0 {
            self.0.remove(&column);
        }
    }

    /// What is wanted of a column, in a word: `hidden`, `+4`; empty where nothing is.
    pub fn word(&self, column: Column) -> String {
        match self.0.get(&column) {
            Some(Wanted::Hidden) => "hidden".to_owned(),
            Some(Wanted::Shown(by)) => format!("{by:+}"),
            None => String::new(),
        }
    }

    /// As it is kept for the next console.
    pub fn kept(&self) -> BTreeMap<String, String> {
        self.0.keys().map(|column| (column.name().to_owned(), self.word(*column))).collect()
    }

    /// As the last console kept it; what of it makes no sense is left out.
    pub fn read(kept: &BTreeMap<String, String>) -> ErrorColumns {
        let wanted = |column: &Column| {
            let word = kept.get(column.name())?;
            let by = word
                .parse::<i16>()
                .ok()
                .filter(|by| column.is_elastic() && *by != 0 && (-MOST..=MOST).contains(by));
            let wanted = if word == "hidden" { Wanted::Hidden } else { Wanted::Shown(by?) };
            Some((*column, wanted))
        };
        ErrorColumns(Column::ALL.iter().filter_map(wanted).collect())
    }
}

/// A column that shows has so many columns at least.
const LEAST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_kept_as_they_are_wanted() {
        let mut columns = ErrorColumns::default();
        columns.toggle(Column::Time);
        columns.widen(Column::Record, true);
        columns.widen(Column::Record, true);
        columns.widen(Column::Code, false);
        assert_eq!((columns.width(Column::Time, 9), columns.width(Column::Record, 20)), (0, 24));
        assert_eq!((columns.width(Column::Code, 16), columns.width(Column::Code, 0)), (14, 0));
        assert_eq!(ErrorColumns::read(&columns.kept()), columns);
        columns.toggle(Column::Time);
        columns.widen(Column::Time, true);
        columns.widen(Column::Code, true);
        assert_eq!(columns.kept().into_iter().collect::<Vec<_>>(), [("record".to_owned(), "+4".to_owned())]);
        // One that has no room by itself shows where more of it is asked for.
        columns.widen(Column::Code, true);
        assert_eq!(columns.width(Column::Code, 0), 12);
    }

    #[test]
    fn what_was_kept_and_makes_no_sense_is_left_out() {
        let kept = [("time", "+4"), ("record", "wide"), ("code", "+9999"), ("smell", "hidden")];
        let kept = kept.map(|(name, word)| (name.to_owned(), word.to_owned())).into();
        assert_eq!(ErrorColumns::read(&kept), ErrorColumns::default());
    }
}
