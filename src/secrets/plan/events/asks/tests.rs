use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::provider::Filter;
use crate::secrets::plan::events::parse::{Event, Source};
use crate::secrets::plan::events::secret::without_suffix;

const REGION: &str = "eu-west-1";
const ACCOUNT: &str = "123456789012";

fn store(name: &str) -> StoreId {
    StoreId { cluster: false, name: name.into() }
}

fn read(key: &str, version: Version, content: Content) -> Ask {
    Ask::Read(ReadRequest { key: key.into(), version, content })
}

fn find(path: &str, regexp: Option<&str>, tags: &[(&str, &str)]) -> Ask {
    let tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let filter = Filter { path: path.into(), tags };
    Ask::Find(Search { filter, regexp: regexp.map(Into::into) })
}

fn lookup(store: StoreId, ask: Ask) -> Lookup {
    Lookup { field: String::new(), store, ask }
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCd12")
}

fn event(name: &str, change: Change) -> Event {
    Event {
        source: Source::Native,
        id: "1".into(),
        time: None,
        secret: EventSecret {
            holder: Holder::SecretsManager,
            region: REGION.into(),
            account: Some(ACCOUNT.into()),
            arn: Some(arn(name)),
            names: vec![name.into()],
        },
        change,
        version: None,
    }
}

fn label(label: &str) -> Change {
    Change::Label(label.into())
}

/// `plain`, `prefixed` (shop/), `elsewhere` (another region), `parameters`, `foreign` (a role of another account).
fn facts(store: &StoreId, _: &ObjectKey) -> Option<StoreFacts> {
    let plain = StoreFacts {
        holder: Holder::SecretsManager,
        region: REGION.into(),
        prefix: String::new(),
        account: None,
    };
    Some(match &*store.name {
        "plain" => plain,
        "prefixed" => StoreFacts { prefix: "shop/".into(), ..plain },
        "elsewhere" => StoreFacts { region: "us-east-1".into(), ..plain },
        "parameters" => StoreFacts { holder: Holder::ParameterStore, ..plain },
        "foreign" => StoreFacts { account: Some("999999999999".into()), ..plain },
        _ => return None,
    })
}

fn prefixes() -> BTreeSet<String> {
    ["", "shop/"].map(Into::into).into()
}

/// Which of several asks an event wakes, each in an object of its own.
fn woken(asks: &[(&str, Ask)], event: &Event) -> Vec<usize> {
    let mut index = Asks::default();
    let key = |nth: usize| ObjectKey::new("ns", &format!("{nth:03}"));
    for (nth, (name, ask)) in asks.iter().enumerate() {
        index.put(&key(nth), vec![lookup(store(name), ask.clone())], true);
    }
    let found = index.readers(&event.secret, &event.change, &prefixes(), facts);
    (0..asks.len()).filter(|nth| found.iter().any(|it| it.object == key(*nth))).collect()
}

#[test]
fn t2_exactly_those_that_ask_for_the_secret_are_concerned() {
    let (current, whole) = (Version::Current, arn("shop/db"));
    let value = |key: &str| read(key, current.clone(), Content::Value);
    let asks = [
        ("plain", value("shop/db")),
        ("plain", value(&whole)),
        ("plain", value(without_suffix(&whole).unwrap())),
        ("prefixed", value("db")),
        ("plain", find("shop/", None, &[])),
        ("plain", find("", Some("^shop/d"), &[])),
        ("prefixed", find("d", None, &[])),
        ("plain", find("", None, &[("team", "shop")])),
        // None of these.
        ("plain", value("db")),
        ("prefixed", value("shop/db")),
        ("elsewhere", value("shop/db")),
        ("parameters", value("shop/db")),
        ("foreign", value("shop/db")),
        ("unknown", value("shop/db")),
        ("plain", value("shop/db-AbCd12")),
        ("plain", find("other/", None, &[])),
        ("plain", find("", Some("^db"), &[])),
        ("plain", find("", Some("("), &[])),
        ("plain", read("shop/db", Version::Id("v".into()), Content::Value)),
        ("plain", read("shop/db", Version::Stage("blue".into()), Content::Value)),
        ("plain", read("shop/db", current.clone(), Content::Tags)),
    ];
    assert_eq!(woken(&asks, &event("shop/db", label("AWSCURRENT"))), (0..8).collect::<Vec<_>>());
}

#[test]
fn e10_a_label_wakes_those_that_read_by_it() {
    let by = |version| ("plain", read("db", version, Content::Value));
    let asks = [
        by(Version::Current),
        by(Version::Stage("AWSCURRENT".into())),
        by(Version::Stage("AWSPREVIOUS".into())),
        by(Version::Stage("blue".into())),
        by(Version::Id("v".into())),
        ("plain", read("db", Version::Current, Content::Tags)),
        ("plain", find("", Some("db"), &[])),
        ("plain", find("", None, &[("team", "shop")])),
    ];
    for (change, wanted) in [
        (label("AWSCURRENT"), vec![0, 1, 2, 6, 7]),
        (label("blue"), vec![3]),
        (label("AWSPENDING"), vec![]),
        (Change::Any, vec![0, 1, 2, 3, 5, 6, 7]),
        (Change::Tags, vec![5, 7]),
    ] {
        assert_eq!(woken(&asks, &event("db", change.clone())), wanted, "{change:?}");
    }
}

#[test]
fn those_that_events_do_not_refresh_are_consumers_all_the_same() {
    let (mut asks, key) = (Asks::default(), ObjectKey::new("ns", "a"));
    let ask = read("db", Version::Current, Content::Value);
    asks.put(&key, vec![lookup(store("plain"), ask)], false);
    let event = event("db", label("AWSCURRENT"));
    let readers = |asks: &Asks| asks.readers(&event.secret, &event.change, &prefixes(), facts);
    assert!(matches!(&readers(&asks)[..], [Reader { heeds: false, .. }]));
    asks.remove(&key);
    assert!(readers(&asks).is_empty());
    assert!(asks.by_name.is_empty() && asks.patterns.is_empty() && asks.objects.is_empty());
}

/// Every ask of every object, compared with the secret by the words of the contract.
fn naive(objects: &BTreeMap<u8, Vec<(StoreId, Ask)>>, event: &Event) -> Vec<(u8, bool)> {
    let name = &event.secret.names[0];
    let arn = event.secret.arn.clone().unwrap();
    let concerned = |store: &StoreId, ask: &Ask| {
        let facts = facts(store, &ObjectKey::new("", ""))?;
        if facts.holder != Holder::SecretsManager || facts.region != REGION {
            return None;
        }
        match ask {
            Ask::Read(request) => {
                let full = format!("{}{}", facts.prefix, request.key);
                let is_arn = full == arn || full == arn[..arn.len() - 7];
                let is_name = full == *name && facts.account.is_none();
                let counts = match (&request.version, request.content, &event.change) {
                    (_, Content::Tags, change) => !matches!(change, Change::Label(_)),
                    (_, _, Change::Tags) | (Version::Id(_), ..) => false,
                    (_, _, Change::Any) => true,
                    (Version::Current, _, Change::Label(label)) => label == "AWSCURRENT",
                    (Version::Stage(stage), _, Change::Label(label)) => {
                        stage == label || (stage == "AWSPREVIOUS" && label == "AWSCURRENT")
                    }
                };
                ((is_arn || is_name) && counts).then_some(false)
            }
            Ask::Find(search) => {
                let tagged = !search.filter.tags.is_empty();
                let counts = match &event.change {
                    Change::Any => true,
                    Change::Label(label) => label == "AWSCURRENT",
                    Change::Tags => tagged,
                };
                let path = &search.filter.path;
                let path = if path.starts_with(&facts.prefix) {
                    path.clone()
                } else {
                    facts.prefix.clone() + path
                };
                let matches = search.regexp.as_ref().is_none_or(|it| name.contains(&**it));
                (counts && name.starts_with(&path) && matches).then_some(tagged)
            }
        }
    };
    let mut found = Vec::new();
    for (key, asks) in objects {
        let all: Vec<bool> = asks.iter().filter_map(|(s, ask)| concerned(s, ask)).collect();
        if !all.is_empty() {
            found.push((*key, all.iter().all(|guess| *guess)));
        }
    }
    found
}

fn any_ask() -> impl Strategy<Value = (StoreId, Ask)> {
    let stores = ["plain", "prefixed", "elsewhere", "parameters", "foreign", "unknown"];
    let name = prop::sample::select(vec!["a", "b", "shop/a", "shop/b", "shop/"]);
    let version = prop::sample::select(vec![
        Version::Current,
        Version::Stage("AWSCURRENT".into()),
        Version::Stage("AWSPREVIOUS".into()),
        Version::Stage("blue".into()),
        Version::Id("v".into()),
    ]);
    let key = (name.clone(), 0..3_u8).prop_map(|(name, form)| match form {
        0 => name.to_owned(),
        1 => arn(name),
        _ => without_suffix(&arn(name)).unwrap().to_owned(),
    });
    let content = prop_oneof![4 => Just(Content::Value), 1 => Just(Content::Tags)];
    let reads =
        (key, version, content).prop_map(|(key, version, content)| read(&key, version, content));
    let finds = (
        prop::sample::select(vec!["", "shop/", "a"]),
        prop::sample::select(vec![None, Some("a"), Some("shop")]),
        any::<bool>(),
    );
    let finds = finds.prop_map(|(path, regexp, tagged)| {
        find(path, regexp, if tagged { &[("team", "shop")] } else { &[] })
    });
    let ask = prop_oneof![3 => reads, 1 => finds];
    (prop::sample::select(stores.to_vec()).prop_map(store), ask)
}

fn any_change() -> impl Strategy<Value = Change> {
    let labels = ["AWSCURRENT", "AWSPREVIOUS", "blue", "AWSPENDING"];
    prop_oneof![
        4 => prop::sample::select(labels.to_vec()).prop_map(label),
        1 => Just(Change::Any),
        1 => Just(Change::Tags),
    ]
}

proptest! {
    #[test]
    fn the_index_finds_what_a_look_at_every_ask_finds(
        steps in prop::collection::vec((0..8_u8, prop::collection::vec(any_ask(), 0..4)), 0..30),
        name in prop::sample::select(vec!["a", "b", "shop/a", "shop/b"]),
        change in any_change(),
    ) {
        let (mut index, mut objects) = (Asks::default(), BTreeMap::new());
        let key = |nth: u8| ObjectKey::new("ns", &nth.to_string());
        for (nth, asks) in steps {
            if asks.is_empty() {
                index.remove(&key(nth));
                objects.remove(&nth);
            } else {
                let lookups = asks.iter().map(|(store, ask)| lookup(store.clone(), ask.clone()));
                index.put(&key(nth), lookups.collect(), true);
                objects.insert(nth, asks);
            }
        }
        let event = event(name, change);
        let mut found: Vec<_> = index
            .readers(&event.secret, &event.change, &prefixes(), facts)
            .into_iter()
            .map(|reader| (reader.object.name.parse::<u8>().unwrap(), reader.is_guess))
            .collect();
        found.sort_unstable();
        prop_assert_eq!(found, naive(&objects, &event));
    }
}
