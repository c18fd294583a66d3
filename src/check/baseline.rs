//! A baseline from a file, and the built-in profiles.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    input,
    limit_range::LimitRange,
    position::Lines,
    rules::{Defaults, Rules, Thresholds},
    schema::misfits,
    yaml::{self, Node},
};
use crate::api::gabion::crds::crds;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;
use crate::duration;
use crate::hardening::plan::baseline::compile;
use crate::policy::FieldPath;
use crate::policy::Settings;
use crate::policy::version::NEWEST_KNOWN;
use crate::policy::version::PssVersion;

/// The rules of a built-in profile.
pub(crate) fn built_in(name: &str) -> Result<Rules, String> {
    let Some(settings) = Settings::built_in(name) else {
        let known = Settings::BUILT_IN.join(", ");
        return Err(format!("there is no profile {name:?}: use one of {known}"));
    };
    let vulnerabilities = Thresholds { critical: Some(0), ..Thresholds::default() };
    Ok(Rules {
        name: name.to_owned(),
        settings,
        practices: name == "guide",
        vulnerabilities,
        defaults: guide_defaults(),
        limit_range: LimitRange::default(),
        schemas: Arc::default(),
        now: Timestamp::UNIX_EPOCH,
        switch: None,
    })
}

/// The requests and limits that the guide shows.
fn guide_defaults() -> Defaults {
    let of = |pairs: [(&str, &str); 3]| {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    Defaults {
        requests: of([("cpu", "250m"), ("memory", "256Mi"), ("ephemeral-storage", "500Mi")]),
        limits: of([("cpu", "500m"), ("memory", "512Mi"), ("ephemeral-storage", "1Gi")]),
    }
}

/// The rules of the baseline in a file. Each mistake is reported with file, line and column, one a line.
pub(crate) fn from_file(path: &Path) -> Result<Rules, String> {
    let name = path.display().to_string();
    let origin = input::Origin::File(path.to_owned());
    let text = input::read(&origin, &mut std::io::empty());
    let text = text.map_err(|problem| format!("baseline {name} {problem}"))?.text;
    from_text(&name, &text)
}

fn from_text(name: &str, text: &str) -> Result<Rules, String> {
    let lines = Lines::of(text);
    let at = |byte: usize| {
        let place = lines.position(byte);
        format!("{name}:{}:{}", place.line, place.column)
    };
    let mut roots = Vec::new();
    for document in yaml::read(text) {
        let document = document.map_err(|fault| format!("{}: {}", at(fault.at), fault.message))?;
        roots.extend(document.root.filter(is_baseline));
    }
    let [root] = roots.as_slice() else {
        return Err(format!(
            "{name} holds {} objects of kind HardeningBaseline (gabion.dev/v1alpha1), and exactly one is needed",
            roots.len()
        ));
    };
    let object = root.to_value();
    let wrong: Vec<_> = misfits(&definition(), &object)
        .iter()
        .map(|misfit| {
            format!("{}: {}: {}", at(root.offset(&misfit.path)), misfit.path, misfit.problem)
        })
        .collect();
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    rules(name, object).map_err(|problem| {
        // Errors of the compiler begin with the path of the field.
        let field = problem.split(':').next().unwrap_or_default();
        let keys: Vec<_> = field.split('.').collect();
        let path = FieldPath::default().keys(&keys);
        format!("{}: {problem}", at(root.offset(&path)))
    })
}

fn is_baseline(root: &Node) -> bool {
    let is = |key: &str, wanted: &str| root.get(key).and_then(Node::as_str) == Some(wanted);
    is("kind", "HardeningBaseline") && is("apiVersion", "gabion.dev/v1alpha1")
}

fn definition() -> Value {
    let of_baselines = crds().into_iter().find(|crd| crd.spec.names.kind == "HardeningBaseline");
    let of_baselines = of_baselines.and_then(|crd| serde_json::to_value(crd).ok());
    let schema = of_baselines
        .and_then(|crd| crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned());
    let mut schema = schema.unwrap_or_default();
    // The API server adds these to every schema.
    for key in ["apiVersion", "kind"] {
        schema["properties"][key] = serde_json::json!({ "type": "string" });
    }
    schema["properties"]["metadata"] = serde_json::json!({ "type": "object" });
    schema
}

fn rules(name: &str, object: Value) -> Result<Rules, String> {
    let baseline: HardeningBaseline =
        serde_json::from_value(object).map_err(|error| error.to_string())?;
    compile(&baseline, NEWEST_KNOWN).map_err(|error| error.to_string())?;
    let spec = &baseline.spec;
    let settings = Settings::of(spec, PssVersion::Pinned(NEWEST_KNOWN));
    Ok(Rules {
        name: baseline.metadata.name.clone().unwrap_or_else(|| name.to_owned()),
        settings: settings.map_err(|error| error.to_string())?,
        practices: true,
        vulnerabilities: thresholds(spec)?,
        defaults: defaults(spec),
        limit_range: LimitRange::of(spec),
        schemas: Arc::default(),
        now: Timestamp::UNIX_EPOCH,
        switch: None,
    })
}

fn thresholds(spec: &HardeningBaselineSpec) -> Result<Thresholds, String> {
    let Some(wanted) = spec.images.as_ref().and_then(|images| images.vulnerabilities.as_ref())
    else {
        return Ok(Thresholds::default());
    };
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    let max_age = wanted.max_report_age.as_deref().map(duration::unsigned).transpose();
    Ok(Thresholds {
        critical: number(wanted.max_critical),
        high: number(wanted.max_high),
        max_age: max_age
            .map(|age| age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)))
            .map_err(|problem| format!("spec.images.vulnerabilities.maxReportAge: {problem}"))?,
    })
}

/// What the baseline fills in, else what the guide shows.
fn defaults(spec: &HardeningBaselineSpec) -> Defaults {
    let own = spec.resources.as_ref().and_then(|resources| resources.container_defaults.as_ref());
    let mut defaults = guide_defaults();
    for (theirs, into) in own
        .map(|own| [(&own.requests, &mut defaults.requests), (&own.limits, &mut defaults.limits)])
        .into_iter()
        .flatten()
    {
        for (name, value) in theirs {
            into.retain(|(known, _)| known != name);
            into.push((name.clone(), value.clone()));
        }
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "apiVersion: gabion.dev/v1alpha1\nkind: HardeningBaseline\nmetadata: {name: prod}\n";

    fn problem(spec: &str) -> String {
        from_text("b.yaml", &format!("{HEAD}{spec}")).expect_err("refused")
    }

    #[test]
    fn a_baseline_that_is_wrong_is_refused_with_file_and_line() {
        let start = "spec:\n  allNamespaces: true\n";
        assert_eq!(
            problem(&format!("{start}  podSecurty: {{level: restricted}}\n")),
            "b.yaml:6:3: spec.podSecurty: unknown field \"podSecurty\"; did you mean podSecurity?"
        );
        assert!(
            problem(&format!("{start}  podSecurity: {{level: Restricted}}\n"))
                .starts_with("b.yaml:6:17: spec.podSecurity.level: \"Restricted\" is not one of")
        );
        let two = problem(&format!("{start}  a: 1\n  b: 2\n"));
        assert_eq!(two.lines().count(), 2, "{two}");
        assert!(problem(&format!("{start}  allNamespaces: false\n")).contains("b.yaml:6:3: key"));
        assert!(
            problem(&format!("spec: {{}}\n---\n{HEAD}spec: {{}}\n")).contains("holds 2 objects")
        );
        assert!(from_text("b.yaml", "kind: Pod\n").is_err_and(|e| e.contains("holds 0 objects")));
        assert!(from_file(Path::new("/nowhere.yaml")).is_err_and(|e| e.contains("does not exist")));
    }

    #[test]
    fn every_example_is_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hardening");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let baselines =
                std::fs::read_to_string(&path).unwrap().matches("kind: HardeningBaseline").count();
            let rules = from_file(&path);
            assert_eq!(rules.is_ok(), baselines == 1, "{}: {rules:?}", path.display());
        }
    }

    #[test]
    fn what_a_baseline_says_of_reports_and_defaults_is_kept() {
        let spec = "spec:\n  allNamespaces: true\n  images: {vulnerabilities: {maxCritical: 0, maxHigh: 5, maxReportAge: 168h}}\n  resources: {containerDefaults: {limits: {memory: 1Gi}}}\n";
        let rules = from_text("b.yaml", &format!("{HEAD}{spec}")).unwrap();
        assert_eq!(rules.name, "prod");
        let wanted = Thresholds { critical: Some(0), high: Some(5), max_age: Some(604_800) };
        assert_eq!(rules.vulnerabilities, wanted);
        assert!(rules.defaults.limits.contains(&("memory".into(), "1Gi".into())));
        assert!(!rules.defaults.limits.contains(&("memory".into(), "512Mi".into())));
        assert!(rules.defaults.limits.contains(&("cpu".into(), "500m".into())));
    }

    #[test]
    fn profiles_are_known_by_name() {
        assert!(Settings::BUILT_IN.iter().all(|name| built_in(name).is_ok()));
        assert!(built_in("strict").is_err_and(|e| e.contains("baseline, restricted, guide")));
    }
}
