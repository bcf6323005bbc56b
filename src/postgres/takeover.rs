//! What a predecessor left in the schema, above all Heroku Connect: its triggers are replaced by ours, the sequence of the
//! change log is made fit, and the function is there that applications written against it call.

use std::collections::BTreeMap;

use super::capture::{LOGGER, STATUS, function};
use super::{Error, Store, Transaction, While, quote};
use crate::postgres::client::Client;

/// Our triggers on a mapped table, each with what it does; the first two are the capture.
pub(super) const TRIGGERS: [&str; 3] = ["00_hc_logger", "zz_hc_status", "00_hc_truncate"];

/// A trigger of a mapped table, as far as capture is concerned.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    /// Its name.
    pub name: String,
    /// The function that it calls.
    pub function: String,
    /// Whether it fires for what applications write.
    pub is_on: bool,
    /// Whether it is FOR EACH ROW and AFTER, as the capture is.
    pub is_after_row: bool,
    /// What it is.
    pub role: Role,
}

/// What a trigger is to the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One of ours, as it was made.
    Ours,
    /// One of ours by name that does something else by now.
    Altered,
    /// Heroku Connect's, or another one that calls our functions.
    Predecessor,
    /// Another one that captures changes, or says where rows stand.
    Second,
    /// An application's own.
    Other,
}

impl Trigger {
    fn read(schema: &str, table: &str, row: &tokio_postgres::Row) -> Trigger {
        let name: String = row.get(1);
        let (namespace, function_name): (String, String) = (row.get(4), row.get(5));
        let (is_ours, logs, tells): (bool, bool, bool) = (row.get(6), row.get(7), row.get(8));
        let is_here = namespace == schema;
        let wanted = match name.as_str() {
            "00_hc_logger" => Some(function(table, LOGGER)),
            "zz_hc_status" => Some(function(table, STATUS)),
            "00_hc_truncate" => Some("hc_refuse_truncate".to_owned()),
            _ => None,
        };
        let is_named_so = function_name.starts_with("hc_")
            && (function_name.ends_with("_logger") || function_name.ends_with("_status"));
        let role = match wanted {
            Some(wanted) if is_here && wanted == function_name && is_ours => Role::Ours,
            Some(_) => Role::Altered,
            None if is_ours || is_named_so && (is_here || logs || tells) => Role::Predecessor,
            None if logs || tells => Role::Second,
            None => Role::Other,
        };
        Trigger { name, function: function_name, is_on: row.get(2), is_after_row: row.get(3), role }
    }
}

/// The triggers of mapped tables, by table. An installation by an older program has ours without their mark.
const TRIGGERS_OF: &str = r#"
    SELECT c.relname::text, tgname::text, tgenabled IN ('O', 'A'), tgtype & 3 = 1, pn.nspname::text, p.proname::text,
        p.prosrc LIKE '%of syncdeck%' OR p.proname = 'hc_refuse_truncate',
        p.prosrc ~* 'insert\s+into\s+(\S+\.)?"?_trigger_log"?(?!\w)', p.prosrc ~* 'new\._hc_lastop\s*:?='
    FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
    WHERE n.nspname = $1 AND c.relname = ANY($2) AND NOT tgisinternal ORDER BY tgname"#;

impl Store {
    /// The triggers of mapped tables, by table.
    pub(super) async fn triggers(
        &self,
        client: &Client,
        tables: &[&str],
    ) -> Result<BTreeMap<String, Vec<Trigger>>, Error> {
        let rows = client
            .query(TRIGGERS_OF, &[&self.schema_name, &tables])
            .await
            .while_("look at the triggers of mapped tables")?;
        let mut triggers: BTreeMap<String, Vec<Trigger>> = BTreeMap::new();
        for row in &rows {
            let table: String = row.get(0);
            let trigger = Trigger::read(&self.schema_name, &table, row);
            triggers.entry(table).or_default().push(trigger);
        }
        Ok(triggers)
    }

    /// The triggers of one mapped table.
    pub(super) async fn triggers_of(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
    ) -> Result<Vec<Trigger>, Error> {
        let rows = transaction
            .query(TRIGGERS_OF, &[&self.schema_name, &vec![table]])
            .await
            .while_("look at the triggers of a mapped table")?;
        Ok(rows.iter().map(|row| Trigger::read(&self.schema_name, table, row)).collect())
    }

    /// Drops a predecessor's triggers: they would capture every change a second time. Returns what was done, in words.
    pub(super) async fn drop_predecessors(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        triggers: &[Trigger],
    ) -> Result<Vec<String>, Error> {
        let mut told = Vec::new();
        for trigger in triggers.iter().filter(|trigger| trigger.role == Role::Predecessor) {
            let sql = format!("DROP TRIGGER {} ON {}", quote(&trigger.name), self.table(table));
            transaction.batch_execute(&sql).await.while_("replace a predecessor's trigger")?;
            told.push(format!(
                "{table}: the trigger {} (which calls {}) was dropped; ours captures in its place",
                trigger.name, trigger.function
            ));
        }
        Ok(told)
    }

    /// Makes the sequence of the change log what capture needs: one id at a time, for the order of ids is the order of
    /// changes, and none that was given before. Returns what was done, in words.
    pub(super) async fn mend_sequence(&self, transaction: &Transaction<'_>) -> Result<Vec<String>, Error> {
        let log = format!("{}._trigger_log", self.schema);
        let found = transaction
            .query_opt(
                "SELECT s.seqrelid::regclass::text, s.seqcache FROM pg_sequence s WHERE s.seqrelid = (SELECT sequence FROM
                     (SELECT pg_get_serial_sequence($1, 'id')::regclass::oid, 2
                      UNION ALL SELECT refobjid, 1 FROM pg_attrdef d JOIN pg_depend ON classid = 'pg_attrdef'::regclass
                          AND objid = d.oid AND refclassid = 'pg_class'::regclass
                      JOIN pg_class c ON c.oid = refobjid AND relkind = 'S' WHERE adrelid = $1::text::regclass) known (sequence, at)
                 WHERE sequence IS NOT NULL ORDER BY at LIMIT 1)",
                &[&log],
            )
            .await
            .while_("look at the sequence of _trigger_log")?;
        let mut told = Vec::new();
        let Some(found) = found else {
            // Copied without its default.
            let sql = format!(
                "ALTER TABLE {log} ALTER COLUMN id SET DEFAULT nextval('{0}._trigger_log_id_seq')",
                self.schema.replace('\'', "''")
            );
            transaction.batch_execute(&sql).await.while_("give _trigger_log its sequence")?;
            return Ok(vec!["_trigger_log.id had no sequence; it has one now".to_owned()]);
        };
        let (sequence, cache): (String, i64) = (found.get(0), found.get(1));
        if cache > 1 {
            let sql = format!("ALTER SEQUENCE {sequence} CACHE 1");
            transaction.batch_execute(&sql).await.while_("set the cache of a sequence")?;
            told.push(format!(
                "{sequence} had CACHE {cache}, with which changes lose their order; it has 1 now"
            ));
        }
        let sql = format!(
            "SELECT setval('{0}', newest) FROM (SELECT max(id) FROM (
                 SELECT max(id) AS id FROM {log} UNION ALL SELECT max(id) FROM {log}_archive) ids) ids (newest)
             WHERE newest > (SELECT last_value FROM {sequence})",
            sequence.replace('\'', "''")
        );
        if let Some(row) = transaction.query_opt(&sql, &[]).await.while_("look where a sequence stands")? {
            let newest: i64 = row.get(0);
            told.push(format!("{sequence} was behind the entries that are there; it goes on from {newest}"));
        }
        Ok(told)
    }

    /// The function by which applications written against Heroku Connect ask who writes. Where it is, it stays as it is.
    /// Returns what is to be said, and whether it needs somebody.
    pub(super) async fn offer_get_xmlbinary(
        &self,
        transaction: &mut Transaction<'_>,
    ) -> Result<Option<String>, Error> {
        let missing = "SELECT to_regprocedure('public.get_xmlbinary()') IS NULL";
        let missing: bool =
            transaction.query_one(missing, &[]).await.while_("look for get_xmlbinary()")?.get(0);
        if !missing {
            return Ok(None);
        }
        let sql = "CREATE FUNCTION public.get_xmlbinary() RETURNS varchar LANGUAGE sql STABLE AS
             $function$ SELECT pg_catalog.current_setting('xmlbinary')::pg_catalog.varchar $function$";
        let attempt = transaction.savepoint("get_xmlbinary").await.while_("begin to make get_xmlbinary()")?;
        match attempt.batch_execute(sql).await {
            Ok(()) => attempt.commit().await.while_("make get_xmlbinary()").map(|()| None),
            Err(source) if source.code().is_some() => {
                attempt.rollback().await.while_("go on without get_xmlbinary()")?;
                Ok(Some(format!(
                    "public.get_xmlbinary(), which applications written against Heroku Connect call, is not there and cannot be \
                     made: {}; whoever may make functions in public can run: {}",
                    super::describe(&source),
                    sql.split_whitespace().collect::<Vec<_>>().join(" ")
                )))
            }
            Err(source) => Err(Error::Sql { what: "make get_xmlbinary()", source }),
        }
    }
}
