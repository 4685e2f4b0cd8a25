//! The inputs and results of a stream store, in the wire format ([protocol 6.3](crate::protocol#s6-3)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::update::{Update, UpdateError};

/// The item to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamGetInput {
    /// The name of the stream: that of the store.
    pub stream_name: String,
    /// The id of the group.
    pub group_id: String,
    /// The id of the item.
    pub item_id: String,
}

/// The item to set, and its new value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamSetInput<T> {
    /// The name of the stream: that of the store.
    pub stream_name: String,
    /// The id of the group.
    pub group_id: String,
    /// The id of the item.
    pub item_id: String,
    /// The new value of the item.
    pub data: T,
}

/// The item to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamDeleteInput {
    /// The name of the stream: that of the store.
    pub stream_name: String,
    /// The id of the group.
    pub group_id: String,
    /// The id of the item.
    pub item_id: String,
}

/// The group to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamListInput {
    /// The name of the stream: that of the store.
    pub stream_name: String,
    /// The id of the group.
    pub group_id: String,
}

/// The stream whose groups are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamListGroupsInput {
    /// The name of the stream: that of the store.
    pub stream_name: String,
}

/// The item to update, and the operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamUpdateInput {
    /// The name of the stream: that of the store.
    pub stream_name: String,
    /// The id of the group.
    pub group_id: String,
    /// The id of the item.
    pub item_id: String,
    /// The operations, in order.
    pub ops: Update,
}

/// The item before and after a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamSetResult<T> {
    /// The previous item. If it is `None`, subscribers receive a `create` event, else an `update` event.
    pub old_value: Option<T>,
    /// The new item, which subscribers receive.
    pub new_value: T,
}

/// The item that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamDeleteResult<T> {
    /// The deleted item. If it is `None`, subscribers receive no event.
    pub old_value: Option<T>,
}

/// The item before and after an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamUpdateResult<T> {
    /// The previous item; `None` if there was none.
    pub old_value: Option<T>,
    /// The new item.
    pub new_value: T,
    /// The operations that failed and were skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<UpdateError>,
}
