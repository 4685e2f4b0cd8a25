//! Every bound of what clients can use up: one typed value for each, its default, its range, and its name in the file.

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

/// What clients of an engine can use up, at most: the bounds of every queue, buffer, frame, count and wait.
///
/// What would go beyond a bound is refused with a coded error, mostly
/// [`OVERLOADED`](iii_wire::code::OVERLOADED), or ends the one connection that did it. Others go on.
///
/// ```
/// use iii::engine::{Engine, Limits};
///
/// let mut limits = Limits::default();
/// limits.workers.functions = 100;
/// limits.queues.messages = 10_000;
/// let builder = Engine::builder().limits(limits);
/// ```
///
/// In the YAML file they are the block `limits`, which the official engine does not have. Names are those of the fields;
/// waits are in milliseconds and end in `_ms`:
///
/// ```
/// # use iii::engine::EngineBuilder;
/// # EngineBuilder::from_yaml(r#"
/// limits:
///   store_bytes: 1073741824
///   workers: { connections: 10000, message_bytes: 67108864, ping_ms: 20000, silence_ms: 60000 }
///   queues: { messages: 1000000, dead_letters: 100000 }
/// # "#).unwrap();
/// ```
///
/// Three bounds have keys of the official engine and are set there: how long an HTTP request may take and how many are
/// handled at a time (`default_timeout` and `concurrency_request_limit` of `iii-http`,
/// [`http_timeout`](super::EngineBuilder::http_timeout) and
/// [`http_concurrency`](super::EngineBuilder::http_concurrency)), how long a handshake may take (`handshake_timeout_ms`
/// of `iii-worker-manager`), and how long a value of state may be (`max_value_bytes` of `iii-state`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Workers: their listener, and each of their connections.
    pub workers: WorkerLimits,
    /// The listener of HTTP triggers.
    pub http: HttpLimits,
    /// Those who subscribe to streams, and stream triggers.
    pub streams: StreamLimits,
    /// Channels.
    pub channels: ChannelLimits,
    /// Durable topics and named queues.
    pub queues: QueueLimits,
    /// Changes that wait for the triggers of state and configurations.
    pub events: EventLimits,
    /// Configurations. Default 10,000.
    pub configurations: usize,
    /// Bytes of everything that is stored; all of it is in memory. Default 2 GiB.
    pub store_bytes: usize,
    /// Bytes of changes that are on their way to the disk of a durable store. Default 64 MiB.
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

/// The bounds of workers. All but the first are those of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerLimits {
    /// Connections to the port at a time, those of channels included; one more is closed at once. Default 10,000.
    pub connections: usize,
    /// The size of one frame; a larger one ends the connection with the close code 1009. Default 64 MiB, since some SDKs
    /// send each message in one frame. Workers of this project send frames of at most 4 MiB.
    pub frame_bytes: usize,
    /// The size of one message in all its frames; a larger one ends the connection with 1009. A result that is larger is
    /// answered with `payload_too_large` instead. Default 64 MiB.
    pub message_bytes: usize,
    /// How often a connection is pinged. Default 20 s.
    pub ping: Duration,
    /// A connection from which nothing came for this long, not even the answer to a ping, is given up, and its name and
    /// functions are free again. Default 60 s.
    pub silence: Duration,
    /// Functions. Default 10,000.
    pub functions: usize,
    /// Triggers. Default 10,000.
    pub triggers: usize,
    /// Trigger types. Default 1,000.
    pub trigger_types: usize,
    /// Services. Default 1,000.
    pub services: usize,
    /// Bytes of what is registered: schemas, configs, metadata, descriptions. Default 64 MiB.
    pub registration_bytes: usize,
    /// Calls it makes that wait for their answers. Default 65,536.
    pub calls: usize,
    /// Calls it serves and has not answered. Default 131,072.
    pub serving: usize,
    /// Bytes that wait to be sent to it; who sends it more is slowed down. Default 1 MiB.
    pub outgoing_soft_bytes: usize,
    /// Bytes that wait to be sent to it; more calls are refused, and a worker that does not read its answers is
    /// disconnected. Default 128 MiB.
    pub outgoing_bytes: usize,
    /// Triggers of all workers that were made by `engine::register_trigger`: no connection owns them. Default 10,000.
    /// `registration_bytes` is the bound of their bytes.
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
    /// How a silent connection is noticed.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat { interval: self.ping, timeout: self.silence }
    }

    /// What may wait in the queue of a connection.
    pub(crate) fn link(&self) -> transport::OutboxLimits {
        transport::OutboxLimits {
            soft: self.outgoing_soft_bytes,
            hard: self.outgoing_bytes,
            message: self.message_bytes,
        }
    }

    /// Registrations that wait until the namespace of a connection is known.
    pub(crate) fn buffered(&self) -> usize {
        self.functions + self.triggers + self.trigger_types + self.services
    }
}

/// The bounds of the listener of HTTP triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Connections at a time; one more is closed at once. Default 10,000.
    pub connections: usize,
    /// How long a request may take from its beginning to the end of its head, and how long a connection may be idle.
    /// Default 10 s.
    pub head: Duration,
    /// The size of the head of a request; a larger one is answered with 431. Default 64 KiB.
    pub head_bytes: usize,
    /// Headers of one request; one more is answered with 431. Default 100.
    pub headers: usize,
    /// The size of a JSON body; a larger one is answered with 413. Default 4 MiB. Other bodies are streamed to the
    /// function, and may be of any length.
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

/// The bounds of those who subscribe to streams, and of stream triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamLimits {
    /// Connections at a time; one more is closed at once. Default 10,000.
    pub connections: usize,
    /// How long the head of a handshake may take. Default 10 s.
    pub head: Duration,
    /// The size of what a client may send at once. Default 64 KiB.
    pub message_bytes: usize,
    /// Subscriptions of one connection. Default 1,000.
    pub subscriptions: usize,
    /// Messages that wait for one client; a client that is further behind is disconnected with the close code 1013.
    /// Default 4,096.
    pub queue_messages: usize,
    /// Bytes that wait for one client, likewise. Default 16 MiB.
    pub queue_bytes: usize,
    /// How often a client is pinged. Default 20 s.
    pub ping: Duration,
    /// A client from which nothing came for this long, not even the answer to a ping, is given up. Default 60 s.
    pub silence: Duration,
    /// Events that wait for one stream trigger; one more is lost to it, and that is logged. Default 4,096.
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
    /// How a silent client is noticed.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat { interval: self.ping, timeout: self.silence }
    }
}

/// The bounds of channels. Those that HTTP requests bring along are bounded by the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// Channels at a time. Default 10,000.
    pub open: usize,
    /// Of them, those that one connection made. Default 1,000.
    pub per_connection: usize,
    /// Messages that wait in one channel, whatever its maker asks for. Default 1,024.
    pub messages: usize,
    /// Bytes that wait in one channel; a longer message is taken alone. Default 4 MiB.
    pub bytes: usize,
    /// How long a channel waits for both of its sides. Default 5 min.
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

/// The bounds of durable topics and named queues. A publisher that would go beyond one gets `overloaded`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Messages of one topic or named queue: those that wait, run, and were given up, each copy for itself. Default
    /// 1,000,000.
    pub messages: usize,
    /// Bytes of one topic or named queue, with what the engine needs beside each message. Default 1 GiB.
    pub bytes: usize,
    /// Bytes of all topics and named queues together. Default 1.5 GiB.
    pub total_bytes: usize,
    /// Messages of one subscriber or named queue that were given up and are kept; the oldest gives way, and that is
    /// logged. Default 100,000.
    pub dead_letters: usize,
    /// Topics. Default 10,000.
    pub topics: usize,
    /// Functions that are subscribed, those included that are not bound now. Default 20,000.
    pub subscribers: usize,
    /// Jobs of one subscriber or named queue at the same time, whatever its settings say. Default 10,000.
    pub concurrency: usize,
    /// For how long a subscriber that is not bound goes on getting messages to keep. Default 24 h.
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

/// The bounds of changes that wait for the triggers of state, and likewise of configurations. A change that would go
/// beyond one is refused with `overloaded`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventLimits {
    /// Changes. Default 65,536.
    pub waiting: usize,
    /// Their bytes. Default 256 MiB.
    pub bytes: usize,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self { waiting: 65_536, bytes: 256 * MIB }
    }
}

/// The value of one bound.
pub(super) enum Value<'a> {
    /// A number.
    Count(&'a mut usize),
    /// A time, in milliseconds where it is a number.
    Wait(&'a mut Duration),
}

/// One bound: its block, its name in it, what it may be, and where it is.
pub(super) struct Bound<'a> {
    /// Empty: it is in no block.
    pub(super) block: &'static str,
    pub(super) key: &'static str,
    pub(super) range: RangeInclusive<u64>,
    pub(super) value: Value<'a>,
}

/// Counts of things that cost little each.
const COUNT: RangeInclusive<u64> = 1..=100_000_000;
/// Sizes of one thing.
const SIZE: RangeInclusive<u64> = 1024..=1 << 30;
/// Sizes of many things together.
const TOTAL: RangeInclusive<u64> = 1024..=1 << 50;
/// Waits, up to a day.
const MILLIS: RangeInclusive<u64> = 1..=86_400_000;
/// The retention of a queue, up to ten years.
const LONG: RangeInclusive<u64> = 0..=315_360_000_000;

impl Limits {
    /// All of them, block by block.
    pub(super) fn bounds(&mut self) -> Vec<Bound<'_>> {
        use Value::{Count, Wait};
        let Self { workers: w, http: h, streams: s, channels: c, queues: q, events: e, .. } = self;
        let block = |block, bounds: Vec<(_, _, _)>| {
            bounds.into_iter().map(move |(key, range, value)| Bound { block, key, range, value })
        };
        let workers = vec![
            ("connections", COUNT, Count(&mut w.connections)),
            ("frame_bytes", SIZE, Count(&mut w.frame_bytes)),
            ("message_bytes", SIZE, Count(&mut w.message_bytes)),
            ("ping_ms", MILLIS, Wait(&mut w.ping)),
            ("silence_ms", MILLIS, Wait(&mut w.silence)),
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
            ("head_ms", MILLIS, Wait(&mut h.head)),
            ("head_bytes", SIZE, Count(&mut h.head_bytes)),
            ("headers", 1..=10_000, Count(&mut h.headers)),
            ("body_bytes", 1..=*SIZE.end(), Count(&mut h.body_bytes)),
        ];
        let streams = vec![
            ("connections", COUNT, Count(&mut s.connections)),
            ("head_ms", MILLIS, Wait(&mut s.head)),
            ("message_bytes", SIZE, Count(&mut s.message_bytes)),
            ("subscriptions", COUNT, Count(&mut s.subscriptions)),
            ("queue_messages", COUNT, Count(&mut s.queue_messages)),
            ("queue_bytes", TOTAL, Count(&mut s.queue_bytes)),
            ("ping_ms", MILLIS, Wait(&mut s.ping)),
            ("silence_ms", MILLIS, Wait(&mut s.silence)),
            ("trigger_events", COUNT, Count(&mut s.trigger_events)),
        ];
        let channels = vec![
            ("open", COUNT, Count(&mut c.open)),
            ("per_connection", COUNT, Count(&mut c.per_connection)),
            ("messages", 1..=1_000_000, Count(&mut c.messages)),
            ("bytes", TOTAL, Count(&mut c.bytes)),
            ("wait_ms", MILLIS, Wait(&mut c.wait)),
        ];
        let queues = vec![
            ("messages", COUNT, Count(&mut q.messages)),
            ("bytes", TOTAL, Count(&mut q.bytes)),
            ("total_bytes", TOTAL, Count(&mut q.total_bytes)),
            ("dead_letters", COUNT, Count(&mut q.dead_letters)),
            ("topics", COUNT, Count(&mut q.topics)),
            ("subscribers", COUNT, Count(&mut q.subscribers)),
            ("concurrency", COUNT, Count(&mut q.concurrency)),
            ("absence_ms", LONG, Wait(&mut q.absence)),
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

    /// Looks for bounds that cannot work.
    ///
    /// # Errors
    ///
    /// The first one, in words for whoever set it.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        for Bound { block, key, range, value } in self.bounds() {
            let (value, unit) = match value {
                Value::Count(count) => (u64::try_from(*count).unwrap_or(u64::MAX), ""),
                Value::Wait(wait) => (u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), " ms"),
            };
            if !range.contains(&value) {
                let name = if block.is_empty() { key.to_owned() } else { format!("{block}.{key}") };
                let (low, high) = (range.start(), range.end());
                return Err(format!(
                    "the limit `{name}` is {value}{unit}, and must be from {low} to {high}{unit}"
                ));
            }
        }
        let beats = [
            ("workers", self.workers.ping, self.workers.silence),
            ("streams", self.streams.ping, self.streams.silence),
        ];
        for (block, ping, silence) in beats {
            if silence <= ping {
                return Err(quiet_too_soon(block));
            }
        }
        Ok(())
    }
}

/// What is wrong if connections are given up before they are asked.
pub(super) fn quiet_too_soon(block: &str) -> String {
    format!(
        "`silence` of the limits of `{block}` must be longer than `ping`: a connection is given up when it does not \
         answer pings"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_their_ranges_and_each_bound_has_one_name() {
        let mut limits = Limits::default();
        limits.check().unwrap();
        let mut names: Vec<_> = limits.bounds().iter().map(|one| (one.block, one.key)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_bound_out_of_its_range_is_named() {
        let mut limits = Limits::default();
        limits.workers.frame_bytes = 10;
        let error = limits.check().unwrap_err();
        assert!(error.contains("`workers.frame_bytes` is 10") && error.contains("1024"), "{error}");
        let mut limits = Limits::default();
        limits.streams.silence = limits.streams.ping;
        let error = limits.check().unwrap_err();
        assert!(error.contains("`streams`") && error.contains("`ping`"), "{error}");
        let mut limits = Limits { configurations: 0, ..Limits::default() };
        assert!(limits.check().unwrap_err().contains("`configurations` is 0"));
    }
}
