//! Which module imports which.
//!
//! A *room* is a folder or file directly below `src/`. A *module* is a file.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::Source;

/// What each room may import. A room sees only rooms that stand above it here, so there are no circles of rooms.
const ROOMS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("text", &[]),
    ("digest", &["text"]),
    ("duration", &[]),
    ("lane", &[]),
    ("marks", &[]),
    ("meta", &[]),
    ("network_peers", &[]),
    ("outbound", &[]),
    ("quantity", &[]),
    ("retry", &[]),
    ("secret_bytes", &[]),
    ("gjson", &["secret_bytes"]),
    ("survey", &["duration", "text"]),
    ("generator", &["api", "secret_bytes"]),
    ("policy", &["api", "digest", "marks", "meta", "network_peers", "quantity"]),
    ("registry", &["outbound", "policy", "retry", "secret_bytes", "text"]),
    ("trust", &["policy", "registry", "text"]),
    ("verify", &["registry", "trust"]),
    ("cluster", &["lane", "meta", "retry"]),
    ("provider", &["lane", "meta", "outbound", "secret_bytes"]),
    ("inspect", &["api", "cluster", "survey", "text"]),
    ("ui", &["cluster", "inspect", "survey", "text"]),
    ("telemetry", &["cluster", "provider"]),
    ("config", &["outbound", "provider", "telemetry"]),
    ("runtime", &["cluster", "config", "telemetry"]),
    (
        "secrets",
        &[
            "api",
            "cluster",
            "config",
            "duration",
            "generator",
            "gjson",
            "lane",
            "meta",
            "outbound",
            "provider",
            "retry",
            "runtime",
            "telemetry",
            "text",
        ],
    ),
    (
        "hardening",
        &[
            "api",
            "cluster",
            "digest",
            "meta",
            "marks",
            "network_peers",
            "policy",
            "quantity",
            "retry",
            "runtime",
            "secret_bytes",
            "telemetry",
            "text",
        ],
    ),
    (
        "check",
        &[
            "api",
            "cluster",
            "digest",
            "duration",
            "hardening",
            "network_peers",
            "policy",
            "quantity",
            "secrets",
        ],
    ),
    (
        "cli",
        &[
            "check",
            "cluster",
            "config",
            "duration",
            "inspect",
            "outbound",
            "policy",
            "provider",
            "registry",
            "survey",
            "telemetry",
            "ui",
            "verify",
        ],
    ),
    ("operator", &["api", "cluster", "config", "hardening", "runtime", "secrets", "telemetry"]),
];

/// The only parts of a room that another room may see.
const ONLY: &[(&str, &str, &str)] = &[
    // The offline evaluator asks what the controller would plan, and nothing else of it.
    ("check", "hardening", "hardening::plan"),
    ("check", "secrets", "secrets::plan"),
    // The one rule of what image references name.
    ("registry", "policy", "policy::image"),
    ("trust", "policy", "policy::image"),
    // The command line reads where AWS is.
    ("cli", "provider", "provider::aws"),
];

/// Modules that may import each other, and why.
const CIRCLES: &[(&[&str], &str)] = &[
    (
        &["gjson::modifier", "gjson::multipath", "gjson::part", "gjson::path", "gjson::query"],
        "one recursive algorithm: a path contains queries and modifiers, which contain paths",
    ),
    (
        &["budget", "buffer", "function", "map", "value"],
        "one recursive type of gotemplate: a value may be a function, which takes values and the budget that pays for them",
    ),
];

type Path = Vec<String>;

fn path(text: &str) -> Path {
    text.split("::").map(ToOwned::to_owned).collect()
}

/// The path of a file's module below the crate. The root itself has none.
fn module(file: &str) -> Path {
    let path = file.rsplit_once("src/").map_or(file, |(_, path)| path).trim_end_matches(".rs");
    let mut parts: Path = path.split('/').map(ToOwned::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

/// All paths that begin at `at`, which is behind `crate::` and its like: several if there is a group. Also
/// where they end.
fn paths(code: &str, mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let spaces = |at: usize| code[at..].len() - code[at..].trim_start().len();
    at += spaces(at);
    if code[at..].starts_with('{') {
        at += 1;
        loop {
            let rest = code[at..].trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            at = code.len() - rest.len();
            if rest.is_empty() || rest.starts_with('}') {
                return at + 1;
            }
            let next = paths(code, at, prefix, found);
            at = if next > at { next } else { at + rest.chars().next().map_or(1, char::len_utf8) };
        }
    }
    let word: String =
        code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    at += word.len();
    let mut longer = prefix.to_vec();
    if word.is_empty() {
        found.push(longer);
        return if code[at..].starts_with('*') { at + 1 } else { at };
    }
    longer.push(word);
    if code[at..].starts_with("::") {
        return paths(code, at + 2, &longer, found);
    }
    found.push(longer);
    if let Some(rest) = code[at..].strip_prefix(" as ") {
        let name = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').count();
        at += " as ".len() + name;
    }
    at
}

/// Every module below a folder with the modules that it names: in `use`, in groups, in line, by `crate`, `super` or
/// `self`.
fn imports(folder: &str) -> BTreeMap<Path, BTreeSet<Path>> {
    let sources = Source::below(folder);
    let modules: BTreeSet<_> = sources.iter().map(|source| module(&source.path)).collect();
    let start = Regex::new(r"(?:^|[^\w:])(crate|super|self)::").unwrap();
    let mut imports = BTreeMap::new();
    for source in &sources {
        let (own, code) = (module(&source.path), source.code());
        let mut named = BTreeSet::new();
        for start in start.captures_iter(&code) {
            let base = match &start[1] {
                "crate" => Path::new(),
                "super" => own[..own.len().saturating_sub(1)].to_vec(),
                _ => own.clone(),
            };
            let mut found = Vec::new();
            paths(&code, start.get(0).unwrap().end(), &[], &mut found);
            for found in found {
                let up = found.iter().take_while(|part| *part == "super").count();
                let mut full = base[..base.len().saturating_sub(up)].to_vec();
                full.extend_from_slice(&found[up..]);
                // What is behind the file is an item of it.
                while !full.is_empty() && !modules.contains(&full) {
                    full.pop();
                }
                if full != own {
                    named.insert(full);
                }
            }
        }
        imports.insert(own, named);
    }
    imports
}

fn edges(folder: &str) -> Vec<(Path, Path)> {
    let edges = imports(folder).into_iter().flat_map(|(from, named)| {
        named.into_iter().map(move |to| (from.clone(), to)).collect::<Vec<_>>()
    });
    edges.filter(|(from, to)| !from.is_empty() && !to.is_empty()).collect()
}

#[test]
fn paths_are_found_in_groups_and_in_line() {
    let code = "use crate::{a::{self, b::C as D, e::*}, f::G};\nlet x = crate::h::I::new();";
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        paths(code, at + start.len(), &[], &mut found);
    }
    let found: Vec<_> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a::self", "a::b::C", "a::e", "f::G", "h::I::new"]);
}

#[test]
fn the_table_of_rooms_is_a_hierarchy() {
    for (nth, (room, seen)) in ROOMS.iter().enumerate() {
        for other in *seen {
            let above = ROOMS[..nth].iter().any(|(name, _)| name == other);
            assert!(above, "{room} may see {other}, which does not stand above it");
        }
    }
    let sees = |room: &str, other: &str| {
        ROOMS.iter().any(|(name, seen)| *name == room && seen.contains(&other))
    };
    for (one, other) in [("secrets", "hardening"), ("cluster", "provider")] {
        assert!(
            !sees(one, other) && !sees(other, one),
            "{one} and {other} never import each other"
        );
    }
    assert!(!sees("cli", "secrets") && !sees("cli", "hardening"));
}

#[test]
fn a_room_imports_what_the_table_says_and_nothing_else() {
    let mut wrong = Vec::new();
    for (from, to) in edges("src") {
        if from[0] == to[0] || from[0] == "main" {
            continue;
        }
        let seen = ROOMS.iter().find(|(room, _)| *room == from[0]).map(|(_, seen)| *seen);
        let allowed = seen.is_some_and(|seen| seen.contains(&&*to[0]));
        let within = |part: &str| to.starts_with(&path(part));
        let part = ONLY.iter().find(|(room, other, _)| *room == from[0] && *other == to[0]);
        if !allowed || part.is_some_and(|(_, _, part)| !within(part)) {
            wrong.push(format!("{} imports {}", from.join("::"), to.join("::")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_tables_allow_nothing_that_nobody_needs() {
    let edges = edges("src");
    for (room, seen) in ROOMS {
        for other in *seen {
            let used = edges.iter().any(|(from, to)| from[0] == *room && to[0] == *other);
            assert!(used, "{room} may see {other}, and does not");
        }
    }
    let edges: Vec<_> = edges.into_iter().chain(self::edges("crates/gotemplate/src")).collect();
    for (modules, _) in CIRCLES {
        for module in *modules {
            let within = |path: &Path| modules.contains(&path.join("::").as_str());
            let mut inside = edges.iter().filter(|(from, to)| within(from) && within(to));
            let used = inside.any(|(from, to)| [from, to].iter().any(|p| p.join("::") == *module));
            assert!(used, "{module} is part of no circle");
        }
    }
}

#[test]
fn the_binary_sees_what_it_starts() {
    let seen: BTreeSet<_> = Source::all()
        .iter()
        .filter(|source| source.path == "src/main.rs")
        .flat_map(|source| {
            let code = source.code();
            let mut found = Vec::new();
            for (at, start) in code.match_indices("gabion::") {
                paths(&code, at + start.len(), &[], &mut found);
            }
            found.into_iter().map(|path| path[0].clone()).collect::<Vec<_>>()
        })
        .collect();
    let allowed = ["check", "cli", "config", "inspect", "operator", "telemetry", "ui", "verify"];
    assert!(seen.iter().all(|room| allowed.contains(&room.as_str())), "{seen:?}");
}

#[test]
fn no_module_imports_a_module_that_imports_it() {
    assert_eq!(circles("src"), Vec::<String>::new());
    assert_eq!(circles("crates/gotemplate/src"), Vec::<String>::new());
}

/// The imports that are part of a circle, but for those of [`CIRCLES`].
fn circles(folder: &str) -> Vec<String> {
    // A child takes what its parent shares with all children; the parent names them in any case.
    let related = |(from, to): &(Path, Path)| from.starts_with(to) || to.starts_with(from);
    let edges: Vec<_> = edges(folder).into_iter().filter(|edge| !related(edge)).collect();
    let mut reached: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (from, to) in &edges {
        reached.entry(from).or_default().insert(to);
    }
    loop {
        let before: usize = reached.values().map(BTreeSet::len).sum();
        let further: Vec<_> = reached
            .iter()
            .map(|(from, to)| {
                let next = to.iter().filter_map(|to| reached.get(to)).flatten().copied();
                (*from, next.collect::<BTreeSet<_>>())
            })
            .collect();
        for (from, next) in further {
            reached.entry(from).or_default().extend(next);
        }
        if reached.values().map(BTreeSet::len).sum::<usize>() == before {
            break;
        }
    }
    let reaches = |from: &Path, to: &Path| reached.get(from).is_some_and(|all| all.contains(to));
    let allowed = |from: &Path, to: &Path| {
        let (from, to) = (from.join("::"), to.join("::"));
        CIRCLES.iter().any(|(all, why)| {
            !why.is_empty() && all.contains(&from.as_str()) && all.contains(&to.as_str())
        })
    };
    let circles = edges.iter().filter(|(from, to)| reaches(to, from) && !allowed(from, to));
    circles.map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::"))).collect()
}
