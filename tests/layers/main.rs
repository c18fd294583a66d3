//! The shape of the repository, held by text search: what may name what, how long things get, where links lead.

#![allow(clippy::unwrap_used)] // a file that cannot be read fails the test

mod imports;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// Of code: without comments, empty lines and tests.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, without what is built or fetched.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let skipped = name.starts_with("target") || name == ".git" || name == ".cache";
            if path.is_dir() && !skipped && path != root().join("bench/results") {
                open.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Path from the root of the repository, with slashes.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

/// A source file without its tests.
struct Source {
    path: String,
    lines: Vec<String>,
}

impl Source {
    /// Everything below `src/` that is not a file of tests.
    fn all() -> Vec<Self> {
        Self::below("src")
    }

    /// The same below another folder.
    fn below(folder: &str) -> Vec<Self> {
        let rust =
            files(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
        let sources = rust.map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
            // By convention tests come last.
            let tests = lines.windows(2).position(|pair| {
                pair[0].starts_with("#[cfg(test)]")
                    && pair[1].starts_with("mod ")
                    && pair[1].ends_with('{')
            });
            let end = tests.unwrap_or(lines.len());
            Self { path: shown(&path), lines: lines[..end].to_vec() }
        });
        sources.filter(|source| !source.path.trim_end_matches(".rs").ends_with("tests")).collect()
    }

    /// The text without comments.
    fn code(&self) -> String {
        let mut code = String::new();
        for line in &self.lines {
            if !line.trim_start().starts_with("//") {
                code += line.split(" // ").next().unwrap_or_default();
                code.push('\n');
            }
        }
        code
    }
}

/// What decides: values in, values out.
const PURE: [&str; 14] = [
    "crates/gotemplate/src/",
    "src/api/",
    "src/digest.rs",
    "src/duration.rs",
    "src/gjson/",
    "src/meta.rs",
    "src/policy/",
    "src/quantity.rs",
    "src/registry/digest.rs",
    "src/registry/document.rs",
    "src/registry/reference.rs",
    "src/retry.rs",
    "src/survey/",
    "src/text.rs",
];

fn is_pure(path: &str) -> bool {
    path.contains("/plan/") || PURE.iter().any(|pure| path.starts_with(pure))
}

#[test]
fn what_decides_knows_no_client_no_runtime_no_clock_and_no_randomness() {
    let words = [
        r"\bClient\b",
        r"\btokio\b",
        r"\bSystemTime\b",
        r"\bInstant::now\b",
        r"\bTimestamp::now\b",
        r"\bZoned::now\b",
        r"\bTimeZone::system\b",
        r"\bRandomState\b",
        r"\b(rand|fastrand|getrandom|uuid)::",
        r"\bstd::(env|fs|process|thread)\b",
        r"\b(TcpStream|TcpListener|UdpSocket|ToSocketAddrs)\b",
        r"\btracing::",
    ];
    let forbidden = Regex::new(&words.join("|")).unwrap();
    let all = ["src", "crates"].into_iter().flat_map(Source::below);
    let sources: Vec<_> = all.filter(|source| is_pure(&source.path)).collect();
    for pure in PURE.iter().chain(&["src/secrets/plan/", "src/hardening/plan/"]) {
        assert!(
            sources.iter().any(|source| source.path.starts_with(pure)),
            "{pure} is not checked"
        );
    }
    for source in sources {
        let code = source.code();
        let found = forbidden.find(&code).map(|found| found.as_str());
        assert_eq!(found, None, "{} must get this from its caller", source.path);
    }
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let sources = Source::all();
    let lengths = sources.iter().map(|source| {
        let code = source.code();
        (&source.path, code.lines().filter(|line| !line.trim().is_empty()).count())
    });
    let long: Vec<_> = lengths.filter(|(_, lines)| *lines > FILE_LINES).collect();
    assert!(long.is_empty(), "more than {FILE_LINES} lines of code: {long:#?}");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let start = Regex::new(r"^( *)(pub(\([a-z ]+\))? )?(const )?(async )?fn (\w+)").unwrap();
    let mut long = Vec::new();
    for source in Source::all() {
        for (number, line) in source.lines.iter().enumerate() {
            let Some(found) = start.captures(line) else { continue };
            let end = format!("{}}}", &found[1]);
            let length =
                source.lines[number..].iter().position(|line| *line == end).map_or(1, |at| at + 1);
            // One that is declared only, or fits one line, has no such end of its own.
            let own = !line.ends_with(['}', ';']);
            if own && length > FUNCTION_LINES {
                long.push(format!("{}:{} {}: {length} lines", source.path, number + 1, &found[6]));
            }
        }
    }
    assert!(long.is_empty(), "more than {FUNCTION_LINES} lines: {long:#?}");
}

/// README and its like, and everything below `docs/`.
fn pages() -> Vec<PathBuf> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|e| e == "md");
    let mut pages: Vec<_> =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(is_page).collect();
    pages.extend(files("docs").into_iter().filter(is_page));
    pages
}

/// The files that a page links to.
fn links(page: &Path) -> Vec<PathBuf> {
    let link = Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").unwrap();
    let text = fs::read_to_string(page).unwrap();
    let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    local.map(|target| page.parent().unwrap().join(target)).collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    for page in pages() {
        for target in links(&page) {
            assert!(target.exists(), "{} links to {}", shown(&page), target.display());
        }
    }
}

/// Decisions are records of their day, and may name what has moved since.
#[test]
fn every_file_that_a_page_names_is_there() {
    let rooms: Vec<_> = fs::read_dir(root().join("src"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .collect();
    let named = Regex::new(r"`([a-z_]+/[A-Za-z0-9_./-]*)`").unwrap();
    let mut seen = 0;
    for page in pages().iter().filter(|page| !page.starts_with(root().join("docs/decisions"))) {
        let text = fs::read_to_string(page).unwrap();
        for path in named.captures_iter(&text).map(|found| found[1].to_owned()) {
            let first = path.split('/').next().unwrap_or_default();
            let below = if rooms.iter().any(|room| room == first) { "src" } else { "" };
            if !root().join(below).join(first).is_dir() {
                continue;
            }
            seen += 1;
            let there = root().join(below).join(&path).exists();
            assert!(there, "{} names {path}", shown(page));
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let (mut reached, mut open) = (BTreeSet::new(), vec![root().join("README.md")]);
    while let Some(page) = open.pop() {
        let page = page.canonicalize().unwrap();
        if page.extension().is_some_and(|e| e == "md") && reached.insert(page.clone()) {
            open.extend(links(&page));
        }
    }
    for page in pages() {
        assert!(
            reached.contains(&page.canonicalize().unwrap()),
            "no page links to {}",
            shown(&page)
        );
    }
}

#[test]
fn nothing_names_a_folder_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let mut folders: Vec<_> =
        ["home", "root", "Users"].iter().map(|name| format!("/{name}/")).collect();
    if root().components().count() > 2 {
        folders.push(root().display().to_string());
    }
    for path in files(".") {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for folder in &folders {
            let line = text.lines().find(|line| line.contains(folder.as_str()));
            assert_eq!(line, None, "{} names {folder}", shown(&path));
        }
    }
}

#[test]
fn code_that_nobody_uses_is_allowed_nowhere() {
    // Put together here, so that this file does not find itself.
    let lint = ["dead", "code"].join("_");
    for path in ["src", "tests", "bench", "dev"].into_iter().flat_map(files) {
        if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let line = text.lines().find(|line| line.contains(&lint));
            assert_eq!(line, None, "{} allows {lint}", shown(&path));
        }
    }
}

#[test]
fn a_file_that_is_included_by_its_path_exists() {
    let path = Regex::new(r#"#\[path = "([^"]+)"\]"#).unwrap();
    for file in ["src", "tests", "bench", "dev", "fuzz", "crates"].into_iter().flat_map(files) {
        if file.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            for named in path.captures_iter(&text) {
                let target = file.parent().unwrap().join(&named[1]);
                let inside = ["src", "tests"].iter().any(|own| file.starts_with(root().join(own)));
                assert!(
                    target.is_file(),
                    "{} includes {}, which is not there",
                    shown(&file),
                    &named[1]
                );
                assert!(!inside, "{} names a path where a module would do", shown(&file));
            }
        }
    }
}
