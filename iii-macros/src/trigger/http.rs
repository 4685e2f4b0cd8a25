//! The kind `http`.

use quote::quote;
use syn::LitStr;

use super::{HttpRoute, ParsedTrigger, path, take_condition, use_function};
use crate::diagnostics::{Errors, unknown};
use crate::options::{self, MacroOptions};

const OPTIONS: &[&str] = &["path", "method", "condition", "middleware", "metadata", "crate"];

/// The methods that the engine routes.
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// Parses the options of an `http` trigger.
pub(super) fn parse(options: &mut MacroOptions, errors: &mut Errors) -> Option<ParsedTrigger> {
    options.check(OPTIONS, errors);
    let path = if options.has("path") {
        options.take_string_or_path("path", "/orders/:id", errors)
    } else {
        let message = "missing option `path`\nhelp: add `path = \"/orders/:id\"`";
        errors.at_range(options.span, message);
        None
    };
    let mut literal = path.as_ref().and_then(|path| path.literal()).cloned();
    if let Some(text) = &literal
        && let Err(error) = path::parameters(&text.value())
    {
        errors.on(text, error.render(&text.value()));
        literal = None;
    }
    let method = take_method(options, errors);
    let condition = take_condition(options, errors);
    let middleware = take_middleware(options, errors);
    let path = path?;
    let method = method?;
    let mut parsed = ParsedTrigger::new(quote! {
        __iii::trigger::Http {
            method: #method,
            path: #path,
            condition: #condition,
            middleware: ::std::vec![#(#middleware),*],
        }
    });
    parsed.route = literal.map(|path| HttpRoute { method: method.value(), path });
    Some(parsed)
}

/// Takes the method, in upper case.
fn take_method(options: &mut MacroOptions, errors: &mut Errors) -> Option<LitStr> {
    if !options.has("method") {
        return Some(LitStr::new("GET", options.span.first));
    }
    let method = options.take_str("method", "POST", errors)?;
    let upper_case = method.value().to_ascii_uppercase();
    if METHODS.contains(&upper_case.as_str()) {
        return Some(LitStr::new(&upper_case, method.span()));
    }
    errors.on(&method, unknown("method", &method.value(), METHODS));
    None
}

/// Takes the middleware functions, in the order in which they run.
fn take_middleware(
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Vec<proc_macro2::TokenStream> {
    let (expected, example) = ("the path of a declared function", "middleware = [auth, audit]");
    let Some(array) =
        options.take_array("middleware", "declared functions", "[auth, audit]", errors)
    else {
        return Vec::new();
    };
    array
        .elems
        .iter()
        .filter_map(|element| options::path(element, "middleware", expected, example, errors))
        .map(|path| use_function("middleware", &path))
        .collect()
}
