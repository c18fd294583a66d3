//! How an attempt is taken back.
//!
//! Looks at labels lag now and then, so none of them is believed here: each label is moved away from the new version, and
//! AWS's answer says whether it was there. The label of the object goes last. As long as the lock may be on the version,
//! that label says whose it is.

use super::{
    Answer, Attempt, CURRENT, Ending, Facts, PENDING, PREVIOUS, Stages, Step, at, release,
};

/// What is next in the phase Reverting.
pub(super) fn next(attempt: &Attempt, stages: &Stages, facts: &Facts<'_>) -> Step {
    let proved = facts.proved;
    // Also one that came into force late, by a request that nobody got an answer to.
    let Some(returned) = proved.current else {
        return release(attempt, CURRENT, Some(&attempt.from));
    };
    if proved.pending.is_none() {
        return release(attempt, PENDING, None);
    }
    let token = Some(attempt.token.as_str());
    let is_current = at(stages, CURRENT) == token;
    if is_current && returned == Answer::Gone {
        // The version before it is not there any more.
        return Step::End(Ending::NeedsRollback);
    }
    if is_current || at(stages, PENDING) == token {
        // The look and the answers do not agree.
        return Step::Wait;
    }
    // On a version that was in force it tells other clusters that somebody rotates the secret.
    let was_in_force =
        at(stages, PREVIOUS) == token || returned == Answer::Moved || attempt.promoted_at.is_some();
    if !was_in_force && proved.label.is_none() {
        return release(attempt, facts.label, None);
    }
    Step::End(ending(attempt, stages, returned))
}

/// Nothing of somebody else is undone: what was put meanwhile stays.
fn ending(attempt: &Attempt, stages: &Stages, returned: Answer) -> Ending {
    let is_back = returned == Answer::Moved || at(stages, CURRENT) == Some(&attempt.from);
    match attempt.cause.unwrap_or(Ending::Lost) {
        Ending::RolledBack if !is_back => Ending::Superseded,
        cause => cause,
    }
}
