//! `iii::import!("catalogue.json")`: functions of a catalogue file as types for typed calls, with the types of their schemas.
//!
//! The types are made here and not by a library. The one that makes Rust types of JSON Schema, `typify`, writes `::serde`,
//! `::serde_json` and `::regress` into its code, so each crate that uses it would need those three; it stops at a schema
//! that it does not understand, where a caller still wants to call; and it brings `schemars` 0.8, `syn` 2 and about a
//! dozen other packages into every build. What engines tell is small: schemas that `schemars`, zod and pydantic write.
//!
//! `read` takes a file apart, `document` follows references, `schema` and `union` make types of schemas, `names` names
//! them, and `emit` writes them down.

mod document;
mod emit;
mod modules;
mod names;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod types;
mod union;

use std::path::{Path as FilePath, PathBuf};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, LitStr, Path};

use crate::diagnostics::{Ends, Errors, listed, nearest};
use crate::names::private;
use crate::options::{Options, Text, literal};

use self::read::Described;

const OPTIONS: &[&str] = &["namespace", "prefix", "only", "timeout", "crate"];

/// How many ids a message names.
const NAMED: usize = 8;

/// Expands the macro.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    expand_in(tokens, std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from))
}

/// As [`expand`], with the folder that paths begin at.
fn expand_in(tokens: TokenStream, folder: Option<PathBuf>) -> TokenStream {
    let mut errors = Errors::default();
    let code = Import::parse(tokens, &mut errors).and_then(|import| {
        // One mistake must not make another one: without all options, what is chosen is not known.
        if errors.is_empty() { import.run(folder.as_deref(), &mut errors) } else { None }
    });
    let errors = errors.into_tokens();
    quote!(#code #errors)
}

/// Where the functions are called.
#[derive(Clone)]
enum Place {
    /// Where the file says.
    OfFile,
    /// In the namespace of the worker that calls.
    OfCaller,
    Named(Text),
}

/// What the macro is told.
struct Import {
    file: LitStr,
    place: Place,
    prefix: Option<LitStr>,
    only: Vec<LitStr>,
    /// In milliseconds.
    timeout: Option<u64>,
    krate: Option<Path>,
}

impl Import {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut options = Options::parse(tokens, Ends::at(Span::call_site()), errors);
        let file = options.take_positional();
        let word = if file.is_none() { options.take_word_except(OPTIONS) } else { None };
        options.check(OPTIONS, errors);
        let unquoted = "the file is a text, in quotes: `iii::import!(\"catalogue.json\")`";
        let file = match (file, word) {
            (Some(file), _) => literal(&file).or_else(|| {
                errors.on(&file, unquoted);
                None
            }),
            (None, Some(word)) => {
                errors.on(&word, unquoted);
                None
            }
            (None, None) => {
                errors.between(
                    options.place,
                    "which file? `iii::import!(\"catalogue.json\")`, with a path from the folder of `Cargo.toml`",
                );
                None
            }
        };
        let place = match options.take_text("namespace", "shop", errors) {
            None => Place::OfFile,
            Some(Text::Constant(path)) if path.is_ident("None") => Place::OfCaller,
            Some(namespace) => Place::Named(namespace),
        };
        let prefix = options.take_str("prefix", "orders", errors);
        let only = match options.take("only", errors) {
            Some(list) => patterns(&list, errors),
            None => Vec::new(),
        };
        let timeout = options.take_duration("timeout", errors);
        let krate = options.take_path("crate", "a path, such as `crate = ::iii`", errors);
        options.finish(errors);
        Some(Self { file: file?, place, prefix, only, timeout, krate })
    }

    /// Reads the file, and writes the code.
    fn run(&self, folder: Option<&FilePath>, errors: &mut Errors) -> Option<TokenStream> {
        let name = self.file.value();
        let path = folder.unwrap_or(FilePath::new("")).join(&name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                errors.on(&self.file, unread(&name, &error));
                return None;
            }
        };
        // Cargo builds again when the file is another, also after a mistake in it.
        let tracked = if FilePath::new(&name).is_absolute() {
            quote!(#name)
        } else {
            quote!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #name))
        };
        let tracked = quote!(
            const _: &[::core::primitive::u8] = ::core::include_bytes!(#tracked);
        );
        let functions = match read::functions(&text) {
            Ok(functions) => functions,
            Err(error) => {
                errors.on(&self.file, format!("`{name}` {error}"));
                return Some(tracked);
            }
        };
        let Some(chosen) = self.choose(&functions, errors) else { return Some(tracked) };
        let stubs = modules::write(&functions, &chosen, self);
        Some(quote!(#tracked #stubs))
    }

    /// Which functions are wanted.
    fn choose(&self, functions: &[Described], errors: &mut Errors) -> Option<Vec<bool>> {
        let before = errors.count();
        let mut chosen = vec![true; functions.len()];
        if functions.is_empty() {
            errors.on(&self.file, format!("`{}` has no functions", self.file.value()));
        }
        if let Some(prefix) = &self.prefix {
            let text = prefix.value();
            for (chosen, function) in chosen.iter_mut().zip(functions) {
                *chosen = read::is_of(&text, &function.id);
            }
            if !functions.is_empty() && !chosen.contains(&true) {
                let message = format!("no function begins with `{text}`");
                errors.on(prefix, message + &others(functions, &text));
            }
        }
        if !self.only.is_empty() && errors.count() == before {
            let mut fits = vec![false; functions.len()];
            for pattern in &self.only {
                let text = pattern.value();
                let mut any = false;
                for (at, function) in functions.iter().enumerate() {
                    if chosen[at] && read::fits(&text, &function.id) {
                        (fits[at], any) = (true, true);
                    }
                }
                if !any {
                    let message = format!("`{text}` fits no function");
                    errors.on(pattern, message + &others(functions, &text));
                }
            }
            chosen = fits;
        }
        self.one_of_each(functions, &mut chosen, errors);
        (errors.count() == before).then_some(chosen)
    }

    /// Of an id in several namespaces, the one that is called.
    fn one_of_each(&self, functions: &[Described], chosen: &mut [bool], errors: &mut Errors) {
        let wanted = match &self.place {
            Place::Named(text) => text.literal().map(LitStr::value),
            Place::OfFile | Place::OfCaller => None,
        };
        let mut start = 0;
        while start < functions.len() {
            let id = &functions[start].id;
            let end = start + functions[start..].iter().take_while(|other| other.id == *id).count();
            let all = start..end;
            start = end;
            if all.len() < 2 || !chosen[all.start] {
                continue;
            }
            let found =
                all.clone().find(|at| functions[*at].namespace == wanted && wanted.is_some());
            match found {
                Some(found) => all.for_each(|at| chosen[at] = at == found),
                None => {
                    let namespaces: Vec<&str> = functions[all]
                        .iter()
                        .map(|function| function.namespace.as_deref().unwrap_or("default"))
                        .collect();
                    let message = format!(
                        "`{id}` is in the namespaces {}: choose one, such as `namespace = \"{}\"`",
                        listed(&namespaces),
                        namespaces[0]
                    );
                    errors.on(&self.file, message);
                    return;
                }
            }
        }
    }

    /// The namespace of the calls of a function.
    fn namespace(&self, function: &Described) -> Option<TokenStream> {
        match &self.place {
            Place::OfCaller => None,
            Place::OfFile => function.namespace.as_ref().map(|namespace| quote!(#namespace)),
            Place::Named(namespace) => Some(quote!(#namespace)),
        }
    }

    /// The names by which the runtime may be known around the macro.
    fn roots(&self) -> Vec<String> {
        let first = self.krate.as_ref().and_then(|path| path.segments.first());
        let own = first.map(|segment| segment.ident.to_string());
        own.into_iter().chain(["iii".to_owned()]).collect()
    }

    /// What generated code refers to.
    fn private(&self) -> TokenStream {
        private(self.krate.as_ref())
    }
}

/// The texts of `only = ["orders::*"]`.
fn patterns(list: &Expr, errors: &mut Errors) -> Vec<LitStr> {
    let wanted = "`only` is a list of ids: `only = [\"orders::*\", \"carts::add\"]`, where `*` stands for any text";
    let Expr::Array(array) = list else {
        errors.on(list, wanted);
        return Vec::new();
    };
    if array.elems.is_empty() {
        errors.on(list, "`only` has no ids: leave it out for all functions");
    }
    let mut patterns = Vec::new();
    for element in &array.elems {
        match literal(element) {
            Some(pattern) => patterns.push(pattern),
            None => errors.on(element, wanted),
        }
    }
    patterns
}

/// Why there is no text.
fn unread(name: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "there is no file `{name}`: a path begins at the folder of `Cargo.toml`. \
             `iii catalogue --output {name}` writes one from a running engine"
        ),
        std::io::ErrorKind::InvalidData => format!("`{name}` is not UTF-8"),
        _ => format!("`{name}` cannot be read: {error}"),
    }
}

/// What to write instead.
fn others(functions: &[Described], written: &str) -> String {
    let ids: Vec<&str> = functions.iter().map(|function| function.id.as_str()).collect();
    let guess = match nearest(written, &ids) {
        Some(id) => format!("; did you mean `{id}`?"),
        None => String::new(),
    };
    let shown = listed(&ids[..ids.len().min(NAMED)]);
    let more = match ids.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{guess}\nthe functions are: {shown}{more}")
}
