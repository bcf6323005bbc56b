//! Through a real sshd on loopback: a connection that breaks costs nothing but the way back in.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::screen::Terminal;
use crate::support::Patience;
use crate::workspace::{Office, filter, open_record};

/// An sshd with keys of its own, for the user who runs the tests.
struct Sshd {
    child: Child,
    port: u16,
    key: PathBuf,
    _dir: tempfile::TempDir,
}

impl Sshd {
    /// One whose sessions keep their state in `state`; `None` where there is no sshd to be had.
    fn start(state: &Path) -> Option<Sshd> {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.exists())?;
        let dir = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let path = dir.path().join(name);
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
            made.is_ok_and(|made| made.success()).then_some(path)
        };
        let (host, user) = (key("host")?, key("user")?);
        if nix::unistd::geteuid().is_root() {
            // sshd insists on it.
            std::fs::create_dir_all("/run/sshd").ok()?;
            std::fs::set_permissions("/run/sshd", std::fs::Permissions::from_mode(0o755)).ok()?;
        }
        // A free port may be taken by somebody else before sshd has it.
        (0..5).find_map(|_| {
            let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            let config = dir.path().join("sshd_config");
            let text = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}.pub\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 SetEnv XDG_STATE_HOME={} LC_ALL=C.UTF-8\n",
                host.display(),
                user.display(),
                state.display()
            );
            std::fs::write(&config, text).ok()?;
            let mut child =
                Command::new(sshd).args(["-D", "-e", "-f"]).arg(&config).stderr(Stdio::piped()).spawn().ok()?;
            let mut lines = BufReader::new(child.stderr.take()?).lines().map_while(Result::ok);
            let listens = lines.any(|line| line.contains("Server listening"));
            // What it says later is read, so that it can go on.
            std::thread::spawn(move || lines.for_each(drop));
            if listens {
                return Some((child, port));
            }
            let _ = child.wait();
            None
        })
        .map(|(child, port)| Sshd { child, port, key: user, _dir: dir })
    }

    /// The words that run something on the other side, on a terminal there.
    fn words(&self, remote: &str) -> Vec<String> {
        let key = self.key.display().to_string();
        let (known, port) = (format!("{key}.known"), self.port.to_string());
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        [
            "ssh",
            "-tt",
            "-F",
            "none",
            "-i",
            &key,
            "-p",
            &port,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            &format!("UserKnownHostsFile={known}"),
            "-o",
            "LogLevel=ERROR",
            &format!("{user}@127.0.0.1"),
            remote,
        ]
        .map(str::to_owned)
        .into()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many consoles run on a configuration.
fn consoles(config: &Path) -> usize {
    let program = std::fs::canonicalize(env!("CARGO_BIN_EXE_syncdeck")).unwrap();
    let is_one = |process: &Path| {
        std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program)
            && std::fs::read_to_string(process.join("cmdline"))
                .is_ok_and(|words| words.split('\0').any(|word| Path::new(word) == config))
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(|process| is_one(&process.path())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_ends_the_console_saves_nothing_and_the_next_one_has_what_was_typed() {
    let office = Office::open().await;
    let Some(sshd) = Sshd::start(&office.home("far")) else {
        eprintln!("skipped: there is no sshd");
        return;
    };
    let config = office.world.config.path.clone();
    let words = sshd.words(&office.words().join(" "));
    let mut terminal = Terminal::start(office.command("near", &words), 120, 40);
    terminal.wait_for("1 of 8");
    filter(&mut terminal, "code:EMAIL", "1 of 8");
    terminal.keys("jjj");
    terminal.wait_for("4 of 8");
    // There is no shell that could bring it back: Ctrl-Z only draws it anew.
    terminal.keys("\x1a");
    terminal.resize(110, 36);
    terminal.wait_for("4 of 8");
    let row = open_record(&mut terminal);
    terminal.keys("e");
    terminal.wait_for("save and retry");
    terminal.keys("\x01\x0bhalf@typed.example");
    terminal.wait_for("half@typed.example");
    assert_eq!(consoles(&config), 1);

    let email = office.contact("email", row).await;
    terminal.signal(Signal::SIGKILL);
    terminal.exit_code();
    let patience = Patience::new();
    while consoles(&config) > 0 {
        assert!(!patience.is_over(), "the console is still there");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(office.contact("email", row).await, email);
    let kept = "SELECT (SELECT count(*) FROM syncdeck.audit) || ' ' || (SELECT count(*) FROM syncdeck.error WHERE state = 'open')";
    assert_eq!(office.world.text(kept).await.as_deref(), Some("0 8"));

    // The engine goes on meanwhile, and the next console stands where the first one stood.
    office
        .world
        .run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Meanwhile', 'TERM-9')")
        .await;
    office
        .world
        .until("the engine goes on", async || office.world.record("Contact", "TERM-9").is_some())
        .await;
    let mut terminal = Terminal::start(office.command("near", &words), 120, 40);
    terminal.wait_for("5 Pending · code:EMAIL");
    terminal.wait_for("4 of 8");
    terminal.wait_for("┏ 3 Record");
    terminal.wait_for(&format!("Contact {row}"));
    // What was typed is kept for the operator, and saved when they say so.
    terminal.wait_for("✎ 1 changed: Ctrl-S saves and sends");
    terminal.wait_for("half@typed.example (row: ");
    terminal.keys("\x13");
    terminal.wait_for("✓ Salesforce took it");
    assert_eq!(office.contact("email", row).await, Some("half@typed.example".to_owned()));
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(consoles(&config), 0);
}
