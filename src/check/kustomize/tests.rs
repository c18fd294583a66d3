use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    build::{Builder, Refusal},
    *,
};
use crate::check::{test_random::TestRandom, yaml};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kustomize")
}

/// Objects by kind and name.
fn by_id(objects: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
    let id = |object: &Value| {
        format!(
            "{} {} {}",
            object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]
        )
    };
    objects.map(|object| (id(&object), object)).collect()
}

#[test]
fn what_is_built_is_what_kustomize_builds() {
    // `kubectl kustomize FOLDER` wrote what is expected.
    for case in ["overlay", "lists", "labels", "namespace"] {
        let folder = fixtures().join(case);
        let built = Builder::default().build(&folder).unwrap();
        let text = fs::read_to_string(folder.join("expected.yaml")).unwrap();
        let expected = yaml::read(&text).into_iter().filter_map(|document| document.unwrap().root);
        let expected = by_id(expected.map(|root| root.to_value()));
        let built = by_id(built.iter().map(|resource| resource.root.to_value()));
        assert_eq!(built.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
        for (id, expected) in expected {
            assert_eq!(built[&id], expected, "{case}: {id}");
        }
    }
}

#[test]
fn every_part_of_an_object_knows_where_it_was_written() {
    let mut builder = Builder::default();
    let built = builder.build(&fixtures().join("overlay")).unwrap();
    let deployment = built.iter().find(|one| one.kind() == "Deployment").unwrap();
    let lines = Lines::of(&builder.sources.text);
    let place = |keys: &[&str], index: Option<(usize, &str)>| {
        let mut path = crate::policy::FieldPath::default().keys(keys);
        if let Some((index, key)) = index {
            path = path.index(index).key(key);
        }
        let whole = lines.position(deployment.root.offset(&path));
        let (file, position) = sources::place(&builder.sources.starts(&lines), whole);
        let name = builder.sources.files[file].name.rsplit("kustomize/").next().unwrap().to_owned();
        format!("{name}:{}", position.line)
    };
    let containers = ["spec", "template", "spec", "containers"];
    for (found, wanted) in [
        (place(&["spec", "replicas"], None), "overlay/kustomization.yaml:45"),
        (place(&["spec", "selector"], None), "base/web.yaml:5"),
        (place(&containers, Some((0, "image"))), "overlay/kustomization.yaml:41"),
        (place(&containers, Some((0, "resources"))), "overlay/memory.yaml:10"),
        (place(&containers, Some((0, "volumeMounts"))), "base/web.yaml:18"),
        (place(&containers, Some((1, "image"))), "overlay/memory.yaml:17"),
        (
            place(&["spec", "template", "spec", "automountServiceAccountToken"], None),
            "component/kustomization.yaml:7",
        ),
        // A field that nobody wrote: the innermost part that is there.
        (place(&containers, Some((0, "securityContext"))), "base/web.yaml:10"),
    ] {
        assert_eq!(found, wanted);
    }
}

/// A folder with these files.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What is said of the folder `a` among these files.
fn refused(files: &[(&str, &str)]) -> Result<usize, Refusal> {
    let folder = written(files);
    let root = folder.path().display().to_string();
    let said = |text: String| text.replace(&root, "");
    match Builder::default().build(&folder.path().join("a")) {
        Ok(built) => Ok(built.len()),
        Err(Refusal::Broken(problem)) => Err(Refusal::Broken(said(problem))),
        Err(Refusal::Elsewhere(problem)) => Err(Refusal::Elsewhere(said(problem))),
    }
}

#[test]
fn what_is_wrong_and_what_is_not_here_are_told_apart() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n";
    let broken = |text: &str| Err(Refusal::Broken(text.to_owned()));
    let elsewhere = |text: &str| Err(Refusal::Elsewhere(text.to_owned()));
    for (file, wanted) in [
        ("resources: [pod.yaml]", Ok(1)),
        ("resources: [gone.yaml]", broken("/a/gone.yaml does not exist")),
        ("resources: [.]", broken("/a includes itself: remove it from resources")),
        ("resources: [../b]", broken("/a includes itself: remove it from resources")),
        ("resources: [../c]", broken("/c holds no kustomization.yaml")),
        (
            "resources: [../outside.yaml]",
            broken(
                "/outside.yaml lies outside of the kustomization that names it, which kustomize refuses",
            ),
        ),
        (
            "resources: [not.yaml]",
            broken("/a/not.yaml holds a document without apiVersion and kind"),
        ),
        (
            "resources: [broken.yaml]",
            broken(
                "/a/broken.yaml:1:1: not YAML: while parsing a flow node, did not find expected node content",
            ),
        ),
        (
            "resources: ['https://example.com/x?ref=v1']",
            elsewhere("https://example.com/x?ref=v1 is remote, and nothing is fetched here"),
        ),
        (
            "resources: [github.com/a/b]",
            elsewhere("github.com/a/b is remote, and nothing is fetched here"),
        ),
        (
            "resources: ['git@example.com:a/b']",
            elsewhere("git@example.com:a/b is remote, and nothing is fetched here"),
        ),
        (
            "helmCharts: []",
            elsewhere("/a/kustomization.yaml uses helmCharts, which is not known here"),
        ),
        (
            "resources: [pod.yaml]\npatches: [{patch: '[{op: add, path: /x, value: 1}]'}]",
            broken("a JSON patch has no target: add one"),
        ),
        (
            "resources: [pod.yaml]\npatches: [{target: {kind: Pod}, patch: '[{op: remove, path: /spec/x}]'}]",
            broken("the patch of Pod p: operation 0: there is nothing at \"spec\""),
        ),
        (
            "resources: [pod.yaml]\npatches: [{patch: '{kind: Pod, apiVersion: v1, metadata: {name: q}}'}]",
            broken("a patch is for Pod q, which is not among its resources"),
        ),
        (
            "resources: [pod.yaml]\npatches: [{patch: '{kind: Pod, apiVersion: v1, metadata: {name: p}, spec: {$patch: odd}}'}]",
            Ok(1),
        ),
        (
            "resources: [pod.yaml]\npatches: [{target: {labelSelector: 'a in (b)'}, patch: '{}'}]",
            elsewhere("the selector \"a in (b)\" is not known here"),
        ),
        (
            "[",
            broken(
                "/a/kustomization.yaml:1:1: not YAML: while parsing a flow node, did not find expected node content",
            ),
        ),
    ] {
        let found = refused(&[
            ("a/kustomization.yaml", &format!("{file}\n")),
            ("a/pod.yaml", pod),
            ("a/not.yaml", "x: y\n"),
            ("a/broken.yaml", "[\n"),
            ("b/kustomization.yaml", "resources: [../a]\n"),
            ("c/pod.yaml", pod),
            ("outside.yaml", pod),
        ]);
        match (&found, &wanted) {
            // The words of the parser are its own.
            (Err(Refusal::Broken(said)), Err(Refusal::Broken(wanted)))
                if said.contains("not YAML") =>
            {
                assert_eq!(
                    said.split("not YAML").next(),
                    wanted.split("not YAML").next(),
                    "{file}"
                );
            }
            _ => assert_eq!(found, wanted, "{file}"),
        }
    }
}

#[test]
fn a_component_that_nobody_here_includes_is_no_mistake() {
    let patches = "resources: [pod.yaml]\npatches: [{patch: '{kind: Pod, apiVersion: v1, metadata: {name: q}}'}]\n";
    let pod = ("c/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
    let component = format!("kind: Component\n{patches}");
    let folder = written(&[
        ("c/kustomization.yaml", &component),
        pod,
        ("a/kustomization.yaml", "components: [../c]\n"),
    ]);
    let alone = Builder::default().build(&folder.path().join("c"));
    assert_eq!(alone.map(|built| built.len()), Ok(1));
    // Whoever includes it must hold what it changes.
    let problem = "a patch is for Pod q, which is not among its resources";
    let included = Builder::default().build(&folder.path().join("a"));
    assert_eq!(included.map(|built| built.len()), Err(Refusal::Broken(problem.to_owned())));
}

#[test]
fn bases_of_bases_multiply_within_a_bound() {
    let mut files = vec![("z/kustomization.yaml".to_owned(), "resources: [p.yaml]\n".to_owned())];
    files.push((
        "z/p.yaml".to_owned(),
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n".to_owned(),
    ));
    for level in 0..20 {
        let next = if level == 19 { "z".to_owned() } else { format!("l{}", level + 1) };
        let both = format!("resources: [../{next}x, ../{next}y]\n").replace("zx, ../zy", "z, ../z");
        for half in ["x", "y"] {
            files.push((format!("l{level}{half}/kustomization.yaml"), both.clone()));
        }
    }
    files.push(("a/kustomization.yaml".to_owned(), "resources: [../l0x]\n".to_owned()));
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let wanted = "it is put together from too many others";
    assert_eq!(refused(&files), Err(Refusal::Elsewhere(wanted.to_owned())));
}

#[test]
fn nothing_that_somebody_writes_makes_it_panic() {
    let fixtures = fixtures();
    let folder = tempfile::tempdir().unwrap();
    let names =
        ["overlay/kustomization.yaml", "overlay/memory.yaml", "base/web.yaml", "lists/patch.yaml"];
    let tokens = [
        "$patch: delete",
        "null",
        "[",
        "{",
        "- ",
        ": ",
        "/-",
        "path",
        "~1",
        "spec",
        "&a ",
        "*a",
        "..",
        "0",
        "op: move",
        "from: /",
    ];
    let mut random = TestRandom::new(7);
    for round in 0..400 {
        for case in ["base", "overlay", "component", "lists"] {
            fs::create_dir_all(folder.path().join(case)).unwrap();
            for entry in fs::read_dir(fixtures.join(case)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{case}/{}", entry.file_name().display());
                let mut text: Vec<char> =
                    fs::read_to_string(entry.path()).unwrap().chars().collect();
                if names.contains(&name.as_str()) && random.below(2) == 0 {
                    for _ in 0..=random.below(3) {
                        let at = random.below(text.len());
                        let end = (at + random.below(30)).min(text.len());
                        drop(text.splice(at..end, random.one_of(&tokens).chars()));
                    }
                }
                fs::write(folder.path().join(name), text.into_iter().collect::<String>()).unwrap();
            }
        }
        for case in ["overlay", "lists"] {
            let mut builder = Builder::default();
            let path = folder.path().join(case);
            let built = std::panic::catch_unwind(move || builder.build(&path).is_ok());
            assert!(built.is_ok(), "round {round}, {case}");
        }
    }
}
