//! What an error type gets: `Display`, `Error`, `IntoError`, and conversions.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{DeriveInput, Ident, Path};

use super::message::binding;
use super::parse::{Coded, ErrorType, Field, Meaning, Role, Text, Variant};
use crate::diagnostics::Ends;
use crate::names;

/// All implementations.
pub(super) fn implement(error: &ErrorType) -> TokenStream {
    let name = &error.name;
    let import = names::import(error.krate.as_ref());
    // A reference to a type without values could have one, as far as the compiler knows.
    let display = over_variants(error, &quote!(*self), display);
    let source = over_variants(error, &quote!(*self), source);
    let into_error = over_variants(error, &quote!(self), into_error);
    let conversions = error.variants.iter().filter_map(|variant| conversion(name, variant));
    let is_coded = |variant: &Variant| matches!(variant.meaning, Meaning::Coded(_));
    let message = error
        .variants
        .iter()
        .any(is_coded)
        .then(|| quote!(let __iii_message = ::std::string::ToString::to_string(&self);));
    let causes = error.variants.iter().any(Variant::has_cause).then(causes);
    quote! {
        #[allow(unused_qualifications)]
        const _: () = {
            #import
            #causes
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

/// A `match` of `self` with an arm for each variant, or of `nothing` if there are none.
fn over_variants(
    error: &ErrorType,
    nothing: &TokenStream,
    arm: impl Fn(&Variant) -> TokenStream,
) -> TokenStream {
    if error.variants.is_empty() {
        return quote!(match #nothing {});
    }
    let arms = error.variants.iter().map(arm);
    quote!(match self { #(#arms)* })
}

/// A method that gives an error, or the content of a box, as a cause.
fn causes() -> TokenStream {
    let send = quote!(+ ::core::marker::Send);
    let sync = quote!(+ ::core::marker::Sync);
    let boxed = [quote!(), quote!(#send), quote!(#send #sync)].map(|more| {
        quote! {
            impl __IiiCause for dyn ::std::error::Error #more + 'static {
                fn __iii_cause(&self) -> &(dyn ::std::error::Error + 'static) {
                    self
                }
            }
        }
    });
    quote! {
        trait __IiiCause {
            fn __iii_cause(&self) -> &(dyn ::std::error::Error + 'static);
        }
        impl<__IiiT: ::std::error::Error + 'static> __IiiCause for __IiiT {
            fn __iii_cause(&self) -> &(dyn ::std::error::Error + 'static) {
                self
            }
        }
        #(#boxed)*
    }
}

/// The traits without content, so that a mistake in the type has no consequences elsewhere.
pub(super) fn fall_back(input: &DeriveInput, krate: Option<&Path>) -> TokenStream {
    let name = &input.ident;
    let import = names::import(krate);
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

/// The pattern of a variant that binds the fields which `wanted` chooses.
fn pattern(variant: &Variant, wanted: impl Fn(usize, &Field) -> bool) -> TokenStream {
    let path = path(variant);
    let fields = variant.fields.iter().enumerate().filter(|(at, field)| wanted(*at, field)).map(
        |(at, field)| {
            let (member, binding) = (&field.member, local(at));
            quote!(#member: #binding,)
        },
    );
    quote!(#path { #(#fields)* .. })
}

fn path(variant: &Variant) -> TokenStream {
    match &variant.name {
        Some(name) => quote!(Self::#name),
        None => quote!(Self),
    }
}

fn local(at: usize) -> Ident {
    format_ident!("{}", binding(at))
}

/// The arm of `Display::fmt`.
fn display(variant: &Variant) -> TokenStream {
    match &variant.meaning {
        Meaning::Transparent => {
            let pattern = pattern(variant, |_, _| true);
            quote!(#pattern => ::core::fmt::Display::fmt(__iii_field0, __iii_out),)
        }
        Meaning::Coded(Coded { text: Text::Plain(text), .. }) => {
            let pattern = pattern(variant, |_, _| false);
            quote!(#pattern => __iii_out.write_str(#text),)
        }
        Meaning::Coded(Coded { text: Text::Format(message), .. }) => {
            let pattern = pattern(variant, |at, _| message.fields.contains(&at));
            let format = &message.format;
            // What cannot be shown is reported at the message.
            let fields = message.fields.iter().map(|at| {
                let name = Ident::new(&binding(*at), format.span());
                let value = name.clone();
                quote!(#name = #value)
            });
            quote!(#pattern => ::core::write!(__iii_out, #format #(, #fields)*),)
        }
    }
}

/// The arm of `Error::source`.
fn source(variant: &Variant) -> TokenStream {
    if matches!(variant.meaning, Meaning::Transparent) {
        let pattern = pattern(variant, |_, _| true);
        return quote!(#pattern => __iii_field0.__iii_cause().source(),);
    }
    let Some((at, field)) =
        variant.fields.iter().enumerate().find(|(_, field)| field.role == Role::Source)
    else {
        let pattern = pattern(variant, |_, _| false);
        return quote!(#pattern => ::core::option::Option::None,);
    };
    let pattern = pattern(variant, |_, field| field.role == Role::Source);
    let Ends { first, last } = Ends::of(&field.ty);
    let binding = Ident::new(&binding(at), first);
    let cause = quote_spanned!(last=> .__iii_cause());
    quote!(#pattern => ::core::option::Option::Some(#binding #cause),)
}

/// The arm of `IntoError::into_error`.
fn into_error(variant: &Variant) -> TokenStream {
    let coded = match &variant.meaning {
        Meaning::Transparent => {
            let pattern = pattern(variant, |_, _| true);
            let Ends { first, last } = Ends::of(&variant.fields[0].ty);
            let ty = &variant.fields[0].ty;
            let mut convert = quote_spanned!(first=> <);
            ty.to_tokens(&mut convert);
            convert.extend(quote_spanned!(last=> as __iii::IntoError>::into_error));
            return quote!(#pattern => #convert(__iii_field0),);
        }
        Meaning::Coded(coded) => coded,
    };
    let pattern = pattern(variant, |_, field| field.role != Role::Skipped);
    let details: Vec<TokenStream> = variant
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.role == Role::Detail)
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
    let source = variant.fields.iter().enumerate().find(|(_, field)| field.role == Role::Source);
    let source = source.map(|(at, field)| {
        let binding = Ident::new(&binding(at), Ends::of(&field.ty).first);
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

/// One fact for the caller. A type that cannot be serialised is shown where it is written.
fn detail(at: usize, field: &Field) -> TokenStream {
    let name = &field.name;
    let Ends { first, last } = Ends::of(&field.ty);
    let ty = &field.ty;
    let binding = local(at);
    let mut payload = quote_spanned!(first=> __iii::payload::<);
    ty.to_tokens(&mut payload);
    payload.extend(quote_spanned!(last=> >));
    quote!(__iii_details.insert(#name, #payload(&#binding));)
}

/// The `From` of a variant that has `#[from]`.
fn conversion(name: &Ident, variant: &Variant) -> Option<TokenStream> {
    let field = variant.fields.iter().find(|field| field.from)?;
    let (ty, member, path) = (&field.ty, &field.member, path(variant));
    Some(quote! {
        #[automatically_derived]
        impl ::core::convert::From<#ty> for #name {
            fn from(__iii_source: #ty) -> Self {
                #path { #member: __iii_source }
            }
        }
    })
}
