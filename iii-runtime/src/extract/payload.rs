//! The payload argument: JSON, or an HTTP request, read into a type once, with errors that name the field.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::invocation::{QueryTexts, Request};
use super::text::{Value, Values};
use super::{Input, Invocation};
use crate::channel::deserialize_with_session;
use crate::function::RequestParts;
use iii_wire::protocol::{Payload, fields};
use iii_wire::{Error, Result, code};

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for T {
    fn from_invocation(call: &mut Invocation) -> Result<Self> {
        if !call.is_http() {
            return deserialize_with_session(call.session().cloned(), || read_json(call.data().as_str()))
                .map_err(|mistake| mistake.into_error(code::INVALID_PAYLOAD, "the payload"));
        }
        let request = Request::read(call.data())?;
        deserialize_with_session(call.session().cloned(), || read_http(&request, call.request_parts()))?
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
    // To know where a mistake is costs time, so only a mistake is looked for.
    serde_json::from_str(text).or_else(|_| {
        let mut json = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut json).map_err(Mistake::new)?;
        // Something stands after the value.
        json.end().map_err(|error| Mistake { field: String::new(), reason: error.to_string() })?;
        Ok(value)
    })
}

/// Reads named values.
pub(super) fn read_values<T: DeserializeOwned>(
    values: Values<'_>,
) -> std::result::Result<T, Mistake> {
    serde_path_to_error::deserialize(values).map_err(Mistake::new)
}

/// Reads the payload out of an HTTP request: the JSON body, or the query where there is no body, and the path
/// parameters in both cases. What extractors take is left out. A path parameter wins over a field of the same name.
///
/// # Errors
///
/// The outer error: the data is no request. The inner one: it does not fit the type.
fn read_http<T: DeserializeOwned>(
    request: &Request<'_>,
    request_parts: RequestParts,
) -> Result<std::result::Result<T, Mistake>> {
    let bodiless = matches!(&*request.method, "GET" | "HEAD" | "OPTIONS" | "DELETE");
    let body = request.body.map_or("null", RawValue::get);
    let mut values: Vec<(&str, Value<'_>)> = Vec::new();
    if !request_parts.path {
        let path = request.path_params.iter();
        values.extend(path.map(|(name, text)| (&*name.0, Value::Text(&text.0))));
    }
    let from_path = values.len();

    if bodiless && body == "null" {
        let query = if request_parts.query { QueryTexts::new() } else { request.query()? };
        let query = query.iter().filter(|(name, _)| !request.path_params.contains_key(*name));
        let mut all = values;
        all.extend(query.map(|(name, texts)| (&*name.0, Value::Many(texts))));
        return Ok(read_values(Values(all)));
    }
    if from_path == 0 {
        return Ok(read_body(body));
    }
    let Ok(fields) = fields(body) else {
        // Not an object: there is nothing to put the path parameters into.
        return Ok(read_body(body));
    };
    for (name, raw) in &fields {
        if !values[..from_path].iter().any(|(taken, _)| taken == name) {
            values.push((name, Value::Json(raw)));
        }
    }
    Ok(read_values(Values(values)))
}

fn read_body<T: DeserializeOwned>(body: &str) -> std::result::Result<T, Mistake> {
    read_json(body).map_err(|mistake| {
        if body != "null" {
            return mistake;
        }
        let reason =
            "there is no JSON body; send one, with the header `content-type: application/json`";
        Mistake { field: String::new(), reason: reason.to_owned() }
    })
}

/// Raw JSON is a payload like any other.
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
    use crate::extract::{Context, Extract, Headers, HttpRequest, Path, Query, InvocationParts};
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

    fn read<T: Input>(mut call: Invocation) -> Result<T> {
        T::from_invocation(&mut call)
    }

    #[test]
    fn a_plain_call_is_the_data_itself() {
        let order: Order = read(invocation(json!({"id": 7}), false, RequestParts::NONE)).unwrap();
        assert_eq!(order.id, 7);
    }

    #[test]
    fn a_mistake_names_its_field_and_nothing_else() {
        for (data, field) in [
            (json!({"id": "x"}), "id"),
            (json!({"id": 1, "tags": ["a", 2]}), "tags[1]"),
            (json!({"id": 1, "item": {"price": "x"}}), "item.price"),
            (json!({"id": 1, "item": {}}), "item.price"),
            (json!({}), "id"),
        ] {
            let error = read::<Order>(invocation(data, false, RequestParts::NONE)).unwrap_err();
            assert_eq!((error.code(), error.status()), (code::INVALID_PAYLOAD, 400));
            let details: serde_json::Value = error.details().unwrap();
            assert_eq!(details["field"], field, "{error}");
        }
    }

    #[test]
    fn a_request_without_a_body_is_its_path_and_query() {
        let order: Order = read(request("GET", json!({"tags": ["a", "b"]}), json!(null))).unwrap();
        assert_eq!(order, Order { id: 7, tags: vec!["a".into(), "b".into()], item: None });
        // The path wins.
        let order: Order = read(request("DELETE", json!({"id": ["8"]}), json!(null))).unwrap();
        assert_eq!(order.id, 7);
    }

    #[test]
    fn a_request_with_a_body_is_its_body_and_path() {
        let body = json!({"id": 9, "tags": ["a"], "item": {"price": 1.5}});
        let order: Order = read(request("PUT", json!({"tags": ["no"]}), body)).unwrap();
        assert_eq!(order, Order { id: 7, tags: vec!["a".into()], item: Some(Item { price: 1.5 }) });
        let error = read::<Order>(request("PUT", json!({}), json!({"item": {"price": "x"}})));
        let details: serde_json::Value = error.unwrap_err().details().unwrap();
        assert_eq!(details["field"], "item.price");
    }

    #[test]
    fn a_missing_body_says_how_to_send_one() {
        let error = read::<Order>(request("POST", json!({}), json!(null))).unwrap_err();
        assert!(error.message().contains("content-type: application/json"), "{error}");
    }

    #[test]
    fn raw_json_is_a_payload() {
        let raw: Payload = read(invocation(json!({"b": 1}), false, RequestParts::NONE)).unwrap();
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
    fn what_a_caller_builds_is_what_a_function_gets() {
        let sent = HttpRequest::new(vec![1u8])
            .method("PUT")
            .path_param("id", "7")
            .query("tag", "a")
            .query("tag", "b")
            .header("X-A", "b");
        let data = serde_json::to_value(&sent).unwrap();
        assert_eq!(data["query_params"]["tag"], "b");
        let got: HttpRequest<Vec<u8>> =
            read(invocation(data, false, RequestParts::WHOLE_REQUEST)).unwrap();
        assert_eq!(got, sent);
    }
}
