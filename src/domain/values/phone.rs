//! Telephone numbers as E.164 has them, by Google's table of every country's numbers. What is written is read in every
//! way that it can be meant in; exactly one of them must be a valid number. Anything else is refused with the reason:
//! a number that somebody guessed reaches a stranger.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use phonenumber::Metadata;
use phonenumber::country::Id;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Regex, RegexBuilder};

/// The fewest and the most digits that anybody could mean as a telephone number, whichever way it is written.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=17;

/// The most digits of a number with its country code (E.164).
const E164_DIGITS: usize = 15;

/// Numbers of more lengths than this have no fixed length.
const OPEN_LENGTHS: usize = 3;

/// So many digits in a row of their own are a number of their own.
const A_NUMBER: usize = 6;

/// The zero of each script that has digits of its own; the other nine follow it.
const ZEROS: [char; 20] =
    ['0', '٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '๐', '໐', '༠', '၀', '០', '᠐', '０'];

/// What stands before an extension, in the languages that people write it in, and the extension.
static EXTENSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\d[\s.)]*((?:[,;/]\s*)?(?:ext(?:ensi[oó]n)?|extn|xtn|x|e|int(?:erno?)?|anexo|ramal|poste|durchwahl|dw|apparat|app|klappe|kl|#|~|;ext=|,)[\s:.=-]*\d{1,9}#?)\s*$",
    )
    .ok()
});

/// Whether there is a table of this country's numbers.
pub(in crate::domain) fn is_known(country: Id) -> bool {
    DATABASE.by_id(country.as_ref()).is_some()
}

/// The number as E.164 has it. Without a country, it must say its own.
///
/// # Errors
/// Why it is no number, or not certainly one.
pub(in crate::domain) fn e164(country: Option<Id>, text: &str) -> Result<String, String> {
    let (number, zero) = written(text)?;
    if let Some(left) = second_number(country, text) {
        return Err(format!("{text:?} holds several telephone numbers; keep one, such as {left:?}"));
    }
    let readings = match (number.strip_prefix('+'), country) {
        (Some(digits), _) => international(digits, zero),
        (None, Some(home)) => national(home, &number, zero),
        (None, None) => {
            return Err(format!("{text:?} has no country code; use phone_e164(US) with your country"));
        }
    };
    let certain: BTreeSet<&str> = readings.iter().map(|reading| reading.number.as_str()).collect();
    match (certain.len(), readings.first()) {
        (1, Some(reading)) if readings.iter().any(|reading| !reading.may_be_local) => {
            Ok(reading.number.clone())
        }
        (1, Some(reading)) => Err(format!(
            "{text:?} may lack its area code; write it as {}, or with the digit that is dialled before an area code",
            reading.number
        )),
        (0, _) | (_, None) => Err(invalid(country, text, &number)),
        _ => {
            let both: Vec<&str> = certain.into_iter().collect();
            Err(format!("{text:?} may be {}; write it with + and its country code", both.join(" or ")))
        }
    }
}

fn invalid(country: Option<Id>, text: &str, number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit).count();
    match country {
        _ if !DIGITS.contains(&digits) => format!("{text:?} is no telephone number"),
        Some(home) if !number.starts_with('+') => {
            format!("{text:?} is no valid telephone number in {}", home.as_ref())
        }
        _ => format!("{text:?} is no valid telephone number of its country"),
    }
}

/// A number that the text can mean.
struct Reading {
    number: String,
    /// A number that is dialled within a town looks the same.
    may_be_local: bool,
}

/// The digits that were written, with a plus where there is one, and where among them an optional zero stands: `(0)`.
fn written(text: &str) -> Result<(String, Option<usize>), String> {
    let refuse = || format!("{text:?} is no telephone number");
    let plain = uri(&plain(text)).ok_or_else(refuse)?;
    if let Some(found) = EXTENSION.as_ref().and_then(|extension| extension.captures(&plain)) {
        let number = &plain[..found.get(1).map_or(0, |part| part.start())];
        if number.chars().filter(char::is_ascii_digit).count() >= A_NUMBER {
            let extension = found.get(1).map_or("", |part| part.as_str()).trim();
            return Err(format!(
                "{text:?} has the extension {extension:?}, for which E.164 has no place; take it off, or keep it in a field \
                 of its own"
            ));
        }
    }
    let pieces = plain.split(|c: char| !c.is_ascii_digit() && !" -.()[]/".contains(c));
    let long = pieces.filter(|piece| piece.chars().filter(char::is_ascii_digit).count() >= A_NUMBER);
    if long.count() > 1 {
        return Err(format!("{text:?} holds several telephone numbers; keep one"));
    }
    let (mut number, mut zero) = (String::new(), None);
    for (at, c) in plain.char_indices() {
        match c {
            '+' if number.is_empty() => number.push(c),
            '0' if zero.is_none() && is_bracketed(&plain, at) => {
                zero = Some(number.len());
                number.push(c);
            }
            c if c.is_ascii_digit() => number.push(c),
            ' ' | '-' | '.' | '(' | ')' | '[' | ']' | '/' => {}
            _ => return Err(refuse()),
        }
    }
    if number.trim_start_matches('+').is_empty() { Err(refuse()) } else { Ok((number, zero)) }
}

/// Whether the character stands alone between brackets.
fn is_bracketed(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end().ends_with(['(', '[']);
    before && text[at + 1..].trim_start().starts_with([')', ']'])
}

/// In ASCII: digits of any script, full-width signs, dashes and blanks of any kind. What cannot be seen is left out.
fn plain(text: &str) -> String {
    let one = |c: char| match c {
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => None,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' => Some('-'),
        '\u{b7}' | '\u{2022}' => Some('.'),
        '\n' | '\r' => Some(';'),
        '\u{2053}' | '\u{223c}' => Some('~'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        c if c.is_whitespace() => Some(' '),
        c => {
            let digit = |zero: char| u32::from(c).checked_sub(u32::from(zero)).filter(|digit| *digit < 10);
            Some(ZEROS.into_iter().find_map(digit).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c))
        }
    };
    text.chars().filter_map(one).collect::<String>().trim_matches([' ', ';']).to_owned()
}

/// What a `tel:` address says (RFC 3966), with the country of its context; `None` where it says what no number can.
fn uri(text: &str) -> Option<String> {
    let rest = match text.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest.trim(),
        _ => return Some(text.to_owned()),
    };
    let mut parts = rest.split(';');
    let mut number = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('=') {
            Some(("phone-context", context)) if context.starts_with('+') && !number.starts_with('+') => {
                number.insert_str(0, context);
            }
            Some(("ext", extension)) => number = format!("{number} ext {extension}"),
            _ => return None,
        }
    }
    Some(number)
}

/// The first number of a text in which another begins: behind a slash, or with a plus or a trunk digit of its own.
fn second_number(country: Option<Id>, text: &str) -> Option<String> {
    let plain = plain(text);
    let is_number = |part: &str| {
        let digits: String = part.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        let readings = match (digits.strip_prefix('+'), country) {
            (Some(digits), _) => international(digits, None),
            (None, Some(home)) => national(home, &digits, None),
            (None, None) => Vec::new(),
        };
        readings.iter().any(|reading| !reading.may_be_local)
    };
    let trunk = country.and_then(|home| DATABASE.by_id(home.as_ref())?.national_prefix());
    plain.char_indices().filter(|(_, c)| matches!(c, ' ' | '/')).find_map(|(at, c)| {
        let (left, right) = (plain[..at].trim(), plain[at + 1..].trim());
        let digits = right.trim_start_matches(['(', '[']);
        let begins = digits.starts_with('+')
            || digits.starts_with("00")
            || trunk.is_some_and(|trunk| trunk == "0" && digits.starts_with('0'));
        let second = c == '/' || (begins && is_number(right));
        (second && is_number(left)).then(|| left.to_owned())
    })
}

/// What digits behind a plus can mean. The zero that is written as optional may be there or not: Italy's numbers keep it.
fn international(digits: &str, zero: Option<usize>) -> Vec<Reading> {
    let Some((code, length)) = (1..=3).find_map(|length| {
        let code: u16 = digits.get(..length).filter(|code| !code.starts_with('0'))?.parse().ok()?;
        DATABASE.by_code(&code).map(|_| (code, length))
    }) else {
        return Vec::new();
    };
    let rest = &digits[length..];
    // The place of the zero counts the plus.
    let without = zero.filter(|at| *at == length + 1).and_then(|_| rest.strip_prefix('0'));
    let main = DATABASE.by_code(&code).and_then(|regions| regions.into_iter().next());
    let readings = [Some(rest), without].into_iter().flatten();
    readings
        .filter_map(|national| main.and_then(|region| significant(region, national)))
        .map(|(national, _)| Reading { number: format!("+{code}{national}"), may_be_local: false })
        .collect()
}

/// What digits without a plus can mean in a country.
fn national(home: Id, digits: &str, zero: Option<usize>) -> Vec<Reading> {
    let Some(region) = DATABASE.by_id(home.as_ref()) else { return Vec::new() };
    let code = region.country_code();
    let abroad = region.international_prefix().and_then(|prefix| leading(prefix.as_str(), digits));
    let mut readings = abroad.map(|length| {
        let zero = zero.and_then(|at| at.checked_sub(length)).map(|at| at + 1);
        international(&digits[length..], zero)
    });
    let mut readings = readings.take().unwrap_or_default();
    let with_code = digits.strip_prefix(code.to_string().as_str());
    let with_code = with_code.map(|rest| international(&format!("{code}{rest}"), zero.map(|at| at + 1)));
    readings.extend(with_code.into_iter().flatten());
    if let Some((national, has_trunk)) = significant(region, digits) {
        let may_be_local = !has_trunk && is_open(region) && !is_mobile(region, &national);
        readings.push(Reading { number: format!("+{code}{national}"), may_be_local });
    }
    readings
}

/// The national number without what is dialled before it within its country, if that makes a valid one, and whether
/// there was something before it. As Google's library does it.
fn significant(region: &Metadata, digits: &str) -> Option<(String, bool)> {
    let code = region.country_code();
    let fits =
        |national: &str| code.to_string().len() + national.len() <= E164_DIGITS && is_valid(code, national);
    let stripped = without_trunk(region, digits);
    let as_it_is = || (digits.to_owned(), false);
    let stripped = stripped.filter(|national| fits(national)).map(|national| (national, true));
    stripped.or_else(|| Some(as_it_is()).filter(|(national, _)| fits(national)))
}

/// Without the trunk digit and the code of a carrier; `None` where there is none, or where it belongs to the number.
fn without_trunk(region: &Metadata, digits: &str) -> Option<String> {
    let literal = region.national_prefix().map(regex::escape);
    let source = region.national_prefix_for_parsing().map(|prefix| prefix.as_str().to_owned()).or(literal)?;
    let pattern = compiled(&format!("^(?:{source})"))?;
    let found = pattern.captures(digits)?;
    let whole = found.get(0).filter(|whole| !whole.is_empty())?;
    let last = found.len().checked_sub(1).filter(|last| *last > 0).and_then(|last| found.get(last));
    let rest = match region.national_prefix_transform_rule() {
        Some(rule) if last.is_some() => {
            let mut made = String::new();
            found.expand(rule, &mut made);
            made + &digits[whole.end()..]
        }
        _ => digits[whole.end()..].to_owned(),
    };
    let general = region.descriptors().general();
    (!matches(general, digits) || matches(general, &rest)).then_some(rest)
}

/// Whether the number is one of a country with this code.
fn is_valid(code: u16, national: &str) -> bool {
    DATABASE.by_code(&code).into_iter().flatten().any(|region| {
        let all = region.descriptors();
        let kinds = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.premium_rate(),
            all.shared_cost(),
            all.personal_number(),
            all.voip(),
            all.pager(),
            all.uan(),
            all.voicemail(),
        ];
        matches(all.general(), national) && kinds.into_iter().flatten().any(|kind| matches(kind, national))
    })
}

/// Whether numbers of this country begin with a trunk digit and have no fixed length: there, a number without that digit
/// may be one within a town. The table's own lengths are lost on the way into the crate, so its example is made shorter
/// and longer.
fn is_open(region: &Metadata) -> bool {
    let line = region.descriptors().fixed_line().filter(|_| region.national_prefix().is_some());
    let Some((line, example)) = line.and_then(|line| Some((line, line.example()?))) else { return false };
    let longer = format!("{example:1<E164_DIGITS$}");
    let lengths = (3..E164_DIGITS).filter(|length| matches(line, &longer[..*length]));
    lengths.count() > OPEN_LENGTHS
}

fn is_mobile(region: &Metadata, national: &str) -> bool {
    region.descriptors().mobile().is_some_and(|mobile| matches(mobile, national))
}

/// Whether all of the number is what the table describes: the crate's own look is content with how it begins.
fn matches(kind: &Descriptor, national: &str) -> bool {
    let pattern = compiled(&format!("^(?:{})$", kind.national_number().as_str()));
    pattern.is_some_and(|pattern| pattern.is_match(national))
}

/// How many digits at the start a pattern takes.
fn leading(pattern: &str, digits: &str) -> Option<usize> {
    compiled(&format!("^(?:{pattern})"))?.find(digits).map(|found| found.end()).filter(|end| *end > 0)
}

/// The table's patterns as they were made for numbers that were met: there are thousands, and few countries.
static COMPILED: LazyLock<Mutex<HashMap<String, Option<Arc<Regex>>>>> = LazyLock::new(Mutex::default);

fn compiled(pattern: &str) -> Option<Arc<Regex>> {
    let mut known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(pattern) {
        return known.clone();
    }
    // The table is written over several lines.
    let made = RegexBuilder::new(pattern).ignore_whitespace(true).build().ok().map(Arc::new);
    known.insert(pattern.to_owned(), made.clone());
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(country: &str, text: &str) -> Result<String, String> {
        e164(country.parse().ok(), text)
    }

    /// Right values as Google's library gives them, and its documentation.
    #[test]
    fn numbers_of_the_world_are_read_as_they_are_meant() {
        for (country, text, wanted) in [
            ("US", "(202) 555-0143", "+12025550143"),
            ("US", "1-415-555-2671", "+14155552671"),
            ("US", "415.555.2671", "+14155552671"),
            ("US", "+1 650 253 0000", "+16502530000"),
            ("US", "011 44 20 7946 0958", "+442079460958"),
            ("US", "242 365 1234", "+12423651234"),
            ("US", "800 234 5678", "+18002345678"),
            ("US", "+44 (0)20 7946 0958", "+442079460958"),
            ("US", "+44 (0) 20 7946 0958", "+442079460958"),
            ("US", "+44 020 7946 0958", "+442079460958"),
            ("US", "+55 (11) 91234-5678", "+5511912345678"),
            ("US", "+49 (0)30/901820", "+4930901820"),
            ("US", "+39 02 3661 8300", "+390236618300"),
            ("US", "+39 347 123 4567", "+393471234567"),
            ("US", "+34 (0)912 345 678", "+34912345678"),
            ("US", "+54 9 11 2345-6789", "+5491123456789"),
            ("US", "+52 55 1234 5678", "+525512345678"),
            ("US", "+800 1234 5678", "+80012345678"),
            ("US", "+7 (495) 123-45-67", "+74951234567"),
            ("US", "+36 (06) 1 234 5678", "+3612345678"),
            ("US", "tel:+1-650-253-0000", "+16502530000"),
            ("NZ", "tel:03-331-6005;phone-context=+64", "+6433316005"),
            ("NZ", "03-331 6005", "+6433316005"),
            ("GB", "020 7946 0958", "+442079460958"),
            ("GB", "(0)20 7946 0958", "+442079460958"),
            ("GB", "0044 (0)20 7946 0958", "+442079460958"),
            ("GB", "44 20 7946 0958", "+442079460958"),
            ("GB", "07400 123456", "+447400123456"),
            ("DE", "030 901820", "+4930901820"),
            ("DE", "030/901820", "+4930901820"),
            ("DE", "0171 2345678", "+491712345678"),
            ("DE", "0049 30 901820", "+4930901820"),
            ("DE", "49 30 901820", "+4930901820"),
            ("IT", "02 3661 8300", "+390236618300"),
            ("IT", "347 123 4567", "+393471234567"),
            ("BR", "(11) 91234-5678", "+5511912345678"),
            ("BR", "011 91234-5678", "+5511912345678"),
            ("BR", "0 15 11 91234-5678", "+5511912345678"),
            ("BR", "11 3123-4567", "+551131234567"),
            ("AR", "011 15-2345-6789", "+5491123456789"),
            ("AR", "011 2345-6789", "+541123456789"),
            ("MX", "55 1234 5678", "+525512345678"),
            ("JP", "03-1234-5678", "+81312345678"),
            ("JP", "＋８１　３－１２３４－５６７８", "+81312345678"),
            ("EG", "٠٢ ٢٧٣٥ ٤٣٢١", "+20227354321"),
            ("FR", "01 42 68 53 00", "+33142685300"),
            ("RU", "8 (495) 123-45-67", "+74951234567"),
            ("SM", "886377", "+3780549886377"),
            ("CH", "\u{202a}+41 44 668 18 00\u{202c}", "+41446681800"),
            ("CI", "+225 01 23 45 6789", "+2250123456789"),
        ] {
            assert_eq!(read(country, text).as_deref(), Ok(wanted), "{text} in {country}");
        }
    }

    #[test]
    fn what_would_be_a_guess_is_refused_with_the_reason() {
        for (country, text, why) in [
            ("US", "(555) 010-1234", "is no valid telephone number in US"),
            ("US", "555-2671", "is no valid telephone number in US"),
            ("US", "0044 20 7946 0958", "is no valid telephone number in US"),
            ("US", "+1 555 010 1234", "is no valid telephone number of its country"),
            ("US", "+1 (0)415 555 267", "is no valid"),
            ("US", "+44 20 7946 09", "is no valid"),
            ("US", "+999 123456789", "is no valid"),
            ("US", "911", "is no telephone number"),
            ("DE", "110", "is no telephone number"),
            ("DE", "12345", "is no valid telephone number in DE"),
            ("DE", "30 901820", "may lack its area code"),
            // Düsseldorf with the country's code, or Emden without the trunk digit.
            ("DE", "49 211 12345", "may be +4921112345 or +494921112345"),
            // The ninth digit that Brazil's mobiles have since 2016, and the 1 that Mexico's no longer have.
            ("BR", "11 81234-5678", "is no valid telephone number in BR"),
            ("MX", "+52 1 55 1234 5678", "is no valid"),
            ("US", "1-800-FLOWERS", "is no telephone number"),
            ("US", "call me maybe", "is no telephone number"),
            ("US", "", "is no telephone number"),
            ("US", "+", "is no telephone number"),
            ("US", "++1 650 253 0000", "is no telephone number"),
            ("US", "*67 650 253 0000", "is no telephone number"),
            ("US", "415-555-2671 x12", "has the extension \"x12\""),
            ("US", "415-555-2671 ext. 12", "has the extension \"ext. 12\""),
            ("US", "(530) 583-6985 x302/x2303", "has the extension"),
            ("US", "415-555-2671 #12", "has the extension"),
            ("US", "415-555-2671,,12", "has the extension"),
            ("US", "tel:+1-415-555-2671;ext=12", "has the extension \"ext 12\""),
            ("US", "tel:+1-415-555-2671;isub=12", "is no telephone number"),
            ("US", "tel:555-2671;phone-context=example.com", "is no telephone number"),
            ("DE", "030 901820 Durchwahl 12", "has the extension"),
            ("DE", "030 901820 / 0171 2345678", "holds several telephone numbers"),
            ("DE", "030 901820/21", "holds several telephone numbers"),
            ("DE", "030 12345 030 12346", "holds several telephone numbers"),
            ("GB", "020 7946 0958; 0171 2345678", "holds several telephone numbers"),
            ("GB", "020 7946 0958 or 020 7946 0959", "holds several telephone numbers"),
            ("GB", "020 7946 0958\n020 7946 0959", "holds several telephone numbers"),
            ("GB", "+44 20 7946 0958 +44 20 7946 0959", "holds several telephone numbers"),
        ] {
            let told = read(country, text).unwrap_err();
            assert!(told.contains(why) && told.contains(&format!("{text:?}")), "{text} in {country}: {told}");
        }
        assert!(e164(None, "020 7946 0958").unwrap_err().contains("has no country code"));
        assert_eq!(e164(None, "+44 (0)20 7946 0958").as_deref(), Ok("+442079460958"));
    }

    /// The tables themselves: each country's own examples come back as they are. At home they are read so, or refused:
    /// not every one is dialled with the trunk digit.
    #[test]
    fn every_countrys_own_examples_are_read() {
        let (mut read, mut refused) = (0, 0);
        for region in DATABASE.iter().filter(|region| region.id() != "001") {
            let all = region.descriptors();
            for example in
                [all.fixed_line(), all.mobile()].into_iter().flatten().filter_map(Descriptor::example)
            {
                let number = format!("+{}{example}", region.country_code());
                assert_eq!(e164(None, &number).as_deref(), Ok(number.as_str()), "{}", region.id());
                let home = region.id().parse().ok();
                let trunk = region.national_prefix().unwrap_or_default();
                match e164(home, &format!("{trunk}{example}")).or_else(|_| e164(home, example)) {
                    Ok(home) if home == number => read += 1,
                    Ok(home) => panic!("{}: {trunk} {example} is read as {home}", region.id()),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(read > 400 && refused < 20, "{read} read, {refused} refused");
    }
}
