//! What is captured, whatever the session that writes has set, and whoever writes.

use serde_json::json;

use crate::world::{MAPPINGS, World, contact};

/// The values of the newest entry of a contact's row, and of those that were archived.
const CAPTURED: &str = "SELECT values FROM (SELECT id, values FROM salesforce._trigger_log
     UNION ALL SELECT id, values FROM salesforce._trigger_log_archive) e ORDER BY id DESC LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_does_not_depend_on_the_sessions_settings() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle TO ''German''', current_database()); END $$;
             ALTER TABLE salesforce.contact ADD COLUMN span interval, ADD COLUMN seen timestamptz, ADD COLUMN raw bytea",
        )
        .await;
    let app = world.another_session().await;
    app.batch_execute(
        "SET intervalstyle = 'iso_8601'; SET extra_float_digits = -3; SET bytea_output = 'escape'; SET timezone = 'Asia/Tokyo';
         INSERT INTO salesforce.contact (lastname, birthdate, createddate, score__c, external_id__c)
         VALUES ('Vogel', date '1984-03-07', timestamp '2026-05-06 07:08:09', 0.1::float8 + 0.2::float8, 'D-1')",
    )
    .await
    .unwrap();
    let values = world.text(CAPTURED).await.unwrap();
    for part in [
        r#""birthdate"=>"1984-03-07""#,
        r#""createddate"=>"2026-05-06 07:08:09""#,
        r#""score__c"=>"0.30000000000000004""#,
    ] {
        assert!(values.contains(part), "{values}");
    }
    // The session has what it had.
    let shown = app
        .query_one("SELECT current_setting('datestyle'), current_setting('extra_float_digits')", &[])
        .await
        .unwrap();
    assert_eq!((shown.get::<_, &str>(0), shown.get::<_, &str>(1)), ("German, DMY", "-3"));
    world.until("it arrives", async || world.record("Contact", "D-1").is_some()).await;
    assert_eq!(world.record("Contact", "D-1").unwrap()["Birthdate"], json!("1984-03-07"));

    // So it is in the middle of a transaction that sets something else, and after one that was taken back.
    app.batch_execute(
        "BEGIN; SET LOCAL datestyle = 'SQL, MDY'; SAVEPOINT a;
         UPDATE salesforce.contact SET birthdate = date '2001-02-03'; ROLLBACK TO a;
         UPDATE salesforce.contact SET birthdate = date '2002-03-04'; COMMIT",
    )
    .await
    .unwrap();
    assert_eq!(world.text(CAPTURED).await.unwrap(), r#""birthdate"=>"2002-03-04""#);
    let shown = app.query_one("SELECT current_setting('datestyle')", &[]).await.unwrap();
    assert_eq!(shown.get::<_, &str>(0), "German, DMY");

    // A row that is captured again by hand was printed by the caller's session.
    app.batch_execute("SELECT salesforce.hc_capture_update_from_row(hstore(t.*), 'contact', ARRAY['birthdate', 'score__c']) FROM salesforce.contact t")
        .await
        .unwrap();
    assert_eq!(
        world.text(CAPTURED).await.unwrap(),
        r#""score__c"=>"0.30000000000000004", "birthdate"=>"2002-03-04""#
    );
    world.until_quiet().await;
    assert_eq!(world.record("Contact", "D-1").unwrap()["Birthdate"], json!("2002-03-04"));
    // What the operator's own session writes is printed so too, and captured.
    let view = world.handle.record(&contact(1)).await.unwrap();
    assert_eq!(
        view.values.iter().find(|(field, _)| field.name == "Birthdate").unwrap().1.as_deref(),
        Some("2002-03-04")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_types_is_captured_one_way_too() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world
        .run(
            "ALTER TABLE salesforce.contact ADD COLUMN span interval, ADD COLUMN seen timestamptz, ADD COLUMN raw bytea,
                 ADD COLUMN times timestamptz[], ADD COLUMN price money, ADD COLUMN kind regclass",
        )
        .await;
    world.start_engine().await;
    world
        .run(
            "SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'; SET timezone = 'Asia/Tokyo'; SET search_path = salesforce;
             INSERT INTO contact (lastname, external_id__c) VALUES ('Vogel', 'D-1');
             UPDATE contact SET span = '1 day 2 hours'::interval, seen = '2026-05-06 07:08:09+00', raw = 'abc',
                 times = ARRAY['2026-05-06 07:08:09+00'::timestamptz], kind = 'contact'::regclass;
             RESET ALL",
        )
        .await;
    let values = world.text(CAPTURED).await.unwrap();
    for part in [
        r#""span"=>"1 day 02:00:00""#,
        r#""seen"=>"2026-05-06 07:08:09+00""#,
        r#""raw"=>"\\x616263""#,
        r#""times"=>"{\"2026-05-06 07:08:09+00\"}""#,
        r#""kind"=>"salesforce.contact""#,
    ] {
        assert!(values.contains(part), "{part} in {values}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_trigger_switches_capture_on_and_off_by_xmlbinary() {
    let world = World::start(MAPPINGS).await;
    // As Heroku's article on custom triggers teaches it.
    world
        .run(
            "CREATE FUNCTION public.title_follows_account() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE was varchar;
             BEGIN
               was := get_xmlbinary();
               SET LOCAL xmlbinary TO 'base64';
               UPDATE salesforce.contact SET firstname = NEW.name WHERE phone = NEW.phone;
               EXECUTE 'SET LOCAL xmlbinary TO ' || was;
               RETURN NEW;
             END $$;
             CREATE TRIGGER title_follows_account AFTER UPDATE ON salesforce.account FOR EACH ROW EXECUTE FUNCTION public.title_follows_account();
             INSERT INTO salesforce.account (name, phone, external_id__c) VALUES ('Acme', '+12025550143', 'A1');
             INSERT INTO salesforce.contact (lastname, phone, external_id__c) VALUES ('Doe', '+12025550143', 'C1')",
        )
        .await;
    world.until_text("SELECT string_agg(_hc_lastop, ' ') FROM (SELECT _hc_lastop FROM salesforce.account UNION ALL SELECT _hc_lastop FROM salesforce.contact) r", "SYNCED SYNCED").await;
    // An application's own update, and what a read of the engine sets off.
    world.run("UPDATE salesforce.account SET name = 'Acme AG'").await;
    let first = async |name: &str| world.record("Contact", "C1").unwrap()["FirstName"] == json!(name);
    world.until("the contact follows", async || first("Acme AG").await).await;
    let id = world.org.find_by_external_id("Account", "A1").unwrap();
    world.org.user_update("Account", &id, json!({"Name": "Acme SE"}).as_object().unwrap().clone()).unwrap();
    world.until("the contact follows a read", async || first("Acme SE").await).await;
    assert_eq!(world.record("Account", "A1").unwrap()["Name"], json!("Acme SE"));
    world.until_quiet().await;
    // The account's own row was written by the engine, and is not captured.
    assert_eq!(world.writes("update", "A1"), 1);

    // An application's transaction that is not captured: the row says what it says there.
    world
        .run("BEGIN; SET LOCAL xmlbinary TO 'hex'; UPDATE salesforce.contact SET lastname = 'Roe'; COMMIT")
        .await;
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact").await.unwrap(), "SYNCED");
    // What is over, but for its place in the archive, may still be there.
    world.until_text("SELECT count(*)::text FROM salesforce._trigger_log", "0").await;
    // Over what Salesforce does not have yet nothing is said.
    world.org.change_faults(|faults| faults.row_lock = 1.0);
    world.run("UPDATE salesforce.contact SET lastname = 'Poe'; BEGIN; SET LOCAL xmlbinary TO 'hex'; UPDATE salesforce.contact SET firstname = 'x'; COMMIT").await;
    assert_eq!(world.text("SELECT _hc_lastop FROM salesforce.contact").await.unwrap(), "PENDING");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engines_own_writes_are_never_captured_whatever_a_trigger_leaves_behind() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "CREATE FUNCTION public.forgets() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               SET LOCAL xmlbinary TO 'base64'; RETURN NEW; END $$;
             CREATE TRIGGER forgets BEFORE INSERT OR UPDATE ON salesforce.account FOR EACH ROW EXECUTE FUNCTION public.forgets()",
        )
        .await;
    for number in 0..3 {
        let fields = json!({"Name": format!("Acme {number}"), "External_Id__c": format!("A{number}")});
        world.org.user_create("Account", fields.as_object().unwrap().clone()).unwrap();
    }
    world.until_text("SELECT count(*)::text FROM salesforce.account", "3").await;
    let captured = "SELECT count(*)::text FROM (SELECT FROM salesforce._trigger_log UNION ALL SELECT FROM salesforce._trigger_log_archive) e";
    assert_eq!(world.text(captured).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_switches_capture_off_is_named_and_operators_are_captured_all_the_same() {
    let world = World::start(MAPPINGS).await;
    world.run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET xmlbinary TO hex', current_database()); END $$").await;
    let listed = "SELECT count(*)::text FROM syncdeck.error WHERE code = 'CAPTURE_OFF' AND message LIKE '%the database%' AND resolved_at IS NULL";
    world.until_text(listed, "1").await;
    world
        .run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET xmlbinary', current_database()); END $$")
        .await;
    world.until_text(listed, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_function_runs_with_the_rights_of_the_capture() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "DROP ROLE IF EXISTS attacker; CREATE ROLE attacker LOGIN;
             GRANT CREATE, USAGE ON SCHEMA public TO attacker; GRANT USAGE ON SCHEMA salesforce TO attacker;
             GRANT SELECT, INSERT, UPDATE, DELETE ON salesforce.contact TO attacker;
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA salesforce TO attacker;
             CREATE TABLE public.seen (who text); GRANT INSERT ON public.seen TO PUBLIC",
        )
        .await;
    let app = world.another_session().await;
    app.batch_execute(
        r#"SET ROLE attacker;
           CREATE FUNCTION public.hstore(salesforce.contact) RETURNS hstore LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN 'lastname=>Spoilt'::hstore; END $$;
           CREATE FUNCTION public.spoil(a hstore, b hstore) RETURNS hstore LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN 'lastname=>Spoilt'::hstore; END $$;
           CREATE FUNCTION public.delete(a hstore, VARIADIC b varchar[]) RETURNS hstore LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN 'lastname=>Spoilt'::hstore; END $$;
           CREATE FUNCTION public.current_setting(varchar) RETURNS varchar LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN 'hex'; END $$;
           CREATE FUNCTION public.btrim(text, text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN $1; END $$;
           CREATE FUNCTION public.lower(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN $1; END $$;
           CREATE FUNCTION public.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN true; END $$;
           CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.same);
           CREATE FUNCTION public.row_spoil(a salesforce.contact) RETURNS hstore LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_user); RETURN 'lastname=>Spoilt'::hstore; END $$;
           CREATE OPERATOR public.@># (RIGHTARG = salesforce.contact, FUNCTION = public.row_spoil);
           SET search_path = public, pg_catalog"#,
    )
    .await
    .unwrap();
    app.batch_execute(
        "SET datestyle = 'German'; INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1');
         UPDATE salesforce.contact SET lastname = 'Roe', external_id__c = 'K2'",
    )
    .await
    .unwrap();
    assert_eq!(world.text("SELECT count(*)::text FROM public.seen").await.unwrap(), "0");
    world
        .until("it arrives", async || {
            world.record("Contact", "K2").is_some_and(|record| record["LastName"] == json!("Roe"))
        })
        .await;
    app.batch_execute("RESET ROLE; DELETE FROM salesforce.contact").await.unwrap();
    world.until_quiet().await;
    assert_eq!(world.text("SELECT count(*)::text FROM public.seen").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_rows_that_are_written_back_take_neither_the_record_nor_the_outcome_away() {
    let mut world = World::start(MAPPINGS).await;
    world
        .run("INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Still', NULL, 'K1'), ('Bad', 'no-mail', 'K2')")
        .await;
    let row = "SELECT string_agg(concat_ws(' ', sfid, _hc_lastop, _hc_err), '; ' ORDER BY id) FROM salesforce.contact";
    world
        .until_text("SELECT string_agg(_hc_lastop, ' ' ORDER BY id) FROM salesforce.contact", "SYNCED FAILED")
        .await;
    world.stop_engine().await;
    let before = world.text(row).await.unwrap();
    // As an object mapper does it that has the row as it was made.
    world.run("UPDATE salesforce.contact SET lastname = lastname, sfid = NULL, _hc_lastop = NULL, _hc_err = 'old'").await;
    assert_eq!(world.text(row).await.unwrap(), before);
    let captured = "SELECT string_agg(state, ' ' ORDER BY id) FROM salesforce._trigger_log";
    assert_eq!(world.text(captured).await.unwrap(), "FAILED IGNORE IGNORE");
    // Nor does one that writes empty texts for what it does not have, where something and where NULL is.
    world.run("UPDATE salesforce.contact SET sfid = '', _hc_lastop = '', _hc_err = ''").await;
    assert_eq!(world.text(row).await.unwrap(), before);
    let nulls = "SELECT concat_ws(' ', bool_or(sfid = ''), bool_or(_hc_lastop = ''), bool_or(_hc_err = '')) FROM salesforce.contact";
    assert_eq!(world.text(nulls).await.unwrap(), "f f f");
    assert_eq!(world.text(captured).await.unwrap(), "FAILED IGNORE IGNORE IGNORE IGNORE");
    // With a change in it.
    world
        .run("UPDATE salesforce.contact SET lastname = 'Other', sfid = NULL, _hc_lastop = 'SYNCED', _hc_err = 'old' WHERE id = 1")
        .await;
    let told =
        "SELECT concat_ws(' ', sfid IS NOT NULL, _hc_lastop, _hc_err) FROM salesforce.contact WHERE id = 1";
    assert_eq!(world.text(told).await.unwrap(), "t PENDING");
    assert_eq!(world.text(CAPTURED).await.unwrap(), r#""lastname"=>"Other""#);
    world.start_engine().await;
    world
        .until("it arrives", async || world.record("Contact", "K1").unwrap()["LastName"] == json!("Other"))
        .await;
    world.until_text(told, "t SYNCED").await;
    assert_eq!((world.writes("create", "K1"), world.org.ids("Contact").len()), (1, 1));
    // Who switches capture off means what he writes.
    world.stop_engine().await;
    world.run("BEGIN; SET LOCAL xmlbinary TO 'hex'; UPDATE salesforce.contact SET sfid = NULL; COMMIT").await;
    assert_eq!(world.text("SELECT count(sfid)::text FROM salesforce.contact").await.unwrap(), "0");
}
