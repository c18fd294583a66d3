//! Whether a line that cannot be read is one of a template.

/// Whether a line holds an action of Go's templates that is none of the text of a value: what stands whole within
/// quotes is harmless, and two braces also begin a mapping within a mapping.
pub(super) fn holds_action(line: &str) -> bool {
    let mut rest = line;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let opens = matches!(c, '"' | '\'') && (before.is_whitespace() || "[{,:(".contains(before));
        if let Some(quoted) = opens.then(|| quoted(rest)).flatten() {
            if quoted.matches("{{").count() > quoted.matches("}}").count() {
                return true;
            }
            (rest, before) = (&rest[quoted.len()..], c);
            continue;
        }
        if rest.strip_prefix("{{").is_some_and(is_action) {
            return true;
        }
        (rest, before) = (&rest[c.len_utf8()..], c);
    }
    false
}

/// The text in quotes with which `text` begins, quotes and all. `None` if it does not end.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return text.get(..at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// Whether what stands behind two braces is an action, and no mapping.
fn is_action(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text).trim_start();
    let first = quoted(text).unwrap_or_else(|| {
        let end = text.find(|c: char| !c.is_alphanumeric() && !"_-.".contains(c));
        text.get(..end.unwrap_or(text.len())).unwrap_or_default()
    });
    let behind = text.get(first.len()..).unwrap_or_default().trim_start();
    let is_key = !first.is_empty() && behind.starts_with(':') && !behind.starts_with(":=");
    let begins = |c: char| c.is_alphabetic() || "._$(/\"'`".contains(c);
    !is_key && text.starts_with(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_10_two_braces_alone_make_no_template() {
        for line in [
            "name: {{ .Values.name }}",
            "{{- if .x }}",
            "  {{ include \"a.labels\" . | nindent 4 }}",
            "name: \"{{ .Values.name | default \"x\" }}\"",
            "x: '{{ .y | default 'z' }}'",
            "it's: {{ $x := 1 }}",
            "{{/* a comment */}}",
            "a: {{ \"b\" | quote }}",
            "a: {{ (index .x 0) }}",
            "- {{ printf \"%s:%d\" .a .b }}",
            r#"{"name": {{ quote .Values.x }}}"#,
        ] {
            assert!(holds_action(line), "{line}");
        }
        for line in [
            r#"{"metadata": {{"name": "x"}}}"#,
            "metadata: {{name: x}}",
            "metadata: {{ 'name' : x }}",
            "labels: {{}}",
            "labels: {{ }}",
            r#"{"legend": "{{ pod }}", "b": ]"#,
            "a: b: '{{ c }}'",
            "a: {b: {c: 1}}",
            "a: }} {",
            "{{",
            "",
        ] {
            assert!(!holds_action(line), "{line}");
        }
    }
}
