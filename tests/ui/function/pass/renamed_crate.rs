//! The runtime under another name.
#![deny(warnings, missing_docs, unused)]

use iii as other;

mod renamed {
    pub(crate) use super::other::*;
}

#[other::function(id = "renamed::create", crate = other)]
#[other::trigger(http, path = "/a", crate = other)]
async fn create() {}

#[renamed::function(id = "renamed::get", crate = renamed)]
#[renamed::trigger(cron, "0 0 9 * * *")]
fn get() {}

#[other::trigger(http, path = "/b", crate = other)]
#[other::function(id = "renamed::above", crate = crate::other)]
async fn above() {}

#[derive(Debug, other::Error)]
#[error(crate = other)]
enum Failure {
    #[error(code = "renamed/failure")]
    Any,
}

#[other::function(id = "renamed::fail", crate = other)]
async fn fail() -> Result<(), Failure> {
    Err(Failure::Any)
}

mod worker {
    use super::other;

    #[other::main(crate = other)]
    pub(crate) async fn main() {}
}

fn main() {
    let _ = worker::main;
    let _ = fail;
}
