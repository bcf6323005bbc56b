//! The house as ARCHITECTURE.md tells it: which folder may know which, and which files know each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::docs::root;

/// Each folder of `src`, with those that it may know.
const ARROWS: [(&str, &[&str]); 13] = [
    (
        "cli",
        &[
            "console",
            "demo",
            "client",
            "engine",
            "alerts",
            "simulator",
            "postgres",
            "salesforce",
            "heroku",
            "config",
            "logs",
            "domain",
        ],
    ),
    ("console", &["client", "config", "logs", "domain"]),
    ("demo", &["engine", "simulator", "postgres", "config", "domain"]),
    ("client", &["alerts", "postgres", "heroku", "logs", "domain"]),
    ("engine", &["alerts", "postgres", "salesforce", "config", "logs", "domain"]),
    ("alerts", &["postgres", "config", "logs", "domain"]),
    ("postgres", &["logs", "domain"]),
    ("salesforce", &["domain"]),
    ("heroku", &["logs", "domain"]),
    ("config", &["logs", "domain"]),
    ("logs", &["domain"]),
    ("simulator", &[]),
    ("domain", &[]),
];

/// The circles that there are, and why. Files of one folder only: what goes round between folders is a defect.
const CIRCLES: [(&str, &[&str]); 7] = [
    (
        "a mapping's rules are a part of a file that has several connections",
        &[
            "config/alert",
            "config/channel",
            "config/connections",
            "config/console",
            "config/heroku_api",
            "config/log",
            "config/mapping",
            "config/metrics",
            "config/written",
        ],
    ),
    (
        "a record's view carries its remedies, and those are made of it",
        &["domain/errors/remedy", "domain/errors/suggested_fix", "domain/records/record"],
    ),
    (
        "a unit's end carries its error, and an error is listed with what its row waits for",
        &["postgres/changes/queue", "postgres/errors/sync_errors"],
    ),
    (
        "a password is looked up for the servers that a URL names",
        &["postgres/session/passfile", "postgres/session/url"],
    ),
    (
        "the org's triggers and checks save records themselves",
        &["simulator/checks", "simulator/org", "simulator/save"],
    ),
    (
        "a filter is made of terms, and those know the keys that a filter may ask for",
        &["logs/line", "logs/term"],
    ),
    ("the questions are the client's methods", &["client/api", "client/queries"]),
];

/// The floors of the console, the lowest first: a file knows those of its own floor and of lower ones. So panes and
/// overlays know no app: what they read is the context, and what they want of others is an outcome.
const CONSOLE: [&[&str]; 7] = [
    &["pane", "keys", "theme", "ascii", "term", "widgets", "invalid_setting", "columns", "sizes"],
    &["command", "keymap", "settings", "context"],
    &["effect", "outcome", "msg"],
    &["panes"],
    &["overlays"],
    &["app"],
    &["copy", "io", "runtime"],
];

/// A module by its path, `["domain", "names"]`.
type Module = Vec<String>;

/// Every module of the program with its text, without comments and unit tests.
fn modules() -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = module_of(&path);
                if !module.iter().any(|part| part == "tests") {
                    found.insert(module, plain(&std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    found
}

fn module_of(path: &Path) -> Module {
    let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let mut parts: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib")) {
        parts.pop();
    }
    parts
}

fn plain(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// A `use` with braces as the paths that it stands for.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let (head, rest) = tree.split_at(open);
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for letter in rest.chars() {
        match letter {
            '{' if depth == 0 => depth = 1,
            '}' if depth == 1 => depth = 0,
            ',' if depth == 1 => parts.push(std::mem::take(&mut part)),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                part.push(letter);
            }
        }
    }
    parts.push(part);
    let filled = parts.iter().filter(|part| !part.trim().is_empty());
    filled.flat_map(|part| expand(part)).map(|path| format!("{head}{path}")).collect()
}

/// Every path that a text names: its imports, and what it spells out from `crate` or `super`.
fn paths(text: &str) -> Vec<String> {
    let (mut paths, mut code) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("use ") {
        code.push_str(before);
        // Not a word that ends in "use", nor one in a sentence.
        let begins = before.ends_with(['\n', ' ', ')']) || before.is_empty();
        rest = match after.split_once(';') {
            Some((tree, tail)) if begins && !tree.contains(['(', '"']) => {
                paths.extend(expand(&tree.replace('\n', " ")));
                tail
            }
            _ => after,
        };
    }
    code.push_str(rest);
    let words = code.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
    paths.extend(
        words.filter(|word| word.starts_with("crate::") || word.starts_with("super::")).map(str::to_owned),
    );
    paths
}

/// The module that a path names from within another: the longest part of it that is a file.
fn target(all: &BTreeMap<Module, String>, from: &Module, path: &str) -> Option<Module> {
    let mut parts = path.split("::").map(|part| part.trim().to_owned()).peekable();
    let mut base = match parts.peek()?.as_str() {
        "crate" => {
            parts.next();
            Vec::new()
        }
        "self" | "super" => from.clone(),
        child => {
            let inside: Module = from.iter().cloned().chain([child.to_owned()]).collect();
            all.contains_key(&inside).then(|| from.clone())?
        }
    };
    while let Some(part) = parts.next_if(|part| matches!(part.as_str(), "self" | "super")) {
        if part == "super" {
            base.pop();
        }
    }
    base.extend(parts);
    while !all.contains_key(&base) {
        base.pop()?;
    }
    (!base.is_empty()).then_some(base)
}

/// Which modules each one knows. That a file knows the folder it lies in is no arrow.
fn arrows() -> BTreeMap<Module, BTreeSet<Module>> {
    let all = modules();
    let known = |from: &Module, text: &str| -> BTreeSet<Module> {
        let targets = paths(text).into_iter().filter_map(|path| target(&all, from, &path));
        targets.filter(|target| !from.starts_with(target)).collect()
    };
    all.iter().map(|(module, text)| (module.clone(), known(module, text))).collect()
}

#[test]
fn no_folder_knows_one_that_it_may_not_know() {
    let mut wrong = Vec::new();
    for (module, known) in arrows() {
        let Some(room) = module.first().filter(|room| *room != "main") else { continue };
        let (_, may) = ARROWS
            .iter()
            .find(|(name, _)| name == room)
            .unwrap_or_else(|| panic!("{room} is no folder of the house"));
        let name = module.join("/");
        for other in known.iter().filter_map(|other| other.first()).filter(|other| *other != room) {
            if !may.contains(&other.as_str()) {
                wrong.push(format!("{name} -> {other}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_console_is_a_tree_whose_lower_floors_do_not_know_the_upper_ones() {
    let floor = |module: &Module| {
        let [room, part, ..] = module.as_slice() else { return None };
        let on = |parts: &&[&str]| parts.contains(&part.as_str());
        (room == "console").then(|| {
            CONSOLE.iter().position(on).unwrap_or_else(|| panic!("{part} is on no floor of the console"))
        })
    };
    let mut wrong = Vec::new();
    for (module, known) in arrows() {
        let Some(own) = floor(&module) else { continue };
        let upper = known.iter().filter(|other| floor(other).is_some_and(|other| other > own));
        wrong.extend(upper.map(|other| format!("{} -> {}", module.join("/"), other.join("/"))));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// All that a module knows, directly or through others.
/// Names that several rooms have, because each is always written with its room: `salesforce::Error`, `postgres::Error`.
const WITH_THEIR_ROOM: [&str; 4] = ["Client", "Error", "Options", "Session"];

/// The name of a type that a line defines for others.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(within) => within.split_once(')')?.1,
        None => rest,
    };
    let (kind, name) = rest.strip_prefix(' ')?.split_once(' ')?;
    let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
    ["struct", "enum", "trait", "type"].contains(&kind).then_some(&name[..end])
}

#[test]
fn a_name_means_one_thing() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The simulated org stands for somebody else's program, and has that one's words.
    for (module, text) in
        modules().into_iter().filter(|(module, _)| module.first().is_some_and(|room| room != "simulator"))
    {
        for name in text.lines().filter_map(public_type) {
            homes.entry(name.to_owned()).or_default().push(module.join("/"));
        }
    }
    assert!(homes.len() > 500, "the types were not found: {}", homes.len());
    let twice: Vec<_> = homes
        .iter()
        .filter(|(name, homes)| homes.len() > 1 && !WITH_THEIR_ROOM.contains(&name.as_str()))
        .collect();
    assert!(twice.is_empty(), "these names mean several things: {twice:#?}");
}

#[test]
fn types_are_read_out_of_code() {
    let found = [
        "pub struct A {",
        "pub(in crate::x) enum B<T> {",
        "pub(super) type C = D;",
        "struct E;",
        "    pub struct F;",
        "pub fn g() {}",
    ];
    assert_eq!(found.map(public_type), [Some("A"), Some("B"), Some("C"), None, None, None]);
}

fn reach(arrows: &BTreeMap<Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from.clone()];
    while let Some(module) = next.pop() {
        for other in arrows.get(&module).into_iter().flatten() {
            if reached.insert(other.clone()) {
                next.push(other.clone());
            }
        }
    }
    reached
}

#[test]
fn no_files_know_each_other_in_a_circle_but_those_that_are_named() {
    let arrows = arrows();
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        arrows.keys().map(|module| (module, reach(&arrows, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, all) in reached.iter().filter(|(module, all)| all.contains(**module)) {
        let round = all.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*module)));
        circles.insert(round.map(|module| module.join("/")).collect::<Vec<_>>());
    }
    let named: BTreeSet<Vec<String>> =
        CIRCLES.iter().map(|(_, files)| files.iter().map(|file| (*file).to_owned()).collect()).collect();
    let new: Vec<_> = circles.difference(&named).collect();
    let gone: Vec<_> = named.difference(&circles).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "circles that are not named: {new:#?}\nnamed, but not there: {gone:#?}"
    );
}

#[test]
fn paths_are_read_out_of_imports_and_code() {
    let text =
        "use crate::a::{self, b::{C, D}, e};\npub(super) use super::f;\nfn because() { crate::g::h(\"x\") }";
    assert_eq!(
        paths(text),
        ["crate::a::self", "crate::a::b::C", "crate::a::b::D", "crate::a::e", "super::f", "crate::g::h"]
    );
}
