//! Wildcard patterns for function ids, metadata values and host names.

use glob::{MatchOptions, Pattern};

/// A compiled pattern. It matches whole strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WildcardPattern {
    pattern: Pattern,
    case_sensitive: bool,
}

impl WildcardPattern {
    /// Compiles a case-sensitive pattern whose only special character is `*`: any string, also the empty string and
    /// strings with `::`.
    pub(crate) fn new(pattern: impl Into<String>) -> Self {
        let mut escaped = String::new();
        for (n, literal) in pattern.into().split('*').enumerate() {
            // `**` has a meaning of its own in the crate; here it is the same as `*`.
            if n > 0 && !escaped.ends_with('*') {
                escaped.push('*');
            }
            escaped.push_str(&Pattern::escape(literal));
        }
        let pattern = Pattern::new(&escaped).expect("an escaped pattern is valid");
        Self { pattern, case_sensitive: true }
    }

    /// Compiles a case-insensitive pattern of host names: `*` is any string, also one with dots, `?` any character and
    /// `[…]` a set of characters.
    ///
    /// # Errors
    ///
    /// The reason why the pattern is invalid.
    pub(crate) fn host(pattern: &str) -> Result<Self, &'static str> {
        let pattern = Pattern::new(pattern).map_err(|error| error.msg)?;
        Ok(Self { pattern, case_sensitive: false })
    }

    /// Parses `match("…")` or `match('…')` around a case-sensitive pattern. Returns `None` for any other form.
    pub(crate) fn parse_match(text: &str) -> Option<Self> {
        let inner = text.trim().strip_prefix("match(")?.strip_suffix(')')?.trim();
        let quoted = |quote| inner.strip_prefix(quote)?.strip_suffix(quote);
        let pattern = quoted('"').or_else(|| quoted('\''))?;
        (!pattern.is_empty()).then(|| Self::new(pattern))
    }

    /// Returns whether the whole string matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let options = MatchOptions {
            case_sensitive: self.case_sensitive,
            require_literal_separator: false,
            require_literal_leading_dot: false,
        };
        self.pattern.matches_with(text, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_matches_any_string() {
        let matches = |pattern: &str, text: &str| WildcardPattern::new(pattern).matches(text);
        for (pattern, text) in [
            ("api::*", "api::"),
            ("api::*", "api::a::b"),
            ("*", ""),
            ("*::list", "a::b::list"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("*aab", "aaab"),
            ("ab*ab", "abab"),
            ("plain", "plain"),
            ("a?.[x]", "a?.[x]"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("api::*", "api:"),
            ("api::*", "xapi::a"),
            ("*::list", "a::lists"),
            ("ab*ab", "ab"),
            ("a*b*c", "a-c-b"),
            ("plain", "plain2"),
            ("", "x"),
            ("a?", "ab"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn match_expression_accepts_both_quotes() {
        let api = Some(WildcardPattern::new("api::*"));
        assert_eq!(WildcardPattern::parse_match(r#"match("api::*")"#), api);
        assert_eq!(WildcardPattern::parse_match(" match( 'api::*' ) "), api);
        for other in
            ["api::*", "match(api)", r#"match("a')"#, r#"match("")"#, r#"match("a"#, r#"match(")"#]
        {
            assert_eq!(WildcardPattern::parse_match(other), None, "{other}");
        }
    }

    #[test]
    fn host_patterns_ignore_case_and_have_character_wildcards() {
        let matches =
            |pattern: &str, text: &str| WildcardPattern::host(pattern).unwrap().matches(text);
        assert!(matches("*.Example.com", "a.b.EXAMPLE.com") && matches("10.0.0.?", "10.0.0.7"));
        assert!(!matches("*.example.com", "example.com") && !matches("10.0.0.?", "10.0.0.77"));
        assert!(WildcardPattern::host("a[").is_err());
    }
}
