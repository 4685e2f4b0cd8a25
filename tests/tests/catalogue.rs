//! Declarations across crates: what a program has without saying more, and what its start finds wrong.

use iii::prelude::*;
use iii_tests::declared;

struct Missing;

/// The library has a function of this id as well.
#[iii::function(id = "library::hello")]
#[iii::trigger(http, path = "/library/:other")]
async fn hello(_missing: State<Missing>, _other: Path<String>) {}

#[test]
fn declarations_of_linked_crates_are_there_and_all_problems_are_in_one_report() {
    // Naming the crate is what links it.
    let _ = declared::hello;
    let problems = App::declared().catalogue().unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.iter().count(), 3, "{text}");
    for part in [
        "`library::hello` is declared 2 times",
        "`GET /library/:` is declared 2 times",
        "Missing`",
        "tests/catalogue.rs:",
        "src/declared.rs:",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let error = iii::Error::from(problems);
    assert_eq!(error.code(), iii::code::INVALID_CATALOGUE);
}

#[test]
fn an_app_by_hand_has_what_it_is_given() {
    let mut app = App::new();
    app.function::<declared::hello>().function::<declared::hello>();
    let catalogue = app.catalogue().unwrap();
    let ids: Vec<&str> = catalogue.entries().iter().map(|entry| entry.function.id).collect();
    assert_eq!(ids, ["library::hello"]);
    let entry = catalogue.get("library::hello").unwrap();
    assert_eq!(entry.function.description, Some("Greets."));
    assert_eq!(entry.function.crate_name(), "iii_tests");
    assert_eq!(entry.triggers[0].0.summary, "GET /library/:name");
    assert!(entry.output_schema.as_ref().unwrap().as_str().contains("string"));
}
