//! `--watch`: evaluates again whenever something changes, until it is stopped.
//!
//! It looks at the times and sizes of files, which works on every file system, network folders and containers included.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Options, evaluate,
    input::{self, Origin},
    leaves_out, output,
};

/// Between two looks, at least; and so much longer than a look takes, so that a large tree does not keep a processor busy.
const REST: Duration = Duration::from_millis(300);
const TIMES: u32 = 20;

/// What a file looked like.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Evaluates, and again after each change. What to evaluate by is read each time, for it may be what has changed.
pub fn watch(options: &dyn Fn() -> Result<Options, String>, out: &mut dyn Write) -> io::Result<()> {
    let mut last: Option<Options> = None;
    let mut parts = BTreeSet::new();
    loop {
        // Before anything is read: what changes while it is evaluated is a change afterwards.
        let mut before = last.as_ref().map(|known| look(known, &parts)).unwrap_or_default();
        match options() {
            Ok(options) => {
                let earlier = mem::replace(&mut before, look(&options, &parts));
                before.extend(earlier);
                let report = evaluate(&options, &mut io::empty());
                output::write(&report, &options, out)?;
                parts = report.parts;
                last = Some(options);
            }
            Err(problem) => writeln!(out, "error: {problem}")?,
        }
        let Some(known) = &last else { return Err(io::Error::other("there is nothing to watch")) };
        let before = since(before, look(known, &parts), &parts);
        out.flush()?;
        let changed = wait(known, &parts, &before);
        writeln!(out, "\nChanged: {}\n", input::shown(&changed))?;
    }
}

/// What later looks are compared with: what was there before, of what counts now. A part that nobody knew of before the
/// evaluation counts as it is after it.
fn since(mut before: Seen, after: Seen, parts: &BTreeSet<PathBuf>) -> Seen {
    before.retain(|path, _| after.contains_key(path) || !path.exists());
    for (path, seen) in after.into_iter().filter(|(path, _)| parts.contains(path)) {
        before.entry(path).or_insert(seen);
    }
    before
}

fn wait(options: &Options, parts: &BTreeSet<PathBuf>, before: &Seen) -> PathBuf {
    loop {
        let start = Instant::now();
        let now = look(options, parts);
        if let Some(changed) = difference(before, &now) {
            return changed;
        }
        thread::sleep(REST.max(start.elapsed() * TIMES));
    }
}

/// A file that is new, gone or another.
fn difference(before: &Seen, now: &Seen) -> Option<PathBuf> {
    let other = now.iter().find(|(path, seen)| before.get(*path) != Some(seen));
    let gone = before.keys().find(|path| !now.contains_key(*path));
    other.map(|(path, _)| path).or(gone).cloned()
}

/// All files that have a part in the result.
fn look(options: &Options, parts: &BTreeSet<PathBuf>) -> Seen {
    let inputs = input::inputs(&options.paths, &|path: &Path| leaves_out(path, options));
    let found = inputs.found.into_iter().filter_map(|input| match input.origin {
        Ok(Origin::File(path)) => Some(path),
        _ => None,
    });
    let project = options.project.as_ref().map(|project| PathBuf::from(&project.name));
    let all = found.chain(parts.iter().cloned()).chain(project);
    let seen = all.filter_map(|path| {
        let metadata = fs::metadata(&path).ok()?;
        Some((path, (metadata.modified().ok(), metadata.len())))
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_while_it_is_evaluated_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| folder.path().join(name);
        let seen = |files: &[(&str, u64)]| -> Seen {
            files.iter().map(|(name, size)| (named(name), (None, *size))).collect()
        };
        let parts = BTreeSet::from([named("part"), named("other")]);
        // The file was written meanwhile, one was made, one was deleted, and one is a part from now on.
        let before = seen(&[("a", 1), ("gone", 1), ("part", 1)]);
        let after = seen(&[("a", 2), ("new", 1), ("part", 1), ("other", 1)]);
        let since = since(before, after.clone(), &parts);
        assert_eq!(since, seen(&[("a", 1), ("gone", 1), ("part", 1), ("other", 1)]));
        assert!(difference(&since, &after).is_some());
        // What is there, and counts no more, is no change.
        fs::write(named("left"), "").unwrap();
        let before = seen(&[("a", 1), ("left", 1)]);
        let after = seen(&[("a", 1)]);
        assert_eq!(super::since(before, after.clone(), &parts), after);
    }

    #[test]
    fn what_is_new_gone_or_another_is_a_change() {
        let seen = |files: &[(&str, u64)]| -> Seen {
            files.iter().map(|(name, size)| (PathBuf::from(name), (None, *size))).collect()
        };
        let before = seen(&[("a", 1), ("b", 2)]);
        for (now, changed) in [
            (seen(&[("a", 1), ("b", 2)]), None),
            (seen(&[("a", 1), ("b", 3)]), Some("b")),
            (seen(&[("a", 1)]), Some("b")),
            (seen(&[("a", 1), ("b", 2), ("c", 0)]), Some("c")),
        ] {
            assert_eq!(difference(&before, &now), changed.map(PathBuf::from));
        }
    }
}
