//! What a status write costs the API server, compared with the write of a Secret: how much of it is the verb, how
//! much our schema, how much our CEL rules, and how much every custom resource pays.

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gabion::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use serde_json::{Value, json};
use support::{Failure, Result};

use crate::{
    exchange::{exchange, expect},
    machine,
    population::{Population, external_secret},
    results::{Samples, Table, count},
    world::World,
};

/// So many turns: what is measured later finds the machine as what was measured earlier.
const TURNS: usize = 5;

/// The same kind in groups of its own, with less and less of its schema.
const GROUPS: [(&str, &str); 3] = [
    ("external-secrets.io", "ours"),
    ("no-rules.bench.gabion.dev", "without CEL rules"),
    ("no-schema.bench.gabion.dev", "without a schema"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Merge,
    Json,
    /// The whole object.
    Put,
    /// An object of identity and status alone: the API server takes everything else from the live one.
    Slim,
}

/// One kind of write, and what it took.
struct Series {
    name: String,
    objects: String,
    suffix: &'static str,
    verb: Verb,
    took: Samples,
    cpu: f64,
}

pub async fn run(objects: usize) -> Result<()> {
    let world = World::populated(&Population::spread(0)).await?;
    let client = &world.client;
    let each = objects.div_ceil(TURNS);
    prepare(client, each).await?;
    let mut all = series();
    for turn in 0..TURNS {
        for one in &mut all {
            let before = world.apiserver_cpu_seconds()?;
            for nth in 0..each {
                one.write(client, turn, nth).await?;
            }
            one.cpu += world.apiserver_cpu_seconds()? - before;
        }
    }
    let mut table = Table::new(format!("Status writes, {objects} of each"));
    let writes = count(each * TURNS);
    let floor = all.first().map_or(f64::NAN, |first| first.took.quantile_ms(0.5));
    for one in &all {
        let (half, most) = (one.took.quantile_ms(0.5), one.took.quantile_ms(0.99));
        let cpu = one.cpu * 1e3 / writes;
        table.plain(
            &one.name,
            format!(
                "p50 {half:.2} ms ({:.2} x), p99 {most:.2} ms, API server {cpu:.2} ms",
                half / floor
            ),
        );
    }
    table.note(format!("One at a time, in {TURNS} turns. Load {}.", machine::load()));
    table.print();
    Ok(())
}

fn series() -> Vec<Series> {
    let one = |name: String, objects: String, suffix, verb| Series {
        name,
        objects,
        suffix,
        verb,
        took: Samples::default(),
        cpu: 0.0,
    };
    let secrets = || "/api/v1/namespaces/bench/secrets".to_owned();
    let mut all = vec![
        one("Secret, merge patch".to_owned(), secrets(), "", Verb::Merge),
        one("Secret, update".to_owned(), secrets(), "", Verb::Put),
    ];
    for (group, what) in GROUPS {
        let url = format!("/apis/{group}/v1/namespaces/bench/externalsecrets");
        for (verb, word) in [
            (Verb::Merge, "merge patch"),
            (Verb::Json, "JSON patch"),
            (Verb::Put, "update"),
            (Verb::Slim, "update without spec"),
        ] {
            all.push(one(format!("status {what}, {word}"), url.clone(), "/status", verb));
        }
    }
    all
}

impl Series {
    /// One write that changes something. What an update needs to know was read before the clock runs, as the
    /// operator has it from its watch.
    async fn write(&mut self, client: &Client, turn: usize, nth: usize) -> Result<()> {
        let object = format!("{}/app-{nth}", self.objects);
        let url = format!("{object}{}?fieldManager=bench", self.suffix);
        let changed = format!("{:?}-{turn}", self.verb);
        let (part, value) = if self.suffix.is_empty() {
            ("data", json!({"password": STANDARD.encode(&changed)}))
        } else {
            ("status", status(turn, &changed))
        };
        let (method, body) = match self.verb {
            Verb::Merge => ("PATCH", json!({part: value})),
            Verb::Json => {
                ("PATCH", json!([{"op": "add", "path": format!("/{part}"), "value": value}]))
            }
            Verb::Put => {
                let mut live = expect(exchange(client, "GET", &object, &Value::Null).await?)?;
                live[part] = value;
                live["metadata"]["managedFields"] = Value::Null;
                ("PUT", live)
            }
            Verb::Slim => {
                let live = expect(exchange(client, "GET", &object, &Value::Null).await?)?;
                let of = |name: &str| live["metadata"][name].clone();
                let metadata = json!({"name": of("name"), "namespace": of("namespace"), "uid": of("uid"),
                    "resourceVersion": of("resourceVersion")});
                (
                    "PUT",
                    json!({"apiVersion": live["apiVersion"], "kind": live["kind"],
                    "metadata": metadata, part: value}),
                )
            }
        };
        let start = Instant::now();
        let answer = exchange(client, method, &url, &body).await?;
        self.took.push(start.elapsed());
        expect(answer).map(|_| ())
    }
}

/// A status as the operator writes it.
fn status(turn: usize, changed: &str) -> Value {
    json!({
        "refreshTime": format!("2026-01-01T00:00:{turn:02}Z"),
        "syncedResourceVersion": format!("1-{changed}-0123456789abcdef0123456789abcdef0123456789abcdef"),
        "observedGeneration": 1,
        "binding": {"name": "app"},
        "gabion": {"target": {"uid": "00000000-0000-0000-0000-000000000000", "resourceVersion": "12345"}},
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }],
    })
}

async fn prepare(client: &Client, objects: usize) -> Result<()> {
    let namespace = json!({"metadata": {"name": "bench"}});
    expect(exchange(client, "POST", "/api/v1/namespaces", &namespace).await?)?;
    let all = crds::all()?;
    let ours = all
        .iter()
        .find(|crd| crd.spec.names.kind == "ExternalSecret")
        .ok_or_else(|| Failure::new("there is no ExternalSecret"))?;
    for (group, _) in &GROUPS[1..] {
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        expect(exchange(client, "POST", definitions, &variant(ours, group)?).await?)?;
    }
    for (group, _) in GROUPS {
        let url = format!("/apis/{group}/v1/namespaces/bench/externalsecrets");
        for nth in 0..objects {
            let mut object = external_secret(&format!("app-{nth}"), "bench/secret", "1h");
            object["apiVersion"] = json!(format!("{group}/v1"));
            create(client, &url, &object).await?;
        }
    }
    for nth in 0..objects {
        let secret =
            json!({"metadata": {"name": format!("app-{nth}")}, "stringData": {"username": "app"}});
        create(client, "/api/v1/namespaces/bench/secrets", &secret).await?;
    }
    Ok(())
}

/// A kind is served a moment after its definition is accepted.
async fn create(client: &Client, url: &str, object: &Value) -> Result<()> {
    for _ in 0..100 {
        let answer = exchange(client, "POST", url, object).await?;
        if answer.0 != 404 {
            return expect(answer).map(|_| ());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(Failure::new(format!("{url} is not served")))
}

fn variant(ours: &CustomResourceDefinition, group: &str) -> Result<Value> {
    let mut crd = ours.clone();
    crd.metadata.name = Some(format!("externalsecrets.{group}"));
    group.clone_into(&mut crd.spec.group);
    let mut crd = serde_json::to_value(crd)?;
    crd["apiVersion"] = json!("apiextensions.k8s.io/v1");
    crd["kind"] = json!("CustomResourceDefinition");
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        if group.starts_with("no-schema") {
            *schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            version["selectableFields"] = Value::Null;
        } else {
            without_rules(schema);
        }
    }
    Ok(crd)
}

fn without_rules(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(without_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rules),
        _ => {}
    }
}
