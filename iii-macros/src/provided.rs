//! An `impl` of a trait that a worker provides something by: what is shared by the attributes that stand on one.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{Attribute, ImplItem, ItemImpl, LitStr, Path, parse_quote};

use crate::diagnostics::{Ends, Errors};
use crate::{docs, names, trigger};

/// What an attribute says of itself.
pub(crate) struct Attr {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is to stand below it.
    pub(crate) shape: &'static str,
    /// Why the `impl` cannot be generic.
    pub(crate) not_generic: &'static str,
    /// The constants that it writes: the name of the thing, and what it is for.
    pub(crate) constants: [&'static str; 2],
    /// The type of the descriptor, without `Descriptor`.
    pub(crate) thing: &'static str,
}

/// What was said in the attribute.
pub(crate) struct Said {
    /// The name of the thing; `None` if there is a mistake in it.
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

/// The `impl` with its constants, and its declaration. Mistakes leave it there.
pub(crate) fn expand(
    attr: &Attr,
    said: Said,
    tokens: &TokenStream,
    mut errors: Errors,
) -> TokenStream {
    let Attr { name, shape, .. } = attr;
    let Ok(mut item) = syn::parse2::<ItemImpl>(tokens.clone()) else {
        errors.between(Ends::of(tokens), format!("`#[iii::{name}]` belongs on an `impl`: {shape}"));
        let errors = errors.into_tokens();
        return quote!(#tokens #errors);
    };
    if item.trait_.is_none() {
        errors.on(&item.self_ty, format!("this `impl` has no trait: {shape}"));
    } else if !item.generics.params.is_empty() {
        errors.on(&item.generics, attr.not_generic);
    }
    for constant in attr.constants {
        let written = item.items.iter().find_map(|item| match item {
            ImplItem::Const(written) if written.ident == constant => Some(&written.ident),
            _ => None,
        });
        if let Some(written) = written {
            errors.on(written, format!("`{constant}` is written by `#[iii::{name}]`: remove it"));
        }
    }
    let description = match said.description {
        Some(text) => text.value().trim().to_owned(),
        None => docs::text(&item.attrs).unwrap_or_default(),
    };
    if item.trait_.is_some() {
        let [name, about] = attr.constants.map(|constant| format_ident!("{constant}"));
        let named = said.name.map_or_else(String::new, |name| name.value());
        let text = quote!(&'static ::core::primitive::str);
        item.items.insert(0, parse_quote!(const #name: #text = #named;));
        item.items.insert(1, parse_quote!(const #about: #text = #description;));
    }
    if !errors.is_empty() {
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    }
    declare(attr, &item, said.krate.as_ref())
}

/// The implementation and its declaration.
fn declare(attr: &Attr, item: &ItemImpl, krate: Option<&Path>) -> TokenStream {
    let cfgs: Vec<&Attribute> =
        item.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let import = names::import(krate);
    let ty = &item.self_ty;
    let Ends { first, last } = Ends::of(ty);
    let [descriptor, declaration] = ["Descriptor", "Declaration"]
        .map(|part| format_ident!("{}{part}", attr.thing, span = proc_macro2::Span::mixed_site()));
    let of = proc_macro2::Ident::new(&descriptor.to_string(), first);
    // What the type lacks is shown at it.
    let mut new = quote_spanned!(first=> __iii::#of::new::<);
    ty.to_tokens(&mut new);
    new.extend(quote_spanned!(last=> >));
    let location = trigger::location(first);
    quote! {
        #item
        #(#cfgs)*
        const _: () = {
            #import
            static __III_DESCRIPTOR: __iii::#descriptor =
                #new(::core::module_path!(), #location);
            __iii::inventory::submit! { __iii::#declaration(&__III_DESCRIPTOR) }
        };
    }
}
