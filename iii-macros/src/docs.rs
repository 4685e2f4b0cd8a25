//! Doc comments as strings, and identifiers as words.

use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta};

/// Returns the doc comments among `attributes`, joined; `None` if they are empty.
pub(crate) fn comment(attributes: &[Attribute]) -> Option<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        if !meta.path.is_ident("doc") {
            continue;
        }
        // `#[doc = include_str!(…)]` is not expanded here, and is skipped.
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value {
            let text = text.value();
            let is_block = text.contains('\n');
            lines.extend(text.split('\n').map(|line| without_margin(line, is_block).to_owned()));
        }
    }
    let text = lines.join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the description of a declaration: the option `description`, else its doc comment; `None` if it is empty.
pub(crate) fn description(
    option: Option<&LitStr>,
    comment: impl FnOnce() -> Option<String>,
) -> Option<String> {
    match option {
        Some(text) => Some(text.value().trim().to_owned()).filter(|text| !text.is_empty()),
        None => comment(),
    }
}

/// Removes the space after `///`, or the margin of `/** … */`.
fn without_margin(line: &str, is_block: bool) -> &str {
    let line = line.trim_end();
    if is_block {
        let inner = line.trim_start();
        if let Some(rest) = inner.strip_prefix('*') {
            return rest.strip_prefix(' ').unwrap_or(rest);
        }
    }
    line.strip_prefix(' ').unwrap_or(line)
}

/// Splits an identifier into lower-case words: `OutOfStock` becomes `out of stock`.
pub(crate) fn to_words(name: &str) -> String {
    let mut words = String::new();
    let mut previous = '_';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
        let starts = letter.is_uppercase() && (!previous.is_uppercase() || next_is_lower);
        if letter == '_' || (starts && previous != '_') {
            words.push(' ');
        }
        if letter != '_' {
            words.extend(letter.to_lowercase());
        }
        previous = letter;
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn lines_keep_their_indentation() {
        let item: syn::ItemFn = parse_quote! {
            /// Creates an order.
            ///
            ///     let x = 1;
            #[doc(hidden)]
            fn create() {}
        };
        assert_eq!(comment(&item.attrs).unwrap(), "Creates an order.\n\n    let x = 1;");
    }

    #[test]
    fn block_comment_loses_its_margin() {
        let item: syn::ItemFn = parse_quote! {
            /**
             * Creates an order.
             * At once.
             */
            fn create() {}
        };
        assert_eq!(comment(&item.attrs).unwrap(), "Creates an order.\nAt once.");
    }

    #[test]
    fn empty_comment_is_none() {
        let item: syn::ItemFn = parse_quote! {
            ///
            fn create() {}
        };
        assert_eq!(comment(&item.attrs), None);
    }

    #[test]
    fn identifiers_are_split_into_words() {
        assert_eq!(to_words("OutOfStock"), "out of stock");
        assert_eq!(to_words("HTTPError"), "http error");
        assert_eq!(to_words("Not_Found"), "not found");
        assert_eq!(to_words("A1"), "a1");
    }
}
