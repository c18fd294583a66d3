//! What is wrong with a workload, where, and how to put it right.

use std::fmt;

use super::controls::{Control, ControlId, Severity};
use crate::api::gabion::hardening_baseline::Verdict;

/// One step of a path into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// A place in a list, from zero.
    Index(usize),
}

/// Where in an object, from its root. A field that ought to be set and is not has a path too: its deepest
/// ancestor that exists is the place to point at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub(crate) Vec<Segment>);

impl FieldPath {
    /// The path of a key below this one.
    #[must_use]
    pub(crate) fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(key.to_owned()));
        path
    }

    /// The path of several keys below this one.
    #[must_use]
    pub(crate) fn keys(&self, keys: &[&str]) -> Self {
        keys.iter().fold(self.clone(), |path, key| path.key(key))
    }

    /// The path of an item of the list at this path.
    #[must_use]
    pub(crate) fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }
}

impl fmt::Display for FieldPath {
    /// As in `spec.containers[0].image`; keys with dots or slashes are quoted in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '/', '[', ']', ' ']) => {
                    write!(f, "[{key:?}]")?;
                }
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// A control that an object, or a stage of a Dockerfile, breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The control that it belongs to: id, title, mapping.
    pub control: &'static Control,
    /// How bad it is; of most controls always the same.
    pub(crate) severity: Severity,
    /// Where in the object; of a Dockerfile the number of the instruction.
    pub path: FieldPath,
    /// What is wrong there: one line, names the container where there is one, never a value that may be secret.
    pub(crate) message: String,
    /// How to put it right: one line.
    pub(crate) remedy: String,
    /// Whether admission refuses it or warns.
    pub verdict: Verdict,
    /// For information: it never fails a run.
    pub(crate) note: bool,
}

impl Finding {
    /// A finding that admission does not refuse, with the severity and the remedy of its control.
    pub(crate) fn new(id: ControlId, path: FieldPath, message: impl Into<String>) -> Self {
        let control = id.control();
        Self {
            control,
            severity: control.severity,
            path,
            message: message.into(),
            remedy: control.remedy.to_owned(),
            verdict: Verdict::Warn,
            note: false,
        }
    }

    pub(crate) fn noted(self) -> Self {
        Self { note: true, ..self }
    }

    pub(crate) fn with_remedy(self, remedy: &str) -> Self {
        Self { remedy: remedy.to_owned(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_fields_of_an_object() {
        let path = FieldPath::default().keys(&["spec", "containers"]).index(2).key("image");
        assert_eq!(path.to_string(), "spec.containers[2].image");
        let path = FieldPath::default().keys(&["metadata", "annotations", "a.b/c"]);
        assert_eq!(path.to_string(), r#"metadata.annotations["a.b/c"]"#);
    }
}
