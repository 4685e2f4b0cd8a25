//! `#[iii::trigger_type(id = "…")]`: an implementation of the trait `TriggerType`, and a declaration of it.

use proc_macro2::{Span, TokenStream};
use syn::LitStr;

use crate::diagnostics::{Ends, Errors};
use crate::options::Options;
use crate::provided::{self, Attr, Said};

/// All names of options.
const OPTIONS: &[&str] = &["id", "description", "crate"];

const ATTR: Attr = Attr {
    name: "trigger_type",
    shape: "write `impl TriggerType for Config { type Event = …; async fn run(…) … }` below it",
    not_generic: "a trigger type has one config, so the `impl` cannot be generic",
    constants: ["ID", "DESCRIPTION"],
    thing: "TriggerType",
};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut options = Options::parse(options, Ends::at(Span::call_site()), &mut errors);
    options.check(OPTIONS, &mut errors);
    let id = take_id(&mut options, &mut errors);
    let description = options.take_str("description", "Fires when mail comes.", &mut errors);
    let krate = options.take_path("crate", "a path, such as `crate = ::iii`", &mut errors);
    options.finish(&mut errors);
    provided::expand(&ATTR, Said { name: id, description, krate }, tokens, errors)
}

/// Takes the id, and checks it.
fn take_id(options: &mut Options, errors: &mut Errors) -> Option<LitStr> {
    if !options.has("id") {
        errors.between(
            options.place,
            "the trigger type has no id: add `id = \"…\"`, such as `id = \"storage::object-created\"`",
        );
        return None;
    }
    let id = options.take_str("id", "storage::object-created", errors)?;
    match check(&id.value()) {
        Ok(()) => Some(id),
        Err(message) => {
            errors.on(&id, message);
            None
        }
    }
}

/// Checks an id.
fn check(id: &str) -> Result<(), String> {
    if crate::trigger::is_of_engine(id) || id.starts_with("engine::") {
        return Err(format!(
            "the trigger type `{id}` belongs to the engine: choose another id, such as `storage::object-created`"
        ));
    }
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-');
    let sound = id.split("::").all(|part| !part.is_empty() && part.chars().all(allowed));
    if sound {
        return Ok(());
    }
    Err(format!(
        "`{id}` is no id of a trigger type: its parts are made of letters, digits, `_`, `-` and `.`, joined by `::`, \
         such as `storage::object-created`"
    ))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn ids_are_checked() {
        for good in ["mail", "storage::object-created", "a.b_c"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
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
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_leave_the_implementation_there() {
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
