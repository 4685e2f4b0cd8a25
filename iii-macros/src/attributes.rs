//! Attributes and keywords of items.

use proc_macro2::{TokenStream, TokenTree};
use syn::Attribute;

/// Returns whether the last segment of the attribute's path is `name`. The crate may have any name.
pub(crate) fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// Returns the attributes that are one of `names`, without a path.
pub(crate) fn named<'a>(attributes: &'a [Attribute], names: &[&str]) -> Vec<&'a Attribute> {
    attributes
        .iter()
        .filter(|attribute| names.iter().any(|name| attribute.path().is_ident(name)))
        .collect()
}

/// Returns the `#[cfg]` attributes. Everything that is generated for an item gets them, too.
pub(crate) fn cfgs(attributes: &[Attribute]) -> Vec<&Attribute> {
    named(attributes, &["cfg"])
}

/// Removes and returns the attributes that match `predicate`.
pub(crate) fn take(
    attributes: &mut Vec<Attribute>,
    predicate: impl Fn(&Attribute) -> bool,
) -> Vec<Attribute> {
    attributes.extract_if(.., |attribute| predicate(attribute)).collect()
}

/// Returns the end of a message about an item without one of the keywords `expected`: `` , found `struct` ``.
pub(crate) fn found_item(tokens: &TokenStream, expected: &[&str]) -> String {
    let keyword = tokens.clone().into_iter().find_map(|tree| match tree {
        TokenTree::Ident(word) if word != "pub" => Some(word.to_string()),
        _ => None,
    });
    match keyword {
        Some(keyword) if !expected.contains(&keyword.as_str()) => format!(", found `{keyword}`"),
        _ => String::new(),
    }
}
