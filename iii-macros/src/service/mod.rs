//! `#[iii::service(id = "…")]`: a module whose functions share an id prefix, and the declaration of the service.

mod options;
mod rewrite;
mod scope;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, LitStr, Token, Visibility, token};

use self::options::{ParentService, ServiceOptions};
use self::scope::ServiceScope;
use crate::attributes::{cfgs, found_item};
use crate::diagnostics::{Errors, SpanRange};
use crate::function::check_service_id;
use crate::{docs, names, tokens};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = ServiceOptions::parse(options, SpanRange::at(Span::call_site()), &mut errors);
    let module = match ServiceModule::parse(tokens.clone()) {
        Ok(module) => module,
        Err(span) => {
            let found = found_item(tokens, &["mod"]);
            let message =
                format!("expected a module with a body{found}\nhelp: write `mod orders {{ … }}`");
            errors.at_range(span.unwrap_or_else(|| SpanRange::of(tokens)), message);
            let errors = errors.into_tokens();
            return quote!(#tokens #errors);
        }
    };
    let id = options
        .id
        .clone()
        .unwrap_or_else(|| LitStr::new(&module.name.unraw().to_string(), module.name.span()));
    if !options.has_invalid_id
        && let Err(message) = check_service_id(&id.value())
    {
        errors.on(&id, message);
    }
    if let Some(ParentService::Id(parent)) = &options.parent
        && parent.value() == id.value()
    {
        errors.on(parent, "a service cannot be its own parent\nhelp: write another id");
    }
    let scope = ServiceScope {
        id: &id.value(),
        krate: options.krate.as_ref(),
        intercept: options.intercept.as_ref(),
    };
    let content = scope.rewrite(module.content.stream(), &mut errors);
    let item = module.with_content(&content, &id);
    let declaration = errors.is_empty().then(|| declare(&module, &id, &options));
    let errors = errors.into_tokens();
    quote!(#item #declaration #errors)
}

/// A module. Its content stays tokens: the compiler reports errors in it.
struct ServiceModule {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    mod_token: Token![mod],
    name: Ident,
    content: Group,
}

impl ServiceModule {
    /// Parses a module. The error is the span to report, if it is not that of the whole item.
    fn parse(tokens: TokenStream) -> Result<Self, Option<SpanRange>> {
        let mut span = None;
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let visibility = input.parse()?;
            let mod_token: Token![mod] = input.parse()?;
            let name: Ident = input.call(Ident::parse_any)?;
            span = Some(SpanRange { first: mod_token.span, last: name.span() });
            if !input.peek(token::Brace) {
                return Err(input.error("expected a body"));
            }
            let content = input.parse()?;
            Ok(Self { attributes, visibility, mod_token, name, content })
        };
        parser.parse2(tokens).map_err(|_| span)
    }

    /// Emits the module with `content`, and with the constant that inner and outer services refer to.
    fn with_content(&self, content: &TokenStream, id: &LitStr) -> TokenStream {
        let Self { attributes, visibility, mod_token, name, .. } = self;
        // At the end: inner attributes of the module must come first.
        let mut content = content.clone();
        content.extend(quote! {
            #[doc(hidden)]
            #[allow(dead_code, unreachable_pub)]
            pub const __III_SERVICE: (
                &'static ::core::primitive::str,
                &'static ::core::primitive::str,
            ) = (#id, ::core::module_path!());
        });
        let mut content = Group::new(Delimiter::Brace, content);
        content.set_span(self.content.span());
        quote!(#(#attributes)* #visibility #mod_token #name #content)
    }

    /// Returns the outer doc comment of the module, else the inner one.
    fn doc_comment(&self) -> Option<String> {
        docs::comment(&self.attributes).or_else(|| {
            let parser = |input: ParseStream<'_>| {
                let attributes = input.call(Attribute::parse_inner)?;
                let _: TokenStream = input.parse()?;
                Ok(attributes)
            };
            docs::comment(&parser.parse2(self.content.stream()).ok()?)
        })
    }
}

/// Emits the declaration of a service, beside its module.
fn declare(module: &ServiceModule, id: &LitStr, options: &ServiceOptions) -> TokenStream {
    let cfgs = cfgs(&module.attributes);
    let import = names::import_runtime(options.krate.as_ref());
    let name = &module.name;
    let description = docs::description(options.description.as_ref(), || module.doc_comment());
    let description = tokens::option(description);
    let display_name = tokens::option(options.name.as_ref());
    let parent = tokens::option(options.parent.as_ref().map(|parent| match parent {
        ParentService::Id(id) => id.to_token_stream(),
        ParentService::Module(path) => {
            // A module that is no service is reported at its path.
            let SpanRange { first, last } = SpanRange::of(path);
            let separator = quote_spanned!(first=> ::);
            let constant = quote_spanned!(last=> __III_SERVICE);
            quote!(#path #separator #constant.0)
        }
    }));
    let location = tokens::location(name.span());
    quote! {
        #(#cfgs)*
        #[allow(unused_qualifications)]
        const _: () = {
            #import
            static __III_DESCRIPTOR: __iii::ServiceDescriptor = __iii::ServiceDescriptor {
                id: #id,
                name: #display_name,
                description: #description,
                parent: #parent,
                module: #name::__III_SERVICE.1,
                location: #location,
            };
            __iii::inventory::submit! { __iii::ServiceDeclaration(&__III_DESCRIPTOR) }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        super::expand(options, &item).to_string()
    }

    #[test]
    fn module_is_kept_and_declared() {
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
    fn module_name_is_the_default_id() {
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
    fn inner_comment_is_the_description() {
        let item: TokenStream = "mod orders { //! Orders.\n struct A; }".parse().unwrap();
        let all = expanded(quote!(), item);
        assert!(all.contains("Some (\"Orders.\")"), "{all}");
    }

    #[test]
    fn each_error_is_reported_once_and_keeps_the_item() {
        for (options, item, message) in [
            (
                quote!(),
                quote!(
                    mod orders;
                ),
                "with a body",
            ),
            (
                quote!(),
                quote!(
                    struct Orders;
                ),
                "with a body",
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
                "a string",
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
    fn crate_option_applies_to_everything_inside() {
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
