//! The kind `stream`: a change of a stream invokes the function ([protocol 5.7](crate::protocol#s5-7)).

use serde::Serialize;

pub use iii_wire::event::{StreamChange, StreamEvent};

use super::{Binding, FunctionRef, TriggerKind, condition_id};

/// Configuration of a `stream` trigger.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// The name of the stream.
    pub name: &'static str,
    /// Limits the trigger to one group. Default: all.
    pub group: Option<&'static str>,
    /// Limits the trigger to one item. Default: all.
    pub item: Option<&'static str>,
    /// Evaluated first; `false` skips the change.
    pub condition: Option<FunctionRef>,
}

impl From<Stream> for Binding {
    fn from(stream: Stream) -> Self {
        #[derive(Serialize)]
        struct Config<'a> {
            stream_name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            group_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            item_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            condition_function_id: Option<&'a str>,
        }
        let config = Config {
            stream_name: stream.name,
            group_id: stream.group,
            item_id: stream.item,
            condition_function_id: condition_id(&stream.condition),
        };
        let (group, item) = (stream.group.unwrap_or("*"), stream.item.unwrap_or("*"));
        let summary = format!("{}/{group}/{item}", stream.name);
        Binding::new(TriggerKind::Stream, &config, summary).with_condition(stream.condition)
    }
}
