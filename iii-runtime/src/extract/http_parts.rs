//! The HTTP request in the data of an invocation, parsed lazily and without copies where possible.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Headers;
use iii_wire::protocol::{ChannelRef, Payload};
use iii_wire::{Error, Result, code};

/// The parts of an HTTP request, as the engine sends them ([protocol 5.1](crate::protocol#s5-1)).
#[derive(Debug, Clone, Default)]
pub struct HttpParts {
    /// The method, in upper case.
    pub method: String,
    /// The pattern of the matched route, such as `/orders/:id`.
    pub route: String,
    /// The path parameters, by name.
    pub path_params: BTreeMap<String, String>,
    /// The query parameters, by name, with all values of a repeated one.
    pub query: BTreeMap<String, Vec<String>>,
    /// The headers.
    pub headers: Headers,
    /// The JSON body; `null` if there is none.
    pub body: Payload,
    /// The channel of the raw body; `None` in a request that a caller built.
    pub request_body: Option<ChannelRef>,
    /// The channel for a streamed response; `None` in a request that a caller built.
    pub response: Option<ChannelRef>,
}

impl HttpParts {
    pub(super) fn parse(data: &Payload) -> Result<Self> {
        let request = RawHttpRequest::parse(data)?;
        let query = request.query()?;
        let owned = |value: CowStr<'_>| value.0.into_owned();
        // An invalid reference counts as none.
        let channel = |raw: Option<&RawValue>| serde_json::from_str(raw?.get()).ok();
        let headers: Headers = match request.headers {
            Some(headers) => serde_json::from_str(headers.get()).map_err(|e| not_a_request(&e))?,
            None => Headers::default(),
        };
        Ok(Self {
            method: request.method.into_owned(),
            route: request.path.into_owned(),
            path_params: request
                .path_params
                .into_iter()
                .map(|(name, value)| (owned(name), owned(value)))
                .collect(),
            query: query
                .into_iter()
                .map(|(name, values)| (owned(name), values.into_iter().map(owned).collect()))
                .collect(),
            headers: headers.iter().collect(),
            body: request.body.map(|raw| data.part(raw)).unwrap_or_default(),
            request_body: channel(request.request_body),
            response: channel(request.response),
        })
    }
}

/// An HTTP request that borrows from the data: strings without escapes are not copied, and the query, headers and body are
/// parsed on demand.
#[derive(Debug, Deserialize)]
pub(super) struct RawHttpRequest<'a> {
    #[serde(borrow, default)]
    pub method: Cow<'a, str>,
    #[serde(borrow, default)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    pub path_params: BTreeMap<CowStr<'a>, CowStr<'a>>,
    #[serde(borrow, default)]
    query_params: Option<&'a RawValue>,
    /// All values of each name, which only the engine of this project sends.
    #[serde(borrow, default)]
    query_params_multi: Option<&'a RawValue>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

/// A string that borrows from the JSON if it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct CowStr<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Query parameters: all values of each name.
pub(super) type QueryParams<'a> = BTreeMap<CowStr<'a>, Vec<CowStr<'a>>>;

impl<'a> RawHttpRequest<'a> {
    /// Parses the request in `data`.
    ///
    /// # Errors
    ///
    /// If the data is not an HTTP request.
    pub(super) fn parse(data: &'a Payload) -> Result<Self> {
        data.parse_borrowed().map_err(|error| not_a_request(&error))
    }

    /// Parses the query.
    ///
    /// # Errors
    ///
    /// If it is not an object of strings, or of arrays of strings.
    pub(super) fn query(&self) -> Result<QueryParams<'a>> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            One(String),
            Many(Vec<String>),
        }

        if let Some(multi) = self.query_params_multi.filter(|raw| raw.get() != "null") {
            return serde_json::from_str(multi.get()).map_err(|error| not_a_request(&error));
        }
        let Some(single) = self.query_params else { return Ok(QueryParams::new()) };
        let single: BTreeMap<CowStr<'a>, Values> =
            serde_json::from_str(single.get()).map_err(|error| not_a_request(&error))?;
        let owned = |value: String| CowStr(Cow::Owned(value));
        Ok(single
            .into_iter()
            .map(|(name, values)| match values {
                Values::One(value) => (name, vec![owned(value)]),
                Values::Many(values) => (name, values.into_iter().map(owned).collect()),
            })
            .collect())
    }
}

fn not_a_request(error: &serde_json::Error) -> Error {
    Error::new(
        code::INVALID_PAYLOAD,
        format!("this function takes an HTTP request, and the data is not one: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_parts_are_parsed_and_the_body_stays_raw() {
        let data = Payload::from_json(
            r#"{"method":"POST","path":"/o/:id","path_params":{"id":"7"},"query_params":{"a":"1"},
                "headers":{"X-A":"b"},"body":{"b":1.50,"a":2},"trigger":{}}"#,
        )
        .unwrap();
        let parts = HttpParts::parse(&data).unwrap();
        assert_eq!((parts.method.as_str(), parts.route.as_str()), ("POST", "/o/:id"));
        assert_eq!(parts.path_params["id"], "7");
        assert_eq!(parts.query["a"], ["1"]);
        assert_eq!(parts.headers.get("x-a"), Some("b"));
        assert_eq!(parts.body.as_str(), r#"{"b":1.50,"a":2}"#);
    }

    #[test]
    fn data_that_is_not_a_request_is_a_coded_error() {
        let error = HttpParts::parse(&Payload::from_json("[1]").unwrap()).unwrap_err();
        assert_eq!((error.code(), error.status()), (code::INVALID_PAYLOAD, 400));
    }
}
