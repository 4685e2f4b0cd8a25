//! Settings of the engine's components, read from their sections of the file ([protocol 11.3](iii_wire::protocol#s11-3)).

use std::time::Duration;

use super::file::named_entries;
use super::settings::{Address, HttpListenerSettings, Persistence, StreamSettings};
use super::yaml::{Problems, Section};
use crate::http::{CorsPolicy, CorsSettings};
use crate::http_function::HttpFunctionSettings;
use crate::origins::OriginPolicy;
use crate::queue::{NamedQueue, QueueKind, QueueSettings};
use crate::state::StateSettings;

/// Data directories that components name, with their lines.
pub(super) type DataDirectories = Vec<(u64, String)>;

/// The range of ports.
const PORTS: std::ops::RangeInclusive<u64> = 0..=u16::MAX as u64;
/// The range of timeouts in milliseconds, up to a day.
pub(super) const MILLIS: std::ops::RangeInclusive<u64> = 1..=86_400_000;

pub(super) fn http(section: &mut Section<'_>, problems: &mut Problems) -> HttpListenerSettings {
    let mut settings = HttpListenerSettings::default();
    address(section, &mut settings.address, problems);
    if let Some(millis) = section.unsigned("default_timeout", MILLIS, problems) {
        settings.requests.timeout = Duration::from_millis(millis);
    }
    if let Some(most) = section.unsigned("concurrency_request_limit", 0..=1_000_000, problems) {
        settings.requests.concurrency = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
    }
    if let Some(node) = section.take("cors") {
        let mut cors = Section::new("`cors`", node, problems);
        settings.requests.cors = CorsSettings {
            allowed_origins: cors.strings("allowed_origins", problems),
            allowed_methods: cors.strings("allowed_methods", problems),
        };
        cors.finish(problems);
        if let Err(problem) = CorsPolicy::new(&settings.requests.cors) {
            problems.add(node.line, problem);
        }
    }
    for node in section.list("middleware", problems) {
        let mut entry = Section::new("an entry of `middleware`", node, problems);
        let function = entry.string("function_id", problems);
        if let Some(phase) = entry.string("phase", problems)
            && phase != "preHandler"
        {
            problems.add(
                entry.line(),
                format!("the `phase` of a middleware must be `preHandler`, not `{phase}`"),
            );
        }
        let priority = entry.integer("priority", problems).unwrap_or(0);
        match function {
            Some(function) => settings.requests.middleware.push((priority, function.into())),
            None => problems.add(entry.line(), "an entry of `middleware` requires a `function_id`"),
        }
        entry.finish(problems);
    }
    settings
}

pub(super) fn http_functions(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> HttpFunctionSettings {
    let mut settings = HttpFunctionSettings::default();
    let Some(node) = section.take("security") else { return settings };
    let mut security = Section::new("`security`", node, problems);
    settings.url_allowlist = security.strings("url_allowlist", problems);
    if let Some(block) = security.boolean("block_private_ips", problems) {
        settings.block_private_ips = block;
    }
    if let Some(require) = security.boolean("require_https", problems) {
        settings.require_https = require;
    }
    if let Err(problem) = settings.check() {
        problems.add(node.line, problem);
    }
    security.finish(problems);
    settings
}

pub(super) fn stream(
    section: &mut Section<'_>,
    directories: &mut DataDirectories,
    problems: &mut Problems,
) -> StreamSettings {
    let mut settings = StreamSettings::default();
    let mut listen = Address { host: settings.host, port: settings.port };
    address(section, &mut listen, problems);
    (settings.host, settings.port) = (listen.host, listen.port);
    settings.auth_function = section.string("auth_function", problems).map(str::to_owned);
    settings.allowed_origins = origins(section, problems);
    let unsupported = ["redis", "bridge"];
    let persistence =
        adapter(section, "kv", &unsupported, &["channel_size"], directories, problems);
    settings.in_memory = persistence == Persistence::Memory;
    settings
}

pub(super) fn state(
    section: &mut Section<'_>,
    directories: &mut DataDirectories,
    problems: &mut Problems,
) -> (StateSettings, Persistence) {
    let mut settings = StateSettings::default();
    if let Some(enabled) = section.boolean("triggers_enabled", problems) {
        settings.triggers_enabled = enabled;
    }
    settings.max_value_bytes = section
        .unsigned("max_value_bytes", 1..=u64::MAX, problems)
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    // Validated, but unused: values are written when they change.
    section.unsigned("save_interval_ms", 100..=3_600_000, problems);
    let persistence = adapter(section, "kv", &["redis", "bridge"], &[], directories, problems);
    (settings, persistence)
}

pub(super) fn queue(
    section: &mut Section<'_>,
    directories: &mut DataDirectories,
    problems: &mut Problems,
) -> (QueueSettings, Persistence) {
    let unsupported = ["redis", "bridge", "rabbitmq"];
    let persistence = adapter(section, "builtin", &unsupported, &[], directories, problems);
    let mut settings = QueueSettings::default();
    if let Some(node) = section.take("queue_configs") {
        for (name, node) in named_entries(Section::new("`queue_configs`", node, problems).entries())
        {
            let mut queue = Section::new(format!("the queue `{name}`"), node, problems);
            settings.queues.insert(name.to_owned(), named_queue(&mut queue, problems));
            queue.finish(problems);
        }
    }
    (settings, persistence)
}

fn named_queue(section: &mut Section<'_>, problems: &mut Problems) -> NamedQueue {
    let mut queue = NamedQueue::default();
    match section.string("type", problems) {
        None | Some("standard") => {}
        Some("fifo") => queue.kind = QueueKind::Fifo,
        Some(other) => problems.add(
            section.line(),
            format!("the `type` of a queue must be `standard` or `fifo`, not `{other}`"),
        ),
    }
    if let Some(most) = section.unsigned("max_retries", 1..=u64::from(u32::MAX), problems) {
        queue.max_retries = u32::try_from(most).unwrap_or(u32::MAX);
    }
    if let Some(most) = section.unsigned("concurrency", 1..=1_000_000, problems) {
        queue.concurrency = usize::try_from(most).unwrap_or(usize::MAX);
    }
    if let Some(millis) = section.unsigned("backoff_ms", 0..=86_400_000, problems) {
        queue.backoff_ms = millis;
    }
    queue.message_group_field = section.string("message_group_field", problems).map(str::to_owned);
    queue.priority_field = section.string("priority_field", problems).map(str::to_owned);
    queue.max_priority = section
        .unsigned("max_priority", 1..=255, problems)
        .and_then(|most| u8::try_from(most).ok());
    // Validated, but unused: queues do not poll.
    section.unsigned("poll_interval_ms", 1..=u64::MAX, problems);
    if queue.kind == QueueKind::Fifo && queue.message_group_field.is_none() {
        problems.add(section.line(), "a queue of the type `fifo` requires a `message_group_field`");
    }
    if queue.max_priority.is_some() != queue.priority_field.is_some() {
        problems.add(
            section.line(),
            "a queue requires either both `max_priority` and `priority_field` or neither",
        );
    }
    queue
}

pub(super) fn pubsub(section: &mut Section<'_>, problems: &mut Problems) {
    adapter(section, "local", &["redis"], &[], &mut Vec::new(), problems);
}

pub(super) fn cron(
    section: &mut Section<'_>,
    directories: &mut DataDirectories,
    problems: &mut Problems,
) {
    // Unused: locks coordinate several engines, and this one is the only one of its schedules.
    let ignored = ["lock_ttl_ms", "lock_index"];
    adapter(section, "kv", &["redis"], &ignored, directories, problems);
}

pub(super) fn configuration(section: &mut Section<'_>, problems: &mut Problems) {
    if let Some(node) = section.take("adapter") {
        let mut adapter = Section::new("the `adapter` of `configuration`", node, problems);
        // The adapter `fs` means watched files; this engine keeps values in its store.
        if let Some(name) = adapter.string("name", problems) {
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
    if let Some(seconds) = section.unsigned("ttl_seconds", 0..=u64::MAX, problems)
        && seconds > 0
    {
        problems.add(
            section.line(),
            "`ttl_seconds` of `configuration` is not supported: configurations do not expire",
        );
    }
}

pub(super) fn address(section: &mut Section<'_>, address: &mut Address, problems: &mut Problems) {
    if let Some(port) = section.unsigned("port", PORTS, problems) {
        address.port = u16::try_from(port).unwrap_or(address.port);
    }
    if let Some(host) = section.string("host", problems) {
        address.host = host.trim().to_owned();
    }
}

/// Reads `allowed_origins`, an extension of this engine.
pub(super) fn origins(section: &mut Section<'_>, problems: &mut Problems) -> Vec<String> {
    let origins = section.strings("allowed_origins", problems);
    if let Err(problem) = OriginPolicy::new(&origins) {
        problems.add(section.line_of("allowed_origins"), problem);
    }
    origins
}

/// Reads `adapter`, of which this engine only has `supported`.
fn adapter(
    section: &mut Section<'_>,
    supported: &str,
    unsupported: &[&str],
    ignored: &[&'static str],
    directories: &mut DataDirectories,
    problems: &mut Problems,
) -> Persistence {
    let mut persistence = Persistence::Default;
    let Some(node) = section.take("adapter") else { return persistence };
    let mut adapter = Section::new("`adapter`", node, problems);
    let name = adapter.string("name", problems);
    let config = adapter.take("config");
    adapter.finish(problems);
    match name {
        Some(name) if name == supported => {}
        None => {}
        Some(name) if unsupported.contains(&name) => {
            problems.add(
                node.line,
                format!(
                    "the adapter `{name}` is not supported: this engine only has `{supported}`; use the official engine \
                     for `{name}`"
                ),
            );
            return persistence;
        }
        Some(name) => {
            let known = unsupported.join("`, `");
            problems.add(
                node.line,
                format!("unknown adapter `{name}`: this engine has `{supported}`, the official engine also `{known}`"),
            );
            return persistence;
        }
    }
    let Some(config) = config else { return persistence };
    let mut section = Section::new(format!("the adapter `{supported}`"), config, problems);
    if supported != "local" {
        let path = section.string("file_path", problems);
        let line = section.line();
        match section.string("store_method", problems) {
            None => {}
            Some("in_memory") => persistence = Persistence::Memory,
            Some("file_based") => {
                directories.push((line, path.unwrap_or("kv_store_data.db").to_owned()));
            }
            Some(other) => problems.add(
                line,
                format!("`store_method` must be `in_memory` or `file_based`, not `{other}`"),
            ),
        }
        section.unsigned("save_interval_ms", 100..=3_600_000, problems);
        section.ignore(ignored);
    }
    section.finish(problems);
    persistence
}
