//! Creation of channels, and ends from channel references.

use std::future::IntoFuture;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::{Error, Result, code};
use serde::{Deserialize, Serialize};

use super::{Call, Client, payload};
use crate::channel::{self, Channel, ChannelReader, ChannelWriter};
use crate::session::{CallRequest, Session};

/// Creates a channel when it is awaited.
#[must_use = "a channel is created when it is awaited"]
#[derive(Debug)]
pub struct ChannelBuilder {
    session: Arc<Session>,
    buffer: Option<u64>,
}

impl ChannelBuilder {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, buffer: None }
    }

    /// Sets how many messages the engine buffers, from 1 to 1024. Default: 64. The writer waits while the buffer is full.
    pub fn buffer(mut self, messages: u32) -> Self {
        self.buffer = Some(messages.into());
        self
    }
}

impl IntoFuture for ChannelBuilder {
    type Output = Result<Channel>;
    type IntoFuture = BoxFuture<'static, Result<Channel>>;

    fn into_future(self) -> Self::IntoFuture {
        #[derive(Serialize)]
        struct CreateInput {
            #[serde(skip_serializing_if = "Option::is_none")]
            buffer_size: Option<u64>,
        }
        #[derive(Deserialize)]
        struct ChannelEnds {
            writer: ChannelRef,
            reader: ChannelRef,
        }
        Box::pin(async move {
            let Self { session, buffer } = self;
            let data = payload(&CreateInput { buffer_size: buffer })?;
            let request = CallRequest::builtin("engine::channels::create", data);
            let ChannelEnds { writer, reader } = Call::new(session.clone(), Ok(request)).await?;
            Ok(Channel {
                writer: ChannelWriter::new(writer, Some(session.clone())),
                reader: ChannelReader::new(reader, Some(session)),
            })
        })
    }
}

impl ChannelReader {
    /// The reading end of a channel reference, opened through the connection of `client`.
    ///
    /// # Errors
    ///
    /// [`invalid_argument`](code::INVALID_ARGUMENT) if the reference is of a writing end.
    pub fn attach(channel_ref: ChannelRef, client: &Client) -> Result<Self> {
        check_direction(&channel_ref, ChannelDirection::Read)?;
        Ok(Self::new(channel_ref, Some(client.session.clone())))
    }
}

impl ChannelWriter {
    /// The writing end of a channel reference, opened through the connection of `client`.
    ///
    /// # Errors
    ///
    /// [`invalid_argument`](code::INVALID_ARGUMENT) if the reference is of a reading end.
    pub fn attach(channel_ref: ChannelRef, client: &Client) -> Result<Self> {
        check_direction(&channel_ref, ChannelDirection::Write)?;
        Ok(Self::new(channel_ref, Some(client.session.clone())))
    }
}

fn check_direction(channel_ref: &ChannelRef, expected: ChannelDirection) -> Result<()> {
    channel::check_direction(channel_ref, expected)
        .map_err(|text| Error::new(code::INVALID_ARGUMENT, text))
}
