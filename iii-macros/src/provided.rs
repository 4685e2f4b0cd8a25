//! Attributes on the `impl` of a trait that a worker provides something by: `#[iii::stream]` and `#[iii::trigger_type]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{ImplItem, ItemImpl, LitStr, Path, parse_quote};

use crate::attributes::{cfgs, found_item};
use crate::diagnostics::{Errors, SpanRange};
use crate::options::MacroOptions;
use crate::{docs, names, tokens};

/// How one of these attributes differs from the others.
pub(crate) struct ProvidedAttribute {
    /// The name of the attribute.
    pub(crate) name: &'static str,
    /// The option that names what the worker provides.
    pub(crate) key: &'static str,
    /// A value of that option, for messages.
    pub(crate) key_example: &'static str,
    /// A description, for messages.
    pub(crate) description_example: &'static str,
    /// Checks the value of that option. The error says what is invalid, and what to write.
    pub(crate) check: fn(&str) -> Result<(), String>,
    /// The `impl` that the attribute applies to, for messages.
    pub(crate) impl_example: &'static str,
    /// Why the `impl` cannot be generic.
    pub(crate) not_generic: &'static str,
    /// The constants that are added to the `impl`: the name and the description.
    pub(crate) constants: [&'static str; 2],
    /// The name of the descriptor type, without `Descriptor`.
    pub(crate) descriptor: &'static str,
}

/// The options of the attribute.
struct ProvidedOptions {
    /// `None` if it is missing or invalid.
    name: Option<LitStr>,
    description: Option<LitStr>,
    krate: Option<Path>,
}

impl ProvidedOptions {
    fn parse(attribute: &ProvidedAttribute, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, SpanRange::at(Span::call_site()), errors);
        options.check(&[attribute.key, "description", "crate"], errors);
        let parsed = Self {
            name: take_name(attribute, &mut options, errors),
            description: options.take_str("description", attribute.description_example, errors),
            krate: options.take_crate(errors),
        };
        options.finish(errors);
        parsed
    }
}

fn take_name(
    attribute: &ProvidedAttribute,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<LitStr> {
    let ProvidedAttribute { key, key_example, check, .. } = attribute;
    if !options.has(key) {
        let message = format!("missing option `{key}`\nhelp: add `{key} = \"{key_example}\"`");
        errors.at_range(options.span, message);
        return None;
    }
    let name = options.take_str(key, key_example, errors)?;
    match check(&name.value()) {
        Ok(()) => Some(name),
        Err(message) => {
            errors.on(&name, message);
            None
        }
    }
}

/// Expands the attribute to the `impl` with its constants, and a declaration. After an error, only the `impl` remains.
pub(crate) fn expand(
    attribute: &ProvidedAttribute,
    options: TokenStream,
    tokens: &TokenStream,
) -> TokenStream {
    let mut errors = Errors::default();
    let options = ProvidedOptions::parse(attribute, options, &mut errors);
    let help = attribute.impl_example;
    let Ok(mut item) = syn::parse2::<ItemImpl>(tokens.clone()) else {
        let found = found_item(tokens, &["impl"]);
        let message = format!("expected the `impl` of a trait{found}\nhelp: write `{help}`");
        errors.at_range(SpanRange::of(tokens), message);
        let errors = errors.into_tokens();
        return quote!(#tokens #errors);
    };
    if item.trait_.is_none() {
        let found = "an inherent `impl`";
        let message =
            format!("expected the `impl` of a trait, found {found}\nhelp: write `{help}`");
        errors.on(&item.self_ty, message);
    } else if !item.generics.params.is_empty() {
        let message = format!("the `impl` cannot be generic: {}", attribute.not_generic);
        errors.on(&item.generics, message);
    }
    for constant in attribute.constants {
        let defined = item.items.iter().find_map(|item| match item {
            ImplItem::Const(defined) if defined.ident == constant => Some(&defined.ident),
            _ => None,
        });
        if let Some(defined) = defined {
            let message = format!(
                "duplicate constant `{constant}`: `#[iii::{}]` defines it\nhelp: remove it",
                attribute.name
            );
            errors.on(defined, message);
        }
    }
    let description =
        docs::description(options.description.as_ref(), || docs::comment(&item.attrs));
    if item.trait_.is_some() {
        let [name, about] = attribute.constants.map(|constant| format_ident!("{constant}"));
        let name_value = options.name.map_or_else(String::new, |name| name.value());
        let description = description.unwrap_or_default();
        let str_type = quote!(&'static ::core::primitive::str);
        item.items.insert(0, parse_quote!(const #name: #str_type = #name_value;));
        item.items.insert(1, parse_quote!(const #about: #str_type = #description;));
    }
    if !errors.is_empty() {
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    }
    declare(attribute, &item, options.krate.as_ref())
}

/// Emits the implementation and its declaration.
fn declare(attribute: &ProvidedAttribute, item: &ItemImpl, krate: Option<&Path>) -> TokenStream {
    let cfgs = cfgs(&item.attrs);
    let import = names::import_runtime(krate);
    let ty = &item.self_ty;
    let SpanRange { first, last } = SpanRange::of(ty);
    let [descriptor, declaration] = ["Descriptor", "Declaration"]
        .map(|suffix| format_ident!("{}{suffix}", attribute.descriptor, span = Span::mixed_site()));
    let constructor = proc_macro2::Ident::new(&descriptor.to_string(), first);
    // Bounds that the type does not satisfy are reported at the type.
    let mut new = quote_spanned!(first=> __iii::#constructor::new::<);
    ty.to_tokens(&mut new);
    new.extend(quote_spanned!(last=> >));
    let location = tokens::location(first);
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
