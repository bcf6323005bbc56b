//! What the session's role may do here.

use crate::postgres::{Error, ErrorContext, Store, quote};

impl Store {
    /// Why this session cannot do what operators do, in words; `None` when it can.
    pub async fn lacks_rights(&self) -> Result<Option<String>, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT current_user::text, pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'",
                &[],
            )
            .await
            .context("look at the session's role")?;
        let user: String = row.get(0);
        if row.get(1) {
            return Ok(Some(
                "this server is a standby, which takes no writes\nname the primary in postgres.url"
                    .to_owned(),
            ));
        }
        if row.get(2) {
            return Ok(Some("the session is read-only".to_owned()));
        }
        // Names are looked up in the catalogue, for a schema that may not be used hides what is in it.
        let missing = client
            .query_opt(
                "SELECT privilege, kind, name FROM (
                     SELECT 1 AS at, 'USAGE' AS privilege, 'SCHEMA' AS kind, quote_ident(nspname) AS name,
                         has_schema_privilege(oid, 'USAGE') AS granted
                     FROM pg_namespace WHERE nspname IN ('syncdeck', $1)
                     UNION ALL
                     SELECT 2, need.privilege, 'TABLE', quote_ident(nspname) || '.' || quote_ident(relname),
                         has_table_privilege(c.oid, need.privilege)
                     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                     JOIN (VALUES ('command', 'INSERT'), ('audit', 'INSERT'), ('error', 'UPDATE'), ('unit', 'INSERT'),
                         ('unit', 'UPDATE'), ('unit', 'DELETE'), ('setting', 'INSERT'), ('setting', 'UPDATE'),
                         ('setting', 'DELETE'), ('mapping', 'UPDATE'), ('conflict', 'UPDATE'), ('reread', 'INSERT'),
                         ('reread', 'UPDATE'))
                         AS need (name, privilege) ON nspname = 'syncdeck' AND relname = need.name
                     UNION ALL
                     SELECT 3, need.privilege, 'TABLE', quote_ident(nspname) || '.' || quote_ident(relname),
                         has_table_privilege(c.oid, need.privilege)
                     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                     JOIN (SELECT table_name FROM syncdeck.mapping WHERE access = 'read_write'
                         UNION ALL VALUES ('_trigger_log'), ('_trigger_log_archive')) mapped ON relname = mapped.table_name
                     CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE')) AS need (privilege)
                     WHERE nspname = $1
                     UNION ALL
                     SELECT 4, 'USAGE', 'SEQUENCE', quote_ident(nspname) || '.' || quote_ident(relname),
                         has_sequence_privilege(c.oid, 'USAGE')
                     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                     WHERE nspname = 'syncdeck' AND relkind = 'S' AND relname IN ('act', 'audit_id_seq', 'command_id_seq')
                 ) needed WHERE NOT granted ORDER BY at, name, privilege LIMIT 1",
                &[&self.schema_name],
            )
            .await
            .context("look at the rights of the session's role")?;
        Ok(missing.map(|row| {
            let (privilege, kind, name): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            format!(
                "the role {user} has no right {privilege} on {name}\nlet its owner run: GRANT {privilege} ON {kind} {name} TO {}",
                quote(&user)
            )
        }))
    }
}
