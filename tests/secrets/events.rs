//! Events wake the ExternalSecrets whose secrets changed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{
    Failure, Result, SOON, Subsystem, TestEnv, condition, envelopes, eventually, fetch,
    sqs::SqsFault,
};

use crate::scene::{Scene, value};

const QUEUE: &str = "gabion.dev/events-queue";

/// A version of this number.
fn version(nth: usize) -> String {
    format!("11111111-2222-3333-4444-{nth:012}")
}

/// A time of an event, so many seconds after a fixed one.
fn time(nth: usize) -> String {
    let start = "2026-01-02T03:04:05Z".parse::<jiff::Timestamp>().unwrap();
    (start + jiff::SignedDuration::from_secs(i64::try_from(nth).unwrap())).to_string()
}

impl Scene<'_> {
    /// A queue of this scene that a store names; its name.
    pub async fn queue_of(&self, store: &str) -> Result<String> {
        let name = format!("{}-events", self.ns);
        let arn = self.env.sqs.create(&name);
        self.annotate(store, &arn).await?;
        Ok(name)
    }

    async fn annotate(&self, store: &str, arn: &str) -> Result<()> {
        let change = json!({"metadata": {"annotations": {QUEUE: arn}}});
        self.patch("SecretStore", store, change).await?;
        Ok(())
    }

    /// A new version of a secret at the source, and the event that tells it.
    pub fn rotate(&self, name: &str, nth: usize, text: &str) -> Value {
        let (full, version) = (self.remote(name), version(nth));
        let stages = &["AWSCURRENT"];
        let arn = self.env.aws.put_version(&full, &version, stages, &value(text));
        envelopes::label_updated(&arn, &full, "AWSCURRENT", &version, &time(nth))
    }

    /// Waits until the condition of a store about its queue has this reason; its message.
    pub async fn events_ready(&self, store: &str, reason: &str) -> Result<String> {
        let what = format!("EventsReady of {}/{store}", self.ns);
        eventually(SOON, &what, || async {
            let object = self.get("SecretStore", store).await?.unwrap_or_default();
            let found = condition(&object, "EventsReady");
            if found["reason"] == reason {
                return Ok(found["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(Failure::new(format!("it is {found}, not {reason}")))
        })
        .await
    }
}

async fn empty(env: &TestEnv, queue: &str) -> Result<()> {
    eventually(SOON, &format!("queue {queue} is empty"), || async {
        match env.sqs.depth(queue) {
            0 => Ok(()),
            depth => Err(Failure::new(format!("{depth} messages"))),
        }
    })
    .await
}

#[tokio::test]
async fn t1_t2_an_event_reaches_the_secrets_of_those_that_read_it_and_no_others() -> Result<()> {
    let scene = Scene::new("events-match").await?;
    let mut prefixed = scene.store("prefixed");
    prefixed["spec"]["provider"]["aws"]["prefix"] = json!("events-match/");
    scene.create(prefixed).await?;
    let queue = scene.queue_of("aws").await?;
    let arn_of_queue = format!("arn:aws:sqs:eu-west-1:000000000000:{queue}");
    scene.annotate("prefixed", &arn_of_queue).await?;
    scene.events_ready("aws", "Unproven").await?;
    scene.rotate("db", 1, "old");
    scene.rotate("other", 1, "other");
    let arn =
        scene.env.aws.put_version("events-match/db", &version(1), &["AWSCURRENT"], &value("old"));
    let by = |key: &str, more: Value| {
        let mut remote = json!({"key": key});
        for (field, value) in more.as_object().unwrap() {
            remote[field] = value.clone();
        }
        json!({"data": [{"secretKey": "value", "remoteRef": remote}]})
    };
    let mut prefixed = by("db", json!({}));
    prefixed["secretStoreRef"] = json!({"name": "prefixed"});
    let find = json!({"data": null, "dataFrom": [{"find": {"path": "events-match/d"}}]});
    let concerned = [
        ("by-name", by("events-match/db", json!({}))),
        ("by-arn", by(&arn, json!({}))),
        ("by-part", by(&arn[..arn.len() - 7], json!({}))),
        ("by-prefix", prefixed),
        ("by-stage", by("events-match/db", json!({"version": "AWSCURRENT"}))),
    ];
    for (name, spec) in &concerned {
        scene.synced(name, spec.clone()).await?;
    }
    let mut finding = scene.external("by-find", find);
    finding["spec"].as_object_mut().unwrap().remove("data");
    scene.create(finding).await?;
    scene.ready("by-find").await?;
    let id = format!("uuid/{}", version(1));
    scene.synced("by-id", by("events-match/db", json!({"version": id}))).await?;
    scene.synced("other", json!({})).await?;
    scene
        .synced(
            "never",
            json!({"refreshPolicy": "CreatedOnce", "data": [scene.entry("value", "db")]}),
        )
        .await?;
    let others = scene.reads("other");

    let event = scene.rotate("db", 2, "new");
    let started = Instant::now();
    scene.env.sqs.send(&queue, event.to_string());
    for (name, _) in &concerned {
        scene.holds(name, &value("new")).await?;
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    scene.data_is("by-find", json!({"events-match_db": value("new")})).await?;
    scene.events_ready("aws", "Receiving").await?;
    scene.events_ready("prefixed", "Receiving").await?;
    empty(scene.env, &queue).await?;
    scene.holds("by-id", &value("old")).await?;
    scene.holds("never", &value("old")).await?;
    assert_eq!(scene.reads("other"), others);

    // The other shapes, and one through a topic.
    let asked = json!({"secretId": "events-match/db"});
    scene.rotate("db", 3, "called");
    let call = envelopes::api_call("PutSecretValue", &asked, &json!({"arn": arn}), &time(3));
    scene.env.sqs.send(&queue, envelopes::through_sns(&call).to_string());
    scene.holds("by-arn", &value("called")).await?;
    scene.rotate("db", 4, "rotated");
    scene
        .env
        .sqs
        .send(&queue, envelopes::service_event("RotationSucceeded", &arn, &time(4)).to_string());
    scene.holds("by-name", &value("rotated")).await?;
    empty(scene.env, &queue).await?;

    // Without the annotation there is no condition.
    let change = json!({"metadata": {"annotations": {QUEUE: null}}});
    scene.patch("SecretStore", "aws", change).await?;
    eventually(SOON, "the condition goes", || async {
        let object = scene.get("SecretStore", "aws").await?.unwrap_or_default();
        if condition(&object, "EventsReady").is_null() {
            Ok(())
        } else {
            Err(Failure::new("it is there"))
        }
    })
    .await
}

#[tokio::test]
async fn e11_an_interval_of_zero_heeds_events_if_the_annotation_says_so() -> Result<()> {
    let scene = Scene::new("events-zero").await?;
    let queue = scene.queue_of("aws").await?;
    scene.rotate("db", 1, "old");
    let data = json!([scene.entry("value", "db")]);
    scene.synced("plain", json!({"refreshInterval": "0", "data": data})).await?;
    let mut object = scene.external("asked", json!({"refreshInterval": "0", "data": data}));
    object["metadata"]["annotations"] = json!({"gabion.dev/on-event": "refresh"});
    scene.create(object).await?;
    scene.ready("asked").await?;
    let event = scene.rotate("db", 2, "new");
    scene.env.sqs.send(&queue, event.to_string());
    scene.holds("asked", &value("new")).await?;
    scene.holds("plain", &value("old")).await?;
    let wrong = json!({"metadata": {"annotations": {"gabion.dev/on-event": "yes"}}});
    scene.patch("ExternalSecret", "asked", wrong).await?;
    scene.fails("asked", "gabion.dev/on-event").await?;
    Ok(())
}

#[tokio::test]
async fn t3_a_storm_of_doubled_and_reordered_events_costs_few_reads_and_leaves_nothing()
-> Result<()> {
    let scene = Scene::new("events-storm").await?;
    let queue = scene.queue_of("aws").await?;
    scene.events_ready("aws", "Unproven").await?;
    let names: Vec<_> = (0..10).map(|nth| format!("s{nth}")).collect();
    for name in &names {
        scene.rotate(name, 1, "v1");
        scene.create(scene.external(name, json!({}))).await?;
    }
    for name in &names {
        scene.ready(name).await?;
    }
    let reads: usize = names.iter().map(|name| scene.reads(name)).sum();
    let mut events = Vec::new();
    for nth in 2..32 {
        for name in &names {
            let event = scene.rotate(name, nth, &format!("v{nth}")).to_string();
            if nth % 3 == 0 {
                events.push(event.clone());
            }
            events.push(event);
        }
    }
    // A permutation: 401 is prime.
    assert_eq!(events.len(), 400);
    scene.env.sqs.send(&queue, events[0].clone());
    for nth in 1..401 {
        scene.env.sqs.send(&queue, events[nth * 150 % 401 % 400].clone());
        if nth % 100 == 0 {
            scene.env.sqs.send(&queue, "{\"no\": \"event\"}");
        }
    }
    for name in &names {
        scene.holds(name, &value("v31")).await?;
    }
    empty(scene.env, &queue).await?;
    let reads = names.iter().map(|name| scene.reads(name)).sum::<usize>() - reads;
    assert!(reads <= names.len() * 30, "{reads} reads");
    Ok(())
}

#[tokio::test]
async fn t7_a_read_that_lags_behind_the_event_is_asked_again() -> Result<()> {
    let scene = Scene::new("events-lag").await?;
    let queue = scene.queue_of("aws").await?;
    scene.rotate("db", 1, "old");
    scene.synced("db", json!({})).await?;
    let reads = scene.reads("db");
    let (full, new) = (scene.remote("db"), version(2));
    let arn = scene.env.aws.put_version(&full, &new, &["lagging"], &value("new"));
    let event = envelopes::label_updated(&arn, &full, "AWSCURRENT", &new, &time(2));
    scene.env.sqs.send(&queue, event.to_string());
    eventually(SOON, "a read that is too old", || async {
        if scene.reads("db") > reads { Ok(()) } else { Err(Failure::new("none yet")) }
    })
    .await?;
    assert_eq!(scene.env.sqs.deleted(&queue), 0, "it waits for the right one");
    scene.env.aws.put_version(&full, &new, &["AWSCURRENT"], &value("new"));
    scene.holds("db", &value("new")).await?;
    empty(scene.env, &queue).await?;
    assert!(scene.reads("db") - reads <= 4, "{}", scene.reads("db") - reads);
    Ok(())
}

#[tokio::test]
async fn t6_a_queue_that_cannot_be_read_is_named_and_polling_goes_on() -> Result<()> {
    let scene = Scene::new("events-wrong").await?;
    let (env, sqs) = (scene.env, &scene.env.sqs);
    scene.put("db", &value("old"));
    scene.synced("db", json!({"refreshInterval": "1s"})).await?;
    let arn = |name: &str| format!("arn:aws:sqs:eu-west-1:000000000000:{name}");
    // Somebody else's queue is put back as it was.
    let foreign = sqs.create("events-wrong-foreign");
    for nth in 0..12 {
        sqs.send("events-wrong-foreign", format!("{{\"order\": {nth}}}"));
    }
    scene.annotate("aws", &foreign).await?;
    scene.events_ready("aws", "QueueForeign").await?;
    assert_eq!((sqs.deleted("events-wrong-foreign"), sqs.depth("events-wrong-foreign")), (0, 12));
    let calls = sqs.calls("ReceiveMessage", "events-wrong-foreign");

    scene.annotate("aws", &arn("events-wrong-missing")).await?;
    let message = scene.events_ready("aws", "QueueNotFound").await?;
    assert!(message.contains("events-wrong-missing"), "{message}");
    let denied = sqs.create("events-wrong-denied");
    sqs.deny("events-wrong-denied", &scene.access_key);
    scene.annotate("aws", &denied).await?;
    let message = scene.events_ready("aws", "QueueDenied").await?;
    assert!(message.contains("sqs:ReceiveMessage"), "{message}");
    for url in ["http://127.0.0.1:1/000000000000/q", "arn:aws:sqs:eu-west-1:000000000000:q.fifo"] {
        scene.annotate("aws", url).await?;
        scene.events_ready("aws", "QueueInvalid").await?;
    }
    // Another tenant's, whom it serves already, and the operator's own identity.
    let queue = scene.queue_of("aws").await?;
    scene.events_ready("aws", "Unproven").await?;
    let tenant = scene.beside("tenant").await?;
    tenant.create(tenant.credentials("aws-keys")).await?;
    tenant.create(tenant.store("aws")).await?;
    tenant.annotate("aws", &arn(&queue)).await?;
    tenant.events_ready("aws", "QueueShared").await?;
    let bare = json!({"kind": "SecretStore",
        "metadata": {"name": "bare", "annotations": {QUEUE: arn("events-wrong-own")}},
        "spec": {"provider": {"aws": {"service": "SecretsManager", "region": "eu-west-1"}}}});
    sqs.create("events-wrong-own");
    tenant.create(bare).await?;
    tenant.events_ready("bare", "QueueNeedsCredentials").await?;
    let asked = |key: &str| sqs.requests().iter().filter(|call| call.access_key == key).count();
    assert_eq!((asked(&tenant.access_key), asked(support::OWN_KEY)), (0, 0));

    scene.put("db", &value("new"));
    scene.holds("db", &value("new")).await?;
    assert_eq!(sqs.calls("ReceiveMessage", "events-wrong-foreign"), calls, "left alone");
    let hosts = sqs.requests().into_iter().map(|call| format!("http://{}", call.host));
    assert_eq!(hosts.filter(|host| *host != sqs.url()).count(), 0);
    let metrics = fetch(&env.metrics, "/metrics").await?.1;
    assert!(metrics.contains("gabion_events_total{source=\"other\",outcome=\"foreign\"}"));
    Ok(())
}

#[tokio::test]
async fn t4_no_event_is_lost_when_the_process_ends_in_between() -> Result<()> {
    let flag = "--events-queue=arn:aws:sqs:eu-west-1:000000000000:all";
    let mut env = Subsystem::Secrets.start(&[flag])?;
    env.sqs.create("all");
    {
        let scene = Scene::within(&env, "events-kill").await?;
        scene.rotate("db", 1, "old");
        scene.synced("db", json!({})).await?;
        let event = scene.rotate("db", 2, "new");
        let hangs = support::secrets_manager::Fault::Hang;
        env.aws.standing_fault("BatchGetSecretValue", Some(hangs.clone()));
        env.aws.standing_fault("GetSecretValue", Some(hangs));
        let reads = scene.reads("db");
        env.sqs.send("all", event.to_string());
        eventually(SOON, "it is read", || async {
            if scene.reads("db") > reads { Ok(()) } else { Err(Failure::new("not yet")) }
        })
        .await?;
    }
    // Between receipt and write.
    assert_eq!(env.sqs.deleted("all"), 0);
    env.operator.kill();
    env.aws.standing_fault("BatchGetSecretValue", None);
    env.aws.standing_fault("GetSecretValue", None);
    // A minute passes.
    env.sqs.show("all");
    env.start_again(&[flag])?;
    {
        let scene = Scene::enter(&env, "events-kill").await?;
        scene.holds("db", &value("new")).await?;
        empty(&env, "all").await?;
        // What cannot be deleted comes again and is no news.
        env.sqs.fault("DeleteMessageBatch", &SqsFault::Broken, 1);
        let event = scene.rotate("db", 3, "newer");
        env.sqs.send("all", event.to_string());
        scene.holds("db", &value("newer")).await?;
        eventually(SOON, "the delete that fails", || async {
            let calls = env.sqs.calls("DeleteMessageBatch", "all");
            if calls >= 2 { Ok(()) } else { Err(Failure::new(format!("{calls}"))) }
        })
        .await?;
        let reads = scene.reads("db");
        env.sqs.show("all");
        empty(&env, "all").await?;
        assert_eq!(scene.reads("db"), reads);
    }
    // An orderly end puts back what is in hand.
    {
        let scene = Scene::enter(&env, "events-kill").await?;
        let hangs = support::secrets_manager::Fault::Hang;
        env.aws.standing_fault("BatchGetSecretValue", Some(hangs.clone()));
        env.aws.standing_fault("GetSecretValue", Some(hangs));
        let reads = scene.reads("db");
        let event = scene.rotate("db", 4, "newest");
        env.sqs.send("all", event.to_string());
        eventually(SOON, "it is read", || async {
            if scene.reads("db") > reads { Ok(()) } else { Err(Failure::new("not yet")) }
        })
        .await?;
    }
    env.operator.signal(support::Signal::TERM)?;
    eventually(SOON, "the message is there again", || async {
        let calls = env.sqs.calls("ChangeMessageVisibilityBatch", "all");
        if calls > 0 { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    env.aws.standing_fault("BatchGetSecretValue", None);
    env.aws.standing_fault("GetSecretValue", None);
    env.start_again(&[flag])?;
    let scene = Scene::enter(&env, "events-kill").await?;
    scene.holds("db", &value("newest")).await?;
    empty(&env, "all").await
}
