//! What is known of the target Secret, at the lowest cost: memory, then the stored status and the marks on the
//! Secret, and only where none of these can tell, the Secret itself.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::digest::Digest;
use super::error::Error;
use super::index::Verified;
use super::plan::desired::Rendered;
use super::plan::existing::Existing;
use super::plan::hash;
use crate::api::external_secrets::external_secret::CreationPolicy;
use crate::secrets::reconciler::Reconciler;

/// What is known of the target before anything is read.
pub(crate) enum Target {
    /// There is none.
    Absent,
    /// It is as it was written.
    Intact(Verified),
    /// It was read, because nothing else could tell.
    Read(Box<Existing>),
}

impl Reconciler<'_> {
    /// What is known of the target. Reads it only if neither memory, status nor marks can tell.
    pub(crate) async fn observe(&self) -> Result<Target, Error> {
        if self.object().spec.target.creation_policy == CreationPolicy::None {
            return Ok(Target::Absent); // never reconciled, never written
        }
        let Some(digest) = self.context.index.secret(&self.target()) else {
            return Ok(Target::Absent);
        };
        if let Some(verified) = self.trusted(&digest) {
            return Ok(Target::Intact(verified));
        }
        Ok(self.read().await?.map_or(Target::Absent, |existing| Target::Read(Box::new(existing))))
    }

    /// The present state of the Secret, if it is known to be the one that was written.
    fn trusted(&self, digest: &Digest) -> Option<Verified> {
        let memory = &self.tracked.memory;
        if let Some(verified) = &memory.verified {
            let same =
                verified.uid == digest.uid && verified.resource_version == digest.resource_version;
            return same.then(|| verified.clone());
        }
        // The first reconcile of this process: what does the stored status say?
        let status = self.object().status.as_ref()?;
        let data_hash = digest.data_hash.clone().filter(|_| digest.managed)?;
        let as_written = match status.gabion.as_ref().and_then(|gabion| gabion.target.as_ref()) {
            Some(written) => {
                written.uid == *digest.uid && written.resource_version == *digest.resource_version
            }
            // Written by External Secrets Operator: its marks are trusted unless somebody wrote data after it.
            None => status.refresh_time.is_some() && !digest.touched && self.is_marked_ours(digest),
        };
        let unchanged = status.synced_resource_version.as_deref() == Some(&*self.tracked.version);
        as_written.then(|| Verified {
            uid: digest.uid.clone(),
            resource_version: digest.resource_version.clone(),
            // The hash of the whole does not show what a merging object contributed.
            contributed: (!self.merges()).then_some(data_hash),
            // What a template makes of labels and annotations depends on the data.
            shape: (unchanged && self.object().spec.target.template.is_none())
                .then(|| self.shape(&Rendered::without_template(self.object(), BTreeMap::new()))),
        })
    }

    fn is_marked_ours(&self, digest: &Digest) -> bool {
        self.object().spec.target.creation_policy != CreationPolicy::Owner
            || digest.created_by.as_deref()
                == Some(&hash::created_by(&self.key.namespace, &self.key.name))
    }

    pub(crate) fn merges(&self) -> bool {
        let creation = &self.object().spec.target.creation_policy;
        matches!(creation, CreationPolicy::Merge | CreationPolicy::CreateOrMerge)
    }

    /// Everything but the data that decides how the Secret looks.
    pub(crate) fn shape(&self, rendered: &Rendered) -> u64 {
        let target = &self.object().spec.target;
        let mut hasher = DefaultHasher::new();
        (&rendered.labels, &rendered.annotations, &rendered.type_).hash(&mut hasher);
        rendered.finalizers.hash(&mut hasher);
        (&target.creation_policy, &target.name, target.immutable).hash(&mut hasher);
        hasher.finish()
    }

    /// Remembers a Secret that was found in order, so that it is not read again.
    pub(crate) fn note_intact(&self, target: &Target) {
        let verified = match target {
            Target::Absent => return,
            Target::Intact(verified) => verified.clone(),
            Target::Read(existing) => Verified {
                uid: existing.uid.clone(),
                resource_version: existing.resource_version.clone(),
                contributed: (!self.merges()).then(|| hash::data_hash(&existing.data)),
                shape: None,
            },
        };
        self.context.index.remember(self.key, self.uid(), |m| m.verified = Some(verified));
    }
}
