//! The dispatcher of a delivery queue: a task that delivers messages, settles deliveries and schedules redeliveries.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::backlog::QueuedMessage;
use super::delivery_queue::{Delivery, DeliveryQueue, DispatchStep, Settlement};
use super::manager::QueueManager;
use super::record::{self, MessageRecord};
use crate::broker::Request;
use crate::provider::Outcome;
use crate::store::StoreError;
use iii_wire::code;
use iii_wire::protocol::ErrorBody;

/// How long after the engine's start a recovered message waits for its function to be registered.
const RESTART_GRACE: Duration = Duration::from_secs(30);
/// The shortest delay before such a function is looked up again, or a failed write is retried.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(100);
/// A failed write is retried with doubling delays up to this one, and then abandoned.
const MAX_WRITE_RETRY_DELAY: Duration = Duration::from_secs(20);

/// Dispatches the messages of a queue until it has no consumers.
///
/// Does not poll: the task sleeps until a message arrives, a delivery ends or a delay expires.
pub(super) async fn dispatch(manager: Arc<QueueManager>, queue: Arc<DeliveryQueue>) {
    let mut deliveries = FuturesUnordered::new();
    loop {
        let wake_at = loop {
            if manager.is_ending() {
                break None;
            }
            match queue.next_step(Instant::now(), deliveries.is_empty()) {
                DispatchStep::Deliver(delivery) => {
                    deliveries.push(deliver(&manager, &queue, delivery));
                }
                DispatchStep::WaitUntil(time) => break Some(time),
                DispatchStep::Wait => break None,
                DispatchStep::Stop => return,
            }
        };
        tokio::select! {
            // Ended deliveries come first, so that the same messages always run in the same order.
            biased;
            Some(()) = deliveries.next() => {}
            () = queue.wake.notified() => {}
            Some(()) = OptionFuture::from(wake_at.map(sleep_until)) => {}
        }
    }
}

/// Starts a delivery. Without a condition, the invocation is sent before this returns, so that deliveries start in order.
fn deliver(
    manager: &Arc<QueueManager>,
    queue: &Arc<DeliveryQueue>,
    delivery: Delivery,
) -> impl Future<Output = ()> + Send + use<> {
    let (manager, queue) = (manager.clone(), queue.clone());
    let request = delivery_request(&manager, &queue, &delivery);
    let has_condition = delivery
        .consumer
        .subscription
        .as_ref()
        .is_some_and(|subscription| subscription.trigger.condition.is_configured());
    let started = match &request {
        Ok(request) if !has_condition => Some(manager.broker.invoke(request.clone())),
        _ => None,
    };
    async move {
        let attempt = async {
            let request = request?;
            let duplicate = manager.delivers_twice().then(|| request.clone());
            let invocation = match (started, &delivery.consumer.subscription) {
                (Some(invocation), _) => invocation,
                (None, Some(subscription)) => {
                    if !subscription.trigger.allows(&manager.broker, &request.data).await? {
                        return Ok(None);
                    }
                    manager.broker.invoke(request)
                }
                (None, None) => manager.broker.invoke(request),
            };
            let outcome = invocation.await;
            match duplicate {
                Some(request) if outcome.is_ok() => manager.broker.invoke(request).await,
                _ => outcome,
            }
        };
        let outcome = match delivery.consumer.policy.attempt_timeout {
            None => attempt.await,
            Some(limit) => tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
                let text = format!(
                    "the function did not finish within the visibility timeout of {} s",
                    limit.as_secs()
                );
                Err(ErrorBody::new(code::TIMEOUT, text))
            }),
        };
        settle(&manager, &queue, delivery, outcome).await;
    }
}

/// Builds the invocation of a delivery from the record of its message.
fn delivery_request(
    manager: &QueueManager,
    queue: &DeliveryQueue,
    delivery: &Delivery,
) -> Result<Request, ErrorBody> {
    let unreadable = |error: StoreError| error.to_body(code::QUEUE_WRITE_FAILED);
    let json = manager.table.get(&queue.scope, &delivery.message.id.to_string());
    let json =
        json.ok_or_else(|| unreadable(StoreError("the message record is missing".to_owned())))?;
    let record = MessageRecord::parse(&json).map_err(unreadable)?;
    let data = json.part(record.data);
    let traceparent = record.traceparent.map(Cow::into_owned);
    let baggage = record.baggage.map(Cow::into_owned);
    Ok(match &delivery.consumer.subscription {
        Some(subscription) => Request {
            metadata: subscription.metadata(delivery.message.attempts + 1),
            traceparent,
            baggage,
            ..Request::fired(&subscription.trigger.binding, data)
        },
        None => Request {
            namespace: record.namespace.unwrap_or_default(),
            function_id: record.function_id.unwrap_or_else(|| "".into()),
            data,
            metadata: record.metadata.map(|metadata| json.part(metadata)),
            traceparent,
            baggage,
        },
    })
}

/// Updates the record of a delivered message, and then the queue.
async fn settle(
    manager: &QueueManager,
    queue: &DeliveryQueue,
    delivery: Delivery,
    outcome: Outcome,
) {
    let settlement = match outcome {
        Ok(_) => {
            let key = delivery.message.id.to_string();
            write(manager, || record::remove(&manager.table, &queue.scope, &key)).await;
            Settlement::Acknowledged
        }
        // The shutdown of the engine cancelled the invocation. The record stays as it is, and the message is redelivered
        // after the next start.
        Err(_) if manager.is_ending() => return,
        Err(error) => settle_failure(manager, queue, &delivery, &error).await,
    };
    let is_dead_letter = matches!(settlement, Settlement::DeadLetter(_));
    queue.settle(delivery, settlement);
    if is_dead_letter {
        evict_dead_letters(manager, queue).await;
    }
}

/// Discards the oldest dead letters beyond the limit.
async fn evict_dead_letters(manager: &QueueManager, queue: &DeliveryQueue) {
    let max_dead_letters = manager.limits.dead_letters;
    while queue.depth().dead_letters > max_dead_letters
        && let Some(oldest) = queue.take_oldest_dead_letter()
    {
        tracing::warn!(
            message = %oldest.id,
            "the oldest dead letter was discarded: the limit is {max_dead_letters}"
        );
        let key = oldest.id.to_string();
        write(manager, || record::remove(&manager.table, &queue.scope, &key)).await;
        queue.discard(&oldest);
    }
}

/// Decides whether a message whose delivery failed is redelivered or becomes a dead letter, and updates its record.
async fn settle_failure(
    manager: &QueueManager,
    queue: &DeliveryQueue,
    delivery: &Delivery,
    error: &ErrorBody,
) -> Settlement {
    let (message, policy) = (&delivery.message, &delivery.consumer.policy);
    let uptime = manager.started.elapsed();
    let awaits_worker = message.restored && uptime < RESTART_GRACE;
    if awaits_worker && error.code == code::FUNCTION_NOT_FOUND {
        // The worker has not reconnected yet, so the attempt does not count. The delay grows, so that a long backlog
        // costs little.
        let retry_at = Instant::now() + (uptime / 4).max(MIN_RETRY_DELAY);
        return Settlement::Redeliver(QueuedMessage {
            not_before: Some(retry_at),
            ..message.clone()
        });
    }
    let attempts = message.attempts.saturating_add(1);
    let is_last = attempts >= policy.max_attempts || error.retryable == Some(false);
    let delay = policy.retry_delay(error, attempts);
    let now_ms = manager.broker.clock().unix_millis();
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    // The delay starts at the failure, however long the write takes.
    let retry_at = Instant::now() + delay;
    let update = || {
        record::update(&manager.table, &queue.scope, message.id, |record| {
            record.attempts = attempts;
            record.set_error(error);
            (record.not_before, record.dead_since) = match is_last {
                true => (None, Some(now_ms)),
                false => (Some(now_ms.saturating_add(delay_ms)), None),
            };
        })
    };
    write(manager, update).await;
    let message = QueuedMessage { attempts, not_before: None, ..message.clone() };
    if is_last {
        tracing::warn!(message = %message.id, attempts, "a message became a dead letter: {error}");
        return Settlement::DeadLetter(message);
    }
    let not_before = (!delay.is_zero()).then_some(retry_at);
    Settlement::Redeliver(QueuedMessage { not_before, ..message })
}

/// Writes to the store, and retries while it is full or its backlog is. If the write fails for good, the queue continues: at
/// worst the message is redelivered after a restart.
async fn write<T>(manager: &QueueManager, mut change: impl FnMut() -> Result<T, StoreError>) {
    let mut delay = MIN_RETRY_DELAY;
    loop {
        match change() {
            Ok(_) => return,
            Err(_) if delay <= MAX_WRITE_RETRY_DELAY && !manager.is_ending() => {
                tokio::time::sleep(delay).await;
                delay *= 2;
            }
            Err(error) => {
                tracing::error!("the record of a message cannot be written: {error}");
                return;
            }
        }
    }
}
