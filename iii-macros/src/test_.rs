//! `#[iii::test]`: the user's function, inside of a plain test that runs it on an engine in memory.

use std::time::SystemTime;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprLit, FnArg, Lit, Meta, MetaNameValue, Path, ReturnType, Signature, Token,
};

use crate::diagnostics::{Ends, Errors};
use crate::function::Item;
use crate::names;
use crate::options::Options;

/// All names of options.
const OPTIONS: &[&str] = &["start_time", "only", "link", "setup", "real_time", "crate"];

/// What a right test looks like.
const SHAPE: &str = "write `async fn name(iii: Harness)` or `async fn name()`";

/// Attributes that belong to the test, not to the function inside.
const OF_THE_TEST: &[&str] = &["cfg", "doc", "ignore", "should_panic"];

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match Item::parse(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            let mut all = tokens;
            all.extend(error.to_compile_error());
            return all;
        }
    };
    for attribute in item.take(is_test) {
        let path = attribute.path().to_token_stream().to_string().replace(' ', "");
        errors.on(
            &attribute,
            format!("`#[iii::test]` makes the function a test: take `#[{path}]` away"),
        );
    }
    let options = TestOptions::parse(options, &mut errors);
    check(&item.signature, &mut errors);
    if errors.is_empty() {
        return run(item, &options);
    }
    let errors = errors.into_tokens();
    quote!(#[allow(dead_code)] #item #errors)
}

/// Whether an attribute makes a test, whoever it belongs to. The compiler leaves its own mark of one that came before.
fn is_test(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|last| last.ident == "test" || last.ident == "rustc_test_marker")
}

/// What is said about the test.
struct TestOptions {
    /// Seconds and nanoseconds since 1970.
    start_time: Option<(u64, u32)>,
    only: Option<Vec<Path>>,
    /// Crates whose declarations belong to the worker.
    link: Vec<Path>,
    set_up: Option<Path>,
    real_time: bool,
    krate: Option<Path>,
}

impl TestOptions {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Options::parse(tokens, Ends::at(Span::call_site()), errors);
        options.check(OPTIONS, errors);
        let start_time =
            options.take_str("start_time", "2026-01-05T00:00:00Z", errors).and_then(|text| {
                match time(&text.value()) {
                    Some(time) => Some((text, time)),
                    None => {
                        let message =
                            "`start_time` is a time in UTC, such as \"2026-01-05T09:00:00Z\"";
                        errors.on(&text, message);
                        None
                    }
                }
            });
        let real_time = options.take_flag("real_time");
        if let (Some((text, _)), Some(_)) = (&start_time, real_time) {
            errors.on(text, "real time has no start: leave out `start_time` or `real_time`");
        }
        let mut paths = |name| {
            let list = options.take_list(name, errors)?;
            let paths = Punctuated::<Path, Token![,]>::parse_terminated.parse2(list);
            errors.keep(paths).map(|paths| paths.into_iter().collect())
        };
        let (only, link) = (paths("only"), paths("link"));
        let what = "the path of an `async fn(&mut App)`, such as `setup = set_up`";
        let set_up = options.take_path("setup", what, errors);
        let krate = options.take_path("crate", "a path, such as `crate = ::iii`", errors);
        options.finish(errors);
        Self {
            start_time: start_time.map(|(_, time)| time),
            only,
            link: link.unwrap_or_default(),
            set_up,
            real_time: real_time.is_some(),
            krate,
        }
    }
}

/// Seconds and nanoseconds since 1970 of a time as in RFC 3339, in UTC.
fn time(text: &str) -> Option<(u64, u32)> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some((since.as_secs(), since.subsec_nanos()))
}

/// What a test that has to panic is expected to say; empty if it may say anything.
fn expected_panic(attribute: &Attribute) -> Option<String> {
    if !attribute.path().is_ident("should_panic") {
        return None;
    }
    let named = match &attribute.meta {
        Meta::List(list) => list.parse_args::<MetaNameValue>().ok(),
        Meta::NameValue(named) => Some(named.clone()),
        Meta::Path(_) => None,
    };
    let text = named.and_then(|named| match named.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    });
    Some(text.unwrap_or_default())
}

/// Refuses any other shape, with one message.
fn check(signature: &Signature, errors: &mut Errors) {
    if !signature.generics.params.is_empty() {
        errors.on(&signature.generics, format!("a test cannot be generic: {SHAPE}"));
    } else if let Some(second) = signature.inputs.get(1) {
        errors.on(second, format!("a test takes the harness and nothing else: {SHAPE}"));
    } else if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        errors.on(receiver, format!("a test is not a method: {SHAPE}"));
    } else if let Some(constness) = &signature.constness {
        errors.on(constness, format!("a test cannot be `const`: {SHAPE}"));
    } else if let syn::Safety::Unsafe(word) = &signature.safety {
        errors.on(word, format!("a test cannot be `unsafe`: {SHAPE}"));
    } else if let Some(abi) = &signature.abi {
        errors.on(abi, format!("a test cannot be `extern`: {SHAPE}"));
    } else if signature.asyncness.is_none() {
        errors.on(signature.fn_token, format!("a test is `async`: {SHAPE}"));
    }
}

/// The test.
fn run(mut item: Item, options: &TestOptions) -> TokenStream {
    let iii = names::private(options.krate.as_ref());
    let outside = item.take(|attribute| {
        attribute.path().get_ident().is_some_and(|name| OF_THE_TEST.iter().any(|one| name == one))
    });
    let visibility = &item.visibility;
    let name = &item.signature.ident;
    let (harness, given) = match item.signature.inputs.first() {
        Some(FnArg::Typed(argument)) => {
            // Another type is shown at the user's.
            let Ends { first, .. } = Ends::of(&argument.ty);
            (quote!(__iii_harness), quote_spanned!(first=> __iii_harness))
        }
        _ => (quote!(_), TokenStream::new()),
    };
    let body = match &item.signature.output {
        // A type that cannot be returned is shown where it is written.
        ReturnType::Type(_, ty) => {
            let Ends { first, last } = Ends::of(ty);
            let mut convert = quote_spanned!(first=> <);
            ty.to_tokens(&mut convert);
            convert.extend(quote_spanned!(last=> as #iii::testing::TestResult>::into_result));
            quote!(async move { #convert(#name(#given).await) })
        }
        ReturnType::Default => {
            quote!(async move { #iii::testing::TestResult::into_result(#name(#given).await) })
        }
    };
    let start = options.start_time.map(|(seconds, nanos)| {
        let time = quote! {
            ::std::time::SystemTime::UNIX_EPOCH + ::core::time::Duration::new(#seconds, #nanos)
        };
        quote!(.start_time(#time))
    });
    let only = options.only.iter().flatten().map(|path| {
        let Ends { first, last } = Ends::of(path);
        let mut call = quote_spanned!(first=> .only::<);
        path.to_tokens(&mut call);
        call.extend(quote_spanned!(last=> >()));
        call
    });
    let set_up = options.set_up.as_ref().map(|path| {
        let Ends { first, .. } = Ends::of(path);
        let app = quote_spanned!(first=> __iii_app);
        quote! {
            .setup(|__iii_app| ::std::boxed::Box::pin(async move {
                #iii::testing::set_up_result(#path(#app).await)
            }))
        }
    });
    let real_time = options.real_time.then(|| quote!(.real_time()));
    let panics = outside.iter().find_map(expected_panic).map(|text| quote!(.should_panic(#text)));
    let links = options.link.iter().map(|path| {
        quote! {
            #[allow(unused_imports)]
            use #path as _;
        }
    });
    quote! {
        #(#outside)*
        #[::core::prelude::v1::test]
        #visibility fn #name() {
            #item
            #(#links)*
            #iii::testing::Test::new(::core::concat!(
                ::core::module_path!(), "::", ::core::stringify!(#name)
            ))
            #start
            #(#only)*
            #set_up
            #real_time
            #panics
            .run(|#harness| #body);
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
    fn the_function_is_inside_of_a_test() {
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
    fn attributes_stay_where_they_belong() {
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
    fn an_expected_panic_is_told() {
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
    fn all_mistakes_are_reported_at_once() {
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
