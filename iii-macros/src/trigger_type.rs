//! `#[iii::trigger_type(id = "…")]`: an implementation of `TriggerType`, and its declaration.

use proc_macro2::TokenStream;

use crate::provided::{self, ProvidedAttribute};
use crate::trigger;

const ATTRIBUTE: ProvidedAttribute = ProvidedAttribute {
    name: "trigger_type",
    key: "id",
    key_example: "storage::object-created",
    description_example: "Fires when mail arrives.",
    check: check_id,
    impl_example: "impl TriggerType for Config { type Event = …; async fn run(…) … }",
    not_generic: "a trigger type has one config type",
    constants: ["ID", "DESCRIPTION"],
    descriptor: "TriggerType",
};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    provided::expand(&ATTRIBUTE, options, tokens)
}

fn check_id(id: &str) -> Result<(), String> {
    if trigger::is_engine_type(id) || id.starts_with("engine::") {
        return Err(format!(
            "the trigger type `{id}` is reserved for the engine\n\
             help: choose another id, such as `storage::object-created`"
        ));
    }
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-');
    if id.split("::").all(|segment| !segment.is_empty() && segment.chars().all(is_allowed)) {
        return Ok(());
    }
    Err(format!(
        "invalid trigger type id `{id}`\n\
         help: segments consist of ASCII letters, digits, `_`, `-` and `.`, separated by `::`, \
         such as `storage::object-created`"
    ))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn ids_are_checked() {
        for valid in ["mail", "storage::object-created", "a.b_c"] {
            assert_eq!(check_id(valid), Ok(()), "{valid}");
        }
        for invalid in [
            "",
            "::a",
            "a:b",
            "a b",
            "http",
            "durable:subscriber",
            "engine::x",
            "stream:join",
            "trace",
        ] {
            assert!(check_id(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn errors_keep_the_implementation() {
        let item = quote!(impl TriggerType for Mail { type Event = M; });
        let all = expand(quote!(id = "http"), &item).to_string();
        assert!(all.contains("impl TriggerType for Mail") && all.contains("const ID"), "{all}");
        assert_eq!(all.matches("compile_error").count(), 1, "{all}");
        let all = expand(
            quote!(),
            &quote!(
                struct Mail;
            ),
        )
        .to_string();
        assert!(all.starts_with("struct Mail"), "{all}");
        assert_eq!(all.matches("compile_error").count(), 2, "{all}");
    }
}
