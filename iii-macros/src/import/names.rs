//! Rust names for what a catalogue calls by any text: parts of ids, fields, variants and types.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};

/// Types of the prelude. A type of the same name would hide them from the derive macros.
const PRELUDE: [&str; 10] =
    ["Box", "Err", "None", "Ok", "Option", "Result", "Self", "Some", "String", "Vec"];

/// Words that no `r#` makes a name of.
const NEVER_RAW: [&str; 4] = ["Self", "crate", "self", "super"];

/// Words that the parser takes for names, and a newer edition does not.
const NEWER_KEYWORDS: [&str; 1] = ["gen"];

/// The name with `r#` if it is a keyword. `name` must come from this module.
pub(super) fn ident(name: &str) -> Ident {
    if NEWER_KEYWORDS.contains(&name) {
        return Ident::new_raw(name, Span::call_site());
    }
    match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, Span::call_site()),
        Err(_) => Ident::new_raw(name, Span::call_site()),
    }
}

/// Whether a text is a name as it stands; keywords are, with `r#`.
pub(super) fn is_name(text: &str) -> bool {
    name(text) == text
}

/// A text as a name: what cannot stand in a name becomes `_`.
///
/// A `_` goes in front of a digit at the beginning, and behind the words that can never be names.
pub(super) fn name(text: &str) -> String {
    let mut name: String =
        text.chars().map(|letter| if is_letter(letter) { letter } else { '_' }).collect();
    let begins = name.chars().next().is_some_and(|first| first == '_' || begins_name(first));
    if !begins {
        name.insert(0, '_');
    }
    if name == "_" || NEVER_RAW.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// A text as the name of a type: `find-all`, `find_all` and `findAll` become `FindAll`.
///
/// Empty if the text has neither letters nor digits.
pub(super) fn type_name(text: &str) -> String {
    let mut joined = String::new();
    for word in text.split(|letter| letter == '_' || !is_letter(letter)) {
        let mut letters = word.chars();
        let Some(first) = letters.next() else { continue };
        joined.extend(first.to_uppercase());
        let rest = letters.as_str();
        // `IN_STOCK` shouts, `findAll` does not.
        if word.chars().any(char::is_lowercase) {
            joined.push_str(rest);
        } else {
            joined.push_str(&rest.to_lowercase());
        }
    }
    if joined.is_empty() { joined } else { name(&joined) }
}

/// The name that a schema gives its type, if it can be one as it stands.
pub(super) fn given_type_name(text: &str) -> Option<String> {
    let upper = text.chars().next().is_some_and(char::is_uppercase);
    (upper && is_name(text)).then(|| text.to_owned())
}

fn is_letter(letter: char) -> bool {
    letter == '_'
        || letter.is_ascii_alphanumeric()
        || !letter.is_ascii() && syn::parse_str::<Ident>(&format!("a{letter}")).is_ok()
}

fn begins_name(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || !letter.is_ascii() && syn::parse_str::<Ident>(&letter.to_string()).is_ok()
}

/// The names that are given away in one place.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// For types: the names of the prelude are taken.
    pub(super) fn of_types() -> Self {
        Self { taken: PRELUDE.into_iter().map(str::to_owned).collect() }
    }

    /// Takes a name if it is free.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// Takes a name, with a `_` behind it for each time that it is taken.
    pub(super) fn underscored(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while !self.take(&free) {
            free.push('_');
        }
        free
    }

    /// Takes the first of some names that is free; if none is, the last with a number behind it.
    pub(super) fn first_of(&mut self, names: &[&str]) -> String {
        for name in names {
            if self.take(name) {
                return (*name).to_owned();
            }
        }
        let last = names.last().copied().unwrap_or("Value");
        let mut number = 2_u32;
        loop {
            let numbered = format!("{last}{number}");
            if self.take(&numbered) {
                return numbered;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_becomes_a_name() {
        for (text, expected) in [
            ("create", "create"),
            ("on-config-change", "on_config_change"),
            ("v1.2", "v1_2"),
            ("2", "_2"),
            ("move", "move"),
            ("self", "self_"),
            ("Self", "Self_"),
            ("", "__"),
            ("_", "__"),
            ("größe", "größe"),
            ("a²", "a_"),
            ("@type", "_type"),
        ] {
            assert_eq!(name(text), expected, "{text}");
            // It must not panic.
            let _ = ident(&name(text));
        }
        assert_eq!(ident("move").to_string(), "r#move");
        assert_eq!(ident("gen").to_string(), "r#gen");
        assert!(is_name("type") && !is_name("a-b") && !is_name("self"));
    }

    #[test]
    fn types_are_in_camel_case() {
        for (text, expected) in [
            ("create", "Create"),
            ("find-all", "FindAll"),
            ("find_all", "FindAll"),
            ("findAll", "FindAll"),
            ("IN_STOCK", "InStock"),
            ("GET", "Get"),
            ("2xx", "_2xx"),
            ("Page[Order]", "PageOrder"),
            ("self", "Self_"),
            (">=", ""),
        ] {
            assert_eq!(type_name(text), expected, "{text}");
        }
        assert_eq!(given_type_name("NewOrder"), Some("NewOrder".to_owned()));
        assert_eq!(given_type_name("new order"), None);
        assert_eq!(given_type_name("name"), None);
    }

    #[test]
    fn a_taken_name_is_given_once() {
        let mut names = Names::of_types();
        assert_eq!(names.first_of(&["Order", "CreateOrder"]), "Order");
        assert_eq!(names.first_of(&["Order", "CreateOrder"]), "CreateOrder");
        assert_eq!(names.first_of(&["Order", "CreateOrder"]), "CreateOrder2");
        assert_eq!(names.first_of(&["Result", "CreateResult"]), "CreateResult");
        assert_eq!(names.underscored("a_b"), "a_b");
        assert_eq!(names.underscored("a_b"), "a_b_");
    }
}
