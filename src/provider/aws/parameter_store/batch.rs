//! Reading up to ten parameters in one call.

use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use futures::future::join_all;

use super::{ParameterStore, check_name};
use crate::lane::Lane;
use crate::provider::{Fetched, ProviderError, ReadRequest, metrics::Operation};

/// Single reads under way at once for one batch.
const SINGLES_AT_ONCE: usize = 4;

type Answers = Vec<Option<Result<Fetched, ProviderError>>>;

impl ParameterStore {
    /// One answer per request. What the batch does not answer is read on its own: AWS refuses all of them for one
    /// that is not allowed or malformed, and does not say why a name is not valid. Only a single read proves that a
    /// parameter does not exist.
    pub(super) async fn values(
        &self,
        requests: &[&ReadRequest],
        lane: Lane,
    ) -> Vec<Result<Fetched, ProviderError>> {
        let names: Vec<String> = requests.iter().map(|request| self.calls.id(request)).collect();
        let refused = |name: &String| check_name(name).err().map(Err);
        let mut answers: Answers = names.iter().map(refused).collect();
        let (mut calls, mut refusal) = (0, None);
        // The note counts from the moment of the refusal; a request may have been queued before it.
        if !self.calls.is_batch_refused() {
            calls += 1;
            refusal = self.together(&names, lane, &mut answers).await;
        }
        let open: Vec<usize> =
            (0..requests.len()).filter(|index| answers[*index].is_none()).collect();
        calls += open.len();
        for few in open.chunks(SINGLES_AT_ONCE) {
            let reads = few.iter().map(|index| Box::pin(self.value(requests[*index], lane)));
            for (index, answer) in few.iter().zip(join_all(reads).await) {
                answers[*index] = Some(answer);
            }
        }
        let denied = |answer: &Option<_>| matches!(answer, Some(Err(ProviderError::Denied { .. })));
        // One name that is not allowed has AWS refuse all of them. Where each may be read alone, it is the batch.
        if let Some((identity, action)) = refusal
            && !answers.iter().any(denied)
        {
            self.calls.remember_refusal(identity, action);
        }
        self.calls.meter.metrics.count_packed(requests.len(), calls);
        answers.into_iter().flatten().collect()
    }

    /// Fills in what one call answers; who may not make it, if that is so.
    async fn together(
        &self,
        names: &[String],
        lane: Lane,
        answers: &mut Answers,
    ) -> Option<(String, &'static str)> {
        let asked = names.iter().zip(&*answers).filter(|(_, answer)| answer.is_none());
        let asked: Vec<String> = asked.map(|(name, _)| name.clone()).collect();
        if asked.is_empty() {
            return None;
        }
        let request = self.client.get_parameters().set_names(Some(asked)).with_decryption(true);
        let operation = Operation::GetParameters;
        match self.calls.call(operation, lane, "*", Box::pin(request.send())).await {
            Ok(batch) => place(batch, names, answers),
            Err(ProviderError::Denied { identity, action, .. }) if action == operation.action() => {
                return Some((identity, action));
            }
            // A refusal of one name says nothing about the others: read them one by one.
            Err(ProviderError::Denied { action, .. }) if !action.starts_with("sts:") => {}
            Err(
                ProviderError::Invalid { .. }
                | ProviderError::NotFound { .. }
                | ProviderError::NoSuchVersion { .. },
            ) => {}
            // Any other failure would meet the single reads as well.
            Err(other) => {
                for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
                    *answer = Some(Err(other.clone()));
                }
            }
        }
        None
    }
}

/// Gives a batch's values to those who asked for them.
fn place(batch: GetParametersOutput, names: &[String], answers: &mut Answers) {
    for parameter in batch.parameters.unwrap_or_default() {
        let fetched = Fetched { text: parameter.value.map(Into::into), ..Fetched::default() };
        for (asked, answer) in names.iter().zip(answers.iter_mut()) {
            let is_meant = [&parameter.name, &parameter.arn]
                .into_iter()
                .any(|name| name.as_ref() == Some(asked));
            if is_meant && answer.is_none() {
                *answer = Some(Ok(fetched.clone()));
            }
        }
    }
}
