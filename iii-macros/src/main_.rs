//! `#[iii::main]`: the user's function, inside of a plain `main` that runs the worker.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Path, ReturnType, Signature, Token, Type};

use crate::diagnostics::{Ends, Errors};
use crate::function::Item;
use crate::names;
use crate::options::Options;

/// All names of options.
const OPTIONS: &[&str] = &["link", "worker_threads", "crate"];

/// What a right main looks like.
const SHAPE: &str = "write `async fn main(app: &mut App)` or `async fn main()`";

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(item) = errors.keep(Item::parse(tokens.clone())) else {
        let errors = errors.into_tokens();
        return quote!(#tokens fn main() {} #errors);
    };
    let options = MainOptions::parse(options, &mut errors);
    check(&item.signature, &mut errors);
    if errors.is_empty() {
        return run(&item, &options);
    }
    let errors = errors.into_tokens();
    if item.signature.ident == "main" {
        quote!(fn main() { #[allow(dead_code)] #item } #errors)
    } else {
        quote!(#item fn main() {} #errors)
    }
}

/// What is said about the entry point.
struct MainOptions {
    /// Crates whose declarations belong to the worker.
    link: Vec<Path>,
    worker_threads: Option<u32>,
    krate: Option<Path>,
}

impl MainOptions {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Options::parse(tokens, Ends::at(Span::call_site()), errors);
        options.check(OPTIONS, errors);
        let link = options.take_list("link", errors).map_or_else(Vec::new, |list| {
            let parser = Punctuated::<Path, Token![,]>::parse_terminated;
            errors.keep(parser.parse2(list)).into_iter().flatten().collect()
        });
        let worker_threads = options.take_number("worker_threads", 1, errors);
        let krate = options.take_path("crate", "a path, such as `crate = ::iii`", errors);
        options.finish(errors);
        Self { link, worker_threads, krate }
    }
}

/// Refuses any other shape, with one message.
fn check(signature: &Signature, errors: &mut Errors) {
    if signature.ident != "main" {
        errors.on(&signature.ident, format!("the entry point is named `main`: {SHAPE}"));
    } else if !signature.generics.params.is_empty() {
        errors.on(&signature.generics, format!("main cannot be generic: {SHAPE}"));
    } else if let Some(second) = signature.inputs.get(1) {
        errors.on(second, format!("main takes the app and nothing else: {SHAPE}"));
    } else if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        errors.on(receiver, format!("main is not a method: {SHAPE}"));
    } else if let Some(constness) = &signature.constness {
        errors.on(constness, format!("main cannot be `const`: {SHAPE}"));
    } else if let syn::Safety::Unsafe(word) = &signature.safety {
        errors.on(word, format!("main cannot be `unsafe`: {SHAPE}"));
    } else if let Some(abi) = &signature.abi {
        errors.on(abi, format!("main cannot be `extern`: {SHAPE}"));
    }
}

/// The worker.
fn run(item: &Item, options: &MainOptions) -> TokenStream {
    let iii = names::private(options.krate.as_ref());
    let cfgs: Vec<&Attribute> = item.cfgs().collect();
    let name = &item.signature.ident;
    let visibility = &item.visibility;
    let (app, given) = match item.signature.inputs.first() {
        Some(FnArg::Typed(argument)) => {
            // Another type is shown at the user's.
            let Ends { first, .. } = Ends::of(&argument.ty);
            let app = quote_spanned!(first=> __iii_app);
            (quote!(__iii_app), app)
        }
        _ => (quote!(_), TokenStream::new()),
    };
    let call = if item.signature.asyncness.is_some() {
        quote!(#name(#given).await)
    } else {
        quote!(#name(#given))
    };
    let result = result(&item.signature.output, &call, &iii);
    let threads = match options.worker_threads {
        Some(count) => {
            let count = proc_macro2::Literal::u32_unsuffixed(count);
            quote!(::core::option::Option::Some(#count))
        }
        None => quote!(::core::option::Option::None),
    };
    let links = options.link.iter().map(|path| {
        quote! {
            #[allow(unused_imports)]
            use #path as _;
        }
    });
    let future = quote_spanned!(name.span()=> ::std::boxed::Box::pin(async move { #result }));
    quote! {
        #(#cfgs)*
        #[doc = "Runs the worker."]
        #visibility fn main() -> ::std::process::ExitCode {
            #item
            #(#links)*
            #iii::run_main(
                #iii::MainOptions {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    worker_threads: #threads,
                },
                |#app| #future,
            )
        }

        // What the declarations contradict each other in fails `cargo test`, not the first start.
        #(#cfgs)*
        #[cfg(test)]
        #[::core::prelude::v1::test]
        fn iii_declarations() {
            #iii::check_declarations();
        }
    }
}

/// The result of the user's main; a type that cannot be one is shown where it is written.
fn result(output: &ReturnType, call: &TokenStream, iii: &TokenStream) -> TokenStream {
    let ty = match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => match &**ty {
            // There is no value to convert.
            Type::Never(_) => return quote!(match #call {}),
            ty @ (Type::Path(_) | Type::Tuple(_)) => ty.to_token_stream(),
            _ => return quote!(#iii::MainResult::into_result(#call)),
        },
    };
    let Ends { first, last } = Ends::of(&ty);
    let mut convert = quote_spanned!(first=> <);
    ty.to_tokens(&mut convert);
    convert.extend(quote_spanned!(last=> as #iii::MainResult>::into_result));
    quote!(#convert(#call))
}
