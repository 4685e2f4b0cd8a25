//! The kind `subscribe`: a message of a pub/sub topic invokes the function at most once ([protocol 5.5](crate::protocol#s5-5)).

use serde::Serialize;

use super::{Binding, TriggerKind};

/// Configuration of a `subscribe` trigger. The payload of the function is the message.
#[derive(Debug, Clone, Default)]
pub struct Subscribe {
    /// The topic.
    pub topic: &'static str,
}

impl From<Subscribe> for Binding {
    fn from(subscribe: Subscribe) -> Self {
        #[derive(Serialize)]
        struct Config<'a> {
            topic: &'a str,
        }
        let config = Config { topic: subscribe.topic };
        Binding::new(TriggerKind::Subscribe, &config, subscribe.topic)
    }
}
