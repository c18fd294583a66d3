//! `syncWindows`: when periodic refreshes are allowed.
//!
//! A window opens at each time of a schedule and stays open for a duration. Schedules are cron's five fields (of
//! `syncWindows` in UTC, of rollouts in a time zone), its macros, or `@every` and a duration. Where both the day of the
//! month and the day of the week are restricted, one of them is enough.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};

use super::error::PlanError;
use crate::api::external_secrets::external_secret::SyncWindowKind;
use crate::api::external_secrets::external_secret::SyncWindows;
use crate::duration;

/// A schedule that does not come within this many days never comes (February 30th).
const MAX_DAYS: usize = 366 * 5;
/// How many windows that follow each other without a gap are joined when the end of a denied time is sought.
const MAX_JOINED: usize = 64;

/// Whether a refresh may happen at `now`; if not, from when on it may, if ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It may.
    Open,
    /// Not before.
    ClosedUntil(Timestamp),
    /// Not any more.
    Closed,
}

/// What the windows say about `now`.
pub(crate) fn gate(windows: &SyncWindows, now: Timestamp) -> Result<Gate, PlanError> {
    let parsed = windows.windows.iter().enumerate().map(|(nth, window)| {
        let schedule = Schedule::parse(&window.schedule).ok_or_else(|| PlanError::Schedule {
            field: format!("syncWindows.windows[{nth}].schedule"),
            text: window.schedule.clone(),
        })?;
        let length = duration::parse(&window.duration).filter(SignedDuration::is_positive);
        let length = length.ok_or_else(|| PlanError::Duration {
            field: format!("syncWindows.windows[{nth}].duration"),
            text: window.duration.clone(),
        })?;
        Ok(Window { schedule, length, zone: TimeZone::UTC })
    });
    let parsed: Vec<Window> = parsed.collect::<Result<_, PlanError>>()?;
    match &windows.kind {
        SyncWindowKind::Allow => Ok(allowed(&parsed, now)),
        SyncWindowKind::Deny => Ok(denied(&parsed, now)),
        SyncWindowKind::Other(value) => Err(PlanError::UnknownValue {
            field: "syncWindows.kind".to_owned(),
            value: value.clone(),
        }),
    }
}

/// What windows that allow something say about `now`.
pub(crate) fn allowed(windows: &[Window], now: Timestamp) -> Gate {
    if windows.iter().any(|window| window.closes(now).is_some()) {
        return Gate::Open;
    }
    let opens = windows.iter().filter_map(|window| window.opens(now)).min();
    opens.map_or(Gate::Closed, Gate::ClosedUntil)
}

fn denied(windows: &[Window], now: Timestamp) -> Gate {
    let mut free = now;
    for _ in 0..MAX_JOINED {
        match windows.iter().filter_map(|window| window.closes(free)).max() {
            None if free == now => return Gate::Open,
            None => break,
            Some(closes) => free = closes,
        }
    }
    // Still closed after that many windows: reconciled again then.
    Gate::ClosedUntil(free)
}

/// A time that comes again and again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    schedule: Schedule,
    length: SignedDuration,
    zone: TimeZone,
}

impl Window {
    /// A window in a time zone, from `<schedule> / <duration>` or `<schedule> / <duration> / <time zone>`. `None` if it
    /// is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // A step has no spaces around its slash.
        let mut parts = text.split(" / ").map(str::trim);
        let schedule = Schedule::parse(parts.next()?)?;
        let length = duration::parse(parts.next()?).filter(SignedDuration::is_positive)?;
        let zone = parts.next().map_or(Some(TimeZone::UTC), |name| TimeZone::get(name).ok())?;
        parts.next().is_none().then_some(Self { schedule, length, zone })
    }

    /// When it opens next.
    fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next(after, &self.zone)
    }

    /// When the window that is open at `now` closes.
    fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        let opened = self.opens(now.checked_sub(self.length).ok()?)?;
        (opened <= now).then(|| opened.checked_add(self.length).ok()).flatten()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Schedule {
    Every(SignedDuration),
    Cron(Box<Cron>),
}

/// Allowed values of each field, one bit each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: Field,
    months: u64,
    weekdays: Field,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Field {
    bits: u64,
    restricted: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    fn parse(text: &str) -> Option<Self> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(every) = text.strip_prefix("@every ") {
            return duration::parse(every).filter(SignedDuration::is_positive).map(Self::Every);
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
        Some(Self::Cron(Box::new(Cron {
            minutes: parse_field(minutes, 0, 59, &[])?.bits,
            hours: parse_field(hours, 0, 23, &[])?.bits,
            days: parse_field(days, 1, 31, &[])?,
            months: parse_field(months, 1, 12, &MONTHS)?.bits,
            weekdays: parse_field(weekdays, 0, 6, &WEEKDAYS)?,
        })))
    }

    /// The first time after `after`.
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => after.checked_add(*every).ok(),
            Self::Cron(cron) => cron.next(after, zone),
        }
    }
}

impl Cron {
    /// Cron's five fields, or one of its macros.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match Schedule::parse(text)? {
            Schedule::Cron(cron) => Some(*cron),
            Schedule::Every(_) => None,
        }
    }

    /// The first time after `after`. A local time that is skipped comes at the moment of the change, and one that comes
    /// twice counts once.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut local = zone.to_datetime(after);
        loop {
            local = self.next_local(local)?;
            let ambiguous = zone.to_ambiguous_timestamp(local);
            let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            let earlier = ambiguous.earlier().ok()?;
            let at = if is_skipped { zone.following(earlier).next()?.timestamp() } else { earlier };
            if at > after {
                return Some(at);
            }
        }
    }

    /// The first time after `after` on a clock that is never set.
    fn next_local(&self, after: DateTime) -> Option<DateTime> {
        let mut date = after.date();
        for _ in 0..MAX_DAYS {
            if self.has_day(date)
                && let Some(time) = self.first_on(date, after)
            {
                return Some(time);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days.bits, date.day());
        let weekday = has(self.weekdays.bits, date.weekday().to_sunday_zero_offset());
        let fits = if self.days.restricted && self.weekdays.restricted {
            day || weekday
        } else {
            day && weekday
        };
        fits && has(self.months, date.month())
    }

    fn first_on(&self, date: Date, after: DateTime) -> Option<DateTime> {
        let hours = (0..24).filter(|hour| has(self.hours, *hour));
        let mut times = hours.flat_map(|hour| {
            let minutes = (0..60).filter(|minute| has(self.minutes, *minute));
            minutes.map(move |minute| date.at(hour, minute, 0, 0))
        });
        times.find(|time| *time > after)
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits >> value & 1 == 1)
}

/// A list of values, ranges and steps: `*`, `1,5-10`, `*/15`, `mon-fri`.
fn parse_field(text: &str, min: u32, max: u32, names: &[&str]) -> Option<Field> {
    let mut field = Field { bits: 0, restricted: true };
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => {
                (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?))
            }
            None => (item, None),
        };
        let (from, to) = match range {
            "*" | "?" => {
                field.restricted &= step.is_some_and(|step| step > 1);
                (min, max)
            }
            _ => {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let from = parse_value(from, min, names)?;
                let open = step.is_some() && !range.contains('-');
                (from, if open { max } else { parse_value(to, min, names)? })
            }
        };
        if from < min || to > max || from > to {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        field.bits |= (from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value);
    }
    Some(field)
}

fn parse_value(text: &str, first: u32, names: &[&str]) -> Option<u32> {
    if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Some(first + u32::try_from(at).ok()?);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::external_secrets::external_secret::SyncWindow;

    fn at(text: &str) -> Timestamp {
        format!("{text}Z").parse().unwrap()
    }

    fn schedule(text: &str) -> Schedule {
        Schedule::parse(text).unwrap()
    }

    fn next(text: &str, after: &str) -> Option<Timestamp> {
        schedule(text).next(at(after), &TimeZone::UTC)
    }

    fn windows(kind: SyncWindowKind, windows: &[(&str, &str)]) -> SyncWindows {
        let windows = windows.iter().map(|(schedule, duration)| SyncWindow {
            schedule: (*schedule).to_owned(),
            duration: (*duration).to_owned(),
        });
        SyncWindows { kind, windows: windows.collect() }
    }

    #[test]
    fn schedules_come_when_cron_says() {
        // 2026-03-02 is a Monday.
        for (schedule, expected) in [
            ("* * * * *", "2026-03-02T10:08:00"),
            ("*/15 * * * *", "2026-03-02T10:15:00"),
            ("7 * * * *", "2026-03-02T11:07:00"),
            ("0 8 * * *", "2026-03-03T08:00:00"),
            ("0 8-18/2 * * *", "2026-03-02T12:00:00"),
            ("30 9,17 * * 1-5", "2026-03-02T17:30:00"),
            ("0 0 * * sun", "2026-03-08T00:00:00"),
            ("0 0 29 feb ?", "2028-02-29T00:00:00"),
            ("0 0 13 * FRI", "2026-03-06T00:00:00"),
            ("0 0 3 * *", "2026-03-03T00:00:00"),
            ("5/20 10 * * *", "2026-03-02T10:25:00"),
            ("@hourly", "2026-03-02T11:00:00"),
            ("@daily", "2026-03-03T00:00:00"),
            ("@weekly", "2026-03-08T00:00:00"),
            ("@monthly", "2026-04-01T00:00:00"),
            ("@yearly", "2027-01-01T00:00:00"),
            ("@every 90m", "2026-03-02T11:37:30"),
        ] {
            assert_eq!(next(schedule, "2026-03-02T10:07:30"), Some(at(expected)), "{schedule}");
        }
        assert_eq!(next("0 0 30 2 *", "2026-03-02T10:07:30"), None);
        assert_eq!(
            next("0 8 * * *", "2026-03-02T08:00:00"),
            Some(at("2026-03-03T08:00:00")),
            "strictly after"
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "+1 * * * *",
            "@often",
            "@every",
            "@every 1d",
            "@every -1h",
        ] {
            assert!(Schedule::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn refreshes_happen_inside_allowed_windows_only() {
        let windows = windows(SyncWindowKind::Allow, &[("0 8 * * *", "2h"), ("0 20 * * *", "1h")]);
        for (now, expected) in [
            ("2026-03-02T07:59:59", Gate::ClosedUntil(at("2026-03-02T08:00:00"))),
            ("2026-03-02T08:00:00", Gate::Open),
            ("2026-03-02T09:59:59", Gate::Open),
            ("2026-03-02T10:00:00", Gate::ClosedUntil(at("2026-03-02T20:00:00"))),
            ("2026-03-02T20:30:00", Gate::Open),
            ("2026-03-02T21:00:00", Gate::ClosedUntil(at("2026-03-03T08:00:00"))),
        ] {
            assert_eq!(gate(&windows, at(now)).unwrap(), expected, "{now}");
        }
    }

    #[test]
    fn refreshes_wait_for_the_end_of_denied_windows() {
        let windows = windows(
            SyncWindowKind::Deny,
            &[("0 8 * * *", "2h"), ("0 9 * * *", "3h"), ("0 12 * * *", "1h")],
        );
        for (now, expected) in [
            ("2026-03-02T07:59:59", Gate::Open),
            ("2026-03-02T08:00:00", Gate::ClosedUntil(at("2026-03-02T13:00:00"))),
            ("2026-03-02T12:59:59", Gate::ClosedUntil(at("2026-03-02T13:00:00"))),
            ("2026-03-02T13:00:00", Gate::Open),
        ] {
            assert_eq!(gate(&windows, at(now)).unwrap(), expected, "{now}");
        }
    }

    #[test]
    fn windows_without_an_end_are_looked_at_again() {
        let always = windows(SyncWindowKind::Deny, &[("* * * * *", "1h")]);
        let Gate::ClosedUntil(then) = gate(&always, at("2026-03-02T08:00:00")).unwrap() else {
            panic!("not closed")
        };
        assert!(then > at("2026-03-02T09:00:00"));
        let never = windows(SyncWindowKind::Allow, &[("0 0 30 2 *", "1h")]);
        assert_eq!(gate(&never, at("2026-03-02T08:00:00")).unwrap(), Gate::Closed);
    }

    #[test]
    fn windows_of_a_time_zone_follow_its_clock() {
        let berlin = |text: &str| [Window::parse(&format!("{text} / Europe/Berlin")).unwrap()];
        let nights = berlin("30 2 * * * / 2h");
        for (now, expected) in [
            ("2026-01-10T01:29:59", Gate::ClosedUntil(at("2026-01-10T01:30:00"))),
            ("2026-01-10T03:29:59", Gate::Open),
            ("2026-07-10T00:30:00", Gate::Open),
            // The clock goes from 2 to 3: what would be at half past two is at three.
            ("2026-03-29T00:59:59", Gate::ClosedUntil(at("2026-03-29T01:00:00"))),
            ("2026-03-29T01:00:00", Gate::Open),
            // Half past two comes twice: the first one counts.
            ("2026-10-25T00:30:00", Gate::Open),
            ("2026-10-25T02:30:00", Gate::ClosedUntil(at("2026-10-26T01:30:00"))),
        ] {
            assert_eq!(allowed(&nights, at(now)), expected, "{now}");
        }
        for text in [
            "",
            "0 2 * * *",
            "0 2 * * * / 1d",
            "0 2 * * * / 1h / Mars",
            "* / 1h",
            "0 2 * * * / 1h / UTC / x",
        ] {
            assert!(Window::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_window_that_cannot_be_read_is_named() {
        let now = at("2026-03-02T08:00:00");
        let error = gate(&windows(SyncWindowKind::Allow, &[("* * * * 8", "1h")]), now).unwrap_err();
        assert!(
            error.to_string().contains("spec.syncWindows.windows[0].schedule is \"* * * * 8\""),
            "{error}"
        );
        let error = gate(&windows(SyncWindowKind::Allow, &[("@daily", "1d")]), now).unwrap_err();
        assert!(
            error.to_string().contains("spec.syncWindows.windows[0].duration is \"1d\""),
            "{error}"
        );
        let kind = SyncWindowKind::Other("maybe".to_owned());
        assert!(
            gate(&windows(kind, &[]), now).unwrap_err().to_string().contains("syncWindows.kind")
        );
    }
}
