//! What an operator typed against what the field can hold, before anything is saved.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use crate::domain::mappings::field::Op;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::names::Sfid;
use crate::domain::values::picklist::{is_listed, parts};

/// Says why the field cannot hold the text (`None` is NULL), in one short sentence.
///
/// # Errors
/// The sentence.
pub fn check(field: &Field, text: Option<&str>) -> Result<(), String> {
    if field.read_only() {
        return Err("Salesforce lets nobody write this field".to_owned());
    }
    find(field, text).map_err(|(_, advice)| advice)
}

/// A rejection that is certain before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code that Salesforce would give.
    pub code: &'static str,
    /// The message that it would give.
    pub message: String,
}

/// The rejection that a value is certain to meet.
pub fn fault(field: &Field, text: Option<&str>) -> Option<Fault> {
    let (code, _) = find(field, text).err()?;
    Some(Fault { code, message: message(code, field, text.unwrap_or_default()) })
}

/// The message of a code, with what is to be shown as the value.
pub(in crate::domain) fn message(code: &str, field: &Field, value: &str) -> String {
    let label = &field.label;
    match code {
        REQUIRED => format!("Required fields are missing: [{}]", field.name),
        RANGE => format!("{label}: value outside of valid range on numeric field: {value}"),
        EMAIL => format!("{label}: invalid email address: {value}"),
        PICKLIST => format!("{label}: bad value for restricted picklist field: {value}"),
        ID => format!("{label}: id value of incorrect type: {value}"),
        LENGTH => format!("{label}: data value too large: {value} (max length={})", field.length),
        TOO_MANY => format!("{label}: too many values (max {MOST_VALUES}): {value}"),
        NOT_FINITE => {
            format!("{label}: {value} cannot be sent to Salesforce, which takes only finite values")
        }
        _ => format!("{label}: value not of required type: {value}"),
    }
}

const REQUIRED: &str = "REQUIRED_FIELD_MISSING";
const TYPE: &str = "INVALID_TYPE_ON_FIELD_IN_RECORD";
const RANGE: &str = "NUMBER_OUTSIDE_VALID_RANGE";
const EMAIL: &str = "INVALID_EMAIL_ADDRESS";
const PICKLIST: &str = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";
const ID: &str = "MALFORMED_ID";
const LENGTH: &str = "STRING_TOO_LONG";
const TOO_MANY: &str = "TOO_MANY_ENUM_VALUE";
/// The most values of a multi-select picklist.
const MOST_VALUES: usize = 100;
/// Ours: JSON has no way to write it, and Salesforce would refuse the whole request.
pub(in crate::domain) const NOT_FINITE: &str = "NOT_A_NUMBER";

/// A code of Salesforce's and what to do instead, in one short sentence.
type Found = Result<(), (&'static str, String)>;

fn find(field: &Field, text: Option<&str>) -> Found {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        let required = field.requires_value(Op::Insert) || field.requires_value(Op::Update);
        return if required { Err((REQUIRED, format!("{} is required", field.label))) } else { Ok(()) };
    };
    let text = text.trim();
    if is_endless(field, text) {
        return Err((NOT_FINITE, "Salesforce takes only finite values".to_owned()));
    }
    match field.kind {
        FieldType::Boolean => of_type(
            ["true", "false", "t", "f"].contains(&text.to_ascii_lowercase().as_str()),
            "use true or false",
        ),
        FieldType::Int => {
            of_type(text.parse::<i32>().is_ok(), "use a whole number from -2147483648 to 2147483647")
        }
        FieldType::Double => number(field, text),
        FieldType::Date => {
            of_type(NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(), "use a date such as 2026-11-20")
        }
        FieldType::Datetime => {
            of_type(is_datetime(text), "use UTC date and time such as 2026-11-20 14:02:11")
        }
        FieldType::Time => {
            let known = ["%H:%M:%S%.f", "%H:%M"];
            let fits = known.iter().any(|format| NaiveTime::parse_from_str(text, format).is_ok());
            of_type(fits, "use a time such as 14:02:11")
        }
        FieldType::Id | FieldType::Reference if Sfid::parse(text).is_none() => {
            Err((ID, "this is no Salesforce id (15 or 18 letters and digits)".to_owned()))
        }
        FieldType::Id | FieldType::Reference => Ok(()),
        FieldType::Picklist if field.restricted && !is_listed(field, text) => {
            Err((PICKLIST, format!("choose one of: {}", list(&field.picklist))))
        }
        FieldType::Multipicklist if parts(text).count() > MOST_VALUES => {
            Err((TOO_MANY, format!("at most {MOST_VALUES} values")))
        }
        FieldType::Multipicklist if field.restricted => {
            parts(text).find(|part| !is_listed(field, part)).map_or(Ok(()), |part| {
                Err((PICKLIST, format!("{part:?} is none of: {}", list(&field.picklist))))
            })
        }
        FieldType::Email => email(text).map_err(|why| (EMAIL, why)).and_then(|()| length(field, text)),
        _ => length(field, text),
    }
}

fn of_type(fits: bool, advice: &str) -> Found {
    if fits { Ok(()) } else { Err((TYPE, advice.to_owned())) }
}

/// `NaN` and infinity, which PostgreSQL has for numbers, dates and times.
fn is_endless(field: &Field, text: &str) -> bool {
    let number = matches!(field.kind, FieldType::Double | FieldType::Int);
    let time = matches!(field.kind, FieldType::Date | FieldType::Datetime);
    let endless = text.trim_start_matches(['-', '+']).eq_ignore_ascii_case("infinity");
    (endless && (number || time)) || (number && text.parse::<f64>().is_ok_and(|number| !number.is_finite()))
}

fn number(field: &Field, text: &str) -> Found {
    let _: f64 = text.parse().map_err(|_| (TYPE, "use a number such as 12.50".to_owned()))?;
    let most = field.precision.saturating_sub(field.scale);
    if field.precision > 0 && whole_digits(text) > i64::from(most) {
        return Err((RANGE, format!("at most {most} digits before the point")));
    }
    Ok(())
}

/// How many digits a number has before its point, in whichever form it is written. Counted, for a binary fraction of
/// 18 digits is rounded.
fn whole_digits(text: &str) -> i64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches(['+', '-']);
    let count = |digits: &str| i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = count(whole) + count(fraction) - count(format!("{whole}{fraction}").trim_start_matches('0'));
    if zeros == count(whole) + count(fraction) {
        return 0;
    }
    (count(whole) - zeros).saturating_add(exponent.parse().unwrap_or(0))
}

fn is_datetime(text: &str) -> bool {
    // Of a column with a zone, which is captured in UTC.
    let text = text.trim_end_matches("+00:00").trim_end_matches("+00");
    let text = text.trim_end_matches('Z').replace(' ', "T");
    let known = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    known.iter().any(|format| NaiveDateTime::parse_from_str(&text, format).is_ok())
}

/// Salesforce's own check in its rough form: one @, something before it, a dotted name behind it, no blank, comma or angle
/// bracket.
fn email(text: &str) -> Result<(), String> {
    let Some((local, domain)) = text.split_once('@') else {
        return Err("an e-mail address needs an @".to_owned());
    };
    let odd = |part: &str| part.is_empty() || part.chars().any(|c| c.is_whitespace() || ",@<>".contains(c));
    let dotted = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
    if odd(local) || odd(domain) || !dotted {
        return Err("this is no e-mail address; it looks like jane@acme.com".to_owned());
    }
    Ok(())
}

/// The length of a text as Salesforce counts it: in UTF-16 units, of which an emoji has two or more.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn length(field: &Field, text: &str) -> Found {
    let count = units(text);
    let most = usize::try_from(field.length).unwrap_or(usize::MAX);
    if most > 0 && count > most {
        // People count what they see.
        let seen = text.chars().count();
        let why = if seen == count { String::new() } else { " (an emoji counts as two or more)".to_owned() };
        return Err((LENGTH, format!("at most {most} characters; this has {count}{why}")));
    }
    Ok(())
}

/// The first few values.
fn list(values: &[String]) -> String {
    let shown = values.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
    if values.len() > 8 { format!("{shown}, ...") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldType) -> Field {
        Field {
            name: "F__c".to_owned(),
            column: "f__c".to_owned(),
            label: "Field".to_owned(),
            kind,
            length: 10,
            precision: 5,
            scale: 2,
            nillable: true,
            createable: true,
            updateable: true,
            defaulted: false,
            case_sensitive: false,
            picklist: vec!["Hot".to_owned(), "Cold".to_owned()],
            restricted: true,
            reference_to: Vec::new(),
            trouble: None,
        }
    }

    #[test]
    fn each_type_refuses_what_it_cannot_hold() {
        for (kind, good, bad, why) in [
            (FieldType::String, "0123456789", "0123456789x", "at most 10 characters; this has 11"),
            (FieldType::Double, "999.99", "1000", "at most 3 digits before the point"),
            (FieldType::Double, "0009.99e2", "1e3", "at most 3 digits before the point"),
            (FieldType::Double, "0.00012345e6", "-100000.5e-2", "at most 3 digits before the point"),
            (
                FieldType::String,
                "😀😀😀😀😀",
                "😀😀😀😀😀😀",
                "at most 10 characters; this has 12 (an emoji counts as two or more)",
            ),
            (FieldType::Multipicklist, "Hot; Cold;", "Hot;Warm", "\"Warm\" is none of: Hot, Cold"),
            (FieldType::Double, "-1.5", "NaN", "Salesforce takes only finite values"),
            (FieldType::Int, "42", "4.2", "use a whole number from -2147483648 to 2147483647"),
            (FieldType::Boolean, "true", "yes", "use true or false"),
            (FieldType::Picklist, "Hot", "Lukewarm", "choose one of: Hot, Cold"),
            (FieldType::Date, "2026-02-28", "2026-02-30", "use a date such as 2026-11-20"),
            (FieldType::Email, "a@b.co", "a@b,co", "this is no e-mail address; it looks like jane@acme.com"),
            (FieldType::Email, "a@b.co", "acme", "an e-mail address needs an @"),
            (
                FieldType::Reference,
                "001Ws00003GGHVC",
                "42",
                "this is no Salesforce id (15 or 18 letters and digits)",
            ),
        ] {
            assert_eq!(check(&field(kind), Some(good)), Ok(()), "{kind:?} {good}");
            assert_eq!(check(&field(kind), Some(bad)), Err(why.to_owned()), "{kind:?} {bad}");
        }
    }

    #[test]
    fn a_certain_rejection_is_told_as_salesforce_would() {
        let found = |kind, text| fault(&field(kind), Some(text)).unwrap().message;
        assert_eq!(found(FieldType::Email, "jane@acme,com"), "Field: invalid email address: jane@acme,com");
        let long = "Field: data value too large: 0123456789x (max length=10)";
        assert_eq!(found(FieldType::String, "0123456789x"), long);
        assert_eq!(
            fault(&field(FieldType::Double), Some("twelve")).unwrap().code,
            "INVALID_TYPE_ON_FIELD_IN_RECORD"
        );
        assert_eq!(fault(&field(FieldType::Picklist), Some("hot")), None);
        assert_eq!(fault(&field(FieldType::String), Some("  0123456789  ")), None);
    }

    #[test]
    fn null_is_refused_only_where_a_value_is_required() {
        let mut required = field(FieldType::String);
        assert_eq!(check(&required, None), Ok(()));
        required.nillable = false;
        assert_eq!(check(&required, Some("  ")), Err("Field is required".to_owned()));
        required.defaulted = true;
        assert_eq!(check(&required, None), Ok(()));
    }

    #[test]
    fn what_salesforce_puts_together_is_asked_of_nobody() {
        let made =
            Field { nillable: false, createable: false, updateable: false, ..field(FieldType::String) };
        assert_eq!(fault(&made, None), None);
        let set_once = Field { createable: true, ..made.clone() };
        assert!(set_once.requires_value(Op::Insert) && !set_once.requires_value(Op::Update));
        let set_later = Field { updateable: true, ..made };
        assert!(set_later.requires_value(Op::Update) && !set_later.requires_value(Op::Insert));
    }

    #[test]
    fn numbers_of_eighteen_digits_are_counted_exactly() {
        let number = Field { precision: 18, scale: 0, ..field(FieldType::Double) };
        assert_eq!(check(&number, Some("999999999999999999")), Ok(()));
        assert!(check(&number, Some("1000000000000000000")).is_err());
        let many = vec!["Hot"; 101].join(";");
        assert_eq!(fault(&field(FieldType::Multipicklist), Some(&many)).unwrap().code, "TOO_MANY_ENUM_VALUE");
    }
}
