//! Every control that `gabion check` evaluates has a page with a file that breaks it and one that keeps it. Both are run
//! here.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use gabion::policy::Target;
use gabion::policy::controls;

use super::program::Folder;

/// Controls of the cluster that files can break, too.
const ALSO: [&str; 1] = ["HB-PSA"];

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/pages")
}

/// The file of a folder whose name begins so.
fn named(folder: &Path, stem: &str) -> String {
    let names =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .find(|name| name.split('.').next() == Some(stem))
        .unwrap_or_else(|| panic!("{} has no {stem}", folder.display()))
}

/// Controls that a file breaks, under the profile or the baseline that asks for this one.
fn broken(id: &str, name: &str) -> BTreeSet<String> {
    let page = pages().join(id);
    let folder = Folder::of(&[]);
    folder.write(name, &fs::read(page.join(name)).unwrap());
    let level = controls::all().find(|control| control.id.as_str() == id).unwrap().level_name();
    let mut arguments = vec!["-o", "json", name];
    if id.starts_with("HB-ESO-") {
        arguments.push("--eso");
    } else if let Ok(baseline) = fs::read(page.join("baseline.yaml")) {
        folder.write("baseline.yaml", &baseline);
        arguments.extend(["--baseline", "baseline.yaml"]);
    } else {
        arguments.extend(["--profile", level.unwrap_or("guide")]);
    }
    let run = folder.check(&arguments);
    let report = run.json();
    assert_eq!(report["summary"]["errors"], 0, "{id}: {}", run.all());
    let files = report["files"].as_array().unwrap().clone();
    let found = files.iter().flat_map(|file| file["findings"].as_array().unwrap().clone());
    found.map(|finding| finding["control"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_every_control_are_what_they_say() {
    let mut wrong = Vec::new();
    let evaluated = controls::all().filter(|control| {
        matches!(control.target, Target::Pod | Target::File) || ALSO.contains(&control.id.as_str())
    });
    let mut tried = BTreeSet::new();
    for id in evaluated.map(|control| control.id.as_str()) {
        let folder = pages().join(id);
        let (bad, good) = (named(&folder, "bad"), named(&folder, "good"));
        if !broken(id, &bad).contains(id) {
            wrong.push(format!("{id} is not broken by its bad example"));
        }
        let found = broken(id, &good);
        if found.contains(id) {
            wrong.push(format!("{id} is broken by its good example"));
        }
        tried.insert(id.to_owned());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let there = fs::read_dir(pages()).unwrap();
    let there: BTreeSet<_> =
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, tried, "folders of examples and controls");
}
