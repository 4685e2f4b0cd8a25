//! Any other trigger type, by its id or by its config: `#[iii::trigger("webhook", config = …)]`, and
//! `#[iii::trigger(Webhook { … })]`.

use quote::{quote, quote_spanned};
use syn::{Expr, LitStr};

use super::{ParsedTrigger, take_condition};
use crate::diagnostics::{Errors, SpanRange};
use crate::options::MacroOptions;

/// The options of a trigger type that is named by its id.
const OPTIONS: &[&str] = &["config", "metadata", "crate"];

/// The options of a trigger type that is named by its config.
const TYPED_OPTIONS: &[&str] = &["condition", "metadata", "crate"];

/// Parses the options of a trigger of the type `id`.
pub(super) fn parse(
    id: &LitStr,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(OPTIONS, errors);
    let config = match options.take("config", errors) {
        Some(expr) => quote!((#expr)),
        None => quote!(()),
    };
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::Custom { trigger_type: #id, config: #config }
    }))
}

/// Parses the options of a trigger with a typed config.
pub(super) fn parse_typed(
    config: &Expr,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(TYPED_OPTIONS, errors);
    let condition = take_condition(options, errors);
    // A type that is no trigger type, or whose event differs from the payload, is reported at the config.
    let SpanRange { first, last } = SpanRange::of(config);
    let mut call = quote_spanned!(first=> __iii::typed::<_, __IiiEvent>);
    call.extend(quote_spanned!(last=> (#config, #condition)));
    Some(ParsedTrigger::new(call))
}
