//! What `syncdeck.toml` may hold, and how the program refuses the rest.

use crate::{CONFIG, config, directory, run, run_in};

#[test]
fn console_settings_are_refused_by_their_place_with_the_remedy() {
    let dir = directory();
    for (console, line, wanted) in [
        ("theme = \"loud\"", 13, "console.theme: is unknown"),
        ("log_memory = \"lots\"", 13, "console.log_memory: is no amount of memory"),
        ("volume = 3", 13, "unknown field `volume`"),
        ("[console.keys]\nretry = [\"R\", 7]", 14, "console.keys.retry: is neither a key nor a list of keys"),
        ("[console.filters]\nmine = \"state:shut\"", 14, "console.filters.mine: state:shut: use open"),
    ] {
        let path = config(&dir, &format!("{CONFIG}[console]\n{console}\n"), 0o600);
        let ran = run(&["--config", &path, "status"]);
        assert!(ran.status == 2 && ran.err.contains(&format!("{path}:{line}: {wanted}")), "{ran:?}");
        assert!(ran.out.is_empty() && ran.err.lines().count() == 2, "{ran:?}");
    }
    // An engine does not rest for it.
    let path = config(&dir, &format!("{CONFIG}[console]\ntheme = 3\n"), 0o600);
    let engine = run(&["--config", &path, "run"]);
    assert!(engine.status == 1 && engine.err.contains("no connection to PostgreSQL"), "{engine:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// Two connections, of which no database answers.
fn several() -> String {
    ["staging", "live"].map(|name| {
        format!(
            "[connections.{name}]\nenvironment = \"{name}\"\n[connections.{name}.postgres]\nurl = \"postgresql://u@127.0.0.1:9/{name}\"\n\
             [connections.{name}.salesforce]\nlogin_url = \"http://127.0.0.1:9\"\nclient_id = \"i\"\nclient_secret = \"hush\"\n\
             [[connections.{name}.mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n"
        )
    })
    .concat()
}

#[test]
fn one_of_several_connections_is_chosen_by_name() {
    let dir = directory();
    let path = config(&dir, &several(), 0o600);
    let unknown = run(&["--config", &path, "--connection", "life", "errors"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.err.contains(&format!("{path} has no connection \"life\"")), "{unknown:?}");
    assert!(unknown.err.contains("name one of staging, live with --connection"), "{unknown:?}");
    // All are asked; each that does not answer is told, in JSON too.
    let all = run(&["--config", &path, "status", "--json"]);
    assert_eq!((all.status, all.json().as_array().unwrap().len()), (1, 2), "{all:?}");
    assert_eq!(all.json()[1]["connection"]["environment"], "live");
    assert!(all.err.contains("staging: no connection") && all.err.contains("live: no connection"), "{all:?}");
    let one = run(&["--config", &path, "--connection", "live", "status", "--json"]);
    assert!(one.status == 1 && one.out.is_empty() && !one.err.contains("staging"), "{one:?}");

    let mixed = config(&dir, &format!("{}{CONFIG}", several()), 0o600);
    let mixed = run(&["--config", &mixed, "status"]);
    assert!(mixed.status == 2 && mixed.err.contains("does not go together with [connections]"), "{mixed:?}");
    let alone = config(&dir, CONFIG, 0o600);
    let other = run(&["--config", &alone, "--connection", "live", "status"]);
    assert!(other.status == 2 && other.err.contains("name one of acme"), "{other:?}");
    for ran in [unknown, all, one, mixed, other] {
        assert!(!ran.err.contains("hush"), "{ran:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn without_a_configuration_or_a_terminal_the_way_to_one_is_told() {
    let dir = directory();
    for args in [&[][..], &["status"], &["run"]] {
        let ran = run_in(&dir, args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(ran.err.contains("looked for syncdeck.toml and"), "{ran:?}");
        assert!(ran.err.contains("write one with: syncdeck init\n"), "{ran:?}");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn more_is_said_on_standard_error_when_asked_and_never_a_secret() {
    let dir = directory();
    let path = config(&dir, &CONFIG.replace("u@127", "u:hush@127"), 0o600);
    let ran = run(&["-v", "--config", &path, "status", "--json"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains(&format!("configuration {path}, connection acme (prod)")), "{ran:?}");
    assert!(ran.err.contains("exit status 1 after ") && !ran.err.contains("hush"), "{ran:?}");
    let quiet = run(&["--config", &path, "status", "--json"]);
    assert!(!quiet.err.contains("exit status"), "{quiet:?}");
    std::fs::remove_dir_all(dir).unwrap();
}
