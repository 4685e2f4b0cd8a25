//! The functions `stream::*`: their inputs, and what they answer (protocol section 6.3).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::{Streams, custom};
use crate::provider::{BuiltIn, Call, Handler, Outcome, misfit, to_payload};
use crate::state::update::{self, UpdateError, UpdateOp};
use crate::store::{Change, StoreError};
use iii_wire::protocol::Payload;

/// The input of `stream::set`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Set {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item.
    item_id: String,
    /// What the item is from now on.
    data: Payload,
}

/// The input of `stream::get` and `stream::delete`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Item {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item.
    item_id: String,
}

/// The input of `stream::update`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Update {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item.
    item_id: String,
    /// What to do, in order.
    ops: Vec<UpdateOp>,
}

/// The input of `stream::list`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Group {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
}

/// The input of `stream::list_groups`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Stream {
    /// The stream.
    stream_name: String,
}

/// The input of functions that need none.
#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

/// The input of `stream::send`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Send {
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item that the event is about, if it is about one.
    #[serde(default)]
    id: Option<String>,
    /// The type of the event, chosen by the sender.
    r#type: String,
    /// The data of the event.
    data: Payload,
}

/// What a change made of an item; see [`changed`].
#[derive(Debug, JsonSchema)]
#[allow(dead_code)]
struct Changed {
    /// The item before; null if there was none.
    old_value: Option<Payload>,
    /// The item after.
    new_value: Payload,
    /// The operations that failed, if any. The others were done.
    #[serde(default)]
    errors: Vec<UpdateError>,
}

/// What was removed.
#[derive(Debug, JsonSchema)]
#[allow(dead_code)]
struct Deleted {
    /// The item before; null if there was none.
    old_value: Option<Payload>,
}

/// All streams that hold something.
#[derive(Debug, Serialize, JsonSchema)]
struct All {
    /// The streams, in the order of their names.
    stream: Vec<OneStream>,
    /// How many they are.
    count: usize,
}

/// A stream.
#[derive(Debug, Serialize, JsonSchema)]
struct OneStream {
    /// Its name.
    id: String,
    /// Its groups that hold something, in order.
    groups: Vec<String>,
}

/// A built-in function whose output is JSON already. `O` only gives the schema.
///
/// The code runs up to its first wait before the next call of the same worker is looked at.
fn function<I, O, F, R>(id: &'static str, description: &'static str, code: F) -> BuiltIn
where
    I: DeserializeOwned + JsonSchema,
    O: JsonSchema,
    F: Fn(I, Call) -> R + std::marker::Send + Sync + 'static,
    R: Future<Output = Outcome> + std::marker::Send + 'static,
{
    let handler: Handler = Arc::new(move |call: Call| match call.data.parse::<I>() {
        Ok(input) => Box::pin(code(input, call)),
        Err(error) => Box::pin(std::future::ready(Err(misfit(id, &error)))),
    });
    BuiltIn::new::<I, O>(id, description, handler)
}

/// All functions of the provider.
pub(super) fn all(streams: &Arc<Streams>) -> Vec<BuiltIn> {
    macro_rules! function {
        ($output:ty, $id:literal, $description:literal, $code:ident) => {{
            let streams = streams.clone();
            function::<_, $output, _, _>($id, $description, move |input, call| {
                $code(streams.clone(), input, call)
            })
        }};
    }
    vec![
        function!(Changed, "stream::set", "Sets an item, and tells subscribers.", set),
        function!(Payload, "stream::get", "Reads an item.", get),
        function!(Deleted, "stream::delete", "Removes an item, and tells subscribers.", delete),
        function!(Vec<Payload>, "stream::list", "Lists the items of a group.", list),
        function!(Vec<String>, "stream::list_groups", "Lists the groups of a stream.", list_groups),
        function!(All, "stream::list_all", "Lists all streams and their groups.", list_all),
        function!((), "stream::send", "Tells subscribers of an event that is not kept.", send),
        function!(
            Changed,
            "stream::update",
            "Changes parts of an item, and tells subscribers.",
            update
        ),
    ]
}

async fn set(streams: Arc<Streams>, input: Set, call: Call) -> Outcome {
    let Set { stream_name, group_id, item_id, data } = &input;
    let place = Place::new(stream_name, group_id);
    if let Some(answer) = custom::call(&streams.broker, "set", stream_name, &call) {
        let result = answer.await?;
        let made: custom::Changed = custom::read("set", stream_name, &result)?;
        streams.told_of(&place, item_id, made.old_value, Some(made.new_value));
        return Ok(Some(result));
    }
    let code = "STREAM_SET_ERROR";
    let (change, committed) =
        streams.change(&place, item_id, code, &mut |_| Ok(Some(data.clone())))?;
    committed.await.map_err(|error| error.to_body(code))?;
    update::changed(&change, &[])
}

async fn get(streams: Arc<Streams>, input: Item, call: Call) -> Outcome {
    if let Some(answer) = custom::call(&streams.broker, "get", &input.stream_name, &call) {
        let result = answer.await?;
        return Ok((!result.is_null()).then_some(result));
    }
    let place = Place::new(&input.stream_name, &input.group_id);
    Ok(streams.table.get(&place.scope(), &input.item_id))
}

async fn delete(streams: Arc<Streams>, input: Item, call: Call) -> Outcome {
    let Item { stream_name, group_id, item_id } = &input;
    let place = Place::new(stream_name, group_id);
    if let Some(answer) = custom::call(&streams.broker, "delete", stream_name, &call) {
        let result = answer.await?;
        let made: custom::Deleted = custom::read("delete", stream_name, &result)?;
        streams.told_of(&place, item_id, made.old_value, None);
        return Ok(Some(result));
    }
    let code = "STREAM_DELETE_ERROR";
    let (change, committed) = streams.change(&place, item_id, code, &mut |_| Ok(None))?;
    committed.await.map_err(|error| error.to_body(code))?;
    let old = change.old.unwrap_or_default();
    Ok(Some(Payload::from_built(format!(r#"{{"old_value":{}}}"#, old.as_str()))))
}

async fn update(streams: Arc<Streams>, input: Update, call: Call) -> Outcome {
    let Update { stream_name, group_id, item_id, ops } = &input;
    let place = Place::new(stream_name, group_id);
    if let Some(answer) = custom::call(&streams.broker, "update", stream_name, &call) {
        let result = answer.await?;
        let made: custom::Changed = custom::read("update", stream_name, &result)?;
        streams.told_of(&place, item_id, made.old_value, Some(made.new_value));
        return Ok(Some(result));
    }
    if custom::is_updated_in_steps(&streams.broker, stream_name, &call) {
        let _writer = streams.writers.acquire((place.clone(), item_id.clone())).await;
        let updated = custom::update_in_steps(&streams.broker, &place, item_id, ops, &call).await;
        let (custom::Changed { old_value, new_value }, errors) = updated?;
        let old = old_value.filter(|old| !old.is_null());
        let change = Change { old, new: Some(new_value) };
        streams.tell_change(&place, item_id, &change);
        return update::changed(&change, &errors);
    }
    let code = "STREAM_UPDATE_ERROR";
    let mut errors = Vec::new();
    let (change, committed) = streams.change(&place, item_id, code, &mut |old| {
        let (new, failed) = update::apply(old, ops)
            .map_err(|error| StoreError(format!("the item cannot be worked on: {error}")))?;
        errors = failed;
        Ok(Some(new))
    })?;
    committed.await.map_err(|error| error.to_body(code))?;
    update::changed(&change, &errors)
}

async fn list(streams: Arc<Streams>, input: Group, call: Call) -> Outcome {
    if let Some(answer) = custom::call(&streams.broker, "list", &input.stream_name, &call) {
        let result = answer.await?;
        custom::read::<Vec<serde::de::IgnoredAny>>("list", &input.stream_name, &result)?;
        return Ok(Some(result));
    }
    let items = streams.items(&Place::new(&input.stream_name, &input.group_id));
    Ok(Some(Payload::from_built(items)))
}

async fn list_groups(streams: Arc<Streams>, input: Stream, call: Call) -> Outcome {
    let name = &input.stream_name;
    if let Some(answer) = custom::call(&streams.broker, "list_groups", name, &call) {
        let result = answer.await?;
        custom::read::<Vec<String>>("list_groups", name, &result)?;
        return Ok(Some(result));
    }
    let groups: Vec<String> =
        streams.places().filter(|place| place.stream == *name).map(|place| place.group).collect();
    to_payload(&groups).map(Some)
}

async fn list_all(streams: Arc<Streams>, _: Nothing, _: Call) -> Outcome {
    let mut all = std::collections::BTreeMap::<String, Vec<String>>::new();
    for place in streams.places() {
        all.entry(place.stream).or_default().push(place.group);
    }
    let stream: Vec<_> = all.into_iter().map(|(id, groups)| OneStream { id, groups }).collect();
    to_payload(&All { count: stream.len(), stream }).map(Some)
}

async fn send(streams: Arc<Streams>, input: Send, _: Call) -> Outcome {
    let Send { stream_name, group_id, id, r#type, data } = &input;
    let place = Place::new(stream_name, group_id);
    streams.tell(&place, id.as_deref(), &super::message::Event::Sent { kind: r#type, data });
    Ok(Some(Payload::null()))
}
