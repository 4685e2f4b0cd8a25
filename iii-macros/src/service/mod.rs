//! `#[iii::service(id = "…")]`: a module whose functions belong together, and a declaration of the group.

mod inside;
mod options;

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, LitStr, Token, Visibility, token};

use self::inside::Inside;
use self::options::{Parent, ServiceOptions};
use crate::diagnostics::{Ends, Errors};
use crate::{docs, names, trigger};

/// What is to stand below the attribute.
const SHAPE: &str = "`#[iii::service]` belongs on a module with its content: `mod orders { … }`";

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = ServiceOptions::parse(options, Ends::at(Span::call_site()), &mut errors);
    let module = match Module::parse(tokens.clone()) {
        Ok(module) => module,
        Err(place) => {
            errors.between(place.unwrap_or_else(|| Ends::of(tokens)), SHAPE);
            let errors = errors.into_tokens();
            return quote!(#tokens #errors);
        }
    };
    let id = options
        .id
        .clone()
        .unwrap_or_else(|| LitStr::new(&module.name.unraw().to_string(), module.name.span()));
    if !options.has_bad_id
        && let Err(message) = crate::function::check_service_id(&id.value())
    {
        errors.on(&id, message);
    }
    if let Some(Parent::Id(parent)) = &options.parent
        && parent.value() == id.value()
    {
        errors.on(parent, "a service cannot be its own parent");
    }
    let inside = Inside {
        prefix: &id.value(),
        krate: options.krate.as_ref(),
        intercept: options.intercept.as_ref(),
    };
    let content = inside.rewrite(module.content.stream(), &mut errors);
    let item = module.with(&content, &id);
    let declaration = errors.is_empty().then(|| declare(&module, &id, &options));
    let errors = errors.into_tokens();
    quote!(#item #declaration #errors)
}

/// A module, whose content stays tokens: what is wrong in it, the compiler tells.
struct Module {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    word: Token![mod],
    name: Ident,
    content: Group,
}

impl Module {
    /// Reads a module. The error is the place at fault, if it is not the whole item.
    fn parse(tokens: TokenStream) -> Result<Self, Option<Ends>> {
        let mut place = None;
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let visibility = input.parse()?;
            let word: Token![mod] = input.parse()?;
            let name: Ident = input.call(Ident::parse_any)?;
            place = Some(Ends { first: word.span, last: name.span() });
            if !input.peek(token::Brace) {
                return Err(input.error("a module with its content"));
            }
            let content = input.parse()?;
            Ok(Self { attributes, visibility, word, name, content })
        };
        parser.parse2(tokens).map_err(|_| place)
    }

    fn cfgs(&self) -> Vec<&Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
    }

    /// The module with another content, and with what others ask it for: its id and its path.
    fn with(&self, content: &TokenStream, id: &LitStr) -> TokenStream {
        let Self { attributes, visibility, word, name, .. } = self;
        // At the end: attributes of the module itself stand first.
        let mut content = content.clone();
        content.extend(quote! {
            #[doc(hidden)]
            #[allow(dead_code, unreachable_pub)]
            pub const __III_SERVICE: (
                &'static ::core::primitive::str,
                &'static ::core::primitive::str,
            ) = (#id, ::core::module_path!());
        });
        let mut content = Group::new(proc_macro2::Delimiter::Brace, content);
        content.set_span(self.content.span());
        quote!(#(#attributes)* #visibility #word #name #content)
    }

    /// The text of the comments above the module, or at its beginning.
    fn doc(&self) -> Option<String> {
        docs::text(&self.attributes).or_else(|| {
            let parser = |input: ParseStream<'_>| {
                let attributes = input.call(Attribute::parse_inner)?;
                let _: TokenStream = input.parse()?;
                Ok(attributes)
            };
            docs::text(&parser.parse2(self.content.stream()).ok()?)
        })
    }
}

/// The declaration of a service, beside its module.
fn declare(module: &Module, id: &LitStr, options: &ServiceOptions) -> TokenStream {
    let cfgs = module.cfgs();
    let import = names::import(options.krate.as_ref());
    let name = &module.name;
    let description = match &options.description {
        Some(text) => Some(text.value().trim().to_owned()).filter(|text| !text.is_empty()),
        None => module.doc(),
    };
    let description = option(description);
    let shown = option(options.name.as_ref());
    let parent = option(options.parent.as_ref().map(|parent| match parent {
        Parent::Id(id) => id.to_token_stream(),
        Parent::Module(path) => {
            // A module that is no service is reported at its path.
            let Ends { first, last } = Ends::of(path);
            let separator = quote_spanned!(first=> ::);
            let constant = quote_spanned!(last=> __III_SERVICE);
            quote!(#path #separator #constant.0)
        }
    }));
    let location = trigger::location(name.span());
    quote! {
        #(#cfgs)*
        #[allow(unused_qualifications)]
        const _: () = {
            #import
            static __III_DESCRIPTOR: __iii::ServiceDescriptor = __iii::ServiceDescriptor {
                id: #id,
                name: #shown,
                description: #description,
                parent: #parent,
                module: #name::__III_SERVICE.1,
                location: #location,
            };
            __iii::inventory::submit! { __iii::ServiceDeclaration(&__III_DESCRIPTOR) }
        };
    }
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        super::expand(options, &item).to_string()
    }

    #[test]
    fn a_module_stays_and_is_declared() {
        let all = expanded(
            quote!(id = "orders", name = "Orders", parent = shop),
            quote! {
                /// Orders of the shop.
                #[cfg(unix)]
                pub(crate) mod orders {
                    #![allow(unused)]
                    #[iii::function(id = "create")]
                    pub async fn create(order: NewOrder) -> Order { half typed . }
                    struct Untouched;
                }
            },
        );
        assert!(!all.contains("compile_error"), "{all}");
        for part in [
            "pub (crate) mod orders { # ! [allow (unused)]",
            "# [iii :: function (id = \"orders::create\")] pub async fn create (order : NewOrder)",
            "half typed .",
            "struct Untouched ;",
            "name : :: core :: option :: Option :: Some (\"Orders\")",
            "Some (\"Orders of the shop.\")",
            "shop :: __III_SERVICE . 0",
            "module : orders :: __III_SERVICE . 1",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert_eq!(all.matches("cfg (unix)").count(), 2, "{all}");
    }

    #[test]
    fn the_name_of_the_module_is_an_id() {
        let all = expanded(
            quote!(),
            quote!(
                mod r#type {
                    //! Types.
                    #[function]
                    fn all() {}
                }
            ),
        );
        assert!(!all.contains("compile_error"), "{all}");
        assert!(all.contains("id : \"type\""), "{all}");
        assert!(all.contains("\"type::all\""), "{all}");
    }

    #[test]
    fn a_comment_inside_describes_it() {
        let item: TokenStream = "mod orders { //! Orders.\n struct A; }".parse().unwrap();
        let all = expanded(quote!(), item);
        assert!(all.contains("Some (\"Orders.\")"), "{all}");
    }

    #[test]
    fn each_mistake_is_told_once_and_nothing_vanishes() {
        for (options, item, message) in [
            (
                quote!(),
                quote!(
                    mod orders;
                ),
                "with its content",
            ),
            (
                quote!(),
                quote!(
                    struct Orders;
                ),
                "with its content",
            ),
            (
                quote!(id = "a b"),
                quote!(
                    mod orders {}
                ),
                "` `",
            ),
            (
                quote!(id = ""),
                quote!(
                    mod orders {}
                ),
                "empty",
            ),
            (
                quote!(id = "engine"),
                quote!(
                    mod orders {}
                ),
                "reserved",
            ),
            (
                quote!(id = "a/b"),
                quote!(
                    mod orders {}
                ),
                "`a::b`",
            ),
            (
                quote!(id = ORDERS),
                quote!(
                    mod orders {}
                ),
                "text",
            ),
            (
                quote!(id = "a", parent = "a"),
                quote!(
                    mod orders {}
                ),
                "its own parent",
            ),
            (
                quote!(parent = 7),
                quote!(
                    mod orders {}
                ),
                "`parent`",
            ),
            (
                quote!(intercept = audit),
                quote!(
                    mod orders {}
                ),
                "`intercept`",
            ),
            (
                quote!(nam = "Orders"),
                quote!(
                    mod orders {}
                ),
                "did you mean `name`",
            ),
            (
                quote!(),
                quote!(
                    mod engine {}
                ),
                "reserved",
            ),
        ] {
            let all = expanded(options, item);
            assert_eq!(all.matches("compile_error").count(), 1, "{all}");
            assert!(all.contains(message), "{message}: {all}");
            assert!(all.contains("mod ") || all.contains("struct Orders"), "{all}");
        }
    }

    #[test]
    fn another_path_of_the_runtime_holds_for_all_that_is_inside() {
        let all = expanded(
            quote!(crate = other),
            quote! {
                mod orders {
                    #[other::function]
                    fn a() {}
                    #[other::function(crate = third)]
                    fn b() {}
                    #[other::service]
                    mod items {}
                }
            },
        );
        assert!(!all.contains(":: iii ::"), "{all}");
        assert_eq!(all.matches("crate = other").count(), 2, "{all}");
        assert_eq!(all.matches("crate = third").count(), 1, "{all}");
    }
}
