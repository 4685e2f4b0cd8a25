//! Procedural macros of `iii-runtime`: they parse declarations, check them, and write down what the runtime reads.
//!
//! Use them through that crate, as `iii::function` and so on.

mod diagnostics;
mod docs;
mod error_derive;
mod function;
mod main_;
mod names;
mod options;
mod trigger;

use proc_macro::TokenStream;

/// Declares a function of the worker.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(function::expand(options.into(), item.into()))
}

/// Declares what invokes a function.
#[proc_macro_attribute]
pub fn trigger(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(trigger::expand(&options.into(), item.into()))
}

/// Makes a function the entry point of the worker.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    shown(main_::expand(options.into(), item.into()))
}

/// Gives each variant of an error a code.
#[proc_macro_derive(Error, attributes(error, from, source))]
pub fn error(item: TokenStream) -> TokenStream {
    shown(error_derive::expand(item.into()))
}

/// Prints the expansion if `III_MACROS_DEBUG` is set.
fn shown(tokens: proc_macro2::TokenStream) -> TokenStream {
    if std::env::var_os("III_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("{tokens}");
    }
    tokens.into()
}
