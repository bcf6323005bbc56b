//! What a predecessor left in the schema, above all Heroku Connect: its triggers are replaced by ours, the sequence of the
//! change log is made fit, and the function is there that applications written against it call.

use std::collections::BTreeMap;

use crate::domain::reports::setup_plan::SetupAction;
use crate::postgres::schema::capture::{LOGGER, STATUS, function};
use crate::postgres::schema::step::SetupStep;
use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction, describe, quote};

/// Our triggers on a mapped table, each with what it does; the first two are the capture.
pub(in crate::postgres) const TRIGGERS: [&str; 3] = ["00_hc_logger", "zz_hc_status", "00_hc_truncate"];

/// A trigger of a mapped table, as far as capture is concerned.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Trigger {
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
pub(in crate::postgres) enum Role {
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

/// Whether a table with these triggers is ours. Where we capture, it is, also where nothing was noted about it, for what is
/// noted may be lost, and where a predecessor does so too, whose capture ends with a start. Else it is where it was noted, and
/// no predecessor captures there.
pub(in crate::postgres) fn is_own(is_noted: bool, triggers: &[Trigger]) -> bool {
    let works = |role| triggers.iter().any(|trigger| trigger.role == role && trigger.is_on);
    works(Role::Ours) || is_noted && !works(Role::Predecessor)
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
    /// The triggers of these tables, by table.
    pub(in crate::postgres) async fn triggers(
        &self,
        session: &impl Cached,
        tables: &[&str],
    ) -> Result<BTreeMap<String, Vec<Trigger>>, Error> {
        let rows = session
            .query_cached(TRIGGERS_OF, &[&self.schema_name, &tables])
            .await
            .context("look at the triggers of mapped tables")?;
        let mut triggers: BTreeMap<String, Vec<Trigger>> = BTreeMap::new();
        for row in &rows {
            let table: String = row.get(0);
            let trigger = Trigger::read(&self.schema_name, &table, row);
            triggers.entry(table).or_default().push(trigger);
        }
        Ok(triggers)
    }

    /// What this role may not do that a takeover of these tables does, with the remedy; asked before anything is done.
    pub(in crate::postgres) async fn lacking_rights(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
    ) -> Result<Option<String>, Error> {
        let sql = "SELECT 'the table ' || c.oid::regclass || ' belongs to ' || pg_get_userbyid(relowner) || ', and '
                     || current_user || ' cannot replace its triggers' || E'\n' || 'log in as ' || pg_get_userbyid(relowner)
                     || format(', or let it run: GRANT %I TO %I', pg_get_userbyid(relowner), current_user), 1, relname
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = $1 AND relkind = 'r' AND relname = ANY($2) AND NOT pg_has_role(relowner, 'USAGE')
             UNION ALL
             SELECT c.oid::regclass || ' belongs to ' || pg_get_userbyid(relowner) || ', and ' || current_user
                     || ' cannot make indexes on it' || E'\n' || 'log in as ' || pg_get_userbyid(relowner)
                     || format(', or let it run: GRANT %I TO %I', pg_get_userbyid(relowner), current_user), 2, relname
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = $1 AND relname IN ('_trigger_log', '_trigger_log_archive', '_trigger_log_id_seq', '_sf_event_log')
                 AND NOT pg_has_role(relowner, 'USAGE')
             UNION ALL
             SELECT format(E'%s may not make functions in the schema %I\nlet its owner run: GRANT CREATE ON SCHEMA %2$I TO %3$I',
                 current_user, nspname, current_user), 3, nspname
             FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'CREATE')
             UNION ALL
             SELECT format(E'%s may not make schemas in %I\nlet its owner run: GRANT CREATE ON DATABASE %2$I TO %3$I',
                 current_user, current_database(), current_user), 4, ''
             WHERE to_regnamespace('syncdeck') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
             ORDER BY 2, 3 LIMIT 1";
        let found = transaction.query_opt(sql, &[&self.schema_name, &tables]).await;
        Ok(found.context("look at the rights of the session's role")?.map(|row| row.get(0)))
    }

    /// Lets the owners of the functions that capture changes use what these use: a function that a predecessor made keeps its
    /// owner, and runs with that one's rights. Returns what is to be said.
    pub(in crate::postgres) async fn let_owners_capture(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
    ) -> Result<Vec<String>, Error> {
        let names: Vec<String> = tables.iter().map(|table| function(table, LOGGER)).collect();
        let sql = "SELECT DISTINCT pg_get_userbyid(proowner)::text FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
             WHERE nspname = $1 AND proname = ANY($2) AND pronargs = 0 AND NOT has_schema_privilege(proowner, 'syncdeck', 'USAGE')";
        let rows = transaction.query(sql, &[&self.schema_name, &names]).await;
        let mut told = Vec::new();
        for row in rows.context("look who owns the functions that capture")? {
            let owner: String = row.get(0);
            let sql = format!("GRANT USAGE ON SCHEMA syncdeck TO {}", quote(&owner));
            transaction.batch_execute(&sql).await.context("let an owner's functions capture changes")?;
            told.push(format!("{owner}, whose functions capture changes, may use the schema syncdeck"));
        }
        Ok(told)
    }

    /// Refuses to leave functions that cannot capture: with them no application could write a table that is taken over.
    pub(in crate::postgres) async fn refuse_unable_owners(
        &self,
        transaction: &Transaction<'_>,
        tables: &[String],
    ) -> Result<(), Error> {
        let names: Vec<String> = tables.iter().map(|table| function(table, LOGGER)).collect();
        let sql = "SELECT pg_get_userbyid(proowner)::text, c.relkind::text FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
             JOIN pg_class c ON c.relnamespace = n.oid AND CASE relkind
                 WHEN 'S' THEN relname = '_trigger_log_id_seq' AND NOT has_sequence_privilege(proowner, c.oid, 'USAGE, UPDATE')
                 WHEN 'r' THEN relname = '_trigger_log' AND NOT has_table_privilege(proowner, c.oid, 'INSERT') END
             WHERE nspname = $1 AND proname = ANY($2) AND pronargs = 0 ORDER BY relkind = 'S' LIMIT 1";
        let lacking = transaction.query_opt(sql, &[&self.schema_name, &names]).await;
        let Some(row) = lacking.context("look who may write the change log")? else { return Ok(()) };
        let (owner, kind): (String, String) = (row.get(0), row.get(1));
        let right = if kind == "S" { "USAGE ON SEQUENCE" } else { "INSERT ON" };
        let thing = if kind == "S" { "_trigger_log_id_seq" } else { "_trigger_log" };
        Err(Error::Refused(format!(
            "the functions that capture changes belong to {owner}, which may not write {thing}: no application could write any more\n\
             let its owner run: GRANT {right} {}.{thing} TO {}",
            self.schema,
            quote(&owner)
        )))
    }

    /// Refuses a table of others that capture cannot work on, or that is not this role's to change.
    pub(in crate::postgres) async fn refuse_unfit(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
    ) -> Result<(), Error> {
        let full = self.table(table);
        let sql = "SELECT c.relkind::text, c.relpersistence = 'u', pg_has_role(c.relowner, 'USAGE'),
                 pg_get_userbyid(c.relowner)::text, current_user::text,
                 (SELECT format_type(CASE typtype WHEN 'd' THEN typbasetype ELSE atttypid END, NULL)
                     FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = c.oid AND attname = 'id'),
                 EXISTS (SELECT FROM pg_index JOIN pg_attribute a ON a.attrelid = indrelid AND attnum = indkey[0]
                     WHERE indrelid = c.oid AND attname = 'id' AND indisunique AND indisvalid AND indnkeyatts = 1
                         AND indpred IS NULL),
                 (SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p WHERE pronamespace = c.relnamespace
                     AND proname = ANY($2) AND NOT pg_has_role(proowner, 'USAGE'))
             FROM pg_class c WHERE c.oid = to_regclass($1)";
        let replaced = [
            function(table, LOGGER),
            function(table, STATUS),
            "hc_capture_insert_from_row".to_owned(),
            "hc_capture_update_from_row".to_owned(),
        ];
        let found = transaction.query_opt(sql, &[&full, &replaced.as_slice()]).await;
        let Some(row) = found.context("look whether a table can be taken over")? else { return Ok(()) };
        let (kind, unlogged, is_owner): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let (owner, user): (String, String) = (row.get(3), row.get(4));
        let id: Option<String> = row.get(5);
        let why = match (kind.as_str(), id.as_deref()) {
            ("v" | "m", _) => format!("{full} is a view, and its changes cannot be captured\nmap a table"),
            ("f", _) => {
                format!(
                    "{full} is a foreign table, and its changes cannot be captured\nmap it where it is a table"
                )
            }
            ("p", _) => {
                format!("the table {full} is partitioned, as Heroku Connect's are not\nmap a plain table")
            }
            _ if unlogged => format!(
                "the table {full} is unlogged, and empty after a crash\nmake it safe first: ALTER TABLE {full} SET LOGGED"
            ),
            _ if !is_owner => format!(
                "the table {full} belongs to {owner}, and {user} cannot replace its triggers\n\
                 log in as {owner}, or let it run: GRANT {} TO {}",
                quote(&owner),
                quote(&user)
            ),
            (_, Some(kind)) if kind != "integer" => format!(
                "the column id of the table {full} is {kind}, but rows are named by an integer in the log of changes\n\
                 change it: ALTER TABLE {full} ALTER COLUMN id TYPE integer USING id::integer"
            ),
            (_, Some(_)) if !row.get::<_, bool>(6) => format!(
                "the column id of the table {full} is not unique, but changes are captured by it\n\
                 make it the key: ALTER TABLE {full} ADD PRIMARY KEY (id); doubled ones are found with: \
                 SELECT id FROM {full} GROUP BY 1 HAVING count(*) > 1"
            ),
            _ => match row.get::<_, Option<String>>(7) {
                None => return Ok(()),
                Some(functions) => format!(
                    "{user} does not own what is to be replaced: {functions}\nlog in as the owner, or have it granted to {user}"
                ),
            },
        };
        Err(Error::Refused(why))
    }

    /// What makes the sequence of the change log what capture needs: one id at a time, for the order of ids is the order of
    /// changes, and none that was given before.
    pub(in crate::postgres) async fn sequence_steps(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<SetupStep>, Error> {
        let log = format!("{}._trigger_log", self.schema);
        let there = "SELECT to_regclass($1) IS NOT NULL AND to_regclass($1 || '_archive') IS NOT NULL";
        if !transaction.query_one(there, &[&log]).await.context("look for _trigger_log")?.get::<_, bool>(0) {
            return Ok(Vec::new());
        }
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
            .context("look at the sequence of _trigger_log")?;
        let step = |what: String, sql: String| SetupStep { action: SetupAction::MendSequence { what }, sql };
        let Some(found) = found else {
            // Copied without its default.
            let sql = format!(
                "ALTER TABLE {log} ALTER COLUMN id SET DEFAULT nextval('{0}._trigger_log_id_seq')",
                self.schema.replace('\'', "''")
            );
            return Ok(vec![step("_trigger_log.id had no sequence, and gets one".to_owned(), sql)]);
        };
        let (sequence, cache): (String, i64) = (found.get(0), found.get(1));
        let mut steps = Vec::new();
        if cache > 1 {
            let what =
                format!("{sequence} had CACHE {cache}, with which changes lose their order, and gets 1");
            steps.push(step(what, format!("ALTER SEQUENCE {sequence} CACHE 1")));
        }
        let behind = format!(
            "FROM (SELECT max(id) FROM (SELECT max(id) AS id FROM {log} UNION ALL SELECT max(id) FROM {log}_archive) ids) ids (newest)
             WHERE newest > (SELECT last_value FROM {sequence})"
        );
        let newest = transaction.query_opt(&format!("SELECT newest::bigint {behind}"), &[]).await;
        if let Some(row) = newest.context("look where a sequence stands")? {
            let newest: i64 = row.get(0);
            let what = format!("{sequence} was behind the entries that are there, and goes on from {newest}");
            let name = sequence.replace('\'', "''");
            steps.push(step(what, format!("SELECT setval('{name}', newest) {behind}")));
        }
        Ok(steps)
    }

    /// Whether applications cannot ask who writes, as Heroku Connect's function lets them.
    pub(in crate::postgres) async fn lacks_get_xmlbinary(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<bool, Error> {
        let missing = "SELECT to_regprocedure('public.get_xmlbinary()') IS NULL";
        Ok(transaction.query_one(missing, &[]).await.context("look for get_xmlbinary()")?.get(0))
    }

    /// The function by which applications written against Heroku Connect ask who writes. Where it is, it stays as it is.
    /// Returns what is to be said, and whether it needs somebody.
    pub(in crate::postgres) async fn offer_get_xmlbinary(
        &self,
        transaction: &mut Transaction<'_>,
    ) -> Result<Option<String>, Error> {
        if !self.lacks_get_xmlbinary(transaction).await? {
            return Ok(None);
        }
        let sql = "CREATE FUNCTION public.get_xmlbinary() RETURNS varchar LANGUAGE sql STABLE AS
             $function$ SELECT pg_catalog.current_setting('xmlbinary')::pg_catalog.varchar $function$";
        let attempt =
            transaction.savepoint("get_xmlbinary").await.context("begin to make get_xmlbinary()")?;
        match attempt.batch_execute(sql).await {
            Ok(()) => attempt.commit().await.context("make get_xmlbinary()").map(|()| None),
            Err(source) if source.code().is_some() => {
                attempt.rollback().await.context("go on without get_xmlbinary()")?;
                Ok(Some(format!(
                    "public.get_xmlbinary(), which applications written against Heroku Connect call, is not there and cannot be \
                     made: {}; whoever may make functions in public can run: {}",
                    describe(&source),
                    sql.split_whitespace().collect::<Vec<_>>().join(" ")
                )))
            }
            Err(source) => Err(Error::Sql { what: "make get_xmlbinary()", source }),
        }
    }
}
