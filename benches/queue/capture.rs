//! What an application pays for capture: its own transactions with and without, for single rows and for a statement
//! of 10,000 rows; the triggers that Heroku Connect installs beside ours, made anew after their described behaviour.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::Client;

use super::{connect, contact, each, figure, median, store};

const ROWS: i32 = 20_000;
/// One measurement of single rows.
const SPAN: Duration = Duration::from_millis(1_500);
const ROUNDS: usize = 3;

/// The three tables: nothing captured, ours, Heroku Connect's.
const TABLES: [(&str, &str); 3] =
    [("none", "plain.contact"), ("ours", "salesforce.contact"), ("heroku", "heroku.contact")];

const HEROKU: &str = r#"
CREATE SCHEMA heroku;
CREATE TABLE heroku.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE TABLE heroku._trigger_log (LIKE salesforce._trigger_log INCLUDING DEFAULTS);
CREATE INDEX ON heroku._trigger_log (created_at);
CREATE INDEX ON heroku._trigger_log (state, id);
CREATE INDEX ON heroku._trigger_log (state, table_name) WHERE state IN ('NEW', 'PENDING');
ALTER TABLE heroku._trigger_log ADD PRIMARY KEY (id);
CREATE FUNCTION public.get_xmlbinary() RETURNS text LANGUAGE plpgsql STABLE AS $$
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
    IF get_xmlbinary() = 'base64' THEN
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
    FOR EACH ROW WHEN (public.get_xmlbinary() = 'base64') EXECUTE FUNCTION heroku.hc_contact_logger();
CREATE TRIGGER hc_contact_status_trigger BEFORE INSERT OR UPDATE ON heroku.contact
    FOR EACH ROW EXECUTE FUNCTION heroku.hc_contact_status();
CREATE TRIGGER tlog_insert_trigger AFTER INSERT ON heroku._trigger_log
    FOR EACH ROW EXECUTE FUNCTION heroku.tlog_notify_trigger();
"#;

pub async fn run(url: &str) {
    let store = store(url).await;
    store.install("00D000000000000AAA", &[contact()]).await.unwrap();
    let sql = connect(url).await;
    sql.batch_execute("CREATE SCHEMA plain; CREATE TABLE plain.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES)")
        .await
        .unwrap();
    sql.batch_execute(HEROKU).await.unwrap();
    for (_, table) in TABLES {
        each(&sql, &format!(
            "ALTER TABLE {table} DISABLE TRIGGER USER;
             INSERT INTO {table} (id, sfid, lastname, firstname, title, email, phone, external_id__c)
             SELECT n, '003' || lpad(n::text, 15, '0'), 'Name ' || n, 'First', 'Title', 'n' || n || '@acme.com', '+1 555 0100', 'K' || n
             FROM generate_series(1, {ROWS}) n;
             ALTER TABLE {table} ENABLE TRIGGER USER;\nVACUUM ANALYZE {table}"
        ))
        .await;
    }
    // What a write that its engine makes pays is not what is measured: these are the application's own.
    for clients in [1, 16] {
        let mut rates: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (at, (_, table)) in TABLES.iter().enumerate() {
                rates[at].push(single_rows(url, table, clients).await);
                tidy(&sql).await;
            }
        }
        let [none, ours, heroku] = rates.map(median);
        let limit = 0.55;
        let plural = if clients == 1 { "" } else { "s" };
        figure(
            &format!("application's single-row updates with capture over without, {clients} client{plural}"),
            ours / none,
            "ratio",
            Some(limit),
            true,
            json!({"tps": {"none": none.round(), "ours": ours.round(), "heroku": heroku.round()},
                "heroku_ratio": (heroku / none * 1000.0).round() / 1000.0}),
        );
    }
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        for (at, (name, table)) in TABLES.iter().enumerate() {
            // Heroku Connect's take seconds; one round tells.
            if *name == "heroku" && round > 0 {
                continue;
            }
            let begin = Instant::now();
            sql.batch_execute(&format!("UPDATE {table} SET title = 'Round {round}' WHERE id <= 10000"))
                .await
                .unwrap();
            times[at].push(begin.elapsed().as_secs_f64() * 1000.0);
            tidy(&sql).await;
        }
    }
    let [none, ours, heroku] = times.map(median);
    figure(
        "application's statement of 10,000 rows with capture over without",
        none / ours,
        "ratio",
        Some(0.2),
        true,
        json!({"ms": {"none": none.round(), "ours": ours.round(), "heroku": heroku.round()},
            "heroku_ratio": (none / heroku * 1000.0).round() / 1000.0}),
    );
}

/// Transactions a second of so many clients, each updating rows of its own.
async fn single_rows(url: &str, table: &str, clients: i32) -> f64 {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for number in 0..clients {
        let client = connect(url).await;
        let (stop, done, table) = (stop.clone(), done.clone(), table.to_owned());
        tasks.push(tokio::spawn(async move {
            let update =
                client.prepare(&format!("UPDATE {table} SET lastname = $1 WHERE id = $2")).await.unwrap();
            let mut n = 0_i32;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let row = number * (ROWS / clients) + n % (ROWS / clients) + 1;
                client.execute(&update, &[&format!("Name {n}"), &row]).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let begin = Instant::now();
    tokio::time::sleep(SPAN).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

/// Every round begins alike.
async fn tidy(sql: &Client) {
    sql.batch_execute("TRUNCATE salesforce._trigger_log, heroku._trigger_log").await.unwrap();
    for (_, table) in TABLES {
        sql.batch_execute(&format!("VACUUM {table}")).await.unwrap();
    }
    sql.batch_execute("CHECKPOINT").await.unwrap();
}
