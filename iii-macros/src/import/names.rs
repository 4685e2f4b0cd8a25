//! Rust identifiers for the names in a catalogue: segments of ids, fields, variants and types.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};

/// Names of the prelude. A type of such a name would shadow them in the code of the derive macros.
const PRELUDE: [&str; 10] =
    ["Box", "Err", "None", "Ok", "Option", "Result", "Self", "Some", "String", "Vec"];

/// Keywords that cannot be raw identifiers.
const NEVER_RAW: [&str; 4] = ["Self", "crate", "self", "super"];

/// Identifiers that are keywords in a newer edition than that of the parser.
const NEWER_KEYWORDS: [&str; 1] = ["gen"];

/// Returns an identifier, raw if it is a keyword. `name` must come from this module.
pub(super) fn ident(name: &str) -> Ident {
    if NEWER_KEYWORDS.contains(&name) {
        return Ident::new_raw(name, Span::call_site());
    }
    match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, Span::call_site()),
        Err(_) => Ident::new_raw(name, Span::call_site()),
    }
}

/// Returns whether a string is an identifier, raw or not.
pub(super) fn is_identifier(text: &str) -> bool {
    to_identifier(text) == text
}

/// Converts a string to an identifier: replaces invalid characters by `_`.
///
/// Adds a `_` before a leading digit, and after a keyword that cannot be a raw identifier.
pub(super) fn to_identifier(text: &str) -> String {
    let mut name: String =
        text.chars().map(|letter| if is_continue(letter) { letter } else { '_' }).collect();
    let is_valid = name.chars().next().is_some_and(|first| first == '_' || is_start(first));
    if !is_valid {
        name.insert(0, '_');
    }
    if name == "_" || NEVER_RAW.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// Converts a string to the name of a type: `find-all`, `find_all` and `findAll` become `FindAll`.
///
/// Empty if the string has neither letters nor digits.
pub(super) fn to_type_name(text: &str) -> String {
    let mut joined = String::new();
    for word in text.split(|letter| letter == '_' || !is_continue(letter)) {
        let mut letters = word.chars();
        let Some(first) = letters.next() else { continue };
        joined.extend(first.to_uppercase());
        let rest = letters.as_str();
        // Words in upper case, as in `IN_STOCK`, are lowered; those in mixed case, as `findAll`, are kept.
        if word.chars().any(char::is_lowercase) {
            joined.push_str(rest);
        } else {
            joined.push_str(&rest.to_lowercase());
        }
    }
    if joined.is_empty() { joined } else { to_identifier(&joined) }
}

/// Returns a title, if it is the name of a type as it stands.
pub(super) fn title_type_name(text: &str) -> Option<String> {
    let upper = text.chars().next().is_some_and(char::is_uppercase);
    (upper && is_identifier(text)).then(|| text.to_owned())
}

/// Returns whether a character can be part of an identifier.
fn is_continue(letter: char) -> bool {
    letter == '_'
        || letter.is_ascii_alphanumeric()
        || !letter.is_ascii() && syn::parse_str::<Ident>(&format!("a{letter}")).is_ok()
}

/// Returns whether a character other than `_` can start an identifier.
fn is_start(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || !letter.is_ascii() && syn::parse_str::<Ident>(&letter.to_string()).is_ok()
}

/// The names that are taken in one scope.
#[derive(Debug, Default)]
pub(super) struct NameScope {
    taken: BTreeSet<String>,
}

impl NameScope {
    /// Creates a scope for types, where the names of the prelude are taken.
    pub(super) fn for_types() -> Self {
        Self { taken: PRELUDE.into_iter().map(str::to_owned).collect() }
    }

    /// Takes a name. Returns whether it was free.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// Takes a name, and appends `_` until it is free.
    pub(super) fn take_with_underscores(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while !self.take(&free) {
            free.push('_');
        }
        free
    }

    /// Takes the first of some names that is free, else the last with the first free number.
    pub(super) fn take_first(&mut self, names: &[&str]) -> String {
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
    fn strings_become_identifiers() {
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
            assert_eq!(to_identifier(text), expected, "{text}");
            // Panics if it is no identifier.
            let _ = ident(&to_identifier(text));
        }
        assert_eq!(ident("move").to_string(), "r#move");
        assert_eq!(ident("gen").to_string(), "r#gen");
        assert!(is_identifier("type") && !is_identifier("a-b") && !is_identifier("self"));
    }

    #[test]
    fn type_names_are_in_camel_case() {
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
            assert_eq!(to_type_name(text), expected, "{text}");
        }
        assert_eq!(title_type_name("NewOrder"), Some("NewOrder".to_owned()));
        assert_eq!(title_type_name("new order"), None);
        assert_eq!(title_type_name("name"), None);
    }

    #[test]
    fn names_are_unique_in_a_scope() {
        let mut names = NameScope::for_types();
        assert_eq!(names.take_first(&["Order", "CreateOrder"]), "Order");
        assert_eq!(names.take_first(&["Order", "CreateOrder"]), "CreateOrder");
        assert_eq!(names.take_first(&["Order", "CreateOrder"]), "CreateOrder2");
        assert_eq!(names.take_first(&["Result", "CreateResult"]), "CreateResult");
        assert_eq!(names.take_with_underscores("a_b"), "a_b");
        assert_eq!(names.take_with_underscores("a_b"), "a_b_");
    }
}
