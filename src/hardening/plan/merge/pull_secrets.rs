//! Registry credentials that several baselines bring.

use super::super::baseline::Compiled;
use super::super::copy::MOST_TARGETS;
use super::super::error::Error;
use super::{Merged, row, why};
use crate::api::gabion::hardening_baseline::Attach;

/// Copies are joined by their names. Where two baselines want one name for two sources, the highest priority wins.
pub(super) fn pull_secrets(enforced: &[&Compiled], merged: &mut Merged) {
    for baseline in enforced {
        for ask in &baseline.pull_secrets {
            let known = merged.pull_secrets.iter_mut().find(|known| known.target == ask.target);
            let Some(known) = known else {
                if merged.pull_secrets.len() < MOST_TARGETS {
                    merged.pull_secrets.push(ask.clone());
                } else {
                    let (target, source) = (ask.target.clone(), ask.source.to_string());
                    let used = format!("{MOST_TARGETS} others, which is the most in one namespace");
                    let error = Error::PullSecretConflict { target, unused: source, used };
                    merged.pull_secret_problems.push(error);
                }
                continue;
            };
            if known.source == ask.source {
                known.attach = widest(known.attach, ask.attach);
            } else {
                let (used, unused) = (known.source.to_string(), ask.source.to_string());
                let target = ask.target.clone();
                merged.pull_secret_problems.push(Error::PullSecretConflict {
                    target,
                    unused,
                    used,
                });
            }
        }
    }
    for ask in merged.pull_secrets.clone() {
        let bringing = |b: &&&Compiled| {
            b.pull_secrets
                .iter()
                .any(|own| (&own.target, &own.source) == (&ask.target, &ask.source))
        };
        let count = enforced.iter().filter(bringing).count();
        let Some(by) = enforced.iter().find(bringing) else { continue };
        let item = format!("serviceAccounts.pullSecrets[{}]", ask.target);
        let value = format!("copy of {}, used by {}", ask.source, ask.attach);
        row(merged, item, value, &by.name, why("highest priority", count));
    }
}

/// The one of two that reaches more accounts.
fn widest(a: Attach, b: Attach) -> Attach {
    [Attach::AllServiceAccounts, Attach::DefaultServiceAccount]
        .into_iter()
        .find(|attach| [a, b].contains(attach))
        .unwrap_or(Attach::None)
}
