//! The payload argument, parsed from JSON or from an HTTP request, with errors that name the field.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::http_parts::{QueryParams, RawHttpRequest};
use super::params::{ParamValue, Params};
use super::{Input, Invocation};
use crate::channel::deserialize_with_session;
use crate::function::RequestParts;
use iii_wire::protocol::{Payload, fields};
use iii_wire::{Error, Result, code};

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for T {
    fn from_invocation(call: &mut Invocation) -> Result<Self> {
        let session = call.session().cloned();
        if !call.is_http() {
            return deserialize_with_session(session, || parse_json(call.data().as_str()))
                .map_err(|error| error.into_error(code::INVALID_PAYLOAD, "the payload"));
        }
        let request = RawHttpRequest::parse(call.data())?;
        deserialize_with_session(session, || parse_request(&request, call.request_parts()))?
            .map_err(|error| error.into_error(code::INVALID_PAYLOAD, "the request"))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

/// Which field does not match its type, and why.
#[derive(Debug)]
pub(super) struct FieldError {
    field: String,
    reason: String,
}

impl FieldError {
    /// Converts to an error for the caller: it names the field, and exposes nothing internal to the worker.
    pub(super) fn into_error(self, code: &'static str, subject: &str) -> Error {
        #[derive(Serialize)]
        struct Details<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            field: &'a str,
            reason: &'a str,
        }
        let Self { field, reason } = &self;
        let message = if field.is_empty() {
            format!("{subject} is invalid: {reason}")
        } else {
            format!("{subject} is invalid: field `{field}`: {reason}")
        };
        Error::new(code, message).with_details(&Details { field, reason })
    }

    fn new<E: std::fmt::Display>(error: serde_path_to_error::Error<E>) -> Self {
        let path = error.path().to_string();
        let reason = error.inner().to_string();
        let mut field = if path == "." { String::new() } else { path };
        // serde reports a missing field at its parent.
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

/// Parses JSON.
pub(super) fn parse_json<T: DeserializeOwned>(json: &str) -> std::result::Result<T, FieldError> {
    // Tracking the path of a field is slow, so it is tracked only on a second pass after an error.
    serde_json::from_str(json).or_else(|_| {
        let mut json = serde_json::Deserializer::from_str(json);
        let value = serde_path_to_error::deserialize(&mut json).map_err(FieldError::new)?;
        // Trailing characters.
        json.end()
            .map_err(|error| FieldError { field: String::new(), reason: error.to_string() })?;
        Ok(value)
    })
}

/// Parses named parameters.
pub(super) fn parse_params<T: DeserializeOwned>(
    params: Params<'_>,
) -> std::result::Result<T, FieldError> {
    serde_path_to_error::deserialize(params).map_err(FieldError::new)
}

/// Parses the payload of an HTTP request: the path parameters, merged with the JSON body. A `GET`, `HEAD`, `OPTIONS` or
/// `DELETE` request without a body has the query in place of it. Leaves out the parts that extractors take. A path parameter
/// takes precedence over a field of the same name.
///
/// # Errors
///
/// The outer error if the data is not a request, the inner one if the request does not match the type.
fn parse_request<T: DeserializeOwned>(
    request: &RawHttpRequest<'_>,
    request_parts: RequestParts,
) -> Result<std::result::Result<T, FieldError>> {
    let bodiless = matches!(&*request.method, "GET" | "HEAD" | "OPTIONS" | "DELETE");
    let body = request.body.map_or("null", RawValue::get);
    let mut params: Vec<(&str, ParamValue<'_>)> = Vec::new();
    if !request_parts.path {
        let path = request.path_params.iter();
        params.extend(path.map(|(name, value)| (&*name.0, ParamValue::Str(&value.0))));
    }
    let path_params = params.len();

    if bodiless && body == "null" {
        let query = if request_parts.query { QueryParams::new() } else { request.query()? };
        let query = query.iter().filter(|(name, _)| !request.path_params.contains_key(*name));
        let mut all = params;
        all.extend(query.map(|(name, values)| (&*name.0, ParamValue::Repeated(values))));
        return Ok(parse_params(Params(all)));
    }
    if path_params == 0 {
        return Ok(parse_body(body));
    }
    let Ok(fields) = fields(body) else {
        // Path parameters can be merged into an object only.
        return Ok(parse_body(body));
    };
    for (name, raw) in &fields {
        if !params[..path_params].iter().any(|(param, _)| param == name) {
            params.push((name, ParamValue::Json(raw)));
        }
    }
    Ok(parse_params(Params(params)))
}

fn parse_body<T: DeserializeOwned>(body: &str) -> std::result::Result<T, FieldError> {
    parse_json(body).map_err(|error| {
        if body != "null" {
            return error;
        }
        let reason =
            "there is no JSON body; send one, with the header `content-type: application/json`";
        FieldError { field: String::new(), reason: reason.to_owned() }
    })
}

/// Checks that raw JSON is a payload type.
const _: fn() = || {
    fn is_input<T: Input>() {}
    is_input::<Payload>();
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::extract::{Context, Extract, Headers, HttpRequest, InvocationParts, Path, Query};
    use crate::extract::{Metadata, State, TriggerInfo};
    use iii_wire::TriggerKind;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Order {
        id: u64,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        item: Option<Item>,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Item {
        price: f64,
    }

    fn invocation(data: serde_json::Value, http: bool, request_parts: RequestParts) -> Invocation {
        let mut context = Context::test();
        if http {
            context.trigger = Some(TriggerInfo { kind: TriggerKind::Http, id: "t".into() });
        }
        Invocation::new(InvocationParts {
            context,
            data: data.into(),
            metadata: None,
            request_parts,
            resources: Arc::default(),
            session: None,
        })
    }

    fn request(method: &str, query: serde_json::Value, body: serde_json::Value) -> Invocation {
        let data = json!({
            "method": method, "path": "/orders/:id", "path_params": {"id": "7"},
            "query_params": {}, "query_params_multi": query, "headers": {"X-A": "b"}, "body": body,
        });
        invocation(data, true, RequestParts::NONE)
    }

    fn parse<T: Input>(mut call: Invocation) -> Result<T> {
        T::from_invocation(&mut call)
    }

    #[test]
    fn the_payload_of_a_direct_call_is_its_data() {
        let order: Order = parse(invocation(json!({"id": 7}), false, RequestParts::NONE)).unwrap();
        assert_eq!(order.id, 7);
    }

    #[test]
    fn an_error_names_its_field_and_nothing_internal() {
        for (data, field) in [
            (json!({"id": "x"}), "id"),
            (json!({"id": 1, "tags": ["a", 2]}), "tags[1]"),
            (json!({"id": 1, "item": {"price": "x"}}), "item.price"),
            (json!({"id": 1, "item": {}}), "item.price"),
            (json!({}), "id"),
        ] {
            let error = parse::<Order>(invocation(data, false, RequestParts::NONE)).unwrap_err();
            assert_eq!((error.code(), error.status()), (code::INVALID_PAYLOAD, 400));
            let details: serde_json::Value = error.details().unwrap();
            assert_eq!(details["field"], field, "{error}");
        }
    }

    #[test]
    fn the_payload_of_a_request_without_a_body_is_its_path_and_query() {
        let order: Order = parse(request("GET", json!({"tags": ["a", "b"]}), json!(null))).unwrap();
        assert_eq!(order, Order { id: 7, tags: vec!["a".into(), "b".into()], item: None });
        // The path takes precedence.
        let order: Order = parse(request("DELETE", json!({"id": ["8"]}), json!(null))).unwrap();
        assert_eq!(order.id, 7);
    }

    #[test]
    fn the_payload_of_a_request_with_a_body_is_its_body_and_path() {
        let body = json!({"id": 9, "tags": ["a"], "item": {"price": 1.5}});
        let order: Order = parse(request("PUT", json!({"tags": ["no"]}), body)).unwrap();
        assert_eq!(order, Order { id: 7, tags: vec!["a".into()], item: Some(Item { price: 1.5 }) });
        let error = parse::<Order>(request("PUT", json!({}), json!({"item": {"price": "x"}})));
        let details: serde_json::Value = error.unwrap_err().details().unwrap();
        assert_eq!(details["field"], "item.price");
    }

    #[test]
    fn the_error_of_a_missing_body_names_the_content_type() {
        let error = parse::<Order>(request("POST", json!({}), json!(null))).unwrap_err();
        assert!(error.message().contains("content-type: application/json"), "{error}");
    }

    #[test]
    fn raw_json_is_a_payload() {
        let raw: Payload = parse(invocation(json!({"b": 1}), false, RequestParts::NONE)).unwrap();
        assert_eq!(raw.as_str(), r#"{"b":1}"#);
    }

    #[tokio::test]
    async fn extractors_take_the_parts_of_a_request() {
        let mut call = request("GET", json!({"limit": ["3"]}), json!(null));
        #[derive(Deserialize)]
        struct Limit {
            limit: u8,
        }
        assert_eq!(Path::<u64>::extract(&mut call).await.unwrap().0, 7);
        assert_eq!(Query::<Limit>::extract(&mut call).await.unwrap().0.limit, 3);
        assert_eq!(Headers::extract(&mut call).await.unwrap().get("x-a"), Some("b"));
        let error = Path::<bool>::extract(&mut call).await.unwrap_err();
        assert_eq!((error.code(), error.status()), (code::INVALID_ARGUMENT, 400));
        assert!(Metadata::<Option<u8>>::extract(&mut call).await.unwrap().0.is_none());
        assert!(Metadata::<u8>::extract(&mut call).await.is_err());
        assert!(State::<u8>::extract(&mut call).await.is_err());
    }

    #[test]
    fn a_built_request_round_trips() {
        let sent = HttpRequest::new(vec![1u8])
            .method("PUT")
            .path_param("id", "7")
            .query("tag", "a")
            .query("tag", "b")
            .header("X-A", "b");
        let data = serde_json::to_value(&sent).unwrap();
        assert_eq!(data["query_params"]["tag"], "b");
        let received: HttpRequest<Vec<u8>> =
            parse(invocation(data, false, RequestParts::WHOLE_REQUEST)).unwrap();
        assert_eq!(received, sent);
    }
}
