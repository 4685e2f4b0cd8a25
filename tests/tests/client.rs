//! A client without a worker: `Client::connect` against an engine over a WebSocket.

use std::time::{Duration, Instant};

use iii::{Client, code};
use iii_tests::{engine, worker_url};

#[tokio::test]
async fn a_client_without_a_worker_calls_reads_state_and_closes() {
    let engine = engine().await;
    let client = Client::connect(worker_url(&engine)).name("shell").await.unwrap();
    client.state::<u64>("orders").set("count", &7).await.unwrap();
    assert_eq!(client.state::<u64>("orders").get("count").await.unwrap(), Some(7));

    let workers = client.workers().await.unwrap();
    assert!(workers.iter().any(|worker| worker.name.as_deref() == Some("shell")), "{workers:?}");

    let clone = client.clone();
    client.close().await;
    let error = clone.call_raw::<iii::Payload>("state::list", &()).await.unwrap_err();
    assert_eq!(error.code(), code::SHUTTING_DOWN);
    client.close().await;
}

#[tokio::test]
async fn the_last_clone_closes_the_connection() {
    let engine = engine().await;
    let watching = Client::connect(worker_url(&engine)).name("watching").await.unwrap();
    let client = Client::connect(worker_url(&engine)).name("short").await.unwrap();
    drop(client);
    let deadline = Instant::now() + iii_tests::DEADLINE;
    loop {
        let workers = watching.workers().await.unwrap();
        if !workers.iter().any(|worker| worker.name.as_deref() == Some("short")) {
            break;
        }
        assert!(Instant::now() < deadline, "still connected: {workers:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_connect_is_a_coded_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    let soon = Duration::from_millis(200);
    let error = Client::connect(&url).connect_timeout(soon).await.unwrap_err();
    assert_eq!(error.code(), code::CONNECT_FAILED);
    assert!(error.message().contains(&url), "{error}");
    for (builder, expected) in [
        (Client::connect("http://127.0.0.1"), "ws://"),
        (Client::connect(&url).name(" "), "name"),
        (Client::connect(&url).header("a b", "c"), "a b"),
    ] {
        let error = builder.await.unwrap_err();
        assert_eq!(error.code(), code::INVALID_CONFIGURATION);
        assert!(error.message().contains(expected), "{error}");
    }
}
