//! Objects and their fields, read from `assets/demo/org.txt`, and describe.

use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    Long,
    Email,
    Phone,
    Picklist(Vec<String>),
    Number {
        precision: u32,
        scale: u32,
    },
    Int,
    Boolean,
    Date,
    Datetime,
    Lookup {
        object: String,
        relationship: String,
    },
    /// To records of several objects.
    Polymorphic {
        objects: Vec<String>,
        relationship: String,
    },
}

/// One field.
#[derive(Clone, Debug)]
pub(super) struct FieldDef {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) kind: Kind,
    pub(super) length: u32,
    pub(super) required: bool,
    pub(super) unique: bool,
    pub(super) key: bool,
    /// Whether its values are told apart by their case.
    pub(super) case_sensitive: bool,
    pub(super) restricted: bool,
    /// Set by Salesforce itself.
    pub(super) system: bool,
    /// The login may not write it.
    pub(super) write_denied: bool,
    /// It can only be set when a record is made.
    pub(super) fixed: bool,
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct ObjectDef {
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) label: String,
    pub(super) fields: Vec<FieldDef>,
    /// Those that the login may not see.
    pub(super) hidden: Vec<FieldDef>,
    /// Whether its changes and deletes are listed.
    pub(super) replicateable: bool,
}

impl FieldDef {
    /// A value in the form in which the org compares keys and unique values: trimmed as Java does, in lower case unless
    /// the field is case-sensitive. An empty one is none.
    pub(super) fn folded(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.trim_matches(|c: char| c <= ' ').to_owned(),
            Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |n| n.to_string()),
            _ => return None,
        };
        match (&self.kind, text.parse::<f64>()) {
            _ if text.is_empty() => None,
            (Kind::Number { .. } | Kind::Int, Ok(number)) => Some(number.to_string()),
            _ if self.case_sensitive => Some(text),
            _ => Some(text.to_lowercase()),
        }
    }

    /// Whether the login may write it.
    pub(super) fn is_writable(&self) -> bool {
        !self.system && !self.write_denied
    }

    /// Whether records can be found by it to be written.
    pub(super) fn is_id_lookup(&self) -> bool {
        self.key || self.name == "Id" || self.name == "Email"
    }

    /// Whether queries may filter and sort by it.
    pub(super) fn is_searchable(&self) -> bool {
        self.kind != Kind::Long
    }

    /// Whether queries may group by it.
    pub(super) fn is_groupable(&self) -> bool {
        !matches!(self.kind, Kind::Long | Kind::Number { .. } | Kind::Datetime)
    }

    /// Whether an administrator made it.
    pub(super) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether it names the user, or the queue, whom the record belongs to.
    pub(super) fn is_owner(&self) -> bool {
        self.name == "OwnerId"
    }

    /// Whether Salesforce puts it together from a person's names: no null, no default, and nobody writes it.
    pub(super) fn is_composed(&self) -> bool {
        self.system && self.name == "Name"
    }
}

impl ObjectDef {
    /// Puts together what is made of other fields, as it is done at each save.
    pub(super) fn compose(&self, fields: &mut Map<String, Value>) {
        if self.fields.iter().any(FieldDef::is_composed) {
            let part = |name: &str| fields.get(name).and_then(Value::as_str);
            let names: Vec<&str> = [part("FirstName"), part("LastName")].into_iter().flatten().collect();
            let name = Value::from(names.join(" "));
            fields.insert("Name".to_owned(), name);
        }
    }

    /// Whether the login may create records of it.
    pub(super) fn is_createable(&self) -> bool {
        self.fields.iter().any(FieldDef::is_writable)
    }

    pub(super) fn is_updateable(&self) -> bool {
        self.fields.iter().any(|field| field.is_writable() && !field.fixed)
    }

    /// Users are made inactive: nobody deletes them. And what nobody may create, nobody may delete.
    pub(super) fn is_deletable(&self) -> bool {
        self.name != "User" && self.is_createable()
    }

    /// Whether its records are kept by another system.
    pub(super) fn is_external(&self) -> bool {
        self.name.ends_with("__x")
    }

    /// Its label for many.
    pub(super) fn label_plural(&self) -> String {
        match self.label.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
            _ => format!("{}s", self.label),
        }
    }

    /// A field by name in any case.
    pub(super) fn field(&self, name: &str) -> Option<&FieldDef> {
        // Mostly it is in the object's own spelling, which is compared much faster: of hundreds of fields, each is looked up.
        let spelt = self.fields.iter().find(|field| field.name == name);
        spelt.or_else(|| self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)))
    }

    /// A lookup field by its relationship's name.
    pub(super) fn relationship(&self, name: &str) -> Option<(&FieldDef, &str)> {
        self.fields.iter().find_map(|field| match &field.kind {
            Kind::Lookup { object, relationship } if relationship.eq_ignore_ascii_case(name) => {
                Some((field, object.as_str()))
            }
            _ => None,
        })
    }

    /// A lookup field to several objects by its relationship's name.
    pub(super) fn polymorphic(&self, name: &str) -> Option<(&FieldDef, &[String])> {
        self.fields.iter().find_map(|field| match &field.kind {
            Kind::Polymorphic { objects, relationship } if relationship.eq_ignore_ascii_case(name) => {
                Some((field, objects.as_slice()))
            }
            _ => None,
        })
    }
}

/// The demo org's objects.
pub(super) fn demo_objects() -> Vec<ObjectDef> {
    read_objects(include_str!("../../assets/demo/org.txt"))
}

/// Objects as a text defines them.
pub(super) fn read_objects(text: &str) -> Vec<ObjectDef> {
    let mut objects: Vec<ObjectDef> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Some(object) = trimmed.strip_prefix("object ") {
            let mut words = object.splitn(3, ' ');
            let mut next = || words.next().unwrap_or_default().to_owned();
            let (name, prefix, label) = (next(), next(), next());
            let fields = system_fields();
            objects.push(ObjectDef { name, prefix, label, fields, hidden: Vec::new(), replicateable: true });
        } else if let Some(object) = objects.last_mut() {
            if let Some(names) = trimmed.strip_prefix("without ") {
                object.fields.retain(|field| !names.split_whitespace().any(|name| name == field.name));
            } else if trimmed == "not replicateable" {
                object.replicateable = false;
            } else if trimmed == "owned by queues" {
                for field in object.fields.iter_mut().filter(|field| field.is_owner()) {
                    field.kind = Kind::Polymorphic {
                        objects: ["Group", "User"].map(str::to_owned).into(),
                        relationship: "Owner".to_owned(),
                    };
                }
            } else {
                object.fields.push(field_line(trimmed));
            }
        }
    }
    objects
}

pub(super) fn field_line(line: &str) -> FieldDef {
    let mut parts = line.split('|').map(str::trim);
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (name, label, kind, properties) = (next(), next(), next(), next());
    let (kind, length) = parse_kind(&kind);
    let has = |property: &str| properties.split_whitespace().any(|word| word == property);
    FieldDef {
        name,
        label,
        kind,
        length,
        required: has("required"),
        unique: has("unique") || has("key"),
        key: has("key"),
        case_sensitive: has("case"),
        restricted: has("restricted"),
        system: has("composed"),
        write_denied: has("readonly"),
        fixed: false,
    }
}

fn parse_kind(text: &str) -> (Kind, u32) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let size = rest.parse().unwrap_or(0);
    match word {
        "long" => (Kind::Long, size),
        "email" => (Kind::Email, 80),
        "phone" => (Kind::Phone, 40),
        "picklist" => (Kind::Picklist(rest.split('/').map(str::to_owned).collect()), 255),
        "number" => {
            let (precision, scale) = rest.split_once(',').unwrap_or(("18", "0"));
            (
                Kind::Number {
                    precision: precision.parse().unwrap_or(18),
                    scale: scale.parse().unwrap_or(0),
                },
                0,
            )
        }
        "int" => (Kind::Int, 0),
        "boolean" => (Kind::Boolean, 0),
        "date" => (Kind::Date, 0),
        "datetime" => (Kind::Datetime, 0),
        "lookup" => {
            let (object, relationship) = rest.split_once(' ').unwrap_or((rest, rest));
            let relationship = relationship.to_owned();
            if object.contains('/') {
                let objects = object.split('/').map(str::to_owned).collect();
                return (Kind::Polymorphic { objects, relationship }, 18);
            }
            (Kind::Lookup { object: object.to_owned(), relationship }, 18)
        }
        _ => (Kind::Text, size),
    }
}

fn system_fields() -> Vec<FieldDef> {
    let system = |name: &str, label: &str, kind: Kind, length| FieldDef {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        length,
        required: false,
        unique: false,
        key: false,
        case_sensitive: false,
        restricted: false,
        system: true,
        write_denied: false,
        fixed: false,
    };
    let user = |relationship: &str| Kind::Lookup {
        object: "User".to_owned(),
        relationship: relationship.to_owned(),
    };
    let key = FieldDef {
        unique: true,
        key: true,
        system: false,
        ..system("External_Id__c", "External Id", Kind::Text, 64)
    };
    vec![
        system("Id", "Record ID", Kind::Text, 18),
        system("IsDeleted", "Deleted", Kind::Boolean, 0),
        FieldDef { system: false, ..system("OwnerId", "Owner ID", user("Owner"), 18) },
        system("CreatedDate", "Created Date", Kind::Datetime, 0),
        system("CreatedById", "Created By ID", user("CreatedBy"), 18),
        system("LastModifiedDate", "Last Modified Date", Kind::Datetime, 0),
        system("LastModifiedById", "Last Modified By ID", user("LastModifiedBy"), 18),
        system("SystemModstamp", "System Modstamp", Kind::Datetime, 0),
        key,
    ]
}

/// One entry of describeGlobal, and the head of describe.
pub(super) fn object_head(object: &ObjectDef, version: &str) -> Value {
    let (createable, updateable) = (object.is_createable(), object.is_updateable());
    let base = format!("/services/data/{version}/sobjects/{}", object.name);
    json!({
        "activateable": false, "associateEntityType": null, "associateParentEntity": null, "createable": createable,
        "custom": object.name.ends_with("__c"), "customSetting": false, "deepCloneable": false, "deletable": object.is_deletable(),
        "deprecatedAndHidden": false, "feedEnabled": true, "hasSubtypes": false, "isInterface": false,
        "isSubtype": false, "keyPrefix": object.prefix, "label": object.label,
        "labelPlural": object.label_plural(), "layoutable": true, "mergeable": false, "mruEnabled": true,
        "name": object.name, "queryable": true, "replicateable": object.replicateable, "retrieveable": true, "searchable": true,
        "triggerable": true, "undeletable": object.is_deletable(), "updateable": updateable,
        "urls": {"sobject": base, "describe": format!("{base}/describe"), "rowTemplate": format!("{base}/{{ID}}")}
    })
}

/// Describe.
pub(super) fn describe(object: &ObjectDef, version: &str) -> Value {
    let mut body = object_head(object, version);
    body["fields"] = object.fields.iter().map(describe_field).collect();
    for empty in
        ["actionOverrides", "childRelationships", "namedLayoutInfos", "recordTypeInfos", "supportedScopes"]
    {
        body[empty] = json!([]);
    }
    body["sobjectDescribeOption"] = json!("FULL");
    body
}

fn describe_field(field: &FieldDef) -> Value {
    let (kind, soap) = type_names(field);
    let (precision, scale) = match field.kind {
        Kind::Number { precision, scale } => (precision, scale),
        _ => (0, 0),
    };
    let (picklist, reference, relationship) = match &field.kind {
        Kind::Picklist(values) => (values.clone(), Vec::new(), None),
        Kind::Lookup { object, relationship } => (Vec::new(), vec![object.clone()], Some(relationship)),
        Kind::Polymorphic { objects, relationship } => (Vec::new(), objects.clone(), Some(relationship)),
        _ => (Vec::new(), Vec::new(), None),
    };
    let writable = field.is_writable();
    let values: Vec<Value> = picklist
        .iter()
        .map(|value| json!({"active": true, "defaultValue": false, "label": value, "validFor": null, "value": value}))
        .collect();
    let defaulted = (field.system && !field.is_composed()) || field.kind == Kind::Boolean || field.is_owner();
    let mut body = json!({
        "name": field.name, "label": field.label, "type": kind, "soapType": soap, "length": field.length,
        "byteLength": field.length * 3, "precision": precision, "scale": scale,
        "digits": if field.kind == Kind::Int { 8 } else { 0 }, "createable": writable, "updateable": writable && !field.fixed,
        "nillable": !field.required && !field.system && field.kind != Kind::Boolean && !field.is_owner(),
        "permissionable": !field.required && !field.system && !field.is_owner(), "defaultedOnCreate": defaulted,
        "defaultValue": if field.kind == Kind::Boolean { json!(false) } else { Value::Null },
        "custom": field.is_custom(), "externalId": field.key, "unique": field.unique,
        "idLookup": field.is_id_lookup(), "nameField": field.name == "Name",
        "filterable": field.is_searchable(), "restrictedPicklist": field.restricted, "picklistValues": values,
        "referenceTo": reference, "relationshipName": relationship
    });
    body["caseSensitive"] = json!(field.case_sensitive);
    body["groupable"] = json!(field.is_groupable());
    body["sortable"] = json!(field.is_searchable());
    body["aggregatable"] = json!(field.is_searchable() && field.kind != Kind::Boolean);
    let polymorphic = matches!(field.kind, Kind::Polymorphic { .. });
    for key in ["namePointing", "polymorphicForeignKey"] {
        body[key] = json!(polymorphic);
    }
    for key in [
        "aiPredictionField",
        "autoNumber",
        "calculated",
        "cascadeDelete",
        "dependentPicklist",
        "deprecatedAndHidden",
        "displayLocationInDecimal",
        "encrypted",
        "formulaTreatNullNumberAsZero",
        "highScaleNumber",
        "htmlFormatted",
        "queryByDistance",
        "restrictedDelete",
        "searchPrefilterable",
        "writeRequiresMasterRead",
    ] {
        body[key] = json!(false);
    }
    for key in [
        "calculatedFormula",
        "compoundFieldName",
        "controllerName",
        "defaultValueFormula",
        "extraTypeInfo",
        "filteredLookupInfo",
        "inlineHelpText",
        "mask",
        "maskType",
        "referenceTargetField",
        "relationshipOrder",
    ] {
        body[key] = Value::Null;
    }
    body
}

/// describe's `type` and `soapType`.
pub(super) fn type_names(field: &FieldDef) -> (&'static str, &'static str) {
    match &field.kind {
        _ if field.name == "Id" => ("id", "tns:ID"),
        Kind::Text => ("string", "xsd:string"),
        Kind::Long => ("textarea", "xsd:string"),
        Kind::Email => ("email", "xsd:string"),
        Kind::Phone => ("phone", "xsd:string"),
        Kind::Picklist(_) => ("picklist", "xsd:string"),
        Kind::Number { .. } if field.name.contains("Amount") || field.name.contains("Price") => {
            ("currency", "xsd:double")
        }
        Kind::Number { .. } => ("double", "xsd:double"),
        Kind::Int => ("int", "xsd:int"),
        Kind::Boolean => ("boolean", "xsd:boolean"),
        Kind::Date => ("date", "xsd:date"),
        Kind::Datetime => ("datetime", "xsd:dateTime"),
        Kind::Lookup { .. } | Kind::Polymorphic { .. } => ("reference", "tns:ID"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_org_has_its_objects_and_no_field_twice() {
        let objects = demo_objects();
        let names: Vec<&str> = objects.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Account",
                "Contact",
                "Lead",
                "Opportunity",
                "Case",
                "Product2",
                "Invoice__c",
                "Invoice_Line__c",
                "User",
                "Task",
                "ContactHistory",
                "Stock__x",
                "Profile",
                "Group",
                "Organization"
            ]
        );
        for object in &objects {
            let mut fields: Vec<&str> = object.fields.iter().map(|field| field.name.as_str()).collect();
            fields.sort_unstable();
            let count = fields.len();
            fields.dedup();
            assert_eq!(fields.len(), count, "{}", object.name);
        }
        assert!(objects[7].field("Invoice__c").unwrap().required);
        assert_eq!(objects[7].relationship("Invoice__r").unwrap().1, "Invoice__c");
    }
}
