//! Creating channels.

use std::future::IntoFuture;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::{Error, Result, code};
use serde::{Deserialize, Serialize};

use super::{Call, Client, payload};
use crate::channel::{self, Channel, ChannelReader, ChannelWriter};
use crate::session::{CallRequest, Session};

/// Makes a channel when it is awaited.
#[must_use = "a channel is made when it is awaited"]
#[derive(Debug)]
pub struct ChannelBuilder {
    session: Arc<Session>,
    buffer: Option<u64>,
}

impl ChannelBuilder {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, buffer: None }
    }

    /// How many messages may wait in the engine, from 1 to 1024. Default 64. While it is full, the writer waits.
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
        struct Create {
            #[serde(skip_serializing_if = "Option::is_none")]
            buffer_size: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Refs {
            writer: ChannelRef,
            reader: ChannelRef,
        }
        Box::pin(async move {
            let Self { session, buffer } = self;
            let data = payload(&Create { buffer_size: buffer })?;
            let request = CallRequest::builtin("engine::channels::create", data);
            let Refs { writer, reader } = Call::new(session.clone(), Ok(request)).await?;
            Ok(Channel {
                writer: ChannelWriter::new(writer, Some(session.clone())),
                reader: ChannelReader::new(reader, Some(session)),
            })
        })
    }
}

impl ChannelReader {
    /// The reading end that `at` opens, through the connection of `client`.
    ///
    /// # Errors
    ///
    /// [`invalid_argument`](code::INVALID_ARGUMENT) if it opens the writing end.
    pub fn attach(at: ChannelRef, client: &Client) -> Result<Self> {
        check_direction(&at, ChannelDirection::Read)?;
        Ok(Self::new(at, Some(client.session.clone())))
    }
}

impl ChannelWriter {
    /// The writing end that `at` opens, through the connection of `client`.
    ///
    /// # Errors
    ///
    /// [`invalid_argument`](code::INVALID_ARGUMENT) if it opens the reading end.
    pub fn attach(at: ChannelRef, client: &Client) -> Result<Self> {
        check_direction(&at, ChannelDirection::Write)?;
        Ok(Self::new(at, Some(client.session.clone())))
    }
}

fn check_direction(at: &ChannelRef, wanted: ChannelDirection) -> Result<()> {
    channel::check_direction(at, wanted).map_err(|text| Error::new(code::INVALID_ARGUMENT, text))
}
