//! Where items are: a stream and a group, and the one scope of the store that stands for both.

/// A group of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The stream.
    pub(super) stream: String,
    /// The group.
    pub(super) group: String,
}

impl Place {
    /// A group of a stream.
    pub(super) fn new(stream: &str, group: &str) -> Self {
        Self { stream: stream.to_owned(), group: group.to_owned() }
    }

    /// The scope of its items. Names may contain anything: the length says where the first one ends.
    pub(super) fn scope(&self) -> String {
        format!("{}:{}{}", self.stream.len(), self.stream, self.group)
    }

    /// The place that a scope stands for; `None` if it is none.
    pub(super) fn of_scope(scope: &str) -> Option<Self> {
        let (length, names) = scope.split_once(':')?;
        let (stream, group) = names.split_at_checked(length.parse().ok()?)?;
        Some(Self::new(stream, group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_contain_anything() {
        for (stream, group) in
            [("chat", "room"), ("a:b", "c"), ("a", "b:c"), ("", ""), ("1:", "2:é"), ("é:", "")]
        {
            let place = Place::new(stream, group);
            assert_eq!(Place::of_scope(&place.scope()), Some(place));
        }
        assert_ne!(Place::new("a", "bc").scope(), Place::new("ab", "c").scope());
        assert_eq!(Place::of_scope("9:a"), None);
        assert_eq!(Place::of_scope("1:é"), None);
    }
}
