//! The kinds `state`, `stream` and `log`: something changed, or was said.

use quote::quote;

use super::{Parsed, condition, filled, optional, required};
use crate::diagnostics::{Errors, instead};
use crate::options::Options;

/// The options of the kind `state`.
const STATE: &[&str] = &["scope", "key", "condition", "metadata", "crate"];

/// The options of the kind `stream`.
const STREAM: &[&str] = &["name", "group", "item", "condition", "metadata", "crate"];

/// The options of the kind `log`.
const LOG: &[&str] = &["level", "metadata", "crate"];

/// The levels of log records.
const LEVELS: &[&str] = &["all", "trace", "debug", "info", "warn", "error"];

/// Reads the options of a `state` trigger.
pub(super) fn state(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(STATE, errors);
    let scope = optional(filled("scope", "users", options, errors));
    let key = optional(filled("key", "42", options, errors));
    let condition = condition(options, errors);
    Some(Parsed::new(quote! {
        __iii::trigger::State { scope: #scope, key: #key, condition: #condition }
    }))
}

/// Reads the options of a `stream` trigger.
pub(super) fn stream(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(STREAM, errors);
    let name = required("name", "chat", options, errors);
    let group = optional(filled("group", "room-1", options, errors));
    let item = optional(filled("item", "message-1", options, errors));
    let condition = condition(options, errors);
    let name = name?;
    Some(Parsed::new(quote! {
        __iii::trigger::Stream { name: #name, group: #group, item: #item, condition: #condition }
    }))
}

/// Reads the options of a `log` trigger.
pub(super) fn log(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(LOG, errors);
    let level = if options.has("level") {
        let level = options.take_str("level", "error", errors)?;
        let written = level.value();
        match written.as_str() {
            "all" => quote!(All),
            "trace" => quote!(Trace),
            "debug" => quote!(Debug),
            "info" => quote!(Info),
            "warn" => quote!(Warn),
            "error" => quote!(Error),
            _ => {
                let instead = instead(&written, LEVELS, "the levels are");
                errors.on(&level, format!("unknown level `{written}`{instead}"));
                return None;
            }
        }
    } else {
        quote!(All)
    };
    Some(Parsed::new(quote! {
        __iii::trigger::Log { level: __iii::trigger::LogLevel::#level }
    }))
}
