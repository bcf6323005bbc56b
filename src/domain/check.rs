//! What an operator typed against what the field can hold, before anything is saved.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::field::{Field, FieldType};
use super::names::Sfid;

/// Says why the field cannot hold the text (`None` is NULL), in one short sentence.
///
/// # Errors
/// The sentence.
pub fn check(field: &Field, text: Option<&str>) -> Result<(), String> {
    if field.read_only() {
        return Err("Salesforce lets nobody write this field".to_owned());
    }
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        let required = !field.nillable && !field.defaulted && field.kind != FieldType::Boolean;
        return if required { Err(format!("{} is required", field.label)) } else { Ok(()) };
    };
    match field.kind {
        FieldType::Boolean => {
            one_of(text, &["true", "false", "t", "f"]).ok_or_else(|| "use true or false".to_owned())
        }
        FieldType::Int => whole(text),
        FieldType::Double => number(field, text),
        FieldType::Date => NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d")
            .map(drop)
            .map_err(|_| "use a date such as 2026-11-20".to_owned()),
        FieldType::Datetime => datetime(text),
        FieldType::Time => time(text),
        FieldType::Id | FieldType::Reference => Sfid::parse(text.trim())
            .map(drop)
            .ok_or_else(|| "this is no Salesforce id (15 or 18 letters and digits)".to_owned()),
        FieldType::Picklist if field.restricted && !field.picklist.iter().any(|value| value == text) => {
            Err(format!("choose one of: {}", list(&field.picklist)))
        }
        FieldType::Multipicklist if field.restricted => text
            .split(';')
            .find(|part| !field.picklist.iter().any(|value| value == part))
            .map_or(Ok(()), |part| Err(format!("{part:?} is none of: {}", list(&field.picklist)))),
        FieldType::Email => email(text).and_then(|()| length(field, text)),
        _ => length(field, text),
    }
}

fn one_of(text: &str, words: &[&str]) -> Option<()> {
    words.contains(&text.trim().to_ascii_lowercase().as_str()).then_some(())
}

fn whole(text: &str) -> Result<(), String> {
    text.trim()
        .parse::<i32>()
        .map(drop)
        .map_err(|_| "use a whole number from -2147483648 to 2147483647".to_owned())
}

fn number(field: &Field, text: &str) -> Result<(), String> {
    let value: f64 = text.trim().parse().map_err(|_| "use a number such as 12.50".to_owned())?;
    if !value.is_finite() {
        return Err("Salesforce takes only finite numbers".to_owned());
    }
    let whole_digits = field.precision.saturating_sub(field.scale);
    let most = 10_f64.powi(i32::try_from(whole_digits).unwrap_or(i32::MAX));
    if field.precision > 0 && value.abs() >= most {
        return Err(format!("at most {whole_digits} digits before the point"));
    }
    Ok(())
}

fn datetime(text: &str) -> Result<(), String> {
    let text = text.trim().trim_end_matches('Z').replace(' ', "T");
    let known = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    if known.iter().any(|format| NaiveDateTime::parse_from_str(&text, format).is_ok()) {
        Ok(())
    } else {
        Err("use UTC date and time such as 2026-11-20 14:02:11".to_owned())
    }
}

fn time(text: &str) -> Result<(), String> {
    let known = ["%H:%M:%S%.f", "%H:%M"];
    if known.iter().any(|format| NaiveTime::parse_from_str(text.trim(), format).is_ok()) {
        Ok(())
    } else {
        Err("use a time such as 14:02:11".to_owned())
    }
}

/// Salesforce's own check in its rough form: one @, something before it, a dotted name behind it, no blank or comma.
fn email(text: &str) -> Result<(), String> {
    let Some((local, domain)) = text.split_once('@') else {
        return Err("an e-mail address needs an @".to_owned());
    };
    let odd = |part: &str| part.is_empty() || part.chars().any(|c| c.is_whitespace() || c == ',' || c == '@');
    let dotted = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
    if odd(local) || odd(domain) || !dotted {
        return Err("this is no e-mail address; it looks like jane@acme.com".to_owned());
    }
    Ok(())
}

fn length(field: &Field, text: &str) -> Result<(), String> {
    let count = text.chars().count();
    let most = usize::try_from(field.length).unwrap_or(usize::MAX);
    if most > 0 && count > most {
        return Err(format!("at most {most} characters; this has {count}"));
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
            picklist: vec!["Hot".to_owned(), "Cold".to_owned()],
            restricted: true,
            reference_to: Vec::new(),
        }
    }

    #[test]
    fn each_type_refuses_what_it_cannot_hold() {
        for (kind, good, bad, why) in [
            (FieldType::String, "0123456789", "0123456789x", "at most 10 characters; this has 11"),
            (FieldType::Double, "999.99", "1000", "at most 3 digits before the point"),
            (FieldType::Double, "-1.5", "NaN", "Salesforce takes only finite numbers"),
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
    fn null_is_refused_only_where_a_value_is_required() {
        let mut required = field(FieldType::String);
        assert_eq!(check(&required, None), Ok(()));
        required.nillable = false;
        assert_eq!(check(&required, Some("  ")), Err("Field is required".to_owned()));
        required.defaulted = true;
        assert_eq!(check(&required, None), Ok(()));
    }
}
