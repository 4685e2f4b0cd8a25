//! Handler results: a plain value for a direct caller, a response for an HTTP client.

mod into_error;
mod reply;
mod response;
mod sse;
mod stream;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

pub use into_error::IntoError;
use reply::ReplyBody;
pub(crate) use reply::error_into_http;
pub use reply::{HandlerFuture, Reply};
pub use response::Response;
pub use sse::{Sse, SseEvent};
pub(crate) use stream::write_stream_body;

/// A value that a function can return.
///
/// Implemented for all types that are `Serialize` and `JsonSchema`. Over HTTP such a value becomes status 200 and JSON; `()`
/// becomes 204, and any other value that serialises to null, such as `None`, becomes 404.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a function",
    label = "not a result",
    note = "derive `Serialize` and `JsonSchema` for it: `#[derive(Serialize, iii::JsonSchema)]`"
)]
pub trait Output: Sized + Send + 'static {
    /// The type that a caller deserialises.
    type Value;

    /// Converts the value to a reply.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised.
    fn into_reply(self) -> Result<Reply>;

    /// JSON Schema of the value; `None` if a direct caller never gets one, or its schema is unknown.
    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema>;
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for T {
    type Value = T;

    fn into_reply(self) -> Result<Reply> {
        let payload = to_payload(&self)?;
        if !payload.is_null() {
            return Ok(Reply::new(ReplyBody::Json(payload)));
        }
        // A null of any other type is a missing value.
        let status = if is_unit::<T>() { 204 } else { 404 };
        Ok(Reply { status: Some(status), ..Reply::new(ReplyBody::Empty) })
    }

    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema> {
        if is_unit::<T>() { None } else { Some(SchemaGenerator::root_schema_for::<T>) }
    }
}

fn is_unit<T: 'static>() -> bool {
    std::any::TypeId::of::<T>() == std::any::TypeId::of::<()>()
}

fn to_payload<T: Serialize>(value: &T) -> Result<Payload> {
    Payload::new(value).map_err(|error| {
        Error::new(code::INTERNAL, "the result of the function cannot be serialised")
            .with_source(error)
    })
}

/// A created resource: status 201 over HTTP, the plain value for a direct caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created<T>(pub T);

impl<T: Serialize + JsonSchema + Send + 'static> Output for Created<T> {
    type Value = T;

    fn into_reply(self) -> Result<Reply> {
        Ok(Reply { status: Some(201), ..Reply::new(ReplyBody::Json(to_payload(&self.0)?)) })
    }

    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema> {
        Some(SchemaGenerator::root_schema_for::<T>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(output: impl Output) -> String {
        output.into_reply().unwrap().into_http().unwrap().as_str().to_owned()
    }

    #[test]
    fn each_result_has_its_http_form() {
        assert_eq!(http(7), r#"{"status_code":200,"body":7}"#);
        assert_eq!(http(Created("x")), r#"{"status_code":201,"body":"x"}"#);
        let empty = r#"{"content-type":"application/json"}"#;
        assert_eq!(http(()), format!(r#"{{"status_code":204,"headers":{empty},"body":null}}"#));
        assert_eq!(
            http(None::<u8>),
            format!(r#"{{"status_code":404,"headers":{empty},"body":null}}"#)
        );
        assert_eq!(
            http(Response::new(418).header("X-A", "b").text("tea")),
            r#"{"status_code":418,"headers":{"content-type":"text/plain; charset=utf-8","x-a":"b"},"body":"tea"}"#
        );
        assert_eq!(
            http(Response::new(202).json(&[1]).unwrap()),
            r#"{"status_code":202,"body":[1]}"#
        );
    }

    #[test]
    fn each_result_has_its_plain_form() {
        fn plain(output: impl Output) -> Option<String> {
            output.into_reply().unwrap().result().map(|p| p.as_str().to_owned())
        }
        assert_eq!(plain(7).as_deref(), Some("7"));
        assert_eq!(plain(Created(7)).as_deref(), Some("7"));
        assert_eq!(plain(()), None);
        assert_eq!(plain(None::<u8>), None);
        assert_eq!(plain(Response::new(200).text("a\"b")).as_deref(), Some(r#""a\"b""#));
    }
}
