//! Kustomize: objects as they are deployed, and not the parts of which they are put together.
//!
//! Gabion puts them together itself, from files alone: it fetches nothing, starts no plugin, and knows of each field
//! where it was written. What it does not know it leaves alone and says so; the files are then evaluated one by one.

mod build;
mod json_patch;
mod merge;
mod patches;
mod sources;
mod target;
mod transform;
mod tree;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    cross_references::CrossReferences,
    input::{Input, Origin, shown},
    manifest,
    position::{Lines, Position},
    report::{Diagnostic, FileReport},
    rules::Rules,
    suppression::{self, Suppressions},
};
use build::{Builder, Refusal};
pub(crate) use patches::patches;
use sources::place;
use transform::Resource;

/// The kustomizations among what is checked.
#[derive(Debug, Default)]
pub(crate) struct Overlays {
    /// Those that are put together.
    pub(crate) made: Vec<Overlay>,
    /// Files that are a part of them, by their real paths.
    pub(crate) used: BTreeSet<PathBuf>,
    /// Those of them that hold whole objects, and no patches.
    pub(crate) plain: BTreeSet<PathBuf>,
    /// What is to be said of those that are not.
    pub(crate) refused: Vec<FileReport>,
}

/// One kustomization that no other one includes.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Its folder, as messages show it.
    pub(crate) name: String,
    /// The file that says how to put it together.
    pub(crate) file: String,
    builder: Builder,
    resources: Vec<Resource>,
}

/// Puts together what the folders that are searched hold. Files that are named one by one are evaluated one by one.
pub(crate) fn overlays(inputs: &[Input]) -> Overlays {
    let searched = inputs.iter().filter(|input| input.folder.is_some());
    let paths = searched.filter_map(|input| match &input.origin {
        Ok(Origin::File(path)) => path.parent(),
        _ => None,
    });
    let mut folders: Vec<_> = paths.map(Path::to_owned).collect();
    folders.dedup();
    folders.retain(|folder| build::kustomization(&here(folder)).is_some());
    let mut overlays = Overlays::default();
    // What another one includes is evaluated as a part of that, so those come first that include most.
    let mut tried: Vec<(PathBuf, Result<Vec<Resource>, Refusal>, Builder)> = Vec::new();
    for folder in folders {
        let mut builder = Builder::default();
        let folder = build::normal(&folder);
        let made = builder.build(&folder);
        tried.push((folder, made, builder));
    }
    let includes = |folder: &Path, by: &Builder| {
        fs::canonicalize(here(folder)).is_ok_and(|real| by.folders.contains(&real))
    };
    let included: Vec<_> = tried
        .iter()
        .map(|(folder, ..)| {
            tried.iter().any(|(other, made, builder)| {
                other != folder && made.is_ok() && includes(folder, builder)
            })
        })
        .collect();
    for ((folder, made, builder), included) in tried.into_iter().zip(included) {
        overlays.add(&folder, made, builder, included);
    }
    overlays
}

/// A folder that can be asked for what is in it.
fn here(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

impl Overlays {
    fn add(
        &mut self,
        folder: &Path,
        made: Result<Vec<Resource>, Refusal>,
        builder: Builder,
        included: bool,
    ) {
        let file = build::kustomization(&here(folder)).map(|file| shown(&file)).unwrap_or_default();
        let hint = "its files are evaluated one by one";
        match made {
            Ok(_) if included => {}
            // A component is no object by itself, and nothing to evaluate without what it changes.
            Ok(resources) if resources.is_empty() => {}
            Ok(resources) => {
                self.used.extend(builder.used.iter().cloned());
                self.plain.extend(builder.plain.iter().cloned());
                self.made.push(Overlay { name: shown(&here(folder)), file, builder, resources });
            }
            Err(Refusal::Broken(problem)) => {
                let problem = format!("cannot be built: {problem}; {hint}");
                self.refused.push(FileReport::fault(&file, problem));
            }
            Err(Refusal::Elsewhere(problem)) => {
                let name = shown(&here(folder));
                let message = format!(
                    "not rendered: {problem}; {hint}. `kustomize build {name} | gabion check -` evaluates what is deployed"
                );
                let remarks = vec![Diagnostic { position: None, message }];
                self.refused.push(FileReport { name: file, remarks, ..FileReport::default() });
            }
        }
    }
}

impl Overlay {
    /// Evaluates its objects; places are in all texts as one, until they are [`split`].
    ///
    /// [`split`]: Self::split
    pub(crate) fn evaluate(
        &self,
        rules: &Rules,
        across: &mut CrossReferences,
    ) -> (FileReport, Vec<Position>) {
        let text = self.builder.sources.text.as_str();
        let lines = Lines::of(text);
        let mut comments = Suppressions::default();
        for (root, of_document) in self.builder.sources.files.iter().flat_map(|f| &f.documents) {
            let mut own = Suppressions::default();
            suppression::of_comments(&mut own, root, of_document, text, &lines);
            own.by_text(root, &lines);
            comments.join(own);
        }
        let roots = self.resources.iter().map(|resource| resource.root.clone()).collect();
        manifest::check_rendered(&self.name, roots, &lines, comments, rules, across)
    }

    /// A report on the whole as reports on the files in which its parts are written.
    pub(crate) fn split(&self, whole: FileReport, starts: &[Position]) -> Vec<FileReport> {
        let sources = &self.builder.sources;
        let first = sources.starts(&Lines::of(&sources.text));
        let mut files: BTreeMap<usize, FileReport> = BTreeMap::new();
        for (object, start) in whole.objects.into_iter().zip(starts) {
            let (number, _) = place(&first, *start);
            files.entry(number).or_default().objects.push(object);
        }
        for mut located in whole.findings {
            let (number, position) = place(&first, located.position);
            located.position = position;
            files.entry(number).or_default().findings.push(located);
        }
        let remarks = whole.remarks.into_iter().map(|remark| (remark, true));
        let faults = whole.faults.into_iter().map(|fault| (fault, false));
        for (diagnostic, is_remark) in remarks.chain(faults) {
            let whole = diagnostic.position.unwrap_or_default();
            let (number, position) = place(&first, whole);
            let file = files.entry(number).or_default();
            let list = if is_remark { &mut file.remarks } else { &mut file.faults };
            list.push(Diagnostic { position: Some(position), ..diagnostic });
        }
        for (number, file) in &mut files {
            file.name =
                sources.files.get(*number).map(|file| file.name.clone()).unwrap_or_default();
        }
        files.into_values().collect()
    }
}

/// Puts reports on one file together: what several kustomizations show at one place is said once.
pub(crate) fn joined(reports: Vec<FileReport>) -> Vec<FileReport> {
    let mut files: Vec<FileReport> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for report in reports {
        let number = *known.entry(report.name.clone()).or_insert(files.len());
        if number == files.len() {
            files.push(FileReport { name: report.name.clone(), ..FileReport::default() });
        }
        let Some(file) = files.get_mut(number) else { continue };
        file.objects.extend(report.objects);
        for located in report.findings {
            let finding = &located.finding;
            // One that counts is never hidden by one that somebody lives with.
            let by = located.suppressed.as_ref().map(|accepted| accepted.by);
            let key = (number, located.position, finding.control.id, finding.message.clone(), by);
            if seen.insert(key) {
                file.findings.push(located);
            }
        }
        for remark in report.remarks {
            if !file.remarks.contains(&remark) {
                file.remarks.push(remark);
            }
        }
        for fault in report.faults {
            if !file.faults.contains(&fault) {
                file.faults.push(fault);
            }
        }
    }
    files
}
