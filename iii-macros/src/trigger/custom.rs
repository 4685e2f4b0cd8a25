//! Any other trigger type, by its id: `#[iii::trigger("webhook", config = …)]`.

use quote::quote;
use syn::LitStr;

use super::Parsed;
use crate::diagnostics::Errors;
use crate::options::Options;

/// The options of any other kind.
const OPTIONS: &[&str] = &["config", "metadata", "crate"];

/// Reads the options of a trigger of the type `id`.
pub(super) fn parse(id: &LitStr, options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(OPTIONS, errors);
    let config = match options.take("config", errors) {
        Some(expr) => quote!((#expr)),
        None => quote!(()),
    };
    Some(Parsed::new(quote! {
        __iii::trigger::Custom { trigger_type: #id, config: #config }
    }))
}
