//! Any other trigger type, by its id or by its config: `#[iii::trigger("webhook", config = …)]`, and
//! `#[iii::trigger(Webhook { … })]`.

use quote::{quote, quote_spanned};
use syn::{Expr, LitStr};

use super::{Parsed, condition};
use crate::diagnostics::{Ends, Errors};
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

/// The options of a trigger whose config says its type.
const TYPED: &[&str] = &["condition", "metadata", "crate"];

/// Reads the options of a trigger with a typed config.
pub(super) fn typed(config: &Expr, options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(TYPED, errors);
    let condition = condition(options, errors);
    // A config or an event that does not fit is shown at the config.
    let Ends { first, last } = Ends::of(config);
    let mut call = quote_spanned!(first=> __iii::typed::<_, __IiiTaken>);
    call.extend(quote_spanned!(last=> (#config, #condition)));
    Some(Parsed::new(call))
}
