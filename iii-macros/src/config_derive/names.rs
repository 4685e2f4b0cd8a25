//! The grammars of names: ids of the engine's store, variables, keys.

use crate::docs;

/// Checks an id of the engine's configuration store (protocol section 6.6).
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > 64 {
        return Err("the id of a configuration has 1 to 64 letters, such as `orders`".to_owned());
    }
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if id.bytes().all(fits) {
        return Ok(());
    }
    let better: String = docs::words(id)
        .chars()
        .map(|letter| if u8::try_from(letter).is_ok_and(fits) { letter } else { '-' })
        .collect();
    Err(format!("an id is made of `a-z`, `0-9`, `_` and `-`: write `{better}`"))
}

/// Checks the name of a variable, or what names of variables begin with.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(fits) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!(
            "`{name}` is no name of a variable: write letters, digits and `_`, such as `ORDERS_DB_URL`"
        ));
    }
    Ok(())
}

/// Checks what names of variables begin with. It may be empty.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() {
        return Ok(());
    }
    check_variable(prefix)?;
    if prefix.chars().any(|letter| letter.is_ascii_lowercase()) {
        return Err(format!(
            "a prefix is written in capital letters: write `{}`",
            prefix.to_ascii_uppercase().trim_end_matches('_')
        ));
    }
    if prefix.ends_with('_') {
        return Err("a prefix has no `_` at its end: it is added".to_owned());
    }
    Ok(())
}

/// A name in capitals, as variables have it: `MailSettings` as `MAIL_SETTINGS`.
pub(super) fn in_capitals(name: &str) -> String {
    let words = docs::words(name);
    let fits = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    words.chars().map(|letter| fits(letter).to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_engine() {
        for good in ["orders", "my-app_2", &"x".repeat(64)] {
            assert_eq!(check_id(good), Ok(()), "{good}");
        }
        assert!(check_id("").is_err() && check_id(&"x".repeat(65)).is_err());
        assert!(check_id("MyApp").unwrap_err().contains("`my-app`"));
        assert!(check_id("my::app").unwrap_err().contains("`my--app`"));
    }

    #[test]
    fn names_of_variables_are_those_of_a_shell() {
        assert_eq!(check_variable("ORDERS_DB_URL"), Ok(()));
        for bad in ["", "A B", "A-B", "1A", "A=B"] {
            assert!(check_variable(bad).is_err(), "{bad}");
        }
        assert_eq!(check_prefix(""), Ok(()));
        assert!(check_prefix("orders").unwrap_err().contains("`ORDERS`"));
        assert!(check_prefix("ORDERS_").is_err());
        assert_eq!(in_capitals("MailSettings"), "MAIL_SETTINGS");
        assert_eq!(in_capitals("my-app"), "MY_APP");
    }
}
