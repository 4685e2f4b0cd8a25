//! Tests of configurations: sources and their order, problems, schemas, and what functions see.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::file::{self, File};
use super::problem::{ConfigProblem, report};
use super::read;
use super::source::{Sources, Variables};
use crate::config::Configs;
use crate::prelude::*;
use iii_wire::code;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Low,
    High,
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq, iii::Config)]
struct Mail {
    /// The server.
    #[config(default = "localhost")]
    host: String,
    #[config(default = 25, min = 1)]
    port: u16,
    #[config(secret)]
    password: Option<String>,
}

/// A place to keep copies.
#[derive(Debug, Clone, PartialEq, iii::Config)]
struct Backup {
    directory: PathBuf,
    #[config(default = "1h")]
    every: Duration,
}

/// How orders are taken.
#[derive(Debug, Clone, PartialEq, iii::Config)]
#[config(id = "t-orders", name = "Orders")]
struct Settings {
    /// The most items of an order.
    #[config(default = 100, min = 1, max = 1000)]
    most_items: u32,
    #[config(env = "T_DB_URL", secret)]
    db_url: String,
    #[config(default = "30s", min = "1s", max = "5m")]
    timeout: Duration,
    #[config(nested)]
    mail: Mail,
    #[config(nested, env = "T_BACKUP")]
    backup: Option<Backup>,
    note: Option<String>,
    #[config(default)]
    tags: Vec<String>,
    #[config(default = Level::Low)]
    level: Level,
    #[config(default = "127.0.0.1:80")]
    listen: SocketAddr,
    #[config(default, env = false)]
    prices: BTreeMap<String, f64>,
    #[config(rename = "dry-run", default = false)]
    dry_run: bool,
}

/// Read from the top of the file.
#[derive(Debug, PartialEq, iii::Config)]
#[config(prefix = "T_TOP")]
struct Top {
    #[config(default = 1)]
    top_count: u8,
}

type Pairs = &'static [(&'static str, &'static str)];

fn file(value: Value) -> Arc<File> {
    Arc::new(File { path: "/etc/t.json".into(), value })
}

fn sources(variables: Pairs, store: Option<Value>, section: Option<Value>) -> Sources {
    let file = section.map(|section| file(json!({ "t-orders": section })));
    let sources = Sources::new(Variables::These(variables), file);
    match store {
        Some(store) => sources.with_store(store),
        None => sources,
    }
}

fn settings(variables: Pairs, store: Option<Value>, section: Option<Value>) -> Settings {
    match read::whole(&sources(variables, store, section)) {
        Ok(settings) => settings,
        Err(problems) => panic!("{}", report(&problems)),
    }
}

fn problems(variables: Pairs, store: Option<Value>, section: Option<Value>) -> Vec<ConfigProblem> {
    read::whole::<Settings>(&sources(variables, store, section)).expect_err("there are problems")
}

const DB: (&str, &str) = ("T_DB_URL", "db://x");

#[test]
fn defaults_are_stated_once() {
    let settings = settings(&[DB], None, None);
    let expected = Settings {
        most_items: 100,
        db_url: "db://x".to_owned(),
        timeout: Duration::from_secs(30),
        mail: Mail { host: "localhost".to_owned(), port: 25, password: None },
        backup: None,
        note: None,
        tags: Vec::new(),
        level: Level::Low,
        listen: SocketAddr::from(([127, 0, 0, 1], 80)),
        prices: BTreeMap::new(),
        dry_run: false,
    };
    assert_eq!(settings, expected);
}

#[test]
fn the_environment_wins_over_the_store_and_the_store_over_the_file() {
    let in_file = json!({"most_items": 1, "note": "file", "mail": {"host": "file", "port": 1}, "level": "high"});
    let in_store = json!({"most_items": 2, "note": null, "mail": {"host": "store"}});
    let variables: Pairs = &[DB, ("T_ORDERS_MOST_ITEMS", "3"), ("T_ORDERS_DRY_RUN", "yes")];
    let settings = settings(variables, Some(in_store), Some(in_file));
    assert_eq!(settings.most_items, 3);
    // Null counts as not set.
    assert_eq!(settings.note.as_deref(), Some("file"));
    assert_eq!((settings.mail.host.as_str(), settings.mail.port), ("store", 1));
    assert_eq!(settings.level, Level::High);
    assert!(settings.dry_run);
}

#[test]
fn variables_are_text_of_any_type() {
    let settings = settings(
        &[
            DB,
            ("T_ORDERS_TIMEOUT", "1m 30s"),
            ("T_ORDERS_TAGS", "a, b"),
            ("T_ORDERS_LEVEL", "high"),
            ("T_ORDERS_LISTEN", "[::1]:8080"),
            ("T_ORDERS_MAIL_PORT", "587"),
            ("T_ORDERS_NOTE", " "),
            ("T_BACKUP_DIRECTORY", "/backup"),
            ("T_ORDERS_PRICES", "not read"),
        ],
        None,
        None,
    );
    assert_eq!(settings.timeout, Duration::from_secs(90));
    assert_eq!(settings.tags, ["a", "b"]);
    assert_eq!((settings.level, settings.mail.port), (Level::High, 587));
    assert_eq!(settings.listen.port(), 8080);
    assert_eq!(settings.note, None, "a blank variable counts as not set");
    let backup = Backup { directory: "/backup".into(), every: Duration::from_secs(3600) };
    assert_eq!(settings.backup, Some(backup));
}

#[test]
fn all_problems_are_in_one_report_with_their_sources() {
    let variables: Pairs = &[("T_ORDERS_MOST_ITEMS", "many"), ("T_ORDERS_MAIL_PORT", "70000")];
    let in_file = json!({
        "timeout": "10m", "most_itmes": 3, "mail": {"hots": "x"}, "level": "mid", "listen": 7,
        "backup": {"every": "1h"},
    });
    let error = report(&problems(variables, None, Some(in_file)));
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    let text = error.message();
    for part in [
        "has 9 problems",
        "`most_items` of `Settings` is `many`, and must be a whole number from 1 to 1000",
        "the variable `T_ORDERS_MOST_ITEMS`",
        "`db_url` of `Settings` is not set, and must be a text",
        "set the variable `T_DB_URL`",
        "`timeout` of `Settings` is `\"10m\"`, and must be a span of time from 1s to 5m",
        "`t-orders.timeout` in the file `/etc/t.json`",
        "`mail.port` of `Settings` is `70000`, and must be a whole number of at least 1",
        "`backup.directory` of `Settings` is not set",
        "one of `low`, `high`",
        "`Settings` has no field `most_itmes`",
        "did you mean `most_items`?",
        "`t-orders.mail.hots` in the file",
        "did you mean `host`?",
        "config/tests.rs",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let details: Vec<ConfigProblem> = error.details().expect("a list");
    let fields: Vec<_> = details.iter().filter_map(|problem| problem.field.as_deref()).collect();
    assert!(fields.contains(&"db_url") && fields.contains(&"mail.port"), "{fields:?}");
}

#[test]
fn secrets_are_never_shown() {
    let in_file = json!({"db_url": {"user": "hush-1"}, "mail": {"password": ["hush-2"]}});
    let error = report(&problems(&[], None, Some(in_file)));
    let text = format!("{error} {error:?}");
    assert!(text.contains("`db_url` of `Settings` is secret"), "{text}");
    assert!(text.contains("`mail.password` of `Settings` is secret"), "{text}");
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn keys_of_the_store_that_nobody_reads_are_no_mistake() {
    let in_store = json!({"most_items": 7, "of_a_newer_worker": 1});
    assert_eq!(settings(&[DB], Some(in_store.clone()), None).most_items, 7);
    let unknown = read::unknown_in_store(Settings::descriptor(), &in_store);
    assert_eq!(unknown.len(), 1);
    assert!(read::unknown_in_store(Settings::descriptor(), &Value::Null).is_empty());
    let wrong = problems(&[DB], Some(json!({"most_items": "7"})), None);
    let source = wrong[0].source.as_deref().unwrap();
    assert_eq!(source, "`most_items` in the configuration `t-orders` of the engine's store");
}

#[test]
fn the_top_of_a_file_holds_what_has_no_section() {
    let whole =
        |value: Value| read::whole::<Top>(&Sources::new(Variables::None, Some(file(value))));
    assert_eq!(
        whole(json!({"top_count": 3, "t-orders": {"anything": 1}})),
        Ok(Top { top_count: 3 })
    );
    let problems = whole(json!({"top_cuont": 3})).unwrap_err();
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `top_count`?"));
}

/// A file that is removed when it is dropped.
struct Written(PathBuf);

impl Written {
    fn new(extension: &str, text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("iii-config-{}-{number}.{extension}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = std::fs::File::create(&path).expect("a temporary file");
        file.write_all(text.as_bytes()).expect("it can be written");
        Self(path)
    }

    fn read(&self) -> Result<Value, String> {
        let read = file::named(Some(&self.0), &Variables::None);
        read.map(|file| file.expect("there is one").value.clone())
            .map_err(|problem| problem.message)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn files_are_json_or_toml() {
    assert_eq!(Written::new("json", r#"{"a": 1}"#).read(), Ok(json!({"a": 1})));
    let error = Written::new("json", "{\n \"hush\": hush }").read().unwrap_err();
    assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
    assert!(Written::new("json", "7").read().unwrap_err().contains("an object"));
    assert!(Written::new("yaml", "a: 1").read().unwrap_err().contains("`.json` or `.toml`"));
    let toml = Written::new("toml", "at = 2026-01-05\n[mail]\nport = 25\n").read();
    if cfg!(feature = "toml") {
        assert_eq!(toml, Ok(json!({"at": "2026-01-05", "mail": {"port": 25}})));
        let error = Written::new("toml", "a = 1\nb = ").read().unwrap_err();
        assert!(error.contains("line 2"), "{error}");
    } else {
        assert!(toml.unwrap_err().contains("feature `toml`"));
    }
    let missing = file::named(Some("/no/such/file.json".as_ref()), &Variables::None).unwrap_err();
    assert!(missing.message.contains("/no/such/file.json"), "{missing:?}");
    let named = Variables::These(&[("III_CONFIG_FILE", "/no/such/other.json")]);
    let missing = file::named(None, &named).unwrap_err();
    assert!(missing.message.contains("/no/such/other.json"), "{missing:?}");
    assert!(missing.help.is_some_and(|help| help.contains("III_CONFIG_FILE")));
    assert!(file::named(None, &Variables::None).unwrap().is_none());
}

#[test]
fn a_file_is_loaded_before_the_start() {
    let written = Written::new("json", r#"{"t-orders": {"most_items": 5, "db_url": "x"}}"#);
    let mut configs = Configs::default();
    let settings = configs.load::<Settings>(Some(&written.0), &Variables::None).unwrap();
    assert_eq!(settings.most_items, 5);
    let error = Configs::default().load::<Settings>(None, &Variables::None).unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    assert!(error.message().contains("has 1 problem\n"), "{error}");
}

#[test]
fn the_schema_has_defaults_descriptions_and_no_secrets() {
    let schema: Value = Settings::schema().parse().unwrap();
    assert_eq!(schema["description"], "How orders are taken.");
    assert_eq!(schema["required"], json!(["db_url"]));
    assert_eq!(schema["additionalProperties"], false);
    let fields = &schema["properties"];
    let most = &fields["most_items"];
    assert_eq!((&most["type"], &most["default"]), (&json!("integer"), &json!(100)));
    assert_eq!((&most["minimum"], &most["maximum"]), (&json!(1), &json!(1000)));
    assert_eq!(most["description"], "The most items of an order.");
    assert_eq!(
        (&fields["db_url"]["writeOnly"], &fields["db_url"]["format"]),
        (&json!(true), &json!("password"))
    );
    assert_eq!(fields["timeout"]["default"], "30s");
    assert_eq!(schema["$defs"]["Duration"]["type"], "string");
    assert_eq!(fields["level"]["default"], "low");
    assert_eq!(fields["mail"]["properties"]["port"]["default"], 25);
    assert_eq!(fields["backup"]["type"], json!(["object", "null"]));
    assert!(fields.get("dry-run").is_some() && fields.get("dry_run").is_none());
}

#[test]
fn the_store_takes_a_part_of_a_configuration() {
    use super::schema::{Audience, document};
    let schema: Value = document(Settings::descriptor(), Audience::Store).parse().unwrap();
    assert_eq!(schema["type"], json!(["object", "null"]));
    for object in [&schema, &schema["properties"]["mail"]] {
        assert!(object.get("additionalProperties").is_none(), "{object}");
    }
    assert!(
        schema.get("required").is_none() && schema["properties"]["mail"].get("required").is_none()
    );
    let validator = jsonschema::validator_for(&schema).unwrap();
    for good in [json!(null), json!({}), json!({"timeout": "1s", "mail": {"port": 1}, "new": 1})] {
        assert!(validator.is_valid(&good), "{good}");
    }
    for bad in
        [json!(7), json!({"timeout": 1}), json!({"mail": {"port": "x"}}), json!({"most_items": 0})]
    {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

#[test]
fn a_default_out_of_its_bounds_is_a_problem() {
    #[derive(Debug, iii::Config)]
    struct Wrong {
        #[config(default = 7, max = 5)]
        #[allow(dead_code)]
        count: u8,
    }
    let problems = read::check_defaults(std::iter::once(Wrong::descriptor()));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("the default of `count`"), "{problems:?}");
    assert!(read::check_defaults(std::iter::once(Settings::descriptor())).is_empty());
}

#[tokio::test]
async fn a_watch_sees_the_first_value_and_the_newest() {
    let mut configs = Configs::default();
    let mut watch = configs.watch::<Top>();
    assert!(watch.current().is_none());
    configs.set(Arc::new(Top { top_count: 1 }));
    assert_eq!(watch.changed().await.unwrap().top_count, 1);
    configs.set(Arc::new(Top { top_count: 2 }));
    configs.set(Arc::new(Top { top_count: 3 }));
    assert_eq!(watch.changed().await.unwrap().top_count, 3);
    drop(configs);
    assert!(watch.changed().await.is_none());
}

#[test]
#[cfg(feature = "testing")]
fn two_configurations_cannot_share_an_id() {
    #[derive(Debug, iii::Config)]
    #[config(id = "t-same")]
    struct One {}
    #[derive(Debug, iii::Config)]
    #[config(id = "t-same")]
    struct Two {}
    let mut app = App::new();
    app.config::<One>().config::<Two>();
    let catalogue = crate::catalogue::Catalogue::empty();
    let error = app
        .into_parts()
        .2
        .prepare(catalogue.config_requirements(), None, &Variables::None)
        .unwrap_err();
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    assert!(error.message().contains("`Two` has the id `t-same`, and so has `One`"), "{error}");
}

#[test]
fn a_value_by_hand_reads_no_source() {
    let mut configs = Configs::default();
    configs.set(Arc::new(Top { top_count: 9 }));
    let missing = Some("/no/such/file.json".as_ref());
    assert_eq!(configs.load::<Top>(missing, &Variables::None).unwrap().top_count, 9);
}
