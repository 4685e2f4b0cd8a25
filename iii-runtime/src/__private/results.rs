//! Results of functions: how each kind becomes a reply, and the checks of the value and of the error.

use std::marker::PhantomData;

use super::probe::{NOTHING, RESULT, VALUE, does_not_compile};
use crate::function::Signature;
use crate::output::{IntoError, Output, Reply};
use iii_wire::Result;

/// The two parts of a result type: the value and the error.
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

/// The kind of a result.
pub const fn result_kind(is_result: bool, output: bool, error: bool) -> u8 {
    if !output || !error {
        NOTHING
    } else if is_result {
        RESULT
    } else {
        VALUE
    }
}

/// A result of type `R` and of a kind.
pub struct Gives<R, const KIND: u8>(PhantomData<R>);

/// The operations on a result of any kind.
pub trait Give<R> {
    /// What the caller receives.
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
        Err(does_not_compile())
    }
    fn describe(_: &mut Signature) {}
}

/// Checks that a type can be the result of a function.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be the result of a function",
    label = "not a result type",
    note = "derive `Serialize` and `JsonSchema` for a result: `#[derive(Serialize, iii::JsonSchema)]`",
    note = "or return `()`, `Created<T>`, `Response`, or a `Result` of them"
)]
pub trait CanBeResult<T> {}

/// Checks that a type can be the error of a function.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be the error of a function: it has no code",
    label = "error type without a code",
    note = "derive codes: `#[derive(Debug, iii::Error)]`, and `#[error(code = \"orders/not-found\")]` on each variant",
    note = "or use `iii::Error`, or `iii::BoxError` for errors that callers need not distinguish"
)]
pub trait CanBeError<T> {}

pub struct CheckedResult<const GOOD: bool>;
#[diagnostic::do_not_recommend]
impl<T> CanBeResult<T> for CheckedResult<true> {}
#[diagnostic::do_not_recommend]
impl<T> CanBeError<T> for CheckedResult<true> {}

/// Checks the type of the value by the bound.
pub fn result<T, K: CanBeResult<T>>() {}

/// Checks the type of the error by the bound.
pub fn error<T, K: CanBeError<T>>() {}
