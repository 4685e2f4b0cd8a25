//! `#[iii::trigger]` as a macro of its own: it runs only above `#[iii::function]`, and moves itself below.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Path};

use crate::diagnostics::Errors;
use crate::function::is_named;

/// In front of `trigger` in an attribute that moved. The compiler has resolved its real path already.
const MARK: &str = "__iii_moved";

/// Whether the attribute was moved here.
pub(crate) fn is_moved(path: &Path) -> bool {
    path.segments.first().is_some_and(|segment| segment.ident == MARK)
}

/// Moves the attribute below the one of `function`, which reads it.
pub(crate) fn expand(options: &TokenStream, item: &TokenStream) -> TokenStream {
    let parser = |input: ParseStream<'_>| {
        Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?))
    };
    let (mut attributes, rest) = match parser.parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#item #error);
        }
    };
    let span = Span::call_site();
    let declares = |one: &Attribute| is_named(one, "function") || is_named(one, "http_function");
    let function = attributes.iter().position(declares);
    let Some(function) = function else {
        let mut errors = Errors::default();
        errors.at(
            span,
            "a trigger invokes a function: add `#[iii::function(id = \"service::name\")]` below",
        );
        // Other triggers of this item would say the same.
        attributes.retain(|attribute| !is_named(attribute, "trigger"));
        let errors = errors.into_tokens();
        return quote!(#(#attributes)* #rest #errors);
    };
    // Behind those that moved before, so that the order stays.
    let moved = attributes[function + 1..]
        .iter()
        .take_while(|attribute| is_moved(attribute.path()))
        .count();
    let mut tokens = TokenStream::new();
    for (at, attribute) in attributes.iter().enumerate() {
        attribute.to_tokens(&mut tokens);
        if at == function + moved {
            tokens.extend(quote_spanned!(span=> #[__iii_moved::trigger(#options)]));
        }
    }
    rest.to_tokens(&mut tokens);
    tokens
}
