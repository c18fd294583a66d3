//! Prometheus' own text format, made from OpenMetrics. Agents that do not ask for OpenMetrics misread its counters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The same series in text format 0.0.4: counters are declared under the name that their samples have, units are left
/// out, infos are gauges.
pub(super) fn plain(open: &str) -> String {
    let types: BTreeMap<_, _> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let Some((word, rest)) = comment.split_once(' ') else { continue };
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if word == "UNIT" {
            continue;
        }
        let kind = types.get(name).copied().unwrap_or_default();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let rest = match (word, kind) {
            ("TYPE", "info" | "stateset") => "gauge",
            ("TYPE", "unknown") => "untyped",
            _ => rest,
        };
        let _ = writeln!(text, "# {word} {name}{suffix} {rest}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_series_is_declared_as_prometheus_declares_it() {
        let open = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"# HELP y\"} 1\n\
            # HELP t_seconds Time.\n# TYPE t_seconds histogram\n# UNIT t_seconds seconds\n\
            t_seconds_sum 0.5\nt_seconds_count 1\nt_seconds_bucket{le=\"+Inf\"} 1\n\
            # HELP build Who.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
            # HELP u What.\n# TYPE u unknown\nu 1\n# EOF\n";
        let wanted = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# HELP y\"} 1\n\
            # HELP t_seconds Time.\n# TYPE t_seconds histogram\n\
            t_seconds_sum 0.5\nt_seconds_count 1\nt_seconds_bucket{le=\"+Inf\"} 1\n\
            # HELP build_info Who.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
            # HELP u What.\n# TYPE u untyped\nu 1\n";
        assert_eq!(plain(open), wanted);
    }
}
