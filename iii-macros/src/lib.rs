//! Procedural macros of `iii-runtime`: they parse declarations, check them, and emit the code that the runtime collects.
//!
//! Use them through `iii-runtime`, as `iii::function` and so on. That crate documents each macro, with examples.
//!
//! With `III_MACROS_DEBUG=1` in the environment of the compiler, each macro prints its expansion to standard error.
//!
//! A module uses only those that come before it in this list:
//!
//! ```text
//! diagnostics docs names             compile errors; doc comments; names in generated code
//! attributes tokens options          attributes of items, fragments of generated code, options of macros
//! entry provided derive              what `main` and `test`, `stream` and `trigger_type`, and the derives share
//! trigger function                   `#[iii::trigger]`: one module for each group of kinds; `#[iii::function]`
//! remote http_function service       `#[iii::remote]`, `#[iii::http_function]`, `#[iii::service]`
//! stream trigger_type                `#[iii::stream]`, `#[iii::trigger_type]`
//! main_ test_                        `#[iii::main]`, `#[iii::test]`
//! config_derive error_derive         `#[derive(iii::Config)]`, `#[derive(iii::Error)]`
//! import                             `iii::import!`
//! ```

// `iii-runtime` documents its re-exports; rustdoc would append comments on these functions to that documentation.
#![allow(missing_docs)]

mod attributes;
mod config_derive;
mod derive;
mod diagnostics;
mod docs;
mod entry;
mod error_derive;
mod function;
mod http_function;
#[cfg(feature = "import")]
mod import;
mod main_;
mod names;
mod options;
mod provided;
mod remote;
mod service;
#[cfg(test)]
mod snapshots;
mod stream;
mod test_;
mod tokens;
mod trigger;
mod trigger_type;

use proc_macro::TokenStream;

// Declares a function of the worker: `#[iii::function(id = "orders::create")]`.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(function::expand(options.into(), item.into()))
}

// Declares a trigger of a function: `#[iii::trigger(http, path = "/orders")]`.
#[proc_macro_attribute]
pub fn trigger(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(trigger::expand(&options.into(), &item.into()))
}

// Declares a trigger type that the worker provides: `#[iii::trigger_type(id = "webhook")]`.
#[proc_macro_attribute]
pub fn trigger_type(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(trigger_type::expand(options.into(), &item.into()))
}

// Declares a stream whose store the worker provides: `#[iii::stream(name = "chat")]`.
#[proc_macro_attribute]
pub fn stream(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(stream::expand(options.into(), &item.into()))
}

// Declares stubs of functions that other workers serve: `#[iii::remote(prefix = "orders")]`.
#[proc_macro_attribute]
pub fn remote(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(remote::expand(options.into(), &item.into()))
}

// Declares a service: a module whose functions share an id prefix, as in `#[iii::service(id = "orders")]`.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(service::expand(options.into(), &item.into()))
}

// Declares a function that an HTTP endpoint serves: `#[iii::http_function(id = "ext::charge", url = "https://…")]`.
#[proc_macro_attribute]
pub fn http_function(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(http_function::expand(options.into(), item.into()))
}

// Declares stubs of the functions in a catalogue file: `iii::import!("catalogue.json")`.
#[cfg(feature = "import")]
#[proc_macro]
pub fn import(tokens: TokenStream) -> TokenStream {
    print_if_debugging(import::expand(tokens.into()))
}

// Declares the entry point of the worker: `#[iii::main]`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(main_::expand(options.into(), &item.into()))
}

// Declares a test of the worker, on an in-memory engine and under virtual time: `#[iii::test]`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    print_if_debugging(test_::expand(options.into(), item.into()))
}

// Derives the configuration of a worker: `#[derive(iii::Config)]`.
#[proc_macro_derive(Config, attributes(config))]
pub fn config(item: TokenStream) -> TokenStream {
    print_if_debugging(config_derive::expand(item.into()))
}

// Derives an error whose variants have codes: `#[derive(iii::Error)]`.
#[proc_macro_derive(Error, attributes(error, from, source))]
pub fn error(item: TokenStream) -> TokenStream {
    print_if_debugging(error_derive::expand(item.into()))
}

/// Prints the expansion to standard error if `III_MACROS_DEBUG=1`.
#[allow(clippy::print_stderr)]
fn print_if_debugging(tokens: proc_macro2::TokenStream) -> TokenStream {
    if std::env::var_os("III_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("{tokens}");
    }
    tokens.into()
}
