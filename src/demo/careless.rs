//! What goes wrong beside the sync: a script that switches capture off, and somebody who enters a person twice. Nobody hears
//! of it but whoever compares both sides. None of it touches a row of the application's ledger.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use crate::postgres::Store;
use crate::simulator::Org;

/// Does it once, when the tables are loaded.
pub(super) async fn run(url: String, org: Org, store: Store, stop: CancellationToken) {
    if !super::org_user::wait_loaded(&store, &stop).await {
        return;
    }
    // The first comparison finds everything in order.
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(5)) => {}
        () = stop.cancelled() => return,
    }
    let Ok((sql, connection)) = tokio_postgres::connect(&url, NoTls).await else { return };
    tokio::spawn(connection);
    // As Heroku Connect's own guide has it: nothing is captured meanwhile.
    let script = "BEGIN; SET LOCAL xmlbinary = 'hex';
         UPDATE salesforce.contact SET lastname = lastname || ' (old)' WHERE external_id__c = 'CON-000011';
         DELETE FROM salesforce.account WHERE external_id__c = (
             SELECT account.external_id__c FROM salesforce.account JOIN salesforce.contact ON contact.accountid = account.sfid
             WHERE contact.external_id__c = 'CON-000012');
         COMMIT";
    let _ = sql.batch_execute(script).await;
    if let (Some(one), Some(other)) =
        (org.find_by_external_id("Contact", "CON-000013"), org.find_by_external_id("Contact", "CON-000014"))
        && let Some(record) = org.record("Contact", &one)
    {
        let same = ["LastName", "Phone"]
            .map(|name| (name.to_owned(), record.get(name).cloned().unwrap_or(Value::Null)));
        let _ = org.user_update(
            "Contact",
            &other,
            same.into_iter().chain([("Title".to_owned(), json!("Buyer"))]).collect(),
        );
    }
}
