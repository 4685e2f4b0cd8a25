//! Procedural macros of `iii-runtime`: they parse declarations, check them, and write down what the runtime reads.
//!
//! Use them through that crate, as `iii::function` and so on; there they are documented, with examples that compile.
//! With `III_MACROS_DEBUG=1` in the environment of the compiler, each prints what it made.

// The docs of the runtime's exports are shown together with these, so here are none.
#![allow(missing_docs)]

mod config_derive;
mod diagnostics;
mod docs;
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
mod stream;
mod test_;
mod trigger;
mod trigger_type;

use proc_macro::TokenStream;

// Declares a function of the worker: `#[iii::function(id = "orders::create")]`.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(function::expand(options.into(), item.into()))
}

// Declares what invokes a function: `#[iii::trigger(http, path = "/orders")]`.
#[proc_macro_attribute]
pub fn trigger(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(trigger::expand(&options.into(), &item.into()))
}

// Declares a trigger type that this worker provides: `#[iii::trigger_type(id = "webhook")]`.
#[proc_macro_attribute]
pub fn trigger_type(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(trigger_type::expand(options.into(), &item.into()))
}

// Declares a stream that this worker keeps: `#[iii::stream(name = "chat")]`.
#[proc_macro_attribute]
pub fn stream(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(stream::expand(options.into(), &item.into()))
}

// Makes types for calls of functions that other workers serve: `#[iii::remote(prefix = "orders")]`.
#[proc_macro_attribute]
pub fn remote(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(remote::expand(options.into(), &item.into()))
}

// Declares a group of functions, whose ids begin with its own: `#[iii::service(id = "orders")]`.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(service::expand(options.into(), &item.into()))
}

// Declares a function that an HTTP endpoint serves: `#[iii::http_function(id = "ext::charge", url = "https://…")]`.
#[proc_macro_attribute]
pub fn http_function(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(http_function::expand(options.into(), item.into()))
}

// Makes types for calls of the functions in a catalogue file: `iii::import!("catalogue.json")`.
#[cfg(feature = "import")]
#[proc_macro]
pub fn import(tokens: TokenStream) -> TokenStream {
    shown(import::expand(tokens.into()))
}

// Makes a function the entry point of the worker: `#[iii::main]`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(main_::expand(options.into(), &item.into()))
}

// Makes a function a test of the worker, in memory and under virtual time: `#[iii::test]`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(test_::expand(options.into(), item.into()))
}

// Makes a struct a configuration of the worker: `#[derive(iii::Config)]`.
#[proc_macro_derive(Config, attributes(config))]
pub fn config(item: TokenStream) -> TokenStream {
    shown(config_derive::expand(item.into()))
}

// Gives each variant of an error a code: `#[error(code = "orders/gone")]`.
#[proc_macro_derive(Error, attributes(error, from, source))]
pub fn error(item: TokenStream) -> TokenStream {
    shown(error_derive::expand(item.into()))
}

/// Prints the expansion if somebody wants to see it.
#[allow(clippy::print_stderr)]
fn shown(tokens: proc_macro2::TokenStream) -> TokenStream {
    if std::env::var_os("III_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("{tokens}");
    }
    tokens.into()
}
