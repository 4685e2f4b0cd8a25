//! Stream stores of a worker, which replace the engine's store of a stream ([protocol 6.3](crate::protocol#s6-3)).

mod descriptor;
mod serve;
mod types;

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use iii_wire::Result;

#[doc(hidden)]
pub use descriptor::StreamStoreDeclaration;
pub use descriptor::StreamStoreDescriptor;
pub(crate) use descriptor::{ItemLocks, declared_stream_stores};
pub use types::{
    StreamDeleteInput, StreamDeleteResult, StreamGetInput, StreamListGroupsInput, StreamListInput,
    StreamSetInput, StreamSetResult, StreamUpdateInput, StreamUpdateResult,
};

/// Stores the items of one stream in place of the engine, for example in a database.
///
/// Callers use the stream like any other. The engine calls the store, and derives the events of subscribers and `stream`
/// triggers from its results, so a result must contain the previous item if it is known.
///
/// The store is state that the app provides with [`App::state`](crate::App::state); other functions can take it with
/// `State<Self>`. [`#[iii::stream]`](macro@crate::stream) declares it:
///
/// ```no_run
/// use iii::prelude::*;
/// use iii::stream::*;
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Message { text: String }
///
/// /// Groups, and their items.
/// #[derive(Default)]
/// struct Chat(Mutex<BTreeMap<String, BTreeMap<String, Message>>>);
///
/// #[iii::stream(name = "chat")]
/// impl iii::StreamStore for Chat {
///     type Item = Message;
///
///     async fn get(&self, at: StreamGetInput) -> iii::Result<Option<Message>> {
///         let groups = self.0.lock().unwrap();
///         Ok(groups.get(&at.group_id).and_then(|group| group.get(&at.item_id)).cloned())
///     }
///
///     async fn set(&self, new: StreamSetInput<Message>) -> iii::Result<StreamSetResult<Message>> {
///         let mut groups = self.0.lock().unwrap();
///         let group = groups.entry(new.group_id).or_default();
///         let old_value = group.insert(new.item_id, new.data.clone());
///         Ok(StreamSetResult { old_value, new_value: new.data })
///     }
///
///     async fn delete(&self, at: StreamDeleteInput) -> iii::Result<StreamDeleteResult<Message>> {
///         let mut groups = self.0.lock().unwrap();
///         let old_value = groups.get_mut(&at.group_id).and_then(|group| group.remove(&at.item_id));
///         Ok(StreamDeleteResult { old_value })
///     }
///
///     async fn list(&self, at: StreamListInput) -> iii::Result<Vec<Message>> {
///         let groups = self.0.lock().unwrap();
///         Ok(groups.get(&at.group_id).into_iter().flat_map(|group| group.values().cloned()).collect())
///     }
///
///     async fn list_groups(&self, _: StreamListGroupsInput) -> iii::Result<Vec<String>> {
///         Ok(self.0.lock().unwrap().keys().cloned().collect())
///     }
/// }
///
/// #[iii::main]
/// async fn main(app: &mut App) -> iii::Result<()> {
///     app.state(Chat::default());
///     Ok(())
/// }
/// ```
///
/// This worker serialises the writes to an item. So [`StreamStore::update`] needs no lock of its own, unless other processes
/// write to the same database.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream store",
    label = "not a stream store",
    note = "a store is `#[iii::stream(name = \"…\")] impl iii::StreamStore for {Self}`"
)]
pub trait StreamStore: Send + Sync + 'static {
    /// The name of the stream. [`#[iii::stream]`](macro@crate::stream) sets it.
    const NAME: &'static str;
    /// The description. The macro sets it to the doc comment of the `impl`.
    const DESCRIPTION: &'static str = "";

    /// The type of the items. Use [`Payload`](crate::Payload) for items of any type.
    type Item: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Reads an item; `None` if there is none.
    fn get(&self, at: StreamGetInput) -> impl Future<Output = Result<Option<Self::Item>>> + Send;

    /// Sets an item, replacing an earlier one.
    fn set(
        &self,
        new: StreamSetInput<Self::Item>,
    ) -> impl Future<Output = Result<StreamSetResult<Self::Item>>> + Send;

    /// Deletes an item. A missing item is not an error.
    fn delete(
        &self,
        at: StreamDeleteInput,
    ) -> impl Future<Output = Result<StreamDeleteResult<Self::Item>>> + Send;

    /// Lists the items of a group, the oldest first. A missing group has none.
    fn list(&self, at: StreamListInput) -> impl Future<Output = Result<Vec<Self::Item>>> + Send;

    /// Lists the groups that have items.
    fn list_groups(
        &self,
        of: StreamListGroupsInput,
    ) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Updates an item ([protocol 6.4](crate::protocol#s6-4)). Default: reads the item, applies the operations with
    /// [`Update::apply`](crate::Update::apply), and sets it. No other write through this worker interleaves.
    ///
    /// If the updated item does not match [`StreamStore::Item`], it is not set, and the caller gets `invalid_payload`.
    fn update(
        &self,
        change: StreamUpdateInput,
    ) -> impl Future<Output = Result<StreamUpdateResult<Self::Item>>> + Send {
        async move {
            let StreamUpdateInput { stream_name, group_id, item_id, ops } = change;
            let at = StreamGetInput {
                stream_name: stream_name.clone(),
                group_id: group_id.clone(),
                item_id: item_id.clone(),
            };
            let old = self.get(at).await?;
            let updated = ops.apply(old.as_ref())?;
            let new = StreamSetInput { stream_name, group_id, item_id, data: updated.value };
            let StreamSetResult { old_value, new_value } = self.set(new).await?;
            Ok(StreamUpdateResult { old_value, new_value, errors: updated.errors })
        }
    }
}
