use serde_json::json;

use super::*;
use crate::check::object::objects;
use crate::check::schema;

fn switch() -> Switch {
    let flags = ["controller-class", "concurrent"].map(ToOwned::to_owned);
    Switch::new(flags, ["concurrent".to_owned()]).unwrap()
}

/// Control, field and message of what is found in an object; a note begins with a star.
fn found(object: &Value) -> Vec<String> {
    let all = objects(object);
    let found = evaluate(&switch(), &all[0]).expect("something of ESO");
    found
        .iter()
        .map(|one| {
            assert!(!one.message.is_empty() && !one.remedy.is_empty());
            let id = one.control.id.as_str().trim_start_matches("HB-ESO-");
            format!("{}{id} {}: {}", if one.note { "*" } else { "" }, one.path, one.message)
        })
        .collect()
}

fn external(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "secretStoreRef": {"name": "s"},
            "data": [{"secretKey": "k", "remoteRef": {"key": "r"}}],
        },
    });
    change(&mut object);
    object
}

fn store(kind: &str, provider: &Value) -> Value {
    json!({"apiVersion": "external-secrets.io/v1", "kind": kind,
        "metadata": {"name": "s"}, "spec": {"provider": provider}})
}

#[track_caller]
fn says(object: &Value, wanted: &[&str]) {
    let found = found(object);
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.contains(wanted), "{found}\nis not\n{wanted}");
    }
}

fn pushing(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "external-secrets.io/v1alpha1", "kind": "PushSecret",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "secretStoreRefs": [{"name": "s"}],
            "selector": {"secret": {"name": "source"}},
            "data": [{"match": {"secretKey": "k", "remoteRef": {"remoteKey": "r"}}}],
        },
    });
    change(&mut object["spec"]);
    object
}

#[test]
fn what_is_not_pushed_is_said_as_the_controller_says_it() {
    says(&pushing(|_| {}), &[]);
    let says_one = |change: fn(&mut Value), wanted: &str| says(&pushing(change), &[wanted]);
    says(&pushing(|spec| spec["dataTo"] = json!([{"storeRef": {"name": "s"}}])), &[]);
    says_one(
        |spec| spec["dataTo"] = json!([{"storeRef": {"name": "t"}}]),
        "none of spec.secretStoreRefs",
    );
    says_one(
        |spec| spec["dataTo"] = json!([{"storeRef": {"name": "s"}, "match": {"regexp": "("}}]),
        "spec.dataTo[0].match.regexp",
    );
    says_one(
        |spec| spec["selector"] = json!({"generatorRef": {"kind": "Password", "name": "p"}}),
        "spec.selector.generatorRef is not supported",
    );
    says_one(
        |spec| spec["selector"]["secret"] = json!({"selector": {"matchLabels": {"a": "b"}}}),
        "spec.selector.secret.selector is not supported",
    );
    says_one(
        |spec| spec["secretStoreRefs"] = json!([{"labelSelector": {"matchLabels": {"a": "b"}}}]),
        "labelSelector is not supported",
    );
    says_one(|spec| spec["refreshInterval"] = json!("1hour"), "which is no duration");
    let metadata = json!({"apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata", "spec": {"resourcePolicy": {"policySourceRef": {}}}});
    says(&pushing(|spec| spec["data"][0]["metadata"] = metadata), &["spec.data[0].metadata"]);
}

#[test]
fn what_works_the_same_is_not_mentioned() {
    says(&external(|_| {}), &[]);
    // Nulls are what charts leave; the API server drops them.
    says(&external(|object| object["spec"]["target"] = json!({"name": null})), &[]);
    let aws = json!({"aws": {"service": "SecretsManager", "region": "eu-west-1",
        "auth": {"jwt": {"serviceAccountRef": {"name": "sa"}}}}});
    says(&store("SecretStore", &aws), &[]);
    let shared = json!({"aws": {"service": "ParameterStore", "region": "eu-west-1"}});
    says(&store("ClusterSecretStore", &shared), &[]);
    let old = external(|object| object["apiVersion"] = "external-secrets.io/v1beta1".into());
    says(&old, &[]);
}

#[test]
fn what_gabion_lacks_is_named_with_its_field() {
    let spec = |change: fn(&mut Value)| external(|object| change(&mut object["spec"]));
    for (object, wanted) in [
        (
            spec(|spec| {
                spec["target"] = json!({"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}});
            }),
            "LACKS spec.target.manifest: ",
        ),
        (
            spec(|spec| {
                spec["data"][0]["sourceRef"] =
                    json!({"generatorRef": {"kind": "UUID", "name": "u"}});
            }),
            "LACKS spec.data[0].sourceRef.generatorRef: ",
        ),
        (
            spec(|spec| {
                spec["dataFrom"] = json!([{"sourceRef": {"generatorRef": {"kind": "VaultDynamicSecret", "name": "u"}}}]);
            }),
            "LACKS spec.dataFrom[0].sourceRef.generatorRef.kind: Gabion has no generator VaultDynamicSecret",
        ),
        (
            spec(|spec| spec["target"] = json!({"tomorrow": true})),
            "LACKS spec.target.tomorrow: Gabion has no field",
        ),
        (
            spec(|spec| spec["target"] = json!({"creationPolicy": "Sometimes"})),
            "LACKS spec.target.creationPolicy: Gabion's definition refuses this: ",
        ),
        (
            spec(|spec| spec["dataFrom"] = json!([{"find": {"name": {"regexp": "(?=x)"}}}])),
            "LACKS spec.dataFrom[0].find.name.regexp: ",
        ),
        (
            spec(|spec| spec["refreshInterval"] = "1d".into()),
            "LACKS spec.refreshInterval: \"1d\" is not",
        ),
        (
            spec(|spec| {
                spec["target"] = json!({"template": {"type": "bootstrap.kubernetes.io/token"}});
            }),
            "LACKS spec.target.template.type: ",
        ),
        (
            store("SecretStore", &json!({"kubernetes": {"remoteNamespace": "x"}})),
            "LACKS spec.provider.kubernetes.auth: a store of Kubernetes without auth",
        ),
        (
            store("SecretStore", &json!({"vault": {"server": "x"}})),
            "LACKS spec.provider.vault: Gabion has no provider vault",
        ),
        (
            store("SecretStore", &json!({"aws": {"service": "CertificateManager", "region": "r"}})),
            "LACKS spec.provider.aws.service: Gabion has no provider aws CertificateManager",
        ),
        (
            store("SecretStore", &json!({"aws": {"service": "SecretsManager", "region": "r"}})),
            "LACKS spec.provider.aws.auth: a SecretStore without auth",
        ),
        (store("SecretStore", &json!({})), "spec.provider"),
        (
            json!({"apiVersion": "external-secrets.io/v1alpha1", "kind": "ExternalSecret", "metadata": {"name": "a"}, "spec": {}}),
            "LACKS apiVersion: ExternalSecret is not served in external-secrets.io/v1alpha1",
        ),
        (
            json!({"apiVersion": "external-secrets.io/v9", "kind": "TomorrowsSecret", "metadata": {"name": "a"}}),
            "LACKS kind: Gabion has no kind TomorrowsSecret",
        ),
        (
            json!({"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": "QuayAccessToken", "metadata": {"name": "a"}}),
            "LACKS kind: Gabion has no generator QuayAccessToken",
        ),
        (
            json!({"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": "ClusterGenerator", "metadata": {"name": "a"},
                "spec": {"kind": "Grafana", "generator": {"grafanaSpec": {}}}}),
            "LACKS spec.kind: Gabion has no generator Grafana",
        ),
    ] {
        let found = found(&object);
        assert!(found.iter().any(|found| found.contains(wanted)), "{found:#?}\nlack\n{wanted}");
    }
}

#[test]
fn what_differs_is_named_and_what_is_harmless_is_a_note() {
    let spec = |change: fn(&mut Value)| external(|object| change(&mut object["spec"]));
    says(
        &spec(|spec| spec["dataFrom"] = json!([{"find": {"tags": {"a": "b"}}}])),
        &["DIFFERS spec.dataFrom[0].find.tags: "],
    );
    says(
        &json!({"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": "Webhook", "metadata": {"name": "a"},
            "spec": {"url": "https://a.example/", "result": {}}}),
        &["DIFFERS spec.url: "],
    );
    says(&spec(|spec| spec["refreshInterval"] = "0".into()), &["*DIFFERS spec.refreshInterval: "]);
    says(
        &spec(|spec| spec["target"] = json!({"deletionPolicy": "Delete"})),
        &["*DIFFERS spec.target.deletionPolicy: "],
    );
    says(
        &external(|object| {
            object["metadata"]["annotations"] =
                json!({"argocd.argoproj.io/sync-wave": "1", "a": "b"});
            object["status"] = json!({"conditions": [{"type": "Ready", "status": "False"}]});
        }),
        &[
            r#"*DIFFERS metadata.annotations["argocd.argoproj.io/sync-wave"]: "#,
            "DIFFERS status.conditions: it is not in sync under ESO",
        ],
    );
}

#[test]
fn an_installation_of_eso_is_looked_at_too() {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "x", "labels": {"app.kubernetes.io/name": "external-secrets"}},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "args":
            ["--concurrent=5", "--controller-class=a", "--tomorrow", "other"]}]}}}});
    says(
        &deployment,
        &[
            "DIFFERS spec.template.spec.containers[0].args[0]: --concurrent has no effect",
            "LACKS spec.template.spec.containers[0].args[2]: `gabion run` does not know --tomorrow",
        ],
    );
    let webhook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "secretstore-validate"},
        "webhooks": [{"rules": [{"apiGroups": ["external-secrets.io"]}]}]});
    says(&webhook, &["DIFFERS webhooks: nothing answers"]);
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"}, "spec": {"group": "external-secrets.io", "conversion": {"strategy": "Webhook"}}});
    says(&definition, &["DIFFERS spec.conversion.strategy: "]);
    let old = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"}, "spec": {"group": "external-secrets.io", "names": {"kind": "SecretStore"}},
        "status": {"storedVersions": ["v1alpha1", "v1beta1", "v1"]}});
    says(&old, &["LACKS status.storedVersions[0]: objects may be stored as v1alpha1"]);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x",
        "finalizers": ["other", "externalsecrets.external-secrets.io/ces-a"]}});
    says(&namespace, &["DIFFERS metadata.finalizers[1]: only ESO"]);
    let rule = |expression: &str| {
        json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "x"},
            "spec": {"groups": [{"rules": [{"expr": expression}]}]}})
    };
    says(&rule(r#"externalsecret_status_condition{status="False"} == 1"#), &[]);
    says(
        &rule("rate(externalsecret_sync_calls_error[5m]) + secretstore_reconcile_duration > 0"),
        &["only with a flag", "Gabion has no metric secretstore_reconcile_duration"],
    );
    says(
        &rule(
            r#"rate(controller_runtime_reconcile_errors_total{job="x", controller="externalsecret"}[5m]) > 0"#,
        ),
        &["Gabion has no metric controller_runtime_reconcile_errors_total"],
    );
    for other in [
        rule("up == 0"),
        rule(r#"workqueue_depth{name="deployment"} > 5"#),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}),
    ] {
        assert!(evaluate(&switch(), &objects(&other)[0]).is_none(), "{other}");
    }
}

/// The list here and the page that names them.
#[test]
fn the_generators_are_those_of_the_page() {
    let page = include_str!("../../../docs/external-secrets.md");
    for kind in GENERATORS_HERE {
        assert!(page.contains(&format!("| `{kind}` |")), "{kind}");
    }
    let table = page.split("| kind | keys | fields |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), GENERATORS_HERE.len());
}

/// The lists here, the definition of stores, and the page of metrics.
#[test]
fn providers_and_series_are_those_of_this_program() {
    let switch = switch();
    let Found::Schema(schema) = switch.kinds.find("external-secrets.io/v1", "SecretStore") else {
        panic!("no SecretStore")
    };
    let provider = schema["properties"]["provider"]["properties"].as_object().unwrap();
    assert!(provider.keys().eq(store::PROVIDERS), "{provider:?}");
    let page = include_str!("../../../docs/metrics.md");
    for series in monitoring::HERE {
        assert!(page.contains(&format!("| `{series}` |")), "{series}");
    }
    let named = page.lines().filter(|line| {
        [
            "externalsecret_",
            "secretstore_",
            "clustersecretstore_",
            "pushsecret_",
            "clusterexternalsecret_",
        ]
        .iter()
        .any(|kind| line.starts_with(&format!("| `{kind}")))
    });
    assert_eq!(named.count(), monitoring::HERE.len());
}

/// What the rules in the schemas refuse is never passed over.
#[test]
fn what_the_definitions_refuse_is_a_finding() {
    let spec = |change: fn(&mut Value)| external(|object| change(&mut object["spec"]));
    let aws = |change: fn(&mut Value)| {
        let mut aws =
            json!({"service": "SecretsManager", "region": "r", "auth": {"secretRef": {}}});
        change(&mut aws);
        store("SecretStore", &json!({"aws": aws}))
    };
    let template = |field: fn(&mut Value)| {
        external(|object| {
            object["spec"]["target"] = json!({"template": {}});
            field(&mut object["spec"]["target"]["template"]);
        })
    };
    let objects = [
        spec(|spec| spec["data"] = json!([])),
        spec(|spec| spec["dataFrom"] = json!([{}])),
        spec(|spec| spec["dataFrom"] = json!([{"extract": {"key": "a"}, "find": {"path": "a"}}])),
        spec(|spec| {
            spec["dataFrom"] = json!([{"find": {"path": "a"}, "sourceRef": {"generatorRef": {"kind": "UUID", "name": "a"}}}]);
        }),
        spec(|spec| {
            spec["target"] = json!({"deletionPolicy": "Delete", "creationPolicy": "Merge"});
        }),
        spec(|spec| spec["target"] = json!({"deletionPolicy": "Merge", "creationPolicy": "None"})),
        spec(|spec| spec["refreshInterval"] = "soon".into()),
        template(|template| template["type"] = "kubernetes.io/service-account-token".into()),
        template(|template| template["type"] = "bootstrap.kubernetes.io/token".into()),
        template(|template| template["templateFrom"] = json!([{"literal": "x", "target": "spec"}])),
        aws(|aws| aws["customSessionTags"] = json!({"esoNamespace": "x"})),
        aws(|aws| aws["secretsManager"] = json!({"recoveryWindowInDays": 3})),
        aws(|aws| {
            aws["secretsManager"] =
                json!({"recoveryWindowInDays": 8, "forceDeleteWithoutRecovery": true});
        }),
    ];
    let switch = switch();
    for object in objects {
        let kind = object["kind"].as_str().unwrap();
        let definition = crate::api::crds::all().unwrap();
        let definition = definition.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let version = &definition.spec.versions[0];
        let schema = serde_json::to_value(&version.schema).unwrap()["openAPIV3Schema"].clone();
        let refused = kube_cel::Validator::new().validate(&schema, &object, None);
        assert!(refused.is_err(), "no rule refuses {object}");
        assert!(
            schema::misfits(&schema["properties"]["spec"], &object["spec"]).is_empty(),
            "the schema alone refuses {object}"
        );
        let found = evaluate(&switch, &super::super::object::objects(&object)[0]).unwrap();
        assert!(
            found.iter().any(|one| one.control.id == ControlId::HbEsoLacks),
            "{object}: {found:?}"
        );
    }
}
