//! Lists, counts and groups of errors that are held in memory: the filter language and the orders mean here what they mean
//! in the database.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use crate::domain::errors::filter::{Filter, Qualified, Term};
use crate::domain::errors::group::{Group, GroupTrend, template};
use crate::domain::errors::sort::{PageKey, Sort, SortBy, SortValue};
use crate::domain::errors::sync_error::{ErrorState, SyncError};

/// An error with what words are looked up in beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedError {
    /// The error.
    pub error: SyncError,
    /// The values that were refused, as one text.
    pub sent: String,
}

/// Whether an error is listed under a filter.
pub fn matches(filter: &Filter, listed: &ListedError) -> bool {
    let names_state = filter.terms.iter().any(|term| !term.negated && matches!(term.term, Term::State(_)));
    // What a person said to stop asking about is listed only when asked for.
    if listed.error.state == ErrorState::Ignored && !names_state {
        return false;
    }
    filter.terms.iter().all(|Qualified { term, negated }| holds(term, listed) != *negated)
}

fn holds(term: &Term, listed: &ListedError) -> bool {
    let error = &listed.error;
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let within = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
    match term {
        Term::Word(word) => {
            let row = error.row_id.map(|row| row.to_string()).unwrap_or_default();
            let sfid = error.sfid.as_deref().unwrap_or_default();
            let texts = [&error.message, &error.code, &listed.sent, &format!("{row} {sfid}")];
            texts.into_iter().any(|text| within(text, word))
        }
        Term::Mapping(name) => same(&error.mapping, name) || same(&error.table, name),
        Term::Code(code) => within(&error.code, code),
        Term::Field(field) => error.fields.iter().any(|name| same(name, field)),
        Term::Category(category) => error.category == *category,
        Term::Class(class) => error.class == *class,
        Term::State(states) => states.contains(&error.state),
        Term::Op(op) => same(&error.op, op),
        Term::Since(time) => error.last_seen >= *time,
        Term::Until(time) => error.last_seen <= *time,
        Term::Row(row) => error.row_id.is_some_and(|id| id.0 == *row),
        Term::Sfid(id) => {
            let prefix = |id: &str| id.chars().take(15).collect::<String>();
            error.sfid.as_deref().map(prefix) == Some(prefix(id))
        }
        Term::Group(name) => error.group.starts_with(name.as_str()),
        Term::Source(source) => error.source == *source,
        // No operation is noted here.
        Term::Operation(_) => false,
        Term::Person => error.waits_for_a_person() && error.row_id.is_some(),
        Term::Standing => error.row_id.is_none() && error.sfid.is_none(),
    }
}

/// Where an error stands in an order.
type Place = (SortValue, DateTime<Utc>, i64);

fn place(by: SortBy, listed: &ListedError) -> Place {
    let PageKey { place, last_seen, id, .. } = PageKey::of(by, &listed.error);
    (place, last_seen, id)
}

/// All errors in an order, the least first, by their places in `all`.
pub fn sorted(all: &[ListedError], by: SortBy) -> Vec<usize> {
    let mut places: Vec<(Place, usize)> =
        all.iter().enumerate().map(|(at, listed)| (place(by, listed), at)).collect();
    places.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    places.into_iter().map(|(_, at)| at).collect()
}

/// The first errors that match, `most` of them, from behind a place. `sorted` is the order of all by what they are sorted by.
pub fn page(
    (all, sorted): (&[ListedError], &[usize]),
    filter: &Filter,
    sort: Sort,
    after: Option<&PageKey>,
    most: usize,
) -> Vec<SyncError> {
    let after = after.map(|key| (key.place.clone(), key.last_seen, key.id));
    let matching = |at: &usize| all.get(*at).filter(|listed| matches(filter, listed));
    let error = |listed: &ListedError| listed.error.clone();
    // Errors before the place, and those up to it.
    let before = |stands: fn(Ordering) -> bool| match &after {
        None => sorted.len(),
        Some(after) => sorted.partition_point(|at| {
            all.get(*at).and_then(|listed| place(sort.by, listed).partial_cmp(after)).is_some_and(stands)
        }),
    };
    match (sort.descending, after.is_some()) {
        (true, _) => {
            let rest = sorted.iter().take(before(Ordering::is_lt)).rev();
            rest.filter_map(matching).take(most).map(error).collect()
        }
        (false, behind) => {
            let skipped = if behind { before(Ordering::is_le) } else { 0 };
            sorted.iter().skip(skipped).filter_map(matching).take(most).map(error).collect()
        }
    }
}

/// The errors that match, by cause, the most frequent first.
pub fn groups<'a>(
    all: impl Iterator<Item = &'a ListedError>,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for listed in all.filter(|listed| matches(filter, listed)) {
        let error = &listed.error;
        let group = groups.entry(&error.group).or_insert_with(|| Group {
            group: error.group.clone(),
            mapping: error.mapping.clone(),
            code: error.code.clone(),
            fields: error.fields.clone(),
            template: template(&error.message),
            category: error.category,
            class: error.class,
            count: 0,
            first_seen: error.first_seen,
            last_seen: error.last_seen,
            trend: GroupTrend::default(),
            aside: 0,
            life: None,
        });
        group.count += 1;
        group.first_seen = group.first_seen.min(error.first_seen);
        group.last_seen = group.last_seen.max(error.last_seen);
        group.aside += i64::from(matches!(error.state, ErrorState::Held | ErrorState::Ignored));
        match now - error.first_seen {
            age if age <= Duration::hours(1) => group.trend.last_hour += 1,
            age if age <= Duration::hours(2) => group.trend.hour_before += 1,
            _ => {}
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.count), std::cmp::Reverse(group.last_seen)));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::RowId;

    fn listed(id: i64, code: &str, state: ErrorState) -> ListedError {
        let seen = DateTime::UNIX_EPOCH + Duration::hours(id);
        let error = SyncError {
            row_id: Some(RowId(100 + i32::try_from(id).unwrap())),
            sfid: (id == 1).then(|| "003AAAAAAAAAAAAAAA".to_owned()),
            op: "update".to_owned(),
            message: format!("{code} of row {id}"),
            fields: vec!["email".to_owned()],
            state,
            first_seen: seen,
            last_seen: seen,
            group: format!("{:016x}", code.len()),
            ..SyncError::sample(id, code)
        };
        ListedError { error, sent: format!("ada{id}@example.com") }
    }

    fn all() -> Vec<ListedError> {
        vec![
            listed(1, "INVALID_EMAIL_ADDRESS", ErrorState::Open),
            listed(2, "STRING_TOO_LONG", ErrorState::Retrying),
            listed(3, "STRING_TOO_LONG", ErrorState::Ignored),
        ]
    }

    fn found(text: &str, sort: Sort, after: Option<&PageKey>) -> Vec<i64> {
        let now = DateTime::UNIX_EPOCH + Duration::hours(4);
        let filter = Filter::parse(text, now).unwrap();
        let all = all();
        page((&all, &sorted(&all, sort.by)), &filter, sort, after, 10).iter().map(|error| error.id).collect()
    }

    #[test]
    fn every_term_means_what_it_means_in_the_database() {
        for (text, ids) in [
            ("", &[2, 1][..]),
            ("state:ignored", &[3]),
            ("state:open|retrying|ignored", &[3, 2, 1]),
            ("ADA2@example", &[2]),
            ("row:101", &[1]),
            ("101", &[1]),
            ("id:003AAAAAAAAAAAA", &[1]),
            ("-id:003AAAAAAAAAAAA", &[2]),
            ("code:string", &[2]),
            ("mapping:CONTACT field:Email", &[2, 1]),
            ("-code:string", &[1]),
            ("needs:person", &[1]),
            ("needs:care", &[]),
            ("op:insert", &[]),
            ("since:2h", &[2]),
            ("category:data class:permanent source:salesforce", &[2, 1]),
            ("group:000000000000000f", &[2]),
            ("operation:7", &[]),
        ] {
            assert_eq!(found(text, Sort::default(), None), ids, "{text}");
        }
    }

    #[test]
    fn a_list_goes_on_behind_its_last_error_in_every_order() {
        let text = "state:open|retrying|ignored";
        for by in SortBy::ALL {
            for descending in [true, false] {
                let sort = Sort { by, descending };
                let whole = found(text, sort, None);
                assert_eq!(whole.len(), 3, "{}", by.word());
                let errors = all();
                let first = errors.iter().find(|listed| listed.error.id == whole[0]).unwrap();
                assert_eq!(
                    found(text, sort, Some(&PageKey::of(by, &first.error))),
                    whole[1..],
                    "{}",
                    by.word()
                );
            }
        }
    }

    #[test]
    fn groups_count_and_tell_what_is_set_aside() {
        let now = DateTime::UNIX_EPOCH + Duration::hours(4);
        let filter = Filter::parse("state:open|retrying|ignored", now).unwrap();
        let groups = groups(all().iter(), &filter, now);
        let told: Vec<_> =
            groups.iter().map(|group| (group.code.as_str(), group.count, group.aside)).collect();
        assert_eq!(told, [("STRING_TOO_LONG", 2, 1), ("INVALID_EMAIL_ADDRESS", 1, 0)]);
        assert_eq!((groups[0].trend.last_hour, groups[0].trend.hour_before), (1, 1));
    }
}
