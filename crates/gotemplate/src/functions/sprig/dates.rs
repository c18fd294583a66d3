//! Dates and durations. Local time is UTC.

use std::rc::Rc;

use jiff::{
    SignedDuration, Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    conversions::{numeral, parse_int},
    layout,
};
use crate::{
    Args, Context, Failure, Function, Type, Value,
    time::{Time, duration_text},
    value::IntType,
};

const ANY: Type = Type::Any;
const STRING: Type = Type::String;
const DATE: &[u8] = b"2006-01-02";

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("now", &[], |cx, _| {
        let now = cx.environment.now();
        Ok(utc(now))
    }),
    Function::new("date", &[STRING, ANY], |cx, args| written(cx, args.text(0)?, args.any(1), b"")),
    Function::new("dateInZone", &[STRING, ANY, STRING], date_in_zone),
    Function::new("date_in_zone", &[STRING, ANY, STRING], date_in_zone),
    Function::new("htmlDate", &[ANY], |cx, args| written(cx, DATE, args.any(0), b"")),
    Function::new("htmlDateInZone", &[ANY, STRING], |cx, args| {
        written(cx, DATE, args.any(0), args.text(1)?)
    }),
    Function::new("dateModify", &[STRING, Type::Time], date_modify),
    Function::new("date_modify", &[STRING, Type::Time], date_modify),
    Function::new("mustDateModify", &[STRING, Type::Time], must_date_modify),
    Function::new("must_date_modify", &[STRING, Type::Time], must_date_modify),
    Function::new("ago", &[ANY], ago),
    Function::new("duration", &[ANY], duration),
    Function::new("durationRound", &[ANY], duration_round),
    Function::new("toDate", &[STRING, STRING], |cx, args| {
        let read = read(cx, args)?;
        Ok(read.unwrap_or_else(zero_time))
    }),
    Function::new("mustToDate", &[STRING, STRING], |cx, args| {
        read(cx, args)?.ok_or_else(|| Failure::function("the text does not follow the layout"))
    }),
    Function::new("unixEpoch", &[Type::Time], |cx, args| {
        let seconds = time(args, 0)?.zoned.timestamp();
        cx.text(floored_seconds(seconds).to_string())
    }),
];

fn utc(timestamp: Timestamp) -> Value {
    let zoned = timestamp.to_zoned(TimeZone::UTC);
    Value::Time(Rc::new(Time { zoned, abbreviation: None }))
}

/// Go's zero: the first of January of the year 1.
fn zero_time() -> Value {
    const SECONDS: i64 = -62_135_596_800;
    utc(Timestamp::from_second(SECONDS).unwrap_or_default())
}

fn floored_seconds(timestamp: Timestamp) -> i64 {
    timestamp.as_nanosecond().div_euclid(1_000_000_000).try_into().unwrap_or_default()
}

fn time<'v>(args: &Args<'v>, at: usize) -> Result<&'v Time, Failure> {
    match args.any(at) {
        Value::Time(time) => Ok(time),
        _ => Err(Failure::type_("wrong type for value; expected time.Time")),
    }
}

fn unix(seconds: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_second(seconds)
        .map_err(|_| Failure::function("the time is outside the years -9999 to 9999"))
}

/// A time, or seconds since 1970; of anything else the current time.
fn instant(cx: &mut Context<'_>, value: &Value, ints: &[IntType]) -> Result<Timestamp, Failure> {
    match value {
        Value::Time(time) => Ok(time.zoned.timestamp()),
        Value::Int(type_, seconds) if ints.contains(type_) => unix(*seconds),
        _ => Ok(cx.environment.now()),
    }
}

/// A zone that nobody knows is UTC.
fn written(
    cx: &mut Context<'_>,
    form: &[u8],
    value: &Value,
    zone: &[u8],
) -> Result<Value, Failure> {
    let at = instant(cx, value, &[IntType::Int, IntType::Int64, IntType::Int32])?;
    // No element of a layout becomes more than nine times as long.
    cx.allocate(form.len().saturating_mul(9))?;
    // No zone has a name of 64 bytes, and longer ones need not be looked up.
    let name = std::str::from_utf8(&zone[..zone.len().min(64)]).unwrap_or_default();
    let known = TimeZoneDatabase::bundled().get(name).ok();
    // The library does not look at case, Go does.
    let zone = known.filter(|zone| zone.iana_name() == Some(name)).unwrap_or(TimeZone::UTC);
    let time = Time { zoned: at.to_zoned(zone), abbreviation: None };
    cx.text(layout::format(form, &time))
}

fn date_in_zone(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    written(cx, args.text(0)?, args.any(1), args.text(2)?)
}

fn read(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Option<Value>, Failure> {
    let (form, text) = (args.text(0)?, args.text(1)?);
    cx.step((form.len() + text.len()) / 16)?;
    Ok(layout::parse(form, text).map(|time| Value::Time(Rc::new(time))))
}

fn shifted(time: &Time, nanoseconds: i64) -> Result<Value, Failure> {
    let zoned = time.zoned.checked_add(SignedDuration::from_nanos(nanoseconds));
    let zoned =
        zoned.map_err(|_| Failure::function("the time is outside the years -9999 to 9999"))?;
    Ok(Value::Time(Rc::new(Time { zoned, abbreviation: time.abbreviation.clone() })))
}

/// Text that is no duration changes nothing.
fn date_modify(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    match parse_duration(cx, args.text(0)?)? {
        Some(nanoseconds) => shifted(time(args, 1)?, nanoseconds),
        None => Ok(args.any(1).clone()),
    }
}

fn must_date_modify(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let nanoseconds = parse_duration(cx, args.text(0)?)?
        .ok_or_else(|| Failure::function("the text is no duration such as -1.5h or 10m30s"))?;
    shifted(time(args, 1)?, nanoseconds)
}

/// Go's `time.Since`, which ends at the longest duration.
fn since(cx: &mut Context<'_>, then: Timestamp) -> i64 {
    let elapsed = cx.environment.now().as_nanosecond() - then.as_nanosecond();
    i64::try_from(elapsed).unwrap_or(if elapsed < 0 { i64::MIN } else { i64::MAX })
}

/// Time since then, in whole seconds.
fn ago(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let then = instant(cx, args.any(0), &[IntType::Int, IntType::Int64])?;
    let elapsed = i128::from(since(cx, then));
    let half = if elapsed < 0 { -SECOND / 2 } else { SECOND / 2 };
    let rounded = (elapsed + i128::from(half)) / i128::from(SECOND) * i128::from(SECOND);
    let nearest = if elapsed < 0 { i64::MIN } else { i64::MAX };
    cx.text(duration_text(i64::try_from(rounded).unwrap_or(nearest)))
}

/// Seconds, as a text or an `int64`; an `int`, which is what a constant is, counts as none.
fn duration(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let seconds = match args.any(0) {
        Value::Int(IntType::Int64, seconds) => *seconds,
        Value::String(text) => {
            let text = numeral(cx, text)?.unwrap_or_default();
            parse_int(text, 10).unwrap_or_else(|nearest| nearest)
        }
        _ => 0,
    };
    cx.text(duration_text(seconds.wrapping_mul(SECOND)))
}

/// The largest unit alone, cut off: `2mo`, `1y`.
fn duration_round(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let nanoseconds = match args.any(0) {
        Value::String(text) => parse_duration(cx, text)?.unwrap_or(0),
        Value::Int(IntType::Int64, nanoseconds) => *nanoseconds,
        Value::Time(time) => since(cx, time.zoned.timestamp()),
        _ => 0,
    };
    let size = nanoseconds.unsigned_abs();
    let hour = 3600 * SECOND.unsigned_abs();
    let units = [
        (hour * 24 * 365, "y"),
        (hour * 24 * 30, "mo"),
        (hour * 24, "d"),
        (hour, "h"),
        (hour / 60, "m"),
        (hour / 3600, "s"),
    ];
    let found = units.iter().find(|(unit, _)| size > *unit);
    cx.text(found.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", size / unit)))
}

const SECOND: i64 = 1_000_000_000;

/// Go's `time.ParseDuration`, in nanoseconds.
fn parse_duration(cx: &mut Context<'_>, text: &[u8]) -> Result<Option<i64>, Failure> {
    Ok(numeral(cx, text)?.and_then(nanoseconds))
}

fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = unit_size(unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part = whole.checked_mul(unit)?.checked_add(part_of(fraction, unit))?;
        total = total.checked_add(part).filter(|total| *total <= 1 << 63)?;
        rest = next;
    }
    if negative {
        return 0_i64.checked_sub_unsigned(total);
    }
    i64::try_from(total).ok()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_size(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A fraction of a unit, calculated with a float as Go does. Digits that no `int64` holds are left out.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn part_of(fraction: &str, unit: u64) -> u64 {
    let (mut number, mut scale) = (0_i64, 1.0);
    for digit in fraction.bytes() {
        let next = number.checked_mul(10).and_then(|n| n.checked_add(i64::from(digit - b'0')));
        let Some(next) = next else { break };
        number = next;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}
