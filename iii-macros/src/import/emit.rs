//! Rust code of the types: structs, enums and aliases, with their derives and serde attributes.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use super::names::{NameScope, ident, is_identifier, to_identifier, to_type_name};
use super::types::{
    EnumVariant, ItemKind, Shape, StructField, StructItem, TypeGraph, TypeItem, VariantBody,
};

/// The paths that generated code refers to.
#[derive(Debug)]
pub(super) struct RuntimePaths {
    /// The module of the runtime for generated code.
    private: TokenStream,
    serde: String,
    schemars: String,
}

impl RuntimePaths {
    pub(super) fn new(private: TokenStream) -> Self {
        let path = |name: &str| format!("{private}::{name}").replace(' ', "");
        Self { serde: path("serde"), schemars: path("schemars"), private }
    }

    pub(super) fn private(&self) -> &TokenStream {
        &self.private
    }

    /// Emits the derives of a type: those that all types have, and `additional` ones.
    fn derives(&self, additional: &TokenStream) -> TokenStream {
        let (private, serde, schemars) = (&self.private, &self.serde, &self.schemars);
        quote! {
            #[derive(
                ::core::fmt::Debug,
                ::core::clone::Clone,
                ::core::cmp::PartialEq,
                #private::serde::Serialize,
                #private::serde::Deserialize,
                #private::schemars::JsonSchema,
                #additional
            )]
            #[serde(crate = #serde)]
            #[schemars(crate = #schemars)]
        }
    }
}

/// Emits the items of one module.
#[derive(Debug)]
pub(super) struct ItemWriter<'a> {
    items: &'a [TypeItem],
    graph: &'a TypeGraph,
    paths: &'a RuntimePaths,
    /// The `#[allow(…)]` of each item.
    lints: &'a TokenStream,
}

impl<'a> ItemWriter<'a> {
    pub(super) fn new(
        items: &'a [TypeItem],
        graph: &'a TypeGraph,
        paths: &'a RuntimePaths,
        lints: &'a TokenStream,
    ) -> Self {
        Self { items, graph, paths, lints }
    }

    /// Emits one item.
    pub(super) fn item(&self, index: usize) -> TokenStream {
        let item = &self.items[index];
        let (name, docs, lints) = (ident(&item.name), self::docs(&item.docs), self.lints);
        let empty = TokenStream::new();
        match &item.kind {
            // A type alias cannot be recursive.
            ItemKind::Alias(shape) if self.graph.is_recursive_alias(self.items, index) => {
                let (derives, shape) = (self.paths.derives(&empty), self.shape(shape, Some(index)));
                quote!(#docs #lints #derives #[serde(transparent)] pub struct #name(pub #shape);)
            }
            ItemKind::Alias(shape) => {
                let shape = self.shape(shape, Some(index));
                quote!(#docs #lints pub type #name = #shape;)
            }
            ItemKind::Struct(item) => {
                // A default would silently stand for required fields.
                let is_optional = item.fields.iter().all(|field| !field.required);
                let default = if is_optional { quote!(::core::default::Default) } else { empty };
                let derives = self.paths.derives(&default);
                let fields = self.fields(item, index, &quote!(pub));
                quote!(#docs #lints #derives pub struct #name { #fields })
            }
            ItemKind::StringEnum(variants) => {
                let copy = quote!(::core::marker::Copy, ::core::cmp::Eq, ::core::hash::Hash);
                let derives = self.paths.derives(&copy);
                let mut names = NameScope::default();
                let variants = variants.iter().map(|variant| {
                    let (name, docs) =
                        (variant_name(&variant.wire, &mut names), self::docs(&variant.docs));
                    let rename = rename(&variant.wire, &name);
                    let name = ident(&name);
                    quote!(#docs #rename #name,)
                });
                quote!(#docs #lints #derives pub enum #name { #(#variants)* })
            }
            ItemKind::ExternallyTagged(variants) => {
                self.enum_item(&name, &docs, &empty, variants, index, true)
            }
            ItemKind::InternallyTagged { tag, variants } => {
                let tagged = quote!(#[serde(tag = #tag)]);
                self.enum_item(&name, &docs, &tagged, variants, index, true)
            }
            ItemKind::Untagged(variants) => {
                let untagged = quote!(#[serde(untagged)]);
                self.enum_item(&name, &docs, &untagged, variants, index, false)
            }
        }
    }

    /// Emits an enum. `representation` is its serde attribute; `is_tagged` says whether names occur on the wire.
    fn enum_item(
        &self,
        name: &syn::Ident,
        docs: &TokenStream,
        representation: &TokenStream,
        variants: &[EnumVariant],
        index: usize,
        is_tagged: bool,
    ) -> TokenStream {
        let (lints, derives) = (self.lints, self.paths.derives(&TokenStream::new()));
        let mut names = NameScope::default();
        let variants = variants.iter().map(|variant| {
            let name = variant_name(&variant.name, &mut names);
            let rename = is_tagged.then(|| rename(&variant.name, &name));
            let (name, docs) = (ident(&name), self::docs(&variant.docs));
            let body = match &variant.body {
                VariantBody::Unit => TokenStream::new(),
                VariantBody::Newtype(shape) => {
                    let shape = self.shape(shape, Some(index));
                    quote!((#shape))
                }
                VariantBody::Struct(item) => {
                    let fields = self.fields(item, index, &TokenStream::new());
                    quote!({ #fields })
                }
            };
            quote!(#docs #rename #name #body,)
        });
        quote!(#docs #lints #derives #representation pub enum #name { #(#variants)* })
    }

    /// Emits the fields of a struct or of a variant.
    fn fields(&self, item: &StructItem, index: usize, visibility: &TokenStream) -> TokenStream {
        let mut names = NameScope::default();
        // Fields whose names are identifiers take theirs first.
        let kept: Vec<bool> = item
            .fields
            .iter()
            .map(|field| is_identifier(&field.wire) && names.take(&field.wire))
            .collect();
        let mut all = TokenStream::new();
        for (field, kept) in item.fields.iter().zip(kept) {
            let name = match kept {
                true => field.wire.clone(),
                false => names.take_with_underscores(&to_identifier(&field.wire)),
            };
            all.extend(self.field(field, &name, index, visibility));
        }
        if let Some(additional) = &item.additional {
            let name = ident(&names.take_with_underscores("additional_properties"));
            let ty = self.shape(additional, None);
            all.extend(quote! {
                /// Additional properties.
                #[serde(flatten)]
                #visibility #name: ::std::collections::BTreeMap<::std::string::String, #ty>,
            });
        }
        all
    }

    fn field(
        &self,
        field: &StructField,
        name: &str,
        index: usize,
        visibility: &TokenStream,
    ) -> TokenStream {
        let docs = docs(&field.docs);
        let rename = rename(&field.wire, name);
        let (shape, skip) = if field.required {
            (field.shape.clone(), TokenStream::new())
        } else {
            // Also for a payload, which represents `null` but not a missing field.
            let shape = match &field.shape {
                Shape::Option(_) => field.shape.clone(),
                other => Shape::Option(Box::new(other.clone())),
            };
            let skip =
                quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")]);
            (shape, skip)
        };
        let (name, shape) = (ident(name), self.shape(&shape, Some(index)));
        quote!(#docs #rename #skip #visibility #name: #shape,)
    }

    /// Emits a type. `container` is the item that contains it without a pointer.
    fn shape(&self, shape: &Shape, container: Option<usize>) -> TokenStream {
        match shape {
            Shape::Payload => {
                let private = &self.paths.private;
                quote!(#private::Payload)
            }
            Shape::Unit => quote!(()),
            Shape::Bool => quote!(::core::primitive::bool),
            Shape::String => quote!(::std::string::String),
            Shape::Number(name) => {
                let name = ident(name);
                quote!(::core::primitive::#name)
            }
            Shape::Option(inner) => {
                let inner = self.shape(inner, container);
                quote!(::core::option::Option<#inner>)
            }
            Shape::List(inner) => {
                let inner = self.shape(inner, None);
                quote!(::std::vec::Vec<#inner>)
            }
            Shape::Array(inner, count) => {
                let inner = self.shape(inner, container);
                let count = proc_macro2::Literal::usize_unsuffixed(*count);
                quote!([#inner; #count])
            }
            Shape::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.shape(part, container));
                quote!((#(#parts,)*))
            }
            Shape::Map(inner) => {
                let inner = self.shape(inner, None);
                quote!(::std::collections::BTreeMap<::std::string::String, #inner>)
            }
            Shape::Item(index) => {
                let name = ident(&self.items[*index].name).to_token_stream();
                match container {
                    Some(container) if self.graph.needs_box(*index, container) => {
                        quote!(::std::boxed::Box<#name>)
                    }
                    _ => name,
                }
            }
        }
    }
}

/// Emits the `#[serde(rename)]` of a name that differs from that on the wire.
fn rename(wire: &str, name: &str) -> TokenStream {
    if wire == name { TokenStream::new() } else { quote!(#[serde(rename = #wire)]) }
}

fn variant_name(wire: &str, names: &mut NameScope) -> String {
    let name = to_type_name(wire);
    names.take_first(&[if name.is_empty() { "Value" } else { &name }])
}

/// Emits a doc comment whose code blocks are no doc tests.
///
/// A fenced block gets the language `text`; the indentation outside of fences, which would start a block, is removed.
pub(super) fn docs(text: &str) -> TokenStream {
    let text = without_doc_tests(text);
    if text.is_empty() { TokenStream::new() } else { quote!(#[doc = #text]) }
}

fn without_doc_tests(text: &str) -> String {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.trim().lines() {
        let inner = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| inner.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => {
                fence = Some(mark);
                lines.push(format!("{mark}text"));
            }
            (Some(open), Some(mark)) if open == mark => {
                fence = None;
                lines.push(mark.to_owned());
            }
            (Some(_), _) => lines.push(line.to_owned()),
            (None, None) => lines.push(inner.to_owned()),
        }
    }
    lines.extend(fence.map(str::to_owned));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_contain_no_doc_tests() {
        assert_eq!(without_doc_tests("  Makes one.\n\n      panic!()\n"), "Makes one.\n\npanic!()");
        assert_eq!(without_doc_tests("A\n```\n  x()\n```\nB"), "A\n```text\n  x()\n```\nB");
        assert_eq!(without_doc_tests("~~~rust\nx()"), "~~~text\nx()\n~~~");
        assert!(docs(" ").is_empty());
    }
}
