//! Findings that somebody has decided to live with, and why.
//!
//! An annotation covers its object, a comment the entry beside or below it. Both need a reason; one that names
//! none, or a control that does not exist, is reported and covers nothing.

use super::{
    position::{Lines, Position},
    report::{Accepted, By, Diagnostic, Located},
    yaml::{Comment, Content, Node},
};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Segment;

/// Before the id of a control in the key of an annotation.
pub(crate) const ANNOTATION: &str = "gabion.dev/ignore-";

/// At the start of a comment.
const MARK: &str = "gabion:ignore";

/// A decision to live with findings.
#[derive(Debug)]
struct Suppression {
    control: ControlId,
    reason: String,
    covers: Covers,
    position: Position,
    used: bool,
}

/// What a decision is about.
#[derive(Debug)]
enum Covers {
    /// What is at or below a field.
    Below(FieldPath),
    /// What stands in a part of a text, wherever it has got to since.
    Text(Position, Position),
}

impl Covers {
    fn holds(&self, located: &Located) -> bool {
        match self {
            Self::Below(path) => located.finding.path.0.starts_with(&path.0),
            Self::Text(start, end) => (*start..=*end).contains(&located.position),
        }
    }
}

/// The decisions of one document or file.
#[derive(Debug, Default)]
pub(crate) struct Suppressions {
    all: Vec<Suppression>,
    /// Those that cannot count.
    pub(crate) remarks: Vec<Diagnostic>,
}

impl Suppressions {
    /// Adds what an annotation says, if it is one of ours.
    pub(crate) fn annotation(
        &mut self,
        key: &str,
        value: Option<&str>,
        covers: &FieldPath,
        position: Position,
    ) {
        if let Some(id) = key.strip_prefix(ANNOTATION) {
            self.add(id, value.unwrap_or_default(), Covers::Below(covers.clone()), position);
        }
    }

    /// Adds what a comment says about the entry that it covers, if it is one of ours.
    pub(crate) fn comment(&mut self, text: &str, covers: Option<FieldPath>, position: Position) {
        let Some(rest) = text.trim_start().strip_prefix(MARK) else { return };
        let (ids, reason) =
            rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        let Some(covers) = covers else {
            self.remark(
                position,
                "this suppression stands beside nothing that could be covered".to_owned(),
            );
            return;
        };
        for id in ids.split(',') {
            self.add(id, reason.trim(), Covers::Below(covers.clone()), position);
        }
    }

    /// From here on comments cover what stands in their part of the text: the document becomes a part of objects.
    pub(crate) fn by_text(&mut self, root: &Node, lines: &Lines<'_>) {
        for suppression in &mut self.all {
            if let Covers::Below(path) = &suppression.covers {
                let end = root.at(path).map_or(root.span.end, |node| node.span.end);
                let (start, end) = (lines.position(root.offset(path)), lines.position(end));
                suppression.covers = Covers::Text(start, end.max(start));
            }
        }
    }

    /// Takes up the decisions of another document.
    pub(crate) fn join(&mut self, other: Self) {
        self.all.extend(other.all);
        self.remarks.extend(other.remarks);
    }

    /// What is to be said about the annotations of an object, which cover nothing else.
    pub(crate) fn finish_object(&mut self) -> Vec<Diagnostic> {
        let (own, rest) = std::mem::take(&mut self.all)
            .into_iter()
            .partition(|suppression| matches!(suppression.covers, Covers::Below(_)));
        self.all = rest;
        let remarks = std::mem::take(&mut self.remarks);
        Self { all: own, remarks }.finish()
    }

    fn add(&mut self, id: &str, reason: &str, covers: Covers, position: Position) {
        let Some(control) = ControlId::parse(id) else {
            return self.remark(
                position,
                format!("suppression of {id:?}, which is no control; docs/controls.md lists them"),
            );
        };
        if reason.trim().is_empty() {
            return self.remark(
                position,
                format!("suppression of {id} without a reason does not count; say why"),
            );
        }
        self.all.push(Suppression {
            control,
            reason: reason.trim().to_owned(),
            covers,
            position,
            used: false,
        });
    }

    fn remark(&mut self, position: Position, message: String) {
        self.remarks.push(Diagnostic { position: Some(position), message });
    }

    /// Marks the findings that are covered.
    pub(crate) fn apply(&mut self, located: &mut [Located]) {
        for located in located.iter_mut().filter(|located| located.suppressed.is_none()) {
            let covering = self.all.iter_mut().find(|suppression| {
                suppression.control == located.finding.control.id
                    && suppression.covers.holds(located)
            });
            if let Some(suppression) = covering {
                suppression.used = true;
                let reason = suppression.reason.clone();
                located.suppressed = Some(Accepted { reason, by: By::Author });
            }
        }
    }

    /// Findings about the decisions themselves; call it after all findings are marked.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        // These are found by --eso only, and another run finds everything else.
        let elsewhere = [ControlId::HbEsoLacks, ControlId::HbEsoDiffers];
        let counts = |one: &&Suppression| !one.used && !elsewhere.contains(&one.control);
        for unused in self.all.iter().filter(counts) {
            self.remarks.push(Diagnostic {
                position: Some(unused.position),
                message: format!("suppression of {} covers no finding; remove it", unused.control),
            });
        }
        self.remarks
    }
}

/// Reads the comments of a document.
pub(crate) fn of_comments(
    into: &mut Suppressions,
    root: &Node,
    comments: &[Comment],
    text: &str,
    lines: &Lines<'_>,
) {
    for comment in comments.iter().filter(|c| c.text.trim_start().starts_with(MARK)) {
        let line = lines.index(comment.at);
        let before = text.get(lines.start(line)..comment.at).unwrap_or_default();
        let covers = if before.trim().is_empty() {
            let below = comment.at..usize::MAX;
            // Above everything: the whole document.
            if root.span.start > comment.at {
                Some(FieldPath::default())
            } else {
                first(root, &below, &FieldPath::default())
            }
        } else {
            first(root, &(lines.start(line)..comment.at), &FieldPath::default())
        };
        into.comment(&comment.text, covers, lines.position(comment.at));
    }
}

/// The outermost entry or item that starts first within a range of the text.
fn first(node: &Node, range: &std::ops::Range<usize>, at: &FieldPath) -> Option<FieldPath> {
    let children: Vec<(usize, &Node, Segment)> = match &node.content {
        Content::Scalar(_) => Vec::new(),
        Content::Sequence(items) => {
            let numbered = items.iter().enumerate();
            numbered.map(|(i, item)| (item.span.start, item, Segment::Index(i))).collect()
        }
        Content::Mapping(entries) => {
            let keyed = entries.iter();
            keyed.map(|e| (e.key_span.start, &e.value, Segment::Key(e.key.clone()))).collect()
        }
    };
    let within = |segment: &Segment| {
        let mut path = at.clone();
        path.0.push(segment.clone());
        path
    };
    for (position, (start, child, segment)) in children.iter().enumerate() {
        if child.shared {
            continue;
        }
        if range.contains(start) {
            return Some(within(segment));
        }
        // What starts before the range can hold what starts in it, unless the next sibling starts before it too.
        let next = children.get(position + 1).map_or(usize::MAX, |(start, ..)| *start);
        if *start < range.start
            && next > range.start
            && let Some(found) = first(child, range, &within(segment))
        {
            return Some(found);
        }
    }
    None
}
