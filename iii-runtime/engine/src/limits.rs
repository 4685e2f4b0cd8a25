//! Limits of what clients can consume: for each a typed value, its default, its range, and its name in the file.

use std::ops::RangeInclusive;
use std::time::Duration;

use iii_wire::transport;
use iii_wire::transport::ws::Heartbeat;

/// Kibibytes.
const KIB: usize = 1 << 10;
/// Mebibytes.
const MIB: usize = 1 << 20;
/// Gibibytes.
const GIB: usize = 1 << 30;

/// Limits of what clients of an engine can consume: every queue, buffer, frame, count and timeout.
///
/// A request that would exceed a limit fails with an error code, mostly [`OVERLOADED`](iii_wire::code::OVERLOADED), or
/// closes the offending connection. Other connections are not affected.
///
/// ```
/// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
/// use iii::engine::{Engine, Limits};
///
/// let mut limits = Limits::default();
/// limits.workers.functions = 100;
/// limits.queues.messages = 10_000;
/// let mut builder = Engine::builder();
/// builder.limits(limits);
/// ```
///
/// In the YAML file they are the block `limits`, an extension of this engine. Keys are the names of the fields;
/// durations are in milliseconds and end in `_ms`:
///
/// ```
/// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
/// # use iii::engine::EngineBuilder;
/// # EngineBuilder::from_yaml(r#"
/// limits:
///   store_bytes: 1073741824
///   workers: { connections: 10000, message_bytes: 67108864, ping_ms: 20000, silence_ms: 60000 }
///   queues: { messages: 1000000, dead_letters: 100000 }
/// # "#).unwrap();
/// ```
///
/// Three limits have settings of the official engine instead: the timeout and the concurrency of HTTP requests
/// (`default_timeout` and `concurrency_request_limit` of `iii-http`,
/// [`http_timeout`](super::EngineBuilder::http_timeout) and
/// [`http_concurrency`](super::EngineBuilder::http_concurrency)), the handshake timeout (`handshake_timeout_ms` of
/// `iii-worker-manager`), and the size of a state value (`max_value_bytes` of `iii-state`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Limits of worker listeners and of each worker connection.
    pub workers: WorkerLimits,
    /// Limits of the HTTP listener.
    pub http: HttpLimits,
    /// Limits of stream subscribers and stream triggers.
    pub streams: StreamLimits,
    /// Limits of channels.
    pub channels: ChannelLimits,
    /// Limits of durable topics and named queues.
    pub queues: QueueLimits,
    /// Limits of pending events of state and configuration triggers.
    pub events: EventLimits,
    /// Number of configurations. Default 10,000.
    pub configurations: usize,
    /// Bytes of all stored values; all of them are held in memory. Default 2 GiB.
    pub store_bytes: usize,
    /// Bytes of writes that a durable store has not yet synced to disk. Default 64 MiB.
    pub journal_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: WorkerLimits::default(),
            http: HttpLimits::default(),
            streams: StreamLimits::default(),
            channels: ChannelLimits::default(),
            queues: QueueLimits::default(),
            events: EventLimits::default(),
            configurations: 10_000,
            store_bytes: 2 * GIB,
            journal_bytes: 64 * MIB,
        }
    }
}

/// Limits of workers. All but the first apply per connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerLimits {
    /// Concurrent connections per listener, including those of channels; further ones are closed immediately. Default
    /// 10,000.
    pub connections: usize,
    /// Maximum size of a frame; a larger one closes the connection with the code 1009. Default 64 MiB, since some SDKs
    /// send each message in one frame. Workers of this project send frames of at most 4 MiB.
    pub frame_bytes: usize,
    /// Maximum size of a message in all its frames; a larger one closes the connection with 1009. A result that is
    /// larger is replaced by the error `payload_too_large`. Default 64 MiB.
    pub message_bytes: usize,
    /// Interval of pings. Default 20 s.
    pub ping: Duration,
    /// A connection that receives nothing for this long, not even pongs, is closed, and its name and functions are
    /// released. Default 60 s.
    pub silence: Duration,
    /// Registered functions. Default 10,000.
    pub functions: usize,
    /// Registered triggers. Default 10,000.
    pub triggers: usize,
    /// Registered trigger types. Default 1,000.
    pub trigger_types: usize,
    /// Registered services. Default 1,000.
    pub services: usize,
    /// Bytes of all registrations: schemas, configs, metadata, descriptions. Default 64 MiB.
    pub registration_bytes: usize,
    /// Calls of the worker that await a response. Default 65,536.
    pub calls: usize,
    /// Calls that the worker serves concurrently. Default 131,072.
    pub serving: usize,
    /// Queued outgoing bytes above which callers are slowed down. Default 1 MiB.
    pub outgoing_soft_bytes: usize,
    /// Queued outgoing bytes above which calls are rejected; a worker that does not read its responses is disconnected.
    /// Default 128 MiB.
    pub outgoing_bytes: usize,
    /// Triggers created by `engine::register_trigger`, which belong to no connection, in total. Default 10,000.
    /// `registration_bytes` also limits their bytes.
    pub ownerless_triggers: usize,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        let Heartbeat { interval, timeout } = Heartbeat::default();
        let transport::OutboxLimits { soft, hard, message } = transport::OutboxLimits::default();
        Self {
            connections: 10_000,
            frame_bytes: message,
            message_bytes: message,
            ping: interval,
            silence: timeout,
            functions: 10_000,
            triggers: 10_000,
            trigger_types: 1_000,
            services: 1_000,
            registration_bytes: 64 * MIB,
            calls: 65_536,
            serving: 131_072,
            outgoing_soft_bytes: soft,
            outgoing_bytes: hard,
            ownerless_triggers: 10_000,
        }
    }
}

impl WorkerLimits {
    /// The heartbeat of a connection.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat { interval: self.ping, timeout: self.silence }
    }

    /// The limits of the outbox of a connection.
    pub(crate) fn outbox_limits(&self) -> transport::OutboxLimits {
        transport::OutboxLimits {
            soft: self.outgoing_soft_bytes,
            hard: self.outgoing_bytes,
            message: self.message_bytes,
        }
    }

    /// Registrations that are buffered until the namespace of a connection is known.
    pub(crate) fn max_buffered_registrations(&self) -> usize {
        self.functions + self.triggers + self.trigger_types + self.services
    }
}

/// Limits of the HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Concurrent connections; further ones are closed immediately. Default 10,000.
    pub connections: usize,
    /// Timeout of reading the head of a request, and of an idle connection. Default 10 s.
    pub head: Duration,
    /// Maximum size of the head of a request; a larger one is answered with 431. Default 64 KiB.
    pub head_bytes: usize,
    /// Maximum number of header fields of a request; more are answered with 431. Default 100.
    pub headers: usize,
    /// Maximum size of a JSON body; a larger one is answered with 413. Default 4 MiB. Other bodies are streamed to the
    /// function, without a limit.
    pub body_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head: Duration::from_secs(10),
            head_bytes: 64 * KIB,
            headers: 100,
            body_bytes: 4 * MIB,
        }
    }
}

/// Limits of stream subscribers and stream triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamLimits {
    /// Concurrent connections; further ones are closed immediately. Default 10,000.
    pub connections: usize,
    /// Timeout of reading the head of a handshake. Default 10 s.
    pub head: Duration,
    /// Maximum size of a message from a client. Default 64 KiB.
    pub message_bytes: usize,
    /// Subscriptions per connection. Default 1,000.
    pub subscriptions: usize,
    /// Messages queued for one client; a client that exceeds it is disconnected with the close code 1013. Default
    /// 4,096.
    pub queue_messages: usize,
    /// Bytes queued for one client, likewise. Default 16 MiB.
    pub queue_bytes: usize,
    /// Interval of pings. Default 20 s.
    pub ping: Duration,
    /// A client that sends nothing for this long, not even pongs, is disconnected. Default 60 s.
    pub silence: Duration,
    /// Events queued for one stream trigger; further ones are dropped and logged. Default 4,096.
    pub trigger_events: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        let Heartbeat { interval, timeout } = Heartbeat::default();
        Self {
            connections: 10_000,
            head: Duration::from_secs(10),
            message_bytes: 64 * KIB,
            subscriptions: 1_000,
            queue_messages: 4_096,
            queue_bytes: 16 * MIB,
            ping: interval,
            silence: timeout,
            trigger_events: 4_096,
        }
    }
}

impl StreamLimits {
    /// The heartbeat of a connection.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat { interval: self.ping, timeout: self.silence }
    }
}

/// Limits of channels. Those of HTTP requests are limited by the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// Open channels. Default 10,000.
    pub open: usize,
    /// Open channels created by one connection. Default 1,000.
    pub per_connection: usize,
    /// Messages buffered in a channel, an upper bound of the size that its creator requests. Default 1,024.
    pub messages: usize,
    /// Bytes buffered in a channel; a longer message is accepted if the buffer is empty. Default 4 MiB.
    pub bytes: usize,
    /// How long a channel waits for both endpoints. Default 5 min.
    pub wait: Duration,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            open: 10_000,
            per_connection: 1_000,
            messages: 1_024,
            bytes: 4 * MIB,
            wait: Duration::from_secs(300),
        }
    }
}

/// Limits of durable topics and named queues. A publisher that would exceed one gets `overloaded`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Messages of one topic or named queue: pending, in flight and dead letters, counting each copy. Default
    /// 1,000,000.
    pub messages: usize,
    /// Bytes of one topic or named queue, including the engine's record of each message. Default 1 GiB.
    pub bytes: usize,
    /// Bytes of all topics and named queues together. Default 1.5 GiB.
    pub total_bytes: usize,
    /// Dead letters kept per subscriber or named queue; the oldest is evicted, which is logged. Default 100,000.
    pub dead_letters: usize,
    /// Topics. Default 10,000.
    pub topics: usize,
    /// Subscribed functions, including those without a bound trigger at present. Default 20,000.
    pub subscribers: usize,
    /// Concurrent jobs of one subscriber or named queue, an upper bound of its own settings. Default 10,000.
    pub concurrency: usize,
    /// How long messages are kept for a subscriber without a bound trigger. Default 24 h.
    pub absence: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            messages: 1_000_000,
            bytes: GIB,
            total_bytes: GIB + GIB / 2,
            dead_letters: 100_000,
            topics: 10_000,
            subscribers: 20_000,
            concurrency: 10_000,
            absence: Duration::from_secs(24 * 3600),
        }
    }
}

/// Limits of pending events of state triggers, and likewise of configuration triggers. A change that would exceed one
/// fails with `overloaded`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventLimits {
    /// Pending events. Default 65,536.
    pub waiting: usize,
    /// Bytes of pending events. Default 256 MiB.
    pub bytes: usize,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self { waiting: 65_536, bytes: 256 * MIB }
    }
}

/// The value of one limit.
pub(super) enum LimitValue<'a> {
    /// A number.
    Count(&'a mut usize),
    /// A duration, in milliseconds where it is a number.
    Time(&'a mut Duration),
}

/// One limit: its block and key in the file, its range, and its value.
pub(super) struct LimitField<'a> {
    /// Empty for top-level keys.
    pub(super) block: &'static str,
    pub(super) key: &'static str,
    pub(super) range: RangeInclusive<u64>,
    pub(super) value: LimitValue<'a>,
}

/// The range of counts of cheap objects.
const COUNT: RangeInclusive<u64> = 1..=100_000_000;
/// The range of sizes of one object.
const SIZE: RangeInclusive<u64> = 1024..=1 << 30;
/// The range of total sizes.
const TOTAL: RangeInclusive<u64> = 1024..=1 << 50;
/// The range of timeouts, up to a day.
const MILLIS: RangeInclusive<u64> = 1..=86_400_000;
/// The range of the retention of queues, up to ten years.
const RETENTION: RangeInclusive<u64> = 0..=315_360_000_000;

impl Limits {
    /// All limits, block by block.
    pub(super) fn fields(&mut self) -> Vec<LimitField<'_>> {
        use LimitValue::{Count, Time};
        let Self { workers: w, http: h, streams: s, channels: c, queues: q, events: e, .. } = self;
        let block = |block, fields: Vec<(_, _, _)>| {
            fields.into_iter().map(move |(key, range, value)| LimitField {
                block,
                key,
                range,
                value,
            })
        };
        let workers = vec![
            ("connections", COUNT, Count(&mut w.connections)),
            ("frame_bytes", SIZE, Count(&mut w.frame_bytes)),
            ("message_bytes", SIZE, Count(&mut w.message_bytes)),
            ("ping_ms", MILLIS, Time(&mut w.ping)),
            ("silence_ms", MILLIS, Time(&mut w.silence)),
            ("functions", COUNT, Count(&mut w.functions)),
            ("triggers", COUNT, Count(&mut w.triggers)),
            ("trigger_types", COUNT, Count(&mut w.trigger_types)),
            ("services", COUNT, Count(&mut w.services)),
            ("registration_bytes", TOTAL, Count(&mut w.registration_bytes)),
            ("calls", COUNT, Count(&mut w.calls)),
            ("serving", COUNT, Count(&mut w.serving)),
            ("outgoing_soft_bytes", TOTAL, Count(&mut w.outgoing_soft_bytes)),
            ("outgoing_bytes", TOTAL, Count(&mut w.outgoing_bytes)),
            ("ownerless_triggers", COUNT, Count(&mut w.ownerless_triggers)),
        ];
        let http = vec![
            ("connections", COUNT, Count(&mut h.connections)),
            ("head_ms", MILLIS, Time(&mut h.head)),
            ("head_bytes", SIZE, Count(&mut h.head_bytes)),
            ("headers", 1..=10_000, Count(&mut h.headers)),
            ("body_bytes", 1..=*SIZE.end(), Count(&mut h.body_bytes)),
        ];
        let streams = vec![
            ("connections", COUNT, Count(&mut s.connections)),
            ("head_ms", MILLIS, Time(&mut s.head)),
            ("message_bytes", SIZE, Count(&mut s.message_bytes)),
            ("subscriptions", COUNT, Count(&mut s.subscriptions)),
            ("queue_messages", COUNT, Count(&mut s.queue_messages)),
            ("queue_bytes", TOTAL, Count(&mut s.queue_bytes)),
            ("ping_ms", MILLIS, Time(&mut s.ping)),
            ("silence_ms", MILLIS, Time(&mut s.silence)),
            ("trigger_events", COUNT, Count(&mut s.trigger_events)),
        ];
        let channels = vec![
            ("open", COUNT, Count(&mut c.open)),
            ("per_connection", COUNT, Count(&mut c.per_connection)),
            ("messages", 1..=1_000_000, Count(&mut c.messages)),
            ("bytes", TOTAL, Count(&mut c.bytes)),
            ("wait_ms", MILLIS, Time(&mut c.wait)),
        ];
        let queues = vec![
            ("messages", COUNT, Count(&mut q.messages)),
            ("bytes", TOTAL, Count(&mut q.bytes)),
            ("total_bytes", TOTAL, Count(&mut q.total_bytes)),
            ("dead_letters", COUNT, Count(&mut q.dead_letters)),
            ("topics", COUNT, Count(&mut q.topics)),
            ("subscribers", COUNT, Count(&mut q.subscribers)),
            ("concurrency", COUNT, Count(&mut q.concurrency)),
            ("absence_ms", RETENTION, Time(&mut q.absence)),
        ];
        let events =
            vec![("waiting", COUNT, Count(&mut e.waiting)), ("bytes", TOTAL, Count(&mut e.bytes))];
        let rest = vec![
            ("configurations", COUNT, Count(&mut self.configurations)),
            ("store_bytes", 1..=*TOTAL.end(), Count(&mut self.store_bytes)),
            ("journal_bytes", TOTAL, Count(&mut self.journal_bytes)),
        ];
        block("workers", workers)
            .chain(block("http", http))
            .chain(block("streams", streams))
            .chain(block("channels", channels))
            .chain(block("queues", queues))
            .chain(block("events", events))
            .chain(block("", rest))
            .collect()
    }

    /// Checks the ranges of all limits.
    ///
    /// # Errors
    ///
    /// The first problem, as a message for the author of the settings.
    pub(crate) fn validate(&mut self) -> Result<(), String> {
        for LimitField { block, key, range, value } in self.fields() {
            let (value, unit) = match value {
                LimitValue::Count(count) => (u64::try_from(*count).unwrap_or(u64::MAX), ""),
                LimitValue::Time(wait) => {
                    (u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), " ms")
                }
            };
            if !range.contains(&value) {
                let name = if block.is_empty() { key.to_owned() } else { format!("{block}.{key}") };
                let (low, high) = (range.start(), range.end());
                return Err(format!(
                    "the limit `{name}` is {value}{unit}, but must be from {low} to {high}{unit}"
                ));
            }
        }
        let heartbeats = [
            ("workers", self.workers.ping, self.workers.silence),
            ("streams", self.streams.ping, self.streams.silence),
        ];
        for (block, ping, silence) in heartbeats {
            if silence <= ping {
                return Err(silence_message(block));
            }
        }
        Ok(())
    }
}

/// The message for a connection timeout that pings cannot prevent.
pub(super) fn silence_message(block: &str) -> String {
    format!(
        "`silence` in the limits of `{block}` must be longer than `ping`: a connection is closed if it does not answer \
         pings within it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_names_are_unique() {
        let mut limits = Limits::default();
        limits.validate().unwrap();
        let mut names: Vec<_> =
            limits.fields().iter().map(|field| (field.block, field.key)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn limit_out_of_range_is_reported() {
        let mut limits = Limits::default();
        limits.workers.frame_bytes = 10;
        let error = limits.validate().unwrap_err();
        assert!(error.contains("`workers.frame_bytes` is 10") && error.contains("1024"), "{error}");
        let mut limits = Limits::default();
        limits.streams.silence = limits.streams.ping;
        let error = limits.validate().unwrap_err();
        assert!(error.contains("`streams`") && error.contains("`ping`"), "{error}");
        let mut limits = Limits { configurations: 0, ..Limits::default() };
        assert!(limits.validate().unwrap_err().contains("`configurations` is 0"));
    }
}
