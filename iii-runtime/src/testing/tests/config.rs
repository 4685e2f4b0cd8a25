//! Configurations in tests: what functions see, what changes, and what a worker refuses.

use std::time::Duration;

use serde_json::json;

use super::failed;
use crate::prelude::*;
use crate::testing::Test;
use crate::{ConfigWatch, code};

/// How orders are taken.
#[derive(Debug, iii::Config)]
#[config(id = "t-limits")]
struct Limits {
    #[config(default = 100, min = 1)]
    most_items: u32,
    #[config(default = "30s")]
    timeout: Duration,
}

/// What has no default, and is not in the store.
#[derive(Debug, iii::Config)]
struct Needed {
    url: String,
}

#[iii::function(id = "t::config::most")]
async fn most(limits: Config<Limits>) -> u32 {
    assert!(limits.timeout <= Duration::from_secs(30));
    limits.most_items
}

#[iii::function(id = "t::config::url")]
async fn url(needed: Config<Needed>) -> String {
    needed.url.clone()
}

/// Takes it twice, with a nap between the first argument and the handler's end.
#[iii::function(id = "t::config::twice")]
async fn twice(seconds: u64, first: Config<Limits>, second: Config<Limits>) -> (u32, u32) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    (first.most_items, second.most_items)
}

#[iii::function(id = "t::config::next")]
async fn next(mut limits: ConfigWatch<Limits>) -> Option<u32> {
    limits.changed().await.map(|limits| limits.most_items)
}

#[test]
fn defaults_hold_without_anything() {
    Test::new("defaults").only::<most>().run(|iii| async move {
        assert_eq!(iii.call::<most>(()).await.unwrap(), 100);
    });
}

#[test]
fn a_test_gives_the_value() {
    Test::new("given").only::<most>().only::<url>().run(|iii| async move {
        iii.config(Needed { url: "x".into() });
        let limits = Limits { most_items: 3, timeout: Duration::ZERO };
        assert_eq!(iii.config(limits).most_items, 3);
        assert_eq!(iii.call::<most>(()).await.unwrap(), 3);
        assert_eq!(iii.call::<url>(()).await.unwrap(), "x");
        assert_eq!(
            iii.client()
                .call_raw::<Payload>("configuration::get", &json!({"id": "t-limits"}))
                .await
                .unwrap_err()
                .code(),
            "NOT_FOUND"
        );
    });
}

#[test]
fn what_the_test_gives_wins_over_the_set_up() {
    let set_up = |app: &mut App| {
        app.config_value(Needed { url: "set-up".into() });
        assert_eq!(app.load::<Needed>().unwrap().url, "test");
    };
    Test::new("set-up")
        .only::<url>()
        .setup(move |app| {
            set_up(app);
            Box::pin(async { Ok(()) })
        })
        .run(|iii| async move {
            iii.config(Needed { url: "test".into() });
            assert_eq!(iii.call::<url>(()).await.unwrap(), "test");
        });
}

#[test]
fn what_is_missing_ends_the_test_with_the_places() {
    let text = failed(|| {
        Test::new("missing").only::<url>().run(|iii| async move {
            let _ = iii.call::<url>(()).await;
        });
    });
    for part in [
        "`url` of `Needed` is not set",
        "NEEDED_URL",
        "used at",
        "testing/tests/config.rs",
        code::INVALID_CONFIGURATION,
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn a_change_in_the_store_is_seen_by_the_next_invocation() {
    Test::new("change").only::<most>().run(|iii| async move {
        iii.configure::<Limits>(&json!({"most_items": 7})).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 7, "it was there before the start");
        iii.configure::<Limits>(&json!({"most_items": 8})).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 8);
        iii.configure::<Limits>(&json!(null)).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 100, "the default is back");
    });
}

#[test]
fn one_invocation_sees_one_value() {
    Test::new("snapshot").only::<twice>().run(|iii| async move {
        let client = iii.client();
        let running = tokio::spawn(async move { client.call::<twice>(20).await });
        iii.advance(Duration::from_secs(1)).await;
        iii.configure::<Limits>(&json!({"most_items": 7})).await.unwrap();
        assert_eq!(running.await.unwrap().unwrap(), (100, 100));
        assert_eq!(iii.call::<twice>(0).await.unwrap(), (7, 7));
    });
}

#[test]
fn a_bad_value_keeps_the_old_one() {
    Test::new("bad").only::<most>().run(|iii| async move {
        iii.configure::<Limits>(&json!({"most_items": 7})).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 7);
        let refused = iii.configure::<Limits>(&json!({"most_items": 0})).await.unwrap_err();
        assert_eq!(refused.code(), "SCHEMA_INVALID");
        // The schema says that it is text; only the type knows which.
        iii.configure::<Limits>(&json!({"most_items": 9, "timeout": "soon"})).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 7);
        iii.configure::<Limits>(&json!({"most_items": 9, "timeout": "1s"})).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 9);
    });
}

#[test]
fn a_bad_value_in_the_store_ends_the_start() {
    let text = failed(|| {
        Test::new("bad start").only::<most>().run(|iii| async move {
            iii.configure::<Limits>(&json!({"timeout": "soon"})).await.unwrap();
            let _ = iii.call::<most>(()).await;
        });
    });
    for part in [
        "`timeout` of `Limits`",
        "a span of time",
        "the configuration `t-limits` of the engine's store",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn a_change_while_the_link_is_down_is_seen_afterwards() {
    Test::new("reconnect").only::<most>().run(|iii| async move {
        assert_eq!(iii.call::<most>(()).await.unwrap(), 100);
        iii.drop_connection().await;
        iii.configure::<Limits>(&json!({"most_items": 7})).await.unwrap();
        iii.connected().await;
        assert_eq!(iii.call::<most>(()).await.unwrap(), 7);
        iii.configure::<Limits>(&json!({"most_items": 8})).await.unwrap();
        assert_eq!(iii.call::<most>(()).await.unwrap(), 8, "the trigger is there again");
    });
}

async fn a_waiting_call_hears_of_a_change(iii: Harness) {
    let client = iii.client();
    let waiting = tokio::spawn(async move { client.call::<next>(()).await });
    iii.advance(Duration::from_secs(1)).await;
    iii.configure::<Limits>(&json!({"most_items": 7})).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), Some(7));
}

#[test]
fn a_busy_worker_hears_of_changes() {
    Test::new("busy")
        .only::<next>()
        .setup(|app| {
            app.concurrency(1).max_in_flight(1);
            Box::pin(async { Ok(()) })
        })
        .run(a_waiting_call_hears_of_a_change);
}

#[test]
fn a_watch_hears_of_changes() {
    Test::new("watch").only::<next>().run(a_waiting_call_hears_of_a_change);
}

#[test]
fn the_schema_is_registered_and_the_value_is_not_touched() {
    Test::new("schema").only::<most>().run(|iii| async move {
        iii.configure::<Limits>(&json!({"most_items": 7})).await.unwrap();
        let id = json!({"id": "t-limits"});
        assert_eq!(iii.call::<most>(()).await.unwrap(), 7);
        let view: serde_json::Value = iii.call_raw("configuration::schema", &id).await.unwrap();
        assert_eq!(view["description"], "How orders are taken.");
        assert_eq!(view["schema"]["properties"]["most_items"]["default"], 100);
        iii.drop_connection().await;
        iii.connected().await;
        let value: serde_json::Value = iii.call_raw("configuration::get", &id).await.unwrap();
        assert_eq!(value["value"], json!({"most_items": 7}));
    });
}
