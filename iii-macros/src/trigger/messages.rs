//! The kinds `queue` and `subscribe`: messages of a topic.

use quote::quote;

use super::{Parsed, condition, optional, required};
use crate::diagnostics::{Errors, instead};
use crate::options::Options;

/// The options of the kind `queue`.
const QUEUE: &[&str] =
    &["topic", "mode", "max_retries", "concurrency", "backoff", "condition", "metadata", "crate"];

/// The options of the kind `subscribe`.
const SUBSCRIBE: &[&str] = &["topic", "metadata", "crate"];

/// The orders of work.
const MODES: &[&str] = &["fifo", "concurrent"];

/// Reads the options of a `queue` trigger.
pub(super) fn queue(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(QUEUE, errors);
    let topic = required("topic", "orders.created", options, errors);
    let mode = mode(options, errors);
    let max_retries = optional(options.take_number("max_retries", 0, errors));
    let concurrency = optional(options.take_number("concurrency", 1, errors));
    let backoff = options.take_duration("backoff", errors);
    let backoff = optional(backoff.map(|ms| quote!(::core::time::Duration::from_millis(#ms))));
    let condition = condition(options, errors);
    let topic = topic?;
    Some(Parsed::new(quote! {
        __iii::trigger::Queue {
            topic: #topic,
            mode: #mode,
            max_retries: #max_retries,
            concurrency: #concurrency,
            backoff: #backoff,
            condition: #condition,
        }
    }))
}

fn mode(options: &mut Options, errors: &mut Errors) -> proc_macro2::TokenStream {
    let mode = options.take_str("mode", "fifo", errors).and_then(|mode| {
        let written = mode.value();
        match written.as_str() {
            "fifo" => Some(quote!(__iii::trigger::QueueMode::Fifo)),
            "concurrent" => Some(quote!(__iii::trigger::QueueMode::Concurrent)),
            _ => {
                let instead = instead(&written, MODES, "the modes are");
                errors.on(&mode, format!("unknown mode `{written}`{instead}"));
                None
            }
        }
    });
    optional(mode)
}

/// Reads the options of a `subscribe` trigger.
pub(super) fn subscribe(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(SUBSCRIBE, errors);
    let topic = required("topic", "orders.created", options, errors)?;
    Some(Parsed::new(quote!(__iii::trigger::Subscribe { topic: #topic })))
}
