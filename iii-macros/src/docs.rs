//! Doc comments as text.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of all doc comments among `attributes`; `None` if they say nothing.
pub(crate) fn text(attributes: &[Attribute]) -> Option<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        if !meta.path.is_ident("doc") {
            continue;
        }
        // `#[doc = include_str!(…)]` is not known here.
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value {
            let text = text.value();
            let block = text.contains('\n');
            lines.extend(text.split('\n').map(|line| clean(line, block).to_owned()));
        }
    }
    let text = lines.join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// One line without the space after `///`, or the margin of `/** … */`.
fn clean(line: &str, block: bool) -> &str {
    let line = line.trim_end();
    if block {
        let inner = line.trim_start();
        if let Some(rest) = inner.strip_prefix('*') {
            return rest.strip_prefix(' ').unwrap_or(rest);
        }
    }
    line.strip_prefix(' ').unwrap_or(line)
}

/// `OutOfStock` as `out of stock`.
pub(crate) fn words(name: &str) -> String {
    let mut words = String::new();
    let mut before = '_';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
        let starts = letter.is_uppercase() && (!before.is_uppercase() || next_is_lower);
        if letter == '_' || (starts && before != '_') {
            words.push(' ');
        }
        if letter != '_' {
            words.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn lines_keep_their_inner_spaces() {
        let item: syn::ItemFn = parse_quote! {
            /// Creates an order.
            ///
            ///     let x = 1;
            #[doc(hidden)]
            fn create() {}
        };
        assert_eq!(text(&item.attrs).unwrap(), "Creates an order.\n\n    let x = 1;");
    }

    #[test]
    fn a_block_has_no_margin() {
        let item: syn::ItemFn = parse_quote! {
            /**
             * Creates an order.
             * At once.
             */
            fn create() {}
        };
        assert_eq!(text(&item.attrs).unwrap(), "Creates an order.\nAt once.");
    }

    #[test]
    fn an_empty_comment_is_none() {
        let item: syn::ItemFn = parse_quote! {
            ///
            fn create() {}
        };
        assert_eq!(text(&item.attrs), None);
    }

    #[test]
    fn names_become_words() {
        assert_eq!(words("OutOfStock"), "out of stock");
        assert_eq!(words("HTTPError"), "http error");
        assert_eq!(words("Not_Found"), "not found");
        assert_eq!(words("A1"), "a1");
    }
}
