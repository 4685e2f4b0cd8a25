//! `#[derive(iii::Config)]`: where each field of a configuration comes from, and how it is read.

mod expand;
mod field;
mod names;
mod parse;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::diagnostics::Errors;

use self::parse::ConfigType;

/// Expands the derive macro.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let parsed = ConfigType::parse(&input, &mut errors);
    match parsed {
        Some(config) if errors.is_empty() => expand::implement(&config),
        parsed => {
            // The trait is there nevertheless, so that functions which take this configuration say nothing more.
            let krate = parsed.and_then(|config| config.krate);
            let mut tokens = expand::fall_back(&input, krate.as_ref());
            tokens.extend(errors.into_tokens());
            tokens
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn messages(item: TokenStream) -> Vec<String> {
        let input: DeriveInput = syn::parse2(item).unwrap();
        let mut errors = Errors::default();
        ConfigType::parse(&input, &mut errors);
        errors.messages()
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
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
            "capital letters",
            "did you mean `default`",
            "`A B`",
            "`min` is a number",
            "nested",
            "two fields",
        ];
        assert_eq!(all.len(), parts.len(), "{all:#?}");
        for part in parts {
            assert!(all.iter().any(|message| message.contains(part)), "{part}: {all:#?}");
        }
    }

    #[test]
    fn only_structs_with_names_are_configurations() {
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
                "names",
            ),
            (
                quote!(
                    struct A;
                ),
                "fields",
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
    fn a_mistaken_type_is_a_configuration_nevertheless() {
        let all = expand(quote!(
            struct A(u8);
        ))
        .to_string();
        assert!(all.contains("Configurable for A"), "{all}");
        assert_eq!(all.matches("compile_error").count(), 1, "{all}");
    }

    #[test]
    fn another_path_of_the_runtime_replaces_all_others() {
        let all = expand(quote! {
            #[config(crate = other)]
            struct A { #[config(default = 1, min = 1)] a: u8, #[config(nested)] b: B }
        });
        let all = all.to_string();
        assert!(!all.contains(":: iii ::"), "{all}");
        assert!(all.contains("use other :: __private as __iii ;"), "{all}");
    }

    #[test]
    fn variables_begin_with_the_id_else_the_section_else_the_type() {
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
