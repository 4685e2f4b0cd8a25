//! The attributes inside of a service: each function gets the prefix of the service, and what holds for all of them.
//!
//! Only the tokens of these attributes change. All others stay as they are, so that the compiler shows mistakes in the
//! user's code, also in code that is half typed.

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::{ExprArray, LitStr, Path};

use crate::diagnostics::Errors;

/// What holds inside of a service.
pub(super) struct Inside<'a> {
    /// The id of the service.
    pub(super) prefix: &'a str,
    /// The path of the runtime, for attributes that do not say it.
    pub(super) krate: Option<&'a Path>,
    /// What runs around each function.
    pub(super) intercept: Option<&'a ExprArray>,
}

/// Attributes that declare something with an id.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Declares {
    Function,
    HttpFunction,
    Service,
}

impl Declares {
    fn named(word: &Ident) -> Option<Self> {
        match word.to_string().as_str() {
            "function" => Some(Self::Function),
            "http_function" => Some(Self::HttpFunction),
            "service" => Some(Self::Service),
            _ => None,
        }
    }
}

impl Inside<'_> {
    /// The items of a module, with the attributes of functions and of inner services changed.
    ///
    /// Modules without a service of their own are part of this one.
    pub(super) fn rewrite(&self, items: TokenStream, errors: &mut Errors) -> TokenStream {
        let trees: Vec<TokenTree> = items.into_iter().collect();
        let mut written = TokenStream::new();
        let mut is_service = false;
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            at += 1;
            match (tree, trees.get(at)) {
                (TokenTree::Punct(mark), Some(TokenTree::Group(group)))
                    if mark.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
                {
                    at += 1;
                    let found = self.attribute(group.stream(), name_of(&trees[at..]), errors);
                    is_service |= found.declares == Some(Declares::Service);
                    tree.to_tokens(&mut written);
                    with_span(Delimiter::Bracket, found.tokens, group.span())
                        .to_tokens(&mut written);
                }
                (TokenTree::Ident(word), Some(TokenTree::Ident(_))) if word == "mod" => {
                    tree.to_tokens(&mut written);
                    trees[at].to_tokens(&mut written);
                    at += 1;
                    if let Some(TokenTree::Group(content)) = trees.get(at)
                        && content.delimiter() == Delimiter::Brace
                    {
                        at += 1;
                        // An inner service does this itself, with its own prefix.
                        let stream = match std::mem::take(&mut is_service) {
                            true => content.stream(),
                            false => self.rewrite(content.stream(), errors),
                        };
                        with_span(Delimiter::Brace, stream, content.span()).to_tokens(&mut written);
                    }
                }
                _ => {
                    if ends_item(tree) {
                        is_service = false;
                    }
                    tree.to_tokens(&mut written);
                }
            }
        }
        written
    }

    /// What stands between the brackets of an attribute, for an item of this name.
    fn attribute(
        &self,
        tokens: TokenStream,
        name: Option<&Ident>,
        errors: &mut Errors,
    ) -> Rewritten {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let unchanged = Rewritten { tokens, declares: None };
        let length = trees.iter().take_while(|tree| is_of_path(tree)).count();
        let (path, rest) = trees.split_at(length);
        let Some(TokenTree::Ident(last)) = path.last() else { return unchanged };
        let list = match rest {
            [] => None,
            [TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => Some(list),
            // The attribute itself says what is wrong.
            _ => return unchanged,
        };
        if path.len() == 1
            && last == "cfg_attr"
            && let Some(list) = list
        {
            return self.conditional(last, list, name, errors);
        }
        let Some(declares) = Declares::named(last) else { return unchanged };
        let given = list.map(Group::stream).unwrap_or_default();
        let options = self.options(given, declares, name, errors);
        let span = list.map_or_else(|| last.span(), Group::span);
        let list = with_span(Delimiter::Parenthesis, options, span);
        Rewritten { tokens: quote!(#(#path)* #list), declares: Some(declares) }
    }

    /// `cfg_attr(condition, attribute, …)`.
    fn conditional(
        &self,
        word: &Ident,
        list: &Group,
        name: Option<&Ident>,
        errors: &mut Errors,
    ) -> Rewritten {
        let mut declares = None;
        let mut parts = parts(list.stream()).into_iter();
        let condition: TokenStream = parts.next().unwrap_or_default().into_iter().collect();
        let attributes = parts.map(|part| {
            let found = self.attribute(part.into_iter().collect(), name, errors);
            declares = declares.or(found.declares);
            found.tokens
        });
        let content = quote!(#condition #(, #attributes)*);
        let list = with_span(Delimiter::Parenthesis, content, list.span());
        Rewritten { tokens: quote!(#word #list), declares }
    }

    /// The options of an attribute, with the id in full and with what the service adds.
    fn options(
        &self,
        given: TokenStream,
        declares: Declares,
        name: Option<&Ident>,
        errors: &mut Errors,
    ) -> TokenStream {
        let mut parts = parts(given);
        let is = |part: &Vec<TokenTree>, name: &str| matches!(part.first(), Some(TokenTree::Ident(word)) if word == name);
        match parts.iter_mut().find(|part| is(part, "id")) {
            Some(part) => self.prefix(part, name, errors),
            None => {
                if let Some(name) = name {
                    let id = LitStr::new(&self.joined(&name.unraw().to_string()), name.span());
                    parts.push(quote!(id = #id).into_iter().collect());
                }
            }
        }
        if declares == Declares::Service && !parts.iter().any(|part| is(part, "parent")) {
            let parent = self.prefix;
            parts.push(quote!(parent = #parent).into_iter().collect());
        }
        // An endpoint is called by the engine: nothing runs around it here.
        if let Some(all) = self.intercept
            && declares != Declares::HttpFunction
        {
            match parts.iter_mut().find(|part| is(part, "intercept")) {
                Some(part) => put_before(all, part),
                None => parts.push(quote!(intercept = #all).into_iter().collect()),
            }
        }
        if let Some(krate) = self.krate
            && !parts.iter().any(|part| is(part, "crate"))
        {
            parts.push(quote!(crate = #krate).into_iter().collect());
        }
        let parts = parts.into_iter().map(TokenStream::from_iter);
        quote!(#(#parts),*)
    }

    /// Puts the prefix in front of the id in `id = "…"`.
    fn prefix(&self, part: &mut Vec<TokenTree>, name: Option<&Ident>, errors: &mut Errors) {
        let value: TokenStream = part.iter().skip(2).cloned().collect();
        if !matches!(part.get(1), Some(TokenTree::Punct(mark)) if mark.as_char() == '=')
            || value.is_empty()
        {
            return;
        }
        let Ok(value) = syn::parse2::<syn::Expr>(value) else { return };
        let Some(literal) = crate::options::literal(&value) else {
            if matches!(value, syn::Expr::Path(_)) {
                let prefix = self.prefix;
                errors.on(
                    &value,
                    format!(
                        "inside of a service an id is a text in quotes, since `{prefix}::` comes in front of it"
                    ),
                );
                // The rest of the function is checked as if it had no id of its own.
                if let Some(name) = name {
                    let id = LitStr::new(&self.joined(&name.unraw().to_string()), name.span());
                    part.truncate(2);
                    part.extend(id.to_token_stream());
                }
            }
            return;
        };
        let text = literal.value();
        if text.is_empty() {
            return;
        }
        if let Some(rest) = text.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix("::"))
        {
            let prefix = self.prefix;
            errors.on(
                &literal,
                format!("`{prefix}::` comes from the service: write `id = \"{rest}\"`"),
            );
            return;
        }
        let id = LitStr::new(&self.joined(&text), literal.span());
        part.truncate(2);
        part.extend(id.to_token_stream());
    }

    fn joined(&self, name: &str) -> String {
        format!("{}::{name}", self.prefix)
    }
}

/// An attribute, and what it declares.
struct Rewritten {
    tokens: TokenStream,
    declares: Option<Declares>,
}

/// Puts the elements of `all` in front of those in `intercept = […]`. What is no list is refused where it is read.
fn put_before(all: &ExprArray, part: &mut [TokenTree]) {
    if let [_, _, TokenTree::Group(list)] = part
        && list.delimiter() == Delimiter::Bracket
    {
        let first = &all.elems;
        let rest = list.stream();
        let comma = (!first.is_empty() && !first.trailing_punct() && !rest.is_empty())
            .then(|| Punct::new(',', Spacing::Alone));
        *list = with_span(Delimiter::Bracket, quote!(#first #comma #rest), list.span());
    }
}

/// The options between commas; an empty one, as behind the last comma, is left out.
fn parts(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    for tree in tokens {
        match tree {
            TokenTree::Punct(mark) if mark.as_char() == ',' => parts.push(Vec::new()),
            tree => parts.last_mut().expect("there is one from the start").push(tree),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The name of the item that begins here, behind its other attributes: that of a function or a module.
fn name_of(trees: &[TokenTree]) -> Option<&Ident> {
    let mut trees = trees.iter().peekable();
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

/// Whether an item ends with this.
fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    }
}

fn is_of_path(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(mark) => mark.as_char() == ':',
        _ => false,
    }
}

fn with_span(delimiter: Delimiter, tokens: TokenStream, span: Span) -> Group {
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
        let inside = Inside { prefix: "orders", krate: None, intercept };
        let all = inside.rewrite(items, &mut errors).to_string();
        (all, errors.messages())
    }

    fn same(given: TokenStream, wanted: TokenStream) {
        let (all, messages) = rewritten(None, given);
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(all, wanted.to_string());
    }

    #[test]
    fn ids_get_the_prefix_under_any_path_of_the_attribute() {
        same(
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
    fn what_declares_nothing_stays_as_it_is() {
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
        same(items.clone(), items);
    }

    #[test]
    fn modules_belong_to_the_service_unless_they_are_one() {
        same(
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
    fn conditional_attributes_are_seen() {
        same(
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
        let wanted = quote! {
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
        assert_eq!(text, wanted.to_string());
    }

    #[test]
    fn an_id_is_relative() {
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
        assert!(messages[1].contains("in quotes"), "{messages:?}");
    }
}
