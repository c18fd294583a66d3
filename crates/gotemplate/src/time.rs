//! `time.Time` and `time.Duration` of Go.

use std::{fmt, rc::Rc};

use jiff::Zoned;

/// A time with its zone.
///
/// Layouts (`Format`, `Parse`) are beside sprig's date functions: `functions::sprig::layout`.
#[derive(Clone)]
pub(crate) struct Time {
    /// The instant and the zone's rules.
    pub zoned: Zoned,
    /// The zone's abbreviation where the rules have none: Go keeps the one it parsed, and the empty one of a
    /// fixed offset.
    pub abbreviation: Option<Rc<str>>,
}

impl Time {
    /// The name of the zone, then, as `MST` in a layout writes it.
    pub(crate) fn zone_name(&self) -> String {
        if let Some(known) = self.abbreviation.as_deref().filter(|known| !known.is_empty()) {
            return known.to_owned();
        }
        let zone = self.zoned.time_zone();
        let name = zone.to_offset_info(self.zoned.timestamp()).abbreviation().to_owned();
        // Fixed offsets have no name in Go: it writes the offset, minutes and all.
        if self.abbreviation.is_some() {
            return offset(self.zoned.offset().seconds(), true);
        }
        if name.starts_with(['+', '-']) {
            return offset(self.zoned.offset().seconds(), false);
        }
        name
    }

    /// Go's `==`: the same instant, written in the same zone.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.zoned.timestamp() == other.zoned.timestamp()
            && self.zoned.time_zone() == other.zoned.time_zone()
            && self.abbreviation == other.abbreviation
    }

    /// Nanoseconds of the second, and seconds since the first of January of the year 1: Go's own fields.
    pub(crate) fn since_year_one(&self) -> (u64, i64) {
        let second = self.zoned.timestamp().as_nanosecond().div_euclid(1_000_000_000);
        let nanoseconds = self.zoned.timestamp().as_nanosecond().rem_euclid(1_000_000_000);
        let seconds = i64::try_from(second).unwrap_or(0) + 62_135_596_800;
        (u64::try_from(nanoseconds).unwrap_or(0), seconds)
    }

    /// As `%#v` writes it.
    pub(crate) fn go_string(&self) -> String {
        let t = &self.zoned;
        let (date, time) = (t.date(), t.time());
        let month = MONTHS.get(usize::try_from(date.month() - 1).unwrap_or(0)).unwrap_or(&"");
        let zone = match self.zone_name().as_str() {
            "UTC" => "time.UTC".to_owned(),
            name => format!("time.Location({name:?})"),
        };
        format!(
            "time.Date({}, time.{month}, {}, {}, {}, {}, {}, {zone})",
            date.year(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond(),
        )
    }
}

/// Go's `String`: `2006-01-02 15:04:05.999999999 -0700 MST`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.zoned.date(), self.zoned.time());
        let (year, month, day) = (date.year(), date.month(), date.day());
        let sign = if year < 0 { "-" } else { "" };
        let year = year.unsigned_abs();
        write!(f, "{sign}{year:04}-{month:02}-{day:02} ")?;
        write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        if time.subsec_nanosecond() != 0 {
            let fraction = format!("{:09}", time.subsec_nanosecond());
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        write!(f, " {} {}", offset(self.zoned.offset().seconds(), true), self.zone_name())
    }
}

/// `-0700`; where minutes are not asked for, they are left out when they are zero, as in zones without a name.
fn offset(seconds: i32, minutes: bool) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let total = seconds.abs() / 60;
    if !minutes && total % 60 == 0 {
        return format!("{sign}{:02}", total / 60);
    }
    format!("{sign}{:02}{:02}", total / 60, total % 60)
}

/// Names of `time.Month`, from January.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of `time.Weekday`, from Sunday.
pub(crate) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Go's `Duration.String`: `1h2m3.5s`, `1.5ms`, `0s`.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let size = nanoseconds.unsigned_abs();
    let fraction = |size: u64, unit: u64| {
        let width = unit.ilog10() as usize;
        let text = format!("{}.{:0width$}", size / unit, size % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let body = match size {
        0 => return "0s".to_owned(),
        1..1_000 => format!("{size}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(size, 1_000)),
        1_000_000..SECOND => format!("{}ms", fraction(size, 1_000_000)),
        _ => {
            let (hours, minutes) = (size / SECOND / 3600, size / SECOND / 60 % 60);
            let seconds = fraction(size % (60 * SECOND), SECOND);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{body}")
}
