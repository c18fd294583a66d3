//! A template; where its first line is two short words, they are delimiters as well.

use gotemplate::{Delimiters, Template};

pub(crate) fn run(text: &[u8]) {
    let _ = Template::parse("fuzz", text, &Delimiters::default());
    let Some(end) = text.iter().take(16).position(|byte| *byte == b'\n') else { return };
    let Ok(line) = std::str::from_utf8(&text[..end]) else { return };
    let Some((left, right)) = line.split_once(' ') else { return };
    let delimiters = Delimiters { left: left.to_owned(), right: right.to_owned() };
    let _ = Template::parse("fuzz", &text[end + 1..], &delimiters);
}
