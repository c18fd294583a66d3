//! Files of patches: files that hold a part of an object, which another file holds as a whole.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::super::{
    input::{self, Input, Origin},
    yaml,
};

/// Names under which kustomize looks for what it is to do.
pub(super) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The files among these that are patches, by the kustomizations beside them.
pub(crate) fn patches(inputs: &[Input]) -> BTreeSet<PathBuf> {
    let files = inputs.iter().filter_map(|input| match &input.origin {
        Ok(Origin::File(path)) => Some(path),
        _ => None,
    });
    let folder = |path: &PathBuf| {
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
    };
    let folders: BTreeSet<_> = files.map(folder).collect();
    let mut found = BTreeSet::new();
    for folder in folders {
        for name in NAMES {
            let origin = Origin::File(folder.join(name));
            let Ok(text) = input::read(&origin, &mut std::io::empty()) else { continue };
            let roots = yaml::read(&text.text).into_iter().flatten().filter_map(|read| read.root);
            for patch in roots.flat_map(|root| named(&root.to_value())) {
                found.extend(fs::canonicalize(folder.join(patch)));
            }
        }
    }
    found
}

/// The files that a kustomization names as patches.
fn named(kustomization: &Value) -> Vec<String> {
    let list = |field: &str| kustomization[field].as_array().cloned().unwrap_or_default();
    let merged = list("patchesStrategicMerge");
    let others = ["patches", "patchesJson6902"].into_iter().flat_map(list);
    let paths = others.filter_map(|patch| patch["path"].as_str().map(ToOwned::to_owned));
    let all = merged.iter().filter_map(|patch| patch.as_str().map(ToOwned::to_owned)).chain(paths);
    // A text of several lines is a patch itself.
    all.filter(|path| !path.contains('\n')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_are_named_in_three_ways() {
        let kustomization = json!({
            "resources": ["../base"],
            "patchesStrategicMerge": ["a.yaml", "kind: Deployment\nspec: {}"],
            "patches": [{"path": "b.yaml"}, {"patch": "- op: add"}],
            "patchesJson6902": [{"path": "c.yaml", "target": {}}],
        });
        assert_eq!(named(&kustomization), ["a.yaml", "b.yaml", "c.yaml"]);
        assert_eq!(named(&json!("x")), [""; 0]);
    }
}
