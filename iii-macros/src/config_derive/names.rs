//! The grammars of names: configuration ids, environment variables and their prefixes.

use crate::docs;

/// Checks the id of a configuration in the engine's store.
///
/// # Errors
///
/// What is invalid, and what to write instead.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > 64 {
        return Err(format!(
            "expected a configuration id of 1 to 64 characters, found {}\n\
             help: write an id such as `orders`",
            id.len()
        ));
    }
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if id.bytes().all(is_allowed) {
        return Ok(());
    }
    let suggestion: String = docs::to_words(id)
        .chars()
        .map(|letter| if u8::try_from(letter).is_ok_and(is_allowed) { letter } else { '-' })
        .collect();
    Err(format!(
        "invalid configuration id `{id}`: it consists of `a-z`, `0-9`, `_` and `-`\n\
         help: write `{suggestion}`"
    ))
}

/// Checks the name of an environment variable, or a prefix of names.
///
/// # Errors
///
/// What is invalid.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty()
        || !name.chars().all(is_allowed)
        || name.starts_with(|first: char| first.is_ascii_digit())
    {
        return Err(format!(
            "invalid name of an environment variable `{name}`\n\
             help: write letters, digits and `_`, such as `ORDERS_DB_URL`"
        ));
    }
    Ok(())
}

/// Checks a prefix of the names of environment variables. It may be empty.
///
/// # Errors
///
/// What is invalid.
pub(super) fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() {
        return Ok(());
    }
    check_variable(prefix)?;
    if prefix.chars().any(|letter| letter.is_ascii_lowercase()) {
        return Err(format!(
            "expected an upper-case prefix, found `{prefix}`\nhelp: write `{}`",
            prefix.to_ascii_uppercase().trim_end_matches('_')
        ));
    }
    if prefix.ends_with('_') {
        return Err(format!(
            "a prefix cannot end with `_`, which is added to it\nhelp: write `{}`",
            prefix.trim_end_matches('_')
        ));
    }
    Ok(())
}

/// Converts a name to the form of an environment variable: `MailSettings` becomes `MAIL_SETTINGS`.
pub(super) fn screaming_snake_case(name: &str) -> String {
    let words = docs::to_words(name);
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    words.chars().map(|letter| allowed(letter).to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_ids_are_checked() {
        for valid in ["orders", "my-app_2", &"x".repeat(64)] {
            assert_eq!(check_id(valid), Ok(()), "{valid}");
        }
        assert!(check_id("").is_err() && check_id(&"x".repeat(65)).is_err());
        assert!(check_id("MyApp").unwrap_err().contains("`my-app`"));
        assert!(check_id("my::app").unwrap_err().contains("`my--app`"));
    }

    #[test]
    fn variables_and_prefixes_are_checked() {
        assert_eq!(check_variable("ORDERS_DB_URL"), Ok(()));
        for invalid in ["", "A B", "A-B", "1A", "A=B"] {
            assert!(check_variable(invalid).is_err(), "{invalid}");
        }
        assert_eq!(check_prefix(""), Ok(()));
        assert!(check_prefix("orders").unwrap_err().contains("`ORDERS`"));
        assert!(check_prefix("ORDERS_").is_err());
        assert_eq!(screaming_snake_case("MailSettings"), "MAIL_SETTINGS");
        assert_eq!(screaming_snake_case("my-app"), "MY_APP");
    }
}
