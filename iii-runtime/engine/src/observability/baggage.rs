//! The functions `engine::baggage::*` ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NoInput;
use crate::function_ids::{BAGGAGE_GET, BAGGAGE_GET_ALL, BAGGAGE_SET};
use crate::provider::{BuiltIn, Call};

/// Input of `engine::baggage::get`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct BaggageGetInput {
    /// The key of the entry.
    key: String,
}

/// Output of `engine::baggage::get`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BaggageGetOutput {
    /// The value of the entry in the baggage of this call; null if there is no such entry.
    value: Option<String>,
}

/// Input of `engine::baggage::set`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[allow(dead_code)]
struct BaggageSetInput {
    /// The key of the entry.
    key: String,
    /// The value of the entry.
    value: String,
}

/// Output of `engine::baggage::set`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BaggageSetOutput {
    /// Always true.
    success: bool,
    /// How to set baggage instead.
    note: &'static str,
}

/// Output of `engine::baggage::get_all`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BaggageGetAllOutput {
    /// The entries of the baggage of this call.
    baggage: BTreeMap<String, String>,
}

/// Returns the baggage entries of a call (W3C Baggage).
fn entries(call: &Call) -> BTreeMap<String, String> {
    let baggage = call.baggage.as_deref().unwrap_or_default();
    let pairs = baggage.split(',').filter_map(|member| {
        // Properties after `;` are ignored.
        let (key, value) = member.split(';').next()?.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8_lossy();
        Some((key.trim().to_owned(), value.into_owned()))
    });
    pairs.filter(|(key, _)| !key.is_empty()).collect()
}

/// Creates the functions.
pub(super) fn functions() -> Vec<BuiltIn> {
    vec![
        BuiltIn::sync(
            BAGGAGE_GET,
            "Returns one entry of the baggage of this call.",
            |input: BaggageGetInput, call| {
                Ok(Some(BaggageGetOutput { value: entries(&call).remove(&input.key) }))
            },
        ),
        BuiltIn::sync(
            BAGGAGE_SET,
            "Has no effect: baggage is sent with each call.",
            |_: BaggageSetInput, _| {
                let note = "nothing was changed: send baggage along with your own calls";
                Ok(Some(BaggageSetOutput { success: true, note }))
            },
        ),
        BuiltIn::sync(BAGGAGE_GET_ALL, "Returns the baggage of this call.", |_: NoInput, call| {
            Ok(Some(BaggageGetAllOutput { baggage: entries(&call) }))
        }),
    ]
}
