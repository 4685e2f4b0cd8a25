//! Modules by the parts of ids, and in each the functions and their types.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::Import;
use super::document::Document;
use super::emit::{Paths, Writer, docs};
use super::names::{Names, ident, is_name, name, type_name};
use super::read::Described;
use super::schema::Types;
use super::types::{Graph, Item, Kind, Shape};

/// The functions of one module, and the modules in it.
#[derive(Debug, Default)]
struct Module {
    /// By the part of the id.
    children: BTreeMap<String, Module>,
    /// By the last part of the id, with where they are in the file.
    functions: BTreeMap<String, usize>,
}

impl Module {
    /// Whether anything in it is wanted.
    fn is_wanted(&self, chosen: &[bool]) -> bool {
        self.functions.values().any(|at| chosen[*at])
            || self.children.values().any(|child| child.is_wanted(chosen))
    }
}

/// Writes what is chosen. Names come from all functions of the file, so that a choice never changes them.
pub(super) fn write(functions: &[Described], chosen: &[bool], import: &Import) -> TokenStream {
    let mut root = Module::default();
    for (at, function) in functions.iter().enumerate() {
        let mut parts: Vec<&str> = function.id.split("::").collect();
        let last = parts.pop().unwrap_or_default();
        let mut module = &mut root;
        for part in parts {
            module = module.children.entry(part.to_owned()).or_default();
        }
        // Of an id in several namespaces, the one that is wanted.
        if chosen[at] || !module.functions.contains_key(last) {
            module.functions.insert(last.to_owned(), at);
        }
    }
    let paths = Paths::new(import.private());
    let all = All { functions, chosen, import, paths };
    all.module(&root, &lints(), "")
}

/// What users need not hear about code that others caused.
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

struct All<'a> {
    functions: &'a [Described],
    chosen: &'a [bool],
    import: &'a Import,
    paths: Paths,
}

impl All<'_> {
    /// The content of a module. `lints` stand on each item, and are empty where the module has them.
    fn module(&self, module: &Module, lints: &TokenStream, path: &str) -> TokenStream {
        let mut names = Names::of_types();
        if path.is_empty() {
            // Beside a module `iii`, the path of the macro itself would have two meanings.
            for taken in self.import.roots() {
                names.take(&taken);
            }
        }
        let children = named(module.children.keys(), &mut names);
        let functions = named(module.functions.keys(), &mut names);
        let mut all = self.types(module, &functions, names, lints);
        let nothing = TokenStream::new();
        for (part, child) in &module.children {
            if !child.is_wanted(self.chosen) {
                continue;
            }
            let path = if path.is_empty() { part.clone() } else { format!("{path}::{part}") };
            let (name, inner) = (ident(&children[part]), self.module(child, &nothing, &path));
            let doc = format!("The functions whose ids begin with `{path}::`.");
            all.extend(quote!(#[doc = #doc] #lints pub mod #name { #inner }));
        }
        all
    }

    /// The functions of a module and their types.
    fn types(
        &self,
        module: &Module,
        called: &BTreeMap<String, String>,
        mut names: Names,
        lints: &TokenStream,
    ) -> TokenStream {
        let mut documents = Vec::new();
        for (last, at) in &module.functions {
            let described = &self.functions[*at];
            let function = type_name(last);
            let function = if function.is_empty() { "Function".to_owned() } else { function };
            let input = names.first_of(&[&format!("{function}Input")]);
            let output = names.first_of(&[&format!("{function}Output")]);
            for (name, schema) in [(input, &described.request), (output, &described.response)] {
                documents.push((
                    name.clone(),
                    schema.as_ref().map(|of| Document::new(of, &function, &name)),
                ));
            }
        }
        let mut types = Types::new(names);
        for document in documents.iter_mut().filter_map(|(_, document)| document.as_mut()) {
            types.define(document);
        }
        let mut shapes = Vec::new();
        for (name, document) in &mut documents {
            let shape = match document {
                Some(document) => types.whole(document),
                None => Shape::Payload,
            };
            shapes.push(types.alias(name, shape));
        }
        let items: &[Item] = &types.items;
        let (mut stubs, mut needed) = (TokenStream::new(), Vec::new());
        for ((last, at), pair) in module.functions.iter().zip(shapes.chunks(2)) {
            if !self.chosen[*at] {
                continue;
            }
            needed.extend(pair);
            let io = [ident(&items[pair[0]].name), ident(&items[pair[1]].name)];
            stubs.extend(self.stub(&ident(&called[last]), &self.functions[*at], &io, lints));
        }
        let graph = Graph::new(items);
        let writer = Writer::new(items, &graph, &self.paths, lints);
        for (index, needed) in graph.needed(&needed).into_iter().enumerate() {
            if needed {
                stubs.extend(writer.item(index));
            }
        }
        stubs
    }

    /// The type that stands for a function.
    fn stub(
        &self,
        name: &Ident,
        function: &Described,
        [input, output]: &[Ident; 2],
        lints: &TokenStream,
    ) -> TokenStream {
        let (id, private) = (&function.id, self.paths.private());
        let doc = match &function.description {
            Some(description) => docs(description),
            None => docs(&format!("Calls the function `{id}` of another worker.")),
        };
        let namespace = some(self.import.namespace(function));
        let timeout = some(
            self.import.timeout.map(|millis| quote!(::core::time::Duration::from_millis(#millis))),
        );
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

impl Types {
    /// The item of a name that is reserved: the type itself, or another name of it.
    fn alias(&mut self, reserved: &str, shape: Shape) -> usize {
        if let Shape::Item(index) = shape
            && self.items[index].name == reserved
        {
            return index;
        }
        self.items.push(Item {
            name: reserved.to_owned(),
            docs: String::new(),
            kind: Kind::Alias(shape),
        });
        self.items.len() - 1
    }
}

/// Names for parts of ids: those that are names as they stand keep them.
fn named<'a>(
    parts: impl Iterator<Item = &'a String> + Clone,
    names: &mut Names,
) -> BTreeMap<String, String> {
    let (kept, changed): (Vec<&String>, Vec<&String>) = parts.partition(|part| is_name(part));
    let all = kept.into_iter().chain(changed);
    all.map(|part| (part.clone(), names.underscored(&name(part)))).collect()
}

fn some(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
