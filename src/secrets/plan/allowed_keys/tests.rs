use proptest::prelude::*;

use super::*;

fn labels(team: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), team.to_owned())])
}

const LIST: &str = "
- namespaces: [shop]
  keys: [common/db, 'shop/*']
- namespaceSelector: {matchLabels: {team: core}}
  keys: ['core/*/password']
- namespaceSelector: {}
  keys: ['tenants/{namespace}/*']
";

#[test]
fn a_namespace_reads_what_its_rules_name_and_nothing_else() {
    let list = AllowedKeys::read(LIST);
    assert_eq!(list.problem(), None);
    let none = BTreeMap::new();
    for (namespace, labels, key, access) in [
        ("shop", &none, "common/db", Access::Allowed),
        ("shop", &none, "shop/a/b", Access::Allowed),
        ("shop", &none, "shop/", Access::Allowed),
        ("shop", &none, "common/db2", Access::Denied),
        ("shop", &none, "shop", Access::Denied),
        ("shop", &none, "Shop/a", Access::Denied),
        ("shop", &none, "tenants/shop/x", Access::Allowed),
        ("shop", &none, "tenants/shop2/x", Access::Denied),
        ("cart", &none, "tenants/shop/x", Access::Denied),
        ("cart", &none, "common/db", Access::Denied),
        ("cart", &labels("core"), "core/db/password", Access::Allowed),
        ("cart", &labels("edge"), "core/db/password", Access::Denied),
    ] {
        let patterns = list.of(namespace, Some(labels)).unwrap();
        assert_eq!(patterns.decide(key), access, "{namespace} {key}");
    }
}

#[test]
fn labels_that_are_not_known_allow_nothing() {
    let list = AllowedKeys::read(LIST);
    let patterns = list.of("shop", None).unwrap();
    assert_eq!(patterns.decide("common/db"), Access::Allowed, "by its name");
    assert_eq!(patterns.decide("core/db/password"), Access::Unknown);
    assert_eq!(patterns.decide_any(), Access::Unknown);
    let by_name = AllowedKeys::read("[{namespaces: [shop], keys: [a]}]");
    assert_eq!(by_name.of("shop", None).unwrap().decide_any(), Access::Allowed);
    assert_eq!(by_name.of("cart", None).unwrap().decide_any(), Access::Denied);
}

#[test]
fn an_arn_needs_a_pattern_for_arns() {
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:shop/db-AbCdEf";
    for (pattern, allowed) in
        [("*", true), ("arn:*:secret:shop/*", true), ("*/db*", false), ("a*", false)]
    {
        assert_eq!(matches(pattern, arn), allowed, "{pattern}");
    }
}

#[test]
fn a_list_that_cannot_be_read_allows_nothing_and_says_why() {
    let many = format!("[{{namespaces: [a], keys: [{}]}}]", "a,".repeat(300));
    let long = format!("[{{namespaces: [a], keys: [{}]}}]", "a".repeat(3000));
    for (text, said) in [
        ("", "no rule"),
        ("[]", "no rule"),
        ("a: b", "no list of rules"),
        ("[", "no list of rules"),
        ("[{keys: [a]}]", "[0] names no namespaces"),
        ("[{namespaces: [a]}]", "no list of rules"),
        ("[{namespaces: [a], keys: []}]", "[0].keys is empty"),
        ("[{namespaces: [a], keys: ['']}]", "[0].keys[0] is empty"),
        ("[{namespaces: [a], keys: [a], deny: [b]}]", "no list of rules"),
        // A slip that would otherwise select every namespace.
        ("[{namespaceSelector: {matchLabel: {a: b}}, keys: [a]}]", "no list of rules"),
        (
            "[{namespaceSelector: {matchExpressions: [{key: a, operator: Like}]}, keys: [a]}]",
            "[0].namespaceSelector cannot be evaluated",
        ),
        (&many, "more than"),
        (&long, "longer than"),
        (&"#".repeat(70_000), "70000 bytes"),
    ] {
        let list = AllowedKeys::read(text);
        let problem = list.problem().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(problem.contains(said), "{text}: {problem}");
        assert!(list.of("a", Some(&BTreeMap::new())).is_err());
    }
}

#[test]
fn hostile_keys_and_patterns_cost_little() {
    let begun = std::time::Instant::now();
    let pattern = "a*".repeat(1000) + "b";
    assert!(!matches(&pattern, &"a".repeat(2048)));
    let list = AllowedKeys::read("[{namespaces: [a], keys: ['*']}]");
    let patterns = list.of("a", None).unwrap();
    assert!(!patterns.allows(&"a".repeat(1 << 20)), "longer than a provider takes");
    assert!(begun.elapsed().as_secs() < 1);
}

/// By the definition: a star takes nothing, or one character and then what a star takes.
fn naive(pattern: &[char], key: &[char]) -> bool {
    match (pattern.first(), key.first()) {
        (None, None) => true,
        (Some('*'), _) if naive(&pattern[1..], key) => true,
        (Some('*'), Some(_)) => naive(pattern, &key[1..]),
        (Some(wanted), Some(found)) => wanted == found && naive(&pattern[1..], &key[1..]),
        _ => false,
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

proptest! {
    #[test]
    fn a_pattern_matches_as_by_its_definition(pattern in "[ab*é/]{1,8}", key in "[abé/]{0,10}") {
        prop_assert_eq!(matches(&pattern, &key), naive(&chars(&pattern), &chars(&key)));
    }

    /// Any list, any namespace: as if each rule were asked by itself.
    #[test]
    fn a_decision_is_that_of_its_rules(
        rules in prop::collection::vec(
            (prop::collection::vec("[ab]", 0..3), prop::option::of("[xy]"), prop::collection::vec("[ab*]{1,3}", 1..3)),
            1..4,
        ),
        namespace in "[ab]", team in prop::option::of("[xy]"), known in any::<bool>(), key in "[ab]{0,3}",
    ) {
        let written: Vec<_> = rules
            .iter()
            .filter(|(names, label, _)| !names.is_empty() || label.is_some())
            .map(|(names, label, keys)| {
                let mut rule = serde_json::json!({"namespaces": names, "keys": keys});
                if let Some(label) = label {
                    rule["namespaceSelector"] = serde_json::json!({"matchLabels": {"team": label}});
                }
                rule
            })
            .collect();
        prop_assume!(!written.is_empty());
        let list = AllowedKeys::read(&serde_json::Value::from(written).to_string());
        let own: BTreeMap<_, _> = team.iter().map(|team| ("team".to_owned(), team.clone())).collect();
        let decided = list.of(&namespace, known.then_some(&own)).unwrap().decide(&key);

        let matching = rules.iter().filter(|(.., keys)| keys.iter().any(|one| naive(&chars(one), &chars(&key))));
        let matching: Vec<_> = matching.collect();
        let lets_in = |(names, label, _): &&(Vec<String>, Option<String>, Vec<String>)| {
            names.contains(&namespace) || (known && label.is_some() && *label == team)
        };
        if decided == Access::Allowed {
            prop_assert!(matching.iter().any(&lets_in));
        } else {
            prop_assert!(!matching.iter().any(lets_in));
            let open = !known && rules.iter().any(|(names, label, _)| label.is_some() && !names.contains(&namespace));
            prop_assert_eq!(decided, if open { Access::Unknown } else { Access::Denied });
        }
    }
}
