//! Changing the configuration file, with everything else in it left as it was written.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes a file that only its owner reads, in one step: a crash leaves the old one or the new one.
///
/// # Errors
/// With the path in the text.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let _ = std::fs::remove_file(&new);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)?;
    std::fs::rename(&new, path).map_err(told)
}

/// Sets a key of a table in the file, where it is, or at the table's beginning.
///
/// # Errors
/// When the file cannot be read or written.
pub fn set_key(path: &Path, table: &str, key: &str, value: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    write_private(path, &with_key(&text, table, key, value))
}

/// Sets a secret of `[salesforce]` where the file keeps it: in itself, or in the file that `KEY_file` names.
///
/// # Errors
/// When it comes from the environment, which a file cannot change, or something cannot be written.
pub fn set_secret(path: &Path, key: &str, value: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let of = |name: &str| value_of(&text, "salesforce", name);
    if let Some(file) = of(&format!("{key}_file")) {
        return write_private(&PathBuf::from(file), value);
    }
    if let Some(variable) = of(&format!("{key}_env")) {
        return Err(io::Error::other(format!(
            "the secret comes from the environment variable {variable}: set it there, and restart the engine"
        )));
    }
    set_key(path, "salesforce", key, value)
}

fn value_of(text: &str, table: &str, key: &str) -> Option<String> {
    let parsed: toml::Table = text.parse().ok()?;
    parsed.get(table)?.get(key)?.as_str().map(str::to_owned)
}

/// The text with a key of a table set.
fn with_key(text: &str, table: &str, key: &str, value: &str) -> String {
    let setting = format!("{key} = {}", toml::Value::String(value.to_owned()));
    let head = format!("[{table}]");
    let mut inside = false;
    let mut done = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            inside = trimmed == head;
        }
        let is_key = inside && trimmed.split('=').next().is_some_and(|name| name.trim() == key);
        if is_key && !done {
            done = true;
            lines.push(setting.clone());
        } else {
            lines.push(line.to_owned());
        }
    }
    if !done && let Some(at) = lines.iter().position(|line| line.trim() == head) {
        lines.insert(at + 1, setting);
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_changes_and_the_rest_stays_as_it_was() {
        let text = "# mine\n[salesforce]\nclient_secret = \"old\" # here\nlease = \"9s\"\n[other]\nclient_secret = \"x\"\n";
        let new = with_key(text, "salesforce", "client_secret", "n\"w");
        assert_eq!(value_of(&new, "salesforce", "client_secret").as_deref(), Some("n\"w"));
        assert_eq!(value_of(&new, "other", "client_secret").as_deref(), Some("x"));
        assert!(new.starts_with("# mine\n[salesforce]\n") && new.contains("lease = \"9s\"\n"));
        let added = with_key(text, "salesforce", "audience", "a");
        assert_eq!(value_of(&added, "salesforce", "audience").as_deref(), Some("a"));
    }

    #[test]
    fn a_secret_from_the_environment_is_not_in_reach() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("syncdeck.toml");
        std::fs::write(&path, "[salesforce]\nclient_secret_env = \"SECRET\"\n").unwrap();
        let error = set_secret(&path, "client_secret", "x").unwrap_err().to_string();
        assert!(error.contains("environment variable SECRET"), "{error}");
        let secret = dir.path().join("secret");
        let names = toml::Value::String(secret.display().to_string());
        std::fs::write(&path, format!("[salesforce]\nclient_secret_file = {names}\n")).unwrap();
        set_secret(&path, "client_secret", "new").unwrap();
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "new");
    }
}
