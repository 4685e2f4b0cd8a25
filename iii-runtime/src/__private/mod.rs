//! What generated code refers to: no part of the public API, and free to change in any release.

// Each argument of a function becomes a `Slot`, its result a `Gives`. Both carry a number, the kind of the type. A `Probe`
// computes it: an inherent constant that exists only if the type implements a trait shadows a trait constant that always
// exists. A type that fits no kind gets a kind of its own whose implementation does nothing, so that one mistake leads to
// one compiler error: that of the check.

#![allow(missing_docs, missing_debug_implementations)]

mod arguments;
mod blocking;
mod config;
mod declaration;
mod http_function;
mod probe;
mod results;
mod trigger_event;

pub use arguments::{
    Argument, CallInput, CallInputType, CanBeArgument, Checked, HasSchema, PayloadOr, Slot,
    argument, argument_kind,
};
pub use blocking::blocking;
pub use config::{
    CanBeConfigValue, CanBeNested, CheckedConfig, ConfigNest, ConfigNested, ConfigPart,
    ConfigSchema, ConfigSchemaOf, ConfigShow, ConfigShown, ConfigSlot, ConfigValue, NotConfig,
    NotSchema, config_nested, config_text, config_value,
};
pub use declaration::{check_declarations, interceptor, payload};
pub use http_function::{IntoUrl, RequestBody, ResponseBody, receives, sends, url};
pub use probe::{
    EXTRACTOR, INPUT, NO_SCHEMA, NOTHING, NotDeserialize, NotError, NotExtractor, NotInput,
    NotOutput, NotResult, NotSerialize, NotUnit, Probe, RESULT, VALUE,
};
pub use results::{
    CanBeError, CanBeResult, CheckedResult, Give, Gives, Parts, Split, error, result, result_kind,
};
pub use trigger_event::{Taken, TakesEvent, typed};

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
