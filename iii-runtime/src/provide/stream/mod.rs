//! Streams that a worker keeps: the store that the engine asks in place of its own (protocol section 6.3).

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

/// Keeps the items of one stream, in place of the engine's own store: in a database, for example.
///
/// Callers use the stream as any other. The engine asks the store, and tells subscribers and `stream` triggers of what it
/// answers: so a result must say what was there before, where it is known.
///
/// The store itself is a value that the app provides with [`App::state`](crate::App::state); functions of the worker may
/// take it by `State<Self>`, too. [`#[iii::stream]`](macro@crate::stream) declares it:
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
/// Writes of one item come one after the other: the next one begins when the one before is done. So [`StreamStore::update`]
/// need not care for others, unless somebody else writes into the same database.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not keep a stream",
    label = "not a stream store",
    note = "a store is `#[iii::stream(name = \"…\")] impl iii::StreamStore for {Self}`"
)]
pub trait StreamStore: Send + Sync + 'static {
    /// The name of the stream. [`#[iii::stream]`](macro@crate::stream) writes it.
    const NAME: &'static str;
    /// What it keeps. The macro writes the doc comment of the `impl`.
    const DESCRIPTION: &'static str = "";

    /// An item. [`Payload`](crate::Payload) stands for any type.
    type Item: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Reads an item; `None` if there is none.
    fn get(&self, at: StreamGetInput) -> impl Future<Output = Result<Option<Self::Item>>> + Send;

    /// Sets an item, whatever was there before.
    fn set(
        &self,
        new: StreamSetInput<Self::Item>,
    ) -> impl Future<Output = Result<StreamSetResult<Self::Item>>> + Send;

    /// Removes an item. One that is missing is no error.
    fn delete(
        &self,
        at: StreamDeleteInput,
    ) -> impl Future<Output = Result<StreamDeleteResult<Self::Item>>> + Send;

    /// All items of a group, the oldest first; none if there is no such group.
    fn list(&self, at: StreamListInput) -> impl Future<Output = Result<Vec<Self::Item>>> + Send;

    /// The groups that hold something.
    fn list_groups(
        &self,
        of: StreamListGroupsInput,
    ) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Changes parts of an item (protocol section 6.4). Default: reads it, does the operations with
    /// [`Update::apply`](crate::Update::apply), and sets it. No other write of the item through this worker comes in
    /// between.
    ///
    /// If what comes out does not fit [`StreamStore::Item`], nothing is set, and the caller gets `invalid_payload`.
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
