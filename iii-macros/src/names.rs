//! Names in generated code: the path of the runtime, and names that no two different declarations share.

use std::fmt::Write as _;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

/// The line that gives generated code its way into the runtime: `__iii`.
pub(crate) fn import(krate: Option<&Path>) -> TokenStream {
    let private = private(krate);
    quote!(use #private as __iii;)
}

/// The path of what generated code refers to.
pub(crate) fn private(krate: Option<&Path>) -> TokenStream {
    match krate {
        Some(path) => quote!(#path::__private),
        None => quote!(::iii::__private),
    }
}

/// The name of the macro that claims a function id. Two equal names in one crate do not compile.
pub(crate) fn function_sentinel(id: &str) -> String {
    let mut name = "__iii_duplicate_function_id".to_owned();
    for segment in id.split("::") {
        name.push_str("__");
        escape(segment, &mut name);
    }
    name
}

/// The name of the macro that claims a method and a path. The names of parameters do not count.
pub(crate) fn route_sentinel(method: &str, path: &str) -> String {
    let mut name = format!("__iii_duplicate_route__{method}");
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        name.push_str("__");
        if segment.starts_with(':') {
            // No escape begins with these letters.
            name.push_str("_param");
        } else {
            escape(segment, &mut name);
        }
    }
    name
}

/// Adds `text` so that it can be read back: `_` only ever begins or ends the number of a character.
fn escape(text: &str, name: &mut String) {
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(name, "_{:x}_", u32::from(character));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn names_are_readable() {
        assert_eq!(
            function_sentinel("orders::create"),
            "__iii_duplicate_function_id__orders__create"
        );
        assert_eq!(
            route_sentinel("POST", "/orders/:id"),
            "__iii_duplicate_route__POST__orders___param"
        );
    }

    #[test]
    fn the_name_of_a_parameter_does_not_count() {
        assert_eq!(route_sentinel("GET", "/o/:id"), route_sentinel("GET", "/o/:key"));
        assert_ne!(route_sentinel("GET", "/o/:id"), route_sentinel("GET", "/o/:id/"));
        assert_ne!(route_sentinel("GET", "/o/:id"), route_sentinel("GET", "/o/_param"));
        assert_ne!(route_sentinel("GET", "/o"), route_sentinel("POST", "/o"));
    }

    /// All short texts over the letters that could be confused.
    fn texts(alphabet: &[&str], longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..longest {
            last = last
                .iter()
                .flat_map(|text| alphabet.iter().map(move |piece| format!("{text}{piece}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn no_two_ids_share_a_name() {
        let mut seen = HashMap::new();
        for id in texts(&["a", "2", "d", "_", "-", "::", "."], 5) {
            if let Some(other) = seen.insert(function_sentinel(&id), id.clone()) {
                panic!("{id:?} and {other:?} share a name");
            }
        }
    }

    #[test]
    fn no_two_paths_share_a_name() {
        let mut seen = HashMap::new();
        for path in texts(&["a", "5", "f", "_", "-", "/", "p"], 5) {
            let path = format!("/{path}");
            if let Some(other) = seen.insert(route_sentinel("GET", &path), path.clone()) {
                panic!("{path:?} and {other:?} share a name");
            }
        }
    }
}
