//! Reading up to twenty secrets in one call.

use std::time::Duration;

use aws_sdk_secretsmanager::types::SecretValueEntry;
use futures::future::join_all;

use super::SecretsManager;
use crate::lane::Lane;
use crate::provider::aws::errors::refused;
use crate::provider::{Fetched, ProviderError, ReadRequest, metrics::Operation};

/// Single reads under way at once for one batch.
const SINGLES_AT_ONCE: usize = 4;

type Answers = Vec<Option<Result<Fetched, ProviderError>>>;

impl SecretsManager {
    /// One answer per request. What the batch does not answer is read on its own, so nothing is left out in
    /// silence and a refused or malformed item harms no other.
    pub(super) async fn values(
        &self,
        requests: &[&ReadRequest],
        lane: Lane,
    ) -> Vec<Result<Fetched, ProviderError>> {
        let mut answers: Answers = requests.iter().map(|_| None).collect();
        let mut calls = 0;
        // The note counts from the moment of the refusal; a request may have been queued before it.
        if self.may_batch(requests, lane) {
            calls += self.pages(requests, lane, &mut answers).await;
            calls += self.doubt_total_denial(requests, lane, &mut answers).await;
        }
        calls += self.singles(requests, lane, &mut answers).await;
        self.calls.meter.metrics.count_packed(requests.len(), calls);
        answers.into_iter().flatten().collect()
    }

    /// Batches have a small quota of their own. When it is used up, single reads are quicker.
    fn may_batch(&self, requests: &[&ReadRequest], lane: Lane) -> bool {
        use crate::provider::Provider as _;
        let patience = match lane {
            Lane::Urgent | Lane::Event => Duration::from_millis(200),
            Lane::Periodic => Duration::from_secs(2),
        };
        let waits = |operation| self.calls.meter.bucket(operation).wait(lane) > patience;
        let quicker_alone =
            waits(Operation::BatchGetSecretValue) && !waits(Operation::GetSecretValue);
        !quicker_alone && requests.iter().all(|request| self.batch(request) > 1)
    }

    /// Follows the pages of one batch; the number of calls.
    async fn pages(&self, requests: &[&ReadRequest], lane: Lane, answers: &mut Answers) -> usize {
        let ids: Vec<String> = requests.iter().map(|request| self.calls.id(request)).collect();
        let mut token = None;
        // A page answers at least one secret, so there are no more pages than secrets.
        for page in 1..=ids.len() {
            let sdk_request = self
                .client
                .batch_get_secret_value()
                .set_secret_id_list(Some(ids.clone()))
                .set_next_token(token.take());
            let operation = Operation::BatchGetSecretValue;
            let batch =
                match self.calls.call(operation, lane, "*", Box::pin(sdk_request.send())).await {
                    Ok(batch) => batch,
                    Err(error) => {
                        self.batch_failed(error, answers);
                        return page;
                    }
                };
            for item in batch.errors.unwrap_or_default() {
                let code = item.error_code.unwrap_or_default();
                let message = item.message.unwrap_or_default();
                for index in matching(&ids, |id| item.secret_id.as_deref() == Some(id)) {
                    let subject = self.calls.subject(Operation::GetSecretValue, &ids[index]);
                    let error = refused(&code, &message, 400, subject);
                    // A version that is missing is described by the single read.
                    if !matches!(error, ProviderError::NoSuchVersion { .. }) {
                        answers[index] = Some(Err(error));
                    }
                }
            }
            for entry in batch.secret_values.unwrap_or_default() {
                place(entry, &ids, answers);
            }
            token = batch.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return page;
            }
        }
        ids.len()
    }

    /// A refusal of the operation, or of one name in it, says nothing about the secrets: read them one by
    /// one. Any other failure would meet the single reads as well.
    fn batch_failed(&self, error: ProviderError, answers: &mut Answers) {
        match error {
            ProviderError::Denied { identity, action, .. }
                if action == Operation::BatchGetSecretValue.action() =>
            {
                self.calls.remember_refusal(identity, action);
            }
            ProviderError::Denied { action, .. } if !action.starts_with("sts:") => {}
            ProviderError::Invalid { .. }
            | ProviderError::NotFound { .. }
            | ProviderError::NoSuchVersion { .. } => {}
            other => {
                for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
                    *answer = Some(Err(other.clone()));
                }
            }
        }
    }

    /// When each item is denied, it may be the batch that is: one single read shows it. The number of calls.
    async fn doubt_total_denial(
        &self,
        requests: &[&ReadRequest],
        lane: Lane,
        answers: &mut Answers,
    ) -> usize {
        let denied = |answer: &Option<Result<Fetched, ProviderError>>| match answer {
            Some(Err(ProviderError::Denied { action, .. })) => !action.starts_with("sts:"),
            _ => false,
        };
        if answers.len() < 2 || !answers.iter().all(denied) {
            return 0;
        }
        let probe = self.value(requests[0], lane).await;
        if probe.is_ok() {
            if let Some(Err(ProviderError::Denied { identity, .. })) = &answers[0] {
                self.calls
                    .remember_refusal(identity.clone(), Operation::BatchGetSecretValue.action());
            }
            answers.fill_with(|| None);
        }
        answers[0] = Some(probe);
        1
    }

    /// Reads on its own what has no answer yet; the number of calls.
    async fn singles(&self, requests: &[&ReadRequest], lane: Lane, answers: &mut Answers) -> usize {
        let open: Vec<usize> =
            (0..requests.len()).filter(|index| answers[*index].is_none()).collect();
        for few in open.chunks(SINGLES_AT_ONCE) {
            let reads = few.iter().map(|index| Box::pin(self.value(requests[*index], lane)));
            for (index, answer) in few.iter().zip(join_all(reads).await) {
                answers[*index] = Some(answer);
            }
        }
        open.len()
    }
}

/// Gives an entry to every request that means it.
fn place(entry: SecretValueEntry, ids: &[String], answers: &mut Answers) {
    let SecretValueEntry { arn, name, secret_string, secret_binary, version_id, .. } = entry;
    let (arn, name) = (arn.unwrap_or_default(), name.unwrap_or_default());
    let fetched = Fetched {
        text: secret_string.map(Into::into),
        binary: secret_binary.map(|blob| blob.into_inner().into()),
        version: version_id,
        ..Fetched::default()
    };
    let mut wanted = matching(ids, |id| means(id, &arn, &name)).peekable();
    while let Some(index) = wanted.next() {
        if wanted.peek().is_none() {
            answers[index] = Some(Ok(fetched));
            return;
        }
        answers[index] = Some(Ok(fetched.clone()));
    }
}

fn matching(ids: &[String], is: impl Fn(&str) -> bool) -> impl Iterator<Item = usize> {
    ids.iter().enumerate().filter(move |(_, id)| is(id)).map(|(index, _)| index)
}

/// Whether an id as asked means this secret: its name, its ARN, or its ARN without the six random
/// characters.
fn means(id: &str, arn: &str, name: &str) -> bool {
    if id == name || id == arn {
        return true;
    }
    let random = arn.strip_prefix(id).and_then(|rest| rest.strip_prefix('-'));
    id.starts_with("arn:")
        && random.is_some_and(|rest| {
            rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_means_a_secret_by_name_arn_or_partial_arn_only() {
        let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-AbCdEf";
        let name = "prod/db";
        for id in [name, arn, "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db"] {
            assert!(means(id, arn, name), "{id}");
        }
        for id in
            ["prod", "db", "", "arn:aws:secretsmanager:eu-west-1:1:secret:prod", "prod/db-AbCdEf"]
        {
            assert!(!means(id, arn, name), "{id}");
        }
    }

    #[test]
    fn an_entry_reaches_all_that_asked_for_it_under_different_names() {
        let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:a-AbCdEf";
        let ids = ["a".to_owned(), "b".to_owned(), arn.to_owned()];
        let mut answers: Answers = vec![None, None, None];
        let entry = SecretValueEntry::builder().arn(arn).name("a").secret_string("v").build();
        place(entry, &ids, &mut answers);
        assert!(answers[1].is_none());
        for index in [0, 2] {
            let fetched = answers[index].as_ref().expect("answered").as_ref().expect("found");
            assert_eq!(fetched.text.as_ref().expect("text").expose(), b"v");
        }
    }
}
