//! Text into times.

use jiff::{
    Span, Timestamp, Zoned,
    civil::{Date, DateTime},
    tz::{self, TimeZone},
};

use super::{Element, Offset, Padding, next};
use crate::time::{MONTHS, Time, WEEKDAYS};

/// Go's `time.ParseInLocation` with UTC as the location; none of text that does not follow the layout.
pub(crate) fn parse(layout: &[u8], text: &[u8]) -> Option<Time> {
    let (mut read, mut layout) = (Read { rest: text, ..Read::default() }, layout);
    while let Some((literal, element, after)) = next(layout) {
        read.literal(literal)?;
        read.element(element, after)?;
        layout = after;
    }
    read.literal(layout)?;
    if read.rest.is_empty() { read.time() } else { None }
}

/// What was read so far.
#[derive(Default)]
struct Read<'t> {
    rest: &'t [u8],
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    /// `Some(true)` after noon.
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone: Option<String>,
}

impl Read<'_> {
    /// Text that stands for itself; a space stands for any number of them.
    fn literal(&mut self, text: &[u8]) -> Option<()> {
        let mut text = text;
        while let Some((first, more)) = text.split_first() {
            if *first == b' ' {
                if self.rest.first().is_some_and(|byte| *byte != b' ') {
                    return None;
                }
                text = without_spaces(text);
                self.rest = without_spaces(self.rest);
                continue;
            }
            self.rest = self.rest.strip_prefix(&[*first])?;
            text = more;
        }
        Some(())
    }

    fn element(&mut self, element: Element, after: &[u8]) -> Option<()> {
        match element {
            Element::LongYear => self.year = self.digits_exactly(4)?.try_into().ok()?,
            Element::Year => {
                let year = i16::try_from(self.digits_exactly(2)?).ok()?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Element::LongMonth => self.month = Some(self.name(&MONTHS, false)?),
            Element::Month => self.month = Some(self.name(&MONTHS, true)?),
            Element::NumericMonth { zero } => {
                let month = self.number(zero).filter(|month| (1..=12).contains(month))?;
                self.month = Some(month.try_into().ok()?);
            }
            Element::LongWeekday => drop(self.name(&WEEKDAYS, false)?),
            Element::Weekday => drop(self.name(&WEEKDAYS, true)?),
            Element::Day(padding) => {
                if padding == Padding::Space {
                    self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
                }
                self.day = Some(self.number(padding == Padding::Zero)?.try_into().ok()?);
            }
            Element::YearDay(padding) => {
                for _ in 0..2 {
                    if padding == Padding::Space {
                        self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
                    }
                }
                self.year_day = Some(self.number_of(3, padding == Padding::Zero)?.try_into().ok()?);
            }
            Element::Hour => {
                self.hour = self.number(false).filter(|hour| *hour < 24)?.try_into().ok()?;
            }
            Element::Hour12 { zero } => {
                self.hour = self.number(zero).filter(|hour| *hour <= 12)?.try_into().ok()?;
            }
            Element::Minute { zero } => {
                self.minute = self.number(zero).filter(|minute| *minute < 60)?.try_into().ok()?;
            }
            Element::Second { zero } => {
                self.second = self.number(zero).filter(|second| *second < 60)?.try_into().ok()?;
                // A fraction may follow the seconds even where the layout has none.
                if !matches!(next(after), Some(([], Element::Fraction { .. }, _))) {
                    self.optional_fraction();
                }
            }
            Element::UpperPm => self.half(b"AM", b"PM")?,
            Element::LowerPm => self.half(b"am", b"pm")?,
            Element::ZoneName => self.zone_name()?,
            Element::Offset(form) => self.offset(form)?,
            Element::Fraction { trimmed: true, .. } => self.optional_fraction(),
            Element::Fraction { digits, .. } => self.fraction(digits)?,
        }
        Some(())
    }

    /// So many digits.
    fn digits_exactly(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest.get(..count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.rest = &self.rest[count..];
        Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// One or two digits; two when zeros are written.
    fn number(&mut self, fixed: bool) -> Option<u32> {
        self.number_of(2, fixed)
    }

    fn number_of(&mut self, most: usize, fixed: bool) -> Option<u32> {
        let found = self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if found == 0 || fixed && found < most { None } else { self.digits_exactly(found) }
    }

    /// Number of the name, from 1; case does not matter.
    fn name(&mut self, names: &[&str], short: bool) -> Option<i8> {
        for (nth, name) in names.iter().enumerate() {
            let name = if short { &name[..3] } else { name };
            let matches = self.rest.get(..name.len());
            if matches.is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes())) {
                self.rest = &self.rest[name.len()..];
                return i8::try_from(nth + 1).ok();
            }
        }
        None
    }

    fn half(&mut self, morning: &[u8], afternoon: &[u8]) -> Option<()> {
        let (half, rest) = self.rest.split_at_checked(2)?;
        self.afternoon = Some(half == afternoon);
        self.rest = rest;
        (half == morning || half == afternoon).then_some(())
    }

    /// A point or comma and digits, if they are there.
    fn optional_fraction(&mut self) {
        if let [b'.' | b',', digits @ ..] = self.rest {
            let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count > 0 {
                self.fraction(count);
            }
        }
    }

    fn fraction(&mut self, digits: usize) -> Option<()> {
        let text = self.rest.get(..=digits)?;
        if !matches!(text[0], b'.' | b',') || !text[1..].iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.rest = &self.rest[1 + digits..];
        // Digits beyond the ninth are cut off.
        let digits = text[1..].iter().copied().chain(std::iter::repeat(b'0')).take(9);
        self.nanosecond = digits.fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
        Some(())
    }

    fn offset(&mut self, form: Offset) -> Option<()> {
        if form.zulu
            && let Some(rest) = self.rest.strip_prefix(b"Z")
        {
            self.rest = rest;
            self.utc = true;
            return Some(());
        }
        let (sign, rest) = self.rest.split_first()?;
        let negative = match sign {
            b'+' => false,
            b'-' => true,
            _ => return None,
        };
        self.rest = rest;
        let hours = self.digits_exactly(2).filter(|hours| *hours <= 24)?;
        let (mut minutes, mut seconds) = (0, 0);
        for (wanted, part) in [(form.minutes, &mut minutes), (form.seconds, &mut seconds)] {
            if wanted {
                if form.colon {
                    self.rest = self.rest.strip_prefix(b":")?;
                }
                *part = self.digits_exactly(2).filter(|part| *part < 60)?;
            }
        }
        let total = i32::try_from(hours * 3600 + minutes * 60 + seconds).ok()?;
        self.offset = Some(if negative { -total } else { total });
        Some(())
    }

    fn zone_name(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix(b"UTC") {
            self.utc = true;
            self.rest = rest;
            return Some(());
        }
        let length = zone_name_length(self.rest)?;
        self.zone = Some(String::from_utf8_lossy(&self.rest[..length]).into_owned());
        self.rest = &self.rest[length..];
        Some(())
    }

    fn time(self) -> Option<Time> {
        let hour = match (self.afternoon, self.hour) {
            (Some(true), hour @ ..12) => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
        let date = self.date()?;
        let at = DateTime::from_parts(
            date,
            jiff::civil::Time::new(hour, self.minute, self.second, self.nanosecond).ok()?,
        );
        let utc = at.to_zoned(TimeZone::UTC).ok()?;
        match (self.utc, self.offset, self.zone) {
            (true, ..) | (_, None, None) => Some(Time { zoned: utc, abbreviation: None }),
            (_, Some(offset), zone) => {
                let zoned = utc.checked_sub(Span::new().seconds(offset)).ok()?;
                let local = offset == 0 && zone.as_deref().is_none_or(|zone| zone == "UTC");
                if local {
                    Some(Time { zoned, abbreviation: None })
                } else {
                    fixed(&zoned, offset, zone)
                }
            }
            (_, None, Some(zone)) => {
                let hours: Option<i32> =
                    zone.strip_prefix("GMT").and_then(|hours| hours.parse().ok());
                // The clock counts as UTC's: only GMT's offsets are known, and Go shifts the clock by them.
                fixed(&utc, hours.unwrap_or(0).checked_mul(3600)?, Some(zone))
            }
        }
    }

    fn date(&self) -> Option<Date> {
        if let Some(day) = self.year_day {
            let first = Date::new(self.year, 1, 1).ok()?;
            let last = first.days_in_year();
            let date = first
                .checked_add(Span::new().days(day - 1))
                .ok()
                .filter(|_| (1..=last).contains(&day))?;
            let same = self.month.is_none_or(|month| month == date.month())
                && self.day.is_none_or(|day| day == date.day());
            return same.then_some(date);
        }
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()
    }
}

/// An instant in a zone of fixed offset.
fn fixed(zoned: &Zoned, offset: i32, name: Option<String>) -> Option<Time> {
    let zone = TimeZone::fixed(tz::Offset::from_seconds(offset).ok()?);
    let zoned = Timestamp::from(zoned).to_zoned(zone);
    Some(Time { zoned, abbreviation: Some(name.unwrap_or_default().into()) })
}

/// Length of an abbreviation such as `CEST`, or of `GMT-8`, or of an offset that stands for one.
fn zone_name_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if text.starts_with(b"GMT") {
        return Some(3 + signed_offset(&text[3..]));
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_offset(text)).filter(|length| *length > 0);
    }
    let upper = text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    match upper {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// Length of a sign and hours below 24; 0 when they are none.
fn signed_offset(text: &[u8]) -> usize {
    let Some(b'+' | b'-') = text.first() else { return 0 };
    let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hours =
        std::str::from_utf8(&text[1..=digits]).ok().and_then(|hours| hours.parse::<u64>().ok());
    if hours.is_some_and(|hours| hours < 24) { 1 + digits } else { 0 }
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    &text[spaces..]
}
