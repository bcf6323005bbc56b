//! What people look up: lists in any order and by any filter, page by page.

use std::collections::HashSet;

use syncdeck::client::api::ErrorQuery;
use syncdeck::domain::errors::sort::{Sort, SortBy};

use crate::world::{MAPPINGS, World};

/// Errors of rows that never were, in every state but `ignored`: more than are looked at in one step.
const MANY: &str = "INSERT INTO syncdeck.error (mapping, table_name, record_id, sfid, op, code, category, class, message, fields,
         fingerprint, attempts, state, next_retry_at, first_seen, last_seen, sent)
     SELECT 'Contact', 'contact', i, CASE WHEN i % 2 = 0 THEN '003' || lpad(i::text, 12, '0') || 'AAA' END, 'update',
         (ARRAY['B_CODE', 'A_CODE', 'C_CODE'])[1 + i % 3], 'data', 'permanent', 'value ' || i || ' is bad', ARRAY[(ARRAY['Email', 'Phone'])[1 + i % 2]],
         'f' || i % 7, i % 4, (ARRAY['open', 'retrying', 'review', 'held'])[1 + i % 4],
         CASE WHEN i % 4 = 1 THEN now() + (i % 100) * interval '1 min' END, now() - (i % 50) * interval '1 min',
         now() - (i * 7919 % 5000) * interval '1 s', CASE WHEN i % 1000 = 0 THEN 'needle' || i ELSE 'hay' END
     FROM generate_series(1, 5000) i";

/// The numbers of a whole list, page by page, as they came.
async fn all(world: &World, query: &ErrorQuery) -> Vec<i64> {
    let mut query = query.clone();
    let mut ids = Vec::new();
    loop {
        let page = world.handle.errors(&query).await.unwrap();
        assert!(page.items.len() <= query.limit && page.done == page.next.is_none());
        ids.extend(page.items.iter().map(|error| error.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return ids,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_any_order_comes_whole_page_by_page() {
    let world = World::start(MAPPINGS).await;
    world.run(MANY).await;
    let expressions = [
        "last_seen",
        "first_seen",
        "mapping",
        "coalesce(record_id, 0)",
        "code",
        "fields::text",
        "attempts",
        "state",
        "coalesce(next_retry_at, 'infinity')",
    ];
    for (by, expression) in SortBy::ALL.into_iter().zip(expressions) {
        for descending in [false, true] {
            let query = ErrorQuery { sort: Sort { by, descending }, limit: 700, ..ErrorQuery::default() };
            let ids = all(&world, &query).await;
            assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (5_000, 5_000), "{by:?}");
            let ordered = format!(
                "SELECT bool_and(coalesce(place {} before, true))::text FROM (
                     SELECT {expression} AS place, lag({expression}) OVER (ORDER BY at) AS before
                     FROM unnest(ARRAY{ids:?}::bigint[]) WITH ORDINALITY AS list (id, at) JOIN syncdeck.error USING (id)) placed",
                if descending { "<=" } else { ">=" }
            );
            assert_eq!(world.text(&ordered).await.unwrap(), "true", "{by:?} {descending}");
        }
    }
    // From behind an error one goes on as from the page's own end.
    let query = ErrorQuery { limit: 10, ..ErrorQuery::default() };
    let page = world.handle.errors(&query).await.unwrap();
    let behind = query.clone().after(&page.items[9]);
    let next = ErrorQuery { after: page.next, ..query };
    assert_eq!(world.handle.errors(&behind).await.unwrap(), world.handle.errors(&next).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_what_matches_and_nothing_else_with_an_index_of_words_and_without() {
    let world = World::start(MAPPINGS).await;
    world.run(MANY).await;
    world
        .run(
            "UPDATE syncdeck.error SET mapping = 'Account', table_name = 'account' WHERE record_id % 500 = 0;
              UPDATE syncdeck.error SET class = 'unknown' WHERE record_id % 777 = 0;
              UPDATE syncdeck.error SET sfid = NULL WHERE record_id % 300 = 0;
              UPDATE syncdeck.error SET last_seen = '2020-01-01' WHERE record_id % 250 = 0",
        )
        .await;
    assert!(world.text("SELECT to_regclass('syncdeck.error_words')::text").await.is_some());
    let filters = [
        ("", "true"),
        ("mapping:account", "mapping = 'Account'"),
        ("-mapping:contact", "mapping = 'Account'"),
        ("code:a_c", "code = 'A_CODE'"),
        ("-code:a_c", "code <> 'A_CODE'"),
        ("code:none", "false"),
        ("field:PHONE", "'Phone' = ANY(fields)"),
        ("-field:phone", "NOT 'Phone' = ANY(fields)"),
        ("category:data", "true"),
        ("-category:data", "false"),
        ("class:unknown", "class = 'unknown'"),
        ("state:review|held", "state IN ('review', 'held')"),
        ("-state:open|retrying", "state IN ('review', 'held')"),
        ("-state:held", "state <> 'held'"),
        ("-id:003000000004712", "record_id <> 4712"),
        ("op:update", "true"),
        ("op:delete", "false"),
        ("since:2021-01-01", "last_seen > '2021-01-01'"),
        ("until:2021-01-01", "last_seen < '2021-01-01'"),
        ("row:4711", "record_id = 4711"),
        ("id:003000000004712", "record_id = 4712"),
        ("group:f3", "fingerprint = 'f3'"),
        ("source:engine", "false"),
        ("needle", "sent LIKE 'needle%'"),
        ("-needle", "sent NOT LIKE 'needle%'"),
        ("e4", "sent LIKE 'needle4%'"),
        ("\"value 77 is\"", "record_id = 77"),
        ("%_", "false"),
        ("needle mapping:account", "sent LIKE 'needle%' AND mapping = 'Account'"),
        (
            "class:unknown field:email code:b",
            "class = 'unknown' AND 'Email' = ANY(fields) AND code = 'B_CODE'",
        ),
    ];
    let sorts =
        ["-last_seen", "code", "field", "mapping", "state", "row"].map(|text| Sort::parse(text).unwrap());
    for words in [true, false] {
        if !words {
            world.run("DROP INDEX syncdeck.error_words").await;
        }
        for (filter, condition) in filters {
            let count =
                world.text(&format!("SELECT count(*)::text FROM syncdeck.error WHERE {condition}")).await;
            for sort in sorts {
                let query = ErrorQuery { filter: filter.to_owned(), sort, limit: 900, after: None };
                let ids: HashSet<i64> = all(&world, &query).await.into_iter().collect();
                assert_eq!(Some(ids.len().to_string()), count, "{filter} {sort:?}");
            }
            let told = world.handle.count(filter).await.unwrap();
            assert_eq!((Some(told.matching.to_string()), told.capped), (count, false), "{filter}");
        }
    }
    let refused = world.handle.count("colour:red").await.unwrap_err().to_string();
    assert!(refused.contains("there is no colour:"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_values_that_a_filter_can_name_are_told_with_their_counts() {
    let world = World::start(MAPPINGS).await;
    world.run(MANY).await;
    world.run("UPDATE syncdeck.error SET class = 'unknown', code = 'RARE_CODE' WHERE record_id = 7").await;
    let of = async |qualifier: &str, prefix: &str| world.handle.values_of(qualifier, prefix).await.unwrap();
    let told = |values: &[(&str, i64)]| -> Vec<(String, i64)> {
        values.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
    };
    assert_eq!(of("mapping", "con").await, told(&[("Contact", 1_000)]));
    assert_eq!(
        of("code", "").await,
        told(&[("A_CODE", 1_000), ("B_CODE", 1_000), ("C_CODE", 1_000), ("RARE_CODE", 1)])
    );
    assert_eq!(of("code", "r").await, told(&[("RARE_CODE", 1)]));
    assert_eq!(of("field", "").await, told(&[("Email", 1_000), ("Phone", 1_000)]));
    assert_eq!(of("class", "").await, told(&[("permanent", 4_999), ("unknown", 1)]));
    assert_eq!(of("category", "x").await, []);
    assert_eq!(of("state", "re").await, told(&[("retrying", 1_000), ("review", 1_000)]));
    assert_eq!(of("op", "").await, told(&[("update", 5_000)]));
    assert_eq!(of("group", "f").await.len(), 7);
    let refused = world.handle.values_of("row", "").await.unwrap_err().to_string();
    assert!(refused.contains("use mapping, code"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_errors_of_an_older_layout_are_indexed_beside_the_work_and_listed_meanwhile() {
    let mut world = World::start(MAPPINGS).await;
    world.run(&MANY.replace("(1, 5000)", "(1, 12000)")).await;
    world.stop_engine().await;
    let list = async |world: &World, filter: &str| {
        let query = ErrorQuery { filter: filter.to_owned(), limit: 900, ..ErrorQuery::default() };
        all(world, &query).await
    };
    let filters = ["needle", "code:a_c class:permanent", "row:4711", "group:f3", "-state:open"];
    let mut indexed = Vec::new();
    for filter in filters {
        indexed.push(list(&world, filter).await);
    }
    let indexes =
        "SELECT count(*)::text FROM pg_index WHERE indrelid = 'syncdeck.error'::regclass AND indisvalid";
    let all_of_them = world.text(indexes).await.unwrap();
    // What an older layout has, and what a build left that was broken off.
    world
        .run(
            "DO $$ DECLARE name text; BEGIN
                 FOR name IN SELECT relname FROM pg_class WHERE relkind = 'i' AND (relname LIKE 'error_by_%'
                     OR relname IN ('error_properties', 'error_words')) AND relname <> 'error_by_code'
                 LOOP EXECUTE 'DROP INDEX syncdeck.' || name; END LOOP; END $$;
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'syncdeck.error_by_code'::regclass;
             DELETE FROM syncdeck.layout WHERE name = ''",
        )
        .await;
    for (filter, indexed) in filters.into_iter().zip(&indexed) {
        assert_eq!(&list(&world, filter).await, indexed, "{filter}");
    }
    world.start_engine().await;
    world.until_text(indexes, &all_of_them).await;
    // At once, or in two goes where something held the table.
    let told =
        "SELECT (count(*) > 0)::text FROM syncdeck.log WHERE message LIKE '% indexes of errors were built'";
    world.until_text(told, "true").await;
    for (filter, indexed) in filters.into_iter().zip(&indexed) {
        assert_eq!(&list(&world, filter).await, indexed, "{filter}");
    }
}
