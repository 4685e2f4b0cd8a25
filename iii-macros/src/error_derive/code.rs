//! The grammar of error codes: `orders/out-of-stock`.

use crate::docs;

/// Checks a code.
///
/// # Errors
///
/// What is invalid, and what to write instead.
pub(super) fn check_code(code: &str) -> Result<(), String> {
    if code.is_empty() {
        let help = "write a code, such as `orders/not-found`";
        return Err(format!("the error code is empty\nhelp: {help}"));
    }
    if code.split('/').any(str::is_empty) {
        return Err(format!(
            "the error code `{code}` has an empty segment\nhelp: write a single `/` between segments"
        ));
    }
    if code.chars().any(|character| character.is_ascii_uppercase()) {
        let segments: Vec<String> = code.split('/').map(kebab_case).collect();
        return Err(format!(
            "expected a lower-case error code, found `{code}`\nhelp: write `{}`",
            segments.join("/")
        ));
    }
    let is_allowed = |character: char| {
        character.is_ascii_lowercase()
            || character.is_ascii_digit()
            || matches!(character, '_' | '.' | '-' | '/')
    };
    match code.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(invalid) => Err(format!(
            "invalid character `{}` in the error code\n\
             help: segments consist of lower-case ASCII letters, digits, `_`, `.` and `-`, \
             separated by `/`",
            invalid.escape_debug()
        )),
    }
}

/// Converts an identifier to a segment: `OutOfStock` becomes `out-of-stock`.
pub(super) fn kebab_case(name: &str) -> String {
    docs::to_words(name).replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_checked() {
        for valid in ["orders/out-of-stock", "timeout", "a.b/c_d/1"] {
            assert_eq!(check_code(valid), Ok(()), "{valid}");
        }
        assert!(check_code("").unwrap_err().contains("empty"));
        assert!(check_code("a//b").unwrap_err().contains("empty segment"));
        assert!(check_code("/a").unwrap_err().contains("empty segment"));
        assert!(check_code("Orders/NotFound").unwrap_err().contains("`orders/not-found`"));
        assert!(check_code("a b").unwrap_err().contains("` `"));
        assert!(check_code("a::b").unwrap_err().contains("`:`"));
    }
}
