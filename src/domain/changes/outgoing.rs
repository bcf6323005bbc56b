//! What is really sent for a row: its values after the mapping's rules, what is left out and why, or why it is not sent
//! at all. The engine sends it, the console shows it before, and a read compares with it.

use serde::{Deserialize, Serialize};

use crate::domain::changes::merge::same;
use crate::domain::mappings::field::{Field, FieldTrouble, FieldType, Op};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::rules::FieldRules;
use crate::domain::mappings::rules::MASK;
use crate::domain::values::check;
use crate::domain::values::hstore::Hstore;
use crate::domain::values::transform;

/// What goes out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// Columns and values as they are sent.
    pub values: Hstore,
    /// What stays behind.
    pub left_out: Vec<LeftOut>,
}

/// A value that stays behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// API name of its field.
    pub field: String,
    /// Why, in a few words.
    pub why: String,
}

/// Why a record is not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldRefusal {
    /// Salesforce's code, or ours.
    pub code: &'static str,
    /// As Salesforce would put it.
    pub message: String,
    /// API names of the fields at fault.
    pub fields: Vec<String>,
}

/// What Salesforce sets by itself, whatever a row holds.
const AUDIT_FIELDS: [&str; 4] = ["CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById"];

/// What one value comes to.
enum Evaluation {
    Sent(Option<String>),
    LeftOut(String),
    Refused(FieldRefusal),
    Missing,
    Unnamed,
}

/// Prepares the values of a row.
///
/// # Errors
/// The first fault that Salesforce, or a transform, is certain to find; all missing fields together.
pub fn outgoing(mapping: &Mapping, op: Op, values: &Hstore) -> Result<Outgoing, FieldRefusal> {
    outgoing_by(mapping, values, |_| op)
}

/// The same, where columns came by different ways.
///
/// # Errors
/// See [`outgoing`].
pub fn outgoing_by(
    mapping: &Mapping,
    values: &Hstore,
    op_of: impl Fn(&str) -> Op,
) -> Result<Outgoing, FieldRefusal> {
    let mut out = Outgoing::default();
    let mut missing = Vec::new();
    let mut refused = None;
    for (column, value) in values {
        let Some(field) = mapping.field(column) else { continue };
        match evaluate_field(mapping, op_of(column), field, value.as_deref()) {
            Evaluation::Sent(value) => {
                out.values.insert(column.clone(), value);
            }
            Evaluation::LeftOut(why) => out.left_out.push(LeftOut { field: field.name.clone(), why }),
            Evaluation::Refused(refusal) => refused = refused.or(Some(refusal)),
            Evaluation::Missing => missing.push(field.name.clone()),
            Evaluation::Unnamed => {}
        }
    }
    if !missing.is_empty() {
        let message = format!("Required fields are missing: [{}]", missing.join(", "));
        return Err(FieldRefusal { code: "REQUIRED_FIELD_MISSING", message, fields: missing });
    }
    refused.map_or(Ok(out), Err)
}

fn evaluate_field(mapping: &Mapping, op: Op, field: &Field, value: Option<&str>) -> Evaluation {
    let rules = mapping.rules.of(&field.column).cloned().unwrap_or_default();
    let writable = op.may_set(field);
    if !writable && AUDIT_FIELDS.contains(&field.name.as_str()) {
        return Evaluation::Unnamed;
    }
    if rules.read_only {
        return Evaluation::LeftOut("read-only in the configuration".to_owned());
    }
    // A text that quotes the value is kept in histories: what a transform made of it on the way, too.
    let transformed = transform::apply_all(&rules.transforms, field, value);
    let transformed =
        transformed.map_err(|why| if rules.mask { format!("a transform refuses {MASK}") } else { why });
    let value = match transformed {
        Ok(value) => value,
        Err(why) if rules.skip_invalid => return Evaluation::LeftOut(why),
        Err(why) => {
            let message = format!("{}: {why}", field.label);
            return Evaluation::Refused(FieldRefusal {
                code: "TRANSFORM_FAILED",
                message,
                fields: vec![field.name.clone()],
            });
        }
    };
    let unnamed = op.leaves_unnamed(field, value.as_deref());
    if unnamed && op == Op::Into {
        return Evaluation::Unnamed;
    }
    if op == Op::Into && field.createable && !field.updateable {
        return Evaluation::LeftOut("can only be set when the record is created".to_owned());
    }
    let blank = value.as_deref().is_none_or(|text| text.trim().is_empty());
    if blank && writable && rules.required == Some(true) {
        return Evaluation::Missing;
    }
    if field.trouble == Some(FieldTrouble::Removed) && !unnamed {
        let message = format!("No such column '{}' on sobject of type {}", field.name, mapping.object);
        if rules.skip_invalid {
            return Evaluation::LeftOut(message);
        }
        let fields = vec![field.name.clone()];
        return Evaluation::Refused(FieldRefusal { code: "INVALID_FIELD", message, fields });
    }
    let mut fault = check::fault(field, value.as_deref())
        .filter(|fault| fault.code != "REQUIRED_FIELD_MISSING" || is_required(mapping, op, field, &rules));
    if let Some(fault) = fault.as_mut().filter(|_| rules.mask) {
        fault.message = check::message(fault.code, field, MASK);
    }
    match fault {
        Some(fault) if blank && mapping.rules.check => {
            debug_assert_eq!(fault.code, "REQUIRED_FIELD_MISSING");
            Evaluation::Missing
        }
        Some(fault) if !blank && rules.skip_invalid => Evaluation::LeftOut(fault.message),
        Some(fault)
            if !blank
                && (mapping.rules.check || fault.code == check::NOT_FINITE)
                && mapping.parent(&field.column).is_none() =>
        {
            let fields = vec![field.name.clone()];
            Evaluation::Refused(FieldRefusal { code: fault.code, message: fault.message, fields })
        }
        _ if unnamed => Evaluation::Unnamed,
        _ if !writable && mapping.rules.check => Evaluation::Refused(FieldRefusal {
            code: "INVALID_FIELD_FOR_INSERT_UPDATE",
            message: format!(
                "Unable to create/update fields: {}. Please check the security settings of this field and verify that \
                 it is read/write for your profile or permission set.",
                field.name
            ),
            fields: vec![field.name.clone()],
        }),
        _ => Evaluation::Sent(value),
    }
}

/// A lookup may be given by its id or by the parent's external id: which of the two columns lacks, nobody can say here.
fn is_required(mapping: &Mapping, op: Op, field: &Field, rules: &FieldRules) -> bool {
    let either = field.kind == FieldType::Reference && !mapping.parents.is_empty();
    let asked = field.requires_value(op) && rules.required != Some(false);
    asked && !either && mapping.parent(&field.column).is_none()
}

/// Whether nothing of a field ever leaves the rows: nobody here may write it. One that the login may no longer write is
/// waited for.
pub fn never_sent(mapping: &Mapping, field: &Field) -> bool {
    let denied = field.trouble == Some(FieldTrouble::Denied);
    (field.read_only() && !denied) || mapping.rules.of(&field.column).is_some_and(|rules| rules.read_only)
}

/// A row's value as it is sent; one that is not sent is as it stands.
pub fn as_sent(mapping: &Mapping, field: &Field, value: Option<&str>) -> Option<String> {
    let transforms =
        mapping.rules.of(&field.column).map(|rules| rules.transforms.as_slice()).unwrap_or_default();
    transform::apply_all(transforms, field, value).unwrap_or_else(|_| value.map(str::to_owned))
}

/// Whether a row's value stays as the application wrote it although the record's is written differently: what is sent
/// for it is what the record has.
pub fn is_in_step(mapping: &Mapping, field: &Field, row: Option<&str>, record: Option<&str>) -> bool {
    let Some(rules) = mapping.rules.of(&field.column) else { return false };
    if rules.transforms.is_empty() && !rules.skip_invalid {
        return false;
    }
    match evaluate_field(mapping, Op::Update, field, row) {
        Evaluation::Sent(value) => same(field, value.as_deref(), record),
        // What was left out has nothing there to differ from.
        Evaluation::LeftOut(_) => !rules.read_only && record.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::mappings::rules::Rules;

    fn mapping(rules: &[(&str, &str)]) -> Mapping {
        let mut own = Rules::default();
        rules.iter().for_each(|(key, text)| own.set(key, text).unwrap());
        let text = |name: &str, kind| Field { length: 20, ..Field::plain(name, kind) };
        Mapping {
            rules: own,
            ..Mapping::plain(
                "Contact",
                vec![
                    Field { nillable: false, ..text("LastName", FieldType::String) },
                    text("Email", FieldType::Email),
                    text("Phone", FieldType::Phone),
                    Field {
                        createable: false,
                        updateable: false,
                        ..text("CreatedDate", FieldType::Datetime)
                    },
                    Field { updateable: false, ..text("Source__c", FieldType::String) },
                ],
            )
        }
    }

    fn row(values: &[(&str, Option<&str>)]) -> Hstore {
        values.iter().map(|(column, value)| ((*column).to_owned(), value.map(str::to_owned))).collect()
    }

    #[test]
    fn rules_shape_what_goes_out() {
        let mapping = mapping(&[
            ("Phone.transforms", "trim | phone_e164(US)"),
            ("Phone.skip_invalid", "true"),
            ("Email.transforms", "trim | lowercase"),
            ("LastName.transforms", "default(Unknown)"),
            ("Source__c.read_only", "true"),
        ]);
        let given = row(&[
            ("lastname", None),
            ("email", Some(" Jane@ACME.com ")),
            ("phone", Some("call me maybe")),
            ("source__c", Some("x")),
            ("createddate", Some("2026-01-01")),
            ("unmapped", Some("y")),
        ]);
        let out = outgoing(&mapping, Op::Insert, &given).unwrap();
        assert_eq!(out.values, row(&[("email", Some("jane@acme.com")), ("lastname", Some("Unknown"))]));
        let left: Vec<&str> = out.left_out.iter().map(|left| left.field.as_str()).collect();
        assert_eq!(left, ["Phone", "Source__c"]);
    }

    #[test]
    fn what_is_certain_to_be_rejected_is_refused_here_unless_switched_off() {
        for (values, code, fields) in [
            (row(&[("lastname", None), ("email", Some("x"))]), "REQUIRED_FIELD_MISSING", ["LastName"]),
            (
                row(&[("lastname", Some("A")), ("email", Some("jane@acme,com"))]),
                "INVALID_EMAIL_ADDRESS",
                ["Email"],
            ),
            (row(&[("lastname", Some("A lot more than it holds"))]), "STRING_TOO_LONG", ["LastName"]),
        ] {
            let refusal = outgoing(&mapping(&[]), Op::Insert, &values).unwrap_err();
            assert_eq!(
                (refusal.code, refusal.fields.as_slice()),
                (code, fields.map(str::to_owned).as_slice())
            );
            assert!(outgoing(&mapping(&[("check", "false")]), Op::Insert, &values).is_ok(), "{code}");
        }
        let changed = row(&[("source__c", Some("web"))]);
        let refusal = outgoing(&mapping(&[]), Op::Update, &changed).unwrap_err();
        assert_eq!(refusal.code, "INVALID_FIELD_FOR_INSERT_UPDATE");
        let transforms = mapping(&[("Phone.transforms", "phone_e164(US)"), ("check", "false")]);
        let refusal = outgoing(&transforms, Op::Update, &row(&[("phone", Some("call me"))])).unwrap_err();
        assert_eq!(refusal.message, "Phone: phone_e164(US): \"call me\" is no telephone number");
    }

    #[test]
    fn a_masked_value_is_in_no_reason_whatever_became_of_it_on_the_way() {
        let given = row(&[("email", Some("Jane@ACME,com"))]);
        for transforms in ["lowercase", "lowercase | phone_e164(US)"] {
            let mut rules = vec![("Email.transforms", transforms), ("Email.mask", "true")];
            let refusal = outgoing(&mapping(&rules), Op::Update, &given).unwrap_err();
            assert!(refusal.message.contains(MASK), "{}", refusal.message);
            rules.push(("Email.skip_invalid", "true"));
            let left = outgoing(&mapping(&rules), Op::Update, &given).unwrap().left_out;
            assert!(left[0].why.contains(MASK), "{}", left[0].why);
            for text in [&refusal.message, &left[0].why] {
                assert!(!text.to_lowercase().contains("acme"), "{text}");
            }
        }
    }

    #[test]
    fn required_is_what_the_mapping_says_before_what_describe_says() {
        let without = row(&[("lastname", None), ("email", None)]);
        let fields = |rules: &[(&str, &str)]| {
            outgoing(&mapping(rules), Op::Insert, &without).map_err(|refusal| refusal.fields)
        };
        assert_eq!(fields(&[("LastName.required", "false")]), Ok(Outgoing::default()));
        let both = Err(vec!["Email".to_owned(), "LastName".to_owned()]);
        assert_eq!(fields(&[("Email.required", "true")]), both);
        assert_eq!(fields(&[("Email.required", "true"), ("check", "false")]), Err(vec!["Email".to_owned()]));
    }

    #[test]
    fn reading_the_sent_value_back_leaves_the_row_as_it_was_written() {
        let mapping = mapping(&[
            ("Phone.transforms", "phone_e164(US)"),
            ("Phone.skip_invalid", "true"),
            ("LastName.transforms", "truncate(field)"),
        ]);
        let keeps =
            |column: &str, row, record| is_in_step(&mapping, mapping.field(column).unwrap(), row, record);
        assert!(keeps("phone", Some("(415) 555-2671"), Some("+14155552671")));
        assert!(!keeps("phone", Some("(415) 555-2671"), Some("+14155552672")));
        assert!(keeps("phone", Some("call me"), None));
        assert!(!keeps("phone", Some("call me"), Some("+14155552671")));
        assert!(keeps("lastname", Some("A lot more than it holds"), Some("A lot more than it h")));
        // Without rules the record's own writing is taken.
        assert!(!keeps("email", Some("a@b.co"), Some("a@b.co ")));
    }

    proptest! {
        /// Whatever rules say, what is sent and read back is in step: no echo in either direction.
        #[test]
        fn what_was_sent_is_in_step(phone in "[ 0-9()+a-z-]{0,16}", name in "\\PC{0,30}", skip in any::<bool>()) {
            let skip = if skip { "true" } else { "false" };
            let mapping = mapping(&[("Phone.transforms", "trim | phone_e164(US)"), ("Phone.skip_invalid", skip),
                ("LastName.transforms", "truncate(field) | default(X)"), ("check", "false")]);
            let given = row(&[("phone", Some(&phone)), ("lastname", Some(&name))]);
            if let Ok(out) = outgoing(&mapping, Op::Update, &given) {
                for (column, sent) in &out.values {
                    let field = mapping.field(column).unwrap();
                    // Salesforce trims, and keeps nothing that is empty.
                    let kept = sent.as_deref().map(str::trim).filter(|text| !text.is_empty());
                    prop_assert!(is_in_step(&mapping, field, given[column].as_deref(), kept), "{column} {sent:?}");
                }
            }
        }
    }
}
