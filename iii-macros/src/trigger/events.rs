//! The kinds `state`, `stream` and `log`.

use quote::quote;

use super::{ParsedTrigger, take_condition, take_non_empty, take_required};
use crate::diagnostics::{Errors, unknown};
use crate::options::MacroOptions;
use crate::tokens::option;

const STATE_OPTIONS: &[&str] = &["scope", "key", "condition", "metadata", "crate"];

const STREAM_OPTIONS: &[&str] = &["name", "group", "item", "condition", "metadata", "crate"];

const LOG_OPTIONS: &[&str] = &["level", "metadata", "crate"];

const LEVELS: &[&str] = &["all", "trace", "debug", "info", "warn", "error"];

/// Parses the options of a `state` trigger.
pub(super) fn parse_state(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(STATE_OPTIONS, errors);
    let scope = option(take_non_empty("scope", "users", options, errors));
    let key = option(take_non_empty("key", "42", options, errors));
    let condition = take_condition(options, errors);
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::State { scope: #scope, key: #key, condition: #condition }
    }))
}

/// Parses the options of a `stream` trigger.
pub(super) fn parse_stream(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(STREAM_OPTIONS, errors);
    let name = take_required("name", "chat", options, errors);
    let group = option(take_non_empty("group", "room-1", options, errors));
    let item = option(take_non_empty("item", "message-1", options, errors));
    let condition = take_condition(options, errors);
    let name = name?;
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::Stream { name: #name, group: #group, item: #item, condition: #condition }
    }))
}

/// Parses the options of a `log` trigger.
pub(super) fn parse_log(options: &mut MacroOptions, errors: &mut Errors) -> Option<ParsedTrigger> {
    options.check(LOG_OPTIONS, errors);
    let level = if options.has("level") {
        let level = options.take_str("level", "error", errors)?;
        match level.value().as_str() {
            "all" => quote!(All),
            "trace" => quote!(Trace),
            "debug" => quote!(Debug),
            "info" => quote!(Info),
            "warn" => quote!(Warn),
            "error" => quote!(Error),
            other => {
                errors.on(&level, unknown("level", other, LEVELS));
                return None;
            }
        }
    } else {
        quote!(All)
    };
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::Log { level: __iii::trigger::LogLevel::#level }
    }))
}
