//! What an application pays for capture: its own transactions with and without, for single rows and for a statement
//! of 10,000 rows; beside ours the least that triggers can do for the same promise, and those that Heroku Connect
//! installs, made anew after their described behaviour.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::single::{ROWS, updates};
use super::{Limit, Side, connect, contact, each, figure, fill_contacts, store};

/// One measurement of single rows.
const SPAN: Duration = Duration::from_millis(1_000);
const ROUNDS: usize = 9;
/// Heroku Connect's take seconds; a few tell.
const HEROKU_ROUNDS: usize = 2;
/// The rows of the large statement.
const LARGE: i32 = 10_000;

/// The tables, each with what is captured of it.
const TABLES: [(&str, &str); 4] = [
    ("nothing is captured", "plain.contact"),
    ("our capture", "salesforce.contact"),
    ("triggers that write a constant row into a log with our indexes, and _hc_lastop", "least.contact"),
    ("Heroku Connect's triggers", "heroku.contact"),
];

/// The constant row is one of ours, so that both write as many bytes.
const LEAST: &str = r#"
CREATE SCHEMA least;
CREATE TABLE least.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE TABLE least._trigger_log (LIKE salesforce._trigger_log INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE FUNCTION least.status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW._hc_lastop := 'PENDING';
    RETURN NEW;
END $$;
CREATE TRIGGER status BEFORE UPDATE ON least.contact FOR EACH ROW EXECUTE FUNCTION least.status();
DO $do$
DECLARE
    entry record;
BEGIN
    UPDATE salesforce.contact SET lastname = 'Name 1 again' WHERE id = 1;
    SELECT * INTO entry FROM salesforce._trigger_log;
    EXECUTE format('CREATE FUNCTION least.log() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO least._trigger_log
                (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old, values)
            VALUES (%L, %L, NULL, %L, %L, %L, %L, %L, %L, %L);
            RETURN NULL;
        END $$', entry.txid, entry.created_at, entry.state, entry.action, entry.table_name, entry.record_id, entry.sfid,
        entry.old, entry.values);
END $do$;
CREATE TRIGGER log AFTER UPDATE ON least.contact FOR EACH ROW EXECUTE FUNCTION least.log();
"#;

const HEROKU: &str = r#"
CREATE SCHEMA heroku;
CREATE TABLE heroku.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE TABLE heroku._trigger_log (LIKE salesforce._trigger_log INCLUDING DEFAULTS);
CREATE INDEX ON heroku._trigger_log (created_at);
CREATE INDEX ON heroku._trigger_log (state, id);
CREATE INDEX ON heroku._trigger_log (state, table_name) WHERE state IN ('NEW', 'PENDING');
ALTER TABLE heroku._trigger_log ADD PRIMARY KEY (id);
CREATE FUNCTION heroku.get_xmlbinary() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE xmlbin text;
BEGIN
    SELECT setting INTO xmlbin FROM pg_settings WHERE name = 'xmlbinary';
    RETURN xmlbin;
END $$;
CREATE FUNCTION heroku.hc_contact_logger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry heroku._trigger_log;
    excluded text[] = ARRAY['_hc_lastop', '_hc_err']::text[];
BEGIN
    entry := ROW();
    entry.id := nextval('salesforce._trigger_log_id_seq');
    entry.action := TG_OP;
    entry.table_name := TG_TABLE_NAME;
    entry.txid := txid_current();
    entry.created_at := clock_timestamp();
    entry.state := 'NEW';
    IF TG_OP = 'INSERT' THEN
        entry.record_id := NEW.id;
        entry.values := hstore(NEW.*) - excluded;
    ELSIF TG_OP = 'UPDATE' THEN
        entry.record_id := NEW.id;
        entry.old := hstore(OLD.*) - excluded;
        entry.values := (hstore(NEW.*) - hstore(OLD.*)) - excluded;
        entry.sfid := OLD.sfid;
    ELSE
        entry.record_id := OLD.id;
        entry.old := hstore(OLD.*) - excluded;
        entry.sfid := OLD.sfid;
    END IF;
    INSERT INTO heroku._trigger_log VALUES (entry.*);
    RETURN NULL;
END $$;
CREATE FUNCTION heroku.hc_contact_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF heroku.get_xmlbinary() = 'base64' THEN
        NEW._hc_lastop := 'PENDING';
        NEW._hc_err := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION heroku.tlog_notify_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('heroku.hc_trigger_log', 'ping');
    RETURN new;
END $$;
CREATE TRIGGER hc_contact_logtrigger AFTER INSERT OR UPDATE OR DELETE ON heroku.contact
    FOR EACH ROW WHEN (heroku.get_xmlbinary() = 'base64') EXECUTE FUNCTION heroku.hc_contact_logger();
CREATE TRIGGER hc_contact_status_trigger BEFORE INSERT OR UPDATE ON heroku.contact
    FOR EACH ROW EXECUTE FUNCTION heroku.hc_contact_status();
CREATE TRIGGER tlog_insert_trigger AFTER INSERT ON heroku._trigger_log
    FOR EACH ROW EXECUTE FUNCTION heroku.tlog_notify_trigger();
"#;

pub async fn run(url: &str) {
    let store = store(url).await;
    store.install("00D000000000000AAA", &[contact()]).await.unwrap();
    let sql = connect(url).await;
    fill_contacts(&sql, "salesforce.contact", i64::from(ROWS)).await;
    sql.batch_execute("CREATE SCHEMA plain; CREATE TABLE plain.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES)")
        .await
        .unwrap();
    sql.batch_execute(LEAST).await.unwrap();
    sql.batch_execute(HEROKU).await.unwrap();
    for (_, table) in TABLES.iter().filter(|(_, table)| *table != "salesforce.contact") {
        each(&sql, &format!("ALTER TABLE {table} DISABLE TRIGGER USER")).await;
        fill_contacts(&sql, table, i64::from(ROWS)).await;
        each(&sql, &format!("ALTER TABLE {table} ENABLE TRIGGER USER")).await;
    }
    tidy(&sql).await;
    // Where a commit waits long for the disk, it hides what is measured.
    let no_wait = format!("{url}&options=-c%20synchronous_commit%3Doff");
    for (who, url, clients, limits) in [
        ("1 client", url, 1, [0.65, 0.75]),
        ("1 client that does not wait for the disk", no_wait.as_str(), 1, [0.5, 0.7]),
        ("16 clients", url, 16, [0.65, 0.75]),
    ] {
        let mut sides = TABLES.map(|(what, _)| Side::new(what));
        for round in 0..ROUNDS {
            for (side, (_, table)) in sides.iter_mut().zip(TABLES) {
                if table != "heroku.contact" || round < HEROKU_ROUNDS {
                    side.rounds.push(updates(url, table, clients, SPAN).await);
                    tidy(&sql).await;
                }
            }
        }
        tell(&format!("application's single-row updates, {who}"), &sides, "tps", limits);
    }
    let mut sides = TABLES.map(|(what, _)| Side::new(what));
    for round in 0..ROUNDS {
        for (side, (_, table)) in sides.iter_mut().zip(TABLES) {
            if table != "heroku.contact" || round < HEROKU_ROUNDS {
                let begin = Instant::now();
                sql.batch_execute(&format!("UPDATE {table} SET title = 'Round {round}' WHERE id <= {LARGE}"))
                    .await
                    .unwrap();
                side.rounds.push(f64::from(LARGE) / begin.elapsed().as_secs_f64());
                tidy(&sql).await;
            }
        }
    }
    tell("application's statement of 10,000 rows", &sides, "rows/s", [0.25, 0.5]);
}

/// Ours over none, the least over none (the bound of what can be reached), and ours over the least.
fn tell(name: &str, [none, ours, least, heroku]: &[Side; 4], unit: &str, limits: [f64; 2]) {
    figure(&format!("{name}: with capture over without"), ours, none, unit, Limit::AtLeast(limits[0]));
    figure(&format!("{name}: the bound, constant rows over no capture"), least, none, unit, Limit::None);
    figure(&format!("{name}: capture over constant rows"), ours, least, unit, Limit::AtLeast(limits[1]));
    figure(&format!("{name}: capture over Heroku Connect's"), ours, heroku, unit, Limit::AtLeast(1.0));
}

/// Every round begins alike: all rows in step, the logs empty.
async fn tidy(sql: &Client) {
    sql.batch_execute("TRUNCATE salesforce._trigger_log, least._trigger_log, heroku._trigger_log")
        .await
        .unwrap();
    for (_, table) in TABLES {
        each(
            sql,
            &format!(
                "ALTER TABLE {table} DISABLE TRIGGER USER;
             UPDATE {table} SET _hc_lastop = 'SYNCED' WHERE _hc_lastop <> 'SYNCED';
             ALTER TABLE {table} ENABLE TRIGGER USER;\nVACUUM {table}"
            ),
        )
        .await;
    }
    sql.batch_execute("CHECKPOINT").await.unwrap();
}
