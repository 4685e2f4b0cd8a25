//! What the macros accept, and what they say about mistakes: one message for each, at the mistake.
//!
//! `TRYBUILD=overwrite cargo test -p iii-tests --test ui` writes the messages down anew; read them before you commit.

/// The wording of the compiler changes from version to version, so the messages are those of one.
#[rustversion::attr(not(stable(1.95)), ignore = "the messages are those of Rust 1.95")]
#[test]
fn macros() {
    let cases = trybuild::TestCases::new();
    for of in ["function", "trigger", "main", "error"] {
        cases.pass(format!("ui/{of}/pass/*.rs"));
        cases.compile_fail(format!("ui/{of}/fail/*.rs"));
    }
}
