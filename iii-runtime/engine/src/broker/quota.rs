//! Registration quotas: how many objects of a kind, and how many bytes in total, may be registered.

use crate::provider::overloaded;
use iii_wire::protocol::ErrorBody;

/// The registrations of one kind, and their limits.
pub(super) struct Quota {
    /// The owner of the registrations, for messages.
    pub(super) owner: &'static str,
    /// The kind of the registrations, for messages.
    pub(super) kind: &'static str,
    /// The number of registrations of this kind.
    pub(super) count: usize,
    /// The maximum of `count`.
    pub(super) max_count: usize,
    /// The weight of the registrations of all kinds.
    pub(super) bytes: usize,
    /// The maximum of `bytes`.
    pub(super) max_bytes: usize,
}

impl Quota {
    /// Admits a registration of the weight `after`, which replaces one of the weight `before`; 0 if it is new.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if it would exceed a limit. A replacement does not count towards `max_count`.
    pub(super) fn admit(&self, before: usize, after: usize) -> Result<(), ErrorBody> {
        if before == 0 && self.count >= self.max_count {
            return Err(overloaded(format!("{} has too many {}", self.owner, self.kind)));
        }
        if self.bytes.saturating_sub(before).saturating_add(after) > self.max_bytes {
            return Err(overloaded(format!("{} has registered too many bytes", self.owner)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iii_wire::code;

    #[test]
    fn replacement_is_admitted_at_the_maximum_count() {
        let quota = Quota {
            owner: "this connection",
            kind: "functions",
            count: 2,
            max_count: 2,
            bytes: 500,
            max_bytes: 1000,
        };
        let error = quota.admit(0, 1).unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), (code::OVERLOADED, Some(true)));
        assert_eq!(error.message, "this connection has too many functions");
        quota.admit(300, 800).unwrap();
        let error = quota.admit(300, 801).unwrap_err();
        assert_eq!(error.message, "this connection has registered too many bytes");
    }
}
