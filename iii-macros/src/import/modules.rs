//! Modules by the segments of ids, with the stubs of their functions and the types of their schemas.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::ImportOptions;
use super::catalogue::CatalogueFunction;
use super::document::SchemaDocument;
use super::emit::{ItemWriter, RuntimePaths, docs};
use super::names::{NameScope, ident, is_identifier, to_identifier, to_type_name};
use super::schema::TypeBuilder;
use super::types::{ItemKind, Shape, TypeGraph, TypeItem};
use crate::tokens;

/// A module: its functions and the modules in it.
#[derive(Debug, Default)]
struct ModuleTree {
    /// By the segment of the id.
    children: BTreeMap<String, ModuleTree>,
    /// Indices of the functions, by the last segment of the id.
    functions: BTreeMap<String, usize>,
}

impl ModuleTree {
    /// Returns whether it contains a selected function.
    fn is_selected(&self, selected: &[bool]) -> bool {
        self.functions.values().any(|at| selected[*at])
            || self.children.values().any(|child| child.is_selected(selected))
    }
}

/// Emits the selected functions. Names depend on all functions of the file, so that the selection never changes them.
pub(super) fn emit(
    functions: &[CatalogueFunction],
    selected: &[bool],
    options: &ImportOptions,
) -> TokenStream {
    let mut root = ModuleTree::default();
    for (at, function) in functions.iter().enumerate() {
        let mut segments: Vec<&str> = function.id.split("::").collect();
        let last = segments.pop().unwrap_or_default();
        let mut module = &mut root;
        for segment in segments {
            module = module.children.entry(segment.to_owned()).or_default();
        }
        // Of an id in several namespaces, the selected one.
        if selected[at] || !module.functions.contains_key(last) {
            module.functions.insert(last.to_owned(), at);
        }
    }
    let paths = RuntimePaths::new(options.runtime_path());
    let writer = ModuleWriter { functions, selected, options, paths };
    writer.module(&root, &lints(), "")
}

/// Emits the `#[allow(…)]` of generated items: the user cannot fix their names or docs.
fn lints() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            missing_copy_implementations,
            missing_debug_implementations,
            missing_docs,
            non_camel_case_types,
            non_snake_case,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            clippy::nursery,
            rustdoc::all
        )]
    }
}

struct ModuleWriter<'a> {
    functions: &'a [CatalogueFunction],
    selected: &'a [bool],
    options: &'a ImportOptions,
    paths: RuntimePaths,
}

impl ModuleWriter<'_> {
    /// Emits the content of a module. `lints` are those of each item; empty if the module has them.
    fn module(&self, module: &ModuleTree, lints: &TokenStream, path: &str) -> TokenStream {
        let mut names = NameScope::for_types();
        if path.is_empty() {
            // A module `iii` would make the path of the macro itself ambiguous.
            for taken in self.options.root_names() {
                names.take(&taken);
            }
        }
        let children = take_names(module.children.keys(), &mut names);
        let functions = take_names(module.functions.keys(), &mut names);
        let mut all = self.types(module, &functions, names, lints);
        let no_lints = TokenStream::new();
        for (segment, child) in &module.children {
            if !child.is_selected(self.selected) {
                continue;
            }
            let path = match path {
                "" => segment.clone(),
                _ => format!("{path}::{segment}"),
            };
            let (name, content) = (ident(&children[segment]), self.module(child, &no_lints, &path));
            let doc = format!("Functions whose ids start with `{path}::`.");
            all.extend(quote!(#[doc = #doc] #lints pub mod #name { #content }));
        }
        all
    }

    /// Emits the stubs of a module's functions, and their types. `stub_names` are by the last segment of the id.
    fn types(
        &self,
        module: &ModuleTree,
        stub_names: &BTreeMap<String, String>,
        mut names: NameScope,
        lints: &TokenStream,
    ) -> TokenStream {
        let mut documents = Vec::new();
        for (last, at) in &module.functions {
            let function = &self.functions[*at];
            let prefix = to_type_name(last);
            let prefix = if prefix.is_empty() { "Function".to_owned() } else { prefix };
            let input = names.take_first(&[&format!("{prefix}Input")]);
            let output = names.take_first(&[&format!("{prefix}Output")]);
            for (name, schema) in [(input, &function.request), (output, &function.response)] {
                let document =
                    schema.as_ref().map(|schema| SchemaDocument::new(schema, &prefix, &name));
                documents.push((name, document));
            }
        }
        let mut types = TypeBuilder::new(names);
        for document in documents.iter_mut().filter_map(|(_, document)| document.as_mut()) {
            types.add_definitions(document);
        }
        let mut shapes = Vec::new();
        for (name, document) in &mut documents {
            let shape = match document {
                Some(document) => types.root(document),
                None => Shape::Payload,
            };
            shapes.push(types.name_shape(name, shape));
        }
        let items: &[TypeItem] = &types.items;
        let (mut output, mut roots) = (TokenStream::new(), Vec::new());
        for ((last, at), pair) in module.functions.iter().zip(shapes.chunks(2)) {
            if !self.selected[*at] {
                continue;
            }
            roots.extend(pair);
            let types = [ident(&items[pair[0]].name), ident(&items[pair[1]].name)];
            let name = ident(&stub_names[last]);
            output.extend(self.stub(&name, &self.functions[*at], &types, lints));
        }
        let graph = TypeGraph::new(items);
        let writer = ItemWriter::new(items, &graph, &self.paths, lints);
        for (index, is_referenced) in graph.referenced_by(&roots).into_iter().enumerate() {
            if is_referenced {
                output.extend(writer.item(index));
            }
        }
        output
    }

    /// Emits the stub of a function.
    fn stub(
        &self,
        name: &Ident,
        function: &CatalogueFunction,
        [input, output]: &[Ident; 2],
        lints: &TokenStream,
    ) -> TokenStream {
        let (id, private) = (&function.id, self.paths.private());
        let doc = match &function.description {
            Some(description) => docs(description),
            None => docs(&format!("Calls the function `{id}` of another worker.")),
        };
        let namespace = tokens::option(self.options.namespace_of(function));
        let timeout = tokens::duration(self.options.timeout);
        quote! {
            #doc
            #lints
            pub struct #name {}
            #[automatically_derived]
            impl #private::Function for #name {
                const ID: &'static ::core::primitive::str = #id;
                const NAMESPACE: ::core::option::Option<&'static ::core::primitive::str> = #namespace;
                const TIMEOUT: ::core::option::Option<::core::time::Duration> = #timeout;
                type Input = #input;
                type Output = #output;
            }
        }
    }
}

impl TypeBuilder {
    /// Returns the item with a reserved name: that of the shape, or a new alias of it.
    fn name_shape(&mut self, reserved: &str, shape: Shape) -> usize {
        if let Shape::Item(index) = shape
            && self.items[index].name == reserved
        {
            return index;
        }
        self.items.push(TypeItem {
            name: reserved.to_owned(),
            docs: String::new(),
            kind: ItemKind::Alias(shape),
        });
        self.items.len() - 1
    }
}

/// Takes names for segments of ids, first for those that are identifiers as they stand.
fn take_names<'a>(
    segments: impl Iterator<Item = &'a String>,
    names: &mut NameScope,
) -> BTreeMap<String, String> {
    let (identifiers, others): (Vec<&String>, Vec<&String>) =
        segments.partition(|segment| is_identifier(segment));
    let all = identifiers.into_iter().chain(others);
    all.map(|segment| (segment.clone(), names.take_with_underscores(&to_identifier(segment))))
        .collect()
}
