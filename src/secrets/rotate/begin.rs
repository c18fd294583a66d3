//! Whether a rotation is due and may begin, and its first words in the status.

use aws_lc_rs::rand;
use jiff::Timestamp;

use super::super::error::Error;
use super::super::index::{Memory, StoreKey, Tracked};
use super::super::plan::generate;
use super::super::plan::push::claims::Claim;
use super::super::plan::rotation::attempt::{
    Attempt, Ending, PENDING, PREVIOUS, Phase, at, foreign, leftover, moved,
};
use super::super::plan::rotation::check;
use super::super::plan::rotation::error::{Refusal, TAG};
use super::super::plan::rotation::schedule::Schedule;
use super::super::plan::rotation::status::{self, Begin};
use super::super::plan::rotation::value;
use super::drive::answer;
use super::{Rotator, Trouble};
use crate::api::external_secrets::external_secret::{ExternalSecret, ExternalSecretSpec};
use crate::cluster::{events::EventType, queue::Next};
use crate::provider::fetcher::Connection;
use crate::provider::rotate::{Described, Effect, Valued};
use crate::provider::{ProviderError, SecretBytes};
use crate::secrets::reconciler::Reconciler;

impl Rotator<'_> {
    pub(super) fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The label of this object.
    pub(super) fn label(&self) -> String {
        check::label(self.uid())
    }

    /// Begins a rotation, or says when to look again.
    pub(super) async fn begin(
        &mut self,
        store: &StoreKey,
        now: Timestamp,
    ) -> Result<Result<Attempt, Next>, Trouble> {
        let schedule = self.schedule.take().unwrap_or(Schedule::OnDemand);
        let begun = self.begin_by(&schedule, store, now).await;
        self.schedule = Some(schedule);
        begun
    }

    async fn begin_by(
        &mut self,
        schedule: &Schedule,
        store: &StoreKey,
        now: Timestamp,
    ) -> Result<Result<Attempt, Next>, Trouble> {
        let mut due = match status::begin(&self.object, schedule, None, now) {
            Begin::Now { due } => due,
            later => return self.wait(schedule, &later, now).await.map(Err),
        };
        let Some(connection) = self.connection(store).await? else { return Ok(Err(Next::Idle)) };
        let described = self.described(&connection).await?;
        let current = self.check(described.as_ref(), store)?.to_owned();
        let described = described.unwrap_or_default();
        let present = self.value(&connection, None).await?;
        if let (Some(_), Schedule::Every(_), Some(made)) = (due, schedule, present.created) {
            let counted = status::counted(&self.object, made);
            match status::begin(&counted, schedule, Some(made), now) {
                Begin::Now { due: really } => due = really,
                later => {
                    let counted = counted.status.unwrap_or_default();
                    return self.count(schedule, counted, &later, now).await.map(Err);
                }
            }
        }
        check::age(&present, now)?;
        if present.version != current {
            // One of the answers is older than the other.
            return Ok(Err(Next::Retry));
        }
        self.prepared = Some(self.compose(&present).await?);
        let described = self.tidy(&connection, described).await?;
        self.tag(&connection, &described).await?;
        let previous = at(&described.stages, PREVIOUS).map(ToOwned::to_owned);
        self.seen = Some(described.stages);
        self.write_first((current, previous), due, now).await.map(Ok)
    }

    /// Nothing is to be done now.
    async fn wait(
        &mut self,
        schedule: &Schedule,
        begin: &Begin,
        now: Timestamp,
    ) -> Result<Next, Trouble> {
        let status = self.object.status.clone().unwrap_or_default();
        self.count(schedule, status, begin, now).await
    }

    async fn count(
        &mut self,
        schedule: &Schedule,
        status: crate::api::gabion::secret_rotation::SecretRotationStatus,
        begin: &Begin,
        now: Timestamp,
    ) -> Result<Next, Trouble> {
        let mut object = (*self.object).clone();
        object.status = Some(status);
        let ready = self.ready_reason();
        let ended = ready.and_then(Ending::named).is_some();
        let (value, reason, text) = match begin {
            _ if self.object.spec.suspend => {
                ("True", "Suspended", "spec.suspend is set: nothing is rotated")
            }
            Begin::GivenUp => (
                "False",
                "GivenUp",
                "three rotations failed one after the other: mend what the events name, and then edit the spec or give the annotation gabion.dev/rotate a new value",
            ),
            Begin::Never => (
                "True",
                "Waiting",
                "rotated when the annotation gabion.dev/rotate gets a new value",
            ),
            _ => ("True", "Waiting", "rotated when status.nextRotation says"),
        };
        let status = if ended && reason == "Waiting" {
            // How the last one ended stays said.
            let conditions = object.status.as_ref().map(|status| status.conditions.clone());
            let mut status = status::said(&object, Some(schedule), (value, reason, text), now);
            status.conditions = conditions.unwrap_or_default();
            status
        } else {
            status::said(&object, Some(schedule), (value, reason, text), now)
        };
        self.write_status(status).await?;
        Ok(match begin {
            Begin::At(at) => Next::at(*at, now),
            _ => Next::Idle,
        })
    }

    /// Refuses what is not to be rotated. Id of the present version otherwise. Those whom the store refuses hold nobody
    /// up: they could be anybody's.
    fn check<'d>(
        &self,
        described: Option<&'d Described>,
        store: &StoreKey,
    ) -> Result<&'d str, Refusal> {
        let (namespace, remote) = (&*self.key.namespace, self.remote_key());
        let mut older = self.context.rotations.older(&self.object);
        older.retain(|other| {
            self.context.shares(store, &other.namespace, namespace)
                && !self.context.refuses(store, &other.namespace, remote)
        });
        if let Some(other) = older.into_iter().min() {
            return Err(Refusal::Duplicate(other.to_string()));
        }
        let claim = Claim::at(remote, "");
        if !self.context.claimants(store, &claim, namespace).is_empty() {
            return Err(Refusal::Pushed);
        }
        let last = status::last_version(&self.object);
        check::current(described, self.uid(), &self.label(), last)
    }

    /// The new value.
    pub(super) async fn compose(&self, present: &Valued) -> Result<SecretBytes, Trouble> {
        let spec = &self.object.spec.value;
        let one = generate::of_rotation(&spec.generator_ref).map_err(Error::from)?;
        // Generators are asked as an ExternalSecret of this namespace asks them.
        let mut external = ExternalSecret::new(&self.key.name, ExternalSecretSpec::default());
        external.metadata.namespace = Some(self.key.namespace.to_string());
        external.metadata.uid.clone_from(&self.object.metadata.uid);
        let (object, version) = (std::sync::Arc::new(external), "".into());
        let tracked = Tracked { object, version, memory: Memory::default() };
        let (context, key, now) = (self.context, self.key, Timestamp::now());
        let made = Reconciler { context, key, tracked: &tracked, now, event: false }
            .make_one(&one)
            .await?;
        let (source, limits) =
            (&mut crate::secrets::environment::SystemEnvironment, gotemplate::Limits::default());
        let _turn = self.context.rendering.turn(&self.key.namespace).await;
        let engine = || {
            let (cache, delimiters) = (&self.context.templates, &self.context.config.delimiters);
            let mut engine =
                super::super::plan::template::Engine::new(cache, delimiters, source, &limits);
            value::compose(spec, &made, present.text.as_ref(), &mut engine)
        };
        Ok(tokio::task::block_in_place(engine)?)
    }

    /// Takes the lock off what a lost status or a late request left behind.
    async fn tidy(
        &mut self,
        connection: &Connection,
        mut described: Described,
    ) -> Result<Described, Trouble> {
        let last = status::last_version(&self.object);
        let left = leftover(&described.stages, &self.label(), last).map(ToOwned::to_owned);
        let Some(version) = left else { return Ok(described) };
        // Whoever knows an old status has no attempt to show for its lock: this write would fail.
        self.finalize(true).await?;
        let effect = Effect::Move { label: PENDING, to: None, from: Some(&version) };
        match self.effect(connection, effect).await?.map_err(answer) {
            Ok(()) => {
                let text =
                    format!("version {version} was left by a rotation that nobody knows: dropped");
                self.record("RotationFailed", text, EventType::Warning);
            }
            // A look that lagged.
            Err(Ok(_)) => {}
            Err(Err(error)) => return Err(Error::from(error).into()),
        }
        moved(&mut described.stages, PENDING, None);
        Ok(described)
    }

    /// Says whose the secret is. Without the right to, it goes on, unless a label says that
    /// somebody else does: the lock still holds.
    async fn tag(&self, connection: &Connection, described: &Described) -> Result<(), Trouble> {
        if check::is_tagged(described, self.uid()) {
            return Ok(());
        }
        match self.effect(connection, Effect::Tag(TAG, self.uid())).await? {
            Ok(()) => Ok(()),
            Err(error @ ProviderError::Denied { .. }) => {
                if let Some(other) = foreign(&described.stages, &self.label()) {
                    return Err(Refusal::MarkedElsewhere(other.to_owned()).into());
                }
                let text = format!(
                    "{error}: another cluster does not see that this one rotates the secret"
                );
                self.record("Unclaimed", text, EventType::Hint);
                Ok(())
            }
            Err(error) => Err(Error::from(error).into()),
        }
    }

    /// From here on a deletion takes back what is under way, and a restart goes on.
    async fn write_first(
        &mut self,
        (from, previous): (String, Option<String>),
        due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Attempt, Trouble> {
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| {
            Error::from(ProviderError::Unavailable {
                reason: "the system has no random numbers".to_owned(),
                source: None,
            })
        })?;
        self.finalize(true).await?;
        let attempts = self.object.status.as_ref().and_then(|status| status.attempts);
        let attempt = Attempt {
            number: attempts.unwrap_or_default() + 1,
            phase: Phase::Creating,
            token: check::token(random),
            from,
            previous,
            since: now,
            promoted_at: None,
            cause: None,
        };
        self.write_status(status::written(&self.object, &attempt, due, now)).await?;
        let text = format!("rotation {} begins", attempt.number);
        self.record("RotationStarted", text, EventType::Routine);
        Ok(attempt)
    }
}
