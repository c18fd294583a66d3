use super::*;

/// A secret with something of everything.
const SECRET: &str = r#"{"user":"admin","pass":"p\"w\n\u00e9\ud83d\ude00","port":5432,"big":12345678901234567890,"rate":1.50,"exp":1e3,"neg":-0.0,"tiny":0.1e-7,"huge":1E400,"on":true,"off":false,"none":null,"empty":"","half":"\ud800x","db.host":"flat","db":{"host":"deep","port":5433,"tags":["a","b","c"], "deep" : { "x" : 1 }},"hosts":[{"name":"h1","port":1,"up":true},{"name":"h2","port":22},{"name":"web","port":333,"nets":["ig","fb"]}],"nested":[[1,2],[3,[4]],5],"a*b":"star","k|v":"pipe","@this":"at","json":"{\"in\":[1,2]}","html":"<b>&"}"#;

/// Paths in it and what gjson 1.18 makes of them.
const FOUND: &[(&str, Option<&str>)] = &[
    ("user", Some("admin")),
    ("pass", Some("p\"w\né😀")),
    ("port", Some("5432")),
    ("big", Some("12345678901234567890")),
    ("rate", Some("1.5")),
    ("exp", Some("1000")),
    ("neg", Some("-0")),
    ("tiny", Some("0.00000001")),
    ("huge", Some("+Inf")),
    ("on", Some("true")),
    ("off", Some("false")),
    ("none", Some("")),
    ("empty", Some("")),
    ("half", Some("�x")),
    ("db.host", Some("flat")),
    ("db.port", Some("5433")),
    ("db", Some(r#"{"host":"deep","port":5433,"tags":["a","b","c"], "deep" : { "x" : 1 }}"#)),
    ("db.deep", Some(r#"{ "x" : 1 }"#)),
    ("db.deep.x", Some("1")),
    ("db.tags", Some(r#"["a","b","c"]"#)),
    ("db.tags.0", Some("a")),
    ("db.tags.#", Some("3")),
    ("db.tags.3", None),
    ("db.tags.x", None),
    ("absent", None),
    ("db.absent", None),
    ("user.x", None),
    ("hosts.#", Some("3")),
    ("hosts.#.name", Some(r#"["h1","h2","web"]"#)),
    ("hosts.#.absent", Some("[]")),
    ("hosts.1.name", Some("h2")),
    ("hosts.#(port>20).name", Some("h2")),
    ("hosts.#(port>20)#.name", Some(r#"["h2","web"]"#)),
    (r#"hosts.#(name=="h2").port"#, Some("22")),
    (r#"hosts.#(name%"h*")#.port"#, Some("[1,22]")),
    (r#"hosts.#(name!%"h*")#.port"#, Some("[333]")),
    ("hosts.#(up==true).name", Some("h1")),
    ("hosts.#(up)#.name", Some(r#"["h1"]"#)),
    (r#"hosts.#(nets.#(=="fb")).name"#, Some("web")),
    ("hosts.#(port<=1).name", Some("h1")),
    ("hosts.#(port==99)", None),
    ("hosts.#(port==99)#", Some("[]")),
    ("hosts.#(up!=~true)#.name", Some(r#"["h2","web"]"#)),
    ("hosts.#(up==~false).name", Some("h2")),
    (r#"db.tags.#(>"a")#"#, Some(r#"["b","c"]"#)),
    (r#"db.tags.#(="b")"#, Some("b")),
    ("*", Some("admin")),
    ("us*", Some("admin")),
    ("u?er", Some("admin")),
    ("d*.port", Some("5433")),
    (r"a\*b", Some("star")),
    (r"k\|v", Some("pipe")),
    (r"db\.host", Some("flat")),
    ("hosts|0|name", Some("h1")),
    ("hosts.#.name|0", Some("h1")),
    ("hosts.#.name|@reverse", Some(r#"["web","h2","h1"]"#)),
    ("db.tags.@reverse", Some(r#"["c","b","a"]"#)),
    ("db.deep.@keys", Some(r#"["x"]"#)),
    ("db.deep.@values", Some("[1]")),
    ("nested.@flatten", Some("[1,2,3,[4],5]")),
    (r#"nested.@flatten:{"deep":true}"#, Some("[1,2,3,4,5]")),
    ("@keys|0", Some("user")),
    ("json.@fromstr", Some(r#"{"in":[1,2]}"#)),
    ("json.@fromstr.in.1", Some("2")),
    ("db.deep.@tostr", Some(r#"{ "x" : 1 }"#)),
    ("html.@tostr", Some(r#""<b>&""#)),
    ("db.deep.@ugly", Some(r#"{"x":1}"#)),
    ("db.deep.@valid", Some(r#"{ "x" : 1 }"#)),
    ("@this|user", Some("admin")),
    ("@this.user", Some("admin")),
    (r"\@this", Some("at")),
    ("@nosuch", None),
    ("01", None),
    ("nested.0.1", Some("2")),
    ("nested.1.1.0", Some("4")),
    ("nested.#.#", Some("[2,2]")),
];

fn found(json: &str, path: &str) -> Option<String> {
    let found = find(json.as_bytes(), path).unwrap();
    found.map(|bytes| String::from_utf8_lossy(bytes.expose()).into_owned())
}

#[test]
fn paths_find_what_gjson_finds() {
    for &(path, expected) in FOUND {
        assert_eq!(found(SECRET, path).as_deref(), expected, "{path}");
    }
}

#[test]
fn a_key_with_dots_is_looked_for_as_it_is_first() {
    let json = r#"{"a.b":"flat","a":{"b":"deep","c":"only deep"}}"#;
    assert_eq!(found(json, "a.b").as_deref(), Some("flat"));
    assert_eq!(found(json, "a.c").as_deref(), Some("only deep"));
}

#[test]
fn a_modifier_of_nothing_makes_something_as_in_go() {
    assert_eq!(found(SECRET, "absent.@keys").as_deref(), Some("[]"));
    assert_eq!(found(SECRET, "absent|@tostr").as_deref(), Some(""));
    assert_eq!(found(SECRET, "absent.deeper.@keys"), None);
    assert_eq!(found(SECRET, "absent|@this"), None);
}

#[test]
fn joined_objects_have_each_key_once_unless_all_are_to_be_kept() {
    let json = r#"[{"a":1,"b":2},3,{"a":4}]"#;
    assert_eq!(found(json, "@join").as_deref(), Some(r#"{"a":4,"b":2}"#));
    assert_eq!(
        found(json, r#"@join:{"preserve":true}"#).as_deref(),
        Some(r#"{"a":1,"b":2,"a":4}"#)
    );
}

#[test]
fn a_later_key_of_the_same_name_may_lead_further() {
    assert_eq!(found(r#"{"a":1,"a":{"b":2}}"#, "a").as_deref(), Some("1"));
    assert_eq!(found(r#"{"a":1,"a":{"b":2}}"#, "a.b").as_deref(), Some("2"));
}

#[test]
fn nothing_is_found_in_what_is_no_container() {
    for json in ["1", "null", "\"text\"", "[]", "{}", " [ 1 ] "] {
        assert_eq!(found(json, "a"), None, "{json}");
    }
}

/// Finding A of the public reports: a slip outside of the value hides nothing.
#[test]
fn reports_1_a_slip_outside_of_the_value_does_no_harm() {
    for (json, path, value) in [
        (r#"{"user":"svc","password":"p-1",}"#, "password", Some("p-1")),
        (r#"{"user":"svc"} trailing"#, "user", Some("svc")),
        (r#"{"user":"svc""#, "user", Some("svc")),
        (r#"garbage {"user":"svc"}"#, "user", Some("svc")),
        (r#"{'x':1,"user":"svc"}"#, "user", Some("svc")),
        ("\u{feff}{\"user\":\"svc\"}", "user", Some("svc")),
        (r#"{"user":"svc","a":tru}"#, "a", Some("true")),
        (r#"{"user":"svc"#, "user", None),
        ("", "user", None),
        ("plain", "user", None),
    ] {
        assert_eq!(found(json, path).as_deref(), value, "{json}");
    }
    let found = |json: &[u8]| find(json, "user").unwrap().map(|found| found.expose().to_vec());
    assert_eq!(found(b"{\"user\":\"svc\"}\xff").unwrap(), b"svc");
    assert_eq!(found(b"{\"\xfe\":1,\"user\":\"s\xffc\"}").unwrap(), b"s\xffc");
}

#[test]
fn extract_refuses_what_is_not_json() {
    for json in ["", "plain", "{", "{\"a\":1}}", "{'a':1}", "{\"a\":1,}", "[1,]", "\u{feff}{}"] {
        assert_eq!(super::entries(json.as_bytes()), Err(PropertyError::NotJson), "{json}");
    }
    assert_eq!(super::entries(&[b'"', 0xff, b'"']), Err(PropertyError::NotJson));
}

#[test]
fn work_without_end_is_refused() {
    let wide = format!("[{}]", vec!["[[1,2],[3,4]]"; 2000].join(","));
    let dig = ["@dig:@this"; 12].join("|");
    assert_eq!(find(wide.as_bytes(), &dig), Err(PropertyError::TooDeep));
    let copies = format!("[{}]", vec!["@this"; 150].join(","));
    assert!(find(wide.as_bytes(), &copies).is_err(), "a hundred and fifty copies");
    let text = "a".repeat(50_000);
    let stars = format!("*{}b", "a".repeat(500));
    assert!(find(format!("{{\"{text}\":1}}").as_bytes(), &stars).is_err());
}

#[test]
fn long_and_deep_paths_are_refused() {
    assert_eq!(find(b"{}", &"a".repeat(1025)), Err(PropertyError::TooDeep));
    let deep = "[".repeat(120) + &"]".repeat(120);
    assert_eq!(find(deep.as_bytes(), &vec!["0"; 110].join(".")), Err(PropertyError::TooDeep));
    assert_eq!(find(deep.as_bytes(), "@flatten:{\"deep\":true}"), Err(PropertyError::TooDeep));
    let pipes = vec!["@tostr"; 100].join("|");
    assert_eq!(find(SECRET.as_bytes(), &pipes), Err(PropertyError::TooDeep));
}

#[test]
fn a_hundred_thousand_brackets_are_walked_without_a_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(found(&format!("{{\"a\":{deep},\"b\":1}}"), "b").as_deref(), Some("1"));
    assert_eq!(found(&deep, "0.0.0.#").as_deref(), Some("1"));
}

#[test]
fn entries_are_strings_unquoted_and_everything_else_as_written() {
    let entries = entries(
        br#" { "a\u002fb" : "x\ny", "n":1.50, "o":{ "p" : [1, 2] }, "z":null, "a":1,"a":2 } "#,
    )
    .unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value.expose())))
        .collect();
    assert_eq!(shown, ["a=2", "a/b=x\ny", "n=1.50", r#"o={ "p" : [1, 2] }"#, "z="]);
    assert_eq!(super::entries(b"[1]"), Err(PropertyError::NotAnObject));
}

mod fuzz {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{entries, find};

    static VECTORS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../../tests/golden/gjson.json")).unwrap()
    });

    /// All texts of a field of the golden vectors.
    fn texts(field: &'static str) -> impl Strategy<Value = String> {
        let texts: Vec<_> = VECTORS
            .iter()
            .filter_map(|vector| vector[field].as_str().map(ToOwned::to_owned))
            .collect();
        prop::sample::select(texts)
    }

    /// A text with a part of it replaced.
    fn changed(text: &str, at: usize, length: usize, with: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let at = at % (chars.len() + 1);
        let end = (at + length).min(chars.len());
        chars[..at]
            .iter()
            .copied()
            .chain(with.chars())
            .chain(chars[end..].iter().copied())
            .collect()
    }

    proptest! {
        #[test]
        fn no_path_and_no_bytes_can_make_it_fail_otherwise_than_by_an_error(
            path in r#"[a-c0-2.#|*?\\()=<>!%~@"\[\]{}:]{0,24}|[\\[{]?@?(keys|values|flatten|tostr|fromstr|join|ugly|reverse|pretty|dig|group|this)[.|:a#0{}\\],!@]{0,6}"#,
            json in r#"[\[\]{}",:0-2a-c\\ \n.eé-]{0,40}"#,
        ) {
            let _ = find(json.as_bytes(), &path);
            let _ = entries(json.as_bytes());
            let _ = find(super::SECRET.as_bytes(), &path);
        }

        #[test]
        fn no_changed_vector_makes_a_search_panic(
            path in texts("path"),
            json in texts("json"),
            at in any::<[u16; 2]>(),
            with in r#"[{}()|.$:=,"`\\#@a0é-]{0,3}"#,
            length in 0_usize..8,
        ) {
            let path = changed(&path, at[0].into(), length % 3, &with);
            let json = changed(&json, at[1].into(), length, &with);
            let _ = find(json.as_bytes(), &path);
            let _ = entries(json.as_bytes());
        }
    }
}
