//! What a configuration becomes: its fields as data, a way to read it, and a declaration.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Ident, Path};

use super::field::{Bound, Default, Field, Variable, is_duration};
use super::parse::ConfigType;
use crate::diagnostics::Ends;
use crate::{names, trigger};

/// All implementations.
pub(super) fn implement(config: &ConfigType) -> TokenStream {
    let ConfigType { name, id, section, prefix, title, description, fields, krate } = config;
    let import = names::import(krate.as_ref());
    let types = fields.iter().enumerate().map(|(at, field)| {
        let (ty, alias) = (&field.ty, alias(at));
        quote!(type #alias = #ty;)
    });
    let defaults = fields.iter().enumerate().map(|(at, field)| default_function(at, field));
    let checks = checks(fields);
    let described = fields.iter().enumerate().map(|(at, field)| describe(at, field));
    let read = fields.iter().enumerate().map(|(at, field)| read(at, field));
    let members = fields.iter().map(|field| &field.name);
    let values: Vec<Ident> = (0..fields.len()).map(|at| format_ident!("__iii_value{at}")).collect();
    let location = trigger::location(name.span());
    let type_name = name.to_string();
    let (id, section) = (option(id.as_ref()), option(section.as_ref()));
    let description = option(description.as_ref());
    quote! {
        #[allow(unused_qualifications, clippy::all, clippy::pedantic)]
        const _: () = {
            #import
            #[allow(unused_imports)]
            use __iii::{
                ConfigNested as _, ConfigSchemaOf as _, ConfigShow as _, ConfigValue as _,
                NotConfig as _, NotDeserialize as _, NotSchema as _, NotSerialize as _,
                OtherKind as _,
            };
            #(#types)*
            #(#defaults)*
            #checks
            static __III_DESCRIPTOR: __iii::ConfigDescriptor = __iii::ConfigDescriptor {
                id: #id,
                section: #section,
                prefix: #prefix,
                title: #title,
                name: #type_name,
                description: #description,
                location: #location,
                fields: <#name as __iii::Configurable>::FIELDS,
            };
            #[automatically_derived]
            impl __iii::Configurable for #name {
                const FIELDS: &'static [__iii::ConfigField] = &[#(#described),*];
                fn descriptor() -> &'static __iii::ConfigDescriptor {
                    &__III_DESCRIPTOR
                }
                #[allow(unused_variables)]
                fn read(
                    __iii_reader: &mut __iii::ConfigReader<'_>,
                ) -> ::core::option::Option<Self> {
                    let __iii_fields: &'static [__iii::ConfigField] =
                        <Self as __iii::Configurable>::FIELDS;
                    // All fields first: each problem is noted.
                    #(#read)*
                    ::core::option::Option::Some(Self { #(#members: #values?,)* })
                }
            }
            __iii::inventory::submit! { __iii::ConfigDeclaration(&__III_DESCRIPTOR) }
        };
    }
}

/// The trait without content, so that a mistake in the type has no consequences elsewhere.
pub(super) fn fall_back(input: &DeriveInput, krate: Option<&Path>) -> TokenStream {
    let name = &input.ident;
    let import = names::import(krate);
    let location = trigger::location(name.span());
    if !input.generics.params.is_empty() {
        // What its parameters must be is not known.
        return TokenStream::new();
    }
    quote! {
        const _: () = {
            #import
            static __III_DESCRIPTOR: __iii::ConfigDescriptor = __iii::ConfigDescriptor {
                id: ::core::option::Option::None,
                section: ::core::option::Option::None,
                prefix: "",
                title: "",
                name: "",
                description: ::core::option::Option::None,
                location: #location,
                fields: &[],
            };
            #[automatically_derived]
            impl __iii::Configurable for #name {
                const FIELDS: &'static [__iii::ConfigField] = &[];
                fn descriptor() -> &'static __iii::ConfigDescriptor {
                    &__III_DESCRIPTOR
                }
                fn read(_: &mut __iii::ConfigReader<'_>) -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
            }
        };
    }
}

/// The name of the type of a field.
fn alias(at: usize) -> Ident {
    format_ident!("__IiiField{at}")
}

/// The name of the function that makes a default.
fn default_name(at: usize) -> Ident {
    format_ident!("__iii_default{at}")
}

/// The function that makes a default which is a value.
fn default_function(at: usize, field: &Field) -> Option<TokenStream> {
    let (alias, name) = (alias(at), default_name(at));
    match &field.default {
        Default::None | Default::Text(_) => None,
        Default::OfType(span) => {
            // That the type has no default is shown at the word.
            let spanned = Ident::new(&alias.to_string(), *span);
            let value = quote_spanned!(*span=> <#spanned as ::core::default::Default>::default());
            Some(quote!(fn #name() -> #alias { #value }))
        }
        Default::Value(expr) => Some(quote!(fn #name() -> #alias { #expr })),
    }
}

/// What the compiler must prove about the fields, each shown at its place.
fn checks(fields: &[Field]) -> TokenStream {
    let mut calls = TokenStream::new();
    let mut asserts = TokenStream::new();
    for (at, field) in fields.iter().enumerate() {
        let ty = alias(at);
        let (check, probe) = if field.nested {
            ("config_nested", "IS_CONFIG")
        } else {
            ("config_value", "IS_DESERIALIZE")
        };
        let (check, probe) = (format_ident!("{check}"), format_ident!("{probe}"));
        let Ends { first, last } = field.ends;
        calls.extend(quote_spanned!(first=> __iii::#check::<#ty, __iii::CheckedConfig<{ <__iii::Probe<#ty>>::#probe }));
        calls.extend(quote_spanned!(last=> >>();));
        let kind = quote!(<__iii::KindProbe<#ty>>::KIND);
        if let Default::Text(text) = &field.default {
            let is_duration = is_duration(&text.value());
            let condition = quote!(__iii::kind_of::text_fits(#kind, #is_duration));
            let message = "this default does not fit its field: a number, `true` and `false` are \
                           written without quotes, and a span of time like \"30s\" or \"1m 30s\"";
            asserts.extend(assertion(Ends::of(text), &condition, message));
        }
        for bound in [&field.min, &field.max].into_iter().flatten() {
            asserts.extend(bound_fits(bound, &kind));
        }
    }
    quote! {
        #[allow(dead_code)]
        fn __iii_check() {
            #calls
        }
        #asserts
    }
}

fn bound_fits(bound: &Bound, kind: &TokenStream) -> TokenStream {
    let option = bound.option;
    let (condition, message) = if bound.is_duration {
        let condition = quote!(__iii::kind_of::is_duration(#kind));
        (condition, format!("`{option}` is a span of time, and its field is none"))
    } else {
        let condition = quote!(__iii::kind_of::is_number(#kind));
        let message = format!(
            "`{option}` is a number, and its field is none; of a span of time it is text, such as \
             `{option} = \"1s\"`"
        );
        (condition, message)
    };
    assertion(bound.ends, &condition, &message)
}

/// A field as data.
fn describe(at: usize, field: &Field) -> TokenStream {
    let ty = alias(at);
    let Field { key, secret, .. } = field;
    let description = option(field.description.as_ref());
    let variable = match &field.variable {
        Variable::Derived => quote!(__iii::ConfigVariable::Derived),
        Variable::Named(name) => quote!(__iii::ConfigVariable::Named(#name)),
        Variable::None => quote!(__iii::ConfigVariable::None),
    };
    let content = if field.nested {
        let nest = nest(&ty);
        quote! {
            __iii::ConfigContent::Nested {
                fields: <#nest as __iii::ConfigNested>::FIELDS,
                optional: <#nest as __iii::ConfigNested>::OPTIONAL,
            }
        }
    } else {
        let slot = slot(&ty);
        let default = match &field.default {
            Default::None => quote!(::core::option::Option::None),
            Default::Text(text) => {
                quote!(::core::option::Option::Some(|| __iii::config_text(#text)))
            }
            Default::OfType(_) | Default::Value(_) => {
                let make = default_name(at);
                quote! {
                    ::core::option::Option::Some(|| {
                        <__iii::ConfigShown<#ty, { <__iii::Probe<#ty>>::IS_SERIALIZE }>
                            as __iii::ConfigShow<#ty>>::show(&#make())
                    })
                }
            }
        };
        let min = option(field.min.as_ref().map(|bound| &bound.text));
        let max = option(field.max.as_ref().map(|bound| &bound.text));
        quote! {
            __iii::ConfigContent::Value {
                schema: <__iii::ConfigSchema<#ty, { <__iii::Probe<#ty>>::HAS_SCHEMA }>
                    as __iii::ConfigSchemaOf>::schema,
                optional: <#slot as __iii::ConfigValue>::optional,
                default: #default,
                min: #min,
                max: #max,
            }
        }
    };
    quote! {
        __iii::ConfigField {
            key: #key,
            description: #description,
            variable: #variable,
            secret: #secret,
            content: #content,
        }
    }
}

/// The statement that reads a field.
fn read(at: usize, field: &Field) -> TokenStream {
    let (ty, value) = (alias(at), format_ident!("__iii_value{at}"));
    if field.nested {
        let nest = nest(&ty);
        return quote! {
            let #value = <#nest as __iii::ConfigNested>::read(__iii_reader, &__iii_fields[#at]);
        };
    }
    let slot = slot(&ty);
    let default = match &field.default {
        Default::None => quote!(None),
        Default::Text(text) => quote!(Text(#text)),
        Default::OfType(_) | Default::Value(_) => {
            let make = default_name(at);
            quote!(Value(#make))
        }
    };
    quote! {
        let #value = <#slot as __iii::ConfigValue>::read(
            __iii_reader,
            &__iii_fields[#at],
            &__iii::ValueDefault::#default,
        );
    }
}

fn slot(ty: &Ident) -> TokenStream {
    quote!(__iii::ConfigSlot<#ty, { <__iii::Probe<#ty>>::IS_DESERIALIZE }>)
}

fn nest(ty: &Ident) -> TokenStream {
    quote!(__iii::ConfigNest<#ty, { <__iii::Probe<#ty>>::IS_CONFIG }>)
}

/// A condition that the compiler must prove, shown at a place.
fn assertion(ends: Ends, condition: &TokenStream, message: &str) -> TokenStream {
    let Ends { first, last } = ends;
    let mut tokens = quote_spanned!(first=> const _: () = ::core::assert!);
    tokens.extend(quote_spanned!(last=> (#condition, #message);));
    tokens
}

fn option(value: Option<&String>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
