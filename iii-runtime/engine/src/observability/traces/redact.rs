//! Redaction of attributes whose names indicate secrets.

use iii_wire::secret::{REDACTED, is_secret};

/// Returns an attribute. The value is redacted if the name is that of a secret.
pub(crate) fn redacted_attribute(
    name: &str,
    value: impl FnOnce() -> Box<str>,
) -> (Box<str>, Box<str>) {
    let value = if is_secret(name) { REDACTED.into() } else { value() };
    (name.into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_redacted() {
        let value = |name| redacted_attribute(name, || "x".into()).1;
        assert_eq!(&*value("db.password"), REDACTED);
        assert_eq!(&*value("http.route"), "x");
    }
}
