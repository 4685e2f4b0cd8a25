//! `#[iii::test]` as users write it, and the same tests on an engine of another process.

use std::process::Command;
use std::time::Duration;

use iii::engine::Engine;
use iii::prelude::*;

#[iii::function(id = "harness::double")]
#[iii::trigger(http, path = "/harness/:n")]
#[iii::trigger(subscribe, topic = "harness.doubled")]
async fn double(number: Number) -> u32 {
    number.n * 2
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Number {
    n: u32,
}

mod inner {
    #[iii::function(id = "harness::half")]
    #[iii::trigger(cron, "0 * * * * *")]
    pub(crate) async fn half() {}
}

struct Charge;

impl iii::Function for Charge {
    const ID: &'static str = "payments::charge";
    type Input = u32;
    type Output = u32;
}

async fn set_up(app: &mut App) -> iii::Result<()> {
    app.state(7_u8);
    Ok(())
}

async fn set_up_without_result(_app: &mut App) {}

#[iii::test]
async fn without_anything() {}

#[iii::test(setup = set_up)]
async fn with_any_error(_: Harness) -> Result<(), Box<dyn std::error::Error>> {
    "7".parse::<u8>()?;
    Ok(())
}

/// With what stands above it.
#[iii::test(only(double, inner::half), start_time = "2026-01-05T09:00:00Z", setup = set_up)]
#[should_panic(expected = "2026-01-05T10:00:00Z is past")]
#[cfg(not(windows))]
#[allow(unused_variables)]
async fn with_options(iii: Harness) {
    iii.advance(Duration::from_secs(7200)).await;
    iii.advance_to("2026-01-05T10:00:00Z").await;
}

#[iii::test(real_time, setup = set_up_without_result, link(serde), crate = ::iii)]
pub(crate) async fn with_other_options(mut _iii: Harness) {}

#[iii::test(only(double, inner::half))]
async fn a_body_for_any_engine(iii: Harness) -> iii::Result<()> {
    assert_eq!(iii.call::<double>(Number { n: 2 }).await?, 4);
    iii.mock::<Charge>(|n| Ok(n + 1));
    assert_eq!(iii.call::<Charge>(7).await?, 8);
    iii.publish("harness.doubled", &Number { n: 5 }).await?;
    let outputs: Vec<u32> = iii.calls::<double>().await.iter().map(|one| one.output()).collect();
    assert_eq!(outputs, [4, 10]);
    let answer = iii.http().get("/harness/21").send().await;
    assert_eq!((answer.status(), answer.json::<u32>()), (200, 42));
    let counters = iii.state::<u32>("harness");
    counters.set("n", &1).await?;
    assert_eq!(counters.delete("n").await?, Some(1));
    assert_eq!(iii.queue("default").await.dead.len(), 0);
    Ok(())
}

#[iii::test(only(inner::half))]
async fn a_body_that_moves_time(iii: Harness) {
    iii.advance(Duration::from_secs(60)).await;
    assert_eq!(iii.calls::<inner::half>().await.len(), 1);
}

#[iii::test(only(inner::half))]
#[should_panic(expected = "2026-01-05T00:00:00Z is past")]
async fn a_body_that_has_to_panic(iii: Harness) {
    iii.advance(Duration::from_secs(60)).await;
    iii.advance_to("2026-01-05T00:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tests_run_on_an_engine_elsewhere() {
    let engine =
        Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
    let url = format!("ws://{}", engine.worker_addr().unwrap());
    let http = format!("http://{}", engine.http_addr().unwrap());
    let tests = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["a_body", "--nocapture"])
            .env("III_TEST_URL", url)
            .env("III_TEST_HTTP_URL", http)
            .output()
    });
    let output = iii_tests::within("the tests", tests).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (out, err) = (out.unwrap(), err.unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("3 passed"), "{out}");
    let skipped =
        "skipped: harness::a_body_that_moves_time: `advance` needs an engine in this process";
    assert!(err.contains(skipped), "{err}");
    assert!(err.contains("skipped: harness::a_body_that_has_to_panic"), "{err}");
    assert_eq!(err.matches("skipped:").count(), 2, "{err}");
}
