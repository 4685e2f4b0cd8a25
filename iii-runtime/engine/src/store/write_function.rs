//! Built-in functions that change the store: their answers wait until the change is certain.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::PendingWrite;
use crate::provider::{BuiltIn, Call, Handler, misfit};
use iii_wire::protocol::{ErrorBody, Payload};

/// A function whose answer waits for the store. `O` only gives the schema of the output, which is JSON already.
///
/// `code` runs at once, so that the changes of one caller come in the order of its calls. A change that cannot be
/// written is answered with the code `failure`.
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
        let begun = match call.data.parse::<I>() {
            Ok(input) => code(input),
            Err(error) => Err(misfit(id, &error)),
        };
        Box::pin(async move {
            let (output, committed) = begun?;
            committed.await.map_err(|error| error.to_body(failure))?;
            Ok(output)
        })
    });
    BuiltIn::new::<I, O>(id, description, handler)
}
