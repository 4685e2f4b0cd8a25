//! `#[derive(iii::Config)]`: the sources of each field of a configuration, and how it is read.

mod expand;
mod field;
mod names;
mod parse;

use proc_macro2::TokenStream;

use self::parse::ConfigType;
use crate::derive;

/// Expands the derive macro.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    derive::expand(item, ConfigType::parse, expand::emit, |input, config| {
        expand::emit_fallback(input, config.and_then(|config| config.krate.as_ref()))
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::DeriveInput;

    use super::*;
    use crate::diagnostics::Errors;

    fn messages(item: TokenStream) -> Vec<String> {
        let input: DeriveInput = syn::parse2(item).unwrap();
        let mut errors = Errors::default();
        ConfigType::parse(&input, &mut errors);
        errors.messages()
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let all = messages(quote! {
            #[config(id = "Orders", prefix = "orders", colour = 1)]
            struct Settings {
                #[config(defualt = 1)]
                a: u32,
                #[config(env = "A B", min = x)]
                b: u32,
                #[config(nested, secret)]
                c: Mail,
                #[config(rename = "d")]
                e: u32,
                d: u32,
            }
        });
        let parts = [
            "unknown option `colour`",
            "`orders`",
            "upper-case prefix",
            "did you mean `default`",
            "`A B`",
            "expected a number or a duration for `min`",
            "nested",
            "duplicate configuration key `d`",
        ];
        assert_eq!(all.len(), parts.len(), "{all:#?}");
        for part in parts {
            assert!(all.iter().any(|message| message.contains(part)), "{part}: {all:#?}");
        }
    }

    #[test]
    fn other_types_are_rejected() {
        for (item, part) in [
            (
                quote!(
                    enum A {
                        B,
                    }
                ),
                "an enum",
            ),
            (quote!(union A { a: u8 }), "a union"),
            (
                quote!(
                    struct A(u8);
                ),
                "a tuple struct",
            ),
            (
                quote!(
                    struct A;
                ),
                "a unit struct",
            ),
            (
                quote!(
                    struct A<T> {
                        a: T,
                    }
                ),
                "generic",
            ),
        ] {
            let all = messages(item);
            assert_eq!(all.len(), 1, "{all:?}");
            assert!(all[0].contains(part), "{all:?}");
        }
    }

    #[test]
    fn invalid_type_implements_the_trait() {
        let all = expand(quote!(
            struct A(u8);
        ))
        .to_string();
        assert!(all.contains("Configurable for A"), "{all}");
        assert_eq!(all.matches("compile_error").count(), 1, "{all}");
    }

    #[test]
    fn crate_option_replaces_the_path_of_the_runtime() {
        let all = expand(quote! {
            #[config(crate = other)]
            struct A { #[config(default = 1, min = 1)] a: u8, #[config(nested)] b: B }
        });
        let all = all.to_string();
        assert!(!all.contains(":: iii ::"), "{all}");
        assert!(all.contains("use other :: __private as __iii ;"), "{all}");
    }

    #[test]
    fn default_prefix_is_the_id_else_the_section_else_the_type() {
        for (item, prefix) in [
            (
                quote!(
                    #[config(id = "my-app")]
                    struct A {}
                ),
                "MY_APP",
            ),
            (
                quote!(
                    #[config(section = "mail")]
                    struct A {}
                ),
                "MAIL",
            ),
            (
                quote!(
                    struct MailSettings {}
                ),
                "MAIL_SETTINGS",
            ),
            (
                quote!(
                    #[config(id = "a", prefix = "SHOP")]
                    struct A {}
                ),
                "SHOP",
            ),
            (
                quote!(
                    #[config(prefix = "")]
                    struct A {}
                ),
                "",
            ),
        ] {
            let input: DeriveInput = syn::parse2(item).unwrap();
            let mut errors = Errors::default();
            let config = ConfigType::parse(&input, &mut errors).unwrap();
            assert_eq!((config.prefix.as_str(), errors.messages()), (prefix, Vec::new()));
        }
    }
}
