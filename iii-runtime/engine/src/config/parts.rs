//! Settings of the engine's components, read from their sections of the file (protocol section 11.3).

use std::time::Duration;

use super::file::named;
use super::settings::{Address, HttpPart, Keep, StreamSettings};
use super::tree::{Block, Problems};
use crate::http::{CorsPolicy, CorsSettings};
use crate::http_function::HttpFunctionSettings;
use crate::origins::OriginPolicy;
use crate::queue::{NamedQueue, QueueKind, QueueSettings};
use crate::state::StateSettings;

/// Data directories that components name, with their lines.
pub(super) type Directories = Vec<(u64, String)>;

/// The range of ports.
const PORTS: std::ops::RangeInclusive<u64> = 0..=u16::MAX as u64;
/// The range of timeouts in milliseconds, up to a day.
pub(super) const MILLIS: std::ops::RangeInclusive<u64> = 1..=86_400_000;

pub(super) fn http(block: &mut Block<'_>, problems: &mut Problems) -> HttpPart {
    let mut settings = HttpPart::default();
    address(block, &mut settings.address, problems);
    if let Some(millis) = block.whole("default_timeout", MILLIS, problems) {
        settings.limits.timeout = Duration::from_millis(millis);
    }
    if let Some(most) = block.whole("concurrency_request_limit", 0..=1_000_000, problems) {
        settings.limits.concurrency = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
    }
    if let Some(node) = block.take("cors") {
        let mut cors = Block::new("`cors`", node, problems);
        settings.limits.cors = CorsSettings {
            allowed_origins: cors.texts("allowed_origins", problems),
            allowed_methods: cors.texts("allowed_methods", problems),
        };
        cors.finish(problems);
        if let Err(problem) = CorsPolicy::new(&settings.limits.cors) {
            problems.add(node.line, problem);
        }
    }
    for node in block.list("middleware", problems) {
        let mut entry = Block::new("an entry of `middleware`", node, problems);
        let function = entry.text("function_id", problems);
        if let Some(phase) = entry.text("phase", problems)
            && phase != "preHandler"
        {
            problems.add(
                entry.line(),
                format!("the `phase` of a middleware must be `preHandler`, not `{phase}`"),
            );
        }
        let priority = entry.integer("priority", problems).unwrap_or(0);
        match function {
            Some(function) => settings.limits.middleware.push((priority, function.into())),
            None => problems.add(entry.line(), "an entry of `middleware` requires a `function_id`"),
        }
        entry.finish(problems);
    }
    settings
}

pub(super) fn http_functions(
    block: &mut Block<'_>,
    problems: &mut Problems,
) -> HttpFunctionSettings {
    let mut settings = HttpFunctionSettings::default();
    let Some(node) = block.take("security") else { return settings };
    let mut security = Block::new("`security`", node, problems);
    settings.url_allowlist = security.texts("url_allowlist", problems);
    if let Some(block) = security.flag("block_private_ips", problems) {
        settings.block_private_ips = block;
    }
    if let Some(require) = security.flag("require_https", problems) {
        settings.require_https = require;
    }
    if let Err(problem) = settings.check() {
        problems.add(node.line, problem);
    }
    security.finish(problems);
    settings
}

pub(super) fn stream(
    block: &mut Block<'_>,
    directories: &mut Directories,
    problems: &mut Problems,
) -> StreamSettings {
    let mut settings = StreamSettings::default();
    let mut listen = Address { host: settings.host, port: settings.port };
    address(block, &mut listen, problems);
    (settings.host, settings.port) = (listen.host, listen.port);
    settings.auth_function = block.text("auth_function", problems).map(str::to_owned);
    settings.allowed_origins = origins(block, problems);
    let elsewhere = ["redis", "bridge"];
    let keep = adapter(block, "kv", &elsewhere, &["channel_size"], directories, problems);
    settings.in_memory = keep == Keep::Memory;
    settings
}

pub(super) fn state(
    block: &mut Block<'_>,
    directories: &mut Directories,
    problems: &mut Problems,
) -> (StateSettings, Keep) {
    let mut settings = StateSettings::default();
    if let Some(enabled) = block.flag("triggers_enabled", problems) {
        settings.triggers_enabled = enabled;
    }
    settings.max_value_bytes = block
        .whole("max_value_bytes", 1..=u64::MAX, problems)
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    // Validated, but unused: values are written when they change.
    block.whole("save_interval_ms", 100..=3_600_000, problems);
    let keep = adapter(block, "kv", &["redis", "bridge"], &[], directories, problems);
    (settings, keep)
}

pub(super) fn queue(
    block: &mut Block<'_>,
    directories: &mut Directories,
    problems: &mut Problems,
) -> (QueueSettings, Keep) {
    let elsewhere = ["redis", "bridge", "rabbitmq"];
    let keep = adapter(block, "builtin", &elsewhere, &[], directories, problems);
    let mut settings = QueueSettings::default();
    if let Some(node) = block.take("queue_configs") {
        for (name, node) in named(Block::new("`queue_configs`", node, problems).all()) {
            let mut one = Block::new(format!("the queue `{name}`"), node, problems);
            settings.queues.insert(name.to_owned(), named_queue(&mut one, problems));
            one.finish(problems);
        }
    }
    (settings, keep)
}

fn named_queue(block: &mut Block<'_>, problems: &mut Problems) -> NamedQueue {
    let mut queue = NamedQueue::default();
    match block.text("type", problems) {
        None | Some("standard") => {}
        Some("fifo") => queue.kind = QueueKind::Fifo,
        Some(other) => problems.add(
            block.line(),
            format!("the `type` of a queue must be `standard` or `fifo`, not `{other}`"),
        ),
    }
    if let Some(most) = block.whole("max_retries", 1..=u64::from(u32::MAX), problems) {
        queue.max_retries = u32::try_from(most).unwrap_or(u32::MAX);
    }
    if let Some(most) = block.whole("concurrency", 1..=1_000_000, problems) {
        queue.concurrency = usize::try_from(most).unwrap_or(usize::MAX);
    }
    if let Some(millis) = block.whole("backoff_ms", 0..=86_400_000, problems) {
        queue.backoff_ms = millis;
    }
    queue.message_group_field = block.text("message_group_field", problems).map(str::to_owned);
    queue.priority_field = block.text("priority_field", problems).map(str::to_owned);
    queue.max_priority =
        block.whole("max_priority", 1..=255, problems).and_then(|most| u8::try_from(most).ok());
    // Validated, but unused: queues do not poll.
    block.whole("poll_interval_ms", 1..=u64::MAX, problems);
    if queue.kind == QueueKind::Fifo && queue.message_group_field.is_none() {
        problems.add(block.line(), "a queue of the type `fifo` requires a `message_group_field`");
    }
    if queue.max_priority.is_some() != queue.priority_field.is_some() {
        problems.add(
            block.line(),
            "a queue requires either both `max_priority` and `priority_field` or neither",
        );
    }
    queue
}

pub(super) fn pubsub(block: &mut Block<'_>, problems: &mut Problems) {
    adapter(block, "local", &["redis"], &[], &mut Vec::new(), problems);
}

pub(super) fn cron(block: &mut Block<'_>, directories: &mut Directories, problems: &mut Problems) {
    // Unused: locks coordinate several engines, and this one is the only one of its schedules.
    let ignored = ["lock_ttl_ms", "lock_index"];
    adapter(block, "kv", &["redis"], &ignored, directories, problems);
}

pub(super) fn configuration(block: &mut Block<'_>, problems: &mut Problems) {
    if let Some(node) = block.take("adapter") {
        let mut adapter = Block::new("the `adapter` of `configuration`", node, problems);
        // The adapter `fs` means watched files; this engine keeps values in its store.
        if let Some(name) = adapter.text("name", problems) {
            problems.add(
                node.line,
                format!(
                    "the adapter `{name}` of `configuration` is not supported: this engine keeps configurations in its \
                     store; remove `adapter`, or use the official engine"
                ),
            );
        }
        adapter.ignore(&["config"]);
        adapter.finish(problems);
    }
    if let Some(seconds) = block.whole("ttl_seconds", 0..=u64::MAX, problems)
        && seconds > 0
    {
        problems.add(
            block.line(),
            "`ttl_seconds` of `configuration` is not supported: configurations do not expire",
        );
    }
}

pub(super) fn address(block: &mut Block<'_>, address: &mut Address, problems: &mut Problems) {
    if let Some(port) = block.whole("port", PORTS, problems) {
        address.port = u16::try_from(port).unwrap_or(address.port);
    }
    if let Some(host) = block.text("host", problems) {
        address.host = host.trim().to_owned();
    }
}

/// Reads `allowed_origins`, an extension of this engine.
pub(super) fn origins(block: &mut Block<'_>, problems: &mut Problems) -> Vec<String> {
    let origins = block.texts("allowed_origins", problems);
    if let Err(problem) = OriginPolicy::new(&origins) {
        problems.add(block.line_of("allowed_origins"), problem);
    }
    origins
}

/// Reads `adapter`, of which this engine only supports `here`.
fn adapter(
    block: &mut Block<'_>,
    here: &str,
    elsewhere: &[&str],
    ignored: &[&'static str],
    directories: &mut Directories,
    problems: &mut Problems,
) -> Keep {
    let mut keep = Keep::Default;
    let Some(node) = block.take("adapter") else { return keep };
    let mut adapter = Block::new("`adapter`", node, problems);
    let name = adapter.text("name", problems);
    let config = adapter.take("config");
    adapter.finish(problems);
    match name {
        Some(name) if name == here => {}
        None => {}
        Some(name) if elsewhere.contains(&name) => {
            problems.add(
                node.line,
                format!(
                    "the adapter `{name}` is not supported: this engine only has `{here}`; use the official engine for `{name}`"
                ),
            );
            return keep;
        }
        Some(name) => {
            let known = elsewhere.join("`, `");
            problems.add(
                node.line,
                format!("unknown adapter `{name}`: this engine has `{here}`, the official engine also `{known}`"),
            );
            return keep;
        }
    }
    let Some(config) = config else { return keep };
    let mut block = Block::new(format!("the adapter `{here}`"), config, problems);
    if here != "local" {
        let path = block.text("file_path", problems);
        let line = block.line();
        match block.text("store_method", problems) {
            None => {}
            Some("in_memory") => keep = Keep::Memory,
            Some("file_based") => {
                directories.push((line, path.unwrap_or("kv_store_data.db").to_owned()));
            }
            Some(other) => problems
                .add(line, format!("`store_method` must be `in_memory` or `file_based`, not `{other}`")),
        }
        block.whole("save_interval_ms", 100..=3_600_000, problems);
        block.ignore(ignored);
    }
    block.finish(problems);
    keep
}
