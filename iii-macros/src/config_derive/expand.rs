//! The expansion of a configuration: the descriptors of its fields, a reader, and a declaration.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Ident, Path};

use super::field::{ConfigField, EnvVariable, FieldBound, FieldDefault, is_duration};
use super::parse::ConfigType;
use crate::diagnostics::SpanRange;
use crate::names;
use crate::tokens::{const_assert, location, option};

/// Emits the implementation and the declaration.
pub(super) fn emit(config: &ConfigType) -> TokenStream {
    let ConfigType { name, id, section, prefix, title, description, fields, krate } = config;
    let import = names::import_runtime(krate.as_ref());
    let types = fields.iter().enumerate().map(|(at, field)| {
        let (ty, alias) = (&field.ty, alias(at));
        quote!(type #alias = #ty;)
    });
    let defaults = fields.iter().enumerate().map(|(at, field)| default_function(at, field));
    let checks = checks(fields);
    let descriptors = fields.iter().enumerate().map(|(at, field)| field_descriptor(at, field));
    let read = fields.iter().enumerate().map(|(at, field)| read_field(at, field));
    let members = fields.iter().map(|field| &field.name);
    let values: Vec<Ident> = (0..fields.len()).map(|at| format_ident!("__iii_value{at}")).collect();
    let location = location(name.span());
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
                const FIELDS: &'static [__iii::ConfigField] = &[#(#descriptors),*];
                fn descriptor() -> &'static __iii::ConfigDescriptor {
                    &__III_DESCRIPTOR
                }
                #[allow(unused_variables)]
                fn read(
                    __iii_reader: &mut __iii::ConfigReader<'_>,
                ) -> ::core::option::Option<Self> {
                    let __iii_fields: &'static [__iii::ConfigField] =
                        <Self as __iii::Configurable>::FIELDS;
                    // All fields are read before the first `?`, so that each problem is reported.
                    #(#read)*
                    ::core::option::Option::Some(Self { #(#members: #values?,)* })
                }
            }
            __iii::inventory::submit! { __iii::ConfigDeclaration(&__III_DESCRIPTOR) }
        };
    }
}

/// Emits the trait without content, for an invalid type.
pub(super) fn emit_fallback(input: &DeriveInput, krate: Option<&Path>) -> TokenStream {
    let name = &input.ident;
    let import = names::import_runtime(krate);
    let location = location(name.span());
    if !input.generics.params.is_empty() {
        // The bounds that its parameters would need are not known.
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

/// Returns the name of the alias for the type of a field.
fn alias(at: usize) -> Ident {
    format_ident!("__IiiField{at}")
}

/// Returns the name of the function that returns a default.
fn default_name(at: usize) -> Ident {
    format_ident!("__iii_default{at}")
}

/// Emits the function that returns a default, unless the default is a string.
fn default_function(at: usize, field: &ConfigField) -> Option<TokenStream> {
    let (alias, name) = (alias(at), default_name(at));
    match &field.default {
        FieldDefault::None | FieldDefault::Text(_) => None,
        FieldDefault::OfType(span) => {
            // A type that does not implement `Default` is reported at the option.
            let spanned = Ident::new(&alias.to_string(), *span);
            let value = quote_spanned!(*span=> <#spanned as ::core::default::Default>::default());
            Some(quote!(fn #name() -> #alias { #value }))
        }
        FieldDefault::Value(expr) => Some(quote!(fn #name() -> #alias { #expr })),
    }
}

/// Emits the checks of the fields, each with its error at the type or at the option.
fn checks(fields: &[ConfigField]) -> TokenStream {
    let mut calls = TokenStream::new();
    let mut asserts = TokenStream::new();
    for (at, field) in fields.iter().enumerate() {
        let ty = alias(at);
        let (check, probe) = if field.is_nested {
            ("config_nested", "IS_CONFIG")
        } else {
            ("config_value", "IS_DESERIALIZE")
        };
        let (check, probe) = (format_ident!("{check}"), format_ident!("{probe}"));
        let SpanRange { first, last } = field.span;
        calls.extend(quote_spanned!(first=> __iii::#check::<#ty, __iii::CheckedConfig<{ <__iii::Probe<#ty>>::#probe }));
        calls.extend(quote_spanned!(last=> >>();));
        let kind = quote!(<__iii::KindProbe<#ty>>::KIND);
        if let FieldDefault::Text(text) = &field.default {
            let is_duration = is_duration(&text.value());
            let condition = quote!(__iii::kind_of::text_fits(#kind, #is_duration));
            let message = "the default does not match the type of the field: write numbers, `true` \
                           and `false` without quotes, and durations as \"30s\" or \"1m 30s\"";
            asserts.extend(const_assert(SpanRange::of(text), &condition, message));
        }
        for bound in [&field.min, &field.max].into_iter().flatten() {
            asserts.extend(check_bound(bound, &kind));
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

/// Emits the check that a field has the type of its bound.
fn check_bound(bound: &FieldBound, kind: &TokenStream) -> TokenStream {
    let option = bound.option;
    let (condition, message) = if bound.is_duration {
        let condition = quote!(__iii::kind_of::is_duration(#kind));
        (condition, format!("`{option}` is a duration, but the field is not"))
    } else {
        let condition = quote!(__iii::kind_of::is_number(#kind));
        let message = format!(
            "`{option}` is a number, but the field is not: for a duration, write a string such as \
             `{option} = \"1s\"`"
        );
        (condition, message)
    };
    const_assert(bound.span, &condition, &message)
}

/// Emits the descriptor of a field.
fn field_descriptor(at: usize, field: &ConfigField) -> TokenStream {
    let ty = alias(at);
    let ConfigField { key, is_secret, .. } = field;
    let description = option(field.description.as_ref());
    let variable = match &field.variable {
        EnvVariable::Derived => quote!(__iii::ConfigVariable::Derived),
        EnvVariable::Named(name) => quote!(__iii::ConfigVariable::Named(#name)),
        EnvVariable::None => quote!(__iii::ConfigVariable::None),
    };
    let content = if field.is_nested {
        let nest = nested_type(&ty);
        quote! {
            __iii::ConfigContent::Nested {
                fields: <#nest as __iii::ConfigNested>::FIELDS,
                optional: <#nest as __iii::ConfigNested>::OPTIONAL,
            }
        }
    } else {
        let slot = slot_type(&ty);
        let default = match &field.default {
            FieldDefault::None => quote!(::core::option::Option::None),
            FieldDefault::Text(text) => {
                quote!(::core::option::Option::Some(|| __iii::config_text(#text)))
            }
            FieldDefault::OfType(_) | FieldDefault::Value(_) => {
                let function = default_name(at);
                quote! {
                    ::core::option::Option::Some(|| {
                        <__iii::ConfigShown<#ty, { <__iii::Probe<#ty>>::IS_SERIALIZE }>
                            as __iii::ConfigShow<#ty>>::show(&#function())
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
            secret: #is_secret,
            content: #content,
        }
    }
}

/// Emits the statement that reads a field.
fn read_field(at: usize, field: &ConfigField) -> TokenStream {
    let (ty, value) = (alias(at), format_ident!("__iii_value{at}"));
    if field.is_nested {
        let nest = nested_type(&ty);
        return quote! {
            let #value = <#nest as __iii::ConfigNested>::read(__iii_reader, &__iii_fields[#at]);
        };
    }
    let slot = slot_type(&ty);
    let default = match &field.default {
        FieldDefault::None => quote!(None),
        FieldDefault::Text(text) => quote!(Text(#text)),
        FieldDefault::OfType(_) | FieldDefault::Value(_) => {
            let function = default_name(at);
            quote!(Value(#function))
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

fn slot_type(ty: &Ident) -> TokenStream {
    quote!(__iii::ConfigSlot<#ty, { <__iii::Probe<#ty>>::IS_DESERIALIZE }>)
}

fn nested_type(ty: &Ident) -> TokenStream {
    quote!(__iii::ConfigNest<#ty, { <__iii::Probe<#ty>>::IS_CONFIG }>)
}
