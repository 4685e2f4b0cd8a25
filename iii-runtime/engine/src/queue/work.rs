//! The task of a lane: it begins jobs, waits for their ends and for the next turn, and settles what became of them.

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::RESTART_GRACE;
use super::keeper::Keeper;
use super::lane::{End, Job, Lane, Step};
use super::line::Message;
use super::record::{self, Record};
use crate::broker::Request;
use crate::provider::Outcome;
use crate::store::StoreError;
use iii_wire::code;
use iii_wire::protocol::ErrorBody;

/// Works on a lane until nobody wants its messages any more.
pub(super) async fn work(keeper: Arc<Keeper>, lane: Arc<Lane>) {
    let mut jobs = FuturesUnordered::new();
    loop {
        let later = loop {
            if keeper.is_ending() {
                break None;
            }
            match lane.step(Instant::now(), jobs.is_empty()) {
                Step::Begin(job) => jobs.push(begin(&keeper, &lane, job)),
                Step::WaitUntil(at) => break Some(at),
                Step::Wait => break None,
                Step::End => return,
            }
        };
        let turn = async {
            match later {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What has ended goes first, so that the same messages always run in the same order.
            biased;
            Some(()) = jobs.next() => {}
            () = lane.wake.notified() => {}
            () = turn => {}
        }
    }
}

/// Begins a job. Without a condition the call is on its way when this returns, so that jobs begin in their order.
fn begin(
    keeper: &Arc<Keeper>,
    lane: &Arc<Lane>,
    job: Job,
) -> impl Future<Output = ()> + Send + use<> {
    let (keeper, lane) = (keeper.clone(), lane.clone());
    let request = request(&keeper, &lane, &job);
    let asks = job.consumer.subscription.as_ref().filter(|one| {
        one.condition.condition_function_id.as_ref().is_some_and(|id| !id.is_empty())
    });
    let begun = match (&request, asks) {
        (Ok(request), None) => Some(keeper.broker.invoke(request.clone())),
        _ => None,
    };
    async move {
        let attempt = async {
            let request = request?;
            let again = keeper.delivers_twice().then(|| request.clone());
            let answer = match (begun, &job.consumer.subscription) {
                (Some(answer), _) => answer,
                (None, Some(one)) => {
                    let data = &request.data;
                    if !one.condition.allows(&keeper.broker, &one.binding, data).await? {
                        return Ok(None);
                    }
                    keeper.broker.invoke(request)
                }
                (None, None) => keeper.broker.invoke(request),
            };
            let outcome = answer.await;
            match again {
                Some(request) if outcome.is_ok() => keeper.broker.invoke(request).await,
                _ => outcome,
            }
        };
        let outcome = match job.consumer.policy.limit {
            None => attempt.await,
            Some(limit) => tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
                let text = format!("no answer within the {} s of a job", limit.as_secs());
                Err(ErrorBody::new(code::TIMEOUT, text))
            }),
        };
        settle(&keeper, &lane, job, outcome).await;
    }
}

/// The call that a job makes.
fn request(keeper: &Keeper, lane: &Lane, job: &Job) -> Result<Request, ErrorBody> {
    let lost = |error: StoreError| error.to_body(super::WRITE_FAILED);
    let text = keeper.table.get(&lane.scope, &job.message.id.to_string());
    let text = text.ok_or_else(|| lost(StoreError("the message is gone".to_owned())))?;
    let record = Record::read(&text).map_err(lost)?;
    let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    let data = text.part(record.data);
    let (traceparent, baggage) = (owned(record.traceparent), owned(record.baggage));
    Ok(match &job.consumer.subscription {
        Some(one) => Request {
            metadata: one.metadata(job.message.attempts + 1),
            traceparent,
            baggage,
            ..Request::fired(&one.binding, data)
        },
        None => Request {
            namespace: record.namespace.unwrap_or_default(),
            function_id: record.function_id.unwrap_or_else(|| "".into()),
            data,
            metadata: record.metadata.map(|metadata| text.part(metadata)),
            traceparent,
            baggage,
        },
    })
}

/// Brings the record of a job up to date, and the lane after it.
async fn settle(keeper: &Keeper, lane: &Lane, job: Job, outcome: Outcome) {
    let end = match outcome {
        Ok(_) => {
            let key = job.message.id.to_string();
            write(keeper, || record::remove(&keeper.table, &lane.scope, &key)).await;
            End::Done
        }
        // The engine is about to end and took the callee away. The message is as it was, for the next start.
        Err(_) if keeper.is_ending() => return,
        Err(error) => failed(keeper, lane, &job, &error).await,
    };
    let died = matches!(end, End::Dead(_));
    lane.ended(job, end);
    if died {
        give_way(keeper, lane).await;
    }
}

/// Forgets the oldest of the given-up messages that are too many.
async fn give_way(keeper: &Keeper, lane: &Lane) {
    let most = keeper.limits.dead_letters;
    while lane.depth().1 > most
        && let Some(oldest) = lane.exhume(None)
    {
        tracing::warn!(
            message = %oldest.id,
            "a given-up message was forgotten: the queue keeps {most} of them"
        );
        let key = oldest.id.to_string();
        write(keeper, || record::remove(&keeper.table, &lane.scope, &key)).await;
        lane.forget(&oldest);
    }
}

/// What becomes of a job that failed.
async fn failed(keeper: &Keeper, lane: &Lane, job: &Job, error: &ErrorBody) -> End {
    let (message, policy) = (&job.message, &job.consumer.policy);
    let since_start = keeper.started.elapsed();
    let may_come = message.restored && since_start < RESTART_GRACE;
    if may_come && error.code == code::FUNCTION_NOT_FOUND {
        // Its worker has not come back yet: that is no fault of the message. The looks grow rarer, so that a long
        // queue costs little.
        let due = Instant::now() + (since_start / 4).max(super::LEAST_PAUSE);
        return End::Again(Message { due: Some(due), ..message.clone() });
    }
    let attempts = message.attempts.saturating_add(1);
    let last = attempts >= policy.attempts || error.retryable == Some(false);
    let pause = policy.pause_after(error, attempts);
    let now = keeper.broker.clock().unix_millis();
    let due = now.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    // The pause begins at the failure, whatever the store takes.
    let turn = Instant::now() + pause;
    let update = || {
        record::update(&keeper.table, &lane.scope, message.id, |record| {
            record.attempts = attempts;
            record.failed(error);
            (record.due, record.dead) = if last { (None, Some(now)) } else { (Some(due), None) };
        })
    };
    write(keeper, update).await;
    let message = Message { attempts, due: None, ..message.clone() };
    if last {
        tracing::warn!(message = %message.id, attempts, "a queued message was given up: {error}");
        return End::Dead(message);
    }
    End::Again(Message { due: (!pause.is_zero()).then_some(turn), ..message })
}

/// Writes to the store, which gets some time if it is full or behind. A record that cannot be written in the end is no
/// reason to stop: at worst its message runs again after a restart.
async fn write<T>(keeper: &Keeper, mut change: impl FnMut() -> Result<T, StoreError>) {
    let mut pause = super::LEAST_PAUSE;
    loop {
        match change() {
            Ok(_) => return,
            Err(_) if pause <= super::WRITE_PATIENCE && !keeper.is_ending() => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => {
                tracing::error!("the record of a queued message cannot be written: {error}");
                return;
            }
        }
    }
}
