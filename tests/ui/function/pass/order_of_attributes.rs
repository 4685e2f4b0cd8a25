//! Triggers stand above or below, imported or by path; what is not compiled leaves nothing behind.
#![deny(warnings, missing_docs, unused)]

use iii::{function, trigger};

#[trigger(http, path = "/a")]
#[iii::trigger(http, path = "/b")]
#[function(id = "order::above")]
async fn above() {}

#[function(id = "order::below")]
#[trigger(http, path = "/c")]
#[inline]
#[iii::trigger(http, path = "/d")]
async fn below() {}

#[trigger(http, path = "/e")]
#[function(id = "order::both")]
#[trigger(http, path = "/f")]
fn both() {}

#[function(id = "order::conditional")]
#[cfg(any())]
#[trigger(http, path = "/c")]
async fn absent() -> ThisTypeDoesNotExist {}

#[cfg(any())]
#[function(id = "order::conditional")]
async fn absent_too() -> ThisTypeDoesNotExist {}

#[cfg(all())]
#[function(id = "order::conditional")]
async fn present() {}

mod inside {
    // The name of the attribute is imported only by the module above.
    #[super::function(id = "order::inside")]
    #[super::trigger(http, path = "/g")]
    async fn hidden() {}
}

fn paths(function: &'static iii::catalogue::FunctionDescriptor) -> Vec<String> {
    let triggers = function.triggers.iter();
    triggers.map(|trigger| (trigger.binding)().summary).collect()
}

fn main() {
    #[function(id = "order::local")]
    async fn local() {}

    use iii::catalogue::Declared;
    assert_eq!(paths(above::descriptor()), ["GET /a", "GET /b"]);
    assert_eq!(paths(below::descriptor()), ["GET /c", "GET /d"]);
    assert_eq!(paths(both::descriptor()), ["GET /e", "GET /f"]);
    assert_eq!(paths(local::descriptor()), [""; 0]);
}
