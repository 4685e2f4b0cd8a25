//! The kinds that report changes of the engine: stream subscriptions, traces, configurations, functions and workers.

use proc_macro2::Span;
use quote::quote;
use syn::{Expr, ExprArray, Ident};

use super::{ParsedTrigger, take_condition, take_non_empty};
use crate::diagnostics::{Errors, unknown};
use crate::options::{MacroOptions, found, literal};
use crate::tokens::option;

/// The options of kinds without a configuration.
const PLAIN_OPTIONS: &[&str] = &["metadata", "crate"];

const TRACE_OPTIONS: &[&str] = &["service", "status", "metadata", "crate"];

/// The statuses of a span.
const STATUSES: &[&str] = &["ok", "error", "unset"];

const CONFIGURATION_OPTIONS: &[&str] = &["id", "changes", "condition", "metadata", "crate"];

/// The changes of a configuration.
const CHANGES: &[&str] = &["registered", "updated", "deleted"];

/// Parses the options of a kind without a configuration. `kind` is the name of its type in the runtime.
pub(super) fn parse_plain(
    kind: &str,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(PLAIN_OPTIONS, errors);
    let kind = Ident::new(kind, Span::call_site());
    Some(ParsedTrigger::new(quote!(__iii::trigger::#kind)))
}

/// Parses the options of a `trace` trigger.
pub(super) fn parse_trace(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(TRACE_OPTIONS, errors);
    let service = option(take_non_empty("service", "orders", options, errors));
    let status = options.take_str("status", "error", errors);
    if let Some(status) = &status
        && !STATUSES.contains(&status.value().as_str())
    {
        errors.on(status, unknown("status", &status.value(), STATUSES));
        return None;
    }
    let status = option(status);
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::Trace { service: #service, status: #status }
    }))
}

/// Parses the options of a `configuration` trigger.
pub(super) fn parse_configuration(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(CONFIGURATION_OPTIONS, errors);
    let id = option(take_non_empty("id", "my-app", options, errors));
    let changes = match options.take("changes", errors) {
        None => None,
        Some(Expr::Array(ExprArray { elems, .. })) => {
            let changes: Vec<Ident> =
                elems.iter().filter_map(|change| parse_change(change, errors)).collect();
            Some(quote!(&[#(__iii::trigger::ConfigurationChange::#changes),*]))
        }
        Some(other) => {
            let message = format!(
                "expected an array of changes for `changes`, found {}\n\
                 help: write `changes = [\"updated\"]`",
                found(&other)
            );
            errors.on(&other, message);
            return None;
        }
    };
    let changes = option(changes);
    let condition = take_condition(options, errors);
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::Configuration { id: #id, changes: #changes, condition: #condition }
    }))
}

/// Returns the variant of `ConfigurationChange` that a string names.
fn parse_change(change: &Expr, errors: &mut Errors) -> Option<Ident> {
    let Some(name) = literal(change) else {
        let message = format!(
            "expected a string in `changes`, found {}\nhelp: write `changes = [\"updated\"]`",
            found(change)
        );
        errors.on(change, message);
        return None;
    };
    let variant = match name.value().as_str() {
        "registered" => "Registered",
        "updated" => "Updated",
        "deleted" => "Deleted",
        other => {
            errors.on(change, unknown("change", other, CHANGES));
            return None;
        }
    };
    Some(Ident::new(variant, Span::call_site()))
}
