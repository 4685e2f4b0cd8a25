//! What the derive macros share: helper attributes, and a fallback for invalid types.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, DeriveInput, Meta};

use crate::diagnostics::{Errors, SpanRange};
use crate::options::MacroOptions;

/// Expands a derive macro.
///
/// For an invalid type, `emit_fallback` implements the traits without content, so that code which uses the type reports
/// no further errors.
pub(crate) fn expand<T>(
    item: TokenStream,
    parse: impl FnOnce(&DeriveInput, &mut Errors) -> Option<T>,
    emit: impl FnOnce(&T) -> TokenStream,
    emit_fallback: impl FnOnce(&DeriveInput, Option<&T>) -> TokenStream,
) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    match parse(&input, &mut errors) {
        Some(parsed) if errors.is_empty() => emit(&parsed),
        parsed => {
            let mut tokens = emit_fallback(&input, parsed.as_ref());
            tokens.extend(errors.into_tokens());
            tokens
        }
    }
}

/// Parses the options of the helper attribute `name`. Those of several attributes are one list.
///
/// Returns `None` if there is no such attribute. A missing option is reported at `span`.
pub(crate) fn helper_options(
    attributes: &[Attribute],
    name: &str,
    example: &str,
    span: Span,
    errors: &mut Errors,
) -> Option<MacroOptions> {
    let mut tokens = TokenStream::new();
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        found = true;
        match &attribute.meta {
            Meta::List(list) => {
                if !tokens.is_empty() {
                    tokens.extend(quote!(,));
                }
                tokens.extend(list.tokens.clone());
            }
            other => {
                let message =
                    format!("expected `#[{name}(…)]`\nhelp: write `#[{name}({example})]`");
                errors.on(other, message);
            }
        }
    }
    found.then(|| MacroOptions::parse(tokens, SpanRange::at(span), errors))
}
