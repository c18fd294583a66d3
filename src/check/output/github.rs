//! A report as workflow commands of GitHub Actions, which show findings beside the lines of a change.

use std::io::{self, Write};

use super::super::{
    Options,
    report::{Diagnostic, Located, Report},
};
use crate::policy::Severity;

/// Writes the report. What is suppressed is left out.
pub(crate) fn write(report: &Report, _: &Options, out: &mut dyn Write) -> io::Result<()> {
    for file in &report.files {
        for fault in &file.faults {
            diagnostic("error", &file.name, fault, out)?;
        }
        for located in file.findings.iter().filter(|located| located.suppressed.is_none()) {
            finding(&file.name, located, out)?;
        }
        for remark in &file.remarks {
            diagnostic("notice", &file.name, remark, out)?;
        }
    }
    Ok(())
}

fn finding(file: &str, located: &Located, out: &mut dyn Write) -> io::Result<()> {
    let level = match located.finding.severity {
        _ if located.finding.note => "notice",
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "notice",
    };
    let (line, column) = (located.position.line, located.position.column);
    let (id, severity) = (located.finding.control.id, located.finding.severity);
    let message = format!(
        "{}: {}. To put it right: {}",
        located.object, located.finding.message, located.finding.remedy
    );
    writeln!(
        out,
        "::{level} file={},line={line},col={column},title={}::{}",
        property(file),
        property(&format!("{id} ({severity})")),
        data(&message)
    )
}

fn diagnostic(level: &str, file: &str, about: &Diagnostic, out: &mut dyn Write) -> io::Result<()> {
    let place = about.position.map(|place| format!(",line={},col={}", place.line, place.column));
    let (file, place) = (property(file), place.unwrap_or_default());
    writeln!(out, "::{level} file={file}{place},title=gabion check::{}", data(&about.message))
}

/// A text after `::`, so that nothing in it ends the command or begins another.
fn data(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '%' => escaped.push_str("%25"),
            '\r' => escaped.push_str("%0D"),
            '\n' => escaped.push_str("%0A"),
            c if super::steers(c) => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text between commas before `::`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_a_command() {
        assert_eq!(data("a\r\n::error::b 100%"), "a%0D%0A::error::b 100%25");
        assert_eq!(property("a,b:c\n%2C"), "a%2Cb%3Ac%0A%252C");
        assert_eq!(data("\u{1b}[31m"), "\u{FFFD}[31m");
    }
}
