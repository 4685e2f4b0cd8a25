//! Tests of the file: what it switches on, what it sets, and what it may not say.

use super::*;
use crate::engine::observability::{AlertAction, AlertOperator, AlertRule};
use crate::engine::queue::{NamedQueue, QueueKind};

fn variable(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("4000".to_owned()),
        "LINES" => Some("a\nb".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> EngineBuilder {
    file::read("it", text, &variable).unwrap()
}

fn refused(text: &str) -> String {
    let error = file::read("it", text, &variable).unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    error.message().to_owned()
}

#[test]
fn everything_is_read() {
    let builder = read(
        "registration_namespace_grace_ms: 100
workers:
  - name: iii-worker-manager
    config: { port: 0, host: 0.0.0.0, handshake_timeout_ms: 500 }
  - name: iii-http
    config:
      port: ${PORT}
      host: \"${HOST:::1}\"   # a comment
      default_timeout: 1000
      concurrency_request_limit: 0
      cors: { allowed_origins: ['*'], allowed_methods: [] }
      middleware: []
  # - name: ${NOT_SET_BUT_A_COMMENT}
  - name: iii-stream
    config:
      port: 1
      auth_function: auth::stream
      adapter: { name: kv, config: { store_method: file_based, file_path: ./data, channel_size: 9 } }
  - name: iii-state
    config:
      triggers_enabled: false
      max_value_bytes: 10
      save_interval_ms: 5000
      adapter: { name: kv, config: { store_method: in_memory } }
  - name: iii-queue
    config:
      queue_configs:
        orders: { type: fifo, message_group_field: customer, max_retries: 5, concurrency: 2, backoff_ms: 0,
                  max_priority: 9, priority_field: p, poll_interval_ms: 50 }
  - name: iii-pubsub
    config:
      adapter: { name: local }
  - name: iii-cron
    config: { adapter: { name: kv, config: { lock_ttl_ms: 1 } } }
  - name: iii-observability
    config: { enabled: true, exporter: memory, level: info, alerts: [] }
  - name: configuration
  - name: iii-telemetry
    config: { enabled: false }
",
    );
    let settings = &builder.settings;
    assert_eq!(builder.namespace_grace, Duration::from_millis(100));
    assert_eq!((settings.worker.address.port, &*settings.worker.address.host), (0, "0.0.0.0"));
    assert_eq!(settings.worker.handshake_timeout, Duration::from_millis(500));
    let http = settings.http.as_ref().unwrap();
    assert_eq!((http.address.port, &*http.address.host), (4000, "::1"));
    assert_eq!((http.limits.timeout, http.limits.concurrency), (Duration::from_secs(1), 1));
    let stream = settings.stream.as_ref().unwrap();
    assert_eq!((stream.port, stream.host.as_str(), stream.in_memory), (1, "127.0.0.1", false));
    assert_eq!(stream.auth_function.as_deref(), Some("auth::stream"));
    let (state, keep) = settings.state.as_ref().unwrap();
    assert_eq!((state.triggers_enabled, state.max_value_bytes), (false, Some(10)));
    assert_eq!(*keep, Keep::Memory);
    let (queue, _) = settings.queue.as_ref().unwrap();
    assert_eq!(queue.queues["default"], NamedQueue::default());
    let orders = NamedQueue {
        kind: QueueKind::Fifo,
        max_retries: 5,
        concurrency: 2,
        message_group_field: Some("customer".to_owned()),
        max_priority: Some(9),
        priority_field: Some("p".to_owned()),
        backoff_ms: 0,
        ..NamedQueue::default()
    };
    assert_eq!(queue.queues["orders"], orders);
    assert!(settings.pubsub && settings.cron);
    assert_eq!(builder.directory().unwrap(), Some("./data".into()));
    assert_eq!(builder.data_dir("/d").directory().unwrap(), Some("/d".into()));
}

#[test]
fn what_is_observed_can_be_set() {
    let settings = read(
        "workers:
  - name: iii-observability
    config:
      service_name: shop
      exporter: memory
      sampling: { default: 0.5, rules: [{ operation: 'pay*', rate: 1 }], parent_based: true }
      memory_max_spans: 10
      trace_storage: { enabled: false, memory_max_bytes: 1000, directory: x }
      metrics_retention_seconds: 60
      logs_max_count: 5
      logs_sampling_ratio: 0.25
      logs_console_output: false
      alerts:
        - { name: slow, metric: iii.invocations.duration.p99, threshold: 2.5, operator: '>=',
            window_seconds: 30, cooldown_seconds: 5, action: { type: function, path: ops::page } }
",
    )
    .settings
    .observability;
    assert_eq!((settings.service_name.as_str(), settings.traces.max_spans), ("shop", 10));
    assert_eq!((settings.traces.max_bytes, settings.traces.sampling.ratio), (1_000, 0.5));
    assert_eq!(settings.traces.sampling.rules[0].rate, 1.0);
    assert_eq!(settings.metrics.retention, Duration::from_secs(60));
    assert_eq!((settings.logs.max_count, settings.logs.sampling_ratio), (5, 0.25));
    assert!(!settings.logs.console && settings.enabled);
    let alert = AlertRule {
        operator: AlertOperator::GreaterThanOrEqual,
        window: Duration::from_secs(30),
        cooldown: Duration::from_secs(5),
        action: AlertAction::Function { path: "ops::page".to_owned() },
        ..AlertRule::above("slow", "iii.invocations.duration.p99", 2.5)
    };
    assert_eq!(settings.alerts, [alert]);
    assert_eq!(read("").settings.observability, ObservabilitySettings::default());
}

#[test]
fn only_what_is_listed_is_on() {
    for text in ["", "workers: []", "workers:\n", "modules:\n- name: iii-engine-functions\n"] {
        let settings = read(text).settings;
        assert!(settings.http.is_none() && settings.stream.is_none() && settings.state.is_none());
        assert!(!settings.cron && !settings.pubsub && settings.queue.is_none());
        assert_eq!(settings.worker.address.port, 49134);
    }
    assert!(read("modules:\n- name: iii-cron\n").settings.cron);
}

#[test]
fn each_mistake_is_told_with_its_line() {
    let entry = |name: &str, config: &str| {
        format!("workers:\n  - name: {name}\n    config:\n      {config}\n")
    };
    let cases = [
        ("workerz: []".to_owned(), 1, "no setting `workerz`"),
        ("workers: []\nmodules: []".to_owned(), 2, "only one"),
        ("workers: 7".to_owned(), 1, "must be a list"),
        ("workers:\n  - config: {}".to_owned(), 2, "no `name`"),
        ("workers:\n  - name: state".to_owned(), 2, "`iii-state`"),
        ("workers:\n  - name: iii-exec".to_owned(), 2, "official engine"),
        ("workers:\n  - name: mine".to_owned(), 2, "no `mine`"),
        ("workers:\n  - name: iii-cron\n    image: x".to_owned(), 3, "containers"),
        ("workers:\n  - name: iii-cron\n  - name: iii-cron".to_owned(), 3, "twice"),
        (
            "workers:\n  - name: iii-worker-manager\n  - name: iii-worker-manager".to_owned(),
            3,
            "not supported yet",
        ),
        (entry("iii-worker-manager", "rbac: {}"), 4, "`rbac`"),
        (entry("iii-worker-manager", "middleware_function_id: a"), 4, "not supported yet"),
        (entry("iii-http", "port: 70000"), 4, "from 0 to 65535"),
        (entry("iii-http", "prot: 1"), 4, "no setting `prot`"),
        (entry("iii-http", "host: 1"), 4, "must be a text"),
        (entry("iii-http", "cors: { allowed_origins: [a] }"), 4, "`allowed_origins`"),
        (entry("iii-http", "middleware: [{ function_id: a }]"), 4, "`middleware`"),
        (entry("iii-state", "adapter: { name: redis }"), 4, "official engine"),
        (entry("iii-state", "adapter: { name: other }"), 4, "no adapter `other`"),
        (entry("iii-state", "adapter: { name: kv, config: { store_method: x } }"), 4, "file_based"),
        (entry("iii-state", "adapter: { name: kv, config: { x: 1 } }"), 4, "no setting `x`"),
        (entry("iii-state", "triggers_enabled: 1"), 4, "true or false"),
        (entry("iii-queue", "adapter: { name: rabbitmq }"), 4, "official engine"),
        (entry("iii-queue", "queue_configs: { a: { type: fifo } }"), 4, "`message_group_field`"),
        (entry("iii-queue", "queue_configs: { a: { max_priority: 256 } }"), 4, "255"),
        (entry("iii-pubsub", "adapter: { name: redis }"), 4, "official engine"),
        (entry("iii-observability", "exporter: otlp"), 4, "`otlp`"),
        (entry("iii-observability", "endpoint: http://x"), 4, "`endpoint`"),
        (entry("iii-observability", "sampling_ratio: 1.5"), 4, "from 0 to 1"),
        (entry("iii-observability", "sampling: { rules: [{ service: a }] }"), 4, "`rate`"),
        (
            entry("iii-observability", "sampling: { rate_limit: { max_traces_per_second: 1 } }"),
            4,
            "`rate_limit`",
        ),
        (entry("iii-observability", "trace_storage: { enabled: true }"), 4, "in memory"),
        (entry("iii-observability", "alerts: [{ name: a }]"), 4, "`threshold`"),
        (
            entry(
                "iii-observability",
                "alerts: [{ name: a, metric: b, threshold: 1, action: { type: webhook, url: x } }]",
            ),
            4,
            "`webhook`",
        ),
        (entry("configuration", "adapter: { name: fs }"), 4, "store"),
        (entry("configuration", "ttl_seconds: 1"), 4, "`ttl_seconds`"),
        (entry("iii-http", "port: ${UNSET}"), 4, "UNSET is not set"),
        (entry("iii-http", "host: ${LINES}"), 4, "more than one line"),
        ("workers:\n  - name: [a".to_owned(), 2, ""),
        ("a: 1\na: 2".to_owned(), 2, "uplicate"),
    ];
    for (text, line, part) in cases {
        let told = refused(&text);
        assert!(told.contains(&format!("line {line}: ")), "{text}\n{told}");
        assert!(told.contains(part), "{text}\n{told}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = refused("x: 1\nworkers:\n  - name: iii-http\n    config: { port: a, y: 2 }\n");
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert_eq!(lines[0], "it cannot be used:");
    assert!(lines[1].starts_with("  line 1: ") && lines[3].starts_with("  line 4: "), "{told}");
}

#[test]
fn two_directories_are_refused_unless_one_is_named() {
    let builder = read(
        "workers:
  - name: iii-state
    config: { adapter: { name: kv, config: { store_method: file_based, file_path: a } } }
  - name: iii-stream
    config: { adapter: { name: kv, config: { store_method: file_based } } }
",
    );
    let error = builder.directory().unwrap_err();
    for fact in ["`a` (line 3)", "`kv_store_data.db` (line 5)", "III_DATA_DIR"] {
        assert!(error.message().contains(fact), "{error}");
    }
    assert_eq!(builder.data_dir("b").directory().unwrap(), Some("b".into()));
}

#[test]
fn a_missing_file_is_named() {
    let error = EngineBuilder::from_file("/no/such/file.yaml").unwrap_err();
    assert!(error.message().contains("/no/such/file.yaml"), "{error}");
}
