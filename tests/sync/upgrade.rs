//! An installation that is laid out anew by a newer program, while everybody goes on.

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
    let hasty =
        Store::connect(&world.direct, "salesforce", "test", Duration::from_millis(500)).await.unwrap();
    install(&world, &hasty).await.unwrap();
    assert!(hasty.build_indexes().await.unwrap().is_some_and(|built| built > 0));
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
