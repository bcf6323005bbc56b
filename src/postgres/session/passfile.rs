//! Passwords that are kept beside the address, as libpq finds them: `PGPASSWORD`, and the lines
//! `host:port:database:user:password` of `PGPASSFILE` or `~/.pgpass`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::postgres::session::url::ServerAddress;

/// The password of the first server that has one.
pub(in crate::postgres) fn password(
    file: Option<PathBuf>,
    config: &Config,
    targets: &[ServerAddress],
) -> Option<String> {
    if let Some(password) = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()) {
        return Some(password);
    }
    let set = || std::env::var_os("PGPASSFILE").map(PathBuf::from);
    let usual = || std::env::home_dir().map(|home| home.join(".pgpass"));
    let path = file.or_else(set).or_else(usual)?;
    let text = std::fs::read_to_string(&path).ok().filter(|_| is_private(&path))?;
    let user = config.get_user().map(str::to_owned).or_else(|| std::env::var("USER").ok())?;
    let database = config.get_dbname().unwrap_or(&user);
    targets.iter().find_map(|target| {
        let host = match &target.host {
            Host::Unix(_) => "localhost".to_owned(),
            Host::Tcp(_) => target.name(),
        };
        found(&text, &[&host, &target.port.to_string(), database, &user])
    })
}

/// As libpq: what others may read is no secret, and is not used.
fn is_private(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 == 0)
}

/// The password of the first line that fits.
fn found(text: &str, wanted: &[&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let cells = cells(line);
        let (known, password) = cells.split_at_checked(wanted.len())?;
        let fits = known.iter().zip(wanted).all(|(cell, wanted)| cell == "*" || cell == wanted);
        fits.then(|| password.first().cloned()).flatten().filter(|password| !password.is_empty())
    })
}

/// Cells between colons; a backslash makes a colon, or itself, plain.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut rest) = (vec![String::new()], line.trim_end_matches(['\r', '\n']).chars());
    while let Some(c) = rest.next() {
        let c = match c {
            ':' => {
                cells.push(String::new());
                continue;
            }
            '\\' => rest.next().unwrap_or('\\'),
            c => c,
        };
        if let Some(last) = cells.last_mut() {
            last.push(c);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_is_taken() {
        let text = "# kept\nh:5432:other:ann:no\n*:*:acme:ann:p\\:a\\\\ss\nh:5432:acme:ann:late\nbroken";
        assert_eq!(found(text, &["h", "5432", "acme", "ann"]).as_deref(), Some("p:a\\ss"));
        assert_eq!(found(text, &["h", "5432", "acme", "bob"]), None);
    }
}
