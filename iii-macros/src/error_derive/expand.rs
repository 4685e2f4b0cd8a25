//! The implementations of an error type: `Display`, `Error`, `IntoError`, and conversions.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{DeriveInput, Ident, Path};

use super::field::{ErrorField, FieldRole};
use super::message::binding_name;
use super::parse::{CodedError, ErrorMessage, ErrorType, ErrorVariant, VariantKind};
use crate::diagnostics::SpanRange;
use crate::names;

/// Emits all implementations.
pub(super) fn emit(error: &ErrorType) -> TokenStream {
    let name = &error.name;
    let import = names::import_runtime(error.krate.as_ref());
    // A `match` of a reference needs an arm even if the type has no variants.
    let display = match_variants(error, &quote!(*self), display_arm);
    let source = match_variants(error, &quote!(*self), source_arm);
    let into_error = match_variants(error, &quote!(self), into_error_arm);
    let conversions = error.variants.iter().filter_map(|variant| conversion(name, variant));
    let is_coded = |variant: &ErrorVariant| matches!(variant.kind, VariantKind::Coded(_));
    let message = error
        .variants
        .iter()
        .any(is_coded)
        .then(|| quote!(let __iii_message = ::std::string::ToString::to_string(&self);));
    let source_trait = error.variants.iter().any(ErrorVariant::has_source).then(source_trait);
    quote! {
        #[allow(unused_qualifications)]
        const _: () = {
            #import
            #source_trait
            #[automatically_derived]
            impl ::core::fmt::Display for #name {
                fn fmt(&self, __iii_out: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    #display
                }
            }
            #[automatically_derived]
            impl ::std::error::Error for #name {
                fn source(
                    &self,
                ) -> ::core::option::Option<&(dyn ::std::error::Error + 'static)> {
                    #source
                }
            }
            #[automatically_derived]
            impl __iii::IntoError for #name {
                fn into_error(self) -> __iii::Error {
                    #message
                    #into_error
                }
            }
            #[automatically_derived]
            impl ::core::convert::From<#name> for __iii::Error {
                fn from(__iii_error: #name) -> Self {
                    __iii::IntoError::into_error(__iii_error)
                }
            }
            #(#conversions)*
        };
    }
}

/// Emits a `match` of `self` with an arm for each variant, or of `empty` if there are none.
fn match_variants(
    error: &ErrorType,
    empty: &TokenStream,
    arm: impl Fn(&ErrorVariant) -> TokenStream,
) -> TokenStream {
    if error.variants.is_empty() {
        return quote!(match #empty {});
    }
    let arms = error.variants.iter().map(arm);
    quote!(match self { #(#arms)* })
}

/// Emits a trait that converts an error, or a boxed one, to a source.
fn source_trait() -> TokenStream {
    let send = quote!(+ ::core::marker::Send);
    let sync = quote!(+ ::core::marker::Sync);
    let boxed = [quote!(), quote!(#send), quote!(#send #sync)].map(|more| {
        quote! {
            impl __IiiSource for dyn ::std::error::Error #more + 'static {
                fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static) {
                    self
                }
            }
        }
    });
    quote! {
        trait __IiiSource {
            fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static);
        }
        impl<__IiiT: ::std::error::Error + 'static> __IiiSource for __IiiT {
            fn __iii_source_error(&self) -> &(dyn ::std::error::Error + 'static) {
                self
            }
        }
        #(#boxed)*
    }
}

/// Emits the traits without content, for an invalid type.
pub(super) fn emit_fallback(input: &DeriveInput, krate: Option<&Path>) -> TokenStream {
    let name = &input.ident;
    let import = names::import_runtime(krate);
    let (generics, arguments, conditions) = input.generics.split_for_impl();
    quote! {
        const _: () = {
            #import
            #[automatically_derived]
            impl #generics ::core::fmt::Display for #name #arguments #conditions {
                fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::result::Result::Ok(())
                }
            }
            #[automatically_derived]
            impl #generics ::std::error::Error for #name #arguments #conditions
            where
                Self: ::core::fmt::Debug,
            {}
            #[automatically_derived]
            impl #generics __iii::IntoError for #name #arguments #conditions {
                fn into_error(self) -> __iii::Error {
                    __iii::Error::new("", "")
                }
            }
            #[automatically_derived]
            impl #generics ::core::convert::From<#name #arguments> for __iii::Error #conditions {
                fn from(_: #name #arguments) -> Self {
                    __iii::Error::new("", "")
                }
            }
        };
    }
}

/// Emits the pattern of a variant that binds the fields which match `predicate`.
fn pattern(variant: &ErrorVariant, predicate: impl Fn(usize, &ErrorField) -> bool) -> TokenStream {
    let path = variant_path(variant);
    let fields = variant.fields.iter().enumerate().filter(|(at, field)| predicate(*at, field));
    let fields = fields.map(|(at, field)| {
        let (member, binding) = (&field.member, binding(at));
        quote!(#member: #binding,)
    });
    quote!(#path { #(#fields)* .. })
}

fn variant_path(variant: &ErrorVariant) -> TokenStream {
    match &variant.name {
        Some(name) => quote!(Self::#name),
        None => quote!(Self),
    }
}

/// Returns the name that the pattern of a variant binds a field to.
fn binding(at: usize) -> Ident {
    format_ident!("{}", binding_name(at))
}

/// Emits an arm of `Display::fmt`.
fn display_arm(variant: &ErrorVariant) -> TokenStream {
    match &variant.kind {
        VariantKind::Transparent => {
            let pattern = pattern(variant, |_, _| true);
            quote!(#pattern => ::core::fmt::Display::fmt(__iii_field0, __iii_out),)
        }
        VariantKind::Coded(CodedError { message: ErrorMessage::Plain(text), .. }) => {
            let pattern = pattern(variant, |_, _| false);
            quote!(#pattern => __iii_out.write_str(#text),)
        }
        VariantKind::Coded(CodedError { message: ErrorMessage::Format(message), .. }) => {
            let pattern = pattern(variant, |at, _| message.fields.contains(&at));
            let format = &message.format;
            // A field that does not implement the trait is reported at the message.
            let fields = message.fields.iter().map(|at| {
                let name = Ident::new(&binding_name(*at), format.span());
                let value = name.clone();
                quote!(#name = #value)
            });
            quote!(#pattern => ::core::write!(__iii_out, #format #(, #fields)*),)
        }
    }
}

/// Emits an arm of `Error::source`.
fn source_arm(variant: &ErrorVariant) -> TokenStream {
    if matches!(variant.kind, VariantKind::Transparent) {
        let pattern = pattern(variant, |_, _| true);
        return quote!(#pattern => __iii_field0.__iii_source_error().source(),);
    }
    let Some((at, field)) =
        variant.fields.iter().enumerate().find(|(_, field)| field.role == FieldRole::Source)
    else {
        let pattern = pattern(variant, |_, _| false);
        return quote!(#pattern => ::core::option::Option::None,);
    };
    let pattern = pattern(variant, |_, field| field.role == FieldRole::Source);
    let SpanRange { first, last } = SpanRange::of(&field.ty);
    let binding = Ident::new(&binding_name(at), first);
    let source = quote_spanned!(last=> .__iii_source_error());
    quote!(#pattern => ::core::option::Option::Some(#binding #source),)
}

/// Emits an arm of `IntoError::into_error`.
fn into_error_arm(variant: &ErrorVariant) -> TokenStream {
    let coded = match &variant.kind {
        VariantKind::Transparent => {
            let pattern = pattern(variant, |_, _| true);
            let SpanRange { first, last } = SpanRange::of(&variant.fields[0].ty);
            let ty = &variant.fields[0].ty;
            let mut convert = quote_spanned!(first=> <);
            ty.to_tokens(&mut convert);
            convert.extend(quote_spanned!(last=> as __iii::IntoError>::into_error));
            return quote!(#pattern => #convert(__iii_field0),);
        }
        VariantKind::Coded(coded) => coded,
    };
    let pattern = pattern(variant, |_, field| field.role != FieldRole::Skipped);
    let details: Vec<TokenStream> = variant
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.role == FieldRole::Detail)
        .map(|(at, field)| detail(at, field))
        .collect();
    let details = (!details.is_empty()).then(|| {
        quote! {
            .with_details(&{
                let mut __iii_details = ::std::collections::BTreeMap::<
                    &'static ::core::primitive::str,
                    __iii::Payload,
                >::new();
                #(#details)*
                __iii_details
            })
        }
    });
    let source =
        variant.fields.iter().enumerate().find(|(_, field)| field.role == FieldRole::Source);
    let source = source.map(|(at, field)| {
        let binding = Ident::new(&binding_name(at), SpanRange::of(&field.ty).first);
        quote!(.with_source(#binding))
    });
    let code = &coded.code;
    let status = coded.status.map(|status| quote!(.with_status(#status)));
    let retryable = coded.retryable.map(|retryable| quote!(.with_retryable(#retryable)));
    let retry_after = coded.retry_after.map(|milliseconds| {
        quote!(.with_retry_after(::core::time::Duration::from_millis(#milliseconds)))
    });
    quote! {
        #pattern => __iii::Error::new(#code, __iii_message)
            #status
            #retryable
            #retry_after
            #details
            #source,
    }
}

/// Emits the insertion of a detail. A type that does not implement `Serialize` is reported at the type.
fn detail(at: usize, field: &ErrorField) -> TokenStream {
    let name = &field.name;
    let SpanRange { first, last } = SpanRange::of(&field.ty);
    let ty = &field.ty;
    let binding = binding(at);
    let mut payload = quote_spanned!(first=> __iii::payload::<);
    ty.to_tokens(&mut payload);
    payload.extend(quote_spanned!(last=> >));
    quote!(__iii_details.insert(#name, #payload(&#binding));)
}

/// Emits the `From` of a variant with `#[from]`.
fn conversion(name: &Ident, variant: &ErrorVariant) -> Option<TokenStream> {
    let field = variant.fields.iter().find(|field| field.from)?;
    let (ty, member, path) = (&field.ty, &field.member, variant_path(variant));
    Some(quote! {
        #[automatically_derived]
        impl ::core::convert::From<#ty> for #name {
            fn from(__iii_source: #ty) -> Self {
                #path { #member: __iii_source }
            }
        }
    })
}
