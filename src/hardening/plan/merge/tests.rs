//! The merge table, case by case and as properties.

use proptest::prelude::*;

use super::*;
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::hardening_baseline::Peer;
use crate::api::gabion::hardening_baseline::Selector;
use crate::api::gabion::hardening_baseline::Tags;
use crate::hardening::plan::baseline::NetworkAsk;
use crate::policy::Settings;
use crate::quantity::Quantity;

fn baseline(name: &str, priority: i32) -> Compiled {
    Compiled {
        name: name.into(),
        uid: format!("uid-{name}").into(),
        generation: Some(1),
        priority,
        stage: Stage::Enforce,
        selection: Selection::default(),
        pod_security: None,
        network: None,
        quota: Amounts::new(),
        defaults: None,
        max: Amounts::new(),
        registries: Vec::new(),
        checks: Settings::default(),
        automount_disabled: false,
        pull_secrets: Vec::new(),
        conflict_policy: ConflictPolicy::Report,
        deletion_policy: DeletionPolicy::Revert,
    }
}

fn ask(level: Level, version: PssVersion) -> PodSecurityAsk {
    PodSecurityAsk {
        enforce: level,
        audit: level,
        warn: level,
        version,
        ownership: LabelOwnership::Operator,
    }
}

fn rule(name: &str) -> AllowRule {
    let from = vec![Peer { pod_selector: Some(Selector::default()), ..Peer::default() }];
    AllowRule { name: name.into(), from, ..AllowRule::default() }
}

fn isolated(rules: &[&str], additive: bool) -> NetworkAsk {
    let deny = [Direction::Ingress, Direction::Egress].into();
    NetworkAsk {
        deny,
        dns: Dns::Auto,
        allow: rules.iter().map(|r| rule(r)).collect(),
        additive,
        reports_users: true,
        refuses_users: false,
    }
}

fn amounts(pairs: &[(&str, &str)]) -> Amounts {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), Quantity::parse(v).expect("quantity"))).collect()
}

fn row<'a>(merged: &'a Merged, item: &str) -> &'a EffectiveValue {
    merged
        .rows
        .iter()
        .find(|r| r.item == item)
        .unwrap_or_else(|| panic!("no row {item}: {:?}", merged.rows))
}

#[test]
fn the_strictest_wins_and_says_whose_it_is() {
    let mut org = baseline("org", 10);
    org.pod_security = Some(ask(Level::Baseline, PssVersion::Pinned(36)));
    org.quota = amounts(&[("pods", "100"), ("limits.memory", "64Gi")]);
    org.network = Some(isolated(&["x"], false));
    let mut pci = baseline("pci", 50);
    pci.pod_security = Some(ask(Level::Restricted, PssVersion::Pinned(34)));
    pci.quota = amounts(&[("pods", "20")]);
    pci.network = Some(isolated(&["y"], false));
    let merged = merge(&[org, pci]);
    assert_eq!(merged.pod_security[&Mode::Enforce], (Level::Restricted, PssVersion::Pinned(36)));
    assert_eq!(merged.quota, amounts(&[("pods", "20"), ("limits.memory", "64Gi")]));
    assert_eq!(merged.rules.iter().map(|r| r.suffix.as_str()).collect::<Vec<_>>(), ["y"]);
    assert_eq!(row(&merged, "podSecurity.enforce").baseline, "pci");
    assert_eq!(row(&merged, "podSecurity.enforce-version").baseline, "org");
    let pods = row(&merged, "resources.quota.hard[pods]");
    assert_eq!(
        (pods.value.as_str(), pods.baseline.as_str(), pods.reason.as_str()),
        ("20", "pci", "minimum of 2 baselines")
    );
    assert_eq!(row(&merged, "resources.quota.hard[limits.memory]").baseline, "org");
}

#[test]
fn lower_rules_join_only_when_they_say_so_and_carry_their_baseline_in_the_name() {
    let mut top = baseline("top", 9);
    top.network = Some(isolated(&["web"], true));
    let mut low = baseline("low", 1);
    low.network = Some(isolated(&["web", "metrics"], true));
    let mut silent = baseline("silent", 5);
    silent.network = Some(isolated(&["open"], false));
    let suffixes =
        |merged: &Merged| merged.rules.iter().map(|r| r.suffix.clone()).collect::<Vec<_>>();
    assert_eq!(suffixes(&merge(&[low, silent, top])), ["web", "web-low", "metrics-low"]);
}

#[test]
fn two_rules_never_share_a_name() {
    let mut top = baseline("top", 9);
    top.network = Some(isolated(&["a-b"], false));
    let mut low = baseline("b", 1);
    low.network = Some(isolated(&["a"], true));
    let merged = merge(&[top, low]);
    let names: BTreeSet<_> = merged.rules.iter().map(|r| r.suffix.clone()).collect();
    assert_eq!(names, ["a-b".to_owned(), "a-b-b".to_owned()].into());
}

#[test]
fn latest_wins_only_when_every_baseline_says_latest() {
    let with = |version| Compiled {
        pod_security: Some(ask(Level::Baseline, version)),
        ..baseline("b", 1)
    };
    let other = |version| Compiled {
        pod_security: Some(ask(Level::Baseline, version)),
        ..baseline("a", 1)
    };
    let version = |merged: &Merged| merged.pod_security[&Mode::Warn].1;
    assert_eq!(
        version(&merge(&[with(PssVersion::Latest), other(PssVersion::Pinned(30))])),
        PssVersion::Pinned(30)
    );
    assert_eq!(
        version(&merge(&[with(PssVersion::Latest), other(PssVersion::Latest)])),
        PssVersion::Latest
    );
}

#[test]
fn each_stage_writes_what_the_contract_says() {
    for (stage, labels, limits, enforced) in [
        (Stage::Observe, 0, false, false),
        (Stage::Audit, 1, false, false),
        (Stage::Warn, 2, true, false),
        (Stage::Enforce, 3, true, true),
    ] {
        let mut one = baseline("one", 1);
        one.stage = stage;
        one.pod_security = Some(ask(Level::Restricted, PssVersion::Pinned(36)));
        one.network = Some(isolated(&[], false));
        one.quota = amounts(&[("pods", "3")]);
        one.defaults = Some((Amounts::new(), amounts(&[("memory", "1Gi")])));
        one.automount_disabled = true;
        let merged = merge(std::slice::from_ref(&one));
        assert_eq!(merged.pod_security.len(), labels, "{stage}");
        assert_eq!(merged.limits.is_some(), limits, "{stage}");
        assert_eq!(
            (!merged.deny.is_empty(), !merged.quota.is_empty(), merged.automount_disabled),
            (enforced, enforced, enforced)
        );
        assert_eq!(preview(&[one]).pod_security.len(), 3, "what Enforce would do");
    }
}

#[test]
fn defaults_come_from_the_top_and_are_clipped_into_the_smallest_maximum() {
    let mut top = baseline("top", 9);
    top.defaults =
        Some((amounts(&[("memory", "1Gi"), ("cpu", "1")]), amounts(&[("memory", "2Gi")])));
    let mut low = baseline("low", 1);
    low.defaults = Some((amounts(&[("memory", "1Mi")]), Amounts::new()));
    low.max = amounts(&[("memory", "512Mi"), ("cpu", "500m")]);
    let limits = merge(&[top, low]).limits.expect("limits");
    assert_eq!(limits.defaults, amounts(&[("memory", "512Mi")]));
    assert_eq!(limits.request_defaults, amounts(&[("memory", "512Mi"), ("cpu", "500m")]));
    assert_eq!(limits.max, amounts(&[("memory", "512Mi"), ("cpu", "500m")]));
}

fn any_amounts() -> impl Strategy<Value = Amounts> {
    prop::collection::btree_map(
        prop::sample::select(vec!["pods".to_owned(), "memory".to_owned(), "cpu".to_owned()]),
        (0_i64..50).prop_map(Quantity::whole),
        0..3,
    )
}

fn any_level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::Privileged, Level::Baseline, Level::Restricted])
}

fn any_pod_security() -> impl Strategy<Value = PodSecurityAsk> {
    let version = prop_oneof![Just(PssVersion::Latest), (30_u16..38).prop_map(PssVersion::Pinned)];
    (any_level(), any_level(), any_level(), version, any::<bool>()).prop_map(
        |(enforce, audit, warn, version, external)| {
            let ownership =
                if external { LabelOwnership::External } else { LabelOwnership::Operator };
            PodSecurityAsk {
                enforce,
                audit: audit.max(enforce),
                warn: warn.max(enforce),
                version,
                ownership,
            }
        },
    )
}

fn any_network() -> impl Strategy<Value = NetworkAsk> {
    let direction = prop::sample::select(vec![Direction::Ingress, Direction::Egress]);
    let names = prop::collection::btree_set(prop::sample::select(vec!["a", "a-b", "b", "c"]), 0..3);
    (prop::collection::btree_set(direction, 0..3), names, any::<bool>(), any::<bool>()).prop_map(
        |(deny, names, additive, dns)| NetworkAsk {
            deny,
            dns: if dns { Dns::Auto } else { Dns::None },
            allow: names.into_iter().map(rule).collect(),
            additive,
            refuses_users: false,
            reports_users: true,
        },
    )
}

fn any_baseline(name: &'static str) -> impl Strategy<Value = Compiled> {
    let stage =
        prop::sample::select(vec![Stage::Observe, Stage::Audit, Stage::Warn, Stage::Enforce]);
    (
        (0_i32..3, stage, any::<bool>()),
        prop::option::of(any_pod_security()),
        prop::option::of(any_network()),
        any_amounts(),
        any_amounts(),
        prop::option::of((any_amounts(), any_amounts())),
    )
        .prop_map(
            move |((priority, stage, automount), pod_security, network, quota, max, defaults)| {
                Compiled {
                    stage,
                    pod_security,
                    network,
                    quota,
                    max,
                    defaults,
                    automount_disabled: automount,
                    ..baseline(name, priority)
                }
            },
        )
}

fn any_baselines() -> impl Strategy<Value = Vec<Compiled>> {
    (any_baseline("a"), any_baseline("b"), any_baseline("c"), any_baseline("d"), 0_usize..5)
        .prop_map(|(a, b, c, d, count)| [a, b, c, d].into_iter().take(count).collect())
}

/// Whether a merge holds everything that one of its inputs asks for.
fn assert_not_weaker(merged: &Merged, input: &Compiled, all: &[Compiled]) {
    for mode in Mode::ALL.into_iter().filter(|mode| input.stage >= mode.first_stage()) {
        if let Some(ask) = input.pod_security {
            let (level, version) = merged.pod_security[&mode];
            assert!(level >= mode.level(ask));
            assert!(version >= ask.version || ask.version == PssVersion::Latest);
        }
    }
    if input.stage >= Stage::Warn {
        for (name, most) in &input.max {
            let limits = merged.limits.as_ref().expect("limits");
            assert!(limits.max[name] <= *most);
            assert!(limits.defaults.get(name).is_none_or(|limit| limit <= most));
            assert!(limits.request_defaults.get(name).is_none_or(|request| request <= most));
        }
    }
    if input.stage == Stage::Enforce {
        assert!(input.quota.iter().all(|(name, hard)| merged.quota[name] <= *hard));
        assert!(!input.automount_disabled || merged.automount_disabled);
        if let Some(network) = &input.network {
            assert!(merged.deny.is_superset(&network.deny));
        }
        let of_input = |r: &&MergedRule| r.owner.name == input.name;
        let silent_and_lower = input.network.as_ref().is_some_and(|n| !n.additive)
            && all.iter().any(|o| {
                o.stage == Stage::Enforce
                    && o.network.is_some()
                    && (-o.priority, &o.name) < (-input.priority, &input.name)
            });
        assert!(!silent_and_lower || merged.rules.iter().filter(of_input).count() == 0);
    } else {
        assert!(
            merged.rules.iter().all(|r| r.owner.name != input.name),
            "a lower stage opens nothing"
        );
    }
}

proptest! {
    #[test]
    fn the_order_of_the_baselines_makes_no_difference(
        (baselines, shuffled) in any_baselines().prop_flat_map(|b| (Just(b.clone()), Just(b).prop_shuffle()))
    ) {
        prop_assert_eq!(merge(&baselines), merge(&shuffled));
    }

    #[test]
    fn naming_a_baseline_twice_makes_no_difference(baselines in any_baselines()) {
        let twice: Vec<_> = baselines.iter().chain(&baselines).cloned().collect();
        prop_assert_eq!(merge(&twice), merge(&baselines));
    }

    #[test]
    fn the_result_is_never_weaker_than_any_input(baselines in any_baselines()) {
        let merged = merge(&baselines);
        for input in &baselines {
            assert_not_weaker(&merged, input, &baselines);
        }
    }

    #[test]
    fn defaults_always_make_a_limit_range_that_the_api_server_takes(baselines in any_baselines()) {
        if let Some(limits) = merge(&baselines).limits {
            for (name, request) in &limits.request_defaults {
                let limit = limits.defaults.get(name).or(limits.max.get(name));
                prop_assert!(limit.is_none_or(|limit| request <= limit));
            }
        }
    }

    #[test]
    fn every_value_says_where_it_came_from_and_each_item_is_listed_once(baselines in any_baselines()) {
        let rows = merge(&baselines).rows;
        let items: BTreeSet<_> = rows.iter().map(|r| r.item.clone()).collect();
        prop_assert_eq!(items.len(), rows.len());
        prop_assert!(rows.iter().all(|r| !r.baseline.is_empty() && !r.reason.is_empty() && !r.value.is_empty()));
    }
}

#[test]
fn each_baseline_keeps_its_own_checks_and_says_so() {
    let checking = |name: &str, stage: Stage, checks: Settings| Compiled {
        stage,
        checks,
        ..baseline(name, 0)
    };
    let rofs = Settings { read_only_root: true, ..Settings::default() };
    let tags = Settings { tags: Tags::RequireDigest, ..Settings::default() };
    let merged = merge(&[
        checking("a", Stage::Enforce, rofs.clone()),
        checking("b", Stage::Audit, tags),
        checking("c", Stage::Observe, rofs),
    ]);
    let rows: Vec<_> = merged.rows.iter().map(|r| (r.item.as_str(), r.baseline.as_str())).collect();
    assert_eq!(rows, [("pods.readOnlyRootFilesystem", "a"), ("images.tags", "b")]);
    assert_eq!(row(&merged, "images.tags").value, "RequireDigest at Audit");
}

/// Allow rules cannot be ordered by strictness: that is said, and what is not used is listed.
#[test]
fn weak_rules_of_a_lower_priority_are_listed_as_not_used() {
    let mut prod = baseline("prod", 0);
    prod.network = Some(isolated(&["front-to-back"], false));
    let mut wide = baseline("wide", 50);
    wide.network = Some(isolated(&["internet", "front-to-back-prod"], false));
    let merged = merge(&[prod.clone(), wide.clone()]);
    let unused = row(&merged, "network.allow[front-to-back of prod]");
    assert_eq!((unused.value.as_str(), unused.baseline.as_str()), ("not used", "prod"));
    assert!(unused.reason.contains("higher priority"), "{}", unused.reason);
    assert_eq!(merged.deny.len(), 2, "what can be ordered is never relaxed");
    prod.network = Some(isolated(&["front-to-back"], true));
    let merged = merge(&[prod, wide]);
    assert!(merged.rows.iter().all(|row| row.value != "not used"));
}

#[test]
fn hardening_7_the_most_careful_of_those_that_bring_an_item_decides() {
    let forcing = |name: &str, priority, policy| Compiled {
        pod_security: Some(ask(Level::Restricted, PssVersion::Latest)),
        conflict_policy: policy,
        ..baseline(name, priority)
    };
    let mut pci = baseline("pci", 50);
    pci.network = Some(isolated(&[], false));
    let prod = forcing("prod", 0, ConflictPolicy::Force);
    let merged = merge(&[pci.clone(), prod.clone()]);
    assert_eq!(merged.conflict_policies.labels, ConflictPolicy::Force);
    assert_eq!(merged.conflict_policies.network, ConflictPolicy::Report);
    assert_eq!(row(&merged, "conflictPolicy of podSecurity").baseline, "prod");
    let careful = forcing("careful", 5, ConflictPolicy::Report);
    let merged = merge(&[pci, prod, careful]);
    assert_eq!(merged.conflict_policies.labels, ConflictPolicy::Report);
}
