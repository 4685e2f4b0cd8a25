//! The functions of a stream store: they take their input and the store out of an invocation, and ask it.

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

/// What a function of a store is made of.
struct One {
    operation: &'static str,
    description: &'static str,
    handler: fn(Invocation) -> HandlerFuture,
    signature: fn() -> Signature,
}

/// The functions of `T`. Their texts live as long as the descriptor, which is once in a process.
pub(super) fn functions<T: StreamStore>(store: &StreamStoreDescriptor) -> Vec<FunctionDescriptor> {
    let all = [
        One {
            operation: "get",
            description: "Reads an item of the stream.",
            handler: get::<T>,
            signature: signature::<T, StreamGetInput, Option<T::Item>>,
        },
        One {
            operation: "set",
            description: "Sets an item of the stream.",
            handler: set::<T>,
            signature: signature::<T, StreamSetInput<T::Item>, StreamSetResult<T::Item>>,
        },
        One {
            operation: "delete",
            description: "Removes an item of the stream.",
            handler: delete::<T>,
            signature: signature::<T, StreamDeleteInput, StreamDeleteResult<T::Item>>,
        },
        One {
            operation: "list",
            description: "Lists the items of a group of the stream.",
            handler: list::<T>,
            signature: signature::<T, StreamListInput, Vec<T::Item>>,
        },
        One {
            operation: "list_groups",
            description: "Lists the groups of the stream.",
            handler: list_groups::<T>,
            signature: signature::<T, StreamListGroupsInput, Vec<String>>,
        },
        One {
            operation: "update",
            description: "Changes parts of an item of the stream.",
            handler: update::<T>,
            signature: signature::<T, StreamUpdateInput, StreamUpdateResult<T::Item>>,
        },
    ];
    let make = |one: One| {
        let description = match store.description {
            "" => one.description,
            about => format!("{} {about}", one.description).leak(),
        };
        FunctionDescriptor {
            id: format!("stream::{}({})", one.operation, store.name).leak(),
            description: Some(description),
            metadata: None,
            module: store.module,
            location: store.location,
            handler: one.handler,
            signature: one.signature,
            timeout: None,
            concurrency: None,
            intercept: Vec::new,
            triggers: &[],
            endpoint: None,
        }
    };
    all.into_iter().map(make).collect()
}

fn signature<T: StreamStore, I: Input, O: Output>() -> Signature {
    let mut signature = Signature::new();
    State::<T>::describe(&mut signature);
    signature.set_input(I::schema);
    signature.set_output(O::schema());
    signature
}

/// The store, and what it is asked.
async fn asked<T: StreamStore, I: Input>(call: &mut Invocation) -> Result<(State<T>, I)> {
    let input = I::from_invocation(call)?;
    Ok((State::extract(call).await?, input))
}

/// The locks that serialise the writes of the worker.
fn item_locks(call: &Invocation) -> Result<Arc<ItemLocks>> {
    let locks = call.resources().get::<ItemLocks>();
    locks.ok_or_else(|| {
        Error::new(code::INTERNAL, "a stream is not written outside of a running worker")
    })
}

fn get<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, at) = asked::<T, StreamGetInput>(&mut call).await?;
        store.get(at).await?.into_reply()
    })
}

fn set<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, new) = asked::<T, StreamSetInput<T::Item>>(&mut call).await?;
        let locks = item_locks(&call)?;
        let _guard = locks.acquire((T::NAME, new.group_id.clone(), new.item_id.clone())).await;
        store.set(new).await?.into_reply()
    })
}

fn delete<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, at) = asked::<T, StreamDeleteInput>(&mut call).await?;
        let locks = item_locks(&call)?;
        let _guard = locks.acquire((T::NAME, at.group_id.clone(), at.item_id.clone())).await;
        store.delete(at).await?.into_reply()
    })
}

fn list<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, at) = asked::<T, StreamListInput>(&mut call).await?;
        store.list(at).await?.into_reply()
    })
}

fn list_groups<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, of) = asked::<T, StreamListGroupsInput>(&mut call).await?;
        store.list_groups(of).await?.into_reply()
    })
}

fn update<T: StreamStore>(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let (store, change) = asked::<T, StreamUpdateInput>(&mut call).await?;
        let locks = item_locks(&call)?;
        let _guard =
            locks.acquire((T::NAME, change.group_id.clone(), change.item_id.clone())).await;
        store.update(change).await?.into_reply()
    })
}
