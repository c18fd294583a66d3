//! What functions cost, against what they account for. A sweep over all functions with arguments that mean harm.
//!
//! Processor time needs optimised code and a clock, so the sweep is ignored by default; `make race` runs it.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::BY_NAME;
use crate::{
    Args, Context, Environment, ErrorKind, Failure, Function, KeyKind, Limits, List, Map, Text,
    Type, Value, Zeroizing,
};

/// What a bound of 250,000 steps or of 5 MiB stands for.
const RENDERING: f64 = 50e-3;
/// What a slow operation stands for.
const SLOW: f64 = 60e-3;
/// How much longer than that a call may take, and what every call may take.
const FACTOR: f64 = 3.0;
const ALWAYS: f64 = 50e-6;
/// Calls of one function, and the time that they may take in all.
const CALLS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that only look random, and no new keys: those are slow in a way that everybody knows.
struct Fixed(u64);

impl Fixed {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }
}

impl Environment for Fixed {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for byte in buffer {
            *byte = self.below(256).to_le_bytes()[0];
        }
        Ok(())
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("no keys here"))
    }
}

/// Processor time of this thread.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().unwrap())
}

fn text(bytes: impl Into<Vec<u8>>) -> Value {
    Value::String(Text::new(bytes.into()))
}

fn fixture(name: &str) -> String {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/fixtures.json")).unwrap();
    all[name].as_str().unwrap().to_owned()
}

/// Texts of all kinds, and what functions of some family work hardest on.
fn texts() -> Vec<Value> {
    let file = |name: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(fixture(name)).unwrap()
    };
    let mut texts: Vec<Vec<u8>> = vec![
        vec![b'a'; 1 << 20],
        vec![0xff; 1 << 20],
        "世".repeat(340_000).into_bytes(),
        vec![b'1'; 1 << 20],
        vec![b'\n'; 1 << 19],
        b"x".to_vec(),
        b"".to_vec(),
        b"12".to_vec(),
        b"1e300".to_vec(),
        b"a-b_c D.".repeat(100_000),
        format!("[{}1]", "1,".repeat(250_000)).into_bytes(),
        format!("[{}1]", "[],".repeat(150_000)).into_bytes(),
        format!("{{{}\"z\":1}}", "\"k\":\"v\",".repeat(60_000)).into_bytes(),
        "a: b\n".repeat(100_000).into_bytes(),
        "- a\n".repeat(100_000).into_bytes(),
        "2006-01-02T15:04:05Z07:00 Monday ".repeat(20_000).into_bytes(),
        format!("http://{}@h/{}?q#f", "%41".repeat(10_000), "%41".repeat(100_000)).into_bytes(),
        b"../a/./b//".repeat(100_000),
        b"(a?){30}a{30}".to_vec(),
        b"(((a{100}){100}){100})".to_vec(),
        b"a|b|c|d|e|f".repeat(3000),
        b">=1.2.3 <2 || ".repeat(20_000),
        b"1.2.3".to_vec(),
        b"SHA256".to_vec(),
        b"RSA-OAEP".to_vec(),
        b"maximum".to_vec(),
        b"CERTIFICATE".to_vec(),
        b"leaf".to_vec(),
        "%d %s %v %q ".repeat(50_000).into_bytes(),
    ];
    for name in ["leaf.key", "rsa-pkcs1.key", "ec.key", "ed25519.key", "jwk-rsa-private.json"] {
        texts.push(fixture(name).into_bytes());
    }
    for name in ["leaf.crt", "chain.pem", "mixed.pem"] {
        texts.push(fixture(name).into_bytes());
        texts.push(fixture(name).repeat(200).into_bytes());
    }
    for name in ["rsa-modern.p12", "openssl-legacy.p12", "oaep-sha256.bin"] {
        texts.push(file(name));
    }
    texts.into_iter().map(text).collect()
}

fn ints() -> Vec<Value> {
    [0, 1, -1, 7, 1000, 1_000_000, i64::MAX].into_iter().map(Value::int).collect()
}

fn lists() -> Vec<Value> {
    let list = |items: Vec<Value>| Value::List(List::new(&Type::Any, items));
    let big = text(vec![b'a'; 1 << 20]);
    let mut deep = list(Vec::new());
    for _ in 0..90 {
        deep = list(vec![deep.clone()]);
    }
    vec![
        list(Vec::new()),
        list((0..20_000).map(Value::int).collect()),
        list((0..5000).map(|_| big.clone()).collect()),
        list((0..5000).map(|nth: i64| text(format!("{}{nth}", "a".repeat(200)))).collect()),
        deep,
    ]
}

fn maps() -> Vec<Value> {
    let map = |entries: Vec<(Text, Value)>| {
        Value::Map(Map::new(&Type::Any, entries.into_iter().collect()))
    };
    let key = |nth: usize| Text::from(format!("{}{nth:05}", "k".repeat(1000)).as_str());
    let big = text(vec![b'a'; 1 << 20]);
    vec![
        map(Vec::new()),
        map((0..5000).map(|nth| (Text::from(nth.to_string()), big.clone())).collect()),
        map((0..900).map(|nth| (key(nth), Value::int(1))).collect()),
        map(vec![(Text::new(vec![b'k'; 1 << 20]), Value::int(1))]),
        map(vec![(Text::from("scheme"), big.clone()), (Text::from("host"), big)]),
    ]
}

/// Arguments that a parameter takes.
fn candidates(type_: Type, all: &[Vec<Value>; 4]) -> Vec<Value> {
    let [texts, ints, lists, maps] = all;
    match type_ {
        Type::String | Type::NamedString(_) => texts.clone(),
        Type::Bool => vec![Value::Bool(true)],
        Type::Int(kind) => ints
            .iter()
            .filter_map(|value| match value {
                Value::Int(_, number) => Some(Value::Int(kind, *number)),
                _ => None,
            })
            .collect(),
        Type::Uint(kind) => vec![Value::Uint(kind, 1)],
        Type::Float(kind) => vec![Value::Float(kind, 1.5), Value::Float(kind, 1e300)],
        Type::Slice(element) if *element == Type::Any => lists.clone(),
        Type::Map(element) if *element == Type::Any => maps.clone(),
        Type::Any | Type::Reflect => {
            let mut mixed = vec![Value::Nil, Value::Bool(true), Value::float(1e300)];
            mixed.extend([texts, ints, lists, maps].into_iter().flatten().cloned());
            mixed
        }
        _ => vec![Value::Nil],
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let start = String::from_utf8_lossy(&text[..text.len().min(12)]).into_owned();
            format!("{start:?}..{}", text.len())
        }
        Value::List(list) => format!("list of {}", list.len()),
        Value::Map(map) => format!("map of {}", map.len()),
        Value::Int(_, number) => number.to_string(),
        other => other.type_name(),
    }
}

/// The time of a call, the time that it accounts for, and whether it reached a bound.
fn measured(function: &Function, args: &[Value]) -> (f64, f64, bool) {
    let (limits, mut environment) = (Limits::default(), Fixed(0x9e37_79b9_7f4a_7c15));
    let mut cx = Context::new(&mut environment, &limits);
    let start = now();
    let result = (function.body)(&mut cx, &Args::new(args));
    let time = now().saturating_sub(start).as_secs_f64();
    let bound = result.is_err_and(|failure| failure.kind == ErrorKind::Bound);
    let (steps, bytes, slow) = cx.spent();
    let paid = f64::max(steps, bytes).min(1.0) * RENDERING + f64::from(slow) * SLOW;
    (time, paid, bound)
}

#[test]
#[ignore = "measures processor time"]
fn no_function_works_more_than_it_accounts_for() {
    let all = [texts(), ints(), lists(), maps()];
    let mut dice = Fixed(7);
    let mut names: Vec<_> = BY_NAME.keys().copied().collect();
    names.sort_unstable();
    let (mut calls, mut unpaid) = (0, Vec::new());
    for name in names {
        let function = BY_NAME[name];
        let mut worst: Option<(f64, String)> = None;
        let mut types = function.fixed.to_vec();
        let start = now();
        for nth in 0..CALLS {
            if let Some(rest) = function.rest {
                types.truncate(function.fixed.len());
                types.extend(vec![rest; nth % 4]);
            }
            let args: Vec<_> = types
                .iter()
                .map(|type_| {
                    let candidates = candidates(*type_, &all);
                    candidates[dice.below(candidates.len())].clone()
                })
                .collect();
            let (mut time, paid, bound) = measured(function, &args);
            calls += 1;
            if time > paid.mul_add(FACTOR, ALWAYS) {
                // A cold cache and other programs make a call slower, never faster.
                time = (0..8).fold(time, |time, _| time.min(measured(function, &args).0));
            }
            if time > paid.mul_add(FACTOR, ALWAYS) {
                let args: Vec<_> = args.iter().map(shown).collect();
                let ms = [time, paid].map(|seconds| seconds * 1e3);
                let line = format!(
                    "{:>7.0}x {:>8.3} ms for {:>8.3} ms: {name} {}{}",
                    time / paid.max(1e-7),
                    ms[0],
                    ms[1],
                    args.join(", "),
                    if bound { " (bound)" } else { "" }
                );
                let ratio = time / (paid + 2e-5);
                if worst.as_ref().is_none_or(|(known, _)| *known < ratio) {
                    worst = Some((ratio, line));
                }
            }
            if now().saturating_sub(start) > PATIENCE {
                break;
            }
        }
        unpaid.extend(worst);
    }
    unpaid.sort_by(|(one, _), (two, _)| two.total_cmp(one));
    let lines: Vec<_> = unpaid.iter().map(|(_, line)| line.as_str()).collect();
    println!("{calls} calls; {} functions account for too little", unpaid.len());
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}
