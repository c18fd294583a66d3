//! Registries that several baselines allow.

use super::super::baseline::Compiled;

/// Registries are joined by the admission policies, one per baseline, so that only what all allow can start.
pub(super) fn conflict(all: &[&Compiled]) -> Option<String> {
    let checking: Vec<_> = all.iter().filter(|b| !b.registries.is_empty()).collect();
    let mut common = checking.first()?.registries.clone();
    for baseline in &checking[1..] {
        let narrower = |ours: &String| {
            let theirs = baseline.registries.iter();
            theirs.filter_map(|theirs| narrower(ours, theirs)).collect::<Vec<_>>()
        };
        common = common.iter().flat_map(narrower).collect();
    }
    let names: Vec<_> = checking.iter().map(|b| b.name.as_str()).collect();
    common.is_empty().then(|| names.join(", "))
}

/// The one of two registries, or paths in them, that lies inside the other.
fn narrower(a: &str, b: &str) -> Option<String> {
    let inside = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if inside(a, b) {
        return Some(a.to_owned());
    }
    inside(b, a).then(|| b.to_owned())
}
