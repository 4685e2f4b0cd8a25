//! A group of a stream, and its scope in the store.

/// A group of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StreamGroup {
    /// The stream.
    pub(super) stream: String,
    /// The group.
    pub(super) group: String,
}

impl StreamGroup {
    /// The group `group` of the stream `stream`.
    pub(super) fn new(stream: &str, group: &str) -> Self {
        Self { stream: stream.to_owned(), group: group.to_owned() }
    }

    /// Returns the scope of the group's items. The length prefix separates the two names, which may contain any character.
    pub(super) fn scope(&self) -> String {
        format!("{}:{}{}", self.stream.len(), self.stream, self.group)
    }

    /// Parses a scope. Returns `None` if it is not the scope of a group.
    pub(super) fn from_scope(scope: &str) -> Option<Self> {
        let (length, names) = scope.split_once(':')?;
        let (stream, group) = names.split_at_checked(length.parse().ok()?)?;
        Some(Self::new(stream, group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_round_trips_for_any_names() {
        for (stream, group) in
            [("chat", "room"), ("a:b", "c"), ("a", "b:c"), ("", ""), ("1:", "2:é"), ("é:", "")]
        {
            let stream_group = StreamGroup::new(stream, group);
            assert_eq!(StreamGroup::from_scope(&stream_group.scope()), Some(stream_group));
        }
        assert_ne!(StreamGroup::new("a", "bc").scope(), StreamGroup::new("ab", "c").scope());
        assert_eq!(StreamGroup::from_scope("9:a"), None);
        assert_eq!(StreamGroup::from_scope("1:é"), None);
    }
}
