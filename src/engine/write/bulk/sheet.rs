//! What is uploaded to a job: one header, and a row for each unit. A field that a unit does not change has an empty value, which
//! Salesforce leaves as it is; null is `#N/A`. So units that change different fields share a sheet. Pure.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::{Map, Value, json};

use crate::domain::changes::dispatch::{Call, Job};
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::hstore::Hstore;
use crate::engine::write::record::mistyped;
use crate::salesforce::ingest::NULL;
use crate::salesforce::value;

/// The longest text that goes by a job; older versions of the API refuse a longer one.
const LONGEST: usize = 32_000;

/// The longest record that goes by a job: Salesforce takes 400,000 characters.
const LONGEST_RECORD: usize = 400_000;

/// A record's columns and values, as they are uploaded.
pub(super) type Cells = Vec<(String, String)>;

/// A record as a row of a sheet. `None` where CSV cannot say what JSON says, or where a whole batch would suffer for it.
pub(super) fn cells(mapping: &Mapping, job: &Job, record: &Value) -> Option<Cells> {
    if job.call == Call::Delete {
        return Some(vec![("Id".to_owned(), job.sfid.clone()?)]);
    }
    if !mistyped(mapping, record).is_empty() {
        return None;
    }
    let cell = |(name, value): (&String, &Value)| match value {
        Value::Object(parent) => {
            let (field, key) = parent.iter().next()?;
            let key = key.as_str().and_then(|key| text_cell(mapping, name, key))?;
            (key != NULL).then(|| (format!("{name}.{field}"), key))
        }
        Value::Null => Some((name.clone(), NULL.to_owned())),
        Value::String(text) if name == "id" => Some(("Id".to_owned(), text.clone())),
        Value::String(text) => Some((name.clone(), text_cell(mapping, name, text)?)),
        Value::Bool(_) | Value::Number(_) => Some((name.clone(), value.to_string())),
        Value::Array(_) => None,
    };
    let cells: Option<Cells> = record.as_object()?.iter().map(cell).collect();
    cells.filter(|cells| cells.iter().map(|(_, text)| text.len()).sum::<usize>() <= LONGEST_RECORD)
}

/// A text as a value of CSV. One that is nothing but blanks is null to Salesforce, and nothing at all in CSV.
fn text_cell(mapping: &Mapping, name: &str, text: &str) -> Option<String> {
    let kind = mapping.fields.iter().find(|field| field.name == name).map(|field| field.kind);
    if text.trim_matches(|c: char| c <= ' ').is_empty() {
        let is_text = matches!(
            kind,
            Some(
                FieldType::String
                    | FieldType::Textarea
                    | FieldType::Email
                    | FieldType::Phone
                    | FieldType::Picklist
                    | FieldType::Multipicklist
            )
        );
        return is_text.then(|| NULL.to_owned());
    }
    let fits = text.trim() != NULL && text.len() <= LONGEST && kind != Some(FieldType::Other);
    fits.then(|| text.to_owned())
}

/// Rows on their way to a job.
#[derive(Debug, Default)]
pub(super) struct UploadSheet {
    columns: Vec<String>,
    /// Of each row its values by column.
    rows: Vec<Vec<(usize, String)>>,
    bytes: usize,
}

impl UploadSheet {
    /// About how long it is.
    pub(super) fn bytes(&self) -> usize {
        // Each column that a row leaves out takes a comma and quotes.
        self.bytes + self.rows.len() * self.columns.len() * 3
    }

    pub(super) fn add(&mut self, cells: Cells) {
        let mut row = Vec::with_capacity(cells.len());
        for (name, text) in cells {
            let at = self.columns.iter().position(|known| known.eq_ignore_ascii_case(&name));
            let at = at.unwrap_or_else(|| {
                self.columns.push(name);
                self.columns.len() - 1
            });
            self.bytes += text.len();
            row.push((at, text));
        }
        self.rows.push(row);
    }

    /// Puts rows of the same parents next to each other: two parts of a job that Salesforce works on at once lock each other out
    /// where they have a parent in common.
    pub(super) fn sort_by_parents(&mut self, mapping: &Mapping) {
        let is_parent = |name: &String| {
            let field = mapping.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            name.contains('.') || field.is_some_and(|field| !field.reference_to.is_empty())
        };
        let parents: Vec<usize> =
            (0..self.columns.len()).filter(|at| is_parent(&self.columns[*at])).collect();
        if parents.is_empty() {
            return;
        }
        let of_row = |row: &Vec<(usize, String)>, at: usize| {
            row.iter().find(|(column, _)| *column == at).map(|(_, text)| text.clone())
        };
        self.rows.sort_by_cached_key(|row| parents.iter().map(|at| of_row(row, *at)).collect::<Vec<_>>());
    }

    /// As CSV, every value in quotes.
    pub(super) fn csv(self) -> Vec<u8> {
        let mut writer = WriterBuilder::new()
            .quote_style(QuoteStyle::Always)
            .terminator(Terminator::Any(b'\n'))
            .from_writer(Vec::with_capacity(self.bytes() + self.bytes() / 8));
        // Into memory, which takes everything.
        let _ = writer.write_record(&self.columns);
        for row in self.rows {
            let mut values = vec![""; self.columns.len()];
            for (at, text) in &row {
                values[*at] = text;
            }
            let _ = writer.write_record(values);
        }
        writer.into_inner().unwrap_or_default()
    }
}

/// What was sent in a row: by column, and as the record that a collection would have had.
pub(super) fn sent<'a>(mapping: &Mapping, row: impl Iterator<Item = (&'a str, &'a str)>) -> (Hstore, Value) {
    let (mut patch, mut record) = (Hstore::new(), Map::new());
    for (name, text) in row.filter(|(_, text)| !text.is_empty()) {
        let plain = (text != NULL).then(|| text.to_owned());
        if name.eq_ignore_ascii_case("Id") {
            record.insert("id".to_owned(), json!(plain));
        } else if let Some((relationship, key)) = name.split_once('.') {
            let parent = mapping.parents.iter().find(|parent| parent.relationship == relationship);
            if let Some(parent) = parent {
                patch.insert(parent.column.clone(), plain.clone());
            }
            record.insert(relationship.to_owned(), json!({ key: plain }));
        } else {
            let is_it = |field: &&Field| field.name.eq_ignore_ascii_case(name);
            let field = mapping.fields.iter().find(is_it);
            let kind = field.map_or(FieldType::String, |field| field.kind);
            record.insert(name.to_owned(), value::of_upload(kind, plain.as_deref()));
            if let Some(field) = field {
                patch.insert(field.column.clone(), plain);
            }
        }
    }
    (patch, Value::Object(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::changes::dispatch::Claimed;
    use crate::domain::mappings::mapping::Parent;

    fn mapping() -> Mapping {
        let kinds = [
            ("Name", FieldType::String),
            ("Note__c", FieldType::Textarea),
            ("Score__c", FieldType::Double),
            ("Old__c", FieldType::Boolean),
            ("Boss__r.Key__c", FieldType::String),
        ];
        let field = |(name, kind): (&str, FieldType)| Field {
            column: name.to_lowercase().replace('.', "__"),
            ..Field::plain(name, kind)
        };
        let parent = Parent {
            column: "boss__r__key__c".to_owned(),
            relationship: "Boss__r".to_owned(),
            field: "Key__c".to_owned(),
            object: "Boss__c".to_owned(),
        };
        Mapping { parents: vec![parent], ..Mapping::plain("Contact", kinds.map(field).to_vec()) }
    }

    fn update() -> Job {
        let unit = Claimed { table: "contact".to_owned(), ..Claimed::default() };
        Job::bare(unit, Call::Update, "update", Some("003sd0000000001AAA".to_owned()), 1)
    }

    #[test]
    fn what_is_null_or_empty_is_told_from_what_is_not_changed() {
        let own = mapping();
        let mut sheet = UploadSheet::default();
        let records = [
            json!({"id": "003sd0000000001AAA", "Name": "a, \"b\"\nc", "Score__c": 1.5, "Old__c": false}),
            json!({"id": "003sd0000000002AAA", "Name": "", "Note__c": null, "Boss__r": {"Key__c": "B 1"}}),
        ];
        for record in &records {
            sheet.add(cells(&own, &update(), record).unwrap());
        }
        let csv = String::from_utf8(sheet.csv()).unwrap();
        assert_eq!(
            csv,
            "\"Id\",\"Name\",\"Score__c\",\"Old__c\",\"Note__c\",\"Boss__r.Key__c\"\n\
             \"003sd0000000001AAA\",\"a, \"\"b\"\"\nc\",\"1.5\",\"false\",\"\",\"\"\n\
             \"003sd0000000002AAA\",\"#N/A\",\"\",\"\",\"#N/A\",\"B 1\"\n"
        );
    }

    #[test]
    fn what_csv_cannot_say_goes_another_way() {
        let own = mapping();
        for record in [
            json!({"Name": "#N/A"}),
            json!({"Name": " #N/A "}),
            json!({"Score__c": "twelve"}),
            json!({"Score__c": ""}),
            json!({"Note__c": "x".repeat(LONGEST + 1)}),
            json!({"Boss__r": {"Key__c": " "}}),
        ] {
            assert_eq!(cells(&own, &update(), &record), None, "{record}");
        }
        assert_eq!(cells(&own, &update(), &json!({"Name": " \t"})).unwrap()[0].1, NULL);
    }

    #[test]
    fn a_record_of_more_characters_than_a_job_takes_goes_another_way() {
        let record = |count: usize| -> Value {
            let text = |at| (format!("Text{at}__c"), json!("x".repeat(LONGEST)));
            Value::Object((0..count).map(text).collect())
        };
        assert!(cells(&mapping(), &update(), &record(12)).is_some());
        assert_eq!(cells(&mapping(), &update(), &record(13)), None);
    }

    #[test]
    fn rows_of_the_same_parent_are_next_to_each_other() {
        let own = mapping();
        let mut sheet = UploadSheet::default();
        for (name, parent) in [("a", "P2"), ("b", "P1"), ("c", "P2")] {
            let record = json!({"Name": name, "Boss__r": {"Key__c": parent}});
            sheet.add(cells(&own, &update(), &record).unwrap());
        }
        sheet.sort_by_parents(&own);
        let csv = String::from_utf8(sheet.csv()).unwrap();
        let names: Vec<&str> = csv
            .lines()
            .skip(1)
            .filter_map(|line| ["a", "b", "c"].into_iter().find(|name| line.contains(&format!("\"{name}\""))))
            .collect();
        assert_eq!(names, ["b", "a", "c"]);
    }

    #[test]
    fn what_was_sent_is_read_again() {
        let own = mapping();
        let record = json!({"id": "003sd0000000001AAA", "Name": "x", "Note__c": null, "Score__c": 1.5, "Old__c": true,
            "Boss__r": {"Key__c": "B1"}});
        let cells = cells(&own, &update(), &record).unwrap();
        let row = cells.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let (patch, again) = sent(&own, row.chain([("Remark__c", "")]));
        assert_eq!(again, record);
        assert_eq!(patch.get("boss__r__key__c"), Some(&Some("B1".to_owned())));
        assert_eq!(patch.get("note__c"), Some(&None));
        assert_eq!(patch.len(), 5);
    }
}
