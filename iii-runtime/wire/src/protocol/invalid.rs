//! Invalid frames: what of one is still readable, to answer its sender.

use bytestring::ByteString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{
    DecodeError, ErrorBody, FunctionId, InvocationId, InvocationResult, Message, TriggerId,
    TriggerRegistrationResult, TriggerTypeId,
};
use crate::code;

/// A frame that could not be decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidFrame {
    /// The reason, with the code `invalid_message`.
    pub error: ErrorBody,
    /// What the frame was about, as far as it is readable.
    pub subject: FrameSubject,
}

/// The subject of an invalid frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameSubject {
    /// A call, whose caller waits for a response.
    Call {
        /// The id of the call.
        invocation_id: InvocationId,
        /// The function; empty if unreadable.
        function_id: FunctionId,
    },
    /// The registration of a trigger, which fails.
    Binding {
        /// The trigger.
        id: TriggerId,
        /// Its type.
        trigger_type: TriggerTypeId,
        /// The function; empty if unreadable.
        function_id: FunctionId,
    },
    /// Another or an unreadable message.
    Unknown,
}

/// The fields that identify the subject of a frame, with any content.
#[derive(Default, Deserialize)]
struct FrameOutline<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    invocation_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    trigger_type: Option<&'a RawValue>,
}

impl InvalidFrame {
    /// Creates the description of a frame that could not be decoded.
    #[inline]
    pub fn new(frame: &ByteString, error: &DecodeError) -> Self {
        Self { error: body(error.to_string()), subject: FrameSubject::of(frame) }
    }

    /// Creates the description of a binary frame that is not UTF-8.
    #[inline]
    pub fn not_utf8() -> Self {
        Self { error: body("the frame is not UTF-8".to_owned()), subject: FrameSubject::Unknown }
    }

    /// Returns the reply to the sender. SDKs fail the call, report the rejected trigger, and ignore other errors.
    #[must_use]
    pub fn into_reply(self) -> Message {
        let Self { error, subject } = self;
        match subject {
            FrameSubject::Call { invocation_id, function_id } => {
                Message::InvocationResult(Box::new(InvocationResult {
                    invocation_id,
                    function_id,
                    result: Err(error),
                    traceparent: None,
                    baggage: None,
                }))
            }
            FrameSubject::Binding { id, trigger_type, function_id } => {
                Message::TriggerRegistrationResult(Box::new(TriggerRegistrationResult {
                    id,
                    trigger_type,
                    function_id,
                    error: Some(error),
                }))
            }
            FrameSubject::Unknown => Message::Error(Box::new(error)),
        }
    }
}

impl FrameSubject {
    fn of(frame: &ByteString) -> Self {
        let outline: FrameOutline<'_> = serde_json::from_str(frame).unwrap_or_default();
        let text = |field| read::<String>(field).unwrap_or_default();
        match text(outline.kind).as_str() {
            "invokefunction" => match read(outline.invocation_id) {
                Some(invocation_id) => {
                    Self::Call { invocation_id, function_id: text(outline.function_id).into() }
                }
                None => Self::Unknown,
            },
            "registertrigger" => match (read::<String>(outline.id), read(outline.trigger_type)) {
                (Some(id), Some(trigger_type)) => Self::Binding {
                    id: id.into(),
                    trigger_type,
                    function_id: text(outline.function_id).into(),
                },
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

fn read<T: DeserializeOwned>(field: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

fn body(message: String) -> ErrorBody {
    ErrorBody::new(code::INVALID_MESSAGE, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{decode, encode};

    /// The reply to a frame.
    fn answer(frame: &str) -> Message {
        let frame = ByteString::from(frame);
        InvalidFrame::new(&frame, &decode(&frame).unwrap_err()).into_reply()
    }

    #[test]
    fn invalid_call_gets_an_invocation_result() {
        let id = "7bf22097-7be4-48e5-a329-5a504bc71e09";
        for rest in [
            r#""function_id":"a::b","action":{"type":"later"}"#,
            r#""function_id":"a::b","namespace":5"#,
            r#""function_id":5"#,
            r#""data":{}"#,
        ] {
            let frame = format!(r#"{{"type":"invokefunction","invocation_id":"{id}",{rest}}}"#);
            let Message::InvocationResult(answer) = answer(&frame) else { panic!("{frame}") };
            assert_eq!(answer.invocation_id.to_string(), id);
            assert_eq!(answer.result.unwrap_err().code, code::INVALID_MESSAGE);
            assert_eq!(answer.function_id == "a::b", rest.contains("a::b"));
        }
    }

    #[test]
    fn invalid_trigger_registration_is_rejected() {
        let frame = r#"{"type":"registertrigger","id":"t","trigger_type":"http","config":{}}"#;
        let Message::TriggerRegistrationResult(answer) = answer(frame) else { panic!() };
        assert_eq!((answer.id.as_str(), answer.trigger_type.as_str()), ("t", "http"));
        let error = answer.error.unwrap();
        assert_eq!(error.code, code::INVALID_MESSAGE);
        assert!(error.message.contains("`function_id`"), "{error}");
    }

    #[test]
    fn other_invalid_frames_get_an_error() {
        for (frame, word) in [
            ("{", "not a protocol message"),
            ("[1]", "not a protocol message"),
            (r#"{"type":"nobody"}"#, "`nobody`"),
            (r#"{"type":"registerfunction"}"#, "`id`"),
            (r#"{"type":"invokefunction","invocation_id":"7"}"#, "not a protocol message"),
        ] {
            let message = answer(frame);
            let Message::Error(error) = &message else { panic!("{frame}: {message:?}") };
            assert_eq!(error.code, code::INVALID_MESSAGE);
            assert!(error.message.contains(word), "{frame}: {error}");
            let text = encode(&message);
            assert!(text.starts_with(r#"{"type":"error","error":{"code":"invalid_message","#));
        }
        assert!(matches!(InvalidFrame::not_utf8().into_reply(), Message::Error(_)));
    }
}
