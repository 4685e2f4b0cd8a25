//! The functions that serve a stream store: each extracts its input and the store from an invocation.

use std::sync::Arc;

use super::{
    ItemLocks, StreamDeleteInput, StreamDeleteResult, StreamGetInput, StreamListGroupsInput,
    StreamListInput, StreamSetInput, StreamSetResult, StreamStore, StreamStoreDescriptor,
    StreamUpdateInput, StreamUpdateResult,
};
use crate::declare::FunctionDescriptor;
use crate::extract::{Extract, Input, Invocation, State};
use crate::function::Signature;
use crate::output::HandlerFuture;
use crate::output::Output;
use iii_wire::{Error, Result, code};

/// A function of a store.
struct StoreFunction {
    operation: &'static str,
    description: &'static str,
    handler: fn(Invocation) -> HandlerFuture,
    signature: fn() -> Signature,
}

/// The functions of `T`. Leaks their strings: a process has one descriptor for each store.
pub(super) fn functions<T: StreamStore>(store: &StreamStoreDescriptor) -> Vec<FunctionDescriptor> {
    let functions = [
        StoreFunction {
            operation: "get",
            description: "Reads an item of the stream.",
            handler: get::<T>,
            signature: signature::<T, StreamGetInput, Option<T::Item>>,
        },
        StoreFunction {
            operation: "set",
            description: "Sets an item of the stream.",
            handler: set::<T>,
            signature: signature::<T, StreamSetInput<T::Item>, StreamSetResult<T::Item>>,
        },
        StoreFunction {
            operation: "delete",
            description: "Removes an item of the stream.",
            handler: delete::<T>,
            signature: signature::<T, StreamDeleteInput, StreamDeleteResult<T::Item>>,
        },
        StoreFunction {
            operation: "list",
            description: "Lists the items of a group of the stream.",
            handler: list::<T>,
            signature: signature::<T, StreamListInput, Vec<T::Item>>,
        },
        StoreFunction {
            operation: "list_groups",
            description: "Lists the groups of the stream.",
            handler: list_groups::<T>,
            signature: signature::<T, StreamListGroupsInput, Vec<String>>,
        },
        StoreFunction {
            operation: "update",
            description: "Updates parts of an item of the stream.",
            handler: update::<T>,
            signature: signature::<T, StreamUpdateInput, StreamUpdateResult<T::Item>>,
        },
    ];
    let descriptor = |function: StoreFunction| {
        let description = match store.description {
            "" => function.description,
            about => format!("{} {about}", function.description).leak(),
        };
        FunctionDescriptor {
            id: format!("stream::{}({})", function.operation, store.name).leak(),
            description: Some(description),
            metadata: None,
            module: store.module,
            location: store.location,
            handler: function.handler,
            signature: function.signature,
            timeout: None,
            concurrency: None,
            intercept: Vec::new,
            triggers: &[],
            endpoint: None,
        }
    };
    functions.into_iter().map(descriptor).collect()
}

fn signature<T: StreamStore, I: Input, O: Output>() -> Signature {
    let mut signature = Signature::new();
    State::<T>::describe(&mut signature);
    signature.set_input(I::schema);
    signature.set_output(O::schema());
    signature
}

/// Extracts the store and the input from an invocation.
async fn extract_input<T: StreamStore, I: Input>(call: &mut Invocation) -> Result<(State<T>, I)> {
    let input = I::from_invocation(call)?;
    Ok((State::extract(call).await?, input))
}

/// The locks that serialise the writes of this worker.
fn item_locks(call: &Invocation) -> Result<Arc<ItemLocks>> {
    let locks = call.resources().get::<ItemLocks>();
    locks.ok_or_else(|| {
        Error::new(code::INTERNAL, "a stream cannot be written outside of a running worker")
    })
}

fn get<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, input) = extract_input::<T, StreamGetInput>(&mut call).await?;
        store.get(input).await?.into_reply()
    })
}

fn set<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, input) = extract_input::<T, StreamSetInput<T::Item>>(&mut call).await?;
        let locks = item_locks(&call)?;
        let _guard = locks.acquire((T::NAME, input.group_id.clone(), input.item_id.clone())).await;
        store.set(input).await?.into_reply()
    })
}

fn delete<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, input) = extract_input::<T, StreamDeleteInput>(&mut call).await?;
        let locks = item_locks(&call)?;
        let _guard = locks.acquire((T::NAME, input.group_id.clone(), input.item_id.clone())).await;
        store.delete(input).await?.into_reply()
    })
}

fn list<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, input) = extract_input::<T, StreamListInput>(&mut call).await?;
        store.list(input).await?.into_reply()
    })
}

fn list_groups<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, input) = extract_input::<T, StreamListGroupsInput>(&mut call).await?;
        store.list_groups(input).await?.into_reply()
    })
}

fn update<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, input) = extract_input::<T, StreamUpdateInput>(&mut call).await?;
        let locks = item_locks(&call)?;
        let _guard = locks.acquire((T::NAME, input.group_id.clone(), input.item_id.clone())).await;
        store.update(input).await?.into_reply()
    })
}
