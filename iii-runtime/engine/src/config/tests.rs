//! Tests of the engine's settings, from the file and from code.

use super::*;
use crate::access::{Access, FunctionFilter, MetadataRule};
use crate::observability::{AlertAction, AlertOperator, AlertRule};
use crate::queue::{NamedQueue, QueueKind};

fn listeners(builder: &EngineBuilder) -> Vec<&WorkerListener> {
    builder.settings.workers.iter().collect()
}

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

fn read_error(text: &str) -> String {
    let error = file::read("it", text, &variable).unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    error.message().to_owned()
}

#[test]
fn all_settings_are_read() {
    let mut builder = read(
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
      cors: { allowed_origins: ['https://a.test'], allowed_methods: [get] }
      middleware:
        - { function_id: auth::check, phase: preHandler, priority: -1 }
        - { function_id: audit::log }
  # - name: ${NOT_SET_BUT_A_COMMENT}
  - name: iii-http-functions
    config: { security: { url_allowlist: ['*.example.com'], block_private_ips: false, require_https: false } }
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
    let [worker] = listeners(&builder)[..] else { panic!("one listener") };
    assert_eq!((worker.address.port, &*worker.address.host), (0, "0.0.0.0"));
    assert_eq!(worker.handshake_timeout, Duration::from_millis(500));
    let http = settings.http.as_ref().unwrap();
    assert_eq!((http.address.port, &*http.address.host), (4000, "::1"));
    assert_eq!((http.requests.timeout, http.requests.concurrency), (Duration::from_secs(1), 1));
    let cors = &http.requests.cors;
    assert_eq!(
        (&cors.allowed_origins[..], &cors.allowed_methods[..]),
        (&["https://a.test".to_owned()][..], &["get".to_owned()][..])
    );
    assert_eq!(http.requests.middleware, [(-1, "auth::check".into()), (0, "audit::log".into())]);
    let functions = settings.http_functions.as_ref().unwrap();
    assert_eq!(functions.url_allowlist, ["*.example.com"]);
    assert!(!functions.block_private_ips && !functions.require_https);
    let stream = settings.stream.as_ref().unwrap();
    assert_eq!((stream.port, stream.host.as_str(), stream.in_memory), (1, "127.0.0.1", false));
    assert_eq!(stream.auth_function.as_deref(), Some("auth::stream"));
    let (state, persistence) = settings.state.as_ref().unwrap();
    assert_eq!((state.triggers_enabled, state.max_value_bytes), (false, Some(10)));
    assert_eq!(*persistence, Persistence::Memory);
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
fn observability_settings_are_read() {
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
fn only_listed_components_are_on() {
    for text in ["", "workers: []", "workers:\n", "modules:\n- name: iii-engine-functions\n"] {
        let builder = read(text);
        assert_eq!(listeners(&builder), [&WorkerListener::new()]);
        let settings = builder.settings;
        assert!(settings.http.is_none() && settings.stream.is_none() && settings.state.is_none());
        assert!(!settings.cron && !settings.pubsub && settings.queue.is_none());
        assert!(settings.http_functions.is_none());
    }
    assert!(read("modules:\n- name: iii-cron\n").settings.cron);
    let functions = read("modules:\n- name: iii-http-functions\n").settings.http_functions;
    assert_eq!(functions, Some(HttpFunctionSettings::default()));
}

#[test]
fn each_worker_manager_entry_is_a_listener() {
    let mut builder = read(
        "workers:
  - name: iii-worker-manager
    config: { port: 49134, host: 127.0.0.1 }
  - name: iii-worker-manager
    config:
      port: 49135
      middleware_function_id: gate::check
      rbac:
        auth_function_id: gate::auth
        expose_functions:
          - match(\"api::*\")
          - match('web::*')
          - { match: \"shop::*\", namespace: shop }
          - { metadata: { public: true, tier: match(\"free*\"), level: 1.5, tags: [a, null] } }
          - metadata: { kind: plain }
            namespace: shop
        on_function_registration_function_id: gate::fn
        on_trigger_registration_function_id: gate::trigger
        on_trigger_type_registration_function_id: gate::type
  - name: iii-worker-manager
    config: { port: 1, rbac: {} }
",
    );
    let access = Access::new()
        .auth_function("gate::auth")
        .expose(FunctionFilter::matching("api::*"))
        .expose(FunctionFilter::matching("web::*"))
        .expose(FunctionFilter::matching("shop::*").namespace("shop"))
        .expose(FunctionFilter::metadata([
            ("public", MetadataRule::equals(true)),
            ("tier", MetadataRule::matching("free*")),
            ("level", MetadataRule::equals(1.5)),
            ("tags", MetadataRule::equals(serde_json::json!(["a", null]))),
        ]))
        .expose(
            FunctionFilter::metadata([("kind", MetadataRule::equals("plain"))]).namespace("shop"),
        )
        .on_function_registration("gate::fn")
        .on_trigger_registration("gate::trigger")
        .on_trigger_type_registration("gate::type");
    let second = WorkerListener::new().port(49135).middleware("gate::check").access(access);
    let third = WorkerListener::new().port(1).access(Access::new());
    assert_eq!(listeners(&builder), [&WorkerListener::new(), &second, &third]);
    // Settings without a listener apply to the first one, or to all.
    builder.worker_port(7).host("::1");
    let at: Vec<_> = listeners(&builder)
        .iter()
        .map(|listener| (listener.address.port, &*listener.address.host))
        .collect();
    assert_eq!(at, [(7, "::1"), (49135, "::1"), (1, "::1")]);
}

#[test]
fn first_declared_listener_replaces_the_default_one() {
    let mut builder = EngineBuilder::default();
    builder.listener(WorkerListener::new().port(1));
    builder.listener(WorkerListener::new().port(2));
    let ports: Vec<_> = listeners(&builder).iter().map(|listener| listener.address.port).collect();
    assert_eq!(ports, [1, 2]);
}

#[test]
fn each_error_is_reported_with_its_line() {
    let entry = |name: &str, config: &str| {
        format!("workers:\n  - name: {name}\n    config:\n      {config}\n")
    };
    let exposing = |filter: &str| {
        entry("iii-worker-manager", &format!("rbac: {{ expose_functions: [{filter}] }}"))
    };
    let cases = [
        ("workerz: []".to_owned(), 1, "no setting `workerz`"),
        ("workers: []\nmodules: []".to_owned(), 2, "only one"),
        ("workers: 7".to_owned(), 1, "must be a list"),
        ("workers:\n  - config: {}".to_owned(), 2, "no `name`"),
        ("workers:\n  - name: state".to_owned(), 2, "`iii-state`"),
        ("workers:\n  - name: iii-exec".to_owned(), 2, "official engine"),
        ("workers:\n  - name: mine".to_owned(), 2, "unknown component `mine`"),
        ("workers:\n  - name: iii-cron\n    image: x".to_owned(), 3, "containers"),
        ("workers:\n  - name: iii-cron\n  - name: iii-cron".to_owned(), 3, "twice"),
        (entry("iii-worker-manager", "rbac: []"), 4, "`rbac`"),
        (entry("iii-worker-manager", "rbac:"), 4, "no value"),
        (entry("iii-worker-manager", "middleware_function_id: ${EMPTY:}"), 4, "no value"),
        (entry("iii-worker-manager", "rbac: { auth_function_id: ${EMPTY:} }"), 4, "no value"),
        (
            entry("iii-worker-manager", "rbac: { auth_function: a }"),
            4,
            "no setting `auth_function`",
        ),
        (entry("iii-worker-manager", "rbac: { expose_functions: all }"), 4, "a list of filters"),
        (exposing("api::*"), 4, "match(\"api::*\")"),
        (exposing("{ match: a, metadata: { b: 1 } }"), 4, "not both"),
        (exposing("{ namespace: a }"), 4, "requires `match` or `metadata`"),
        (exposing("{ match: 'match(\"a\")' }"), 4, "the plain pattern"),
        (exposing("{ match: a, mach: b }"), 4, "no setting `mach`"),
        (exposing("{ metadata: {} }"), 4, "is empty"),
        (exposing("7"), 4, "an integer"),
        (entry("iii-http", "port: 70000"), 4, "from 0 to 65535"),
        (entry("iii-http", "prot: 1"), 4, "no setting `prot`"),
        (entry("iii-http", "host: 1"), 4, "must be a string"),
        (entry("iii-http", "cors: { allowed_origins: [a] }"), 4, "`allowed_origins`"),
        (entry("iii-http", "cors: { allowed_headers: [] }"), 4, "no setting `allowed_headers`"),
        (entry("iii-http", "middleware: a"), 4, "a list"),
        (entry("iii-http", "middleware: [{ priority: 1 }]"), 4, "`function_id`"),
        (entry("iii-http", "middleware: [{ function_id: a, phase: x }]"), 4, "`preHandler`"),
        (entry("iii-http", "middleware: [{ function_id: a, priority: 1.5 }]"), 4, "an integer"),
        (entry("iii-http-functions", "url_allowlist: []"), 4, "no setting `url_allowlist`"),
        (entry("iii-http-functions", "security: { require_https: 1 }"), 4, "true or false"),
        (entry("iii-http-functions", "security: { url_allowlist: ['a['] }"), 4, "not a pattern"),
        (entry("iii-state", "adapter: { name: redis }"), 4, "official engine"),
        (entry("iii-state", "adapter: { name: other }"), 4, "unknown adapter `other`"),
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
        (entry("iii-http", "host: ${LINES}"), 4, "several lines"),
        ("workers:\n  - name: [a".to_owned(), 2, ""),
        ("a: 1\na: 2".to_owned(), 2, "uplicate"),
    ];
    for (text, line, part) in cases {
        let message = read_error(&text);
        assert!(message.contains(&format!("line {line}: ")), "{text}\n{message}");
        assert!(message.contains(part), "{text}\n{message}");
    }
}

#[test]
fn sections_without_settings_use_the_defaults() {
    for config in ["", "    config:\n", "    config: {}\n", "    config: { adapter: null }\n"] {
        let builder = read(&format!("workers:\n  - name: iii-pubsub\n{config}"));
        assert!(builder.settings.pubsub, "{config}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let message = read_error("x: 1\nworkers:\n  - name: iii-http\n    config: { port: a, y: 2 }\n");
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 4, "{message}");
    assert_eq!(lines[0], "it is invalid:");
    assert!(lines[1].starts_with("  line 1: ") && lines[3].starts_with("  line 4: "), "{message}");
}

#[test]
fn different_data_directories_are_an_error_unless_one_is_set() {
    let mut builder = read(
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
fn missing_file_is_reported() {
    let error = EngineBuilder::from_file("/no/such/file.yaml").unwrap_err();
    assert!(error.message().contains("/no/such/file.yaml"), "{error}");
}

#[test]
fn every_limit_is_a_setting_of_the_file() {
    let mut wanted = Limits::default();
    // One more than the default of each, section by section.
    let mut text = String::from("limits:\n");
    let (mut rest, mut block_now) = (String::new(), "");
    for crate::limits::LimitField { block, key, value, .. } in wanted.fields() {
        let number = match value {
            crate::limits::LimitValue::Count(count) => {
                *count += 1;
                *count as u64
            }
            crate::limits::LimitValue::Time(wait) => {
                *wait += Duration::from_millis(1);
                u64::try_from(wait.as_millis()).unwrap()
            }
        };
        if block.is_empty() {
            rest.push_str(&format!("  {key}: {number}\n"));
            continue;
        }
        if block != block_now {
            text.push_str(&format!("  {block}:\n"));
            block_now = block;
        }
        text.push_str(&format!("    {key}: {number}\n"));
    }
    assert_eq!(read(&format!("{text}{rest}")).limits, wanted);
    assert_eq!(read("limits: {}").limits, Limits::default());
    assert_eq!(read("limits: { workers: {}, http: }").limits, Limits::default());
}

#[test]
fn limit_out_of_range_is_reported_with_its_line() {
    let cases = [
        ("limits: 7", 1, "must be a section"),
        ("limits:\n  workerz: {}", 2, "`workers`, `http`"),
        ("limits:\n  workers:\n    function: 1", 3, "no setting `function`"),
        ("limits:\n  workers:\n    functions: 0", 3, "from 1 to"),
        ("limits:\n  workers: 1", 2, "must be a section"),
        ("limits:\n  http:\n    head_ms: 1s", 3, "an integer from 1 to 86400000"),
        ("limits:\n  configurations: -1", 2, "from 1 to"),
        ("limits:\n  configurations: 1\n  workers:\n    silence_ms: 1000", 3, "longer than `ping`"),
        ("workers:\n  - name: iii-stream\n    config:\n      allowed_origins: [a.b]", 4, "`a.b`"),
        (
            "workers:\n  - name: iii-worker-manager\n    config:\n      allowed_origins: ['https://a/b']",
            4,
            "no path",
        ),
    ];
    for (text, line, part) in cases {
        let message = read_error(text);
        assert!(message.contains(&format!("line {line}: ")), "{text}\n{message}");
        assert!(message.contains(part), "{text}\n{message}");
        assert_eq!(message.lines().count(), 2, "one error, one line: {message}");
    }
}

#[test]
fn origins_are_read_for_each_listener() {
    let settings = read(
        "workers:
  - name: iii-worker-manager
    config: { allowed_origins: ['https://a.example'] }
  - name: iii-stream
    config: { allowed_origins: ['*'] }
",
    )
    .settings;
    assert_eq!(settings.workers.iter().next().unwrap().allowed_origins, ["https://a.example"]);
    assert_eq!(settings.stream.unwrap().allowed_origins, ["*"]);
    let mut builder = EngineBuilder::default();
    builder.allowed_origins(["https://b.example"]);
    assert_eq!(
        builder.settings.workers.iter().next().unwrap().allowed_origins,
        ["https://b.example"]
    );
    assert_eq!(builder.settings.stream.unwrap().allowed_origins, ["https://b.example"]);
}

#[test]
fn settings_of_components_that_are_off_are_an_error() {
    let mut builder = read("workers:\n  - name: iii-stream\n");
    builder.host("::1").allowed_origins(["https://a.test"]).worker_port(0).stream_port(0);
    builder.check_components().unwrap();
    builder.http_port(1).http_timeout(Duration::from_secs(1)).http_port(2);
    builder.queue("orders", NamedQueue::default());
    let error = builder.check_components().unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    let lines: Vec<&str> = error.message().lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    for fact in ["HTTP triggers", "`http_port` (III_HTTP_PORT), `http_timeout`;", "`iii-http`"] {
        assert!(lines[0].contains(fact), "{error}");
    }
    assert!(lines[1].contains("`queue`") && lines[1].contains("`iii-queue`"), "{error}");
}

#[test]
fn every_http_and_stream_setting_requires_its_component() {
    let http: [fn(&mut EngineBuilder) -> &mut EngineBuilder; 6] = [
        |builder| builder.http_port(0),
        |builder| builder.http_timeout(Duration::from_secs(1)),
        |builder| builder.http_body_limit(1),
        |builder| builder.http_concurrency(1),
        |builder| builder.http_cors(CorsSettings::default()),
        |builder| builder.http_middleware("m::f", 0),
    ];
    for set in http {
        let mut builder = read("");
        set(&mut builder);
        builder.check_components().unwrap_err();
        let mut builder = EngineBuilder::default();
        set(&mut builder).check_components().unwrap();
    }
    // The order of the calls does not matter.
    let mut builder = EngineBuilder::default();
    builder.stream_port(0).streams(None::<StreamSettings>);
    let error = builder.check_components().unwrap_err();
    assert!(error.message().contains("`stream_port` (III_STREAM_PORT)"), "{error}");
    builder.streams(StreamSettings::default()).check_components().unwrap();
    builder.streams(None::<StreamSettings>).stream_auth_function("auth::stream").check_components().unwrap_err();
}
