//! The entry point of a worker whose functions are all in a library crate.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused, clippy::pedantic)]

use iii::App;
use iii_tests_edition_2021::Stock;

#[iii::main(link(iii_tests_edition_2021), worker_threads = 2)]
fn main(app: &mut App) {
    app.state(Stock);
}
