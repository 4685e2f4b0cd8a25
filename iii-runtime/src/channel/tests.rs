//! Tests of channel ends over the in-process transport; `tests/tests/channels.rs` tests them over sockets.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::socket::LazySocket;
use super::*;
use crate::session::Session;
use iii_engine::Engine;
use iii_wire::code;
use iii_wire::protocol::{ChannelDirection, ChannelRef, Namespace, Payload};
use serde::Deserialize;

/// An engine, and one of its channels.
async fn channel() -> (Engine, Channel) {
    let engine = Engine::builder().without_listeners().start().await.unwrap();
    let local = engine.local();
    #[derive(Deserialize)]
    struct Refs {
        writer: ChannelRef,
        reader: ChannelRef,
    }
    let size = Payload::from_json(r#"{"buffer_size":2}"#).unwrap();
    let refs = engine.call("engine::channels::create", size).await.unwrap();
    let Refs { writer, reader } = refs.unwrap().parse().unwrap();
    let session = Session::new(Namespace::default(), Duration::from_secs(1), Arc::default());
    session.set_transport(Arc::new(local));
    let writer = ChannelWriter::new(writer, Some(session.clone()));
    (engine, Channel { writer, reader: ChannelReader::new(reader, Some(session)) })
}

/// Writes until the write fails.
async fn write_error(writer: &mut ChannelWriter) -> crate::Error {
    loop {
        match writer.send(Bytes::from_static(b"more")).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    }
}

#[tokio::test]
async fn messages_keep_their_order_and_their_boundaries() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    let long = Bytes::from(vec![7; MAX_FRAME_BYTES + 1]);
    let sending = tokio::spawn({
        let long = long.clone();
        async move {
            writer.send("first").await?;
            writer.send(long).await?;
            writer.send(Bytes::new()).await?;
            writer.finish().await
        }
    });
    assert_eq!(reader.message().await.unwrap(), Some("first".into()));
    assert_eq!(reader.message().await.unwrap(), Some(long.slice(..MAX_FRAME_BYTES).into()));
    assert_eq!(reader.message().await.unwrap(), Some(long.slice(MAX_FRAME_BYTES..).into()));
    assert_eq!(reader.message().await.unwrap(), Some(Bytes::new().into()));
    assert_eq!(reader.message().await.unwrap(), None);
    assert_eq!(reader.message().await.unwrap(), None, "the reader is fused");
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn bytes_pass_through_the_traits_of_tokio_and_of_futures() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    let sending = tokio::spawn(async move {
        writer.write_all(&[1; 200_000]).await?;
        writer.flush().await?;
        writer.feed(Bytes::from_static(b"end").into()).await?;
        writer.shutdown().await
    });
    let mut head = [0; 10];
    reader.read_exact(&mut head).await.unwrap();
    assert_eq!(head, [1; 10]);
    let Some(Ok(ChannelMessage::Binary(rest))) = reader.next().await else { panic!("bytes") };
    assert_eq!(rest.len(), MAX_FRAME_BYTES - 10, "the rest of the partially read message");
    let rest = reader.read_all().await.unwrap();
    assert_eq!(rest.len(), 200_000 - MAX_FRAME_BYTES + 3);
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_writer_is_distinguished_from_the_end() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    writer.send(Bytes::from_static(b"half")).await.unwrap();
    drop(writer);
    assert_eq!(reader.message().await.unwrap(), Some(Bytes::from_static(b"half").into()));
    assert_eq!(reader.message().await.unwrap_err().code(), code::CHANNEL_BROKEN);
    assert_eq!(reader.message().await.unwrap(), None, "the error is returned once");
}

#[tokio::test]
async fn writes_fail_when_the_reader_is_dropped() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    writer.send("x").await.unwrap();
    reader.message().await.unwrap();
    drop(reader);
    assert_eq!(write_error(&mut writer).await.code(), code::CHANNEL_BROKEN);
}

#[tokio::test]
async fn dropping_an_unused_end_breaks_the_channel() {
    let (_engine, Channel { writer, mut reader }) = channel().await;
    drop(writer);
    assert_eq!(reader.message().await.unwrap_err().code(), code::CHANNEL_BROKEN);

    let (_engine, Channel { mut writer, reader }) = channel().await;
    drop(reader);
    assert_eq!(write_error(&mut writer).await.code(), code::CHANNEL_BROKEN);
}

#[tokio::test]
async fn an_end_that_was_passed_on_may_be_dropped() {
    let (_engine, Channel { writer, mut reader }) = channel().await;
    let LazySocket::Idle(idle) = &reader.socket else { panic!("not opened yet") };
    let session = idle.session.clone().expect("a client created it");
    let text = serde_json::to_string(&writer).unwrap();
    drop(writer);
    // The attempt of the first variant must not open the end.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Either {
        Named {
            #[expect(dead_code, reason = "only attempted by the deserialiser")]
            writer: ChannelWriter,
            #[expect(dead_code, reason = "missing in the payload")]
            name: String,
        },
        Plain {
            writer: ChannelWriter,
        },
    }
    let text = format!(r#"{{"writer":{text}}}"#);
    let read =
        deserialize_with_session(Some(session), || serde_json::from_str::<Either>(&text).unwrap());
    let Either::Plain { mut writer } = read else { panic!("there is no name") };
    writer.send(Bytes::from_static(b"here")).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(reader.read_all().await.unwrap(), "here");
}

#[tokio::test]
async fn a_missing_channel_is_a_coded_error() {
    let (_engine, Channel { mut writer, reader }) = channel().await;
    let again: ChannelRef = serde_json::from_str(&serde_json::to_string(&writer).unwrap()).unwrap();
    let LazySocket::Idle(idle) = &reader.socket else { panic!("not opened yet") };
    let session = idle.session.clone();
    let mut missing = ChannelReader::new(
        ChannelRef {
            channel_id: "x".to_owned(),
            direction: ChannelDirection::Read,
            ..again.clone()
        },
        session.clone(),
    );
    assert_eq!(missing.message().await.unwrap_err().code(), code::CHANNEL_NOT_FOUND);
    writer.send("x").await.unwrap();
    let text = serde_json::to_string(&writer).unwrap_err().to_string();
    assert!(text.contains("in use"), "{text}");
    // The end is already open, so a second socket is refused.
    let mut second = ChannelWriter::new(again, session);
    assert_eq!(write_error(&mut second).await.code(), code::CHANNEL_BROKEN);
}

#[tokio::test]
async fn an_end_needs_a_worker_and_its_direction() {
    let (_engine, Channel { writer, reader }) = channel().await;
    let text = serde_json::to_string(&reader).unwrap();
    let error = serde_json::from_str::<ChannelWriter>(&text).unwrap_err().to_string();
    assert!(error.contains("expected the write end"), "{error}");
    let mut detached: ChannelReader = serde_json::from_str(&text).unwrap();
    assert_eq!(detached.message().await.unwrap_err().code(), code::NOT_CONNECTED);
    drop(writer);
}

#[tokio::test]
async fn text_among_bytes_is_an_error() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    writer.send("a").await.unwrap();
    assert_eq!(reader.read_all().await.unwrap_err().code(), code::INVALID_PAYLOAD);
    writer.send("b").await.unwrap();
    let error = reader.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}
