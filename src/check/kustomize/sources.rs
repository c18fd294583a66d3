//! The texts of which objects are put together, so that each part of an object still knows where it was written.

use std::path::{Path, PathBuf};

use super::super::{
    input::{self, Origin},
    position::{Lines, Position},
    yaml::{self, Comment, Content, Document, Node},
};

/// Bytes of all texts of one kustomization.
const LARGEST: usize = 64 * 1024 * 1024;

/// Texts, one after the other: a byte of the whole stands for a byte of one of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) text: String,
    pub(super) files: Vec<Source>,
}

/// One text.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name as messages show it.
    pub(super) name: String,
    path: PathBuf,
    /// Where it starts in the whole.
    start: usize,
    /// What it holds, with places in the whole.
    pub(super) documents: Vec<(Node, Vec<Comment>)>,
}

impl Sources {
    /// The documents of a file, which is read once however often it is named.
    pub(super) fn read(&mut self, path: &Path) -> Result<usize, String> {
        if let Some(known) = self.files.iter().position(|file| file.path == path) {
            return Ok(known);
        }
        let name = input::shown(path);
        let text = input::read(&Origin::File(path.to_owned()), &mut std::io::empty());
        let text = text.map_err(|problem| format!("{name} {problem}"))?.text;
        let start = self.text.len();
        if start + text.len() > LARGEST {
            return Err(format!("its files are larger than {} MiB together", LARGEST >> 20));
        }
        let mut documents = Vec::new();
        for document in yaml::read(&text) {
            let Document { root, mut comments } = document.map_err(|fault| {
                let place = Lines::of(&text).position(fault.at);
                format!("{name}:{}:{}: {}", place.line, place.column, fault.message)
            })?;
            for comment in &mut comments {
                comment.at += start;
            }
            if let Some(mut root) = root.filter(|root| !root.is_null()) {
                shift(&mut root, start);
                documents.push((root, comments));
            }
        }
        self.text.push_str(&text);
        self.text.push('\n');
        self.files.push(Source { name, path: path.to_owned(), start, documents });
        Ok(self.files.len() - 1)
    }

    /// The line of the whole on which each file starts.
    pub(super) fn starts(&self, lines: &Lines<'_>) -> Vec<usize> {
        self.files.iter().map(|file| lines.index(file.start) + 1).collect()
    }
}

/// The file and the place in it, for a place in the whole, by the lines on which files start.
pub(super) fn place(starts: &[usize], whole: Position) -> (usize, Position) {
    let file = starts.partition_point(|start| *start <= whole.line).saturating_sub(1);
    let first = starts.get(file).copied().unwrap_or(1);
    (file, Position { line: (whole.line + 1).saturating_sub(first), ..whole })
}

fn shift(node: &mut Node, by: usize) {
    node.span = node.span.start + by..node.span.end + by;
    match &mut node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Content::Mapping(entries) => {
            for entry in entries {
                entry.key_span = entry.key_span.start + by..entry.key_span.end + by;
                shift(&mut entry.value, by);
            }
        }
    }
}

/// Gives everything in a node one place: that of the text in which it is written as a string.
pub(super) fn put_at(node: &mut Node, at: &std::ops::Range<usize>) {
    node.span = at.clone();
    match &mut node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter_mut().for_each(|item| put_at(item, at)),
        Content::Mapping(entries) => {
            for entry in entries {
                entry.key_span = at.clone();
                put_at(&mut entry.value, at);
            }
        }
    }
}
