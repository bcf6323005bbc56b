//! Which org a login is to: its id, its name, and whether it is a sandbox.

use serde_json::Value;

use crate::domain::reports::rebind::OrgIdentity;

use super::{Client, Error};

impl Client {
    /// Signs in, if need be, and tells which org it is. A login that may not read the org's own record tells no more than its
    /// id and its address.
    ///
    /// # Errors
    /// When Salesforce does not answer.
    pub async fn organization(&self) -> Result<OrgIdentity, Error> {
        let id = self.org_id().await?;
        let host = self.instance_url();
        let record = match self.query("SELECT Id, Name, IsSandbox FROM Organization LIMIT 1").await {
            Ok(page) => page.records.into_iter().next(),
            Err(Error::Api { status, .. }) if status < 500 => None,
            Err(error) => return Err(error),
        };
        let of = |name: &str| record.as_ref().and_then(|record| record.get(name));
        Ok(OrgIdentity {
            id,
            host,
            name: of("Name").and_then(Value::as_str).map(str::to_owned),
            is_sandbox: of("IsSandbox").and_then(Value::as_bool),
        })
    }
}
