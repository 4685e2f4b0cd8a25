//! `#[iii::trigger]` above `#[iii::function]`: it expands on its own there, and moves itself below.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Path};

use crate::attributes::is_named;
use crate::diagnostics::Errors;

/// The first path segment of an attribute that was moved. The compiler has resolved its original path.
const MOVED_PREFIX: &str = "__iii_moved";

/// Returns whether the path is that of an attribute that was moved.
pub(crate) fn is_moved(path: &Path) -> bool {
    path.segments.first().is_some_and(|segment| segment.ident == MOVED_PREFIX)
}

/// Expands the attribute: moves it below that of the function, which parses it.
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
    let declares = |attribute: &Attribute| {
        is_named(attribute, "function") || is_named(attribute, "http_function")
    };
    let Some(function) = attributes.iter().position(declares) else {
        let mut errors = Errors::default();
        errors.at(
            span,
            "missing `#[iii::function]` below `#[iii::trigger]`\n\
             help: add `#[iii::function(id = \"service::name\")]`",
        );
        // Other triggers of this item would report the same.
        attributes.retain(|attribute| !is_named(attribute, "trigger"));
        let errors = errors.into_tokens();
        return quote!(#(#attributes)* #rest #errors);
    };
    // Placed behind attributes that moved before, to keep their order.
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
