//! `#[iii::stream(name = "…")]`: an implementation of the trait `StreamStore`, and a declaration of it.

use proc_macro2::{Span, TokenStream};
use syn::LitStr;

use crate::diagnostics::{Ends, Errors};
use crate::options::Options;
use crate::provided::{self, Attr, Said};

/// All names of options.
const OPTIONS: &[&str] = &["name", "description", "crate"];

const ATTR: Attr = Attr {
    name: "stream",
    shape: "write `impl StreamStore for Store { type Item = …; async fn get(…) … }` below it",
    not_generic: "a stream has one store, so the `impl` cannot be generic",
    constants: ["NAME", "DESCRIPTION"],
    thing: "StreamStore",
};

/// The longest name in bytes: with the rest of a function id it is still an id.
const LONGEST: usize = 200;

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut options = Options::parse(options, Ends::at(Span::call_site()), &mut errors);
    options.check(OPTIONS, &mut errors);
    let name = take_name(&mut options, &mut errors);
    let description = options.take_str("description", "Keeps the chat.", &mut errors);
    let krate = options.take_path("crate", "a path, such as `crate = ::iii`", &mut errors);
    options.finish(&mut errors);
    provided::expand(&ATTR, Said { name, description, krate }, tokens, errors)
}

/// Takes the name, and checks it.
fn take_name(options: &mut Options, errors: &mut Errors) -> Option<LitStr> {
    if !options.has("name") {
        errors.between(
            options.place,
            "the stream has no name: add `name = \"…\"`, such as `name = \"chat\"`",
        );
        return None;
    }
    let name = options.take_str("name", "chat", errors)?;
    match check(&name.value()) {
        Ok(()) => Some(name),
        Err(message) => {
            errors.on(&name, message);
            None
        }
    }
}

/// Checks a name.
fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name of the stream is empty: write one, such as `chat`".to_owned());
    }
    if name.len() > LONGEST {
        return Err(format!(
            "the name has {} bytes, and at most {LONGEST} are allowed",
            name.len()
        ));
    }
    if let Some(bad) = name.chars().find(|character| character.is_control()) {
        return Err(format!(
            "the name has `{}`: use printable characters, such as `chat`",
            bad.escape_debug()
        ));
    }
    let trimmed = name.trim();
    if trimmed != name {
        return Err(format!("there is a space at an end of the name: write `{trimmed}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["chat", "a:b", "rooms of (all)", "räume"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long = "x".repeat(LONGEST + 1);
        for bad in ["", " chat", "chat ", "a\nb", long.as_str()] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_gets_its_constants_and_a_declaration() {
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
    fn mistakes_leave_the_implementation_there() {
        let item = quote!(impl StreamStore for Chat { type Item = M; });
        for options in [quote!(), quote!(name = ""), quote!(nam = "chat"), quote!(name = 7)] {
            let all = expand(options.clone(), &item).to_string();
            assert!(
                all.contains("impl StreamStore for Chat") && all.contains("const NAME"),
                "{all}"
            );
            assert!(all.contains("compile_error"), "{options}: {all}");
        }
        let written = quote!(impl StreamStore for Chat { const NAME: &'static str = "x"; });
        let all = expand(quote!(name = "chat"), &written).to_string();
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
