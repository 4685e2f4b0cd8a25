//! The options of declarations inside a service: the id gets the prefix, and the other options get their defaults.

use proc_macro2::{Delimiter, Ident, Punct, Spacing, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::{Expr, ExprArray, LitStr};

use super::scope::{DeclarationKind, ServiceScope, spanned_group};
use crate::diagnostics::Errors;
use crate::options::{found, literal};

/// The tokens of one option.
type OptionTokens = Vec<TokenTree>;

impl ServiceScope<'_> {
    /// Rewrites the options of an attribute of the item `item`.
    pub(super) fn rewrite_options(
        &self,
        options: TokenStream,
        kind: DeclarationKind,
        item: Option<&Ident>,
        errors: &mut Errors,
    ) -> TokenStream {
        let mut options = split_at_commas(options);
        match options.iter_mut().find(|option| is_named(option, "id")) {
            Some(option) => self.prefix_id(option, item, errors),
            None => {
                if let Some(item) = item {
                    let id = self.default_id(item);
                    options.push(quote!(id = #id).into_iter().collect());
                }
            }
        }
        if kind == DeclarationKind::Service
            && !options.iter().any(|option| is_named(option, "parent"))
        {
            let parent = self.id;
            options.push(quote!(parent = #parent).into_iter().collect());
        }
        // The engine calls an endpoint itself, so no interceptor runs.
        if let Some(all) = self.intercept
            && kind != DeclarationKind::HttpFunction
        {
            match options.iter_mut().find(|option| is_named(option, "intercept")) {
                Some(option) => prepend_elements(all, option),
                None => options.push(quote!(intercept = #all).into_iter().collect()),
            }
        }
        if let Some(krate) = self.krate
            && !options.iter().any(|option| is_named(option, "crate"))
        {
            options.push(quote!(crate = #krate).into_iter().collect());
        }
        let options = options.into_iter().map(TokenStream::from_iter);
        quote!(#(#options),*)
    }

    /// Adds the prefix to the id in `id = "…"`. Any other value but a path is reported by the attribute itself.
    fn prefix_id(&self, option: &mut OptionTokens, item: Option<&Ident>, errors: &mut Errors) {
        let value: TokenStream = option.iter().skip(2).cloned().collect();
        if !matches!(option.get(1), Some(TokenTree::Punct(mark)) if mark.as_char() == '=')
            || value.is_empty()
        {
            return;
        }
        let Ok(value) = syn::parse2::<Expr>(value) else { return };
        let prefix = self.id;
        let Some(literal) = literal(&value) else {
            if matches!(value, Expr::Path(_)) {
                let message = format!(
                    "expected a string for `id` inside a service, found {}\n\
                     help: write the id without the prefix `{prefix}::`, which the service adds",
                    found(&value)
                );
                errors.on(&value, message);
                // The rest of the function is checked with its default id.
                if let Some(item) = item {
                    option.truncate(2);
                    option.extend(self.default_id(item).to_token_stream());
                }
            }
            return;
        };
        let text = literal.value();
        if text.is_empty() {
            return;
        }
        if let Some(rest) = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("::")) {
            let message = format!(
                "the id repeats the prefix `{prefix}::`, which the service adds\n\
                 help: write `id = \"{rest}\"`"
            );
            errors.on(&literal, message);
            return;
        }
        let id = LitStr::new(&format!("{prefix}::{text}"), literal.span());
        option.truncate(2);
        option.extend(id.to_token_stream());
    }

    /// Returns the id of an item without the option `id`: the prefix and the name.
    fn default_id(&self, item: &Ident) -> LitStr {
        LitStr::new(&format!("{}::{}", self.id, item.unraw()), item.span())
    }
}

fn is_named(option: &[TokenTree], name: &str) -> bool {
    matches!(option.first(), Some(TokenTree::Ident(word)) if word == name)
}

/// Inserts the elements of `all` at the start of the array in `intercept = […]`. The attribute itself reports a value that
/// is no array.
fn prepend_elements(all: &ExprArray, option: &mut [TokenTree]) {
    if let [_, _, TokenTree::Group(list)] = option
        && list.delimiter() == Delimiter::Bracket
    {
        let first = &all.elems;
        let rest = list.stream();
        let comma = (!first.is_empty() && !first.trailing_punct() && !rest.is_empty())
            .then(|| Punct::new(',', Spacing::Alone));
        *list = spanned_group(Delimiter::Bracket, quote!(#first #comma #rest), list.span());
    }
}

/// Splits tokens at the commas. Empty parts, as that behind a trailing comma, are left out.
pub(super) fn split_at_commas(tokens: TokenStream) -> Vec<OptionTokens> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    for tree in tokens {
        match tree {
            TokenTree::Punct(mark) if mark.as_char() == ',' => {
                parts.push(std::mem::take(&mut part));
            }
            tree => part.push(tree),
        }
    }
    parts.push(part);
    parts.retain(|part: &OptionTokens| !part.is_empty());
    parts
}
