//! The kind `http`.

use quote::quote;
use syn::{Expr, LitStr};

use super::{Parsed, Route, condition, path, usage};
use crate::diagnostics::{Errors, instead};
use crate::options::{self, Options};

/// The options of the kind.
const OPTIONS: &[&str] = &["path", "method", "condition", "middleware", "metadata", "crate"];

/// The methods that the engine routes.
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// Reads the options of an `http` trigger.
pub(super) fn parse(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    options.check(OPTIONS, errors);
    let path = if options.has("path") {
        options.take_text("path", "/orders/:id", errors)
    } else {
        errors.between(options.place, "the trigger has no path: add `path = \"/orders/:id\"`");
        None
    };
    let mut known = path.as_ref().and_then(|path| path.literal()).cloned();
    if let Some(literal) = &known
        && let Err(mistake) = path::parameters(&literal.value())
    {
        errors.on(literal, mistake.show(&literal.value()));
        known = None;
    }
    let method = method(options, errors);
    let condition = condition(options, errors);
    let middleware = middleware(options, errors);
    let path = path?;
    let method = method?;
    let mut parsed = Parsed::new(quote! {
        __iii::trigger::Http {
            method: #method,
            path: #path,
            condition: #condition,
            middleware: ::std::vec![#(#middleware),*],
        }
    });
    parsed.route = known.map(|path| Route { method: method.value(), path });
    Some(parsed)
}

/// The method in capitals.
fn method(options: &mut Options, errors: &mut Errors) -> Option<LitStr> {
    if !options.has("method") {
        return Some(LitStr::new("GET", options.place.first));
    }
    let method = options.take_str("method", "POST", errors)?;
    let written = method.value();
    let capitals = written.to_ascii_uppercase();
    if METHODS.contains(&capitals.as_str()) {
        return Some(LitStr::new(&capitals, method.span()));
    }
    let lower: Vec<String> = METHODS.iter().map(|method| method.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let guess = crate::diagnostics::nearest(&written, &lower).map(str::to_uppercase);
    let message = match guess {
        Some(guess) => format!(
            "unknown method `{written}`; did you mean `{guess}`?\nthe methods are: {}",
            crate::diagnostics::listed(METHODS)
        ),
        None => {
            format!("unknown method `{written}`{}", instead(&written, METHODS, "the methods are"))
        }
    };
    errors.on(&method, message);
    None
}

/// The functions that run before, in order.
fn middleware(options: &mut Options, errors: &mut Errors) -> Vec<proc_macro2::TokenStream> {
    let Some(expr) = options.take("middleware", errors) else { return Vec::new() };
    let Expr::Array(list) = &expr else {
        errors.on(
            &expr,
            "`middleware` is a list of declared functions: `middleware = [auth, audit]`",
        );
        return Vec::new();
    };
    let what = "paths of declared functions";
    list.elems
        .iter()
        .filter_map(|element| options::path(element, "middleware", what, errors))
        .map(|path| usage("middleware", &path))
        .collect()
}
