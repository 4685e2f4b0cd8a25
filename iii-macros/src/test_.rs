//! `#[iii::test]`: the user's function inside a plain test that runs it on an in-memory engine.

use std::time::SystemTime;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, FnArg, Lit, Meta, MetaNameValue, Path, ReturnType, Token};

use crate::diagnostics::{Errors, SpanRange};
use crate::entry::EntryPoint;
use crate::function::FunctionItem;
use crate::options::MacroOptions;
use crate::{attributes, names, tokens};

const OPTIONS: &[&str] = &["start_time", "only", "link", "setup", "real_time", "crate"];

const TEST: EntryPoint = EntryPoint {
    subject: "a test",
    argument: "the harness",
    help: "write `async fn name(iii: Harness)` or `async fn name()`",
};

/// Attributes that apply to the generated test, not to the function inside.
const TEST_ATTRIBUTES: &[&str] = &["cfg", "doc", "ignore", "should_panic"];

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match FunctionItem::parse(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            let mut all = tokens;
            all.extend(error.to_compile_error());
            return all;
        }
    };
    for attribute in attributes::take(&mut item.attributes, is_test) {
        let path = attribute.path().to_token_stream().to_string().replace(' ', "");
        let message = format!(
            "duplicate test attribute `#[{path}]`\n\
             help: remove it; `#[iii::test]` already makes the function a test"
        );
        errors.on(&attribute, message);
    }
    let options = TestOptions::parse(options, &mut errors);
    if !TEST.check(&item.signature, &mut errors) && item.signature.asyncness.is_none() {
        TEST.report(item.signature.fn_token, "must be `async`", &mut errors);
    }
    if errors.is_empty() {
        return emit(item, &options);
    }
    let errors = errors.into_tokens();
    quote!(#[allow(dead_code)] #item #errors)
}

/// Returns whether an attribute makes its function a test: that of any crate, or the marker that the compiler leaves of
/// one that was expanded before.
fn is_test(attribute: &Attribute) -> bool {
    attributes::is_named(attribute, "test") || attributes::is_named(attribute, "rustc_test_marker")
}

/// The options of the attribute.
struct TestOptions {
    /// Seconds and nanoseconds since the Unix epoch.
    start_time: Option<(u64, u32)>,
    only: Option<Vec<Path>>,
    /// Crates whose declarations belong to the worker.
    link: Vec<Path>,
    setup: Option<Path>,
    real_time: bool,
    krate: Option<Path>,
}

impl TestOptions {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, SpanRange::at(Span::call_site()), errors);
        options.check(OPTIONS, errors);
        let start_time =
            options.take_str("start_time", "2026-01-05T09:00:00Z", errors).and_then(|text| {
                match since_epoch(&text.value()) {
                    Some(time) => Some((text, time)),
                    None => {
                        let message = format!(
                            "expected a UTC time for `start_time`, found string `{}`\n\
                             help: write `start_time = \"2026-01-05T09:00:00Z\"`",
                            text.to_token_stream()
                        );
                        errors.on(&text, message);
                        None
                    }
                }
            });
        let real_time = options.take_flag("real_time");
        if let (Some((text, _)), Some(_)) = (&start_time, real_time) {
            let message = "`start_time` conflicts with `real_time`\nhelp: remove one of the two";
            errors.on(text, message);
        }
        let mut paths = |name| {
            let list = options.take_list(name, errors)?;
            let paths = Punctuated::<Path, Token![,]>::parse_terminated.parse2(list);
            errors.handle(paths).map(|paths| paths.into_iter().collect())
        };
        let (only, link) = (paths("only"), paths("link"));
        let setup =
            options.take_path("setup", "the path of an `async fn(&mut App)`", "set_up", errors);
        let krate = options.take_crate(errors);
        options.finish(errors);
        Self {
            start_time: start_time.map(|(_, time)| time),
            only,
            link: link.unwrap_or_default(),
            setup,
            real_time: real_time.is_some(),
            krate,
        }
    }
}

/// Parses an RFC 3339 time in UTC to seconds and nanoseconds since the Unix epoch.
fn since_epoch(text: &str) -> Option<(u64, u32)> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some((since.as_secs(), since.subsec_nanos()))
}

/// Returns the message that `#[should_panic]` expects; empty if it expects any.
fn expected_panic(attribute: &Attribute) -> Option<String> {
    if !attribute.path().is_ident("should_panic") {
        return None;
    }
    let expected = match &attribute.meta {
        Meta::List(list) => list.parse_args::<MetaNameValue>().ok(),
        Meta::NameValue(expected) => Some(expected.clone()),
        Meta::Path(_) => None,
    };
    let text = expected.and_then(|expected| match expected.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    });
    Some(text.unwrap_or_default())
}

/// Emits the test.
fn emit(mut item: FunctionItem, options: &TestOptions) -> TokenStream {
    let iii = names::runtime_path(options.krate.as_ref());
    let outer = attributes::take(&mut item.attributes, |attribute| {
        TEST_ATTRIBUTES.iter().any(|name| attribute.path().is_ident(name))
    });
    let visibility = &item.visibility;
    let name = &item.signature.ident;
    let (parameter, argument) = match item.signature.inputs.first() {
        Some(FnArg::Typed(argument)) => {
            // A mismatch is reported at the type of the user's argument.
            let SpanRange { first, .. } = SpanRange::of(&argument.ty);
            (quote!(__iii_harness), quote_spanned!(first=> __iii_harness))
        }
        _ => (quote!(_), TokenStream::new()),
    };
    let body = match &item.signature.output {
        // An unsupported return type is reported at the type.
        ReturnType::Type(_, ty) => {
            let SpanRange { first, last } = SpanRange::of(ty);
            let mut convert = quote_spanned!(first=> <);
            ty.to_tokens(&mut convert);
            convert.extend(quote_spanned!(last=> as #iii::testing::TestResult>::into_result));
            quote!(async move { #convert(#name(#argument).await) })
        }
        ReturnType::Default => {
            quote!(async move { #iii::testing::TestResult::into_result(#name(#argument).await) })
        }
    };
    let start_time = options.start_time.map(|(seconds, nanos)| {
        let time = quote! {
            ::std::time::SystemTime::UNIX_EPOCH + ::core::time::Duration::new(#seconds, #nanos)
        };
        quote!(.start_time(#time))
    });
    let only = options.only.iter().flatten().map(|path| {
        let SpanRange { first, last } = SpanRange::of(path);
        let mut call = quote_spanned!(first=> .only::<);
        path.to_tokens(&mut call);
        call.extend(quote_spanned!(last=> >()));
        call
    });
    let setup = options.setup.as_ref().map(|path| {
        let SpanRange { first, .. } = SpanRange::of(path);
        let app = quote_spanned!(first=> __iii_app);
        quote! {
            .setup(|__iii_app| ::std::boxed::Box::pin(async move {
                #iii::testing::set_up_result(#path(#app).await)
            }))
        }
    });
    let real_time = options.real_time.then(|| quote!(.real_time()));
    let should_panic =
        outer.iter().find_map(expected_panic).map(|text| quote!(.should_panic(#text)));
    let links = tokens::links(&options.link);
    quote! {
        #(#outer)*
        #[::core::prelude::v1::test]
        #visibility fn #name() {
            #item
            #links
            #iii::testing::Test::new(::core::concat!(
                ::core::module_path!(), "::", ::core::stringify!(#name)
            ))
            #start_time
            #(#only)*
            #setup
            #real_time
            #should_panic
            .run(|#parameter| #body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        super::expand(options, item).to_string()
    }

    #[test]
    fn function_is_inside_the_test() {
        let item = quote! {
            async fn a_test(iii: Harness) -> iii::Result<()> { a b c }
        };
        let options = quote!(
            crate = other,
            start_time = "1970-01-02T00:00:00.5Z",
            only(a, b::c),
            link(d),
            setup = e
        );
        let all = expanded(options, item.clone());
        assert!(all.contains(&item.to_string()), "{all}");
        assert!(!all.contains(":: iii ::"), "{all}");
        for part in
            ["86400u64 , 500000000u32", "only :: < a > ()", "only :: < b :: c > ()", "use d as _"]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
    }

    #[test]
    fn test_attributes_move_to_the_test() {
        let all = expanded(
            quote!(),
            quote! {
                #[ignore]
                #[allow(unused)]
                async fn a_test() {}
            },
        );
        assert!(all.starts_with("# [ignore] # [:: core"), "{all}");
        assert!(all.contains("{ # [allow (unused)] async fn a_test () { }"), "{all}");
    }

    #[test]
    fn expected_panic_is_passed_to_the_harness() {
        for (attribute, text) in [
            (quote!(#[should_panic]), "\"\""),
            (quote!(#[should_panic(expected = "why")]), "\"why\""),
            (quote!(#[should_panic = "why"]), "\"why\""),
        ] {
            let all = expanded(quote!(), quote!(#attribute async fn a_test() {}));
            assert!(all.contains(&format!(". should_panic ({text})")), "{all}");
        }
        assert!(
            !expanded(
                quote!(),
                quote!(
                    async fn a_test() {}
                )
            )
            .contains("should_panic")
        );
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let all = expanded(
            quote!(start_time = "nine", only = a, colour = 1),
            quote! {
                #[test]
                fn a_test() {}
            },
        );
        assert_eq!(all.matches("compile_error").count(), 5, "{all}");
    }
}
