//! What only a real API server can show of the hardening kinds: that it takes their definitions, that it
//! refuses what it should with a message that helps, and that what it stores is what was generated.

#![allow(
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a test says so by failing, and tables of cases read better whole"
)]

mod guards;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::OnceLock;

use gabion::api::gabion::crds::crds;
use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use gabion::hardening::plan::baseline::{Compiled, compile};
use gabion::hardening::plan::dns::DnsFacts;
use gabion::hardening::plan::namespace::{Input, NamespaceObserved, plan};
use gabion::hardening::plan::objects::{Generated, ObservedObject};
use gabion::hardening::plan::steps::Step;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use support::malformed_baselines::{acknowledged, malformed, with};
use support::{ControlPlane, Failure, Kubectl, Result};

/// The control plane, with the definitions in it.
fn plane() -> Result<&'static ControlPlane> {
    static READY: OnceLock<Result<(), String>> = OnceLock::new();
    let plane = ControlPlane::shared()?;
    let ready = READY.get_or_init(|| install(plane).map_err(|failure| failure.to_string()));
    ready.as_ref().map_err(|why| Failure::new(why.as_str()))?;
    Ok(plane)
}

fn install(plane: &ControlPlane) -> Result<()> {
    let admin = plane.admin()?;
    for crd in crds() {
        admin.apply_yaml(&serde_json::to_string(&crd)?)?;
    }
    let names = ["crd/hardeningbaselines.gabion.dev", "crd/namespacehardenings.gabion.dev"];
    admin.run(&["wait", "--for=condition=Established", "--timeout=60s", names[0], names[1]])?;
    Ok(())
}

fn dry_run(admin: &Kubectl, text: &str) -> Result<String> {
    admin.run_with_input(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], text)
}

fn refusal(admin: &Kubectl, text: &str) -> Result<String> {
    match dry_run(admin, text) {
        Err(why) => Ok(why.to_string()),
        Ok(_) => Err(Failure::new(format!("accepted: {text}"))),
    }
}

#[test]
fn malformed_baselines_are_refused_by_the_api_server() -> Result<()> {
    let admin = plane()?.admin()?;
    for case in malformed() {
        let why = refusal(&admin, &case.object.to_string())?;
        // Of a field that is out of bounds it names the field and the bound in words of its own.
        let named = why.contains(case.path) || why.contains(&case.path.replace('.', "\".\""));
        let field = case.path.rsplit('.').next().unwrap_or_default();
        assert!(named || why.contains(field), "{}: {why}", case.path);
        assert!(
            !why.contains("rule evaluation error") && !why.contains("no such overload"),
            "{why}"
        );
        if case.server_only {
            assert!(why.contains(case.remedy), "{}: {why}", case.path);
        }
    }
    let mut long = with("podSecurity", json!({}));
    long["metadata"]["name"] = json!("a".repeat(80));
    assert!(refusal(&admin, &long.to_string())?.contains("at most 40 characters"));
    // kubectl drops a double key before it sends the rest, so this goes past it.
    let uri = "/apis/gabion.dev/v1alpha1/hardeningbaselines?dryRun=All&fieldValidation=Strict";
    let doubled = with("podSecurity", json!({ "level": "baseline" })).to_string();
    let doubled =
        doubled.replace(r#""level":"baseline""#, r#""level":"baseline","level":"restricted""#);
    let why = admin.run_with_input(&["create", "--raw", uri, "-f", "-"], &doubled).err();
    assert!(why.is_some_and(|why| why.to_string().contains("duplicate field")));
    Ok(())
}

#[test]
fn well_formed_baselines_and_every_example_are_taken() -> Result<()> {
    let admin = plane()?.admin()?;
    dry_run(&admin, &acknowledged().to_string())?;
    dry_run(&admin, &with("network", json!({ "allow": null, "dns": null })).to_string())?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hardening");
    // Where the source of registry credentials is.
    admin.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: platform}}")?;
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        // Whoever asks or approves must be who the object says: another test asks as they do.
        if ["exception.yaml", "approval.yaml"].iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let path = path.to_string_lossy();
        admin.run(&["create", "--dry-run=server", "--validate=strict", "-f", &path])?;
    }
    Ok(())
}

#[test]
fn what_is_read_back_equals_what_was_applied() -> Result<()> {
    let admin = plane()?.admin()?;
    let mut object = with("podSecurity", json!({}));
    object["metadata"]["name"] = json!("readback");
    object["spec"]["network"] =
        json!({ "allow": [{ "name": "x", "from": [{ "podSelector": {} }] }] });
    admin.apply_yaml(&object.to_string())?;
    let stored = admin.run(&["get", "hb", "readback", "-o", "json"])?;
    let stored: Value = serde_json::from_str(&stored)?;
    assert_eq!(stored["spec"], object["spec"]);
    let columns = admin.run(&["get", "hb", "readback", "-o", "wide"])?;
    for column in [
        "LEVEL",
        "STAGE",
        "NAMESPACES",
        "APPLIED",
        "COMPLIANT",
        "REASON",
        "READY",
        "PRIORITY",
        "VERSION",
        "HELD",
        "REVISION",
    ] {
        assert!(columns.contains(column), "{columns}");
    }
    Ok(())
}

fn hardened() -> Result<Compiled> {
    let text = include_str!("../../examples/hardening/full.yaml");
    let mut baseline: HardeningBaseline = serde_saphyr::from_str(text)?;
    baseline.metadata.uid = Some("00000000-0000-0000-0000-000000000001".into());
    baseline.spec.resources.get_or_insert_default().container_max =
        [("memory".to_owned(), "2048Mi".to_owned()), ("cpu".to_owned(), "1500m".to_owned())].into();
    let quota = baseline.spec.resources.get_or_insert_default().quota.get_or_insert_default();
    quota.hard.insert("requests.memory".into(), "65536Mi".into());
    quota.hard.insert("requests.cpu".into(), "0.5".into());
    Ok(compile(&baseline, 36)?)
}

#[tokio::test]
async fn what_is_stored_is_the_same_as_what_was_generated() -> Result<()> {
    let plane = plane()?;
    plane.kubectl(&["create", "namespace", "generated"])?;
    let client = plane.client().await?;
    let observed = NamespaceObserved { name: "generated".into(), ..NamespaceObserved::default() };
    let (baselines, contested) = ([hardened()?], BTreeMap::new());
    let input = Input {
        baselines: &baselines,
        leaving: &[],
        observed: &observed,
        dns: &DnsFacts::default(),
        contested: &contested,
    };
    let mut seen = 0;
    for step in plan(input).steps() {
        let Step::Create(object) = step else { continue };
        let stored = create(&client, object).await?;
        assert_eq!(stored.digest(), object.digest(), "{}", object.key());
        let kept = ObservedObject::of(&stored);
        assert!(kept.ours && !kept.uid.is_empty());
        seen += 1;
    }
    assert_eq!(seen, 6);
    Ok(())
}

async fn create(client: &Client, object: &Generated) -> Result<Generated> {
    async fn sent<K>(client: &Client, object: &K) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(client.clone(), "generated");
        let params = PostParams { field_manager: Some("gabion".into()), ..PostParams::default() };
        Ok(api.create(&params, object).await?)
    }
    Ok(match object {
        Generated::NetworkPolicy(object) => {
            Generated::NetworkPolicy(sent::<NetworkPolicy>(client, object).await?)
        }
        Generated::LimitRange(object) => {
            Generated::LimitRange(sent::<LimitRange>(client, object).await?)
        }
        Generated::ResourceQuota(object) => {
            Generated::ResourceQuota(sent::<ResourceQuota>(client, object).await?)
        }
    })
}
