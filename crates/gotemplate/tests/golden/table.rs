//! Templates that are rendered for every entry of a list.

use base64::{Engine, engine::general_purpose::STANDARD};
use gotemplate::{Data, Delimiters, Limits, Template};
use serde::Deserialize;

use crate::{
    Case, Rendered, read,
    render::{Fixed, class},
};

/// A list, or a template with what comes of it for each entry of the list before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Texts { texts: Vec<String> },
    Words { words: Vec<String> },
    Row { template: String, outcomes: Vec<String> },
}

pub(crate) fn cases() -> Vec<Case> {
    let (mut cases, mut entries, mut words) = (Vec::new(), Vec::new(), false);
    for line in read::<Vec<Line>>("tables.json") {
        match line {
            Line::Texts { texts } => (entries, words) = (texts, false),
            Line::Words { words: list } => (entries, words) = (list, true),
            Line::Row { template, outcomes } => {
                assert_eq!(entries.len(), outcomes.len(), "{template}");
                for (entry, outcome) in entries.iter().zip(&outcomes) {
                    cases.push(case(&template, entry, words, outcome));
                }
            }
        }
    }
    cases
}

fn case(template: &str, entry: &str, word: bool, outcome: &str) -> Case {
    let (text, value) =
        if word { (template.replace('§', entry), "") } else { (template.to_owned(), entry) };
    let data: Data = [("v", bytes(value))].into_iter().collect();
    let rendered = Template::parse("golden", text.as_bytes(), &Delimiters::default())
        .and_then(|parsed| parsed.render(&data, &mut Fixed::new(&[].into()), &Limits::default()));
    let got = match rendered {
        Ok(bytes) => Rendered::Bytes(bytes.to_vec()),
        Err(error) => Rendered::Failed(class(error.kind)),
    };
    let want = match outcome.split_at(1) {
        ("=", text) => Rendered::Bytes(text.into()),
        ("!", class) => Rendered::Failed(class.to_owned()),
        _ => Rendered::Bytes(bytes(outcome)),
    };
    let name = format!("{template} for {entry:?}");
    Case { name: name.clone(), group: "table".to_owned(), template: name, want, got }
}

fn bytes(text: &str) -> Vec<u8> {
    match text.strip_prefix("base64:") {
        Some(encoded) => STANDARD.decode(encoded).unwrap(),
        None => text.into(),
    }
}
