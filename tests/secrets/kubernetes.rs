//! Contract 1.3.3: Secrets of another namespace, or of another cluster. The cluster of the tests is both.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use support::{Result, Subsystem, audit};

use crate::scene::{Scene, ready_of, refused, value};

/// A namespace of Secrets, one of tenants, and what lets the one read the other.
struct Pair {
    source: Scene<'static>,
    tenant: Scene<'static>,
}

impl Pair {
    async fn new(name: &str) -> Result<Self> {
        let tenant = Scene::bare(Subsystem::Secrets.shared()?, name).await?;
        let source = tenant.beside("source").await?;
        Ok(Self { source, tenant })
    }

    /// A ServiceAccount of the tenants with a right in the source.
    async fn account(&self, name: &str, verbs: &[&str], names: &[&str]) -> Result<()> {
        let account = json!({"kind": "ServiceAccount", "metadata": {"name": name}});
        self.tenant.create(account).await?;
        self.allow(name, verbs, names).await
    }

    async fn allow(&self, name: &str, verbs: &[&str], names: &[&str]) -> Result<()> {
        if verbs.is_empty() {
            return Ok(());
        }
        let mut rule = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": verbs});
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        let role = json!({"kind": "Role", "metadata": {"name": name}, "rules": [rule]});
        self.source.create(role).await?;
        let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": self.tenant.ns});
        let group = "rbac.authorization.k8s.io";
        let binding = json!({"kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name}, "subjects": [subject]});
        self.source.create(binding).await?;
        Ok(())
    }

    /// A store of the tenants; `fields` replaces fields of the provider.
    async fn store(&self, name: &str, fields: Value) -> Result<()> {
        let mut provider = json!({"remoteNamespace": self.source.ns});
        for (field, value) in fields.as_object().into_iter().flatten() {
            provider[field] = value.clone();
        }
        let store = json!({"kind": "SecretStore", "metadata": {"name": name},
            "spec": {"provider": {"kubernetes": provider}}});
        self.tenant.create(store).await?;
        Ok(())
    }

    async fn by_account(&self, name: &str) -> Result<()> {
        self.store(name, json!({"auth": {"serviceAccount": {"name": name}}})).await
    }

    async fn external(&self, name: &str, store: &str, spec: Value) -> Result<Value, kube::Error> {
        let mut object =
            self.tenant.external(name, json!({"secretStoreRef": {"name": store}, "data": []}));
        for (field, value) in spec.as_object().into_iter().flatten() {
            object["spec"][field] = value.clone();
        }
        self.tenant.create(object).await
    }
}

fn entry(key: &str, remote: Value) -> Value {
    json!({"secretKey": key, "remoteRef": remote})
}

#[tokio::test]
async fn values_properties_maps_metadata_and_finds_of_another_namespace_arrive() -> Result<()> {
    let pair = Pair::new("kube-read").await?;
    let nested = json!({"a": {"b": value("nested")}, "n": 1}).to_string();
    let secret = json!({"kind": "Secret",
        "metadata": {"name": "db", "labels": {"team": "data", "app.kubernetes.io/name": "shop"}},
        "stringData": {"user": value("shop"), "config": nested, "file.txt": value("dotted")},
        "data": {"bytes": BASE64.encode([0xff, 0x00, 0xfe])}});
    pair.source.create(secret).await?;
    let other = json!({"kind": "Secret", "metadata": {"name": "web", "labels": {"team": "web"}},
        "stringData": {"user": value("web")}});
    pair.source.create(other).await?;
    pair.account("reader", &["get", "list"], &[]).await?;
    pair.by_account("reader").await?;
    let store = pair.tenant.store_says("SecretStore", "reader", "True", "store validated").await?;
    assert_eq!(ready_of(&store)["reason"], "Valid");

    let data = json!([
        entry("user", json!({"key": "db", "property": "user"})),
        entry("dotted", json!({"key": "db", "property": "file.txt"})),
        entry("nested", json!({"key": "db", "property": "config.a.b"})),
        entry("whole", json!({"key": "web"})),
        entry(
            "label",
            json!({"key": "db", "metadataPolicy": "Fetch",
            "property": "labels.app.kubernetes.io/name"})
        ),
    ]);
    pair.external("values", "reader", json!({"data": data})).await?;
    pair.tenant.ready("values").await?;
    pair.tenant
        .data_is(
            "values",
            json!({"user": value("shop"), "dotted": value("dotted"), "nested": value("nested"),
                "whole": json!({"user": value("web")}).to_string(), "label": "shop"}),
        )
        .await?;

    pair.external("all", "reader", json!({"dataFrom": [{"extract": {"key": "db"}}]})).await?;
    pair.external(
        "inner",
        "reader",
        json!({"dataFrom": [{"extract": {"key": "db", "property": "config"}}]}),
    )
    .await?;
    let find = json!({"tags": {"team": "data"}});
    pair.external("tagged", "reader", json!({"dataFrom": [{"find": find}]})).await?;
    let find = json!({"name": {"regexp": "^w"}});
    pair.external("named", "reader", json!({"dataFrom": [{"find": find}]})).await?;
    for name in ["all", "inner", "tagged", "named"] {
        pair.tenant.ready(name).await?;
    }
    let all = pair.tenant.get("Secret", "all").await?.expect("it is ready");
    assert_eq!(all["data"]["bytes"], BASE64.encode([0xff, 0x00, 0xfe]));
    assert_eq!(all["data"].as_object().map(serde_json::Map::len), Some(4));
    let inner = pair.tenant.data("inner").await?.expect("it is ready");
    assert_eq!(inner["a"], json!({"b": value("nested")}).to_string());
    let tagged = pair.tenant.data("tagged").await?.expect("it is ready");
    assert_eq!(
        tagged.as_object().map(|map| map.keys().collect::<Vec<_>>()),
        Some(vec![&"db".to_owned()])
    );
    pair.tenant.data_is("named", json!({"web": json!({"user": value("web")}).to_string()})).await?;

    // A change arrives with the next refresh, and the operator read nothing as itself.
    let change = json!({"stringData": {"user": value("new")}});
    pair.source.patch("Secret", "web", change).await?;
    pair.tenant.force("named", "1").await?;
    pair.tenant.data_is("named", json!({"web": json!({"user": value("new")}).to_string()})).await?;
    let own = audit::requests(pair.tenant.env.plane());
    let own =
        own.iter().filter(|request| request.namespace == pair.source.ns && request.verb != "watch");
    assert_eq!(own.count(), 0, "the operator read the Secrets of others as itself");
    Ok(())
}

#[tokio::test]
async fn whoever_may_not_read_is_told_so_and_recovers() -> Result<()> {
    let pair = Pair::new("kube-rights").await?;
    for name in ["db", "other"] {
        let secret = json!({"kind": "Secret", "metadata": {"name": name},
            "stringData": {"user": value(name)}});
        pair.source.create(secret).await?;
    }
    pair.account("nobody", &[], &[]).await?;
    pair.by_account("nobody").await?;
    pair.account("one", &["get"], &["db"]).await?;
    pair.by_account("one").await?;
    let who = "system:serviceaccount:kube-rights:nobody may not call get secrets";
    pair.tenant.store_says("SecretStore", "nobody", "False", who).await?;
    let user =
        |key: &str| json!({"data": [entry("value", json!({"key": key, "property": "user"}))]});
    pair.external("waits", "nobody", user("db")).await?;
    pair.tenant.fails("waits", who).await?;

    pair.external("may", "one", user("db")).await?;
    pair.external("may-not", "one", user("other")).await?;
    pair.external(
        "absent",
        "one",
        json!({"data": [entry("value", json!({"key": "db", "property": "nothing"}))]}),
    )
    .await?;
    let find = json!({"name": {"regexp": ".*"}});
    pair.external("finds", "one", json!({"dataFrom": [{"find": find}]})).await?;
    pair.external("no-name", "one", user("../configmaps/x")).await?;
    pair.tenant.ready("may").await?;
    pair.tenant.holds("may", &value("db")).await?;
    let message = pair.tenant.fails("may-not", "access denied").await?;
    assert!(message.contains("kube-rights-source/other"), "{message}");
    pair.tenant.fails("absent", "nothing").await?;
    pair.tenant.fails("finds", "list secrets").await?;
    pair.tenant.fails("no-name", "no name of a Secret").await?;

    // A token that works is one of that moment: rights count at once.
    pair.allow("nobody", &["get"], &[]).await?;
    let touch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"refreshInterval": 60}});
    pair.tenant.patch("SecretStore", "nobody", touch).await?;
    pair.tenant.ready("waits").await?;

    // A missing Secret is missing.
    pair.external("missing", "nobody", user("none")).await?;
    pair.tenant.fails("missing", "\"none\" does not exist").await?;

    let account = pair.tenant.delete("ServiceAccount", "one").await;
    assert!(account.is_ok());
    pair.tenant
        .store_says("SecretStore", "one", "False", "ServiceAccount kube-rights/one does not exist")
        .await?;
    Ok(())
}

#[tokio::test]
async fn servers_tokens_certificates_and_kubeconfigs_are_checked_and_never_bypass_a_check()
-> Result<()> {
    let pair = Pair::new("kube-auth").await?;
    let secret = json!({"kind": "Secret", "metadata": {"name": "db"},
        "stringData": {"user": value("x")}});
    pair.source.create(secret).await?;
    pair.account("reader", &["get", "list"], &[]).await?;
    let plane = pair.tenant.env.plane();
    let token = plane.kubectl(&["create", "token", "reader", "-n", "kube-auth"])?;
    let path = plane.service_account_kubeconfig("kube-auth", "reader")?;
    let kubeconfig = std::fs::read_to_string(path)?;
    let admin: Value = serde_saphyr::from_str(&std::fs::read_to_string(plane.kubeconfig())?)?;
    let cluster = admin["clusters"][0]["cluster"].clone();
    let (url, ca) = (cluster["server"].clone(), cluster["certificate-authority-data"].clone());
    let mut exec: Value = serde_json::from_str(&kubeconfig)?;
    exec["users"][0]["user"] = json!({"exec": {"command": "sh"}});
    let good = json!({"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {
        "token": token.trim(), "stale": "eyJhbGciOiJub25lIn0.e30.x", "split": "a b",
        "kubeconfig": kubeconfig, "exec": exec.to_string(), "junk": "hunter2"}});
    pair.tenant.create(good).await?;
    let pem = String::from_utf8(BASE64.decode(ca.as_str().unwrap_or_default())?)?;
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": pem}});
    pair.tenant.create(map).await?;
    let by_token = |key: &str| json!({"token": {"bearerToken": {"name": "keys", "key": key}}});
    let by_account = json!({"serviceAccount": {"name": "reader"}});
    let with = |server: Value, auth: Value| json!({"server": server, "auth": auth});
    let by_file = |key: &str| json!({"authRef": {"name": "keys", "key": key}});

    for (name, fields) in [
        ("token", with(json!({"url": url, "caBundle": ca}), by_token("token"))),
        ("alias", with(json!({"url": "kubernetes.default"}), by_account.clone())),
        (
            "map",
            with(
                json!({"url": url, "caProvider": {"type": "ConfigMap", "name": "ca", "key": "ca.crt"}}),
                by_token("token"),
            ),
        ),
        ("file", by_file("kubeconfig")),
    ] {
        pair.store(name, fields).await?;
        pair.tenant.store_says("SecretStore", name, "True", "store validated").await?;
        let data = json!([entry("value", json!({"key": "db", "property": "user"}))]);
        pair.external(name, name, json!({"data": data})).await?;
        pair.tenant.ready(name).await?;
        pair.tenant.holds(name, &value("x")).await?;
    }
    // Another authority: a certificate of somebody else, which signs nothing here.
    let wrong = BASE64.encode(include_str!("../fixtures/other-authority.pem"));
    for (name, fields, said) in [
        ("stale", with(json!({}), by_token("stale")), "does not accept the token"),
        ("split", with(json!({}), by_token("split")), "holds white space"),
        ("ca", with(json!({"url": url, "caBundle": wrong}), by_token("token")), "is not trusted"),
        (
            "no-pem",
            with(json!({"url": url, "caBundle": BASE64.encode("x")}), by_token("token")),
            "holds no certificate",
        ),
        (
            "no-map",
            with(
                json!({"caProvider": {"type": "ConfigMap", "name": "none", "key": "a"}}),
                by_token("token"),
            ),
            "ConfigMap kube-auth/none does not exist",
        ),
        ("plain", with(json!({"url": "http://example.org"}), by_token("token")), "must be https"),
        ("loopback", with(json!({"url": "https://127.0.0.1:1"}), by_token("token")), "loopback"),
        (
            "metadata",
            with(json!({"url": "https://169.254.169.254"}), by_token("token")),
            "link-local",
        ),
        ("name", with(json!({"url": "https://localhost:1"}), by_token("token")), "loopback"),
        (
            "stolen",
            with(
                json!({"url": "https://example.org"}),
                json!({"serviceAccount": {"name": "reader", "audiences": ["https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc"]}}),
            ),
            "goes to another server",
        ),
        ("nobody", json!({}), "auth: is not set"),
        (
            "abroad",
            json!({"auth": {"serviceAccount": {"name": "reader", "namespace": "kube-system"}}}),
            "names namespace \"kube-system\"",
        ),
        ("exec", by_file("exec"), "runs a program"),
        ("junk", by_file("junk"), "is no kubeconfig"),
    ] {
        let name = format!("bad-{name}");
        pair.store(&name, fields).await?;
        pair.tenant.store_says("SecretStore", &name, "False", said).await?;
    }
    let both = json!({"auth": {"token": {}, "cert": {}}});
    let store = json!({"kind": "SecretStore", "metadata": {"name": "both"},
        "spec": {"provider": {"kubernetes": both}}});
    refused(pair.tenant.create(store).await, 422);
    // A ConfigMap that comes later is noticed.
    pair.tenant
        .create(json!({"kind": "ConfigMap", "metadata": {"name": "none"}, "data": {"a": pem}}))
        .await?;
    pair.tenant.store_says("SecretStore", "bad-no-map", "True", "").await?;
    Ok(())
}

#[tokio::test]
async fn a_store_that_leads_back_to_its_own_secrets_is_clear_and_bounded() -> Result<()> {
    let pair = Pair::new("kube-self").await?;
    pair.tenant.create(json!({"kind": "ServiceAccount", "metadata": {"name": "own"}})).await?;
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]});
    pair.tenant
        .create(json!({"kind": "Role", "metadata": {"name": "own"}, "rules": [rule]}))
        .await?;
    let group = "rbac.authorization.k8s.io";
    pair.tenant
        .create(json!({"kind": "RoleBinding", "metadata": {"name": "own"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "own"},
            "subjects": [{"kind": "ServiceAccount", "name": "own", "namespace": pair.tenant.ns}]}))
        .await?;
    let fields =
        json!({"remoteNamespace": pair.tenant.ns, "auth": {"serviceAccount": {"name": "own"}}});
    pair.store("own", fields).await?;
    pair.tenant
        .create(json!({"kind": "Secret", "metadata": {"name": "plain", "labels": {"a": "b"}},
        "stringData": {"user": value("x")}}))
        .await?;

    // It finds all Secrets here but the one that it writes.
    let find = json!([{"find": {"name": {"regexp": "^(plain|finds)$"}}}]);
    pair.external("finds", "own", json!({"dataFrom": find})).await?;
    pair.tenant.ready("finds").await?;
    let expected = json!({"plain": json!({"user": value("x")}).to_string()});
    pair.tenant.data_is("finds", expected.clone()).await?;
    for stamp in ["1", "2"] {
        pair.tenant.force("finds", stamp).await?;
        pair.tenant.settle().await?;
        pair.tenant.data_is("finds", expected.clone()).await?;
    }
    // It reads one, and is then pointed to itself.
    pair.external("itself", "own", json!({"data": [entry("value", json!({"key": "plain"}))]}))
        .await?;
    pair.tenant.ready("itself").await?;
    let change = json!({"spec": {"data": [entry("value", json!({"key": "itself"}))]}});
    pair.tenant.patch("ExternalSecret", "itself", change).await?;
    pair.tenant.fails("itself", "it is the Secret that this ExternalSecret writes").await?;
    pair.tenant.holds("itself", &json!({"user": value("x")}).to_string()).await
}
