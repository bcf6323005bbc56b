//! What the program tells about itself, on a machine where nothing is configured.

use std::process::Command;

use serde_json::Value;

use crate::{CONFIG, config, directory, run_in, unread};

#[test]
fn completions_and_manual_pages_come_from_the_commands_themselves() {
    let dir = directory();
    for (shell, mark) in [
        ("bash", "complete -F _syncdeck"),
        ("zsh", "#compdef syncdeck"),
        ("fish", "complete -c syncdeck"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[syncdeck]"),
    ] {
        let script = run_in(&dir, &["completions", shell]);
        assert!(
            script.status == 0 && script.err.is_empty() && script.out.contains(mark),
            "{shell}: {script:?}"
        );
        assert!(script.out.contains("fail-on") && script.out.contains("simulator"), "{shell}: {script:?}");
    }
    let unknown = run_in(&dir, &["completions", "tcsh"]);
    assert!(unknown.status == 2 && unknown.err.contains("[possible values: bash, elvish"), "{unknown:?}");

    let page = run_in(&dir, &["man"]);
    assert!(page.status == 0 && page.out.contains(".TH syncdeck 1"), "{page:?}");
    for part in [".SH NAME", ".SH \"COMMON OPTIONS\"", "syncdeck\\-status(1)", "\\-\\-connection"] {
        assert!(page.out.contains(part), "{part}: {}", page.out);
    }
    // The keys of the table, as `syncdeck keys` lists them, and what else a page has.
    for section in ["KEYS", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(page.out.contains(&format!(".SH \"{section}\"")), "{section}: {}", page.out);
    }
    for part in
        ["\\fB], Right", "\\fB:pause\\-all\\fR", "\\fB3\\fR\ndone, but", "COLORFGBG", "\\&./syncdeck.toml"]
    {
        assert!(page.out.contains(part), "{part}: {}", page.out);
    }
    let keys = run_in(&dir, &["keys", "--json"]).json();
    for key in keys.as_array().unwrap() {
        let line = format!("\n{} (", key["command"].as_str().unwrap().replace('-', "\\-"));
        assert!(page.out.contains(&line), "{line}: {}", page.out);
    }
    let status = run_in(&dir, &["man", "status"]);
    assert!(status.out.contains(".TH syncdeck-status 1") && status.out.contains("fail\\-on"), "{status:?}");
    let unknown = run_in(&dir, &["man", "conjure"]);
    assert!(unknown.status == 2 && unknown.err.contains("there is no command \"conjure\""), "{unknown:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_keys_of_the_console_are_listed_with_where_they_work() {
    let dir = directory();
    let keys = run_in(&dir, &["keys", "--json"]).json();
    let of = |command: &str| keys.as_array().unwrap().iter().find(|key| key["command"] == command).unwrap();
    assert_eq!(of("retry")["panes"], serde_json::json!(["errors", "record"]));
    assert_eq!((&of("retry")["changes"], &of("help")["panes"]), (&Value::Bool(true), &serde_json::json!([])));
    for key in keys.as_array().unwrap() {
        assert!(key["keys"].is_array() && key["doc"].is_string(), "{key}");
    }
    let words = run_in(&dir, &["keys"]);
    let line = words.out.lines().find(|line| line.contains("  help  ")).unwrap();
    assert!(line.starts_with('?') && line.contains("everywhere"), "{line}");
    config(&dir, &format!("{CONFIG}[console.keys]\nretry = \"F5\"\n"), 0o600);
    let configured = run_in(&dir, &["keys"]);
    assert!(
        configured.out.lines().any(|line| line.starts_with("F5 ") && line.contains("retry")),
        "{configured:?}"
    );
    config(&dir, &format!("{CONFIG}[console.keys]\nretry = \"q\"\n"), 0o600);
    let twice = run_in(&dir, &["keys"]);
    assert!(twice.status == 0 && twice.err.contains("the key q is that of retry and of quit"), "{twice:?}");
    assert_eq!(twice.out, words.out, "the defaults are listed where the configuration has no keys that fit");
    config(&dir, CONFIG, 0o644);
    let open = run_in(&dir, &["keys"]);
    assert!(open.status == 0 && open.err.contains("chmod 600") && open.out == words.out, "{open:?}");
    let absent = run_in(&dir, &["keys", "--config", "/nowhere/syncdeck.toml"]);
    assert!(absent.status == 2 && absent.out.is_empty(), "{absent:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let keys = || Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    let output = keys().args(["keys", "--json"]).stdout(unread()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{output:?}");
    let output = keys().arg("keys").stderr(unread()).output().unwrap();
    assert!(output.status.code() == Some(0) && output.stdout.starts_with(b"keys"), "{output:?}");
}

#[test]
fn every_help_fits_eighty_columns() {
    let dir = directory();
    let commands = run_in(&dir, &["--help"]).out;
    let names: Vec<&str> = commands
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 25 && names.contains(&"completions"), "{names:?}");
    for name in names {
        let help = run_in(&dir, &[name, "--help"]);
        assert_eq!(help.status, 0, "{name}");
        for line in help.out.lines().chain(commands.lines()) {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}
