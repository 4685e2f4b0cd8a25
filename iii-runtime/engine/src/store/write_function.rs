//! Built-in functions that write to the store and return their result once the write is durable.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::PendingWrite;
use crate::provider::{BuiltIn, Call, Handler, invalid_input};
use iii_wire::protocol::{ErrorBody, Payload};

/// A built-in function whose result waits for the store. The output is JSON already; `O` only provides its schema.
///
/// `code` runs synchronously, so changes of one caller apply in the order of its calls. `failure` is the error code of a
/// change that cannot be written.
pub(crate) fn write_function<I, O, F>(
    id: &'static str,
    description: &'static str,
    failure: &'static str,
    code: F,
) -> BuiltIn
where
    I: DeserializeOwned + JsonSchema,
    O: JsonSchema,
    F: Fn(I) -> Result<(Option<Payload>, PendingWrite), ErrorBody> + Send + Sync + 'static,
{
    let handler: Handler = Arc::new(move |call: Call| {
        let written = match call.data.parse::<I>() {
            Ok(input) => code(input),
            Err(error) => Err(invalid_input(id, &error)),
        };
        Box::pin(async move {
            let (output, pending) = written?;
            pending.await.map_err(|error| error.to_body(failure))?;
            Ok(output)
        })
    });
    BuiltIn::new::<I, O>(id, description, handler)
}
