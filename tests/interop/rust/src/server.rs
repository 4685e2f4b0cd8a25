//! Owns the server for the mixed run: what each of the four workers offers, here in Rust.

use std::sync::{Arc, Mutex};

use iii_sdk::helpers::create_stream;
use iii_sdk::protocol::{RegisterTriggerInput, TriggerRequest};
use iii_sdk::{IIIClient, TriggerAction};
use serde_json::{json, Value};

use crate::channels::{pattern, read_all};
use crate::kit::{call, connect, handler, plain};
use crate::routes::{reader, writer};
use crate::streams::Shelf;
use crate::types::Bell;

/// What triggers and queues have brought, by kind.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(&'static str, Value)>>>);

impl Heard {
    /// A function that remembers what it gets, and what it is bound to.
    fn function(&self, worker: &IIIClient, id: &str, kind: &'static str, bindings: &[(&str, Value)]) {
        let heard = self.clone();
        let remember = plain(move |data| {
            heard.0.lock().unwrap().push((kind, data));
            Value::Null
        });
        worker.register_function(id, remember);
        for (kind, config) in bindings {
            let input = RegisterTriggerInput::new(*kind, id, config.clone());
            worker.register_trigger(input).expect("the binding is sent");
        }
    }

    fn of(&self, wanted: &Value) -> Value {
        self.0.lock().unwrap().iter().filter(|(kind, _)| wanted == kind).map(|(_, data)| data.clone()).collect()
    }
}

pub async fn serve() {
    let worker = connect("rust-server", None);
    hear(&worker);
    relay(&worker);
    pass_channels(&worker);

    let bell = Bell::new(worker.clone());
    bell.offer("bell-rust");
    let ring = handler(move |data, _| {
        let bell = bell.clone();
        async move { bell.ring(data["data"].clone()).await.map(|()| Value::Null) }
    });
    worker.register_function("ring::rust", ring);
    create_stream(&worker, "shelf-rust", Shelf::default());
    worker.register_function("alive::rust", plain(|_| json!({"status_code": 200, "body": "rust"})));
    let route = RegisterTriggerInput::new("http", "alive::rust", json!({"api_path": "/alive/rust"}));
    worker.register_trigger(route).expect("the binding is sent");
    println!("serving rust");
    std::future::pending::<()>().await;
}

fn hear(worker: &IIIClient) {
    let heard = Heard::default();
    heard.function(worker, "note::rust", "job", &[]);
    heard.function(worker, "news::rust", "news", &[("subscribe", json!({"topic": "mixed.news"}))]);
    heard.function(worker, "order::rust", "order", &[("durable:subscriber", json!({"topic": "mixed.orders"}))]);
    heard.function(worker, "changed::rust", "state", &[("state", json!({"scope": "mixed"}))]);
    let streams = ["mixed", "shelf-python", "shelf-node", "shelf-rust"];
    heard.function(worker, "item::rust", "item", &streams.map(|name| ("stream", json!({"stream_name": name}))));
    let bells = ["bell-python", "bell-node", "bell-rust"];
    heard.function(worker, "rung::rust", "rung", &bells.map(|bell| (bell, json!({"tune": "rust"}))));
    worker.register_function("heard::rust", plain(move |wanted| heard.of(&wanted["kind"])));
}

fn relay(worker: &IIIClient) {
    let caller = worker.clone();
    let relay = handler(move |data, _| {
        let caller = caller.clone();
        async move {
            let route = data["route"].as_array().cloned().unwrap_or_default();
            let Some((next, rest)) = route.split_first() else { return Ok(json!({"by": ["rust"]})) };
            let answer = call(&caller, next.as_str().unwrap(), json!({"route": rest})).await?;
            let mut by = vec![json!("rust")];
            by.extend(answer["by"].as_array().cloned().unwrap_or_default());
            Ok(json!({"by": by}))
        }
    });
    worker.register_function("relay::rust", relay);
    let caller = worker.clone();
    let errand = handler(move |data, _| {
        let caller = caller.clone();
        async move {
            let function = data["function_id"].as_str().unwrap();
            let action = data["queue"].as_str().map(|queue| TriggerAction::Enqueue { queue: queue.into() });
            caller.trigger(TriggerRequest { action, ..TriggerRequest::new(function, data["payload"].clone()) }).await
        }
    });
    worker.register_function("do::rust", errand);
    worker.register_function("echo::rust", plain(|data| json!({"text": data["text"]})));
}

fn pass_channels(worker: &IIIClient) {
    let source = handler(|data, _| async move {
        let into = writer(&data, "into");
        for text in data["texts"].as_array().unwrap() {
            into.send_message(text.as_str().unwrap()).await?;
        }
        into.write(&pattern()).await?;
        into.close().await?;
        Ok(Value::Null)
    });
    worker.register_function("source::rust", source);
    let pipe = handler(|data, _| async move {
        let (from, into) = (reader(&data, "from"), writer(&data, "into"));
        let texts = Arc::new(Mutex::new(Vec::new()));
        let heard = texts.clone();
        from.on_message(move |text| heard.lock().unwrap().push(text)).await;
        while let Some(chunk) = from.next_binary().await? {
            let before = std::mem::take(&mut *texts.lock().unwrap());
            for text in before {
                into.send_message(&text).await?;
            }
            into.write(&chunk).await?;
        }
        into.close().await?;
        Ok(Value::Null)
    });
    worker.register_function("pipe::rust", pipe);
    let sink = handler(|data, _| async move {
        let (body, texts) = read_all(&reader(&data, "from")).await?;
        Ok(json!({"intact": body == pattern(), "texts": texts}))
    });
    worker.register_function("sink::rust", sink);
}
