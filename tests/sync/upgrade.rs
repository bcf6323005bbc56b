//! An installation that is laid out anew by a newer program, while everybody goes on.

use std::sync::Mutex;
use std::time::Duration;

use syncdeck::postgres::Store;

use crate::world::{MAPPINGS, World};

/// What brings about that the next engine lays everything out anew.
const OLDER: &str = "DELETE FROM syncdeck.layout WHERE name = '_syncdeck'; UPDATE syncdeck.layout SET stamp = 'older' WHERE name = ''";
/// Statements of programs of ours that wait for a lock.
const WAITING: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
     AND application_name = 'test' AND wait_event_type = 'Lock'";

async fn install(world: &World, store: &Store) -> Result<(), syncdeck::postgres::Error> {
    store.install("", &world.store.definitions().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_in_an_upgrade_keeps_no_user_from_writing() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world.run(OLDER).await;
    // Somebody's operation, which the upgrade has to wait for.
    let operation = world.another_session().await;
    operation.batch_execute("BEGIN; LOCK TABLE syncdeck.error IN ROW EXCLUSIVE MODE").await.unwrap();
    let (upgraded, ()) = tokio::join!(install(&world, &world.store), async {
        world.until_text(WAITING, "1").await;
        world
            .run("SET lock_timeout = '2s'; INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')")
            .await;
        operation.batch_execute("COMMIT").await.unwrap();
    });
    upgraded.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_may_take_longer_than_any_other_statement() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world
        .run(
            "INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fields, fingerprint, state)
             SELECT 'Contact', 'contact', g, 'update', 'CODE' || g % 50, 'data', 'permanent', md5(g::text) || md5(g || 'b'),
                 ARRAY['Email', 'Field' || g % 200], 'f' || g, 'open' FROM generate_series(1, 30000) g;
             DROP INDEX syncdeck.error_properties; DROP INDEX IF EXISTS syncdeck.error_words",
        )
        .await;
    world.run(OLDER).await;
    // Both wait for somebody's operation for longer than a statement of theirs may take otherwise.
    let hasty = Store::connect(&world.direct, "salesforce", "test", Duration::from_secs(3)).await.unwrap();
    let operation = world.another_session().await;
    let busy = "BEGIN; LOCK TABLE syncdeck.error IN ROW EXCLUSIVE MODE";
    let ends = async || {
        world.until_text(WAITING, "1").await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        operation.batch_execute("COMMIT").await.unwrap();
    };
    operation.batch_execute(busy).await.unwrap();
    let (installed, ()) = tokio::join!(install(&world, &hasty), ends());
    installed.unwrap();
    operation.batch_execute(busy).await.unwrap();
    let (built, ()) = tokio::join!(hasty.build_indexes(), ends());
    assert!(built.unwrap().is_some_and(|built| built > 0));
    let there = "SELECT concat_ws(' ', to_regclass('syncdeck.error_properties') IS NOT NULL,
         to_regclass('syncdeck.error_words') IS NOT NULL
             OR NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'))";
    assert_eq!(world.text(there).await.unwrap(), "t t");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_installations_that_begin_together_the_second_lays_nothing_out_again() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    let mappings = world.store.definitions().await.unwrap();
    // Only sessions that looked while nothing was there can go wrong, and each store has its own.
    let store = || Store::connect(&world.direct, "salesforce", "test", Duration::from_secs(60));
    let stores = [store().await.unwrap(), store().await.unwrap()];
    world.run("DROP SCHEMA syncdeck CASCADE").await;
    let first = world.another_session().await;
    first.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext('syncdeck install'))").await.unwrap();
    let (one, other, ()) =
        tokio::join!(stores[0].install("", &mappings), stores[1].install("", &mappings), async {
            world.until_text(WAITING, "2").await;
            first.batch_execute("COMMIT").await.unwrap();
        });
    one.unwrap();
    other.unwrap();
    // A schema is made once; what is laid out again has a younger stamp.
    let once = "SELECT (space.xmin = layout.xmin)::text FROM pg_namespace space, syncdeck.layout
         WHERE nspname = 'syncdeck' AND layout.name = '_syncdeck'";
    assert_eq!(world.text(once).await.as_deref(), Some("true"));
}

/// Rows of a table that is not indexed while its users wait.
const LARGE: &str = "INSERT INTO salesforce.contact (lastname, email, external_id__c)
     SELECT 'Doe', repeat('x', 60) || n || '@acme.com', 'K' || n FROM generate_series(1, 90000) n";
/// The indexes of a table that are of use.
const VALID: &str = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE indrelid IN ('salesforce.contact'::regclass, 'salesforce._trigger_log_archive'::regclass) AND indisvalid
         AND relname ~ '^(hc_|hcu_|_trigger)'";

/// A world without an engine whose tables are large and somebody else's, and what indexes these have.
async fn large_world() -> (World, String) {
    let world = World::without_engine(MAPPINGS).await;
    world.plant(LARGE).await;
    world
        .run(
            "INSERT INTO salesforce._trigger_log_archive (id, state, action, table_name, record_id, values)
             SELECT n, 'SUCCESS', 'UPDATE', 'contact', n, repeat('x', 200) FROM generate_series(1, 50000) n;
             DELETE FROM syncdeck.layout WHERE name IN ('', 'contact');
             DO $$ DECLARE name text; BEGIN
                 FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'salesforce.contact'::regclass AND NOT tgisinternal
                 LOOP EXECUTE format('DROP TRIGGER %I ON salesforce.contact', name); END LOOP; END $$",
        )
        .await;
    let indexes = world.text(VALID).await.unwrap();
    (world, indexes)
}

/// Takes the tables over; tells what was told of it before it was done.
async fn taken_over(world: &World, org: &str) -> (Result<(), syncdeck::postgres::Error>, Vec<String>) {
    let told = Mutex::new(Vec::new());
    let tell = |line: String| told.lock().unwrap().push(line);
    let mappings = world.store.definitions().await.unwrap();
    let made = world.store.index_large(org, &mappings, &tell).await;
    let done = match made {
        Ok(()) => world.store.install(org, &mappings).await,
        Err(error) => Err(error),
    };
    (done, told.into_inner().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_gets_the_indexes_that_it_lacks_while_its_users_write() {
    let (world, indexes) = large_world().await;
    // Two of them were broken off before.
    world
        .run(
            "DROP INDEX salesforce.hcu_idx_contact_external_id__c, salesforce._trigger_log_archive_idx_ignored;
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = ANY (ARRAY['salesforce.hc_idx_contact_systemmodstamp',
                 'salesforce._trigger_log_archive_idx_created_at']::regclass[]);
             DROP FUNCTION salesforce.hc_fold_key(text) CASCADE",
        )
        .await;
    // Somebody writes, and does not end for a while.
    let user = world.another_session().await;
    user.batch_execute("BEGIN; UPDATE salesforce.contact SET firstname = 'Ada' WHERE id = 1").await.unwrap();
    let ((installed, told), ()) = tokio::join!(taken_over(&world, ""), async {
        world.until_text(WAITING, "1").await;
        world
            .run("SET lock_timeout = '5s'; UPDATE salesforce.contact SET firstname = 'Eve' WHERE id = 2")
            .await;
        user.batch_execute("COMMIT").await.unwrap();
    });
    installed.unwrap();
    assert_eq!(world.text(VALID).await.unwrap(), indexes);
    let names = [
        "hcu_idx_contact_external_id__c",
        "hc_key_contact_external_id__c",
        "hc_idx_contact_systemmodstamp",
        "_trigger_log_archive_idx_created_at",
        "_trigger_log_archive_idx_ignored",
    ];
    for name in names {
        assert!(told.iter().any(|line| line.contains(&format!("the index {name} on "))), "{name}: {told:?}");
    }
    assert_eq!(told.len(), names.len(), "{told:?}");
    // The next start has nothing to do.
    assert_eq!(taken_over(&world, "").await.1, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_another_org_and_a_table_that_is_refused_get_no_index_before_they_are_refused() {
    let (world, _) = large_world().await;
    world.run("DROP INDEX salesforce.hcu_idx_contact_external_id__c").await;
    let indexes = world.text(VALID).await;
    let (refused, told) = taken_over(&world, "00D000000000009AAA").await;
    assert!(refused.unwrap_err().to_string().contains("belongs to the org"), "{told:?}");
    world.run("ALTER TABLE salesforce.account ALTER COLUMN name TYPE integer USING 1").await;
    world.run("DELETE FROM syncdeck.layout WHERE name = 'account'").await;
    let (refused, more) = taken_over(&world, "").await;
    assert!(refused.unwrap_err().to_string().contains("the column name of the table"), "{more:?}");
    assert_eq!((told.len(), more.len(), world.text(VALID).await), (0, 0, indexes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stands_in_several_rows_of_a_large_table_is_refused_and_leaves_nothing_broken() {
    let (world, _) = large_world().await;
    world.run("DROP INDEX salesforce.hcu_idx_contact_external_id__c, salesforce.hcu_idx_contact_sfid").await;
    world.plant("UPDATE salesforce.contact SET external_id__c = 'K1' WHERE id = 2").await;
    let (installed, told) = taken_over(&world, "").await;
    let refused = installed.unwrap_err().to_string();
    assert!(refused.contains("external_id__c") && refused.contains("stand in several rows"), "{refused}");
    assert_eq!(told, Vec::<String>::new(), "it is found before hours are spent");
    let broken = "SELECT count(*)::text FROM pg_index WHERE NOT indisvalid";
    assert_eq!(world.text(broken).await.unwrap(), "0");
    world.plant("UPDATE salesforce.contact SET external_id__c = 'K2' WHERE id = 2").await;
    taken_over(&world, "").await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_usual_name_another_table_has_gets_another_one() {
    let world = World::without_engine(MAPPINGS).await;
    world
        .run(
            "DROP INDEX salesforce.hc_idx_contact_systemmodstamp, salesforce.hcu_idx_contact_sfid;
             CREATE TABLE salesforce.other (at timestamp, id varchar);
             CREATE INDEX hc_idx_contact_systemmodstamp ON salesforce.other (at);
             CREATE INDEX hcu_idx_contact_sfid ON salesforce.other (id);
             DELETE FROM syncdeck.layout WHERE name = 'contact'",
        )
        .await;
    let of_contact = "SELECT string_agg(substring(indexdef FROM '(?:UNIQUE )?INDEX') || substring(indexdef FROM '\\(.*'), ', ' ORDER BY indexdef)
         FROM pg_indexes WHERE schemaname = 'salesforce' AND tablename = 'contact' AND indexdef ~ '\\((sfid|systemmodstamp)\\)'";
    assert_eq!(world.text(of_contact).await, None);
    // Once, however often an engine starts.
    for _ in 0..2 {
        world.run("DELETE FROM syncdeck.layout WHERE name = 'contact'").await;
        install(&world, &world.store).await.unwrap();
        let wanted = "INDEX(systemmodstamp), UNIQUE INDEX(sfid)";
        assert_eq!(world.text(of_contact).await.unwrap(), wanted);
    }
}
