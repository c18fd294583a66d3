//! Methods of Go's values that templates reach, such as `(now).Year`.

#![allow(clippy::unnecessary_wraps)] // bodies have one signature, those that cannot fail, too

use std::rc::Rc;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{
    budget::Context,
    error::Failure,
    function::{Args, Function},
    functions::sprig::layout,
    time::{MONTHS, Time, WEEKDAYS, duration_text},
    value::{IntType, Type, Value},
};

const DURATION: Type = Type::Int(IntType::Duration);

/// The method of a value's type.
pub(crate) fn find(value: &Value, name: &str) -> Option<&'static Function> {
    let table = match value {
        Value::Object(object) => return object.method(name),
        Value::Time(_) => TIME,
        Value::Int(IntType::Duration, _) => DURATIONS,
        Value::Int(IntType::Month | IntType::Weekday, _) => NAMES,
        _ => return None,
    };
    table.iter().find(|method| method.name == name)
}

/// Of `time.Duration`.
const DURATIONS: &[Function] = &[
    Function::new("String", &[], integer_string),
    Function::new("Nanoseconds", &[], |_, args| Ok(Value::int64(args.int(0)?))),
    Function::new("Microseconds", &[], |_, args| Ok(Value::int64(args.int(0)? / 1_000))),
    Function::new("Milliseconds", &[], |_, args| Ok(Value::int64(args.int(0)? / 1_000_000))),
    Function::new("Seconds", &[], |_, args| units(args, 1_000_000_000)),
    Function::new("Minutes", &[], |_, args| units(args, 60_000_000_000)),
    Function::new("Hours", &[], |_, args| units(args, 3_600_000_000_000)),
    Function::new("Abs", &[], |_, args| {
        Ok(Value::duration(args.int(0)?.checked_abs().unwrap_or(i64::MAX)))
    }),
    Function::new("Round", &[DURATION], |_, args| {
        Ok(Value::duration(rounded(args.int(0)?, args.int(1)?)))
    }),
    Function::new("Truncate", &[DURATION], |_, args| {
        let (duration, unit) = (args.int(0)?, args.int(1)?);
        Ok(Value::duration(if unit <= 0 { duration } else { duration - duration % unit }))
    }),
];

/// Of `time.Month` and `time.Weekday`.
const NAMES: &[Function] = &[Function::new("String", &[], integer_string)];

/// Of `time.Time`.
const TIME: &[Function] = &[
    Function::new("Format", &[Type::String], |cx, args| {
        let (time, form) = (time(args, 0)?, args.text(1)?);
        // A layout of few bytes may ask for names of many.
        cx.allocate(8 * form.len())?;
        cx.text(layout::format(form, time))
    }),
    Function::new("String", &[], |cx, args| cx.text(time(args, 0)?.to_string())),
    Function::new("GoString", &[], |cx, args| cx.text(time(args, 0)?.go_string())),
    Function::new("Year", &[], |_, args| int(time(args, 0)?.zoned.year())),
    Function::new("Month", &[], |_, args| {
        Ok(Value::Int(IntType::Month, time(args, 0)?.zoned.month().into()))
    }),
    Function::new("Day", &[], |_, args| int(time(args, 0)?.zoned.day())),
    Function::new("Hour", &[], |_, args| int(time(args, 0)?.zoned.hour())),
    Function::new("Minute", &[], |_, args| int(time(args, 0)?.zoned.minute())),
    Function::new("Second", &[], |_, args| int(time(args, 0)?.zoned.second())),
    Function::new("Nanosecond", &[], |_, args| int(time(args, 0)?.zoned.subsec_nanosecond())),
    Function::new("YearDay", &[], |_, args| int(time(args, 0)?.zoned.day_of_year())),
    Function::new("Weekday", &[], |_, args| {
        let weekday = time(args, 0)?.zoned.weekday().to_sunday_zero_offset();
        Ok(Value::Int(IntType::Weekday, weekday.into()))
    }),
    Function::new("Unix", &[], |_, args| unix(args, 1_000_000_000)),
    Function::new("UnixMilli", &[], |_, args| unix(args, 1_000_000)),
    Function::new("UnixMicro", &[], |_, args| unix(args, 1_000)),
    Function::new("UnixNano", &[], |_, args| unix(args, 1)),
    Function::new("UTC", &[], utc),
    Function::new("Local", &[], utc),
    Function::new("IsZero", &[], |_, args| {
        Ok(Value::Bool(time(args, 0)?.since_year_one() == (0, 0)))
    }),
    Function::new("IsDST", &[], |_, args| {
        let zoned = &time(args, 0)?.zoned;
        let info = zoned.time_zone().to_offset_info(zoned.timestamp());
        Ok(Value::Bool(info.dst().is_dst()))
    }),
    Function::new("Equal", &[Type::Time], |_, args| compared(args, |order| order == 0)),
    Function::new("Before", &[Type::Time], |_, args| compared(args, |order| order < 0)),
    Function::new("After", &[Type::Time], |_, args| compared(args, |order| order > 0)),
    Function::new("Compare", &[Type::Time], |_, args| Ok(Value::int(order(args)?))),
    Function::new("Sub", &[Type::Time], sub),
    Function::new("Add", &[DURATION], add),
    Function::new("AddDate", &[Type::INT, Type::INT, Type::INT], add_date),
    Function::new("Round", &[DURATION], |_, args| {
        snapped(args, |rest, unit| if rest + rest < unit { -rest } else { unit - rest })
    }),
    Function::new("Truncate", &[DURATION], |_, args| snapped(args, |rest, _| -rest)),
    Function::new("Date", &[], several),
    Function::new("Clock", &[], several),
    Function::new("ISOWeek", &[], several),
    Function::new("Zone", &[], several),
];

/// Go's `String` of the integers of package time.
pub(crate) fn integer_text(type_: IntType, number: i64) -> String {
    let named = |names: &[&str], at: i64, type_: &str| {
        let name = usize::try_from(at).ok().and_then(|at| names.get(at));
        // Go prints the number as unsigned here.
        name.map_or_else(
            || format!("%!{type_}({})", number.cast_unsigned()),
            |name| (*name).to_owned(),
        )
    };
    match type_ {
        IntType::Duration => duration_text(number),
        IntType::Month => named(&MONTHS, number.wrapping_sub(1), "Month"),
        IntType::Weekday => named(&WEEKDAYS, number, "Weekday"),
        _ => number.to_string(),
    }
}

fn integer_string(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    match args.any(0) {
        Value::Int(type_, number) => cx.text(integer_text(*type_, *number)),
        _ => cx.text(""),
    }
}

/// A duration as a float of units, computed as Go does: whole units and the rest apart.
#[expect(clippy::cast_precision_loss)] // as in Go
fn units(args: &Args<'_>, unit: i64) -> Result<Value, Failure> {
    let duration = args.int(0)?;
    Ok(Value::float((duration / unit) as f64 + (duration % unit) as f64 / unit as f64))
}

/// To the nearest multiple, halves away from zero; what overflows becomes the largest duration.
fn rounded(duration: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return duration;
    }
    let (duration, unit) = (i128::from(duration), i128::from(unit));
    let rest = duration.abs() % unit;
    let down = duration.abs() - rest;
    let size = if rest + rest < unit { down } else { down + unit };
    let limit = if duration < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(size * duration.signum()).unwrap_or(limit)
}

fn time<'v>(args: &Args<'v>, at: usize) -> Result<&'v Rc<Time>, Failure> {
    match args.any(at) {
        Value::Time(time) => Ok(time),
        other => Err(Failure::type_(format!("expected time.Time; got {}", other.type_name()))),
    }
}

fn int(number: impl Into<i64>) -> Result<Value, Failure> {
    Ok(Value::int(number.into()))
}

fn unix(args: &Args<'_>, unit: i128) -> Result<Value, Failure> {
    let count = time(args, 0)?.zoned.timestamp().as_nanosecond().div_euclid(unit);
    // Go leaves open what nanoseconds of far times are; it wraps.
    #[expect(clippy::cast_possible_truncation)]
    Ok(Value::int64(count as i64))
}

/// The local zone of a container is UTC.
fn utc(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let zoned = time(args, 0)?.zoned.with_time_zone(TimeZone::UTC);
    Ok(Value::Time(Rc::new(Time { zoned, abbreviation: None })))
}

fn order(args: &Args<'_>) -> Result<i64, Failure> {
    let (one, two) = (time(args, 0)?, time(args, 1)?);
    Ok(one.zoned.timestamp().cmp(&two.zoned.timestamp()) as i64)
}

fn compared(args: &Args<'_>, holds: fn(i64) -> bool) -> Result<Value, Failure> {
    Ok(Value::Bool(holds(order(args)?)))
}

/// Durations that are too long become the longest.
fn sub(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let [one, two] =
        [time(args, 0)?, time(args, 1)?].map(|time| time.zoned.timestamp().as_nanosecond());
    let limit = if one < two { i64::MIN } else { i64::MAX };
    Ok(Value::duration(i64::try_from(one - two).unwrap_or(limit)))
}

fn add(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    moved(time(args, 0)?, args.int(1)?.into())
}

/// A time so many nanoseconds later, in the same zone.
fn moved(from: &Time, nanoseconds: i128) -> Result<Value, Failure> {
    let shift =
        i64::try_from(nanoseconds).map(SignedDuration::from_nanos).map_err(|_| too_far())?;
    let then = from.zoned.timestamp().checked_add(shift).map_err(|_| too_far())?;
    Ok(at(from, then))
}

fn at(like: &Time, then: Timestamp) -> Value {
    let zoned = then.to_zoned(like.zoned.time_zone().clone());
    Value::Time(Rc::new(Time { zoned, abbreviation: like.abbreviation.clone() }))
}

fn too_far() -> Failure {
    Failure::function("a time outside the years -9999 to 9999")
}

/// Adds to year, month and day, each on its own: a month after January 31 is March 2 or 3, as in Go.
fn add_date(_: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let from = time(args, 0)?;
    let (years, months, days) = (args.int(1)?, args.int(2)?, args.int(3)?);
    let date = from.zoned.date();
    let month = i128::from(date.year()) * 12 + i128::from(date.month()) - 1
        + i128::from(years) * 12
        + i128::from(months);
    let year = i16::try_from(month.div_euclid(12)).map_err(|_| too_far())?;
    let month = i8::try_from(month.rem_euclid(12) + 1).map_err(|_| too_far())?;
    let first = Date::new(year, month, 1).map_err(|_| too_far())?;
    let days = days.checked_add(i64::from(date.day()) - 1).and_then(|days| days.checked_mul(24));
    let shift =
        SignedDuration::from_secs(days.and_then(|d| d.checked_mul(3600)).ok_or_else(too_far)?);
    let then = first.checked_add(shift).map_err(|_| too_far())?.to_datetime(from.zoned.time());
    let zoned = then.to_zoned(from.zoned.time_zone().clone()).map_err(|_| too_far())?;
    let abbreviation = from.abbreviation.clone();
    Ok(Value::Time(Rc::new(Time { zoned, abbreviation })))
}

/// Moves a time by what `shift` makes of the rest that a multiple of the unit, counted from the year 1, leaves.
fn snapped(args: &Args<'_>, shift: fn(i128, i128) -> i128) -> Result<Value, Failure> {
    let (from, unit) = (time(args, 0)?, i128::from(args.int(1)?));
    if unit <= 0 {
        return Ok(args.any(0).clone());
    }
    let (nanoseconds, seconds) = from.since_year_one();
    let since = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    moved(from, shift(since.rem_euclid(unit), unit))
}

/// Go's templates call no method with more results than a value and an error.
fn several(_: &mut Context<'_>, _: &Args<'_>) -> Result<Value, Failure> {
    Err(Failure::type_("the method has several return values; should be 1 or 2"))
}
