//! `#[iii::remote]`: a trait of functions that other workers serve becomes a module of stubs for typed calls.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::{
    FnArg, ItemTrait, LitStr, Meta, Path, ReturnType, TraitItem, TraitItemFn, Type, Visibility,
};

use crate::diagnostics::{Errors, SpanRange};
use crate::function::{check_id, stub};
use crate::options::{MacroOptions, StringOrPath};
use crate::{attributes, docs, names, tokens};

/// The options of the trait.
const OPTIONS: &[&str] = &["prefix", "namespace", "timeout", "crate"];

/// The options of a function, in `#[remote(…)]`.
const FUNCTION_OPTIONS: &[&str] = &["id", "timeout"];

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = RemoteOptions::parse(options, &mut errors);
    let Ok(item) = syn::parse2::<ItemTrait>(tokens.clone()) else {
        let message = format!(
            "expected a trait{}\n\
             help: write `trait Orders {{ async fn create(order: NewOrder) -> Order; }}`",
            attributes::found_item(tokens, &["trait"])
        );
        errors.at_range(SpanRange::of(tokens), message);
        let errors = errors.into_tokens();
        return quote!(#tokens #errors);
    };
    if !item.generics.params.is_empty() {
        errors.on(
            &item.generics,
            "a trait of remote functions cannot be generic\nhelp: write concrete types",
        );
    }
    let functions: Vec<TokenStream> = item
        .items
        .iter()
        .filter_map(|member| match member {
            TraitItem::Fn(function) => {
                remote_function(function, &options, &visibility_in_module(&item.vis), &mut errors)
            }
            other => {
                errors.on(other, "expected a function\nhelp: remove this item");
                None
            }
        })
        .collect();
    let module = module(&item, &options, &functions);
    let errors = errors.into_tokens();
    quote!(#module #errors)
}

/// The options of the trait. They apply to all of its functions.
struct RemoteOptions {
    prefix: Option<LitStr>,
    namespace: Option<StringOrPath>,
    /// In milliseconds.
    timeout: Option<u64>,
    krate: Option<Path>,
}

impl RemoteOptions {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, SpanRange::at(Span::call_site()), errors);
        options.check(OPTIONS, errors);
        let parsed = Self {
            prefix: options.take_str("prefix", "orders", errors),
            namespace: options.take_string_or_path("namespace", "shop", errors),
            timeout: options.take_duration("timeout", errors),
            krate: options.take_crate(errors),
        };
        options.finish(errors);
        parsed
    }
}

/// Emits the module of the trait's name, with a stub for each function.
fn module(item: &ItemTrait, options: &RemoteOptions, functions: &[TokenStream]) -> TokenStream {
    let cfgs = attributes::cfgs(&item.attrs);
    let (visibility, name) = (&item.vis, &item.ident);
    let doc = match docs::comment(&item.attrs) {
        Some(_) => {
            let comments = attributes::named(&item.attrs, &["doc"]);
            quote!(#(#comments)*)
        }
        None => {
            let doc = format!("Functions of another worker: `client.call::<{name}::…>(…)`.");
            quote!(#[doc = #doc])
        }
    };
    let import = names::import_runtime(options.krate.as_ref());
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

/// Returns the visibility of the trait as it is written one module deeper. The stubs get it, since their types are as
/// visible as the trait.
fn visibility_in_module(visibility: &Visibility) -> TokenStream {
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

/// Emits the stub of one function. `None` if the function is invalid, which is reported.
fn remote_function(
    function: &TraitItemFn,
    options: &RemoteOptions,
    visibility: &TokenStream,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let errors_before = errors.count();
    let signature = &function.sig;
    let name = &signature.ident;
    if let Some(body) = &function.default {
        errors.on(
            body,
            "unexpected function body: another worker implements the function\n\
             help: replace the body with `;`",
        );
    }
    if !signature.generics.params.is_empty() {
        errors.on(
            &signature.generics,
            "a remote function cannot be generic\nhelp: write concrete types",
        );
    }
    let mut inputs = signature.inputs.iter();
    let input = match inputs.next() {
        None => quote!(()),
        Some(FnArg::Receiver(receiver)) => {
            errors.on(
                receiver,
                "a remote function cannot take `self`\nhelp: write only the payload argument",
            );
            quote!(())
        }
        Some(FnArg::Typed(argument)) => owned_type(&argument.ty, errors),
    };
    if let Some(second) = inputs.next() {
        errors.on(
            second,
            "expected one payload, found a second argument\nhelp: combine both into one struct",
        );
    }
    let output = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => owned_type(ty, errors),
    };
    let (id, timeout) = id_and_timeout(function, options, errors);
    if errors.count() > errors_before {
        return None;
    }
    let (id, timeout) = (id?, tokens::duration(timeout));
    let namespace = tokens::option(options.namespace.as_ref());
    let cfgs = attributes::cfgs(&function.attrs);
    let doc = docs::comment(&function.attrs)
        .unwrap_or_else(|| format!("Calls the function `{}` of another worker.", id.value()));
    let stub = stub(name, visibility, &doc, &cfgs);
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

/// Returns the id and the timeout of a function: those of its own attribute, else those that the trait implies.
fn id_and_timeout(
    function: &TraitItemFn,
    options: &RemoteOptions,
    errors: &mut Errors,
) -> (Option<LitStr>, Option<u64>) {
    let name = &function.sig.ident;
    let (mut id, mut timeout) = (None, None);
    for attribute in
        function.attrs.iter().filter(|attribute| attributes::is_named(attribute, "remote"))
    {
        let Meta::List(list) = &attribute.meta else {
            errors.on(
                attribute,
                "expected `#[remote(…)]`\n\
                 help: write `#[remote(id = \"orders::create\")]`, or remove the attribute",
            );
            continue;
        };
        let mut options =
            MacroOptions::parse(list.tokens.clone(), SpanRange::of(attribute), errors);
        options.check(FUNCTION_OPTIONS, errors);
        id = options.take_str("id", "orders::create", errors);
        timeout = options.take_duration("timeout", errors);
        options.finish(errors);
    }
    let id = id.or_else(|| {
        let prefix = options.prefix.as_ref()?;
        let text = format!("{}::{}", prefix.value(), syn::ext::IdentExt::unraw(name));
        Some(LitStr::new(&text, prefix.span()))
    });
    let Some(id) = id else {
        errors.on(
            name,
            format!(
                "missing id of the function `{name}`\n\
                 help: add `#[remote(id = \"service::{name}\")]` to it, \
                 or `prefix = \"service\"` to `#[iii::remote]`"
            ),
        );
        return (None, timeout);
    };
    if let Err(message) = check_id(&id.value()) {
        errors.on(&id, message);
    }
    (Some(id), timeout.or(options.timeout))
}

/// Reports types that borrow or are not named: payloads and results are owned.
fn owned_type(ty: &Type, errors: &mut Errors) -> TokenStream {
    let found = match ty {
        Type::Reference(_) => Some("a reference"),
        Type::ImplTrait(_) => Some("`impl Trait`"),
        _ => None,
    };
    if let Some(found) = found {
        let help = "write a concrete type, without `&` or `impl`";
        errors.on(ty, format!("expected an owned type, found {found}\nhelp: {help}"));
    }
    ty.to_token_stream()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trait_becomes_a_module_of_stubs() {
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
    fn stub_is_as_visible_as_the_trait() {
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
    fn each_error_is_reported_once() {
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
