//! The wire protocol: messages, raw payloads, error bodies and ids, and their JSON encoding.
#![doc = ""]
#![doc = include_str!("../docs/protocol.md")]

mod channel;
mod codec;
mod error_body;
mod from_any;
mod ids;
mod invalid;
mod message;
mod payload;
mod write;

pub use channel::{ChannelDirection, ChannelRef};
pub use codec::{DecodeError, decode, encode};
pub use codec::{with_caller, without_caller};
pub use error_body::ErrorBody;
pub use ids::{FunctionId, InvocationId, Namespace, TriggerId, TriggerTypeId, WorkerId};
pub use invalid::{FrameSubject, InvalidFrame};
pub use message::{
    Action, HttpInvocation, InvocationResult, InvokeFunction, Message, RegisterFunction,
    RegisterService, RegisterTrigger, RegisterTriggerType, RegistrationRejected,
    TriggerRegistrationResult,
};
pub use payload::Payload;
pub use payload::fields;
pub use write::push_json_string;
pub use write::push_json_uuid;

/// The default namespace ([protocol 3.10](crate::protocol#s3-10)).
pub const DEFAULT_NAMESPACE: &str = "default";
