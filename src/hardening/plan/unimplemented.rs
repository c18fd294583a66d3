//! Fields that the schema accepts and this version does not act on yet. Nothing is ignored in silence: a
//! baseline that sets one says so in its condition `FullyImplemented`.

use crate::api::gabion::hardening_baseline::Dns;
use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;
use crate::api::gabion::hardening_baseline::Mesh;
use crate::api::gabion::hardening_baseline::NewNamespaces;
use crate::api::gabion::hardening_baseline::Promotion;
use crate::api::gabion::hardening_baseline::Rollout;
use crate::api::gabion::hardening_baseline::UserPolicies;

/// Paths, below `spec`, of the fields that are set and not acted on yet, in the order of the schema.
pub(crate) fn unimplemented_fields(spec: &HardeningBaselineSpec) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let mut say = |set: bool, field| {
        if set {
            fields.push(field);
        }
    };
    say(!spec.include_protected.is_empty(), "includeProtected");
    if let Some(rollout) = &spec.rollout {
        rollout_fields(rollout, &mut say);
    }
    if let Some(images) = &spec.images {
        say(!images.trust_policies.is_empty(), "images.trustPolicies");
        say(images.vulnerabilities.is_some(), "images.vulnerabilities");
    }
    if let Some(network) = &spec.network {
        say(network.mesh.is_some_and(|mesh| mesh != Mesh::None), "network.mesh");
        say(
            matches!(network.guard_user_policies, Some(UserPolicies::Deny | UserPolicies::Unknown)),
            "network.guardUserPolicies",
        );
        say(network.respect_existing == Some(true), "network.respectExisting");
        say(network.dns == Some(Dns::Unknown), "network.dns");
    }
    if let Some(accounts) = &spec.service_accounts {
        say(!accounts.pull_secrets.is_empty(), "serviceAccounts.pullSecrets");
    }
    say(spec.istio.is_some(), "istio");
    say(spec.falco.is_some(), "falco");
    if let Some(mutate) = &spec.mutate {
        let asked = [mutate.pod_defaults, mutate.namespace_labels, mutate.service_accounts];
        say(asked.contains(&Some(true)), "mutate");
    }
    say(spec.reports.is_some(), "reports");
    say(spec.deletion_protection == Some(true), "deletionProtection");
    fields
}

fn rollout_fields(rollout: &Rollout, say: &mut impl FnMut(bool, &'static str)) {
    say(rollout.promotion == Some(Promotion::Auto), "rollout.promotion");
    say(rollout.min_soak.is_some(), "rollout.minSoak");
    say(rollout.max_violations.is_some(), "rollout.maxViolations");
    say(rollout.wave_size.is_some(), "rollout.waveSize");
    say(rollout.new_namespaces == Some(NewNamespaces::Staged), "rollout.newNamespaces");
    say(rollout.paused == Some(true), "rollout.paused");
    say(!rollout.acknowledge.is_empty(), "rollout.acknowledge");
    say(rollout.approved_wave.is_some(), "rollout.approvedWave");
}
