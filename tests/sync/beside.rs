//! A database of Heroku Connect's for tests: its schema, rows in step, changes that were refused, and a client beside it.

use std::time::Duration;

use syncdeck::client::api::{self, ErrorQuery};
use syncdeck::client::attached::session::Attached;
use syncdeck::domain::attached::mode::WriteMode;
use syncdeck::domain::errors::sync_error::SyncError;
use syncdeck::domain::records::record::{Edit, FieldEdit};
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;
use tokio_postgres::{Client, NoTls};

use crate::heroku_engine::NO_MAIL;
use crate::support::{Patience, new_database, operator, server};
use crate::world::contact;

pub const SCHEMA: &str = include_str!("attached.sql");

/// A database of Heroku Connect's, a client beside it, and a session of the application's owner.
pub struct Beside {
    pub url: String,
    pub sql: Client,
    pub client: api::Client,
}

impl Beside {
    pub async fn new(writes: Option<WriteMode>, sql: &str) -> Beside {
        let url = server().url(&new_database().await);
        let owner = session(&url).await;
        run(&owner, SCHEMA).await;
        run(&owner, sql).await;
        let client = client(&url, writes, false).await;
        Beside { url, sql: owner, client }
    }

    /// With a client that has not looked yet: whole tables are looked at every 30 s.
    pub async fn afresh(self) -> Beside {
        Beside { client: client(&self.url, None, false).await, ..self }
    }

    pub async fn errors(&self, filter: &str) -> Vec<SyncError> {
        let query = ErrorQuery { filter: filter.to_owned(), limit: 1_000, ..ErrorQuery::default() };
        self.client.errors(&query).await.unwrap().items
    }

    pub async fn run(&self, sql: &str) {
        run(&self.sql, sql).await;
    }

    pub async fn text(&self, sql: &str) -> Option<String> {
        let rows = self.sql.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.first().and_then(|row| row.get(0))
    }

    /// The entries of a row, live and archived: `id state action columns`.
    pub async fn log(&self, row: i32) -> String {
        let sql = format!(
            "SELECT coalesce(string_agg(line, '; ' ORDER BY id), '') FROM (
                 SELECT id, state || ' ' || action || ' ' || coalesce((SELECT string_agg(key || '=' || coalesce(value, 'NULL'), ' ' ORDER BY key)
                     FROM each(values::hstore) WHERE key IN ('email', 'phone', 'lastname')), '') AS line
                 FROM (SELECT * FROM salesforce._trigger_log UNION ALL SELECT * FROM salesforce._trigger_log_archive) whole
                 WHERE record_id = {row}) lines"
        );
        self.text(&sql).await.unwrap()
    }

    pub async fn edit(
        &self,
        row: i32,
        column: &str,
        shown: Option<&str>,
        new: Option<&str>,
        retry: bool,
    ) -> Result<(), api::ClientError> {
        let field = FieldEdit {
            column: column.to_owned(),
            shown: shown.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        self.client.save(&Edit { row: contact(row), fields: vec![field], retry }).await
    }

    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut patience = Patience::new();
        while !holds().await {
            if patience.wants_a_look() {
                let work = "SELECT concat((SELECT last_value FROM salesforce._trigger_log_id_seq), ' ',
                    (SELECT count(*) FROM salesforce._trigger_log_archive), ' ', (SELECT sum(xmin::text::bigint) FROM salesforce._trigger_log))";
                patience.sees(self.text(work).await);
            }
            assert!(!patience.is_over(), "this did not come true in time: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub async fn session(url: &str) -> Client {
    let (sql, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    sql
}

pub async fn run(sql: &Client, text: &str) {
    sql.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
}

pub async fn client(url: &str, writes: Option<WriteMode>, read_only: bool) -> api::Client {
    let session = Session::of_console(Duration::from_secs(15), read_only);
    let store = Store::open(url, "salesforce", &session).await.unwrap();
    api::Client::attached(Attached::open(store, "hc", writes).await.unwrap(), operator("tester@here"))
        .meant_for("test")
}

/// Rows that are in step with Salesforce, and the application's changes of them.
pub const ROWS: &str = "SET xmlbinary = 'hex';
    INSERT INTO salesforce.contact (id, lastname, email, phone, sfid)
    SELECT id, 'Row' || id, 'row' || id || '@example.com', '+1 555 0' || id, '003HC' || lpad(id::text, 13, '0') FROM generate_series(1, 20) id;
    INSERT INTO salesforce.\"user\" (id, username, sfid) VALUES (1, 'ann@example.com', '005HC0000000000001');
    INSERT INTO salesforce.recordtype (id, name, sfid) VALUES (1, 'Customer', '012HC0000000000001');
    INSERT INTO salesforce.legacy__c (id, name, _hc_lastop, _hc_err) VALUES (1, 'old', 'SYNCED', NULL);
    RESET xmlbinary;";

/// The answer of Heroku Connect to the newest change of a row: refused.
pub fn refused(row: i32, column: &str) -> String {
    format!(
        "SET xmlbinary = 'hex';
         UPDATE salesforce._trigger_log SET state = 'FAILED', processed_at = clock_timestamp(), sf_message = '{NO_MAIL}'
         WHERE id = (SELECT max(id) FROM salesforce._trigger_log WHERE table_name = '{column}' AND record_id = {row});
         UPDATE salesforce.{column} SET _hc_lastop = 'FAILED', _hc_err = '{{\"msg\":\"{NO_MAIL}\"}}' WHERE id = {row};
         RESET xmlbinary;"
    )
}

/// A change of a row's e-mail address that Salesforce refused.
pub fn bad_email(row: i32) -> String {
    format!("UPDATE salesforce.contact SET email = 'no-mail' WHERE id = {row}; {}", refused(row, "contact"))
}

pub const ARCHIVE: &str =
    "WITH moved AS (DELETE FROM salesforce._trigger_log WHERE state NOT IN ('NEW', 'PENDING') RETURNING *)
    INSERT INTO salesforce._trigger_log_archive SELECT * FROM moved;";
