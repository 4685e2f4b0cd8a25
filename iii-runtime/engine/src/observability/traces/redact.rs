//! Attributes that nobody should see: their names say that the values are secrets.

use iii_wire::secret::{REDACTED, is_secret};

/// An attribute, with its value unless its name is that of a secret.
pub(crate) fn redacted(name: &str, value: impl FnOnce() -> Box<str>) -> (Box<str>, Box<str>) {
    let value = if is_secret(name) { REDACTED.into() } else { value() };
    (name.into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_left_out() {
        let value = |name| redacted(name, || "x".into()).1;
        assert_eq!(&*value("db.password"), REDACTED);
        assert_eq!(&*value("http.route"), "x");
    }
}
