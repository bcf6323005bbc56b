//! An engine that only writes.

use std::net::SocketAddr;
use std::path::Path;

use syncdeck::config::Config;

/// Its configuration.
pub fn config(url: &str, org: SocketAddr) -> Config {
    Config::parse(Path::new("/nowhere/syncdeck.toml"), &text(url, org)).unwrap()
}

/// The same as it is written.
pub fn text(url: &str, org: SocketAddr) -> String {
    format!(
        "[connection]\nname = \"bench\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://{org}\"\n\
         client_id = \"simulated-app\"\nclient_secret = \"simulated-secret\"\n\
         [[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\nexternal_id = \"External_Id__c\"\npoll_interval = \"60s\"\nbulk_from = \"off\"\n"
    )
}
