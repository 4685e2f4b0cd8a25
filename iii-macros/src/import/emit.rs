//! Items as Rust code: structs, enums and aliases, with their derives and their serde attributes.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use super::names::{Names, ident, name, type_name};
use super::types::{Body, Field, Graph, Item, Kind, Shape, Struct, Variant};

/// What generated code needs to know of where it is.
#[derive(Debug)]
pub(super) struct Paths {
    /// The runtime's part for generated code.
    private: TokenStream,
    serde: String,
    schemars: String,
}

impl Paths {
    pub(super) fn new(private: TokenStream) -> Self {
        let path = |name: &str| format!("{private}::{name}").replace(' ', "");
        Self { serde: path("serde"), schemars: path("schemars"), private }
    }

    pub(super) fn private(&self) -> &TokenStream {
        &self.private
    }

    /// The derives of a type; `more` are those that not every type has.
    fn derives(&self, more: &TokenStream) -> TokenStream {
        let (private, serde, schemars) = (&self.private, &self.serde, &self.schemars);
        quote! {
            #[derive(
                ::core::fmt::Debug,
                ::core::clone::Clone,
                ::core::cmp::PartialEq,
                #private::serde::Serialize,
                #private::serde::Deserialize,
                #private::schemars::JsonSchema,
                #more
            )]
            #[serde(crate = #serde)]
            #[schemars(crate = #schemars)]
        }
    }
}

/// Writes the items of one module.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    items: &'a [Item],
    graph: &'a Graph,
    paths: &'a Paths,
    /// What is allowed on each item.
    lints: &'a TokenStream,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        items: &'a [Item],
        graph: &'a Graph,
        paths: &'a Paths,
        lints: &'a TokenStream,
    ) -> Self {
        Self { items, graph, paths, lints }
    }

    /// One item.
    pub(super) fn item(&self, index: usize) -> TokenStream {
        let item = &self.items[index];
        let (name, docs, lints) = (ident(&item.name), self::docs(&item.docs), self.lints);
        let nothing = TokenStream::new();
        match &item.kind {
            Kind::Alias(shape) if self.graph.is_endless_alias(self.items, index) => {
                let (derives, shape) =
                    (self.paths.derives(&nothing), self.shape(shape, Some(index)));
                quote!(#docs #lints #derives #[serde(transparent)] pub struct #name(pub #shape);)
            }
            Kind::Alias(shape) => {
                let shape = self.shape(shape, Some(index));
                quote!(#docs #lints pub type #name = #shape;)
            }
            Kind::Struct(item) => {
                // Only where nothing must be said: a default for what must would be a mistake in silence.
                let optional = item.fields.iter().all(|field| !field.required);
                let default = if optional { quote!(::core::default::Default) } else { nothing };
                let derives = self.paths.derives(&default);
                let fields = self.fields(item, index, &quote!(pub));
                quote!(#docs #lints #derives pub struct #name { #fields })
            }
            Kind::Texts(variants) => {
                let copied = quote!(::core::marker::Copy, ::core::cmp::Eq, ::core::hash::Hash);
                let derives = self.paths.derives(&copied);
                let mut names = Names::default();
                let variants = variants.iter().map(|variant| {
                    let (name, docs) =
                        (variant_name(&variant.wire, &mut names), self::docs(&variant.docs));
                    let rename = rename(&variant.wire, &name);
                    let name = ident(&name);
                    quote!(#docs #rename #name,)
                });
                quote!(#docs #lints #derives pub enum #name { #(#variants)* })
            }
            Kind::External(variants) => {
                self.enumeration(&name, &docs, &nothing, variants, index, true)
            }
            Kind::Internal { tag, variants } => {
                let tagged = quote!(#[serde(tag = #tag)]);
                self.enumeration(&name, &docs, &tagged, variants, index, true)
            }
            Kind::Untagged(variants) => {
                let untagged = quote!(#[serde(untagged)]);
                self.enumeration(&name, &docs, &untagged, variants, index, false)
            }
        }
    }

    fn enumeration(
        &self,
        name: &syn::Ident,
        docs: &TokenStream,
        form: &TokenStream,
        variants: &[Variant],
        index: usize,
        on_wire: bool,
    ) -> TokenStream {
        let (lints, derives) = (self.lints, self.paths.derives(&TokenStream::new()));
        let mut names = Names::default();
        let variants = variants.iter().map(|variant| {
            let name = variant_name(&variant.name, &mut names);
            let rename = on_wire.then(|| rename(&variant.name, &name));
            let (name, docs) = (ident(&name), self::docs(&variant.docs));
            let body = match &variant.body {
                Body::Unit => TokenStream::new(),
                Body::One(shape) => {
                    let shape = self.shape(shape, Some(index));
                    quote!((#shape))
                }
                Body::Fields(item) => {
                    let fields = self.fields(item, index, &TokenStream::new());
                    quote!({ #fields })
                }
            };
            quote!(#docs #rename #name #body,)
        });
        quote!(#docs #lints #derives #form pub enum #name { #(#variants)* })
    }

    fn fields(&self, item: &Struct, index: usize, visibility: &TokenStream) -> TokenStream {
        let mut names = Names::default();
        // Those that need no other name keep theirs.
        let kept: Vec<bool> = item
            .fields
            .iter()
            .map(|field| name(&field.wire) == field.wire && names.take(&field.wire))
            .collect();
        let mut all = TokenStream::new();
        for (field, kept) in item.fields.iter().zip(kept) {
            let called =
                if kept { field.wire.clone() } else { names.underscored(&name(&field.wire)) };
            all.extend(self.field(field, &called, index, visibility));
        }
        if let Some(rest) = &item.rest {
            let called = ident(&names.underscored("additional_properties"));
            let rest = self.shape(rest, None);
            all.extend(quote! {
                /// What else is there.
                #[serde(flatten)]
                #visibility #called: ::std::collections::BTreeMap<::std::string::String, #rest>,
            });
        }
        all
    }

    fn field(
        &self,
        field: &Field,
        called: &str,
        index: usize,
        visibility: &TokenStream,
    ) -> TokenStream {
        let docs = docs(&field.docs);
        let rename = rename(&field.wire, called);
        let (shape, skip) = if field.required {
            (field.shape.clone(), TokenStream::new())
        } else {
            // Also a payload, which may be left out and not only be `null`.
            let shape = match &field.shape {
                Shape::Option(_) => field.shape.clone(),
                other => Shape::Option(Box::new(other.clone())),
            };
            let skip =
                quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")]);
            (shape, skip)
        };
        let (called, shape) = (ident(called), self.shape(&shape, Some(index)));
        quote!(#docs #rename #skip #visibility #called: #shape,)
    }

    /// A type. `holder`: the item that holds it without a pointer.
    fn shape(&self, shape: &Shape, holder: Option<usize>) -> TokenStream {
        match shape {
            Shape::Payload => {
                let private = &self.paths.private;
                quote!(#private::Payload)
            }
            Shape::Unit => quote!(()),
            Shape::Bool => quote!(::core::primitive::bool),
            Shape::Text => quote!(::std::string::String),
            Shape::Number(of) => {
                let of = ident(of);
                quote!(::core::primitive::#of)
            }
            Shape::Option(inner) => {
                let inner = self.shape(inner, holder);
                quote!(::core::option::Option<#inner>)
            }
            Shape::List(inner) => {
                let inner = self.shape(inner, None);
                quote!(::std::vec::Vec<#inner>)
            }
            Shape::Array(inner, count) => {
                let inner = self.shape(inner, holder);
                let count = proc_macro2::Literal::usize_unsuffixed(*count);
                quote!([#inner; #count])
            }
            Shape::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.shape(part, holder));
                quote!((#(#parts,)*))
            }
            Shape::Map(inner) => {
                let inner = self.shape(inner, None);
                quote!(::std::collections::BTreeMap<::std::string::String, #inner>)
            }
            Shape::Item(index) => {
                let name = ident(&self.items[*index].name).to_token_stream();
                match holder {
                    Some(holder) if self.graph.needs_box(*index, holder) => {
                        quote!(::std::boxed::Box<#name>)
                    }
                    _ => name,
                }
            }
        }
    }
}

fn rename(wire: &str, called: &str) -> TokenStream {
    if wire == called { TokenStream::new() } else { quote!(#[serde(rename = #wire)]) }
}

fn variant_name(wire: &str, names: &mut Names) -> String {
    let name = type_name(wire);
    names.first_of(&[if name.is_empty() { "Value" } else { &name }])
}

/// Docs of other people: never run as tests.
///
/// A fence begins a block of text, and a margin, which would begin one as well, goes away outside of fences.
pub(super) fn docs(text: &str) -> TokenStream {
    let text = quiet(text);
    if text.is_empty() { TokenStream::new() } else { quote!(#[doc = #text]) }
}

fn quiet(text: &str) -> String {
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
    fn docs_of_others_are_never_tests() {
        assert_eq!(quiet("  Makes one.\n\n      panic!()\n"), "Makes one.\n\npanic!()");
        assert_eq!(quiet("A\n```\n  x()\n```\nB"), "A\n```text\n  x()\n```\nB");
        assert_eq!(quiet("~~~rust\nx()"), "~~~text\nx()\n~~~");
        assert!(docs(" ").is_empty());
    }
}
