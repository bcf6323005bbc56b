//! The rule `where` is a language of its own: what an operator writes there never runs as SQL, and it keeps out what it says.

use syncdeck::engine::{self, StartError};

use crate::world::World;

/// Contacts alone, with these lines of rules.
fn contacts(rules: &str) -> String {
    format!(
        "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\", \"Email\", \"Phone\", \"Score__c\", \"Birthdate\"]\n\
         external_id = \"External_Id__c\"\npoll_interval = \"200ms\"\n{rules}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_condition_runs_nothing_with_the_engines_rights() {
    let world = World::start(&contacts("")).await;
    // What an operator without rights of the engine's would like to have run.
    world
        .run(
            "CREATE SCHEMA op; CREATE TABLE op.ran (by text);
             CREATE FUNCTION op.ok(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO op.ran VALUES (current_user); RETURN true; END $$;",
        )
        .await;
    for condition in [
        "op.ok(lastname)",
        "ok(lastname)",
        "true) OR op.ok(lastname) OR (true",
        "lastname = 'x' OR op.ok(lastname)",
        "lastname IN (SELECT by FROM op.ran)",
        "EXISTS (SELECT op.ok('x'))",
        "lastname = 'x'; INSERT INTO op.ran VALUES ('x')",
        "lastname OPERATOR(public.=) 'x'",
        "lastname = 'x'::op.ran",
        "contact IS NOT NULL",
        "ctid IS NOT NULL",
        "\"lastname\"\" OR op.ok(lastname) OR \"\"\" IS NULL",
    ] {
        let refused = world.handle.set_rule("Contact", "where", Some(condition)).await;
        assert!(refused.is_err(), "{condition}");
    }
    world
        .handle
        .set_rule("Contact", "where", Some("lastname = phone OR lastname <> 'x' AND lastname LIKE '%'"))
        .await
        .unwrap();
    world
        .until_text(
            "SELECT value FROM syncdeck.setting",
            "lastname = phone OR lastname <> 'x' AND lastname LIKE '%'",
        )
        .await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('x', 'K1'), ('y', 'K2')")
        .await;
    world.until_quiet().await;
    assert_eq!(world.text("SELECT count(*)::text FROM op.ran").await.unwrap(), "0");
    assert!(world.record("Contact", "K1").is_none());
    assert!(world.record("Contact", "K2").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_compared_as_the_columns_types_compare() {
    let condition = "where = \"\"\"score__c > 9 AND birthdate >= date '2000-01-01' AND lastname NOT IN ('Not;--', 'O''Hara')\"\"\"";
    let world = World::start(&contacts(condition)).await;
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, score__c, birthdate, external_id__c) VALUES
             ('In', 10, '2001-02-03', 'K1'), ('Low', 9, '2001-02-03', 'K2'), ('Old', 10, '1999-12-31', 'K3'),
             ('O''Hara', 10, '2001-02-03', 'K4'), ('Not;--', 10, '2001-02-03', 'K5'), ('Unknown', NULL, '2001-02-03', 'K6')",
        )
        .await;
    world.until_quiet().await;
    let there = ["K1", "K2", "K3", "K4", "K5", "K6"].map(|key| world.record("Contact", key).is_some());
    assert_eq!(there, [true, false, false, false, false, false]);
    let told =
        world.handle.set_rule("Contact", "where", Some("score__c = 'many'")).await.unwrap_err().to_string();
    assert!(told.contains("many"), "{told}");
    let told =
        world.handle.set_rule("Contact", "where", Some("emial IS NULL")).await.unwrap_err().to_string();
    assert!(told.contains("no column \"emial\"; there are id, ") && told.contains("email"), "{told}");
}

/// One that a program from before took as SQL: without it rows would go that must not, so nothing goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_condition_that_is_not_of_the_language_is_refused_at_start_by_name() {
    let mut world = World::start(&contacts("")).await;
    world.stop_engine().await;
    world
        .run(
            "INSERT INTO syncdeck.setting (mapping, key, value, actor) VALUES ('Contact', 'where', 'length(lastname) > 3', 'x');
             UPDATE syncdeck.mapping SET definition = jsonb_set(definition, '{rules,where}', '\"length(lastname) > 3\"')",
        )
        .await;
    let Err(StartError::Postgres(error)) = engine::start(world.config.clone(), world.store.clone()).await
    else {
        panic!("it started")
    };
    let text = error.to_string();
    assert!(text.contains("Contact: where: calls the function length()"), "{text}");
    assert!(text.contains("syncdeck mapping Contact where="), "{text}");
    // The remedy that it names works.
    world.handle.set_rule("Contact", "where", Some("lastname <> 'Doe'")).await.unwrap();
    world.start_engine().await;
    world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1'), ('Roe', 'K2')")
        .await;
    world.until_quiet().await;
    assert_eq!(
        (world.record("Contact", "K1").is_some(), world.record("Contact", "K2").is_some()),
        (false, true)
    );
}
