//! `#[iii::trigger_type(id = "…")]`: an implementation of the trait `TriggerType`, and a declaration of it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, ImplItem, ItemImpl, LitStr, Path, parse_quote};

use crate::diagnostics::{Ends, Errors};
use crate::options::Options;
use crate::{docs, names, trigger};

/// All names of options.
const OPTIONS: &[&str] = &["id", "description", "crate"];

/// What is to stand below the attribute.
const SHAPE: &str =
    "write `impl TriggerType for Config { type Event = …; async fn run(…) … }` below it";

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut options = Options::parse(options, Ends::at(Span::call_site()), &mut errors);
    options.check(OPTIONS, &mut errors);
    let id = take_id(&mut options, &mut errors);
    let description = options.take_str("description", "Fires when mail comes.", &mut errors);
    let krate = options.take_path("crate", "a path, such as `crate = ::iii`", &mut errors);
    options.finish(&mut errors);
    let Ok(mut item) = syn::parse2::<ItemImpl>(tokens.clone()) else {
        errors.between(
            Ends::of(tokens),
            format!("`#[iii::trigger_type]` belongs on an `impl`: {SHAPE}"),
        );
        let errors = errors.into_tokens();
        return quote!(#tokens #errors);
    };
    if item.trait_.is_none() {
        errors.on(&item.self_ty, format!("this `impl` has no trait: {SHAPE}"));
    } else if !item.generics.params.is_empty() {
        errors.on(&item.generics, "a trigger type has one config, so the `impl` cannot be generic");
    }
    for name in ["ID", "DESCRIPTION"] {
        let written = item.items.iter().find_map(|item| match item {
            ImplItem::Const(constant) if constant.ident == name => Some(&constant.ident),
            _ => None,
        });
        if let Some(written) = written {
            errors.on(written, format!("`{name}` is written by `#[iii::trigger_type]`: remove it"));
        }
    }
    let description = match description {
        Some(text) => text.value().trim().to_owned(),
        None => docs::text(&item.attrs).unwrap_or_default(),
    };
    let named = id.unwrap_or_else(|| LitStr::new("", Span::call_site()));
    if errors.is_empty() || item.trait_.is_some() {
        item.items.insert(0, parse_quote!(const ID: &'static ::core::primitive::str = #named;));
        item.items.insert(
            1,
            parse_quote!(const DESCRIPTION: &'static ::core::primitive::str = #description;),
        );
    }
    if !errors.is_empty() {
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    }
    declare(&item, krate.as_ref())
}

/// The implementation and its declaration.
fn declare(item: &ItemImpl, krate: Option<&Path>) -> TokenStream {
    let cfgs: Vec<&Attribute> =
        item.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let import = names::import(krate);
    let ty = &item.self_ty;
    let Ends { first, last } = Ends::of(ty);
    // What the type lacks is shown at it.
    let mut descriptor = quote_spanned!(first=> __iii::TriggerTypeDescriptor::new::<);
    ty.to_tokens(&mut descriptor);
    descriptor.extend(quote_spanned!(last=> >));
    let location = trigger::location(first);
    quote! {
        #item
        #(#cfgs)*
        const _: () = {
            #import
            static __III_DESCRIPTOR: __iii::TriggerTypeDescriptor =
                #descriptor(::core::module_path!(), #location);
            __iii::inventory::submit! { __iii::TriggerTypeDeclaration(&__III_DESCRIPTOR) }
        };
    }
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
    if trigger::is_of_engine(id) || id.starts_with("engine::") {
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
