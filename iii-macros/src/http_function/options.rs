//! The options of `#[iii::http_function]`.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprCall, Lit, LitStr, Path, Token};

use super::values;
use crate::diagnostics::{Errors, SpanRange};
use crate::function::{Stub, take_id, take_stub};
use crate::options::{MacroOptions, StringOrPath, found, literal, string_or_path};

const OPTIONS: &[&str] = &[
    "id",
    "url",
    "method",
    "timeout",
    "headers",
    "auth",
    "description",
    "metadata",
    "stub",
    "crate",
];

/// The maximum timeout in milliseconds.
const MAX_TIMEOUT: u64 = 60_000;

const INVALID_HEADERS: &str = "expected headers of the form `headers(\"x-tenant\" = \"7\")`\n\
                               help: a value is a string or the path of a constant";

const INVALID_AUTH: &str = "expected `hmac(\"VARIABLE\")`, `bearer(\"VARIABLE\")` or \
                            `api_key(\"x-api-key\", \"VARIABLE\")` for `auth`\n\
                            help: `VARIABLE` is the name of an environment variable of the engine";

/// The options of a function that an HTTP endpoint serves.
pub(super) struct HttpFunctionOptions {
    pub(super) id: Option<StringOrPath>,
    pub(super) url: Option<UrlOption>,
    /// In upper case.
    pub(super) method: String,
    /// In milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) headers: Vec<(LitStr, StringOrPath)>,
    pub(super) auth: Option<AuthOption>,
    pub(super) description: Option<LitStr>,
    pub(super) metadata: Option<Expr>,
    pub(super) stub: Stub,
    pub(super) krate: Option<Path>,
}

/// The URL of the endpoint.
pub(super) enum UrlOption {
    /// A valid URL.
    Literal(LitStr),
    /// The environment variable that holds it when the worker starts.
    Variable(LitStr),
    /// An expression that is evaluated when the worker starts.
    Computed(Box<Expr>),
}

/// The credentials that the engine sends. Secrets are names of environment variables of the engine.
pub(super) enum AuthOption {
    Hmac(StringOrPath),
    Bearer(StringOrPath),
    ApiKey { header: StringOrPath, variable: StringOrPath },
}

impl HttpFunctionOptions {
    /// Parses the options of an attribute at `span`.
    pub(super) fn parse(tokens: TokenStream, span: SpanRange, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, span, errors);
        options.check(OPTIONS, errors);
        let parsed = Self {
            id: take_id(&mut options, errors),
            url: take_url(&mut options, errors),
            method: take_method(&mut options, errors),
            timeout: take_timeout(&mut options, errors),
            headers: take_headers(&mut options, errors),
            auth: take_auth(&mut options, errors),
            description: options.take_str("description", "Takes money.", errors),
            metadata: options.take("metadata", errors),
            stub: take_stub(&mut options, errors),
            krate: options.take_crate(errors),
        };
        options.finish(errors);
        parsed
    }
}

fn take_url(options: &mut MacroOptions, errors: &mut Errors) -> Option<UrlOption> {
    if !options.has("url") {
        errors.at_range(
            options.span,
            "missing option `url`\n\
             help: add `url = \"https://example.com/path\"`, or `url = env(\"VARIABLE\")`",
        );
        return None;
    }
    let expr = options.take("url", errors)?;
    if let Some(url) = literal(&expr) {
        return match values::check_url(&url.value()) {
            Ok(()) => Some(UrlOption::Literal(url)),
            Err(message) => {
                errors.on(&url, message);
                None
            }
        };
    }
    match &expr {
        Expr::Lit(_) => {
            let message = format!(
                "expected a string, or an expression that returns one, for `url`, found {}\n\
                 help: write `url = \"https://example.com/path\"`",
                found(&expr)
            );
            errors.on(&expr, message);
            None
        }
        Expr::Call(call) if callee(call).is_some_and(|name| name == "env") => {
            let variable = match call.args.iter().collect::<Vec<_>>()[..] {
                [argument] => literal(argument),
                _ => None,
            };
            let Some(variable) = variable else {
                errors.on(
                    &expr,
                    "expected the name of an environment variable in `env(…)`\n\
                     help: write `url = env(\"PAY_URL\")`",
                );
                return None;
            };
            if !values::is_variable_name(&variable.value()) {
                errors.on(
                    &variable,
                    "invalid name of an environment variable\nhelp: write a name such as `PAY_URL`",
                );
                return None;
            }
            Some(UrlOption::Variable(variable))
        }
        _ => Some(UrlOption::Computed(Box::new(expr))),
    }
}

/// Takes the method; `POST` by default.
fn take_method(options: &mut MacroOptions, errors: &mut Errors) -> String {
    let default = || "POST".to_owned();
    let Some(method) = options.take_str("method", "POST", errors) else { return default() };
    match values::check_method(&method.value()) {
        Ok(()) => method.value(),
        Err(message) => {
            errors.on(&method, message);
            default()
        }
    }
}

fn take_timeout(options: &mut MacroOptions, errors: &mut Errors) -> Option<u64> {
    let span = options.peek("timeout").map(SpanRange::of);
    let timeout = options.take_duration("timeout", errors)?;
    if timeout > MAX_TIMEOUT {
        errors.at_range(
            span.unwrap_or(options.span),
            "`timeout` exceeds the maximum of 60s for an endpoint\n\
             help: write `timeout = \"60s\"` or less",
        );
        return None;
    }
    Some(timeout)
}

fn take_headers(options: &mut MacroOptions, errors: &mut Errors) -> Vec<(LitStr, StringOrPath)> {
    if let Some(value) = options.peek("headers") {
        errors.on(value, INVALID_HEADERS);
        // Taken, so that `take_list` does not report it again.
        drop(options.take("headers", errors));
        return Vec::new();
    }
    let Some(tokens) = options.take_list("headers", errors) else { return Vec::new() };
    let parser = |input: ParseStream<'_>| {
        let pair = |input: ParseStream<'_>| {
            let name: Lit = input.parse()?;
            input.parse::<Token![=]>()?;
            Ok((name, input.parse::<Expr>()?))
        };
        Punctuated::<_, Token![,]>::parse_terminated_with(input, pair)
    };
    let pairs = match parser.parse2(tokens) {
        Ok(pairs) => pairs,
        Err(error) => {
            errors.at(error.span(), INVALID_HEADERS);
            return Vec::new();
        }
    };
    let mut headers: Vec<(LitStr, StringOrPath)> = Vec::new();
    for (name, value) in pairs {
        let Lit::Str(name) = name else {
            errors.on(name, INVALID_HEADERS);
            continue;
        };
        if let Err(message) = values::check_header_name(&name.value()) {
            errors.on(&name, message);
            continue;
        }
        let is_same =
            |(other, _): &(LitStr, StringOrPath)| other.value().eq_ignore_ascii_case(&name.value());
        if headers.iter().any(is_same) {
            let message =
                format!("duplicate header `{}`\nhelp: remove one of the two", name.value());
            errors.on(&name, message);
            continue;
        }
        let value = match (literal(&value), value) {
            (Some(literal), _) => StringOrPath::Literal(literal),
            (None, Expr::Path(path)) if path.qself.is_none() => StringOrPath::Path(path.path),
            (None, other) => {
                errors.on(other, INVALID_HEADERS);
                continue;
            }
        };
        if let Some(text) = value.literal()
            && let Err(message) = values::check_header_value(&text.value())
        {
            errors.on(text, message);
            continue;
        }
        headers.push((name, value));
    }
    headers
}

fn take_auth(options: &mut MacroOptions, errors: &mut Errors) -> Option<AuthOption> {
    let expr = options.take("auth", errors)?;
    let Expr::Call(call) = &expr else {
        errors.on(&expr, INVALID_AUTH);
        return None;
    };
    let arguments: Vec<&Expr> = call.args.iter().collect();
    let scheme = callee(call).map(ToString::to_string).unwrap_or_default();
    match (scheme.as_str(), &arguments[..]) {
        ("hmac", [secret]) => variable_name(secret, errors).map(AuthOption::Hmac),
        ("bearer", [token]) => variable_name(token, errors).map(AuthOption::Bearer),
        ("api_key", [header, key]) => {
            let example = "api_key(\"x-api-key\", \"PAY_KEY\")";
            let header = string_or_path(header, "the header name", example, errors)?;
            if let Some(literal) = header.literal()
                && let Err(message) = values::check_header_name(&literal.value())
            {
                errors.on(literal, message);
                return None;
            }
            Some(AuthOption::ApiKey { header, variable: variable_name(key, errors)? })
        }
        _ => {
            errors.on(&expr, INVALID_AUTH);
            None
        }
    }
}

/// Parses the name of an environment variable of the engine that holds a secret.
fn variable_name(expr: &Expr, errors: &mut Errors) -> Option<StringOrPath> {
    let name = string_or_path(expr, "the environment variable", "\"PAY_SECRET\"", errors)?;
    if let Some(literal) = name.literal()
        && !values::is_variable_name(&literal.value())
    {
        errors.on(
            literal,
            "invalid name of an environment variable\n\
             help: write the name of a variable of the engine, such as `PAY_SECRET`, not the secret",
        );
        return None;
    }
    Some(name)
}

/// Returns the name of the function that is called, if it has no path.
fn callee(call: &ExprCall) -> Option<&syn::Ident> {
    match &*call.func {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}
