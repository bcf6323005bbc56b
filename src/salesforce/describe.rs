//! Describe: which objects and fields the login can see, and what they hold.

use serde::Deserialize;

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::{Stamp, SystemFields};
use crate::domain::names::column_of;

use super::{Client, Error};

/// An object as describe tells it; only what is used here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Describe {
    /// API name, in Salesforce's spelling.
    pub name: String,
    /// Whether it can be polled.
    #[serde(default)]
    pub replicateable: bool,
    /// Its fields.
    pub fields: Vec<DescribedField>,
}

/// A field as describe tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedField {
    /// API name.
    pub name: String,
    label: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    length: u32,
    #[serde(default)]
    precision: u32,
    #[serde(default)]
    scale: u32,
    #[serde(default)]
    nillable: bool,
    #[serde(default)]
    createable: bool,
    #[serde(default)]
    updateable: bool,
    #[serde(default)]
    defaulted_on_create: bool,
    /// Whether upserts may go by it.
    #[serde(default)]
    pub external_id: bool,
    #[serde(default)]
    id_lookup: bool,
    #[serde(default)]
    case_sensitive: bool,
    #[serde(default)]
    restricted_picklist: bool,
    #[serde(default)]
    picklist_values: Vec<PicklistValue>,
    /// Objects a reference points to.
    #[serde(default)]
    pub reference_to: Vec<String>,
    /// The relationship's name, `Invoice__r`.
    pub relationship_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct PicklistValue {
    value: String,
    #[serde(default)]
    active: bool,
}

impl DescribedField {
    /// Whether upserts may go by it.
    pub fn is_key(&self) -> bool {
        self.external_id || self.id_lookup
    }

    /// As a mapped field.
    pub fn to_field(&self) -> Field {
        Field {
            name: self.name.clone(),
            column: column_of(&self.name),
            label: self.label.clone(),
            kind: FieldType::from_describe(&self.kind),
            length: self.length,
            precision: self.precision,
            scale: self.scale,
            nillable: self.nillable,
            createable: self.createable,
            updateable: self.updateable,
            defaulted: self.defaulted_on_create,
            case_sensitive: self.case_sensitive,
            picklist: self
                .picklist_values
                .iter()
                .filter(|value| value.active)
                .map(|value| value.value.clone())
                .collect(),
            restricted: self.restricted_picklist,
            reference_to: self.reference_to.clone(),
            trouble: None,
        }
    }
}

impl Describe {
    /// Which of Salesforce's own fields it has.
    pub fn system(&self) -> SystemFields {
        SystemFields {
            stamp: Stamp::ALL.into_iter().find(|stamp| self.field(stamp.name()).is_some()),
            is_deleted: self.field("IsDeleted").is_some(),
            replicateable: self.replicateable,
        }
    }

    /// A field by its API name in any case.
    pub fn field(&self, name: &str) -> Option<&DescribedField> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }
}

impl Client {
    /// Describes an object, with the stamp of the answer. `None` when nothing changed since `since`, the stamp of an
    /// earlier one. An unknown object is `NOT_FOUND`.
    pub async fn describe(
        &self,
        object: &str,
        since: Option<&str>,
    ) -> Result<Option<(Describe, Option<String>)>, Error> {
        let Some(answer) = self.get_since(&format!("sobjects/{object}/describe"), since).await? else {
            return Ok(None);
        };
        let describe: Describe = serde_json::from_value(answer.body).map_err(|_| {
            self.unusable(&format!("the describe of {object} is not of the shape that Salesforce gives"))
        })?;
        if !describe.name.eq_ignore_ascii_case(object) {
            return Err(self.unusable(&format!("the describe is of another object than {object}")));
        }
        Ok(Some((describe, answer.modified)))
    }

    /// The names of all objects the login can see.
    pub async fn object_names(&self) -> Result<Vec<String>, Error> {
        let body = self.get("sobjects").await?;
        let Some(objects) = body.get("sobjects").and_then(serde_json::Value::as_array) else {
            return Err(self.unusable("the list of objects is none"));
        };
        Ok(objects.iter().filter_map(|object| Some(object.get("name")?.as_str()?.to_owned())).collect())
    }
}
