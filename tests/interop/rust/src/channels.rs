//! Owns the checks of channels: binary and text, more than one frame, both directions.

use std::sync::{Arc, Mutex};

use iii_sdk::channel::ChannelReader;
use iii_sdk::helpers::{create_channel, extract_channel_refs};
use iii_sdk::Error;
use serde_json::{json, Value};

use crate::kit::{checks, handler, variable, Kit};
use crate::routes::{reader, writer};

checks! {
    "channels/read" => read;
    "channels/write" => write;
    "channels/both-ways" => both_ways;
}

/// Data that shows where a piece of it is missing.
pub fn pattern() -> Vec<u8> {
    (0..300_000).map(|n| (n % 251) as u8).collect()
}

/// Everything of a channel: the bytes and the texts.
pub async fn read_all(reader: &ChannelReader) -> Result<(Vec<u8>, Vec<String>), Error> {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let heard = texts.clone();
    reader.on_message(move |text| heard.lock().unwrap().push(text)).await;
    let body = reader.read_all().await?;
    let texts = texts.lock().unwrap().clone();
    Ok((body, texts))
}

async fn read(kit: &mut Kit) {
    // The function reads what the caller writes.
    let sink = handler(|data, _| async move {
        let (body, texts) = read_all(&reader(&data, "from")).await?;
        Ok(json!({"bytes": body.len(), "intact": body == pattern()[..body.len()], "texts": texts}))
    });
    kit.serve("rs::sink", sink).await;
    for (size, texts) in [(10, vec![]), (300_000, vec!["one", "zwei", "ü"])] {
        let channel = create_channel(&kit.two, None).await.unwrap();
        let send = async {
            for text in &texts {
                channel.writer.send_message(text).await.unwrap();
            }
            channel.writer.write(&pattern()[..size]).await.unwrap();
            channel.writer.close().await.unwrap();
        };
        let (answer, ()) = tokio::join!(kit.call("rs::sink", json!({"from": channel.reader_ref})), send);
        assert_eq!(answer, json!({"bytes": size, "intact": true, "texts": texts}));
    }
}

async fn write(kit: &mut Kit) {
    // The caller reads what the function writes.
    let source = handler(|data, _| async move {
        let refs = extract_channel_refs(&data);
        assert_eq!(refs[0].0, "nested.into");
        let into = iii_sdk::channel::ChannelWriter::new(&variable("III_URL"), &refs[0].1);
        into.send_message("first").await?;
        into.write(&pattern()).await?;
        into.close().await?;
        Ok(json!("written"))
    });
    kit.serve("rs::source", source).await;
    let channel = create_channel(&kit.two, Some(4)).await.unwrap();
    let payload = json!({"nested": {"into": channel.writer_ref}});
    let (answer, read) = tokio::join!(kit.call("rs::source", payload), read_all(&channel.reader));
    let (body, texts) = read.unwrap();
    assert!(body == pattern());
    assert_eq!((answer, texts), (json!("written"), vec!["first".to_owned()]));
}

async fn both_ways(kit: &mut Kit) {
    // One call with two channels: what comes in goes out again, chunk by chunk.
    let pipe = handler(|data, _| async move {
        let (from, into) = (reader(&data, "from"), writer(&data, "into"));
        while let Some(chunk) = from.next_binary().await? {
            into.write(&chunk).await?;
        }
        into.close().await?;
        Ok(Value::Null)
    });
    kit.serve("rs::pipe", pipe).await;
    let there = create_channel(&kit.two, None).await.unwrap();
    let back = create_channel(&kit.two, None).await.unwrap();
    let payload = json!({"from": there.reader_ref, "into": back.writer_ref});
    let write = async {
        for _ in 0..10 {
            there.writer.write(&pattern()).await.unwrap();
        }
        there.writer.close().await.unwrap();
    };
    let (_, (), body) = tokio::join!(kit.call("rs::pipe", payload), write, back.reader.read_all());
    assert!(body.unwrap() == pattern().repeat(10));
}
