//! The extractor of metadata, which callers and triggers send beside the payload.

use serde::de::DeserializeOwned;

use super::{Extract, Invocation};
use iii_wire::{Result, code};

/// The metadata of the invocation, deserialised.
///
/// For a trigger, the metadata of its declaration (`metadata = …`); for a call, the metadata that the caller adds. Without
/// metadata, `Metadata<Option<T>>` is `None`, and any other type is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<T>(pub T);

impl<T: DeserializeOwned + Send> Extract for Metadata<T> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        let json = call.metadata().map_or("null", |metadata| metadata.as_str());
        super::payload::parse_json(json)
            .map(Self)
            .map_err(|error| error.into_error(code::INVALID_ARGUMENT, "the metadata"))
    }
}
