//! The chart ships copies of definitions, rights, rules and dashboards: each is as its source.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use super::yaml::root;

/// Every file below a folder, with its content.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            let inner = files(&entry.path()).into_iter();
            all.extend(inner.map(|(file, content)| (format!("{name}/{file}"), content)));
        } else {
            all.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    all
}

fn copy(to: &Path) {
    assert!(Command::new(root().join("dev/chart.sh")).arg(to).status().unwrap().success());
}

#[test]
fn copies_in_the_chart_are_as_their_sources() {
    let kept = root().join("charts/gabion/files");
    if std::env::var_os("UPDATE").is_some() {
        copy(&kept);
    }
    let fresh = tempfile::tempdir().unwrap();
    copy(fresh.path());
    let (kept, fresh) = (files(&kept), files(fresh.path()));
    let differing: Vec<_> = fresh
        .iter()
        .filter(|(name, content)| kept.get(*name) != Some(*content))
        .chain(kept.iter().filter(|(name, _)| !fresh.contains_key(*name)))
        .map(|(name, _)| name)
        .collect();
    assert!(differing.is_empty(), "old in charts/gabion/files: {differing:?}: run `make chart`");
}
