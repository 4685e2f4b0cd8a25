//! Trace ids and span ids: hexadecimal on the wire, integers in memory (W3C Trace Context, section 3.2.2).

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $number:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) $number);

        impl $name {
            /// Parses an id. Returns `None` for an invalid id, which includes an id of zeros only.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                let digits = text.len() == $digits && text.bytes().all(|b| b.is_ascii_hexdigit());
                let number = <$number>::from_str_radix(text, 16).ok().filter(|_| digits)?;
                (number != 0).then_some(Self(number))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| {
                    D::Error::custom(format_args!(
                        concat!("expected an id of ", $digits, " hexadecimal digits, found `{}`"),
                        text
                    ))
                })
            }
        }
    };
}

hex_id! {
    /// A trace id.
    TraceId, u128, 32
}
hex_id! {
    /// A span id, unique in its trace.
    SpanId, u64, 16
}

impl TraceId {
    /// Generates a random id.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().as_u128())
    }

    /// Returns the trace id of a `traceparent`.
    pub(crate) fn from_traceparent(traceparent: &str) -> Option<Self> {
        Self::parse(traceparent.split('-').nth(1)?)
    }
}

impl SpanId {
    /// Generates a random id.
    pub(crate) fn random() -> Self {
        // The lower half of a random UUID has two fixed bits, so it is never zero.
        Self(Uuid::new_v4().as_u64_pair().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_and_formatted_as_hex() {
        let text = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(TraceId::parse(text).unwrap().to_string(), text);
        assert_eq!(TraceId::parse(&text.to_uppercase()), TraceId::parse(text));
        assert_eq!(SpanId::parse("00f067aa0ba902b7").unwrap().to_string(), "00f067aa0ba902b7");
        for bad in ["", "0", "+af7651916cd43dd", "0000000000000000", "00f067aa0ba902bg"] {
            assert_eq!(SpanId::parse(bad), None, "{bad}");
        }
        let header = format!("00-{text}-00f067aa0ba902b7-01");
        assert_eq!(TraceId::from_traceparent(&header), TraceId::parse(text));
        assert_eq!(TraceId::from_traceparent("00"), None);
    }
}
