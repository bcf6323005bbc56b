//! Changing the configuration file, with everything else in it left as it was written.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError};
use toml_edit::{DocumentMut, Item};

/// Writes a file that only its owner reads, in one step: a crash leaves the old one or the new one.
///
/// # Errors
/// With the path in the text.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    write(path, text, |file| file.persist(path))
}

/// As [`write_private`], of a file that is not there yet: one that is, is never written over.
///
/// # Errors
/// Of the kind `AlreadyExists` where there is one.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    write(path, text, |file| file.persist_noclobber(path))
}

fn write(
    path: &Path,
    text: &str,
    put: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> io::Result<()> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    // Readable by its owner alone from the beginning.
    let mut file = NamedTempFile::new_in(folder_of(path)).map_err(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(told)?;
    put(file).map(drop).map_err(|error| told(error.error))
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Sets a key of a table in the file, where it is, or at the table's end. The table is named by its path.
///
/// # Errors
/// When the file cannot be read or written.
pub fn set_key(path: &Path, table: &[String], key: &str, value: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    write_private(path, &with_key(&text, table, key, value)?)
}

/// Sets a secret of a table where the file keeps it: in itself, or in the file that `KEY_file` names.
///
/// # Errors
/// When it comes from the environment, which a file cannot change, or something cannot be written.
pub fn set_secret(path: &Path, table: &[String], key: &str, value: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let of = |name: &str| value_of(&text, table, name);
    if let Some(file) = of(&format!("{key}_file")) {
        return write_private(&PathBuf::from(file), value);
    }
    if let Some(variable) = of(&format!("{key}_env")) {
        return Err(io::Error::other(format!(
            "the secret comes from the environment variable {variable}: set it there, and restart the engine"
        )));
    }
    set_key(path, table, key, value)
}

fn value_of(text: &str, table: &[String], key: &str) -> Option<String> {
    let mut at: toml::Value = toml::Value::Table(text.parse().ok()?);
    for name in table.iter().map(String::as_str).chain([key]) {
        at = at.as_table_mut()?.remove(name)?;
    }
    at.as_str().map(str::to_owned)
}

/// The text with a key of a table set; comments and all else stay as they were written.
fn with_key(text: &str, table: &[String], key: &str, value: &str) -> io::Result<String> {
    let mut document: DocumentMut = text.parse().map_err(io::Error::other)?;
    let mut at = document.as_item_mut();
    for name in table {
        let no_table = || io::Error::other(format!("{name} is no table"));
        at = at.as_table_like_mut().ok_or_else(no_table)?.entry(name).or_insert(toml_edit::table());
    }
    let table = at.as_table_like_mut().ok_or_else(|| io::Error::other("it is no table"))?;
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let around = old.decor().clone();
            *old = value.into();
            *old.decor_mut() = around;
        }
        None => {
            table.insert(key, toml_edit::value(value));
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_key_changes_and_the_rest_stays_as_it_was() {
        let text = "# mine\n[salesforce]\nclient_secret = \"old\" # here\nlease = \"9s\"\n[other]\nclient_secret = \"x\"\n";
        let (table, other) = (path(&["salesforce"]), path(&["other"]));
        let new = with_key(text, &table, "client_secret", "n\"w").unwrap();
        assert_eq!(value_of(&new, &table, "client_secret").as_deref(), Some("n\"w"));
        assert_eq!(value_of(&new, &other, "client_secret").as_deref(), Some("x"));
        assert_eq!(new, text.replace("\"old\"", "'n\"w'"));
        let added = with_key(text, &table, "audience", "a").unwrap();
        assert_eq!(value_of(&added, &table, "audience").as_deref(), Some("a"));
    }

    #[test]
    fn a_connection_among_several_is_changed_alone() {
        let text = "[connections.a.salesforce]\nclient_secret = \"x\"\n[ connections.\"b c\".salesforce ] # live\nclient_secret = \"y\"\n";
        let (a, b) = (path(&["connections", "a", "salesforce"]), path(&["connections", "b c", "salesforce"]));
        let new = with_key(text, &b, "client_secret", "z").unwrap();
        assert_eq!(new, text.replace("\"y\"", "\"z\""));
        let added = with_key(text, &a, "audience", "q").unwrap();
        assert_eq!(value_of(&added, &a, "audience").as_deref(), Some("q"));
    }

    #[test]
    fn a_key_is_found_however_it_is_written() {
        let table = path(&["salesforce"]);
        for (text, new) in [
            (
                "salesforce = { client_secret = 'x', lease = '9s' } # one line\n",
                "salesforce = { client_secret = \"z\", lease = '9s' } # one line\n",
            ),
            ("salesforce.client_secret = 'x' # dotted\n", "salesforce.client_secret = \"z\" # dotted\n"),
            (
                "[salesforce]\n\"client_secret\" = \"\"\"\nx\"\"\" # of lines\n",
                "[salesforce]\n\"client_secret\" = \"z\" # of lines\n",
            ),
            ("a = '[salesforce]'\n", "a = '[salesforce]'\n\n[salesforce]\nclient_secret = \"z\"\n"),
        ] {
            assert_eq!(with_key(text, &table, "client_secret", "z").unwrap(), new);
        }
        assert!(with_key("salesforce = 1", &table, "client_secret", "z").is_err());
    }

    #[test]
    fn a_secret_from_the_environment_is_not_in_reach() {
        let dir = tempfile::tempdir().unwrap();
        let table = path(&["salesforce"]);
        let path = dir.path().join("syncdeck.toml");
        std::fs::write(&path, "[salesforce]\nclient_secret_env = \"SECRET\"\n").unwrap();
        let error = set_secret(&path, &table, "client_secret", "x").unwrap_err().to_string();
        assert!(error.contains("environment variable SECRET"), "{error}");
        let secret = dir.path().join("secret");
        let names = toml::Value::String(secret.display().to_string());
        std::fs::write(&path, format!("[salesforce]\nclient_secret_file = {names}\n")).unwrap();
        set_secret(&path, &table, "client_secret", "new").unwrap();
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "new");
    }
}
