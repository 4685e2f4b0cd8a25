//! Ends of channels over the transport in this process; `tests/tests/channels.rs` has the same over sockets.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::socket::Socket;
use super::*;
use crate::session::Session;
use iii_engine::Engine;
use iii_wire::code;
use iii_wire::protocol::{ChannelDirection, ChannelRef, Namespace, Payload};
use serde::Deserialize;

/// An engine, and a channel of it.
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

/// Writes until it is told that nobody reads.
async fn refused(writer: &mut ChannelWriter) -> crate::Error {
    loop {
        match writer.send(Bytes::from_static(b"more")).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    }
}

#[tokio::test]
async fn messages_keep_their_order_and_their_bounds() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    let long = Bytes::from(vec![7; FRAME + 1]);
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
    assert_eq!(reader.message().await.unwrap(), Some(long.slice(..FRAME).into()));
    assert_eq!(reader.message().await.unwrap(), Some(long.slice(FRAME..).into()));
    assert_eq!(reader.message().await.unwrap(), Some(Bytes::new().into()));
    assert_eq!(reader.message().await.unwrap(), None);
    assert_eq!(reader.message().await.unwrap(), None, "the end may be asked for again");
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn bytes_flow_through_the_traits_of_tokio_and_of_futures() {
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
    assert_eq!(rest.len(), FRAME - 10, "what is left of the message that was begun");
    let rest = reader.read_all().await.unwrap();
    assert_eq!(rest.len(), 200_000 - FRAME + 3);
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_writer_that_leaves_early_is_told_from_the_end() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    writer.send(Bytes::from_static(b"half")).await.unwrap();
    drop(writer);
    assert_eq!(reader.message().await.unwrap(), Some(Bytes::from_static(b"half").into()));
    assert_eq!(reader.message().await.unwrap_err().code(), code::CHANNEL_BROKEN);
    assert_eq!(reader.message().await.unwrap(), None, "it is told once");
}

#[tokio::test]
async fn a_writer_hears_that_nobody_reads() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    writer.send("x").await.unwrap();
    reader.message().await.unwrap();
    drop(reader);
    assert_eq!(refused(&mut writer).await.code(), code::CHANNEL_BROKEN);
}

#[tokio::test]
async fn an_end_that_is_dropped_before_its_use_is_seen_at_the_other_end() {
    let (_engine, Channel { writer, mut reader }) = channel().await;
    drop(writer);
    assert_eq!(reader.message().await.unwrap_err().code(), code::CHANNEL_BROKEN);

    let (_engine, Channel { mut writer, reader }) = channel().await;
    drop(reader);
    assert_eq!(refused(&mut writer).await.code(), code::CHANNEL_BROKEN);
}

#[tokio::test]
async fn an_end_that_is_given_away_may_be_dropped() {
    let (_engine, Channel { writer, mut reader }) = channel().await;
    let Socket::Idle(idle) = &reader.socket else { panic!("not opened yet") };
    let session = idle.session.clone().expect("it was made by a client");
    let text = serde_json::to_string(&writer).unwrap();
    drop(writer);
    // Trying what it could be takes it from nobody.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Either {
        Named {
            #[expect(dead_code, reason = "it is there to be tried")]
            writer: ChannelWriter,
            #[expect(dead_code, reason = "it is not in the text")]
            name: String,
        },
        Plain {
            writer: ChannelWriter,
        },
    }
    let text = format!(r#"{{"writer":{text}}}"#);
    let read = deserialize_with_session(Some(session), || serde_json::from_str::<Either>(&text).unwrap());
    let Either::Plain { mut writer } = read else { panic!("there is no name") };
    writer.send(Bytes::from_static(b"here")).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(reader.read_all().await.unwrap(), "here");
}

#[tokio::test]
async fn a_channel_that_is_not_there_is_a_coded_error() {
    let (_engine, Channel { mut writer, reader }) = channel().await;
    let again: ChannelRef = serde_json::from_str(&serde_json::to_string(&writer).unwrap()).unwrap();
    let Socket::Idle(idle) = &reader.socket else { panic!("not opened yet") };
    let session = idle.session.clone();
    let mut none = ChannelReader::new(
        ChannelRef {
            channel_id: "x".to_owned(),
            direction: ChannelDirection::Read,
            ..again.clone()
        },
        session.clone(),
    );
    assert_eq!(none.message().await.unwrap_err().code(), code::CHANNEL_NOT_FOUND);
    writer.send("x").await.unwrap();
    let text = serde_json::to_string(&writer).unwrap_err().to_string();
    assert!(text.contains("in use"), "{text}");
    // The side is taken: there is nobody to write to.
    let mut second = ChannelWriter::new(again, session);
    assert_eq!(refused(&mut second).await.code(), code::CHANNEL_BROKEN);
}

#[tokio::test]
async fn ends_need_a_worker_and_the_right_side() {
    let (_engine, Channel { writer, reader }) = channel().await;
    let text = serde_json::to_string(&reader).unwrap();
    let error = serde_json::from_str::<ChannelWriter>(&text).unwrap_err().to_string();
    assert!(error.contains("the side that can write is wanted"), "{error}");
    let mut detached: ChannelReader = serde_json::from_str(&text).unwrap();
    assert_eq!(detached.message().await.unwrap_err().code(), code::NOT_CONNECTED);
    drop(writer);
}

#[tokio::test]
async fn text_among_bytes_is_no_silent_loss() {
    let (_engine, Channel { mut writer, mut reader }) = channel().await;
    writer.send("a").await.unwrap();
    assert_eq!(reader.read_all().await.unwrap_err().code(), code::INVALID_PAYLOAD);
    writer.send("b").await.unwrap();
    let error = reader.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}
