//! `cluster::lease`, request by request.

use std::time::Duration;

use gabion::cluster::{
    Fence,
    lease::{Election, LeaseSettings},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::script::{Script, Step, refusal};

fn election(script: &Script, fence: &Fence) -> Election {
    let settings = LeaseSettings {
        namespace: "gabion-system".into(),
        name: "gabion".into(),
        identity: "me".into(),
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };
    Election::new(script.client(), settings, fence.clone())
}

fn lease(holder: &str, version: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "gabion", "namespace": "gabion-system", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3,
            "renewTime": "2026-01-01T00:00:00.000000Z"}})
}

fn held(holder: &str, version: &str) -> Step {
    Step::Answer(200, lease(holder, version))
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_has_is_created() {
    let script = Script::of([refusal(404, "NotFound"), Step::Answer(201, lease("me", "1"))]);
    let fence = Fence::closed();

    election(&script, &fence).win(&CancellationToken::new()).await;

    assert!(fence.is_open());
    let asked = script.asked();
    assert_eq!((&*asked[0].method, &*asked[1].method), ("GET", "POST"));
    assert_eq!(asked[1].body["spec"]["holderIdentity"], "me");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_given_back_is_taken_with_the_version_that_was_read() {
    let script = Script::of([held("", "41"), held("me", "42")]);
    let fence = Fence::closed();

    election(&script, &fence).win(&CancellationToken::new()).await;

    let put = &script.asked()[1];
    assert_eq!(put.method, "PUT");
    assert_eq!(put.body["metadata"]["resourceVersion"], "41");
    assert_eq!(put.body["spec"]["leaseTransitions"], 4);
    assert!(fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn of_two_that_reach_for_it_the_one_with_the_conflict_waits() {
    let script = Script::of([held("", "41"), refusal(409, "Conflict"), held("other", "42")]);
    let fence = Fence::closed();
    let stop = CancellationToken::new();
    let mut election = election(&script, &fence);

    let win = tokio::time::timeout(Duration::from_secs(3), election.win(&stop)).await;

    assert!(win.is_err(), "it is not ours");
    assert!(!fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_not_touched_however_old_its_time_says_it_is() {
    let script = Script::of(std::iter::repeat_n(held("other", "7"), 4));
    let fence = Fence::closed();
    let mut election = election(&script, &fence);

    // Its renewTime is long past, but only what we saw ourselves counts.
    let stop = CancellationToken::new();
    let win = election.win(&stop);
    assert!(tokio::time::timeout(Duration::from_secs(6), win).await.is_err());

    assert!(script.asked().iter().all(|asked| asked.method == "GET"));
    assert!(!fence.is_open());
}

#[tokio::test]
async fn a_leader_that_finds_another_holder_stops_at_once() {
    let script = Script::of([held("", "1"), held("me", "2"), held("other", "3")]);
    let fence = Fence::closed();
    let stop = CancellationToken::new();
    let mut election = election(&script, &fence);
    election.win(&stop).await;
    assert!(fence.is_open());

    let lost = tokio::time::timeout(Duration::from_secs(20), election.keep(&stop)).await;

    assert!(lost.expect("in time").is_err());
    assert!(!fence.is_open());
    assert!(script.asked().iter().filter(|asked| asked.method == "PUT").count() == 1);
}
