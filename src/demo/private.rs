//! The private server: a PostgreSQL of our own from the machine's server programs, for the demo and the tests.
//!
//! It listens on a Unix socket in a directory of its own and on no TCP port, and its data live in a directory that
//! is handed in. A small keeper process (a shell that waits for the end of a pipe) owns it: however this process
//! ends (return, panic, signal, kill -9), the pipe closes, and the keeper stops the server and removes what is to
//! be removed. Started by root, it runs as an unprivileged account.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, User, chown};

/// The oldest server that the schema's SQL runs on.
const OLDEST: u32 = 13;
/// How long the server may take from start to the first answer.
const START_LIMIT: Duration = Duration::from_secs(120);
/// The database's superuser and only role at the start.
pub const USER: &str = "syncdeck";

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum PrivateServerError {
    /// No server programs.
    #[error(
        "no PostgreSQL server programs (initdb, postgres; version {OLDEST} or newer) found in PATH or the usual places\n\
         install them: {}",
        install_line().unwrap_or_else(|| "your system's package of the PostgreSQL server".to_owned())
    )]
    NotInstalled,
    /// The data directory's path is closed to the account.
    #[error(
        "{} cannot be entered by the account {account:?}, as which PostgreSQL must run when started by root\n\
         choose a directory that every account can enter, such as one below /var/tmp", path.display()
    )]
    Closed {
        /// The directory that refuses.
        path: PathBuf,
        /// The account.
        account: String,
    },
    /// Started by root, and no account to give the server.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has no account \"postgres\" or \"nobody\" to run it as"
    )]
    NoAccount,
    /// A server program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which one.
        program: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// It did not come up.
    #[error("the private PostgreSQL did not answer within {} s: {log}", START_LIMIT.as_secs())]
    Slow {
        /// The end of its log.
        log: String,
    },
    /// A file operation.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// How to start it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where `pgdata` is made; must exist.
    pub dir: PathBuf,
    /// Remove `dir` with everything in it at the end.
    pub remove: bool,
    /// Keep what was written safe against a crash of the machine; tests do without.
    pub durable: bool,
}

/// A running private server; stopped when dropped.
#[derive(Debug)]
pub struct PrivateServer {
    keeper: Child,
    socket_dir: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl PrivateServer {
    /// Makes the cluster in `options.dir` (or takes the one that is there) and starts it. Blocks for about a second.
    ///
    /// # Errors
    /// Each names what is missing or refused, and the remedy.
    pub fn start(options: &Options) -> Result<PrivateServer, PrivateServerError> {
        let programs = find_programs().ok_or(PrivateServerError::NotInstalled)?;
        let account = Account::for_server()?;
        if let Some(account) = &account {
            account.can_enter(&options.dir)?;
            if options.remove {
                account.own(&options.dir)?;
            }
        }
        let data = options.dir.join("pgdata");
        if data.join("postmaster.pid").exists() {
            stop_leftover(&programs, account.as_ref(), &data);
        }
        if !data.join("PG_VERSION").exists() {
            init(&programs, account.as_ref(), &data)?;
        }
        let socket_dir = tempfile::Builder::new()
            .prefix("syncdeck-pg-")
            .tempdir_in("/tmp")
            .map_err(|source| io_error("cannot make a socket directory in", Path::new("/tmp"), source))?
            .keep();
        if let Some(account) = &account {
            account.own(&socket_dir)?;
        }
        let log = options.dir.join("postgresql.log");
        let stale = read_postmaster(&data).map(|(pid, _)| pid);
        let keeper = spawn_keeper(&programs, account.as_ref(), options, &data, &socket_dir, &log)?;
        let server = PrivateServer { keeper, socket_dir, data, log };
        server.wait_for(|pid| stale.as_deref() != Some(pid))?;
        Ok(server)
    }

    /// Crashes the server (an immediate shutdown) and starts it again; returns when it accepts connections.
    ///
    /// # Errors
    /// When the keeper is gone or the server does not come back.
    pub fn crash_and_restart(&self) -> Result<(), PrivateServerError> {
        let gone = |source| io_error("cannot reach the keeper of", &self.socket_dir, source);
        let mut pipe = self.keeper.stdin.as_ref().ok_or_else(|| gone(io::ErrorKind::BrokenPipe.into()))?;
        let before = read_postmaster(&self.data).map(|(pid, _)| pid);
        pipe.write_all(b"restart\n").map_err(gone)?;
        self.wait_for(|pid| before.as_deref() != Some(pid))
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The directory of the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// A connection URL for `database`.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql:///{database}?host={}&user={USER}", self.socket_dir.display())
    }

    /// Waits for a server that is `wanted` by its process number.
    fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> Result<(), PrivateServerError> {
        let begin = Instant::now();
        while begin.elapsed() < START_LIMIT {
            if read_postmaster(&self.data).is_some_and(|(pid, ready)| ready && wanted(&pid)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(PrivateServerError::Slow { log: tail(&self.log) })
    }
}

/// A server's process and whether it accepts connections, from the file in which it says so.
fn read_postmaster(data: &Path) -> Option<(String, bool)> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().to_owned();
    Some((pid, lines.nth(6).is_some_and(|status| status.trim() == "ready")))
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The keeper stops the server within a second; whatever happens to it, it is not waited for without end.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) {
            match self.keeper.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => break,
            }
        }
    }
}

/// Removes what a demo left behind whose keeper, too, was killed: temporary workspaces and socket directories
/// in `/tmp` whose process is gone.
pub fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir("/tmp") else { return };
    let programs = find_programs();
    for path in entries.flatten().map(|entry| entry.path()) {
        let named = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"syncdeck-"));
        let Some(pid) = named.then(|| std::fs::read_to_string(path.join("keeper.pid")).ok()).flatten() else {
            continue;
        };
        let Ok(pid) = pid.trim().parse::<i32>() else { continue };
        if nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok() {
            continue;
        }
        let data = path.join("pgdata");
        if let (true, Some(programs)) = (data.exists(), &programs) {
            stop_leftover(programs, Account::for_server().ok().flatten().as_ref(), &data);
        }
        let _ = std::fs::remove_dir_all(&path);
    }
}

/// The account that the server runs as, when this process is root.
struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Account {
    fn for_server() -> Result<Option<Account>, PrivateServerError> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Some(Account { name: user.name, uid: user.uid, gid: user.gid }))
            .ok_or(PrivateServerError::NoAccount)
    }

    fn own(&self, path: &Path) -> Result<(), PrivateServerError> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|errno| io_error("cannot hand over", path, errno.into()))
    }

    /// Every directory from the root to `dir` must let the account through.
    fn can_enter(&self, dir: &Path) -> Result<(), PrivateServerError> {
        let full = std::fs::canonicalize(dir).map_err(|source| io_error("cannot open", dir, source))?;
        for ancestor in full.ancestors() {
            let meta =
                std::fs::metadata(ancestor).map_err(|source| io_error("cannot open", ancestor, source))?;
            let mode = meta.permissions().mode();
            let bit = if meta.uid() == self.uid.as_raw() {
                0o100
            } else if meta.gid() == self.gid.as_raw() {
                0o010
            } else {
                0o001
            };
            if mode & bit == 0 {
                return Err(PrivateServerError::Closed {
                    path: ancestor.to_owned(),
                    account: self.name.clone(),
                });
            }
        }
        Ok(())
    }
}

struct Programs {
    bin: PathBuf,
}

impl Programs {
    fn command(&self, program: &str, account: Option<&Account>) -> Command {
        command_as(self.bin.join(program), account)
    }
}

fn command_as(program: impl AsRef<OsStr>, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    // The caller's directory may be closed to the account; a group of its own keeps Ctrl-C away from the server.
    command.current_dir("/").process_group(0).env_remove("PGDATA");
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

fn find_programs() -> Option<Programs> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for base in ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt"] {
        places.extend(versions_below(Path::new(base)));
    }
    places.extend(versions_below(Path::new("/Applications/Postgres.app/Contents/Versions")));
    places
        .into_iter()
        .find(|bin| bin.join("initdb").is_file() && version(bin).is_some_and(|version| version >= OLDEST))
        .map(|bin| Programs { bin })
}

/// `base/*/bin`, newest version first.
fn versions_below(base: &Path) -> Vec<PathBuf> {
    let number = |path: &Path| -> u32 {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.trim_start_matches("postgresql@").parse().unwrap_or(0)
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(base)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    found.sort_by_key(|path| std::cmp::Reverse(number(path)));
    found.into_iter().map(|path| path.join("bin")).collect()
}

/// The major version that `postgres --version` tells.
fn version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

/// Whether the server programs are on this machine.
pub fn is_installed() -> bool {
    find_programs().is_some()
}

/// How each package manager installs the server programs; as root, but for Homebrew.
const INSTALLS: [(&str, &str); 6] = [
    ("brew", "brew install postgresql@17"),
    ("apt-get", "apt-get update && apt-get install --yes postgresql"),
    ("dnf", "dnf install --assumeyes postgresql-server"),
    ("zypper", "zypper --non-interactive install postgresql-server"),
    ("pacman", "pacman --sync --noconfirm postgresql"),
    ("apk", "apk add postgresql"),
];

/// The line for a shell that installs the server programs here; `None` where no package manager is known.
pub fn install_line() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    line_of(is_here, Uid::effective().is_root())
}

fn line_of(is_here: impl Fn(&str) -> bool, root: bool) -> Option<String> {
    let (manager, line) = INSTALLS.iter().find(|(manager, _)| is_here(manager))?;
    if root || *manager == "brew" {
        return Some((*line).to_owned());
    }
    Some(line.split(" && ").map(|part| format!("sudo {part}")).collect::<Vec<_>>().join(" && "))
}

fn init(programs: &Programs, account: Option<&Account>, data: &Path) -> Result<(), PrivateServerError> {
    if let Some(account) = account {
        std::fs::create_dir(data).map_err(|source| io_error("cannot make", data, source))?;
        account.own(data)?;
    }
    let output = programs
        .command("initdb", account)
        .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "--username", USER, "--pgdata"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| io_error("cannot run initdb for", data, source))?;
    if output.status.success() {
        return Ok(());
    }
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(PrivateServerError::Failed { program: "initdb", output: last_lines(&text) })
}

fn spawn_keeper(
    programs: &Programs,
    account: Option<&Account>,
    options: &Options,
    data: &Path,
    socket_dir: &Path,
    log: &Path,
) -> Result<Child, PrivateServerError> {
    const KEEPER: &str = r#"
postgres=$1 data=$2 socket=$3 stop=$4 remove=$5
trap '' HUP INT TERM
for dir in "$socket" ${remove:+"$remove"}; do echo $$ >"$dir/keeper.pid"; done
start() { "$postgres" -D "$data" -k "$socket" $settings </dev/null & server=$!; }
start
while read -r word; do
    [ "$word" = restart ] && { kill -QUIT $server; wait $server; start; }
done
kill -"$stop" $server 2>/dev/null
wait $server
rm -rf "$socket" ${remove:+"$remove"}
"#;
    let mut settings = vec![
        "-c listen_addresses= -c unix_socket_permissions=0700 -c max_connections=200",
        "-c log_min_messages=warning -c shared_buffers=64MB -c jit=off -c timezone=UTC",
    ];
    if !options.durable {
        // Commits still reach the operating system: a crash of the server alone, which tests cause, loses nothing.
        settings.push("-c fsync=off -c full_page_writes=off");
    }
    let log_file = std::fs::File::create(log).map_err(|source| io_error("cannot write", log, source))?;
    let errors = log_file.try_clone().map_err(|source| io_error("cannot write", log, source))?;
    command_as("/bin/sh", account)
        .arg("-c")
        .arg(KEEPER)
        .arg("syncdeck-keeper")
        .arg(programs.bin.join("postgres"))
        .arg(data)
        .arg(socket_dir)
        .arg(if options.remove { "QUIT" } else { "INT" })
        .arg(if options.remove { options.dir.as_os_str() } else { OsStr::new("") })
        .env("settings", settings.join(" "))
        .stdin(Stdio::piped())
        .stdout(Stdio::from(log_file))
        .stderr(Stdio::from(errors))
        .spawn()
        .map_err(|source| io_error("cannot start the keeper of", data, source))
}

/// Ends a server that still runs on `data` though its keeper is gone. pg_ctl itself makes sure that the process
/// is the server of that directory.
fn stop_leftover(programs: &Programs, account: Option<&Account>, data: &Path) {
    let _ = programs
        .command("pg_ctl", account)
        .args(["stop", "-m", "immediate", "-w", "-t", "10", "-D"])
        .arg(data)
        .stdin(Stdio::null())
        .output();
}

fn tail(log: &Path) -> String {
    std::fs::read_to_string(log).map(|text| last_lines(&text)).unwrap_or_default()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> PrivateServerError {
    PrivateServerError::Io { what, path: path.to_owned(), source }
}

/// Stops a server that still runs on the cluster in `dir`, left by a process and a keeper that were killed.
pub fn stop_server_in(dir: &Path) {
    let data = dir.join("pgdata");
    if let (true, Some(programs)) = (data.join("postmaster.pid").exists(), find_programs()) {
        stop_leftover(&programs, Account::for_server().ok().flatten().as_ref(), &data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_installs_is_of_the_manager_that_is_here() {
        let of = |here: &'static [&'static str], root| line_of(|program| here.contains(&program), root);
        assert_eq!(of(&["dnf"], true).as_deref(), Some("dnf install --assumeyes postgresql-server"));
        let sudo = "sudo apt-get update && sudo apt-get install --yes postgresql";
        assert_eq!(of(&["apt-get", "apk"], false).as_deref(), Some(sudo));
        assert_eq!(of(&["brew"], false).as_deref(), Some("brew install postgresql@17"));
        assert_eq!(of(&[], true), None);
    }
}
