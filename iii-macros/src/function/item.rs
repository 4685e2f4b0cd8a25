//! A function as the user wrote it: the signature is parsed, the body stays a group of tokens.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, Visibility};

use crate::attributes::found_item;

/// A function that prints as it was written, except for attributes that were taken.
pub(crate) struct FunctionItem {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// Everything but the attributes.
    rest: TokenStream,
}

impl FunctionItem {
    /// Parses a function. Its body may be incomplete code.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let rest: TokenStream = input.fork().parse()?;
            if !is_function(&rest) {
                let found = found_item(&rest, &[]);
                let help = "apply this attribute to an `fn` item";
                return Err(input.error(format!("expected a function{found}\nhelp: {help}")));
            }
            let visibility = input.parse()?;
            let signature = input.parse()?;
            let _: TokenStream = input.parse()?;
            Ok(Self { attributes, visibility, signature, rest })
        };
        parser.parse2(tokens)
    }
}

impl ToTokens for FunctionItem {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        self.rest.to_tokens(tokens);
    }
}

/// Returns whether the keyword `fn` is in front of the first braces.
fn is_function(rest: &TokenStream) -> bool {
    rest.clone()
        .into_iter()
        .take_while(|tree| match tree {
            TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
            _ => true,
        })
        .any(|tree| matches!(tree, TokenTree::Ident(word) if word == "fn"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes;

    #[test]
    fn item_prints_as_it_was_written() {
        let text = "# [doc = \" x\"] # [inline] pub (crate) async fn f (mut a : u8 ,) -> u8 { half typed . }";
        let mut item = FunctionItem::parse(text.parse().unwrap()).unwrap();
        assert_eq!(
            item.to_token_stream().to_string(),
            text.parse::<TokenStream>().unwrap().to_string()
        );
        let is_inline = |attribute: &Attribute| attribute.path().is_ident("inline");
        assert_eq!(attributes::take(&mut item.attributes, is_inline).len(), 1);
        assert!(!item.to_token_stream().to_string().contains("inline"));
    }

    #[test]
    fn other_items_are_rejected() {
        for text in ["struct A;", "const F: fn() = f;", "mod a { fn f() {} }"] {
            let parsed = FunctionItem::parse(text.parse().unwrap());
            // A constant of a function type gets the message of the parser instead.
            assert!(parsed.is_err(), "{text}");
        }
        let error = FunctionItem::parse("pub struct A;".parse().unwrap()).err().unwrap();
        assert!(error.to_string().contains("expected a function, found `struct`"), "{error}");
    }
}
