//! What is around the program: clocks, disks, names, and people who change the schema.

use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::application::{ACCOUNT, CONTACT};
use crate::support::{new_server, server};
use crate::world::{MAPPINGS, World, span};

/// Says, where everybody sees it, that a test cannot run here.
fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "{test}: SKIPPED: {why}");
}

/// The library that gives a program another wall clock.
fn faketime() -> Option<PathBuf> {
    let places =
        ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    let library =
        |place: &&str| Some(Path::new(place).join("libfaketimeMT.so.1")).filter(|path| path.exists());
    places.iter().find_map(library)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_wrong_by_days_and_jumps_changes_nothing() {
    let Some(library) = faketime() else {
        return skip("wrong clock", "libfaketime is not installed (apt-get install faketime)");
    };
    let mut world = World::new("wrong clock").await;
    let dial = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(dial.path(), "+2d").unwrap();
    let environment = vec![
        ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", dial.path().to_str().unwrap().to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    world.start_engine_with("", environment.clone());
    world.until_loaded().await;
    world.org.change_faults(|faults| faults.row_lock = 0.1);
    world.application.start(3, world.seed, Duration::from_millis(20));
    for shift in ["-2d", "+3d", "-1d"] {
        tokio::time::sleep(span(1.5)).await;
        std::fs::write(dial.path(), shift).unwrap();
        // Somebody else's clock is right.
        if shift == "+3d" {
            world.start_engine("");
        }
        let id = world.org.ids("Contact").first().cloned();
        if let Some(id) = id {
            world.user_writes("Contact", &id, "Title", json!(shift));
        }
    }
    world.judge().await;
    // Deletes are read by spans of time: they must not be missed either.
    let id = world.org.find_by_external_id("Account", "probe-out").unwrap();
    world.org.user_delete("Account", &id).unwrap();
    let gone = "SELECT count(*) FROM salesforce.account WHERE external_id__c = 'probe-out'";
    world.until_count("the delete arrives", gone, 0).await;
    let off = world
        .count("SELECT count(*) FROM syncdeck.log WHERE abs(extract(epoch FROM time - now())) > 40000")
        .await;
    assert!(off > 0, "the engine's clock was never wrong");
}

/// A small file system that goes away with its value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(megabytes: u32) -> Result<SmallDisk, String> {
        let dir = tempfile::Builder::new().prefix("syncdeck-disk-").tempdir_in("/tmp").unwrap().keep();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(&dir)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(SmallDisk(dir));
        }
        let _ = std::fs::remove_dir(&dir);
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_logs_is_told_to_those_who_write_and_nothing_is_lost() {
    if !nix::unistd::geteuid().is_root() {
        return skip("full disk", "it needs root, to mount a small file system");
    }
    let disk = match SmallDisk::mount(32) {
        Ok(disk) => disk,
        Err(why) => return skip("full disk", &format!("a small file system cannot be mounted: {why}")),
    };
    let mut world = World::build("full disk", new_server(), MAPPINGS, &[ACCOUNT, CONTACT]).await;
    world.engine().await;
    let owner = nix::unistd::User::from_name("postgres")
        .unwrap()
        .or(nix::unistd::User::from_name("nobody").unwrap())
        .unwrap();
    chown(&disk.0, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    world.run(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display())).await;
    for table in ["salesforce._trigger_log", "syncdeck.log"] {
        world.run(&format!("ALTER TABLE {table} SET TABLESPACE small")).await;
    }
    world.application.start(3, world.seed, Duration::from_millis(10));
    // Not more in the long form: the writers alone would fill this disk.
    world.until("they write", async |world| world.application.commits() > 100).await;
    let ballast = disk.0.join("ballast");
    let _ = std::fs::write(&ballast, vec![0_u8; 40 * 1024 * 1024]);
    // Large rows that do not compress, so that the pages which are there do not serve for long.
    let sql = "INSERT INTO salesforce.contact (lastname, description, external_id__c)
         SELECT 'Big', (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 900 + n - n)), 'BIG' || n
         FROM generate_series(1, 60) n";
    let refused = world.sql.batch_execute(sql).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "53100", "{refused:?}");
    let tried = |world: &World| world.application.commits() + world.application.refusals().len() as u64;
    let before = tried(&world);
    world.until("writers try on", async |world| tried(world) > before + 200).await;
    assert!(world.engines[0].is_running(), "the engine ended:\n{}", world.printed());
    std::fs::remove_file(&ballast).unwrap();
    let before = world.application.commits();
    world.until("the writers go on", async |world| world.application.commits() > before + 10).await;
    world.application.finish().await;
    let refusals = world.application.take_refusals();
    assert!(refusals.iter().all(|text| text.starts_with("53100")), "{refusals:?}");
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_of_tables_are_names_like_any_other() {
    let long = "n".repeat(63);
    let names = ["tab'le", "a\"b", "select", long.as_str(), "tëst; drop table x --"];
    let objects = ["Account", "Contact", "Lead", "Product2", "Opportunity"];
    let field = ["Name", "LastName", "LastName", "Name", "Name"];
    let mut mappings = String::new();
    for at in 0..names.len() {
        mappings += &format!(
            "[[mapping]]\nobject = \"{}\"\ntable = {}\nfields = [\"{}\", \"Description\"]\nexternal_id = \"External_Id__c\"\npoll_interval = \"300ms\"\n",
            objects[at],
            json!(names[at]),
            field[at]
        );
    }
    let mut world = World::build("hostile names", server(), &mappings, &[]).await;
    world.engine().await;
    for (at, name) in names.iter().enumerate() {
        let table = format!("salesforce.\"{}\"", name.replace('"', "\"\""));
        let (column, object) = (field[at].to_lowercase(), objects[at]);
        let record = |world: &World| {
            let id = world.org.find_by_external_id(object, "H1")?;
            world.org.record(object, &id)
        };
        world
            .run(&format!("INSERT INTO {table} ({column}, external_id__c) VALUES ('It''s \"one\"', 'H1')"))
            .await;
        if ["Lead", "Opportunity"].contains(&object) {
            // These need fields that are not mapped: the refusal is listed by the table's own name.
            let listed = "SELECT count(*) FROM syncdeck.error WHERE table_name = $1 AND resolved_at IS NULL";
            world
                .until(&format!("{name} is refused and listed"), async |world| {
                    world.sql.query_one(listed, &[name]).await.unwrap().get::<_, i64>(0) == 1
                })
                .await;
            continue;
        }
        world.until(&format!("a row of {name} arrives"), async |world| record(world).is_some()).await;
        world.run(&format!("UPDATE {table} SET description = 'two' WHERE external_id__c = 'H1'")).await;
        world
            .until(&format!("an update of {name} arrives"), async |world| {
                record(world).is_some_and(|record| record["Description"] == json!("two"))
            })
            .await;
        let id = world.org.find_by_external_id(object, "H1").unwrap();
        world.user_writes(object, &id, "Description", json!("three"));
        let read = format!("SELECT count(*) FROM {table} WHERE description = 'three'");
        world.until_count(&format!("a change in Salesforce reaches {name}"), &read, 1).await;
        world.run(&format!("DELETE FROM {table}")).await;
        world.until(&format!("a delete of {name} arrives"), async |world| record(world).is_none()).await;
    }
    // A restart finds everything laid out, though names were cut.
    world.kill_and_restart(0);
    world.judge().await;
}

impl World {
    async fn until_listed(&mut self, mapping: &str, code: &str, names: &str) {
        let sql = format!(
            "SELECT count(*) FROM syncdeck.error WHERE mapping = '{mapping}' AND code = '{code}' AND message LIKE '%{names}%' AND resolved_at IS NULL"
        );
        self.until_count(&format!("{mapping} {code} is listed"), &sql, 1).await;
        let state = format!("SELECT state FROM syncdeck.mapping WHERE name = '{mapping}'");
        self.until("the mapping looks broken", async |world| {
            world.sql.query_one(&state, &[]).await.unwrap().get::<_, String>(0) == "broken"
        })
        .await;
    }

    async fn until_mended(&mut self) {
        let sql = "SELECT count(*) FROM syncdeck.error WHERE op = 'schema' AND resolved_at IS NULL";
        self.until_count("the guard is content again", sql, 0).await;
    }

    /// A contact gets through, or waits while its table does not fit; an account gets through in any case.
    async fn until_account_arrives(&mut self, key: &str) {
        self.run(&format!("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Well', '{key}')"))
            .await;
        self.until("another mapping goes on", async |world| {
            world.org.find_by_external_id("Account", key).is_some()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_dropped_or_switched_off_and_columns_changed_are_noticed_and_harm_nobody_else() {
    let mut world = World::new("schema changed").await;
    world.engine().await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Before', 'B1')").await;
    world.until("it is there", async |world| world.org.find_by_external_id("Contact", "B1").is_some()).await;
    let logger = "salesforce.contact";

    world.run(&format!("ALTER TABLE {logger} DISABLE TRIGGER \"00_hc_logger\"")).await;
    world.until_listed("Contact", "CAPTURE_MISSING", "switched off").await;
    world.until_account_arrives("A1").await;
    world.run(&format!("ALTER TABLE {logger} ENABLE TRIGGER \"00_hc_logger\"")).await;
    world.until_mended().await;

    world.run(&format!("DROP TRIGGER \"00_hc_logger\" ON {logger}")).await;
    world.until_listed("Contact", "CAPTURE_MISSING", "missing").await;
    world.until_account_arrives("A2").await;
    // The remedy that it names.
    world.kill_and_restart(0);
    world.until_mended().await;

    world.run("ALTER TABLE salesforce.contact DROP COLUMN description").await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('During', 'D1')").await;
    world.until_listed("Contact", "TABLE_CHANGED", "no column description").await;
    world.until_account_arrives("A3").await;
    world.run("ALTER TABLE salesforce.contact ADD COLUMN description text").await;
    world.until_mended().await;
    world
        .until("what waited arrives", async |world| world.org.find_by_external_id("Contact", "D1").is_some())
        .await;

    world.run("ALTER TABLE salesforce.contact ALTER COLUMN title TYPE integer USING NULL").await;
    world.until_listed("Contact", "TABLE_CHANGED", "title of contact is integer").await;
    world.until_account_arrives("A4").await;
    world.run("ALTER TABLE salesforce.contact ALTER COLUMN title TYPE varchar(128)").await;
    world.until_mended().await;

    world.run("ALTER TABLE salesforce.contact RENAME COLUMN _hc_err TO hidden").await;
    world.run("INSERT INTO salesforce.account (name, external_id__c) VALUES ('Well', 'A5')").await;
    world.until_listed("Contact", "TABLE_CHANGED", "no column _hc_err").await;
    world.run("ALTER TABLE salesforce.contact RENAME COLUMN hidden TO _hc_err").await;
    world.until_mended().await;

    world.run("ALTER SEQUENCE salesforce._trigger_log_id_seq CACHE 50").await;
    world.until_listed("Account", "SEQUENCE_CACHE", "CACHE 50").await;
    world.run("ALTER SEQUENCE salesforce._trigger_log_id_seq CACHE 1").await;
    world.until_mended().await;

    world
        .run(
            "CREATE FUNCTION salesforce.app_noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER \"000_app\" AFTER UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION salesforce.app_noop()",
        )
        .await;
    world.until_listed("Contact", "CAPTURE_ORDER", "000_app").await;
    world.run("ALTER TRIGGER \"000_app\" ON salesforce.contact RENAME TO zzz_app").await;
    world.until_mended().await;
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_trigger_that_refuses_outcomes_costs_only_their_telling() {
    let mut world = World::new("outcomes refused").await;
    world.engine().await;
    world
        .run(
            "CREATE FUNCTION salesforce.app_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.sfid IS DISTINCT FROM OLD.sfid AND NEW.lastname = 'Guarded' THEN RAISE EXCEPTION 'not now'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER app_guard BEFORE UPDATE ON salesforce.contact FOR EACH ROW EXECUTE FUNCTION salesforce.app_guard();
             INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Guarded', 'G1'), ('Free', 'G2')",
        )
        .await;
    let listed = "SELECT count(*) FROM syncdeck.error WHERE code = 'WRITE_BACK_REFUSED' AND message LIKE '%not now%' AND resolved_at IS NULL";
    world.until_count("the refusal is listed", listed, 1).await;
    let told = "SELECT count(*) FROM salesforce.contact WHERE sfid IS NOT NULL AND external_id__c = 'G2'";
    world.until_count("the other row is told", told, 1).await;
    world.run("DROP TRIGGER app_guard ON salesforce.contact").await;
    world.judge().await;
    let over =
        "SELECT count(*) FROM syncdeck.error WHERE code = 'WRITE_BACK_REFUSED' AND resolved_at IS NULL";
    world.until_count("the refusal is over", over, 0).await;
    let creates = world
        .org
        .journal_since(0)
        .iter()
        .filter(|entry| entry.op == "create" && entry.object == "Contact")
        .count();
    assert_eq!(creates, 2);
}
