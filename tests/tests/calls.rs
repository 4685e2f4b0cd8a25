//! Many calls at the same time through the engine: every one is answered, with its own answer.

use iii::engine::Engine;
use iii::prelude::*;
use iii_tests::{until, within};

/// Gives back what it gets.
#[iii::function(id = "calls::echo")]
async fn echo(n: u64) -> u64 {
    n
}

/// How many calls wait at the same time.
const AT_A_TIME: u32 = 512;

/// `III_TEST_CALLS` says how many calls; 50,000 without it, since an unoptimised build is slow.
fn wanted() -> u64 {
    let said = std::env::var("III_TEST_CALLS").ok();
    said.map_or(50_000, |text| text.parse().expect("III_TEST_CALLS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_ever_lost() {
    let engine =
        Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
    let url = format!("ws://{}", engine.worker_addr().unwrap());
    let mut serving = App::new();
    let mut serving = serving.url(&url).name("serves").function::<echo>().start().await.unwrap();
    // The caller is a worker of its own: each call crosses the engine and two sockets.
    let mut calling = App::new();
    let mut calling = calling.url(&url).name("calls").function::<idle>().start().await.unwrap();
    let client = calling.client();
    let calls = wanted();
    let mut callers = Vec::new();
    for caller in 0..AT_A_TIME {
        let client = client.clone();
        callers.push(tokio::spawn(async move {
            let mut answered = 0;
            let mut n = u64::from(caller);
            while n < calls {
                assert_eq!(client.call::<echo>(n).await.expect("an answer"), n);
                answered += 1;
                n += u64::from(AT_A_TIME);
            }
            answered
        }));
    }
    let mut answered: u64 = 0;
    for caller in callers {
        answered += caller.await.expect("no caller fails");
    }
    assert_eq!(answered, calls);
    until("the last handler", || serving.in_flight() == 0).await;
    within("the end", async {
        calling.drain().await.unwrap();
        serving.drain().await.unwrap();
    })
    .await;
    engine.stop().await;
}

/// A worker serves something.
#[iii::function(id = "calls::idle")]
async fn idle() {}
