//! Engines that take no telemetry, or go away: handlers do not notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use iii_tests::{engine, until, within, worker};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Stands before an engine, and turns telemetry away for as long as it is told to.
#[derive(Clone, Default)]
struct Door {
    open: Arc<AtomicBool>,
    turned_away: Arc<AtomicUsize>,
}

impl Door {
    async fn before(&self, engine: SocketAddr) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let door = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(door.clone().pass(socket, engine));
            }
        });
        url
    }

    async fn pass(self, mut socket: TcpStream, engine: SocketAddr) {
        let mut first = vec![0; 9];
        if socket.read_exact(&mut first).await.is_err() {
            return;
        }
        if first == b"GET /otel" && !self.open.load(Ordering::Relaxed) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut engine = TcpStream::connect(engine).await.expect("the engine listens");
        engine.write_all(&first).await.expect("the engine reads");
        let _ = tokio::io::copy_bidirectional(&mut socket, &mut engine).await;
    }
}

#[tokio::test]
async fn telemetry_that_nobody_takes_holds_nothing_up_and_comes_later() {
    let engine = engine().await;
    let door = Door::default();
    let url = door.before(engine.worker_addr().unwrap()).await;
    let mut front = start_at(&url, "front", serving::<refuse>).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    until("an attempt", || door.turned_away.load(Ordering::Relaxed) > 0).await;
    within("all answers", async {
        for _ in 0..500 {
            let error = peer.call("shop::refuse", json!({"sku": "tea"})).await.unwrap_err();
            assert_eq!(error["code"], "shop/refused");
        }
    })
    .await;
    door.open.store(true, Ordering::Relaxed);
    assert_eq!(spans(&mut peer, "execute shop::refuse", 500).await.len(), 500);
    within("the end", front.drain()).await.unwrap();
    engine.stop().await;
}

#[tokio::test]
async fn a_worker_leaves_in_time_although_nobody_takes_its_telemetry() {
    let engine = engine().await;
    let door = Door::default();
    let url = door.before(engine.worker_addr().unwrap()).await;
    let mut front = start_at(&url, "front", serving::<refuse>).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    peer.call("shop::refuse", json!({"sku": "tea"})).await.unwrap_err();
    let begun = std::time::Instant::now();
    within("the end", front.drain()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    engine.stop().await;
}
