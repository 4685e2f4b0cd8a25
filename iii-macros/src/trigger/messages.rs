//! The kinds `queue` and `subscribe`: messages of a topic.

use quote::quote;

use super::{ParsedTrigger, take_condition, take_required};
use crate::diagnostics::{Errors, unknown};
use crate::options::MacroOptions;
use crate::tokens::{duration, option};

const QUEUE_OPTIONS: &[&str] =
    &["topic", "mode", "max_retries", "concurrency", "backoff", "condition", "metadata", "crate"];

const SUBSCRIBE_OPTIONS: &[&str] = &["topic", "metadata", "crate"];

/// The orders in which a queue delivers its messages.
const MODES: &[&str] = &["fifo", "concurrent"];

/// Parses the options of a `queue` trigger.
pub(super) fn parse_queue(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(QUEUE_OPTIONS, errors);
    let topic = take_required("topic", "orders.created", options, errors);
    let mode = take_mode(options, errors);
    let max_retries = option(options.take_integer("max_retries", 0, errors));
    let concurrency = option(options.take_integer("concurrency", 1, errors));
    let backoff = duration(options.take_duration("backoff", errors));
    let condition = take_condition(options, errors);
    let topic = topic?;
    Some(ParsedTrigger::new(quote! {
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

fn take_mode(options: &mut MacroOptions, errors: &mut Errors) -> proc_macro2::TokenStream {
    let mode = options.take_str("mode", "fifo", errors);
    option(mode.and_then(|mode| match mode.value().as_str() {
        "fifo" => Some(quote!(__iii::trigger::QueueMode::Fifo)),
        "concurrent" => Some(quote!(__iii::trigger::QueueMode::Concurrent)),
        other => {
            errors.on(&mode, unknown("mode", other, MODES));
            None
        }
    }))
}

/// Parses the options of a `subscribe` trigger.
pub(super) fn parse_subscribe(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ParsedTrigger> {
    options.check(SUBSCRIBE_OPTIONS, errors);
    let topic = take_required("topic", "orders.created", options, errors)?;
    Some(ParsedTrigger::new(quote!(__iii::trigger::Subscribe { topic: #topic })))
}
