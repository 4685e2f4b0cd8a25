//! Filters: which functions a listener exposes, by their id or by what their worker says about them.

use serde_json::Value;

use iii_wire::protocol::{DEFAULT_NAMESPACE, Payload};

/// A pattern of which only `*` is special: it stands for any text, also for none and for `::`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WildcardPattern(String);

impl WildcardPattern {
    /// The pattern of a text.
    pub(crate) fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern in `match("…")` or `match('…')`; `None` if the text has another form.
    pub(crate) fn parse_match(text: &str) -> Option<Self> {
        let inner = text.trim().strip_prefix("match(")?.strip_suffix(')')?.trim();
        let quoted = |quote| inner.strip_prefix(quote)?.strip_suffix(quote);
        let pattern = quoted('"').or_else(|| quoted('\''))?;
        (!pattern.is_empty()).then(|| Self::new(pattern))
    }

    /// Whether a text fits.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            // The first place is as good as any: what follows finds at least as much text.
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

/// Functions that a listener exposes: those of one namespace whose id fits a pattern, or whose metadata fits rules.
///
/// ```
/// use iii::engine::{FunctionFilter, MetadataRule};
///
/// let shop = FunctionFilter::matching("shop::*").namespace("shop");
/// let free = FunctionFilter::metadata([
///     ("public", MetadataRule::equals(true)),
///     ("tier", MetadataRule::matching("free*")),
/// ]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionFilter {
    namespace: String,
    wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Id(WildcardPattern),
    Metadata(Vec<(String, MetadataRule)>),
}

/// What a filter asks of one key of a function's metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataRule(Rule);

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Equals(Value),
    Matches(WildcardPattern),
}

impl MetadataRule {
    /// The value is exactly this one. Numbers are compared by their value: `1` equals `1.0`.
    pub fn equals(value: impl Into<Value>) -> Self {
        Self(Rule::Equals(value.into()))
    }

    /// The value is a text that fits a pattern: `*` stands for any text.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self::from_pattern(WildcardPattern::new(pattern))
    }

    /// The value is a text that fits a pattern.
    pub(crate) fn from_pattern(pattern: WildcardPattern) -> Self {
        Self(Rule::Matches(pattern))
    }

    fn fits(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (Rule::Matches(pattern), Value::String(text)) => pattern.matches(text),
            (Rule::Matches(_), _) => false,
            (Rule::Equals(Value::Number(wanted)), Value::Number(value)) => {
                wanted == value || wanted.as_f64() == value.as_f64()
            }
            (Rule::Equals(wanted), value) => wanted == value,
        }
    }
}

impl FunctionFilter {
    /// Functions of the namespace `default` whose id fits a pattern: `*` stands for any text, also for `::`.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self::from_pattern(WildcardPattern::new(pattern))
    }

    /// Functions whose id fits a pattern.
    pub(crate) fn from_pattern(pattern: WildcardPattern) -> Self {
        Self { namespace: DEFAULT_NAMESPACE.to_owned(), wanted: Wanted::Id(pattern) }
    }

    /// Functions of the namespace `default` whose metadata is an object that has all these keys, with values that fit.
    /// Without rules it exposes nothing.
    ///
    /// Metadata is what the worker of a function says about it. Where workers are not trusted, let a hook decide about
    /// that: [`Access::on_function_registration`](super::Access::on_function_registration).
    pub fn metadata<K: Into<String>>(rules: impl IntoIterator<Item = (K, MetadataRule)>) -> Self {
        let rules = rules.into_iter().map(|(key, rule)| (key.into(), rule)).collect();
        Self { namespace: DEFAULT_NAMESPACE.to_owned(), wanted: Wanted::Metadata(rules) }
    }

    /// Functions of another namespace than `default`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Whether a function is exposed. `metadata` is read only if the filter asks for it.
    pub(crate) fn exposes(&self, namespace: &str, id: &str, metadata: Option<&Payload>) -> bool {
        if self.namespace != namespace {
            return false;
        }
        match &self.wanted {
            Wanted::Id(pattern) => pattern.matches(id),
            Wanted::Metadata(rules) => {
                !rules.is_empty() && metadata.is_some_and(|metadata| fit(rules, metadata))
            }
        }
    }
}

/// Whether metadata fits all rules. Only the values that they ask for are parsed.
fn fit(rules: &[(String, MetadataRule)], metadata: &Payload) -> bool {
    let Ok(fields) = metadata.fields() else { return false };
    rules.iter().all(|(key, rule)| {
        // As in all of JSON here, the last of several entries counts.
        let field = fields.iter().rev().find(|(name, _)| name == key);
        let value = field.and_then(|(_, raw)| serde_json::from_str(raw.get()).ok());
        value.is_some_and(|value: Value| rule.fits(&value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;

    #[test]
    fn a_star_stands_for_any_text() {
        let fits = |pattern: &str, text: &str| WildcardPattern::new(pattern).matches(text);
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
            assert!(fits(pattern, text), "{pattern} {text}");
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
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_quoted_form_has_either_quotes() {
        assert_eq!(WildcardPattern::parse_match(r#"match("api::*")"#), Some(WildcardPattern::new("api::*")));
        assert_eq!(WildcardPattern::parse_match(" match( 'api::*' ) "), Some(WildcardPattern::new("api::*")));
        for other in
            ["api::*", "match(api)", r#"match("a')"#, r#"match("")"#, r#"match("a"#, r#"match(")"#]
        {
            assert_eq!(WildcardPattern::parse_match(other), None, "{other}");
        }
    }

    #[test]
    fn a_namespace_has_its_own_filters() {
        let shop = FunctionFilter::matching("shop::*").namespace("shop");
        assert!(shop.exposes("shop", "shop::list", None));
        assert!(!shop.exposes("default", "shop::list", None));
        assert!(!FunctionFilter::matching("shop::*").exposes("shop", "shop::list", None));
    }

    #[test]
    fn metadata_must_fit_all_rules() {
        let filter = FunctionFilter::metadata([
            ("public", MetadataRule::equals(true)),
            ("tier", MetadataRule::matching("free*")),
            ("level", MetadataRule::equals(1)),
        ]);
        let exposes = |metadata: &str| filter.exposes("default", "f", Some(&json(metadata)));
        assert!(exposes(r#"{"public":true,"tier":"free-eu","level":1.0,"more":[]}"#));
        for metadata in [
            r#"{"public":true,"tier":"free-eu"}"#,
            r#"{"public":"true","tier":"free","level":1}"#,
            r#"{"public":true,"tier":7,"level":1}"#,
            r#"{"public":true,"public":false,"tier":"free","level":1}"#,
            r#"["public"]"#,
            "null",
        ] {
            assert!(!exposes(metadata), "{metadata}");
        }
        assert!(!filter.exposes("default", "f", None));
        let nothing = FunctionFilter::metadata(<[(&str, MetadataRule); 0]>::default());
        assert!(!nothing.exposes("default", "f", Some(&json("{}"))));
    }
}
