//! Sentinel macros that are never invoked: their names claim ids and routes, so that duplicates in a crate do not compile.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Attribute, Ident};

use super::options::FunctionOptions;
use crate::names;
use crate::options::StringOrPath;
use crate::trigger::Trigger;

/// Emits the sentinels of a function: for its id and for its routes, as far as they are literals.
pub(super) fn claim_id_and_routes(
    options: &FunctionOptions,
    triggers: &[Trigger],
    cfgs: &[&Attribute],
) -> TokenStream {
    let id = options.id.as_ref().map(|id| claim_id(id, cfgs));
    let routes = triggers.iter().filter_map(|trigger| trigger.route.as_ref()).map(|route| {
        let name = names::route_sentinel(&route.method, &route.path.value());
        sentinel(&name, route.path.span(), cfgs)
    });
    id.into_iter().chain(routes).collect()
}

/// Emits the sentinel of an id, if it is a literal.
pub(crate) fn claim_id(id: &StringOrPath, cfgs: &[&Attribute]) -> TokenStream {
    let Some(id) = id.literal() else { return TokenStream::new() };
    sentinel(&names::function_sentinel(&id.value()), id.span(), cfgs)
}

/// Emits one sentinel.
///
/// An exported macro is defined in the root of the crate, wherever it is written. All of it has the span of the literal,
/// so that the error shows both literals.
fn sentinel(name: &str, span: Span, cfgs: &[&Attribute]) -> TokenStream {
    let name = Ident::new(name, span);
    quote_spanned! {span=>
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_local_definitions)]
        #[macro_export]
        macro_rules! #name { () => {}; }
    }
}
