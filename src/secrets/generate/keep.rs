//! Keeping what generators made before, where no refresh is due.

use std::collections::BTreeMap;

use super::{ResolvedGenerator, Sources};
use crate::generator::Values;
use crate::provider::SecretBytes;
use crate::secrets::error::Error;
use crate::secrets::observe::Target;
use crate::secrets::plan::desired::Rendered;
use crate::secrets::plan::generate::{self, GENERATED};
use crate::secrets::reconciler::Reconciler;

/// Whether what generators made is still what is wanted.
pub(in crate::secrets) enum AsMade {
    /// It is, and this is all of the Secret's data: only its other fields may be in disorder.
    Kept(Target, Rendered),
    /// That has to be found out by asking and rendering.
    Unknown(Target),
}

impl Reconciler<'_> {
    /// Looks for values that need not be made to be known: all of the data came from generators, without a template, and
    /// is as it was written. An answer that would be thrown away is not asked for: it may cost money, or a one-time code.
    pub(in crate::secrets) async fn as_made(
        &self,
        target: Target,
        generators: &[ResolvedGenerator],
        is_refresh: bool,
    ) -> Result<AsMade, Error> {
        let spec = &self.object().spec;
        let made_alone = !generators.is_empty()
            && generators.len() == spec.data_from.len()
            && spec.data.is_empty()
            && generators.iter().all(ResolvedGenerator::mints);
        let is_due = is_refresh && self.noted(&target).as_ref() != Some(&self.mark());
        if !made_alone || is_due || spec.target.template.is_some() || self.merges() {
            return Ok(AsMade::Unknown(target));
        }
        let existing = match target {
            Target::Read(existing) => *existing,
            Target::Absent => return Ok(AsMade::Unknown(Target::Absent)),
            Target::Intact(_) => match self.read().await? {
                Some(existing) => existing,
                None => return Ok(AsMade::Unknown(Target::Absent)),
            },
        };
        let as_written = existing.is_intact() && !existing.data.is_empty();
        let mut rendered = Rendered::without_template(self.object(), existing.data.clone());
        let noted = existing.annotations.get(GENERATED).cloned();
        rendered.annotations.extend(noted.map(|mark| (GENERATED.to_owned(), mark)));
        let target = Target::Read(Box::new(existing));
        Ok(if as_written { AsMade::Kept(target, rendered) } else { AsMade::Unknown(target) })
    }

    fn mark(&self) -> String {
        generate::refresh_mark(self.object())
    }

    /// The refresh for which the values in the Secret were made, as it says itself.
    fn noted(&self, target: &Target) -> Option<String> {
        match target {
            Target::Absent => None,
            Target::Read(existing) => existing.annotations.get(GENERATED).cloned(),
            Target::Intact(_) => {
                self.context.index.secret(&self.target()).and_then(|digest| digest.generated)
            }
        }
    }

    async fn rendered_again(
        &self,
        sources: &Sources<'_>,
    ) -> Result<BTreeMap<String, SecretBytes>, Error> {
        let collected = self.collect(sources).await?;
        Ok(self.render(collected.data).await?.0.data)
    }

    /// Marks values that were made with the refresh they were made for, or keeps those that are in the Secret: if no
    /// refresh is due, or if they were made for this one already and only the status does not say so.
    /// True if they were kept.
    pub(in crate::secrets) async fn keep_made(
        &self,
        target: Target,
        rendered: &mut Rendered,
        sources: &Sources<'_>,
        is_refresh: bool,
    ) -> Result<(Target, bool), Error> {
        let (mark, noted) = (self.mark(), self.noted(&target));
        let existing = match target {
            target if is_refresh && noted.as_ref() != Some(&mark) => {
                rendered.annotations.insert(GENERATED.to_owned(), mark);
                return Ok((target, false));
            }
            Target::Read(existing) => Some(*existing),
            Target::Intact(_) => self.read().await?,
            Target::Absent => None,
        };
        let Some(existing) = existing else {
            rendered.annotations.insert(GENERATED.to_owned(), mark);
            return Ok((Target::Absent, false));
        };
        // What differs between two renderings is what depends on values that were made.
        let other = match self.rendered_again(sources).await {
            Ok(other) => other,
            // A template may not take what others did not make. If nobody touched the data, all of it counts as made;
            // if somebody did, what is theirs cannot be told from what was made, and all of it is new.
            Err(_) if sources.ask_others() && existing.is_intact() => {
                rendered.data.keys().map(|key| (key.clone(), SecretBytes::default())).collect()
            }
            Err(_) if sources.ask_others() => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let is_kept = generate::keep(&mut rendered.data, &other, &existing.data);
        let noted = noted.filter(|_| is_kept).or_else(|| (!is_kept).then_some(mark));
        rendered.annotations.extend(noted.map(|mark| (GENERATED.to_owned(), mark)));
        Ok((Target::Read(Box::new(existing)), is_kept))
    }
}

/// The same keys with other values.
pub(super) fn altered(made: &Values) -> Values {
    let other = |value: &SecretBytes| SecretBytes::new([value.expose(), b"0"].concat());
    made.iter().map(|(key, value)| (key.clone(), other(value))).collect()
}
