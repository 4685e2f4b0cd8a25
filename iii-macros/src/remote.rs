//! `#[iii::remote]`: a trait of functions that other workers serve becomes a module of types for typed calls.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::{
    Attribute, FnArg, ItemTrait, LitStr, Meta, Path, ReturnType, TraitItem, TraitItemFn, Type,
    Visibility,
};

use crate::diagnostics::{Ends, Errors};
use crate::function::{self, check_id, is_named};
use crate::options::{Options, Text};
use crate::{docs, names};

/// The options of the trait.
const OPTIONS: &[&str] = &["prefix", "namespace", "timeout", "crate"];

/// The options of one function, in `#[remote(…)]`.
const OF_FUNCTION: &[&str] = &["id", "timeout"];

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Remote::parse(options, &mut errors);
    let Ok(item) = syn::parse2::<ItemTrait>(tokens.clone()) else {
        errors.between(
            Ends::of(tokens),
            "`#[iii::remote]` belongs on a trait: `trait Orders { async fn create(order: NewOrder) -> Order; }`",
        );
        let errors = errors.into_tokens();
        return quote!(#tokens #errors);
    };
    if !item.generics.params.is_empty() {
        errors.on(
            &item.generics,
            "the functions of another worker have fixed types, so the trait cannot be generic",
        );
    }
    let functions: Vec<TokenStream> = item
        .items
        .iter()
        .filter_map(|one| match one {
            TraitItem::Fn(function) => {
                function_of(function, &options, &inside(&item.vis), &mut errors)
            }
            other => {
                errors.on(other, "only functions can be called: remove this");
                None
            }
        })
        .collect();
    let module = module(&item, &options, &functions);
    let errors = errors.into_tokens();
    quote!(#module #errors)
}

/// What is said about all functions.
struct Remote {
    prefix: Option<LitStr>,
    namespace: Option<Text>,
    /// In milliseconds.
    timeout: Option<u64>,
    krate: Option<Path>,
}

impl Remote {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Options::parse(tokens, Ends::at(Span::call_site()), errors);
        options.check(OPTIONS, errors);
        let parsed = Self {
            prefix: options.take_str("prefix", "orders", errors),
            namespace: options.take_text("namespace", "shop", errors),
            timeout: options.take_duration("timeout", errors),
            krate: options.take_path("crate", "a path, such as `crate = ::iii`", errors),
        };
        options.finish(errors);
        parsed
    }
}

/// The module of the trait's name, in which each function is a type.
fn module(item: &ItemTrait, options: &Remote, functions: &[TokenStream]) -> TokenStream {
    let cfgs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let (visibility, name) = (&item.vis, &item.ident);
    let doc = match docs::text(&item.attrs) {
        Some(_) => quote!(#(#docs)*),
        None => {
            let doc = format!("Functions of another worker: `client.call::<{name}::…>(…)`.");
            quote!(#[doc = #doc])
        }
    };
    let import = names::import(options.krate.as_ref());
    quote! {
        #(#cfgs)*
        #doc
        #[allow(non_snake_case)]
        #visibility mod #name {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            #import
            #[allow(unused_imports)]
            use __iii::NotResult as _;
            #(#functions)*
        }
    }
}

/// The visibility of the trait, as it is written one module deeper: a function is as visible as the types that it names.
fn inside(visibility: &Visibility) -> TokenStream {
    match visibility {
        Visibility::Inherited => quote!(pub(super)),
        Visibility::Restricted(to) if to.path.is_ident("self") => quote!(pub(super)),
        Visibility::Restricted(to) if to.path.segments[0].ident == "super" => {
            let path = &to.path;
            quote!(pub(in super::#path))
        }
        other => quote!(#other),
    }
}

/// One function as a type.
fn function_of(
    function: &TraitItemFn,
    remote: &Remote,
    visibility: &TokenStream,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let before = errors.count();
    let signature = &function.sig;
    let name = &signature.ident;
    if let Some(body) = &function.default {
        errors.on(body, "another worker has the body: end the function with `;`");
    }
    if !signature.generics.params.is_empty() {
        errors.on(&signature.generics, "a function id names one function, so it cannot be generic");
    }
    let mut inputs = signature.inputs.iter();
    let input = match inputs.next() {
        None => quote!(()),
        Some(FnArg::Receiver(receiver)) => {
            errors
                .on(receiver, "a function of another worker has no `self`: write only its payload");
            quote!(())
        }
        Some(FnArg::Typed(argument)) => owned(&argument.ty, errors),
    };
    if let Some(second) = inputs.next() {
        errors.on(second, "a function takes one payload: put both into one struct");
    }
    let output = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => owned(ty, errors),
    };
    let (id, timeout) = said(function, remote, errors);
    if errors.count() > before {
        return None;
    }
    let (id, timeout) = (id?, duration(timeout));
    let namespace = match &remote.namespace {
        Some(namespace) => quote!(::core::option::Option::Some(#namespace)),
        None => quote!(::core::option::Option::None),
    };
    let cfgs: Vec<&Attribute> =
        function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let doc = docs::text(&function.attrs)
        .unwrap_or_else(|| format!("Calls the function `{}` of another worker.", id.value()));
    let stub = function::stub(name, visibility, &doc, &cfgs);
    Some(quote! {
        #stub
        #(#cfgs)*
        #[automatically_derived]
        impl __iii::Function for #name {
            const ID: &'static ::core::primitive::str = #id;
            const NAMESPACE: ::core::option::Option<&'static ::core::primitive::str> = #namespace;
            const TIMEOUT: ::core::option::Option<::core::time::Duration> = #timeout;
            type Input = #input;
            type Output = <__iii::Parts<
                #output,
                { <__iii::Probe<#output>>::IS_RESULT },
            > as __iii::Split>::Ok;
        }
    })
}

/// The id and the timeout of a function: its own, else those of the trait.
fn said(
    function: &TraitItemFn,
    remote: &Remote,
    errors: &mut Errors,
) -> (Option<LitStr>, Option<u64>) {
    let name = &function.sig.ident;
    let (mut id, mut timeout) = (None, None);
    for attribute in function.attrs.iter().filter(|attribute| is_named(attribute, "remote")) {
        let Meta::List(list) = &attribute.meta else {
            errors.on(attribute, "write `#[remote(id = \"orders::create\")]`, or leave it out");
            continue;
        };
        let mut options = Options::parse(list.tokens.clone(), Ends::of(attribute), errors);
        options.check(OF_FUNCTION, errors);
        id = options.take_str("id", "orders::create", errors);
        timeout = options.take_duration("timeout", errors);
        options.finish(errors);
    }
    let id = id.or_else(|| {
        let prefix = remote.prefix.as_ref()?;
        let text = format!("{}::{}", prefix.value(), syn::ext::IdentExt::unraw(name));
        Some(LitStr::new(&text, prefix.span()))
    });
    let Some(id) = id else {
        errors.on(
            name,
            format!(
                "the function has no id: add `#[remote(id = \"service::{name}\")]`, or `prefix = \"service\"` to the trait"
            ),
        );
        return (None, timeout);
    };
    if let Err(message) = check_id(&id.value()) {
        errors.on(&id, message);
    }
    (Some(id), timeout.or(remote.timeout))
}

/// A type without lifetimes: what is sent and received is owned.
fn owned(ty: &Type, errors: &mut Errors) -> TokenStream {
    if let Type::Reference(_) | Type::ImplTrait(_) = ty {
        errors.on(ty, "what is sent and received is owned: name the type, without `&` and `impl`");
    }
    ty.to_token_stream()
}

/// A span of time as an `Option<Duration>`.
pub(crate) fn duration(millis: Option<u64>) -> TokenStream {
    match millis {
        Some(millis) => {
            quote!(::core::option::Option::Some(::core::time::Duration::from_millis(#millis)))
        }
        None => quote!(::core::option::Option::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trait_becomes_a_module() {
        let item = quote! {
            /// Orders.
            pub trait Orders {
                async fn create(order: NewOrder) -> Result<Order, Error>;
                #[remote(id = "shop::all", timeout = "1m")]
                async fn all() -> Vec<Order>;
            }
        };
        let all = expand(quote!(prefix = "orders", timeout = "5s"), &item).to_string();
        assert!(!all.contains("compile_error"), "{all}");
        for part in [
            "pub mod Orders",
            "struct create",
            "\"orders::create\"",
            "\"shop::all\"",
            "60000u64",
            "5000u64",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }

    #[test]
    fn a_function_is_as_visible_as_the_trait() {
        for (visibility, inner) in [
            (quote!(), "pub (super) struct a"),
            (quote!(pub), "pub struct a"),
            (quote!(pub(crate)), "pub (crate) struct a"),
            (quote!(pub(self)), "pub (super) struct a"),
            (quote!(pub(super)), "pub (in super :: super) struct a"),
            (quote!(pub(in super::super)), "pub (in super :: super :: super) struct a"),
        ] {
            let item = quote! { #visibility trait Orders { async fn a(); } };
            let all = expand(quote!(prefix = "orders"), &item).to_string();
            assert!(all.contains(inner), "{inner}: {all}");
        }
    }

    #[test]
    fn each_mistake_is_told_once() {
        let item = quote! {
            trait Orders {
                const X: u8;
                fn no_id();
                #[remote(id = "create")]
                fn bad_id();
                #[remote(id = "a::b")]
                fn many(a: A, b: B);
                #[remote(id = "a::c")]
                fn borrowed(a: &A) -> A;
                #[remote(id = "a::d")]
                fn method(&self);
            }
        };
        let all = expand(quote!(), &item).to_string();
        assert_eq!(all.matches("compile_error").count(), 6, "{all}");
    }
}
