//! The grammar of error codes: `orders/out-of-stock`.

use crate::docs;

/// Checks a code.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
pub(super) fn check(code: &str) -> Result<(), String> {
    if code.is_empty() {
        return Err("the code is empty: write one, such as `orders/not-found`".to_owned());
    }
    if code.split('/').any(str::is_empty) {
        return Err(format!("the code `{code}` has an empty part: write one `/` between parts"));
    }
    if code.chars().any(|character| character.is_ascii_uppercase()) {
        let parts: Vec<String> =
            code.split('/').map(|part| docs::words(part).replace(' ', "-")).collect();
        return Err(format!("a code has no capital letters: write `{}`", parts.join("/")));
    }
    let is_allowed = |character: char| {
        character.is_ascii_lowercase()
            || character.is_ascii_digit()
            || matches!(character, '_' | '.' | '-' | '/')
    };
    match code.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(bad) => Err(format!(
            "the code has `{}`, but codes are made of lower-case letters, digits, `_`, `.` and `-`, \
             with `/` between parts",
            bad.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_checked() {
        for good in ["orders/out-of-stock", "timeout", "a.b/c_d/1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert!(check("").unwrap_err().contains("empty"));
        assert!(check("a//b").unwrap_err().contains("empty part"));
        assert!(check("/a").unwrap_err().contains("empty part"));
        assert!(check("Orders/NotFound").unwrap_err().contains("`orders/not-found`"));
        assert!(check("a b").unwrap_err().contains("` `"));
        assert!(check("a::b").unwrap_err().contains("`:`"));
    }
}
