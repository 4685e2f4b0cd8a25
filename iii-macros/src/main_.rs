//! `#[iii::main]`: the user's function inside a plain `main` that runs the worker.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{FnArg, Path, ReturnType, Token, Type};

use crate::attributes::cfgs;
use crate::diagnostics::{Errors, SpanRange};
use crate::entry::EntryPoint;
use crate::function::FunctionItem;
use crate::options::MacroOptions;
use crate::{names, tokens};

const OPTIONS: &[&str] = &["link", "worker_threads", "crate"];

const MAIN: EntryPoint = EntryPoint {
    subject: "`main`",
    argument: "the app",
    help: "write `async fn main(app: &mut App)` or `async fn main()`",
};

/// Expands the attribute. After an error there still is a `main`, so that the compiler does not report a missing one.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some(item) = errors.handle(FunctionItem::parse(tokens.clone())) else {
        let errors = errors.into_tokens();
        return quote!(#tokens fn main() {} #errors);
    };
    let options = MainOptions::parse(options, &mut errors);
    let name = &item.signature.ident;
    if name != "main" {
        let message = format!("expected a function named `main`, found `{name}`");
        errors.on(name, format!("{message}\nhelp: {}", MAIN.help));
    } else {
        MAIN.check(&item.signature, &mut errors);
    }
    if errors.is_empty() {
        return emit(&item, &options);
    }
    let errors = errors.into_tokens();
    if name == "main" {
        quote!(fn main() { #[allow(dead_code)] #item } #errors)
    } else {
        quote!(#item fn main() {} #errors)
    }
}

/// The options of the attribute.
struct MainOptions {
    /// Crates whose declarations belong to the worker.
    link: Vec<Path>,
    worker_threads: Option<u32>,
    krate: Option<Path>,
}

impl MainOptions {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, SpanRange::at(Span::call_site()), errors);
        options.check(OPTIONS, errors);
        let link = options.take_list("link", errors).map_or_else(Vec::new, |list| {
            let parser = Punctuated::<Path, Token![,]>::parse_terminated;
            errors.handle(parser.parse2(list)).into_iter().flatten().collect()
        });
        let worker_threads = options.take_integer("worker_threads", 1, errors);
        let krate = options.take_crate(errors);
        options.finish(errors);
        Self { link, worker_threads, krate }
    }
}

/// Emits the `main` that runs the worker.
fn emit(item: &FunctionItem, options: &MainOptions) -> TokenStream {
    let iii = names::runtime_path(options.krate.as_ref());
    let cfgs = cfgs(&item.attributes);
    let name = &item.signature.ident;
    let visibility = &item.visibility;
    let (parameter, argument) = match item.signature.inputs.first() {
        Some(FnArg::Typed(argument)) => {
            // A mismatch is reported at the type of the user's argument.
            let SpanRange { first, .. } = SpanRange::of(&argument.ty);
            let app = quote_spanned!(first=> __iii_app);
            (quote!(__iii_app), app)
        }
        _ => (quote!(_), TokenStream::new()),
    };
    let call = if item.signature.asyncness.is_some() {
        quote!(#name(#argument).await)
    } else {
        quote!(#name(#argument))
    };
    let result = into_result(&item.signature.output, &call, &iii);
    let threads = tokens::option(options.worker_threads.map(proc_macro2::Literal::u32_unsuffixed));
    let links = tokens::links(&options.link);
    let future = quote_spanned!(name.span()=> ::std::boxed::Box::pin(async move { #result }));
    quote! {
        #(#cfgs)*
        #[doc = "Runs the worker."]
        #visibility fn main() -> ::std::process::ExitCode {
            #item
            #links
            #iii::run_main(
                #iii::MainOptions {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    worker_threads: #threads,
                },
                |#parameter| #future,
            )
        }

        // Conflicting declarations fail `cargo test`, not only the start of the worker.
        #(#cfgs)*
        #[cfg(test)]
        #[::core::prelude::v1::test]
        fn iii_declarations() {
            #iii::check_declarations();
        }
    }
}

/// Converts the result of the user's `main`. An unsupported return type is reported at the type.
fn into_result(output: &ReturnType, call: &TokenStream, iii: &TokenStream) -> TokenStream {
    let ty = match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => match &**ty {
            // There is no value to convert.
            Type::Never(_) => return quote!(match #call {}),
            ty @ (Type::Path(_) | Type::Tuple(_)) => ty.to_token_stream(),
            _ => return quote!(#iii::MainResult::into_result(#call)),
        },
    };
    let SpanRange { first, last } = SpanRange::of(&ty);
    let mut convert = quote_spanned!(first=> <);
    ty.to_tokens(&mut convert);
    convert.extend(quote_spanned!(last=> as #iii::MainResult>::into_result));
    quote!(#convert(#call))
}
