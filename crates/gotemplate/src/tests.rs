//! What the vectors from Go do not show: places of mistakes, bounds, the absence of values in messages.

use std::{rc::Rc, thread};

use jiff::Timestamp;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{
    Cache, Context, Data, Delimiters, Entries, Environment, Error, ErrorKind, Failure, KeyKind,
    Limits, List, Map, MissingKey, Template, Text, Type, Value, format,
};

/// Time stands still and chance is a counter.
struct Fixed;

impl Environment for Fixed {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = at.to_le_bytes()[0];
        }
        Ok(())
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("no keys here"))
    }
}

fn data(entries: &[(&str, &str)]) -> Value {
    let entries = entries.iter().map(|(key, value)| (Text::from(*key), text(value)));
    Value::Map(Map::new(&Type::String, entries.collect()))
}

fn text(text: &str) -> Value {
    Value::String(Text::from(text))
}

fn render_with(template: &str, data: Value, limits: &Limits) -> Result<String, Error> {
    let template = Template::parse("app.conf", template.as_bytes(), &Delimiters::default())?;
    let rendered = template.render(&Data(data), &mut Fixed, limits)?;
    Ok(String::from_utf8_lossy(&rendered).into_owned())
}

fn render(template: &str, entries: &[(&str, &str)]) -> Result<String, Error> {
    render_with(template, data(entries), &Limits::default())
}

fn failure(template: &str) -> Error {
    render(template, &[("secret", "hunter2")]).unwrap_err()
}

#[test]
fn a_mistake_is_found_by_template_line_and_column() {
    let error = failure("user: a\npass: {{ .passwrod }}\n");
    assert_eq!(error.to_string(), "template app.conf:2:10: map has no entry for key \"passwrod\"");
    assert_eq!(error.kind, ErrorKind::MissingKey);
}

#[test]
fn every_kind_of_broken_text_is_a_parse_error_with_its_place() {
    let broken = [
        ("a{{ end }}", 1, 2),
        ("{{ if .a }}\nx", 2, 2),
        ("\n\n{{ nofunc 1 }}", 3, 4),
        ("{{ $x }}", 1, 4),
        ("{{ \"a }}", 1, 4),
        ("{{ (1 }}", 1, 7),
        ("{{ 1 | 2 }}", 1, 8),
        ("{{ /* c */ }}", 1, 4),
        ("{{ break }}", 1, 4),
        ("{{ define \"a\" }}{{ define \"b\" }}{{ end }}{{ end }}", 1, 20),
        ("{{ .a", 1, 1),
        ("{{ 0x }}", 1, 4),
    ];
    for (text, line, column) in broken {
        let error = failure(text);
        let found = (error.kind, error.line, error.column);
        assert_eq!(found, (ErrorKind::Parse, line, column), "{text}: {error}");
    }
}

#[test]
fn a_stray_end_never_cuts_a_secret_short() {
    let error = failure("user={{ .secret }}{{ end }}\npass={{ .secret }}");
    assert_eq!(error.kind, ErrorKind::Parse);
}

#[test]
fn no_message_holds_a_value() {
    let templates = [
        "{{ .secret.x }}",
        "{{ range .secret }}{{ end }}",
        "{{ index .secret 99 }}",
        "{{ len (print .secret | len) }}",
        "{{ lt .secret 1 }}",
        "{{ template .secret }}",
        "{{ call .secret }}",
        "{{ index . .secret .secret }}",
        "{{ .secret 1 }}",
        "{{ eq .secret 1 }}",
        "{{ printf (len .secret) }}",
        "{{ $x := .secret }}{{ $x.y }}",
    ];
    for template in templates {
        let error = failure(template);
        assert!(!error.to_string().contains("hunter2"), "{template}: {error}");
    }
}

#[test]
fn a_time_is_formatted_by_its_method() {
    let template = "{{ now.UTC.Format \"2006-01-02 15:04 Mon\" }} {{ (now.AddDate 0 1 0).Month }}";
    assert_eq!(render(template, &[]).unwrap(), "1970-01-01 00:00 Thu February");
}

#[test]
fn sprigs_slice_hides_gos() {
    assert_eq!(render("{{ slice (list 1 2 3) 1 }}", &[]).unwrap(), "[2 3]");
    assert_eq!(failure("{{ slice .secret 1 }}").kind, ErrorKind::Function);
}

/// Each costs far more than it may, if nobody stops it.
#[test]
fn what_multiplies_values_stops_at_a_bound() {
    let bomb = "{{ $x := list 1 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}";
    let deep = "{{ $x := list }}{{ range 1000 }}{{ $x = list $x }}{{ end }}";
    let circle = "{{ $x := dict }}{{ $_ := set $x \"a\" $x }}";
    let uses = [
        "{{ $x }}",
        "{{ toJson $x }}",
        "{{ toYaml $x }}",
        "{{ deepCopy $x }}",
        "{{ toString $x }}",
    ];
    for make in [bomb, deep, circle] {
        for used in uses {
            let template = format!("{make}{used}");
            assert_eq!(failure(&template).kind, ErrorKind::Bound, "{template}");
        }
    }
}

#[test]
fn strings_are_bytes() {
    let data = Value::Map(Map::new(
        &Type::String,
        [(Text::from("key"), Value::String(Text::new(vec![0, 0xff, b'a'])))].into_iter().collect(),
    ));
    let template = Template::parse("t", b"\xfe{{ .key }}", &Delimiters::default()).unwrap();
    let rendered = template.render(&Data(data), &mut Fixed, &Limits::default()).unwrap();
    assert_eq!(rendered.as_slice(), [0xfe, 0, 0xff, b'a']);
}

#[test]
fn an_empty_delimiter_is_the_default_one() {
    let delimiters = Delimiters { left: "[[".to_owned(), right: String::new() };
    let template = Template::parse("t", b"[[ .a }} {{ .a }}", &delimiters).unwrap();
    let rendered =
        template.render(&Data(data(&[("a", "1")])), &mut Fixed, &Limits::default()).unwrap();
    assert_eq!(rendered.as_slice(), b"1 {{ .a }}");
}

#[test]
fn what_a_missing_key_is_can_be_chosen() {
    let parse = |missing| {
        let template = Template::parse("t", b"[{{ .no }}]", &Delimiters::default()).unwrap();
        let template = template.with_missing_key(missing);
        let rendered = template.render(&Data(data(&[])), &mut Fixed, &Limits::default());
        rendered.map(|rendered| rendered.to_vec()).map_err(|error| error.kind)
    };
    assert_eq!(parse(MissingKey::Error), Err(ErrorKind::MissingKey));
    assert_eq!(parse(MissingKey::Invalid), Ok(b"[<no value>]".to_vec()));
    assert_eq!(parse(MissingKey::Zero), Ok(b"[]".to_vec()));
}

#[test]
fn each_bound_is_named_by_the_error_that_it_gives() {
    let cases = [
        ("{{ range 1000000000000 }}{{ end }}", "evaluation steps"),
        ("{{ $x := \"a\" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}", "bytes of values"),
        ("{{ range 300 }}{{ printf \"%9000d\" 1 }}{{ end }}", "bytes of output"),
        ("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", "nesting"),
        ("{{ printf \"%1000000d%1000000d%1000000d\" 1 2 3 }}", "bytes"),
    ];
    for (template, bound) in cases {
        let error = failure(template);
        assert_eq!(error.kind, ErrorKind::Bound, "{template}: {error}");
        assert!(error.message.contains(bound), "{template}: {error}");
    }
}

#[test]
fn a_text_too_large_or_too_deep_is_refused_before_it_costs_anything() {
    let deep = |levels| format!("{}1{}", "{{ if 1 }}".repeat(levels), "{{ end }}".repeat(levels));
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    let variables =
        |count| (0..count).map(|n| format!("{{{{ $v{n} := 1 }}}}")).collect::<Vec<_>>().concat();
    let refused =
        [deep(5000), parentheses, "{{ 1 }}".repeat(30_000), " ".repeat(3 << 20), variables(2000)];
    for text in refused {
        assert_eq!(failure(&text).kind, ErrorKind::Bound, "{}", &text[..40]);
    }
    assert_eq!(render(&deep(60), &[]).unwrap(), "1");
    assert_eq!(render(&variables(400), &[]).unwrap(), "");
}

/// Threads of an async runtime have two megabytes; one must do, also in a build without optimisation.
#[test]
fn the_deepest_recursion_fits_a_small_stack() {
    let chain = format!("{}print 1{}", "print (".repeat(62), ")".repeat(62));
    let ifs = format!("{}x{}", "{{ if . }}".repeat(62), "{{ end }}".repeat(62));
    let templates = [
        format!("{{{{ {chain} }}}}"),
        ifs,
        "{{ define \"a\" }}{{ range . }}{{ with $ }}{{ template \"a\" (print (print .)) }}{{ end }}\
         {{ end }}{{ end }}{{ template \"a\" 3 }}"
            .to_owned(),
        "{{ define \"a\" }}{{ if . }}{{ template \"a\" . }}{{ end }}{{ end }}{{ template \"a\" . }}"
            .to_owned(),
        format!("{{{{ if .a }}}}{}{{{{ end }}}}", "{{ else if .a }}".repeat(60)),
    ];
    let run = move || templates.each_ref().map(|template| render(template, &[("a", "b")]).is_ok());
    let thread = thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap();
    assert_eq!(thread.join().unwrap(), [true, true, false, false, true]);
}

/// A list in a list in a list, deeper than any stack.
fn nested(levels: usize) -> Value {
    (0..levels).fold(text("x"), |inner, _| Value::List(List::new(&Type::Any, vec![inner])))
}

#[test]
fn values_nested_beyond_the_stack_are_refused_and_dropped() {
    let entries: Entries = [(Text::from("deep"), nested(200_000))].into_iter().collect();
    let data = Value::Map(Map::new(&Type::Any, entries));
    let error = render_with("{{ .deep }}", data, &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bound);
}

#[test]
fn a_map_that_holds_itself_is_emptied_when_the_rendering_ends() {
    let map = Map::new(&Type::Any, Entries::default());
    let limits = Limits::default();
    let mut environment = Fixed;
    let mut cx = Context::new(&mut environment, &limits);
    cx.set(&map, Text::from("self"), Value::Map(map.clone())).unwrap();
    assert_eq!(
        format::display(&mut cx, &Value::Map(map.clone())).err().map(|failure| failure.kind),
        Some(ErrorKind::Bound)
    );
    assert_eq!(map.len(), 1);
    drop(cx);
    assert_eq!(map.len(), 0);
}

#[test]
fn nothing_can_be_put_into_a_nil_map() {
    let limits = Limits::default();
    let mut environment = Fixed;
    let mut cx = Context::new(&mut environment, &limits);
    let failure = cx.set(&Map::nil(&Type::Any), Text::from("a"), Value::Nil).unwrap_err();
    assert_eq!(failure.message, "assignment to entry in nil map");
}

#[test]
fn a_change_of_a_map_is_seen_by_all_who_hold_it() {
    let map = Map::new(&Type::Any, Entries::default());
    let other = map.clone();
    let limits = Limits::default();
    let mut environment = Fixed;
    let mut cx = Context::new(&mut environment, &limits);
    cx.set(&map, Text::from("a"), Value::int(1)).unwrap();
    assert!(other.contains(b"a") && other.is_same(&map));
    cx.unset(&other, b"a").unwrap();
    assert!(map.is_empty());
}

#[test]
fn the_cache_keeps_what_was_used_last_and_no_more_than_it_may() {
    let cache = Cache::new(100 << 10);
    let delimiters = Delimiters::default();
    let parse = |name: &str| cache.parse(name, "x".repeat(10 << 10).as_bytes(), &delimiters);
    let first = parse("0").unwrap();
    for name in 1..9 {
        parse(&name.to_string()).unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &parse("0").unwrap()));
    }
    for name in 9..30 {
        parse(&name.to_string()).unwrap();
    }
    assert!((8..=9).contains(&cache.len()), "{}", cache.len());
    assert!(!std::sync::Arc::ptr_eq(&first, &parse("0").unwrap()));
}

#[test]
fn the_cache_tells_templates_apart_by_name_text_and_delimiters() {
    let cache = Cache::new(1 << 20);
    let others = Delimiters { left: "<".to_owned(), right: ">".to_owned() };
    cache.parse("a", b"{{ 1 }}", &Delimiters::default()).unwrap();
    cache.parse("b", b"{{ 1 }}", &Delimiters::default()).unwrap();
    cache.parse("a", b"{{ 1 }}", &others).unwrap();
    assert!(cache.parse("a", b"{{ end }}", &others).is_ok());
    assert!(cache.parse("a", b"{{ end }}", &Delimiters::default()).is_err());
    assert_eq!(cache.len(), 4);
}

#[test]
fn a_template_larger_than_the_cache_is_rendered_all_the_same() {
    let cache = Cache::new(10);
    let template = cache.parse("a", b"more than ten bytes", &Delimiters::default()).unwrap();
    let rendered = template.render(&Data(Value::Nil), &mut Fixed, &Limits::default()).unwrap();
    assert_eq!(rendered.as_slice(), b"more than ten bytes");
    assert!(cache.is_empty());
}

#[test]
fn templates_are_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Template>();
    shared::<Cache>();
}

#[test]
fn and_and_or_stop_at_the_argument_that_decides() {
    assert_eq!(render("{{ or 1 (index \"\" 9) }}", &[]).unwrap(), "1");
    assert_eq!(render("{{ and 0 (index \"\" 9) }}", &[]).unwrap(), "0");
    assert_eq!(failure("{{ or 0 (index \"\" 9) }}").kind, ErrorKind::Function);
}

#[test]
fn a_value_in_an_interface_is_named_so_in_errors() {
    let inner = Map::new(&Type::Any, [(Text::from("n"), Value::Nil)].into_iter().collect());
    let entries = [(Text::from("m"), Value::Map(inner)), (Text::from("i"), Value::int(1))];
    let data = Value::Map(Map::new(&Type::Any, entries.into_iter().collect()));
    let message =
        |template| render_with(template, data.clone(), &Limits::default()).unwrap_err().message;
    assert_eq!(message("{{ .m.n.x }}"), "nil pointer evaluating interface {}.x");
    assert_eq!(message("{{ .i.x }}"), "can't evaluate field x in type interface {}");
    assert_eq!(message("{{ (.i).x }}"), "can't evaluate field x in type int");
}

/// Pieces of which random templates are made.
const PIECES: [&str; 40] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    ".",
    "$",
    ":=",
    "=",
    "|",
    "(",
    ")",
    "\"",
    "`",
    "'",
    "a",
    ".a",
    "$x",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define \"a\"",
    "template \"a\"",
    "block \"a\" .",
    "break",
    "continue",
    "printf \"%5.*[1]d%q\" ",
    "index ",
    "slice ",
    "nil",
    "0x1p4",
    "1e9",
    "'\\x41'",
    "/*",
    "*/",
    "\\",
    "\u{e9}",
];

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Template::parse("t", &text, &Delimiters::default());
    }

    #[test]
    fn no_template_panics(pieces in prop::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        let _ = render(&text, &[("a", "b")]);
    }

    #[test]
    fn no_format_panics(format in "(%[+# 0-]{0,3}(\\[[0-3]\\])?[0-9*]{0,3}(\\.[0-9*]{0,3})?[a-zA-Z%!]){0,4}") {
        let values = [
            Value::int(i64::MIN), Value::float(f64::MIN_POSITIVE), text("\u{e9}\n"), nested(3), data(&[("a", "b")]),
            Value::Nil, Value::duration(-1), Value::Float(super::value::FloatType::Float32, f64::NAN),
        ];
        let (limits, mut environment) = (Limits::default(), Fixed);
        let mut cx = Context::new(&mut environment, &limits);
        let printed = format::printf(&mut cx, format.as_bytes(), &values);
        prop_assert!(printed.is_ok());
    }
}

#[test]
fn a_shared_value_is_not_dropped_with_one_of_its_owners() {
    let shared = nested(3);
    let (Value::List(list), Value::List(again)) = (shared.clone(), shared) else { unreachable!() };
    drop(again);
    assert_eq!(list.len(), 1);
    assert_eq!(Rc::strong_count(&Rc::new(list)), 1);
}
