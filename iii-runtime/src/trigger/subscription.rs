//! The kinds `stream_join` and `stream_leave`: a client subscribes to a stream, or unsubscribes ([protocol 5.7](crate::protocol#s5-7)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};

/// A `stream_join` trigger, which has no configuration. Fires for each new subscription, and may refuse it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamJoin;

/// A `stream_leave` trigger, which has no configuration. Fires for each subscription that ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamLeave;

impl From<StreamJoin> for Binding {
    fn from(_: StreamJoin) -> Self {
        Binding::new(TriggerKind::StreamJoin, &super::EmptyConfig {}, String::new())
    }
}

impl From<StreamLeave> for Binding {
    fn from(_: StreamLeave) -> Self {
        Binding::new(TriggerKind::StreamLeave, &super::EmptyConfig {}, String::new())
    }
}

/// The event of `stream_join` and `stream_leave`. `C` is the context that the engine's auth function returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscription<C = serde_json::Value> {
    /// The id of the subscription, chosen by the client.
    pub subscription_id: String,
    /// The name of the stream.
    pub stream_name: String,
    /// The id of the group.
    pub group_id: String,
    /// The id of the item; `None` for the whole group.
    pub id: Option<String>,
    /// The context that the auth function returned for the client; `null` without an auth function.
    pub context: C,
}

/// The result of a `stream_join` function: whether the client may subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Admission {
    unauthorized: bool,
}

impl Admission {
    /// Accepts the subscription.
    pub const ALLOW: Self = Self { unauthorized: false };
    /// Refuses the subscription.
    pub const REFUSE: Self = Self { unauthorized: true };
}

impl From<bool> for Admission {
    /// `true` accepts the subscription.
    fn from(allowed: bool) -> Self {
        Self { unauthorized: !allowed }
    }
}
