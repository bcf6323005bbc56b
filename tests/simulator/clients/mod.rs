//! Clients that nobody here wrote, on the simulated org as they are: what passes here would pass on an org. They are looked for
//! in the folder that `SYNCDECK_CLIENTS` names (CONTRIBUTING.md says how to fill it); without it these tests are skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
    let port = secured(dir.path(), session.base.trim_start_matches("http://").to_owned()).await;
    let mut command = Command::new("python3");
    command
        .arg(script("with_simple_salesforce.py"))
        .args([&format!("localhost:{port}"), &session.token])
        .arg(dir.path().join("localhost.crt"))
        .env("PYTHONPATH", folder.join("python"));
    run(command).await;
}

/// A port at which the address behind it answers by TLS, with a certificate of its own.
async fn secured(dir: &Path, address: String) -> u16 {
    let certificate = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost -keyout localhost.key -out localhost.crt";
    let made =
        Command::new("openssl").args(certificate.split_whitespace()).current_dir(dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let acceptor = acceptor(dir, "localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            tokio::spawn(async move {
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
