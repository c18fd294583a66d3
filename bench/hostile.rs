//! Templates that mean harm: each does as much of one thing as it can. `tests/bounds.rs` holds that they fail in time
//! and space, `make race` says what they cost.

use gotemplate::Limits;
use gotemplate::Map;
use gotemplate::Text;
use gotemplate::Type;
use gotemplate::Value;

/// What is done over and over, and what is there before.
#[rustfmt::skip]
const LOOPED: &[(&str, &str)] = &[
    ("", r#"printf "%d %s %v" . "a" $"#),
    ("", r#"printf "%1000000d" ."#),
    ("", r#"printf "%.1100f" 1e300"#),
    ("", r#"printf "%.1100e" 3e-320"#),
    ("", r#"printf "%.1000000x" 3e-320"#),
    ("", r#"printf "%v%v%v%v%v%v%v%v" 3.1e-320 3.1e-320 3.1e-320 3.1e-320 3.1e-320 3.1e-320 3.1e-320 3.1e-320 "#),
    ("", r#"printf "%*d%.*f" 100000 1 1000000 1.5"#),
    ("", r#"printf "%q" $.ff"#),
    ("", r#"printf "%+q" $.cjk"#),
    ("", r#"printf "%q" $.cjk"#),
    ("", r#"printf "% #x" $.ff"#),
    ("", r#"printf "%.1000000s" $.cjk"#),
    ("", r#"printf "%.900000s|%.0s" $.cjk $.cjk"#),
    ("", "printf $.big"),
    ("", r#"printf "%1s" $.cjk"#),
    ("", "js $.cjk"),
    ("", "js $.ff"),
    ("", "html $.big"),
    ("", "urlquery $.ff"),
    ("", "print $"),
    ("", "index $.big 5"),
    ("", r#"repeat 1000000 "a""#),
    ("", "until 100000000"),
    ("", r#"indent 1000000 "a""#),
    ("", "nindent 100 $.big"),
    ("", r#"splitList "" $.big"#),
    ("", r#"splitList "a" $.big"#),
    ("", r#"split "a" $.big"#),
    ("", r#"replace "a" "aaaaaaaaaaaaaaaa" $.big"#),
    ("", r#"replace "" "aaaaaaaaaaaaaaaa" $.big"#),
    ("", "upper $.big"),
    ("", "contains $.ff $.big"),
    (r#"{{$y := print $.s (trunc 500000 $.big) "b"}}"#, "contains $y $.big"),
    ("", "dict $.big 1 $.big 2"),
    ("", "hasPrefix $.big $.big"),
    ("", "trunc 1000000 $.big"),
    ("", "wrap 1 $.big"),
    ("", "snakecase $.big"),
    ("", "camelcase $.cjk"),
    ("", "shuffle $.big"),
    ("", "uniq (until 20000)"),
    ("{{$l := until 20000}}", "without $l 1 2 3 4 5 6"),
    ("{{$l := until 20000}}", "has 30000 $l"),
    ("{{$l := until 20000}}", "sortAlpha $l"),
    ("", "keys $"),
    (r#"{{$j := printf "[%s1]" (repeat 200000 "1,")}}"#, "fromJson $j"),
    ("", "b64dec (b64enc $.big)"),
    ("", "sha256sum $.big"),
    ("", "adler32sum $.big"),
    ("", r#"regexMatch "(a?){40}a{40}" $.big"#),
    ("", r#"regexMatch "(((a{100}){100}){100})" "a""#),
    ("", r#"regexMatch (print "(\\pL{50}|\\pN{50}){9}" .) "a""#),
    ("", r#"regexFindAll "a" $.big -1"#),
    ("", r#"regexReplaceAll "a" $.big "bbbbbbbbbbbbbbbbbbbb""#),
    ("", r#"regexFindAll "[a-z]+b" $.big -1"#),
    ("", "randAlpha 1000000"),
    ("", "randBytes 1000000"),
    ("", r#"semverCompare ">=1.2.3 <2 || ^3" "1.5.0""#),
    ("", r#"semverCompare $.big "1.5.0""#),
    ("", r#"date "2006-01-02T15:04:05Z07:00 Monday January" now"#),
    ("", "date $.big now"),
    ("", "urlParse $.big"),
    ("", "toString $"),
    ("{{$l := until 20000}}", "join $.big $l"),
    ("", "mulf 1.5 2.5 3.5 1e300"),
    ("", "round 1.5e300 300"),
    ("", "addf 1e-300 1e300"),
    ("", "divf 1e-300 3e300"),
    ("", r#"filterPEM "X" $.big"#),
    ("", r#"derivePassword 1 "long" "pw" "u" "s""#),
    ("", r#"bcrypt "pw""#),
    ("", r#"encryptAES "pw" $.big"#),
    ("", "hasPrefix $.big (print $.big)"),
    ("", "hasSuffix $.big (print $.big)"),
    ("", "trimPrefix $.big $.big"),
    ("", "trimSuffix $.cjk $.cjk"),
    ("", "trimAll $.cjk $.cjk"),
    ("", "int $.digits"),
    ("", "int64 $.digits"),
    ("", "float64 $.digits"),
    ("", "atoi $.digits"),
    ("", "toDecimal $.digits"),
    ("", "add $.digits $.digits"),
    ("", "max $.digits 1"),
    ("", "addf $.digits 1"),
    ("", "ceil $.digits"),
    ("", "duration $.digits"),
    ("", "durationRound $.digits"),
    ("", r#"dateInZone "2006" now $.cjk"#),
    ("", "dateModify $.digits now"),
    ("", "toDate $.digits $.digits"),
    ("", "get (dict) $.big"),
    ("", r#"hasKey (dict "a" 1) $.big"#),
    ("", "index $ $.big"),
    ("", "index (dict $.big 1) $.big"),
    ("", "pluck $.big (dict $.big 1)"),
    ("", "dig $.big 1 (dict $.big 1)"),
    ("", "unset (dict $.big 1) $.big"),
    ("", "base $.big"),
    ("", "dir $.big"),
    ("", "clean $.big"),
    ("", "ext $.big"),
    ("", "typeIs $.big $.big"),
    ("", "swapcase $.cjk"),
    ("", "initials $.big"),
    ("", "nospace $.cjk"),
    ("", "abbrev 5 $.big"),
    ("", "wrapWith 5 $.big $.big"),
    ("", "plural $.big $.big 1"),
    ("", "b32dec $.big"),
    ("", "hexdec $.digits"),
    ("", "sha512sum $.big"),
    ("", r#"regexFind $.big "a""#),
    ("", "regexQuoteMeta $.big"),
    ("", r#"regexSplit "" $.big -1"#),
    ("", "semver $.digits"),
    ("", r#"urlParse (print "http://" $.ff)"#),
    ("", "toPrettyJson $.ff"),
    ("", "toYaml $.cjk"),
    ("", "fromYaml $.digits"),
    ("", "mustFromJson (quote $.big)"),
    ("", r#"htpasswd "a" "b" "sha""#),
    ("", "certSANs $.big"),
    ("", r#"filterCertChain "leaf" $.big"#),
    ("", "jwkPublicKeyPem $.big"),
    ("", "pkcs12key $.big"),
    ("", r#"decryptAES "a" $.big"#),
    ("", "untitle $.ff"),
    ("", "squote $.big $.ff"),
    ("", "cat $.big $.ff"),
    ("", r#"replace "aa" "a" $.big"#),
    ("", "substr 0 1000000 $.big"),
    ("", "deepEqual $.big (print $.big)"),
    ("{{$l := until 20000}}", r#"join "," $l"#),
    ("{{$l := until 20000}}", "toJson $l"),
    ("{{$l := until 20000}}", "reverse $l"),
    ("{{$l := until 20000}}", "chunk 1 $l"),
    ("{{$l := until 20000}}", "slice $l 1"),
    ("{{$l := until 20000}}", "compact $l"),
    ("{{$l := until 20000}}", "deepCopy $l"),
    ("{{$l := until 20000}}", "deepEqual $l (until 20000)"),
    ("{{$l := until 20000}}", "all $l"),
    ("{{$l := until 20000}}", "coalesce $l"),
    ("{{$d := dict}}{{range until 2000}}{{$_ := set $d (print .) .}}{{end}}", "keys $d"),
    ("{{$d := dict}}{{range until 2000}}{{$_ := set $d (print .) .}}{{end}}", "merge (dict) $d"),
    ("{{$d := dict}}{{range until 2000}}{{$_ := set $d (print .) .}}{{end}}", r#"omit $d "1""#),
    ("{{$d := dict}}{{range until 2000}}{{$_ := set $d (print .) .}}{{end}}", "toYaml $d"),
];

/// Whole templates.
#[rustfmt::skip]
const WHOLE: &[&str] = &[
    "{{range 1000000000}}{{end}}",
    "{{range 1000000000}}{{.}}{{end}}",
    "{{range 1000000}}{{if eq $.big $.ff $.big}}{{end}}{{end}}",
    "{{range 1000000}}{{if le $.big $.big}}{{end}}{{end}}",
    "{{range 1000000}}{{$.big}}{{end}}",
    "{{range 1000000}}abcdefgh{{end}}",
    "{{range 1000000}}{{range $}}{{end}}{{end}}",
    r#"{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}"#,
    r#"{{define "a"}}{{if .}}{{template "a" .}}{{template "a" .}}{{end}}{{end}}{{range 100000000}}{{template "b" .}}{{end}}{{define "b"}}{{. }}{{end}}"#,
    r#"{{$x := "a"}}{{range 1000000}}{{$x = print $x $x}}{{end}}"#,
    r#"{{$x := "a"}}{{range 1000000}}{{$x = print $x "a"}}{{end}}"#,
    "{{$x := repeat 1000000 $.big}}",
    "{{$x := repeat -5 $.big}}",
    "{{$x := untilStep 0 1000000000 1}}",
    "{{$x := seq 1 1000000000}}",
    r#"{{$x := indent 1000 (repeat 100000 "\n")}}"#,
    "{{$x := list}}{{range 1000000}}{{$x = list $x}}{{end}}",
    "{{$x := list}}{{range 1000}}{{$x = list $x}}{{end}}{{$x}}",
    "{{$x := list}}{{range 1000}}{{$x = list $x}}{{end}}{{toJson $x}}",
    "{{$x := list}}{{range 1000}}{{$x = list $x}}{{end}}{{toYaml $x}}",
    "{{$x := list}}{{range 1000}}{{$x = list $x}}{{end}}{{$y := deepCopy $x}}",
    "{{$x := list}}{{range 1000}}{{$x = list $x}}{{end}}{{deepEqual $x (deepCopy $x)}}",
    "{{$x := list 1 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{$x}}",
    "{{$x := list 1 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{toJson $x | len}}",
    "{{$x := list 1 1}}{{$y := list 1 1}}{{range 60}}{{$x = list $x $x}}{{$y = list $y $y}}{{end}}{{deepEqual $x $y}}",
    "{{$x := list 1 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{$y := deepCopy $x}}",
    "{{$x := list 1 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{$y := toYaml $x}}",
    r#"{{$x := dict}}{{$_ := set $x "a" $x}}{{$x}}"#,
    r#"{{$x := dict}}{{$_ := set $x "a" $x}}{{toJson $x}}"#,
    r#"{{$x := dict}}{{$_ := set $x "a" $x}}{{deepCopy $x}}"#,
    r#"{{$x := dict}}{{$_ := set $x "a" $x}}{{$y := merge (dict) $x $x}}{{$z := merge $x $x}}{{$z := merge $x (dict "a" (dict "a" (dict "b" 1)))}}"#,
    "{{$x := list 1 2}}{{range 1000}}{{$x = concat $x $x}}{{end}}",
    "{{$x := list}}{{range 100000}}{{$x = append $x 1}}{{end}}",
    "{{$d := dict}}{{range 1000000}}{{$_ := set $d (print .) .}}{{end}}",
    r#"{{$x := fromJson (repeat 100000 "[")}}{{$x := fromJson (print (repeat 9000 "[") (repeat 9000 "]"))}}{{$x}}"#,
    r#"{{$x := fromYaml (repeat 100000 "- a\n")}}"#,
    r#"{{$x := fromYaml (repeat 100000 "[")}}"#,
    r#"{{$x := fromYaml "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]"}}"#,
    "{{$d := dict}}{{range $i := until 100000}}{{$_ := set $d (print (sub 999999 $i)) .}}{{end}}",
    r#"{{$d := dict}}{{range until 5000}}{{$_ := set $d (print .) .}}{{end}}{{range 100000}}{{$_ := unset $d "0"}}{{$_ := set $d "0" 1}}{{end}}"#,
    r#"{{$x := fromJson (printf "{%s\"a\":1}" (repeat 100000 "\"b\":1,"))}}{{len $x}}"#,
    r#"{{$x := fromJson (printf "[%s1]" (repeat 40000 "{\"a\":[]},"))}}{{len $x}}"#,
    r#"{{$x := fromJson (quote (repeat 200000 "\\"))}}{{len $x}}"#,
];

/// A text for each number, which stands in the place of `#`.
fn numbered(count: usize, text: &str) -> String {
    (0..count).map(|nth| text.replace('#', &nth.to_string())).collect()
}

/// Many times what is written once.
fn long() -> Vec<String> {
    let variables = numbered(480, "{{$v# := 1}}");
    vec![
        format!("{variables}{{{{range 1000000}}}}{{{{$v0}}}}{{{{end}}}}"),
        format!("{variables}{{{{range 1000000}}}}{{{{$v0 = 5}}}}{{{{end}}}}"),
        format!("{variables}{}", "{{$}}{{$v479}}".repeat(4200)),
        "{{$d := dict \"#\" 1}}{{range 1000000}}{{$x := $d.#}}{{end}}"
            .replace('#', &"n".repeat(900_000)),
        "{{$# := 1}}{{range 1000000}}{{$x := $#}}{{end}}".replace('#', &"n".repeat(600_000)),
        format!("{{{{range 1000000}}}}{{{{$x := print {}}}}}{{{{end}}}}", "1 ".repeat(5000)),
        format!(
            "{{{{range 1000000}}}}{{{{$x := {}1{}}}}}{{{{end}}}}",
            "(print ".repeat(90),
            ")".repeat(90)
        ),
        "{{.s}}".repeat(9000),
        "{{print 1 2 3 4 5 6 7 8 9}}".repeat(1800),
        "{{if .s}}{{end}}".repeat(4900),
        "{{.a.b.c.d.e.f.g.h.i.j}}".repeat(9000),
        format!("{{{{.{}}}}}", "a.".repeat(500_000)),
        numbered(9000, "{{define \"n#\"}}x{{end}}"),
        format!("{}{{{{ ( }}}}", "a\n".repeat(900_000)),
        "{".repeat(2 << 20),
        "{{/**/}}".repeat(250_000),
        format!("{{{{ 0x{} }}}}", "1".repeat(1 << 20)),
        format!("{{{{ 1.{}e1 }}}}", "1".repeat(1 << 20)),
        format!("{}{{{{- 1}}}}", " ".repeat(2 << 20)[8..].to_owned()),
        " {{- 1 }}\n".repeat(9900),
    ]
}

/// All of them.
pub fn templates() -> Vec<String> {
    let looped = LOOPED.iter().map(|(before, expression)| {
        format!("{before}{{{{range 1000000}}}}{{{{$x := {expression}}}}}{{{{end}}}}")
    });
    looped.chain(WHOLE.iter().map(ToString::to_string)).chain(long()).collect()
}

/// What they work on: texts of a mebibyte, of several kinds, and a short one.
pub fn data() -> Value {
    let texts = [
        ("big", vec![b'a'; 1 << 20]),
        ("ff", vec![0xff; 1 << 20]),
        ("cjk", "世".repeat(340_000).into_bytes()),
        ("digits", vec![b'1'; 4096]),
        ("s", b"x".to_vec()),
    ];
    let entries = texts.map(|(key, text)| (Text::from(key), Value::String(Text::new(text))));
    Value::Map(Map::new(&Type::String, entries.into_iter().collect()))
}

/// Their bounds. Slow functions have an allowance of their own, and none here.
pub fn limits() -> Limits {
    Limits { slow: 0, ..Limits::default() }
}
