//! Arguments of functions: how each kind is extracted and described, and the check that a type is of a valid kind.

use std::future::Future;
use std::marker::PhantomData;

use super::probe::{EXTRACTOR, INPUT, NO_SCHEMA, NOTHING, does_not_compile};
use crate::extract::{Extract, HttpRequest, Input, Invocation};
use crate::function::{RequestParts, Signature};
use iii_wire::Result;

/// The kind of an argument.
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

/// An argument of type `T` and of a kind.
pub struct Slot<T, const KIND: u8>(PhantomData<T>);

/// The operations on an argument of any kind.
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

macro_rules! invalid_argument {
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

invalid_argument!(NO_SCHEMA NOTHING);

/// A future that is `Send` whether or not `T` is.
struct NeverReady<T>(PhantomData<fn() -> T>);
impl<T> Future for NeverReady<T> {
    type Output = Result<T>;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::task::Poll::Ready(Err(does_not_compile()))
    }
}

/// The payload type of a list of arguments: that of the first payload, or the one of `Rest`.
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

/// Checks that a type can be an argument.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be an argument of a function",
    label = "neither an extractor nor a payload",
    note = "derive `Deserialize` and `JsonSchema` for a payload: `#[derive(Deserialize, iii::JsonSchema)]`",
    note = "extractors are `State<T>`, `Config<T>`, `Extension<T>`, `Context`, `Client`, `Metadata<T>`, `Path<T>`, `Query<T>`, `Headers`, and types that implement `iii::Extract`"
)]
pub trait CanBeArgument<T> {}

/// Checks that a payload has a schema.
#[diagnostic::on_unimplemented(
    message = "the payload `{T}` has no JSON Schema",
    label = "`JsonSchema` is not implemented",
    note = "derive it: `#[derive(Deserialize, iii::JsonSchema)]`",
    note = "if it is derived, it belongs to another version of schemars: use `iii::schemars`",
    note = "a payload must also be `Send + 'static`"
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

/// Checks an argument type by the bounds. Called once for each argument.
pub fn argument<T, K>()
where
    K: CanBeArgument<T> + HasSchema<T>,
{
}

/// The input of a call: the payload `P`, in an [`HttpRequest`] if the function extracts parts of one.
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
