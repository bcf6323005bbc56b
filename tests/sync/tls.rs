//! Addresses of databases behind TLS, with a real server and real certificates: whose certificate is taken, whose is
//! not, and what is said then.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use syncdeck::demo::private::{Options, PrivateServer};

use crate::support;

/// A server that takes TLS on a port of this machine, and the certificates around it.
struct Secured {
    dir: PathBuf,
    server: Child,
    port: u16,
    user: String,
    _held: tokio::net::TcpSocket,
}

/// A port of this machine that nobody else is given while this is kept; nobody listens there.
fn held() -> (tokio::net::TcpSocket, u16) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.server.id()).unwrap()), Signal::SIGQUIT);
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Secured {
    /// Starts it; `None` where this machine cannot make certificates.
    async fn start() -> Option<Secured> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: there is no openssl to make certificates with");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("syncdeck-tls-").tempdir_in("/tmp").unwrap().keep();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        // It makes the cluster; then the same starts again with a port and a certificate.
        let plain =
            PrivateServer::start(&Options { dir: dir.clone(), remove: false, durable: false }).unwrap();
        let user = plain.url("postgres").rsplit_once("user=").unwrap().1.to_owned();
        let (sql, connection) =
            tokio_postgres::connect(&plain.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        sql.batch_execute(
            "CREATE ROLE ann SUPERUSER LOGIN PASSWORD 'p@ss:word'; CREATE ROLE cert_user SUPERUSER LOGIN",
        )
        .await
        .unwrap();
        for database in ["secure", "by_password", "by_certificate"] {
            sql.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        }
        drop(sql);
        driver.await.unwrap().unwrap();
        drop(plain);
        authority(&dir, "ca");
        authority(&dir, "other");
        signed(&dir, "server", "localhost", "DNS:localhost");
        signed(&dir, "client", "cert_user", "DNS:client");
        signed(&dir, "stranger", "somebody", "DNS:client");
        let data = dir.join("pgdata");
        let owner = std::fs::metadata(&data).unwrap();
        for name in ["server.crt", "server.key", "ca.crt"] {
            std::fs::copy(dir.join(name), data.join(name)).unwrap();
            chown(data.join(name), Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let rules = "hostssl by_certificate all 127.0.0.1/32 cert\n\
             hostssl by_password all 127.0.0.1/32 scram-sha-256\n\
             hostssl secure all 127.0.0.1/32 trust\n\
             host postgres all 127.0.0.1/32 trust\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        let (_held, port) = held();
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "ssl=on",
            "ssl_cert_file=server.crt",
            "ssl_key_file=server.key",
            "ssl_ca_file=ca.crt",
            "fsync=off",
        ];
        let log = std::fs::File::create(dir.join("tls.log")).unwrap();
        let server = Command::new(postgres())
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir("/")
            .uid(owner.uid())
            .gid(owner.gid())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut secured = Secured { dir, server, port, user, _held };
        secured.until_up().await;
        Some(secured)
    }

    async fn until_up(&mut self) {
        let address = format!("host=127.0.0.1 port={} user={} dbname=postgres", self.port, self.user);
        while self.server.try_wait().unwrap().is_none() {
            if tokio_postgres::connect(&address, tokio_postgres::NoTls).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", std::fs::read_to_string(self.dir.join("tls.log")).unwrap());
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// What comes of connecting with these parameters.
    async fn try_as(&self, login: &str, host: &str, database: &str, query: &str) -> Result<(), String> {
        let url = format!("postgresql://{login}@{host}:{}/{database}?hostaddr=127.0.0.1&{query}", self.port);
        support::connect(&url).await.map(drop).map_err(|error| error.to_string())
    }

    async fn attempt(&self, host: &str, query: &str) -> Result<(), String> {
        self.try_as(&self.user, host, "secure", query).await
    }
}

/// The server's program, where systems put it.
fn postgres() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for base in ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"] {
        let versions = std::fs::read_dir(base).into_iter().flatten().flatten();
        places.extend(versions.map(|version| version.path().join("bin")));
    }
    places.into_iter().map(|place| place.join("postgres")).find(|program| program.is_file()).unwrap()
}

fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority: `NAME.crt` and `NAME.key`.
pub fn authority(dir: &Path, name: &str) {
    openssl(
        dir,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={name} -keyout {name}.key -out {name}.crt"
        ),
    );
}

/// A certificate of the first authority, `NAME.crt`, with its key.
pub fn signed(dir: &Path, name: &str, subject: &str, alternative: &str) {
    std::fs::write(dir.join("extensions"), format!("subjectAltName={alternative}\n")).unwrap();
    openssl(
        dir,
        &format!("req -newkey rsa:2048 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr"),
    );
    openssl(
        dir,
        &format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out {name}.crt"
        ),
    );
    std::fs::set_permissions(dir.join(format!("{name}.key")), std::fs::Permissions::from_mode(0o600))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_as_the_address_says_and_no_further() {
    let Some(server) = Secured::start().await else { return };
    let (ca, other) = (server.file("ca.crt"), server.file("other.crt"));
    for (host, query) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={ca}")),
        // The name does not count, the authority does.
        ("db.example.com", format!("sslmode=verify-ca&sslrootcert={ca}")),
        ("db.example.com", format!("sslmode=require&sslrootcert={ca}")),
        ("db.example.com", "sslmode=require".to_owned()),
        ("db.example.com", "sslmode=prefer".to_owned()),
        ("localhost", format!("sslrootcert={other}")),
        // A server whose own certificate was given by hand.
        ("localhost", format!("sslmode=verify-full&sslrootcert={}", server.file("server.crt"))),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}&ssl_min_protocol_version=TLSv1.3")),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={ca}&sslsni=0&connect_timeout=10&keepalives_idle=30"),
        ),
    ] {
        server.attempt(host, &query).await.unwrap_or_else(|why| panic!("{host} {query}: {why}"));
    }
    for (host, query, why) in [
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
            "name its authority's file by sslrootcert",
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={other}"),
            "name its authority's file by sslrootcert",
        ),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={other}"),
            "name its authority's file by sslrootcert",
        ),
        ("db.example.com", format!("sslmode=verify-full&sslrootcert={ca}"), "is for another name"),
        ("db.example.com", format!("sslrootcert={ca}"), "is for another name"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ca}"), "is for another name"),
        (
            "db.example.com",
            format!("sslmode=verify-full&sslrootcert={}", server.file("server.crt")),
            "is for another name",
        ),
        ("localhost", "sslrootcert=system".to_owned(), "name its authority's file by sslrootcert"),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=/nowhere/ca.crt".to_owned(),
            "sslrootcert=/nowhere/ca.crt",
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={}", server.file("server.key")),
            "it has no certificate",
        ),
        ("localhost", "sslmode=disable".to_owned(), "no encryption"),
    ] {
        let told = server.attempt(host, &query).await.expect_err(&query);
        assert!(told.contains(why), "{host} {query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_shows_a_certificate_or_a_password_that_is_kept() {
    let Some(server) = Secured::start().await else { return };
    let tls = format!("sslmode=verify-full&sslrootcert={}", server.file("ca.crt"));
    let with = |name: &str| {
        format!(
            "{tls}&sslcert={}&sslkey={}",
            server.file(&format!("{name}.crt")),
            server.file(&format!("{name}.key"))
        )
    };
    server.try_as("cert_user", "localhost", "by_certificate", &with("client")).await.unwrap();
    let told =
        server.try_as("cert_user", "localhost", "by_certificate", &with("stranger")).await.unwrap_err();
    assert!(told.contains("refuses the user \"cert_user\""), "{told}");
    server.try_as("cert_user", "localhost", "by_certificate", &tls).await.unwrap_err();
    let key = server.dir.join("client.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = server.try_as("cert_user", "localhost", "by_certificate", &with("client")).await.unwrap_err();
    assert!(told.contains("others may read it") && told.contains("chmod 600"), "{told}");

    let bound = format!("{tls}&channel_binding=require");
    server.try_as("ann:p%40ss%3Aword", "localhost", "by_password", &bound).await.unwrap();
    let told = server.try_as("ann:wrong", "localhost", "by_password", &tls).await.unwrap_err();
    assert!(told.contains("refuses the user \"ann\"") && !told.contains("wrong"), "{told}");
    let kept = server.dir.join("passwords");
    std::fs::write(&kept, "other:*:*:*:no\nlocalhost:*:by_password:ann:p@ss\\:word\n").unwrap();
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o600)).unwrap();
    let query = format!("{tls}&passfile={}", kept.display());
    server.try_as("ann", "localhost", "by_password", &query).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_server_that_is_as_it_is_wanted_is_taken() {
    let Some(server) = Secured::start().await else { return };
    let (port, user) = (server.port, &server.user);
    // One where nobody listens stands before it.
    let (_free, closed) = held();
    let address = |wanted: &str| {
        format!(
            "postgresql://{user}@127.0.0.1:{closed},127.0.0.1:{port}/secure?sslmode=require&target_session_attrs={wanted}"
        )
    };
    for wanted in ["any", "read-write", "primary", "prefer-standby"] {
        support::connect(&address(wanted)).await.unwrap_or_else(|why| panic!("{wanted}: {why}"));
    }
    for wanted in ["read-only", "standby"] {
        let told = support::connect(&address(wanted)).await.map(drop).unwrap_err().to_string();
        assert!(told.contains("no connection to PostgreSQL"), "{wanted}: {told}");
    }
}
