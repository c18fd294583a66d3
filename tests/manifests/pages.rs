//! The pages that list what the program has.

use std::{collections::BTreeSet, fs};

use gabion::cli::flags_markdown;
use regex::Regex;

use super::yaml::{below, is, read, root, table_rows};

#[test]
fn the_page_of_flags_is_what_the_program_says() {
    let (file, wanted) = ("docs/flags.md", flags_markdown());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(file), &wanted).unwrap();
    }
    assert!(read(file) == wanted, "{file} is not what the program says: run `make crds`");
}

/// The reasons in `docs/reasons.md`, in its order.
fn documented() -> Vec<String> {
    let page = read("docs/reasons.md");
    let rows = table_rows(&page, &["reason", "what it means", "what to do"]);
    for row in &rows {
        assert!(row[1].len() > 10 && row[2].len() > 3, "{row:?}");
    }
    rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

#[test]
fn reasons_are_single_words_and_each_section_lists_one_once() {
    let word = Regex::new("^[A-Z][A-Za-z]+$").unwrap();
    assert!(documented().iter().all(|reason| word.is_match(reason)));
    let row = Regex::new(r"(?m)^\| `(\w+)` \|").unwrap();
    for section in read("docs/reasons.md").split("\n## ").skip(1) {
        let reasons: Vec<_> = row.captures_iter(section).map(|found| found[1].to_owned()).collect();
        let distinct: BTreeSet<_> = reasons.iter().collect();
        assert_eq!(distinct.len(), reasons.len(), "{section}");
    }
}

/// The words in `error.rs` files that stand as a reason: alone, or in a pair with what to do next.
#[test]
fn every_reason_of_an_error_is_on_the_page() {
    let known = documented();
    let word = Regex::new(r#"(=> |\()"([A-Z][a-z]+[A-Za-z]*)"(, *Retry::|,\n)"#).unwrap();
    for path in below("src").iter().filter(|path| path.ends_with("error.rs")) {
        for found in word.captures_iter(&read(path)) {
            let reason = &found[2];
            assert!(
                known.iter().any(|known| known == reason),
                "{path}: no row {reason} in docs/reasons.md"
            );
        }
    }
}

#[test]
fn every_reason_on_the_page_is_one_that_the_program_gives() {
    let source: String =
        below("src").iter().filter(|path| is(path, "rs")).map(|path| read(path)).collect();
    for reason in documented() {
        assert!(
            source.contains(&format!("\"{reason}\"")),
            "nothing in src/ gives the reason {reason}"
        );
    }
}
