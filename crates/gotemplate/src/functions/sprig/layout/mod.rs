//! Layouts of package `time`: `2006-01-02 15:04:05` says how a time is written and read.

mod format;
mod parse;

pub(crate) use format::format;
pub(crate) use parse::parse;

/// One element of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    LongMonth,
    Month,
    /// `1`, or `01`.
    NumericMonth {
        zero: bool,
    },
    LongWeekday,
    Weekday,
    Day(Padding),
    YearDay(Padding),
    Hour,
    Hour12 {
        zero: bool,
    },
    Minute {
        zero: bool,
    },
    Second {
        zero: bool,
    },
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(Offset),
    Fraction {
        digits: usize,
        separator: u8,
        /// `.999`: zeros at the end are left out.
        trimmed: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    None,
    Space,
    Zero,
}

/// How an offset from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools)] // each is a part of the form
struct Offset {
    /// `Z` stands for UTC.
    zulu: bool,
    colon: bool,
    minutes: bool,
    seconds: bool,
}

/// Text before the first element, the element, and what follows; none when only text is left.
fn next(layout: &[u8]) -> Option<(&[u8], Element, &[u8])> {
    (0..layout.len()).find_map(|at| {
        let (skipped, element, length) = element(&layout[at..])?;
        Some((&layout[..at + skipped], element, &layout[at + skipped + length..]))
    })
}

/// The element that a layout starts with: bytes of text before it, and its own.
fn element(layout: &[u8]) -> Option<(usize, Element, usize)> {
    use Element as E;
    let starts = |text: &str| layout.starts_with(text.as_bytes());
    // `Jan` and `Mon` are not the start of other words.
    let word =
        |text: &str| starts(text) && !layout.get(text.len()).is_some_and(u8::is_ascii_lowercase);
    let plain = |element, length| Some((0, element, length));
    match layout.first()? {
        b'J' if starts("January") => plain(E::LongMonth, 7),
        b'J' if word("Jan") => plain(E::Month, 3),
        b'M' if starts("Monday") => plain(E::LongWeekday, 6),
        b'M' if word("Mon") => plain(E::Weekday, 3),
        b'M' if starts("MST") => plain(E::ZoneName, 3),
        b'0' => padded(layout),
        b'1' if starts("15") => plain(E::Hour, 2),
        b'1' => plain(E::NumericMonth { zero: false }, 1),
        b'2' if starts("2006") => plain(E::LongYear, 4),
        b'2' => plain(E::Day(Padding::None), 1),
        b'_' if starts("_2006") => Some((1, E::LongYear, 4)),
        b'_' if starts("_2") => plain(E::Day(Padding::Space), 2),
        b'_' if starts("__2") => plain(E::YearDay(Padding::Space), 3),
        b'3' => plain(E::Hour12 { zero: false }, 1),
        b'4' => plain(E::Minute { zero: false }, 1),
        b'5' => plain(E::Second { zero: false }, 1),
        b'P' if starts("PM") => plain(E::UpperPm, 2),
        b'p' if starts("pm") => plain(E::LowerPm, 2),
        b'-' => offset(&layout[1..], false),
        b'Z' => offset(&layout[1..], true),
        b'.' | b',' => fraction(layout),
        _ => None,
    }
}

fn padded(layout: &[u8]) -> Option<(usize, Element, usize)> {
    let element = match layout.get(1)? {
        b'1' => Element::NumericMonth { zero: true },
        b'2' => Element::Day(Padding::Zero),
        b'3' => Element::Hour12 { zero: true },
        b'4' => Element::Minute { zero: true },
        b'5' => Element::Second { zero: true },
        b'6' => Element::Year,
        b'0' if layout.get(2) == Some(&b'2') => {
            return Some((0, Element::YearDay(Padding::Zero), 3));
        }
        _ => return None,
    };
    Some((0, element, 2))
}

/// After `-` or `Z`.
fn offset(layout: &[u8], zulu: bool) -> Option<(usize, Element, usize)> {
    let forms: [(&[u8], bool, bool, bool); 5] = [
        (b"070000", false, true, true),
        (b"07:00:00", true, true, true),
        (b"0700", false, true, false),
        (b"07:00", true, true, false),
        (b"07", false, false, false),
    ];
    let (text, colon, minutes, seconds) =
        forms.into_iter().find(|(text, ..)| layout.starts_with(text))?;
    Some((0, Element::Offset(Offset { zulu, colon, minutes, seconds }), text.len() + 1))
}

/// A point or comma and zeros or nines, no other digit behind them.
fn fraction(layout: &[u8]) -> Option<(usize, Element, usize)> {
    let digit = *layout.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
    let digits = layout[1..].iter().take_while(|byte| **byte == digit).count();
    if layout.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let (separator, trimmed) = (layout[0], digit == b'9');
    Some((0, Element::Fraction { digits, separator, trimmed }, 1 + digits))
}
