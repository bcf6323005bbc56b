//! What the peers of several benches do by hand.

use std::net::SocketAddr;

use serde_json::Value;

/// Signs in to the simulated org; returns the client and its token.
pub async fn sign_in(org: SocketAddr) -> (reqwest::Client, String) {
    let http = reqwest::Client::new();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "simulated-app"),
        ("client_secret", "simulated-secret"),
    ];
    let login = http.post(format!("http://{org}/services/oauth2/token")).form(&form).send().await.unwrap();
    let login: Value = login.json().await.unwrap();
    (http, login["access_token"].as_str().unwrap().to_owned())
}
