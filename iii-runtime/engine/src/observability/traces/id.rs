//! Ids of traces and spans: hexadecimal on the wire, numbers in memory (W3C Trace Context, section 3.2.2).

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
            /// Reads an id. `None`: the text is none, or all of it is zero, which stands for no id.
            pub(crate) fn read(text: &str) -> Option<Self> {
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
                Self::read(&text).ok_or_else(|| {
                    D::Error::custom(format_args!(
                        concat!("expected an id of ", $digits, " hexadecimal digits, not `{}`"),
                        text
                    ))
                })
            }
        }
    };
}

hex_id! {
    /// The id of a trace.
    TraceId, u128, 32
}
hex_id! {
    /// The id of a span in its trace.
    SpanId, u64, 16
}

impl TraceId {
    /// A new random id.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().as_u128())
    }

    /// The trace of a `traceparent`: `version-trace-span-flags`.
    pub(crate) fn of_traceparent(traceparent: &str) -> Option<Self> {
        Self::read(traceparent.split('-').nth(1)?)
    }
}

impl SpanId {
    /// A new random id.
    pub(crate) fn random() -> Self {
        // The lower half of a random UUID has two fixed bits, so it is never zero.
        Self(Uuid::new_v4().as_u64_pair().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written_in_hex() {
        let text = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(TraceId::read(text).unwrap().to_string(), text);
        assert_eq!(TraceId::read(&text.to_uppercase()), TraceId::read(text));
        assert_eq!(SpanId::read("00f067aa0ba902b7").unwrap().to_string(), "00f067aa0ba902b7");
        for bad in ["", "0", "+af7651916cd43dd", "0000000000000000", "00f067aa0ba902bg"] {
            assert_eq!(SpanId::read(bad), None, "{bad}");
        }
        let header = format!("00-{text}-00f067aa0ba902b7-01");
        assert_eq!(TraceId::of_traceparent(&header), TraceId::read(text));
        assert_eq!(TraceId::of_traceparent("00"), None);
    }
}
