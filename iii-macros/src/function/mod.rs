//! `#[iii::function(id = "…")]`: the user's function as it is, a type of its name for typed calls, and a declaration.

mod checks;
mod expand;
mod id;
mod item;
mod options;
mod sentinel;
mod signature;

use proc_macro2::{Span, TokenStream};
use syn::Attribute;

use crate::diagnostics::Errors;
use crate::trigger::Trigger;

use self::expand::Function;
pub(crate) use self::item::Item;
use self::options::FunctionOptions;
use self::signature::Parts;

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut item = match Item::parse(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            // Without a function there is nothing to declare; the item stays as it is.
            let mut all = tokens;
            all.extend(error.to_compile_error());
            return all;
        }
    };
    let mut errors = Errors::default();
    let span = Span::call_site();
    for attribute in item.take(|attribute| is_named(attribute, "function")) {
        errors.on(
            &attribute,
            "the function is declared twice: one `#[iii::function]` is enough, \
             and one function may have many triggers",
        );
    }
    let attributes = item.take(|attribute| is_named(attribute, "trigger"));
    let options = FunctionOptions::parse(options, span, &mut errors);
    let triggers: Vec<Trigger> =
        attributes.iter().filter_map(|attribute| Trigger::parse(attribute, &mut errors)).collect();
    let before = errors.count();
    let parts = Parts::read(&item.signature, &mut errors);
    let sound = errors.count() == before;
    checks::triggers_differ(&triggers, &mut errors);
    if sound {
        checks::paths_fit(&triggers, &parts, &mut errors);
    }
    let function = Function {
        item: &item,
        options: &options,
        parts: &parts,
        triggers: &triggers,
        attributes: &attributes,
    };
    if errors.is_empty() {
        return function.declare();
    }
    let mut all = function.fall_back(sound);
    all.extend(errors.into_tokens());
    all
}

/// Whether the last word of the path of an attribute is `name`, under whatever name the crate is known.
pub(crate) fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}
