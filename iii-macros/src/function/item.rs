//! The function as the user wrote it. Only its signature is parsed; its body stays a group of tokens.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, Visibility};

/// A function, token for token.
pub(crate) struct Item {
    /// What stands above it.
    pub(crate) attributes: Vec<Attribute>,
    /// Who can use it.
    pub(crate) visibility: Visibility,
    /// Its head.
    pub(crate) signature: Signature,
    /// All but the attributes.
    rest: TokenStream,
}

impl Item {
    /// Reads a function.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let rest: TokenStream = input.fork().parse()?;
            if !is_function(&rest) {
                return Err(input.error("this attribute goes on a function"));
            }
            let visibility = input.parse()?;
            let signature = input.parse()?;
            let _: TokenStream = input.parse()?;
            Ok(Self { attributes, visibility, signature, rest })
        };
        parser.parse2(tokens)
    }

    /// Takes the attributes off that `wanted` chooses.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Attribute) -> bool) -> Vec<Attribute> {
        self.attributes.extract_if(.., |attribute| wanted(attribute)).collect()
    }

    /// The conditions under which it is compiled. They hold for all that is generated.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> + Clone {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        self.rest.to_tokens(tokens);
    }
}

/// Whether the head of an item has the word `fn`.
fn is_function(rest: &TokenStream) -> bool {
    rest.clone()
        .into_iter()
        .take_while(|tree| match tree {
            TokenTree::Group(group) => group.delimiter() != proc_macro2::Delimiter::Brace,
            _ => true,
        })
        .any(|tree| matches!(tree, TokenTree::Ident(word) if word == "fn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_comes_back_token_for_token() {
        let text = "# [doc = \" x\"] # [inline] pub (crate) async fn f (mut a : u8 ,) -> u8 { half typed . }";
        let mut item = Item::parse(text.parse().unwrap()).unwrap();
        assert_eq!(
            item.to_token_stream().to_string(),
            text.parse::<TokenStream>().unwrap().to_string()
        );
        assert_eq!(item.take(|attribute| attribute.path().is_ident("inline")).len(), 1);
        assert!(!item.to_token_stream().to_string().contains("inline"));
    }

    #[test]
    fn only_a_function_is_one() {
        for text in ["struct A;", "const F: fn() = f;", "mod a { fn f() {} }"] {
            let parsed = Item::parse(text.parse().unwrap());
            // A constant of a function type gets the message of the parser instead.
            assert!(parsed.is_err(), "{text}");
        }
    }
}
