//! Pushes against a naive model of a secret manager, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::claims::{Claim, Rank};
use super::data_to::expand;
use super::decide::{Admission, Removal, admit, corrections, has_made_nothing, removal};
use super::entries::{self, Group};
use super::report::{self, Due, Outcome, Stamp, Synced, next_status};
use super::settings::{Service, settings};
use super::value::{self, Parts};
use super::{PushError, json as text};
use crate::api::external_secrets::push_secret::{PushSecret, PushSecretSpec, PushUpdatePolicy};
use crate::cluster::ObjectKey;
use crate::provider::push::{OWNER, OWNER_TAG, Remote};
use crate::provider::{ProviderError, SecretBytes};
use crate::secrets::error::Error;
use crate::secrets::plan::rewrite::rewrite;
use crate::secrets::plan::template::tests::with_engine;

type Texts = BTreeMap<String, String>;

fn spec(value: Value) -> PushSecretSpec {
    serde_json::from_value(value).unwrap()
}

fn of(data: &Value) -> PushSecretSpec {
    spec(json!({"secretStoreRefs": [{"name": "aws"}],
        "selector": {"secret": {"name": "source"}}, "data": data}))
}

fn entry(key: &str, remote: &str, property: &str) -> Value {
    json!({"match": {"secretKey": key, "remoteRef": {"remoteKey": remote, "property": property}}})
}

fn groups(data: &Value) -> Result<Vec<Group>, PushError> {
    entries::groups(&of(data))
}

fn bytes(text: &str) -> SecretBytes {
    SecretBytes::from(text.to_owned())
}

fn metadata(spec: &Value) -> Value {
    json!({"apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata", "spec": spec})
}

/// A secret manager with one secret: fields and tags are maps.
#[derive(Clone, Debug, Default)]
struct World {
    fields: Option<SecretBytes>,
    tags: Texts,
    writes: usize,
}

impl World {
    fn remote(&self) -> Option<Remote> {
        let tags = self.tags.clone();
        self.fields.as_ref().map(|_| Remote { tags, ..Remote::default() })
    }

    /// What the controller does, in the order in which it does it.
    fn push(&mut self, group: &Group, parts: &Parts, before: &Texts) {
        let remote = self.remote();
        let Ok(admission) = admit(group, remote.as_ref(), &PushUpdatePolicy::Replace) else {
            return;
        };
        let service = Service::SecretsManager;
        let desired = value::desired(group, parts, self.fields.as_ref(), service).unwrap();
        if admission == Admission::Create {
            self.tags = group.settings.remote.tags.clone();
            self.tags.insert(OWNER_TAG.to_owned(), OWNER.to_owned());
            self.fields = Some(desired);
            self.writes += 1;
            return;
        }
        if self.fields.as_ref() != Some(&desired) {
            self.fields = Some(desired);
            self.writes += 1;
        }
        let tagged = metadata(&json!({"tags": before}));
        let before = settings("", Some(&tagged)).unwrap();
        let amends = corrections(&remote.unwrap(), &group.settings, Some(&before));
        self.writes += usize::from(!amends.tag.is_empty()) + usize::from(!amends.untag.is_empty());
        self.tags.extend(amends.tag);
        self.tags.retain(|key, _| !amends.untag.contains(key));
    }

    fn remove(&mut self, properties: &[String]) {
        match removal(self.remote().as_ref(), properties, self.fields.as_ref()) {
            Removal::Leave | Removal::NeedsValue => {}
            Removal::Delete => *self = Self::default(),
            Removal::Put(left) => self.fields = Some(left),
        }
    }

    fn read(&self) -> Option<Texts> {
        self.fields.as_ref().map(|fields| serde_json::from_slice(fields.expose()).unwrap())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { fields: Texts, tags: Texts },
    Remove(BTreeSet<String>),
    Edit(String, String),
    Tag(String, String),
    HandOver(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let texts = |least| prop::collection::btree_map("[a-d]", "[x-z]{0,2}", least..3);
    let step = prop_oneof![
        4 => (texts(1), texts(0)).prop_map(|(fields, tags)| Step::Push { fields, tags }),
        1 => prop::collection::btree_set("[a-d]", 1..3).prop_map(Step::Remove),
        1 => ("[a-d]", "[x-z]{1,2}").prop_map(|(key, value)| Step::Edit(key, value)),
        1 => ("[a-d]", "[x-z]{1,2}").prop_map(|(key, value)| Step::Tag(key, value)),
        1 => any::<bool>().prop_map(Step::HandOver),
    ];
    prop::collection::vec(step, 0..12)
}

proptest! {
    /// Whatever happens in between: what is pushed is there, all else stays, somebody else's is not touched, and a
    /// second push writes nothing.
    #[test]
    fn pushes_do_what_a_naive_model_says(steps in steps()) {
        let mut world = World::default();
        let (mut fields, mut tags): (Option<Texts>, Texts) = (None, Texts::new());
        let mut before = Texts::new();
        for step in steps {
            let is_owned = tags.get(OWNER_TAG).is_some_and(|owner| owner == OWNER);
            match step {
                Step::Push { fields: pushed, tags: set } => {
                    let entries: Vec<_> = pushed.keys().map(|key| {
                        let mut entry = entry(key, "db", key);
                        entry["metadata"] = metadata(&json!({"tags": set}));
                        entry
                    }).collect();
                    let group = &groups(&json!(entries)).unwrap()[0];
                    let parts: Parts =
                        pushed.iter().map(|(key, value)| (key.clone(), bytes(value))).collect();
                    world.push(group, &parts, &before);
                    if fields.is_none() {
                        tags = Texts::from([(OWNER_TAG.to_owned(), OWNER.to_owned())]);
                    }
                    if fields.is_none() || is_owned {
                        fields.get_or_insert_default().extend(pushed);
                        tags.retain(|key, value| set.contains_key(key) || before.get(key) != Some(value));
                        tags.extend(set.clone());
                        before = set;
                        let writes = world.writes;
                        world.push(group, &parts, &before);
                        prop_assert_eq!(world.writes, writes, "nothing is left to do");
                    }
                }
                Step::Remove(gone) => {
                    let gone: Vec<_> = gone.into_iter().collect();
                    world.remove(&gone);
                    if is_owned && let Some(held) = &mut fields {
                        held.retain(|key, _| !gone.contains(key));
                        if held.is_empty() {
                            (fields, tags) = (None, Texts::new());
                            before.clear();
                        }
                    }
                }
                Step::Edit(key, value) => {
                    if let (Some(held), Some(now)) = (&mut fields, &world.fields) {
                        world.fields = Some(text::set(now.expose(), &key, &value).unwrap());
                        held.insert(key, value);
                    }
                }
                Step::Tag(key, value) if fields.is_some() => {
                    world.tags.insert(key.clone(), value.clone());
                    tags.insert(key, value);
                }
                Step::HandOver(ours) if fields.is_some() => {
                    let owner = if ours { OWNER } else { "terraform" }.to_owned();
                    world.tags.insert(OWNER_TAG.to_owned(), owner.clone());
                    tags.insert(OWNER_TAG.to_owned(), owner);
                }
                Step::Tag(..) | Step::HandOver(_) => {}
            }
            prop_assert_eq!(world.read(), fields.clone());
            prop_assert_eq!(&world.tags, &tags);
        }
    }

    /// Of those who mean one place, exactly one has it, whoever asks.
    #[test]
    fn exactly_one_has_a_place(created in prop::collection::vec(0_i64..3, 1..6), pushed in any::<u8>()) {
        let claim = Claim { remote_key: "db".into(), property: String::new() };
        let ranks: Vec<_> = created.iter().enumerate().map(|(nth, created)| {
            let data = json!([entry("k", "db", "")]);
            let mut object = PushSecret::new(&format!("p{nth}"), of(&data));
            object.metadata.namespace = Some("shop".into());
            object.metadata.creation_timestamp = Some(Time(Timestamp::from_second(*created).unwrap()));
            if pushed & (1 << nth) != 0 {
                let synced = BTreeMap::from([("db".to_owned(), object.spec.data[0].clone())]);
                let status = object.status.get_or_insert_default();
                status.synced_push_secrets.insert("SecretStore/aws".into(), synced);
            }
            Rank::of(&object, "SecretStore/aws", &claim)
        }).collect();
        let has = |rank: &&Rank| ranks.iter().all(|other| other >= rank);
        prop_assert_eq!(ranks.iter().filter(has).count(), 1);
        let holder = ranks.iter().min().unwrap();
        let who_pushed: Vec<_> = (0..created.len()).filter(|nth| pushed & (1 << nth) != 0).collect();
        if let [only] = who_pushed[..] {
            prop_assert_eq!(holder.key(), &ObjectKey::new("shop", &format!("p{only}")), "it keeps it");
        }
    }
}

#[test]
fn places_overlap_if_one_is_a_part_of_the_other() {
    let claim = |remote: &str, property: &str| Claim {
        remote_key: remote.into(),
        property: property.into(),
    };
    for (one, other, overlaps) in [
        (("a", ""), ("a", ""), true),
        (("a", ""), ("a", "x"), true),
        (("a", "x"), ("a", "x"), true),
        (("a", "x"), ("a", "x.y"), true),
        (("a", "x"), ("a", "xy"), false),
        (("a", "x"), ("a", "y"), false),
        (("a", ""), ("b", ""), false),
    ] {
        let (one, other) = (claim(one.0, one.1), claim(other.0, other.1));
        assert_eq!((one.overlaps(&other), other.overlaps(&one)), (overlaps, overlaps), "{one:?}");
    }
}

#[test]
fn entries_that_mean_the_same_place_are_refused_and_others_are_one_write() {
    for data in [
        json!([entry("a", "db", ""), entry("b", "db", "")]),
        json!([entry("a", "db", "x"), entry("b", "db", "x")]),
        json!([entry("a", "db", ""), entry("b", "db", "x")]),
        // The status could not tell these apart.
        json!([entry("a", "db/x", ""), entry("b", "db", "x")]),
    ] {
        assert!(matches!(groups(&data), Err(PushError::Twice { .. })), "{data}");
    }
    let data = json!([entry("a", "db", "x"), entry("b", "db", "y"), entry("a", "other", "")]);
    let found = groups(&data).unwrap();
    let shown: Vec<_> =
        found.iter().map(|g| (&*g.store, &*g.remote_key, g.entries.len())).collect();
    assert_eq!(shown, [("SecretStore/aws", "db", 2), ("SecretStore/aws", "other", 1)]);
    let many: Vec<_> = (0..501).map(|nth| entry("a", &nth.to_string(), "")).collect();
    assert!(matches!(groups(&json!(many)), Err(PushError::TooMany { count: 501, .. })));
}

#[test]
fn what_the_status_could_not_hold_is_refused() {
    let mut long = entry("a", "db", "");
    long["metadata"] = metadata(&json!({"description": "x".repeat(300 << 10)}));
    assert!(groups(&json!([long])).is_ok());
    let mut spec = of(&json!([long]));
    let second = spec.secret_store_refs[0].clone();
    spec.secret_store_refs.push(second);
    assert!(entries::groups(&spec).is_ok(), "the same store counts once");
    spec.secret_store_refs[1].name = Some("other".into());
    assert!(matches!(entries::groups(&spec), Err(PushError::TooLong { .. })));
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let base = json!({"secretStoreRefs": [{"name": "aws"}],
        "selector": {"secret": {"name": "source"}}, "data": [entry("a", "db", "")]});
    let selector = json!({"matchLabels": {"a": "b"}});
    for (pointer, value, field) in [
        (
            "/selector",
            json!({"generatorRef": {"kind": "Password", "name": "p"}}),
            "selector.generatorRef",
        ),
        ("/selector", json!({"secret": {"selector": selector}}), "selector.secret.selector"),
        ("/selector", json!({"secret": {}}), "selector.secret.name"),
        (
            "/secretStoreRefs",
            json!([{"labelSelector": selector}]),
            "secretStoreRefs[0].labelSelector",
        ),
        ("/secretStoreRefs", json!([{"kind": "SecretStore"}]), "secretStoreRefs[0].name"),
        ("/secretStoreRefs", json!([]), "secretStoreRefs"),
        ("/data", json!([]), "data"),
    ] {
        let mut changed = base.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let spec = spec(changed);
        let error =
            entries::source(&spec).map(|_| ()).and_then(|()| entries::groups(&spec).map(|_| ()));
        let text = error.unwrap_err().to_string();
        assert!(text.contains(&format!("spec.{field}")), "{text}");
    }
}

#[test]
fn a_whole_secret_is_json_as_external_secrets_operator_writes_it() {
    let data: BTreeMap<_, _> =
        [("b", "<&>\u{2028}"), ("a", "x")].map(|(k, v)| (k.to_owned(), bytes(v))).into();
    let group = |metadata: Value| {
        let mut entry = json!({"match": {"remoteRef": {"remoteKey": "db"}}});
        entry["metadata"] = metadata;
        groups(&json!([entry])).unwrap().remove(0)
    };
    let made = |group: &Group, service| {
        let parts = value::parts(group, &data, service, false).unwrap();
        String::from_utf8(parts[""].expose().to_vec()).unwrap()
    };
    let texts = r#"{"a":"x","b":"<&>\u2028"}"#;
    assert_eq!(made(&group(Value::Null), Service::SecretsManager), texts);
    assert_eq!(
        made(&group(Value::Null), Service::ParameterStore),
        r#"{"a":"eA==","b":"PCY+4oCo"}"#
    );
    let decoded = metadata(&json!({"encodeAsDecoded": true}));
    assert_eq!(made(&group(decoded), Service::ParameterStore), texts);
}

#[test]
fn reverse_unicode_reads_keys_as_find_made_them() {
    let data: BTreeMap<_, _> = [("a_U0040_b", "x"), ("c_U004_", "y"), ("_U_U002f_", "z")]
        .map(|(k, v)| (k.to_owned(), bytes(v)))
        .into();
    for (key, expected) in [("a@b", "x"), ("c_U004_", "y"), ("_U/", "z")] {
        let mut entry = entry(key, "db", "");
        entry["conversionStrategy"] = json!("ReverseUnicode");
        let group = groups(&json!([entry])).unwrap().remove(0);
        let parts = value::parts(&group, &data, Service::SecretsManager, false);
        assert_eq!(parts.unwrap()[""].expose(), expected.as_bytes(), "{key}");
    }
}

#[test]
fn it_is_due_when_the_object_its_source_or_the_clock_says_so() {
    let mut object = PushSecret::new("p", of(&json!([entry("a", "db", "")])));
    let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
    let hour = SignedDuration::from_hours(1);
    let due =
        |object: &PushSecret, source: &str, now| report::due(object, source, None, hour, at(now));
    assert_eq!(due(&object, "m", 0), Due::Now);
    let stamp = Stamp {
        started: at(0),
        version: report::version(&object),
        source: "m".into(),
        heartbeat: SignedDuration::from_mins(15),
    };
    object.status = next_status(&object, &Outcome::Synced, Synced::new(), &stamp);
    assert_eq!(due(&object, "m", 1), Due::At(at(3600)));
    assert_eq!(due(&object, "m", 3600), Due::Now);
    assert_eq!(due(&object, "m", -1), Due::Now, "another clock");
    assert_eq!(due(&object, "other", 1), Due::Now);
    assert_eq!(report::due(&object, "m", Some(at(10)), hour, at(3600)), Due::At(at(3610)));
    assert_eq!(report::due(&object, "m", None, SignedDuration::ZERO, at(9999)), Due::Never);
    // Nothing new is not written again, but for the heartbeat.
    let later = |second| Stamp { started: at(second), ..stamp.clone() };
    assert_eq!(next_status(&object, &Outcome::Synced, Synced::new(), &later(600)), None);
    assert!(next_status(&object, &Outcome::Synced, Synced::new(), &later(900)).is_some());
    let mut edited = object.clone();
    edited.metadata.generation = Some(2);
    assert_eq!(due(&edited, "m", 1), Due::Now);
}

type Pushed = BTreeMap<(String, String), Vec<String>>;

/// By store and remote key: the keys that go there.
fn expanded(spec: &PushSecretSpec, keys: &[String]) -> Result<Pushed, Error> {
    let data = keys.iter().map(|key| (key.clone(), bytes("x"))).collect();
    let made = with_engine(|engine| {
        expand(spec, &data, |field, operations, names| {
            rewrite(field, operations, names, engine).map_err(Error::from)
        })
    })?;
    let groups = entries::gather(spec, made)?;
    let keys = |group: &Group| {
        let entry = &group.entries[0];
        let all = entry.keys.clone().unwrap_or_default().into_iter();
        entry.secret_key.clone().into_iter().chain(all).collect()
    };
    Ok(groups
        .iter()
        .map(|group| ((group.store.clone(), group.remote_key.clone()), keys(group)))
        .collect())
}

fn data_to(data_to: &Value, data: &Value) -> PushSecretSpec {
    spec(json!({"secretStoreRefs": [{"name": "aws"}, {"name": "other"}],
        "selector": {"secret": {"name": "source"}}, "data": data, "dataTo": data_to}))
}

proptest! {
    /// Each selected key goes to the store that is named, under its new name, unless data names it.
    #[test]
    fn data_to_does_what_a_naive_model_says(
        keys in prop::collection::btree_set("[ab][ab-]{0,2}", 0..6),
        start in "[ab]?",
        prefix in "[x/]{0,2}",
        explicit in "[ab][ab-]{0,1}",
    ) {
        let entry = json!([{"match": {"secretKey": explicit, "remoteRef": {"remoteKey": "explicit"}}}]);
        let wanted = data_to(&json!([
            {"storeRef": {"name": "aws"}, "match": {"regexp": format!("^{start}")},
                "rewrite": [{"transform": {"template": format!("{prefix}{{{{ .value }}}}")}},
                    {"regexp": {"source": "$", "target": "-end"}}]},
            {"storeRef": {"name": "other"}, "match": {"regexp": format!("^{start}")}, "remoteKey": "bundle"},
        ]), &entry);
        let selected: Vec<_> = keys.iter().filter(|key| key.starts_with(&start)).cloned().collect();
        let mut model = Pushed::new();
        for store in ["SecretStore/aws", "SecretStore/other"] {
            model.insert((store.into(), "explicit".into()), vec![explicit.clone()]);
        }
        for key in selected.iter().filter(|key| **key != explicit) {
            model.insert(("SecretStore/aws".into(), format!("{prefix}{key}-end")), vec![key.clone()]);
        }
        if !selected.is_empty() {
            model.insert(("SecretStore/other".into(), "bundle".into()), selected);
        }
        let keys: Vec<_> = keys.into_iter().collect();
        prop_assert_eq!(expanded(&wanted, &keys).unwrap(), model);
    }
}

#[test]
fn data_to_says_what_collides_and_what_it_cannot_do() {
    let keys = ["a".to_owned(), "b".to_owned()];
    let aws = json!({"name": "aws"});
    let one = json!([{"match": {"secretKey": "c", "remoteRef": {"remoteKey": "a"}}}]);
    for (wanted, data, text) in [
        (
            json!([{"storeRef": aws, "rewrite": [{"regexp": {"source": "[ab]", "target": "x"}}]}]),
            json!([]),
            "spec.dataTo[0].rewrite[0]: two keys become the same",
        ),
        (
            json!([{"storeRef": aws}, {"storeRef": aws}]),
            json!([]),
            "spec.dataTo[1] and spec.dataTo[0] push to the same place",
        ),
        (json!([{"storeRef": aws}]), one, "spec.dataTo[0] and spec.data[0] push to the same place"),
        (
            json!([{"storeRef": aws, "rewrite": [{"regexp": {"source": "a", "target": ""}}]}]),
            json!([]),
            "spec.dataTo[0].rewrite makes a name of no characters",
        ),
        (json!([{"storeRef": {"name": "none"}}]), json!([]), "none of spec.secretStoreRefs"),
        (json!([{}]), json!([]), "spec.dataTo[0].storeRef is not set"),
        (json!([{"storeRef": {"labelSelector": {}}}]), json!([]), "labelSelector is not supported"),
        (
            json!([{"storeRef": aws, "match": {"regexp": "("}}]),
            json!([]),
            "spec.dataTo[0].match.regexp",
        ),
        (
            json!([{"storeRef": aws, "conversionStrategy": "X"}]),
            json!([]),
            "which this release does not know",
        ),
        (
            json!([{"storeRef": aws, "metadata": {"kind": "X"}}]),
            json!([]),
            "spec.dataTo[0].metadata",
        ),
    ] {
        let refused = expanded(&data_to(&wanted, &data), &keys).unwrap_err().to_string();
        assert!(refused.contains(text), "{refused}\nis not\n{text}");
    }
    let many: Vec<_> = (0..501).map(|nth| nth.to_string()).collect();
    assert!(entries::check_keys(2000).is_ok());
    assert!(matches!(entries::check_keys(2001), Err(PushError::ManyKeys { count: 2001, .. })));
    let all = data_to(&json!([{"storeRef": aws}]), &json!([]));
    assert!(expanded(&all, &many[..500]).is_ok());
    assert!(expanded(&all, &many).unwrap_err().to_string().contains("501"));
}

#[test]
fn data_to_reads_keys_after_their_conversion() {
    let keys = ["_U0040_a".to_owned(), "b".to_owned()];
    let reverse = json!([{"storeRef": {"name": "aws"}, "conversionStrategy": "ReverseUnicode",
        "match": {"regexp": "^@"}}]);
    let found = expanded(&data_to(&reverse, &json!([])), &keys).unwrap();
    assert_eq!(found, [(("SecretStore/aws".into(), "@a".into()), vec!["@a".into()])].into());

    // What `data` names is the same key, whatever either of them calls it.
    let all = json!([{"storeRef": {"name": "aws"}, "conversionStrategy": "ReverseUnicode"}]);
    let mut by_data = entry("_U0040_a", "special", "");
    let plain = expanded(&data_to(&all, &json!([by_data])), &keys).unwrap();
    by_data["match"]["secretKey"] = json!("@a");
    by_data["conversionStrategy"] = json!("ReverseUnicode");
    let reversed = expanded(&data_to(&all, &json!([by_data])), &keys).unwrap();
    let names = |found: &BTreeMap<(String, String), Vec<String>>| -> Vec<String> {
        let remotes = found.keys().map(|(_, remote)| remote.clone());
        remotes.filter(|remote| remote != "special").collect()
    };
    assert_eq!((names(&plain), names(&reversed)), (vec!["b".into()], vec!["b".into()]));
    by_data["conversionStrategy"] = json!("None");
    let another = expanded(&data_to(&all, &json!([by_data])), &keys).unwrap();
    assert_eq!(names(&another), ["@a", "b"], "there is no key of that name");
}

#[test]
fn only_what_somebody_changed_is_urgent() {
    let mut object = PushSecret::new("p", of(&json!([entry("a", "db", "")])));
    object.metadata.generation = Some(1);
    assert!(report::is_edited(&object, "m"), "it is new");
    let stamp = Stamp {
        started: Timestamp::UNIX_EPOCH,
        version: report::version(&object),
        source: "m".into(),
        heartbeat: SignedDuration::from_mins(15),
    };
    let pushed: Synced =
        [("SecretStore/aws".to_owned(), [("db".to_owned(), object.spec.data[0].clone())].into())]
            .into();
    object.status = Some(report::status_ahead(&object, &pushed));
    assert!(report::is_edited(&object, "m"), "it is announced");
    assert!(!report::is_by_gabion(&object));
    object.status = next_status(&object, &Outcome::Synced, pushed.clone(), &stamp);
    assert!(!report::is_edited(&object, "m"), "a comparison");
    assert!(report::is_by_gabion(&object));
    assert_eq!(report::status_ahead(&object, &Synced::new()), object.status.clone().unwrap());
    assert!(report::is_edited(&object, "other"), "its Secret changed");
    let (cause, retry) = (String::new(), crate::retry::Retry::Backoff);
    let failed = Outcome::Failed { cause, others: 0, retry };
    object.status = next_status(&object, &failed, pushed, &stamp);
    assert!(!report::is_edited(&object, "other"), "a try after a failure");
    object.metadata.generation = Some(2);
    assert!(report::is_edited(&object, "m"), "edited");
    // As another operator leaves it: its patch replaces the conditions, and knows nothing of ours.
    if let Some(status) = &mut object.status {
        status.conditions[0].observed_generation = None;
    }
    assert!(!report::is_by_gabion(&object));
}

#[test]
fn an_interval_is_never_shorter_than_the_least() {
    let interval = |text: &str| {
        let mut spec = of(&json!([entry("a", "db", "")]));
        spec.refresh_interval = Some(text.to_owned());
        entries::interval(&spec).map(|interval| interval.as_millis())
    };
    for (text, millis) in
        [("1ms", 5_000), ("5s", 5_000), ("6s", 6_000), ("0", 0), ("1h", 3_600_000)]
    {
        assert_eq!(interval(text), Ok(millis), "{text}");
    }
    assert!(interval("soon").is_err());
}

#[test]
fn a_creation_whose_end_is_not_known_stays_on_record() {
    let key = || "db".to_owned();
    let refused = |reason: &str| ProviderError::Invalid { key: key(), reason: reason.to_owned() };
    for (error, nothing) in [
        (ProviderError::Throttled, true),
        (ProviderError::Credentials { reason: String::new() }, true),
        (ProviderError::Denied { identity: key(), action: "a", key: key() }, true),
        (refused("ValidationException to secretsmanager:CreateSecret"), true),
        (refused("ResourceExistsException to secretsmanager:CreateSecret"), false),
        (refused("ParameterAlreadyExists to ssm:PutParameter"), false),
        (ProviderError::Unavailable { reason: key(), source: None }, false),
    ] {
        assert_eq!(has_made_nothing(&error), nothing, "{error}");
    }
}

#[test]
fn policies_of_a_parameter_are_written_when_they_change() {
    let with = |policies: Value| {
        let spec = json!({"tier": {"type": "Advanced", "policies": policies}});
        settings("", Some(&metadata(&spec))).unwrap()
    };
    let policy =
        |days: u8| json!([{"Type": "NoChangeNotification", "Attributes": {"After": days}}]);
    let remote = Remote {
        repeated: [("Tier", "Advanced".to_owned()), ("Type", "String".to_owned())].into(),
        ..Remote::default()
    };
    let none = settings("", None).unwrap();
    for (before, now, writes) in [
        (Some(with(policy(1))), with(policy(1)), false),
        (Some(with(policy(1))), with(policy(2)), true),
        (Some(none.clone()), with(policy(1)), true),
        // What is not named stays as it is, and what was there before nobody knows.
        (Some(with(policy(1))), none, false),
        (None, with(policy(1)), false),
    ] {
        let amends = corrections(&remote, &now, before.as_ref());
        assert_eq!(amends.with_value, writes, "{before:?} {now:?}");
    }
}

#[test]
fn no_text_of_a_refusal_holds_a_value() {
    let secret = "hunter2";
    let group = groups(&json!([entry("a", "db", "x")])).unwrap().remove(0);
    let parts = Parts::from([("x".to_owned(), bytes(secret))]);
    let existing = bytes(secret);
    let service = Service::SecretsManager;
    let error = value::desired(&group, &parts, Some(&existing), service).unwrap_err();
    assert!(matches!(error, PushError::NotAnObject { .. }) && !error.to_string().contains(secret));
    let large = Parts::from([("x".to_owned(), bytes(&secret.repeat(10_000)))]);
    let error = value::desired(&group, &large, None, service).unwrap_err();
    assert!(matches!(error, PushError::TooLarge { .. }) && !error.to_string().contains(secret));
}
