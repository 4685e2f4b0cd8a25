//! Filters that select the functions that a listener exposes, by function id or by metadata.

use serde_json::Value;

use crate::wildcard::WildcardPattern;
use iii_wire::protocol::{DEFAULT_NAMESPACE, Payload};

/// Selects functions of one namespace by a pattern of their ids, or by rules for their metadata.
///
/// ```
/// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
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
    criteria: FilterCriteria,
}

#[derive(Debug, Clone, PartialEq)]
enum FilterCriteria {
    Id(WildcardPattern),
    Metadata(Vec<(String, MetadataRule)>),
}

/// A condition on the value of one metadata key.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataRule(MetadataMatcher);

#[derive(Debug, Clone, PartialEq)]
enum MetadataMatcher {
    Equals(Value),
    Matches(WildcardPattern),
}

impl MetadataRule {
    /// Requires exactly this value. Numbers are compared by value: `1` equals `1.0`.
    pub fn equals(value: impl Into<Value>) -> Self {
        Self(MetadataMatcher::Equals(value.into()))
    }

    /// Requires a string that matches a pattern. `*` matches any string.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self::from_pattern(WildcardPattern::new(pattern))
    }

    /// Requires a string that matches a compiled pattern.
    pub(crate) fn from_pattern(pattern: WildcardPattern) -> Self {
        Self(MetadataMatcher::Matches(pattern))
    }

    fn matches(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (MetadataMatcher::Matches(pattern), Value::String(text)) => pattern.matches(text),
            (MetadataMatcher::Matches(_), _) => false,
            (MetadataMatcher::Equals(Value::Number(expected)), Value::Number(value)) => {
                expected == value || expected.as_f64() == value.as_f64()
            }
            (MetadataMatcher::Equals(expected), value) => expected == value,
        }
    }
}

impl FunctionFilter {
    /// Selects functions of the namespace `default` whose id matches a pattern. `*` matches any string, also one with
    /// `::`.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self::from_pattern(WildcardPattern::new(pattern))
    }

    /// Selects functions of the namespace `default` whose id matches a compiled pattern.
    pub(crate) fn from_pattern(pattern: WildcardPattern) -> Self {
        Self { namespace: DEFAULT_NAMESPACE.to_owned(), criteria: FilterCriteria::Id(pattern) }
    }

    /// Selects functions of the namespace `default` whose metadata is an object in which each of these keys satisfies
    /// its rule. Without rules the filter selects nothing.
    ///
    /// The worker that registers a function chooses its metadata. If workers are not trusted, check the metadata in a
    /// hook: [`Access::on_function_registration`](super::Access::on_function_registration).
    pub fn metadata<K: Into<String>>(rules: impl IntoIterator<Item = (K, MetadataRule)>) -> Self {
        let rules = rules.into_iter().map(|(key, rule)| (key.into(), rule)).collect();
        Self { namespace: DEFAULT_NAMESPACE.to_owned(), criteria: FilterCriteria::Metadata(rules) }
    }

    /// Selects functions of this namespace instead of `default`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Returns whether the filter selects a function. `metadata` is parsed only if the filter has metadata rules.
    pub(crate) fn exposes(&self, namespace: &str, id: &str, metadata: Option<&Payload>) -> bool {
        if self.namespace != namespace {
            return false;
        }
        match &self.criteria {
            FilterCriteria::Id(pattern) => pattern.matches(id),
            FilterCriteria::Metadata(rules) => {
                !rules.is_empty() && metadata.is_some_and(|metadata| satisfies(metadata, rules))
            }
        }
    }
}

/// Returns whether metadata satisfies all rules. Only the values that the rules refer to are parsed.
fn satisfies(metadata: &Payload, rules: &[(String, MetadataRule)]) -> bool {
    let Ok(fields) = metadata.fields() else { return false };
    rules.iter().all(|(key, rule)| {
        // The last of several entries of a key is the effective one, as everywhere in the engine.
        let field = fields.iter().rev().find(|(name, _)| name == key);
        let value = field.and_then(|(_, raw)| serde_json::from_str(raw.get()).ok());
        value.is_some_and(|value: Value| rule.matches(&value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;

    #[test]
    fn filter_applies_to_its_namespace_only() {
        let shop = FunctionFilter::matching("shop::*").namespace("shop");
        assert!(shop.exposes("shop", "shop::list", None));
        assert!(!shop.exposes("default", "shop::list", None));
        assert!(!FunctionFilter::matching("shop::*").exposes("shop", "shop::list", None));
    }

    #[test]
    fn metadata_must_satisfy_all_rules() {
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
        let without_rules = FunctionFilter::metadata(<[(&str, MetadataRule); 0]>::default());
        assert!(!without_rules.exposes("default", "f", Some(&json("{}"))));
    }
}
