//! `iii::import!("catalogue.json")`: the functions of a catalogue file as stubs, with the types of their schemas.

// `catalogue` parses a file, `document` resolves references, `schema`, `typed` and `union` convert schemas to types,
// `names` names them, and `modules` and `emit` emit the code.
//
// The macro generates the types itself. `typify`, the library for this, emits paths to `::serde`, `::serde_json` and
// `::regress`, so that each crate with an `import!` would need those three; it rejects schemas that it does not support,
// although their functions can still be called; and it adds `schemars` 0.8, `syn` 2 and about a dozen other packages to
// every build. The schemas of a catalogue are few in kind: those that schemars, zod and pydantic write.

mod catalogue;
mod document;
mod emit;
mod modules;
mod names;
mod schema;
#[cfg(test)]
mod tests;
mod typed;
mod types;
mod union;

use std::path::{Path as FilePath, PathBuf};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, LitStr, Path, parse_quote};

use crate::diagnostics::{Errors, SpanRange, did_you_mean, quoted_list};
use crate::names::runtime_path;
use crate::options::{MacroOptions, StringOrPath, found, literal};

use self::catalogue::CatalogueFunction;

const OPTIONS: &[&str] = &["namespace", "prefix", "only", "timeout", "crate"];

/// The maximum number of ids in a message.
const MAX_LISTED_IDS: usize = 8;

/// Expands the macro.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    expand_in(tokens, std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from))
}

/// As [`expand`], with the folder that paths are relative to.
pub(crate) fn expand_in(tokens: TokenStream, folder: Option<PathBuf>) -> TokenStream {
    let mut errors = Errors::default();
    let code = ImportOptions::parse(tokens, &mut errors).and_then(|options| {
        // With an invalid option, the selection is not known, and would be reported as well.
        if errors.is_empty() { options.emit(folder.as_deref(), &mut errors) } else { None }
    });
    let errors = errors.into_tokens();
    quote!(#code #errors)
}

/// The namespace of the calls.
#[derive(Clone)]
enum CallNamespace {
    /// That of each function in the file.
    OfFile,
    /// That of the calling worker.
    OfCaller,
    Named(StringOrPath),
}

/// The options of the macro.
struct ImportOptions {
    file: LitStr,
    namespace: CallNamespace,
    prefix: Option<LitStr>,
    only: Vec<LitStr>,
    /// In milliseconds.
    timeout: Option<u64>,
    krate: Option<Path>,
}

impl ImportOptions {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut options = MacroOptions::parse(tokens, SpanRange::at(Span::call_site()), errors);
        let file: Option<Expr> = options.take_positional().or_else(|| {
            // A word without quotes parses as a flag.
            options.take_word_except(OPTIONS).map(|word| parse_quote!(#word))
        });
        options.check(OPTIONS, errors);
        let file = match file {
            Some(file) => literal(&file).or_else(|| {
                let message = format!(
                    "expected the path of a catalogue file as a string, found {}\n\
                     help: write `iii::import!(\"catalogue.json\")`",
                    found(&file)
                );
                errors.on(&file, message);
                None
            }),
            None => {
                errors.at_range(
                    options.span,
                    "missing catalogue file\n\
                     help: write `iii::import!(\"catalogue.json\")`, with a path relative to the \
                     folder of `Cargo.toml`",
                );
                None
            }
        };
        let namespace = match options.take_string_or_path("namespace", "shop", errors) {
            None => CallNamespace::OfFile,
            Some(StringOrPath::Path(path)) if path.is_ident("None") => CallNamespace::OfCaller,
            Some(namespace) => CallNamespace::Named(namespace),
        };
        let prefix = options.take_str("prefix", "orders", errors);
        let only = match options.take("only", errors) {
            Some(list) => parse_patterns(&list, errors),
            None => Vec::new(),
        };
        let timeout = options.take_duration("timeout", errors);
        let krate = options.take_crate(errors);
        options.finish(errors);
        Some(Self { file: file?, namespace, prefix, only, timeout, krate })
    }

    /// Reads the file, and emits the code.
    fn emit(&self, folder: Option<&FilePath>, errors: &mut Errors) -> Option<TokenStream> {
        let name = self.file.value();
        let path = folder.unwrap_or(FilePath::new("")).join(&name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                errors.on(&self.file, read_error(&name, &error));
                return None;
            }
        };
        // Makes Cargo rebuild the crate when the file changes, also after an error in it.
        let tracked = if FilePath::new(&name).is_absolute() {
            quote!(#name)
        } else {
            quote!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #name))
        };
        let tracked = quote!(
            const _: &[::core::primitive::u8] = ::core::include_bytes!(#tracked);
        );
        let functions = match catalogue::parse(&text) {
            Ok(functions) => functions,
            Err(error) => {
                errors.on(&self.file, format!("`{name}` {error}"));
                return Some(tracked);
            }
        };
        let Some(selected) = self.select(&functions, errors) else { return Some(tracked) };
        let modules = modules::emit(&functions, &selected, self);
        Some(quote!(#tracked #modules))
    }

    /// Returns for each function whether the options select it. `None` after an error.
    fn select(&self, functions: &[CatalogueFunction], errors: &mut Errors) -> Option<Vec<bool>> {
        let errors_before = errors.count();
        let mut selected = vec![true; functions.len()];
        if functions.is_empty() {
            errors.on(&self.file, format!("`{}` contains no functions", self.file.value()));
        }
        if let Some(prefix) = &self.prefix {
            let text = prefix.value();
            for (selected, function) in selected.iter_mut().zip(functions) {
                *selected = catalogue::has_prefix(&text, &function.id);
            }
            if !functions.is_empty() && !selected.contains(&true) {
                let message = format!("no function has the prefix `{text}`");
                errors.on(prefix, message + &suggestions(functions, &text));
            }
        }
        if !self.only.is_empty() && errors.count() == errors_before {
            let mut matches = vec![false; functions.len()];
            for pattern in &self.only {
                let text = pattern.value();
                let mut has_match = false;
                for (at, function) in functions.iter().enumerate() {
                    if selected[at] && catalogue::matches_pattern(&text, &function.id) {
                        (matches[at], has_match) = (true, true);
                    }
                }
                if !has_match {
                    let message = format!("no function matches `{text}`");
                    errors.on(pattern, message + &suggestions(functions, &text));
                }
            }
            selected = matches;
        }
        self.select_namespaces(functions, &mut selected, errors);
        (errors.count() == errors_before).then_some(selected)
    }

    /// Selects one function of each id that is in several namespaces.
    fn select_namespaces(
        &self,
        functions: &[CatalogueFunction],
        selected: &mut [bool],
        errors: &mut Errors,
    ) {
        let namespace = match &self.namespace {
            CallNamespace::Named(namespace) => namespace.literal().map(LitStr::value),
            CallNamespace::OfFile | CallNamespace::OfCaller => None,
        };
        let mut start = 0;
        while start < functions.len() {
            let id = &functions[start].id;
            let end = start + functions[start..].iter().take_while(|other| other.id == *id).count();
            let all = start..end;
            start = end;
            if all.len() < 2 || !selected[all.start] {
                continue;
            }
            let found =
                all.clone().find(|at| functions[*at].namespace == namespace && namespace.is_some());
            match found {
                Some(found) => all.for_each(|at| selected[at] = at == found),
                None => {
                    let namespaces: Vec<&str> = functions[all]
                        .iter()
                        .map(|function| function.namespace.as_deref().unwrap_or("default"))
                        .collect();
                    let message = format!(
                        "function `{id}` is in several namespaces: {}\n\
                         help: select one, such as `namespace = \"{}\"`",
                        quoted_list(&namespaces),
                        namespaces[0]
                    );
                    errors.on(&self.file, message);
                    return;
                }
            }
        }
    }

    /// Emits the namespace of the calls of a function.
    fn namespace_of(&self, function: &CatalogueFunction) -> Option<TokenStream> {
        match &self.namespace {
            CallNamespace::OfCaller => None,
            CallNamespace::OfFile => {
                function.namespace.as_ref().map(|namespace| quote!(#namespace))
            }
            CallNamespace::Named(namespace) => Some(quote!(#namespace)),
        }
    }

    /// Returns the names by which the macro's crate may be in scope.
    fn root_names(&self) -> Vec<String> {
        let first = self.krate.as_ref().and_then(|path| path.segments.first());
        let own = first.map(|segment| segment.ident.to_string());
        own.into_iter().chain(["iii".to_owned()]).collect()
    }

    fn runtime_path(&self) -> TokenStream {
        runtime_path(self.krate.as_ref())
    }
}

/// Parses the patterns of `only = ["orders::*"]`.
fn parse_patterns(list: &Expr, errors: &mut Errors) -> Vec<LitStr> {
    let help = "write `only = [\"orders::*\", \"carts::add\"]`, where `*` matches any characters";
    let Expr::Array(array) = list else {
        let found = found(list);
        let message = format!("expected an array of function ids for `only`, found {found}");
        errors.on(list, format!("{message}\nhelp: {help}"));
        return Vec::new();
    };
    if array.elems.is_empty() {
        errors.on(list, "`only` is empty\nhelp: remove it to import all functions");
    }
    let mut patterns = Vec::new();
    for element in &array.elems {
        match literal(element) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let found = found(element);
                let message =
                    format!("expected a function id as a string in `only`, found {found}");
                errors.on(element, format!("{message}\nhelp: {help}"));
            }
        }
    }
    patterns
}

/// Formats the message about a file that cannot be read.
fn read_error(name: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "file `{name}` not found\n\
             help: write a path relative to the folder of `Cargo.toml`\n\
             help: `iii catalogue --output {name}` writes a catalogue of a running engine"
        ),
        std::io::ErrorKind::InvalidData => format!("`{name}` is not valid UTF-8"),
        _ => format!("cannot read `{name}`: {error}"),
    }
}

/// Formats the nearest function id, and the first ids of the file.
fn suggestions(functions: &[CatalogueFunction], written: &str) -> String {
    let ids: Vec<&str> = functions.iter().map(|function| function.id.as_str()).collect();
    let suggestion = did_you_mean(written, &ids);
    let listed = quoted_list(&ids[..ids.len().min(MAX_LISTED_IDS)]);
    let more = match ids.len().saturating_sub(MAX_LISTED_IDS) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{suggestion}\nhelp: the functions are {listed}{more}")
}
