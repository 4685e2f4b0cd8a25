//! `#[derive(iii::Error)]`: a code, a status and a message for each variant of an error.

mod code;
mod expand;
mod field;
mod message;
mod parse;

use proc_macro2::TokenStream;

use self::parse::ErrorType;
use crate::derive;

/// Expands the derive macro.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    derive::expand(item, ErrorType::parse, expand::emit, |input, error| {
        expand::emit_fallback(input, error.and_then(|error| error.krate.as_ref()))
    })
}
