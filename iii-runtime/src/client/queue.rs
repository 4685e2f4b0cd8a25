//! Queues: what they hold, and what becomes of the messages that were given up (protocol section 6.5).

use std::future::IntoFuture;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client};
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

/// A durable topic or a named queue, and its dead letters: messages that were given up. Made by [`Client::queue`].
///
/// The protocol has no trigger for dead letters. A function that a `cron` trigger fires can look for them.
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

/// What a queue holds, as far as its engine says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct QueueStats {
    /// Messages that wait, those included that will be tried again.
    pub depth: u64,
    /// The functions that are subscribed; of a named queue, how many messages it works on at the same time.
    #[serde(default)]
    pub consumer_count: u64,
    /// Messages that were given up.
    #[serde(default, rename = "dlq_depth")]
    pub dead_letters: u64,
}

/// A queue or a topic, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct QueueSummary {
    /// Its name.
    pub name: String,
    /// Who keeps it: `builtin` for the engine itself.
    #[serde(default)]
    pub broker_type: String,
    /// The functions that are subscribed; of a named queue, how many messages it works on at the same time.
    #[serde(default)]
    pub subscriber_count: u64,
}

/// How many messages of a queue or a topic were given up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DeadLetterCount {
    /// The queue or topic.
    #[serde(rename = "topic")]
    pub name: String,
    /// How many.
    #[serde(rename = "message_count")]
    pub dead_letters: u64,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id.
    pub id: String,
    /// The message as it was sent. It may be what does not fit any type: that is why messages die.
    pub payload: Payload,
    /// What the last attempt failed with, for people. The engine of this project writes `code: message`.
    pub error: String,
    /// When it was given up, to the second.
    pub failed_at: SystemTime,
    /// How often it was tried.
    pub attempts: u32,
}

/// A dead letter as it travels.
#[derive(Deserialize)]
struct Letter {
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
    /// The message as a type.
    ///
    /// # Errors
    ///
    /// `invalid_payload` if it does not fit.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        self.payload.parse().map_err(|error| {
            let text = format!("the dead letter `{}` does not fit: {error}", self.id);
            Error::new(code::INVALID_PAYLOAD, text)
        })
    }
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> Self {
        // A time that no clock can show is no reason to lose the letter.
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

/// A question for dead letters, asked when it is awaited. Made by [`QueueClient::dead_letters`].
#[must_use = "dead letters are asked for when it is awaited"]
#[derive(Debug)]
pub struct DeadLettersRequest {
    queue: QueueClient,
    offset: u64,
    limit: u64,
}

impl DeadLettersRequest {
    /// How many of the oldest are left out. Default: none.
    pub fn offset(mut self, letters: u64) -> Self {
        self.offset = letters;
        self
    }

    /// How many are given at most. Default: 50. The engine of this project gives 1,000 at most.
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
        struct Page {
            topic: String,
            offset: u64,
            limit: u64,
        }
        let Self { queue, offset, limit } = self;
        let page = Page { topic: queue.name, offset, limit };
        let call = queue.client.reading("engine::queue::dlq_messages", &page, |answer| {
            let letters: Option<Vec<Letter>> = answer.parse()?;
            Ok(letters.into_iter().flatten().map(DeadLetter::from).collect())
        });
        call.into_future()
    }
}

/// The input of the functions for one queue.
#[derive(Serialize)]
struct OfQueue<'a> {
    queue: &'a str,
}

/// The input of the functions for one message.
#[derive(Serialize)]
struct OfMessage<'a> {
    queue: &'a str,
    message_id: &'a str,
}

/// What the functions that change something answer.
#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    redriven: u64,
}

impl QueueClient {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it holds.
    pub fn stats(&self) -> Call<QueueStats> {
        #[derive(Serialize)]
        struct OfTopic<'a> {
            topic: &'a str,
        }
        self.client.builtin("engine::queue::topic_stats", &OfTopic { topic: &self.name })
    }

    /// Its dead letters, the oldest first.
    pub fn dead_letters(&self) -> DeadLettersRequest {
        DeadLettersRequest { queue: self.clone(), offset: 0, limit: 50 }
    }

    /// Puts all dead letters back, to be tried as often as new ones; how many there were.
    pub fn redrive(&self) -> Call<u64> {
        self.client.reading("iii::queue::redrive", &OfQueue { queue: &self.name }, redriven)
    }

    /// Puts one dead letter back; whether there was one with this id.
    pub fn redrive_one(&self, id: &str) -> Call<bool> {
        self.one("iii::queue::redrive_message", id)
    }

    /// Forgets one dead letter; whether there was one with this id.
    pub fn discard(&self, id: &str) -> Call<bool> {
        self.one("iii::queue::discard_message", id)
    }

    fn one(&self, function: &'static str, id: &str) -> Call<bool> {
        let input = OfMessage { queue: &self.name, message_id: id };
        self.client.reading(function, &input, |answer| redriven(answer).map(|count| count > 0))
    }
}

fn redriven(answer: &Payload) -> Result<u64, serde_json::Error> {
    answer.parse::<Done>().map(|done| done.redriven)
}

impl Client {
    /// A durable topic or a named queue, by its name: what it holds, and the messages that were given up. A name that both
    /// have is that of the queue.
    pub fn queue(&self, name: impl Into<String>) -> QueueClient {
        QueueClient::new(self.clone(), name.into())
    }

    /// Lists the named queues, and the durable topics that somebody is subscribed to.
    pub fn queues(&self) -> Call<Vec<QueueSummary>> {
        self.builtin("engine::queue::list_topics", &Nothing {})
    }

    /// Lists how many messages were given up, by queue and topic.
    pub fn dead_letters(&self) -> Call<Vec<DeadLetterCount>> {
        self.builtin("engine::queue::dlq_topics", &Nothing {})
    }
}

#[derive(Serialize)]
struct Nothing {}
