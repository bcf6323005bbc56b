//! The columns of a mapping that hold ids of other records.

use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::Mapping;

/// A column that names records by their ids, and of which objects.
pub(super) struct Lookup {
    pub(super) column: String,
    objects: Vec<String>,
}

impl Lookup {
    /// The tables of its objects, as far as they are mapped.
    pub(super) fn tables<'a>(&self, mappings: &'a [Mapping]) -> Vec<&'a str> {
        let is = |mapping: &&Mapping| self.objects.contains(&mapping.object);
        mappings.iter().filter(is).map(|mapping| mapping.table.as_str()).collect()
    }
}

/// Those of a mapping that are read, but for parents that are named by their external ids.
pub(super) fn lookups(mapping: &Mapping) -> Vec<Lookup> {
    let ids = mapping.read_fields().filter(|field| field.kind == FieldType::Reference);
    ids.filter(|field| mapping.parent(&field.column).is_none())
        .map(|field| Lookup { column: field.column.clone(), objects: field.reference_to.clone() })
        .collect()
}
