//! `#[iii::stream(name = "…")]`: an implementation of `StreamStore`, and its declaration.

use proc_macro2::TokenStream;

use crate::provided::{self, ProvidedAttribute};

/// The maximum length of a name in bytes: the function ids that contain it stay below their own limit.
const MAX_NAME_BYTES: usize = 200;

const ATTRIBUTE: ProvidedAttribute = ProvidedAttribute {
    name: "stream",
    key: "name",
    key_example: "chat",
    description_example: "Keeps the chat.",
    check: check_name,
    impl_example: "impl StreamStore for Store { type Item = …; async fn get(…) … }",
    not_generic: "a stream has one store",
    constants: ["NAME", "DESCRIPTION"],
    descriptor: "StreamStore",
};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    provided::expand(&ATTRIBUTE, options, tokens)
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the stream name is empty\nhelp: write `name = \"chat\"`".to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!(
            "the stream name has {} bytes, expected at most {MAX_NAME_BYTES}",
            name.len()
        ));
    }
    if let Some(invalid) = name.chars().find(|character| character.is_control()) {
        return Err(format!(
            "invalid character `{}` in the stream name\nhelp: use printable characters, such as `chat`",
            invalid.escape_debug()
        ));
    }
    let trimmed = name.trim();
    if trimmed != name {
        return Err(format!(
            "the stream name has leading or trailing whitespace\nhelp: write `name = \"{trimmed}\"`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn names_are_checked() {
        for valid in ["chat", "a:b", "rooms of (all)", "räume"] {
            assert_eq!(check_name(valid), Ok(()), "{valid}");
        }
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for invalid in ["", " chat", "chat ", "a\nb", long.as_str()] {
            assert!(check_name(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn store_gets_its_constants_and_a_declaration() {
        let item = quote!(
            /// Keeps the chat.
            #[cfg(feature = "chat")]
            impl StreamStore for Chat {
                type Item = Message;
            }
        );
        let all = expand(quote!(name = "chat"), &item).to_string();
        for part in [
            "const NAME : & 'static :: core :: primitive :: str = \"chat\"",
            "const DESCRIPTION : & 'static :: core :: primitive :: str = \"Keeps the chat.\"",
            "__iii :: StreamStoreDescriptor :: new :: < Chat >",
            "__iii :: StreamStoreDeclaration (& __III_DESCRIPTOR)",
        ] {
            assert!(all.contains(part), "`{part}` is missing in {all}");
        }
        assert_eq!(all.matches("# [cfg (feature = \"chat\")]").count(), 2, "{all}");
        assert!(!all.contains("compile_error"), "{all}");
    }

    #[test]
    fn errors_keep_the_implementation() {
        let item = quote!(impl StreamStore for Chat { type Item = M; });
        for options in [quote!(), quote!(name = ""), quote!(nam = "chat"), quote!(name = 7)] {
            let all = expand(options.clone(), &item).to_string();
            assert!(
                all.contains("impl StreamStore for Chat") && all.contains("const NAME"),
                "{all}"
            );
            assert!(all.contains("compile_error"), "{options}: {all}");
        }
        let defined = quote!(impl StreamStore for Chat { const NAME: &'static str = "x"; });
        let all = expand(quote!(name = "chat"), &defined).to_string();
        assert_eq!(all.matches("compile_error").count(), 1, "{all}");
        let all = expand(
            quote!(name = "chat"),
            &quote!(
                struct Chat;
            ),
        )
        .to_string();
        assert!(all.starts_with("struct Chat"), "{all}");
        assert_eq!(all.matches("compile_error").count(), 1, "{all}");
        let generic = quote!(
            impl<T> StreamStore for Chat<T> {
                type Item = T;
            }
        );
        let all = expand(quote!(name = "chat"), &generic).to_string();
        assert!(all.contains("cannot be generic"), "{all}");
    }
}
