//! A report as JUnit XML: a suite for each file, a case for each object and each control that it breaks.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use super::super::{
    Options,
    report::{Accepted, Diagnostic, FileReport, Located, Report},
};

/// Writes the report.
pub(crate) fn write(report: &Report, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let fails = |located: &Located| located.fails(options.fail_on);
    let suites: Vec<_> = report.files.iter().map(|file| Suite::of(file, &fails)).collect();
    let sum = |of: fn(&Suite) -> usize| suites.iter().map(of).sum::<usize>();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="gabion check" tests="{}" failures="{}" errors="{}" skipped="{}">"#,
        sum(|suite| suite.tests),
        sum(|suite| suite.failures),
        sum(|suite| suite.errors),
        sum(|suite| suite.skipped),
    )?;
    for suite in suites {
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}">"#,
            escaped(&suite.name),
            suite.tests,
            suite.failures,
            suite.errors,
            suite.skipped
        )?;
        out.write_all(suite.cases.as_bytes())?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

#[derive(Default)]
struct Suite {
    name: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    cases: String,
}

impl Suite {
    fn of(file: &FileReport, fails: &dyn Fn(&Located) -> bool) -> Self {
        let mut suite = Self { name: file.name.clone(), ..Self::default() };
        for fault in &file.faults {
            suite.fault(fault);
        }
        for located in &file.findings {
            suite.located(located, fails(located));
        }
        let failing = file
            .findings
            .iter()
            .filter(|located| fails(located))
            .map(|located| located.object.as_str());
        let failing: BTreeSet<_> = failing.collect();
        for object in &file.objects {
            if !failing.contains(object.as_str()) {
                suite.case(object, "");
            }
        }
        suite
    }

    fn case(&mut self, name: &str, inside: &str) {
        self.tests += 1;
        let (file, name) = (escaped(&self.name), escaped(name));
        let case = format!("    <testcase classname=\"{file}\" name=\"{name}\"");
        self.cases += &case;
        let end = if inside.is_empty() { "/>" } else { "</testcase>" };
        self.cases += if inside.is_empty() { "" } else { ">" };
        self.cases += inside;
        self.cases += end;
        self.cases.push('\n');
    }

    fn fault(&mut self, fault: &Diagnostic) {
        self.errors += 1;
        let place = fault.position.map(|place| format!("{}:{}: ", place.line, place.column));
        let text = escaped(&format!("{}{}", place.unwrap_or_default(), fault.message));
        self.case("can be read", &format!("<error message=\"{text}\"/>"));
    }

    fn located(&mut self, located: &Located, fails: bool) {
        let name = format!("{} {} {}", located.object, located.finding.control.id, located.field());
        let message = escaped(&located.finding.message);
        let (line, column) = (located.position.line, located.position.column);
        if let Some(Accepted { reason, .. }) = &located.suppressed {
            self.skipped += 1;
            self.case(name.trim_end(), &format!("<skipped message=\"{}\"/>", escaped(reason)));
        } else if fails {
            self.failures += 1;
            let (severity, remedy) = (located.finding.severity, escaped(&located.finding.remedy));
            let place = escaped(&format!("{}:{line}:{column}", self.name));
            let failure = format!(
                "<failure type=\"{severity}\" message=\"{message}\">{place}\n{message}\nTo put it right: {remedy}</failure>"
            );
            self.case(name.trim_end(), &failure);
        }
    }
}

/// Text for XML; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            '\u{FFFE}' | '\u{FFFF}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
