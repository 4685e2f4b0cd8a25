//! What a stream store is asked, and what it answers, in the form of the wire (protocol section 6.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::update::{Update, UpdateError};

/// Which item is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamGetInput {
    /// The stream: that of the store.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item.
    pub item_id: String,
}

/// Which item is set, and to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamSetInput<T> {
    /// The stream: that of the store.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item.
    pub item_id: String,
    /// What the item is from now on.
    pub data: T,
}

/// Which item is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamDeleteInput {
    /// The stream: that of the store.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item.
    pub item_id: String,
}

/// Which group is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamListInput {
    /// The stream: that of the store.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
}

/// Which stream's groups are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamListGroupsInput {
    /// The stream: that of the store.
    pub stream_name: String,
}

/// Which item is changed, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamUpdateInput {
    /// The stream: that of the store.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item.
    pub item_id: String,
    /// What to do, in order.
    pub ops: Update,
}

/// What setting made of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamSetResult<T> {
    /// The item before; `None` if there was none. Subscribers are told of a new item then, else of one that changed.
    pub old_value: Option<T>,
    /// The item after: what subscribers are told.
    pub new_value: T,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamDeleteResult<T> {
    /// The item before; `None` if there was none, and then nobody is told.
    pub old_value: Option<T>,
}

/// What an update made of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamUpdateResult<T> {
    /// The item before; `None` if there was none.
    pub old_value: Option<T>,
    /// The item after.
    pub new_value: T,
    /// The operations that could not be done; the others were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<UpdateError>,
}
