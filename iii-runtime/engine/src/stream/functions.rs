//! The built-in functions `stream::*` ([protocol 6.3](iii_wire::protocol#s6-3)).

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::Streams;
use super::custom::{self, CustomChange, CustomDeletion};
use super::group::StreamGroup;
use super::message::MessageEvent;
use crate::function_ids::STREAM_SEND;
use crate::provider::{BuiltIn, Call, Handler, Outcome, invalid_input, to_payload};
use crate::state::update::{self, ChangeOutput, UpdateOp};
use crate::store::StoreError;
use iii_wire::code;
use iii_wire::protocol::Payload;

/// The input of `stream::set`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamSetInput {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item.
    item_id: String,
    /// The new value of the item.
    data: Payload,
}

/// The input of `stream::get` and `stream::delete`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamItemInput {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item.
    item_id: String,
}

/// The input of `stream::update`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamUpdateInput {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item.
    item_id: String,
    /// The operations, applied in order.
    ops: Vec<UpdateOp>,
}

/// The input of `stream::list`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamListInput {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
}

/// The input of `stream::list_groups`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamListGroupsInput {
    /// The stream.
    stream_name: String,
}

/// The input of `stream::list_all`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamListAllInput {}

/// The input of `stream::send`.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamSendInput {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item that the event relates to, if any.
    #[serde(default)]
    id: Option<String>,
    /// The type of the event, chosen by the sender.
    r#type: String,
    /// The data of the event.
    data: Payload,
}

/// The output of `stream::delete`.
#[derive(Debug, JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct StreamDeleteOutput {
    /// The previous item; null if there was none.
    old_value: Option<Payload>,
}

/// The output of `stream::list_all`.
#[derive(Debug, Serialize, JsonSchema)]
struct StreamListAllOutput {
    /// The streams that have items, sorted by name.
    stream: Vec<StreamSummary>,
    /// The number of streams.
    count: usize,
}

/// A stream.
#[derive(Debug, Serialize, JsonSchema)]
struct StreamSummary {
    /// The name.
    id: String,
    /// The groups that have items, sorted.
    groups: Vec<String>,
}

/// An asynchronous built-in function whose output is JSON already. `O` only provides its schema.
///
/// `code` runs up to its first await point before the next call of the same worker is handled.
fn stream_function<I, O, F, R>(id: &'static str, description: &'static str, code: F) -> BuiltIn
where
    I: DeserializeOwned + JsonSchema,
    O: JsonSchema,
    F: Fn(I, Call) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let handler: Handler = Arc::new(move |call: Call| match call.data.parse::<I>() {
        Ok(input) => Box::pin(code(input, call)),
        Err(error) => Box::pin(std::future::ready(Err(invalid_input(id, &error)))),
    });
    BuiltIn::new::<I, O>(id, description, handler)
}

/// Returns all built-in functions of streams.
pub(super) fn built_in_functions(streams: &Arc<Streams>) -> Vec<BuiltIn> {
    macro_rules! function {
        ($output:ty, $id:expr, $description:literal, $code:ident) => {{
            let streams = streams.clone();
            stream_function::<_, $output, _, _>($id, $description, move |input, call| {
                $code(streams.clone(), input, call)
            })
        }};
    }
    vec![
        function!(ChangeOutput, "stream::set", "Sets an item and notifies subscribers.", set),
        function!(Payload, "stream::get", "Reads an item.", get),
        function!(
            StreamDeleteOutput,
            "stream::delete",
            "Removes an item and notifies subscribers.",
            delete
        ),
        function!(Vec<Payload>, "stream::list", "Lists the items of a group.", list),
        function!(Vec<String>, "stream::list_groups", "Lists the groups of a stream.", list_groups),
        function!(
            StreamListAllOutput,
            "stream::list_all",
            "Lists all streams and their groups.",
            list_all
        ),
        function!((), STREAM_SEND, "Sends a custom event to subscribers.", send),
        function!(
            ChangeOutput,
            "stream::update",
            "Applies operations to an item and notifies subscribers.",
            update
        ),
    ]
}

async fn set(streams: Arc<Streams>, input: StreamSetInput, call: Call) -> Outcome {
    let StreamSetInput { stream_name, group_id, item_id, data } = &input;
    let group = StreamGroup::new(stream_name, group_id);
    if let Some(output) = custom::call(&streams.broker, "set", stream_name, &call) {
        let output = output.await?;
        let change: CustomChange = custom::parse_output("set", stream_name, &output)?;
        streams.publish_custom_change(&group, item_id, change);
        return Ok(Some(output));
    }
    let code = code::STREAM_SET_ERROR;
    let (change, pending) =
        streams.change(&group, item_id, code, &mut |_| Ok(Some(data.clone())))?;
    pending.await.map_err(|error| error.to_body(code))?;
    update::change_output(&change, &[])
}

async fn get(streams: Arc<Streams>, input: StreamItemInput, call: Call) -> Outcome {
    if let Some(output) = custom::call(&streams.broker, "get", &input.stream_name, &call) {
        let output = output.await?;
        return Ok((!output.is_null()).then_some(output));
    }
    let group = StreamGroup::new(&input.stream_name, &input.group_id);
    Ok(streams.table.get(&group.scope(), &input.item_id))
}

async fn delete(streams: Arc<Streams>, input: StreamItemInput, call: Call) -> Outcome {
    let StreamItemInput { stream_name, group_id, item_id } = &input;
    let group = StreamGroup::new(stream_name, group_id);
    if let Some(output) = custom::call(&streams.broker, "delete", stream_name, &call) {
        let output = output.await?;
        let deletion: CustomDeletion = custom::parse_output("delete", stream_name, &output)?;
        streams.publish_custom_deletion(&group, item_id, deletion);
        return Ok(Some(output));
    }
    let code = code::STREAM_DELETE_ERROR;
    let (change, pending) = streams.change(&group, item_id, code, &mut |_| Ok(None))?;
    pending.await.map_err(|error| error.to_body(code))?;
    let old = change.old.unwrap_or_default();
    Ok(Some(Payload::from_built(format!(r#"{{"old_value":{}}}"#, old.as_str()))))
}

async fn update(streams: Arc<Streams>, input: StreamUpdateInput, call: Call) -> Outcome {
    let StreamUpdateInput { stream_name, group_id, item_id, ops } = &input;
    let group = StreamGroup::new(stream_name, group_id);
    if let Some(output) = custom::call(&streams.broker, "update", stream_name, &call) {
        let output = output.await?;
        let change: CustomChange = custom::parse_output("update", stream_name, &output)?;
        streams.publish_custom_change(&group, item_id, change);
        return Ok(Some(output));
    }
    if custom::supports_read_modify_write(&streams.broker, stream_name, &call) {
        let _guard = streams.item_locks.acquire((group.clone(), item_id.clone())).await;
        let (change, errors) =
            custom::read_modify_write(&streams.broker, &group, item_id, ops, &call).await?;
        let change = streams.publish_custom_change(&group, item_id, change);
        return update::change_output(&change, &errors);
    }
    let code = code::STREAM_UPDATE_ERROR;
    let mut errors = Vec::new();
    let (change, pending) = streams.change(&group, item_id, code, &mut |old| {
        let (new, failed) = update::apply(old, ops)
            .map_err(|error| StoreError(format!("the item cannot be updated: {error}")))?;
        errors = failed;
        Ok(Some(new))
    })?;
    pending.await.map_err(|error| error.to_body(code))?;
    update::change_output(&change, &errors)
}

async fn list(streams: Arc<Streams>, input: StreamListInput, call: Call) -> Outcome {
    if let Some(output) = custom::call(&streams.broker, "list", &input.stream_name, &call) {
        let output = output.await?;
        custom::parse_output::<Vec<IgnoredAny>>("list", &input.stream_name, &output)?;
        return Ok(Some(output));
    }
    let group = StreamGroup::new(&input.stream_name, &input.group_id);
    Ok(Some(Payload::from_built(streams.table.json_array(&group.scope()))))
}

async fn list_groups(streams: Arc<Streams>, input: StreamListGroupsInput, call: Call) -> Outcome {
    let name = &input.stream_name;
    if let Some(output) = custom::call(&streams.broker, "list_groups", name, &call) {
        let output = output.await?;
        custom::parse_output::<Vec<String>>("list_groups", name, &output)?;
        return Ok(Some(output));
    }
    let groups = streams.groups().filter(|group| group.stream == *name);
    let groups: Vec<String> = groups.map(|group| group.group).collect();
    to_payload(&groups).map(Some)
}

async fn list_all(streams: Arc<Streams>, _: StreamListAllInput, _: Call) -> Outcome {
    let mut groups_by_stream = BTreeMap::<String, Vec<String>>::new();
    for group in streams.groups() {
        groups_by_stream.entry(group.stream).or_default().push(group.group);
    }
    let stream: Vec<_> =
        groups_by_stream.into_iter().map(|(id, groups)| StreamSummary { id, groups }).collect();
    to_payload(&StreamListAllOutput { count: stream.len(), stream }).map(Some)
}

async fn send(streams: Arc<Streams>, input: StreamSendInput, _: Call) -> Outcome {
    let StreamSendInput { stream_name, group_id, id, r#type: event_type, data } = &input;
    let group = StreamGroup::new(stream_name, group_id);
    streams.publish(&group, id.as_deref(), &MessageEvent::Custom { event_type, data });
    Ok(Some(Payload::null()))
}
