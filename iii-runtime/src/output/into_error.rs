//! The errors that a function may return.

use iii_wire::{BoxError, Error};

/// An error that a handler can return: it has a code.
///
/// Derive [`macro@crate::Error`] for your own enum, or return [`Error`], or [`BoxError`] for errors that callers need not
/// distinguish.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a function: it has no code",
    label = "an error without a code",
    note = "derive a code for each variant: `#[derive(Debug, iii::Error)]`, `#[error(code = \"orders/not-found\")]`",
    note = "or return `iii::Error`, or `iii::BoxError` for errors that callers need not tell apart"
)]
pub trait IntoError {
    /// Converts to an error with a code.
    fn into_error(self) -> Error;
}

impl IntoError for Error {
    fn into_error(self) -> Error {
        self
    }
}

impl IntoError for BoxError {
    fn into_error(self) -> Error {
        Error::internal(self)
    }
}

impl IntoError for std::convert::Infallible {
    fn into_error(self) -> Error {
        match self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boxed_error_keeps_its_code() {
        let boxed: BoxError = Error::new("orders/gone", "gone").with_status(410).into();
        let error = boxed.into_error();
        assert_eq!((error.code(), error.status()), ("orders/gone", 410));
    }
}
