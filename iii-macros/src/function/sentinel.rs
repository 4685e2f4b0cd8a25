//! Macros that nobody calls: their names claim ids and routes, so that two equal ones in a crate do not compile.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Attribute, Ident};

use super::options::FunctionOptions;
use crate::names;
use crate::options::Text;
use crate::trigger::Trigger;

/// The claims of a function: its id and its routes, as far as they are literals.
pub(super) fn claims<'a>(
    options: &FunctionOptions,
    triggers: &[Trigger],
    cfgs: &(impl Iterator<Item = &'a Attribute> + Clone),
) -> TokenStream {
    let id = options.id.as_ref().map(|id| claim_id(id, cfgs));
    let routes = triggers.iter().filter_map(|trigger| trigger.route.as_ref()).map(|route| {
        (names::route_sentinel(&route.method, &route.path.value()), route.path.span())
    });
    let routes = routes.map(|(name, span)| claim(&name, span, cfgs.clone()));
    id.into_iter().chain(routes).collect()
}

/// The claim of an id, if it is a literal.
pub(crate) fn claim_id<'a>(
    id: &Text,
    cfgs: &(impl Iterator<Item = &'a Attribute> + Clone),
) -> TokenStream {
    let Some(id) = id.literal() else { return TokenStream::new() };
    claim(&names::function_sentinel(&id.value()), id.span(), cfgs.clone())
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
