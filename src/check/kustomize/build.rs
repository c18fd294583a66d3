//! Puts objects together as a kustomization says, from files alone: nothing is fetched and no program is started.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    super::yaml::{self, Content, Node},
    json_patch,
    merge::{self, Outcome},
    patches::NAMES,
    sources::{Sources, put_at},
    target::Target,
    transform::{self, Reach, Resource},
    tree,
};

/// Kustomizations within kustomizations.
const DEEPEST: usize = 32;

/// Kustomizations that one is put together from, and objects that it holds: bases of bases multiply.
const MOST_FOLDERS: usize = 1_000;
const MOST_OBJECTS: usize = 20_000;

/// Fields that change nothing about what is evaluated, and those that are known.
const KNOWN: [&str; 23] = [
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "bases",
    "components",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "images",
    "labels",
    "commonLabels",
    "commonAnnotations",
    "replicas",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "sortOptions",
    "buildMetadata",
    "crds",
];

/// Why a kustomization is not put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is wrong: nothing can build it.
    Broken(String),
    /// It needs what is not here: the network, a plugin, a field that is not known.
    Elsewhere(String),
}

use Refusal::{Broken, Elsewhere};

/// What is read and made for one kustomization.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) sources: Sources,
    /// Files that were read.
    pub(super) used: BTreeSet<PathBuf>,
    /// Those of them that hold whole objects.
    pub(super) plain: BTreeSet<PathBuf>,
    /// Folders that it is put together from.
    pub(super) folders: BTreeSet<PathBuf>,
    open: Vec<PathBuf>,
    steps: usize,
}

/// The file in a folder that says how to put it together.
pub(super) fn kustomization(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Without `.` and, as far as that is possible, without `..`.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

impl Builder {
    /// The objects of a folder.
    pub(super) fn build(&mut self, folder: &Path) -> Result<Vec<Resource>, Refusal> {
        let mut all = Vec::new();
        self.folder(folder, &mut all)?;
        Ok(all)
    }

    /// Adds the objects of a folder to those that are there; a component changes those too.
    fn folder(&mut self, folder: &Path, all: &mut Vec<Resource>) -> Result<(), Refusal> {
        let shown = if folder.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            folder.display().to_string()
        };
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = fs::canonicalize(here).map_err(|_| Broken(format!("{shown} does not exist")))?;
        if self.open.contains(&real) {
            return Err(Broken(format!("{shown} includes itself: remove it from resources")));
        }
        self.steps += 1;
        if self.open.len() >= DEEPEST || self.steps > MOST_FOLDERS {
            return Err(Elsewhere("it is put together from too many others".to_owned()));
        }
        let file = kustomization(here)
            .ok_or_else(|| Broken(format!("{shown} holds no kustomization.yaml")))?;
        self.folders.insert(real.clone());
        self.open.push(real.clone());
        let file = normal(&file);
        let number = self.file(&file, &real)?;
        let root = match self.sources.files.get(number).map(|file| file.documents.as_slice()) {
            Some([(root, _)]) => root.clone(),
            _ => return Err(Broken(format!("{} must hold one document", file.display()))),
        };
        if let Content::Mapping(entries) = &root.content
            && let Some(unknown) = entries.iter().find(|entry| !KNOWN.contains(&entry.key.as_str()))
        {
            return Err(Elsewhere(format!(
                "{} uses {}, which is not known here",
                file.display(),
                unknown.key
            )));
        }
        let is_alone = self.open.len() == 1 && is_component(&root);
        let absent = if is_alone { Absent::Elsewhere } else { Absent::Refused };
        Kustomization { builder: self, root: &root, folder, real: &real, absent }.run(all)?;
        self.open.pop();
        if all.len() > MOST_OBJECTS {
            return Err(Elsewhere(format!("it holds more than {MOST_OBJECTS} objects")));
        }
        Ok(())
    }

    /// Reads a file, which must lie in the folder that names it, as kustomize asks.
    fn file(&mut self, path: &Path, folder: &Path) -> Result<usize, Refusal> {
        let real = fs::canonicalize(path)
            .map_err(|_| Broken(format!("{} does not exist", path.display())))?;
        if !real.starts_with(folder) {
            let problem =
                "lies outside of the kustomization that names it, which kustomize refuses";
            return Err(Broken(format!("{} {problem}", path.display())));
        }
        self.used.insert(real);
        self.sources.read(path).map_err(Broken)
    }

    fn documents(&self, number: usize) -> Vec<Node> {
        let file = self.sources.files.get(number);
        file.into_iter().flat_map(|file| &file.documents).map(|(root, _)| root.clone()).collect()
    }
}

/// One file while it is worked through.
struct Kustomization<'b> {
    builder: &'b mut Builder,
    root: &'b Node,
    folder: &'b Path,
    real: &'b Path,
    absent: Absent,
}

/// What a patch means whose object is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// A mistake: kustomize refuses it.
    Refused,
    /// Nothing: a component is looked at without whoever includes it and has the object.
    Elsewhere,
}

impl Kustomization<'_> {
    fn list(&self, field: &str) -> Vec<Node> {
        self.root.get(field).map(Node::items).unwrap_or_default().to_vec()
    }

    fn run(&mut self, all: &mut Vec<Resource>) -> Result<(), Refusal> {
        let mut own = if is_component(self.root) { std::mem::take(all) } else { Vec::new() };
        for named in [self.list("resources"), self.list("bases")].concat() {
            self.resource(&named, &mut own)?;
        }
        for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
            let new = self.list(field);
            let new = new
                .iter()
                .filter(|g| !matches!(tree::text_at(g, &["behavior"]), Some("merge" | "replace")));
            own.extend(new.filter_map(|generator| transform::generated(kind, generator)));
        }
        for component in self.list("components") {
            let path = self.path(&component)?;
            self.builder.folder(&path, &mut own)?;
        }
        self.transform(&mut own)?;
        all.append(&mut own);
        Ok(())
    }

    /// A path that the file names. What is not on this machine is not fetched.
    fn path(&self, named: &Node) -> Result<PathBuf, Refusal> {
        let text = named.as_str().ok_or_else(|| Broken("a resource that is no text".to_owned()))?;
        let path = normal(&self.folder.join(text));
        let host = text.split('/').next().unwrap_or_default();
        let looks_remote = text.contains("://")
            || text.contains("?ref=")
            || host.contains('@')
            || text.starts_with("git::")
            || (host.contains('.') && !host.starts_with('.') && host != text && !path.exists());
        if looks_remote {
            return Err(Elsewhere(format!("{text} is remote, and nothing is fetched here")));
        }
        Ok(path)
    }

    fn resource(&mut self, named: &Node, own: &mut Vec<Resource>) -> Result<(), Refusal> {
        let path = self.path(named)?;
        if path.is_dir() || path.as_os_str().is_empty() {
            return self.builder.folder(&path, own);
        }
        let number = self.builder.file(&path, self.real)?;
        self.builder.plain.extend(fs::canonicalize(&path));
        for root in self.builder.documents(number) {
            // A list stands for its items.
            let kind = tree::text_at(&root, &["kind"]).unwrap_or_default();
            let items = root.get("items").filter(|_| kind.ends_with("List")).map(Node::items);
            let roots = items.map_or_else(|| vec![root.clone()], <[Node]>::to_vec);
            for root in roots {
                if root.get("kind").is_none() || root.get("apiVersion").is_none() {
                    let problem = "holds a document without apiVersion and kind";
                    return Err(Broken(format!("{} {problem}", path.display())));
                }
                own.push(Resource { root, former: Vec::new() });
            }
        }
        Ok(())
    }

    /// In the order of kustomize.
    fn transform(&mut self, own: &mut Vec<Resource>) -> Result<(), Refusal> {
        for patch in self.list("patchesStrategicMerge") {
            let inline = patch.as_str().is_some_and(|text| text.contains('\n'));
            let documents =
                if inline { inline_documents(&patch)? } else { self.patch_file(&patch)? };
            patch_all(&documents, None, own, self.absent)?;
        }
        for patch in self.list("patches") {
            self.patch_with_target(&patch, own)?;
        }
        if let Some(entry) = self.root.entry("namespace")
            && let Some(name) = entry.value.as_str()
        {
            transform::namespace(own, name, &entry.key_span);
        }
        for (field, is_prefix) in [("namePrefix", true), ("nameSuffix", false)] {
            if let Some(entry) = self.root.entry(field)
                && let Some(text) = entry.value.as_str()
            {
                let (prefix, suffix) = if is_prefix { (text, "") } else { ("", text) };
                transform::names(own, prefix, suffix, &entry.key_span);
            }
        }
        self.labels(own)?;
        for patch in self.list("patchesJson6902") {
            self.patch_with_target(&patch, own)?;
        }
        self.list("replicas").iter().for_each(|change| transform::replicas(own, change));
        self.list("images").iter().for_each(|change| transform::image(own, change));
        Ok(())
    }

    fn labels(&self, own: &mut [Resource]) -> Result<(), Refusal> {
        for label in self.list("labels") {
            if label.get("fields").is_some() {
                return Err(Elsewhere(
                    "it uses fields of labels, which is not known here".to_owned(),
                ));
            }
            let is = |key: &str| label.get(key).is_some_and(|value| value.to_value() == true);
            let reach = match (is("includeSelectors"), is("includeTemplates")) {
                (true, _) => Reach::Selectors,
                (false, true) => Reach::Templates,
                (false, false) => Reach::Object,
            };
            if let Some(pairs) = label.get("pairs") {
                transform::metadata(own, "labels", pairs, reach);
            }
        }
        for (field, into, reach) in [
            ("commonLabels", "labels", Reach::Selectors),
            ("commonAnnotations", "annotations", Reach::Templates),
        ] {
            if let Some(pairs) = self.root.get(field) {
                transform::metadata(own, into, pairs, reach);
            }
        }
        Ok(())
    }

    fn patch_file(&mut self, named: &Node) -> Result<Vec<Node>, Refusal> {
        let path = self.path(named)?;
        let number = self.builder.file(&path, self.real)?;
        Ok(self.builder.documents(number))
    }

    fn patch_with_target(&mut self, patch: &Node, own: &mut Vec<Resource>) -> Result<(), Refusal> {
        let documents = match (patch.get("path"), patch.get("patch")) {
            (Some(path), _) => self.patch_file(path)?,
            (None, Some(text)) => inline_documents(text)?,
            (None, None) => return Err(Broken("a patch has neither path nor patch".to_owned())),
        };
        let target = patch.get("target").map(Target::of).transpose();
        let target = target.map_err(|what| Elsewhere(format!("{what} is not known here")))?;
        patch_all(&documents, target.as_ref(), own, self.absent)
    }
}

/// Whether a kustomization changes what those hold that include it.
fn is_component(root: &Node) -> bool {
    tree::text_at(root, &["kind"]) == Some("Component")
}

/// Applies patches to the objects that they are for.
fn patch_all(
    documents: &[Node],
    target: Option<&Target>,
    own: &mut Vec<Resource>,
    absent: Absent,
) -> Result<(), Refusal> {
    for document in documents {
        let is_list = matches!(document.content, Content::Sequence(_));
        match target {
            None if is_list => {
                return Err(Broken("a JSON patch has no target: add one".to_owned()));
            }
            Some(target) if is_list => {
                for one in own.iter_mut().filter(|one| target.holds(one)) {
                    let title = format!("{} {}", one.kind(), one.name());
                    json_patch::apply(&mut one.root, document)
                        .map_err(|problem| Broken(format!("the patch of {title}: {problem}")))?;
                }
            }
            Some(target) => {
                merge_into(document, own, &|one| target.holds(one))?;
            }
            None => {
                let wanted = Resource { root: document.clone(), former: Vec::new() };
                let is_found = merge_into(document, own, &|one| is_meant(&wanted, one))?;
                if !is_found && absent == Absent::Refused {
                    let title = format!("{} {}", wanted.kind(), wanted.name());
                    let problem = "which is not among its resources";
                    return Err(Broken(format!("a patch is for {title}, {problem}")));
                }
            }
        }
    }
    Ok(())
}

/// The documents of a text within a text: all that is in it stands where the text does.
fn inline_documents(text: &Node) -> Result<Vec<Node>, Refusal> {
    let mut documents = Vec::new();
    for document in yaml::read(text.as_str().unwrap_or_default()) {
        let document = document.map_err(|fault| Broken(format!("a patch: {}", fault.message)))?;
        if let Some(mut root) = document.root.filter(|root| !root.is_null()) {
            put_at(&mut root, &text.span);
            documents.push(root);
        }
    }
    Ok(documents)
}

/// Whether a patch without a target is for this object, by one of the names that it had.
fn is_meant(patch: &Resource, one: &Resource) -> bool {
    let (group, _) = patch.api();
    let namespace = patch.namespace();
    let own = std::iter::once((one.name(), one.namespace()));
    let former = one.former.iter().map(|(name, namespace)| (name.as_str(), namespace.as_deref()));
    patch.kind() == one.kind()
        && group == one.api().0
        && own.chain(former).any(|(name, within)| {
            name == patch.name() && (namespace.is_none() || namespace == within)
        })
}

/// Merges a patch into the objects that it is for. Whether there are any.
fn merge_into(
    patch: &Node,
    own: &mut Vec<Resource>,
    is_meant: &dyn Fn(&Resource) -> bool,
) -> Result<bool, Refusal> {
    let mut changes = patch.clone();
    for key in ["apiVersion", "kind"] {
        tree::remove(&mut changes, key);
    }
    if let Some(metadata) = tree::get_mut(&mut changes, "metadata") {
        for key in ["name", "namespace"] {
            tree::remove(metadata, key);
        }
    }
    let (mut found, mut kept) = (false, Vec::with_capacity(own.len()));
    for mut one in own.drain(..) {
        if is_meant(&one) {
            found = true;
            let known = one.is_known();
            let outcome = merge::merge(&mut one.root, &changes, known).map_err(|what| {
                Elsewhere(format!("a patch uses {what}, which is not known here"))
            })?;
            if outcome == Outcome::Deleted {
                continue;
            }
        }
        kept.push(one);
    }
    *own = kept;
    Ok(found)
}
