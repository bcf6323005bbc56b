//! Where a secret or a token may go: a login that answers like Salesforce and names a stranger's address, and a
//! configuration that others could change.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use syncdeck::config::Config;
use syncdeck::salesforce::{Client, Credentials, Error, Grant};

use crate::world::{MAPPINGS, config_text, write_private};

/// A server that notes what it is asked, with the authorization that came along, and answers all of it with this.
struct Stranger {
    address: String,
    asked: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<String>>,
}

impl Stranger {
    async fn listen() -> Stranger {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, heard): (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) = Default::default();
        let answer = Arc::new(Mutex::new("{}".to_owned()));
        let (count, notes, text) = (asked.clone(), heard.clone(), answer.clone());
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
            count.fetch_add(1, Ordering::SeqCst);
            let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
            notes.lock().unwrap().push(format!("{} {token}", uri.path()));
            let text = text.lock().unwrap().clone();
            async move { text }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Stranger { address, asked, heard, answer }
    }

    fn grants(&self, instance_url: &str) {
        *self.answer.lock().unwrap() = format!(
            r#"{{"access_token":"00D!HUSH","instance_url":"{instance_url}","id":"https://x/id/00D/005"}}"#
        );
    }
}

fn client(login_url: String) -> Client {
    let grant = Grant::ClientCredentials { secret: "hush".into() };
    let credentials = Credentials { login_url, client_id: "id".to_owned(), grant };
    Client::new(credentials, "62.0", Duration::from_secs(5)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_nowhere_but_to_salesforce_or_where_the_login_is() {
    let (login, elsewhere) = (Stranger::listen().await, Stranger::listen().await);
    let port = elsewhere.address.rsplit(':').next().unwrap();
    for told in [
        format!("http://{}", elsewhere.address),
        format!("http://localhost:{port}"),
        format!("http://{}@{}", login.address, elsewhere.address),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://acme.my.salesforce.com.evil.example.com".to_owned(),
        "https://evil.example.com".to_owned(),
        "//evil.example.com".to_owned(),
        String::new(),
    ] {
        login.grants(&told);
        let client = client(format!("http://{}", login.address));
        let error = client.org_id().await.expect_err(&told);
        let text = error.to_string();
        assert!(matches!(&error, Error::Login { code, .. } if code == "instance_url"), "{told}: {text}");
        assert!(text.contains(&login.address) && text.contains(&told), "{text}");
        assert!(!text.contains("HUSH") && !text.contains("hush"), "{text}");
        assert!(client.describe("Account", None).await.is_err());
    }
    assert_eq!(elsewhere.asked.load(Ordering::SeqCst), 0, "{:?}", elsewhere.heard.lock().unwrap());
    // Where the login is, it goes.
    login.grants(&format!("http://{}/", login.address));
    assert_eq!(client(format!("http://{}", login.address)).org_id().await.unwrap(), "00D");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_host_that_was_really_asked() {
    let login = Stranger::listen().await;
    // A name that is nobody's, and an address of this machine where nobody listens.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    login.grants("https://nobody-has-this-name.my.salesforce.com");
    let of_org = client(format!("http://{}", login.address));
    let error = of_org.query("SELECT Id FROM Account").await.expect_err("nobody answers").to_string();
    assert!(error.contains("nobody-has-this-name.my.salesforce.com"), "{error}");
    assert!(!error.contains(&login.address), "{error}");
    let of_login = client(format!("http://{silent}"));
    let error = of_login.query("SELECT Id FROM Account").await.expect_err("nobody listens").to_string();
    assert!(error.contains(&silent.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_no_host_that_only_looks_like_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("syncdeck.toml");
    for login in [
        "http://localhost.evil.example.com",
        "http://127.0.0.1@evil.example.com",
        "http://127.0.0.1.nip.example.com",
        "https://acme.my.salesforce.com@evil.example.com",
    ] {
        write_private(&path, &config_text("postgresql:///nowhere", login, "hush", MAPPINGS));
        let error = Config::load(Some(&path), None).expect_err(login).to_string();
        assert!(error.contains("salesforce.login_url") && error.contains("My Domain"), "{error}");
        assert!(client(login.to_owned()).org_id().await.is_err(), "{login}");
    }
}

fn with_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_configuration_that_others_may_change_is_refused_wherever_its_secrets_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("syncdeck.toml");
    let secret = dir.path().join("secret");
    write_private(&secret, "hush");
    let text = config_text("postgresql:///nowhere", "https://acme.my.salesforce.com", "x", MAPPINGS)
        .replace("client_secret = \"x\"", &format!("client_secret_file = {:?}", secret.to_str().unwrap()));
    write_private(&path, &text);
    let refusal = || Config::load(Some(&path), None).map(drop).map_err(|error| error.to_string());
    for mode in [0o600, 0o644, 0o400] {
        with_mode(&path, mode);
        assert_eq!(refusal(), Ok(()), "{mode:o}");
    }
    for mode in [0o664, 0o646, 0o622] {
        with_mode(&path, mode);
        let error = refusal().expect_err("it was taken");
        assert!(error.contains("could be changed by other users"), "{error}");
        assert!(error.contains(&format!("chmod go-w {}", path.display())), "{error}");
    }
    with_mode(&path, 0o600);
    with_mode(&secret, 0o620);
    assert!(refusal().expect_err("the secret was taken").contains("chmod 600"));
    with_mode(&secret, 0o600);
    // In a folder of everybody's, anybody could put another file in its place; in one like /tmp nobody can.
    with_mode(dir.path(), 0o777);
    assert!(refusal().expect_err("it was taken").contains("chmod o-w"));
    with_mode(dir.path(), 0o1777);
    assert_eq!(refusal(), Ok(()));
    with_mode(dir.path(), 0o700);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        assert!(refusal().expect_err("it was taken").contains("another user who owns it"));
    }
}
