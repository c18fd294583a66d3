//! What tenants may read: a ClusterSecretStore that lists the keys by namespace. What is refused costs the provider no call.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, eventually};

use crate::scene::{Scene, aws_provider, value};

const ANNOTATION: &str = "gabion.dev/allowed-keys";

/// A ClusterSecretStore with the credentials of the scene, and a list.
fn listing(home: &Scene<'_>, name: &str, list: &str) -> Value {
    json!({"kind": "ClusterSecretStore", "metadata": {"name": name, "annotations": {ANNOTATION: list}},
        "spec": {"provider": {"aws": aws_provider("aws-keys", Some(&home.ns))}}})
}

fn using(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["secretStoreRef"] = json!({"name": name, "kind": "ClusterSecretStore"});
    spec
}

/// Calls with the credentials of a scene, of whatever kind.
fn calls(home: &Scene<'_>) -> usize {
    home.env.aws.received().iter().filter(|call| call.access_key == home.access_key).count()
}

/// Every kind of reference, to one key.
fn references(store: &str, key: &str) -> Vec<(&'static str, Value)> {
    let remote = json!({"key": key});
    let own = json!({"storeRef": {"name": store, "kind": "ClusterSecretStore"}});
    vec![
        ("data", json!({"data": [{"secretKey": "a", "remoteRef": remote}]})),
        (
            "version",
            json!({"data": [{"secretKey": "a", "remoteRef": {"key": key, "version": "AWSPREVIOUS"}}]}),
        ),
        (
            "tags",
            json!({"data": [{"secretKey": "a", "remoteRef": {"key": key, "metadataPolicy": "Fetch"}}]}),
        ),
        ("extract", json!({"data": [], "dataFrom": [{"extract": remote}]})),
        ("source", json!({"data": [{"secretKey": "a", "remoteRef": remote, "sourceRef": own}]})),
        (
            "extract-source",
            json!({"data": [], "dataFrom": [{"extract": remote, "sourceRef": own}]}),
        ),
        // One key that is allowed does not carry another one along.
        (
            "beside",
            json!({"data": [
                {"secretKey": "b", "remoteRef": {"key": "allowed-matrix/common"}},
                {"secretKey": "a", "remoteRef": remote},
            ]}),
        ),
    ]
}

#[tokio::test]
async fn a_key_that_is_not_listed_is_refused_before_any_call_by_whatever_reference() -> Result<()> {
    let home = Scene::new("allowed-matrix").await?;
    let list = "
- namespaces: [allowed-matrix, allowed-matrix-named]
  keys: [allowed-matrix/common]
- namespaceSelector: {matchLabels: {team: core}}
  keys: ['allowed-matrix/core/*']
- namespaceSelector: {}
  keys: ['{namespace}/*', other/x]
";
    home.create(listing(&home, "allowed-matrix", list)).await?;
    home.store_says("ClusterSecretStore", "allowed-matrix", "True", "store validated").await?;
    let (named, labelled) = (home.beside("named").await?, home.beside("labelled").await?);
    let label = json!({"metadata": {"labels": {"team": "core"}}});
    labelled.patch("Namespace", &labelled.ns, label).await?;
    for name in ["common", "core/db", "secret"] {
        home.put(name, &value(name));
    }
    let before = calls(&home);

    for (scene, key) in [
        // By a name that another namespace has, by a label that it lacks, by the pattern of another one, by no rule, by
        // an ARN, by the empty key.
        (&labelled, "allowed-matrix/common"),
        (&named, "allowed-matrix/core/db"),
        (&named, "allowed-matrix/secret"),
        (&labelled, "allowed-matrix/secret"),
        (&named, "arn:aws:secretsmanager:eu-west-1:000000000000:secret:allowed-matrix/common"),
        (&named, "allowed-matrix/commo"),
        (&named, "allowed-matrix-named"),
    ] {
        for (nth, (reference, spec)) in references("allowed-matrix", key).into_iter().enumerate() {
            let name = format!("{reference}-{nth}");
            scene.create(scene.external(&name, using("allowed-matrix", spec))).await?;
            let message = scene.fails(&name, "does not let namespace").await?;
            assert!(message.contains(key) || reference == "beside", "{message}");
            assert!(
                message.contains("allowed-matrix") && message.contains(ANNOTATION),
                "{message}"
            );
            assert_eq!(scene.data(&name).await?, None, "{key} {reference}");
            scene.delete("ExternalSecret", &name).await?;
            scene.gone("ExternalSecret", &name).await?;
        }
    }
    assert_eq!(calls(&home), before, "a call for what is refused: {:?}", home.env.aws.received());

    // What is listed arrives.
    home.synced("common", using("allowed-matrix", json!({}))).await?;
    home.holds("common", &value("common")).await?;
    let core =
        json!({"data": [{"secretKey": "value", "remoteRef": {"key": "allowed-matrix/core/db"}}]});
    labelled.synced("db", using("allowed-matrix", core)).await?;
    labelled.holds("db", &value("core/db")).await?;
    named.put("own", &value("own"));
    named.synced("own", using("allowed-matrix", json!({}))).await?;
    Ok(())
}

#[tokio::test]
async fn a_find_sees_only_what_is_listed_and_asks_nothing_where_nothing_is() -> Result<()> {
    let home = Scene::new("allowed-find").await?;
    let list = "[{namespaces: [allowed-find-some], keys: ['allowed-find/a/*', allowed-find/b]}]";
    home.create(listing(&home, "allowed-find", list)).await?;
    let (some, none) = (home.beside("some").await?, home.beside("none").await?);
    for name in ["a/1", "a/2", "b", "c", "ab"] {
        home.put(name, &value(name));
    }
    home.store_says("ClusterSecretStore", "allowed-find", "True", "store validated").await?;
    let before = calls(&home);
    for (name, find) in [
        ("path", json!({"path": "allowed-find/"})),
        ("name", json!({"name": {"regexp": "."}})),
        ("tags", json!({"tags": {"a": "b"}})),
    ] {
        let spec = using("allowed-find", json!({"data": [], "dataFrom": [{"find": find}]}));
        none.create(none.external(name, spec.clone())).await?;
        none.fails(name, "does not let namespace \"allowed-find-none\" use anything").await?;
    }
    assert_eq!(calls(&home), before);

    let find = json!({"data": [], "dataFrom": [{"find": {"path": "allowed-find/"}}]});
    some.synced("found", using("allowed-find", find)).await?;
    let keys = ["a/1", "a/2", "b"]
        .map(|name| (format!("allowed-find_{}", name.replace('/', "_")), json!(value(name))));
    some.data_is("found", keys.into_iter().collect()).await?;
    assert_eq!((home.reads("c"), home.reads("ab")), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_list_that_changes_counts_at_once_and_loses_no_secret() -> Result<()> {
    let home = Scene::new("allowed-change").await?;
    let list =
        |key: &str| format!("[{{namespaces: [allowed-change], keys: [allowed-change/{key}]}}]");
    home.create(listing(&home, "allowed-change", &list("first"))).await?;
    home.put("first", &value("first"));
    home.put("second", &value("second"));
    home.synced("first", using("allowed-change", json!({}))).await?;
    home.create(home.external("second", using("allowed-change", json!({})))).await?;
    home.fails("second", "does not let namespace").await?;
    assert_eq!(home.reads("second"), 0);

    let annotation = json!({"metadata": {"annotations": {ANNOTATION: list("second")}}});
    home.patch("ClusterSecretStore", "allowed-change", annotation).await?;

    // An object that failed is tried by itself; one that is in sync keeps its Secret, and reads nothing more.
    home.ready("second").await?;
    home.holds("second", &value("second")).await?;
    let reads = home.reads("first");
    home.put("first", &value("rotated"));
    home.force("first", "1").await?;
    home.fails("first", "does not let namespace").await?;
    home.holds("first", &value("first")).await?;
    assert_eq!(home.reads("first"), reads);
    Ok(())
}

#[tokio::test]
async fn a_list_that_cannot_be_read_allows_nothing_and_the_store_says_so() -> Result<()> {
    let home = Scene::new("allowed-bad").await?;
    home.put("db", &value("x"));
    for (nth, (list, said)) in [
        ("[{namespaces: [allowed-bad], keys: ['*']}, {keys: [a]}]", "names no namespaces"),
        // A slip that would select every namespace.
        ("[{namespaceSelector: {matchLabel: {a: b}}, keys: ['*']}]", "no list of rules"),
        ("", "no rule"),
    ]
    .into_iter()
    .enumerate()
    {
        let store = format!("allowed-bad-{nth}");
        home.create(listing(&home, &store, list)).await?;
        home.store_says("ClusterSecretStore", &store, "False", said).await?;
        let name = format!("db-{nth}");
        let data =
            json!({"data": [{"secretKey": "value", "remoteRef": {"key": "allowed-bad/db"}}]});
        home.create(home.external(&name, using(&store, data))).await?;
        home.fails(&name, said).await?;
    }
    // Tenants write SecretStores: a list on one says that it does not work.
    let mut store = home.store("own");
    store["metadata"]["annotations"] =
        json!({ANNOTATION: "[{namespaces: [allowed-bad], keys: ['*']}]"});
    home.create(store).await?;
    home.store_says("SecretStore", "own", "False", "works on a ClusterSecretStore only").await?;
    assert_eq!(home.reads("db"), 0);

    // Put right, it works by itself.
    let right = json!({"metadata": {"annotations": {ANNOTATION: "[{namespaces: [allowed-bad], keys: ['allowed-bad/*']}]"}}});
    home.patch("ClusterSecretStore", "allowed-bad-0", right).await?;
    home.ready("db-0").await?;
    home.data_is("db-0", json!({"value": value("x")})).await
}

/// Whoever edits namespaces' objects writes neither a ClusterSecretStore nor the labels of a namespace.
#[tokio::test]
async fn a_namespace_that_gets_the_label_is_let_in_at_once() -> Result<()> {
    let home = Scene::new("allowed-label").await?;
    let list = "[{namespaceSelector: {matchLabels: {team: core}}, keys: ['allowed-label/*']}]";
    home.create(listing(&home, "allowed-label", list)).await?;
    home.put("db", &value("x"));
    home.create(home.external("db", using("allowed-label", json!({})))).await?;
    home.fails("db", "does not let namespace").await?;
    assert_eq!(home.reads("db"), 0);

    let label = json!({"metadata": {"labels": {"team": "core"}}});
    home.patch("Namespace", &home.ns, label).await?;

    home.ready("db").await?;
    home.holds("db", &value("x")).await?;
    let gone = json!({"metadata": {"labels": {"team": null}}});
    home.patch("Namespace", &home.ns, gone).await?;
    home.put("db", &value("y"));
    eventually(SOON, "the refusal", || async {
        home.force("db", &jiff::Timestamp::now().as_nanosecond().to_string()).await?;
        let ready = home.condition("ExternalSecret", "db").await?;
        if ready["status"] == "False" { Ok(()) } else { Err(Failure::new(ready.to_string())) }
    })
    .await?;
    home.holds("db", &value("x")).await
}
