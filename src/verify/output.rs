//! How answers are told.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Answer, Format, Options, Verdict};
use crate::trust::Trial;

pub(super) fn write(
    answers: &[Answer],
    options: &Options,
    output: &mut dyn Write,
) -> io::Result<()> {
    match options.format {
        Format::Text => {
            for answer in answers {
                writeln!(output, "{}", line(answer))?;
                if options.explain {
                    explain(answer, output)?;
                }
            }
            Ok(())
        }
        Format::Json => {
            let images: Vec<_> = answers.iter().map(|a| value(a, options.explain)).collect();
            let text = serde_json::to_string_pretty(&json!({ "images": images }))?;
            writeln!(output, "{text}")
        }
    }
}

fn line(answer: &Answer) -> String {
    let image = &answer.image;
    match &answer.verdict {
        Verdict::Holds => {
            let by = |(policy, judgement): &(String, crate::trust::Judgement)| {
                let names = judgement.outcome.as_deref().unwrap_or_default().join(", ");
                format!("TrustPolicy {policy}: signed by {names}")
            };
            let by: Vec<_> = answer.judged.iter().map(by).collect();
            format!("holds: {image}: {}", by.join("; "))
        }
        Verdict::Refused(policy, refusal) => {
            let whom =
                policy.as_ref().map(|name| format!(", which TrustPolicy {name} does not accept"));
            let (whom, remedy) = (whom.unwrap_or_default(), refusal.reason.remedy());
            format!("refused: {image}: {refusal}{whom}; {remedy}")
        }
        Verdict::Unknown(error) => {
            format!("unknown: {image}: {}: {error}; Gabion could not look", error.reason())
        }
    }
}

fn explain(answer: &Answer, output: &mut dyn Write) -> io::Result<()> {
    for (policy, judgement) in &answer.judged {
        writeln!(output, "  TrustPolicy {policy}: {} found", count(judgement.trials.len()))?;
        for trial in &judgement.trials {
            let steps =
                if trial.steps.is_empty() { "nothing".to_owned() } else { trial.steps.join(", ") };
            let outcome = match &trial.outcome {
                Ok(names) => format!("signed by {}", names.join(", ")),
                Err(refusal) => refusal.to_string(),
            };
            writeln!(output, "    {}: {outcome}; held: {steps}", trial.origin)?;
        }
    }
    Ok(())
}

fn count(number: usize) -> String {
    if number == 1 { "1 signature".to_owned() } else { format!("{number} signatures") }
}

fn value(answer: &Answer, explain: bool) -> Value {
    let (verdict, reason, message) = match &answer.verdict {
        Verdict::Holds => ("holds", None, None),
        Verdict::Refused(_, refusal) => {
            ("refused", Some(refusal.reason.word()), Some(refusal.detail.clone()))
        }
        Verdict::Unknown(error) => ("unknown", Some(error.reason()), Some(error.to_string())),
    };
    let policies: Vec<_> = answer
        .judged
        .iter()
        .map(|(policy, judgement)| {
            let signed = judgement.outcome.as_deref().unwrap_or_default();
            let refusal = judgement.outcome.as_ref().err();
            let mut policy = json!({
                "name": policy, "signedBy": signed,
                "reason": refusal.map(|refusal| refusal.reason.word()),
            });
            if explain {
                policy["candidates"] = judgement.trials.iter().map(trial).collect();
            }
            policy
        })
        .collect();
    json!({
        "image": answer.image.to_string(), "digest": answer.image.digest.map(|d| d.to_string()),
        "verdict": verdict, "reason": reason, "message": message, "policies": policies,
    })
}

fn trial(trial: &Trial) -> Value {
    let refusal = trial.outcome.as_ref().err();
    json!({
        "origin": trial.origin, "held": trial.steps,
        "signedBy": trial.outcome.as_deref().unwrap_or_default(),
        "reason": refusal.map(|refusal| refusal.reason.word()),
        "message": refusal.map(|refusal| &refusal.detail),
    })
}
