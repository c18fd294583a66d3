//! Mutated templates and inputs that once failed: a few seconds of what `fuzz/` does for hours.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use serde_json::Value;

mod parse;
mod render;

const ROUNDS: usize = 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn vectors(file: &str) -> Vec<Value> {
    let text = std::fs::read(root().join("tests/golden").join(file)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Inputs that are kept because they once failed.
fn crashes(target: &str) -> Vec<PathBuf> {
    let folder = root().join("fuzz/crashes").join(target);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Templates of the vectors, each with a value in a line of its own.
fn templates() -> Vec<Vec<u8>> {
    let files = ["language.json", "functions.json", "documents.json"];
    let all = files.into_iter().flat_map(vectors);
    all.map(|vector| format!("{}\n[1,\"a\"]", vector["template"].as_str().unwrap()).into_bytes())
        .collect()
}

/// Always the same numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap()
    }
}

/// An input with something cut out, put in from another, or changed.
fn changed(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut made = input.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(made.len() + 1);
        match dice.below(4) {
            0 => drop(made.drain(at..(at + dice.below(8)).min(made.len()))),
            1 => {
                let from = dice.below(other.len());
                let to = (from + dice.below(24)).min(other.len());
                drop(made.splice(at..at, other[from..to].iter().copied()));
            }
            2 if at < made.len() => made[at] = b"{}()|.$:=,\"`\\-#0\xff \n"[dice.below(19)],
            _ => made.truncate(made.len().max(at)),
        }
    }
    made
}

fn try_all(target: &str, seeds: &[Vec<u8>], run: fn(&[u8])) {
    for crash in crashes(target) {
        run(&std::fs::read(crash).unwrap());
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..ROUNDS {
        for seed in seeds {
            let other = &seeds[dice.below(seeds.len())];
            run(&changed(seed, other, &mut dice));
        }
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    try_all("parse", &templates(), parse::run);
}

#[test]
fn no_template_makes_a_rendering_panic() {
    try_all("render", &templates(), render::run);
}
