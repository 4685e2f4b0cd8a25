//! `#[derive(iii::Error)]`: a code, a status and a message for each variant of an error.

mod code;
mod expand;
mod message;
mod parse;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::diagnostics::Errors;

use self::parse::ErrorType;

/// Expands the derive macro.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let parsed = ErrorType::parse(&input, &mut errors);
    match parsed {
        Some(error) if errors.is_empty() => expand::implement(&error),
        parsed => {
            // The traits are there nevertheless, so that functions which return this error say nothing more.
            let krate = parsed.and_then(|error| error.krate);
            let mut tokens = expand::fall_back(&input, krate.as_ref());
            tokens.extend(errors.into_tokens());
            tokens
        }
    }
}
