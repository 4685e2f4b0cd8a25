//! The kinds `stream_join` and `stream_leave`: a client subscribes to a stream, or leaves it (protocol section 5.7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};

/// What a `stream_join` trigger is told: nothing. It fires for each subscription, and may refuse it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamJoin;

/// What a `stream_leave` trigger is told: nothing. It fires for each subscription that ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamLeave;

impl From<StreamJoin> for Binding {
    fn from(_: StreamJoin) -> Self {
        Binding::new(TriggerKind::StreamJoin, &super::NoConfig {}, String::new())
    }
}

impl From<StreamLeave> for Binding {
    fn from(_: StreamLeave) -> Self {
        Binding::new(TriggerKind::StreamLeave, &super::NoConfig {}, String::new())
    }
}

/// The event of `stream_join` and `stream_leave`. `C` is what the engine's auth function said of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscription<C = serde_json::Value> {
    /// The id that the client gave the subscription.
    pub subscription_id: String,
    /// The stream.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item; `None`: all of the group.
    pub id: Option<String>,
    /// The client, as the auth function knows it; `null` without one.
    pub context: C,
}

/// What a `stream_join` function gives: whether the client may subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Admission {
    unauthorized: bool,
}

impl Admission {
    /// The client may subscribe.
    pub const ALLOW: Self = Self { unauthorized: false };
    /// The client may not.
    pub const REFUSE: Self = Self { unauthorized: true };
}

impl From<bool> for Admission {
    /// Whether the client may subscribe.
    fn from(allowed: bool) -> Self {
        Self { unauthorized: !allowed }
    }
}
