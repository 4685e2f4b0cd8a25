//! Fragments of generated code that several macros emit.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Path;

use crate::diagnostics::SpanRange;

/// Emits an `Option`.
pub(crate) fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// Emits an `Option<Duration>`.
pub(crate) fn duration(millis: Option<u64>) -> TokenStream {
    option(millis.map(|millis| quote!(::core::time::Duration::from_millis(#millis))))
}

/// Emits the source location of a declaration.
pub(crate) fn location(span: Span) -> TokenStream {
    // `file!`, `line!` and `column!` expand to the position of their own tokens, so those get the span.
    let [file, line, column] = ["file", "line", "column"].map(|name| Ident::new(name, span));
    let file = quote_spanned!(span=> ::core::#file!());
    let line = quote_spanned!(span=> ::core::#line!());
    let column = quote_spanned!(span=> ::core::#column!());
    quote!(__iii::Location { file: #file, line: #line, column: #column })
}

/// Emits a condition that is checked at compile time and reported at `range`.
pub(crate) fn const_assert(
    range: SpanRange,
    condition: &TokenStream,
    message: &str,
) -> TokenStream {
    let SpanRange { first, last } = range;
    let mut tokens = quote_spanned!(first=> const _: () = ::core::assert!);
    tokens.extend(quote_spanned!(last=> (#condition, #message);));
    tokens
}

/// Emits imports that link crates whose only use is their declarations.
pub(crate) fn links(paths: &[Path]) -> TokenStream {
    quote! {
        #(
            #[allow(unused_imports)]
            use #paths as _;
        )*
    }
}
