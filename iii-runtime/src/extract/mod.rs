//! Handler arguments: extractors and payloads, and how they are extracted from an invocation.

mod body;
mod context;
mod envelope;
mod extension;
mod headers;
mod http;
mod http_parts;
mod invocation;
mod metadata;
mod params;
mod payload;
mod resources;
mod state;

use std::future::Future;

use schemars::{Schema, SchemaGenerator};

use crate::function::{RequestParts, Signature};
use iii_wire::Result;

pub use body::{BodyStream, RawBody};
pub use context::{Caller, Context, TriggerInfo};
pub(crate) use envelope::TriggerEnvelope;
pub use extension::Extension;
pub use headers::Headers;
pub use http::{HttpRequest, Path, Query};
pub use http_parts::HttpParts;
pub use invocation::Invocation;
pub(crate) use invocation::InvocationParts;
pub use metadata::Metadata;
pub use resources::Resources;
pub use state::State;

/// An argument that is not the payload: state, context, headers, and the like.
///
/// A function takes any number of extractors and at most one payload ([`Input`]), in any order. The macros tell them apart by
/// these traits, not by the names of types.
///
/// Implement it for your own types, for example for the user that a token identifies.
///
/// ```
/// use iii::{Error, Extract, Headers, Invocation};
///
/// /// The user that sends the request.
/// struct User(String);
///
/// impl Extract for User {
///     const REQUEST_PARTS: iii::catalogue::RequestParts = Headers::REQUEST_PARTS;
///
///     async fn extract(call: &mut Invocation) -> iii::Result<Self> {
///         let headers = Headers::extract(call).await?;
///         match headers.get("x-user") {
///             Some(name) => Ok(User(name.to_owned())),
///             None => Err(Error::new("auth/missing", "send the header x-user").with_status(401)),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "not an extractor",
    note = "extractors are `State<T>`, `Config<T>`, `Extension<T>`, `Context`, `Client`, `Metadata<T>`, `Path<T>`, `Query<T>`, `Headers`, and types that implement `iii::Extract`"
)]
pub trait Extract: Sized + Send {
    /// The parts of an HTTP request that the extractor takes. Default: none.
    ///
    /// An extractor that is built on others has theirs.
    const REQUEST_PARTS: RequestParts = RequestParts::NONE;

    /// Extracts the argument from the invocation.
    fn extract(call: &mut Invocation) -> impl Future<Output = Result<Self>> + Send;

    /// Records what the app must provide for the argument. Default: nothing.
    ///
    /// An extractor that is built on others calls theirs.
    fn describe(signature: &mut Signature) {
        let _ = signature;
    }
}

/// An argument that is the payload of the invocation.
///
/// Implemented for all types that are `DeserializeOwned` and `JsonSchema`, such as the events of the trigger kinds, and for
/// [`HttpRequest`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a payload",
    label = "not a payload",
    note = "derive `Deserialize` and `JsonSchema` for it: `#[derive(Deserialize, iii::JsonSchema)]`"
)]
pub trait Input: Sized + Send + 'static {
    /// Whether the payload is a whole HTTP request.
    const IS_HTTP_REQUEST: bool = false;

    /// Parses the payload.
    ///
    /// # Errors
    ///
    /// If the payload does not match the type. The error names the field.
    fn from_invocation(call: &mut Invocation) -> Result<Self>;

    /// JSON Schema of the payload.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}
