//! A queue of SQS: receiving with a long poll, deleting, and hiding or showing what was received.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    config::retry::RetryConfig,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
        MessageSystemAttributeName,
    },
};
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::sync::OnceCell;

use super::{AwsSource, Platform, QueueArn, calls::Calls};
use crate::lane::Lane;
use crate::provider::ProviderError;
use crate::provider::metrics::Operation;
use crate::provider::rate_limit::Meter;

/// Messages of one call: SQS's limit.
pub(crate) const BATCH: usize = 10;
/// How long SQS waits for a message: its limit.
const WAIT_SECONDS: i32 = 20;
/// A message that is neither deleted nor renewed is there again after so many seconds.
pub(crate) const HIDDEN_SECONDS: i32 = 60;

/// One message, as it was received. Its body is nobody's business but the parser's: it has no `Debug`.
pub(crate) struct Message {
    /// SQS's id of it.
    pub(crate) id: String,
    /// What deletes it.
    pub(crate) handle: String,
    pub(crate) body: String,
    /// Milliseconds since 1970 at which it was sent.
    pub(crate) sent: Option<i64>,
    /// How often it was received.
    pub(crate) receives: u64,
}

/// One identity's way to one queue.
pub(crate) struct MessageQueue {
    client: Client,
    calls: Calls,
    arn: QueueArn,
    /// The same as text, for messages of errors.
    shown: String,
    url: OnceCell<String>,
}

impl MessageQueue {
    /// Sends nothing yet.
    pub(crate) fn connect(
        platform: &Platform,
        source: &AwsSource,
        meter: Meter,
        arn: &QueueArn,
    ) -> Self {
        let calls = Calls::new(platform, source, meter, Duration::ZERO);
        let client = platform.queues(&arn.region, &calls.credentials, &calls.meter);
        let (arn, shown) = (arn.clone(), arn.to_string());
        Self { client, calls, arn, shown, url: OnceCell::new() }
    }

    /// Its URL, asked for once. The SDK sends to the endpoint of the service, whatever host it names.
    async fn url(&self) -> Result<&str, ProviderError> {
        let ask = || async {
            let call = self.client.get_queue_url().queue_name(&self.arn.name);
            let call = call.queue_owner_aws_account_id(&self.arn.account);
            let arn = &self.shown;
            let operation = Operation::GetQueueUrl;
            let sent = Box::pin(call.send());
            let answer = self.calls.call(operation, Lane::Urgent, arn, sent).await?;
            answer.queue_url.ok_or_else(|| ProviderError::NotFound { key: arn.clone() })
        };
        self.url.get_or_try_init(ask).await.map(String::as_str)
    }

    /// Receives messages. `waits`: for a while, if there are none.
    pub(crate) async fn receive(&self, waits: bool) -> Result<Vec<Message>, ProviderError> {
        let most = i32::try_from(BATCH).unwrap_or(10);
        let call = self
            .client
            .receive_message()
            .queue_url(self.url().await?)
            .max_number_of_messages(most)
            .wait_time_seconds(if waits { WAIT_SECONDS } else { 0 })
            .visibility_timeout(HIDDEN_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let operation = Operation::ReceiveMessage;
        let sent = Box::pin(call.send());
        let answer = self.calls.call(operation, Lane::Urgent, &self.shown, sent).await?;
        let message = |message: aws_sdk_sqs::types::Message| {
            let attributes = message.attributes.unwrap_or_default();
            let number = |name| attributes.get(&name).and_then(|text| text.parse::<i64>().ok());
            let receives = number(MessageSystemAttributeName::ApproximateReceiveCount);
            Some(Message {
                id: message.message_id.unwrap_or_default(),
                handle: message.receipt_handle?,
                body: message.body.unwrap_or_default(),
                sent: number(MessageSystemAttributeName::SentTimestamp),
                receives: receives.and_then(|count| u64::try_from(count).ok()).unwrap_or(1),
            })
        };
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    /// Deletes up to [`BATCH`] messages. One whose handle is too old is another reader's by now, and none of ours.
    pub(crate) async fn delete(&self, handles: &[String]) -> Result<(), ProviderError> {
        let mut call = self.client.delete_message_batch().queue_url(self.url().await?);
        for (nth, handle) in handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(nth.to_string());
            call = call.entries(entry.receipt_handle(handle).build().map_err(|_| self.invalid())?);
        }
        let operation = Operation::DeleteMessageBatch;
        let sent = Box::pin(call.send());
        self.calls.call(operation, Lane::Urgent, &self.shown, sent).await.map(|_| ())
    }

    /// Hides up to [`BATCH`] messages for so many seconds from now; 0 shows them at once.
    pub(crate) async fn hide(&self, handles: &[String], seconds: i32) -> Result<(), ProviderError> {
        let mut call = self.client.change_message_visibility_batch().queue_url(self.url().await?);
        for (nth, handle) in handles.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(nth.to_string());
            let entry = entry.receipt_handle(handle).visibility_timeout(seconds).build();
            call = call.entries(entry.map_err(|_| self.invalid())?);
        }
        let operation = Operation::ChangeMessageVisibilityBatch;
        let sent = Box::pin(call.send());
        self.calls.call(operation, Lane::Urgent, &self.shown, sent).await.map(|_| ())
    }

    fn invalid(&self) -> ProviderError {
        let reason = "the request could not be formed".to_owned();
        ProviderError::Invalid { key: self.shown.clone(), reason }
    }
}

/// A long poll is no silence.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(25))
        .operation_timeout(Duration::from_secs(30))
        .build()
}

/// None: whoever reads a queue tries again by itself.
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(1)
}
