//! Events of AWS wake the ExternalSecrets whose secrets changed: from a queue that a store or the operator names.
//!
//! An event only ever wakes. What it says is not believed, and no message is deleted before all that it woke were looked
//! at: [`wakes`] keeps the books, [`consumer`] reads a queue, [`queues`] says which ones are read.

mod consumer;
pub(crate) mod queues;
mod served;
pub(crate) mod wakes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

use super::auth::is_referent;
use super::context::Context;
use super::plan::events::assign::{Owner, Want, Who, assign};
use super::plan::events::condition::QueueState;
use super::plan::store_status::Queue;
use super::store::{Caller, Store};
use crate::cluster::CacheSync;
use crate::provider::aws::QueueArn;
use consumer::Consumer;
use queues::Wanted;
use served::Served;

/// Readers that stop have this long to put back what they hold.
const STOPPING: Duration = Duration::from_secs(3);

/// Notes the queue that a store names; what its status should say of it.
pub(crate) fn declare(context: &Context, store: &Store) -> Queue {
    let queues = &context.event_queues;
    let Some(text) = &store.events_queue else {
        queues.withdraw(&store.key);
        return Queue::None;
    };
    let refuse = |state: QueueState| {
        queues.unwant(&store.key);
        context.note_queue(&Owner::Store(store.key.clone()), None, &state);
        Queue::Known(state)
    };
    let arn = match QueueArn::parse(text) {
        Ok(arn) => arn,
        Err(problem) => return refuse(QueueState::Invalid(problem)),
    };
    if let Some(remedy) = lacks_identity(store) {
        return refuse(QueueState::NeedsCredentials(remedy));
    }
    let owner = Owner::Store(store.key.clone());
    let connection = context.stores.connection(&store.key, Caller::Store);
    if let Some((connection, who)) = connection.and_then(|it| it.who().map(|who| (it, who))) {
        let receives = says_receiving(store, &arn);
        let want = Want { owner: owner.clone(), arn, who, since: store.created };
        queues.want(Wanted { want, connection: Some(connection), receives });
    } else if !queues.wants(&owner, &arn) {
        let cause = "the store has no usable credentials: see its condition Ready".to_owned();
        return refuse(QueueState::Unreachable(cause));
    }
    queues.state(&owner).map_or(Queue::Unknown, Queue::Known)
}

/// Why a store's queue is not read with the identity that it has, and what to do. A tenant's queue is never read with the
/// operator's identity: whoever may write a SecretStore could have it read any queue.
fn lacks_identity(store: &Store) -> Option<&'static str> {
    let Some(aws) = &store.spec.provider.aws else {
        return Some("events come from AWS: name a queue on a store of AWS only");
    };
    if is_referent(store) {
        return Some(
            "the store has no identity of its own, but that of each namespace: name the namespace in \
             spec.provider.aws.auth, or use --events-queue",
        );
    }
    let is_set = |role: &Option<String>| role.as_deref().is_some_and(|role| !role.is_empty());
    let names_one = aws.auth.as_ref().is_some_and(|it| it.jwt.is_some() || it.secret_ref.is_some())
        || is_set(&aws.role)
        || !aws.additional_roles.is_empty();
    (!store.key.is_cluster() && !names_one).then_some(
        "a SecretStore's queue is not read with the operator's identity: set spec.provider.aws.auth \
         or spec.provider.aws.role",
    )
}

/// Whether the stored status says that events of this queue arrive: a restart does not take that back.
fn says_receiving(store: &Store, arn: &QueueArn) -> bool {
    let conditions = store.status.iter().flat_map(|status| &status.conditions);
    let (_, receiving, message) = QueueState::Receiving(arn.to_string()).condition();
    let mut conditions = conditions.filter(|it| it.reason.as_deref() == Some(receiving));
    conditions.any(|it| it.message.as_ref() == Some(&message))
}

struct Running {
    served: Arc<Served>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Reads the queues that the operator and the stores name, each by one reader.
pub(crate) async fn read_queues(context: Arc<Context>, caches: CacheSync, stop: CancellationToken) {
    for arn in &context.config.events_queues {
        context.event_queues.want(Wanted {
            want: Want { owner: Owner::Operator, arn: arn.clone(), who: OPERATOR, since: None },
            connection: None,
            receives: false,
        });
    }
    // An event that is read before everybody is known would concern nobody, and be lost.
    tokio::select! {
        () = stop.cancelled() => return,
        () = caches.synced() => {}
    }
    let mut running: BTreeMap<(QueueArn, Who), Running> = BTreeMap::new();
    loop {
        let wanted = context.event_queues.all();
        let wants: Vec<_> = wanted.iter().map(|wanted| wanted.want.clone()).collect();
        let reading: Vec<_> = running.keys().cloned().collect();
        let assignment = assign(&wants, &reading, context.config.events_queues_max);
        let ended: Vec<_> =
            running.extract_if(.., |key, _| !assignment.readers.contains_key(key)).collect();
        end(ended.into_iter().map(|(_, reader)| reader)).await;
        for (owner, arn, state) in assignment.refused {
            context.note_queue(&owner, Some(&arn), &state);
        }
        for (key, owners) in assignment.readers {
            let reader = running.entry(key).or_insert_with_key(|(arn, _)| {
                let first = wanted.iter().find(|it| Some(&it.want.owner) == owners.first());
                start(&context, arn, first, &stop)
            });
            reader.served.set(owners);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = context.event_queues.changed() => {}
        }
    }
    end(running.into_values()).await;
}

/// Stands for the operator's own identity.
const OPERATOR: Who = [0; 32];

fn start(
    context: &Arc<Context>,
    arn: &QueueArn,
    wanted: Option<&Wanted>,
    stop: &CancellationToken,
) -> Running {
    let (served, stop) = (Arc::new(Served::default()), stop.child_token());
    let connection = wanted.and_then(|wanted| wanted.connection.as_ref());
    let receives = wanted.is_some_and(|wanted| wanted.receives);
    let consumer = Consumer::new(context, arn, connection, receives, Arc::clone(&served));
    let until = stop.clone();
    let task = tokio::spawn(async move {
        if let Some(consumer) = consumer {
            consumer.run(until).await;
        }
    });
    Running { served, stop, task }
}

/// Each puts back what it holds, so that the next reader has it at once.
async fn end(readers: impl Iterator<Item = Running>) {
    let tasks: Vec<_> = readers
        .map(|reader| {
            reader.stop.cancel();
            time::timeout(STOPPING, reader.task)
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
}
