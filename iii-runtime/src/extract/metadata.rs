//! The extractor of side data: what the caller, or the trigger's declaration, sends beside the payload.

use serde::de::DeserializeOwned;

use super::{Extract, Invocation};
use iii_wire::{Result, code};

/// The metadata of the invocation, read into a type.
///
/// From a trigger, it is what the declaration says with `metadata = …`; from a call, what the caller adds. Without
/// metadata, `Metadata<Option<T>>` is `None` and any other type an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<T>(pub T);

impl<T: DeserializeOwned + Send> Extract for Metadata<T> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        let text = call.metadata().map_or("null", |metadata| metadata.as_str());
        super::payload::read_json(text)
            .map(Self)
            .map_err(|mistake| mistake.into_error(code::INVALID_ARGUMENT, "the metadata"))
    }
}
