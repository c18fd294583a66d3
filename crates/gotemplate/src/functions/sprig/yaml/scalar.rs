//! Which styles a text can be written in, as libyaml's emitter analyses it.

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// `|`
    Literal,
}

/// What a text allows.
#[expect(clippy::struct_excessive_bools)] // each is a rule of its own
struct Analysis {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

/// The style that the text gets when this one is asked for.
pub(super) fn chosen(text: &str, asked: Style, key: bool) -> Style {
    let analysis = analyse(text);
    let mut style = asked;
    if key && analysis.multiline {
        style = Style::Double;
    }
    if style == Style::Plain && (!analysis.plain || text.is_empty() && key) {
        style = Style::Single;
    }
    if style == Style::Single && !analysis.single {
        style = Style::Double;
    }
    if style == Style::Literal && (!analysis.block || key) {
        style = Style::Double;
    }
    style
}

/// True of a text with line breaks.
pub(super) fn is_multiline(text: &str) -> bool {
    text.contains(is_break)
}

/// Line breaks of YAML 1.1.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml writes as it is. That leaves out the tab and all characters beyond U+FFFF.
pub(super) fn is_printable(c: char) -> bool {
    matches!(
        c,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
    )
}

fn analyse(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis { multiline: false, plain: true, single: true, block: false };
    }
    let first = text.chars().next().unwrap_or_default();
    let last = text.chars().next_back().unwrap_or_default();
    let (mut indicators, mut special) = (text.starts_with("---") || text.starts_with("..."), false);
    let (mut break_space, mut space_break) = (false, false);
    let mut previous = None;
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        let blank_follows = next.is_none_or(|next| matches!(next, ' ' | '\t'));
        indicators |= match c {
            '#' if at > 0 => previous.is_none_or(|p| matches!(p, ' ' | '\t' | '\0') || is_break(p)),
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`' => at == 0,
            '?' | '-' => at == 0 && blank_follows,
            ':' => blank_follows,
            _ => false,
        };
        special |= !is_printable(c);
        if c == ' ' {
            break_space |= previous.is_some_and(is_break);
        } else if is_break(c) {
            space_break |= previous == Some(' ');
        }
        previous = Some(c);
    }
    let edge = |c: char| c == ' ' || is_break(c);
    let multiline = is_multiline(text);
    let broken = space_break || special;
    Analysis {
        multiline,
        plain: !(edge(first) || edge(last) || break_space || broken || multiline || indicators),
        single: !(break_space || broken),
        block: !(last == ' ' || broken),
    }
}
