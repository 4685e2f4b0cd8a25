//! The life of a worker: what the app does at its start and its end, its readiness, and its health.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::worker::*;
use super::{failed, start};
use crate::lifecycle::{CheckReport, HealthReport, HealthStatus};
use crate::prelude::*;
use crate::testing::Test;

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in its order.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn tell(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn hooks_run_in_order_at_the_start_and_backwards_at_the_end() {
    let story = Story::default();
    let of_app = story.clone();
    Test::new("hooks")
        .only::<double>()
        .only::<nap>()
        .setup(move |app| {
            for name in ["first", "second"] {
                let (start, stop) = (of_app.clone(), of_app.clone());
                app.on_start(async move |client| {
                    // Functions of this worker can be called, and it is not called ready.
                    let four = client.call::<double>(2).await?;
                    start.tell(format!("{name} starts: {four} {}", *client.ready().borrow()));
                    Ok(())
                });
                app.on_stop(async move |client| {
                    let (ready, link) = (client.ready(), client.state::<u32>("s"));
                    link.set("k", &1).await?;
                    stop.tell(format!("{name} stops: {}", *ready.borrow()));
                    Ok(())
                });
            }
            Box::pin(async { Ok(()) })
        })
        .run(|iii| async move {
            assert_eq!(iii.call::<double>(1).await.unwrap(), 2);
            assert_eq!(story.told(), ["first starts: 4 false", "second starts: 4 false"]);
            let napping = tokio::spawn(iii.call::<nap>(5).into_future());
            iii.settle().await;
            iii.drain().await;
            assert_eq!(napping.await.unwrap().unwrap(), 5, "what runs is finished first");
            assert_eq!(story.told()[2..], ["second stops: false", "first stops: false"]);
            assert_eq!(iii.now(), start() + 5 * SECOND);
        });
}

#[test]
fn a_hook_that_fails_ends_the_start_and_one_that_panics_too() {
    let of = |set_up: fn(&mut App)| {
        failed(move || {
            Test::new("failing")
                .only::<double>()
                .setup(move |app| {
                    set_up(app);
                    Box::pin(async { Ok(()) })
                })
                .run(|iii| async move { drop(iii.call::<double>(1).await) });
        })
    };
    let text = of(|app| {
        app.on_start(async |_| Err(crate::Error::new("shop/closed", "the shop is closed")));
    });
    assert!(text.contains("the shop is closed (shop/closed)"), "{text}");
    let text = of(|app| {
        app.on_start(async |_| panic!("on the way"));
    });
    assert!(text.contains("(panic)"), "{text}");
}

#[test]
fn the_last_words_are_bounded_and_one_that_fails_holds_up_nobody() {
    let story = Story::default();
    let of_app = story.clone();
    Test::new("last words")
        .only::<nap>()
        .setup(move |app| {
            let (first, third) = (of_app.clone(), of_app);
            app.grace(3 * SECOND);
            app.on_stop(async move |_| {
                first.tell("never comes so far");
                Ok(())
            });
            app.on_stop(async |_| {
                std::future::pending::<()>().await;
                Ok(())
            });
            app.on_stop(async |_| panic!("on the way"));
            app.on_stop(async move |_| {
                third.tell("the last is the first");
                Err(crate::Error::new("a/b", "c"))
            });
            Box::pin(async { Ok(()) })
        })
        .run(|iii| async move {
            let napping = tokio::spawn(iii.call::<nap>(60).into_future());
            iii.settle().await;
            iii.drain().await;
            // The handler had three seconds, the hooks have one nevertheless.
            assert_eq!(iii.now(), start() + 4 * SECOND);
            let cut = napping.await.unwrap().unwrap_err();
            assert_eq!(cut.code(), crate::code::SHUTTING_DOWN);
            assert_eq!(story.told(), ["the last is the first"]);
        });
}

/// Fails as long as it is told.
#[derive(Default)]
struct Database {
    down: std::sync::atomic::AtomicBool,
}

#[test]
fn the_health_function_tells_of_checks_and_readiness() {
    let ready = Arc::new(Mutex::new(None));
    let of_app = ready.clone();
    Test::new("health")
        .only::<double>()
        .setup(move |app| {
            *of_app.lock().unwrap() = Some(app.ready());
            app.state(Database::default()).health_as("shop::health");
            app.health_check("db", async |db: State<Database>| {
                if db.down.load(std::sync::atomic::Ordering::Relaxed) {
                    return Err(crate::Error::new("db/down", "no database"));
                }
                Ok(())
            });
            app.health_check("calls", async |client: Client| {
                client.call::<double>(1).await?;
                Ok(())
            });
            app.health_check("slow", async |_: Client| {
                tokio::time::sleep(SECOND).await;
                Ok(())
            });
            Box::pin(async { Ok(()) })
        })
        .run(|iii| async move {
            let db = iii.provide(Database::default());
            let report: HealthReport = iii.call_raw("shop::health", &()).await.unwrap();
            let ready = ready.lock().unwrap().take().unwrap();
            assert!(report.ready && *ready.borrow());
            assert_eq!(report.status, HealthStatus::Ok);
            assert_eq!(report.checks.len(), 3);
            assert_eq!(report.checks["slow"].took_ms, 1000);
            assert_eq!(iii.now(), start() + SECOND, "the checks run at the same time");

            db.down.store(true, std::sync::atomic::Ordering::Relaxed);
            let report: HealthReport = iii.call_raw("shop::health", &()).await.unwrap();
            assert_eq!(report.status, HealthStatus::Failing);
            let CheckReport { status, code, message, .. } = &report.checks["db"];
            assert_eq!(*status, HealthStatus::Failing);
            assert_eq!(
                (code.as_deref(), message.as_deref()),
                (Some("db/down"), Some("no database"))
            );
            assert_eq!(report.checks["calls"].status, HealthStatus::Ok);

            iii.drop_connection().await;
            assert!(!*ready.borrow(), "it is not ready while it comes back");
            iii.connected().await;
            assert!(*ready.borrow());
            iii.drain().await;
            assert!(!*ready.borrow());
        });
}

#[test]
fn a_check_that_hangs_or_panics_is_a_failing_one() {
    Test::new("bad checks")
        .only::<double>()
        .setup(|app| {
            app.health_as("shop::health");
            app.health_check("hangs", async |_: Client| {
                std::future::pending::<()>().await;
                Ok(())
            });
            app.health_check("panics", async |_: Client| panic!("on the way"));
            Box::pin(async { Ok(()) })
        })
        .run(|iii| async move {
            let report: HealthReport = iii.call_raw("shop::health", &()).await.unwrap();
            let code = |name: &str| report.checks[name].code.clone().unwrap();
            assert_eq!((code("hangs"), code("panics")), ("timeout".into(), "panic".into()));
            assert_eq!(iii.now(), start() + 5 * SECOND);
        });
}

#[test]
fn what_an_app_is_told_wrongly_is_in_the_report() {
    let mut app = App::new();
    app.function::<double>();
    app.health_check("db", async |_: State<Database>| Ok(()));
    let problems = app.catalogue().unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.iter().count(), 1, "{text}");
    assert!(text.contains("`db` takes the state"), "{text}");
    assert_eq!(text.matches("lifecycle.rs:").count(), 1, "{text}");
}
