//! References to the endpoints of channels, as they are passed in payloads ([protocol 7.5](crate::protocol#s7-5)).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3).
const URL_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An endpoint of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelDirection {
    /// The reading endpoint.
    Read,
    /// The writing endpoint.
    Write,
}

impl ChannelDirection {
    /// Returns the name on the wire.
    #[inline]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A reference that opens one endpoint of a channel; it may be passed in payloads.
///
/// A reference is a secret: its holder can open the endpoint, once. Both references of a channel carry the same key, as
/// SDKs expect, so the holder of one can open either endpoint.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "StreamChannelRef")]
pub struct ChannelRef {
    /// The id of the channel.
    pub channel_id: String,
    /// The secret key of the channel.
    pub access_key: String,
    /// The endpoint.
    pub direction: ChannelDirection,
}

impl ChannelRef {
    /// Returns the path and the query relative to the URL of the engine ([protocol 7.2](crate::protocol#s7-2)).
    #[inline]
    pub fn path_and_query(&self) -> String {
        let encoded = |text| utf8_percent_encode(text, URL_ENCODE_SET);
        let (id, key) = (encoded(&self.channel_id), encoded(&self.access_key));
        format!("/ws/channels/{id}?key={key}&dir={}", self.direction.as_str())
    }
}

impl std::fmt::Debug for ChannelRef {
    /// Omits the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChannelRef({} of {})", self.direction.as_str(), self.channel_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_ref_is_serialized_as_in_the_sdks() {
        let text = r#"{"channel_id":"68ede432-7ad4-4006-9a38-69e589b1e19c","access_key":"c45f11b9-9587-45f3-b447-2c2d2e9998b0","direction":"write"}"#;
        let at: ChannelRef = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&at).unwrap(), text);
        assert!(!format!("{at:?}").contains("c45f11b9"), "the key must be omitted");
    }

    #[test]
    fn reserved_characters_of_the_key_are_encoded() {
        let at = ChannelRef {
            channel_id: "a-1".to_owned(),
            access_key: "b/c&d".to_owned(),
            direction: ChannelDirection::Read,
        };
        assert_eq!(at.path_and_query(), "/ws/channels/a-1?key=b%2Fc%26d&dir=read");
    }
}
