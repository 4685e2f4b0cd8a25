//! Channels: one-way pipes of bytes and text between two functions, in one worker or in two, in any language.

mod reader;
mod scope;
mod socket;
#[cfg(all(test, feature = "engine"))]
mod tests;
mod writer;

use bytes::Bytes;
use bytestring::ByteString;

pub use reader::ChannelReader;
pub(crate) use scope::deserialize_with_session;
pub(crate) use socket::check_direction;
pub use writer::ChannelWriter;

/// How many bytes travel in one frame: as many as the SDKs of other languages send (protocol section 7.3).
pub(crate) const FRAME: usize = 64 << 10;

/// A new channel: what is written to one end is read from the other, in order.
///
/// Keep one end and put the other into the input of a call, or give both away. An end is opened when it is first used;
/// both must be opened within five minutes. An end that is dropped before, and was not given away, breaks the channel, so
/// that nobody waits at the other end.
#[derive(Debug)]
pub struct Channel {
    /// The end that writes.
    pub writer: ChannelWriter,
    /// The end that reads.
    pub reader: ChannelReader,
}

/// One message of a channel. Its bounds are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelMessage {
    /// Text: by custom, what is said about the data.
    Text(ByteString),
    /// Data.
    Binary(Bytes),
}

impl From<Bytes> for ChannelMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// The content, whichever kind it is: what a [`Response`](crate::Response) that streams a reader sends.
impl From<ChannelMessage> for Bytes {
    fn from(message: ChannelMessage) -> Self {
        match message {
            ChannelMessage::Text(text) => text.into_bytes(),
            ChannelMessage::Binary(bytes) => bytes,
        }
    }
}

impl From<&'static [u8]> for ChannelMessage {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Vec<u8>> for ChannelMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<String> for ChannelMessage {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for ChannelMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
