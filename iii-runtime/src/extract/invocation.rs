//! One invocation on its way to a handler: the raw data, and what arguments are taken from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::extension::Added;
use super::{Context, Headers, Resources};
use crate::function::RequestParts;
use crate::session::Session;
use iii_wire::TriggerKind;
use iii_wire::protocol::{ChannelRef, Payload, TriggerId, TriggerTypeId};
use iii_wire::{Error, Result, code};

/// One invocation, before its arguments are taken.
///
/// Extractors of your own look into it, and interceptors add to it.
#[derive(Debug)]
pub struct Invocation {
    context: Context,
    data: Payload,
    metadata: Option<Payload>,
    request_parts: RequestParts,
    http: Option<HttpParts>,
    resources: Arc<Resources>,
    session: Option<Arc<Session>>,
    pub(super) added: Added,
    /// Values that change, as this invocation has seen them first.
    seen: Resources,
}

/// What the worker knows when an invocation arrives.
#[derive(Debug)]
pub(crate) struct InvocationParts {
    pub context: Context,
    pub data: Payload,
    pub metadata: Option<Payload>,
    pub request_parts: RequestParts,
    pub resources: Arc<Resources>,
    /// The connection of the worker; `None` outside of a running worker.
    pub session: Option<Arc<Session>>,
}

/// The parts of an HTTP request, as the engine sends them (protocol section 5.1).
#[derive(Debug, Clone, Default)]
pub struct HttpParts {
    /// The method, in capitals.
    pub method: String,
    /// The pattern of the route that matched, such as `/orders/:id`.
    pub route: String,
    /// The path parameters in the order of the names.
    pub path_params: BTreeMap<String, String>,
    /// The query, all values of a name together.
    pub query: BTreeMap<String, Vec<String>>,
    /// The headers.
    pub headers: Headers,
    /// The JSON body; `null` if there is none.
    pub body: Payload,
    /// The channel with the body as it came; `None` in a request that a caller made.
    pub request_body: Option<ChannelRef>,
    /// The channel that takes a response piece by piece; `None` in a request that a caller made.
    pub response: Option<ChannelRef>,
}

impl Invocation {
    pub(crate) fn new(received: InvocationParts) -> Self {
        let InvocationParts { context, data, metadata, request_parts, resources, session } = received;
        let (added, seen) = (Added::default(), Resources::default());
        Self { context, data, metadata, request_parts, http: None, resources, session, added, seen }
    }

    /// Who invokes what.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn context_mut(&mut self) -> &mut Context {
        &mut self.context
    }

    pub(super) fn replace_data(&mut self, data: Payload) {
        self.http = None;
        self.data = data;
    }

    /// The data as it came. From an `http` trigger this is the whole request; [`Invocation::http`] reads it.
    pub fn data(&self) -> &Payload {
        &self.data
    }

    /// The metadata of the call or of the trigger's declaration.
    pub fn metadata(&self) -> Option<&Payload> {
        self.metadata.as_ref()
    }

    /// What the app provides.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// A value that changes, as this invocation has seen it first.
    pub(crate) fn seen<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.seen.get()
    }

    /// Keeps a value that changes for the rest of this invocation.
    pub(crate) fn see<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.seen.insert(value);
    }

    /// The connection of the worker that serves the invocation; `None` outside of a running worker.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// Which parts of an HTTP request the function takes by extractors.
    pub fn request_parts(&self) -> RequestParts {
        self.request_parts
    }

    /// Whether the data is an HTTP request: an `http` trigger fired, or the function takes nothing else.
    pub fn is_http(&self) -> bool {
        self.request_parts.http || self.is_http_trigger()
    }

    pub(crate) fn is_http_trigger(&self) -> bool {
        self.context.trigger.as_ref().is_some_and(|trigger| trigger.kind == TriggerKind::Http)
    }

    /// The parts of the HTTP request. They are read once, on the first use; the body stays raw.
    ///
    /// # Errors
    ///
    /// If the data is no HTTP request: a caller called the function directly and sent something else.
    pub fn http(&mut self) -> Result<&HttpParts> {
        if self.http.is_none() {
            self.http = Some(HttpParts::read(&self.data)?);
        }
        Ok(self.http.as_ref().expect("the parts were read above"))
    }
}

impl HttpParts {
    fn read(data: &Payload) -> Result<Self> {
        let request = Request::read(data)?;
        let query = request.query()?;
        let owned = |text: Text<'_>| text.0.into_owned();
        // What is no ref opens nothing.
        let at = |raw: Option<&RawValue>| serde_json::from_str(raw?.get()).ok();
        let headers: Headers = match request.headers {
            Some(headers) => serde_json::from_str(headers.get()).map_err(|e| no_request(&e))?,
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
            request_body: at(request.request_body),
            response: at(request.response),
        })
    }
}

/// An HTTP request where it lies: nothing is copied that has no escapes, and nobody reads what nobody asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Request<'a> {
    #[serde(borrow, default)]
    pub method: Cow<'a, str>,
    #[serde(borrow, default)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    pub path_params: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(borrow, default)]
    query_params: Option<&'a RawValue>,
    /// An addition of our engine: all values of each name.
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

/// Text that is borrowed if it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A query: all values of each name.
pub(super) type QueryTexts<'a> = BTreeMap<Text<'a>, Vec<Text<'a>>>;

impl<'a> Request<'a> {
    /// The request in `data`.
    ///
    /// # Errors
    ///
    /// If the data is none.
    pub(super) fn read(data: &'a Payload) -> Result<Self> {
        data.parse_borrowed().map_err(|error| no_request(&error))
    }

    /// The query.
    ///
    /// # Errors
    ///
    /// If it is not an object of texts.
    pub(super) fn query(&self) -> Result<QueryTexts<'a>> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            One(String),
            Many(Vec<String>),
        }

        if let Some(multi) = self.query_params_multi.filter(|raw| raw.get() != "null") {
            return serde_json::from_str(multi.get()).map_err(|error| no_request(&error));
        }
        let Some(single) = self.query_params else { return Ok(QueryTexts::new()) };
        let single: BTreeMap<Text<'a>, Values> =
            serde_json::from_str(single.get()).map_err(|error| no_request(&error))?;
        let text = |text: String| Text(Cow::Owned(text));
        Ok(single
            .into_iter()
            .map(|(name, values)| match values {
                Values::One(value) => (name, vec![text(value)]),
                Values::Many(values) => (name, values.into_iter().map(text).collect()),
            })
            .collect())
    }
}

fn no_request(error: &serde_json::Error) -> Error {
    Error::new(
        code::INVALID_PAYLOAD,
        format!("this function takes an HTTP request, and the data is none: {error}"),
    )
}

/// The mark that this crate puts into the metadata of the triggers it registers, and finds again when they fire.
///
/// The engine hands the metadata of a trigger to the handler (protocol section 4.7). The mark says which trigger
/// fired; the user's own metadata travels inside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TriggerEnvelope<'a> {
    #[serde(rename = "iii:trigger")]
    trigger: MarkedTrigger,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    /// The number of the attempt, where our engine retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MarkedTrigger {
    r#type: TriggerTypeId,
    id: TriggerId,
}

impl TriggerEnvelope<'_> {
    /// The metadata of a trigger, with its mark.
    pub(crate) fn write(kind: &TriggerKind, id: &TriggerId, value: Option<&Payload>) -> Payload {
        let trigger = MarkedTrigger { r#type: kind.as_str().into(), id: id.clone() };
        let mark = TriggerEnvelope { trigger, value: value.map(Payload::as_raw), attempt: None };
        Payload::new(&mark).unwrap_or_default()
    }

    /// Takes the mark off. Metadata without one is the caller's own.
    pub(crate) fn read(metadata: Option<Payload>) -> Unmarked {
        let plain = |value| Unmarked { trigger: None, attempt: None, value };
        let Some(metadata) = metadata else { return plain(None) };
        // Cheap to tell, and spares most metadata a second look.
        if !metadata.as_str().contains("\"iii:trigger\"") {
            return plain(Some(metadata));
        }
        match metadata.parse_borrowed::<TriggerEnvelope<'_>>() {
            Err(_) => plain(Some(metadata.clone())),
            Ok(mark) => Unmarked {
                trigger: Some(super::TriggerInfo {
                    kind: TriggerKind::from(&*mark.trigger.r#type),
                    id: mark.trigger.id,
                }),
                attempt: mark.attempt,
                value: mark.value.map(|raw| metadata.part(raw)),
            },
        }
    }
}

/// Metadata without the mark, and what the mark said.
#[derive(Debug)]
pub(crate) struct Unmarked {
    pub trigger: Option<super::TriggerInfo>,
    pub attempt: Option<u32>,
    pub value: Option<Payload>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_with_the_users_metadata() {
        let own = Payload::from_json(r#"{"owner":"shop"}"#).unwrap();
        let id = TriggerId::from("t-1");
        for value in [None, Some(own)] {
            let marked = TriggerEnvelope::encode(&TriggerKind::Queue, &id, value.as_ref());
            let unmarked = TriggerEnvelope::decode(Some(marked));
            let trigger = unmarked.trigger.unwrap();
            assert_eq!((trigger.kind, trigger.id), (TriggerKind::Queue, id.clone()));
            assert_eq!(unmarked.value, value);
        }
    }

    #[test]
    fn other_metadata_is_left_alone() {
        for text in [r#"{"tenant":"acme"}"#, r#"{"iii:trigger":5}"#, "7"] {
            let unmarked = TriggerEnvelope::decode(Some(Payload::from_json(text.to_owned()).unwrap()));
            assert!(unmarked.trigger.is_none());
            assert_eq!(unmarked.value.unwrap().as_str(), text);
        }
    }

    #[test]
    fn http_parts_are_read_and_the_body_stays_raw() {
        let data = Payload::from_json(
            r#"{"method":"POST","path":"/o/:id","path_params":{"id":"7"},"query_params":{"a":"1"},
                "headers":{"X-A":"b"},"body":{"b":1.50,"a":2},"trigger":{}}"#,
        )
        .unwrap();
        let parts = HttpParts::read(&data).unwrap();
        assert_eq!((parts.method.as_str(), parts.route.as_str()), ("POST", "/o/:id"));
        assert_eq!(parts.path_params["id"], "7");
        assert_eq!(parts.query["a"], ["1"]);
        assert_eq!(parts.headers.get("x-a"), Some("b"));
        assert_eq!(parts.body.as_str(), r#"{"b":1.50,"a":2}"#);
    }

    #[test]
    fn data_that_is_no_request_is_a_coded_error() {
        let error = HttpParts::read(&Payload::from_json("[1]").unwrap()).unwrap_err();
        assert_eq!((error.code(), error.status()), (code::INVALID_PAYLOAD, 400));
    }
}
