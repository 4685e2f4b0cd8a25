//! What the macros write refers to: nothing here is for people, and any of it may change.
//!
//! Each argument of a function becomes a [`Slot`], its result a [`Gives`]. Both carry a number that says what the type
//! is. The number comes from a probe: an inherent constant that exists only if the type has a trait, in front of a
//! trait constant that always exists. Types that fit nothing get a number of their own and do nothing, so that one
//! mistake gives one message: that of the check.

#![allow(missing_docs, missing_debug_implementations)]

use std::future::Future;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::app::entry::{MainOptions, MainResult, run_main};
pub use crate::app::signals::Signals;
pub use crate::config::{
    ConfigDeclaration, ConfigDescriptor, Configurable, Content as ConfigContent,
    Field as ConfigField, KindProbe, OtherKind, Reader as ConfigReader, ValueDefault,
    Variable as ConfigVariable, kind_of,
};
pub use crate::declare::{
    Declared, EndpointAuth, EndpointDescriptor, EndpointUrl, FunctionDeclaration,
    FunctionDescriptor, ServiceDeclaration, ServiceDescriptor, TriggerDescriptor,
};
pub use crate::extract::{Extract, HttpRequest, Input, Invocation};
pub use crate::function::{Function, FunctionInfo, Location, Signature};
pub use crate::intercept::{AnyInterceptor, Interceptor};
pub use crate::output::HandlerFuture;
pub use crate::output::{IntoError, Output, Reply};
pub use crate::provide::{
    StreamStoreDeclaration, StreamStoreDescriptor, TriggerType, TriggerTypeDeclaration,
    TriggerTypeDescriptor,
};
#[cfg(feature = "logs")]
pub use crate::telemetry::show_logs;
#[cfg(feature = "testing")]
pub use crate::testing;
pub use crate::trigger;
pub use iii_wire::Error;
pub use iii_wire::protocol::Payload;
pub use inventory;
pub use schemars;
pub use serde;

use crate::function::RequestParts;
use iii_wire::Result;

/// The kinds of arguments and results.
pub const EXTRACTOR: u8 = 0;
pub const INPUT: u8 = 1;
/// Can be deserialised, but has no schema.
pub const NO_SCHEMA: u8 = 2;
pub const NOTHING: u8 = 3;
pub const VALUE: u8 = 4;
pub const RESULT: u8 = 5;

/// Asks what a type is.
pub struct Probe<T>(PhantomData<T>);

impl<T: Extract> Probe<T> {
    pub const IS_EXTRACTOR: bool = true;
    pub const TAKES_REQUEST: bool = T::REQUEST_PARTS.http;
}
pub trait NotExtractor {
    const IS_EXTRACTOR: bool = false;
    const TAKES_REQUEST: bool = false;
}
impl<T> NotExtractor for Probe<T> {}

impl<T: Input> Probe<T> {
    pub const IS_INPUT: bool = true;
    pub const IS_HTTP_REQUEST: bool = T::IS_HTTP_REQUEST;
}
pub trait NotInput {
    const IS_INPUT: bool = false;
    const IS_HTTP_REQUEST: bool = false;
}
impl<T> NotInput for Probe<T> {}

impl<T: DeserializeOwned> Probe<T> {
    pub const IS_DESERIALIZE: bool = true;
}
pub trait NotDeserialize {
    const IS_DESERIALIZE: bool = false;
}
impl<T> NotDeserialize for Probe<T> {}

impl<T: Output> Probe<T> {
    pub const IS_OUTPUT: bool = true;
}
pub trait NotOutput {
    const IS_OUTPUT: bool = false;
}
impl<T> NotOutput for Probe<T> {}

impl<T: Serialize> Probe<T> {
    pub const IS_SERIALIZE: bool = true;
}
pub trait NotSerialize {
    const IS_SERIALIZE: bool = false;
}
impl<T> NotSerialize for Probe<T> {}

impl<T, E> Probe<std::result::Result<T, E>> {
    pub const IS_RESULT: bool = true;
}
pub trait NotResult {
    const IS_RESULT: bool = false;
}
impl<T> NotResult for Probe<T> {}

impl<T: IntoError> Probe<T> {
    pub const IS_ERROR: bool = true;
}
pub trait NotError {
    const IS_ERROR: bool = false;
}
impl<T> NotError for Probe<T> {}

/// What kind of argument it is.
pub const fn argument_kind(extractor: bool, input: bool, deserialize: bool) -> u8 {
    if extractor {
        EXTRACTOR
    } else if input {
        INPUT
    } else if deserialize {
        NO_SCHEMA
    } else {
        NOTHING
    }
}

/// One argument.
pub struct Slot<T, const KIND: u8>(PhantomData<T>);

/// What can be done with an argument of any kind.
pub trait Argument {
    type Type;
    fn take(call: &mut Invocation) -> impl Future<Output = Result<Self::Type>> + Send;
    fn describe(signature: &mut Signature);
}

impl<T: Extract> Argument for Slot<T, EXTRACTOR> {
    type Type = T;
    fn take(call: &mut Invocation) -> impl Future<Output = Result<T>> + Send {
        T::extract(call)
    }
    fn describe(signature: &mut Signature) {
        signature.add_request_parts(T::REQUEST_PARTS);
        T::describe(signature);
    }
}

impl<T: Input> Argument for Slot<T, INPUT> {
    type Type = T;
    async fn take(call: &mut Invocation) -> Result<T> {
        call.take_input()
    }
    fn describe(signature: &mut Signature) {
        signature.set_input(T::schema);
        if T::IS_HTTP_REQUEST {
            signature.add_request_parts(RequestParts::WHOLE_REQUEST);
        }
    }
}

macro_rules! mistaken_argument {
    ($($kind:ident)*) => {$(
        impl<T> Argument for Slot<T, $kind> {
            type Type = T;
            fn take(_: &mut Invocation) -> impl Future<Output = Result<T>> + Send {
                NeverReady(PhantomData)
            }
            fn describe(_: &mut Signature) {}
        }
    )*};
}

/// Never runs: the check beside it does not compile.
fn mistaken() -> Error {
    Error::new(iii_wire::code::INTERNAL, "this function does not compile")
}

/// The payload type among arguments: the first one, or what `Rest` has.
pub trait PayloadOr<Rest> {
    type Type;
}
impl<T, Rest> PayloadOr<Rest> for Slot<T, EXTRACTOR> {
    type Type = Rest;
}
impl<T, Rest> PayloadOr<Rest> for Slot<T, INPUT> {
    type Type = T;
}
impl<T, Rest> PayloadOr<Rest> for Slot<T, NO_SCHEMA> {
    type Type = Rest;
}
impl<T, Rest> PayloadOr<Rest> for Slot<T, NOTHING> {
    type Type = Rest;
}

mistaken_argument!(NO_SCHEMA NOTHING);

struct NeverReady<T>(PhantomData<fn() -> T>);
impl<T> Future for NeverReady<T> {
    type Output = Result<T>;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::task::Poll::Ready(Err(mistaken()))
    }
}

/// Says that a type can be an argument, or why not.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be an argument of a function",
    label = "neither an extractor nor a payload",
    note = "a payload derives `Deserialize` and `JsonSchema`: `#[derive(Deserialize, iii::JsonSchema)]`",
    note = "extractors are `State<T>`, `Config<T>`, `Extension<T>`, `Context`, `Client`, `Metadata<T>`, `Path<T>`, `Query<T>`, `Headers`, and types that implement `iii::Extract`"
)]
pub trait CanBeArgument<T> {}

/// Says that a payload has a schema, or why not.
#[diagnostic::on_unimplemented(
    message = "the payload `{T}` has no JSON Schema",
    label = "`JsonSchema` is missing",
    note = "derive it: `#[derive(Deserialize, iii::JsonSchema)]`",
    note = "if it does derive `JsonSchema`, that is another version of schemars: use `iii::schemars`",
    note = "a payload must be `Send` and own all it has, too"
)]
pub trait HasSchema<T> {}

pub struct Checked<const KIND: u8>;
#[diagnostic::do_not_recommend]
impl<T> CanBeArgument<T> for Checked<EXTRACTOR> {}
#[diagnostic::do_not_recommend]
impl<T> CanBeArgument<T> for Checked<INPUT> {}
#[diagnostic::do_not_recommend]
impl<T> CanBeArgument<T> for Checked<NO_SCHEMA> {}
#[diagnostic::do_not_recommend]
impl<T> HasSchema<T> for Checked<EXTRACTOR> {}
#[diagnostic::do_not_recommend]
impl<T> HasSchema<T> for Checked<INPUT> {}
#[diagnostic::do_not_recommend]
impl<T> HasSchema<T> for Checked<NOTHING> {}

/// Called with each argument type; the bounds are the check.
pub fn argument<T, K>()
where
    K: CanBeArgument<T> + HasSchema<T>,
{
}

impl Probe<()> {
    pub const IS_UNIT: bool = true;
}
pub trait NotUnit {
    const IS_UNIT: bool = false;
}
impl<T> NotUnit for Probe<T> {}

/// What a function takes from a trigger: a payload, or nothing.
pub struct Taken<P, const NOTHING: bool>(PhantomData<P>);

/// Says that a function can take the event of a trigger type, or why not.
#[diagnostic::on_unimplemented(
    message = "the function does not take the event `{E}` of this trigger type",
    label = "this sends `{E}`",
    note = "take it as the payload, or take none; `#[iii::trigger(\"id\", config = …)]` lets another type read it"
)]
pub trait TakesEvent<E> {}
#[diagnostic::do_not_recommend]
impl<E> TakesEvent<E> for Taken<E, false> {}
#[diagnostic::do_not_recommend]
impl<E> TakesEvent<E> for Taken<(), true> {}

/// A trigger of a declared type, for a function that takes `P`; the bounds are the check.
pub fn typed<T: TriggerType, P: TakesEvent<T::Event>>(
    config: T,
    condition: Option<trigger::FunctionRef>,
) -> trigger::Binding {
    // The binding itself: with a type in between, one mistake would give two messages.
    crate::provide::TypedTrigger { config, condition }.into()
}

/// The input of a call: the payload, or a request around it where the function takes parts of a request.
pub struct CallInput<P, const REQUEST: bool>(PhantomData<P>);
pub trait CallInputType {
    type Type;
}
impl<P> CallInputType for CallInput<P, false> {
    type Type = P;
}
impl<P> CallInputType for CallInput<P, true> {
    type Type = HttpRequest<P>;
}

/// The result type in two parts: what is given, and the error.
pub struct Parts<R, const IS_RESULT: bool>(PhantomData<R>);
pub trait Split {
    type Ok;
    type Err;
}
impl<R> Split for Parts<R, false> {
    type Ok = R;
    type Err = std::convert::Infallible;
}
impl<T, E> Split for Parts<std::result::Result<T, E>, true> {
    type Ok = T;
    type Err = E;
}

/// What kind of result it is.
pub const fn result_kind(is_result: bool, output: bool, error: bool) -> u8 {
    if !output || !error {
        NOTHING
    } else if is_result {
        RESULT
    } else {
        VALUE
    }
}

/// The result of a function.
pub struct Gives<R, const KIND: u8>(PhantomData<R>);

/// What can be done with a result of any kind.
pub trait Give<R> {
    /// What a caller gets.
    type Value;
    fn reply(result: R) -> Result<Reply>;
    fn describe(signature: &mut Signature);
}

impl<T: Output> Give<T> for Gives<T, VALUE> {
    type Value = T::Value;
    fn reply(result: T) -> Result<Reply> {
        result.into_reply()
    }
    fn describe(signature: &mut Signature) {
        signature.set_output(T::schema());
    }
}

impl<T: Output, E: IntoError> Give<std::result::Result<T, E>>
    for Gives<std::result::Result<T, E>, RESULT>
{
    type Value = T::Value;
    fn reply(result: std::result::Result<T, E>) -> Result<Reply> {
        result.map_err(E::into_error)?.into_reply()
    }
    fn describe(signature: &mut Signature) {
        signature.set_output(T::schema());
    }
}

impl<R> Give<R> for Gives<R, NOTHING> {
    type Value = ();
    fn reply(_: R) -> Result<Reply> {
        Err(mistaken())
    }
    fn describe(_: &mut Signature) {}
}

/// Says that a type can be the result of a function, or why not.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be the result of a function",
    label = "not a result",
    note = "a result derives `Serialize` and `JsonSchema`: `#[derive(Serialize, iii::JsonSchema)]`",
    note = "or give `()`, `Created<T>`, `Response`, or a `Result` of them"
)]
pub trait CanBeResult<T> {}

/// Says that a type can be the error of a function, or why not.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be the error of a function: it has no code",
    label = "an error without a code",
    note = "derive codes: `#[derive(Debug, iii::Error)]`, and `#[error(code = \"orders/not-found\")]` on each variant",
    note = "or use `iii::Error`, or `iii::BoxError` for errors that callers need not tell apart"
)]
pub trait CanBeError<T> {}

pub struct CheckedResult<const GOOD: bool>;
#[diagnostic::do_not_recommend]
impl<T> CanBeResult<T> for CheckedResult<true> {}
#[diagnostic::do_not_recommend]
impl<T> CanBeError<T> for CheckedResult<true> {}

/// Called with the type that is given; the bound is the check.
pub fn result<T, K: CanBeResult<T>>() {}

/// Called with the error type; the bound is the check.
pub fn error<T, K: CanBeError<T>>() {}

/// Runs a plain function where blocking is allowed. A panic goes on in the caller.
pub async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
    let function = crate::telemetry::carried(function);
    #[cfg(feature = "testing")]
    return crate::testing::blocking(function).await;
    #[cfg(not(feature = "testing"))]
    match tokio::task::spawn_blocking(function).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Says that a payload can be sent to an endpoint, or why not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to an HTTP endpoint",
    label = "not a payload that is sent",
    note = "a payload that is sent derives `Serialize` and `JsonSchema`: `#[derive(Serialize, iii::JsonSchema)]`"
)]
pub trait Sent {
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}
#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> Sent for T {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

/// Says that a result can come from an endpoint, or why not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of an HTTP endpoint",
    label = "not a result that is received",
    note = "a result that is received derives `Deserialize` and `JsonSchema`: `#[derive(Deserialize, iii::JsonSchema)]`"
)]
pub trait Received {
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Received for T {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

/// Says that a value can be a URL, or why not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the URL of an HTTP endpoint",
    label = "not a text",
    note = "give a `String` or a `&'static str`; a variable of the environment is `url = env(\"VARIABLE\")`"
)]
pub trait UrlText {
    fn into_text(self) -> String;
}
#[diagnostic::do_not_recommend]
impl<T: Into<String>> UrlText for T {
    fn into_text(self) -> String {
        self.into()
    }
}

/// The URL of an endpoint, told at the start.
pub fn url<T: UrlText>(url: T) -> String {
    url.into_text()
}

/// Notes the payload of a function that an endpoint serves.
pub fn sends<T: Sent>(signature: &mut Signature) {
    signature.set_input(T::schema);
}

/// Notes its result; `()` is none.
pub fn receives<T: Received>(signature: &mut Signature, is_unit: bool) {
    if !is_unit {
        signature.set_output(Some(T::schema));
    }
}

/// The test that `#[iii::main]` writes: what can be known of the declarations without running main.
#[track_caller]
pub fn check_declarations() {
    if let Err(problems) = crate::catalogue::check_linked_declarations() {
        panic!("{problems}");
    }
}

/// One interceptor of a declaration; the bound is the check.
#[track_caller]
pub fn interceptor<I: Interceptor>(interceptor: I) -> AnyInterceptor {
    AnyInterceptor::new(interceptor)
}

/// Metadata of a declaration. A value that cannot be serialised becomes `null`.
pub fn payload<T: Serialize>(value: &T) -> Payload {
    Payload::new(value).unwrap_or_default()
}

impl<T: schemars::JsonSchema> Probe<T> {
    pub const HAS_SCHEMA: bool = true;
}
pub trait NotSchema {
    const HAS_SCHEMA: bool = false;
}
impl<T> NotSchema for Probe<T> {}

impl<T: ConfigPart> Probe<T> {
    pub const IS_CONFIG: bool = true;
}
pub trait NotConfig {
    const IS_CONFIG: bool = false;
}
impl<T> NotConfig for Probe<T> {}

/// A value as JSON, where it can be.
pub struct ConfigShown<T, const SERIALIZE: bool>(PhantomData<T>);
pub trait ConfigShow<T> {
    fn show(value: &T) -> Option<serde_json::Value>;
}
impl<T: Serialize> ConfigShow<T> for ConfigShown<T, true> {
    fn show(value: &T) -> Option<serde_json::Value> {
        serde_json::to_value(value).ok()
    }
}
impl<T> ConfigShow<T> for ConfigShown<T, false> {
    fn show(_: &T) -> Option<serde_json::Value> {
        None
    }
}

/// The default of a field as JSON, from its text.
pub fn config_text(text: &str) -> Option<serde_json::Value> {
    Some(text.into())
}

/// The schema of a field, where its type has one.
pub struct ConfigSchema<T, const HAS: bool>(PhantomData<T>);
pub trait ConfigSchemaOf {
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema;
}
impl<T: schemars::JsonSchema> ConfigSchemaOf for ConfigSchema<T, true> {
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<T>()
    }
}
impl<T> ConfigSchemaOf for ConfigSchema<T, false> {
    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::Schema::default()
    }
}

/// A field of a configuration with one value; `false` where its type cannot be read.
pub struct ConfigSlot<T, const READABLE: bool>(PhantomData<T>);
pub trait ConfigValue {
    type Type;
    fn read(
        reader: &mut ConfigReader<'_>,
        field: &'static ConfigField,
        default: &ValueDefault<Self::Type>,
    ) -> Option<Self::Type>;
    /// Whether nothing is a value, too.
    fn optional() -> bool;
}
impl<T: DeserializeOwned> ConfigValue for ConfigSlot<T, true> {
    type Type = T;
    fn read(
        reader: &mut ConfigReader<'_>,
        field: &'static ConfigField,
        default: &ValueDefault<T>,
    ) -> Option<T> {
        reader.value(field, default)
    }
    fn optional() -> bool {
        crate::config::fits_nothing::<T>()
    }
}
impl<T> ConfigValue for ConfigSlot<T, false> {
    type Type = T;
    fn read(_: &mut ConfigReader<'_>, _: &'static ConfigField, _: &ValueDefault<T>) -> Option<T> {
        None
    }
    fn optional() -> bool {
        true
    }
}

/// A type that a nested field may have: a configuration, or an option of one.
pub trait ConfigPart: Sized {
    const FIELDS: &'static [ConfigField];
    const OPTIONAL: bool;
    fn read(reader: &mut ConfigReader<'_>, field: &'static ConfigField) -> Option<Self>;
}
impl<T: Configurable> ConfigPart for T {
    const FIELDS: &'static [ConfigField] = T::FIELDS;
    const OPTIONAL: bool = false;
    fn read(reader: &mut ConfigReader<'_>, field: &'static ConfigField) -> Option<Self> {
        reader.nested(field)
    }
}
impl<T: Configurable> ConfigPart for Option<T> {
    const FIELDS: &'static [ConfigField] = T::FIELDS;
    const OPTIONAL: bool = true;
    fn read(reader: &mut ConfigReader<'_>, field: &'static ConfigField) -> Option<Self> {
        if reader.has_any(field) { reader.nested(field).map(Some) } else { Some(None) }
    }
}

/// A field of a configuration with fields of its own; `false` where its type has none.
pub struct ConfigNest<T, const CONFIG: bool>(PhantomData<T>);
pub trait ConfigNested {
    type Type;
    const FIELDS: &'static [ConfigField];
    const OPTIONAL: bool;
    fn read(reader: &mut ConfigReader<'_>, field: &'static ConfigField) -> Option<Self::Type>;
}
impl<T: ConfigPart> ConfigNested for ConfigNest<T, true> {
    type Type = T;
    const FIELDS: &'static [ConfigField] = T::FIELDS;
    const OPTIONAL: bool = T::OPTIONAL;
    fn read(reader: &mut ConfigReader<'_>, field: &'static ConfigField) -> Option<T> {
        T::read(reader, field)
    }
}
impl<T> ConfigNested for ConfigNest<T, false> {
    type Type = T;
    const FIELDS: &'static [ConfigField] = &[];
    const OPTIONAL: bool = true;
    fn read(_: &mut ConfigReader<'_>, _: &'static ConfigField) -> Option<T> {
        None
    }
}

/// Says that a field of a configuration can be read, or why not.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be the value of a configuration field",
    label = "cannot be read",
    note = "derive `Deserialize` for it, and `iii::JsonSchema`, so that messages and the schema know what it is",
    note = "a struct of settings derives `iii::Config`, and its field says `#[config(nested)]`"
)]
pub trait CanBeConfigValue<T> {}

/// Says that a field of a configuration has fields of its own, or why not.
#[diagnostic::on_unimplemented(
    message = "`{T}` is no configuration, so the field cannot be nested",
    label = "no configuration",
    note = "derive it: `#[derive(iii::Config)]`, or leave `nested` out"
)]
pub trait CanBeNested<T> {}

pub struct CheckedConfig<const GOOD: bool>;
#[diagnostic::do_not_recommend]
impl<T> CanBeConfigValue<T> for CheckedConfig<true> {}
#[diagnostic::do_not_recommend]
impl<T> CanBeNested<T> for CheckedConfig<true> {}

/// Called with the type of each field; the bound is the check.
pub fn config_value<T, K: CanBeConfigValue<T>>() {}

/// Called with the type of each nested field; the bound is the check.
pub fn config_nested<T, K: CanBeNested<T>>() {}
