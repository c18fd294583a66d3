//! The pages that list what the program has.

use std::{collections::BTreeSet, fs};

use gabion::cli::flags_markdown;
use regex::Regex;

use super::yaml::{below, read, root, table_rows};

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
    for section in read("docs/reasons.md").split("\n## ").skip(1) {
        let row = Regex::new(r"(?m)^\| `(\w+)` \|").unwrap();
        let reasons: Vec<_> = row.captures_iter(section).map(|found| found[1].to_owned()).collect();
        let distinct: BTreeSet<_> = reasons.iter().collect();
        assert_eq!(distinct.len(), reasons.len(), "{section}");
    }
}

/// Every reason that an error's `class` gives is a pair of a text and what to do next.
#[test]
fn every_reason_of_an_error_is_on_the_page() {
    let (known, pair) = (documented(), Regex::new(r#"\("([A-Z][A-Za-z]+)",\s*Retry::"#).unwrap());
    for path in below("src").iter().filter(|path| path.ends_with("error.rs")) {
        for found in pair.captures_iter(&read(path)) {
            assert!(
                known.iter().any(|reason| *reason == found[1]),
                "{path}: {} is not in docs/reasons.md",
                &found[1]
            );
        }
    }
}
