//! The content of a service's module: finds and rewrites the attributes that declare functions and inner services.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::{ExprArray, Path};

use super::rewrite::split_at_commas;
use crate::diagnostics::Errors;

/// What a service adds to the declarations in its module.
pub(super) struct ServiceScope<'a> {
    /// The id of the service: the prefix of the ids inside.
    pub(super) id: &'a str,
    /// The path of the runtime, for attributes without the option `crate`.
    pub(super) krate: Option<&'a Path>,
    /// The interceptors of each function.
    pub(super) intercept: Option<&'a ExprArray>,
}

/// What an attribute declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum DeclarationKind {
    Function,
    HttpFunction,
    Service,
}

impl DeclarationKind {
    fn of_attribute(name: &Ident) -> Option<Self> {
        match name.to_string().as_str() {
            "function" => Some(Self::Function),
            "http_function" => Some(Self::HttpFunction),
            "service" => Some(Self::Service),
            _ => None,
        }
    }
}

/// The tokens between the brackets of an attribute, and what it declares.
struct RewrittenAttribute {
    tokens: TokenStream,
    declares: Option<DeclarationKind>,
}

impl ServiceScope<'_> {
    /// Rewrites the attributes of functions and of inner services.
    ///
    /// Modules that are not a service belong to this one. All other tokens stay as they are, so that the compiler reports
    /// errors in the user's code, which may be incomplete.
    pub(super) fn rewrite(&self, items: TokenStream, errors: &mut Errors) -> TokenStream {
        let trees: Vec<TokenTree> = items.into_iter().collect();
        let mut output = TokenStream::new();
        let mut is_service = false;
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            at += 1;
            match (tree, trees.get(at)) {
                (TokenTree::Punct(mark), Some(TokenTree::Group(group)))
                    if mark.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
                {
                    at += 1;
                    let item = item_name(&trees[at..]);
                    let attribute = self.rewrite_attribute(group.stream(), item, errors);
                    is_service |= attribute.declares == Some(DeclarationKind::Service);
                    tree.to_tokens(&mut output);
                    spanned_group(Delimiter::Bracket, attribute.tokens, group.span())
                        .to_tokens(&mut output);
                }
                (TokenTree::Ident(word), Some(TokenTree::Ident(_))) if word == "mod" => {
                    tree.to_tokens(&mut output);
                    trees[at].to_tokens(&mut output);
                    at += 1;
                    if let Some(TokenTree::Group(content)) = trees.get(at)
                        && content.delimiter() == Delimiter::Brace
                    {
                        at += 1;
                        // An inner service rewrites its own content.
                        let stream = match std::mem::take(&mut is_service) {
                            true => content.stream(),
                            false => self.rewrite(content.stream(), errors),
                        };
                        spanned_group(Delimiter::Brace, stream, content.span())
                            .to_tokens(&mut output);
                    }
                }
                _ => {
                    if ends_item(tree) {
                        is_service = false;
                    }
                    tree.to_tokens(&mut output);
                }
            }
        }
        output
    }

    /// Rewrites the tokens between the brackets of an attribute of the item `item`.
    fn rewrite_attribute(
        &self,
        tokens: TokenStream,
        item: Option<&Ident>,
        errors: &mut Errors,
    ) -> RewrittenAttribute {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let unchanged = RewrittenAttribute { tokens, declares: None };
        let length = trees.iter().take_while(|tree| is_path_token(tree)).count();
        let (path, rest) = trees.split_at(length);
        let Some(TokenTree::Ident(name)) = path.last() else { return unchanged };
        let list = match rest {
            [] => None,
            [TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => Some(list),
            // Invalid: the attribute itself reports it.
            _ => return unchanged,
        };
        if path.len() == 1
            && name == "cfg_attr"
            && let Some(list) = list
        {
            return self.rewrite_cfg_attr(name, list, item, errors);
        }
        let Some(kind) = DeclarationKind::of_attribute(name) else { return unchanged };
        let options = list.map(Group::stream).unwrap_or_default();
        let options = self.rewrite_options(options, kind, item, errors);
        let span = list.map_or_else(|| name.span(), Group::span);
        let list = spanned_group(Delimiter::Parenthesis, options, span);
        RewrittenAttribute { tokens: quote!(#(#path)* #list), declares: Some(kind) }
    }

    /// Rewrites `cfg_attr(condition, attribute, …)`.
    fn rewrite_cfg_attr(
        &self,
        name: &Ident,
        list: &Group,
        item: Option<&Ident>,
        errors: &mut Errors,
    ) -> RewrittenAttribute {
        let mut declares = None;
        let mut parts = split_at_commas(list.stream()).into_iter();
        let condition: TokenStream = parts.next().unwrap_or_default().into_iter().collect();
        let attributes = parts.map(|part| {
            let attribute = self.rewrite_attribute(part.into_iter().collect(), item, errors);
            declares = declares.or(attribute.declares);
            attribute.tokens
        });
        let content = quote!(#condition #(, #attributes)*);
        let list = spanned_group(Delimiter::Parenthesis, content, list.span());
        RewrittenAttribute { tokens: quote!(#name #list), declares }
    }
}

/// Returns the name of the function or the module that begins here, after its other attributes.
fn item_name(trees: &[TokenTree]) -> Option<&Ident> {
    let mut trees = trees.iter();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(word) if word == "fn" || word == "mod" => {
                return match trees.next() {
                    Some(TokenTree::Ident(name)) => Some(name),
                    _ => None,
                };
            }
            tree if ends_item(tree) => return None,
            _ => {}
        }
    }
    None
}

/// Returns whether a token tree ends an item.
fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    }
}

fn is_path_token(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(mark) => mark.as_char() == ':',
        _ => false,
    }
}

/// Creates a group with a span.
pub(super) fn spanned_group(delimiter: Delimiter, tokens: TokenStream, span: Span) -> Group {
    let mut group = Group::new(delimiter, tokens);
    group.set_span(span);
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn rewritten(intercept: Option<&ExprArray>, items: TokenStream) -> (String, Vec<String>) {
        let mut errors = Errors::default();
        let scope = ServiceScope { id: "orders", krate: None, intercept };
        let all = scope.rewrite(items, &mut errors).to_string();
        (all, errors.messages())
    }

    fn assert_rewritten(items: TokenStream, expected: TokenStream) {
        let (all, messages) = rewritten(None, items);
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(all, expected.to_string());
    }

    #[test]
    fn ids_get_the_prefix_for_any_path_of_the_attribute() {
        assert_rewritten(
            quote! {
                #[function]
                fn a() {}
                #[iii::function()]
                #[iii::trigger(http, path = "/b", method = "GET")]
                pub(crate) async fn r#type() {}
                #[::iii::function(timeout = "1s", id = "see", metadata = f(1, 2),)]
                fn c() {}
                #[iii::trigger(cron, "0 0 9 * * *")]
                #[iii::function(id = "items::d")]
                fn d() {}
                #[http_function(url = "https://a.test")]
                async fn e(x: X) -> Y;
            },
            quote! {
                #[function(id = "orders::a")]
                fn a() {}
                #[iii::function(id = "orders::type")]
                #[iii::trigger(http, path = "/b", method = "GET")]
                pub(crate) async fn r#type() {}
                #[::iii::function(timeout = "1s", id = "orders::see", metadata = f(1, 2))]
                fn c() {}
                #[iii::trigger(cron, "0 0 9 * * *")]
                #[iii::function(id = "orders::items::d")]
                fn d() {}
                #[http_function(url = "https://a.test", id = "orders::e")]
                async fn e(x: X) -> Y;
            },
        );
    }

    #[test]
    fn other_items_are_unchanged() {
        let items = quote! {
            #![allow(dead_code)]
            use iii::prelude::*;
            #[derive(Debug)]
            #[function_like = "x"]
            struct Function { #[function] field: u8 }
            #[iii::stream(name = "id")]
            impl A { #[function(id = "b")] fn f() {} }
            macro_rules! m { () => { #[iii::function(id = "a")] fn f() {} }; }
            fn g() { #[iii::function(id = "a::b")] fn f() {} }
            broken < code . =
        };
        assert_rewritten(items.clone(), items);
    }

    #[test]
    fn modules_belong_to_the_service_unless_they_are_one() {
        assert_rewritten(
            quote! {
                mod plain { #[function] fn a() {} }
                #[iii::service(id = "items")]
                pub mod items { #[function] fn a() {} }
                #[cfg(unix)]
                #[service]
                mod parts { #[function] fn a() {} }
                #[service(parent = "shop")]
                mod others {}
                mod again { #[function] fn a() {} }
            },
            quote! {
                mod plain { #[function(id = "orders::a")] fn a() {} }
                #[iii::service(id = "orders::items", parent = "orders")]
                pub mod items { #[function] fn a() {} }
                #[cfg(unix)]
                #[service(id = "orders::parts", parent = "orders")]
                mod parts { #[function] fn a() {} }
                #[service(parent = "shop", id = "orders::others")]
                mod others {}
                mod again { #[function(id = "orders::a")] fn a() {} }
            },
        );
    }

    #[test]
    fn conditional_attributes_are_rewritten() {
        assert_rewritten(
            quote! {
                #[cfg_attr(unix, inline, iii::function(id = "a"))]
                fn a() {}
            },
            quote! {
                #[cfg_attr(unix, inline, iii::function(id = "orders::a"))]
                fn a() {}
            },
        );
    }

    #[test]
    fn interceptors_of_the_service_come_first() {
        let all: ExprArray = parse_quote!([crate::audit, limit(3)]);
        let (text, messages) = rewritten(
            Some(&all),
            quote! {
                #[function(id = "a")]
                fn a() {}
                #[function(intercept = [own], id = "b")]
                fn b() {}
                #[function(id = "c", intercept = [])]
                fn c() {}
                #[http_function(id = "d")]
                fn d();
                #[service(id = "e")]
                mod e {}
            },
        );
        assert!(messages.is_empty());
        let expected = quote! {
            #[function(id = "orders::a", intercept = [crate::audit, limit(3)])]
            fn a() {}
            #[function(intercept = [crate::audit, limit(3), own], id = "orders::b")]
            fn b() {}
            #[function(id = "orders::c", intercept = [crate::audit, limit(3)])]
            fn c() {}
            #[http_function(id = "orders::d")]
            fn d();
            #[service(id = "orders::e", parent = "orders", intercept = [crate::audit, limit(3)])]
            mod e {}
        };
        assert_eq!(text, expected.to_string());
    }

    #[test]
    fn ids_must_be_strings_without_the_prefix() {
        let (_, messages) = rewritten(
            None,
            quote! {
                #[function(id = "orders::create")]
                fn a() {}
                #[function(id = IDS)]
                fn b() {}
                #[function(id = 7)]
                fn c() {}
                #[function(id)]
                fn d() {}
                #[function(id = "ordersx::y")]
                fn e() {}
            },
        );
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("write `id = \"create\"`"), "{messages:?}");
        assert!(messages[1].contains("expected a string"), "{messages:?}");
    }
}
