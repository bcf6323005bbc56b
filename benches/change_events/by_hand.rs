//! The least that somebody would write by hand to have a row follow its record.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::Client;

use crate::signed_in::sign_in;

const CHANNEL: &str = "/data/ContactChangeEvent";
const TABLE: &str = "CREATE TABLE plain (sfid varchar(18) PRIMARY KEY, lastname text, firstname text, email text, phone text)";
const STORE: &str = "INSERT INTO plain VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sfid) DO UPDATE SET lastname = excluded.lastname,
    firstname = excluded.firstname, email = excluded.email, phone = excluded.phone";

/// Listens until it is stopped; tells of each record that it stored, by first name, and when that was done.
pub async fn listen(sql: Client, org: SocketAddr, stored: UnboundedSender<(String, Instant)>) {
    sql.batch_execute(TABLE).await.unwrap();
    let store = sql.prepare(STORE).await.unwrap();
    let (http, token) = sign_in(org).await;
    let mut cookie = String::new();
    let mut client = Value::Null;
    let hello = json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"],
        "ext": {"replay": true}});
    let subscribe =
        json!({"channel": "/meta/subscribe", "subscription": CHANNEL, "ext": {"replay": {CHANNEL: -1}}});
    let connect = json!({"channel": "/meta/connect", "connectionType": "long-polling"});
    let mut messages = vec![connect.clone(), subscribe, hello];
    loop {
        let is_connect = messages.is_empty();
        let mut message = messages.pop().unwrap_or_else(|| connect.clone());
        if !client.is_null() {
            message["clientId"] = client.clone();
        }
        let request =
            http.post(format!("http://{org}/cometd/62.0")).bearer_auth(&token).header("Cookie", &cookie);
        let answer = request.json(&json!([message])).send().await.unwrap();
        if let Some(set) = answer.headers().get("set-cookie") {
            set.to_str().unwrap().split(';').next().unwrap().clone_into(&mut cookie);
        }
        let told: Vec<Value> = answer.json().await.unwrap();
        if client.is_null() {
            client = told[0]["clientId"].clone();
        }
        if messages.is_empty() && !is_connect {
            stored.send(("ready".to_owned(), Instant::now())).unwrap();
        }
        for event in told.iter().filter(|told| told["channel"] == CHANNEL) {
            let id = event["data"]["payload"]["ChangeEventHeader"]["recordIds"][0].as_str().unwrap();
            let soql = format!("SELECT Id, LastName, FirstName, Email, Phone FROM Contact WHERE Id = '{id}'");
            let url = format!("http://{org}/services/data/v62.0/query");
            let url = reqwest::Url::parse_with_params(&url, [("q", soql)]).unwrap();
            let page: Value = http.get(url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
            let record = &page["records"][0];
            let [last, first, email, phone] =
                ["LastName", "FirstName", "Email", "Phone"].map(|field| record[field].as_str());
            sql.execute(&store, &[&id, &last, &first, &email, &phone]).await.unwrap();
            stored.send((first.unwrap_or_default().to_owned(), Instant::now())).unwrap();
        }
    }
}
