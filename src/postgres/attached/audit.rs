//! The audit beside Heroku Connect: there is one only where something of syncdeck was installed in the database once.

use serde_json::Value;

use crate::domain::operations::operation::Operation;
use crate::postgres::operations::audit::audit_table;
use crate::postgres::{Error, ErrorContext, Store};

impl Store {
    /// Notes what was done to a mapping, or to all of them, where there is an audit and this role may write it. Returns its
    /// operation's number, where that is so.
    pub async fn attached_audit(
        &self,
        operation: &Operation,
        action: &str,
        mapping: (&str, &str),
        after: &Value,
    ) -> Result<Option<i64>, Error> {
        let mut client = self.client().await?;
        let row = client
            .query_one(
                "SELECT coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'INSERT'), false)
                 FROM (VALUES (1)) one LEFT JOIN pg_namespace n ON n.nspname = 'syncdeck'
                 LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'audit'",
                &[],
            )
            .await
            .context("look for an audit")?;
        if !row.get::<_, bool>(0) {
            return Ok(None);
        }
        let transaction = client.transaction().await.context("begin to note what was done")?;
        let number = match operation.number {
            Some(number) => number,
            None => {
                let next = transaction.query_one("SELECT nextval('syncdeck.act')", &[]).await;
                next.context("number what was done")?.get(0)
            }
        };
        let operation = &Operation { number: Some(number), ..operation.clone() };
        audit_table(&transaction, operation, action, mapping, (Value::Null, after.clone())).await?;
        transaction.commit().await.context("note what was done")?;
        Ok(Some(number))
    }
}
