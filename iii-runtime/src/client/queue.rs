//! Queues: statistics, and the inspection and redrive of dead letters ([protocol 6.5](crate::protocol#s6-5)).

use std::future::IntoFuture;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client, NoInput};
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

/// A durable topic or a named queue, and its dead letters: messages that exceeded their retries. Created by
/// [`Client::queue`].
///
/// The protocol has no trigger for dead letters. Poll for them in a function with a `cron` trigger.
///
/// ```no_run
/// use iii::prelude::*;
///
/// #[iii::function(id = "orders::clean-up")]
/// #[iii::trigger(cron, "0 0 * * * *")]
/// async fn clean_up(client: Client) -> iii::Result<()> {
///     let queue = client.queue("orders.wanted");
///     for letter in queue.dead_letters().await? {
///         tracing::warn!("{} failed {} times: {}", letter.id, letter.attempts, letter.error);
///         queue.discard(&letter.id).await?;
///     }
///     Ok(())
/// }
/// # use iii::tracing;
/// ```
#[derive(Debug, Clone)]
pub struct QueueClient {
    client: Client,
    name: String,
}

/// Statistics of a queue. The values depend on the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct QueueStats {
    /// The number of queued messages, including those that await a retry.
    pub depth: u64,
    /// The number of subscribed functions; for a named queue, the number of messages that it processes concurrently.
    #[serde(default)]
    pub consumer_count: u64,
    /// The number of dead letters.
    #[serde(default, rename = "dlq_depth")]
    pub dead_letters: u64,
}

/// A queue or a topic in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct QueueSummary {
    /// The name of the queue or topic.
    pub name: String,
    /// The broker of the queue: `builtin` for the engine itself.
    #[serde(default)]
    pub broker_type: String,
    /// The number of subscribed functions; for a named queue, the number of messages that it processes concurrently.
    #[serde(default)]
    pub subscriber_count: u64,
}

/// The number of dead letters of a queue or a topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DeadLetterCount {
    /// The name of the queue or topic.
    #[serde(rename = "topic")]
    pub name: String,
    /// The number of dead letters.
    #[serde(rename = "message_count")]
    pub dead_letters: u64,
}

/// A message that exceeded its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id of the message.
    pub id: String,
    /// The payload, raw, since it may be invalid for its type.
    pub payload: Payload,
    /// The error of the last attempt. The engine of this project writes `code: message`.
    pub error: String,
    /// When the last attempt failed, with a resolution of one second.
    pub failed_at: SystemTime,
    /// The number of attempts.
    pub attempts: u32,
}

/// A dead letter in the wire format.
#[derive(Deserialize)]
struct WireDeadLetter {
    id: String,
    #[serde(default)]
    payload: Payload,
    #[serde(default)]
    error: String,
    #[serde(default)]
    failed_at: u64,
    #[serde(default)]
    retries: u32,
}

impl DeadLetter {
    /// Deserialises the payload.
    ///
    /// # Errors
    ///
    /// `invalid_payload` if it does not match the type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        self.payload.parse().map_err(|error| {
            let text = format!("the dead letter `{}` does not match the type: {error}", self.id);
            Error::new(code::INVALID_PAYLOAD, text)
        })
    }
}

impl From<WireDeadLetter> for DeadLetter {
    fn from(letter: WireDeadLetter) -> Self {
        // A time beyond the range of `SystemTime` becomes the Unix epoch.
        let since = Duration::from_secs(letter.failed_at);
        let failed_at = SystemTime::UNIX_EPOCH.checked_add(since);
        Self {
            id: letter.id,
            payload: letter.payload,
            error: letter.error,
            failed_at: failed_at.unwrap_or(SystemTime::UNIX_EPOCH),
            attempts: letter.retries,
        }
    }
}

/// Reads dead letters when it is awaited. Created by [`QueueClient::dead_letters`].
#[must_use = "dead letters are read when it is awaited"]
#[derive(Debug)]
pub struct DeadLettersRequest {
    queue: QueueClient,
    offset: u64,
    limit: u64,
}

impl DeadLettersRequest {
    /// Skips the oldest dead letters. Default: 0.
    pub fn offset(mut self, letters: u64) -> Self {
        self.offset = letters;
        self
    }

    /// Sets the maximum number of dead letters. Default: 50. The engine of this project returns at most 1,000.
    pub fn limit(mut self, letters: u64) -> Self {
        self.limit = letters;
        self
    }
}

impl IntoFuture for DeadLettersRequest {
    type Output = Result<Vec<DeadLetter>>;
    type IntoFuture = BoxFuture<'static, Result<Vec<DeadLetter>>>;

    fn into_future(self) -> Self::IntoFuture {
        #[derive(Serialize)]
        struct PageInput {
            topic: String,
            offset: u64,
            limit: u64,
        }
        let Self { queue, offset, limit } = self;
        let page = PageInput { topic: queue.name, offset, limit };
        let call = queue.client.builtin_with("engine::queue::dlq_messages", &page, |result| {
            let letters: Option<Vec<WireDeadLetter>> = result.parse()?;
            Ok(letters.into_iter().flatten().map(DeadLetter::from).collect())
        });
        call.into_future()
    }
}

/// The input of the functions of one queue.
#[derive(Serialize)]
struct QueueInput<'a> {
    queue: &'a str,
}

/// The input of the functions of one dead letter.
#[derive(Serialize)]
struct DeadLetterInput<'a> {
    queue: &'a str,
    message_id: &'a str,
}

/// The result of the functions that redrive or discard.
#[derive(Deserialize)]
struct RedriveResult {
    #[serde(default)]
    redriven: u64,
}

impl QueueClient {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The name of the queue or topic.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the statistics of the queue.
    pub fn stats(&self) -> Call<QueueStats> {
        #[derive(Serialize)]
        struct TopicInput<'a> {
            topic: &'a str,
        }
        self.client.builtin("engine::queue::topic_stats", &TopicInput { topic: &self.name })
    }

    /// Reads the dead letters of the queue, the oldest first.
    pub fn dead_letters(&self) -> DeadLettersRequest {
        DeadLettersRequest { queue: self.clone(), offset: 0, limit: 50 }
    }

    /// Moves all dead letters back to the queue, with the full number of attempts. Returns their number.
    pub fn redrive(&self) -> Call<u64> {
        let input = QueueInput { queue: &self.name };
        self.client.builtin_with("iii::queue::redrive", &input, redriven_count)
    }

    /// Moves one dead letter back to the queue. Returns whether there was one with this id.
    pub fn redrive_one(&self, id: &str) -> Call<bool> {
        self.dead_letter_operation("iii::queue::redrive_message", id)
    }

    /// Deletes one dead letter. Returns whether there was one with this id.
    pub fn discard(&self, id: &str) -> Call<bool> {
        self.dead_letter_operation("iii::queue::discard_message", id)
    }

    fn dead_letter_operation(&self, function: &'static str, id: &str) -> Call<bool> {
        let input = DeadLetterInput { queue: &self.name, message_id: id };
        self.client
            .builtin_with(function, &input, |result| redriven_count(result).map(|count| count > 0))
    }
}

fn redriven_count(result: &Payload) -> Result<u64, serde_json::Error> {
    result.parse::<RedriveResult>().map(|result| result.redriven)
}

impl Client {
    /// A durable topic or a named queue, by its name. A name that both have refers to the queue.
    pub fn queue(&self, name: impl Into<String>) -> QueueClient {
        QueueClient::new(self.clone(), name.into())
    }

    /// Lists the named queues, and the durable topics with subscribers.
    pub fn queues(&self) -> Call<Vec<QueueSummary>> {
        self.builtin("engine::queue::list_topics", &NoInput {})
    }

    /// Lists the number of dead letters by queue and topic.
    pub fn dead_letters(&self) -> Call<Vec<DeadLetterCount>> {
        self.builtin("engine::queue::dlq_topics", &NoInput {})
    }
}
