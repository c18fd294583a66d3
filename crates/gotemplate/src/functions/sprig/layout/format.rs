//! Times into text.

use super::{Element, Offset, Padding, next};
use crate::time::{MONTHS, Time, WEEKDAYS};

/// Go's `Time.Format`.
pub(crate) fn format(layout: &[u8], time: &Time) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(layout.len() + 16), layout);
    while let Some((text, element, after)) = next(rest) {
        out.extend(text);
        out.extend(written(element, time).into_bytes());
        rest = after;
    }
    out.extend(rest);
    out
}

fn written(element: Element, time: &Time) -> String {
    let (date, clock) = (time.zoned.date(), time.zoned.time());
    let month = MONTHS.get(usize::try_from(date.month() - 1).unwrap_or(0)).unwrap_or(&"");
    let weekday = usize::try_from(date.weekday().to_sunday_zero_offset()).unwrap_or(0);
    let weekday = WEEKDAYS.get(weekday).unwrap_or(&"");
    let hour12 = (clock.hour() + 11) % 12 + 1;
    let afternoon = clock.hour() >= 12;
    match element {
        Element::LongMonth => (*month).to_owned(),
        Element::Month => month[..3].to_owned(),
        Element::NumericMonth { zero } => number(date.month().into(), zero),
        Element::LongWeekday => (*weekday).to_owned(),
        Element::Weekday => weekday[..3].to_owned(),
        Element::Day(padding) => padded(date.day().into(), 2, padding),
        Element::YearDay(padding) => padded(date.day_of_year(), 3, padding),
        Element::Hour => number(clock.hour().into(), true),
        Element::Hour12 { zero } => number(hour12.into(), zero),
        Element::Minute { zero } => number(clock.minute().into(), zero),
        Element::Second { zero } => number(clock.second().into(), zero),
        Element::LongYear if date.year() < 0 => format!("-{:04}", date.year().unsigned_abs()),
        Element::LongYear => format!("{:04}", date.year()),
        Element::Year => number(date.year().rem_euclid(100), true),
        Element::UpperPm => if afternoon { "PM" } else { "AM" }.to_owned(),
        Element::LowerPm => if afternoon { "pm" } else { "am" }.to_owned(),
        Element::ZoneName => time.zone_name(),
        Element::Offset(form) => offset(form, time.zoned.offset().seconds()),
        Element::Fraction { digits, separator, trimmed } => {
            fraction(clock.subsec_nanosecond(), digits, separator, trimmed)
        }
    }
}

fn number(number: i16, zero: bool) -> String {
    if zero { format!("{number:02}") } else { number.to_string() }
}

fn padded(number: i16, width: usize, padding: Padding) -> String {
    match padding {
        Padding::None => number.to_string(),
        Padding::Space => format!("{number:width$}"),
        Padding::Zero => format!("{number:0width$}"),
    }
}

fn offset(form: Offset, seconds: i32) -> String {
    if form.zulu && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let colon = if form.colon { ":" } else { "" };
    let hours = format!("{sign}{:02}", seconds / 3600);
    let minutes =
        if form.minutes { format!("{colon}{:02}", seconds / 60 % 60) } else { String::new() };
    let seconds = if form.seconds { format!("{colon}{:02}", seconds % 60) } else { String::new() };
    hours + &minutes + &seconds
}

fn fraction(nanoseconds: i32, digits: usize, separator: u8, trimmed: bool) -> String {
    let all = format!("{nanoseconds:09}");
    let kept = &all[..digits.min(9)];
    let kept = if trimmed { kept.trim_end_matches('0') } else { kept };
    if kept.is_empty() { String::new() } else { format!("{}{kept}", char::from(separator)) }
}
