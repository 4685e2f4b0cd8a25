//! Functions that HTTP endpoints serve: the checks of the payload, of the result and of the URL.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::function::Signature;

/// A payload that is sent to an endpoint.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to an HTTP endpoint",
    label = "not a request payload",
    note = "derive `Serialize` and `JsonSchema` for a request payload: `#[derive(Serialize, iii::JsonSchema)]`"
)]
pub trait RequestBody {
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}
#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> RequestBody for T {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

/// A result that is received from an endpoint.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the response of an HTTP endpoint",
    label = "not a response type",
    note = "derive `Deserialize` and `JsonSchema` for a response: `#[derive(Deserialize, iii::JsonSchema)]`"
)]
pub trait ResponseBody {
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> ResponseBody for T {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

/// A value of the option `url`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the URL of an HTTP endpoint",
    label = "not a string",
    note = "use a `String` or a `&'static str`; `url = env(\"VARIABLE\")` reads an environment variable"
)]
pub trait IntoUrl {
    fn into_url(self) -> String;
}
#[diagnostic::do_not_recommend]
impl<T: Into<String>> IntoUrl for T {
    fn into_url(self) -> String {
        self.into()
    }
}

/// The URL of an endpoint that is computed at the start.
pub fn url<T: IntoUrl>(url: T) -> String {
    url.into_url()
}

/// Describes the payload.
pub fn sends<T: RequestBody>(signature: &mut Signature) {
    signature.set_input(T::schema);
}

/// Describes the result, unless it is `()`.
pub fn receives<T: ResponseBody>(signature: &mut Signature, is_unit: bool) {
    if !is_unit {
        signature.set_output(Some(T::schema));
    }
}
