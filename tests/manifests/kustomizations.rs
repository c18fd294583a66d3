//! Every kustomization names files that exist, and forgets none.

use std::{collections::BTreeSet, fs};

use super::yaml::{below, documents, is, read, root, texts};

const KUSTOMIZATIONS: [&str; 2] = ["kustomization.yaml", "Kustomization"];

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[test]
fn every_manifest_is_an_object_with_kind_and_name() {
    for path in below("config").iter().filter(|path| is(path, "yaml")) {
        for document in documents(path) {
            assert!(document["apiVersion"].is_string() && document["kind"].is_string(), "{path}");
            let named = document["metadata"]["name"].is_string();
            assert!(named || KUSTOMIZATIONS.contains(&file_name(path)), "{path}");
        }
    }
}

/// Definitions are generated, and so is the list of them.
#[test]
fn the_list_of_definitions_is_complete() {
    let (file, comment) = ("crds/Kustomization", "# The name has no extension so that");
    let mut wanted = format!(
        "{comment} `kubectl apply -f crds/` still takes definitions only.\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
    );
    for path in below("crds").iter().filter(|path| is(path, "yaml")) {
        wanted = format!("{wanted}  - {}\n", file_name(path));
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(file), &wanted).unwrap();
    }
    assert!(read(file) == wanted, "{file} is not the list of the definitions: run `make crds`");
}

#[test]
fn every_kustomization_names_what_exists_and_forgets_no_file_beside_it() {
    let all: Vec<_> = below("config").into_iter().chain(below("crds")).collect();
    let kustomizations: Vec<_> =
        all.iter().filter(|path| KUSTOMIZATIONS.contains(&file_name(path))).collect();
    assert!(kustomizations.len() >= 6);
    for path in kustomizations {
        let folder = path.rsplit_once('/').unwrap().0;
        let resources: BTreeSet<_> = texts(&documents(path)[0]["resources"]).into_iter().collect();
        for resource in &resources {
            let target = root().join(folder).join(resource);
            let complete =
                target.is_file() || KUSTOMIZATIONS.iter().any(|name| target.join(name).is_file());
            assert!(
                complete,
                "{path} names {resource}, which is neither a file nor a kustomization"
            );
        }
        for other in all.iter().filter(|file| file.rsplit_once('/').unwrap().0 == folder) {
            let name = file_name(other);
            let known = KUSTOMIZATIONS.contains(&name) || resources.contains(name);
            assert!(known || !is(name, "yaml"), "{path} does not name {name}");
        }
    }
}
