//! Names in generated code: the path of the runtime, and the unique names that detect duplicate ids and routes.

use std::fmt::Write as _;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

/// The `use` item that makes the runtime available to generated code as `__iii`.
pub(crate) fn import_runtime(krate: Option<&Path>) -> TokenStream {
    let runtime = runtime_path(krate);
    quote!(use #runtime as __iii;)
}

/// The path of the module that generated code refers to.
pub(crate) fn runtime_path(krate: Option<&Path>) -> TokenStream {
    match krate {
        Some(path) => quote!(#path::__private),
        None => quote!(::iii::__private),
    }
}

/// The name of the macro that claims a function id. Two macros of one name in a crate do not compile.
pub(crate) fn function_sentinel(id: &str) -> String {
    let mut name = "__iii_duplicate_function_id".to_owned();
    for segment in id.split("::") {
        name.push_str("__");
        push_escaped(segment, &mut name);
    }
    name
}

/// The name of the macro that claims an HTTP route. Routes that differ only in the names of their parameters are equal.
pub(crate) fn route_sentinel(method: &str, path: &str) -> String {
    let mut name = format!("__iii_duplicate_route__{method}");
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        name.push_str("__");
        if segment.starts_with(':') {
            // No escape sequence begins with these letters.
            name.push_str("_param");
        } else {
            push_escaped(segment, &mut name);
        }
    }
    name
}

/// Appends `text` reversibly: every `_` begins or ends the escape sequence of a character.
fn push_escaped(text: &str, name: &mut String) {
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
    fn sentinel_names_are_readable() {
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
    fn route_sentinel_ignores_parameter_names() {
        assert_eq!(route_sentinel("GET", "/o/:id"), route_sentinel("GET", "/o/:key"));
        assert_ne!(route_sentinel("GET", "/o/:id"), route_sentinel("GET", "/o/:id/"));
        assert_ne!(route_sentinel("GET", "/o/:id"), route_sentinel("GET", "/o/_param"));
        assert_ne!(route_sentinel("GET", "/o"), route_sentinel("POST", "/o"));
    }

    /// All strings of at most `max_pieces` pieces of the alphabet.
    fn combinations(alphabet: &[&str], max_pieces: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..max_pieces {
            last = last
                .iter()
                .flat_map(|text| alphabet.iter().map(move |piece| format!("{text}{piece}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn function_sentinels_are_unique() {
        let mut seen = HashMap::new();
        for id in combinations(&["a", "2", "d", "_", "-", "::", "."], 5) {
            if let Some(other) = seen.insert(function_sentinel(&id), id.clone()) {
                panic!("{id:?} and {other:?} share a name");
            }
        }
    }

    #[test]
    fn route_sentinels_are_unique() {
        let mut seen = HashMap::new();
        for path in combinations(&["a", "5", "f", "_", "-", "/", "p"], 5) {
            let path = format!("/{path}");
            if let Some(other) = seen.insert(route_sentinel("GET", &path), path.clone()) {
                panic!("{path:?} and {other:?} share a name");
            }
        }
    }
}
