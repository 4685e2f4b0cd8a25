//! The payload argument: JSON, or an HTTP request, read into a type once, with errors that name the field.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::text::{Value, Values};
use super::{HttpParts, Input, Invocation};
use crate::declare::Shape;
use crate::error::{Error, Result, code};
use crate::protocol::Payload;

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for T {
    fn from_invocation(call: &mut Invocation) -> Result<Self> {
        if !call.is_http() {
            return read_json(call.data().as_str())
                .map_err(|mistake| mistake.into_error(code::INVALID_PAYLOAD, "the payload"));
        }
        let shape = call.shape();
        read_http(call.http()?, shape)
            .map_err(|mistake| mistake.into_error(code::INVALID_PAYLOAD, "the request"))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

/// Where a value does not fit its type, and why.
#[derive(Debug)]
pub(super) struct Mistake {
    field: String,
    reason: String,
}

impl Mistake {
    /// The error for the caller: it names the field, and nothing of the inside of the worker.
    pub(super) fn into_error(self, code: &'static str, what: &str) -> Error {
        #[derive(Serialize)]
        struct Details<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            field: &'a str,
            reason: &'a str,
        }
        let Self { field, reason } = &self;
        let message = if field.is_empty() {
            format!("{what} does not fit: {reason}")
        } else {
            format!("{what} does not fit: field `{field}`: {reason}")
        };
        Error::new(code, message).with_details(&Details { field, reason })
    }

    fn new<E: std::fmt::Display>(error: serde_path_to_error::Error<E>) -> Self {
        let path = error.path().to_string();
        let reason = error.inner().to_string();
        let mut field = if path == "." { String::new() } else { path };
        // A missing field is reported at its parent; the caller wants to know the field.
        if let Some(missing) =
            reason.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
        {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(missing);
        }
        Self { field, reason }
    }
}

/// Reads JSON text.
pub(super) fn read_json<T: DeserializeOwned>(text: &str) -> std::result::Result<T, Mistake> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(Mistake::new)
}

/// Reads named values.
pub(super) fn read_values<T: DeserializeOwned>(
    values: Values<'_>,
) -> std::result::Result<T, Mistake> {
    serde_path_to_error::deserialize(values).map_err(Mistake::new)
}

/// Reads the payload out of an HTTP request: the JSON body, or the query where there is no body, and the path
/// parameters in both cases. What extractors take is left out. A path parameter wins over a field of the same name.
fn read_http<T: DeserializeOwned>(
    parts: &HttpParts,
    shape: Shape,
) -> std::result::Result<T, Mistake> {
    let bodiless = matches!(parts.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "DELETE");
    let mut values: Vec<(&str, Value<'_>)> = Vec::new();
    if !shape.path {
        values.extend(parts.path_params.iter().map(|(n, t)| (n.as_str(), Value::Text(t))));
    }
    let from_path = values.len();

    if bodiless && parts.body.is_null() {
        if !shape.query {
            let query = parts.query.iter().map(|(n, texts)| (n.as_str(), Value::Many(texts)));
            let query: Vec<_> =
                query.filter(|(name, _)| !parts.path_params.contains_key(*name)).collect();
            values.extend(query);
        }
        return read_values(Values(values));
    }
    if from_path == 0 {
        return read_body(parts);
    }
    let Ok(fields) = parts.body.fields() else {
        // Not an object: there is nothing to put the path parameters into.
        return read_body(parts);
    };
    for (name, raw) in &fields {
        if !values[..from_path].iter().any(|(taken, _)| taken == name) {
            values.push((name, Value::Json(raw)));
        }
    }
    read_values(Values(values))
}

fn read_body<T: DeserializeOwned>(parts: &HttpParts) -> std::result::Result<T, Mistake> {
    read_json(parts.body.as_str()).map_err(|mistake| {
        if !parts.body.is_null() {
            return mistake;
        }
        let reason = "there is no JSON body; send one, with the header `content-type: application/json`";
        Mistake { field: String::new(), reason: reason.to_owned() }
    })
}

/// Raw JSON is a payload like any other.
const _: fn() = || {
    fn is_input<T: Input>() {}
    is_input::<Payload>();
};
