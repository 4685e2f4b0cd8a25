//! `#[iii::http_function(…)]`: the header of a function that an HTTP endpoint serves, as a stub and a declaration.

mod expand;
mod options;
mod values;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, Token, Visibility, token};

use self::expand::HttpFunctionDeclaration;
use self::options::HttpFunctionOptions;
use crate::attributes::{self, is_named};
use crate::diagnostics::{Errors, SpanRange};
use crate::function::{FunctionSignature, check_duplicate_triggers};
use crate::trigger::Trigger;

/// Attributes that apply to the stub, or have no effect on it.
const SUPPORTED_ATTRIBUTES: [&str; 8] =
    ["cfg", "doc", "allow", "expect", "warn", "deny", "deprecated", "must_use"];

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut header = match FunctionHeader::parse(tokens.clone()) {
        Ok(header) => header,
        Err(_) => {
            let found =
                attributes::found_item(&tokens, &["fn", "async", "const", "unsafe", "extern"]);
            let message = format!(
                "expected a function without a body{found}\n\
                 help: write `async fn charge(order: Order) -> Receipt;`"
            );
            errors.at_range(SpanRange::of(&tokens), message);
            let mut all = tokens;
            all.extend(errors.into_tokens());
            return all;
        }
    };
    if let Some(body) = &header.body {
        errors.on(
            body,
            "unexpected function body: the endpoint implements the function\n\
             help: replace the body with `;`",
        );
    }
    let declares = |attribute: &Attribute| {
        is_named(attribute, "http_function") || is_named(attribute, "function")
    };
    for attribute in attributes::take(&mut header.attributes, declares) {
        errors.on(&attribute, "duplicate declaration of the function\nhelp: remove one of the two");
    }
    let is_trigger = |attribute: &_| is_named(attribute, "trigger");
    let trigger_attributes = attributes::take(&mut header.attributes, is_trigger);
    for attribute in &header.attributes {
        if !SUPPORTED_ATTRIBUTES.iter().any(|name| attribute.path().is_ident(name)) {
            let message = "unsupported attribute on a function without a body\nhelp: remove it";
            errors.on(attribute, message);
        }
    }
    let span = SpanRange::at(Span::call_site());
    let options = HttpFunctionOptions::parse(options, span, &mut errors);
    let triggers: Vec<Trigger> = trigger_attributes
        .iter()
        .filter_map(|attribute| Trigger::parse(attribute, &mut errors))
        .collect();
    for trigger in triggers.iter().filter(|trigger| trigger.is_http) {
        errors.at_range(
            trigger.span,
            "an `http` trigger passes the whole request, which an endpoint does not accept\n\
             help: declare a `#[iii::function]` with this trigger, and call the endpoint from it",
        );
    }
    check_duplicate_triggers(&triggers, &mut errors);
    let errors_before = errors.count();
    let signature = FunctionSignature::parse(&header.signature, &mut errors);
    check_arguments(&signature, &mut errors);
    let function = HttpFunctionDeclaration {
        header: &header,
        options: &options,
        signature: &signature,
        triggers: &triggers,
        trigger_attributes: &trigger_attributes,
    };
    if errors.is_empty() {
        return function.emit();
    }
    let mut all = function.emit_fallback(errors.count() == errors_before);
    all.extend(errors.into_tokens());
    all
}

/// Reports all arguments but the payload.
fn check_arguments(signature: &FunctionSignature, errors: &mut Errors) {
    for (at, argument) in signature.arguments.iter().enumerate() {
        match argument.extractor {
            Some(name) => {
                let message = format!(
                    "unsupported extractor `{name}`: an endpoint receives only the payload\n\
                     help: remove this argument"
                );
                errors.at_range(argument.span, message);
            }
            None if at > 0 => errors.at_range(
                argument.span,
                "expected one payload, found a second argument\n\
                 help: combine both into one struct",
            ),
            None => {}
        }
    }
}

/// A function without a body.
struct FunctionHeader {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    /// A body is an error.
    body: Option<proc_macro2::Group>,
}

impl FunctionHeader {
    fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let visibility = input.parse()?;
            let signature = input.parse()?;
            let body = match input.peek(token::Brace) {
                true => Some(input.parse()?),
                false => {
                    input.parse::<Token![;]>()?;
                    None
                }
            };
            Ok(Self { attributes, visibility, signature, body })
        };
        parser.parse2(tokens)
    }

    /// Returns the function as it was written, if it has a body.
    fn to_item(&self) -> Option<TokenStream> {
        let body = self.body.as_ref()?;
        let Self { attributes, visibility, signature, .. } = self;
        let mut tokens = TokenStream::new();
        for attribute in attributes {
            attribute.to_tokens(&mut tokens);
        }
        visibility.to_tokens(&mut tokens);
        signature.to_tokens(&mut tokens);
        body.to_tokens(&mut tokens);
        Some(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        super::expand(options, item).to_string()
    }

    #[test]
    fn header_becomes_a_stub_and_a_declaration() {
        let all = expanded(
            quote!(
                id = "ext::charge",
                url = "https://pay.test/charge",
                method = "PUT",
                timeout = "5s",
                headers("x-tenant" = "7", "accept" = KIND),
                auth = hmac("PAY_SECRET"),
                metadata = 1,
                crate = other
            ),
            quote! {
                /// Takes money.
                #[cfg(unix)]
                #[other::trigger(cron, "0 0 9 * * *")]
                pub async fn charge(order: Charge) -> Result<Receipt, PayError>;
            },
        );
        assert!(!all.contains("compile_error"), "{all}");
        for part in [
            "pub struct charge { }",
            "\"ext::charge\"",
            "Literal (\"https://pay.test/charge\")",
            "method : \"PUT\"",
            "from_millis (5000u64)",
            "(\"x-tenant\" , \"7\")",
            "(\"accept\" , KIND)",
            "Hmac { secret_key : \"PAY_SECRET\" }",
            "Some (\"Takes money.\")",
            "trigger :: Cron",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(!all.contains(":: iii ::") && !all.contains("fn charge"), "{all}");
        // The stub, the declaration, and the sentinel of the id.
        assert_eq!(all.matches("cfg (unix)").count(), 3, "{all}");
    }

    #[test]
    fn url_may_come_from_the_environment_or_an_expression() {
        let item = quote!(
            fn f();
        );
        let all = expanded(quote!(id = "a::b", url = env("PAY_URL")), item.clone());
        assert!(all.contains("EndpointUrl :: Variable (\"PAY_URL\")"), "{all}");
        let all = expanded(quote!(id = "a::b", url = config::url("pay")), item);
        assert!(all.contains("EndpointUrl :: Computed"), "{all}");
        assert!(all.contains("config :: url (\"pay\")"), "{all}");
    }

    #[test]
    fn each_invalid_option_is_reported_once() {
        let item = quote!(
            fn f();
        );
        let valid = quote!(id = "a::b", url = "https://a.test");
        for (options, message) in [
            (quote!(id = "a::b"), "missing option `url`"),
            (quote!(url = "https://a.test"), "missing option `id`"),
            (quote!(id = "a", url = "https://a.test"), "at least two segments"),
            (quote!(id = "a::b", url = "pay.test"), "https://example.com/path"),
            (quote!(id = "a::b", url = "ftp://pay.test"), "`ftp`"),
            (quote!(id = "a::b", url = "https://u:p@pay.test"), "`auth`"),
            (quote!(id = "a::b", url = 7), "`url`"),
            (quote!(id = "a::b", url = env(7)), "env"),
            (quote!(id = "a::b", url = env("https://a.test")), "environment variable"),
            (quote!(#valid, method = "post"), "`POST`"),
            (quote!(#valid, method = "TRACE"), "GET"),
            (quote!(#valid, timeout = "61s"), "60"),
            (quote!(#valid, timeout = "0s"), "zero"),
            (quote!(#valid, headers("a b" = "1")), "header name"),
            (quote!(#valid, headers("host" = "1")), "engine"),
            (quote!(#valid, headers("x-iii-a" = "1")), "engine"),
            (quote!(#valid, headers("Content-Length" = "1")), "engine"),
            (quote!(#valid, headers("a" = "1\n")), "control characters"),
            (quote!(#valid, headers("a" = "1", "A" = "2")), "duplicate header"),
            (quote!(#valid, headers("a")), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#valid, headers(a = "1")), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#valid, headers("a" = 7)), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#valid, headers = "a"), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#valid, auth = "x"), "`hmac(\"VARIABLE\")`"),
            (quote!(#valid, auth = hmac()), "`hmac(\"VARIABLE\")`"),
            (quote!(#valid, auth = bearer("A", "B")), "`bearer(\"VARIABLE\")`"),
            (quote!(#valid, auth = basic("A")), "`bearer(\"VARIABLE\")`"),
            (quote!(#valid, auth = bearer("sk_live-123")), "not the secret"),
            (quote!(#valid, auth = bearer("")), "not the secret"),
            (quote!(#valid, auth = api_key("KEY")), "`api_key(\"x-api-key\", \"VARIABLE\")`"),
            (quote!(#valid, auth = api_key("a b", "KEY")), "header name"),
            (quote!(#valid, auth = api_key("host", "KEY")), "engine"),
            (quote!(#valid, methd = "GET"), "did you mean `method`"),
        ] {
            let all = expanded(options.clone(), item.clone());
            assert_eq!(all.matches("compile_error").count(), 1, "{options}: {all}");
            assert!(all.contains(&message.replace('"', "\\\"")), "{options}: {message}: {all}");
            assert!(all.contains("struct f"), "{all}");
        }
    }

    #[test]
    fn each_error_of_the_signature_is_reported_once() {
        let options = quote!(id = "a::b", url = "https://a.test");
        for (item, message) in [
            (
                quote!(
                    fn f() {}
                ),
                "replace the body with `;`",
            ),
            (
                quote!(
                    fn f(a: A, b: B);
                ),
                "one payload",
            ),
            (
                quote!(
                    fn f(a: &A);
                ),
                "a reference",
            ),
            (
                quote!(
                    fn f(&self);
                ),
                "method",
            ),
            (
                quote!(
                    fn f<T>(a: T);
                ),
                "generic",
            ),
            (
                quote!(
                    fn f(a: State<A>);
                ),
                "`State`",
            ),
            (
                quote!(
                    #[inline]
                    fn f();
                ),
                "remove it",
            ),
            (
                quote!(
                    #[iii::function(id = "a::b")]
                    fn f();
                ),
                "duplicate declaration",
            ),
            (
                quote!(
                    #[iii::trigger(http, path = "/a")]
                    fn f();
                ),
                "whole request",
            ),
            (
                quote!(
                    struct F;
                ),
                "without a body",
            ),
        ] {
            let all = expanded(options.clone(), item.clone());
            assert_eq!(all.matches("compile_error").count(), 1, "{item}: {all}");
            assert!(all.contains(message), "{item}: {all}");
            assert!(all.contains("struct f") || all.contains("struct F"), "{all}");
        }
    }
}
