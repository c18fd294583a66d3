//! Text for people: a table, ages, colours.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::{SignedDuration, Timestamp};

use crate::survey::State;

/// Without what could steer a terminal or turn the order of letters around: names and messages hold what users wrote.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{FFFD}' } else { c }).collect()
}

/// An age as kubectl shows it: the two largest units.
pub(crate) fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(|| "-".to_owned(), |since| short(now.duration_since(since)))
}

/// Time that is to come.
pub(crate) fn ahead(at: Option<Timestamp>, now: Timestamp) -> String {
    match at.map(|at| at.duration_since(now)) {
        None => "-".to_owned(),
        Some(rest) if rest.is_negative() => "now".to_owned(),
        Some(rest) => format!("in {}", short(rest)),
    }
}

fn short(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (large, small) = match seconds {
        0..=119 => return format!("{seconds}s"),
        120..=7199 => ((seconds / 60, "m"), (seconds % 60, "s")),
        7200..=172_799 => ((seconds / 3600, "h"), (seconds % 3600 / 60, "m")),
        _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h")),
    };
    let rest = if small.0 == 0 { String::new() } else { format!("{}{}", small.0, small.1) };
    format!("{}{}{rest}", large.0, large.1)
}

/// The colour of a state. The word stands beside it always.
pub(super) const fn style(state: State) -> Style {
    match state {
        State::Failing => AnsiColor::Red.on_default().bold(),
        State::Late | State::Unsupported => AnsiColor::Red.on_default(),
        State::Waiting => AnsiColor::Yellow.on_default(),
        State::Due | State::Manual | State::Foreign => AnsiColor::Cyan.on_default(),
        State::Synced => AnsiColor::Green.on_default(),
    }
}

/// A text in a style, if colours are wanted.
pub(super) fn paint(on: bool, style: Style, text: &str) -> String {
    if on { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// A cell: what is shown, and its style.
pub(super) struct Cell(pub(super) String, pub(super) Style);

impl Cell {
    /// A cell without a style.
    pub(super) fn new(text: &str) -> Self {
        Self(plain(text), Style::new())
    }
}

/// Writes a table. The last column takes what is left of the width, if there is one.
pub(super) fn table(
    head: &[&str],
    rows: &[Vec<Cell>],
    width: Option<usize>,
    colour: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<_> = head.iter().map(|text| length(text)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(&cell.0));
        }
    }
    let last = head.len().saturating_sub(1);
    let before: usize = widths.iter().take(last).map(|width| width + 2).sum();
    let room = width.map(|width| width.saturating_sub(before).max(20));
    let head: Vec<_> = head.iter().map(|text| Cell::new(text)).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let text = if index == last { shortened(&cell.0, room) } else { cell.0.clone() };
            let space = if index == last { 0 } else { (width + 2).saturating_sub(length(&text)) };
            line.push_str(&paint(colour, cell.1, &text));
            line.push_str(&" ".repeat(space));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn shortened(text: &str, room: Option<usize>) -> String {
    match room {
        Some(room) if text.chars().count() > room => {
            let kept: String = text.chars().take(room.saturating_sub(3)).collect();
            format!("{kept}...")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_and_never_negative() {
        for (seconds, text) in
            [(-5, "0s"), (0, "0s"), (119, "119s"), (125, "2m5s"), (7200, "2h"), (200_000, "2d7h")]
        {
            assert_eq!(short(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_table_is_aligned_and_what_steers_a_terminal_is_gone() {
        let rows = vec![
            vec![Cell::new("a"), Cell::new("\u{1b}[31mred\u{202e}")],
            vec![Cell::new("longer"), Cell::new(&"x".repeat(40))],
        ];
        let mut out = Vec::new();
        table(&["NAME", "WHY"], &rows, Some(30), false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "NAME    WHY");
        assert_eq!(lines[1], "a       \u{FFFD}[31mred\u{FFFD}");
        assert_eq!(lines[2], format!("longer  {}...", "x".repeat(19)));
    }
}
