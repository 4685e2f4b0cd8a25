//! Declarations in a library crate: programs have them if they name the crate.

/// Greets.
#[iii::function(id = "library::hello")]
#[iii::trigger(http, path = "/library/:name")]
pub async fn hello() -> String {
    "hello".to_owned()
}
