//! What the API server's limits leave room for, computed before anything is written.
//!
//! A pod is let pass by one expression ([`super::fast_path`]), which therefore is the longest and the dearest of a policy.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::PolicyError;
use super::image::{canonical_prefix, canonical_repository};
use super::literal::texts;
use super::settings::Settings;

/// Longest expression that the API server reads, in characters.
pub(crate) const LONGEST_EXPRESSION: usize = 100_000;
/// What the API server spends on one expression, in its own units.
pub(crate) const DEAREST_EXPRESSION: usize = 1_000_000;
/// Containers of the pod that every baseline must be able to evaluate, each with 20 variables, four ports and mounts, all
/// probes and hooks, and an image of 100 characters.
pub(crate) const CONTAINERS: usize = 100;
const VARIABLES: usize = 20;

/// Units for one such container under every rule, without what a baseline lists: 5,700 were measured, most of them for the
/// names and values of its variables.
const CONTAINER: usize = 6_100;
/// Units for looking up the beginning of such an image in a list: one for each number of parts that its entries have.
/// 67 were measured.
const LOOK_UP: usize = 70;
/// Units for comparing the name of one variable with a name that is required.
const NAME: usize = 9;

/// A field of a baseline and what it adds to an expression.
type Share = (&'static str, usize);

/// What the dearest expression costs at most for the pod of [`CONTAINERS`], and the field that adds most.
pub(crate) fn cost(settings: &Settings) -> (usize, &'static str) {
    let parts = |prefixes: Vec<String>| {
        let counts: BTreeSet<_> = prefixes.iter().map(|name| name.split('/').count()).collect();
        counts.len() * LOOK_UP
    };
    let allowed = settings.allowed_registries.iter().map(|name| canonical_prefix(name)).collect();
    let denied =
        settings.denied_repositories.iter().map(|name| canonical_repository(name)).collect();
    let shares = [
        ("images.allowedRegistries", parts(allowed)),
        ("images.deniedRepositories", parts(denied)),
        ("logging.requireEnv", settings.required_env.len() * VARIABLES * NAME),
    ];
    let total = CONTAINER + shares.iter().map(|(_, units)| units).sum::<usize>();
    (total * CONTAINERS, largest(shares))
}

/// Fails when one of the policies could not be used, and names the field to shorten.
pub(super) fn check(
    settings: &Settings,
    revision: &str,
    policies: &[Value],
) -> Result<(), PolicyError> {
    let refused = |problem: String, field: &str| PolicyError::BudgetExceeded {
        revision: revision.to_owned(),
        problem,
        field: field.to_owned(),
    };
    let longest = policies.iter().map(|policy| longest(&policy["spec"])).max().unwrap_or_default();
    if longest > LONGEST_EXPRESSION {
        let written = |names: &[String]| texts(names.iter().map(String::as_str)).len();
        let shares = [
            ("images.allowedRegistries", written(&settings.allowed_registries)),
            ("images.deniedRepositories", written(&settings.denied_repositories)),
            ("pods.localhostSeccompProfiles", written(&settings.seccomp_profiles)),
            ("logging.requireEnv", written(&settings.required_env)),
            ("serviceAccounts.allowedTokenAudiences", written(&settings.token_audiences)),
        ];
        let problem = format!(
            "needs an expression of {longest} characters, and the API server reads {LONGEST_EXPRESSION}"
        );
        return Err(refused(problem, largest(shares)));
    }
    let (units, field) = cost(settings);
    if units > DEAREST_EXPRESSION {
        let problem = format!(
            "costs a pod of {CONTAINERS} containers up to {units} units, and the API server spends {DEAREST_EXPRESSION}"
        );
        return Err(refused(problem, field));
    }
    Ok(())
}

/// Length of the longest text.
fn longest(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(longest).max().unwrap_or_default(),
        Value::Object(fields) => fields.values().map(longest).max().unwrap_or_default(),
        _ => 0,
    }
}

fn largest<const N: usize>(shares: [Share; N]) -> &'static str {
    shares.into_iter().max_by_key(|(_, share)| *share).map_or("", |(field, _)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(count: usize, host: &str) -> Vec<String> {
        (1..=count).map(|parts| format!("{host}.example{}", "/a".repeat(parts))).collect()
    }

    #[test]
    fn the_guide_costs_two_thirds_and_lists_of_one_depth_next_to_nothing() {
        let guide = Settings::built_in("guide").expect("it");
        let (units, _) = cost(&guide);
        assert!(units < DEAREST_EXPRESSION / 3 * 2, "{units}");
        let registries = (0..64).map(|nth| format!("r{nth}.example/team")).collect();
        let (more, field) = cost(&Settings { allowed_registries: registries, ..guide });
        assert_eq!(more - units, CONTAINERS * LOOK_UP);
        assert_eq!(field, "logging.requireEnv");
    }

    #[test]
    fn the_field_that_adds_most_is_named() {
        let settings = |allowed, denied| Settings {
            allowed_registries: deep(allowed, "r"),
            denied_repositories: deep(denied, "d"),
            ..Settings::default()
        };
        assert!(check(&settings(25, 25), "r", &[]).is_ok());
        for (allowed, denied, field) in
            [(64, 60, "images.allowedRegistries"), (60, 64, "images.deniedRepositories")]
        {
            let error = check(&settings(allowed, denied), "r", &[]).expect_err("too much");
            let words = error.to_string();
            assert!(words.ends_with(&format!("shorten {field}")), "{words}");
            assert!(words.contains("100 containers") && words.contains("1000000"), "{words}");
        }
    }
}
