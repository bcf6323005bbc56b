//! Records that PostgreSQL refuses to store, or whose row it keeps: each has an error of its own and costs the others
//! nothing; each is stored, or goes, once what was in its way is gone, and then the error is over.

use serde_json::{Map, Value, json};

use crate::world::{MAPPINGS, World};

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl World {
    fn account(&self, name: &str, key: &str, more: Value) -> String {
        let mut record = fields(json!({"Name": name, "External_Id__c": key}));
        record.extend(fields(more));
        self.org.user_create("Account", record).unwrap()
    }

    /// The open errors of refused records: id, code and message, in the order of their ids.
    async fn refusals(&self) -> Vec<(String, String, String)> {
        let sql = "SELECT sfid::text, code, message FROM syncdeck.error
             WHERE resolved_at IS NULL AND op IN ('store', 'remove') ORDER BY sfid";
        self.sql
            .query(sql, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    }

    async fn until_refused(&self, count: usize) -> Vec<(String, String, String)> {
        self.until("records are refused", async || self.refusals().await.len() == count).await;
        self.refusals().await
    }

    async fn until_nothing_is_refused(&self) {
        self.until_refused(0).await;
        assert_eq!(self.text("SELECT count(*)::text FROM syncdeck.refused").await.unwrap(), "0");
    }

    async fn names(&self) -> String {
        let sql = "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM salesforce.account";
        self.text(sql).await.unwrap()
    }
}

const NAMES: &str = "SELECT string_agg(name, ' ' ORDER BY name) FROM salesforce.account";

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_unique_value_another_row_has_is_named_and_stored_when_the_value_is_free() {
    let world = World::start(MAPPINGS).await;
    world.run("CREATE UNIQUE INDEX account_phone_once ON salesforce.account (phone)").await;
    let one = world.account("One", "K1", json!({"Phone": "+49 30 1"}));
    world.until_text(NAMES, "One").await;
    let two = world.account("Two", "K2", json!({"Phone": "+49 30 1"}));
    let three = world.account("Three", "K3", json!({"Phone": "+49 30 1"}));
    world.account("Four", "K4", json!({"Phone": "+49 30 4"}));
    let refused = world.until_refused(2).await;
    world.until_text(NAMES, "Four One").await;
    let row = world.text("SELECT id::text FROM salesforce.account WHERE name = 'One'").await.unwrap();
    for ((id, code, message), sfid) in refused.iter().zip([&two, &three]) {
        assert_eq!((id, code.as_str()), (sfid, "ROW_DUPLICATE"));
        let said = format!(
            "the record {sfid} cannot be stored: the row {row} (record {one}) has the same phone, which account_phone_once allows once"
        );
        assert_eq!(*message, said);
    }
    let fields =
        "SELECT DISTINCT array_to_string(fields, ',') FROM syncdeck.error WHERE code = 'ROW_DUPLICATE'";
    assert_eq!(world.text(fields).await.unwrap(), "Phone");
    // Nobody touches the two records any more, and the reader is far past them.
    world.org.backdate("Account", chrono::TimeDelta::days(1));
    world.run("DROP INDEX salesforce.account_phone_once").await;
    world.until_text(NAMES, "Four One Three Two").await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_under_a_condition_and_an_expression_is_told_and_a_freed_one_is_taken() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "CREATE UNIQUE INDEX one_hot_ace ON salesforce.account (lower(nickname__c)) WHERE rating = 'Hot'",
        )
        .await;
    world.account("One", "K1", json!({"Nickname__c": "Ace", "Rating": "Hot"}));
    world.until_text(NAMES, "One").await;
    world.account("Two", "K2", json!({"Nickname__c": "ACE", "Rating": "Hot"}));
    world.account("Three", "K3", json!({"Nickname__c": "ace", "Rating": "Cold"}));
    let refused = world.until_refused(1).await;
    let row = world.text("SELECT id::text FROM salesforce.account WHERE name = 'One'").await.unwrap();
    assert!(refused[0].2.contains(&format!("the row {row} (record")), "{refused:?}");
    assert!(refused[0].2.contains("one_hot_ace"), "{refused:?}");
    world.until_text(NAMES, "One Three").await;
    // An application frees the value; nothing tells of that.
    world.run("UPDATE salesforce.account SET nickname__c = 'Other' WHERE name = 'One'").await;
    world.until_text(NAMES, "One Three Two").await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_load_cannot_store_is_kept_too() {
    let mut world = World::start(MAPPINGS).await;
    world.stop_engine().await;
    world
        .run(
            "ALTER TABLE salesforce.account ADD COLUMN tenant text NOT NULL DEFAULT 'x';
             ALTER TABLE salesforce.account ALTER COLUMN tenant DROP DEFAULT;
             UPDATE syncdeck.mapping SET load_done = false, read_cursor = NULL",
        )
        .await;
    for number in 0..5 {
        world.account(&format!("Acme{number}"), &format!("K{number}"), json!({}));
    }
    world.org.backdate("Account", chrono::TimeDelta::days(1));
    world.start_engine().await;
    let refused = world.until_refused(5).await;
    for (id, code, message) in refused {
        assert_eq!(code, "ROW_CONSTRAINT_REFUSED");
        let why = "the column tenant, which is not mapped, must have a value and has no default";
        assert_eq!(message, format!("the record {id} cannot be stored: {why}"));
    }
    // They are counted, and the status says so.
    world
        .until("the mapping shows them", async || {
            let overview = world.handle.overview().await.unwrap();
            overview.mappings.iter().any(|mapping| mapping.name == "Account" && mapping.errors == 5)
        })
        .await;
    world.run("ALTER TABLE salesforce.account ALTER COLUMN tenant SET DEFAULT 'y'").await;
    world.until_text(NAMES, "Acme0 Acme1 Acme2 Acme3 Acme4").await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_and_late_constraints_refuse_one_record_and_cost_the_others_nothing() {
    let world = World::start(MAPPINGS).await;
    world
        .run(
            "CREATE FUNCTION public.no_ace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.nickname__c = 'raise' THEN RAISE EXCEPTION 'no such name here' USING ERRCODE = 'AC001'; END IF;
                 IF NEW.nickname__c = 'broken' THEN PERFORM nowhere(); END IF;
                 IF NEW.nickname__c = 'silent' THEN RETURN NULL; END IF;
                 RETURN NEW; END $$;
             CREATE TRIGGER no_ace BEFORE INSERT ON salesforce.account FOR EACH ROW EXECUTE FUNCTION public.no_ace();
             CREATE TABLE public.allowed (rating text PRIMARY KEY);
             INSERT INTO public.allowed VALUES ('Warm'), ('Cold');
             ALTER TABLE salesforce.account ADD CONSTRAINT rating_is_allowed FOREIGN KEY (rating)
                 REFERENCES public.allowed DEFERRABLE INITIALLY DEFERRED;
             ALTER TABLE salesforce.account ADD CONSTRAINT one_fleet EXCLUDE (fleet_size__c WITH =) WHERE (fleet_size__c <> '')",
        )
        .await;
    let raised = world.account("Raised", "K1", json!({"Nickname__c": "raise"}));
    let broken = world.account("Broken", "K2", json!({"Nickname__c": "broken"}));
    let silent = world.account("Silent", "K3", json!({"Nickname__c": "silent"}));
    let late = world.account("Late", "K4", json!({"Rating": "Hot"}));
    world.account("Fine", "K5", json!({"Rating": "Warm", "Fleet_Size__c": "12"}));
    world.until_text(NAMES, "Fine").await;
    let shut = world.account("Shut", "K6", json!({"Fleet_Size__c": "12"}));
    let refused = world.until_refused(5).await;
    let of = |sfid: &str| refused.iter().find(|(id, ..)| id == sfid).unwrap();
    assert_eq!(of(&raised).1, "ROW_TRIGGER_REFUSED");
    assert!(
        of(&raised).2.contains("the function no_ace of a trigger refuses it: no such name here"),
        "{refused:?}"
    );
    assert!(of(&broken).2.contains("no_ace"), "{refused:?}");
    assert!(of(&silent).2.contains("without a word"), "{refused:?}");
    assert_eq!(of(&late).1, "ROW_CONSTRAINT_REFUSED");
    assert!(of(&late).2.contains("rating_is_allowed"), "{refused:?}");
    assert!(of(&shut).2.contains("one_fleet"), "{refused:?}");
    world.account("Next", "K7", json!({}));
    world.until_text(NAMES, "Fine Next").await;
    world
        .run(
            "DROP TRIGGER no_ace ON salesforce.account;
             ALTER TABLE salesforce.account DROP CONSTRAINT rating_is_allowed, DROP CONSTRAINT one_fleet",
        )
        .await;
    world.until_text(NAMES, "Broken Fine Late Next Raised Shut Silent").await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_a_constraint_refuses_is_made_up_for() {
    let world = World::start(MAPPINGS).await;
    let one = world.account("One", "K1", json!({"Rating": "Warm"}));
    let two = world.account("Two", "K2", json!({"Rating": "Warm"}));
    world.until_text(NAMES, "One Two").await;
    world.run("ALTER TABLE salesforce.account ADD CONSTRAINT not_hot CHECK (rating <> 'Hot')").await;
    world.org.user_update("Account", &one, fields(json!({"Rating": "Hot"}))).unwrap();
    world.org.user_update("Account", &two, fields(json!({"Rating": "Cold"}))).unwrap();
    let refused = world.until_refused(1).await;
    assert_eq!((refused[0].0.as_str(), refused[0].1.as_str()), (one.as_str(), "ROW_CONSTRAINT_REFUSED"));
    assert!(refused[0].2.contains("not_hot") && refused[0].2.contains("CHECK"), "{refused:?}");
    let ratings = "SELECT string_agg(rating, ' ' ORDER BY name) FROM salesforce.account";
    world.until_text(ratings, "Warm Cold").await;
    // A trigger that keeps a row as it is says nothing at all.
    world
        .run(
            "CREATE FUNCTION public.keep_two() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.nickname__c = 'no' THEN RETURN NULL; END IF; RETURN NEW; END $$;
             CREATE TRIGGER keep_two BEFORE UPDATE ON salesforce.account FOR EACH ROW EXECUTE FUNCTION public.keep_two()",
        )
        .await;
    world.org.user_update("Account", &two, fields(json!({"Nickname__c": "no"}))).unwrap();
    let refused = world.until_refused(2).await;
    assert_eq!((&refused[1].0, refused[1].1.as_str()), (&two, "ROW_TRIGGER_REFUSED"));
    world.run("DROP TRIGGER keep_two ON salesforce.account").await;
    world.until_text("SELECT nickname__c FROM salesforce.account WHERE name = 'Two'", "no").await;
    // Mended on the other side.
    world.org.user_update("Account", &one, fields(json!({"Rating": "Cold"}))).unwrap();
    world.until_text(ratings, "Cold Cold").await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_something_refers_to_keeps_no_other_from_going() {
    let world = World::start(MAPPINGS).await;
    let ids: Vec<String> = ["A", "B", "C", "D"]
        .iter()
        .map(|name| world.account(name, &format!("K-{name}"), json!({})))
        .collect();
    world.until_text(NAMES, "A B C D").await;
    world
        .run(
            "CREATE TABLE public.photo (id serial PRIMARY KEY, account_id int NOT NULL REFERENCES salesforce.account (id));
             INSERT INTO public.photo (account_id) SELECT id FROM salesforce.account WHERE name = 'B';
             CREATE FUNCTION public.keep_c() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF OLD.name = 'C' THEN RETURN NULL; END IF; RETURN OLD; END $$;
             CREATE TRIGGER keep_c BEFORE DELETE ON salesforce.account FOR EACH ROW EXECUTE FUNCTION public.keep_c()",
        )
        .await;
    ids[..3].iter().for_each(|id| world.org.user_delete("Account", id).unwrap());
    let refused = world.until_refused(2).await;
    world.until_text(NAMES, "B C D").await;
    assert!(refused.iter().all(|(_, code, _)| code == "ROW_DELETE_REFUSED"), "{refused:?}");
    let said = |id: &str| format!("the row of the record {id}, which was deleted in Salesforce, stays: ");
    let referred = said(&ids[1]) + "the table photo refers to its row (constraint photo_account_id_fkey)";
    assert_eq!((&refused[0].0, refused[0].2.as_str()), (&ids[1], referred.as_str()));
    assert_eq!(refused[1].2, said(&ids[2]) + "a trigger or a rule of the table keeps the row without a word");
    world.org.user_delete("Account", &ids[3]).unwrap();
    world.until_text(NAMES, "B C").await;
    world.run("DELETE FROM public.photo; DROP TRIGGER keep_c ON salesforce.account").await;
    world.until("all of them went", async || world.names().await.is_empty()).await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_records_with_one_external_id_are_told_apart() {
    // In Salesforce an external id need not be unique.
    let world = World::start(MAPPINGS).await;
    world.account("One", "K1", json!({}));
    world.until_text(NAMES, "One").await;
    // The row of the one record takes the other's key, unknown to Salesforce, and no poll looks back that far.
    world.org.backdate("Account", chrono::TimeDelta::days(1));
    world
        .run(
            "BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex';
             UPDATE salesforce.account SET external_id__c = 'K2'; COMMIT",
        )
        .await;
    let two = world.account("Two", "K2", json!({}));
    let refused = world.until_refused(1).await;
    assert_eq!((refused[0].0.as_str(), refused[0].1.as_str()), (two.as_str(), "ROW_DUPLICATE"));
    assert!(refused[0].2.contains("has the same external id External_Id__c"), "{refused:?}");
    world
        .run(
            "BEGIN; SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex';
             UPDATE salesforce.account SET external_id__c = 'K1'; COMMIT",
        )
        .await;
    world.until_text(NAMES, "One Two").await;
    world.until_nothing_is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_user_is_about_to_take_is_waited_for_by_nobody() {
    let world = World::start(MAPPINGS).await;
    world.run("CREATE UNIQUE INDEX account_phone_once ON salesforce.account (phone)").await;
    let user = world.another_session().await;
    user.batch_execute("BEGIN; INSERT INTO salesforce.account (name, phone) VALUES ('Mine', '1234567')")
        .await
        .unwrap();
    world.account("Theirs", "K1", json!({"Phone": "1234567"}));
    world.account("Other", "K2", json!({"Phone": "7654321"}));
    world.until_text(NAMES, "Other").await;
    user.batch_execute("ROLLBACK").await.unwrap();
    world.until_text(NAMES, "Other Theirs").await;
    world.until_nothing_is_refused().await;
}
