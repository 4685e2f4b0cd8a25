//! Channels: one-way pipes of binary and text messages between two functions, in any two workers.

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

/// The maximum size of one binary frame, as in the SDKs of other languages ([protocol 7.3](crate::protocol#s7-3)).
pub(crate) const MAX_FRAME_BYTES: usize = 64 << 10;

/// A new channel: messages written to one end arrive at the other in order.
///
/// Keep one end and pass the other in the input of a call, or pass both. An end is opened when it is first used; both must
/// be opened within five minutes. Dropping an end that was neither used nor passed on breaks the channel, so that the other
/// end does not wait.
#[derive(Debug)]
pub struct Channel {
    /// The writing end.
    pub writer: ChannelWriter,
    /// The reading end.
    pub reader: ChannelReader,
}

/// A message of a channel. Message boundaries are preserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelMessage {
    /// A text message, by convention metadata about the data.
    Text(ByteString),
    /// A binary message: data.
    Binary(Bytes),
}

impl From<Bytes> for ChannelMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// The content of either kind of message, as a [`Response`](crate::Response) that streams a reader sends it.
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
