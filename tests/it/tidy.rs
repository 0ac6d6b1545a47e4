//! What the code's shape promises, held as text: layers, purity, and a test for every rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. Those of one line don't see each other.
const LAYERS: [&[&str]; 7] =
    [&["config", "id"], &["wire"], &["document"], &["store", "mesh", "cluster"], &["node"], &["http"], &["cli"]];

/// A file of `src`, with its path from there and its text without tests and comments.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn layer(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_pure(&self) -> bool {
        ["id", "config", "wire", "document"].contains(&self.layer())
    }

    /// Which of these words stand in the code.
    fn names<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        words.iter().copied().filter(|word| has_word(&self.code, word)).collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    paths.sort();
    let below = |path: PathBuf| match path.is_dir() {
        true => rust_files(&path),
        false => vec![path],
    };
    paths.into_iter().flat_map(below).filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source can be read");
        let path = path.strip_prefix(&src).expect("it's below").to_string_lossy().into_owned();
        Source { path, code: without_comments(without_tests(&text)) }
    };
    let sources: Vec<_> = rust_files(&src).into_iter().map(source).collect();
    assert!(sources.len() > 10, "the sources are found");
    sources
}

/// By convention, a file's tests are its last item.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| !line.trim_start().starts_with("//");
    text.lines().filter(|line| code(line)).collect::<Vec<_>>().join("\n")
}

fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(|c| is_part(c) && is_part(word.chars().next().unwrap_or(' ')))
            && !after.is_some_and(|c| is_part(c) && word.ends_with(is_part))
    })
}

/// Which modules of the crate a file imports, or names by their path.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for prefix in ["crate::", "y_mesh::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            let inside = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap_or_default(),
                None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
            };
            let names = inside.split(',').filter_map(|one| one.trim().split("::").next());
            named.extend(names.map(str::to_owned));
        }
    }
    named
}

fn height(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|layers| layers.contains(&layer))
}

#[test]
fn imports_go_downwards_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = height(source.layer()) else { continue };
        for name in modules_named(&source.code) {
            let is_own = name == source.layer() || LAYERS[own].contains(&name.as_str()) && own == 0;
            if height(&name).is_some_and(|its| its >= own && !is_own) {
                wrong.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn store_mesh_and_http_never_see_each_other() {
    let apart = ["store", "mesh", "http"];
    let sees = |source: &Source| {
        let named = modules_named(&source.code);
        let others: Vec<_> = apart.iter().filter(|name| **name != source.layer() && named.contains(**name)).collect();
        (!others.is_empty()).then(|| format!("{} sees {others:?}", source.path))
    };
    let wrong: Vec<_> = sources().iter().filter(|source| apart.contains(&source.layer())).filter_map(sees).collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "tokio",
        "std::fs",
        "std::net",
        "std::thread",
        "Instant",
        "SystemTime",
        "rand",
        "getrandom",
        "uuid",
        "HashMap",
        "HashSet",
        "std::env",
        "std::process",
        "static mut",
        "thread_local",
    ];
    let named = |source: &Source| source.names(&impure).iter().map(|word| format!("{}: {word}", source.path)).collect();
    let wrong: Vec<Vec<String>> = sources().iter().filter(|source| source.is_pure()).map(named).collect();
    assert_eq!(wrong.concat(), [""; 0]);
}

/// Crates that only some places may name.
const NAMED_BY: [(&str, &[&str]); 6] = [
    ("yrs", &["document/replica.rs", "lib.rs"]),
    ("warp", &["http/", "cli/"]),
    ("hyper", &["http/", "cli/"]),
    ("tungstenite", &["http/", "cli/", "client/"]),
    ("tokio_tungstenite", &["http/", "cli/", "client/"]),
    ("sled", &["store/"]),
];

#[test]
fn a_dependency_is_named_where_it_belongs() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, places) in NAMED_BY {
            let is_named =
                has_word(&source.code, &format!("{name}::")) || has_word(&source.code, &format!("use {name}"));
            if is_named && !places.iter().any(|place| source.path.starts_with(place)) {
                wrong.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn nothing_gives_up_or_talks_in_passing() {
    let silent = [".unwrap()", "todo!", "unimplemented!", "dbg!", "println!", "eprintln!", "print!"];
    let mut wrong = Vec::new();
    for source in sources() {
        let may_print = source.path.starts_with("cli/") || source.path == "main.rs";
        let named = silent.iter().filter(|word| source.code.contains(**word));
        let named = named.filter(|word| !(may_print && word.contains("print")));
        wrong.extend(named.map(|word| format!("{}: {word}", source.path)));
    }
    assert_eq!(wrong, [""; 0]);
}

/// The rules that the core's documentation lists, as lower case.
fn rules() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/document/mod.rs")).expect("the core can be read");
    let first_word =
        |line: &str| line.strip_prefix("//! - ").and_then(|rule| rule.split(' ').next()).map(str::to_lowercase);
    let is_rule = |word: &String| word.len() == 2 && word.ends_with(|c: char| c.is_ascii_digit());
    let rules: Vec<_> = text.lines().filter_map(first_word).filter(is_rule).collect();
    assert!(rules.len() > 30, "the rules are found");
    rules
}

/// The names of all tests, in the sources and here.
fn test_names() -> Vec<String> {
    let all = [rust_files(&root().join("src")), rust_files(&root().join("tests/it"))].concat();
    let mut names = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).expect("a source can be read");
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            if !line.starts_with("#[test]") && !line.starts_with("#[tokio::test") {
                continue;
            }
            let head = lines[at..].iter().find_map(|line| line.trim_start_matches("async ").strip_prefix("fn "));
            names.extend(head.and_then(|head| head.split('(').next()).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_rule_has_a_test_that_bears_its_number() {
    let names = test_names();
    let has_test = |rule: &String| names.iter().any(|name| name.starts_with(&format!("{rule}_")));
    let missing: Vec<_> = rules().into_iter().filter(|rule| !has_test(rule)).collect();
    assert_eq!(missing, [""; 0]);
}

/// The fields of a struct in `config.rs`.
fn fields_of(name: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("src/config.rs")).expect("the configuration can be read");
    let start = text.find(&format!("pub struct {name} {{")).expect("the struct is there");
    let body = text[start..].split("\n}").next().unwrap_or_default();
    let field =
        |line: &str| line.trim().strip_prefix("pub ").and_then(|rest| rest.split_once(':')).map(|f| f.0.to_owned());
    body.lines().filter_map(field).collect()
}

#[test]
fn every_limit_and_interval_is_obeyed_somewhere() {
    let code: String = sources().iter().filter(|s| s.path != "config.rs").map(|s| s.code.clone()).collect();
    let fields = [fields_of("Limits"), fields_of("Timing")].concat();
    assert!(fields.len() > 20, "the fields are found");
    let unused: Vec<_> = fields.into_iter().filter(|field| !has_word(&code, field)).collect();
    assert_eq!(unused, [""; 0]);
}
