//! What `syncdeck.toml` may hold, and how the program refuses the rest.

use crate::{CONFIG, config, directory, run};

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
    std::fs::remove_dir_all(dir).unwrap();
}
