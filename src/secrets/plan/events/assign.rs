//! Which queues are read, with which identity, and who is told that another one reads it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::condition::QueueState;
use crate::provider::aws::QueueArn;

/// Who asks for a queue. The operator itself comes first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner<S> {
    Operator,
    Store(S),
}

/// Who reads, whichever store it is for.
pub(crate) type Who = [u8; 32];

/// A queue that somebody wants to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want<S> {
    pub(crate) owner: Owner<S>,
    pub(crate) arn: QueueArn,
    pub(crate) who: Who,
    /// Since when the owner exists.
    pub(crate) since: Option<Timestamp>,
}

/// What comes of all wishes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assignment<S: Ord> {
    /// Each queue has one reader; the owners that it serves.
    pub(crate) readers: BTreeMap<(QueueArn, Who), Vec<Owner<S>>>,
    /// Those that are not served, and why.
    pub(crate) refused: Vec<(Owner<S>, QueueArn, QueueState)>,
}

/// Gives each queue to one identity: two would split its messages between them. The operator's wins, then the one that
/// reads already, then that of the oldest store. No more than `most` queues are read.
pub(crate) fn assign<S: Ord + Clone>(
    wants: &[Want<S>],
    reading: &[(QueueArn, Who)],
    most: usize,
) -> Assignment<S> {
    let mut wants: Vec<_> = wants.iter().collect();
    wants.sort_by(|a, b| {
        let rank = |want: &Want<S>| {
            let reads = reading.iter().any(|(arn, who)| *arn == want.arn && *who == want.who);
            (want.owner != Owner::Operator, !reads, want.since.is_none(), want.since)
        };
        rank(a).cmp(&rank(b)).then_with(|| (&a.owner, &a.arn).cmp(&(&b.owner, &b.arn)))
    });
    let mut by_queue: BTreeMap<QueueArn, (Who, bool)> = BTreeMap::new();
    let mut assignment = Assignment { readers: BTreeMap::new(), refused: Vec::new() };
    for want in wants {
        let Want { owner, arn, who, .. } = want;
        let is_operator = *owner == Owner::Operator;
        match by_queue.get(arn) {
            Some((reader, _)) if reader == who => {}
            Some((_, of_operator)) => {
                let by = if *of_operator {
                    "the operator (--events-queue)"
                } else {
                    "a store with another identity"
                };
                let shared = QueueState::Shared(by.to_owned());
                assignment.refused.push((owner.clone(), arn.clone(), shared));
                continue;
            }
            None if by_queue.len() >= most => {
                let too_many = QueueState::TooMany(most);
                assignment.refused.push((owner.clone(), arn.clone(), too_many));
                continue;
            }
            None => {
                by_queue.insert(arn.clone(), (*who, is_operator));
            }
        }
        assignment.readers.entry((arn.clone(), *who)).or_default().push(owner.clone());
    }
    assignment
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arn(nth: u8) -> QueueArn {
        QueueArn::parse(&format!("arn:aws:sqs:eu-west-1:123456789012:q{nth}")).unwrap()
    }

    fn want(owner: Owner<u8>, queue: u8, who: u8, since: i64) -> Want<u8> {
        let since = Timestamp::from_second(since).ok();
        Want { owner, arn: arn(queue), who: [who; 32], since }
    }

    #[test]
    fn e3_the_operator_wins_then_who_reads_then_the_oldest() {
        let (a, b) = (want(Owner::Store(1), 0, 1, 20), want(Owner::Store(2), 0, 2, 10));
        let reader = |wants: &[Want<u8>], reading: &[(QueueArn, Who)]| {
            let found = assign(wants, reading, 50);
            assert_eq!(found.readers.len(), 1);
            assert_eq!(found.refused.len() + 1, wants.len());
            found.readers.into_values().next().unwrap()
        };
        assert_eq!(reader(&[a.clone(), b.clone()], &[]), [Owner::Store(2)]);
        assert_eq!(reader(&[a.clone(), b.clone()], &[(arn(0), [1; 32])]), [Owner::Store(1)]);
        let own = want(Owner::Operator, 0, 3, 30);
        assert_eq!(reader(&[a, b, own], &[(arn(0), [1; 32])]), [Owner::Operator]);
    }

    proptest! {
        #[test]
        fn a_queue_has_one_reader_everybody_is_told_and_the_order_does_not_matter(
            asked in prop::collection::vec((0..6_u8, 0..4_u8, 0..3_u8, 0..5_i64), 0..12),
            reading in prop::collection::vec((0..4_u8, 0..3_u8), 0..4),
            most in 0..4_usize,
        ) {
            let mut wants: Vec<_> = asked
                .iter()
                .enumerate()
                .map(|(nth, (kind, queue, who, since))| {
                    let nth = u8::try_from(nth).unwrap();
                    let owner = if *kind == 0 { Owner::Operator } else { Owner::Store(nth) };
                    // The operator has one identity.
                    let who = if *kind == 0 { 9 } else { *who };
                    want(owner, *queue, who, *since)
                })
                .collect();
            let reading: Vec<_> = reading.iter().map(|(q, who)| (arn(*q), [*who; 32])).collect();
            let found = assign(&wants, &reading, most);
            let queues: Vec<_> = found.readers.keys().map(|(arn, _)| arn.clone()).collect();
            let mut distinct = queues.clone();
            distinct.dedup();
            prop_assert_eq!(&queues, &distinct);
            prop_assert!(queues.len() <= most);
            let served: usize = found.readers.values().map(Vec::len).sum();
            prop_assert_eq!(served + found.refused.len(), wants.len());
            let again = assign(&wants, &found.readers.keys().cloned().collect::<Vec<_>>(), most);
            let stays: Vec<_> = again.readers.keys().collect();
            prop_assert_eq!(stays, found.readers.keys().collect::<Vec<_>>(), "nobody is driven out");
            wants.reverse();
            let reversed = assign(&wants, &reading, most);
            prop_assert_eq!(reversed.readers.keys().collect::<Vec<_>>(), found.readers.keys().collect::<Vec<_>>());
        }
    }
}
