//! `snakecase` and `kebabcase`: identifiers cut into words.

use super::{casing::is_connector, printed::accounted, unicode};
use crate::{Args, Context, Failure, Function, Type, Value, rune};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("snakecase", &[Type::String], |cx, args| lower(cx, args, '_')),
    Function::new("kebabcase", &[Type::String], |cx, args| lower(cx, args, '-')),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    /// Nothing is left, or nothing that is UTF-8.
    End,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

fn lower(cx: &mut Context<'_>, args: &Args<'_>, connector: char) -> Result<Value, Failure> {
    let text = args.text(0)?;
    // At most a connector after every rune, and three bytes for one that is no UTF-8.
    cx.allocate(text.len().saturating_mul(4))?;
    cx.step(text.len())?;
    let mut writer = Writer { out: Vec::with_capacity(text.len() * 2), connector };
    writer.identifier(text);
    Ok(accounted(writer.out))
}

struct Writer {
    out: Vec<u8>,
    connector: char,
}

impl Writer {
    /// Words with connectors between them; where digits belong is a matter of what follows them.
    fn identifier(&mut self, text: &[u8]) {
        let mut rest = text;
        let mut word = next(&mut rest);
        while !rest.is_empty() {
            if word.0 != Letter::Connector {
                self.word(word);
            }
            let before = word;
            word = next(&mut rest);
            match before.0 {
                Letter::Number => {
                    word = self.suffix(word, &mut rest);
                    self.connect(word.0);
                }
                Letter::Connector => self.word(before),
                Letter::Punctuation => {}
                _ if word.0 != Letter::Number => {
                    // Nothing that is UTF-8 follows: a connector all the same.
                    if !matches!(word.0, Letter::Connector | Letter::Punctuation) {
                        self.push(self.connector);
                    }
                }
                _ if rest.is_empty() => {}
                _ => word = self.number(word, &mut rest),
            }
        }
        self.word(word);
    }

    /// A number after a word: letters that follow it take it along, otherwise it ends the word before.
    fn number<'t>(&mut self, number: Word<'t>, rest: &mut &'t [u8]) -> Word<'t> {
        let word = next(rest);
        if word.0 != Letter::Alphabet {
            self.word(number);
            if !matches!(word.0, Letter::Connector | Letter::Punctuation) {
                self.push(self.connector);
            }
            return word;
        }
        self.push(self.connector);
        self.word(number);
        let word = self.suffix(word, rest);
        self.connect(word.0);
        word
    }

    /// Small letters and numbers that stick to the number before.
    fn suffix<'t>(&mut self, mut word: Word<'t>, rest: &mut &'t [u8]) -> Word<'t> {
        while matches!(word.0, Letter::Alphabet | Letter::Number) {
            self.word(word);
            word = next(rest);
        }
        word
    }

    fn connect(&mut self, next: Letter) {
        if !matches!(next, Letter::End | Letter::Punctuation | Letter::Connector) {
            self.push(self.connector);
        }
    }

    fn word(&mut self, (kind, text): Word<'_>) {
        if !matches!(kind, Letter::Upper | Letter::Connector) {
            self.out.extend(text);
            return;
        }
        for (_, rune, _) in rune::runes(text) {
            if is_connector(rune) {
                self.push(self.connector);
            } else if unicode::is_upper(rune) {
                self.push(unicode::to_lower(rune));
            } else {
                self.push(rune);
            }
        }
    }

    fn push(&mut self, rune: char) {
        self.out.extend(rune.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

type Word<'t> = (Letter, &'t [u8]);

/// Takes the next word off the text.
fn next<'t>(rest: &mut &'t [u8]) -> Word<'t> {
    let text = *rest;
    let (first, width) = valid(text, None);
    let (kind, length) = match first {
        None => (Letter::End, width),
        Some(first) => {
            let kind = kind(first);
            let more = &text[width..];
            let run = |alike: fn(char) -> bool| width + run(more, first, alike).0;
            (
                kind,
                match kind {
                    Letter::Connector => run(is_connector),
                    Letter::Punctuation => run(unicode::is_punctuation),
                    Letter::Alphabet => run(is_small),
                    Letter::Number => run(unicode::is_number),
                    Letter::Upper => width + upper(more, first),
                    Letter::Other | Letter::End => run(kind_of_other),
                },
            )
        }
    };
    let (word, after) = text.split_at(length);
    *rest = after;
    (kind, word)
}

fn kind(rune: char) -> Letter {
    match rune {
        _ if is_connector(rune) => Letter::Connector,
        _ if unicode::is_punctuation(rune) => Letter::Punctuation,
        _ if unicode::is_upper(rune) => Letter::Upper,
        _ if is_alphabet(rune) => Letter::Alphabet,
        _ if unicode::is_number(rune) => Letter::Number,
        _ => Letter::Other,
    }
}

fn kind_of_other(rune: char) -> bool {
    kind(rune) == Letter::Other
}

fn is_small(rune: char) -> bool {
    is_alphabet(rune) && !unicode::is_upper(rune)
}

/// Letters, but not those of CJK, which make words of their own.
fn is_alphabet(rune: char) -> bool {
    let cjk = matches!(
        rune,
        '\u{4e00}'..='\u{9fcc}' | '\u{3400}'..='\u{4d85}' | '\u{20000}'..='\u{2b81d}'
    );
    unicode::is_letter(rune) && !cjk
}

/// Length of what follows the first capital: `HTTPStatus` is cut before the `S`.
fn upper(text: &[u8], first: char) -> usize {
    let (second, _) = valid(text, Some(first));
    if text.is_empty() {
        return 0;
    }
    match second {
        Some(rune) if unicode::is_upper(rune) => {
            let (length, last, stop) = run(text, first, unicode::is_upper);
            if stop.is_some_and(is_alphabet) { length - last } else { length }
        }
        Some(rune) if is_alphabet(rune) => run(text, first, is_small).0,
        _ => 0,
    }
}

/// Bytes of the runes alike, bytes of the last of them, and the rune that ended them.
fn run(text: &[u8], before: char, alike: impl Fn(char) -> bool) -> (usize, usize, Option<char>) {
    let (mut at, mut last, mut before) = (0, 0, before);
    while at < text.len() {
        let (rune, width) = valid(&text[at..], Some(before));
        match rune {
            Some(rune) if alike(rune) => {
                at += width;
                last = width;
                before = rune;
            }
            stop => return (at, last, stop),
        }
    }
    (at, last, None)
}

/// The next rune, bytes that are none skipped, and how many bytes that took. `before` where no more comes.
fn valid(text: &[u8], before: Option<char>) -> (Option<char>, usize) {
    let mut size = 0;
    for (_, rune, width) in rune::runes(text) {
        size += width;
        if rune != char::REPLACEMENT_CHARACTER {
            return (Some(rune), size);
        }
    }
    (before, size)
}
