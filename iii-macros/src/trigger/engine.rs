//! The kinds that tell of the engine itself: subscriptions, traces, configurations, functions and workers.

use proc_macro2::Span;
use quote::quote;
use syn::{Expr, ExprArray, Ident};

use super::{Parsed, condition, filled, none, optional, some};
use crate::diagnostics::{Errors, instead};
use crate::options::{Options, literal};

/// The options of kinds that are told nothing.
const PLAIN: &[&str] = &["metadata", "crate"];

/// The options of the kind `trace`.
const TRACE: &[&str] = &["service", "status", "metadata", "crate"];

/// What a span can end in.
const STATUSES: &[&str] = &["ok", "error", "unset"];

/// The options of the kind `configuration`.
const CONFIGURATION: &[&str] = &["id", "changes", "condition", "metadata", "crate"];

/// What can happen to a configuration.
const CHANGES: &[&str] = &["registered", "updated", "deleted"];

/// Reads the options of a kind that is told nothing. `kind` is its name in the runtime.
pub(super) fn plain(kind: &str, options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(PLAIN, errors);
    let kind = Ident::new(kind, Span::call_site());
    Some(Parsed::new(quote!(__iii::trigger::#kind)))
}

/// Reads the options of a `trace` trigger.
pub(super) fn trace(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(TRACE, errors);
    let service = optional(filled("service", "orders", options, errors));
    let status = options.take_str("status", "error", errors);
    if let Some(status) = &status
        && !STATUSES.contains(&status.value().as_str())
    {
        let written = status.value();
        let instead = instead(&written, STATUSES, "the statuses are");
        errors.on(status, format!("unknown status `{written}`{instead}"));
        return None;
    }
    let status = optional(status);
    Some(Parsed::new(quote! {
        __iii::trigger::Trace { service: #service, status: #status }
    }))
}

/// Reads the options of a `configuration` trigger.
pub(super) fn configuration(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(CONFIGURATION, errors);
    let id = optional(filled("id", "my-app", options, errors));
    let changes = match options.take("changes", errors) {
        None => none(),
        Some(Expr::Array(ExprArray { elems, .. })) => {
            let changes: Vec<Ident> =
                elems.iter().filter_map(|change| change_of(change, errors)).collect();
            some(quote!(&[#(__iii::trigger::ConfigurationChange::#changes),*]))
        }
        Some(other) => {
            errors.on(other, "`changes` is a list, such as `changes = [\"updated\"]`");
            return None;
        }
    };
    let condition = condition(options, errors);
    Some(Parsed::new(quote! {
        __iii::trigger::Configuration { id: #id, changes: #changes, condition: #condition }
    }))
}

fn change_of(change: &Expr, errors: &mut Errors) -> Option<Ident> {
    let name = literal(change).map(|text| text.value()).unwrap_or_default();
    let variant = match name.as_str() {
        "registered" => "Registered",
        "updated" => "Updated",
        "deleted" => "Deleted",
        _ => {
            let instead = instead(&name, CHANGES, "the changes are");
            errors.on(change, format!("unknown change `{name}`{instead}"));
            return None;
        }
    };
    Some(Ident::new(variant, Span::call_site()))
}
