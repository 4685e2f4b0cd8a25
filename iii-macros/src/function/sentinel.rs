//! Macros that nobody calls: their names claim ids and routes, so that two equal ones in a crate do not compile.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Attribute, Ident};

use super::options::FunctionOptions;
use crate::names;
use crate::trigger::Trigger;

/// The claims of a function: its id and its routes, as far as they are literals.
pub(super) fn claims<'a>(
    options: &FunctionOptions,
    triggers: &[Trigger],
    cfgs: &(impl Iterator<Item = &'a Attribute> + Clone),
) -> TokenStream {
    let id = options.id.as_ref().and_then(|id| id.literal());
    let id = id.map(|id| (names::function_sentinel(&id.value()), id.span()));
    let routes = triggers.iter().filter_map(|trigger| trigger.route.as_ref()).map(|route| {
        (names::route_sentinel(&route.method, &route.path.value()), route.path.span())
    });
    id.into_iter().chain(routes).map(|(name, span)| claim(&name, span, cfgs.clone())).collect()
}

/// One claim. An exported macro lives in the root of the crate, wherever it is written; all of it is spanned at the
/// literal, so that the error shows both literals.
fn claim<'a>(name: &str, span: Span, cfgs: impl Iterator<Item = &'a Attribute>) -> TokenStream {
    let name = Ident::new(name, span);
    quote_spanned! {span=>
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_local_definitions)]
        #[macro_export]
        macro_rules! #name { () => {}; }
    }
}
