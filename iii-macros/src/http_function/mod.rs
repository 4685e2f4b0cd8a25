//! `#[iii::http_function(…)]`: the signature of a function that an HTTP endpoint serves, a type for typed calls, and a
//! declaration.

mod expand;
mod options;
mod values;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, Token, Visibility, token};

use self::expand::HttpFunction;
use self::options::HttpOptions;
use crate::diagnostics::{Ends, Errors};
use crate::function::{Argument, Parts, is_named};
use crate::trigger::Trigger;

/// What is to stand below the attribute.
const SHAPE: &str = "`#[iii::http_function]` belongs on a function that ends with `;`: \
                     `async fn charge(order: Order) -> Receipt;`";

/// Attributes that say something about the type that is made, or about nothing that could be wrong.
const HARMLESS: [&str; 8] =
    ["cfg", "doc", "allow", "expect", "warn", "deny", "deprecated", "must_use"];

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut head = match Head::parse(tokens.clone()) {
        Ok(head) => head,
        Err(_) => {
            errors.between(Ends::of(&tokens), SHAPE);
            let mut all = tokens;
            all.extend(errors.into_tokens());
            return all;
        }
    };
    if let Some(body) = &head.body {
        errors.on(body, "the endpoint has the body: end the function with `;`");
    }
    for attribute in head.take(|one| is_named(one, "http_function") || is_named(one, "function")) {
        errors.on(&attribute, "the function is declared twice: keep one of the attributes");
    }
    let attributes = head.take(|attribute| is_named(attribute, "trigger"));
    for attribute in &head.attributes {
        if !HARMLESS.iter().any(|name| attribute.path().is_ident(name)) {
            errors.on(attribute, "there is no function here that this could change: remove it");
        }
    }
    let options = HttpOptions::parse(options, Ends::at(Span::call_site()), &mut errors);
    let triggers: Vec<Trigger> =
        attributes.iter().filter_map(|attribute| Trigger::parse(attribute, &mut errors)).collect();
    for trigger in triggers.iter().filter(|trigger| trigger.is_http) {
        errors.between(
            trigger.place,
            "an `http` trigger hands over the whole request, which an endpoint does not expect: declare a \
             `#[iii::function]` with this trigger that calls the endpoint",
        );
    }
    crate::function::triggers_differ(&triggers, &mut errors);
    let before = errors.count();
    let parts = Parts::read(&head.signature, &mut errors);
    one_payload(&parts, &mut errors);
    let function = HttpFunction {
        head: &head,
        options: &options,
        parts: &parts,
        triggers: &triggers,
        attributes: &attributes,
    };
    if errors.is_empty() {
        return function.declare();
    }
    let mut all = function.fall_back(errors.count() == before);
    all.extend(errors.into_tokens());
    all
}

/// Refuses all arguments but the payload.
fn one_payload(parts: &Parts, errors: &mut Errors) {
    let message = |argument: &Argument| match argument.extractor {
        Some(name) => {
            format!("an endpoint gets the payload alone, and `{name}` is no part of it: remove it")
        }
        None => "an endpoint gets one payload: put both into one struct".to_owned(),
    };
    let extra = parts.arguments.iter().enumerate();
    for (_, argument) in extra.filter(|(at, one)| *at > 0 || one.extractor.is_some()) {
        errors.between(argument.ends, message(argument));
    }
}

/// A function without a body.
struct Head {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    /// What should not be there.
    body: Option<proc_macro2::Group>,
}

impl Head {
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

    /// Takes the attributes off that `wanted` chooses.
    fn take(&mut self, wanted: impl Fn(&Attribute) -> bool) -> Vec<Attribute> {
        self.attributes.extract_if(.., |attribute| wanted(attribute)).collect()
    }

    /// The attributes of one of these names.
    fn of(&self, names: &[&str]) -> Vec<&Attribute> {
        let wanted = |one: &&Attribute| names.iter().any(|name| one.path().is_ident(name));
        self.attributes.iter().filter(wanted).collect()
    }

    /// The function as it was written, if it can stand as it is: one with a body.
    fn whole(&self) -> Option<TokenStream> {
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
    fn a_head_becomes_a_type_and_a_declaration() {
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
        // The type, the declaration, and the claim of the id.
        assert_eq!(all.matches("cfg (unix)").count(), 3, "{all}");
    }

    #[test]
    fn a_url_may_be_told_at_the_start() {
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
    fn each_mistake_is_told_once() {
        let item = quote!(
            fn f();
        );
        let good = quote!(id = "a::b", url = "https://a.test");
        for (options, message) in [
            (quote!(id = "a::b"), "no `url`"),
            (quote!(url = "https://a.test"), "no id"),
            (quote!(id = "a", url = "https://a.test"), "one part"),
            (quote!(id = "a::b", url = "pay.test"), "https://example.com/path"),
            (quote!(id = "a::b", url = "ftp://pay.test"), "`ftp`"),
            (quote!(id = "a::b", url = "https://u:p@pay.test"), "`auth`"),
            (quote!(id = "a::b", url = 7), "`url`"),
            (quote!(id = "a::b", url = env(7)), "env"),
            (quote!(id = "a::b", url = env("https://a.test")), "environment variable"),
            (quote!(#good, method = "post"), "`POST`"),
            (quote!(#good, method = "TRACE"), "GET"),
            (quote!(#good, timeout = "61s"), "60"),
            (quote!(#good, timeout = "0s"), "zero"),
            (quote!(#good, headers("a b" = "1")), "name of a header"),
            (quote!(#good, headers("host" = "1")), "engine"),
            (quote!(#good, headers("x-iii-a" = "1")), "engine"),
            (quote!(#good, headers("Content-Length" = "1")), "engine"),
            (quote!(#good, headers("a" = "1\n")), "cannot be sent"),
            (quote!(#good, headers("a" = "1", "A" = "2")), "twice"),
            (quote!(#good, headers("a")), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#good, headers(a = "1")), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#good, headers("a" = 7)), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#good, headers = "a"), "headers(\"x-tenant\" = \"7\")"),
            (quote!(#good, auth = "x"), "`hmac(\"VARIABLE\")`"),
            (quote!(#good, auth = hmac()), "`hmac(\"VARIABLE\")`"),
            (quote!(#good, auth = bearer("A", "B")), "`bearer(\"VARIABLE\")`"),
            (quote!(#good, auth = basic("A")), "`bearer(\"VARIABLE\")`"),
            (quote!(#good, auth = bearer("sk_live-123")), "not the secret"),
            (quote!(#good, auth = bearer("")), "not the secret"),
            (quote!(#good, auth = api_key("KEY")), "`api_key(\"x-api-key\", \"VARIABLE\")`"),
            (quote!(#good, auth = api_key("a b", "KEY")), "name of a header"),
            (quote!(#good, auth = api_key("host", "KEY")), "engine"),
            (quote!(#good, methd = "GET"), "did you mean `method`"),
        ] {
            let all = expanded(options.clone(), item.clone());
            assert_eq!(all.matches("compile_error").count(), 1, "{options}: {all}");
            assert!(all.contains(&message.replace('"', "\\\"")), "{options}: {message}: {all}");
            assert!(all.contains("struct f"), "{all}");
        }
    }

    #[test]
    fn each_mistake_in_the_signature_is_told_once() {
        let options = quote!(id = "a::b", url = "https://a.test");
        for (item, message) in [
            (
                quote!(
                    fn f() {}
                ),
                "end the function with `;`",
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
                "borrow",
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
                "declared twice",
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
                "ends with `;`",
            ),
        ] {
            let all = expanded(options.clone(), item.clone());
            assert_eq!(all.matches("compile_error").count(), 1, "{item}: {all}");
            assert!(all.contains(message), "{item}: {all}");
            assert!(all.contains("struct f") || all.contains("struct F"), "{all}");
        }
    }
}
