//! Generated code that `#[iii::function]` and `#[iii::http_function]` have in common.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Ident, Path};

use crate::diagnostics::SpanRange;
use crate::{names, trigger};

/// Emits the type for typed calls of a function.
pub(crate) fn stub(
    name: &Ident,
    visibility: &impl ToTokens,
    doc: &str,
    cfgs: &[&Attribute],
) -> TokenStream {
    // A conflict with another type is reported at the name.
    let declaration = quote_spanned!(name.span()=> struct #name {});
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(
            non_camel_case_types,
            dead_code,
            missing_debug_implementations,
            missing_copy_implementations
        )]
        #visibility #declaration
    }
}

/// Emits the traits of a stub. `types` are its associated types.
pub(crate) fn implement_stub(
    name: &Ident,
    id: &TokenStream,
    types: &TokenStream,
    is_declared: bool,
) -> TokenStream {
    let (info, descriptor) = match is_declared {
        true => (
            quote!(::core::option::Option::Some(__III_DESCRIPTOR.info())),
            quote!(&__III_DESCRIPTOR),
        ),
        // Never called: the crate does not compile.
        false => (quote!(::core::option::Option::None), quote!(::core::unreachable!())),
    };
    quote! {
        #[automatically_derived]
        impl __iii::Function for #name {
            const ID: &'static ::core::primitive::str = #id;
            #types
            fn info() -> ::core::option::Option<__iii::FunctionInfo> {
                #info
            }
        }
        #[automatically_derived]
        impl __iii::Declared for #name {
            fn descriptor() -> &'static __iii::FunctionDescriptor {
                #descriptor
            }
        }
    }
}

/// The anonymous constant around the generated items of a function, so that none of them is visible outside.
pub(crate) struct AnonymousConst<'a> {
    pub(crate) cfgs: &'a [&'a Attribute],
    pub(crate) krate: Option<&'a Path>,
    /// The lints that are allowed inside.
    pub(crate) lints: TokenStream,
    /// The traits of the runtime that are imported.
    pub(crate) traits: TokenStream,
    /// The `#[iii::trigger]` attributes that were taken from the function.
    pub(crate) trigger_attributes: &'a [Attribute],
}

impl AnonymousConst<'_> {
    /// Emits the constant with the items `inside`.
    pub(crate) fn wrap(&self, inside: &TokenStream) -> TokenStream {
        let Self { lints, traits, .. } = self;
        let cfgs = self.cfgs;
        let import = names::import_runtime(self.krate);
        let attribute_paths = self.trigger_attributes.iter().map(Attribute::path);
        // The compiler does not resolve an attribute that was taken, and would report its import as unused.
        let uses = attribute_paths.filter(|path| !trigger::is_moved(path)).map(|path| {
            let SpanRange { first, last } = SpanRange::of(path);
            let mut tokens = quote_spanned!(first=> #[allow(unused_imports)] use);
            path.to_tokens(&mut tokens);
            tokens.extend(quote_spanned!(last=> as _;));
            tokens
        });
        quote! {
            #(#cfgs)*
            #[allow(#lints)]
            const _: () = {
                #import
                #[allow(unused_imports)]
                use __iii::{#traits};
                #(#uses)*
                #inside
            };
        }
    }
}
