//! The mappings as configured, checked against the org's describe.

use std::collections::HashMap;

use crate::config::{Config, MappingConfig};
use crate::domain::mappings::field::{Field, FieldTrouble, FieldType};
use crate::domain::mappings::mapping::{Mapping, Parent, SYSTEM_FIELDS, column_type};
use crate::domain::names::{LONGEST_NAME, column_of, cut};
use crate::domain::values::nearest::suggestion;
use crate::salesforce::describe::{Describe, DescribedField};
use crate::salesforce::{Client, Error};

use super::StartError;

/// Columns that every mapped table has of its own.
const TABLE_COLUMNS: [&str; 6] = ["id", "sfid", "isdeleted", "systemmodstamp", "_hc_lastop", "_hc_err"];
/// Characters of the longest text that always fits an index.
const LONGEST_INDEXED: usize = 670;

/// Signs in and describes every mapped object. Returns the org's id with the mappings. `known` are the mappings as they
/// were worked before: what the org took away since stays mapped, marked as gone.
///
/// # Errors
/// An unknown object or field is refused at its place in the file, with the nearest name.
pub(super) async fn mappings(
    config: &Config,
    client: &Client,
    known: &[Mapping],
) -> Result<(String, Vec<Mapping>), StartError> {
    let failed = |source| StartError::Salesforce { source, login_url: config.salesforce.login_url.clone() };
    let org_id = client.org_id().await.map_err(failed)?;
    let mut mappings = Vec::new();
    for written in &config.mappings {
        let known = known.iter().find(|known| known.object.eq_ignore_ascii_case(&written.object));
        let describe = match client.describe(&written.object, None).await {
            Ok(Some((describe, _))) => describe,
            Ok(None) => continue,
            Err(Error::Api { status: 404, .. }) if known.is_some() => {
                let gone =
                    |known: &Mapping| Mapping { gone: true, rules: written.rules.clone(), ..known.clone() };
                mappings.extend(known.map(gone));
                continue;
            }
            Err(Error::Api { status: 404, .. }) => {
                let names = client.object_names().await.map_err(failed)?;
                return Err(unknown_object(config, written, &names).into());
            }
            Err(error) => return Err(failed(error)),
        };
        mappings.push(mapping(config, written, &describe, known)?);
    }
    tell_cases(&mut mappings);
    Ok((org_id, mappings))
}

/// A column that names a parent compares as the parent's own key does, where that one is mapped.
fn tell_cases(mappings: &mut [Mapping]) {
    let keys: HashMap<(String, String), bool> = mappings
        .iter()
        .flat_map(|mapping| mapping.fields.iter().map(move |field| (mapping, field)))
        .map(|(mapping, field)| ((mapping.object.clone(), field.column.clone()), field.case_sensitive))
        .collect();
    for mapping in mappings {
        for parent in &mapping.parents {
            let known = keys.get(&(parent.object.clone(), parent.field.to_lowercase()));
            let column = mapping.fields.iter_mut().find(|field| field.column == parent.column);
            if let (Some(field), Some(case_sensitive)) = (column, known) {
                field.case_sensitive = *case_sensitive;
            }
        }
    }
}

/// One mapping from what was written and what describe tells. A field that describe lacks and `known` has stays, marked
/// as gone; one that could be written and no longer can, marked as denied.
pub(super) fn mapping(
    config: &Config,
    written: &MappingConfig,
    describe: &Describe,
    known: Option<&Mapping>,
) -> Result<Mapping, StartError> {
    let before = |name: &str| {
        known.and_then(|known| known.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)))
    };

    let mut fields = Vec::new();
    let mut parents = Vec::new();
    let names = written.fields.iter().chain(written.external_id.iter());
    for name in names {
        let system = SYSTEM_FIELDS.iter().any(|system| system.eq_ignore_ascii_case(name));
        if system || fields.iter().any(|field: &Field| field.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        let parent_before = |field: &Field| known.and_then(|known| known.parent(&field.column)).cloned();
        match (name.split_once('.'), before(name)) {
            (Some((relationship, key)), before) => {
                match (relationship_column(config, written, describe, relationship, key), before) {
                    (Ok((field, parent)), before) => {
                        let case_sensitive = before.is_some_and(|before| before.case_sensitive);
                        fields.push(denied(Field { case_sensitive, ..field }, before));
                        parents.push(parent);
                    }
                    (Err(_), Some(before)) => {
                        fields.push(removed(before));
                        let column = cut(&before.column).to_owned();
                        parents.extend(parent_before(before).map(|parent| Parent { column, ..parent }));
                    }
                    (Err(refused), None) => return Err(refused),
                }
            }
            (None, Some(before)) if describe.field(name).is_none() => fields.push(removed(before)),
            (None, before) => {
                let field = known_field(config, written, describe, name)?.to_field();
                fields.push(denied(field, before));
            }
        }
    }
    let external_id = match &written.external_id {
        Some(name) if describe.field(name).is_none() && before(name).is_some() => {
            before(name).map(|field| field.name.clone())
        }
        Some(name) => {
            let field = known_field(config, written, describe, name)?;
            if !field.is_key() {
                return Err(config
                    .refuse_mapping(
                        written,
                        "external_id",
                        format!("{}.{} is no external id", describe.name, field.name),
                        "name a field that is marked External ID and Unique, or leave external_id out"
                            .to_owned(),
                    )
                    .into());
            }
            Some(field.name.clone())
        }
        None => None,
    };
    distinct(config, written, &fields)?;
    let indexes = indexes(config, written, &fields, known)?;
    Ok(Mapping {
        object: describe.name.clone(),
        table: written.table.clone(),
        access: written.access,
        external_id,
        rules: written.rules.clone(),
        fields,
        parents,
        indexes,
        gone: false,
        system: describe.system(),
    })
}

/// The columns that get an index of their own. A long text cannot have one: PostgreSQL would refuse rows for it. Where an
/// administrator made a field long that has one, the others go on; the index stays until somebody drops it.
fn indexes(
    config: &Config,
    written: &MappingConfig,
    fields: &[Field],
    known: Option<&Mapping>,
) -> Result<Vec<String>, StartError> {
    let of = |column: &str| fields.iter().find(|field| field.column == column);
    let columns = written.indexes.iter().map(|name| system_column(name));
    let is_long = |column: &str| of(column).is_some_and(|field| is_too_long(&column_type(field)));
    let (long, fit): (Vec<String>, Vec<String>) = columns.partition(|column| is_long(column));
    let had = |column: &str| known.is_some_and(|known| known.indexes.iter().any(|had| had == column));
    match long.iter().filter(|column| !had(column)).find_map(|column| of(column)) {
        None => Ok(fit),
        Some(field) => Err(config
            .refuse_mapping(
                written,
                "indexes",
                format!("{}.{} is {}, too long for an index", written.object, field.name, field.type_text()),
                format!("take {} out of indexes", field.name),
            )
            .into()),
    }
}

/// Whether PostgreSQL could refuse a value of this type in an index: an entry has 2,704 bytes at most, a character up to 4.
fn is_too_long(kind: &str) -> bool {
    let length = kind.strip_prefix("varchar(").and_then(|rest| rest.strip_suffix(')')?.parse::<usize>().ok());
    kind == "text" || length.is_some_and(|length| length > LONGEST_INDEXED)
}

/// The column of a field, a system field's included.
fn system_column(field: &str) -> String {
    if field.eq_ignore_ascii_case("Id") { "sfid".to_owned() } else { column_of(field) }
}

/// No two fields may be one column, and none a column that every mapped table has: PostgreSQL keeps only the beginning of
/// a long name.
fn distinct(config: &Config, written: &MappingConfig, fields: &[Field]) -> Result<(), StartError> {
    for (at, field) in fields.iter().enumerate() {
        let taken = fields[..at].iter().find(|other| other.column == field.column);
        let system = TABLE_COLUMNS.contains(&field.column.as_str()).then_some("the table's own");
        let Some(other) = taken.map(|other| other.name.as_str()).or(system) else { continue };
        let why = match field.column.len() {
            LONGEST_NAME => format!("PostgreSQL keeps the first {LONGEST_NAME} bytes of a name"),
            _ => "a table has each column once".to_owned(),
        };
        return Err(config
            .refuse_mapping(
                written,
                "fields",
                format!("{} and {other} would be one column, {}: {why}", field.name, field.column),
                "leave one of them out; a parent can be named by another external id, or by its Id"
                    .to_owned(),
            )
            .into());
    }
    Ok(())
}

/// A mapped field that the org does not tell of any more.
fn removed(before: &Field) -> Field {
    Field { trouble: Some(FieldTrouble::Removed), column: cut(&before.column).to_owned(), ..before.clone() }
}

/// A field as it is now, marked when the login could write it before.
fn denied(now: Field, before: Option<&Field>) -> Field {
    let had = before.is_some_and(|field| !field.read_only() || field.trouble == Some(FieldTrouble::Denied));
    let trouble = (had && now.read_only()).then_some(FieldTrouble::Denied);
    Field { trouble, ..now }
}

fn known_field<'a>(
    config: &Config,
    written: &MappingConfig,
    describe: &'a Describe,
    name: &str,
) -> Result<&'a DescribedField, StartError> {
    describe.field(name).ok_or_else(|| {
        let known = describe.fields.iter().map(|field| field.name.as_str());
        config
            .refuse_mapping(
                written,
                "fields",
                format!("{} has no field {name} that this login can see", describe.name),
                suggestion(name, known, "remove it, or grant the field's read permission"),
            )
            .into()
    })
}

/// A column that names the parent by its external id: `Invoice__r.External_Id__c` is `invoice__r__external_id__c`.
fn relationship_column(
    config: &Config,
    written: &MappingConfig,
    describe: &Describe,
    relationship: &str,
    key: &str,
) -> Result<(Field, Parent), StartError> {
    let lookup = describe.fields.iter().find(|field| {
        field.relationship_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(relationship))
    });
    let Some(lookup) = lookup else {
        let known = describe.fields.iter().filter_map(|field| field.relationship_name.as_deref());
        return Err(config
            .refuse_mapping(
                written,
                "fields",
                format!("{} has no relationship {relationship}", describe.name),
                suggestion(
                    relationship,
                    known,
                    "use the relationship's name, which ends in __r for custom ones",
                ),
            )
            .into());
    };
    if lookup.reference_to.len() > 1 {
        let targets = lookup.reference_to.join(", ");
        return Err(config
            .refuse_mapping(
                written,
                "fields",
                format!(
                    "{relationship}.{key}: {}.{} may point to records of several objects ({targets}), and Salesforce looks up an external id only where it knows which",
                    describe.name, lookup.name
                ),
                format!(
                    "map {} instead, and write the id of the parent's record (the sfid of its row) into it",
                    lookup.name
                ),
            )
            .into());
    }
    let base = lookup.to_field();
    let column = column_of(&format!("{relationship}.{key}"));
    let field = Field {
        name: format!("{}.{key}", lookup.relationship_name.as_deref().unwrap_or(relationship)),
        label: format!("{} by {key}", base.label),
        column: column.clone(),
        kind: FieldType::String,
        length: 255,
        reference_to: Vec::new(),
        case_sensitive: false,
        ..base
    };
    let parent = Parent {
        column,
        relationship: lookup.relationship_name.clone().unwrap_or_else(|| relationship.to_owned()),
        field: key.to_owned(),
        object: lookup.reference_to.first().cloned().unwrap_or_default(),
    };
    Ok((field, parent))
}

fn unknown_object(config: &Config, written: &MappingConfig, names: &[String]) -> crate::config::ConfigError {
    config.refuse_mapping(
        written,
        "object",
        format!("the org has no object {} that this login can see", written.object),
        suggestion(
            &written.object,
            names.iter().map(String::as_str),
            "check the API name (custom ones end in __c), or grant the login read access to the object",
        ),
    )
}
