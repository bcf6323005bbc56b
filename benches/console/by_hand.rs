//! What a person who knows the tables would write for the same answers: the peers of what is read.

use syncdeck::domain::errors::sort::{Sort, SortBy};

use super::PAGE;

const COLUMNS: &str =
    "id, mapping, table_name, record_id, sfid, op, code, category, class, message, fields, attempts, state,
     next_retry_at, first_seen, last_seen, fingerprint, source";
const OPEN: &str = "resolved_at IS NULL AND state <> 'ignored'";
/// What words are looked for in, as its index has it.
const TEXT: &str = "(message || E'\\n' || code || E'\\n' || sent || E'\\n' || coalesce(record_id::text, '') || ' ' || coalesce(sfid, ''))";

/// A filter: what it is in the console's language, as SQL, and the least that a first page must have.
pub struct Filter {
    pub typed: &'static str,
    pub least: usize,
    sql: &'static str,
}

const fn filter(typed: &'static str, least: usize, sql: &'static str) -> Filter {
    Filter { typed, least, sql }
}

/// Filters of each kind.
pub const FILTERS: [Filter; 27] = [
    filter("", PAGE, "true"),
    filter("mapping:contact", PAGE, "mapping = 'Contact'"),
    filter("mapping:product2", 7, "mapping = 'Product2'"),
    filter("-mapping:contact -mapping:account", 7, "mapping NOT IN ('Contact', 'Account')"),
    filter("code:EMAIL", PAGE, "code LIKE '%EMAIL%'"),
    filter("code:MALFORMED", 50, "code LIKE '%MALFORMED%'"),
    filter("code:none", 0, "code ILIKE '%none%'"),
    filter("field:phone", PAGE, "fields && '{Phone}'"),
    filter("field:fax", 40, "fields && '{Fax}'"),
    filter("category:data", PAGE, "category = 'data'"),
    filter("category:mapping", PAGE / 2, "category = 'mapping'"),
    filter("class:unknown", PAGE, "class = 'unknown'"),
    filter("state:review", PAGE, "state = 'review'"),
    filter("op:insert", PAGE, "op = 'insert'"),
    filter("since:1h", PAGE, "last_seen > now() - interval '1 hour'"),
    filter("until:2020-01-01", 0, "last_seen < '2020-01-01'"),
    filter("row:4711", 1, "record_id = 4711"),
    filter("id:Con000000001267", 1, "\"left\"(sfid, 15) = 'Con000000001267'"),
    filter("source:engine", PAGE, "source = 'engine'"),
    filter("somebody", PAGE, "TEXT ILIKE '%somebody%'"),
    filter("somebody4711", 10, "TEXT ILIKE '%somebody4711%'"),
    filter("zzzz", 0, "TEXT ILIKE '%zzzz%'"),
    filter("\"not good\" mapping:contact", PAGE, "TEXT ILIKE '%not good%' AND mapping = 'Contact'"),
    filter(
        "mapping:account field:phone code:MALFORMED",
        0,
        "mapping = 'Account' AND fields && '{Phone}' AND code LIKE '%MALFORMED%'",
    ),
    filter(
        "mapping:contact class:unknown somebody",
        10,
        "mapping = 'Contact' AND class = 'unknown' AND TEXT ILIKE '%somebody%'",
    ),
    filter(
        "state:review category:data since:30d",
        PAGE,
        "state = 'review' AND category = 'data' AND last_seen > now() - interval '30 days'",
    ),
    filter(
        "category:data mapping:contact -code:EMAIL state:open",
        PAGE,
        "category = 'data' AND mapping = 'Contact' AND code NOT LIKE '%EMAIL%' AND state = 'open'",
    ),
];

impl Filter {
    fn condition(&self) -> String {
        format!("{OPEN} AND {}", self.sql.replace("TEXT", TEXT))
    }

    /// The first page.
    pub fn page(&self) -> String {
        page(&self.condition())
    }

    /// How many match, up to 10,000.
    pub fn count(&self) -> String {
        count(&self.condition())
    }

    /// By cause.
    pub fn groups(&self) -> String {
        format!(
            "SELECT mapping, code, fields, fingerprint, count(*), max(last_seen), min(message) FROM syncdeck.error
             WHERE {} GROUP BY mapping, code, fields, fingerprint ORDER BY count(*) DESC LIMIT 200",
            self.condition()
        )
    }
}

/// The first page of a condition.
fn page(condition: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM syncdeck.error WHERE {condition} ORDER BY last_seen DESC, id DESC LIMIT {PAGE}"
    )
}

fn count(condition: &str) -> String {
    format!("SELECT count(*) FROM (SELECT FROM syncdeck.error WHERE {condition} LIMIT 10001) found")
}

/// The first page of a filter that is not among the above, and how many match it.
pub fn page_and_count_of(sql: &str) -> [String; 2] {
    let condition = format!("{OPEN} AND {}", sql.replace("TEXT", TEXT));
    [page(&condition), count(&condition)]
}

/// What each mapping has.
pub const OVERVIEW: &str = "SELECT mapping, count(*), count(*) FILTER (WHERE state = 'held'),
         count(*) FILTER (WHERE first_seen > now() - interval '1 hour')
     FROM syncdeck.error WHERE resolved_at IS NULL GROUP BY mapping";

/// The newest lines of the log.
pub const LOG: &str =
    "SELECT id, time, level, source, dyno, message, fields FROM syncdeck.log ORDER BY id DESC LIMIT 1000";

/// What an order is by.
fn places(by: SortBy) -> Vec<&'static str> {
    match by.word() {
        "row" => vec!["coalesce(record_id, 0)", "id"],
        "next_retry" => vec!["coalesce(next_retry_at, 'infinity')", "id"],
        "field" => vec!["fields", "last_seen", "id"],
        word @ ("last_seen" | "first_seen") => vec![word, "id"],
        word => vec![word, "last_seen", "id"],
    }
}

/// A page of an order; from behind an error where one is given.
pub fn sorted(sort: Sort, behind: Option<&str>) -> String {
    let way = if sort.descending { "DESC" } else { "ASC" };
    let order: Vec<String> = places(sort.by).iter().map(|place| format!("{place} {way}")).collect();
    let behind = behind.map_or(String::new(), |place| {
        format!(" AND ({}) {} ({place})", places(sort.by).join(", "), if sort.descending { "<" } else { ">" })
    });
    format!(
        "SELECT {COLUMNS} FROM syncdeck.error WHERE {OPEN}{behind} ORDER BY {} LIMIT {PAGE}",
        order.join(", ")
    )
}

/// Asks for the place of an error in an order, written as SQL.
pub fn place(by: SortBy, id: i64) -> String {
    let each: Vec<String> = places(by)
        .iter()
        .map(|place| format!("quote_literal(({place})::text) || '::' || pg_typeof({place})"))
        .collect();
    format!("SELECT {} FROM syncdeck.error WHERE id = {id}", each.join(" || ', ' || "))
}
