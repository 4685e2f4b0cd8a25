//! Growth: many functions with HTTP triggers come and go in no time.

use std::time::{Duration, Instant};

use iii_tests::{Peer, engine, request, worker};
use serde_json::json;

const MANY: usize = 2_000;
/// A build without optimisations takes longer, more so while other tests run.
const LIMIT: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(10) } else { Duration::from_secs(1) };

async fn send_all(peer: &mut Peer, message: impl Fn(usize) -> Vec<serde_json::Value>) -> Duration {
    let begun = Instant::now();
    for message in (0..MANY).flat_map(message) {
        peer.send(message).await;
    }
    peer.settled().await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_functions_with_routes_come_and_go_within_a_second() {
    let engine = engine().await;
    let http = engine.http_addr().unwrap();
    let mut peer = worker(&engine, "many").await;
    let came = send_all(&mut peer, |n| {
        let function = format!("many::f{n}");
        vec![
            json!({"type": "registerfunction", "id": function}),
            json!({
                "type": "registertrigger", "id": format!("t{n}"), "trigger_type": "http",
                "function_id": function, "config": {"api_path": format!("/many/{n}/:x")},
            }),
        ]
    })
    .await;
    for n in [0, MANY / 2, MANY - 1] {
        let path = format!("/many/{n}/a");
        let asked = tokio::spawn(async move { request(http, "GET", &path, None).await });
        assert_eq!(peer.serve(json!({"body": n})).await["function_id"], format!("many::f{n}"));
        assert_eq!(asked.await.unwrap().json(), n);
    }
    let went = send_all(&mut peer, |n| {
        vec![
            json!({"type": "unregistertrigger", "id": format!("t{n}")}),
            json!({"type": "unregisterfunction", "id": format!("many::f{n}")}),
        ]
    })
    .await;
    assert_eq!(request(http, "GET", "/many/0/a", None).await.status, 404);
    let info = peer.call("engine::functions::info", json!({"function_id": "many::f0"})).await;
    assert!(info.is_err());
    assert!(came < LIMIT && went < LIMIT, "they came in {came:?} and went in {went:?}");
}
