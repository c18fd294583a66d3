//! What edits change, as a unified diff.

use super::{
    super::position::Lines,
    edit::{self, Edit},
};

/// Lines around a change that are shown.
const AROUND: usize = 3;

/// Lines of the old text with what takes their place.
struct Change {
    /// From this line, counted from 0.
    first: usize,
    /// To before this one.
    end: usize,
    new: Vec<String>,
}

/// The edits of a file as a unified diff; empty where there are none.
pub(crate) fn unified(name: &str, text: &str, edits: &[Edit]) -> String {
    let changes = changes(text, edits);
    if changes.is_empty() {
        return String::new();
    }
    let old: Vec<_> = text.split_inclusive('\n').collect();
    let name = name.trim_start_matches('/');
    let mut diff = format!("--- a/{name}\n+++ b/{name}\n");
    let mut shift = 0_isize;
    let near = |one: &Change, next: &Change| next.first <= one.end + 2 * AROUND;
    for group in changes.chunk_by(near) {
        diff += &hunk(&old, group, &mut shift);
    }
    diff
}

/// Edits by the lines that they touch.
fn changes(text: &str, edits: &[Edit]) -> Vec<Change> {
    let lines = Lines::of(text);
    let mut sorted: Vec<_> = edits.to_vec();
    sorted.sort_by_key(|edit| edit.range.start);
    let touching =
        |one: &Edit, next: &Edit| lines.index(one.range.end) >= lines.index(next.range.start);
    let grouped = sorted.chunk_by(touching).filter_map(|group| {
        let (first, last) = (group.first()?, group.last()?);
        let (first, end) = (lines.index(first.range.start), lines.index(last.range.end) + 1);
        let start = lines.start(first);
        let old = text.get(start..lines.start(end))?;
        let moved: Vec<_> = group
            .iter()
            .map(|edit| Edit {
                range: edit.range.start - start..edit.range.end - start,
                text: edit.text.clone(),
            })
            .collect();
        let new = edit::apply(old, &moved);
        let old: Vec<_> = old.split_inclusive('\n').collect();
        let new: Vec<_> = new.split_inclusive('\n').collect();
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let left = old.len().min(new.len()) - same;
        let tail =
            old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(old, new)| old == new);
        let tail = tail.count();
        let new = new.get(same..new.len() - tail)?.iter().map(|line| (*line).to_owned()).collect();
        Some(Change { first: first + same, end: end.min(first + old.len()) - tail, new })
    });
    grouped.collect()
}

fn hunk(old: &[&str], group: &[Change], shift: &mut isize) -> String {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return String::new() };
    let from = first.first.saturating_sub(AROUND);
    let to = (last.end + AROUND).min(old.len());
    let mut body = String::new();
    let mut at = from;
    let mut count = to - from;
    for change in group {
        push(&mut body, ' ', old.get(at..change.first));
        push(&mut body, '-', old.get(change.first..change.end));
        let new: Vec<_> = change.new.iter().map(String::as_str).collect();
        push(&mut body, '+', Some(&new));
        count = count + change.new.len() - (change.end - change.first);
        at = change.end;
    }
    push(&mut body, ' ', old.get(at..to));
    let start = from.saturating_add_signed(*shift) + 1;
    let head = format!("@@ -{},{} +{start},{count} @@\n", from + 1, to - from);
    *shift += count.cast_signed() - (to - from).cast_signed();
    head + &body
}

fn push(body: &mut String, mark: char, lines: Option<&[&str]>) {
    for line in lines.unwrap_or_default() {
        body.push(mark);
        body.push_str(line);
        if !line.ends_with('\n') {
            body.push_str("\n\\ No newline at end of file\n");
        }
    }
}
