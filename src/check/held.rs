//! How much is held of all files together.

use super::report::FileReport;

/// Findings, and what else is held of files until the end, in a run: about a kilobyte each.
pub(super) const MOST_HELD: usize = if cfg!(test) { 20_000 } else { 1_000_000 };

/// Bytes of rendered charts that are held until the end.
pub(super) const MOST_RENDERED: usize = 512 * 1024 * 1024;

/// What is said where it is too much.
pub(super) const TOO_MUCH: &str = "is not evaluated, and neither is what comes after it, as there is too much to say of what comes before: name fewer files, or use --only or --skip";

/// How much is held of a file until the end: what is said of it, and what its objects may be asked for by others.
pub(super) fn weight(file: &FileReport) -> usize {
    const OF_OBJECT: usize = 6;
    file.findings.len() + file.faults.len() + file.remarks.len() + OF_OBJECT * file.objects.len()
}
