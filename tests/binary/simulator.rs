//! `syncdeck simulator` as somebody starts it who tries a program against an org.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{directory, run};

const PRIVATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/test-key.pem");
const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/test-key.pub.pem");

/// The simulated org, which ends with the test.
pub struct SimulatedOrg {
    child: Child,
    /// What it said of itself, word by word, from its address on.
    told: Vec<String>,
}

impl SimulatedOrg {
    pub fn start(options: &[&str]) -> SimulatedOrg {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(["simulator", "--port", "0", "--rows", "10"]).args(options).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
        let told = told.split_whitespace().skip_while(|word| !word.starts_with("http://"));
        SimulatedOrg { child, told: told.map(str::to_owned).collect() }
    }

    fn url(&self) -> &str {
        &self.told[0]
    }

    /// What stands behind a word of what it said.
    fn value(&self, name: &str) -> &str {
        let at = self.told.iter().position(|word| word == name).unwrap();
        &self.told[at + 1]
    }

    pub fn config(&self) -> String {
        let (url, id, secret) = (self.url(), self.value("client_id"), self.value("client_secret"));
        format!("[salesforce]\nlogin_url = \"{url}\"\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\n")
    }

    async fn token(&self, form: &[(&str, &str)]) -> Value {
        let request = reqwest::Client::new().post(format!("{}/services/oauth2/token", self.url()));
        request.form(form).send().await.unwrap().json().await.unwrap()
    }

    async fn names(&self) -> Value {
        let (id, secret) = (self.value("client_id"), self.value("client_secret"));
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let token = self.token(&form).await["access_token"].as_str().unwrap().to_owned();
        let url = format!("{}/services/data/v62.0/query?q=SELECT+Name+FROM+Account", self.url());
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["records"].clone()
    }
}

impl Drop for SimulatedOrg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_seed_gives_the_same_records_again_and_latency_slows_every_answer() {
    let org = SimulatedOrg::start(&["--seed", "7"]);
    let again = SimulatedOrg::start(&["--seed", "7", "--latency", "150"]);
    let other = SimulatedOrg::start(&["--seed", "8"]);
    let names = org.names().await;
    let begun = Instant::now();
    assert_eq!(names, again.names().await);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_ne!(names, other.names().await);
}

#[tokio::test]
async fn a_login_by_jwt_must_be_signed_for_the_key_and_a_refresh_token_is_good_once() {
    let org = SimulatedOrg::start(&["--jwt-key", PUBLIC, "--rotate-refresh-tokens"]);
    let key = EncodingKey::from_rsa_pem(&std::fs::read(PRIVATE).unwrap()).unwrap();
    let claims = json!({"iss": org.value("client_id"), "sub": org.value("username"), "aud": org.url(),
        "exp": chrono::Utc::now().timestamp() + 100});
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let granted = org.token(&[grant, ("assertion", &assertion)]).await;
    assert!(granted["access_token"].is_string(), "{granted}");
    let forged = org.token(&[grant, ("assertion", &format!("{assertion}x"))]).await;
    assert_eq!(forged["error"], "invalid_grant");

    let refresh = async |token: &str| {
        let id = org.value("client_id");
        org.token(&[("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)]).await
    };
    let first = org.value("refresh_token");
    let second = refresh(first).await["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(refresh(first).await["error"], "invalid_grant");
}

#[test]
fn a_key_that_is_none_is_refused_with_what_makes_one() {
    let dir = directory();
    let garbage = dir.join("garbage.pem");
    std::fs::write(&garbage, "no key").unwrap();
    for (file, said) in [
        (dir.join("missing.pem").display().to_string(), "cannot read --jwt-key"),
        (PRIVATE.to_owned(), "that is a private key, and the org has the public one: openssl pkey"),
        (garbage.display().to_string(), "that is no RSA public key and no certificate in PEM"),
    ] {
        let refused = run(&["simulator", "--port", "0", "--jwt-key", &file]);
        assert!(refused.status != 0 && refused.err.contains(said), "{refused:?}");
        let secret = std::fs::read_to_string(PRIVATE).unwrap();
        assert!(secret.lines().filter(|line| line.len() > 40).all(|line| !refused.err.contains(line)));
    }
    let _ = std::fs::remove_dir_all(dir);
}
