//! The options of `#[iii::http_function]`.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprCall, Lit, LitStr, Path, Token};

use super::values;
use crate::diagnostics::{Ends, Errors};
use crate::function::{Stub, take_id, take_stub};
use crate::options::{Options, Text, literal, text};

/// All names.
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

/// The longest timeout in milliseconds (protocol section 4.8).
const LONGEST: u64 = 60_000;

const HEADERS: &str = "headers are written `headers(\"x-tenant\" = \"7\")`; a value is a text or the path of a constant";

const AUTH: &str = "`auth` is `hmac(\"VARIABLE\")`, `bearer(\"VARIABLE\")` or `api_key(\"x-api-key\", \"VARIABLE\")`, \
                    with the name of an environment variable of the engine";

/// What is said about a function that an endpoint serves.
pub(super) struct HttpOptions {
    pub(super) id: Option<Text>,
    pub(super) url: Option<Url>,
    /// In capitals.
    pub(super) method: String,
    /// In milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) headers: Vec<(LitStr, Text)>,
    pub(super) auth: Option<Auth>,
    pub(super) description: Option<LitStr>,
    pub(super) metadata: Option<Expr>,
    pub(super) stub: Stub,
    pub(super) krate: Option<Path>,
}

/// Where the endpoint is.
pub(super) enum Url {
    /// Known now, and checked.
    Literal(LitStr),
    /// In an environment variable, at the start.
    Variable(LitStr),
    /// Known at the start.
    Computed(Box<Expr>),
}

/// What proves to the endpoint who calls. All texts but the header are names of environment variables.
pub(super) enum Auth {
    Hmac(Text),
    Bearer(Text),
    ApiKey { header: Text, variable: Text },
}

impl HttpOptions {
    /// Reads the options of an attribute at `place`.
    pub(super) fn parse(tokens: TokenStream, place: Ends, errors: &mut Errors) -> Self {
        let mut options = Options::parse(tokens, place, errors);
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
            krate: options.take_path("crate", "a path, such as `crate = ::iii`", errors),
        };
        options.finish(errors);
        parsed
    }
}

fn take_url(options: &mut Options, errors: &mut Errors) -> Option<Url> {
    if !options.has("url") {
        errors.between(
            options.place,
            "the function has no `url`: add `url = \"https://example.com/path\"`, or `url = env(\"VARIABLE\")`",
        );
        return None;
    }
    let expr = options.take("url", errors)?;
    if let Some(url) = literal(&expr) {
        return match values::url(&url.value()) {
            Ok(()) => Some(Url::Literal(url)),
            Err(message) => {
                errors.on(&url, message);
                None
            }
        };
    }
    match &expr {
        Expr::Lit(_) => {
            errors.on(
                &expr,
                "`url` is a text, such as \"https://example.com/path\", or anything that gives one at the start",
            );
            None
        }
        Expr::Call(call) if word(call).is_some_and(|word| word == "env") => {
            let variable = match call.args.iter().collect::<Vec<_>>()[..] {
                [one] => literal(one),
                _ => None,
            };
            let Some(variable) = variable else {
                errors.on(
                    &expr,
                    "write `url = env(\"VARIABLE\")`, with the name of an environment variable",
                );
                return None;
            };
            if !values::is_variable(&variable.value()) {
                errors
                    .on(&variable, "this is no name of an environment variable, such as `PAY_URL`");
                return None;
            }
            Some(Url::Variable(variable))
        }
        _ => Some(Url::Computed(Box::new(expr))),
    }
}

fn take_method(options: &mut Options, errors: &mut Errors) -> String {
    let fallback = || "POST".to_owned();
    let Some(method) = options.take_str("method", "POST", errors) else { return fallback() };
    match values::method(&method.value()) {
        Ok(()) => method.value(),
        Err(message) => {
            errors.on(&method, message);
            fallback()
        }
    }
}

fn take_timeout(options: &mut Options, errors: &mut Errors) -> Option<u64> {
    let place = options.peek("timeout").map(Ends::of);
    let timeout = options.take_duration("timeout", errors)?;
    if timeout > LONGEST {
        errors.between(
            place.unwrap_or(options.place),
            "an endpoint may take 60 s at most: write `timeout = \"60s\"` or less",
        );
        return None;
    }
    Some(timeout)
}

fn take_headers(options: &mut Options, errors: &mut Errors) -> Vec<(LitStr, Text)> {
    if let Some(value) = options.peek("headers") {
        errors.on(value, HEADERS);
        // Read, so that nothing more is said about it.
        drop(options.take("headers", errors));
        return Vec::new();
    }
    if !options.has("headers") {
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
            errors.at(error.span(), HEADERS);
            return Vec::new();
        }
    };
    let mut headers: Vec<(LitStr, Text)> = Vec::new();
    for (name, value) in pairs {
        let Lit::Str(name) = name else {
            errors.on(name, HEADERS);
            continue;
        };
        if let Err(message) = values::header_name(&name.value()) {
            errors.on(&name, message);
            continue;
        }
        let same = |other: &&(LitStr, Text)| other.0.value().eq_ignore_ascii_case(&name.value());
        if headers.iter().find(same).is_some() {
            errors.on(&name, "this header is given twice: keep one of them");
            continue;
        }
        let value = match (literal(&value), value) {
            (Some(literal), _) => Text::Literal(literal),
            (None, Expr::Path(path)) if path.qself.is_none() => Text::Constant(path.path),
            (None, other) => {
                errors.on(other, HEADERS);
                continue;
            }
        };
        if let Some(text) = value.literal()
            && let Err(message) = values::header_value(&text.value())
        {
            errors.on(text, message);
            continue;
        }
        headers.push((name, value));
    }
    headers
}

fn take_auth(options: &mut Options, errors: &mut Errors) -> Option<Auth> {
    let expr = options.take("auth", errors)?;
    let call = match &expr {
        Expr::Call(call) => call,
        _ => {
            errors.on(&expr, AUTH);
            return None;
        }
    };
    let arguments: Vec<&Expr> = call.args.iter().collect();
    let word = word(call).map(ToString::to_string).unwrap_or_default();
    match (word.as_str(), &arguments[..]) {
        ("hmac", [one]) => variable(one, errors).map(Auth::Hmac),
        ("bearer", [one]) => variable(one, errors).map(Auth::Bearer),
        ("api_key", [header, one]) => {
            let header = text(header, "the header", "x-api-key", errors)?;
            if let Some(literal) = header.literal()
                && let Err(message) = values::header_name(&literal.value())
            {
                errors.on(literal, message);
                return None;
            }
            Some(Auth::ApiKey { header, variable: variable(one, errors)? })
        }
        _ => {
            errors.on(&expr, AUTH);
            None
        }
    }
}

/// The name of a variable that holds a secret where the engine runs.
fn variable(expr: &Expr, errors: &mut Errors) -> Option<Text> {
    let name = text(expr, "the variable", "PAY_SECRET", errors)?;
    if let Some(literal) = name.literal()
        && !values::is_variable(&literal.value())
    {
        errors.on(
            literal,
            "this is the name of an environment variable of the engine, such as `PAY_SECRET`, not the secret itself",
        );
        return None;
    }
    Some(name)
}

/// The word that is called.
fn word(call: &ExprCall) -> Option<&syn::Ident> {
    match &*call.func {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}
