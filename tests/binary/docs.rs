//! The guide and the program say the same. Tables that the program can print stand in the guide between `<!-- name -->` and
//! `<!-- end -->`, word for word; `WRITE_DOCS=1 cargo test --test binary docs` writes them anew. What the guide says in its
//! own words must name all that there is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use syncdeck::domain::alert::rule::{CONDITIONS, LOG};
use syncdeck::domain::mappings::rules::{FIELD_KEYS, KEYS};
use syncdeck::domain::values::transform::{FORMS, Transform};

use crate::{CONFIG, config, directory, run, run_in};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All that is written for people, by its path.
fn written() -> BTreeMap<String, String> {
    let folders = ["", "docs"].map(|folder| root().join(folder));
    let files =
        folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let named = pages.map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
    named.map(|path| (path.clone(), text(&path))).collect()
}

/// The pages that tell how the program is used.
fn guide() -> BTreeMap<String, String> {
    written().into_iter().filter(|(path, _)| path == "README.md" || path.starts_with("docs/")).collect()
}

/// Compares a table of the guide with what the program says, or writes it anew.
fn holds(path: &str, name: &str, table: &str) {
    let page = text(path);
    let begin = format!("<!-- {name} -->\n");
    let (head, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{path} has no table {name}"));
    let (found, tail) =
        rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{path}: {name} has no end"));
    if found == table {
        return;
    }
    if std::env::var_os("WRITE_DOCS").is_some() {
        return std::fs::write(root().join(path), format!("{head}{begin}{table}<!-- end -->{tail}")).unwrap();
    }
    let wrong = table.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    panic!(
        "the table {name} of {path} is not what the program says; write it anew with: WRITE_DOCS=1 cargo test --test \
         binary docs\n{wrong:?}"
    );
}

/// A table in Markdown.
fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let begin = format!("{}|{}\n", line(&heads.map(str::to_owned)), "---|".repeat(N));
    begin + &rows.into_iter().map(|row| line(&row.map(|cell| cell.replace('|', "\\|")))).collect::<String>()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// What a table of the guide names in the first column of its rows, in code; from one heading to the next.
fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    let from =
        page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}")).1;
    // `# ...` may be a comment of a configuration that is shown.
    let to = from.lines().take_while(|line| !line.starts_with("##"));
    let cells = to.filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// Each command, with what it does.
fn commands() -> Vec<(String, String)> {
    let help = run(&["--help"]).out;
    let list =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in list {
        match line
            .strip_prefix("  ")
            .filter(|line| !line.starts_with(' '))
            .and_then(|line| line.split_once(' '))
        {
            Some((name, does)) => commands.push((name.to_owned(), does.trim().to_owned())),
            None => {
                let does = &mut commands.last_mut().unwrap().1;
                *does = format!("{does} {}", line.trim());
            }
        }
    }
    commands.retain(|(name, _)| name != "help");
    commands
}

/// A section of the manual page: each thing, with what it is.
fn section(title: &str) -> Vec<(String, String)> {
    let page = run(&["man"]).out.replace("\\-", "-").replace("\\(aq", "'").replace("\\&", "");
    let from = page.split_once(&format!(".SH \"{title}\"\n")).unwrap().1;
    let lines: Vec<&str> =
        from.lines().take_while(|line| !line.starts_with(".SH") && !line.starts_with(".ie")).collect();
    let things = lines.chunks_exact(3).map(|lines| {
        let name = lines[1].trim_start_matches("\\fB").trim_end_matches("\\fR");
        (name.to_owned(), lines[2].to_owned())
    });
    things.collect()
}

#[test]
fn every_key_of_the_console_is_in_the_guide() {
    let dir = directory();
    let keys: Vec<Value> = serde_json::from_value(run_in(&dir, &["keys", "--json"]).json()).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let rows = keys.iter().map(|key| {
        let pressed: Vec<String> = words(&key["keys"]).iter().map(|key| code(key)).collect();
        let panes = words(&key["panes"]);
        let place = if panes.is_empty() { "everywhere".to_owned() } else { panes.join(", ") };
        [
            pressed.join(" "),
            code(key["command"].as_str().unwrap()),
            place,
            key["doc"].as_str().unwrap().to_owned(),
        ]
    });
    holds("docs/console.md", "keys", &table(["keys", "command", "works in", ""], rows));
}

#[test]
fn every_command_and_exit_code_is_in_the_guide() {
    let rows = commands().into_iter().map(|(name, does)| [code(&name), does]);
    holds("docs/cli.md", "commands", &table(["command", ""], rows));
    for (name, title) in [("exit", "EXIT STATUS"), ("environment", "ENVIRONMENT"), ("files", "FILES")] {
        let rows = section(title).into_iter().map(|(name, is)| [code(&name), is]);
        holds("docs/cli.md", name, &table(["", ""], rows));
    }
}

#[test]
fn every_error_code_is_in_the_guide() {
    let mut codes: Vec<(String, Vec<String>, Vec<String>)> = Vec::new();
    for catalogue in ["assets/errors.toml", "assets/others.toml"] {
        let catalogue: toml::Table = text(catalogue).parse().unwrap();
        for entry in catalogue["error"].as_array().unwrap() {
            let of = |key: &str| entry[key].as_str().unwrap().to_owned();
            let at = codes.iter().position(|(code, ..)| *code == of("code")).unwrap_or_else(|| {
                codes.push((of("code"), Vec::new(), Vec::new()));
                codes.len() - 1
            });
            let (_, titles, classes) = &mut codes[at];
            for (words, word) in [(titles, of("title")), (classes, of("class"))] {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
    }
    let rows =
        codes.iter().map(|(name, titles, classes)| [code(name), titles.join("; "), classes.join(", ")]);
    holds("docs/errors.md", "errors", &table(["code", "meaning", "class"], rows));
}

#[test]
fn every_rule_and_transform_is_in_the_guide() {
    let page = text("docs/rules.md");
    let named = |heading: &str| first_column(&page, heading);
    assert_eq!(named("## Rules of a mapping"), set(KEYS.map(|(key, ..)| key)));
    assert_eq!(named("## Rules of a field"), set(FIELD_KEYS.map(|(key, _)| key)));
    for (key, default, _) in KEYS {
        let begin =
            format!("| `{key}` | {} |", if default.is_empty() { String::new() } else { code(default) });
        assert!(page.contains(&begin.replace("  ", " ")), "the default of {key} is {default}");
    }
    let name = |form: &str| form.split(['(', '{']).next().unwrap().trim().to_owned();
    let given = named("## Transforms");
    for form in &given {
        Transform::parse(form).unwrap();
    }
    let known: BTreeSet<String> = FORMS
        .split(", ")
        .flat_map(|form| form.split(" or "))
        .filter(|form| form.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(name)
        .collect();
    assert_eq!(given.iter().map(|form| name(form)).collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_key_of_a_filter_is_in_the_guide() {
    let page = text("docs/filters.md");
    let errors = syncdeck::domain::errors::filter::QUALIFIERS.split(' ');
    assert_eq!(first_column(&page, "## Errors"), set(errors));
    let logs = syncdeck::logs::line::QUALIFIERS.split_whitespace();
    assert_eq!(first_column(&page, "## Log lines"), set(logs));
}

/// The keys that a table of the configuration takes, as a refusal of another one lists them.
fn keys_of(dir: &Path, written: &str) -> BTreeSet<String> {
    let path = config(dir, written, 0o600);
    let refused = run_in(dir, &["status", "--config", &path]).err;
    let refused = refused.replace('\n', " ");
    let known =
        refused.split_once("unknown field `nonsense`, expected").unwrap_or_else(|| panic!("{refused}")).1;
    let known = known.split("correct the file").next().unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_configuration_is_in_the_guide() {
    let dir = directory();
    let page = text("docs/setup.md");
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut table = String::new();
    for cell in page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next()) {
        match cell.strip_prefix('[') {
            Some(_) => table = cell.trim_end_matches('`').to_owned(),
            None => told
                .entry(table.clone())
                .or_default()
                .extend(format!("`{cell}").split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    let rules = set(KEYS.map(|(key, ..)| key));
    for (name, told) in &told {
        let written = match name.as_str() {
            "[heroku]" | "[history]" | "[metrics]" | "[verify]" => format!("{CONFIG}{name}\nnonsense = 1\n"),
            name => CONFIG.replacen(name, &format!("{name}\nnonsense = 1"), 1),
        };
        let mut known = keys_of(&dir, &written);
        // Its rules have a page of their own.
        known.retain(|key| name != "[[mapping]]" || !rules.contains(key));
        assert_eq!(*told, known, "{name}");
    }
    let tables = keys_of(&dir, &format!("{CONFIG}[nonsense]\n"));
    let told: BTreeSet<String> = told.into_keys().map(|name| name.replace(['[', ']'], "")).collect();
    assert_eq!(
        told,
        tables
            .iter()
            .filter(|name| !["alert", "console", "group", "log"].contains(&name.as_str()))
            .cloned()
            .collect()
    );
    let console = keys_of(&dir, &format!("{CONFIG}[console]\nnonsense = 1\n"));
    assert_eq!(first_column(&text("docs/console.md"), "## Looks and keys of your own"), console);
    let source = keys_of(&dir, &format!("{CONFIG}[[log.source]]\nnonsense = 1\n"));
    assert_eq!(first_column(&text("docs/logs.md"), "## Keys of a source"), source);
    let alerts = text("docs/alerts.md");
    let rule = keys_of(&dir, &format!("{CONFIG}[[alert]]\nwhen = \"error\"\nnonsense = 1\n"));
    assert_eq!(first_column(&alerts, "## Keys of a rule"), rule);
    let channel = keys_of(&dir, &format!("{CONFIG}[alert.channel.ops]\nnonsense = 1\n"));
    assert_eq!(first_column(&alerts, "## Keys of a channel"), channel);
    let group = keys_of(&dir, &format!("{CONFIG}[[group]]\ncode = \"X\"\nnonsense = 1\n"));
    assert_eq!(first_column(&text("docs/causes.md"), "## Keys of [[group]]"), group);
    let conditions = CONDITIONS.map(|(word, _)| word).into_iter().chain([LOG.0]);
    assert_eq!(first_column(&alerts, "## What is looked for"), set(conditions));
    std::fs::remove_dir_all(dir).unwrap();
}

/// The fenced blocks of a page that are of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_configuration_in_the_guide_is_taken() {
    let dir = directory();
    let mut seen = 0;
    for (path, page) in guide() {
        for block in blocks(&page, "toml") {
            seen += 1;
            let whole = block.starts_with("[connection");
            let block = block.replace("_env = \"SALESFORCE_SECRET\"", " = \"hush\"");
            let block = block.replace("url_env = \"DATABASE_URL\"", "url = \"postgresql:///acme\"");
            // An example may map Contact itself, or speak of it.
            let maps = block.contains("object = \"Contact\"");
            let base = if maps { CONFIG.replace("\"Contact\"", "\"Account\"") } else { CONFIG.to_owned() };
            let file = config(&dir, &if whole { block } else { format!("{base}{block}") }, 0o600);
            let ran = run_in(&dir, &["keys", "--config", &file]);
            assert!(ran.status == 0 && !ran.err.contains("syncdeck.toml:"), "{path}: {ran:?}");
        }
    }
    assert!(seen >= 4, "{seen} configurations");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn every_command_line_in_the_guide_can_be_typed() {
    let names: BTreeSet<String> = commands().into_iter().map(|(name, _)| name).collect();
    let mut shown = BTreeSet::new();
    for (path, page) in guide() {
        let lines = page.lines().filter_map(|line| line.strip_prefix("    syncdeck "));
        for line in lines.map(|line| line.split(" #").next().unwrap()) {
            let name = line.split(' ').next().unwrap();
            assert!(names.contains(name), "{path}: there is no command {name}: {line}");
            let help = run(&[name, "--help"]).out;
            for option in line.split(' ').filter(|word| word.starts_with('-') && word.len() > 1) {
                // What is behind its sign of equality is a value.
                let option = option.split('=').next().unwrap();
                let known = help.split([' ', ',', '\n', '[']).any(|word| word == option);
                // `-attempts` is a value of --sort.
                assert!(
                    known || line.contains(&format!("--sort {option}")),
                    "{path}: {name} has no {option}"
                );
            }
            shown.insert(name.to_owned());
        }
    }
    assert!(shown.len() > 20, "{shown:?}");
}

/// The files that a path with braces or without names: `domain/{key,lost}.rs`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (names, tail) = rest.split_once('}').unwrap_or((rest, ""));
    names.split(',').map(|name| format!("{head}{name}{tail}")).collect()
}

#[test]
fn every_file_and_page_that_is_named_is_there() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for (path, page) in written().into_iter().filter(|(path, _)| path != "CHANGELOG.md") {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !link.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                missing.push(format!("{path}: {link}"));
            }
        }
        for named in page.split('`').skip(1).step_by(2) {
            let is_path = named.contains('/')
                && [".rs", ".sql", ".toml", ".txt", ".yml"].iter().any(|end| named.ends_with(end))
                && !named.starts_with(['.', '$', '~', '/'])
                && !named.contains(['*', ' ', ':']);
            for file in is_path.then(|| alternatives(named)).into_iter().flatten() {
                seen += 1;
                let places: Vec<PathBuf> = ["", "src"].map(|folder| root().join(folder).join(&file)).into();
                if !places.iter().any(|place| place.exists()) {
                    missing.push(format!("{path}: {file}"));
                }
            }
        }
    }
    assert!(missing.is_empty() && seen > 30, "{seen} files are named; not there: {missing:#?}");
}

#[test]
fn what_newcomers_type_is_in_the_readme() {
    let readme = text("README.md");
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(readme.lines().any(|line| line.trim() == command), "{command}");
    }
}
