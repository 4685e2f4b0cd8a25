//! Encoding and decoding of messages as JSON, without parsing their payloads.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use bytestring::ByteString;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::write::{push_json_string, push_json_uuid};
use super::{
    Action, ErrorBody, HttpInvocation, InvocationId, InvocationResult, InvokeFunction, Message,
    Payload, RegisterFunction, RegisterService, RegisterTrigger, RegisterTriggerType,
    RegistrationRejected, TriggerRegistrationResult, WorkerId,
};

/// The key with the id of the calling worker ([protocol 4.2](crate::protocol#s4-2)).
const CALLER_KEY: &str = "_caller_worker_id";

/// Why a frame could not be decoded. It does not close the connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame is not a JSON object, or a field has the wrong type.
    Json(serde_json::Error),
    /// The message type is unknown.
    UnknownType(String),
    /// A required field is missing.
    MissingField {
        /// The message type.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the frame is not a protocol message: {error}"),
            Self::UnknownType(name) => write!(f, "unknown message type `{name}`"),
            Self::MissingField { message, field } => {
                write!(f, "message `{message}` needs the field `{field}`")
            }
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}

/// The fields of all messages. No two messages use one name for different types, so one flat struct deserializes any of
/// them; an internally tagged enum could not keep the payloads raw.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    invocation_id: Option<InvocationId>,
    #[serde(borrow, default)]
    function_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorBody>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    traceparent: Option<String>,
    #[serde(default)]
    baggage: Option<String>,
    #[serde(default)]
    action: Option<Action>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    trigger_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    trigger_namespace: Option<Cow<'a, str>>,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow, default)]
    request_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    trigger_request_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    call_request_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    invocation: Option<&'a RawValue>,
    #[serde(default)]
    worker_id: Option<WorkerId>,
    #[serde(default)]
    previous_worker_id: Option<WorkerId>,
    #[serde(default)]
    reattach_token: Option<Uuid>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    owner_worker_id: Option<String>,
    #[serde(default)]
    worker_name: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    parent_service_id: Option<String>,
}

/// Decodes a frame. `None` if it contains only whitespace.
///
/// # Errors
///
/// If the frame is not a valid message.
pub fn decode(frame: &ByteString) -> Result<Option<Message>, DecodeError> {
    if frame.trim_ascii().is_empty() {
        return Ok(None);
    }
    let e: Envelope<'_> = serde_json::from_str(frame).map_err(DecodeError::Json)?;
    let payload = |raw: Option<&RawValue>| raw.map(|raw| Payload::retained_slice_of(frame, raw));

    macro_rules! need {
        ($field:ident of $message:literal) => {
            e.$field
                .ok_or(DecodeError::MissingField { message: $message, field: stringify!($field) })?
        };
    }

    Ok(Some(match &*e.kind {
        "invokefunction" => {
            let data = payload(e.data).unwrap_or_default();
            let (data, caller) = take_caller(data);
            Message::InvokeFunction(Box::new(InvokeFunction {
                invocation_id: e.invocation_id,
                function_id: need!(function_id of "invokefunction").into(),
                data,
                caller,
                traceparent: e.traceparent,
                baggage: e.baggage,
                action: e.action,
                metadata: payload(e.metadata),
                namespace: e.namespace.map(Into::into),
            }))
        }
        "invocationresult" => Message::InvocationResult(Box::new(InvocationResult {
            invocation_id: need!(invocation_id of "invocationresult"),
            function_id: e.function_id.unwrap_or_default().into(),
            result: match e.error {
                Some(error) => Err(error),
                None => Ok(payload(e.result)),
            },
            traceparent: e.traceparent,
            baggage: e.baggage,
        })),
        "registerfunction" => Message::RegisterFunction(Box::new(RegisterFunction {
            id: need!(id of "registerfunction").into(),
            description: e.description,
            request_format: payload(e.request_format),
            response_format: payload(e.response_format),
            metadata: payload(e.metadata),
            invocation: payload(e.invocation).map(HttpInvocation),
        })),
        "unregisterfunction" => {
            Message::UnregisterFunction { id: need!(id of "unregisterfunction").into() }
        }
        "registertriggertype" => Message::RegisterTriggerType(Box::new(RegisterTriggerType {
            id: need!(id of "registertriggertype").into(),
            description: e.description.unwrap_or_default(),
            trigger_request_format: payload(e.trigger_request_format),
            call_request_format: payload(e.call_request_format),
            namespace: e.namespace.map(Into::into),
        })),
        "unregistertriggertype" => {
            Message::UnregisterTriggerType { id: need!(id of "unregistertriggertype").into() }
        }
        "registertrigger" => Message::RegisterTrigger(Box::new(RegisterTrigger {
            id: need!(id of "registertrigger").into(),
            trigger_type: need!(trigger_type of "registertrigger").into(),
            function_id: need!(function_id of "registertrigger").into(),
            config: payload(e.config).unwrap_or_default(),
            metadata: payload(e.metadata),
            namespace: e.namespace.map(Into::into),
            trigger_namespace: e.trigger_namespace.map(Into::into),
        })),
        "unregistertrigger" => Message::UnregisterTrigger {
            id: need!(id of "unregistertrigger").into(),
            trigger_type: e.trigger_type.map(Into::into),
        },
        "triggerregistrationresult" => {
            Message::TriggerRegistrationResult(Box::new(TriggerRegistrationResult {
                id: need!(id of "triggerregistrationresult").into(),
                trigger_type: need!(trigger_type of "triggerregistrationresult").into(),
                function_id: need!(function_id of "triggerregistrationresult").into(),
                error: e.error,
            }))
        }
        "workerregistered" => Message::WorkerRegistered {
            worker_id: need!(worker_id of "workerregistered"),
            reattach_token: e.reattach_token,
        },
        "reattach" => Message::Reattach {
            previous_worker_id: need!(previous_worker_id of "reattach"),
            reattach_token: need!(reattach_token of "reattach"),
        },
        "registrationrejected" => Message::RegistrationRejected(Box::new(RegistrationRejected {
            code: need!(code of "registrationrejected"),
            namespace: e.namespace.map(Into::into).unwrap_or_default(),
            function_id: e.function_id.map(Into::into),
            worker_name: e.worker_name,
            owner_worker_id: e.owner_worker_id.unwrap_or_default(),
            error: e.error,
        })),
        "registerservice" => Message::RegisterService(Box::new(RegisterService {
            id: need!(id of "registerservice").into_owned(),
            name: e.name,
            description: e.description,
            parent_service_id: e.parent_service_id,
        })),
        "error" => Message::Error(Box::new(need!(error of "error"))),
        "ping" => Message::Ping,
        "pong" => Message::Pong,
        unknown => return Err(DecodeError::UnknownType(unknown.to_owned())),
    }))
}

/// Encodes a message.
pub fn encode(message: &Message) -> String {
    match message {
        Message::InvokeFunction(m) => {
            let metadata = m.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
            let mut o = ObjectWriter::new("invokefunction", 256 + m.data.as_str().len() + metadata);
            o.id("invocation_id", m.invocation_id.map(|id| id.0));
            o.text("function_id", Some(&m.function_id));
            o.key("data");
            put_with_caller(&mut o.text, &m.data, m.caller);
            o.text("traceparent", m.traceparent.as_deref());
            o.text("baggage", m.baggage.as_deref());
            o.put("action", m.action.as_ref());
            o.raw("metadata", m.metadata.as_ref());
            o.text("namespace", m.namespace.as_deref());
            o.end()
        }
        Message::InvocationResult(m) => {
            let size =
                m.result.as_ref().ok().and_then(Option::as_ref).map_or(0, |r| r.as_str().len());
            let mut o = ObjectWriter::new("invocationresult", 160 + size);
            o.id("invocation_id", Some(m.invocation_id.0));
            o.text("function_id", Some(&m.function_id));
            match &m.result {
                Ok(result) => o.raw("result", result.as_ref()),
                Err(error) => o.put("error", Some(error)),
            }
            o.text("traceparent", m.traceparent.as_deref());
            o.text("baggage", m.baggage.as_deref());
            o.end()
        }
        Message::WorkerRegistered { worker_id, reattach_token } => {
            let mut o = ObjectWriter::new("workerregistered", 128);
            o.put("worker_id", Some(worker_id));
            o.put("reattach_token", reattach_token.as_ref());
            o.end()
        }
        Message::Reattach { previous_worker_id, reattach_token } => {
            let mut o = ObjectWriter::new("reattach", 128);
            o.put("previous_worker_id", Some(previous_worker_id));
            o.put("reattach_token", Some(reattach_token));
            o.end()
        }
        Message::RegisterFunction(m) => {
            let mut o = ObjectWriter::new("registerfunction", 512);
            o.put("id", Some(&m.id));
            o.put("description", m.description.as_ref());
            o.raw("request_format", m.request_format.as_ref());
            o.raw("response_format", m.response_format.as_ref());
            o.raw("metadata", m.metadata.as_ref());
            o.raw("invocation", m.invocation.as_ref().map(|i| &i.0));
            o.end()
        }
        Message::UnregisterFunction { id } => {
            let mut o = ObjectWriter::new("unregisterfunction", 64);
            o.put("id", Some(id));
            o.end()
        }
        Message::RegisterTriggerType(m) => {
            let mut o = ObjectWriter::new("registertriggertype", 512);
            o.put("id", Some(&m.id));
            o.put("description", Some(&m.description));
            o.raw("trigger_request_format", m.trigger_request_format.as_ref());
            o.raw("call_request_format", m.call_request_format.as_ref());
            o.put("namespace", m.namespace.as_ref());
            o.end()
        }
        Message::UnregisterTriggerType { id } => {
            let mut o = ObjectWriter::new("unregistertriggertype", 64);
            o.put("id", Some(id));
            o.end()
        }
        Message::RegisterTrigger(m) => {
            let mut o = ObjectWriter::new("registertrigger", 256);
            o.put("id", Some(&m.id));
            o.put("trigger_type", Some(&m.trigger_type));
            o.put("function_id", Some(&m.function_id));
            o.raw("config", Some(&m.config));
            o.raw("metadata", m.metadata.as_ref());
            o.put("namespace", m.namespace.as_ref());
            o.put("trigger_namespace", m.trigger_namespace.as_ref());
            o.end()
        }
        Message::UnregisterTrigger { id, trigger_type } => {
            let mut o = ObjectWriter::new("unregistertrigger", 96);
            o.put("id", Some(id));
            o.put("trigger_type", trigger_type.as_ref());
            o.end()
        }
        Message::TriggerRegistrationResult(m) => {
            let mut o = ObjectWriter::new("triggerregistrationresult", 160);
            o.put("id", Some(&m.id));
            o.put("trigger_type", Some(&m.trigger_type));
            o.put("function_id", Some(&m.function_id));
            o.put("error", m.error.as_ref());
            o.end()
        }
        Message::RegistrationRejected(m) => {
            let mut o = ObjectWriter::new("registrationrejected", 160);
            o.put("code", Some(&m.code));
            o.put("namespace", Some(&m.namespace));
            o.put("function_id", m.function_id.as_ref());
            o.put("worker_name", m.worker_name.as_ref());
            o.put("owner_worker_id", Some(&m.owner_worker_id));
            o.put("error", m.error.as_ref());
            o.end()
        }
        Message::RegisterService(m) => {
            let mut o = ObjectWriter::new("registerservice", 128);
            o.put("id", Some(&m.id));
            o.put("name", m.name.as_ref());
            o.put("description", m.description.as_ref());
            o.put("parent_service_id", m.parent_service_id.as_ref());
            o.end()
        }
        Message::Error(error) => {
            let mut o = ObjectWriter::new("error", 160);
            o.put("error", Some(error));
            o.end()
        }
        // It is encoded as the reply to the invalid frame.
        Message::Invalid(m) => encode(&m.as_ref().clone().into_reply()),
        Message::Ping => r#"{"type":"ping"}"#.to_owned(),
        Message::Pong => r#"{"type":"pong"}"#.to_owned(),
    }
}

/// Writes a JSON object field by field; payloads are copied verbatim.
struct ObjectWriter {
    text: String,
}

impl ObjectWriter {
    fn new(kind: &str, capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity);
        text.push_str(r#"{"type":""#);
        text.push_str(kind);
        text.push('"');
        Self { text }
    }

    fn key(&mut self, key: &str) {
        self.text.push_str(",\"");
        self.text.push_str(key);
        self.text.push_str("\":");
    }

    /// Writes a field of any type.
    fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.key(key);
            self.text.push_str(&serde_json::to_string(value).expect("protocol fields serialize"));
        }
    }

    /// Writes a string field.
    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            push_json_string(&mut self.text, value);
        }
    }

    /// Writes a UUID field.
    fn id(&mut self, key: &str, value: Option<Uuid>) {
        if let Some(value) = value {
            self.key(key);
            push_json_uuid(&mut self.text, value);
        }
    }

    fn raw(&mut self, key: &str, payload: Option<&Payload>) {
        if let Some(payload) = payload {
            self.key(key);
            self.text.push_str(payload.as_str());
        }
    }

    fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// The bytes of `data`, with the caller's id as the first key if it is an object ([protocol 4.2](crate::protocol#s4-2)).
pub fn with_caller(data: Payload, caller: Option<WorkerId>) -> bytes::Bytes {
    if caller.is_none() || !data.is_object() {
        return data.into_bytes();
    }
    let mut text = String::with_capacity(data.as_str().len() + 64);
    put_with_caller(&mut text, &data, caller);
    text.into()
}
/// The prefix of an object that [`put_with_caller`] wrote, up to the id.
const LEADING_CALLER: &str = "{\"_caller_worker_id\":\"";

/// Writes `data`, with the caller's id as the first key if it is an object.
fn put_with_caller(text: &mut String, data: &Payload, caller: Option<WorkerId>) {
    let (Some(caller), Some(rest)) = (caller, data.as_str().strip_prefix('{')) else {
        text.push_str(data.as_str());
        return;
    };
    text.push_str("{\"");
    text.push_str(CALLER_KEY);
    text.push_str("\":");
    push_json_uuid(text, caller.0);
    if rest.trim_ascii_start() != "}" {
        text.push(',');
    }
    text.push_str(rest);
}

/// Removes the caller's id from `data`. An id that a client inserted is removed as well, so it cannot be forged.
fn take_caller(data: Payload) -> (Payload, Option<WorkerId>) {
    if !data.is_object() {
        return (data, None);
    }
    if let Some(taken) = take_leading_caller(data.as_str()) {
        return taken;
    }
    if !may_contain_caller(data.as_str()) {
        return (data, None);
    }
    let Ok(entries) = data.fields() else {
        return (data, None);
    };
    let mut caller = None;
    let mut found = false;
    let mut text = String::with_capacity(data.as_str().len());
    text.push('{');
    for (key, value) in entries {
        if key == CALLER_KEY {
            found = true;
            caller = serde_json::from_str(value.get()).ok();
            continue;
        }
        if text.len() > 1 {
            text.push(',');
        }
        push_json_string(&mut text, &key);
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    if found { (Payload::from_built(text), caller) } else { (data, None) }
}

/// Removes an id that a client may have inserted, for a call that no worker makes.
pub fn without_caller(data: Payload) -> Payload {
    take_caller(data).0
}

/// The fast path of [`take_caller`], without parsing, for an id that is the first key and the only one of its name, as
/// engines write it. `None` if `data` has another form.
fn take_leading_caller(data: &str) -> Option<(Payload, Option<WorkerId>)> {
    let (id, rest) = data.strip_prefix(LEADING_CALLER)?.split_once('"')?;
    let rest = rest.strip_prefix(',').or_else(|| rest.starts_with('}').then_some(rest))?;
    if may_contain_caller(rest) {
        return None;
    }
    let caller = Uuid::try_parse(id).ok()?;
    let mut text = String::with_capacity(rest.len() + 1);
    text.push('{');
    text.push_str(rest);
    Some((Payload::from_built(text), Some(WorkerId(caller))))
}

/// A conservative search: escapes may hide the key, so text with `\u` matches as well.
fn may_contain_caller(text: &str) -> bool {
    static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(CALLER_KEY));
    let text = text.as_bytes();
    KEY.find(text).is_some()
        || memchr::memchr_iter(b'\\', text).any(|place| text.get(place + 1) == Some(&b'u'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_str(text: &str) -> Result<Option<Message>, DecodeError> {
        decode(&ByteString::from(text))
    }

    fn round_trip(message: Message) {
        let text = encode(&message);
        assert_eq!(decode_str(&text).unwrap().unwrap(), message, "{text}");
    }

    fn json(text: &str) -> Payload {
        Payload::from_json(text.to_owned()).unwrap()
    }

    fn invocation(data: &str, caller: Option<WorkerId>) -> InvokeFunction {
        InvokeFunction {
            invocation_id: Some(InvocationId::random()),
            function_id: "orders::create".into(),
            data: json(data),
            caller,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            baggage: Some("tenant=7".into()),
            action: Some(Action::Enqueue { queue: "jobs".into() }),
            metadata: Some(json(r#"{"retry":1}"#)),
            namespace: Some("shop".into()),
        }
    }

    #[test]
    fn every_message_round_trips() {
        let caller = Some(WorkerId::random());
        for data in
            [r#"{"sku":"A1"}"#, "{}", "{ }", "null", "[1,2]", "\"text\"", "12345678901234567890"]
        {
            let is_object = data.starts_with('{');
            round_trip(Message::InvokeFunction(Box::new(InvokeFunction {
                data: json(data.replace(' ', "").as_str()),
                ..invocation(data, caller.filter(|_| is_object))
            })));
        }
        round_trip(Message::InvokeFunction(Box::new(InvokeFunction {
            action: Some(Action::Void),
            invocation_id: None,
            metadata: None,
            traceparent: None,
            baggage: None,
            namespace: None,
            ..invocation("{}", None)
        })));
        let id = InvocationId::random();
        for result in [
            Ok(Some(json(r#"{"b":1,"a":[2]}"#))),
            Ok(None),
            Err(ErrorBody {
                status: Some(409),
                details: Some(json("{}")),
                ..ErrorBody::new("c", "m")
            }),
        ] {
            round_trip(Message::InvocationResult(Box::new(InvocationResult {
                invocation_id: id,
                function_id: "a::b".into(),
                result,
                traceparent: None,
                baggage: Some("a=b".into()),
            })));
        }
        round_trip(Message::WorkerRegistered {
            worker_id: WorkerId::random(),
            reattach_token: Some(Uuid::new_v4()),
        });
        round_trip(Message::Reattach {
            previous_worker_id: WorkerId::random(),
            reattach_token: Uuid::new_v4(),
        });
        round_trip(Message::RegisterFunction(Box::new(RegisterFunction {
            id: "a::b".into(),
            description: Some("says \"hi\"".into()),
            request_format: Some(json("{}")),
            response_format: None,
            metadata: Some(json("1")),
            invocation: Some(HttpInvocation(json(r#"{"url":"http://x"}"#))),
        })));
        round_trip(Message::UnregisterFunction { id: "a::b".into() });
        round_trip(Message::RegisterTriggerType(Box::new(RegisterTriggerType {
            id: "mail".into(),
            description: "Incoming mail".into(),
            trigger_request_format: Some(json("{}")),
            call_request_format: None,
            namespace: Some("shop".into()),
        })));
        round_trip(Message::UnregisterTriggerType { id: "mail".into() });
        round_trip(Message::RegisterTrigger(Box::new(RegisterTrigger {
            id: "t".into(),
            trigger_type: "http".into(),
            function_id: "a::b".into(),
            config: json(r#"{"api_path":"/x"}"#),
            metadata: None,
            namespace: None,
            trigger_namespace: Some("shop".into()),
        })));
        round_trip(Message::UnregisterTrigger {
            id: "t".into(),
            trigger_type: Some("http".into()),
        });
        round_trip(Message::TriggerRegistrationResult(Box::new(TriggerRegistrationResult {
            id: "t".into(),
            trigger_type: "http".into(),
            function_id: "a::b".into(),
            error: Some(ErrorBody::new("trigger_registration_failed", "no")),
        })));
        round_trip(Message::RegistrationRejected(Box::new(RegistrationRejected {
            code: "FUNCTION_NAMESPACE_CONFLICT".into(),
            namespace: "default".into(),
            function_id: Some("a::b".into()),
            worker_name: None,
            owner_worker_id: String::new(),
            error: Some(ErrorBody::new("FORBIDDEN", "no")),
        })));
        round_trip(Message::Error(Box::new(ErrorBody::new("AUTH_ERROR", "no"))));
        round_trip(Message::RegisterService(Box::new(RegisterService {
            id: "orders".into(),
            name: Some("Orders".into()),
            description: None,
            parent_service_id: Some("shop".into()),
        })));
        round_trip(Message::Error(Box::new(ErrorBody::new("AUTH_ERROR", "no"))));
        round_trip(Message::Ping);
        round_trip(Message::Pong);
    }

    #[test]
    fn missing_data_decodes_as_null() {
        let message =
            decode_str(r#"{"type":"invokefunction","function_id":"a"}"#).unwrap().unwrap();
        let Message::InvokeFunction(m) = message else { panic!("{message:?}") };
        assert!(m.data.is_null());
    }

    #[test]
    fn description_of_a_trigger_type_is_optional() {
        let message = decode_str(r#"{"type":"registertriggertype","id":"mail"}"#).unwrap().unwrap();
        let Message::RegisterTriggerType(m) = message else { panic!("{message:?}") };
        assert_eq!((m.id.as_str(), m.description.as_str()), ("mail", ""));
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_types_are_errors() {
        assert_eq!(decode_str(r#"{"type":"ping","x":{}}"#).unwrap(), Some(Message::Ping));
        assert_eq!(decode_str("  \n").unwrap(), None);
        assert!(
            matches!(decode_str(r#"{"type":"nope"}"#), Err(DecodeError::UnknownType(t)) if t == "nope")
        );
        assert!(matches!(
            decode_str(r#"{"type":"registerfunction"}"#),
            Err(DecodeError::MissingField { message: "registerfunction", field: "id" })
        ));
        assert!(matches!(
            decode_str(r#"{"type":"invokefunction","function_id":"a","invocation_id":"no"}"#),
            Err(DecodeError::Json(_))
        ));
    }

    #[test]
    fn invocation_object_of_any_shape_is_decoded() {
        for odd in [r#""x""#, "7", "[]", "{}", r#"{"url":[],"method":"get","auth":{"type":"no"}}"#]
        {
            let text = format!(r#"{{"type":"registerfunction","id":"a","invocation":{odd}}}"#);
            let Some(Message::RegisterFunction(m)) = decode_str(&text).unwrap() else { panic!() };
            assert_eq!(m.invocation, Some(HttpInvocation(json(odd))));
        }
        let text = r#"{"type":"registerfunction","id":"a","invocation":null}"#;
        let Some(Message::RegisterFunction(m)) = decode_str(text).unwrap() else { panic!() };
        assert_eq!(m.invocation, None);
    }

    #[test]
    fn forged_caller_is_removed() {
        for key in ["_caller_worker_id", "\\u005fcaller_worker_id"] {
            let text = format!(
                r#"{{"type":"invokefunction","function_id":"a","data":{{"x":1,"{key}":"forged","y":2}}}}"#
            );
            let Some(Message::InvokeFunction(mut m)) = decode_str(&text).unwrap() else { panic!() };
            assert_eq!(m.data.as_str(), r#"{"x":1,"y":2}"#);
            assert_eq!(m.caller, None);
            let real = WorkerId::random();
            m.caller = Some(real);
            let sent = encode(&Message::InvokeFunction(m));
            assert!(
                sent.contains(&format!(r#""data":{{"_caller_worker_id":"{real}","x":1,"y":2}}"#)),
                "{sent}"
            );
        }
    }

    #[test]
    fn caller_is_removed_at_any_position() {
        let id = WorkerId::random();
        for (data, left) in [
            (format!(r#"{{"_caller_worker_id":"{id}"}}"#), "{}"),
            (format!(r#"{{"_caller_worker_id":"{id}","a":1, "b":[2]}}"#), r#"{"a":1, "b":[2]}"#),
            (format!(r#"{{"_caller_worker_id":"{id}" , "a":1}}"#), r#"{"a":1}"#),
            (format!(r#"{{"a":"\u0041","_caller_worker_id":"{id}"}}"#), r#"{"a":"\u0041"}"#),
        ] {
            assert_eq!(take_caller(json(&data)), (json(left), Some(id)), "{data}");
        }
        let twice = format!(r#"{{"_caller_worker_id":"{id}","a":1,"_caller_worker_id":5}}"#);
        assert_eq!(take_caller(json(&twice)), (json(r#"{"a":1}"#), None));
        let inside = r#"{"a":{"_caller_worker_id":5}}"#;
        assert_eq!(take_caller(json(inside)), (json(inside), None));
    }

    #[test]
    fn payload_keeps_its_formatting() {
        let text = r#"{"type":"invocationresult","invocation_id":"7bf22097-7be4-48e5-a329-5a504bc71e09","function_id":"f","result":{"b":1.50,  "a":1e3}}"#;
        let Some(Message::InvocationResult(m)) = decode_str(text).unwrap() else { panic!() };
        assert_eq!(m.result.unwrap().unwrap().as_str(), r#"{"b":1.50,  "a":1e3}"#);
    }
}
