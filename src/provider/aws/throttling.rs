//! Notices throttling answers, also those that the SDK's own retry makes good.

use std::sync::Arc;

use aws_sdk_secretsmanager::{
    config::{ConfigBag, Intercept, RuntimeComponents},
    error::BoxError,
};
use aws_smithy_runtime_api::client::{
    interceptors::context::FinalizerInterceptorContextRef, orchestrator::Metadata,
};

use crate::provider::metrics::Operation;
use crate::provider::rate_limit::Meter;

/// What the codes of throttling answers have in common.
const MARKS: [&[u8]; 4] = [b"Throttl", b"TooManyRequests", b"RequestLimitExceeded", b"SlowDown"];

/// Slows the bucket of the operation down.
#[derive(Debug)]
pub(super) struct Throttling(pub(super) Arc<Meter>);

impl Intercept for Throttling {
    fn name(&self) -> &'static str {
        "Throttling"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(response) = context.response() else { return Ok(()) };
        let throttled = match response.status().as_u16() {
            429 => true,
            400.. => response.body().bytes().is_some_and(is_throttling),
            _ => false,
        };
        let operation = config.load::<Metadata>().and_then(|call| Operation::named(call.name()));
        if let (true, Some(operation)) = (throttled, operation) {
            self.0.slow_down(operation);
        }
        Ok(())
    }
}

fn is_throttling(body: &[u8]) -> bool {
    MARKS.iter().any(|mark| body.windows(mark.len()).any(|window| window == *mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_told_from_other_refusals() {
        assert!(is_throttling(br#"{"__type":"ThrottlingException","Message":"Rate exceeded"}"#));
        assert!(is_throttling(b"<Code>Throttling</Code>"));
        assert!(!is_throttling(br#"{"__type":"AccessDeniedException"}"#));
        assert!(!is_throttling(b""));
    }
}
