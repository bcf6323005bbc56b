//! Clients that nobody here wrote, on the simulated org as they are: what passes here would pass on an org. They are looked for
//! in the folder that `SYNCDECK_CLIENTS` names (CONTRIBUTING.md says how to fill it); without it these tests are skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Session;
use crate::tls_server::acceptor;

/// The folder of the clients, with this one in it.
fn folder(client: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SYNCDECK_CLIENTS").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join(client).is_dir());
    if found.is_none() {
        eprintln!("skipped: SYNCDECK_CLIENTS names no folder with {client}");
    }
    found
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulator/clients").join(name)
}

async fn run(mut command: Command) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success() && told[0].contains("all as expected"), "{}{}", told[0], told[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn jsforce_finds_an_org() {
    let Some(folder) = folder("node_modules/jsforce") else { return };
    let session = Session::start().await;
    let mut command = Command::new("node");
    command.arg(script("with_jsforce.mjs")).args([&session.base, "simulated-app", "simulated-secret"]);
    command.env("SYNCDECK_CLIENTS", folder);
    run(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jsforce_hears_what_changes() {
    let Some(folder) = folder("node_modules/jsforce") else { return };
    let session = Session::start().await;
    session.org.select_entity("Account");
    let mut command = Command::new("node");
    command.arg(script("streams_with_jsforce.mjs")).args([
        &session.base,
        "simulated-app",
        "simulated-secret",
    ]);
    command.env("SYNCDECK_CLIENTS", folder);
    run(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_salesforce_finds_an_org() {
    let Some(folder) = folder("python/simple_salesforce") else { return };
    let session = Session::start().await;
    let dir = tempfile::tempdir().unwrap();
    // It speaks TLS only.
    let port = secured(dir.path(), &session, Front::Server).await;
    let mut command = Command::new("python3");
    command
        .arg(script("with_simple_salesforce.py"))
        .args([&format!("localhost:{port}"), &session.token])
        .arg(dir.path().join("localhost.crt"))
        .env("PYTHONPATH", folder.join("python"));
    run(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_salesforce_finds_an_org() {
    let Some(folder) = folder("tap/tap_salesforce") else { return };
    let session = Session::start().await;
    let description = "first, \"second\"\nthird";
    for fields in [
        json!({"LastName": "Ada", "Score__c": 1.5, "Birthdate": "1815-12-10", "Description": description}),
        json!({"LastName": "Bob"}),
    ] {
        assert_eq!(session.create("Contact", fields).await.0, 201);
    }
    let (_, gone) = session.create("Contact", json!({"LastName": "Eve"})).await;
    session.org.user_delete("Contact", gone["id"].as_str().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let port = secured(dir.path(), &session, Front::Proxy).await;
    let mut command = Command::new("python3");
    command.arg(script("with_tap_salesforce.py")).env("PYTHONPATH", folder.join("tap"));
    // The environment may name proxies of its own.
    for name in ["all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "https_proxy"] {
        command.env_remove(name);
    }
    command.env("HTTPS_PROXY", format!("http://127.0.0.1:{port}")).env("NO_PROXY", "127.0.0.1");
    command.env("REQUESTS_CA_BUNDLE", dir.path().join("localhost.crt"));
    run(command).await;
}

/// As what a port stands before an org.
#[derive(Clone, Copy, PartialEq)]
enum Front {
    /// As the org itself.
    Server,
    /// As a proxy that leads to the org, wherever a client asks to go.
    Proxy,
}

/// Lets a client believe that its way is open to where it asks to go.
async fn connect(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let is_known = head.starts_with(b"CONNECT login.salesforce.com:443 ");
    stream
        .write_all(if is_known { b"HTTP/1.1 200 OK\r\n\r\n" } else { b"HTTP/1.1 403 No\r\n\r\n" })
        .await
        .ok()?;
    is_known.then_some(())
}

/// A port at which an org answers by TLS, with a certificate of its own.
async fn secured(dir: &Path, session: &Session, front: Front) -> u16 {
    let address = session.base.trim_start_matches("http://").to_owned();
    let certificate = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost,DNS:login.salesforce.com -keyout localhost.key -out localhost.crt";
    let made =
        Command::new("openssl").args(certificate.split_whitespace()).current_dir(dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let acceptor = acceptor(dir, "localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            tokio::spawn(async move {
                if front == Front::Proxy && connect(&mut stream).await.is_none() {
                    return;
                }
                let (Ok(mut near), Ok(mut far)) =
                    (acceptor.accept(stream).await, TcpStream::connect(address).await)
                else {
                    return;
                };
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    port
}
