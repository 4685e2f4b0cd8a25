//! Names in the user's scope that generated code could take for its own.
#![deny(warnings, missing_docs, unused)]
#![allow(non_camel_case_types, dead_code)]

use iii::{JsonSchema, schemars};
use serde::{Deserialize, Serialize};

/// Shadows the prelude, primitives and the names of the runtime.
#[allow(unused_imports, unused_macros)]
mod shadows {
    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) struct Box;
    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct Ok;
    pub(crate) struct Err;
    pub(crate) struct u8;
    pub(crate) struct bool;
    pub(crate) struct str;
    pub(crate) struct usize;
    pub(crate) struct Probe;
    pub(crate) struct Slot;
    pub(crate) struct Function;
    pub(crate) struct Error;
    pub(crate) trait Send {}
    pub(crate) trait From {}
    pub(crate) trait Into {}
    pub(crate) trait Default {}
    pub(crate) mod std {}
    pub(crate) mod core {}
    pub(crate) mod serde {}
    pub(crate) mod inventory {}
    pub(crate) use assert_nothing as assert;
    pub(crate) use assert_nothing as file;
    pub(crate) use assert_nothing as line;
    pub(crate) use assert_nothing as vec;
    macro_rules! assert_nothing {
        () => {};
    }
    pub(crate) use assert_nothing;
}

/// A payload with the name of another type.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Payload {
    text: ::std::string::String,
}

mod weird {
    #[allow(unused_imports)]
    use super::shadows::*;
    use super::Payload;

    #[iii::function(id = "weird::handler", timeout = "1s", concurrency = 1, metadata = 1)]
    #[iii::trigger(http, path = "/handler", middleware = [])]
    #[iii::trigger(queue, topic = "t", backoff = "1s", mode = "fifo")]
    #[iii::trigger(state, scope = "s")]
    async fn handler(payload: Payload) -> Payload {
        payload
    }

    #[iii::function(id = "weird::main")]
    async fn main(call: Payload) -> ::std::option::Option<Payload> {
        ::std::option::Option::Some(call)
    }

    #[iii::function(id = "weird::type")]
    async fn r#type(r#fn: Payload, _: iii::Context, iii::Metadata(()): iii::Metadata<()>) -> Payload {
        r#fn
    }

    #[iii::function(id = "weird::check")]
    fn check() {}

    #[derive(Debug, iii::Error)]
    enum Failure {
        #[error(code = "weird/a", message = "{r} {type}")]
        A { r: ::std::string::String, r#type: i32, #[source] f: ::std::fmt::Error },
        #[error(code = "weird/b")]
        Option,
    }
}

mod generic {
    use super::{JsonSchema, Payload, schemars};

    /// A payload that looks like an extractor.
    #[derive(serde::Deserialize, JsonSchema)]
    pub(crate) struct State<T>(T);

    #[iii::function(id = "weird::state", stub = false)]
    async fn state(state: State<Payload>) -> Payload {
        state.0
    }

    /// A type of the name of the function.
    struct named {}

    #[iii::function(id = "weird::named", stub = Named)]
    fn named() -> Payload {
        panic!("{}", <Named as iii::Function>::ID)
    }
}

fn main() {}
