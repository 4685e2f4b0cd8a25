//! Environment variables in strings: `${NAME}` and `${NAME:default}`, in the configuration file and in configuration
//! values.

use std::borrow::Cow;

/// An unset variable without a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnsetVariable {
    /// Its name.
    pub(crate) name: String,
    /// The byte offset of its `${` in the string.
    pub(crate) at: usize,
}

/// Reads an environment variable. One that is not Unicode counts as unset.
pub(crate) fn env_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Replaces variables by their values. Incomplete placeholders, such as `${A` or `${}`, are kept; values are not
/// expanded again.
///
/// # Errors
///
/// The first variable that is unset and has no default.
pub(crate) fn expand_variables<'a>(
    text: &'a str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Cow<'a, str>, UnsetVariable> {
    let mut expanded = String::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("${") {
        let at = from + found;
        let Some(parsed) = placeholder(&text[at..]) else {
            from = at + 2;
            continue;
        };
        let value = match (variable(parsed.name), parsed.default) {
            (Some(value), _) => Cow::Owned(value),
            (None, Some(default)) => Cow::Borrowed(default),
            (None, None) => return Err(UnsetVariable { name: parsed.name.to_owned(), at }),
        };
        expanded.push_str(&text[done..at]);
        expanded.push_str(&value);
        done = at + parsed.bytes;
        from = done;
    }
    if done == 0 {
        return Ok(Cow::Borrowed(text));
    }
    expanded.push_str(&text[done..]);
    Ok(Cow::Owned(expanded))
}

/// Returns whether a string is a single variable.
pub(crate) fn is_single_placeholder(text: &str) -> bool {
    placeholder(text).is_some_and(|parsed| parsed.bytes == text.len())
}

struct Placeholder<'a> {
    name: &'a str,
    default: Option<&'a str>,
    /// The length from `$` to `}`.
    bytes: usize,
}

/// Parses the placeholder at the beginning of a string.
fn placeholder(text: &str) -> Option<Placeholder<'_>> {
    let inner = text.strip_prefix("${")?;
    let inner = &inner[..inner.find('}')?];
    let (name, default) = match inner.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    named.then_some(Placeholder { name, default, bytes: inner.len() + 3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "A").then(|| "${B}".to_owned())
    }

    #[test]
    fn variables_and_defaults_are_expanded() {
        let expanded = |text: &'static str| expand_variables(text, &lookup).unwrap();
        assert_eq!(expanded("x ${A}-${B:2:3}${C:} y"), "x ${B}-2:3 y");
        for unchanged in ["", "plain", "${", "${}", "${a b}", "$A", "${A", "{A}"] {
            assert!(matches!(expanded(unchanged), Cow::Borrowed(_)), "{unchanged}");
        }
        assert_eq!(expanded("${a b} ${A}"), "${a b} ${B}");
    }

    #[test]
    fn unset_variable_is_reported_with_its_offset() {
        let unset = expand_variables("ä ${A} ${NOPE}", &lookup).unwrap_err();
        assert_eq!(unset, UnsetVariable { name: "NOPE".to_owned(), at: 8 });
    }

    #[test]
    fn single_placeholder_is_detected() {
        assert!(is_single_placeholder("${A}") && is_single_placeholder("${A:1}"));
        assert!(
            !is_single_placeholder("${A} ")
                && !is_single_placeholder("${A}${B}")
                && !is_single_placeholder("A")
        );
    }
}
